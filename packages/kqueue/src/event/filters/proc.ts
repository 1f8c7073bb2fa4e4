// EVFILT_PROC: a process forks, executes, exits.
import {
	EV_ADD,
	EV_CLEAR,
	EV_ENABLE,
	EV_EOF,
	EV_FLAG1,
	EV_ONESHOT,
	KN_DETACHED,
	NOTE_CHILD,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_PCTRLMASK,
	NOTE_PDATAMASK,
	NOTE_TRACK,
	NOTE_TRACKERR,
	PID_MAX,
} from "../../abi/constants.ts";
import { errno } from "../../abi/errno.ts";
import { Kevent } from "../../abi/kevent.ts";
import type { Process } from "../../process/process.ts";
import { type Filterops, filterops } from "../filterops.ts";
import type { Knote } from "../knote.ts";
import { kqueueRegister } from "../register.ts";

/** @kern filt_procattach */
function procAttach(kn: Knote): number {
	const { kernel } = kn.kq;
	const pledge = kernel.curthread?.process.pledge;
	if (pledge !== undefined && pledge !== null && !pledge.has("proc")) return errno.EPERM;
	if (kn.ident < 0 || kn.ident > PID_MAX) return errno.ESRCH;
	const process = kernel.processes.get(kn.ident);
	if (process === undefined || process.exiting) return errno.ESRCH;

	kn.hook = process;
	kn.flags |= EV_CLEAR;
	if ((kn.flags & EV_FLAG1) !== 0) {
		// The engine added this knote to follow a fork: `sdata` is the parent's id.
		kn.data = kn.sdata;
		kn.fflags = NOTE_CHILD;
		kn.flags &= ~EV_FLAG1;
	}
	process.klist.insert(kn);
	return 0;
}

/** @kern filt_proc */
function procEvent(kn: Knote, hint: number): boolean {
	const process = kn.hook as Process;
	const event = (hint & NOTE_PCTRLMASK) >>> 0;
	if ((kn.sfflags & event) !== 0) kn.fflags |= event;

	if (event === NOTE_EXIT) {
		// Reported even if the program did not ask: the knote has nothing left to watch.
		kn.status |= KN_DETACHED;
		kn.flags |= EV_EOF | EV_ONESHOT;
		kn.data = process.status;
		process.klist.remove(kn);
		return true;
	}
	if (event === NOTE_FORK && (kn.sfflags & NOTE_TRACK) !== 0) {
		const child = new Kevent(
			hint & NOTE_PDATAMASK,
			kn.filter,
			kn.flags | EV_ADD | EV_ENABLE | EV_FLAG1,
			kn.sfflags,
			kn.ident,
			kn.udata,
		);
		if (kqueueRegister(kn.kq, child, kn.pollid, null) !== 0) kn.fflags |= NOTE_TRACKERR;
	}
	return kn.fflags !== 0;
}

/** Watches a process by its id. */
export const procFiltops: Filterops = filterops({
	name: "proc",
	isfd: false,
	attach: procAttach,
	event: procEvent,
});

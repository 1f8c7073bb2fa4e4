// EVFILT_SIGNAL: a signal is sent to the process that added the event.
import { EV_CLEAR, NOTE_SIGNAL, NSIG } from "../../abi/constants.ts";
import { errno } from "../../abi/errno.ts";
import { type Filterops, filterops } from "../filterops.ts";
import type { Knote } from "../knote.ts";

function signalAttach(kn: Knote): number {
	const { curthread } = kn.kq.kernel;
	if (kn.ident < 0 || kn.ident >= NSIG || curthread === null) return errno.EINVAL;
	kn.flags |= EV_CLEAR;
	curthread.process.klist.insert(kn);
	return 0;
}

function signalEvent(kn: Knote, hint: number): boolean {
	// SIGNAL and PROC knotes are on the same list of the process: hints of PROC are ignored.
	if ((hint & NOTE_SIGNAL) !== 0 && kn.ident === (hint & ~NOTE_SIGNAL)) kn.data++;
	return kn.data !== 0;
}

/** Counts a signal, also if it is ignored, blocked or handled. */
export const sigFiltops: Filterops = filterops({
	name: "signal",
	isfd: false,
	attach: signalAttach,
	event: signalEvent,
});

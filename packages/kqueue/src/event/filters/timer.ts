// EVFILT_TIMER: periods of some milliseconds pass.

import { EV_CLEAR, EV_ONESHOT, KN_ACTIVE, KN_QUEUED } from "../../abi/constants.ts";
import { errno } from "../../abi/errno.ts";
import type { Kevent } from "../../abi/kevent.ts";
import { unreachable } from "../../base/assert.ts";
import { Timeout } from "../../base/timeout.ts";
import { type Filterops, filterops, knoteAssign, knoteSubmit } from "../filterops.ts";
import type { Knote } from "../knote.ts";
import { knoteActivate, knoteDequeue } from "../knote-ops.ts";

const NS_PER_MS = 1_000_000;

function periodOf(kn: Knote): number {
	return Math.max(1, kn.sdata) * NS_PER_MS;
}

/** @kern filt_timer_timeout_add */
function timerStart(kn: Knote): void {
	const { timeouts, host } = kn.kq.kernel;
	timeouts.add(kn.hook as Timeout, host.now() + periodOf(kn));
}

/** @kern filt_timerexpire */
function timerExpire(owner: unknown, at: number): void {
	const kn = owner as Knote;
	const { timeouts, host } = kn.kq.kernel;
	const period = periodOf(kn);
	// Periods count from when this one was due, so a late host does not make timers drift or lose
	// any.
	const missed = Math.floor((host.now() - at) / period);
	const oneshot = (kn.flags & EV_ONESHOT) !== 0;
	kn.data += oneshot ? 1 : 1 + missed;
	knoteActivate(kn);
	if (!oneshot) timeouts.add(kn.hook as Timeout, at + (1 + missed) * period);
}

/** @kern filt_timerattach */
function timerAttach(kn: Knote): number {
	if (!kn.kq.fdp.account.timers.charge(1)) return errno.ENOMEM;
	kn.flags |= EV_CLEAR;
	kn.hook = new Timeout(timerExpire, kn);
	timerStart(kn);
	return 0;
}

/** @kern filt_timerdetach */
function timerDetach(kn: Knote): void {
	const { kernel, fdp } = kn.kq;
	kernel.timeouts.delete(kn.hook as Timeout);
	fdp.account.timers.release(1);
}

/** @kern filt_timermodify */
function timerModify(kev: Kevent, kn: Knote): boolean {
	// A new start: expirations that were not delivered are forgotten.
	if ((kn.status & KN_QUEUED) !== 0) knoteDequeue(kn);
	kn.status &= ~KN_ACTIVE;
	kn.data = 0;
	knoteAssign(kev, kn);
	timerStart(kn);
	return false;
}

/** @kern filt_timerprocess */
function timerProcess(kn: Knote, out: Kevent | null): boolean {
	const active = kn.data !== 0;
	if (active) knoteSubmit(kn, out);
	return active;
}

/** Fires once in each period, of at least 1 ms; counts the periods that were not delivered yet. */
export const timerFiltops: Filterops = filterops({
	name: "timer",
	isfd: false,
	attach: timerAttach,
	detach: timerDetach,
	event: () => unreachable("timers are on no list of knotes"),
	modify: timerModify,
	process: timerProcess,
});

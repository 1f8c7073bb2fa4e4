// The filter of devices that are always ready.
import { EVFILT_READ, EVFILT_WRITE } from "../../abi/constants.ts";
import { errno } from "../../abi/errno.ts";
import type { Kevent } from "../../abi/kevent.ts";
import { type Filterops, filterops, knoteAssign, knoteSubmit } from "../filterops.ts";
import type { Knote } from "../knote.ts";

/** @kern filt_seltrue */
function seltrueEvent(kn: Knote): boolean {
	// It is not known how many bytes can be transferred, only that some can.
	kn.data = 0;
	return true;
}

/**
 * Assigns the change, then asks the filter.
 * @kern filt_seltruemodify
 */
export function seltrueModify(kev: Kevent, kn: Knote): boolean {
	knoteAssign(kev, kn);
	return kn.fop.event(kn, 0);
}

/**
 * Always asks the filter, also for a oneshot knote.
 * @kern filt_seltrueprocess
 */
export function seltrueProcess(kn: Knote, out: Kevent | null): boolean {
	const active = kn.fop.event(kn, 0);
	if (active) knoteSubmit(kn, out);
	return active;
}

/**
 * Does nothing: the knote is not on a list.
 * @kern filt_seltruedetach
 * @kern filt_deaddetach
 */
export function detachNothing(): void {}

const seltrueFiltops: Filterops = filterops({
	name: "seltrue",
	detach: detachNothing,
	event: seltrueEvent,
	modify: seltrueModify,
	process: seltrueProcess,
});

/**
 * The `kqfilter` of a file that is always ready for READ and WRITE; EINVAL for other filters.
 * @kern seltrue_kqfilter
 */
export function seltrueKqfilter(kn: Knote): number {
	if (kn.filter !== EVFILT_READ && kn.filter !== EVFILT_WRITE) return errno.EINVAL;
	kn.fop = seltrueFiltops;
	return 0;
}

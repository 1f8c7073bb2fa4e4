// struct filterops: what a filter is to the engine, and what a filter without its own
// modify and process gets.
import { EV_CLEAR, EV_ONESHOT } from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import { copyKevent, type Kevent } from "../abi/kevent.ts";
import type { KnoteList } from "./klist.ts";
import type { Knote } from "./knote.ts";

/** The operations of a filter. Make one with {@link filterops}, so that all have one shape. */
export interface Filterops {
	/** For trace output and messages. */
	readonly name: string;
	/** Whether the ident is a descriptor. */
	readonly isfd: boolean;
	/** See {@link FilterDefinition.mpsafe}. */
	readonly mpsafe: boolean;
	/** Joins a new knote to its object. Gives 0 or an errno; after an errno it must not be joined. */
	readonly attach: (kn: Knote) => number;
	/** Parts the knote from its object. */
	readonly detach: (kn: Knote) => void;
	/** Brings flags, fflags and data up to date and says whether there is an event. */
	readonly event: (kn: Knote, hint: number) => boolean;
	/** Takes over a change of an existing knote and says whether there is an event now. */
	readonly modify: (kev: Kevent, kn: Knote) => boolean;
	/** Says whether there is an event still, and if `out` is given fills it. */
	readonly process: (kn: Knote, out: Kevent | null) => boolean;
}

/** What the author of a filter writes; the rest has defaults. */
export interface FilterDefinition {
	/** For trace output and messages. */
	readonly name: string;
	/** See {@link Filterops.event}. */
	readonly event: (kn: Knote, hint: number) => boolean;
	/** See {@link Filterops.detach}. Unless given, takes the knote off the klist that it is on. */
	readonly detach?: (kn: Knote) => void;
	/** Whether the ident is a descriptor: true unless given. */
	readonly isfd?: boolean;
	/**
	 * Promises that `event` runs none of the program's code, calls nothing of the engine, and throws
	 * nothing: notifications then ask it without guarding themselves. False unless given. The
	 * original's FILTEROP_MPSAFE promises that it needs no kernel lock.
	 */
	readonly mpsafe?: boolean;
	/** Filters of a file type have none: their file's `kqfilter` does that work. */
	readonly attach?: (kn: Knote) => number;
	/** Unless given: {@link knoteModify}. */
	readonly modify?: (kev: Kevent, kn: Knote) => boolean;
	/** Unless given: {@link knoteProcess}. */
	readonly process?: (kn: Knote, out: Kevent | null) => boolean;
}

/** Makes a filter's operations out of what is special about it. */
export function filterops(definition: FilterDefinition): Filterops {
	return {
		name: definition.name,
		isfd: definition.isfd ?? true,
		mpsafe: definition.mpsafe ?? false,
		attach: definition.attach ?? attachNothing,
		detach: definition.detach ?? leaveKlist,
		event: definition.event,
		modify: definition.modify ?? knoteModify,
		process: definition.process ?? knoteProcess,
	};
}

/**
 * The list is not always that of the knote's own file, and there may be none any more, as after the
 * exit of a process.
 * @kern filt_procdetach
 */
function leaveKlist(kn: Knote): void {
	kn.klist?.remove(kn);
}

/** What a file's `kqfilter` does once it knows the filter and the list: gives 0. */
export function knoteJoin(kn: Knote, fop: Filterops, klist: KnoteList): number {
	kn.fop = fop;
	klist.insert(kn);
	return 0;
}

function attachNothing(): number {
	return errno.EINVAL;
}

/**
 * Assigns what a change asks for to the knote.
 * @kern knote_assign
 */
export function knoteAssign(kev: Kevent, kn: Knote): void {
	kn.sfflags = kev.fflags | 0;
	kn.sdata = kev.data;
	kn.udata = kev.udata;
}

/**
 * Submits the knote's event for delivery, if anybody takes it; EV_CLEAR resets the state.
 * @kern knote_submit
 */
export function knoteSubmit(kn: Knote, out: Kevent | null): void {
	if (out === null) return;
	copyKevent(kn, out);
	if ((kn.flags & EV_CLEAR) !== 0) knoteClear(kn);
}

/** EV_CLEAR: what has been reported is reported no more. */
export function knoteClear(kn: Knote): void {
	kn.fflags = 0;
	kn.data = 0;
}

/** The default `modify`: assigns, then asks the filter. */
export function knoteModify(kev: Kevent, kn: Knote): boolean {
	knoteAssign(kev, kn);
	return kn.fop.event(kn, 0);
}

/** The default `process`: asks the filter, but a oneshot knote is delivered as it is. */
export function knoteProcess(kn: Knote, out: Kevent | null): boolean {
	const active = (out !== null && (kn.flags & EV_ONESHOT) !== 0) || kn.fop.event(kn, 0);
	if (active) knoteSubmit(kn, out);
	return active;
}

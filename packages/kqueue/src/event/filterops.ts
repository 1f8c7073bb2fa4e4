// struct filterops: the operations of a filter, and the defaults for those that it does not define.
import { EV_CLEAR, EV_ONESHOT } from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import { copyKevent, type Kevent } from "../abi/kevent.ts";
import type { KnoteList } from "./klist.ts";
import type { Knote } from "./knote.ts";

/**
 * The operations of a filter. Make them with {@link filterops}, so that all objects have the same
 * shape.
 */
export interface Filterops {
	/** For traces and messages. */
	readonly name: string;
	/** Whether the ident is a descriptor. */
	readonly isfd: boolean;
	/** See {@link FilterDefinition.mpsafe}. */
	readonly mpsafe: boolean;
	/** Attaches a new knote to its object. Returns 0, or an errno if it did not attach the knote. */
	readonly attach: (kn: Knote) => number;
	/** Detaches the knote from its object. */
	readonly detach: (kn: Knote) => void;
	/** Updates flags, fflags and data, and returns whether there is an event. */
	readonly event: (kn: Knote, hint: number) => boolean;
	/** Applies a change to an existing knote, and returns whether there is an event now. */
	readonly modify: (kev: Kevent, kn: Knote) => boolean;
	/** Returns whether there is still an event, and fills `out` with it if that is not null. */
	readonly process: (kn: Knote, out: Kevent | null) => boolean;
}

/** What the author of a filter defines; most of it has a default. */
export interface FilterDefinition {
	/** For traces and messages. */
	readonly name: string;
	/** See {@link Filterops.event}. */
	readonly event: (kn: Knote, hint: number) => boolean;
	/** See {@link Filterops.detach}. By default it removes the knote from the klist that it is on. */
	readonly detach?: (kn: Knote) => void;
	/** Whether the ident is a descriptor: true by default. */
	readonly isfd?: boolean;
	/**
	 * Promises that `event` does not run code of the program, does not call the engine, and does not
	 * throw: then notifications call it without precautions. False by default. In the original,
	 * FILTEROP_MPSAFE promises that it does not need the kernel lock.
	 */
	readonly mpsafe?: boolean;
	/**
	 * See {@link Filterops.attach}. Filters of a file type leave it out: the `kqfilter` of the file
	 * does that work.
	 */
	readonly attach?: (kn: Knote) => number;
	/** See {@link Filterops.modify}. By default {@link knoteModify}. */
	readonly modify?: (kev: Kevent, kn: Knote) => boolean;
	/** See {@link Filterops.process}. By default {@link knoteProcess}. */
	readonly process?: (kn: Knote, out: Kevent | null) => boolean;
}

/** Makes the operations of a filter from its definition. */
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
 * The list is not always that of the knote's own file, and the knote may no longer be on one, as
 * after the exit of a process.
 * @kern filt_procdetach
 */
function leaveKlist(kn: Knote): void {
	kn.klist?.remove(kn);
}

/** What a file's `kqfilter` does when it knows the filter and the list. Returns 0. */
export function knoteJoin(kn: Knote, fop: Filterops, klist: KnoteList): number {
	kn.fop = fop;
	klist.insert(kn);
	return 0;
}

function attachNothing(): number {
	return errno.EINVAL;
}

/**
 * Stores in the knote what a change asks for.
 * @kern knote_assign
 */
export function knoteAssign(kev: Kevent, kn: Knote): void {
	kn.sfflags = kev.fflags | 0;
	kn.sdata = kev.data;
	kn.udata = kev.udata;
}

/**
 * Copies the knote's event to `out`, if that is not null; then EV_CLEAR resets the state.
 * @kern knote_submit
 */
export function knoteSubmit(kn: Knote, out: Kevent | null): void {
	if (out === null) return;
	copyKevent(kn, out);
	if ((kn.flags & EV_CLEAR) !== 0) knoteClear(kn);
}

/** EV_CLEAR: what was reported is not reported again. */
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

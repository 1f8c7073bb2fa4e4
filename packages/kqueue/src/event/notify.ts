// What an object does to the knotes that watch it: notifies them, or detaches them when it goes
// away.
import { KN_NOTIFYING, KN_PROCESSING } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { type Failure, rethrow } from "../base/failure.ts";
import { KnoteList } from "./klist.ts";
import type { Knote } from "./knote.ts";
import { knoteAcquire, knoteActivate, knoteDie, knoteDrop, knoteRelease } from "./knote-ops.ts";
import { kqueueUnbusy } from "./kqueue-ops.ts";

/**
 * The list of the knotes that watch an object. Its file type inserts them in `kqfilter`, removes
 * them in the `detach` of its filters, and notifies them when the state of the object has changed.
 */
export class Klist extends KnoteList {
	/**
	 * Asks the filter of every knote, newest first, and activates those that have an event. `hint`
	 * says what happened; it is 0 where the filter finds out itself.
	 *
	 * While a filter is asked, it must not notify the same list or change its own knote: both fail
	 * with EDEADLK. What a filter throws is thrown when all have been asked.
	 */
	notify(hint = 0): void {
		notify(this, hint);
	}

	/**
	 * The object goes away: detaches all knotes from it. Those of descriptors become dead and report
	 * end of file; the others are dropped. Throws EDEADLK, with nothing done, inside of a callback
	 * for one of the knotes.
	 */
	invalidate(): void {
		invalidate(this);
	}
}

/**
 * See {@link Klist.notify}.
 * @kern knote
 */
export function notify(list: KnoteList, hint: number): void {
	if (list.walking !== false && list.first !== null) throw deadlock("notify");
	for (let kn = list.first; kn !== null; kn = kn.selnext) {
		if (kn.fop.mpsafe !== true) {
			notifyGuarded(list, kn, hint);
			return;
		}
		// Such a filter cannot change the list meanwhile.
		if (askFilter(kn, hint)) knoteActivate(kn);
	}
}

/** The same from one knote on, where a filter may run code of the program. */
function notifyGuarded(list: KnoteList, from: Knote, hint: number): void {
	const { kernel } = from.kq;
	let failure: Failure = null;
	list.walking = true;
	kernel.activity.depth++;
	for (let kn: Knote | null = from; kn !== null; kn = list.cursor) {
		list.cursor = kn.selnext;
		// The filter may call the engine, which must not remove this knote meanwhile.
		const { kq, status } = kn;
		kn.status = status | KN_NOTIFYING;
		kq.busy++;
		let active = false;
		try {
			active = askFilter(kn, hint);
		} catch (value) {
			failure ??= { value };
		}
		if ((status & KN_NOTIFYING) === 0) kn.status &= ~KN_NOTIFYING;
		kqueueUnbusy(kq);
		if (active) knoteActivate(kn);
	}
	kernel.activity.depth--;
	list.walking = false;
	if (failure !== null) rethrow(failure);
}

/**
 * See {@link Klist.invalidate}.
 * @kern klist_invalidate
 */
export function invalidate(list: KnoteList): void {
	if (list.walking) throw deadlock("invalidate");
	for (let kn = list.first; kn !== null; kn = kn.selnext) {
		if ((kn.status & (KN_PROCESSING | KN_NOTIFYING)) !== 0) throw deadlock("invalidate");
	}
	let failure: Failure = null;
	for (let kn = list.first; kn !== null; kn = list.first) {
		const { kernel } = kn.kq;
		if (!knoteAcquire(kn)) throw deadlock("invalidate");
		kernel.activity.depth++;
		try {
			if (kn.fop.isfd) turnDead(kn);
			else knoteDrop(kn, null, true);
		} catch (value) {
			failure ??= { value };
		}
		kernel.activity.depth--;
	}
	rethrow(failure);
}

/** Detaches an acquired knote from the object, and has it report end of file. */
function turnDead(kn: Knote): void {
	let failure: Failure = null;
	try {
		knoteDie(kn);
	} catch (value) {
		failure = { value };
	}
	kn.fop.event(kn, 0);
	knoteActivate(kn);
	knoteRelease(kn);
	rethrow(failure);
}

/** @kern filter_event */
function askFilter(kn: Knote, hint: number): boolean {
	return kn.fop.event(kn, hint);
}

function deadlock(what: string): SystemError {
	return new SystemError(
		errno.EDEADLK,
		what,
		"called by a filter while this list of knotes asks it",
	);
}

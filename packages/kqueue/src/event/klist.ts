// struct klist: the knotes that watch one object.

import { KN_NOTIFYING, KN_PROCESSING } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { kassert } from "../base/assert.ts";
import { type Failure, rethrow } from "../base/failure.ts";
import type { Knote } from "./knote.ts";
import { knoteAcquire, knoteActivate, knoteDie, knoteDrop, knoteRelease } from "./knote-ops.ts";
import { kqueueUnbusy } from "./kqueue.ts";

/**
 * The list of knotes of an object. The object's file type keeps one, inserts into it in
 * `kqfilter`, removes in its filters' `detach`, and notifies when its state changed.
 */
export class Klist {
	/** Engine: the knote that was inserted last. */
	first: Knote | null = null;
	/** Whether a notification is under way. */
	private walking = false;
	/** During a notification: whose turn is next. */
	private cursor: Knote | null = null;

	/**
	 * Whether nobody watches.
	 * @kern klist_free
	 */
	get empty(): boolean {
		return this.first === null;
	}

	/**
	 * Puts a knote at the head, so that the newest hears first.
	 * @kern klist_insert
	 * @kern klist_insert_locked
	 */
	insert(kn: Knote): void {
		kassert(kn.klist === null, "a knote is on one list");
		kn.klist = this;
		kn.selprev = null;
		kn.selnext = this.first;
		if (this.first !== null) this.first.selprev = kn;
		this.first = kn;
	}

	/**
	 * Takes a knote out, if it is on this list.
	 * @kern klist_remove
	 * @kern klist_remove_locked
	 */
	remove(kn: Knote): void {
		if (kn.klist !== this) return;
		if (this.cursor === kn) this.cursor = kn.selnext;
		if (kn.selprev === null) this.first = kn.selnext;
		else kn.selprev.selnext = kn.selnext;
		if (kn.selnext !== null) kn.selnext.selprev = kn.selprev;
		kn.klist = null;
		kn.selnext = null;
		kn.selprev = null;
	}

	/**
	 * Asks every knote's filter, newest first, and activates those that have an event. `hint` says
	 * what happened; 0 where the filter finds out itself.
	 *
	 * A filter must not notify the list that it is asked for, nor change its own knote: both fail
	 * with EDEADLK. What a filter throws is thrown when all have been asked.
	 * @kern knote
	 */
	notify(hint = 0): void {
		if (this.walking !== false && this.first !== null) throw deadlock("notify");
		for (let kn = this.first; kn !== null; kn = kn.selnext) {
			if (kn.fop.mpsafe !== true) {
				this.notifyGuarded(kn, hint);
				return;
			}
			// Nothing else can happen to the list meanwhile.
			if (askFilter(kn, hint)) knoteActivate(kn);
		}
	}

	/** Likewise, from one knote on, where a filter may run code of the program. */
	private notifyGuarded(from: Knote, hint: number): void {
		this.walking = true;
		let failure: Failure = null;
		for (let kn: Knote | null = from; kn !== null; kn = this.cursor) {
			this.cursor = kn.selnext;
			// The filter may call back into the engine: nobody may take this knote away meanwhile.
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
		this.walking = false;
		if (failure !== null) rethrow(failure);
	}

	/**
	 * The object goes away: parts all knotes from it. Those of descriptors become dead and report
	 * end of file; the others are dropped. EDEADLK, with nothing done, from a filter's callback for
	 * one of the knotes.
	 * @kern klist_invalidate
	 */
	invalidate(): void {
		if (this.walking) throw deadlock("invalidate");
		for (let kn = this.first; kn !== null; kn = kn.selnext) {
			if ((kn.status & (KN_PROCESSING | KN_NOTIFYING)) !== 0) throw deadlock("invalidate");
		}
		let failure: Failure = null;
		for (let kn = this.first; kn !== null; kn = this.first) {
			if (!knoteAcquire(kn)) throw deadlock("invalidate");
			try {
				if (kn.fop.isfd) this.turnDead(kn);
				else knoteDrop(kn, null, true);
			} catch (value) {
				failure ??= { value };
			}
		}
		rethrow(failure);
	}

	/** Parts an acquired knote from the object and lets it report end of file. */
	private turnDead(kn: Knote): void {
		try {
			knoteDie(kn);
		} finally {
			kn.fop.event(kn, 0);
			knoteActivate(kn);
			knoteRelease(kn);
		}
	}
}

/** @kern filter_event */
function askFilter(kn: Knote, hint: number): boolean {
	return kn.fop.event(kn, hint);
}

function deadlock(what: string): SystemError {
	return new SystemError(errno.EDEADLK, what, "called by a filter of the same list of knotes");
}

// struct klist: the knotes that watch one object.
import { kassert } from "../base/assert.ts";
import type { Knote } from "./knote.ts";

/** The list of knotes of an object. {@link Klist} adds the operations of notify.ts. */
export class KnoteList {
	/** The knote that was inserted last. @internal */
	first: Knote | null = null;
	/** Whether a notification is in progress. @internal */
	walking = false;
	/** During a notification, the knote that is next. @internal */
	cursor: Knote | null = null;

	/**
	 * Whether it has no knotes.
	 * @kern klist_free
	 */
	get empty(): boolean {
		return this.first === null;
	}

	/**
	 * Inserts a knote at the head, so that the newest is asked first.
	 * @kern klist_insert
	 * @kern klist_insert_locked
	 */
	insert(kn: Knote): void {
		kassert(kn.klist === null, "a knote is on one list at a time");
		kn.klist = this;
		kn.selprev = null;
		kn.selnext = this.first;
		if (this.first !== null) this.first.selprev = kn;
		this.first = kn;
	}

	/**
	 * Removes a knote, if it is on this list.
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
}

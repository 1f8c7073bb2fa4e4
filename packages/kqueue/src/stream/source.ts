// What a pump watches: a registration, and the watches that use it.

import { EV_CLEAR, EVFILT_PROC, NOTE_TRACK } from "../abi/constants.ts";
import type { Kevent } from "../abi/kevent.ts";
import type { Knote } from "../event/knote.ts";

/** What a pump delivers events to. */
export interface Watcher {
	/** Whether it waits for an event. */
	readonly armed: boolean;
	/** Pump: its entry among the newcomers; null if it is not one of them. */
	newcomer: Newcomer | null;
	/** Called with an event, and whether it was the last. */
	give(event: Kevent, last: boolean): void;
	/** Called with an error: there will be no more events. */
	fail(error: unknown): void;
}

/** One registration, which one or several watches use. */
export class Source {
	/** What was asked for. */
	readonly change: Kevent;
	/** Its number in the pump's kqueue. */
	readonly pollid: number;
	/** Its key in `shared`, by which other watches for the same find it; null if it is not shared. */
	readonly key: string | null;
	/** Its knote; for a process that of the process itself. Null before it is added. */
	kn: Knote | null = null;
	/** Whether it follows the children of a process: their knotes have its number too. */
	readonly follows: boolean;
	/** If it follows children: the processes that it watches now. */
	readonly pids: Set<number> | null;
	/** What gets the events. */
	readonly watches: Set<Watcher> = new Set();

	/** Made by the pump. */
	constructor(change: Kevent, pollid: number) {
		this.change = change;
		this.pollid = pollid;
		this.key = keyOf(change);
		this.follows = change.filter === EVFILT_PROC && (change.fflags & NOTE_TRACK) !== 0;
		this.pids = this.follows ? new Set([change.ident]) : null;
	}
}

/** Whether a watch of the source waits for an event. */
export function isArmed(source: Source): boolean {
	for (const watch of source.watches) if (watch.armed) return true;
	return false;
}

/**
 * A key that is equal for changes that can share a knote; null for changes with other flags than
 * EV_CLEAR, and for NOTE_TRACK: a later watch must not be told of children that were born before.
 */
export function keyOf({ ident, filter, flags, fflags, data }: Kevent): string | null {
	if (flags !== EV_CLEAR) return null;
	if (filter === EVFILT_PROC && (fflags & NOTE_TRACK) !== 0) return null;
	return `${filter} ${ident} ${fflags} ${data}`;
}

/** A watch that has joined others. */
export interface Newcomer {
	/** What it has joined. */
	readonly source: Source;
	/** The watch. */
	readonly watch: Watcher;
	/** The `tqseq` of the kqueue when it joined: what was ready then is delivered before. */
	readonly tqseq: number;
	/** NewcomerList: the next one. */
	next: Newcomer | null;
	/** NewcomerList: the one before. */
	prev: Newcomer | null;
}

/** Newcomers in the order in which they joined. Each step costs the same, however many there are. */
export class NewcomerList {
	/** Who joined first. */
	first: Newcomer | null = null;
	private last: Newcomer | null = null;

	/** Appends a watch. */
	append(source: Source, watch: Watcher, tqseq: number): void {
		const newcomer: Newcomer = { source, watch, tqseq, next: null, prev: this.last };
		if (this.last === null) this.first = newcomer;
		else this.last.next = newcomer;
		this.last = newcomer;
		watch.newcomer = newcomer;
	}

	/** Removes a watch, if it is in the list. */
	remove(watch: Watcher): void {
		const { newcomer } = watch;
		if (newcomer === null) return;
		watch.newcomer = null;
		const { next, prev } = newcomer;
		if (prev === null) this.first = next;
		else prev.next = next;
		if (next === null) this.last = prev;
		else next.prev = prev;
	}
}

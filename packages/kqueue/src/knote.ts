// struct knote: joins an object to a kqueue.
import { EVFILT_MARKER, KN_PROCESSING } from "./constants.ts";
import type { File } from "./file.ts";
import type { Filterops } from "./filterops.ts";
import type { Klist } from "./klist.ts";
import type { Kqueue } from "./kqueue.ts";
import type { Process } from "./process.ts";

/**
 * One registration: the triple (filter, ident, pollid) in one kqueue.
 *
 * The legend says who may change a field: I nobody after creation, F the filter, E the engine,
 * U the program through a change.
 */
export class Knote {
	/** I: what is watched. */
	readonly ident: number;
	/** I: an EVFILT_ number. */
	readonly filter: number;
	/** F, E: EV_ flags: those of the change that created the knote, and what the filter adds. */
	flags: number;
	/** F: what is reported, as 32 bits of either sign; without sign once delivered. */
	fflags = 0;
	/** F: what is reported. */
	data = 0;
	/** U: comes back with each event. */
	udata: unknown;

	/** E: KN_ bits. */
	status = 0;
	/** U: the fflags asked for, as 32 bits of either sign. */
	sfflags = 0;
	/** U: the data asked for. */
	sdata = 0;
	/** E: the open file of a descriptor's filter, on which the knote holds a reference. */
	fp: File | null = null;
	/** F: the process of a PROC or SIGNAL filter. */
	process: Process | null = null;
	/** E, and `kqfilter` of a file: the filter's operations now in force. */
	fop: Filterops;
	/** F: whatever the filter needs to remember. */
	hook: unknown = null;
	/** I: 0, or for poll the entry's number plus one. */
	readonly pollid: number;
	/** I: the kqueue it belongs to. */
	readonly kq: Kqueue;

	/** E: next on the list of its descriptor or hash bucket. */
	link: Knote | null = null;
	/** Klist: the list of the watched object that it is on. */
	klist: Klist | null = null;
	/** Klist: neighbours on that list. */
	selnext: Knote | null = null;
	/** Klist: neighbours on that list. */
	selprev: Knote | null = null;
	/** E: neighbours in the kqueue's circular list of ready knotes; itself when in none. */
	tqnext: Knote = this;
	/** E: neighbours in the kqueue's circular list of ready knotes; itself when in none. */
	tqprev: Knote = this;

	/** Made by register, and by scans for their markers. */
	constructor(
		kq: Kqueue,
		fop: Filterops,
		ident: number,
		filter: number,
		flags: number,
		udata: unknown,
		pollid: number,
	) {
		this.kq = kq;
		this.fop = fop;
		this.ident = ident;
		this.filter = filter;
		this.flags = flags;
		this.udata = udata;
		this.pollid = pollid;
	}
}

/** A knote that only marks a place in a ready list: it has no kqueue, and nobody can acquire it. */
export function newMarker(fop: Filterops): Knote {
	const marker = new Knote(null as unknown as Kqueue, fop, 0, EVFILT_MARKER, 0, null, 0);
	marker.status = KN_PROCESSING;
	return marker;
}

/** TAILQ_REMOVE. */
export function tailqRemove(kn: Knote): void {
	kn.tqprev.tqnext = kn.tqnext;
	kn.tqnext.tqprev = kn.tqprev;
	kn.tqnext = kn;
	kn.tqprev = kn;
}

/** TAILQ_INSERT_AFTER; after the head it is TAILQ_INSERT_HEAD. */
export function tailqInsertAfter(place: Knote, kn: Knote): void {
	const next = place.tqnext;
	kn.tqprev = place;
	kn.tqnext = next;
	next.tqprev = kn;
	place.tqnext = kn;
}

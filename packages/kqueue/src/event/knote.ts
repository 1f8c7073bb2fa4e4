// struct knote: joins an object to a kqueue.
import { formatKevent, statusNames } from "../base/format.ts";
import type { File } from "../file/file.ts";
import type { Filterops } from "./filterops.ts";
import type { KnoteList } from "./klist.ts";
import type { Kqueue } from "./kqueue.ts";

/** What a knote is searched by, besides its ident: there are fewer than 16 filters. */
export function knoteKey(filter: number, pollid: number): number {
	return 16 * pollid + ~filter;
}

/**
 * One registration: the triple (filter, ident, pollid) in one kqueue.
 *
 * The legend says who may change a field: I nobody after creation, F the filter, E the engine,
 * U the program through a change.
 */
export class Knote {
	/** I: what is watched. */
	readonly ident: number;
	/** I: filter and pollid as one number: 16 times the one, plus the complement of the other. @internal */
	readonly key: number;
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
	/** E, and `kqfilter` of a file: the filter's operations now in force. */
	fop: Filterops;
	/** F: whatever the filter needs to remember. */
	hook: unknown = null;
	/** I: the kqueue it belongs to. */
	readonly kq: Kqueue;

	/** E: next on the list of its descriptor or hash bucket. @internal */
	link: Knote | null = null;
	/** Klist: the list of the watched object that it is on. */
	klist: KnoteList | null = null;
	/** Klist: neighbours on that list. @internal */
	selnext: Knote | null = null;
	/** Klist: neighbours on that list. @internal */
	selprev: Knote | null = null;
	/** E: neighbours in the kqueue's list of ready knotes, while it is in there. @internal */
	tqnext: Knote | null = null;
	/** E: neighbours in the kqueue's list of ready knotes, while it is in there. @internal */
	tqprev: Knote | null = null;
	/** E: when it came there: what the kqueue counted then. @internal */
	tqseq = 0;

	/** Made by register. */
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
		this.key = knoteKey(filter, pollid);
		this.flags = flags;
		this.udata = udata;
	}

	/** An EVFILT_ number. */
	get filter(): number {
		return ~(this.key & 15);
	}

	/** 0, or for poll the entry's number plus one, for a pump the number of the watch. */
	get pollid(): number {
		return Math.floor(this.key / 16);
	}
}

/** A knote in words: its kevent, and in brackets its status and the filter in force. */
export function formatKnote(kn: Knote): string {
	const pollid = kn.pollid === 0 ? "" : ` pollid=${kn.pollid}`;
	return `${formatKevent(kn)}${pollid} [${statusNames(kn.status)} ${kn.fop.name}]`;
}

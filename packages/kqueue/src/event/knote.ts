// struct knote: connects an object to a kqueue.
import { formatKevent, statusNames } from "../base/format.ts";
import type { File } from "../file/file.ts";
import type { Filterops } from "./filterops.ts";
import type { KnoteList } from "./klist.ts";
import type { Kqueue } from "./kqueue.ts";

/** The key by which a knote is searched, with its ident. There are fewer than 16 filters. */
export function knoteKey(filter: number, pollid: number): number {
	return 16 * pollid + ~filter;
}

/**
 * One registration: the triple (filter, ident, pollid) in one kqueue.
 *
 * The letter before a field says what may change it: I nothing after creation, F the filter, E the
 * engine, U a change by the program.
 */
export class Knote {
	/** I: what is watched. */
	readonly ident: number;
	/**
	 * I: filter and pollid as one number: 16 times the pollid, plus the complement of the filter.
	 * @internal
	 */
	readonly key: number;
	/** F, E: EV_ flags: those of the change that created the knote, and what the filter adds. */
	flags: number;
	/** F: what is reported, as a signed 32-bit number; unsigned when delivered. */
	fflags = 0;
	/** F: what is reported. */
	data = 0;
	/** U: a value of the program, which each event has. */
	udata: unknown;

	/** E: KN_ bits. */
	status = 0;
	/** U: the fflags of the last change, as a signed 32-bit number. */
	sfflags = 0;
	/** U: the data of the last change. */
	sdata = 0;
	/** E: the open file, if the ident is a descriptor; the knote holds a reference to it. */
	fp: File | null = null;
	/** E, and `kqfilter` of a file: the current operations of its filter. */
	fop: Filterops;
	/** F: what the filter keeps for this knote. */
	hook: unknown = null;
	/** I: the kqueue it belongs to. */
	readonly kq: Kqueue;

	/** E: next on the list of its descriptor or hash bucket. @internal */
	link: Knote | null = null;
	/** E: before it on that list. @internal */
	prev: Knote | null = null;
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
	/** E: the `tqseq` of the kqueue when it was put on that list. @internal */
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

	/** 0, or for poll the number of the entry plus one, or for a pump the number of the source. */
	get pollid(): number {
		return Math.floor(this.key / 16);
	}
}

/** A knote in words: its kevent, and in brackets its status and current filter. */
export function formatKnote(kn: Knote): string {
	const pollid = kn.pollid === 0 ? "" : ` pollid=${kn.pollid}`;
	return `${formatKevent(kn)}${pollid} [${statusNames(kn.status)} ${kn.fop.name}]`;
}

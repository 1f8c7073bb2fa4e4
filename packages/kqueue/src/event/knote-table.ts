// Where a kqueue finds its knotes: a list for each descriptor, and a hash of those that have none.
import { KN_HASHSIZE, KQEXTENT } from "../abi/constants.ts";
import { kassert } from "../base/assert.ts";
import { type Knote, knoteKey } from "./knote.ts";
import type { Kqueue } from "./kqueue.ts";

/** A list of a descriptor that is longer than this gets an index, when it is searched. */
const SHORT = 16;

/** How many low bits of an ident are not mixed with the others. */
const BLOCK_SHIFT = 12;

/** A page that has no knotes. */
const EMPTY: (Knote | null)[] = [];
/** KQEXTENT is 2 to the power of this. */
const PAGE_SHIFT = 8;
const PAGE_MASK = KQEXTENT - 1;

/** The page of a descriptor's list, which is at {@link listOf} in it. */
export function pageOf({ knlist }: Kqueue, fd: number): (Knote | null)[] {
	return knlist[fd >> PAGE_SHIFT] ?? EMPTY;
}

/** Where a descriptor's list is in its page. */
export function listOf(fd: number): number {
	return fd & PAGE_MASK;
}

/** The first knote of a descriptor, null if there is none. */
export function firstKnote(kq: Kqueue, fd: number): Knote | null {
	return pageOf(kq, fd)[listOf(fd)] ?? null;
}

/**
 * Makes room for knotes of descriptor `fd`. Unlike in the original, there is none for those below it
 * that are far away: ten thousand threads that poll a connection each need not have ten thousand lists
 * each.
 * @kern kqueue_expand_list
 */
export function kqueueExpandList({ knlist }: Kqueue, fd: number): void {
	const page = fd >> PAGE_SHIFT;
	while (knlist.length <= page) knlist.push(EMPTY);
	if (knlist[page] === EMPTY) knlist[page] = newPage();
}

function newPage(): (Knote | null)[] {
	const page: (Knote | null)[] = [];
	while (page.length < KQEXTENT) page.push(null);
	return page;
}

/**
 * Makes the hash of the knotes that have no descriptor, and enlarges it as their number grows:
 * unlike in the original, there may be a million timers. It does not grow while a callback runs, as
 * the engine may be in the middle of a list.
 * @kern kqueue_expand_hash
 */
export function kqueueExpandHash(kq: Kqueue): void {
	const { knhash } = kq;
	if (knhash.length === 0) {
		while (knhash.length < KN_HASHSIZE) knhash.push(null);
		// A small integer in every JavaScript engine.
		kq.seed = kq.kernel.host.random() >>> 2;
	}
	if (kq.nhashed > knhash.length && kq.busy === 0) growHash(kq);
}

/** Doubles the number of lists: each is split in two, and the order in them stays the same. */
function growHash(kq: Kqueue): void {
	const { knhash } = kq;
	const half = knhash.length;
	for (let i = 0; i < half; i++) knhash.push(null);
	for (let i = 0; i < half; i++) {
		let kn = knhash[i] ?? null;
		let low: Knote | null = null;
		let high: Knote | null = null;
		knhash[i] = null;
		for (; kn !== null; kn = kn.link) {
			const index = knoteHash(kq, kn.ident, kn.key);
			const last: Knote | null = index === i ? low : high;
			kn.prev = last;
			if (last === null) knhash[index] = kn;
			else last.link = kn;
			if (index === i) low = kn;
			else high = kn;
		}
		if (low !== null) low.link = null;
		if (high !== null) high.link = null;
	}
}

/**
 * The list of a knote without a descriptor. Every bit of its ident and key counts, and a number
 * that programs do not know: they must not be able to put all of their knotes into one list. Idents
 * that follow each other have lists that do, as their knotes are close together in memory too.
 */
function knoteHash({ knhash, seed }: Kqueue, ident: number, key: number): number {
	let hash = (ident >> BLOCK_SHIFT) ^ seed;
	if (ident !== (ident | 0)) hash ^= Math.imul(Math.floor(ident / 2 ** 32) ^ seed, 0x9e3779b1);
	hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
	hash = Math.imul(hash ^ (hash >>> 13) ^ key, 0xc2b2ae35);
	return ((ident | 0) + (hash ^ (hash >>> 16))) & (knhash.length - 1);
}

/** The knote of a descriptor with this identity, if there is one. */
export function knoteFind(kq: Kqueue, fd: number, filter: number, pollid: number): Knote | null {
	const key = knoteKey(filter, pollid);
	let kn = firstKnote(kq, fd);
	for (let seen = 0; kn !== null; kn = kn.link) {
		if (kn.key === key) return kn;
		if (++seen > SHORT) return indexOf(kq, fd).get(key) ?? null;
	}
	return null;
}

/** The knote without a descriptor that has this identity, if there is one. */
export function knoteFindHashed(
	kq: Kqueue,
	ident: number,
	filter: number,
	pollid: number,
): Knote | null {
	const key = knoteKey(filter, pollid);
	let kn = kq.knhash[knoteHash(kq, ident, key)] ?? null;
	while (kn !== null && (kn.key !== key || kn.ident !== ident)) kn = kn.link;
	return kn;
}

/** The knotes of a descriptor by their keys. From now on this is kept until it has none. */
function indexOf(kq: Kqueue, fd: number): Map<number, Knote> {
	kq.indexes ??= new Map();
	let index = kq.indexes.get(fd);
	if (index === undefined) {
		index = new Map();
		for (let kn = firstKnote(kq, fd); kn !== null; kn = kn.link) index.set(kn.key, kn);
		kq.indexes.set(fd, index);
	}
	return index;
}

/**
 * All lists of a kqueue, page by page. What is added meanwhile is found if its page is not passed
 * yet.
 */
export function* knoteLists({ knlist, knhash }: Kqueue): Generator<(Knote | null)[]> {
	yield* knlist;
	yield knhash;
}

/** Puts a knote at the head of its list. */
export function knoteLink(kq: Kqueue, kn: Knote): void {
	const isfd = kn.fop.isfd !== false;
	const lists = isfd ? pageOf(kq, kn.ident) : kq.knhash;
	const at = isfd ? listOf(kn.ident) : knoteHash(kq, kn.ident, kn.key);
	kassert(at < lists.length, "there is a list for the knote");
	const next = lists[at] ?? null;
	kn.link = next;
	if (next !== null) next.prev = kn;
	else if (isfd) kq.fdp.watched(kn.ident, kq);
	lists[at] = kn;
	kq.nknotes++;
	if (!isfd) kq.nhashed++;
	else if (kq.indexes !== null) kq.indexes.get(kn.ident)?.set(kn.key, kn);
}

/** Removes a knote from its list. */
export function knoteUnlink(kq: Kqueue, kn: Knote): void {
	const { link, prev } = kn;
	const isfd = kn.fop.isfd !== false;
	if (prev === null) {
		const lists = isfd ? pageOf(kq, kn.ident) : kq.knhash;
		const at = isfd ? listOf(kn.ident) : knoteHash(kq, kn.ident, kn.key);
		kassert(lists[at] === kn, "an attached knote is on its list");
		lists[at] = link;
		if (link === null && isfd) kq.fdp.unwatched(kn.ident, kq);
	} else {
		prev.link = link;
	}
	if (link !== null) link.prev = prev;
	kn.link = null;
	kn.prev = null;
	kq.nknotes--;
	if (!isfd) kq.nhashed--;
	else if (kq.indexes !== null) unindex(kq.indexes, kn);
}

function unindex(indexes: Map<number, Map<number, Knote>>, { ident, key }: Knote): void {
	const index = indexes.get(ident);
	if (index?.delete(key) && index.size === 0) indexes.delete(ident);
}

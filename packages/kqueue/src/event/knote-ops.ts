// What is done to a knote: acquired and released, activated, queued, attached, dropped, removed.

import {
	__EV_POLL,
	__EV_SELECT,
	KN_ACTIVE,
	KN_ATTACHING,
	KN_DISABLED,
	KN_NOTIFYING,
	KN_PROCESSING,
	KN_QUEUED,
} from "../abi/constants.ts";
import type { Kevent } from "../abi/kevent.ts";
import { kassert } from "../base/assert.ts";
import { type Failure, rethrow } from "../base/failure.ts";
import { type KnoteTransition, traceKnote } from "../base/trace.ts";
import { fileRelease } from "../file/file.ts";
import type { Thread } from "../process/thread.ts";
import { badfdFiltops } from "./filters/badfd.ts";
import { deadFiltops } from "./filters/dead.ts";
import type { Knote } from "./knote.ts";
import {
	type Kqueue,
	knoteHash,
	kqueueCheck,
	kqueueUnbusy,
	kqueueWakeup,
	tailqInsertHead,
	tailqInsertTail,
	tailqRemove,
} from "./kqueue.ts";

/** Proves the ready list and tells the sink, as far as the kernel is observed. */
export function observe(kn: Knote, transition: KnoteTransition): void {
	kqueueCheck(kn.kq);
	if (kn.kq.kernel.sink !== null) traceKnote(kn, transition);
}

/**
 * Acquires a knote, so that nobody else works on it. Gives false where the kernel would sleep
 * until it is released: only a filter's callback can find it so, and would sleep for ever.
 * @kern knote_acquire
 */
export function knoteAcquire(kn: Knote): boolean {
	if ((kn.status & (KN_PROCESSING | KN_NOTIFYING)) !== 0) return false;
	kn.status |= KN_PROCESSING;
	kn.kq.busy++;
	return true;
}

/**
 * Releases an acquired knote.
 * @kern knote_release
 */
export function knoteRelease(kn: Knote): void {
	kassert((kn.status & KN_PROCESSING) !== 0, "only an acquired knote is released");
	kn.status &= ~KN_PROCESSING;
	kqueueUnbusy(kn.kq);
}

/**
 * Marks the event as triggered and queues the knote, unless it is queued or disabled.
 * @kern knote_activate
 */
export function knoteActivate(kn: Knote): void {
	kn.status |= KN_ACTIVE;
	if (kn.kq.kernel.observer !== null) observe(kn, "activate");
	if ((kn.status & (KN_QUEUED | KN_DISABLED)) === 0) knoteEnqueue(kn);
}

/**
 * Puts a knote at the tail of the ready list and wakes who waits for it.
 * @kern knote_enqueue
 */
function knoteEnqueue(kn: Knote): void {
	knoteInsertTail(kn);
	kqueueWakeup(kn.kq);
}

/** Puts a knote at the tail of the ready list, without waking anybody. */
export function knoteInsertTail(kn: Knote): void {
	count(kn);
	tailqInsertTail(kn.kq, kn);
	if (kn.kq.kernel.observer !== null) observe(kn, "enqueue");
}

/** Puts a knote at the head of the ready list, without waking anybody. */
export function knoteInsertHead(kn: Knote): void {
	count(kn);
	tailqInsertHead(kn.kq, kn);
	if (kn.kq.kernel.observer !== null) observe(kn, "enqueue");
}

/** Counts a knote that is about to be put into the ready list. */
function count(kn: Knote): void {
	const { kq, status } = kn;
	// Asked before the call: an assertion in the scan's loop takes room that V8 has for its filters.
	if ((status & KN_QUEUED) !== 0) kassert(false, "a knote is queued once");
	kn.status = status | KN_QUEUED;
	kq.count++;
}

/**
 * Takes a knote out of the ready list.
 * @kern knote_dequeue
 */
export function knoteDequeue(kn: Knote): void {
	const { kq } = kn;
	kassert((kn.status & KN_QUEUED) !== 0, "only a queued knote is dequeued");
	tailqRemove(kq, kn);
	kn.status &= ~KN_QUEUED;
	kq.count--;
	if (kq.kernel.observer !== null) observe(kn, "dequeue");
}

/**
 * Puts an acquired knote on the list of its descriptor or bucket.
 * @kern knote_attach
 */
export function knoteAttach(kn: Knote): void {
	const { kq } = kn;
	kassert((kn.status & KN_PROCESSING) !== 0, "a knote is acquired when it is attached");
	const isfd = kn.fop.isfd !== false;
	const lists = isfd ? kq.knlist : kq.knhash;
	const index = isfd ? kn.ident : knoteHash(kq, kn.ident);
	kassert(index < lists.length, "there is a list for the knote");
	kn.link = lists[index] ?? null;
	lists[index] = kn;
	kq.nknotes++;
	if (!isfd) kq.nhashed++;
	if (kq.kernel.observer !== null) observe(kn, "attach");
}

/**
 * Takes an acquired knote off that list.
 * @kern knote_detach
 */
function knoteDetach(kn: Knote): void {
	const { kq } = kn;
	kassert((kn.status & KN_PROCESSING) !== 0, "a knote is acquired when it is detached");
	const isfd = kn.fop.isfd !== false;
	const lists = isfd ? kq.knlist : kq.knhash;
	const index = isfd ? kn.ident : knoteHash(kq, kn.ident);
	let at = lists[index] as Knote | null;
	if (at === kn) {
		lists[index] = kn.link;
	} else {
		while (at !== null && at.link !== kn) at = at.link;
		kassert(at !== null, "an attached knote is on its list");
		at.link = kn.link;
	}
	kn.link = null;
	kq.nknotes--;
	if (!isfd) kq.nhashed--;
}

/**
 * Parts a knote from its object.
 * @kern filter_detach
 */
function filterDetach(kn: Knote): void {
	kn.fop.detach(kn);
}

/**
 * Asks whether the knote has an event still; with `out` takes it.
 * @kern filter_process
 */
export function filterProcess(kn: Knote, out: Kevent | null): boolean {
	return kn.fop.process(kn, out);
}

/**
 * Makes an end of an acquired knote; parts it from its object first if it is `joined`. A detach
 * that throws does not keep the knote from going. The knote must not be used after this.
 * @kern knote_drop
 */
export function knoteDrop(kn: Knote, thread: Thread | null, joined: boolean): void {
	try {
		if (joined) filterDetach(kn);
	} finally {
		kn.klist?.remove(kn);
		knoteDetach(kn);
		if ((kn.status & KN_QUEUED) !== 0) knoteDequeue(kn);
		if (kn.kq.kernel.observer !== null) observe(kn, "drop");
		knoteRelease(kn);
		const { fp } = kn;
		kn.fp = null;
		if (fp !== null) fileRelease(fp, thread);
	}
}

/** The object of an acquired knote is gone: parts it, and gives it the dead filter. */
export function knoteDie(kn: Knote): void {
	try {
		filterDetach(kn);
	} finally {
		kn.klist?.remove(kn);
		kn.fop = deadFiltops;
		if (kn.kq.kernel.observer !== null) observe(kn, "dead");
	}
}

/**
 * Removes the knotes on one list of a kqueue. Unless the kqueue is purged, those of poll and
 * select stay as bad descriptors and wake their thread, if it may still expect them, and those of
 * watches tell their watchers.
 *
 * The caller has made sure that none is acquired, except for one that is just being attached:
 * that one is left to register, which finds the descriptor closed. What a filter throws is thrown
 * when all are removed.
 * @kern knote_remove
 */
export function knoteRemove(
	kq: Kqueue,
	lists: (Knote | null)[],
	index: number,
	purge: boolean,
	thread: Thread | null,
): void {
	let failure: Failure = null;
	let kn = nextRemovable(lists[index] ?? null, purge);
	while (kn !== null) {
		kassert(kn.kq === kq, "a kqueue's lists hold its own knotes");
		kassert(knoteAcquire(kn), "nobody works on a knote that is removed");
		try {
			if (!purge && (kq.pump !== null || isExpectedByPoll(kn, thread))) turnBad(kn, thread);
			else knoteDrop(kn, thread, true);
		} catch (value) {
			failure ??= { value };
		}
		// Callbacks may have run: begin again at the head, as the kernel does.
		kn = nextRemovable(lists[index] ?? null, purge);
	}
	rethrow(failure);
}

/** The first knote from `kn` on that a removal has to deal with. */
function nextRemovable(kn: Knote | null, purge: boolean): Knote | null {
	let at = kn;
	while (at !== null && ((!purge && at.fop === badfdFiltops) || (at.status & KN_ATTACHING) !== 0)) {
		at = at.link;
	}
	return at;
}

/** Whether a poll or select may still be waiting for the knote: not one that expired. */
function isExpectedByPoll(kn: Knote, thread: Thread | null): boolean {
	if ((kn.flags & (__EV_POLL | __EV_SELECT)) === 0) return false;
	return thread === null || !isExpired(kn, thread);
}

/** Whether a knote is of an earlier poll or select of the thread, whose last one did not ask for it. */
export function isExpired(kn: Knote, thread: Thread): boolean {
	return thread.kq === kn.kq && thread.kqserial > (kn.udata as number);
}

/** Reuses the knote to tell poll, select or a watcher that its descriptor was closed. */
function turnBad(kn: Knote, thread: Thread | null): void {
	kassert(kn.fop.isfd, "only descriptors are closed");
	const { fp } = kn;
	try {
		filterDetach(kn);
	} finally {
		kn.klist?.remove(kn);
		kn.fp = null;
		kn.fop = badfdFiltops;
		kn.fop.event(kn, 0);
		// A watcher hears of it even if it did not ask for the next event yet.
		if (kn.kq.pump !== null) kn.status &= ~KN_DISABLED;
		if (kn.kq.kernel.observer !== null) observe(kn, "badfd");
		knoteActivate(kn);
		knoteRelease(kn);
		if (fp !== null) fileRelease(fp, thread);
	}
}

/**
 * Removes all knotes on a descriptor number that is being closed, from every kqueue of the table.
 * @kern knote_fdclose
 */
export function knoteFdclose(first: Kqueue | null, fd: number, thread: Thread | null): void {
	let failure: Failure = null;
	for (let kq = first; kq !== null; kq = kq.next) {
		const { knlist } = kq;
		if (knlist.length <= fd || knlist[fd] === null) continue;
		try {
			knoteRemove(kq, knlist, fd, false, thread);
		} catch (value) {
			failure ??= { value };
		}
	}
	rethrow(failure);
}

/** Whether a callback is at work on a knote of that descriptor: then it cannot be closed now. */
export function isFdBusy(first: Kqueue | null, fd: number): boolean {
	for (let kq = first; kq !== null; kq = kq.next) {
		if (kq.busy === 0) continue;
		for (let kn = kq.knlist[fd] ?? null; kn !== null; kn = kn.link) {
			if ((kn.status & KN_ATTACHING) !== 0) continue;
			if ((kn.status & (KN_PROCESSING | KN_NOTIFYING)) !== 0) return true;
		}
	}
	return false;
}

// Operations on a knote: acquire and release, activate, queue, attach, drop.

import {
	KN_ACTIVE,
	KN_DISABLED,
	KN_NOTIFYING,
	KN_PROCESSING,
	KN_QUEUED,
} from "../abi/constants.ts";
import type { Kevent } from "../abi/kevent.ts";
import { kassert } from "../base/assert.ts";
import { attempt, type Failure, rethrow } from "../base/failure.ts";
import { type KnoteTransition, trace } from "../base/trace.ts";
import { fileRelease } from "../file/file.ts";
import type { Thread } from "../process/thread.ts";
import { deadFiltops } from "./filters/dead.ts";
import { formatKnote, type Knote } from "./knote.ts";
import { knoteLink, knoteUnlink } from "./knote-table.ts";
import {
	kqueueCheck,
	kqueueUnbusy,
	kqueueWakeup,
	tailqInsertHead,
	tailqInsertTail,
	tailqRemove,
} from "./kqueue-ops.ts";

/** Checks the ready list if diagnostics are on, and tells the sink if there is one. */
export function observe(kn: Knote, transition: KnoteTransition): void {
	kqueueCheck(kn.kq);
	const { id, kernel } = kn.kq;
	if (kernel.sink !== null) trace(kernel, { event: transition, kq: id, knote: formatKnote(kn) });
}

/**
 * Acquires a knote, so that nothing else works on it. Returns false where the original would sleep
 * until the knote is released: only a callback of a filter can find it acquired, and would sleep
 * forever.
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
 * Puts a knote at the tail of the ready list, and wakes sleepers and watchers.
 * @kern knote_enqueue
 */
function knoteEnqueue(kn: Knote): void {
	knoteInsertTail(kn);
	kqueueWakeup(kn.kq);
}

/** Puts a knote at the tail of the ready list, without a wake-up. */
export function knoteInsertTail(kn: Knote): void {
	count(kn);
	tailqInsertTail(kn.kq, kn);
	if (kn.kq.kernel.observer !== null) observe(kn, "enqueue");
}

/** Puts a knote at the head of the ready list, without a wake-up. */
export function knoteInsertHead(kn: Knote): void {
	count(kn);
	tailqInsertHead(kn.kq, kn);
	if (kn.kq.kernel.observer !== null) observe(kn, "enqueue");
}

/** Counts a knote that is about to be put into the ready list. */
function count(kn: Knote): void {
	const { kq, status } = kn;
	// Checked before the call: an assertion in the loop of the scan would use up room in which V8
	// inlines filters.
	if ((status & KN_QUEUED) !== 0) kassert(false, "a knote is queued once");
	kn.status = status | KN_QUEUED;
	kq.count++;
}

/**
 * Removes a knote from the ready list.
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
	knoteLink(kq, kn);
	kq.fdp.account.knotes.force(1);
	if (kq.kernel.observer !== null) observe(kn, "attach");
}

/**
 * Removes an acquired knote from the list of its descriptor or bucket.
 * @kern knote_detach
 */
function knoteDetach(kn: Knote): void {
	const { kq } = kn;
	kassert((kn.status & KN_PROCESSING) !== 0, "a knote is acquired when it is detached");
	knoteUnlink(kq, kn);
	kq.fdp.account.knotes.release(1);
}

/**
 * Detaches a knote from its object.
 * @kern filter_detach
 */
export function filterDetach(kn: Knote): void {
	kn.fop.detach(kn);
}

/**
 * Asks whether the knote still has an event; takes it if `out` is not null.
 * @kern filter_process
 */
export function filterProcess(kn: Knote, out: Kevent | null): boolean {
	return kn.fop.process(kn, out);
}

/**
 * Drops an acquired knote; detaches it from its object first if it is `joined`. It is dropped even
 * if detach throws. The knote must not be used after this.
 * @kern knote_drop
 */
export function knoteDrop(kn: Knote, thread: Thread | null, joined: boolean): void {
	let failure: Failure = null;
	try {
		if (joined) filterDetach(kn);
	} catch (value) {
		failure = { value };
	}
	kn.klist?.remove(kn);
	knoteDetach(kn);
	if ((kn.status & KN_QUEUED) !== 0) knoteDequeue(kn);
	if (kn.kq.kernel.observer !== null) observe(kn, "drop");
	knoteRelease(kn);
	const { fp } = kn;
	kn.fp = null;
	if (fp !== null) fileRelease(fp, thread, failure);
	else if (failure !== null) rethrow(failure);
}

/** The object of an acquired knote is gone: detaches the knote, and sets the dead filter. */
export function knoteDie(kn: Knote): void {
	const failure = attempt(null, () => filterDetach(kn));
	kn.klist?.remove(kn);
	kn.fop = deadFiltops;
	if (kn.kq.kernel.observer !== null) observe(kn, "dead");
	rethrow(failure);
}

/**
 * Whether a knote is of an earlier poll or select of the thread, and the last one did not ask for
 * it.
 */
export function isExpired(kn: Knote, thread: Thread): boolean {
	return thread.kq === kn.kq && thread.kqserial > (kn.udata as number);
}

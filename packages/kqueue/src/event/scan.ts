// A scan: a pass over the ready knotes of a kqueue, which delivers their events.

import {
	EV_CLEAR,
	EV_DISPATCH,
	EV_ONESHOT,
	KN_ACTIVE,
	KN_DISABLED,
	KN_NOTIFYING,
	KN_PROCESSING,
	KN_QUEUED,
	KN_VNODE,
	KQ_DYING,
	KQ_SLEEP,
} from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import { clearKevent, Kevent } from "../abi/kevent.ts";
import { kassert } from "../base/assert.ts";
import { report } from "../base/failure.ts";
import type { Thread } from "../process/thread.ts";
import { type BlockingCall, WOULD_SLEEP } from "../sched/call.ts";
import { knoteClear, knoteProcess } from "./filterops.ts";
import { deadFiltops } from "./filters/dead.ts";
import type { Knote } from "./knote.ts";
import {
	filterProcess,
	isExpired,
	knoteAcquire,
	knoteActivate,
	knoteDie,
	knoteDrop,
	knoteInsertHead,
	knoteInsertTail,
	knoteRelease,
	observe,
} from "./knote-ops.ts";
import type { Kqueue } from "./kqueue.ts";
import { kqueueCheck, kqueueUnbusy, kqueueWakeup, queuedBefore, tailqShift } from "./kqueue-ops.ts";

/** What gets the events of a scan. */
export interface EventSink {
	/**
	 * Takes an event at once: the knote itself, or a kevent that a filter with its own `process` has
	 * filled. Must not throw, and must not keep the object, which the engine uses again.
	 */
	submit(event: Knote | Kevent): void;
}

/**
 * The state of one call's scan of one kqueue, from pass to pass. Can be used again for another
 * scan.
 *
 * The original marks its place in the ready list with two marker knotes. Here only callbacks run
 * between two steps, and a scan removes each knote that it takes from the list: so it always
 * continues at the front. The `tqseq` of the knotes tells it where to stop.
 */
export class ScanState {
	/** The kqueue, while a scan is set up. */
	kq: Kqueue | null = null;
	/**
	 * Knotes that were put on the ready list when `tqseq` was this or later belong to the next call.
	 */
	end = 0;
	/** How many events all passes have collected. */
	nevent = 0;
	/** What gets them. */
	readonly sink: EventSink;
	/** What filters with a `process` of their own fill. */
	readonly event: Kevent = new Kevent();

	/** Makes a scan that is not set up. */
	constructor(sink: EventSink) {
		this.sink = sink;
	}
}

/** Stands for the flags of an event where there is none. */
const NO_EVENT = -1;

/**
 * Begins a scan. A call that sleeps must hold a reference to the kqueue until the scan is finished.
 * @kern kqueue_scan_setup
 */
export function kqueueScanSetup(scan: ScanState, kq: Kqueue): void {
	kassert(scan.kq === null, "a scan is finished before it is set up again");
	scan.kq = kq;
	scan.nevent = 0;
}

/**
 * Ends a scan.
 * @kern kqueue_scan_finish
 */
export function kqueueScanFinish(scan: ScanState): void {
	kassert(scan.kq !== null, "only a scan that is set up is finished");
	scan.kq = null;
}

/**
 * Delivers up to `max` events to the scan's sink. Returns their number, a negative errno, or
 * WOULD_SLEEP when there is no event and the call, if there is one, has time left.
 * @kern kqueue_scan
 */
export function kqueueScan(
	scan: ScanState,
	max: number,
	thread: Thread,
	call: BlockingCall | null,
): number {
	const kq = scan.kq as Kqueue;
	if (max === 0) return 0;
	for (;;) {
		if ((kq.state & KQ_DYING) !== 0) return -errno.EBADF;
		if (kq.count === 0) return scan.nevent === 0 && call !== null ? sleep(kq, call) : 0;
		// Only knotes that are ready now, so that no event is collected twice. As long as a scan has
		// found nothing, knotes that became ready meanwhile are included.
		if (scan.nevent === 0) scan.end = kq.tqseq;
		const collected = collect(scan, kq, max, thread);
		// All knotes had lost their condition: look again, and perhaps sleep.
		if (collected !== 0 || scan.nevent !== 0) return collected;
	}
}

/**
 * Takes the event that a knote has now, outside of a scan, for an owner that tells it to one watch
 * and not to others: returns 1 and fills `out`, or 0 if there is none. A knote that is on the ready
 * list keeps its event for the scan, and so does one whose event is its last. Returns -EDEADLK
 * inside a callback for that knote.
 */
export function knoteTake(kn: Knote, out: Kevent): number {
	if (!knoteAcquire(kn)) return -errno.EDEADLK;
	try {
		// The original turns it into a dead one when it is scanned.
		if ((kn.status & KN_QUEUED) !== 0 || kn.fp?.revoked === true) return 0;
		clearKevent(out);
		if (!filterProcess(kn, out)) return 0;
		if ((out.flags & EV_ONESHOT) !== 0) {
			knoteActivate(kn);
			return 0;
		}
		if (kn.kq.kernel.observer !== null) observe(kn, "deliver");
		return 1;
	} finally {
		knoteRelease(kn);
	}
}

/** Nothing is ready: returns WOULD_SLEEP if the call has time left, 0 if not. */
function sleep(kq: Kqueue, call: BlockingCall): number {
	if (!call.mayBlock()) return 0;
	kq.state |= KQ_SLEEP;
	return WOULD_SLEEP;
}

/**
 * Takes knotes from the front of the ready list until there are `max` events or the end is reached.
 *
 * What happens to most of them is written out here, without calls: so V8 compiles this function on
 * its own, with the filters inlined, and does not inline it into its callers.
 */
function collect(scan: ScanState, kq: Kqueue, max: number, thread: Thread): number {
	const { end } = scan;
	let kn = kq.first;
	let collected = 0;
	let reinserted = false;
	// Once for all knotes together: only their callbacks run here.
	kq.busy++;
	try {
		for (; kn !== null && queuedBefore(kn, end) && collected < max; kn = kq.first) {
			if ((kn.status & (KN_PROCESSING | KN_NOTIFYING)) !== 0) {
				// The original would wait for it; here a callback would wait for itself.
				if (scan.nevent + collected === 0) return -errno.EDEADLK;
				break;
			}
			// Each is acquired and dequeued in one step.
			tailqShift(kq, kn);
			kn.status = (kn.status | KN_PROCESSING) & ~KN_QUEUED;
			kq.count--;
			if (kq.kernel.observer !== null) observe(kn, "dequeue");
			if (isSpecial(kn, thread) && !mayReport(kn, thread)) continue;
			const { fop } = kn;
			let flags = NO_EVENT;
			if (fop.process !== knoteProcess) {
				flags = takeOwn(kn, scan);
			} else if ((kn.flags & EV_ONESHOT) !== 0 || fop.event(kn, 0)) {
				// The same as knoteProcess, which nearly all filters have, without its calls.
				flags = kn.flags;
				scan.sink.submit(kn);
				if ((flags & EV_CLEAR) !== 0) knoteClear(kn);
			}
			if (flags === NO_EVENT) {
				rest(kn);
				continue;
			}
			collected++;
			if (kq.kernel.observer !== null) observe(kn, "deliver");
			if (settle(kn, flags, thread)) reinserted = true;
		}
	} catch (value) {
		reinserted = true;
		keepAfterThrow(kn as Knote, scan.nevent + collected, value);
	} finally {
		scan.nevent += collected;
		kqueueUnbusy(kq);
		if (kq.kernel.observer !== null) kqueueCheck(kq);
		if (reinserted && kq.count !== 0) kqueueWakeup(kq);
	}
	return collected;
}

/**
 * A callback for the knote threw. If events were collected, they must not be lost: the call returns
 * them, and the next scan asks this filter first, and gets its error. If none were, the call throws
 * the error, and the next scan asks this filter last, so that it does not keep others waiting.
 */
function keepAfterThrow(kn: Knote, nevent: number, value: unknown): void {
	const dropped = (kn.status & KN_PROCESSING) === 0;
	if (!dropped) {
		if ((kn.status & KN_QUEUED) === 0) {
			if (nevent > 0) knoteInsertHead(kn);
			else knoteInsertTail(kn);
		}
		kn.status &= ~KN_PROCESSING;
	}
	if (nevent === 0) throw value;
	// A knote that was dropped is not asked again: the platform reports its error.
	if (dropped) report(kn.kq.kernel.host, value);
}

/** Drops a knote that the scan took. knoteDrop decrements `busy`, which must stay as it was. */
function drop(kn: Knote, thread: Thread): void {
	try {
		knoteDrop(kn, thread, true);
	} finally {
		kn.kq.busy++;
	}
}

/** Whether there is more to check about an acquired knote than its event. */
function isSpecial(kn: Knote, thread: Thread): boolean {
	return (kn.status & (KN_DISABLED | KN_VNODE)) !== 0 || isExpired(kn, thread);
}

/** Whether such a knote may report. If not, it is released or dropped. */
function mayReport(kn: Knote, thread: Thread): boolean {
	if ((kn.status & KN_DISABLED) !== 0) {
		// It stays ACTIVE: enabling it asks its filter again.
		kn.status &= ~KN_PROCESSING;
		return false;
	}
	if (!isExpired(kn, thread) && outlives(kn)) return true;
	drop(kn, thread);
	return false;
}

/** Turns a knote on a revoked vnode into a dead one. Returns false if that has no event. */
function outlives(kn: Knote): boolean {
	if (kn.fp?.revoked !== true || kn.fop === deadFiltops) return true;
	knoteDie(kn);
	return kn.fop.event(kn, 0);
}

/** Takes the event of a filter that fills it itself: returns its flags, or NO_EVENT. */
function takeOwn(kn: Knote, scan: ScanState): number {
	const out = scan.event;
	// A filter that does not fill it must not deliver an earlier event.
	clearKevent(out);
	if (!filterProcess(kn, out)) return NO_EVENT;
	const flags = out.flags & 0xffff;
	scan.sink.submit(out);
	return flags;
}

/** Releases a knote that has nothing to report now. It stays ACTIVE if it was queued meanwhile. */
function rest(kn: Knote): void {
	const { status } = kn;
	const queued = (status & KN_QUEUED) !== 0;
	kn.status = status & (queued ? ~KN_PROCESSING : ~(KN_PROCESSING | KN_ACTIVE));
}

/** Releases a knote after its event: returns whether it was put back on the ready list. */
function settle(kn: Knote, flags: number, thread: Thread): boolean {
	if ((flags & (EV_CLEAR | EV_DISPATCH | EV_ONESHOT)) === 0) {
		const again = (kn.status & KN_QUEUED) === 0;
		// Level-triggered: it goes behind the end of this scan, and the next call asks again.
		if (again) knoteInsertTail(kn);
		kn.status &= ~KN_PROCESSING;
		return again;
	}
	if ((flags & EV_ONESHOT) !== 0) {
		drop(kn, thread);
		return false;
	}
	if ((flags & EV_DISPATCH) !== 0) kn.status |= KN_DISABLED;
	rest(kn);
	return false;
}

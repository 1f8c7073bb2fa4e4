// A pass over the ready knotes of a kqueue, which hands out their events.
import { kassert } from "./assert.ts";
import { type BlockingCall, WOULD_SLEEP } from "./call.ts";
import {
	EV_CLEAR,
	EV_DISPATCH,
	EV_ONESHOT,
	EVFILT_MARKER,
	KN_ACTIVE,
	KN_DISABLED,
	KN_PROCESSING,
	KN_QUEUED,
	KQ_DYING,
	KQ_SLEEP,
} from "./constants.ts";
import { errno } from "./errno.ts";
import { report } from "./failure.ts";
import { deadFiltops } from "./filters/dead.ts";
import { clearKevent, type Kevent } from "./kevent.ts";
import { type Knote, newMarker, tailqInsertAfter, tailqRemove } from "./knote.ts";
import {
	filterProcess,
	knoteAcquire,
	knoteDequeue,
	knoteDie,
	knoteDrop,
	knoteInsert,
	knoteRelease,
} from "./knote-ops.ts";
import { type Kqueue, kqueueCheck, kqueueWakeup } from "./kqueue.ts";
import { kqueueHold, kqueueRelease } from "./kqueue-file.ts";
import type { Thread } from "./thread.ts";
import { traceKnote } from "./trace.ts";

/** What one call's scan of one kqueue remembers from pass to pass. Can be set up again. */
export class ScanState {
	/** The kqueue, while a scan is set up. */
	kq: Kqueue | null = null;
	/** How far this pass has come. Other threads' scans step over it. */
	readonly start: Knote = newMarker(deadFiltops);
	/** Where the scan ends: what is queued behind it belongs to the next call. */
	readonly end: Knote = newMarker(deadFiltops);
	/** How many events all passes have collected. */
	nevent = 0;
	/** Whether the end marker stands in the ready list. */
	queued = false;
}

/**
 * Begins a scan. The kqueue stays until the scan is finished.
 * @kern kqueue_scan_setup
 */
export function kqueueScanSetup(scan: ScanState, kq: Kqueue): void {
	kassert(scan.kq === null && !scan.queued, "a scan is finished before it is set up again");
	kqueueHold(kq);
	scan.kq = kq;
	scan.nevent = 0;
}

/**
 * Ends a scan.
 * @kern kqueue_scan_finish
 */
export function kqueueScanFinish(scan: ScanState): void {
	const { kq } = scan;
	kassert(kq !== null, "only a scan that is set up is finished");
	kassert(scan.start.status === KN_PROCESSING, "nobody touched the start marker");
	kassert(scan.end.status === KN_PROCESSING, "nobody touched the end marker");
	if (scan.queued) {
		scan.queued = false;
		tailqRemove(scan.end);
	}
	scan.kq = null;
	kqueueRelease(kq);
}

/**
 * Collects up to `max` events into `events`, from its first element on. Gives their number, a
 * negative errno, or WOULD_SLEEP when there is nothing and the call has time left.
 * @kern kqueue_scan
 */
export function kqueueScan(
	scan: ScanState,
	max: number,
	events: readonly Kevent[],
	call: BlockingCall,
): number {
	const kq = scan.kq as Kqueue;
	if (max === 0) return 0;
	for (;;) {
		if ((kq.state & KQ_DYING) !== 0) return -errno.EBADF;
		if (kq.count === 0) {
			if (scan.nevent !== 0 || !call.mayBlock()) return 0;
			kq.state |= KQ_SLEEP;
			return WOULD_SLEEP;
		}
		placeEndMarker(scan, kq);
		const collected = collect(scan, kq, max, events, call.thread);
		// Nothing but knotes whose condition has gone: look again, and perhaps sleep.
		if (collected !== 0 || scan.nevent !== 0) return collected;
	}
}

/**
 * Limits the scan to what is active now, so that no event is collected twice. While a scan has
 * found nothing, what came meanwhile is let in.
 */
function placeEndMarker(scan: ScanState, kq: Kqueue): void {
	if (scan.queued) {
		if (scan.nevent !== 0) return;
		tailqRemove(scan.end);
	}
	tailqInsertAfter(kq.head.tqprev, scan.end);
	scan.queued = true;
}

/** Takes knotes from behind the start marker until there are enough or the end is reached. */
function collect(
	scan: ScanState,
	kq: Kqueue,
	max: number,
	events: readonly Kevent[],
	thread: Thread,
): number {
	const { start, end } = scan;
	let collected = 0;
	let reinserted = false;
	let kn = start;
	tailqInsertAfter(kq.head, start);
	try {
		while (collected < max) {
			kn = start.tqnext;
			if (kn.filter === EVFILT_MARKER) {
				if (kn === end) break;
				tailqRemove(start);
				tailqInsertAfter(kn, start);
				continue;
			}
			if (!knoteAcquire(kn)) {
				// The kernel would wait for it; here a callback would wait for itself.
				if (scan.nevent === 0) return -errno.EDEADLK;
				break;
			}
			const out = events[collected] as Kevent;
			if (!take(kn, kq, out, thread)) continue;
			collected++;
			scan.nevent++;
			if (settle(kn, out.flags, thread)) reinserted = true;
		}
	} catch (value) {
		reinserted = true;
		keepAfterThrow(kn, scan, value);
	} finally {
		tailqRemove(start);
		kqueueCheck(kq);
		if (reinserted && kq.count !== 0) kqueueWakeup(kq);
	}
	return collected;
}

/**
 * A callback for the knote threw. What has been collected must not be lost: it is handed out, and
 * the filter is asked first by the next scan, which gets the error. With nothing collected the
 * error is the caller's, and the filter is asked last, so that it does not keep others waiting.
 */
function keepAfterThrow(kn: Knote, scan: ScanState, value: unknown): void {
	const { kernel, head } = scan.kq as Kqueue;
	const dropped = (kn.status & KN_PROCESSING) === 0;
	if (!dropped) {
		if ((kn.status & KN_QUEUED) === 0) knoteInsert(kn, scan.nevent > 0 ? head : head.tqprev);
		knoteRelease(kn);
	}
	if (scan.nevent === 0) throw value;
	// Nobody will ask a knote that is gone: its error is the platform's to report.
	if (dropped) report(kernel.host, value);
}

/** Takes an acquired knote off the ready list, and its event if it still has one. */
function take(kn: Knote, kq: Kqueue, out: Kevent, thread: Thread): boolean {
	knoteDequeue(kn);
	if ((kn.status & KN_DISABLED) !== 0) {
		// It stays ACTIVE: enabling looks again.
		knoteRelease(kn);
		return false;
	}
	if (thread.kq === kq && thread.kqserial > (kn.udata as number)) {
		// A knote of an earlier poll or select that this one did not ask for.
		knoteDrop(kn, thread, true);
		return false;
	}
	if (kn.fp?.revoked && kn.fp.type === "vnode" && kn.fop !== deadFiltops) {
		knoteDie(kn);
		if (!kn.fop.event(kn, 0)) {
			knoteDrop(kn, thread, true);
			return false;
		}
	}
	// A filter that does not fill it must not give away an earlier event.
	clearKevent(out);
	if (!filterProcess(kn, out)) {
		if ((kn.status & KN_QUEUED) === 0) kn.status &= ~KN_ACTIVE;
		knoteRelease(kn);
		return false;
	}
	if (kq.kernel.sink !== null) traceKnote(kn, "deliver");
	return true;
}

/** What becomes of a knote after its event: says whether it went back on the ready list. */
function settle(kn: Knote, flags: number, thread: Thread): boolean {
	if ((flags & EV_ONESHOT) !== 0) {
		knoteDrop(kn, thread, true);
		return false;
	}
	const queued = (kn.status & KN_QUEUED) !== 0;
	if ((flags & (EV_CLEAR | EV_DISPATCH)) !== 0) {
		if ((flags & EV_DISPATCH) !== 0) kn.status |= KN_DISABLED;
		if (!queued) kn.status &= ~KN_ACTIVE;
		knoteRelease(kn);
		return false;
	}
	// Level-triggered: behind the end marker, for the next call to look again.
	if (!queued) knoteInsert(kn, kn.kq.head.tqprev);
	knoteRelease(kn);
	return !queued;
}

// A pass over the ready knotes of a kqueue, which hands out their events.
import { kassert } from "./assert.ts";
import { type BlockingCall, WOULD_SLEEP } from "./call.ts";
import {
	EV_CLEAR,
	EV_DISPATCH,
	EV_ONESHOT,
	KN_ACTIVE,
	KN_DISABLED,
	KN_NOTIFYING,
	KN_PROCESSING,
	KN_QUEUED,
	KQ_DYING,
	KQ_SLEEP,
} from "./constants.ts";
import { errno } from "./errno.ts";
import { report } from "./failure.ts";
import type { File } from "./file.ts";
import { knoteClear, knoteProcess, knoteReport } from "./filterops.ts";
import { deadFiltops } from "./filters/dead.ts";
import { clearKevent, eventList, type Kevent } from "./kevent.ts";
import type { Knote } from "./knote.ts";
import {
	filterProcess,
	knoteDie,
	knoteDrop,
	knoteInsertHead,
	knoteInsertTail,
	observe,
} from "./knote-ops.ts";
import {
	type Kqueue,
	kqueueCheck,
	kqueueUnbusy,
	kqueueWakeup,
	queuedBefore,
	tailqShift,
} from "./kqueue.ts";
import { kqueueHold, kqueueRelease } from "./kqueue-file.ts";
import type { Thread } from "./thread.ts";

/**
 * What one call's scan of one kqueue remembers from pass to pass. Can be set up again.
 *
 * The original marks its place in the ready list with two knotes that are none. Here nobody else
 * runs between two of its steps but callbacks, and what a scan takes leaves the list: it always
 * goes on at the front. How far it goes is told by when the knotes came to the list.
 */
export class ScanState {
	/** The kqueue, while a scan is set up. */
	kq: Kqueue | null = null;
	/** What came to the ready list since it counted so many belongs to the next call. */
	end = 0;
	/** How many events all passes have collected. */
	nevent = 0;
	/** Where filters put the events of a pass, and {@link ScanState.submit} those of knotes. */
	readonly batch: Kevent[];

	/** Makes a scan that is not set up, with room for so many events a pass. */
	constructor(room: number) {
		this.batch = eventList(room);
	}

	/**
	 * Takes over event `i` of a pass: the knote itself, as it stands, or the entry of the batch if a
	 * filter of its own kind has filled that.
	 */
	submit(event: Knote | Kevent, i: number): void {
		const to = this.batch[i] as Kevent;
		if (event !== to) knoteReport(event as Knote, to);
	}
}

/** What a knote without an event gives instead of the event's flags. */
const NO_EVENT = -1;

/**
 * Begins a scan. The kqueue stays until the scan is finished.
 * @kern kqueue_scan_setup
 */
export function kqueueScanSetup(scan: ScanState, kq: Kqueue): void {
	kassert(scan.kq === null, "a scan is finished before it is set up again");
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
	scan.kq = null;
	kqueueRelease(kq);
}

/**
 * Collects up to `max` events into the scan's batch. Gives their number, a negative errno, or
 * WOULD_SLEEP when there is nothing and the call, if there is one, has time left.
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
		if (kq.count === 0) {
			if (scan.nevent !== 0 || call === null || !call.mayBlock()) return 0;
			kq.state |= KQ_SLEEP;
			return WOULD_SLEEP;
		}
		// Only what is active now, so that no event is collected twice. While a scan has found
		// nothing, what came meanwhile is let in.
		if (scan.nevent === 0) scan.end = kq.tqseq;
		const collected = collect(scan, kq, max, thread);
		// Nothing but knotes whose condition has gone: look again, and perhaps sleep.
		if (collected !== 0 || scan.nevent !== 0) return collected;
	}
}

/** Takes knotes from the front of the ready list until there are enough or the end is reached. */
function collect(scan: ScanState, kq: Kqueue, max: number, thread: Thread): number {
	const { end } = scan;
	let kn = kq.first;
	let collected = 0;
	let reinserted = false;
	// For all of them together: nothing but their callbacks runs here.
	kq.busy++;
	try {
		for (; kn !== null && queuedBefore(kn, end) && collected < max; kn = kq.first) {
			if ((kn.status & (KN_PROCESSING | KN_NOTIFYING)) !== 0) {
				// The kernel would wait for it; here a callback would wait for itself.
				if (scan.nevent + collected === 0) return -errno.EDEADLK;
				break;
			}
			pick(kn, kq);
			const flags = take(kn, scan, collected, thread);
			if (flags !== NO_EVENT) {
				collected++;
				if (settle(kn, flags, thread)) reinserted = true;
			}
			kn.status &= ~KN_PROCESSING;
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
 * A callback for the knote threw. What has been collected must not be lost: it is handed out, and
 * the filter is asked first by the next scan, which gets the error. With nothing collected the
 * error is the caller's, and the filter is asked last, so that it does not keep others waiting.
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
	// Nobody will ask a knote that is gone: its error is the platform's to report.
	if (dropped) report(kn.kq.kernel.host, value);
}

/** Acquires the first knote of the ready list, and takes it out: both at once, as each has one. */
function pick(kn: Knote, kq: Kqueue): void {
	tailqShift(kq, kn);
	kn.status = (kn.status | KN_PROCESSING) & ~KN_QUEUED;
	kq.count--;
	if (kq.kernel.observer !== null) observe(kn, "dequeue");
}

/** Drops a picked knote. That releases it, and its kqueue with it, which goes on being busy. */
function drop(kn: Knote, thread: Thread): void {
	try {
		knoteDrop(kn, thread, true);
	} finally {
		kn.kq.busy++;
	}
}

/**
 * Takes the event of an acquired knote that has left the ready list, if it still has one, as number
 * `i` of the pass. Gives the event's flags, or NO_EVENT.
 */
function take(kn: Knote, scan: ScanState, i: number, thread: Thread): number {
	const { kq } = kn;
	// It stays ACTIVE: enabling looks again.
	if ((kn.status & KN_DISABLED) !== 0) return NO_EVENT;
	if (thread.kq === kq && thread.kqserial > (kn.udata as number)) {
		// A knote of an earlier poll or select that this one did not ask for.
		drop(kn, thread);
		return NO_EVENT;
	}
	const { fp } = kn;
	if (fp !== null && fp.revoked !== false && !outlives(kn, fp, thread)) return NO_EVENT;
	const flags = process(kn, scan, i);
	if (flags === NO_EVENT) {
		if ((kn.status & KN_QUEUED) === 0) kn.status &= ~KN_ACTIVE;
		return NO_EVENT;
	}
	if (kq.kernel.observer !== null) observe(kn, "deliver");
	return flags;
}

/** Asks the filter, and takes the event. */
function process(kn: Knote, scan: ScanState, i: number): number {
	const { fop } = kn;
	if (fop.process !== knoteProcess) return processOwn(kn, scan, i);
	// What that does, without the calls in between: it is what nearly all filters have.
	if ((kn.flags & EV_ONESHOT) === 0 && !fop.event(kn, 0)) return NO_EVENT;
	const { flags } = kn;
	scan.submit(kn, i);
	if ((flags & EV_CLEAR) !== 0) knoteClear(kn);
	return flags;
}

/** Likewise, of a filter that fills in its event itself. */
function processOwn(kn: Knote, scan: ScanState, i: number): number {
	const out = scan.batch[i] as Kevent;
	// One that does not fill it must not give away an earlier event.
	clearKevent(out);
	if (!filterProcess(kn, out)) return NO_EVENT;
	scan.submit(out, i);
	return out.flags & 0xffff;
}

/** A knote on a file whose file system let go of it becomes a dead one, or goes. */
function outlives(kn: Knote, fp: File, thread: Thread): boolean {
	if (fp.type !== "vnode" || kn.fop === deadFiltops) return true;
	knoteDie(kn);
	if (kn.fop.event(kn, 0)) return true;
	drop(kn, thread);
	return false;
}

/** What becomes of a knote after its event: says whether it went back on the ready list. */
function settle(kn: Knote, flags: number, thread: Thread): boolean {
	if ((flags & EV_ONESHOT) !== 0) {
		drop(kn, thread);
		return false;
	}
	const queued = (kn.status & KN_QUEUED) !== 0;
	if ((flags & (EV_CLEAR | EV_DISPATCH)) !== 0) {
		if ((flags & EV_DISPATCH) !== 0) kn.status |= KN_DISABLED;
		if (!queued) kn.status &= ~KN_ACTIVE;
		return false;
	}
	// Level-triggered: behind the end of this scan, for the next call to look again.
	if (!queued) knoteInsertTail(kn);
	return !queued;
}

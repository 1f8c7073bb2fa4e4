// Operations on a kqueue: they change its ready list, and wake its sleepers and watchers.
import { KN_ACTIVE, KN_QUEUED, KQ_DYING, KQ_SLEEP, KQ_TASK, TQSEQ_MAX } from "../abi/constants.ts";
import { kassert, unreachable } from "../base/assert.ts";
import { filterName } from "../base/format.ts";
import type { Runnable } from "../base/run-queue.ts";
import { wakeup } from "../sched/sleep.ts";
import { formatKnote, type Knote } from "./knote.ts";
import { knoteLists } from "./knote-table.ts";
import type { Kqueue } from "./kqueue.ts";

/**
 * A callback for a knote of the kqueue is done. A process that could not end meanwhile may end now,
 * and the owner may do what it could not do.
 */
export function kqueueUnbusy(kq: Kqueue): void {
	if (--kq.busy === 0 && (kq.fdp.doomed !== null || kq.owner !== null)) rested(kq);
}

/** Not in the function above, so that V8 has room to inline that into scans. */
function rested(kq: Kqueue): void {
	if (kq.fdp.doomed !== null) kq.fdp.endDoomed(kq.kernel.runqueue);
	if (kq.owner !== null) kq.owner.rested();
}

/**
 * Wakes the scans that sleep, has the watchers notified, and tells the owner.
 * @kern kqueue_wakeup
 */
export function kqueueWakeup(kq: Kqueue): void {
	if ((kq.state & KQ_SLEEP) !== 0) wakeScans(kq);
	if (kq.klist.first !== null || kq.owner !== null) tellWatchers(kq);
}

function wakeScans(kq: Kqueue): void {
	kq.state &= ~KQ_SLEEP;
	wakeup(kq.channel);
}

function tellWatchers(kq: Kqueue): void {
	if (kq.klist.first !== null) {
		kq.state |= KQ_TASK;
		kq.kernel.runqueue.add(kq.task as Runnable);
	}
	kq.owner?.woken();
}

/** Whether a knote was put on the ready list before `tqseq` was `seq`. */
export function queuedBefore(kn: Knote, seq: number): boolean {
	// `tqseq` wraps: what counts is the sign of the difference, in 30 bits.
	return (kn.tqseq - seq) << 2 < 0;
}

/** TAILQ_INSERT_TAIL */
export function tailqInsertTail(kq: Kqueue, kn: Knote): void {
	const { last, tqseq } = kq;
	kn.tqseq = tqseq;
	kq.tqseq = (tqseq + 1) & TQSEQ_MAX;
	kn.tqprev = last;
	if (last === null) kq.first = kn;
	else last.tqnext = kn;
	kq.last = kn;
}

/** TAILQ_INSERT_HEAD */
export function tailqInsertHead(kq: Kqueue, kn: Knote): void {
	const { first, tqseq } = kq;
	kn.tqseq = tqseq;
	kq.tqseq = (tqseq + 1) & TQSEQ_MAX;
	kn.tqnext = first;
	if (first === null) kq.last = kn;
	else first.tqprev = kn;
	kq.first = kn;
}

/** Removes the first knote, `kn`, from the ready list: TAILQ_REMOVE with fewer checks. */
export function tailqShift(kq: Kqueue, kn: Knote): void {
	const { tqnext } = kn;
	kq.first = tqnext;
	if (tqnext === null) kq.last = null;
	else tqnext.tqprev = null;
	kn.tqnext = null;
}

/** TAILQ_REMOVE */
export function tailqRemove(kq: Kqueue, kn: Knote): void {
	const { tqnext, tqprev } = kn;
	if (tqprev === null) kq.first = tqnext;
	else tqprev.tqnext = tqnext;
	if (tqnext === null) kq.last = tqprev;
	else tqnext.tqprev = tqprev;
	kn.tqnext = null;
	kn.tqprev = null;
}

/** Checks the queue when the kernel's diagnostics are on. */
export function kqueueCheck(kq: Kqueue): void {
	if (kq.kernel.diagnostics) kqueueDoCheck(kq);
}

/**
 * Walks the list of ready knotes, and checks its count, its links and the bits of its knotes.
 * @kern kqueue_do_check
 */
export function kqueueDoCheck(kq: Kqueue): void {
	let count = 0;
	let last: Knote | null = null;
	for (let kn = kq.first; kn !== null; kn = kn.tqnext) {
		if (kn.tqprev !== last) broken(kn, "is not linked both ways");
		if ((kn.status & KN_ACTIVE) === 0) broken(kn, "is not ACTIVE");
		if ((kn.status & KN_QUEUED) === 0) broken(kn, "is not QUEUED");
		if (kn.kq !== kq) broken(kn, "is on another kqueue");
		last = kn;
		count++;
	}
	kassert(last === kq.last, "a kqueue knows its last ready knote");
	kassert(count === kq.count, "a kqueue counts its ready knotes");
	kassert((kq.state & KQ_DYING) === 0 || count === 0, "a closed kqueue has no ready knotes");
}

function broken(kn: Knote, how: string): never {
	return unreachable(`a knote on the ready list ${how}: ${formatKnote(kn)}`);
}

/** How many knotes are named; the others are only counted. */
const NAMED = 8;

/** The knotes of a kqueue in words: `READ 3, TIMER 1`. */
export function formatKnotes(kq: Kqueue): string {
	const words: string[] = [];
	for (const lists of knoteLists(kq)) {
		for (let kn of lists) {
			for (; kn !== null && words.length < NAMED; kn = kn.link)
				words.push(`${filterName(kn.filter)} ${kn.ident}`);
		}
	}
	const more = kq.nknotes - words.length;
	if (more > 0) words.push(`${more} more`);
	return words.length === 0 ? "nothing" : words.join(", ");
}

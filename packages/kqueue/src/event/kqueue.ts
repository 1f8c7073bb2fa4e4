// struct kqueue: the knotes of one queue, those of them that are ready, and who waits for them.

import {
	KN_ACTIVE,
	KN_HASHSIZE,
	KN_QUEUED,
	KQ_DYING,
	KQ_SLEEP,
	KQ_TASK,
	KQEXTENT,
	TQSEQ_MAX,
} from "../abi/constants.ts";
import { kassert, unreachable } from "../base/assert.ts";
import { formatKnote } from "../base/format.ts";
import type { Runnable } from "../base/run-queue.ts";
import type { FileTable } from "../file/filedesc.ts";
import type { Kernel } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";
import { WaitChannel, wakeup } from "../sched/sleep.ts";
import type { Klist } from "./klist.ts";
import type { Knote } from "./knote.ts";

/** A kernel event queue. The engine alone changes it. */
export class Kqueue implements Runnable {
	/** Its number, in order of creation, for the trace sink. */
	readonly id: number;
	/** The machine it is on. */
	readonly kernel: Kernel;
	/** The descriptor table it belongs to. */
	readonly fdp: FileTable;
	/** How many users it has: its descriptor or thread, and the scans under way. */
	refs = 1;
	/** The list of ready knotes: the one that is scanned next. */
	first: Knote | null = null;
	/** The list of ready knotes: the one that came last. */
	last: Knote | null = null;
	/** How many knotes are on that list, disabled ones too. */
	count = 0;
	/** Counts the knotes that ever came to that list, modulo TQSEQ_MAX + 1. */
	tqseq = 0;
	/** The knotes, of other kqueues or its own, that watch this one. */
	readonly klist: Klist;
	/** Neighbours on the list of the descriptor table, newest first. */
	next: Kqueue | null = null;
	/** Neighbours on the list of the descriptor table, newest first. */
	prev: Kqueue | null = null;
	/** How many knotes are attached. */
	nknotes = 0;
	/** How many of them have no descriptor. */
	nhashed = 0;
	/** How many callbacks are at work on its knotes: only a callback ever sees another number than 0. */
	busy = 0;
	/** The lists of knotes by descriptor. */
	readonly knlist: (Knote | null)[] = [];
	/** The lists of the other knotes by hash; empty before the first of them. */
	readonly knhash: (Knote | null)[] = [];
	/** KQ_ bits. */
	state = 0;
	/** Whoever takes its events in a task of its own, for watches; null for a kqueue of programs. */
	pump: Runnable | null = null;
	/** Where scans sleep. */
	readonly channel: WaitChannel = new WaitChannel();
	/** RunQueue: whether the task that tells the watchers is due. */
	queued = false;
	/** RunQueue: who comes next. */
	runnext: Runnable | null = null;
	/** RunQueue: who comes before. */
	runprev: Runnable | null = null;

	/** Made by kqueueAlloc. */
	constructor(kernel: Kernel, fdp: FileTable, klist: Klist) {
		this.id = kernel.nkqueues++;
		this.kernel = kernel;
		this.fdp = fdp;
		this.klist = klist;
	}

	/**
	 * Tells the watchers, in a task of its own so that chains of kqueues do not recurse.
	 * @kern kqueue_task
	 */
	run(): void {
		this.klist.notify(0);
	}
}

/** A callback for a knote of the kqueue is through. What it kept from ending may end now. */
export function kqueueUnbusy(kq: Kqueue): void {
	if (--kq.busy === 0 && kq.fdp.doomed !== null) endDoomed(kq.fdp, kq.kernel);
}

/** Goes on with the end of the process whose table it is. */
export function endDoomed(fdp: FileTable, kernel: Kernel): void {
	kernel.runqueue.add(fdp.doomed as Thread);
	fdp.doomed = null;
}

/** The bucket of an ident that is no descriptor. */
export function knoteHash({ knhash }: Kqueue, ident: number): number {
	return (ident ^ (ident >> 8)) & (knhash.length - 1);
}

/**
 * Makes room for knotes of descriptor `fd`.
 * @kern kqueue_expand_list
 */
export function kqueueExpandList(kq: Kqueue, fd: number): void {
	const { knlist } = kq;
	while (knlist.length <= fd) {
		for (let i = 0; i < KQEXTENT; i++) knlist.push(null);
	}
}

/**
 * Makes the hash of the knotes that have no descriptor, and lets it grow with them: unlike the
 * original's it may hold a million timers. Not while a callback is at work, as it may stand in the
 * middle of a list.
 * @kern kqueue_expand_hash
 */
export function kqueueExpandHash(kq: Kqueue): void {
	const { knhash } = kq;
	while (knhash.length < KN_HASHSIZE) knhash.push(null);
	if (kq.nhashed > knhash.length && kq.busy === 0) growHash(kq);
}

/** Twice as many lists: each is split in two, without changing the order within. */
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
			const index = knoteHash(kq, kn.ident);
			const last: Knote | null = index === i ? low : high;
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
 * Wakes the scans that sleep, and has the watchers and the pump told.
 * @kern kqueue_wakeup
 */
export function kqueueWakeup(kq: Kqueue): void {
	if ((kq.state & KQ_SLEEP) !== 0) wakeScans(kq);
	if (kq.klist.first !== null || kq.pump !== null) tellWatchers(kq);
}

function wakeScans(kq: Kqueue): void {
	kq.state &= ~KQ_SLEEP;
	wakeup(kq.channel);
}

function tellWatchers(kq: Kqueue): void {
	if (kq.klist.first !== null) {
		kq.state |= KQ_TASK;
		kq.kernel.runqueue.add(kq);
	}
	if (kq.pump !== null) kq.kernel.runqueue.add(kq.pump);
}

/** Whether a knote came to the ready list before the count stood at `seq`. */
export function queuedBefore(kn: Knote, seq: number): boolean {
	// The count wraps: what matters is the sign of the difference, in its 30 bits.
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

/** Takes the first knote, `kn`, out of the ready list: TAILQ_REMOVE where less is to be asked. */
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
 * Walks the list of ready knotes and proves its count, its links and the bits of its knotes.
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

// The kqueue as an open file: how it is made, watched and closed.

import { EV_ONESHOT, EVFILT_READ, KQ_DYING, KQ_TASK, S_IFIFO } from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import type { Kevent } from "../abi/kevent.ts";
import { kassert } from "../base/assert.ts";
import { doAll, type Failure, rethrow } from "../base/failure.ts";
import type { Runnable } from "../base/run-queue.ts";
import { trace } from "../base/trace.ts";
import { File, type Stat } from "../file/file.ts";
import type { FileTable } from "../file/filedesc.ts";
import type { Machine } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";
import { knoteRemove } from "./fd-close.ts";
import { type Filterops, filterops, knoteAssign, knoteJoin, knoteSubmit } from "./filterops.ts";
import { sysfilters } from "./filters/sysfilters.ts";
import type { Knote } from "./knote.ts";
import { knoteLists } from "./knote-table.ts";
import { Kqueue } from "./kqueue.ts";
import { kqueueWakeup } from "./kqueue-ops.ts";
import { notify } from "./notify.ts";

/** sizeof(struct kevent) on a machine of 64 bits. */
const SIZEOF_KEVENT = 32;

/**
 * Notifies the watchers of a kqueue, in a task of its own so that chains of kqueues do not recurse.
 */
class KqueueTask implements Runnable {
	queued = false;
	runnext: Runnable | null = null;
	runprev: Runnable | null = null;
	private readonly kq: Kqueue;

	constructor(kq: Kqueue) {
		this.kq = kq;
	}

	/** @kern kqueue_task */
	run(): void {
		notify(this.kq.klist, 0);
	}
}

/** The open file of a kqueue. */
export class KqueueFile extends File {
	/** The kqueue itself. */
	readonly kq: Kqueue;

	/** Makes the file of a kqueue. */
	constructor(kq: Kqueue) {
		super("kqueue");
		this.kq = kq;
	}

	/** @kern kqueue_read */
	override read(): number {
		return -errno.ENXIO;
	}

	/** @kern kqueue_write */
	override write(): number {
		return -errno.ENXIO;
	}

	/** @kern kqueue_ioctl */
	override ioctl(): number {
		return -errno.ENOTTY;
	}

	/** @kern kqueue_stat */
	override stat(): Stat {
		return { mode: S_IFIFO, size: this.kq.count, blksize: SIZEOF_KEVENT };
	}

	/** @kern kqueue_kqfilter */
	override kqfilter(kn: Knote): number {
		if (kn.filter !== EVFILT_READ) return errno.EINVAL;
		this.kq.task ??= new KqueueTask(this.kq);
		return knoteJoin(kn, kqreadFiltops, this.kq.klist);
	}

	/** @kern kqueue_close */
	override close(thread: Thread | null): void {
		kqueueDissolve(this.kq, thread);
	}
}

function watchedKqueue(kn: Knote): Kqueue {
	return (kn.fp as KqueueFile).kq;
}

/** @kern filt_kqdetach */
function kqreadDetach(kn: Knote): void {
	watchedKqueue(kn).klist.remove(kn);
}

/**
 * @kern filt_kqueue
 * @kern filt_kqueue_common
 */
function kqreadEvent(kn: Knote): boolean {
	kn.data = watchedKqueue(kn).count;
	return kn.data > 0;
}

/** @kern filt_kqueuemodify */
function kqreadModify(kev: Kevent, kn: Knote): boolean {
	knoteAssign(kev, kn);
	return kqreadEvent(kn);
}

/** @kern filt_kqueueprocess */
function kqreadProcess(kn: Knote, out: Kevent | null): boolean {
	const active = (out !== null && (kn.flags & EV_ONESHOT) !== 0) || kqreadEvent(kn);
	if (active) knoteSubmit(kn, out);
	return active;
}

/** A kqueue is readable while knotes are queued on it. */
const kqreadFiltops: Filterops = filterops({
	name: "kqread",
	mpsafe: true,
	detach: kqreadDetach,
	event: kqreadEvent,
	modify: kqreadModify,
	process: kqreadProcess,
});

/**
 * Makes a kqueue with one reference, on no list yet.
 * @kern kqueue_alloc
 */
export function kqueueAlloc(kernel: Machine, fdp: FileTable): Kqueue {
	const kq = new Kqueue(kernel, fdp, sysfilters);
	if (kernel.sink !== null) trace(kernel, { event: "kqueue", kq: kq.id });
	return kq;
}

/** @kern KQREF */
export function kqueueHold(kq: Kqueue): void {
	kq.refs++;
}

/** @kern KQRELE */
export function kqueueRelease(kq: Kqueue): void {
	if (--kq.refs === 0) kqueueFree(kq);
}

function kqueueFree(kq: Kqueue): void {
	kq.fdp.removeKqueue(kq);
	kassert(kq.first === null, "a kqueue that is freed has no ready knotes");
	kassert(kq.nknotes === 0, "a kqueue that is freed has no knotes");
}

/**
 * Drops all knotes, then throws what their filters threw.
 * @kern kqueue_purge
 */
export function kqueuePurge(kq: Kqueue, thread: Thread | null): void {
	let failure: Failure = null;
	for (const lists of knoteLists(kq)) {
		for (let i = 0; i < lists.length; i++) {
			try {
				knoteRemove(kq, lists, i, true, thread);
			} catch (value) {
				failure ??= { value };
			}
		}
	}
	rethrow(failure);
}

/**
 * Marks the kqueue as closed, and wakes its sleepers. It has been purged before.
 * @kern kqueue_terminate
 */
function kqueueTerminate(kq: Kqueue): void {
	kassert(kq.count === 0, "a purged kqueue has no ready knotes");
	kq.state |= KQ_DYING;
	kqueueWakeup(kq);
	kassert(kq.klist.empty, "a closed kqueue has no watchers");
	if ((kq.state & KQ_TASK) !== 0) kq.kernel.runqueue.remove(kq.task as Runnable);
	if (kq.kernel.sink !== null) trace(kq.kernel, { event: "terminate", kq: kq.id });
}

/**
 * Ends a kqueue that is no longer used: drops its knotes, wakes its sleepers, releases the
 * reference.
 */
export function kqueueDissolve(kq: Kqueue, thread: Thread | null): void {
	doAll(
		() => kqueuePurge(kq, thread),
		() => kqueueTerminate(kq),
		() => kqueueRelease(kq),
	);
}

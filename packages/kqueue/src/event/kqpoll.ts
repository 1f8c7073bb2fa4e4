// The private kqueue of a thread, which poll and select use, and its serials.

import { KQEXTENT } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { kassert } from "../base/assert.ts";
import type { Thread } from "../process/thread.ts";
import type { Kqueue } from "./kqueue.ts";
import { kqueueAlloc, kqueueDissolve, kqueuePurge } from "./kqueue-file.ts";

/**
 * The largest serial: it fits into a small integer of every JavaScript engine, so that serials are
 * never boxed.
 */
export const SERIAL_MAX = 0x3fffffff;

/**
 * Begins a poll or select that uses `num` serials, from `thread.kqserial` on. If the thread is in
 * such a call already, throws EBUSY when it sleeps there, EDEADLK when a callback of a filter
 * calls.
 * @kern kqpoll_init
 */
export function kqpollInit(thread: Thread, num: number, name: string): void {
	if (thread.polling) {
		throw thread.state === "running"
			? new SystemError(errno.EDEADLK, name, "called by a filter while poll or select asks it")
			: new SystemError(errno.EBUSY, name, `thread ${thread.tid} is asleep in poll or select`);
	}
	if (thread.kq === null) {
		const { kernel, process } = thread;
		thread.kq = kqueueAlloc(kernel, process.fdp);
		thread.kqserial = kernel.host.random() & SERIAL_MAX;
		process.fdp.insertKqueue(thread.kq);
	}
	if (thread.kqserial + num > SERIAL_MAX) {
		// The serials are about to wrap: drop all knotes that have one.
		if (thread.kq.busy !== 0)
			throw new SystemError(
				errno.EDEADLK,
				name,
				"called by a filter of the thread's own poll or select",
			);
		thread.kqserial = 0;
		purge(thread, thread.kq);
	}
	thread.polling = true;
}

/**
 * Ends a poll or select; `num` is what it began with.
 * @kern kqpoll_done
 */
export function kqpollDone(thread: Thread, num: number): void {
	const { kq } = thread;
	kassert(kq !== null && thread.polling, "a poll that ends has begun");
	kassert(thread.kqserial + num <= SERIAL_MAX, "a poll uses the serials it asked for");
	thread.polling = false;
	thread.kqserial += num;
	// A thread that polls a new array each time would collect knotes without limit, and many threads
	// that each keep some would leave none for others.
	const many = kq.nknotes > 4 * KQEXTENT * kq.knlist.length || kq.fdp.account.knotes.scarce;
	if (many && kq.busy === 0) purge(thread, kq);
}

/** Drops all knotes of a thread's kqueue. Meanwhile other polls and selects are refused. */
function purge(thread: Thread, kq: Kqueue): void {
	thread.polling = true;
	try {
		kqueuePurge(kq, thread);
	} finally {
		thread.polling = false;
	}
}

/**
 * Releases the thread's kqueue, when the thread ends.
 * @kern kqpoll_exit
 */
export function kqpollExit(thread: Thread): void {
	const { kq } = thread;
	if (kq === null) return;
	kassert(kq.refs === 1, "only its thread uses a private kqueue");
	thread.kq = null;
	kqueueDissolve(kq, thread);
}

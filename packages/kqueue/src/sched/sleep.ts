// Sleeping and waking: threads on the channels they wait at.
import { errno } from "../abi/errno.ts";
import { trace } from "../base/trace.ts";
import type { Kernel } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";

/** Something to sleep on: the threads that do, first come first woken. */
export class WaitChannel {
	/** Engine: the thread that has slept longest. */
	first: Thread | null = null;
	/** Engine: the thread that came last. */
	last: Thread | null = null;
}

/** What a thread sleeps in. */
export interface Sleeper {
	/** The name for messages. */
	readonly syscall: string;
	/** What it sleeps on. */
	readonly channel: WaitChannel;
	/** How long it may sleep in all, in nanoseconds: Infinity for ever. */
	readonly timeout: number;
	/** When the time is over, on the host's clock; -1 until the first sleep. */
	deadline: number;
}

/**
 * Puts the thread to sleep on its call's channel, for what is left of the call's time.
 * @kern kqueue_sleep
 */
export function sleep(thread: Thread, call: Sleeper): void {
	const { kernel } = thread;
	const { channel } = call;
	if (call.deadline < 0 && call.timeout !== Number.POSITIVE_INFINITY)
		call.deadline = kernel.host.now() + call.timeout;
	if (call.deadline >= 0) kernel.timeouts.add(thread.sleepTimeout, call.deadline);
	thread.state = "asleep";
	thread.channel = channel;
	thread.sleepnext = null;
	thread.sleepprev = channel.last;
	if (channel.last === null) channel.first = thread;
	else channel.last.sleepnext = thread;
	channel.last = thread;
	keepAlive(kernel);
	if (kernel.sink !== null)
		trace(kernel, { event: "sleep", thread: thread.tid, call: call.syscall });
}

/** Somebody waits: the program must stay alive for its timers. */
export function keepAlive(kernel: Kernel): void {
	if (kernel.sleepers++ === 0) kernel.host.ref();
}

/** Takes one {@link keepAlive} back. */
export function letGo(kernel: Kernel): void {
	if (--kernel.sleepers === 0) kernel.host.unref();
}

/** Takes a thread from its channel, if it sleeps: it does so no longer. */
export function unsleep(thread: Thread): void {
	const { kernel, channel } = thread;
	if (channel === null) return;
	kernel.timeouts.delete(thread.sleepTimeout);
	if (thread.sleepprev === null) channel.first = thread.sleepnext;
	else thread.sleepprev.sleepnext = thread.sleepnext;
	if (thread.sleepnext === null) channel.last = thread.sleepprev;
	else thread.sleepnext.sleepprev = thread.sleepprev;
	thread.channel = null;
	thread.sleepnext = null;
	thread.sleepprev = null;
	letGo(kernel);
}

/** Wakes one thread with a reason; gives false if it does not sleep. */
export function wake(thread: Thread, reason: number): boolean {
	if (thread.state !== "asleep") return false;
	const { kernel } = thread;
	unsleep(thread);
	thread.state = "ready";
	thread.woken = reason;
	kernel.runqueue.add(thread);
	if (kernel.sink !== null) trace(kernel, { event: "wake", thread: thread.tid, error: reason });
	return true;
}

/** Wakes all threads that sleep on a channel. */
export function wakeup(channel: WaitChannel): void {
	while (channel.first !== null) wake(channel.first, 0);
}

/**
 * Interrupts a thread that sleeps, or that was woken and has not gone on yet: its call ends with
 * EINTR, and what woke it stays for the next. Gives false if it is in no sleep.
 */
export function interrupt(thread: Thread): boolean {
	if (thread.state === "ready") {
		thread.woken = errno.EINTR;
		return true;
	}
	return wake(thread, errno.EINTR);
}

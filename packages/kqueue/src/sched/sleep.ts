// Sleeping and waking: threads and the channels that they sleep on.
import { errno, SystemError } from "../abi/errno.ts";
import { show } from "../abi/values.ts";
import { Timeout } from "../base/timeout.ts";
import { trace } from "../base/trace.ts";
import type { Machine } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";
import type { BlockingCall } from "./call.ts";
import { isThread } from "./entry.ts";
import type { WaitChannel } from "./wait-channel.ts";

/**
 * Puts the thread to sleep on its call's channel, for what is left of the call's time.
 * @kern kqueue_sleep
 */
export function sleep(thread: Thread, call: BlockingCall, channel: WaitChannel): void {
	const { kernel } = thread;
	if (call.deadline < 0 && call.timeout !== Number.POSITIVE_INFINITY)
		call.deadline = kernel.host.now() + call.timeout;
	if (call.deadline >= 0) {
		thread.sleepTimeout ??= new Timeout(timeIsOver, thread);
		kernel.timeouts.add(thread.sleepTimeout, call.deadline);
	}
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

function timeIsOver(thread: unknown): void {
	wake(thread as Thread, errno.EAGAIN);
}

/** Keeps the program alive while a sleeper or a watch waits, for its timers. */
export function keepAlive(kernel: Machine): void {
	if (kernel.sleepers++ === 0) kernel.host.ref();
}

/** Undoes one {@link keepAlive}. */
export function letGo(kernel: Machine): void {
	if (--kernel.sleepers === 0) kernel.host.unref();
}

/** Ends the sleep of a thread, if it sleeps: removes it from its channel. */
export function unsleep(thread: Thread): void {
	const { kernel, channel } = thread;
	if (channel === null) return;
	if (thread.sleepTimeout !== null) kernel.timeouts.delete(thread.sleepTimeout);
	if (thread.sleepprev === null) channel.first = thread.sleepnext;
	else thread.sleepprev.sleepnext = thread.sleepnext;
	if (thread.sleepnext === null) channel.last = thread.sleepprev;
	else thread.sleepnext.sleepprev = thread.sleepprev;
	thread.channel = null;
	thread.sleepnext = null;
	thread.sleepprev = null;
	letGo(kernel);
}

/** Wakes one thread with a reason; returns false if it does not sleep. */
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
 * Interrupts a thread that sleeps, or that was woken and has not continued yet: its call ends with
 * EINTR, and the event that woke it stays for the next call. Returns false if it does neither.
 * EFAULT for what is not a thread.
 */
export function interrupt(thread: Thread): boolean {
	if (!isThread(thread))
		throw new SystemError(errno.EFAULT, "interrupt", `${show(thread)} is not a thread`);
	if (thread.state === "ready") {
		thread.woken = errno.EINTR;
		return true;
	}
	return wake(thread, errno.EINTR);
}

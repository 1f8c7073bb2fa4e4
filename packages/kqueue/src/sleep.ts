// Sleeping and waking: the one place where a system call waits, in either of its forms.
import { errno, SystemError, unwrap } from "./errno.ts";
import { cursig } from "./signal.ts";
import type { Thread } from "./thread.ts";
import { trace } from "./trace.ts";

/** What the step of a call gives when it has to sleep. */
export const WOULD_SLEEP = -0x10000;

/** The part of the platform's AbortSignal that a sleeping call needs. */
export interface AbortSignalLike {
	/** Whether it was aborted already. */
	readonly aborted: boolean;
	/** What the call rejects with. */
	readonly reason: unknown;
	/** Asks to be told. */
	addEventListener(type: "abort", listener: () => void): void;
	/** Asks no longer to be told. */
	removeEventListener(type: "abort", listener: () => void): void;
}

/** What every call that may sleep takes last. */
export interface SleepOptions {
	/** Aborting it interrupts the sleep: the call rejects with its reason, and no event is lost. */
	readonly signal?: AbortSignalLike | undefined;
}

/**
 * A system call that may sleep, cut where it does: `step` runs until the call is done or has to
 * wait, and runs again after each wake-up. Drivers ({@link callNow}, {@link callAsync}) do the rest.
 */
export abstract class BlockingCall {
	/** Driver: on whose behalf. */
	thread: Thread;
	/** The name for messages. */
	readonly syscall: string;
	/** How long it may sleep in all, in nanoseconds: 0 never, Infinity for ever. */
	timeout = 0;
	/** Driver: when the time is over, on the host's clock; -1 until the first sleep. */
	deadline = -1;

	/** Makes a call that is not begun. */
	constructor(thread: Thread, syscall: string) {
		this.thread = thread;
		this.syscall = syscall;
	}

	/** What it sleeps on. Asked after a step that gave WOULD_SLEEP. */
	abstract get channel(): WaitChannel;

	/**
	 * Goes on, after `woken`: 0 at first and after a wake-up, EAGAIN when the time is over, EINTR
	 * after a signal. Gives the call's result, a negative errno, or WOULD_SLEEP.
	 */
	abstract step(woken: number): number;

	/** Gives back what the call holds. Called once, whatever became of it. */
	abstract end(): void;

	/** Whether there is time left to sleep. */
	mayBlock(): boolean {
		if (this.timeout === 0) return false;
		return this.deadline < 0 || this.thread.kernel.host.now() < this.deadline;
	}
}

/** Something to sleep on: the threads that do, first come first woken. */
export class WaitChannel {
	/** Engine: the thread that has slept longest. */
	first: Thread | null = null;
	/** Engine: the thread that came last. */
	last: Thread | null = null;
}

/** Refuses a call on a thread that is gone. */
export function checkAlive(thread: Thread, syscall: string): void {
	if (thread.state !== "exited") return;
	throw new SystemError(errno.ESRCH, syscall, `thread ${thread.tid} has exited`);
}

/** Refuses a call that may sleep on a thread that does, or that is gone. */
export function checkAwake(thread: Thread, syscall: string): void {
	if (thread.state === "running") return;
	checkAlive(thread, syscall);
	const other = thread.call?.syscall ?? "another call";
	throw new SystemError(
		errno.EBUSY,
		syscall,
		`thread ${thread.tid} is asleep in ${other}; calls that overlap need a thread each`,
	);
}

/** The form that never sleeps: the call's timeout must be 0. */
export function callNow(call: BlockingCall): number {
	const { thread, syscall } = call;
	let result: number;
	try {
		result = call.step(0);
	} finally {
		call.end();
		if (thread.state === "running") thread.userret();
	}
	return unwrap(result, syscall);
}

/** The form that gives a promise. The thread cannot make another call until it is settled. */
export function callAsync(call: BlockingCall, options: SleepOptions): Promise<number> {
	const { thread, syscall } = call;
	let result: number;
	let asleep = false;
	try {
		result = call.step(0);
		if (result === WOULD_SLEEP && cursig(thread) !== 0) result = call.step(errno.EINTR);
		asleep = result === WOULD_SLEEP;
	} finally {
		if (!asleep) {
			call.end();
			thread.userret();
		}
	}
	if (!asleep) return unslept(thread, unwrap(result, syscall));
	const { signal } = options;
	return new Promise((resolve, reject) => {
		const abort = () => {
			if (wake(thread, errno.EINTR)) thread.aborted = true;
		};
		signal?.addEventListener("abort", abort);
		thread.settle = (result, error) => {
			signal?.removeEventListener("abort", abort);
			if (error !== undefined) reject(error.value);
			else if (result === -errno.EINTR && thread.aborted) reject(signal?.reason);
			else if (result < 0) reject(new SystemError(-result, syscall));
			else resolve(result);
		};
		thread.aborted = false;
		thread.call = call;
		sleep(thread, call);
	});
}

/** After so many calls that did not sleep, one lets the platform's own events have a turn. */
const UNSLEPT_MAX = 1000;

/**
 * The promise of a call that is done already. A program that only makes such calls would never let
 * the platform's timers and input run: now and then its promise waits for them.
 */
function unslept(thread: Thread, result: number): Promise<number> {
	const { kernel } = thread;
	if (++kernel.unslept < UNSLEPT_MAX) return Promise.resolve(result);
	kernel.unslept = 0;
	return new Promise((resolve) => kernel.host.yield(() => resolve(result)));
}

/**
 * Puts the thread to sleep on its call's channel.
 * @kern kqueue_sleep
 */
function sleep(thread: Thread, call: BlockingCall): void {
	const { kernel } = thread;
	const channel = call.channel;
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
	if (kernel.sleepers++ === 0) kernel.host.ref();
	if (kernel.sink !== null)
		trace(kernel, { event: "sleep", thread: thread.tid, call: call.syscall });
}

/** Takes a thread from its channel; it sleeps no longer. */
function unsleep(thread: Thread): void {
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
	if (--kernel.sleepers === 0) kernel.host.unref();
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
 * Goes on with the call of a woken thread. A signal that it would take has priority over what
 * woke it; the event stays queued.
 */
export function resume(thread: Thread): void {
	const call = thread.call as BlockingCall;
	thread.state = "running";
	try {
		const result = call.step(cursig(thread) === 0 ? thread.woken : errno.EINTR);
		if (result !== WOULD_SLEEP) finish(thread, call, result, undefined);
		else if (cursig(thread) === 0) sleep(thread, call);
		else finish(thread, call, call.step(errno.EINTR), undefined);
	} catch (value) {
		finish(thread, call, 0, { value });
	}
}

/** Ends a sleeping call with EINTR at once: its thread will not come back to it. */
export function abandon(thread: Thread): void {
	if (thread.state !== "asleep" && thread.state !== "ready") return;
	unsleep(thread);
	thread.kernel.runqueue.remove(thread);
	const call = thread.call as BlockingCall;
	thread.state = "running";
	finish(thread, call, call.step(errno.EINTR), undefined);
}

function finish(
	thread: Thread,
	call: BlockingCall,
	result: number,
	thrown: { value: unknown } | undefined,
): void {
	const { settle } = thread;
	let failure = thrown;
	thread.call = null;
	thread.settle = null;
	try {
		call.end();
		thread.userret();
	} catch (value) {
		failure ??= { value };
	}
	settle?.(result, failure);
}

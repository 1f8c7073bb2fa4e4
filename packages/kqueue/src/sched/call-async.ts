// The form of a system call that gives a promise: it sleeps, is woken, goes on, and is settled.

import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { report } from "../base/failure.ts";
import type { Kernel } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";
import {
	type AbortSignalLike,
	type BlockingCall,
	enter,
	leave,
	type SleepOptions,
	WOULD_SLEEP,
} from "./call.ts";
import { cursig } from "./signal.ts";
import { sleep, unsleep, wake } from "./sleep.ts";

/**
 * The form that gives a promise. `begin` checks the arguments, does what comes before the sleep,
 * and gives the call, or the result when there is nothing to wait for; what it throws rejects the
 * promise. The thread cannot make another call that may sleep until the promise is settled.
 */
export function callAsync(
	thread: Thread,
	syscall: string,
	options: SleepOptions,
	begin: () => BlockingCall | number,
): Promise<number> {
	try {
		const signal = options?.signal ?? null;
		if (signal !== null) checkSignal(signal, syscall);
		if (signal?.aborted) throw signal.reason;
		checkAwake(thread, syscall);
		enter(thread, syscall);
		try {
			const call = begin();
			if (typeof call === "number") return unslept(thread.kernel, call);
			return run(call, signal);
		} finally {
			leave(thread);
		}
	} catch (error) {
		return refused(thread?.kernel, error);
	}
}

function checkSignal(signal: AbortSignalLike, name: string): void {
	if (
		typeof signal.addEventListener !== "function" ||
		typeof signal.removeEventListener !== "function"
	)
		throw new SystemError(errno.EINVAL, name, "options.signal is no AbortSignal");
}

/** Refuses a call that may sleep on a thread that does already, or is in the middle of another. */
function checkAwake(thread: Thread, syscall: string): void {
	if (thread.state === "asleep" || thread.state === "ready") {
		const other = thread.call?.syscall ?? "another call";
		const advice = "calls that overlap need a thread each";
		throw new SystemError(
			errno.EBUSY,
			syscall,
			`thread ${thread.tid} is asleep in ${other}; ${advice}`,
		);
	}
	if (thread.depth > 0)
		throw new SystemError(
			errno.EDEADLK,
			syscall,
			"called by a filter or file that a call is asking",
		);
}

function run(call: BlockingCall, signal: AbortSignalLike | null): Promise<number> {
	const { thread, syscall } = call;
	let result = WOULD_SLEEP;
	let slept = false;
	try {
		result = stepOrInterrupt(call, 0, signal);
		slept = result === WOULD_SLEEP;
	} finally {
		if (!slept) call.end();
	}
	if (!slept) {
		if (result === -errno.EINTR && signal?.aborted) throw signal.reason;
		return unslept(thread.kernel, unwrap(result, syscall));
	}
	const promise = new Promise<number>(thread.keepSettlers);
	thread.call = call;
	sleep(thread, call);
	if (signal !== null) listen(thread, signal);
	return promise;
}

/** Lets a signal interrupt the call that the thread sleeps in. */
function listen(thread: Thread, signal: AbortSignalLike): void {
	const abort = (): void => {
		wake(thread, errno.EINTR);
	};
	thread.signal = signal;
	thread.abort = abort;
	try {
		signal.addEventListener("abort", abort);
	} catch (value) {
		unsleep(thread);
		thread.kernel.runqueue.remove(thread);
		thread.depth++;
		complete(thread, 0, { value });
	}
}

/** The promise is to be settled, even if a signal of the program's own making objects. */
function stopListening(kernel: Kernel, signal: AbortSignalLike, listener: () => void): void {
	try {
		signal.removeEventListener("abort", listener);
	} catch (error) {
		report(kernel.host, error);
	}
}

/** One step, which is interrupted instead of sleeping if the thread has a reason not to. */
function stepOrInterrupt(
	call: BlockingCall,
	woken: number,
	signal: AbortSignalLike | null,
): number {
	const result = call.step(woken);
	if (result !== WOULD_SLEEP) return result;
	return signal?.aborted || cursig(call.thread) !== 0 ? call.step(errno.EINTR) : result;
}

/** After so many calls that did not sleep, one lets the platform's own events have a turn. */
const UNSLEPT_MAX = 1000;

/**
 * The promise of a call that is done already. A program that only makes such calls would never let
 * the platform's timers and input run: now and then its promise waits for them.
 */
function unslept(kernel: Kernel, result: number): Promise<number> {
	if (!makesWay(kernel)) return Promise.resolve(result);
	return new Promise((resolve) => kernel.host.yield(() => resolve(result)));
}

/** As {@link unslept}, for a call that failed. */
function refused(kernel: Kernel | undefined, error: unknown): Promise<never> {
	if (kernel === undefined || !makesWay(kernel)) return Promise.reject(error);
	return new Promise((_resolve, reject) => kernel.host.yield(() => reject(error)));
}

function makesWay(kernel: Kernel): boolean {
	if (++kernel.unslept < UNSLEPT_MAX) return false;
	kernel.unslept = 0;
	return true;
}

/**
 * Goes on with the call of a woken thread. A signal that it would take has priority over what
 * woke it; the event stays queued.
 */
export function resume(thread: Thread): void {
	const call = thread.call as BlockingCall;
	let result = 0;
	let thrown: { value: unknown } | null = null;
	thread.state = "running";
	thread.depth++;
	try {
		const woken = cursig(thread) === 0 ? thread.woken : errno.EINTR;
		result = stepOrInterrupt(call, woken, thread.signal);
	} catch (value) {
		thrown = { value };
	}
	if (result === WOULD_SLEEP) {
		sleep(thread, call);
		leave(thread);
	} else {
		complete(thread, result, thrown);
	}
}

/** Ends the call of a sleeping thread with EINTR, at once: the thread will not come back to it. */
export function abandon(thread: Thread): void {
	const { call } = thread;
	unsleep(thread);
	thread.kernel.runqueue.remove(thread);
	thread.state = "exited";
	if (call === null) return;
	let thrown: { value: unknown } | null = null;
	thread.depth++;
	try {
		call.step(errno.EINTR);
	} catch (value) {
		thrown = { value };
	}
	complete(thread, -errno.EINTR, thrown);
}

/** Ends a call that slept and settles its promise. */
function complete(thread: Thread, result: number, thrown: { value: unknown } | null): void {
	const { abort, call, reject, resolve, signal } = thread;
	const syscall = call?.syscall ?? "";
	let failure = thrown;
	thread.call = null;
	thread.resolve = null;
	thread.reject = null;
	thread.signal = null;
	thread.abort = null;
	if (thread.state !== "exited") thread.state = "running";
	try {
		call?.end();
	} catch (value) {
		failure ??= { value };
	}
	// Handlers run before the program hears of the result.
	try {
		leave(thread);
	} finally {
		if (signal !== null && abort !== null) stopListening(thread.kernel, signal, abort);
		if (failure !== null) reject?.(failure.value);
		else if (result === -errno.EINTR && signal?.aborted) reject?.(signal.reason);
		else if (result < 0) reject?.(new SystemError(-result, syscall));
		else resolve?.(result);
	}
}

// How a call that may sleep runs: it begins, sleeps, is woken, continues, and ends.
import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { SA_RESTART } from "../abi/signal.ts";
import { type Failure, report, rethrow } from "../base/failure.ts";
import type { Thread } from "../process/thread.ts";
import {
	type AbortSignalLike,
	type BlockingCall,
	type Driver,
	type SleepOptions,
	WOULD_SLEEP,
} from "./call.ts";
import { cursig } from "./cursig.ts";
import { enter, isThread, leave, reenter } from "./entry.ts";
import { sleep, unsleep, wake } from "./sleep.ts";

/**
 * Begins a call: checks the arguments, and does what is to be done before the first sleep. Returns
 * the call, or its result when there is nothing to wait for; throws errors.
 */
export type Begin<A extends readonly unknown[]> = (
	thread: Thread,
	...args: A
) => BlockingCall | number;

/**
 * Begins a call that may sleep, and takes its first step. Returns its result if it did not sleep,
 * and throws its error. Returns WOULD_SLEEP if the thread sleeps now: then the driver that
 * `driverOf` returns gets the result or the error.
 */
export function startCall<A extends readonly unknown[]>(
	driverOf: (thread: Thread) => Driver,
	thread: Thread,
	syscall: string,
	options: SleepOptions | null | undefined,
	begin: Begin<A>,
	...args: A
): number {
	const signal = options?.signal ?? null;
	if (signal !== null) checkSignal(signal, syscall);
	if (signal?.aborted) throw signal.reason;
	checkAwake(thread, syscall);
	let interrupted: BlockingCall;
	enter(thread, syscall);
	try {
		const call = begin(thread, ...args);
		if (typeof call === "number") return call;
		const result = firstStep(call, signal, driverOf);
		if (result !== RESTART) return result;
		interrupted = call;
	} finally {
		leave(thread);
	}
	// The handler has run. If it made a call that sleeps, or ended the thread, this one is over.
	if (thread.state !== "running" || signal?.aborted) {
		finish(interrupted, null);
		throw signal?.aborted ? signal.reason : new SystemError(errno.EINTR, syscall);
	}
	drive(interrupted, signal, driverOf);
	requeue(thread);
	return WOULD_SLEEP;
}

/** What a step returns, or a thread is woken with, when its call begins again. */
const RESTART = -0x10001;

/** Passes a call to a driver. */
function drive(
	call: BlockingCall,
	signal: AbortSignalLike | null,
	driverOf: (thread: Thread) => Driver,
): void {
	const { thread } = call;
	const abort = signal === null ? null : listen(call, signal);
	const driver = driverOf(thread);
	driver.signal = signal;
	driver.abort = abort;
	thread.call = call;
	thread.driver = driver;
}

/** Has a thread begin its call again, in a turn of the run queue. */
function requeue(thread: Thread): void {
	thread.state = "ready";
	thread.woken = RESTART;
	thread.kernel.runqueue.add(thread);
}

/** Whether a call that failed with EINTR begins again after the handler has run. */
function isRestarted(call: BlockingCall, result: number, signal: AbortSignalLike | null): boolean {
	if (result !== -errno.EINTR || !call.restarts || signal?.aborted) return false;
	const { process } = call.thread;
	const taken = cursig(call.thread);
	const flags = taken === 0 ? 0 : (process.sigflags[taken] ?? 0);
	return (flags & SA_RESTART) !== 0 && typeof process.sigacts[taken] === "function";
}

function checkSignal(signal: AbortSignalLike, name: string): void {
	if (
		typeof signal.addEventListener !== "function" ||
		typeof signal.removeEventListener !== "function"
	)
		throw new SystemError(errno.EINVAL, name, "options.signal is not an AbortSignal");
}

/** Refuses a call that may sleep, on a thread that sleeps already or is inside another call. */
function checkAwake(thread: Thread, syscall: string): void {
	if (!isThread(thread)) return;
	if (thread.state === "asleep" || thread.state === "ready") {
		const other = thread.call?.describe() ?? "another call";
		const advice = "calls that overlap need a thread each";
		throw new SystemError(
			errno.EBUSY,
			syscall,
			`thread ${thread.tid} is asleep in ${other}; ${advice}`,
		);
	}
	if (thread.depth > 0)
		throw new SystemError(errno.EDEADLK, syscall, "called by a filter or file inside another call");
}

function firstStep(
	call: BlockingCall,
	signal: AbortSignalLike | null,
	driverOf: (thread: Thread) => Driver,
): number {
	const { thread, syscall } = call;
	let result = 0;
	let failure: Failure = null;
	try {
		result = stepOrInterrupt(call, 0, signal);
	} catch (value) {
		failure = { value };
	}
	if (result === WOULD_SLEEP) {
		drive(call, signal, driverOf);
		sleep(thread, call);
		// A signal that the program has made itself may have called its listeners at once.
		if (signal?.aborted) wake(thread, errno.EINTR);
		return WOULD_SLEEP;
	}
	if (failure === null && isRestarted(call, result, signal)) return RESTART;
	finish(call, failure);
	if (result === -errno.EINTR && signal?.aborted) throw signal.reason;
	return unwrap(result, syscall);
}

/**
 * Ends a call after its last step, then throws the first error: that of the step or that of the
 * end.
 */
export function finish(call: BlockingCall, failure: Failure): void {
	rethrow(ended(call, failure));
}

/**
 * Lets a signal interrupt the call, which is about to sleep: returns the listener that was added.
 */
function listen(call: BlockingCall, signal: AbortSignalLike): () => void {
	const { thread } = call;
	const abort = (): void => {
		if (thread.call === call) wake(thread, errno.EINTR);
	};
	try {
		signal.addEventListener("abort", abort);
	} catch (value) {
		finish(call, { value });
	}
	return abort;
}

/**
 * Removes the listener. An error of the signal is only reported: the driver must get the result.
 */
function stopListening(thread: Thread, { signal, abort }: Driver): void {
	if (signal === null || abort === null) return;
	try {
		signal.removeEventListener("abort", abort);
	} catch (error) {
		report(thread.kernel.host, error);
	}
}

/** One step. If the call would sleep, but is aborted or has a signal to take, it is interrupted. */
function stepOrInterrupt(
	call: BlockingCall,
	woken: number,
	signal: AbortSignalLike | null,
): number {
	const result = call.step(woken);
	if (result !== WOULD_SLEEP) return result;
	return signal?.aborted || cursig(call.thread) !== 0 ? call.step(errno.EINTR) : result;
}

/**
 * Continues the call of a woken thread. If the thread has a signal to take, that comes before what
 * woke it; an event stays queued.
 */
export function resume(thread: Thread): void {
	const call = thread.call as BlockingCall;
	const { signal } = thread.driver as Driver;
	let result = 0;
	let failure: Failure = null;
	thread.state = "running";
	reenter(thread);
	try {
		if (thread.woken === RESTART) {
			call.restart();
			result = stepOrInterrupt(call, 0, signal);
		} else {
			const woken = cursig(thread) === 0 ? thread.woken : errno.EINTR;
			result = stepOrInterrupt(call, woken, signal);
		}
	} catch (value) {
		failure = { value };
	}
	if (result === WOULD_SLEEP) {
		sleep(thread, call);
		leave(thread);
	} else {
		complete(thread, result, failure);
	}
}

/** Ends the call of a sleeping thread with EINTR, at once, as the thread exits. */
export function abandon(thread: Thread): void {
	breakOff(thread, "exited", null);
}

/**
 * Ends the call of a sleeping thread at once, with its result so far, or `error` if it has none.
 */
export function cutShort(thread: Thread, error: unknown): void {
	breakOff(thread, "running", { value: error });
}

/** Ends the sleep of a thread, and its call. */
function breakOff(thread: Thread, state: "exited" | "running", error: Failure): void {
	const { call } = thread;
	unsleep(thread);
	thread.kernel.runqueue.remove(thread);
	thread.state = state;
	if (call === null) return;
	let result = 0;
	let failure: Failure = null;
	reenter(thread);
	try {
		result = call.step(errno.EINTR);
	} catch (value) {
		failure = { value };
	}
	if (error === null) result = -errno.EINTR;
	else if (result < 0) failure ??= error;
	complete(thread, result, failure);
}

/**
 * Ends a call that slept, and tells its driver, unless it begins again after the handler has run.
 */
function complete(thread: Thread, result: number, failure: Failure): void {
	const call = thread.call as BlockingCall;
	const driver = thread.driver as Driver;
	const { signal } = driver;
	const restarts =
		thread.state !== "exited" && failure === null && isRestarted(call, result, signal);
	let first = failure;
	thread.call = null;
	// A handler may make a call that sleeps, which needs a driver of its own.
	thread.driver = null;
	if (thread.state !== "exited") thread.state = "running";
	if (!restarts) first = ended(call, first);
	// Handlers run before the program gets the result.
	leave(thread);
	if (restarts && thread.state === "running" && !signal?.aborted) {
		thread.call = call;
		thread.driver = driver;
		requeue(thread);
		return;
	}
	if (restarts) first = ended(call, first);
	stopListening(thread, driver);
	thread.driver ??= driver;
	driver.signal = null;
	driver.abort = null;
	if (first !== null) driver.failed(first.value);
	else if (result === -errno.EINTR && signal?.aborted) driver.failed(signal.reason);
	else if (result < 0) driver.failed(new SystemError(-result, call.syscall));
	else driver.done(result);
}

/** Ends a call, and returns the first error. */
function ended(call: BlockingCall, failure: Failure): Failure {
	try {
		call.end();
		return failure;
	} catch (value) {
		return failure ?? { value };
	}
}

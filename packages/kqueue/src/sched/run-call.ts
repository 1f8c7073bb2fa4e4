// How a call that may sleep runs: it begins, sleeps, is woken, continues, and ends.
import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { SA_RESTART } from "../abi/signal.ts";
import { faultOf } from "../abi/values.ts";
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
import type { WaitChannel } from "./wait-channel.ts";

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
	const signal = options === null || options === undefined ? null : signalOf(options, syscall);
	rethrow(abortOf(signal));
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
	const aborted = abortOf(signal);
	if (aborted !== null) finish(interrupted, aborted);
	if (thread.state !== "running")
		finish(interrupted, { value: new SystemError(errno.EINTR, syscall) });
	try {
		assign(interrupted, signal, driverOf(thread));
	} catch (value) {
		finish(interrupted, { value });
	}
	requeue(thread);
	return WOULD_SLEEP;
}

/** What a step returns, or a thread is woken with, when its call begins again. */
const RESTART = -0x10001;

/**
 * The reason of a signal that is aborted, else null. What the accessors of a signal throw that the
 * program has made itself aborts the call as well.
 */
export function abortOf(signal: AbortSignalLike | null): Failure {
	if (signal === null) return null;
	try {
		return signal.aborted ? { value: signal.reason } : null;
	} catch (value) {
		return { value };
	}
}

/** Assigns a call that sleeps, or is about to begin again, to a driver of its thread. */
function assign(call: BlockingCall, signal: AbortSignalLike | null, driver: Driver): void {
	const { thread } = call;
	driver.signal = signal;
	driver.abort = signal === null ? null : listen(call, signal);
	thread.call = call;
	thread.driver = driver;
}

/** Has a thread begin its call again, in a turn of the run queue. */
function requeue(thread: Thread): void {
	thread.state = "ready";
	thread.woken = RESTART;
	thread.kernel.runqueue.add(thread);
}

/** Whether a call that failed with EINTR begins again once the handler has run. */
function isRestarted(call: BlockingCall, result: number, signal: AbortSignalLike | null): boolean {
	if (result !== -errno.EINTR || !call.restarts || abortOf(signal) !== null) return false;
	const { process } = call.thread;
	const taken = cursig(call.thread);
	const flags = taken === 0 ? 0 : (process.sigflags[taken] ?? 0);
	return (flags & SA_RESTART) !== 0 && typeof process.sigacts[taken] === "function";
}

/** The signal of the options, null if there is none. Errors: EFAULT, EINVAL. */
function signalOf(options: SleepOptions, name: string): AbortSignalLike | null {
	let signal: AbortSignalLike | null;
	try {
		signal = options.signal ?? null;
	} catch (error) {
		throw new SystemError(faultOf(error), name, "the options cannot be read");
	}
	if (signal !== null) checkSignal(signal, name);
	return signal;
}

/** Refuses what is not an AbortSignal. Errors: EFAULT if it cannot be read, EINVAL. */
export function checkSignal(signal: AbortSignalLike, name: string): void {
	let valid = false;
	try {
		valid =
			typeof signal.addEventListener === "function" &&
			typeof signal.removeEventListener === "function";
	} catch (error) {
		throw new SystemError(faultOf(error), name, "options.signal cannot be read");
	}
	if (!valid) throw new SystemError(errno.EINVAL, name, "options.signal is not an AbortSignal");
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
		result = stepOrInterrupt(call, 0);
		if (result === WOULD_SLEEP) {
			if (fallAsleep(call, call.channel, signal, driverOf(thread))) return WOULD_SLEEP;
			result = call.step(errno.EINTR);
		}
	} catch (value) {
		failure = { value };
	}
	if (failure === null && isRestarted(call, result, signal)) return RESTART;
	if (failure === null && result === -errno.EINTR) failure = abortOf(signal);
	finish(call, failure);
	return unwrap(result, syscall);
}

/**
 * Puts a thread to sleep in its call. The accessors of a signal that the program has made itself run
 * once it sleeps: what they do then wakes it, as what others do. Returns false if the signal was
 * aborted meanwhile; what `addEventListener` throws ends the sleep, too.
 */
function fallAsleep(
	call: BlockingCall,
	channel: WaitChannel,
	signal: AbortSignalLike | null,
	driver: Driver,
): boolean {
	const { thread } = call;
	thread.call = call;
	thread.driver = driver;
	driver.signal = signal;
	driver.abort = null;
	sleep(thread, call, channel);
	if (signal === null) return true;
	let aborted = true;
	try {
		aborted = abortOf(signal) !== null;
		if (!aborted) driver.abort = listen(call, signal);
	} catch (value) {
		stayAwake(thread, driver);
		throw value;
	}
	if (aborted) stayAwake(thread, driver);
	return !aborted;
}

/** Undoes {@link fallAsleep}: the call goes on. */
function stayAwake(thread: Thread, driver: Driver): void {
	unsleep(thread);
	thread.kernel.runqueue.remove(thread);
	thread.state = "running";
	thread.call = null;
	driver.signal = null;
}

/**
 * Ends a call after its last step, then throws the first error: that of the step or that of the
 * end.
 */
export function finish(call: BlockingCall, failure: Failure): void {
	const first = ended(call, failure);
	if (first !== null) rethrow(first);
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

/** Lets a signal interrupt the call: returns the listener that was added. */
function listen(call: BlockingCall, signal: AbortSignalLike): () => void {
	const { thread } = call;
	const abort = (): void => {
		if (thread.call === call) wake(thread, errno.EINTR);
	};
	signal.addEventListener("abort", abort);
	return abort;
}

/** The call is over: its signal, even one that the program has made itself, must not keep it. */
function stopListening(thread: Thread, driver: Driver): void {
	const { signal, abort } = driver;
	driver.signal = null;
	driver.abort = null;
	if (signal === null || abort === null) return;
	try {
		signal.removeEventListener("abort", abort);
	} catch (error) {
		report(thread.kernel.host, error);
	}
}

/**
 * One step, which is interrupted instead of sleeping if the thread has a signal to take. Nothing of
 * the program runs between a step that has to wait and the sleep: an event in between would be lost.
 */
function stepOrInterrupt(call: BlockingCall, woken: number): number {
	const result = call.step(woken);
	return result === WOULD_SLEEP && cursig(call.thread) !== 0 ? call.step(errno.EINTR) : result;
}

/**
 * Continues the call of a thread that was woken; does nothing for a thread that was not. If the
 * thread has a signal to take, that comes before what woke it; an event stays queued.
 */
export function resume(thread: Thread): void {
	if (thread.state !== "ready") return;
	const call = thread.call as BlockingCall;
	const { signal } = thread.driver as Driver;
	const { woken } = thread;
	let result = 0;
	let channel: WaitChannel | null = null;
	let failure: Failure = null;
	thread.state = "running";
	reenter(thread);
	try {
		if (woken === RESTART) call.restart();
		const reason = woken === RESTART ? 0 : cursig(thread) === 0 ? woken : errno.EINTR;
		result = stepOrInterrupt(call, reason);
		if (result === WOULD_SLEEP) channel = call.channel;
	} catch (value) {
		failure = { value };
	}
	if (failure === null && channel !== null) {
		sleep(thread, call, channel);
		// A step may have aborted it: then its listener found nobody asleep.
		if (signal !== null && abortOf(signal) !== null) wake(thread, errno.EINTR);
		leave(thread);
		return;
	}
	// What was interrupted from outside does not begin again, whatever signal is pending.
	const restarts = failure === null && woken !== errno.EINTR && isRestarted(call, result, signal);
	complete(thread, result, failure, restarts);
}

/** Ends the call of a sleeping thread with EINTR, at once, as the thread exits. */
export function abandon(thread: Thread): void {
	breakOff(thread, "exited", null);
}

/**
 * Ends the call of a sleeping thread at once, with its result so far, or `error` if it has none.
 * Does nothing for a thread that does not sleep.
 */
export function cutShort(thread: Thread, error: unknown): void {
	if (thread.state !== "asleep" && thread.state !== "ready") return;
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
	complete(thread, result, failure, false);
}

/**
 * Ends a call that slept, and tells its driver what became of it. If it begins again, it does so
 * once the handler has run, and unless that made a call that sleeps.
 */
function complete(thread: Thread, result: number, failure: Failure, restarts: boolean): void {
	const call = thread.call as BlockingCall;
	const driver = thread.driver as Driver;
	// Handlers make calls, which may use the same object.
	const { syscall } = call;
	const { signal } = driver;
	let first = failure;
	thread.call = null;
	// A handler may make a call that sleeps, which needs a driver of its own.
	thread.driver = null;
	stopListening(thread, driver);
	if (!restarts) first = ended(call, first);
	// Handlers run before the program gets the result.
	leave(thread);
	if (restarts) {
		if (thread.state === "running" && abortOf(signal) === null) {
			try {
				assign(call, signal, driver);
				requeue(thread);
				return;
			} catch (value) {
				first = { value };
			}
		}
		first = ended(call, first);
	}
	if (first === null && result === -errno.EINTR) first = abortOf(signal);
	if (first === null && result < 0) first = { value: new SystemError(-result, syscall) };
	thread.driver ??= driver;
	try {
		if (first !== null) driver.failed(first.value);
		else driver.done(result);
	} catch (error) {
		report(thread.kernel.host, error);
	}
}

/** Counts a call that did not sleep, and returns whether it is the turn of the platform. */
export function makesWay(thread: Thread): boolean {
	return isThread(thread) && thread.kernel.slice.makesWay();
}

/** The same for a call that returns a promise. */
export function promiseMakesWay(thread: Thread): boolean {
	return isThread(thread) && thread.kernel.slice.promises(thread);
}

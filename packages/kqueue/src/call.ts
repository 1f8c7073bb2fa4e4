// How a system call runs: in the form that never sleeps, and in the form that gives a promise.
import { errno, SystemError, unwrap } from "./errno.ts";
import type { Kernel } from "./machine.ts";
import { cursig } from "./signal.ts";
import { type Sleeper, sleep, unsleep, type WaitChannel, wake } from "./sleep.ts";
import type { Thread } from "./thread.ts";

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
export abstract class BlockingCall implements Sleeper {
	/** On whose behalf. */
	thread: Thread;
	/** The name for messages. */
	syscall: string;
	/** How long it may sleep in all, in nanoseconds: 0 never, Infinity for ever. */
	timeout = 0;
	/** Engine: when the time is over, on the host's clock; -1 until the first sleep. */
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

/** How a sleeping call's promise is settled. */
export type Settle = (result: number, thrown: { readonly value: unknown } | null) => void;

/** Refuses a call on a thread that is gone, and any call of the trace sink. */
export function checkCaller(thread: Thread, name: string): void {
	if (thread.state === "exited")
		throw new SystemError(errno.ESRCH, name, `thread ${thread.tid} has exited`);
	if (thread.kernel.tracing) throw new SystemError(errno.EDEADLK, name, "called by the trace sink");
}

/**
 * Takes a thread into a call; {@link leave} must follow, whatever happens. Calls may nest: a
 * callback makes some on the thread whose call it serves.
 */
export function enter(thread: Thread, name: string): void {
	checkCaller(thread, name);
	thread.depth++;
}

/** The way back to the program: signals are taken when the outermost call returns. */
export function leave(thread: Thread): void {
	if (--thread.depth > 0) return;
	const { fdp } = thread.process;
	if (fdp.doomed !== null) {
		thread.kernel.runqueue.add(fdp.doomed);
		fdp.doomed = null;
	}
	if (thread.state === "running") thread.userret();
}

/** Runs a system call that cannot sleep. */
export function syscall<T>(thread: Thread, name: string, act: () => T): T {
	enter(thread, name);
	try {
		return act();
	} finally {
		leave(thread);
	}
}

/** The form that never sleeps: the call's timeout must be 0. The thread has entered it. */
export function callNow(call: BlockingCall): number {
	const { syscall } = call;
	let result: number;
	try {
		result = call.step(0);
	} finally {
		call.end();
	}
	return unwrap(result, syscall);
}

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
			if (typeof call === "number") return unslept(thread.kernel, (resolve) => resolve(call));
			return run(call, signal);
		} finally {
			leave(thread);
		}
	} catch (error) {
		return unslept(thread?.kernel, (_resolve, reject) => reject(error));
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
		const n = unwrap(result, syscall);
		return unslept(thread.kernel, (resolve) => resolve(n));
	}
	return new Promise((resolve, reject) => {
		const abort = (): void => {
			wake(thread, errno.EINTR);
		};
		thread.call = call;
		thread.signal = signal;
		thread.settle = (result, thrown) => {
			stopListening(thread.kernel, signal, abort);
			if (thrown !== null) reject(thrown.value);
			else if (result === -errno.EINTR && signal?.aborted) reject(signal.reason);
			else if (result < 0) reject(new SystemError(-result, syscall));
			else resolve(result);
		};
		sleep(thread, call);
		try {
			signal?.addEventListener("abort", abort);
		} catch (value) {
			unsleep(thread);
			thread.kernel.runqueue.remove(thread);
			thread.depth++;
			complete(thread, 0, { value });
		}
	});
}

/** The promise is to be settled, even if a signal of the program's own making objects. */
function stopListening(kernel: Kernel, signal: AbortSignalLike | null, listener: () => void): void {
	try {
		signal?.removeEventListener("abort", listener);
	} catch (error) {
		kernel.host.defer(() => {
			throw error;
		});
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
function unslept(
	kernel: Kernel | undefined,
	settle: (resolve: (result: number) => void, reject: (error: unknown) => void) => void,
): Promise<number> {
	if (kernel === undefined || ++kernel.unslept < UNSLEPT_MAX) return new Promise(settle);
	kernel.unslept = 0;
	return new Promise((resolve, reject) => kernel.host.yield(() => settle(resolve, reject)));
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
	const { call, settle } = thread;
	let failure = thrown;
	thread.call = null;
	thread.settle = null;
	thread.signal = null;
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
		settle?.(result, failure);
	}
}

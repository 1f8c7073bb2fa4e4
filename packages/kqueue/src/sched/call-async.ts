// The forms of a call that return a promise.
import type { Machine } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";
import { Driver, type SleepOptions, WOULD_SLEEP } from "./call.ts";
import { type Begin, makesWay, promiseMakesWay, resume, startCall } from "./run-call.ts";

/** Drives the calls of one thread, one after the other, with a promise for each. */
class AsyncDriver extends Driver {
	private resolve: ((result: number) => void) | null = null;
	private reject: ((error: unknown) => void) | null = null;
	/** The promise of the call that is about to sleep, until promiseOf takes it. */
	promise: Promise<number> | null = null;

	private readonly keepSettlers = (
		resolve: (result: number) => void,
		reject: (error: unknown) => void,
	): void => {
		this.resolve = resolve;
		this.reject = reject;
	};

	/** Makes the promise of a call that is about to sleep. */
	begin(): void {
		this.promise = new Promise<number>(this.keepSettlers);
	}

	override woken(thread: Thread): void {
		resume(thread);
	}

	override done(result: number): void {
		const { resolve } = this;
		this.forget();
		resolve?.(result);
	}

	override failed(error: unknown): void {
		const { reject } = this;
		this.forget();
		reject?.(error);
	}

	private forget(): void {
		this.resolve = null;
		this.reject = null;
	}
}

/** The driver of a thread that is about to sleep: that of its last sleep, if it is of this kind. */
function asyncDriver({ driver: last }: Thread): AsyncDriver {
	const driver = last instanceof AsyncDriver ? last : new AsyncDriver();
	driver.begin();
	return driver;
}

/** The promise of the call that a thread sleeps in. */
function promiseOf({ driver }: Thread): Promise<number> {
	const { promise } = driver as AsyncDriver;
	(driver as AsyncDriver).promise = null;
	return promise as Promise<number>;
}

/**
 * The form that returns a promise. `begin` is called with the thread and `args`; what it throws
 * rejects the promise. The thread cannot make another call that may sleep until the promise is
 * settled.
 */
export function callAsync<A extends readonly unknown[]>(
	thread: Thread,
	syscall: string,
	options: SleepOptions | null | undefined,
	begin: Begin<A>,
	...args: A
): Promise<number> {
	let result: number;
	try {
		result = startCall(asyncDriver, thread, syscall, options, begin, ...args);
	} catch (error) {
		return promiseMakesWay(thread) ? laterRejected(thread.kernel, error) : Promise.reject(error);
	}
	if (result === WOULD_SLEEP) return promiseOf(thread);
	return promiseMakesWay(thread) ? later(thread.kernel, result) : Promise.resolve(result);
}

/**
 * The form for hosts of programs that can be suspended: returns the result itself when the call did
 * not sleep, and throws its error; else returns a promise, as {@link callAsync}. Nothing is
 * allocated in the first case. After 1000 calls that did not sleep, on a RealHost after 10 ms or
 * 4000 of them, one of those returns a promise too, so that a program that never sleeps does not
 * keep the platform's timers and input from running.
 */
export function callEither<A extends readonly unknown[]>(
	thread: Thread,
	syscall: string,
	options: SleepOptions | null | undefined,
	begin: Begin<A>,
	...args: A
): number | Promise<number> {
	let result: number;
	try {
		result = startCall(asyncDriver, thread, syscall, options, begin, ...args);
	} catch (error) {
		if (makesWay(thread)) return laterRejected(thread.kernel, error);
		throw error;
	}
	if (result === WOULD_SLEEP) return promiseOf(thread);
	return makesWay(thread) ? later(thread.kernel, result) : result;
}

function later({ host }: Machine, result: number): Promise<number> {
	return new Promise((resolve) => host.yield(() => resolve(result)));
}

function laterRejected({ host }: Machine, error: unknown): Promise<never> {
	return new Promise((_resolve, reject) => host.yield(() => reject(error)));
}

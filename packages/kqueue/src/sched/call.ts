// A system call that may sleep, and what drives it.
import type { Thread } from "../process/thread.ts";
import type { WaitChannel } from "./wait-channel.ts";

/** What the step of a call returns when it has to sleep. */
export const WOULD_SLEEP = -0x10000;

/** The part of the platform's AbortSignal that a sleeping call needs. */
export interface AbortSignalLike {
	/** Whether it was aborted already. */
	readonly aborted: boolean;
	/** What the call rejects with. */
	readonly reason: unknown;
	/** Adds a listener. */
	addEventListener(type: "abort", listener: () => void): void;
	/** Removes a listener. */
	removeEventListener(type: "abort", listener: () => void): void;
}

/** The last argument of every call that may sleep. */
export interface SleepOptions {
	/** Aborting it interrupts the sleep: the call rejects with its reason, and no event is lost. */
	readonly signal?: AbortSignalLike | undefined;
}

/**
 * A system call that may sleep, in steps: `step` runs until the call is done or has to wait, and
 * runs again after each wake-up. How the call waits depends on its form: callNow, callAsync,
 * callEither or callSync.
 */
export abstract class BlockingCall {
	/** The thread that makes it. */
	thread: Thread;
	/** The name for messages. */
	syscall: string;
	/** How long it may sleep in total, in nanoseconds: 0 for not at all, Infinity for no limit. */
	timeout = 0;
	/** When the time is over, on the host's clock; -1 until the first sleep. */
	deadline = -1;

	/** Makes a call that is not begun. */
	constructor(thread: Thread, syscall: string) {
		this.thread = thread;
		this.syscall = syscall;
	}

	/** What it sleeps on. Read after a step that returned WOULD_SLEEP. */
	abstract get channel(): WaitChannel;

	/**
	 * Continues the call. `woken` is 0 at first and after a wake-up, EAGAIN when the time is over,
	 * EINTR after a signal or an abort. Returns the call's result, a negative errno, or WOULD_SLEEP.
	 */
	abstract step(woken: number): number;

	/** Releases what the call holds. Called once, however the call ended. */
	abstract end(): void;

	/** Whether it begins again after a handler with SA_RESTART has interrupted it. */
	get restarts(): boolean {
		return false;
	}

	/** Begins it again: looks its descriptor up again. Throws errors. */
	restart(): void {}

	/** The call in words, for messages and tools: `read of descriptor 3`. */
	describe(): string {
		return this.syscall;
	}

	/** Whether there is time left to sleep. */
	mayBlock(): boolean {
		if (this.timeout === 0) return false;
		return this.deadline < 0 || this.thread.kernel.host.now() < this.deadline;
	}
}

/**
 * How a call that has to sleep waits. A thread has a driver while it sleeps; the driver is told
 * when the thread was woken and when the call is done. Threads, files and filters know nothing else
 * about it.
 */
export abstract class Driver {
	/** What may abort the call. @internal */
	signal: AbortSignalLike | null = null;
	/** The listener that was added to that signal. @internal */
	abort: (() => void) | null = null;

	/** The thread was woken, and it is its turn: continues the call. */
	abstract woken(thread: Thread): void;

	/** The call is done, with a result that is not negative. */
	abstract done(result: number): void;

	/** The call failed. */
	abstract failed(error: unknown): void;
}

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

/** What every call that may sleep takes last. */
export interface SleepOptions {
	/** Aborting it interrupts the sleep: the call rejects with its reason, and no event is lost. */
	readonly signal?: AbortSignalLike | undefined;
}

/**
 * A system call that may sleep, cut where it does: `step` runs until the call is done or has to
 * wait, and runs again after each wake-up. How it waits is up to a driver: callNow, callAsync,
 * callEither or callSync.
 */
export abstract class BlockingCall {
	/** The thread that makes it. */
	thread: Thread;
	/** The name for messages. */
	syscall: string;
	/** How long it may sleep in all, in nanoseconds: 0 not at all, Infinity for ever. */
	timeout = 0;
	/** When the time is over, on the host's clock; -1 until the first sleep. */
	deadline = -1;

	/** Makes a call that is not begun. */
	constructor(thread: Thread, syscall: string) {
		this.thread = thread;
		this.syscall = syscall;
	}

	/** What it sleeps on. Asked after a step that returned WOULD_SLEEP. */
	abstract get channel(): WaitChannel;

	/**
	 * Goes on, after `woken`: 0 at first and after a wake-up, EAGAIN when the time is over, EINTR
	 * after a signal. Returns the call's result, a negative errno, or WOULD_SLEEP.
	 */
	abstract step(woken: number): number;

	/** Returns what the call holds. Called once, however the call ended. */
	abstract end(): void;

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
 * How a call waits that has to sleep. It belongs to a thread while that sleeps, and is told when
 * the thread was woken and when the call is done; threads, files and filters know no more of it.
 */
export abstract class Driver {
	/** What may abort the call. @internal */
	signal: AbortSignalLike | null = null;
	/** What that signal was told to call. @internal */
	abort: (() => void) | null = null;

	/** The thread was woken, and it is its turn: goes on with the call. */
	abstract woken(thread: Thread): void;

	/** The call is done, with a result that is not negative. */
	abstract done(result: number): void;

	/** The call failed. */
	abstract failed(error: unknown): void;
}

// What a system call is: who may make it, what it does when it has to wait, and its way back.
import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { endDoomed } from "../event/kqueue.ts";
import type { Thread } from "../process/thread.ts";
import type { Sleeper, WaitChannel } from "./sleep.ts";

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
 * wait, and runs again after each wake-up. Drivers (callNow, callAsync) do the rest.
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

/** Refuses a call on a thread that is gone, and any call of the trace sink. */
export function checkCaller(thread: Thread, name: string): void {
	if (thread.state === "exited" || thread.kernel.tracing !== false) throw refusal(thread, name);
}

function refusal(thread: Thread, name: string): SystemError {
	return thread.state === "exited"
		? new SystemError(errno.ESRCH, name, `thread ${thread.tid} has exited`)
		: new SystemError(errno.EDEADLK, name, "called by the trace sink");
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
	if (fdp.doomed !== null) endDoomed(fdp, thread.kernel);
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

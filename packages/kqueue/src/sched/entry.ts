// How a thread enters and leaves a system call.
import { errno, SystemError } from "../abi/errno.ts";
import { signalName } from "../abi/signal.ts";
import { show } from "../abi/values.ts";
import type { Thread } from "../process/thread.ts";
import { Caller } from "./caller.ts";

/**
 * Refuses a call for what is not a thread (EFAULT), for a thread that has exited (ESRCH), and every
 * call by the trace sink (EDEADLK).
 */
export function checkCaller(thread: Thread, name: string): void {
	if (!isThread(thread) || thread.state !== "running") checkThread(thread, name);
	if (thread.kernel.tracing !== false)
		throw new SystemError(errno.EDEADLK, name, "called by the trace sink");
}

/** Refuses what is not a thread, and a thread that has exited. */
export function checkThread(thread: Thread, name: string): void {
	if (!isThread(thread)) {
		const advice = "the first argument is a thread; a process's first is process.main";
		throw new SystemError(errno.EFAULT, name, `${advice}; this is ${show(thread)}`);
	}
	if (thread.state === "exited") throw exited(thread, name);
}

/** Whether a program passed a thread. */
export function isThread(value: unknown): value is Thread {
	return Caller.is(value);
}

/** The error of a call on a thread that is gone. */
export function exited({ process, tid }: Thread, name: string): SystemError {
	let why = "has exited";
	if (process.exiting) {
		const signal = process.status & 0x7f;
		const how = signal === 0 ? "has exited" : `was ended by ${signalName(signal)}`;
		why = `is gone: its process ${process.pid} ${how}`;
	}
	return new SystemError(errno.ESRCH, name, `thread ${tid} ${why}`);
}

/**
 * Enters a call with a thread; {@link leave} must follow, also after an error. Calls may nest: a
 * callback may make calls with the thread whose call it serves.
 */
export function enter(thread: Thread, name: string): void {
	checkCaller(thread, name);
	reenter(thread);
}

/** Enters a call again that the thread has slept in. */
export function reenter(thread: Thread): void {
	thread.depth++;
	thread.kernel.activity.depth++;
}

/** Leaves a call: when the outermost one returns to the program, signals are taken. */
export function leave(thread: Thread): void {
	const { kernel } = thread;
	kernel.activity.depth--;
	if (--thread.depth > 0) return;
	const { fdp } = thread.process;
	if (fdp.doomed !== null) fdp.endDoomed(kernel.runqueue);
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

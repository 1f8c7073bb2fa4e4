// The way into a system call and out of it.
import { errno, SystemError } from "../abi/errno.ts";
import { signalName } from "../abi/signal.ts";
import { show } from "../abi/values.ts";
import type { Thread } from "../process/thread.ts";

/**
 * Refuses a call of what is not a thread (EFAULT), of a thread that has exited (ESRCH), and any
 * call of the trace sink (EDEADLK).
 */
export function checkCaller(thread: Thread, name: string): void {
	// The usual case first: what is not a thread is not running either.
	if (thread?.state !== "running") checkThread(thread, name);
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

/** Whether a program passed a thread: any object that has what only a thread has. */
export function isThread(value: unknown): value is Thread {
	return typeof value === "object" && value !== null && "tid" in value && "kernel" in value;
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
 * Takes a thread into a call; {@link leave} must follow, whatever happens. Calls may nest: a
 * callback makes some on the thread whose call it serves.
 */
export function enter(thread: Thread, name: string): void {
	checkCaller(thread, name);
	reenter(thread);
}

/** Takes a thread back into the call it is in the middle of. */
export function reenter(thread: Thread): void {
	thread.depth++;
	thread.kernel.depth++;
}

/** The way back to the program: signals are taken when the outermost call returns. */
export function leave(thread: Thread): void {
	const { kernel } = thread;
	kernel.depth--;
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

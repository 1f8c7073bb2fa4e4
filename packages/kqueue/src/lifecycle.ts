// System calls on processes and threads: fork, exec, exit, wait, pledge.
import { NOTE_EXEC, NOTE_FORK } from "./constants.ts";
import { errno, SystemError, unwrap } from "./errno.ts";
import { exit1, fdRelease, reap, threadExit1 } from "./exit.ts";
import type { Process } from "./process.ts";
import { SIG_DFL, SIG_IGN } from "./signal.ts";
import { checkAlive } from "./sleep.ts";
import type { Thread } from "./thread.ts";
import { trace } from "./trace.ts";

/**
 * Makes a child of the thread's process, with one thread, the same open files behind the same
 * descriptors except for kqueues, and the same signal actions and mask. NOTE_FORK is posted once
 * the child exists. Errors: EAGAIN. Source: fork(2).
 */
export function fork(thread: Thread): Process {
	checkAlive(thread, "fork");
	const { kernel, process } = thread;
	kernel.checkProcessLimit("fork");
	const child = kernel.addProcess(process, process.fdp.copy());
	child.main.sigmask = thread.sigmask;
	process.sigacts.forEach((action, signal) => {
		child.sigacts[signal] = action;
		child.sigmasks[signal] = process.sigmasks[signal] ?? 0;
	});
	if (kernel.sink !== null) trace(kernel, { event: "fork", pid: child.pid });
	kernel.curthread = thread;
	process.klist.notify(NOTE_FORK | child.pid);
	return child;
}

/**
 * What exec means to descriptors and signals: closes what is marked close-on-exec, gives handled
 * signals their default action, and posts NOTE_EXEC. Kqueues and their knotes stay, and so do the
 * process's other threads. Source: execve(2).
 */
export function exec(thread: Thread): void {
	checkAlive(thread, "exec");
	const { kernel, process } = thread;
	for (const fd of process.fdp.open()) {
		if (process.fdp.isCloexec(fd)) fdRelease(process, fd, thread);
	}
	process.sigacts.forEach((action, signal) => {
		if (action !== SIG_IGN) process.sigacts[signal] = SIG_DFL;
	});
	if (kernel.sink !== null) trace(kernel, { event: "exec", pid: process.pid });
	process.klist.notify(NOTE_EXEC);
}

/**
 * Ends the thread's process with a status from 0 to 255, as if by `signal` if one is given. Its
 * other threads' calls end with EINTR. EDEADLK from a filter's callback that a call of the
 * process is asking. Source: exit(3).
 */
export function exit(thread: Thread, status: number, signal = 0): void {
	checkAlive(thread, "exit");
	exit1(thread, status, signal);
}

/**
 * Ends one thread, and with it its kqpoll. The process stays, even without threads, until one of
 * its files' owners or `exit` ends it. EDEADLK from a filter that its poll is asking.
 */
export function threadExit(thread: Thread): void {
	checkAlive(thread, "threadExit");
	if (thread.kq !== null && thread.kq.busy !== 0)
		throw new SystemError(errno.EDEADLK, "threadExit", "called by a filter that a poll is asking");
	threadExit1(thread);
}

/** A child that has exited. */
export interface WaitResult {
	/** Its process id. */
	readonly pid: number;
	/** Its wait status: the exit status times 256, plus the signal that ended it. */
	readonly status: number;
}

/**
 * Takes the status of a child that has exited, the one given or with -1 any, and forgets the
 * child; null while none has. Never sleeps: NOTE_EXIT says when there is one.
 * Errors: ECHILD. Source: waitpid(2) with WNOHANG.
 */
export function waitpidNow(thread: Thread, pid: number): WaitResult | null {
	checkAlive(thread, "waitpid");
	const children = [...thread.process.children].filter((child) => pid === -1 || child.pid === pid);
	unwrap(children.length === 0 ? -errno.ECHILD : 0, "waitpid", `pid ${String(pid)}`);
	const zombie = children.find((child) => child.exiting);
	if (zombie === undefined) return null;
	reap(zombie);
	return { pid: zombie.pid, status: zombie.status };
}

/**
 * Holds the process to the promises named from now on. The engine asks for one: a process without
 * `"proc"` cannot add EVFILT_PROC events (EPERM). A fork does not inherit it.
 */
export function pledge(thread: Thread, promises: string): void {
	checkAlive(thread, "pledge");
	thread.process.pledge = new Set(promises.split(" ").filter((word) => word !== ""));
}

// System calls on processes and threads: fork, exec, exit, wait, pledge.

import { NOTE_EXEC, NOTE_FORK } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { isSignal, SIG_DFL, SIG_IGN } from "../abi/signal.ts";
import { show } from "../abi/values.ts";
import { attempt, rethrow } from "../base/failure.ts";
import { trace } from "../base/trace.ts";
import { notify } from "../event/notify.ts";
import { exit1, isBusy, threadExit1 } from "../process/exit.ts";
import type { Process } from "../process/process.ts";
import type { Thread } from "../process/thread.ts";
import { checkCaller, syscall } from "../sched/entry.ts";
import { closeAll } from "./descriptors.ts";

/**
 * Makes a child of the thread's process, with one thread, the same open files at the same
 * descriptors except for kqueues, the same group and session, and the same signal actions and mask.
 * Watchers get NOTE_FORK when the child exists. Errors: EAGAIN. Source: fork(2).
 */
export function fork(thread: Thread): Process {
	return syscall(thread, "fork", () => {
		const { kernel, process } = thread;
		const pid = kernel.allocatePid(process.account, "fork");
		const child = kernel.addProcess(pid, process, process.fdp.copy());
		// In a ppoll the mask is the call's own.
		child.main.sigmask = thread.oldmask ?? thread.sigmask;
		process.sigacts.forEach((action, signal) => {
			child.sigacts[signal] = action;
			child.sigmasks[signal] = process.sigmasks[signal] ?? 0;
			child.sigflags[signal] = process.sigflags[signal] ?? 0;
		});
		if (kernel.sink !== null) trace(kernel, { event: "fork", pid: child.pid });
		// A knote that follows the fork is added on behalf of this thread.
		kernel.curthread = thread;
		const failure = attempt(null, () => notify(process.klist, NOTE_FORK | child.pid));
		kernel.curthread = null;
		rethrow(failure);
		return child;
	});
}

/**
 * What exec does to descriptors and signals: closes descriptors that are marked close-on-exec,
 * resets signals with a handler to their default action, and notifies watchers with NOTE_EXEC.
 * Kqueues and their knotes stay, and so do the process's other threads. EDEADLK as for close.
 * Source: execve(2).
 */
export function exec(thread: Thread): void {
	syscall(thread, "exec", () => {
		const { kernel, process } = thread;
		const { fdp } = process;
		const marked = [...fdp.open()].filter((fd) => fdp.isCloexec(fd));
		let failure = closeAll(thread, marked, "exec");
		process.hasExeced = true;
		process.sigacts.forEach((action, signal) => {
			if (action !== SIG_IGN) process.sigacts[signal] = SIG_DFL;
			process.sigflags[signal] = 0;
		});
		if (kernel.sink !== null) trace(kernel, { event: "exec", pid: process.pid });
		failure = attempt(failure, () => notify(process.klist, NOTE_EXEC));
		rethrow(failure);
	});
}

/**
 * Ends the thread's process with a status from 0 to 255, or as if `signal` had ended it, if that is
 * not 0. The calls of its other threads end with EINTR. EDEADLK inside a callback for a call or a
 * kqueue of the process. Source: exit(3).
 */
export function exit(thread: Thread, status: number, signal = 0): void {
	checkCaller(thread, "exit");
	if (!Number.isInteger(status) || (signal !== 0 && !isSignal(signal)))
		throw new SystemError(
			errno.EINVAL,
			"exit",
			`status ${show(status)} or signal ${show(signal)} is not valid`,
		);
	if (thread.process.exiting)
		throw new SystemError(errno.ESRCH, "exit", "the process is exiting already");
	if (isBusy(thread.process)) throw busy("exit");
	exit1(thread, status, signal);
}

/**
 * Ends one thread, with its kqpoll. The process stays, even without threads: a thread that is
 * spawned later can end it, and takes the signals that were sent meanwhile. EDEADLK inside a
 * callback for one of the thread's calls.
 */
export function threadExit(thread: Thread): void {
	checkCaller(thread, "threadExit");
	const kqbusy = (thread.kq !== null && thread.kq.busy !== 0) || thread.watches?.busy;
	if (thread.depth > 0 || kqbusy) throw busy("threadExit");
	threadExit1(thread);
}

function busy(name: string): SystemError {
	return new SystemError(errno.EDEADLK, name, "called by a filter or file inside another call");
}

/**
 * From now on the process must keep these promises, whose names are separated by spaces. The engine
 * asks for one: a process without `"proc"` cannot add EVFILT_PROC events (EPERM). A fork does not
 * inherit it, and it can be widened again. Errors: EFAULT for what is not a string.
 */
export function pledge(thread: Thread, promises: string): void {
	syscall(thread, "pledge", () => {
		if (typeof promises !== "string")
			throw new SystemError(errno.EFAULT, "pledge", "the promises are not a string");
		thread.process.pledge = new Set(promises.split(" ").filter((word) => word !== ""));
	});
}

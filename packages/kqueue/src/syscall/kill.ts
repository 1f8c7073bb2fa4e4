// System calls on signals: send, handle, block.

import { errno, SystemError } from "../abi/errno.ts";
import {
	isIgnored,
	isSignal,
	SA_ALL,
	SIG_BLOCK,
	SIG_DFL,
	SIG_IGN,
	SIG_SETMASK,
	SIG_UNBLOCK,
	SIGCANTMASK,
	SIGKILL,
	SIGSTOP,
	type SignalAction,
	type Sigset,
} from "../abi/signal.ts";
import { isInt32, isUint32, show } from "../abi/values.ts";
import type { Process } from "../process/process.ts";
import { psignal, reroute } from "../process/psignal.ts";
import type { Thread } from "../process/thread.ts";
import { cursig, sigdelete } from "../sched/cursig.ts";
import { checkCaller, isThread, syscall } from "../sched/entry.ts";
import { wake } from "../sched/sleep.ts";

/**
 * Sends a signal to a process; signal 0 only checks that there is one. A `pid` of 0 stands for all
 * processes of the caller's group, -1 for all processes except for the caller's, a lower one for
 * all processes of the group -`pid`. Errors: EINVAL if there is no such signal; ESRCH if there is
 * no such process, or it is exiting. Source: kill(2).
 */
export function kill(thread: Thread, pid: number, signal: number): void {
	syscall(thread, "kill", () => {
		if (signal !== 0) checkSignal(signal, "kill");
		const targets = targetsOf(thread, pid).filter((process) => !process.exiting);
		if (targets.length === 0)
			throw new SystemError(errno.ESRCH, "kill", `there is no process ${show(pid)}`);
		if (signal !== 0) for (const process of targets) psignal(process, signal, thread);
	});
}

/** The processes that `kill` means by a number. */
function targetsOf(thread: Thread, pid: number): Process[] {
	const { kernel, process } = thread;
	if (!isInt32(pid)) return [];
	if (pid > 0) {
		const target = kernel.processes.get(pid);
		return target === undefined ? [] : [target];
	}
	if (pid === -1) return [...kernel.processes.values()].filter((each) => each !== process);
	const pgrp = pid === 0 ? process.pgrp : kernel.pgrps.get(-pid);
	return pgrp === undefined ? [] : [...pgrp.members];
}

/**
 * Sends a signal to one thread; signal 0 only checks that the thread has not exited. Errors:
 * EINVAL, ESRCH. Source: pthread_kill(3).
 */
export function threadKill(thread: Thread, target: Thread, signal: number): void {
	syscall(thread, "threadKill", () => {
		if (signal !== 0) checkSignal(signal, "threadKill");
		if (!isThread(target))
			throw new SystemError(errno.EFAULT, "threadKill", `${show(target)} is not a thread`);
		if (target.state === "exited")
			throw new SystemError(errno.ESRCH, "threadKill", `thread ${target.tid} has exited`);
		if (signal !== 0) psignal(target.process, signal, thread, target);
	});
}

/**
 * Sets what the process does about a signal, and returns what it did before: a function is called
 * for the signal, SIG_IGN ignores it, SIG_DFL does the default. While the function runs, the signal
 * and those in `mask` are blocked.
 *
 * `flags` are SA_RESTART, SA_RESETHAND, SA_NODEFER, SA_NOCLDSTOP and SA_NOCLDWAIT, or-ed. With
 * SA_RESTART an interrupted read, write, accept, recv, send, waitpid, tcdrain or tcsetattr begins
 * again when the function has returned, with its arguments looked up again, unless it has moved bytes
 * already; or the function made a call that sleeps: then it fails with EINTR. Other calls are never
 * restarted. Errors: EINVAL, also for SIGKILL and SIGSTOP. Source: sigaction(2).
 */
export function sigaction(
	thread: Thread,
	signal: number,
	action: SignalAction,
	mask: Sigset = 0,
	flags = 0,
): SignalAction {
	return syscall(thread, "sigaction", () => {
		checkSignal(signal, "sigaction");
		if (signal === SIGKILL || signal === SIGSTOP)
			throw new SystemError(
				errno.EINVAL,
				"sigaction",
				`the action of signal ${signal} cannot be set`,
			);
		if (typeof action !== "function" && action !== SIG_DFL && action !== SIG_IGN)
			throw new SystemError(
				errno.EINVAL,
				"sigaction",
				"the action is not a function, SIG_IGN or SIG_DFL",
			);
		checkSet(mask, "sigaction");
		if (!isInt32(flags) || (flags & ~SA_ALL) !== 0)
			throw new SystemError(
				errno.EINVAL,
				"sigaction",
				`flags ${show(flags)} are not SA_ constants`,
			);
		const { process } = thread;
		const before = process.sigacts[signal] ?? SIG_DFL;
		process.sigacts[signal] = action;
		process.sigmasks[signal] = mask;
		process.sigflags[signal] = flags;
		// If it is ignored from now on, it is no longer pending.
		if (isIgnored(action, signal)) forget(process, signal);
		return before;
	});
}

/**
 * Changes which signals the thread blocks, and returns the mask from before. Pending signals that
 * are no longer blocked are taken before this returns. Errors: EINVAL. Source: sigprocmask(2).
 */
export function sigprocmask(thread: Thread, how: number, set: Sigset): Sigset {
	return syscall(thread, "sigprocmask", () => {
		checkSet(set, "sigprocmask");
		// During a ppoll the current mask is that of the call, and the thread's own is to be put back.
		const before = thread.oldmask ?? thread.sigmask;
		const after = newMask(before, how, set) & ~SIGCANTMASK;
		if (thread.oldmask === null) thread.sigmask = after;
		else thread.oldmask = after;
		// The thread takes signals that are no longer blocked; others may take those that it blocks
		// now.
		if (cursig(thread) !== 0) wake(thread, 0);
		if ((thread.process.siglist & after & ~before) !== 0) reroute(thread.process);
		return before;
	});
}

/** Removes a signal from those that are pending for the process and its threads. */
function forget(process: Process, signal: number): void {
	for (let each = process.firstThread; each !== null; each = each.nextThread)
		sigdelete(each, signal);
}

function newMask(before: Sigset, how: number, set: Sigset): Sigset {
	switch (how) {
		case SIG_BLOCK:
			return before | set;
		case SIG_UNBLOCK:
			return before & ~set;
		case SIG_SETMASK:
			return set;
		default:
			throw new SystemError(
				errno.EINVAL,
				"sigprocmask",
				`how ${show(how)} is not SIG_BLOCK, SIG_UNBLOCK or SIG_SETMASK`,
			);
	}
}

/** The signals that are pending because they are blocked. Source: sigpending(2). */
export function sigpending(thread: Thread): Sigset {
	checkCaller(thread, "sigpending");
	return (thread.siglist | thread.process.siglist) & (thread.oldmask ?? thread.sigmask);
}

/**
 * Sets the mask `mask` until the current call returns to the program, for ppoll and pselect; null
 * does not change the mask. EINVAL for what is not a set. If the call cannot be interrupted, as its
 * thread is asleep or inside another call, the mask is not set.
 */
export function sigsuspendMask(
	thread: Thread,
	mask: Sigset | null | undefined,
	name: string,
): void {
	if (mask === null || mask === undefined) return;
	checkSet(mask, name);
	if (thread.state !== "running" || thread.depth > 1) return;
	thread.oldmask = thread.sigmask;
	thread.sigmask = mask & ~SIGCANTMASK;
}

function checkSignal(signal: number, name: string): void {
	if (!isSignal(signal))
		throw new SystemError(errno.EINVAL, name, `${show(signal)} is not a signal`);
}

/** Refuses what is not a set of signals. */
export function checkSet(set: Sigset, name: string): void {
	if (!isInt32(set) && !isUint32(set))
		throw new SystemError(errno.EINVAL, name, `${show(set)} is not a set of signals`);
}

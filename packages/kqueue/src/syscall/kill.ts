// System calls on signals: send, handle, block.

import { errno, SystemError } from "../abi/errno.ts";
import {
	isIgnored,
	isSignal,
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
import { checkCaller, syscall } from "../sched/entry.ts";
import { wake } from "../sched/sleep.ts";

/**
 * Sends a signal to a process; signal 0 only looks whether there is one. A `pid` of 0 stands for
 * all of the caller's group, -1 for all processes but the caller's, below that for all of the
 * group -`pid`. Errors: EINVAL no such signal, ESRCH no such process, or it is exiting. Source:
 * kill(2).
 */
export function kill(thread: Thread, pid: number, signal: number): void {
	syscall(thread, "kill", () => {
		if (signal !== 0) checkSignal(signal, "kill");
		const targets = targetsOf(thread, pid).filter((process) => !process.exiting);
		if (targets.length === 0) throw new SystemError(errno.ESRCH, "kill", `process ${show(pid)}`);
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

/** Sends a signal to one thread; 0 only looks whether it is there. Errors: EINVAL, ESRCH. Source: pthread_kill(3). */
export function threadKill(thread: Thread, target: Thread, signal: number): void {
	syscall(thread, "threadKill", () => {
		if (signal !== 0) checkSignal(signal, "threadKill");
		if (target.state === "exited")
			throw new SystemError(errno.ESRCH, "threadKill", `thread ${target.tid}`);
		if (signal !== 0) psignal(target.process, signal, thread, target);
	});
}

/**
 * Says what the process does about a signal and returns what it did before: a function is called
 * for it, SIG_IGN ignores it, SIG_DFL does the default. While the function runs, the signal and
 * those in `mask` are blocked. Errors: EINVAL, also for SIGKILL and SIGSTOP.
 * Source: sigaction(2).
 */
export function sigaction(
	thread: Thread,
	signal: number,
	action: SignalAction,
	mask: Sigset = 0,
): SignalAction {
	return syscall(thread, "sigaction", () => {
		checkSignal(signal, "sigaction");
		if (signal === SIGKILL || signal === SIGSTOP)
			throw new SystemError(errno.EINVAL, "sigaction", `signal ${signal} is always the default`);
		if (typeof action !== "function" && action !== SIG_DFL && action !== SIG_IGN)
			throw new SystemError(
				errno.EINVAL,
				"sigaction",
				"the action is a function, SIG_IGN or SIG_DFL",
			);
		checkSet(mask, "sigaction");
		const { process } = thread;
		const before = process.sigacts[signal] ?? SIG_DFL;
		process.sigacts[signal] = action;
		process.sigmasks[signal] = mask;
		// What is pending and will never be noticed is forgotten.
		if (isIgnored(action, signal)) for (const each of process.threads) sigdelete(each, signal);
		return before;
	});
}

/**
 * Changes which signals the thread blocks, and returns the mask from before. What is pending
 * and no longer blocked is taken before it returns. Errors: EINVAL. Source: sigprocmask(2).
 */
export function sigprocmask(thread: Thread, how: number, set: Sigset): Sigset {
	return syscall(thread, "sigprocmask", () => {
		checkSet(set, "sigprocmask");
		// In a ppoll the mask is the call's own, and the thread's is the one that it puts back.
		const before = thread.oldmask ?? thread.sigmask;
		const after = newMask(before, how, set) & ~SIGCANTMASK;
		if (thread.oldmask === null) thread.sigmask = after;
		else thread.oldmask = after;
		// What is no longer blocked is taken; what is blocked now, other threads may take.
		if (cursig(thread) !== 0) wake(thread, 0);
		reroute(thread.process);
		return before;
	});
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
			throw new SystemError(errno.EINVAL, "sigprocmask", `how ${show(how)}`);
	}
}

/** The signals that were sent and are blocked. Source: sigpending(2). */
export function sigpending(thread: Thread): Sigset {
	checkCaller(thread, "sigpending");
	return (thread.siglist | thread.process.siglist) & thread.sigmask;
}

/**
 * Installs `mask` until the call that is under way returns to the program, for ppoll and pselect;
 * null leaves the mask alone. EINVAL for what is not a set. A call that cannot be interrupted, as its
 * thread is asleep or in the middle of another, has no use for a mask and gets none.
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
	if (!isSignal(signal)) throw new SystemError(errno.EINVAL, name, `signal ${show(signal)}`);
}

/** Refuses what is not a set of signals. */
export function checkSet(set: Sigset, name: string): void {
	if (!isInt32(set) && !isUint32(set))
		throw new SystemError(errno.EINVAL, name, `${show(set)} is not a set of signals`);
}

// waitpid(2): waits for a child to exit, and takes its status.
import { errno, SystemError } from "../abi/errno.ts";
import { faultOf, isInt32, show } from "../abi/values.ts";
import { reap } from "../process/exit.ts";
import type { Process } from "../process/process.ts";
import type { Thread } from "../process/thread.ts";
import { BlockingCall, type SleepOptions, WOULD_SLEEP } from "../sched/call.ts";
import { callAsync } from "../sched/call-async.ts";
import { checkThread, syscall } from "../sched/entry.ts";
import type { WaitChannel } from "../sched/wait-channel.ts";

/** A child that has exited. */
export interface WaitResult {
	/** Its process id. */
	readonly pid: number;
	/**
	 * Its wait status, for WIFEXITED and similar functions: the exit status times 256, plus the
	 * signal.
	 */
	readonly status: number;
}

/** Where a call writes a wait status. */
export interface WaitStatus {
	/** As {@link WaitResult.status}. */
	status: number;
}

/**
 * Waits until a child has exited, takes its status, and removes the child. A `pid` above 0 stands
 * for that child, 0 for any child in the caller's group, -1 for any child, a lower one for any
 * child in the group -`pid`.
 *
 * Rejects with: ECHILD if there is no such child; EINTR after a signal; as for kevent EBUSY,
 * EDEADLK, ESRCH and the reason of `options.signal`. Source: waitpid(2).
 */
export function waitpid(
	thread: Thread,
	pid: number,
	options: SleepOptions = {},
): Promise<WaitResult> {
	const taken: WaitStatus = { status: 0 };
	return callAsync(thread, "waitpid", options, waitpidCall, pid, taken).then((child) => ({
		pid: child,
		status: taken.status,
	}));
}

/**
 * Begins a {@link waitpid}, for any driver: its result is the child's id, and it writes the status.
 */
export function waitpidCall(
	thread: Thread,
	pid: number,
	status: WaitStatus | null = null,
): BlockingCall {
	return new WaitpidCall(thread, pid, status);
}

/**
 * As {@link waitpid}, without sleeping: null while no such child has exited. NOTE_EXIT tells when
 * one has. Errors: ECHILD. Source: waitpid(2) with WNOHANG.
 */
export function waitpidNow(thread: Thread, pid: number): WaitResult | null {
	return syscall(thread, "waitpid", () => {
		const child = exitedChild(thread, pid);
		if (child === null) return null;
		reap(child);
		return { pid: child.pid, status: child.status };
	});
}

/**
 * The wait status of a child that has exited, which stays to be waited for; null for a process that
 * has not exited, or is not a child of the thread's process. It only looks: no handler of a
 * signal runs, and the trace sink may ask too. Errors: ESRCH for a thread that has exited. Source:
 * waitid(2) with WNOHANG and WNOWAIT.
 */
export function waitStatusNow(thread: Thread, pid: number): number | null {
	checkThread(thread, "waitid");
	const { kernel, process } = thread;
	const child = kernel.processes.get(pid);
	return child?.parent === process && child.zombie ? child.status : null;
}

/** The newest child that has exited and that `waitpid` means by a number; null while none has. */
function exitedChild(thread: Thread, pid: number): Process | null {
	const { kernel, process } = thread;
	const { children, zombies, pgrp } = process;
	if (pid === -1 && children.size > 0) return zombies.at(-1) ?? null;
	if (isInt32(pid) && pid > 0) {
		const child = kernel.processes.get(pid);
		if (child?.parent === process) return child.zombie ? child : null;
	} else if (isInt32(pid) && pid !== -1) {
		const group = pid === 0 ? pgrp : kernel.pgrps.get(-pid);
		for (let i = zombies.length - 1; i >= 0; i--)
			if (zombies[i]?.pgrp === group) return zombies[i] as Process;
		for (const { parent } of group?.members ?? []) if (parent === process) return null;
	}
	throw new SystemError(errno.ECHILD, "waitpid", `there is no child ${show(pid)}`);
}

/** A waitpid in progress. */
class WaitpidCall extends BlockingCall {
	private readonly pid: number;
	private readonly status: WaitStatus | null;

	constructor(thread: Thread, pid: number, status: WaitStatus | null) {
		super(thread, "waitpid");
		this.timeout = Number.POSITIVE_INFINITY;
		this.pid = pid;
		this.status = status;
	}

	override get channel(): WaitChannel {
		return this.thread.process.childChannel;
	}

	override step(woken: number): number {
		if (woken === errno.EINTR) return -woken;
		const child = exitedChild(this.thread, this.pid);
		if (child === null) return WOULD_SLEEP;
		// Where the status cannot be written the child stays.
		try {
			if (this.status !== null) this.status.status = child.status;
		} catch (error) {
			return -faultOf(error);
		}
		reap(child);
		return child.pid;
	}

	override end(): void {}

	override get restarts(): boolean {
		return true;
	}

	override describe(): string {
		return `waitpid of ${this.pid === -1 ? "any child" : this.pid}`;
	}
}

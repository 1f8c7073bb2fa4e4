// System calls on sessions and process groups.

import { errno, SystemError } from "../abi/errno.ts";
import { isInt32, show } from "../abi/values.ts";
import type { Process } from "../process/process.ts";
import { enterPgrp, Session } from "../process/session.ts";
import type { Thread } from "../process/thread.ts";
import { syscall } from "../sched/entry.ts";

/**
 * Begins a session with the thread's process only, in a group of its own and without a terminal;
 * returns its number, which is the process's id. Errors: EPERM for a process that leads a group, or
 * whose id is the number of a group. Source: setsid(2).
 */
export function setsid(thread: Thread): number {
	return syscall(thread, "setsid", () => {
		const { process, kernel } = thread;
		if (kernel.pgrps.has(process.pid))
			throw new SystemError(errno.EPERM, "setsid", `there is a group ${process.pid} already`);
		const { tty } = process.pgrp.session;
		enterPgrp(process, process.pid, new Session(process));
		process.hasTty = false;
		tty?.jobsChanged();
		return process.pid;
	});
}

/**
 * The number of the session of a process; a `pid` of 0 stands for the caller's. Errors: ESRCH;
 * EPERM for a process of another session. Source: getsid(2).
 */
export function getsid(thread: Thread, pid: number): number {
	return syscall(thread, "getsid", () => inSession(thread, pid, "getsid").pgrp.session.sid);
}

/**
 * The number of the group of a process; a `pid` of 0 stands for the caller's. Errors: ESRCH; EPERM
 * for a process of another session. Source: getpgid(2).
 */
export function getpgid(thread: Thread, pid: number): number {
	return syscall(thread, "getpgid", () => inSession(thread, pid, "getpgid").pgrp.pgid);
}

/**
 * Moves a process into the group `pgid`, which is made if it does not exist. A `pid` of 0 stands
 * for the caller, a `pgid` of 0 for the id of the process. Errors: EINVAL for a group below 0;
 * ESRCH for what is neither the caller nor a child of it; EPERM for one in another session, for the
 * leader of a session, and for a group that is not in the session; EACCES for a child that has
 * called exec. Source: setpgid(2).
 */
export function setpgid(thread: Thread, pid: number, pgid: number): void {
	syscall(thread, "setpgid", () => {
		if (!isInt32(pgid) || pgid < 0)
			throw new SystemError(errno.EINVAL, "setpgid", `${show(pgid)} is not a group`);
		const target = pid === 0 || pid === thread.process.pid ? thread.process : child(thread, pid);
		const { session } = target.pgrp;
		if (session.leader === target)
			throw new SystemError(errno.EPERM, "setpgid", `process ${target.pid} leads a session`);
		const to = pgid === 0 ? target.pid : pgid;
		const pgrp = thread.kernel.pgrps.get(to);
		if (pgrp === undefined ? to !== target.pid : pgrp.session !== session)
			throw new SystemError(errno.EPERM, "setpgid", `group ${to} is not in the session`);
		enterPgrp(target, to, session);
		session.tty?.jobsChanged();
	});
}

/** A child of the caller that may be moved to another group. */
function child(thread: Thread, pid: number): Process {
	const { process, kernel } = thread;
	const target = kernel.processes.get(pid);
	if (target === undefined || target.zombie || !isInferior(target, process))
		throw new SystemError(errno.ESRCH, "setpgid", `there is no child ${show(pid)}`);
	if (target.pgrp.session !== process.pgrp.session)
		throw new SystemError(errno.EPERM, "setpgid", `process ${pid} is in another session`);
	if (target.hasExeced)
		throw new SystemError(errno.EACCES, "setpgid", `process ${pid} has called exec`);
	return target;
}

/**
 * Whether a process is another one, or descends from it.
 * Source: inferior.
 */
function isInferior(process: Process, ancestor: Process): boolean {
	for (let each: Process | null = process; each !== null; each = each.parent) {
		if (each === ancestor) return true;
	}
	return false;
}

/** A process of the caller's session, 0 for the caller. */
function inSession(thread: Thread, pid: number, name: string): Process {
	const { process, kernel } = thread;
	if (pid === 0) return process;
	const target = kernel.processes.get(pid);
	if (target === undefined || target.zombie)
		throw new SystemError(errno.ESRCH, name, `there is no process ${show(pid)}`);
	if (target.pgrp.session !== process.pgrp.session)
		throw new SystemError(errno.EPERM, name, `process ${pid} is in another session`);
	return target;
}

// The end of threads and processes.

import { NOTE_EXIT } from "../abi/constants.ts";
import { kassert } from "../base/assert.ts";
import { attempt, type Failure, rethrow } from "../base/failure.ts";
import { trace } from "../base/trace.ts";
import { knoteFdclose } from "../event/knote-ops.ts";
import { kqpollExit } from "../event/kqpoll.ts";
import { fileRelease } from "../file/file.ts";
import { abandon } from "../sched/call-async.ts";
import { SIG_IGN, SIGCHLD } from "../sched/signal.ts";
import type { Process } from "./process.ts";
import { psignal, reroute } from "./psignal.ts";
import { killJobs, leavePgrp } from "./session.ts";
import type { Thread } from "./thread.ts";

/** Whether a callback is at work for a call of the process, or on a knote of its kqueues. */
export function isBusy(process: Process): boolean {
	if (process.threads.some((thread) => thread.depth > 0)) return true;
	for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) if (kq.busy !== 0) return true;
	return false;
}

/** Ends one thread: a call that it sleeps in ends with EINTR, its kqpoll goes. */
export function threadExit1(thread: Thread): void {
	const { threads } = thread.process;
	const index = threads.indexOf(thread);
	kassert(index >= 0, "a thread ends once");
	threads.splice(index, 1);
	abandon(thread);
	// Filters that throw must not keep the rest from going.
	let failure = attempt(null, () => thread.pump?.stop());
	failure = attempt(failure, () => kqpollExit(thread));
	reroute(thread.process);
	rethrow(failure);
}

/**
 * Ends the thread's process, in this order: its threads and their kqpolls, its descriptors
 * ascending, then the terminal of a session that it leads, then NOTE_EXIT to who watches, then SIGCHLD to the parent. Nothing of the process
 * may be busy. Errors of its files are thrown when all is done.
 */
export function exit1(thread: Thread, status: number, signal: number): void {
	const { process, kernel } = thread;
	let failure: Failure = null;
	kassert(!process.exiting, "a process ends once");
	process.exiting = true;
	for (const each of [...process.threads]) {
		// A file that goes may have ended some.
		if (each.state !== "exited") failure = attempt(failure, () => threadExit1(each));
	}
	for (const fd of process.fdp.open()) {
		failure = attempt(failure, () => fdRelease(process, fd, thread));
	}
	failure = attempt(failure, () => killJobs(process));
	process.status = ((status & 0xff) << 8) | signal;
	process.zombie = true;
	if (kernel.sink !== null) trace(kernel, { event: "exit", pid: process.pid });
	knoteProcessexit(process);
	orphan(process);
	rethrow(failure);
}

/** Empties a slot of the table, tells the knotes of that number, then lets go of the file. */
export function fdRelease(process: Process, fd: number, thread: Thread): void {
	const file = process.fdp.replace(fd, null);
	const { kernel } = process;
	if (kernel.sink !== null) trace(kernel, { event: "close", pid: process.pid, fd });
	try {
		knoteFdclose(process.fdp.firstKqueue, fd, thread);
	} finally {
		if (file !== null) fileRelease(file, thread);
	}
}

/**
 * Tells who watches the process that it exited, and parts the rest from it.
 * @kern knote_processexit
 */
function knoteProcessexit(process: Process): void {
	process.klist.notify(NOTE_EXIT);
	process.klist.invalidate();
}

/** Leaves the process to its parent, unless there is none or it does not want to know. */
function orphan(process: Process): void {
	for (const child of process.children) {
		child.parent = null;
		if (child.zombie) reap(child);
	}
	const { parent } = process;
	if (parent === null || parent.exiting || parent.sigacts[SIGCHLD] === SIG_IGN) reap(process);
	else psignal(parent, SIGCHLD);
}

/** Forgets a process that has exited. */
export function reap(process: Process): void {
	leavePgrp(process);
	process.parent?.children.delete(process);
	process.kernel.processes.delete(process.pid);
}

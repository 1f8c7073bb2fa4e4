// The end of threads and processes.
import { NOTE_EXIT } from "./constants.ts";
import { errno, SystemError } from "./errno.ts";
import { fileRelease } from "./file.ts";
import { knoteFdclose } from "./knote-ops.ts";
import { kqpollExit } from "./kqpoll.ts";
import type { Process } from "./process.ts";
import { psignal } from "./psignal.ts";
import { SIG_IGN, SIGCHLD } from "./signal.ts";
import { abandon } from "./sleep.ts";
import type { Thread } from "./thread.ts";
import { trace } from "./trace.ts";

/** Ends one thread: a call that it sleeps in ends with EINTR, its kqpoll goes. */
export function threadExit1(thread: Thread): void {
	const { process } = thread;
	abandon(thread);
	kqpollExit(thread);
	thread.state = "exited";
	thread.kernel.runqueue.remove(thread);
	process.threads.splice(process.threads.indexOf(thread), 1);
}

/**
 * Ends the thread's process, in this order: its threads and their kqpolls, its descriptors
 * ascending, then NOTE_EXIT to who watches, then SIGCHLD to the parent.
 */
export function exit1(thread: Thread, status: number, signal: number): void {
	const { process, kernel } = thread;
	for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) {
		if (kq.busy !== 0)
			throw new SystemError(errno.EDEADLK, "exit", "called by a filter that a call is asking");
	}
	process.exiting = true;
	for (const each of [...process.threads]) threadExit1(each);
	let failure: { value: unknown } | null = null;
	for (const fd of process.fdp.open()) {
		try {
			fdRelease(process, fd, thread);
		} catch (value) {
			failure ??= { value };
		}
	}
	process.status = ((status & 0xff) << 8) | signal;
	if (kernel.sink !== null) trace(kernel, { event: "exit", pid: process.pid });
	knoteProcessexit(process);
	orphan(process);
	if (failure !== null) throw failure.value;
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

/** Leaves the process to its parent, as a zombie unless nobody wants to know. */
function orphan(process: Process): void {
	for (const child of process.children) {
		child.parent = null;
		if (child.exiting) reap(child);
	}
	const { parent } = process;
	if (parent === null || parent.exiting || parent.sigacts[SIGCHLD] === SIG_IGN) reap(process);
	if (parent !== null && !parent.exiting) psignal(parent, SIGCHLD);
}

/** Forgets a process that has exited. */
export function reap(process: Process): void {
	process.parent?.children.delete(process);
	process.kernel.processes.delete(process.pid);
}

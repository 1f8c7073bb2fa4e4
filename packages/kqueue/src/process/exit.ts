// The end of threads and processes.

import { NOTE_EXIT } from "../abi/constants.ts";
import { SA_NOCLDWAIT, SIG_IGN, SIGCHLD } from "../abi/signal.ts";
import { kassert } from "../base/assert.ts";
import { attempt, doAll, type Failure, rethrow } from "../base/failure.ts";
import { trace } from "../base/trace.ts";
import { fdReplace } from "../event/fd-close.ts";
import { kqpollExit } from "../event/kqpoll.ts";
import { invalidate, notify } from "../event/notify.ts";
import { cursig } from "../sched/cursig.ts";
import { abandon } from "../sched/run-call.ts";
import { wakeup } from "../sched/sleep.ts";
import type { Process } from "./process.ts";
import { psignal, reroute } from "./psignal.ts";
import { leavePgrp } from "./session.ts";
import type { Thread } from "./thread.ts";

/** Whether a callback is running for a call of the process, or for a knote of its kqueues. */
export function isBusy(process: Process): boolean {
	for (let each = process.firstThread; each !== null; each = each.nextThread)
		if (each.depth > 0) return true;
	for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) if (kq.busy !== 0) return true;
	return false;
}

/** Ends one thread: a call that it sleeps in ends with EINTR, and its kqpoll is dissolved. */
export function threadExit1(thread: Thread): void {
	const { kernel, process } = thread;
	// Signals that it would take have to be taken by others.
	const taker = process.siglist !== 0 && cursig(thread) !== 0;
	process.removeThread(thread);
	process.account.threads.release(1);
	kernel.activity.depth++;
	// Filters that throw must not keep the rest from being done.
	let failure = attempt(null, () => abandon(thread));
	failure = attempt(failure, () => thread.watches?.stop());
	failure = attempt(failure, () => kqpollExit(thread));
	kernel.activity.depth--;
	if (taker) reroute(process);
	for (const fn of thread.exits ?? []) kernel.host.defer(fn);
	thread.exits = null;
	rethrow(failure);
}

/**
 * Calls `fn` after the thread has ended, in a turn of its own: for hosts that run its program
 * elsewhere, and have to stop it. Returns a function that takes this back.
 */
export function onThreadExit(thread: Thread, fn: () => void): () => void {
	let wanted = true;
	const tell = (): void => {
		if (wanted) fn();
	};
	if (thread.state === "exited") thread.kernel.host.defer(tell);
	else if (thread.exits === null) thread.exits = [tell];
	else thread.exits.push(tell);
	return () => {
		wanted = false;
		const { exits } = thread;
		if (exits?.includes(tell)) exits.splice(exits.indexOf(tell), 1);
	};
}

/**
 * Ends the thread's process, in this order: its threads and their kqpolls, its descriptors
 * ascending, then the terminal of a session that it leads, then NOTE_EXIT to its watchers, then
 * SIGCHLD to the parent. The process must not be busy. Errors of its files are thrown when all is
 * done.
 */
export function exit1(thread: Thread, status: number, signal: number): void {
	const { process, kernel } = thread;
	let failure: Failure = null;
	kassert(!process.exiting, "a process ends once");
	process.exiting = true;
	process.status = ((status & 0xff) << 8) | signal;
	kernel.activity.depth++;
	for (const each of process.threads) {
		// The close of a file may have ended some of them.
		if (each.state !== "exited") failure = attempt(failure, () => threadExit1(each));
	}
	for (const fd of process.fdp.open()) {
		failure = attempt(failure, () => fdReplace(process, fd, null, thread));
	}
	failure = attempt(failure, () => killJobs(process));
	process.zombie = true;
	const siblings = process.parent?.zombies;
	siblings?.splice(placeAmong(siblings, process), 0, process);
	if (kernel.sink !== null) trace(kernel, { event: "exit", pid: process.pid });
	failure = attempt(failure, () => knoteProcessexit(process));
	failure = attempt(failure, () => orphan(process));
	kernel.activity.depth--;
	rethrow(failure);
}

/**
 * Notifies the watchers of the process that it exited, and detaches the other knotes from it.
 * @kern knote_processexit
 */
function knoteProcessexit(process: Process): void {
	doAll(
		() => notify(process.klist, NOTE_EXIT),
		() => invalidate(process.klist),
	);
}

/**
 * Leaves the process to its parent to wait for, unless it has no parent or the parent ignores
 * SIGCHLD.
 */
function orphan(process: Process): void {
	for (const child of process.children) {
		child.parent = null;
		if (child.zombie) reap(child);
	}
	const { parent } = process;
	if (parent === null || parent.exiting || forgetsChildren(parent)) reap(process);
	else psignal(parent, SIGCHLD);
	if (parent !== null) wakeup(parent.childChannel);
}

/** Whether the children of a process that exit are not waited for. */
function forgetsChildren({ sigacts, sigflags }: Process): boolean {
	return sigacts[SIGCHLD] === SIG_IGN || ((sigflags[SIGCHLD] ?? 0) & SA_NOCLDWAIT) !== 0;
}

/** The place of a process among those that are in order of creation. */
function placeAmong(processes: readonly Process[], { main }: Process): number {
	let low = 0;
	let high = processes.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if ((processes[middle] as Process).main.tid < main.tid) low = middle + 1;
		else high = middle;
	}
	return low;
}

/** Removes an exited process from the machine. */
export function reap(process: Process): void {
	leavePgrp(process);
	process.parent?.children.delete(process);
	const siblings = process.parent?.zombies ?? [];
	const place = placeAmong(siblings, process);
	if (siblings[place] === process) siblings.splice(place, 1);
	process.kernel.processes.delete(process.pid);
	process.account.processes.release(1);
}

/**
 * Tells the terminal of a session that a process exits; takes it away if the process is the leader.
 * Source: killjobs.
 */
function killJobs(process: Process): void {
	const { session } = process.pgrp;
	const { tty } = session;
	if (session.leader !== process) {
		tty?.jobsChanged();
		return;
	}
	session.leader = null;
	session.tty = null;
	tty?.leaderExited();
}

// Sending a signal.
import { NOTE_SIGNAL } from "../abi/constants.ts";
import { isIgnored, SIG_DFL, type Sigset, sigbit } from "../abi/signal.ts";
import { attempt, type Failure, rethrow } from "../base/failure.ts";
import { trace } from "../base/trace.ts";
import { notify } from "../event/notify.ts";
import { cursig } from "../sched/cursig.ts";
import { wake } from "../sched/sleep.ts";
import type { Process } from "./process.ts";
import type { ProcessGroup } from "./session.ts";
import type { Thread } from "./thread.ts";

/**
 * Sends a signal to a process, or to one thread of it. Knotes are notified first, whatever the
 * process does about the signal. Then, unless the signal is ignored, a thread that does not block
 * it takes it: `from` when it returns from its current call, a sleeping thread at once with EINTR,
 * another thread soon.
 */
export function psignal(
	process: Process,
	signal: number,
	from: Thread | null = null,
	target: Thread | null = null,
): void {
	if (process.exiting) return;
	const { kernel } = process;
	if (kernel.sink !== null) trace(kernel, { event: "signal", pid: process.pid, signal });
	notify(process.klist, NOTE_SIGNAL | signal);
	if (isIgnored(process.sigacts[signal] ?? SIG_DFL, signal)) return;
	const bit = sigbit(signal);
	if (target === null) process.siglist |= bit;
	else target.siglist |= bit;

	const waiter = waiting(process, bit, target);
	if (waiter !== null) {
		wake(waiter, 0);
		return;
	}
	const taker = target ?? chooseThread(process, bit, from);
	if (taker === null || (taker.sigmask & bit) !== 0) return;
	tell(taker);
}

/** A thread that sleeps in a sigwait for one of the signals, also if it blocks them. */
function waiting(process: Process, set: Sigset, target: Thread | null): Thread | null {
	let each = target ?? process.firstThread;
	for (; each !== null; each = target === null ? each.nextThread : null)
		if (each.state === "asleep" && (each.sigdivert & set) !== 0) return each;
	return null;
}

/** The thread for a signal to the whole process: the caller, else one that does not block it. */
function chooseThread(process: Process, bit: number, from: Thread | null): Thread | null {
	if (from !== null && from.process === process && (from.sigmask & bit) === 0) return from;
	let awake: Thread | null = null;
	for (let each = process.firstThread; each !== null; each = each.nextThread) {
		if ((each.sigmask & bit) !== 0) continue;
		if (each.state === "asleep") return each;
		awake ??= each;
	}
	return awake;
}

/** Lets other threads take signals to the process, after a thread was to take them and did not. */
export function reroute(process: Process): void {
	if (process.siglist === 0 || process.exiting) return;
	const waiter = waiting(process, process.siglist, null);
	if (waiter !== null) wake(waiter, 0);
	for (let each = process.firstThread; each !== null; each = each.nextThread)
		if (cursig(each) !== 0) tell(each);
}

/**
 * A sleeper checks for signals when it wakes, and a call when it returns. A thread that runs its
 * own code is scheduled, to take them soon.
 */
function tell(thread: Thread): void {
	if (thread.state === "asleep") wake(thread, 0);
	else if (thread.state === "running" && thread.depth === 0) thread.kernel.runqueue.add(thread);
}

/**
 * Sends a signal to all members of a group; with `onTty` only to those that have a terminal.
 * Source: pgsignal.
 */
export function pgsignal(
	pgrp: ProcessGroup,
	signal: number,
	onTty = false,
	from: Thread | null = null,
): void {
	let failure: Failure = null;
	for (const process of [...pgrp.members]) {
		if (!onTty || process.hasTty) failure = attempt(failure, () => psignal(process, signal, from));
	}
	rethrow(failure);
}

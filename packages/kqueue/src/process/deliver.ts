// How a thread takes its signals on the way back to the program.
import {
	SA_NODEFER,
	SA_RESETHAND,
	SIG_DFL,
	SIGCANTMASK,
	type SignalHandler,
	type Sigset,
	sigbit,
} from "../abi/signal.ts";
import { report } from "../base/failure.ts";
import { cursig, sigdelete } from "../sched/cursig.ts";
import { wake } from "../sched/sleep.ts";
import { exit1, isBusy } from "./exit.ts";
import type { Machine } from "./machine.ts";
import type { Thread } from "./thread.ts";

/** How often signals are taken again on one return to the program. */
const RETAKEN_MAX = 1000;
/** For how long they are, in nanoseconds. */
const RETAKEN_TIME = 10e6;
/** How many handlers run inside each other. */
const NESTED_MAX = 64;

/**
 * Runs the handlers of the signals that the thread does not block, first under the mask of a
 * ppoll or pselect that just ended, then under the mask from before it, which it puts back.
 *
 * Each signal that is pending is taken. One that was taken already and is pending again, as its
 * handler has sent it perhaps, is taken again, but not without end: after a thousand times, or 10
 * ms, the program goes on, and the thread takes the rest in a turn of the run queue.
 */
export function userret(thread: Thread): void {
	const { oldmask } = thread;
	// Cleared first: a handler makes calls, which also return through here.
	thread.oldmask = null;
	takeSignals(thread);
	if (oldmask === null) return;
	putBack(thread, oldmask);
	takeSignals(thread);
}

/** Puts a mask back; if a handler is asleep in a ppoll, that puts it back when it ends. */
function putBack(thread: Thread, mask: Sigset): void {
	if (thread.oldmask === null) thread.sigmask = mask;
	else thread.oldmask = mask;
}

function takeSignals(thread: Thread): void {
	const { kernel, process } = thread;
	let later: Sigset = 0;
	if (thread.handling === 0) {
		thread.taken = 0;
		thread.retaken = 0;
	}
	for (;;) {
		const signal = process.exiting || thread.state === "exited" ? 0 : cursig(thread, later);
		if (signal === 0) break;
		if (thread.state !== "running") {
			// A handler is asleep: the thread takes the rest when it wakes.
			wake(thread, 0);
			return;
		}
		const action = process.sigacts[signal] ?? SIG_DFL;
		// cursig skips ignored signals: the others have a handler or end the process.
		if (typeof action === "function") {
			if (isForLater(thread, sigbit(signal))) {
				later |= sigbit(signal);
				continue;
			}
			sigdelete(thread, signal);
			handle(thread, signal, action);
		} else if (isBusy(process)) {
			// The process cannot end during a callback: the thread comes back here after it.
			process.fdp.doomed = thread;
			return;
		} else {
			sigdelete(thread, signal);
			reported(kernel, () => exit1(thread, 0, signal));
			return;
		}
	}
	// Inside of a handler they stay pending: what runs the outermost one looks again after it.
	if (later !== 0 && thread.state === "running" && thread.handling === 0)
		kernel.runqueue.add(thread);
}

/** Counts a signal that is about to be taken; returns whether the thread takes it later instead. */
function isForLater(thread: Thread, bit: Sigset): boolean {
	if (thread.handling >= NESTED_MAX) return true;
	const { host } = thread.kernel;
	if (thread.taken === 0) thread.takenAt = host.now();
	const again = (thread.taken & bit) !== 0;
	thread.taken |= bit;
	if (!again) return false;
	return ++thread.retaken > RETAKEN_MAX || host.now() - thread.takenAt >= RETAKEN_TIME;
}

function handle(thread: Thread, signal: number, handler: SignalHandler): void {
	const mask = thread.sigmask;
	const { kernel, process } = thread;
	const flags = process.sigflags[signal] ?? 0;
	const itself = (flags & SA_NODEFER) === 0 ? sigbit(signal) : 0;
	thread.sigmask = (mask | itself | (process.sigmasks[signal] ?? 0)) & ~SIGCANTMASK;
	if ((flags & SA_RESETHAND) !== 0) process.sigacts[signal] = SIG_DFL;
	kernel.slice.spend();
	kernel.activity.depth++;
	thread.handling++;
	reported(kernel, () => handler(signal));
	thread.handling--;
	kernel.activity.depth--;
	putBack(thread, mask);
}

/** A signal does not belong to a call that could fail: the platform reports its errors. */
function reported(kernel: Machine, act: () => void): void {
	try {
		act();
	} catch (error) {
		report(kernel.host, error);
	}
}

// How a thread takes its signals on the way back to the program.
import { SIG_DFL, SIGCANTMASK, type SignalHandler, type Sigset, sigbit } from "../abi/signal.ts";
import { report } from "../base/failure.ts";
import { cursig, sigdelete } from "../sched/cursig.ts";
import { wake } from "../sched/sleep.ts";
import { exit1, isBusy } from "./exit.ts";
import type { Machine } from "./machine.ts";
import type { Thread } from "./thread.ts";

/**
 * Runs the handlers of the signals that the thread does not block, first under the mask of a
 * ppoll or pselect that just ended, then under the mask from before it, which it puts back.
 */
export function userret(thread: Thread): void {
	const { oldmask } = thread;
	// Taken away first: a handler makes calls, which come by here.
	thread.oldmask = null;
	takeSignals(thread);
	if (oldmask === null) return;
	putBack(thread, oldmask);
	takeSignals(thread);
}

/** Puts a mask back; if a handler went to sleep in a ppoll, it is for when that ends. */
function putBack(thread: Thread, mask: Sigset): void {
	if (thread.oldmask === null) thread.sigmask = mask;
	else thread.oldmask = mask;
}

function takeSignals(thread: Thread): void {
	const { process } = thread;
	for (;;) {
		const signal = process.exiting || thread.state === "exited" ? 0 : cursig(thread);
		if (signal === 0) return;
		if (thread.state !== "running") {
			// A handler went to sleep: it takes the rest when it wakes.
			wake(thread, 0);
			return;
		}
		const action = process.sigacts[signal] ?? SIG_DFL;
		// cursig passed over what is ignored: what is left has a handler or ends the process.
		if (typeof action === "function") {
			sigdelete(thread, signal);
			handle(thread, signal, action);
		} else if (isBusy(process)) {
			// A callback stands between: the thread comes back here when that is through.
			process.fdp.doomed = thread;
			return;
		} else {
			sigdelete(thread, signal);
			reported(thread.kernel, () => exit1(thread, 0, signal));
			return;
		}
	}
}

function handle(thread: Thread, signal: number, handler: SignalHandler): void {
	const mask = thread.sigmask;
	const also = thread.process.sigmasks[signal] ?? 0;
	const { kernel } = thread;
	thread.sigmask = (mask | sigbit(signal) | also) & ~SIGCANTMASK;
	kernel.depth++;
	reported(kernel, () => handler(signal));
	kernel.depth--;
	putBack(thread, mask);
}

/** Signals belong to no call that could fail: errors that come of them are the platform's. */
function reported(kernel: Machine, act: () => void): void {
	try {
		act();
	} catch (error) {
		report(kernel.host, error);
	}
}

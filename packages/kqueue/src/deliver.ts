// How a thread takes its signals on the way back to the program.
import { exit1, isBusy } from "./exit.ts";
import { cursig, SIG_DFL, SIGCANTMASK, sigbit, sigdelete } from "./signal.ts";
import type { Thread } from "./thread.ts";

/**
 * Runs the handlers of the signals that the thread does not hold back, first under the mask of a
 * ppoll or pselect that just ended, then under the mask from before it, which it puts back.
 */
export function userret(thread: Thread): void {
	const { oldmask } = thread;
	// Taken away first: a handler makes calls, which come by here.
	thread.oldmask = null;
	takeSignals(thread);
	if (oldmask === null) return;
	thread.sigmask = oldmask;
	takeSignals(thread);
}

function takeSignals(thread: Thread): void {
	const { process, kernel } = thread;
	for (;;) {
		const signal = process.exiting || thread.state === "exited" ? 0 : cursig(thread);
		if (signal === 0) return;
		const action = process.sigacts[signal] ?? SIG_DFL;
		// cursig passed over what is ignored: what is left has a handler or ends the process.
		if (typeof action !== "function") {
			if (isBusy(process)) {
				// A callback stands between: the process ends when the call that asks it returns.
				process.doomed = thread;
				return;
			}
			sigdelete(thread, signal);
			exit1(thread, 0, signal);
			return;
		}
		sigdelete(thread, signal);
		const mask = thread.sigmask;
		thread.sigmask = (mask | sigbit(signal) | (process.sigmasks[signal] ?? 0)) & ~SIGCANTMASK;
		try {
			action(signal);
		} catch (error) {
			// A handler belongs to no call that could fail with its error.
			kernel.host.defer(() => {
				throw error;
			});
		}
		thread.sigmask = mask;
	}
}

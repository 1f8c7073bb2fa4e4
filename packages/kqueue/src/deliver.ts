// How a thread takes its signals on the way back to the program.
import { exit1 } from "./exit.ts";
import { cursig, SIG_DFL, SIGCANTMASK, sigbit, sigdelete } from "./signal.ts";
import type { Thread } from "./thread.ts";

/**
 * Runs the handlers of the signals that the thread does not hold back, first under the mask of a
 * ppoll or pselect that just ended, then under the mask from before it, which it puts back.
 */
export function userret(thread: Thread): void {
	try {
		takeSignals(thread);
	} finally {
		if (thread.oldmask !== null) {
			thread.sigmask = thread.oldmask;
			thread.oldmask = null;
		}
	}
	takeSignals(thread);
}

function takeSignals(thread: Thread): void {
	const { process } = thread;
	for (;;) {
		const signal = process.exiting || thread.state === "exited" ? 0 : cursig(thread);
		if (signal === 0) return;
		sigdelete(thread, signal);
		const action = process.sigacts[signal] ?? SIG_DFL;
		// cursig passed over what is ignored: what is left has a handler or ends the process.
		if (typeof action !== "function") {
			exit1(thread, 0, signal);
			return;
		}
		const mask = thread.sigmask;
		thread.sigmask = (mask | sigbit(signal) | (process.sigmasks[signal] ?? 0)) & ~SIGCANTMASK;
		try {
			action(signal);
		} finally {
			thread.sigmask = mask;
		}
	}
}

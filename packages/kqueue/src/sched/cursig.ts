// Which of the pending signals a thread would take now.
import { isIgnored, SIG_DFL, type Sigset, sigbit } from "../abi/signal.ts";
import type { Thread } from "../process/thread.ts";

/**
 * The lowest signal that is pending for a thread and not blocked, 0 if there is none. Those in
 * `except` are left out.
 */
export function cursig(thread: Thread, except: Sigset = 0): number {
	const { process } = thread;
	for (;;) {
		const ready = (thread.siglist | process.siglist) & ~thread.sigmask & ~except;
		if (ready === 0) return 0;
		const signal = 32 - Math.clz32(ready & -ready);
		if (!isIgnored(process.sigacts[signal] ?? SIG_DFL, signal)) return signal;
		sigdelete(thread, signal);
	}
}

/** Removes a signal from the pending ones. */
export function sigdelete(thread: Thread, signal: number): void {
	const keep = ~sigbit(signal);
	thread.siglist &= keep;
	thread.process.siglist &= keep;
}

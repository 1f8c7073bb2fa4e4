// Describes what threads wait for.
import type { Machine } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";

/** What a thread is doing: `thread 2 of process 1 sleeps in read of descriptor 3 (pipe), forever`. */
export function formatThread(thread: Thread): string {
	return `thread ${thread.tid} of process ${thread.process.pid} ${doing(thread)}`;
}

function doing({ call, depth, kernel, state }: Thread): string {
	switch (state) {
		case "asleep": {
			const deadline = call?.deadline ?? -1;
			const left = Math.max(0, Math.ceil((deadline - kernel.host.now()) / 1e6));
			return `sleeps in ${call?.describe()}, ${deadline < 0 ? "forever" : `for ${left} ms more`}`;
		}
		case "ready":
			return `was woken in ${call?.describe()}`;
		case "exited":
			return "has exited";
		default:
			return depth > 0 ? "is in the middle of a call" : "runs its own code";
	}
}

/** What every thread of a machine is doing, joined by semicolons. */
export function formatThreads(kernel: Machine): string {
	return [...kernel.processes.values()]
		.flatMap(({ threads }) => threads.map(formatThread))
		.join("; ");
}

// An operation of a trace, and what it works on.
import type { Tree } from "@kqpoll/files";
import type { Thread } from "@kqpoll/kqueue";

/** What operations work on, apart from their own thread. */
export interface Machine {
	/** Its threads, by their numbers; operations add those that they start. */
	readonly threads: Thread[];
	/** The tree that has the fifos. */
	readonly tree: Tree;
}

/** Does one operation for a thread; returns what to print, where undefined is printed as 0. */
export type Operation = (thread: Thread, args: readonly string[], machine: Machine) => unknown;

/** Operations by their names. */
export type Operations = Readonly<Record<string, Operation>>;

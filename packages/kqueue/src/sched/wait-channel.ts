// What threads sleep on.
import type { Thread } from "../process/thread.ts";

/** Something to sleep on, with its sleepers: the first to come is the first to be woken. */
export class WaitChannel {
	/** @internal The thread that has slept longest. */
	first: Thread | null = null;
	/** @internal The thread that came last. */
	last: Thread | null = null;
}

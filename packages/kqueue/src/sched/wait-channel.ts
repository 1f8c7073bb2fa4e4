// What threads sleep on.
import type { Thread } from "../process/thread.ts";

/** Something to sleep on, with its sleepers: the one that has slept longest is woken first. */
export class WaitChannel {
	/** Nothing else is a channel, even to the published types, which know no other member. */
	declare private readonly brand: never;
	/** @internal The thread that has slept longest. */
	first: Thread | null = null;
	/** @internal The thread that went to sleep last. */
	last: Thread | null = null;
}

// What there is of a tree, and how much there can be.
import type { Quota } from "@kqpoll/kqueue/kernel";

/** What there is of a tree, in all or of one account. */
export interface Share {
	/** The bytes of its files. */
	readonly bytes: Quota;
	/** The names that it made. */
	readonly names: Quota;
}

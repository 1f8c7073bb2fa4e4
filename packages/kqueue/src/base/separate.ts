// Timeouts and a run queue for hosts whose clock others share: each item asks the host for itself.
import { report } from "./failure.ts";
import type { HostTimer } from "./host.ts";
import { type Runnable, RunQueue } from "./run-queue.ts";
import { type Timeout, TimeoutQueue } from "./timeout.ts";

/**
 * Timeouts with a timer of the host for each of them. So one that is due together with timers of
 * others comes in the order in which all of them were set, whatever else is pending.
 */
export class SeparateTimeouts extends TimeoutQueue {
	private readonly timers: Map<Timeout, HostTimer> = new Map();

	/** How many are pending. */
	override get size(): number {
		return this.timers.size;
	}

	/** See {@link TimeoutQueue.add}. */
	override add(to: Timeout, at: number): void {
		this.delete(to);
		to.index = 0;
		const timer = this.host.setTimer(at, () => {
			this.forget(to);
			to.fn(to.owner, at);
		});
		this.timers.set(to, timer);
	}

	/** See {@link TimeoutQueue.delete}. */
	override delete(to: Timeout): void {
		const timer = this.timers.get(to);
		if (timer === undefined) return;
		this.forget(to);
		this.host.clearTimer(timer);
	}

	private forget(to: Timeout): void {
		this.timers.delete(to);
		to.index = -1;
	}
}

/** A run queue that defers each item for itself, for the same reason. */
export class SeparateRunQueue extends RunQueue {
	/** What is to run, and what makes it run: an item that was removed may have been added again. */
	private readonly turns: Map<Runnable, () => void> = new Map();

	/** See {@link RunQueue.add}. */
	override add(item: Runnable): void {
		if (item.queued) return;
		item.queued = true;
		const turn = (): void => {
			if (this.turns.get(item) === turn) this.run(item);
		};
		this.turns.set(item, turn);
		this.host.defer(turn);
	}

	/** See {@link RunQueue.remove}. */
	override remove(item: Runnable): void {
		if (this.turns.delete(item)) item.queued = false;
	}

	private run(item: Runnable): void {
		this.remove(item);
		this.activity.depth++;
		try {
			item.run();
		} catch (error) {
			report(this.host, error);
		}
		this.activity.depth--;
	}
}

// What waits to run: deferred tasks and woken threads, in the order in which they were added.
import { type Activity, activityOf } from "./activity.ts";
import { report } from "./failure.ts";
import type { Host } from "./host.ts";
import type { Slice } from "./slice.ts";

/** Something that runs soon, but not inside the call that adds it. */
export interface Runnable {
	/** Whether it is in the queue. */
	queued: boolean;
	/** What runs next. */
	runnext: Runnable | null;
	/** What runs before. */
	runprev: Runnable | null;
	/** Does its work. */
	run(): void;
}

/** How many items run in one round at most, on a host whose slices have no end. */
const ROUND = 10_000;

/** The run queue of one kernel. When it gets its first item, it asks its host to drain it soon. */
export class RunQueue {
	/** Where it runs. */
	protected readonly host: Host;
	private first: Runnable | null = null;
	private last: Runnable | null = null;
	/** What is on the stack. */
	protected readonly activity: Activity;
	private readonly slice: Slice;
	private scheduled = false;

	/** Makes an empty queue. Its items are counted in `slice`. */
	constructor(host: Host, slice: Slice) {
		this.host = host;
		this.slice = slice;
		this.activity = activityOf(host);
	}

	/** Appends an item; one that is in the queue already keeps its place. */
	add(item: Runnable): void {
		if (item.queued) return;
		item.queued = true;
		item.runnext = null;
		item.runprev = this.last;
		if (this.last === null) this.first = item;
		else this.last.runnext = item;
		this.last = item;
		if (!this.scheduled) {
			this.scheduled = true;
			this.host.defer(this.drain);
		}
	}

	/** Removes an item, so that it does not run. */
	remove(item: Runnable): void {
		if (!item.queued) return;
		if (item.runprev === null) this.first = item.runnext;
		else item.runprev.runnext = item.runnext;
		if (item.runnext === null) this.last = item.runprev;
		else item.runnext.runprev = item.runprev;
		item.queued = false;
		item.runnext = null;
		item.runprev = null;
	}

	/**
	 * Runs until nothing is runnable, or until it is time for a pause. What an item throws does not
	 * keep the others from running.
	 */
	private readonly drain = (): void => {
		let ran = 0;
		this.activity.depth++;
		for (let item = this.first; item !== null; item = this.first) {
			// The first one is counted by the host, as work that was deferred.
			if (ran === ROUND || (ran > 0 && this.slice.spend())) break;
			this.remove(item);
			ran++;
			try {
				item.run();
			} catch (error) {
				report(this.host, error);
			}
		}
		this.activity.depth--;
		this.scheduled = this.first !== null;
		if (!this.scheduled) return;
		if (ran === ROUND) this.host.yield(this.drain);
		else this.host.defer(this.drain);
	};
}

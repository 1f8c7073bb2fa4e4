// What waits for the processor: deferred tasks and woken threads, first come first served.
import type { Host } from "./host.ts";

/** Something that runs soon, but not on the stack of whoever asked for it. */
export interface Runnable {
	/** RunQueue: whether it stands in the queue. */
	queued: boolean;
	/** RunQueue: who comes next. */
	runnext: Runnable | null;
	/** Does its work. */
	run(): void;
}

/** The run queue of one kernel. It asks its host to be drained when it gets something to do. */
export class RunQueue {
	private readonly host: Host;
	private first: Runnable | null = null;
	private last: Runnable | null = null;
	private scheduled = false;

	/** Makes an empty queue. */
	constructor(host: Host) {
		this.host = host;
	}

	/** Appends; what is queued already keeps its place. */
	add(item: Runnable): void {
		if (item.queued) return;
		item.queued = true;
		item.runnext = null;
		if (this.last === null) this.first = item;
		else this.last.runnext = item;
		this.last = item;
		if (!this.scheduled) {
			this.scheduled = true;
			this.host.defer(this.drain);
		}
	}

	/** Takes an item out, so that it does not run. */
	remove(item: Runnable): void {
		if (!item.queued) return;
		let before: Runnable | null = null;
		let at = this.first;
		while (at !== null && at !== item) {
			before = at;
			at = at.runnext;
		}
		if (before === null) this.first = item.runnext;
		else before.runnext = item.runnext;
		if (this.last === item) this.last = before;
		item.queued = false;
		item.runnext = null;
	}

	/** Runs until nothing is runnable. What an item throws does not keep the others from running. */
	private readonly drain = (): void => {
		for (let item = this.first; item !== null; item = this.first) {
			this.first = item.runnext;
			if (this.first === null) this.last = null;
			item.queued = false;
			item.runnext = null;
			try {
				item.run();
			} catch (error) {
				this.host.defer(() => {
					throw error;
				});
			}
		}
		this.scheduled = false;
	};
}

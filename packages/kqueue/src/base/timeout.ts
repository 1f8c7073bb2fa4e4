// struct timeout: functions to be called at a given time, in a heap that uses one timer of the
// host.
import type { Host, HostTimer } from "./host.ts";

/**
 * A function to be called at a given time. Belongs to one queue; can be added any number of times.
 */
export class Timeout {
	/** TimeoutQueue: the order in which timeouts were added, for those due at the same time. */
	seq = 0;
	/** TimeoutQueue: its place in the heap, 0 without one, -1 when it is not pending. */
	index = -1;
	/** Called once each time it is added, with the owner and the time at which it was due. */
	readonly fn: (owner: unknown, at: number) => void;
	/** Whose timeout it is. */
	readonly owner: unknown;

	/** Makes a timeout that is not pending. */
	constructor(fn: (owner: unknown, at: number) => void, owner: unknown = null) {
		this.fn = fn;
		this.owner = owner;
	}
}

/** How many timeouts there is room for at first. */
const FIRST_ROOM = 16;

/**
 * The timeouts of one kernel: they expire in order of time, then in the order in which they were
 * added.
 */
export class TimeoutQueue {
	/** Where its timers are set. */
	protected readonly host: Host;
	private readonly heap: Timeout[] = [];
	/**
	 * When each of them is due, in nanoseconds. They are compared often, so they are close together
	 * in memory.
	 */
	private times: Float64Array = new Float64Array(FIRST_ROOM);
	private seq = 0;
	private timer: HostTimer | null = null;

	/** Makes an empty queue. */
	constructor(host: Host) {
		this.host = host;
	}

	/** How many are pending. */
	get size(): number {
		return this.heap.length;
	}

	/** Adds a timeout that is due when the host's clock shows `at`; one that is pending is moved. */
	add(to: Timeout, at: number): void {
		this.delete(to);
		to.seq = ++this.seq;
		const index = this.heap.length;
		if (index === this.times.length) this.makeRoom();
		this.heap.push(to);
		this.siftUp(to, at, index);
		if (to.index === 0) this.arm();
	}

	/** Removes a timeout, if it is pending: it will not be called. */
	delete(to: Timeout): void {
		const { index } = to;
		if (index < 0) return;
		to.index = -1;
		const last = this.heap.pop() as Timeout;
		if (last !== to) {
			const at = this.times[this.heap.length] as number;
			this.siftUp(last, at, index);
			if (last.index === index) this.siftDown(last, at, index);
		}
		// A timer for a timeout that was removed may fire without effect, but with an empty heap it
		// must not.
		if (this.heap.length === 0) this.disarm();
	}

	private makeRoom(): void {
		const times = new Float64Array(2 * this.times.length);
		times.set(this.times);
		this.times = times;
	}

	private readonly expire = (): void => {
		this.timer = null;
		const first = this.heap[0];
		if (first === undefined) return;
		const at = this.times[0] as number;
		const due = at <= this.host.now();
		if (due) this.delete(first);
		this.arm();
		// One at a time: the host runs what this one wakes before the next.
		if (due) first.fn(first.owner, at);
	};

	private arm(): void {
		const at = this.times[0] as number;
		if (this.heap.length === 0 || this.timer?.at === at) return;
		this.disarm();
		this.timer = this.host.setTimer(at, this.expire);
	}

	private disarm(): void {
		if (this.timer === null) return;
		this.host.clearTimer(this.timer);
		this.timer = null;
	}

	/** Whether a timeout that is due at `time` is before the one at place `index`. */
	private precedes(to: Timeout, time: number, index: number): boolean {
		const other = this.times[index] as number;
		return time < other || (time === other && to.seq < (this.heap[index] as Timeout).seq);
	}

	// Below each place are four others, whose times are in one or two lines of the cache.

	/** Puts a timeout where it belongs, at place `from` or above. */
	private siftUp(to: Timeout, time: number, from: number): void {
		let index = from;
		while (index > 0) {
			const up = (index - 1) >> 2;
			if (!this.precedes(to, time, up)) break;
			this.move(up, index);
			index = up;
		}
		this.put(to, time, index);
	}

	/** Puts a timeout where it belongs, at place `from` or below. */
	private siftDown(to: Timeout, time: number, from: number): void {
		const { heap, times } = this;
		let index = from;
		for (;;) {
			let least = 4 * index + 1;
			if (least >= heap.length) break;
			const end = Math.min(least + 4, heap.length);
			for (let below = least + 1; below < end; below++) {
				if (this.precedes(heap[below] as Timeout, times[below] as number, least)) least = below;
			}
			if (this.precedes(to, time, least)) break;
			this.move(least, index);
			index = least;
		}
		this.put(to, time, index);
	}

	private move(from: number, index: number): void {
		this.put(this.heap[from] as Timeout, this.times[from] as number, index);
	}

	private put(to: Timeout, time: number, index: number): void {
		this.heap[index] = to;
		this.times[index] = time;
		to.index = index;
	}
}

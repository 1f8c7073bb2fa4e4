// struct timeout: functions to be called at a time, kept in a heap behind one timer of the host.
import type { Host, HostTimer } from "./host.ts";

/** A function and when to call it. Belongs to one queue; can be added again and again. */
export class Timeout {
	/** TimeoutQueue: when it is due, in nanoseconds; when it was due if it is not pending. */
	at = 0;
	/** TimeoutQueue: the order of arming, for those due at the same time. */
	seq = 0;
	/** TimeoutQueue: its place in the heap, -1 when it is not pending. */
	index = -1;
	/** What is called with the owner, once for each time it is added. */
	readonly fn: (owner: unknown) => void;
	/** Whose timeout it is. */
	readonly owner: unknown;

	/** Makes a timeout that is not pending. */
	constructor(fn: (owner: unknown) => void, owner: unknown = null) {
		this.fn = fn;
		this.owner = owner;
	}
}

/** The timeouts of one kernel: expired in order of time, then of arming. */
export class TimeoutQueue {
	private readonly host: Host;
	private readonly heap: Timeout[] = [];
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

	/** Adds, or moves, a timeout that is due when the host's clock shows `at`. */
	add(to: Timeout, at: number): void {
		this.delete(to);
		to.at = at;
		to.seq = ++this.seq;
		to.index = this.heap.length;
		this.heap.push(to);
		this.siftUp(to);
		if (to.index === 0) this.arm();
	}

	/** Takes a timeout out, if it is pending: it will not be called. */
	delete(to: Timeout): void {
		if (to.index < 0) return;
		const at = to.index;
		to.index = -1;
		const last = this.heap.pop() as Timeout;
		if (last !== to) {
			last.index = at;
			this.heap[at] = last;
			this.siftUp(last);
			this.siftDown(last);
		}
		// A timer for a head that is gone only fires for nothing; without a heap it must not fire.
		if (this.heap.length === 0) this.disarm();
	}

	private readonly expire = (): void => {
		this.timer = null;
		const first = this.heap[0];
		if (first === undefined) return;
		const due = first.at <= this.host.now();
		if (due) this.delete(first);
		this.arm();
		// One at a time: the host lets what it wakes go on before the next.
		if (due) first.fn(first.owner);
	};

	private arm(): void {
		const first = this.heap[0];
		if (first === undefined || this.timer?.at === first.at) return;
		this.disarm();
		this.timer = this.host.setTimer(first.at, this.expire);
	}

	private disarm(): void {
		if (this.timer === null) return;
		this.host.clearTimer(this.timer);
		this.timer = null;
	}

	private siftUp(to: Timeout): void {
		const { heap } = this;
		let at = to.index;
		while (at > 0) {
			const up = (at - 1) >> 1;
			const parent = heap[up] as Timeout;
			if (!before(to, parent)) break;
			heap[at] = parent;
			parent.index = at;
			at = up;
		}
		heap[at] = to;
		to.index = at;
	}

	private siftDown(to: Timeout): void {
		const { heap } = this;
		let at = to.index;
		for (;;) {
			const left = 2 * at + 1;
			if (left >= heap.length) break;
			let child = heap[left] as Timeout;
			const right = heap[left + 1];
			if (right !== undefined && before(right, child)) child = right;
			if (!before(child, to)) break;
			const down = child.index;
			heap[at] = child;
			child.index = at;
			at = down;
		}
		heap[at] = to;
		to.index = at;
	}
}

function before(a: Timeout, b: Timeout): boolean {
	return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}

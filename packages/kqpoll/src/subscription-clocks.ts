// The clocks that a poll_oneoff waits for: when the next one is due, and which ones are.
import type { Host } from "@kqpoll/kqueue/kernel";

/** What is told that a clock is due. */
export interface ClockSink {
	/** The clock of subscription `i` has reached its time. */
	clockDue(i: number): void;
}

const WORD = 2 ** 32;
/** A number has 53 bits: beside all of the low word it has room for 21 bits of the high one. */
const EXACT_BITS = 21;
/**
 * A platform does not tell when its wall clock is set: a thread that waits for a time on it looks at
 * it again after this many nanoseconds.
 */
const LOOK_AGAIN = 1e9;

/**
 * The 64 bits of a timeout as nanoseconds: Infinity if all are set. Where a number is not as
 * precise, it is the next larger one.
 */
export function nsOfWords(low: number, high: number): number {
	if (low === 0xffffffff && high === 0xffffffff) return Number.POSITIVE_INFINITY;
	const lost = 32 - EXACT_BITS - Math.clz32(high);
	if (lost <= 0) return high * WORD + low;
	const step = 2 ** lost;
	return high * WORD + Math.ceil(low / step) * step;
}

/** When `ns` nanoseconds have passed since `now`: never earlier, whatever is rounded. */
export function after(now: number, ns: number): number {
	const at = Math.ceil(now) + ns;
	return at > Number.MAX_SAFE_INTEGER ? at * (1 + Number.EPSILON) : at;
}

/** The clocks of one call that are not due yet. Can be used again for another call. */
export class SubscriptionClocks {
	/** How many there are. */
	count = 0;
	/** The subscription of each. */
	private index: Int32Array = new Int32Array(0);
	/** When each is due, on the host's clock or on the wall clock. */
	private at: Float64Array = new Float64Array(0);
	/** 1 for the wall clock. */
	private wall: Uint8Array = new Uint8Array(0);

	/** Adds a clock. */
	add(i: number, at: number, wall: boolean): void {
		const { count } = this;
		if (count === this.index.length) this.makeRoom();
		this.index[count] = i;
		this.at[count] = at;
		this.wall[count] = wall ? 1 : 0;
		this.count++;
	}

	private makeRoom(): void {
		const room = Math.max(4, 2 * this.index.length);
		const { index, at, wall } = this;
		this.index = new Int32Array(room);
		this.at = new Float64Array(room);
		this.wall = new Uint8Array(room);
		this.index.set(index);
		this.at.set(at);
		this.wall.set(wall);
	}

	/**
	 * Removes the clocks that are due, and tells `sink` of them. Returns when to look again, on the
	 * host's clock, Infinity for never.
	 */
	collect(host: Host, sink: ClockSink): number {
		const { index, at, wall } = this;
		const now = host.now();
		let wallNow = -1;
		let next = Number.POSITIVE_INFINITY;
		let kept = 0;
		for (let k = 0; k < this.count; k++) {
			const due = at[k] as number;
			let when = due;
			if (wall[k] === 1) {
				if (wallNow < 0) wallNow = host.realtime();
				when = due <= wallNow ? now : wallDue(host, now, due - wallNow);
			}
			if (when <= now) {
				sink.clockDue(index[k] as number);
				continue;
			}
			if (when < next) next = when;
			index[kept] = index[k] as number;
			at[kept] = due;
			wall[kept] = wall[k] as number;
			kept++;
		}
		this.count = kept;
		return next;
	}
}

/** When to look again at a wall clock that has to advance by `left` nanoseconds. */
function wallDue(host: Host, now: number, left: number): number {
	return after(now, host.steady === true ? left : Math.min(left, LOOK_AGAIN));
}

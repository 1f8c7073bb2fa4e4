// The host of programs: the platform's monotonic clock, timers and tasks.
import type { Host, HostTimer } from "./host.ts";
import { PlatformSlice } from "./slice.ts";

// The engine compiles without the types of a platform. These few are the same on all of them.
interface PlatformTimer {
	ref?(): unknown;
	unref?(): unknown;
}
declare const performance: { now(): number };
declare function setTimeout(fn: () => void, ms: number): PlatformTimer | number;
declare const Deno: { refTimer(timer: number): void; unrefTimer(timer: number): void } | undefined;
declare function clearTimeout(timer: PlatformTimer | number): void;
declare function queueMicrotask(fn: () => void): void;
declare const setImmediate: ((fn: () => void) => unknown) | undefined;
declare const MessageChannel:
	| (new () => {
			port1: { onmessage: (() => void) | null; close(): void };
			port2: { postMessage(message: unknown): void };
	  })
	| undefined;

const NS_PER_MS = 1e6;
/** The longest delay that setTimeout takes, in milliseconds. */
const MAX_DELAY = 2 ** 31 - 1;
/** When this many places of the list of work are empty, they are removed. */
const DONE_MAX = 4096;

/** As they are now: a test that replaces them later must not stop what waits for its turn. */
const immediate = typeof setImmediate === "function" ? setImmediate : null;

/** A timer of a real host. */
class RealTimer implements HostTimer {
	readonly at: number;
	readonly fn: () => void;

	constructor(at: number, fn: () => void) {
		this.at = at;
		this.fn = fn;
	}
}

/** Calls `fn` after the platform's timers and input had a chance to run. */
export function platformTurn(fn: () => void): void {
	if (immediate !== null) {
		immediate(fn);
	} else if (typeof MessageChannel === "function") {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = () => {
			port1.close();
			fn();
		};
		port2.postMessage(0);
	} else {
		setTimeout(fn, 0);
	}
}

/** What the wall clock showed when the monotonic clock showed 0, in milliseconds. */
let epoch = Number.NEGATIVE_INFINITY;

function now(): number {
	return performance.now() * NS_PER_MS;
}

/** The platform reports what work throws, and the rest runs anyway. */
function fail(error: unknown): void {
	queueMicrotask(() => {
		throw error;
	});
}

/** What all real hosts share: they run on one thread of the platform. */
const platformSlice = new PlatformSlice(now, platformTurn);

/**
 * The real host. Deferred work runs as a microtask, so a wake-up takes effect before the next timer
 * or input of the platform. But work goes on for 10 ms, or 4000 pieces, at most: then those
 * have a turn, and the rest follows, in its order. What is promised is that no two turns are more
 * than 50 ms apart, beyond the longest piece of work of the program itself.
 *
 * Timers never fire early, and keep a Node process alive only while a thread sleeps.
 */
export class RealHost implements Host {
	/** @internal */
	readonly slice: PlatformSlice;
	/** The timers that are set, unordered. */
	protected readonly timers: RealTimer[] = [];
	private armed: { readonly at: number; readonly handle: PlatformTimer | number } | null = null;
	private refs = 0;
	private readonly work: ((() => void) | null)[] = [];
	/** How many pieces of work are due; below, how many of them are done. */
	private due = 0;
	private finished = 0;
	/** Whether `run` will be called, or runs. */
	private scheduled = false;
	/** Whether timers may be due. */
	private firing = false;
	/** The work that is due up to here is done before the next timer fires. */
	private woken = 0;

	/** Makes a host. Tests pass a slice of their own. */
	constructor(slice: PlatformSlice = platformSlice) {
		this.slice = slice;
	}

	/** Nanoseconds since an arbitrary moment, on the platform's monotonic clock. */
	now(): number {
		return now();
	}

	/**
	 * Nanoseconds since 1970, in steps as fine as those of `now`. It follows the platform's clock when
	 * that is set.
	 */
	realtime(): number {
		const ms = performance.now();
		const behind = Date.now() - ms - epoch;
		// The wall clock shows whole milliseconds only: a difference of one is not a clock that was set.
		if (behind >= 1 || behind <= -1) epoch = Date.now() - ms;
		return (epoch + ms) * NS_PER_MS;
	}

	/** 32 random bits, as an unsigned number. */
	random(): number {
		return Math.floor(Math.random() * 2 ** 32);
	}

	/** See {@link Host.setTimer}. */
	setTimer(at: number, fn: () => void): HostTimer {
		const timer = new RealTimer(at, fn);
		this.timers.push(timer);
		this.arm();
		return timer;
	}

	/** See {@link Host.clearTimer}. */
	clearTimer(timer: HostTimer): void {
		const index = this.timers.indexOf(timer as RealTimer);
		if (index < 0) return;
		this.timers.splice(index, 1);
		if (this.timers.length === 0) this.disarm();
	}

	/** See {@link Host.ref}. */
	ref(): void {
		if (this.refs++ === 0) this.refArmed();
	}

	/** See {@link Host.unref}. */
	unref(): void {
		if (--this.refs === 0) this.refArmed();
	}

	/** See {@link Host.defer}. */
	defer(fn: () => void): void {
		this.work[this.due++] = fn;
		if (this.scheduled) return;
		this.scheduled = true;
		this.slice.start(this.run);
	}

	/** See {@link Host.yield}. */
	yield(fn: () => void): void {
		this.slice.wait(fn);
	}

	/** Does what is due, until it is time for a pause. */
	private readonly run = (): void => {
		// Other hosts may have used the slice up meanwhile.
		if (!this.slice.isOver) {
			// The usual case, a wake-up, is one piece of work: it is not worth a loop.
			if (this.due === 1 && !this.firing) {
				this.workAlone();
				if (this.hasMore) this.slice.spend();
			} else {
				this.workOn();
			}
		}
		this.scheduled = this.hasMore;
		if (this.scheduled) this.slice.goOn(this.run);
	};

	/** Does the only piece of work. */
	private workAlone(): void {
		const fn = this.work[0] as () => void;
		this.work[0] = null;
		this.due = 0;
		this.woken = 0;
		try {
			fn();
		} catch (error) {
			fail(error);
		}
	}

	/** Does pieces of work until there is none, or it is time for a pause. */
	private workOn(): void {
		do {
			if (this.firing) this.fireOrWork();
			else this.workOne();
		} while (this.hasMore && !this.slice.spend());
	}

	private get hasMore(): boolean {
		return this.finished < this.due || this.firing;
	}

	/**
	 * Fires a timer that is due, or does a piece of work. What a timer wakes runs before the next one;
	 * what that defers in turn, which may have no end, takes turns with timers.
	 */
	private fireOrWork(): void {
		if (this.finished >= this.woken) {
			if (this.fireOne()) {
				this.woken = this.due;
				return;
			}
			this.firing = false;
			this.arm();
		}
		this.workOne();
	}

	/** Does a piece of deferred work; returns false if there is none. */
	protected workOne(): boolean {
		const { work, finished } = this;
		if (finished === this.due) return false;
		const fn = work[finished] as () => void;
		work[finished] = null;
		this.finished = finished + 1;
		if (finished + 1 === this.due) this.forget(this.due);
		else if (finished >= DONE_MAX && 2 * finished >= this.due) this.compact();
		try {
			fn();
		} catch (error) {
			fail(error);
		}
		return true;
	}

	/** Work that has no end must not make the list longer and longer. */
	private compact(): void {
		this.work.splice(0, this.finished);
		this.forget(this.finished);
	}

	private forget(done: number): void {
		this.due -= done;
		this.finished -= done;
		this.woken = this.woken > done ? this.woken - done : 0;
	}

	/** The timer that is due first. */
	protected earliest(): RealTimer | undefined {
		return this.timers.reduce<RealTimer | undefined>(
			(first, timer) => (first === undefined || timer.at < first.at ? timer : first),
			undefined,
		);
	}

	private arm(): void {
		// While timers may be due, they are looked at anyway.
		if (this.firing) return;
		const first = this.earliest();
		if (first === undefined || (this.armed !== null && this.armed.at <= first.at)) return;
		this.disarm();
		// Rounded up: a shorter delay would fire too early, and have to be set again.
		const delay = Math.ceil((first.at - this.now()) / NS_PER_MS);
		const handle = setTimeout(this.fire, Math.min(Math.max(delay, 1), MAX_DELAY));
		this.armed = { at: first.at, handle };
		this.refArmed();
	}

	private disarm(): void {
		if (this.armed === null) return;
		clearTimeout(this.armed.handle);
		this.armed = null;
	}

	private refArmed(): void {
		if (this.armed === null) return;
		const { handle } = this.armed;
		if (typeof handle === "object") {
			if (this.refs > 0) handle.ref?.();
			else handle.unref?.();
		} else if (typeof Deno === "object") {
			if (this.refs > 0) Deno.refTimer(handle);
			else Deno.unrefTimer(handle);
		}
	}

	private readonly fire = (): void => {
		this.armed = null;
		this.firing = true;
		this.woken = this.finished;
		// What waits for its turn fires them.
		if (this.scheduled) return;
		this.scheduled = true;
		this.slice.spend();
		if (this.slice.isOver) this.slice.wait(this.run);
		else this.run();
	};

	/** Fires the timer that is due first, if one is. */
	protected fireOne(): boolean {
		const timer = this.earliest();
		if (timer === undefined || timer.at > this.now()) return false;
		this.timers.splice(this.timers.indexOf(timer), 1);
		try {
			timer.fn();
		} catch (error) {
			fail(error);
		}
		return true;
	}
}

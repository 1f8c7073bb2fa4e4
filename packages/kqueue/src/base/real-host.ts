// The host of programs: the platform's monotonic clock, timers and tasks.
import type { Host, HostTimer } from "./host.ts";

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

/** A settled promise: its reactions run in a microtask. */
const settled: Promise<void> = Promise.resolve();
const NS_PER_MS = 1e6;
/** The longest delay that setTimeout takes, in milliseconds. */
const MAX_DELAY = 2 ** 31 - 1;
/** After this many rounds of deferred work, the next one waits for the platform's own events. */
const MAX_MICROTASKS = 1000;

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
	if (typeof setImmediate === "function") {
		setImmediate(fn);
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

/**
 * The real host. Deferred work runs as a microtask, so a wake-up takes effect before the next timer
 * or input of the platform; but endless work does not keep those from running. Timers never fire
 * early, and keep a Node process alive only while a thread sleeps.
 */
export class RealHost implements Host {
	/** The timers that are set, unordered. */
	protected readonly timers: RealTimer[] = [];
	private armed: { readonly at: number; readonly handle: PlatformTimer | number } | null = null;
	private refs = 0;
	private readonly work: ((() => void) | null)[] = [];
	/** How many pieces of work are due; below, how many of them are done. */
	private due = 0;
	private finished = 0;
	private scheduled = false;
	private microtasks = 0;

	/** Nanoseconds since an arbitrary moment, on the platform's monotonic clock. */
	now(): number {
		return performance.now() * NS_PER_MS;
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
		if (++this.microtasks < MAX_MICROTASKS) {
			// Like queueMicrotask, without the bookkeeping that Node adds to it.
			settled.then(this.runDeferred);
		} else {
			this.microtasks = 0;
			this.yield(this.runDeferred);
		}
	}

	/** See {@link Host.yield}. */
	yield(fn: () => void): void {
		platformTurn(fn);
	}

	/** Runs deferred work until there is none. */
	protected readonly runDeferred = (): void => {
		const { work } = this;
		// What is deferred meanwhile runs in the same round. Work that blocks runs the rest itself.
		while (this.finished < this.due) {
			const fn = work[this.finished] as () => void;
			work[this.finished++] = null;
			try {
				fn();
			} catch (error) {
				// The platform reports it, and the rest runs anyway.
				queueMicrotask(() => {
					throw error;
				});
			}
		}
		this.due = 0;
		this.finished = 0;
		this.scheduled = false;
	};

	/** The timer that is due first. */
	protected earliest(): RealTimer | undefined {
		return this.timers.reduce<RealTimer | undefined>(
			(first, timer) => (first === undefined || timer.at < first.at ? timer : first),
			undefined,
		);
	}

	private arm(): void {
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
		try {
			while (this.fireOne()) {
				if (this.scheduled) this.runDeferred();
			}
		} finally {
			this.arm();
		}
	};

	/** Fires the timer that is due first, if one is. */
	protected fireOne(): boolean {
		const timer = this.earliest();
		if (timer === undefined || timer.at > this.now()) return false;
		this.timers.splice(this.timers.indexOf(timer), 1);
		timer.fn();
		return true;
	}
}

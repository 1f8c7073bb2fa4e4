// All that the engine needs of its platform: the time, timers, deferred work, random numbers.

import type { Slice } from "./slice.ts";

/** A timer that a host has set. */
export interface HostTimer {
	/** When it is due, on the host's clock, in nanoseconds. */
	readonly at: number;
}

/**
 * Where a kernel runs. `RealHost` is for programs, `VirtualHost` (in `@kqpoll/kqueue/testing`) for
 * tests.
 */
export interface Host {
	/**
	 * How long work may go on before the platform has a turn. A host without one is not asked how
	 * much time has passed: there only calls that do not sleep, and woken threads, are counted.
	 */
	readonly slice?: Slice;
	/** Nanoseconds, on a clock that never goes backwards. */
	now(): number;
	/** Nanoseconds since 1970, on the wall clock, which may be set: the time of files and dates. */
	realtime(): number;
	/**
	 * Whether the wall clock is never set: it advances as `now` does. False by default: then a thread
	 * that waits for a time on it looks at it once a second.
	 */
	readonly steady?: boolean;
	/**
	 * Whether others set timers and defer work on the same clock, and see in which order all of it
	 * comes. Then a kernel sets a timer for each of its timeouts, and defers each piece of its work, and
	 * each event of a watch, for itself. By default it has one timer, and one task for all that is to run.
	 */
	readonly separate?: boolean;
	/**
	 * Calls `fn` once when the clock shows `at` or more; never earlier, and never before this
	 * returns.
	 */
	setTimer(at: number, fn: () => void): HostTimer;
	/** Removes a timer; one that has fired or was removed is ignored. */
	clearTimer(timer: HostTimer): void;
	/** Calls `fn` soon, in the order of these calls, never before this returns. */
	defer(fn: () => void): void;
	/** Calls `fn` after the platform's own timers and input had a chance to run. */
	yield(fn: () => void): void;
	/** 32 random bits, as an unsigned number. */
	random(): number;
	/** Keeps the program alive while timers are set, as a thread sleeps. Calls are counted. */
	ref(): void;
	/** Undoes one `ref`: without any, timers do not keep the program alive. */
	unref(): void;
}

/**
 * A host that a call can block on: `BlockingHost` in real time, `VirtualHost` in virtual time.
 * While it is driven nothing else of the program runs: no promise continues, and no callback of the
 * platform is called.
 */
export interface DrivableHost extends Host {
	/** Whether this thread of the platform may block: the main thread of a browser may not. */
	readonly mayBlock: boolean;
	/** Whether it is being driven. A drive inside another is not possible. */
	readonly driving: boolean;
	/**
	 * Runs what is due, and sleeps in between, until `done` returns true. Returns false when nothing
	 * more can happen: no work is left, no timer is set, and nothing is expected from outside.
	 */
	drive(done: () => boolean): boolean;
	/** Runs what is due, without sleeping; in virtual time, moves the clock to the next timer. */
	turn(): void;
}

/** Whether calls can block on a host. */
export function isDrivable(host: Host): host is DrivableHost {
	return typeof (host as Partial<DrivableHost>).drive === "function";
}

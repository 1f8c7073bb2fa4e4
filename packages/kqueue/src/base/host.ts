// The only way out of the engine: the time, timers, deferred work, randomness.

/** A timer that a host has set. */
export interface HostTimer {
	/** When it is due, on the host's clock, in nanoseconds. */
	readonly at: number;
}

/**
 * Where a kernel runs. `RealHost` is the one of programs, `VirtualHost` (in
 * `@kqpoll/kqueue/testing`) the one of tests.
 */
export interface Host {
	/** Nanoseconds on a clock that never goes back. */
	now(): number;
	/** Calls `fn` once when the clock shows `at` or more, never earlier, never at once. */
	setTimer(at: number, fn: () => void): HostTimer;
	/** Forgets a timer; one that is gone already is ignored. */
	clearTimer(timer: HostTimer): void;
	/** Calls `fn` soon, in the order of the calls, never at once. */
	defer(fn: () => void): void;
	/** Calls `fn` after the platform's own timers and input had a chance to run. */
	yield(fn: () => void): void;
	/** 32 random bits without sign. */
	random(): number;
	/** The program must stay alive for the timers: a thread sleeps. Calls are counted. */
	ref(): void;
	/** Takes one `ref` back: timers alone must not keep the program alive. */
	unref(): void;
}

/**
 * A host that a call can block on: `BlockingHost` in real time, `VirtualHost` in virtual time. While
 * it is driven nothing else of the program runs: no promise goes on, no callback of the platform.
 */
export interface DrivableHost extends Host {
	/** Whether this thread of the platform may block: the main thread of a browser may not. */
	readonly mayBlock: boolean;
	/** Whether it is being driven: that cannot nest. */
	readonly driving: boolean;
	/**
	 * Runs what is due, and sleeps in between, until `done` returns true. Returns false when nothing
	 * will ever happen: no work is left, no timer is set, and nothing is expected from outside.
	 */
	drive(done: () => boolean): boolean;
}

/** Whether calls can block on a host. */
export function isDrivable(host: Host): host is DrivableHost {
	return typeof (host as Partial<DrivableHost>).drive === "function";
}

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

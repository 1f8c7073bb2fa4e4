// @kqpoll/rxjs/testing: a host whose clock is that of a TestScheduler.
import type { Host, HostTimer } from "@kqpoll/kqueue/kernel";
import type { Subscription, VirtualTimeScheduler } from "rxjs";
import { checkFunction } from "./arguments.ts";

const NS_PER_MS = 1e6;

interface Scheduled extends HostTimer {
	readonly subscription: Subscription;
}

/**
 * A host whose time is that of a TestScheduler, or of any VirtualTimeScheduler: a frame is a
 * millisecond. What a machine on it does can be compared with marbles.
 *
 * Within a frame the order is the scheduler's own. A time-out of the machine, or work of a
 * `kernelScheduler`, has the place that an action of the scheduler would have, whatever else is
 * pending. A kevent comes in a turn of its own, after what is due in its frame already: where a
 * timer of RxJS and a `kernelTimer` are due together, that of RxJS emits first.
 */
export class TestSchedulerHost implements Host {
	private readonly scheduler: VirtualTimeScheduler;
	private state = 1;

	/** Takes the scheduler. Throws EFAULT for what is not one. */
	constructor(scheduler: VirtualTimeScheduler) {
		checkFunction(Object(scheduler).schedule, "the scheduler's schedule", "TestSchedulerHost");
		this.scheduler = scheduler;
	}

	/** True: what is under test sets timers of the scheduler too. */
	get separate(): boolean {
		return true;
	}

	/** True: nobody sets the clock. */
	get steady(): boolean {
		return true;
	}

	/** The scheduler's current frame, in nanoseconds. */
	now(): number {
		return this.scheduler.now() * NS_PER_MS;
	}

	/** The same: its wall clock begins in 1970. */
	realtime(): number {
		return this.now();
	}

	/** See Host. Parts of a millisecond are rounded up. */
	setTimer(at: number, fn: () => void): HostTimer {
		const delay = Math.max(0, Math.ceil((at - this.now()) / NS_PER_MS));
		const timer: Scheduled = { at, subscription: this.scheduler.schedule(fn, delay) };
		return timer;
	}

	/** See Host. */
	clearTimer(timer: HostTimer): void {
		(timer as Scheduled).subscription.unsubscribe();
	}

	/** Runs in the same frame, after everything that is already due in it. */
	defer(fn: () => void): void {
		this.scheduler.schedule(fn, 0);
	}

	/** The same as defer. */
	yield(fn: () => void): void {
		this.defer(fn);
	}

	/** 32 bits, the same in every run. */
	random(): number {
		this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
		return this.state;
	}

	/** Does nothing: virtual time keeps no program alive. */
	ref(): void {}

	/** Does nothing. */
	unref(): void {}
}

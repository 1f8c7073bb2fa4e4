// A scheduler of RxJS over the kernel's clock.
import type { Kernel } from "@kqpoll/kqueue";
import {
	attempt,
	keepAlive,
	letGo,
	rethrow,
	Timeout,
	timeoutAdd,
	timeoutDel,
} from "@kqpoll/kqueue/kernel";
import { type SchedulerAction, type SchedulerLike, Subscription } from "rxjs";

const NS_PER_MS = 1e6;
const NS_PER_US = 1000;
const US_PER_MS = 1000;

/** Work to do at a given time, perhaps repeatedly. */
class KernelAction<T> extends Subscription implements SchedulerAction<T> {
	private readonly kernel: Kernel;
	private readonly work: (this: SchedulerAction<T>, state?: T) => void;
	private readonly timeout: Timeout = new Timeout(() => this.run());
	private state: T | undefined;
	private pending = false;

	constructor(kernel: Kernel, work: (this: SchedulerAction<T>, state?: T) => void) {
		super();
		this.kernel = kernel;
		this.work = work;
		this.add(() => this.setPending(false));
	}

	schedule(state?: T, delay = 0): Subscription {
		if (this.closed) return this;
		this.state = state;
		// As with setTimeout, anything else than a time means at once.
		const ms = typeof delay === "number" && delay > 0 ? delay : 0;
		const at = this.kernel.host.now() + ms * NS_PER_MS;
		// Work for the end of all time is never done, and keeps nothing alive.
		this.setPending(at !== Number.POSITIVE_INFINITY);
		if (!this.pending) return this;
		timeoutAdd(this.kernel, this.timeout, at);
		return this;
	}

	/** Whether it is to run; if so it keeps the program alive. */
	private setPending(pending: boolean): void {
		const { kernel, timeout } = this;
		if (!pending) timeoutDel(kernel, timeout);
		if (this.pending === pending) return;
		this.pending = pending;
		if (pending) keepAlive(kernel);
		else letGo(kernel);
	}

	/** Work that throws is not repeated. */
	private run(): void {
		this.setPending(false);
		try {
			this.work(this.state);
		} catch (value) {
			rethrow(attempt({ value }, () => this.unsubscribe()));
		}
	}
}

/**
 * A scheduler that runs work by the kernel's clock. With it operators that use time, such as
 * `delay`, `debounceTime`, `timeout` and `interval`, go by the same clock as the machine's timers,
 * in virtual time too. Work never runs inside `schedule`.
 *
 * `now` is the wall clock of the host, in milliseconds since 1970 and parts of them: `Date.now()` on
 * a real host; on a virtual one its epoch and the time since it was made; with a TestScheduler the
 * frame. So dates work: `timer(date, scheduler)`, `delay(date, scheduler)`,
 * `timeout({ first: date, scheduler })`. As with RxJS's own schedulers, how long that is is computed
 * once: a wall clock that is set later changes nothing.
 */
export function kernelScheduler(kernel: Kernel): SchedulerLike {
	return {
		// As nanoseconds are not exact today, to the microsecond: whole milliseconds stay whole.
		now: () => Math.round(kernel.host.realtime() / NS_PER_US) / US_PER_MS,
		schedule<T>(
			work: (this: SchedulerAction<T>, state?: T) => void,
			delay = 0,
			state?: T,
		): Subscription {
			return new KernelAction(kernel, work).schedule(state as T, delay);
		},
	};
}

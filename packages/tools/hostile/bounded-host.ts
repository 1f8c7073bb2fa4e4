// A virtual host on which work without end is noticed.
import type { HostTimer } from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";

/** How much deferred work and how many timers one operation may cause. */
const WORK = 20_000;
/** As how much work it counts that a turn of the platform is asked for. */
const ROUND = 2000;
/** How many timers a call that blocks may let pass before it is given up. */
const PATIENCE = 300;

/** A virtual host that counts its work, and drops what an operation causes beyond a bound. */
export class BoundedHost extends VirtualHost {
	private worked = 0;
	private timersSet = 0;

	/** Begins to count for a new operation. */
	refill(): void {
		this.worked = 0;
	}

	/** How much work there was since {@link refill}. */
	get spent(): number {
		return this.worked;
	}

	/** Whether there was more work than an operation may cause. */
	get exceeded(): boolean {
		return this.worked > WORK;
	}

	override defer(fn: () => void): void {
		if (++this.worked <= WORK) super.defer(fn);
	}

	/** A turn of the platform is asked for after many items of a run queue, which are work. */
	override yield(fn: () => void): void {
		this.worked += ROUND;
		this.defer(fn);
	}

	override setTimer(at: number, fn: () => void): HostTimer {
		this.timersSet++;
		return ++this.worked <= WORK ? super.setTimer(at, fn) : { at };
	}

	/** Gives up for a call that only a timer without end keeps from being hopeless. */
	override drive(done: () => boolean): boolean {
		const last = this.timersSet + PATIENCE;
		return super.drive(() => done() || this.timersSet > last || this.exceeded) && done();
	}
}

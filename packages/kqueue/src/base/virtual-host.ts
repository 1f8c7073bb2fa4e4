// The host of tests: the test moves time, and everything happens in a defined order.
import type { DrivableHost, HostTimer } from "./host.ts";
import { platformTurn } from "./real-host.ts";

const NS_PER_MS = 1e6;

interface VirtualTimer extends HostTimer {
	readonly fn: () => void;
}

/** The options of a virtual host. */
export interface VirtualHostOptions {
	/** The seed of `random`. */
	readonly seed?: number;
	/** When the host is made on its wall clock, in milliseconds since 1970: 0 by default. */
	readonly epoch?: number;
	/**
	 * Waits until all promises that can continue have done so; called before time moves. By default
	 * it waits for one turn of the platform's event loop. A program that also waits for something
	 * outside the machine, a file for example, needs a function that waits for that.
	 */
	readonly idle?: () => Promise<void>;
}

/**
 * A host without a clock of its own. {@link VirtualHost.advance} moves time, and what is due then
 * happens in order of time, then in the order in which timers were set; after each timer all
 * deferred work runs, in its order. {@link VirtualHost.run} moves time for programs of promises,
 * until they end.
 */
export class VirtualHost implements DrivableHost {
	private time = 0;
	private readonly timers: VirtualTimer[] = [];
	/** Deferred work; below, how much of it is done. */
	private readonly work: ((() => void) | null)[] = [];
	private finished = 0;
	private state: number;
	private readonly epoch: number;
	private readonly idle: () => Promise<void>;

	/** Makes a host whose clock shows 0. */
	constructor(options: VirtualHostOptions = {}) {
		this.state = options.seed ?? 1;
		this.epoch = (options.epoch ?? 0) * NS_PER_MS;
		this.idle = options.idle ?? (() => new Promise((resolve) => platformTurn(resolve)));
	}

	/** Virtual nanoseconds since the host was made. */
	now(): number {
		return this.time;
	}

	/** Virtual nanoseconds since 1970: the epoch, and the time since the host was made. */
	realtime(): number {
		return this.epoch + this.time;
	}

	/** True: nobody sets the wall clock. */
	get steady(): boolean {
		return true;
	}

	/** 32 bits, as an unsigned number, from a generator that begins with the seed. */
	random(): number {
		this.state = (this.state + 0x6d2b79f5) | 0;
		let bits = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
		bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
		return (bits ^ (bits >>> 14)) >>> 0;
	}

	/** Calls `fn` when time has moved to `at`. */
	setTimer(at: number, fn: () => void): HostTimer {
		const timer: VirtualTimer = { at, fn };
		let index = this.timers.length;
		while (index > 0 && (this.timers[index - 1] as VirtualTimer).at > at) index--;
		this.timers.splice(index, 0, timer);
		return timer;
	}

	/** Removes a timer. */
	clearTimer(timer: HostTimer): void {
		const index = this.timers.indexOf(timer as VirtualTimer);
		if (index >= 0) this.timers.splice(index, 1);
	}

	/** Calls `fn` in the next `settle`. */
	defer(fn: () => void): void {
		this.work.push(fn);
	}

	/** As defer: there are no events of a platform to wait for. */
	yield(fn: () => void): void {
		this.defer(fn);
	}

	/** Does nothing: virtual time does not keep a program alive. */
	ref(): void {}

	/** Does nothing. */
	unref(): void {}

	/** Runs deferred work until there is none, and throws what it throws. */
	settle(): void {
		// Work that throws, or blocks, does not keep the rest from running.
		while (this.finished < this.work.length) {
			const fn = this.work[this.finished] as () => void;
			this.work[this.finished++] = null;
			fn();
		}
		this.work.length = 0;
		this.finished = 0;
	}

	private driven = false;

	/** Whether a call blocks on it. */
	get driving(): boolean {
		return this.driven;
	}

	/** Always true: virtual time does not block anything. */
	get mayBlock(): boolean {
		return true;
	}

	/**
	 * See {@link DrivableHost.drive}: moves time to the next timer whenever no work is left. The next
	 * `settle` throws what work has thrown.
	 */
	drive(done: () => boolean): boolean {
		const failures: unknown[] = [];
		const guarded = (act: () => void): void => {
			try {
				act();
			} catch (error) {
				failures.push(error);
			}
		};
		let isDone = false;
		this.driven = true;
		for (;;) {
			while (this.isBusy) guarded(() => this.settle());
			isDone = done();
			if (isDone || this.timers.length === 0) break;
			guarded(() => this.expire());
		}
		this.driven = false;
		for (const error of failures) {
			this.defer(() => {
				throw error;
			});
		}
		return isDone;
	}

	/**
	 * See {@link DrivableHost.turn}. A program that only makes calls which do not sleep takes no virtual
	 * time: now and then this lets some pass.
	 */
	turn(): void {
		let rounds = 0;
		this.drive(() => rounds++ > 0);
	}

	private get isBusy(): boolean {
		return this.finished < this.work.length;
	}

	/** Lets this many milliseconds pass, and runs all that is due in them. */
	advance(ms: number): void {
		if (!(ms >= 0)) throw new RangeError(`time cannot move by ${ms} ms`);
		const end = this.time + ms * NS_PER_MS;
		this.settle();
		while ((this.timers[0]?.at ?? Number.POSITIVE_INFINITY) <= end) this.expire();
		// A timer may have blocked, and let more time pass.
		this.time = Math.max(this.time, end);
	}

	/**
	 * Lets a program of promises run to its end, and returns its result. Whenever no part of it can
	 * continue, time moves to the next timer. Throws if the program can never end: all of it waits,
	 * and no timer is set.
	 */
	async run<T>(program: () => Promise<T>): Promise<T> {
		let settled = false;
		const result = program().finally(() => {
			settled = true;
		});
		// The caller of run gets the rejection; until then it does not count as unhandled.
		result.catch(() => {});
		for (;;) {
			this.settle();
			await this.idle();
			if (settled) return result;
			if (this.isBusy) continue;
			if (this.timers.length === 0)
				throw new Error("the program can never end: everybody waits and no timer is set");
			this.expire();
		}
	}

	private expire(): void {
		const timer = this.timers.shift();
		if (timer === undefined) return;
		this.time = Math.max(this.time, timer.at);
		timer.fn();
		this.settle();
	}
}

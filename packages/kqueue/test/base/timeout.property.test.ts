// Timeouts, the run queue and the virtual host against sorted arrays.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Runnable, RunQueue } from "../../src/base/run-queue.ts";
import { SeparateRunQueue, SeparateTimeouts } from "../../src/base/separate.ts";
import { CountedSlice } from "../../src/base/slice.ts";
import { TimeoutQueue } from "../../src/base/timeout.ts";
import { type HostTimer, Timeout } from "../../src/kernel.ts";
import { VirtualHost } from "../../src/testing.ts";

const NS_PER_MS = 1e6;
const COUNT = 6;

const aNumber = fc.nat(COUNT - 1);
/** Few moments, so that many things are due at the same time; some are in the past. */
const aDelay = fc.integer({ min: -2, max: 6 });

/** What is done to a queue of timeouts, also by a timeout that is called. */
type Arming = { do: "add"; who: number; delay: number } | { do: "delete"; who: number };

const anArming: fc.Arbitrary<Arming> = fc.oneof(
	fc.record({ do: fc.constant("add" as const), who: aNumber, delay: aDelay }),
	fc.record({ do: fc.constant("delete" as const), who: aNumber }),
);

type TimeoutStep = Arming | { do: "advance"; ms: number };

/** A host that knows which of its timers are set. */
class CountingHost extends VirtualHost {
	readonly set: Set<HostTimer> = new Set();

	override setTimer(at: number, fn: () => void): HostTimer {
		const timer = super.setTimer(at, () => {
			this.set.delete(timer);
			fn();
		});
		this.set.add(timer);
		return timer;
	}

	override clearTimer(timer: HostTimer): void {
		this.set.delete(timer);
		super.clearTimer(timer);
	}
}

/** Timeouts, and for comparison an array of those that are pending, in order of arming. */
class Timeouts {
	private readonly host: CountingHost = new CountingHost();
	private readonly queue: TimeoutQueue;
	/** Whether each has a timer of its own. */
	private readonly separate: boolean;
	private readonly timeouts: Timeout[] = [];
	private pending: { who: number; at: number }[] = [];
	/** What the calls do: each takes the next list. */
	private readonly deeds: Arming[][];
	private time = 0;
	/** The end of the current advance. */
	private end = 0;

	constructor(deeds: readonly Arming[][], separate: boolean) {
		this.deeds = [...deeds];
		this.separate = separate;
		this.queue = new (separate ? SeparateTimeouts : TimeoutQueue)(this.host);
		for (let who = 0; who < COUNT; who++)
			this.timeouts.push(new Timeout((_owner, at) => this.called(who, at)));
	}

	arm(step: Arming): void {
		const { who } = step;
		const timeout = this.timeouts[who] as Timeout;
		this.pending = this.pending.filter((it) => it.who !== who);
		if (step.do === "add") {
			const at = this.time + step.delay * NS_PER_MS;
			this.queue.add(timeout, at);
			this.pending.push({ who, at });
		} else {
			this.queue.delete(timeout);
		}
		this.check();
	}

	advance(ms: number): void {
		this.end = this.time + ms * NS_PER_MS;
		this.host.advance(ms);
		this.time = this.end;
		assert.is(this.host.now(), this.time, "the time");
		assert.is(this.next()?.who, undefined, "no timeout is overdue");
		this.check();
	}

	/** The first that is due before the end, in order of time, then of arming. */
	private next(): { who: number; at: number } | undefined {
		const due = this.pending.filter(({ at }) => at <= this.end);
		return due.sort((a, b) => a.at - b.at)[0];
	}

	private called(who: number, at: number): void {
		const next = this.next();
		assert.is(who, next?.who, "whose turn it is");
		this.time = Math.max(this.time, next?.at ?? 0);
		assert.is(this.host.now(), this.time, "neither before its time nor after it");
		assert.is(at, next?.at, "when it was due");
		this.pending = this.pending.filter((it) => it !== next);
		this.check();
		for (const deed of this.deeds.shift() ?? []) this.arm(deed);
	}

	private check(): void {
		assert.is(this.queue.size, this.pending.length, "how many are pending");
		const timers = this.separate ? this.pending.length : Math.min(1, this.pending.length);
		assert.is(this.host.set.size, timers, "how many timers the host has");
		for (const [who, { index }] of this.timeouts.entries()) {
			const expected = this.pending.some((it) => it.who === who);
			assert.is(index >= 0, expected, `whether timeout ${who} is pending`);
		}
	}
}

test("timeouts are called in order of time, then of arming, also when some are moved or deleted", () => {
	const aStep: fc.Arbitrary<TimeoutStep> = fc.oneof(
		{ weight: 3, arbitrary: anArming },
		{ weight: 1, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.nat(4) }) },
	);
	const steps = fc.array(aStep, { size: "+1", maxLength: 50 });
	const deeds = fc.array(fc.array(anArming, { maxLength: 3 }), { maxLength: 10 });
	fc.assert(
		fc.property(steps, deeds, fc.boolean(), (steps, deeds, separate) => {
			const timeouts = new Timeouts(deeds, separate);
			for (const step of steps) {
				if (step.do === "advance") timeouts.advance(step.ms);
				else timeouts.arm(step);
			}
			timeouts.advance(1000);
		}),
		{ numRuns: 2000, includeErrorInReport: true },
	);
});

test("a heap of many timeouts returns them sorted", () => {
	const moments = fc.array(fc.nat(50), { size: "max", maxLength: 300 });
	const deleted = fc.array(fc.nat(299), { maxLength: 100 });
	fc.assert(
		fc.property(moments, deleted, (moments, deleted) => {
			const host = new VirtualHost();
			const queue = new TimeoutQueue(host);
			const called: number[] = [];
			const timeouts = moments.map((_, who) => new Timeout(() => called.push(who)));
			for (const [who, to] of timeouts.entries()) queue.add(to, moments[who] as number);
			const expected = new Set(timeouts.keys());
			for (const who of deleted) {
				const to = timeouts[who];
				if (to !== undefined) queue.delete(to);
				expected.delete(who);
			}
			host.advance(1);
			const at = (who: number): number => moments[who] as number;
			assert.equal(
				called,
				[...expected].sort((a, b) => at(a) - at(b)),
			);
		}),
		{ numRuns: 100, includeErrorInReport: true },
	);
});

/** What is done to a run queue, also by what it runs. */
type Queueing = { do: "add" | "remove"; who: number } | { do: "throw" };
type RunStep = Queueing | { do: "settle" };

class Item implements Runnable {
	queued = false;
	runnext: Runnable | null = null;
	runprev: Runnable | null = null;
	readonly run: () => void;

	constructor(run: () => void) {
		this.run = run;
	}
}

/** A run queue, and for comparison an array of what is in it. */
class Runners {
	private readonly host: VirtualHost = new VirtualHost();
	private readonly queue: RunQueue;
	private readonly items: Runnable[] = [];
	private row: number[] = [];
	private readonly thrown: unknown[] = [];
	private readonly deeds: Queueing[][];

	constructor(deeds: readonly Queueing[][], separate: boolean) {
		this.deeds = [...deeds];
		this.queue = new (separate ? SeparateRunQueue : RunQueue)(this.host, new CountedSlice());
		for (let who = 0; who < COUNT; who++) {
			this.items.push(new Item(() => this.run(who)));
		}
	}

	act(step: Queueing): void {
		if (step.do === "throw") {
			const error = new Error("thrown by what runs");
			this.thrown.push(error);
			throw error;
		}
		const item = this.items[step.who] as Runnable;
		if (step.do === "add") {
			this.queue.add(item);
			if (!this.row.includes(step.who)) this.row.push(step.who);
		} else {
			this.queue.remove(item);
			this.row = this.row.filter((who) => who !== step.who);
		}
		this.check();
	}

	/** Lets everything run; the errors are thrown afterwards, one by one. */
	settle(): void {
		const caught: unknown[] = [];
		for (let done = false; !done; ) {
			try {
				this.host.settle();
				done = true;
			} catch (error) {
				if (!this.thrown.includes(error)) throw error;
				caught.push(error);
			}
		}
		assert.is(caught.length, this.thrown.length, "how many errors were thrown");
		for (const [i, error] of this.thrown.entries()) assert.is(caught[i], error, "which error");
		this.thrown.length = 0;
		assert.equal(this.row, [], "nothing is left");
		this.check();
	}

	private run(who: number): void {
		assert.is(who, this.row.shift(), "whose turn it is");
		this.check();
		for (const deed of this.deeds.shift() ?? []) this.act(deed);
	}

	private check(): void {
		const queued = [...this.items.keys()].filter((who) => this.items[who]?.queued);
		assert.equal(queued, [...this.row].sort(), "what is queued");
	}
}

test("the run queue runs in the order of queueing, without those that were removed", () => {
	const aQueueing: fc.Arbitrary<Queueing> = fc.record({
		do: fc.constantFrom("add", "add", "remove"),
		who: aNumber,
	});
	const aDeed = fc.oneof(
		{ weight: 8, arbitrary: aQueueing },
		{ weight: 1, arbitrary: fc.constant<Queueing>({ do: "throw" }) },
	);
	const aStep: fc.Arbitrary<RunStep> = fc.oneof(
		{ weight: 4, arbitrary: aQueueing },
		{ weight: 1, arbitrary: fc.constant({ do: "settle" as const }) },
	);
	const steps = fc.array(aStep, { size: "+1", maxLength: 40 });
	const deeds = fc.array(fc.array(aDeed, { maxLength: 4 }), { maxLength: 15 });
	fc.assert(
		fc.property(steps, deeds, fc.boolean(), (steps, deeds, separate) => {
			const runners = new Runners(deeds, separate);
			for (const step of steps) {
				if (step.do === "settle") runners.settle();
				else runners.act(step);
			}
			runners.settle();
		}),
		{ numRuns: 2000, includeErrorInReport: true },
	);
});

/** What is done to a host, also by its timers and deferred work. */
type Hosting = { do: "timer"; delay: number } | { do: "clear"; which: number } | { do: "defer" };
type HostStep = Hosting | { do: "settle" } | { do: "advance"; ms: number };

interface Expected {
	readonly name: number;
	readonly at: number;
	readonly timer: HostTimer;
}

/** A virtual host, and for comparison arrays of its timers and its work. */
class Hosted {
	private readonly host: VirtualHost = new VirtualHost();
	private readonly deeds: Hosting[][];
	private timers: Expected[] = [];
	/** All timers that were ever set: those that are gone can be cleared too. */
	private readonly known: HostTimer[] = [];
	private readonly work: number[] = [];
	private names = 0;
	private time = 0;
	private end = 0;

	constructor(deeds: readonly Hosting[][]) {
		this.deeds = [...deeds];
	}

	act(step: Hosting): void {
		const name = this.names++;
		if (step.do === "defer") {
			this.host.defer(() => this.worked(name));
			this.work.push(name);
		} else if (step.do === "timer") {
			const at = this.time + step.delay * NS_PER_MS;
			const timer = this.host.setTimer(at, () => this.expired(name));
			assert.is(timer.at, at, "when the timer is due");
			this.timers.push({ name, at, timer });
			this.known.push(timer);
		} else {
			const timer = this.known[step.which];
			if (timer === undefined) return;
			this.host.clearTimer(timer);
			this.timers = this.timers.filter((it) => it.timer !== timer);
		}
	}

	settle(): void {
		this.host.settle();
		assert.equal(this.work, [], "all work is done");
	}

	advance(ms: number): void {
		this.end = this.time + ms * NS_PER_MS;
		this.host.advance(ms);
		assert.equal(this.work, [], "all work is done");
		assert.is(this.next()?.name, undefined, "nothing is overdue");
		this.time = this.end;
		assert.is(this.host.now(), this.time, "the time");
	}

	private next(): Expected | undefined {
		return this.timers.filter(({ at }) => at <= this.end).sort((a, b) => a.at - b.at)[0];
	}

	private expired(name: number): void {
		const next = this.next();
		assert.is(name, next?.name, "whose time it is");
		assert.equal(this.work, [], "work is done before time moves");
		this.timers = this.timers.filter((it) => it !== next);
		this.time = Math.max(this.time, next?.at ?? 0);
		this.happened();
	}

	private worked(name: number): void {
		assert.is(name, this.work.shift(), "whose turn it is");
		this.happened();
	}

	private happened(): void {
		assert.is(this.host.now(), this.time, "the time");
		for (const deed of this.deeds.shift() ?? []) this.act(deed);
	}
}

test("a virtual host expires timers in order, and does all work before the next", () => {
	const anAct: fc.Arbitrary<Hosting> = fc.oneof(
		fc.record({ do: fc.constant("timer" as const), delay: aDelay }),
		fc.record({ do: fc.constant("clear" as const), which: fc.nat(10) }),
		fc.constant({ do: "defer" as const }),
	);
	const aStep: fc.Arbitrary<HostStep> = fc.oneof(
		{ weight: 4, arbitrary: anAct },
		{ weight: 1, arbitrary: fc.constant({ do: "settle" as const }) },
		{ weight: 1, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.nat(4) }) },
	);
	const steps = fc.array(aStep, { size: "+1", maxLength: 40 });
	const deeds = fc.array(fc.array(anAct, { maxLength: 4 }), { maxLength: 15 });
	fc.assert(
		fc.property(steps, deeds, (steps, deeds) => {
			const hosted = new Hosted(deeds);
			for (const step of steps) {
				if (step.do === "settle") hosted.settle();
				else if (step.do === "advance") hosted.advance(step.ms);
				else hosted.act(step);
			}
			hosted.advance(1000);
		}),
		{ numRuns: 2000, includeErrorInReport: true },
	);
});

test("programs of promises go on in order of the times until which they sleep", async () => {
	const naps = fc.array(fc.array(fc.nat(4), { maxLength: 4 }), { maxLength: 5 });
	await fc.assert(
		fc.asyncProperty(naps, async (naps) => {
			const host = new VirtualHost();
			const woken: number[] = [];
			const nap = (ms: number): Promise<void> =>
				new Promise((resolve) => host.setTimer(host.now() + ms * NS_PER_MS, resolve));
			const program = async (own: readonly number[]): Promise<number> => {
				for (const ms of own) {
					await nap(ms);
					woken.push(host.now() / NS_PER_MS);
				}
				return sumOf(own);
			};
			const sums = await host.run(() => Promise.all(naps.map(program)));
			const times = naps.flatMap((own) => own.map((_, i) => sumOf(own.slice(0, i + 1))));
			assert.equal(
				woken,
				times.sort((a, b) => a - b),
				"when they woke up",
			);
			assert.equal(sums, naps.map(sumOf), "what they returned");
			assert.is(host.now(), Math.max(0, ...sums) * NS_PER_MS, "the time at the end");
		}),
		{ numRuns: 200, includeErrorInReport: true },
	);
});

function sumOf(numbers: readonly number[]): number {
	return numbers.reduce((sum, each) => sum + each, 0);
}

test("a virtual host's random numbers depend on its seed, and have 32 bits without sign", () => {
	fc.assert(
		fc.property(fc.integer(), (seed) => {
			const first = new VirtualHost({ seed });
			const second = new VirtualHost({ seed });
			for (let i = 0; i < 20; i++) {
				const number = first.random();
				assert.is(second.random(), number);
				assert.is(number >>> 0, number);
			}
		}),
	);
});

test.run();

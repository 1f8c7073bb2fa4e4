// Timeouts, the run queue and the virtual host against sorted arrays.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { HostTimer } from "../src/index.ts";
import { Timeout } from "../src/kernel.ts";
import { type Runnable, RunQueue } from "../src/run-queue.ts";
import { VirtualHost } from "../src/testing.ts";
import { TimeoutQueue } from "../src/timeout.ts";

const NS_PER_MS = 1e6;
const COUNT = 6;

const aNumber = fc.nat(COUNT - 1);
/** Few moments, so that many things are due at the same one; some are over already. */
const aDelay = fc.integer({ min: -2, max: 6 });

/** What is done to a queue of timeouts, also by a timeout that is called. */
type Arming = { do: "add"; who: number; delay: number } | { do: "delete"; who: number };

const anArming: fc.Arbitrary<Arming> = fc.oneof(
	fc.record({ do: fc.constant("add" as const), who: aNumber, delay: aDelay }),
	fc.record({ do: fc.constant("delete" as const), who: aNumber }),
);

type TimeoutStep = Arming | { do: "advance"; ms: number };

/** Timeouts, and beside them an array of what is pending, in order of arming. */
class Timeouts {
	private readonly host: VirtualHost = new VirtualHost();
	private readonly queue: TimeoutQueue = new TimeoutQueue(this.host);
	private readonly timeouts: Timeout[] = [];
	private pending: { who: number; at: number }[] = [];
	/** What the calls do: each takes the next list. */
	private readonly deeds: Arming[][];
	/** The end of the advance that is under way. */
	private end = 0;

	constructor(deeds: readonly Arming[][]) {
		this.deeds = [...deeds];
		for (let who = 0; who < COUNT; who++) this.timeouts.push(new Timeout(() => this.called(who)));
	}

	arm(step: Arming): void {
		const { who } = step;
		const timeout = this.timeouts[who] as Timeout;
		this.pending = this.pending.filter((it) => it.who !== who);
		if (step.do === "add") {
			const at = this.host.now() + step.delay * NS_PER_MS;
			this.queue.add(timeout, at);
			this.pending.push({ who, at });
		} else {
			this.queue.delete(timeout);
		}
		this.check();
	}

	advance(ms: number): void {
		this.end = this.host.now() + ms * NS_PER_MS;
		this.host.advance(ms);
		assert.is(this.host.now(), this.end, "the time");
		assert.is(this.next()?.who, undefined, "nobody is overdue");
		this.check();
	}

	/** The first that is due until the end, in order of time, then of arming. */
	private next(): { who: number; at: number } | undefined {
		const due = this.pending.filter(({ at }) => at <= this.end);
		return due.sort((a, b) => a.at - b.at)[0];
	}

	private called(who: number): void {
		const next = this.next();
		assert.is(who, next?.who, "whose turn it is");
		assert.ok(this.host.now() >= (next?.at ?? 0), "not before its time");
		assert.is((this.timeouts[who] as Timeout).at, next?.at, "when it was due");
		this.pending = this.pending.filter((it) => it !== next);
		this.check();
		for (const deed of this.deeds.shift() ?? []) this.arm(deed);
	}

	private check(): void {
		assert.is(this.queue.size, this.pending.length, "how many are pending");
		for (const [who, { index }] of this.timeouts.entries()) {
			const expected = this.pending.some((it) => it.who === who);
			assert.is(index >= 0, expected, `whether timeout ${who} is pending`);
		}
	}
}

test("timeouts are called in order of time, then of arming, whatever is moved or deleted", () => {
	const aStep: fc.Arbitrary<TimeoutStep> = fc.oneof(
		{ weight: 3, arbitrary: anArming },
		{ weight: 1, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.nat(4) }) },
	);
	const steps = fc.array(aStep, { size: "+1", maxLength: 50 });
	const deeds = fc.array(fc.array(anArming, { maxLength: 3 }), { maxLength: 10 });
	fc.assert(
		fc.property(steps, deeds, (steps, deeds) => {
			const timeouts = new Timeouts(deeds);
			for (const step of steps) {
				if (step.do === "advance") timeouts.advance(step.ms);
				else timeouts.arm(step);
			}
			timeouts.advance(1000);
		}),
		{ numRuns: 2000 },
	);
});

test("a heap of many timeouts gives them back sorted", () => {
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
		{ numRuns: 100 },
	);
});

/** What is done to a run queue, also by what it runs. */
type Queueing = { do: "add" | "remove"; who: number } | { do: "throw" };
type RunStep = Queueing | { do: "settle" };

/** A run queue, and beside it an array of who stands in it. */
class Runners {
	private readonly host: VirtualHost = new VirtualHost();
	private readonly queue: RunQueue = new RunQueue(this.host);
	private readonly items: Runnable[] = [];
	private row: number[] = [];
	private readonly ran: number[] = [];
	private readonly thrown: Error[] = [];
	private readonly deeds: Queueing[][];

	constructor(deeds: readonly Queueing[][]) {
		this.deeds = [...deeds];
		for (let who = 0; who < COUNT; who++) {
			this.items.push({ queued: false, runnext: null, run: () => this.run(who) });
		}
	}

	/** Gives what is to be thrown, if anything. */
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

	/** Lets everything run; what was thrown comes out afterwards, one by one. */
	settle(): void {
		const caught: unknown[] = [];
		for (let done = false; !done; ) {
			try {
				this.host.settle();
				done = true;
			} catch (error) {
				caught.push(error);
			}
		}
		assert.equal(this.row, [], "nobody is left");
		assert.is(caught.length, this.thrown.length, "how many errors came out");
		for (const [i, error] of this.thrown.entries()) assert.is(caught[i], error, "which error");
		this.thrown.length = 0;
		this.check();
	}

	private run(who: number): void {
		this.ran.push(who);
		const expected = this.row.shift();
		const wrong = expected === who ? null : new Error(`${who} ran instead of ${expected}`);
		if (wrong !== null) this.row.unshift(-1);
		this.check();
		for (const deed of this.deeds.shift() ?? []) this.act(deed);
	}

	private check(): void {
		const queued = [...this.items.keys()].filter((who) => this.items[who]?.queued);
		assert.equal(queued, [...this.row].sort(), "who is queued");
	}
}

// The clocks of poll_oneoff: never early, to the nanosecond, and a wall clock that is set meanwhile.
import { Kernel, type Thread } from "@kqpoll/kqueue";
import { callAsync, callEither, callSync, type HostTimer } from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pollSubscriptions, pollSubscriptionsNow } from "../src/index.ts";
import {
	CLOCKID_MONOTONIC,
	CLOCKID_REALTIME,
	EVENTTYPE_CLOCK,
	SUBSCRIPTION_CLOCK_ABSTIME,
	SubscriptionSet,
	subscriptionsCall,
} from "../src/kernel.ts";
import { after, nsOfWords } from "../src/subscription-clocks.ts";

const NOVEMBER = Date.UTC(2026, 10, 1);
const MAX = 2n ** 64n - 1n;

/** A host whose wall clock is set by the test, and that counts its timers. */
class SettableHost extends VirtualHost {
	/** How far the wall clock was set forward, in nanoseconds. */
	ahead = 0;
	armed = 0;

	override get steady(): boolean {
		return false;
	}

	override realtime(): number {
		return super.realtime() + this.ahead;
	}

	override setTimer(at: number, fn: () => void): HostTimer {
		this.armed++;
		return super.setTimer(at, fn);
	}
}

interface World<H extends VirtualHost> {
	readonly host: H;
	readonly thread: Thread;
}

function world(): World<VirtualHost> {
	const host = new VirtualHost({ epoch: NOVEMBER });
	return { host, thread: new Kernel({ host, diagnostics: true }).spawn().main };
}

function settable(): World<SettableHost> {
	const host = new SettableHost({ epoch: NOVEMBER });
	return { host, thread: new Kernel({ host, diagnostics: true }).spawn().main };
}

/** A clock, with its 64 bits. */
type Clock = readonly [id: number, timeout: bigint, absolute?: boolean];

function clocks(...list: readonly Clock[]): SubscriptionSet {
	const set = new SubscriptionSet();
	set.reserve(list.length);
	for (const [i, [id, timeout, absolute = false]] of list.entries()) {
		set.type[i] = EVENTTYPE_CLOCK;
		set.ident[i] = id;
		set.flags[i] = absolute ? SUBSCRIPTION_CLOCK_ABSTIME : 0;
		set.timeout[2 * i] = Number(timeout & 0xffffffffn);
		set.timeout[2 * i + 1] = Number(timeout >> 32n);
	}
	return set;
}

/** Which clocks of a set had an event. */
function dueOf(set: SubscriptionSet): number[] {
	return [...set.events.subarray(0, set.nevents)];
}

/** Waits for clocks, blocking; returns which are due, and after how many nanoseconds. */
function wait({ host, thread }: World<VirtualHost>, ...list: readonly Clock[]): [number[], number] {
	const set = clocks(...list);
	const began = host.now();
	callSync(thread, "poll_oneoff", null, subscriptionsCall, set);
	return [dueOf(set), host.now() - began];
}

const ids = [CLOCKID_REALTIME, CLOCKID_MONOTONIC];

test("a relative clock is due after its time, to the nanosecond, on either clock", () => {
	const w = world();
	for (const id of ids) {
		for (const ns of [1n, 500_000n, 50_000_000n, 3_600_000_000_123n]) {
			assert.equal(wait(w, [id, ns]), [[0], Number(ns)]);
		}
	}
});

test("an absolute clock is due at its time, and one in the past at once", () => {
	const w = world();
	w.host.advance(5);
	assert.equal(wait(w, [CLOCKID_MONOTONIC, 7_000_001n, true]), [[0], 2_000_001]);
	for (const past of [0n, 1n, 7_000_000n, 7_000_001n])
		assert.equal(wait(w, [CLOCKID_MONOTONIC, past, true]), [[0], 0]);
	const wall = BigInt(NOVEMBER) * 1_000_000n + 7_000_001n;
	const [due, took] = wait(w, [CLOCKID_REALTIME, wall + 40_000_000n, true]);
	assert.equal(due, [0]);
	assert.ok(w.host.realtime() >= Number(wall + 40_000_000n));
	assert.ok(took >= 40e6 - 256 && took < 40e6 + 1024, `${took}`);
	assert.equal(wait(w, [CLOCKID_REALTIME, wall, true])[1], 0);
	assert.equal(wait(w, [CLOCKID_REALTIME, 0n, true])[1], 0);
});

test("of several clocks all that are due have an event, in their order", () => {
	const w = world();
	const list: Clock[] = [
		[CLOCKID_MONOTONIC, 80_000_000n],
		[CLOCKID_REALTIME, 50_000_000n],
		[CLOCKID_MONOTONIC, 50_000_000n, true],
		[CLOCKID_MONOTONIC, 90_000_000n],
		[CLOCKID_MONOTONIC, 50_000_000n],
	];
	assert.equal(wait(w, ...list), [[1, 2, 4], 50_000_000]);
	// The third is in the past now.
	assert.equal(wait(w, ...list), [[2], 0]);
});

test("all bits set are forever, relative or absolute, and one less is a time", () => {
	const w = world();
	for (const id of ids) {
		for (const absolute of [false, true]) {
			const list: Clock[] = [
				[id, MAX, absolute],
				[CLOCKID_MONOTONIC, 1n],
			];
			assert.equal(wait(w, ...list), [[1], 1]);
			assert.throws(() => wait(w, [id, MAX, absolute]), /EDEADLK.*forever/);
		}
	}
	assert.equal(wait(w, [CLOCKID_MONOTONIC, MAX - 1n, true])[0], [0]);
	assert.ok(w.host.now() >= 2 ** 64 - 4096);
	// Centuries later nothing is early either.
	const [due, took] = wait(w, [CLOCKID_MONOTONIC, 5_000n]);
	assert.equal(due, [0]);
	assert.ok(took >= 5000);
});

test("a call that does not sleep tells which clocks are due and waits for none", () => {
	const { host, thread } = world();
	host.advance(10);
	const events = pollSubscriptionsNow(thread, [
		{ type: "clock", timeout: 1 },
		{ type: "clock", timeout: 0 },
		{ type: "clock", timeout: 10e6, absolute: true },
		{ type: "clock", timeout: 10e6 + 1, absolute: true },
		{ type: "clock", timeout: BigInt(NOVEMBER) * 1_000_000n, absolute: true, clock: "realtime" },
	]);
	assert.equal(
		events.map(({ index }) => index),
		[1, 2, 4],
	);
	assert.equal(pollSubscriptionsNow(thread, [{ type: "clock", timeout: 1 }]), []);
});

test("fractions of a nanosecond, Infinity and bigints are timeouts, too", async () => {
	const { host, thread } = world();
	const waiting = pollSubscriptions(thread, [
		{ type: "clock", timeout: Number.POSITIVE_INFINITY },
		{ type: "clock", timeout: 0.5 },
		{ type: "clock", timeout: 2n },
		{ type: "clock", timeout: 2 ** 70 },
	]);
	host.advance(0.000001);
	assert.equal(
		(await waiting).map(({ index }) => index),
		[1],
	);
});

test("a wall clock that is set back makes the sleeper sleep on, and one set forward wakes it", async () => {
	const at = (BigInt(NOVEMBER) + 10_000n) * 1_000_000n;
	const late = settable();
	const set = clocks([CLOCKID_REALTIME, at, true]);
	const waiting = callAsync(late.thread, "poll_oneoff", null, subscriptionsCall, set);
	late.host.advance(9000);
	late.host.ahead = -3000e6;
	late.host.advance(3999);
	assert.is(late.thread.state, "asleep");
	late.host.advance(1001);
	assert.is(await waiting, 1);
	assert.ok(late.host.realtime() >= Number(at));

	const soon = settable();
	const again = callAsync(soon.thread, "poll_oneoff", null, subscriptionsCall, set);
	soon.host.advance(3000);
	assert.is(soon.thread.state, "asleep");
	soon.host.ahead = 3600e9;
	// It looks at the clock once a second.
	soon.host.advance(1000);
	assert.is(await again, 1);
});

test("how long a relative clock takes does not depend on a wall clock that is set", async () => {
	const { host, thread } = settable();
	const set = clocks([CLOCKID_REALTIME, 5_000_000_000n]);
	for (const ahead of [3600e9, -3600e9]) {
		const waiting = callAsync(thread, "poll_oneoff", null, subscriptionsCall, set);
		host.ahead = ahead;
		host.advance(4999);
		assert.is(thread.state, "asleep");
		host.advance(1);
		assert.is(await waiting, 1);
	}
});

test("only a wall clock that can be set is looked at meanwhile", async () => {
	const { host, thread } = settable();
	const hour = 3_600_000_000_000n;
	const timersOf = async (steady: boolean, absolute: boolean): Promise<number> => {
		Object.defineProperty(host, "steady", { value: steady, configurable: true });
		const time = absolute ? BigInt(host.realtime()) + hour : hour;
		const set = clocks([CLOCKID_REALTIME, time, absolute]);
		host.armed = 0;
		const waiting = callAsync(thread, "poll_oneoff", null, subscriptionsCall, set);
		host.advance(3600e3);
		await waiting;
		return host.armed;
	};
	assert.is(await timersOf(true, true), 1);
	assert.is(await timersOf(false, true), 3600);
	assert.is(await timersOf(false, false), 1);
});

/** A host whose time goes on whenever it is looked at, as that of a busy machine. */
class BusyHost extends VirtualHost {
	looks = 0;

	override now(): number {
		return super.now() + this.looks++;
	}
}

test("a clock that becomes due while the call looks for events has its event", () => {
	for (let ns = 1; ns < 12; ns++) {
		const host = new BusyHost();
		const { main } = new Kernel({ host }).spawn();
		const set = clocks([CLOCKID_MONOTONIC, BigInt(ns)]);
		const result = callEither(main, "poll_oneoff", null, subscriptionsCall, set);
		if (typeof result === "number") assert.equal([result, dueOf(set)], [1, [0]], `${ns}`);
	}
});

const word = fc.oneof(
	fc.nat({ max: 0xffffffff }),
	fc.constantFrom(0, 1, 0xffffffff, 0xfffffffe, 0x80000000, 0x1fffff, 0x200000, 0x3fffff),
);

test("64 bits become the same number, or the next larger one that there is", () => {
	fc.assert(
		fc.property(word, word, (low, high) => {
			const exact = (BigInt(high) << 32n) + BigInt(low);
			const ns = nsOfWords(low, high);
			if (exact === MAX) return ns === Number.POSITIVE_INFINITY;
			if (BigInt(ns) === exact) return true;
			// The one before is too small.
			return BigInt(ns) > exact && BigInt(ns * (1 - Number.EPSILON / 2)) < exact;
		}),
		{ numRuns: 5000 },
	);
});

test("a time later than another is never early, whatever is rounded", () => {
	const moment = fc.oneof(
		fc.double({ min: 0, max: 1e17, noNaN: true }),
		fc.double({ min: 0, max: 1000, noNaN: true }),
		fc.constantFrom(2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 0.1, 1e6 + 0.5),
	);
	fc.assert(
		fc.property(moment, word, word, (now, low, high) => {
			const ns = nsOfWords(low, high % 0x1000000);
			const at = after(now, ns);
			// Compared as a guest would, which sees whole nanoseconds.
			return BigInt(Math.floor(at)) - BigInt(Math.floor(now)) >= BigInt(ns);
		}),
		{ numRuns: 5000 },
	);
});

test.run();

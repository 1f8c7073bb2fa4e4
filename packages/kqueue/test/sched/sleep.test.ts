// Sleeping: which threads wake, when, with what, and how a sleep is interrupted.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EVFILT_READ,
	EVFILT_TIMER,
	eventList,
	interrupt,
	kevent,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type Thread,
	threadExit,
} from "../../src/index.ts";
import type { AbortSignalLike } from "../../src/kernel.ts";
import { checkMachine, fields, type Machine, machine, rejection } from "../machine.ts";

interface World extends Machine {
	readonly kq: number;
	readonly fd: number;
	readonly file: SyntheticFile;
}

/** A machine whose kqueue watches one synthetic file. */
function world(flags = EV_ADD | EV_CLEAR): World {
	const m = machine();
	const kq = kqueue(m.thread);
	const file = new SyntheticFile();
	const fd = openFile(m.thread, file);
	keventNow(m.thread, kq, [{ ident: fd, filter: EVFILT_READ, flags }], null);
	return { ...m, kq, fd, file };
}

function ms(n: number) {
	return { sec: Math.floor(n / 1000), nsec: (n % 1000) * 1e6 };
}

/** An AbortSignal whose listeners can be counted. */
class Abort implements AbortSignalLike {
	aborted = false;
	reason: unknown = undefined;
	readonly listeners: Set<() => void> = new Set();

	addEventListener(_type: "abort", listener: () => void): void {
		this.listeners.add(listener);
	}

	removeEventListener(_type: "abort", listener: () => void): void {
		this.listeners.delete(listener);
	}

	abort(reason: unknown): void {
		this.aborted = true;
		this.reason = reason;
		for (const listener of this.listeners) listener();
	}
}

function idle({ kernel }: Machine): boolean {
	return kernel.sleepers === 0 && kernel.timeouts.size === 0;
}

test("an event wakes a sleeper, which gets it", async () => {
	const w = world();
	const events = eventList(4);
	const call = kevent(w.thread, w.kq, null, events, null);
	assert.is(w.thread.state, "asleep");
	w.file.set("read", { data: 3 });
	assert.is(w.thread.state, "ready");
	w.host.settle();
	assert.equal(fields(events, await call), [[w.fd, EVFILT_READ, 0x21, 0, 3, null]]);
	assert.ok(idle(w));
});

test("a sleep ends at its timeout without events, and not before", async () => {
	const w = world();
	const call = kevent(w.thread, w.kq, null, eventList(1), ms(20));
	w.host.advance(19.999999);
	assert.is(w.thread.state, "asleep");
	w.host.advance(0.000001);
	assert.is(await call, 0);
	assert.ok(idle(w));
});

test("after a wake-up for nothing the sleep goes on for the time that is left", async () => {
	const w = world();
	const events = eventList(1);
	const call = kevent(w.thread, w.kq, null, events, ms(20));
	for (let i = 0; i < 3; i++) {
		w.host.advance(5);
		w.file.set("read", { data: 1 });
		// Gone again before the thread runs: it finds nothing and stays asleep.
		w.file.setQuietly("read", { data: 0 });
		w.host.settle();
		assert.is(w.thread.state, "asleep");
	}
	w.host.advance(4.9);
	assert.is(w.thread.state, "asleep");
	w.host.advance(0.1);
	assert.is(await call, 0);
});

test("a wake-up for nothing at the very end of the time ends the call", async () => {
	const w = world();
	const call = kevent(w.thread, w.kq, null, eventList(1), ms(5));
	w.file.set("read", { data: 1 });
	w.file.setQuietly("read", { data: 0 });
	w.host.advance(5);
	assert.is(await call, 0);
});

test("all sleepers wake for one event, and the second one stays asleep", async () => {
	const w = world();
	const others = [w.process.spawnThread(), w.process.spawnThread()] as const;
	const lists = [eventList(1), eventList(1)] as const;
	const calls = others.map((thread, i) => kevent(thread, w.kq, null, lists[i as 0 | 1], null));
	w.file.set("read", { data: 1 });
	w.host.settle();
	assert.equal(
		others.map(({ state }) => state),
		["running", "asleep"],
	);
	w.file.set("read", { data: 2 });
	w.host.settle();
	assert.equal(await Promise.all(calls), [1, 1]);
	assert.equal(
		lists.map((list) => list[0]?.data),
		[1, 2],
	);
});

test("an event that is queued again is for the next sleeper too", async () => {
	const w = world(EV_ADD);
	const others = Array.from({ length: 3 }, () => w.process.spawnThread());
	const calls = others.map((thread) => kevent(thread, w.kq, null, eventList(1), null));
	w.file.set("read", { data: 1 });
	w.host.settle();
	assert.equal(await Promise.all(calls), [1, 1, 1]);
});

test("a thousand sleepers are woken by one event each", async () => {
	const w = world();
	const threads = Array.from({ length: 1000 }, () => w.process.spawnThread());
	const calls = threads.map((thread) => kevent(thread, w.kq, null, eventList(1), null));
	for (let i = 0; i < threads.length; i++) {
		w.file.set("read", { data: i + 1 });
		w.host.settle();
	}
	assert.is((await Promise.all(calls)).length, 1000);
	assert.ok(idle(w));
});

test("closing the kqueue ends its sleepers with EBADF", async () => {
	const w = world();
	const other = w.process.spawnThread();
	const calls = [other, w.process.spawnThread()].map((thread) =>
		rejection(kevent(thread, w.kq, null, eventList(1), ms(1000))),
	);
	close(w.thread, w.kq);
	w.host.settle();
	assert.equal(await Promise.all(calls), ["EBADF", "EBADF"]);
	assert.is(w.file.refs, 1);
	assert.ok(idle(w));
});

test("an interrupted sleep ends with EINTR, and only a sleep can be interrupted", async () => {
	const w = world();
	assert.is(interrupt(w.thread), false);
	const call = rejection(kevent(w.thread, w.kq, null, eventList(1), null));
	assert.is(interrupt(w.thread), true);
	w.host.settle();
	assert.is(await call, "EINTR");
	assert.is(interrupt(w.thread), false);
});

test("an interruption reaches a thread that was woken but did not run yet, and the event stays", async () => {
	const w = world();
	const call = rejection(kevent(w.thread, w.kq, null, eventList(1), null));
	w.file.set("read", { data: 1 });
	assert.is(interrupt(w.thread), true);
	w.host.settle();
	assert.is(await call, "EINTR");
	assert.is(keventNow(w.thread, w.kq, null, eventList(1)), 1);
});

test("a thread that sleeps cannot be put to sleep again, but can make other calls", async () => {
	const w = world();
	const call = kevent(w.thread, w.kq, null, eventList(1), null);
	assert.is(await rejection(kevent(w.thread, w.kq, null, eventList(1), null)), "EBUSY");
	assert.is(keventNow(w.thread, w.kq, null, eventList(1)), 0);
	w.file.set("read", { data: 1 });
	w.host.settle();
	assert.is(await call, 1);
	const { spare } = w.kernel.keventstate as { spare: { nextSpare: unknown } };
	assert.is(spare.nextSpare, null);
});

test("a call fails when its thread ends while it sleeps", async () => {
	const w = world();
	const other = w.process.spawnThread();
	const call = rejection(kevent(other, w.kq, null, eventList(1), ms(50)));
	threadExit(other);
	assert.is(await call, "EINTR");
	assert.ok(idle(w));
	w.file.set("read", { data: 1 });
	w.host.advance(100);
	checkMachine(w);
});

test("aborting a sleep rejects with the reason and leaves no listener", async () => {
	const w = world();
	const signal = new Abort();
	const call = rejection(kevent(w.thread, w.kq, null, eventList(1), ms(50), { signal }));
	assert.is(signal.listeners.size, 1);
	const reason = new Error("enough");
	signal.abort(reason);
	w.host.settle();
	assert.is(await call, reason);
	assert.is(signal.listeners.size, 0);
	assert.ok(idle(w));
	checkMachine(w);
});

test("a call that is aborted before it begins changes nothing", async () => {
	const w = world();
	const signal = new Abort();
	signal.abort("enough");
	const changes = [{ ident: w.fd, filter: EVFILT_READ, flags: EV_ADD, udata: "new" }];
	const call = kevent(w.thread, w.kq, changes, eventList(1), null, { signal });
	assert.is(await rejection(call), "enough");
	w.file.set("read", { data: 1 });
	const events = eventList(1);
	assert.equal(fields(events, keventNow(w.thread, w.kq, null, events)), [
		[w.fd, EVFILT_READ, 0x21, 0, 1, null],
	]);
});

test("the caller gets an event that comes before the abort", async () => {
	const w = world();
	const signal = new Abort();
	const call = kevent(w.thread, w.kq, null, eventList(1), null, { signal });
	w.file.set("read", { data: 1 });
	signal.abort("enough");
	w.host.settle();
	assert.is(await call, 1);
	assert.is(signal.listeners.size, 0);
});

test("an event that comes after the abort stays for the next call", async () => {
	const w = world();
	const signal = new Abort();
	const call = rejection(kevent(w.thread, w.kq, null, eventList(1), null, { signal }));
	signal.abort("enough");
	w.file.set("read", { data: 1 });
	w.host.settle();
	assert.is(await call, "enough");
	assert.is(keventNow(w.thread, w.kq, null, eventList(1)), 1);
});

test("a call that ends by itself leaves no listener on its signal", async () => {
	const w = world();
	const signal = new Abort();
	w.file.set("read", { data: 1 });
	assert.is(await kevent(w.thread, w.kq, null, eventList(1), null, { signal }), 1);
	const call = kevent(w.thread, w.kq, null, eventList(1), ms(1), { signal });
	w.host.advance(1);
	assert.is(await call, 0);
	assert.is(signal.listeners.size, 0);
});

test("an abort that comes after the wake-up and before the thread runs is not lost", async () => {
	const w = world();
	const other = w.process.spawnThread();
	const first = kevent(other, w.kq, null, eventList(1), null);
	const signal = new Abort();
	const call = rejection(kevent(w.thread, w.kq, null, eventList(1), null, { signal }));
	// One event wakes both threads; the first takes it, and the second would stay asleep.
	w.file.set("read", { data: 1 });
	signal.abort("enough");
	w.host.settle();
	assert.equal([await first, await call], [1, "enough"]);
	assert.ok(idle(w));
});

test("an abort in the middle of the call's own changes is not lost", async () => {
	const w = world();
	const signal = new Abort();
	const change = {
		ident: w.fd,
		filter: EVFILT_READ,
		flags: EV_ADD,
		get udata() {
			signal.abort("enough");
			return null;
		},
	};
	const call = kevent(w.thread, w.kq, [change], eventList(1), null, { signal });
	assert.is(await rejection(call), "enough");
	assert.ok(idle(w));
});

test("a wrong AbortSignal fails the call and leaves nothing behind", async () => {
	const w = world();
	for (const none of [{ aborted: false }, {}, "signal", { addEventListener: () => {} }]) {
		const signal = none as never;
		const call = kevent(w.thread, w.kq, null, eventList(1), null, { signal });
		assert.is(await rejection(call), "EINVAL");
	}
	const thrown = new Error("addEventListener");
	const signal = {
		aborted: false,
		reason: null,
		addEventListener: () => {
			throw thrown;
		},
		removeEventListener: () => {},
	};
	const call = kevent(w.thread, w.kq, null, eventList(1), null, { signal });
	assert.is(await rejection(call), thrown);
	const quick = kevent(w.thread, w.kq, null, eventList(1), { sec: 0, nsec: 0 }, null as never);
	assert.is(await quick, 0);
	assert.ok(idle(w));
	assert.is(w.thread.state, "running");
	close(w.thread, w.kq);
	assert.is(w.process.fdp.firstKqueue, null);
});

test("a call is settled even if removing the listener from its signal throws", async () => {
	const w = world();
	const thrown = new Error("removeEventListener");
	const signal = {
		aborted: false,
		reason: null,
		addEventListener: () => {},
		removeEventListener: () => {
			throw thrown;
		},
	};
	const call = kevent(w.thread, w.kq, null, eventList(1), ms(1), { signal });
	let reported: unknown;
	try {
		w.host.advance(1);
	} catch (error) {
		reported = error;
	}
	assert.equal([await call, reported], [0, thrown]);
});

test("the platform's own AbortSignal works", async () => {
	const w = world();
	const controller = new AbortController();
	const options = { signal: controller.signal };
	const call = rejection(kevent(w.thread, w.kq, null, eventList(1), null, options));
	const reason = new Error("enough");
	controller.abort(reason);
	w.host.settle();
	assert.is(await call, reason);
});

test("timers and sleeps that end together do so in the order in which they were set", async () => {
	const w = world();
	const order: string[] = [];
	const timer = { ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 10 };
	const log = (name: string) => (n: number) => order.push(`${name} ${n}`);
	const sleepers = Array.from({ length: 3 }, () => w.process.spawnThread()) as Thread[];
	const [first, second, third] = sleepers as [Thread, Thread, Thread];
	const other = kqueue(first);
	const calls = [
		kevent(first, other, null, eventList(1), ms(10)).then(log("first")),
		kevent(second, w.kq, [timer], eventList(1), null).then(log("timer")),
		kevent(third, other, null, eventList(1), ms(10)).then(log("third")),
	];
	w.host.advance(10);
	await Promise.all(calls);
	assert.equal(order, ["first 0", "timer 1", "third 0"]);
});

test("calls that never sleep let the host take a turn after a thousand", async () => {
	const w = world(EV_ADD);
	w.file.set("read", { data: 1 });
	const events = eventList(1);
	let turns = 0;
	const yielding = w.host.yield.bind(w.host);
	w.host.yield = (fn) => {
		turns++;
		yielding(fn);
	};
	for (let i = 0; i < 2500; i++) {
		const call = kevent(w.thread, w.kq, null, events, null);
		w.host.settle();
		assert.is(await call, 1);
	}
	assert.is(turns, 2);
});

test.run();

// The host on which calls block: timers, deferred work, and what other threads post to it.
import { Worker } from "node:worker_threads";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	BlockingHost,
	EV_ADD,
	EVFILT_READ,
	EVFILT_TIMER,
	eventList,
	Kernel,
	kevent,
	kqueue,
	openFile,
	ringDoorbell,
	SyntheticFile,
	type Thread,
	watchKevent,
} from "../../src/index.ts";
import { callSync, keventCall, nanosleepCall, pauseCall, readCall } from "../../src/kernel.ts";
import { codeOf } from "../machine.ts";

interface World {
	readonly host: BlockingHost;
	readonly thread: Thread;
}

function world(): World {
	const host = new BlockingHost();
	return { host, thread: new Kernel({ host, diagnostics: true }).spawn().main };
}

function nap(thread: Thread, ms: number): number {
	const time = { sec: 0, nsec: ms * 1e6 };
	return callSync(thread, "nanosleep", null, nanosleepCall, time);
}

/** A thread of the platform that writes 1, 2, 3 … into shared memory, ringing after each. */
function poster(shared: SharedArrayBuffer, doorbell: SharedArrayBuffer, count: number): Worker {
	const program = `
		const { workerData: { shared, doorbell, count } } = require("node:worker_threads");
		const cells = new Int32Array(shared);
		const bell = new Int32Array(doorbell);
		for (let i = 1; i <= count; i++) {
			Atomics.wait(cells, 1, 0, 2); // A pause of 2 ms: that cell is never written.
			Atomics.store(cells, 0, i);
			Atomics.add(bell, 0, 1);
			Atomics.notify(bell, 0);
		}`;
	return new Worker(program, { eval: true, workerData: { shared, doorbell, count } });
}

test("a blocking call waits for its timeout and for timers, in real time", () => {
	const { host, thread } = world();
	const kq = kqueue(thread);
	const begin = host.now();
	assert.is(nap(thread, 12.5), 0);
	assert.ok(host.now() - begin >= 12.5e6);
	const events = eventList(1);
	const change = [{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 3 }];
	assert.is(callSync(thread, "kevent", null, keventCall, kq, change, events, null), 1);
	assert.is(events[0]?.ident, 1);
});

test("deferred work and the platform's turns run during a blocking call", () => {
	const { host, thread } = world();
	const log: string[] = [];
	host.defer(() => log.push("deferred"));
	host.yield(() => {
		log.push("turn");
		host.yield(() => log.push("turn of a turn"));
	});
	nap(thread, 1);
	assert.equal(log, ["deferred", "turn", "turn of a turn"]);
});

test("watches are told during a blocking call", () => {
	const { thread } = world();
	let told = 0;
	const change = { ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 2 };
	const watch = watchKevent(thread, change, {
		next: ({ data }) => {
			told += data;
		},
		error: () => {},
		complete: () => {},
	});
	nap(thread, 20);
	watch.close();
	assert.ok(told >= 9, `${told} periods`);
});

test("a message of another thread wakes a blocking call, and nothing is lost", async () => {
	const { host, thread } = world();
	const shared = new SharedArrayBuffer(8);
	const cells = new Int32Array(shared);
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	let taken = 0;
	const detach = host.attach(() => {
		const posted = Atomics.load(cells, 0);
		while (taken < posted) file.push(Uint8Array.of(++taken));
	});
	const worker = poster(shared, host.doorbell as SharedArrayBuffer, 20);
	const bytes: number[] = [];
	const buffer = new Uint8Array(32);
	while (bytes.length < 20) {
		const n = callSync(thread, "read", null, readCall, fd, buffer);
		bytes.push(...buffer.subarray(0, n));
	}
	assert.equal(
		bytes,
		Array.from({ length: 20 }, (_, i) => i + 1),
	);
	detach();
	await worker.terminate();
});

test("while something is expected from outside a call does not fail as a deadlock", () => {
	const { host, thread } = world();
	let heard = false;
	const detach = host.attach(() => {
		heard = true;
		detach();
	});
	// The bell rings, nothing follows, and nothing is expected any longer.
	ringDoorbell(host.doorbell as SharedArrayBuffer);
	assert.is(
		codeOf(() => callSync(thread, "pause", null, pauseCall)),
		"EDEADLK",
	);
	assert.is(heard, true);
});

test("a program of promises notices the bell when it asks for it", async () => {
	const { host, thread } = world();
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	const kq = kqueue(thread);
	host.attach(() => file.push(Uint8Array.of(1)));
	const change = [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }];
	const call = kevent(thread, kq, change, eventList(1), { sec: 5, nsec: 0 });
	host.hear();
	assert.is(file.readiness("read").data, 0);
	ringDoorbell(host.doorbell as SharedArrayBuffer);
	host.hear();
	assert.is(await call, 1);
});

test("promises work on a blocking host as on every other host", async () => {
	const { host, thread } = world();
	const kq = kqueue(thread);
	const begin = host.now();
	assert.is(await kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 5e6 }), 0);
	assert.ok(host.now() - begin >= 5e6);
	const after = await kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 0 });
	assert.is(after, 0);
});

test("deferred work without end keeps neither the bell, nor timers, nor the call from being served", () => {
	const { host, thread } = world();
	const log: Set<string> = new Set();
	let stopped = false;
	const again = (): void => {
		if (!stopped) host.defer(again);
	};
	host.defer(again);
	const detach = host.attach(() => log.add("bell"));
	host.setTimer(host.now() + 1e6, () => log.add("timer"));
	host.yield(() => log.add("turn"));
	ringDoorbell(host.doorbell as SharedArrayBuffer);
	assert.is(nap(thread, 3), 0);
	assert.equal([...log].sort(), ["bell", "timer", "turn"]);
	// Calls that do not sleep let it have turns, which end too.
	host.turn();
	stopped = true;
	detach();
});

test.run();

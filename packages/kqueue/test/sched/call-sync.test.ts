// Calls that block: what they drive, when they fail, and where they are refused.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	EV_ADD,
	EV_CLEAR,
	EVFILT_READ,
	EVFILT_TIMER,
	eventList,
	exit,
	interrupt,
	Kernel,
	kevent,
	keventNow,
	kill,
	kqueue,
	openFile,
	RealHost,
	SyntheticFile,
	sigaction,
	type Thread,
	threadExit,
	watchKevent,
} from "../../src/index.ts";
import {
	type Begin,
	callEither,
	callNow,
	callSync,
	enter,
	keventCall,
	leave,
	nanosleepCall,
	pauseCall,
	readCall,
	writeCall,
} from "../../src/kernel.ts";
import { SIGUSR1 } from "../../src/signal.ts";
import { VirtualHost } from "../../src/testing.ts";
import { codeOf, fields, HookedFile, machine } from "../machine.ts";

const FOREVER = null;
const byte = new Uint8Array(1);

function sync<A extends readonly unknown[]>(thread: Thread, begin: Begin<A>, ...args: A): number {
	return callSync(thread, "call", null, begin, ...args);
}

/** Lets something happen after some milliseconds, in a timer of the host. */
function at(host: VirtualHost, ms: number, act: () => void): void {
	host.setTimer(host.now() + ms * 1e6, act);
}

test("a call that does not have to sleep returns its result, and drives nothing", () => {
	const { host, thread } = machine();
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	file.push(new Uint8Array([7]));
	let ran = false;
	host.defer(() => {
		ran = true;
	});
	assert.is(sync(thread, readCall, fd, byte), 1);
	assert.equal([byte[0], ran], [7, false]);
});

test("a call that sleeps drives the machine until it is done, and no further", () => {
	const { host, thread } = machine();
	const kq = kqueue(thread);
	const events = eventList(1);
	const late: string[] = [];
	at(host, 40, () => late.push("40 ms"));
	const change = [{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 30 }];
	assert.is(sync(thread, keventCall, kq, change, events, FOREVER), 1);
	assert.equal(fields(events, 1), [[1, EVFILT_TIMER, 0x21, 0, 1, null]]);
	assert.equal([host.now() / 1e6, late], [30, []]);
});

test("a call that sleeps ends at its timeout", () => {
	const { host, thread } = machine();
	const kq = kqueue(thread);
	assert.is(sync(thread, keventCall, kq, null, eventList(1), { sec: 3600, nsec: 0 }), 0);
	assert.is(host.now(), 3600e9);
	assert.is(sync(thread, nanosleepCall, { sec: 0, nsec: 5 }), 0);
	assert.is(host.now(), 3600e9 + 5);
});

test("signals, interruptions and an abort end it as they end the other forms", () => {
	const { host, kernel, process, thread } = machine();
	const log: string[] = [];
	sigaction(thread, SIGUSR1, () => log.push("handler"));
	at(host, 5, () => kill(kernel.spawn().main, process.pid, SIGUSR1));
	assert.is(
		codeOf(() => sync(thread, pauseCall)),
		"EINTR",
	);
	at(host, 5, () => interrupt(thread));
	assert.is(
		codeOf(() => sync(thread, pauseCall)),
		"EINTR",
	);
	const abort = new AbortController();
	at(host, 5, () => abort.abort("enough"));
	const options = { signal: abort.signal };
	assert.is(
		codeOf(() => callSync(thread, "pause", options, pauseCall)),
		"enough",
	);
	assert.is(
		codeOf(() => callSync(thread, "pause", options, pauseCall)),
		"enough",
	);
	assert.equal([log, host.now() / 1e6, kernel.sleepers], [["handler"], 15, 0]);
});

test("a blocking call fails when its thread or process ends", () => {
	const { host, process, thread } = machine();
	const other = process.spawnThread();
	at(host, 1, () => threadExit(other));
	assert.is(
		codeOf(() => sync(other, pauseCall)),
		"EINTR",
	);
	at(host, 1, () => exit(thread, 0));
	assert.is(
		codeOf(() => sync(thread, pauseCall)),
		"EINTR",
	);
	assert.is(
		codeOf(() => sync(thread, pauseCall)),
		"ESRCH",
	);
});

test("other threads that sleep in promises go on while a call blocks, up to their promises", async () => {
	const { host, process, thread } = machine();
	const other = process.spawnThread();
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	const kq = kqueue(thread);
	const events = eventList(1);
	let heard = false;
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	const promise = kevent(other, kq, null, events, null).then((n) => {
		heard = true;
		return n;
	});
	at(host, 5, () => file.push(byte));
	assert.is(sync(thread, nanosleepCall, { sec: 0, nsec: 10e6 }), 0);
	assert.equal([other.state, heard], ["running", false]);
	assert.is(await promise, 1);
});

test("a sleep that nothing will ever end fails with EDEADLK, and the thread can go on", () => {
	const { host, thread } = machine();
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR }], null);
	let message = "";
	try {
		sync(thread, keventCall, kq, null, eventList(1), FOREVER);
	} catch (error) {
		message = (error as Error).message;
	}
	assert.is(
		message,
		`EDEADLK: resource deadlock avoided, call (nothing will ever wake it: thread ${thread.tid} of ` +
			`process 1 sleeps in kevent of kqueue ${kq}, which watches READ ${fd}, forever)`,
	);
	file.push(byte);
	assert.is(sync(thread, keventCall, kq, null, eventList(1), FOREVER), 1);
	assert.is(host.now(), 0);
});

test("a write that nothing will ever wake returns how much it has written", () => {
	const { thread } = machine();
	let room = 3;
	const file = new SyntheticFile({
		write: (buffer) => {
			const n = Math.min(room, buffer.length);
			room -= n;
			return n > 0 ? n : -35;
		},
	});
	const fd = openFile(thread, file);
	assert.is(sync(thread, writeCall, fd, new Uint8Array(10)), 3);
	assert.is(
		codeOf(() => sync(thread, writeCall, fd, new Uint8Array(10))),
		"EDEADLK",
	);
});

test("it is refused inside a handler, a filter, a watcher, a deferred task and another such call", () => {
	const { host, kernel, process, thread } = machine();
	const other = kernel.spawn().main;
	const tries: Record<string, unknown> = {};
	const attempt = (name: string) => (): void => {
		tries[name] ??= codeOf(() => sync(other, nanosleepCall, { sec: 0, nsec: 1 }));
	};
	// A handler, of a signal that comes while no call blocks.
	sigaction(thread, SIGUSR1, attempt("handler"));
	kill(thread, process.pid, SIGUSR1);
	// A filter that a call asks, and one that a notification asks.
	const file = new HookedFile();
	const fd = openFile(thread, file);
	const kq = kqueue(thread);
	file.asked = attempt("filter of a call");
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	file.asked = attempt("filter of a notification");
	file.set("read", 1);
	file.asked = null;
	// A file's own operations.
	const slow = new SyntheticFile({
		read: () => {
			attempt("read")();
			return 0;
		},
		close: attempt("close"),
	});
	const slowFd = openFile(thread, slow);
	sync(thread, readCall, slowFd, byte);
	// A watcher, which the run queue calls.
	watchKevent(
		thread,
		{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 1 },
		{ next: attempt("watcher"), error: () => {}, complete: () => {} },
	);
	host.advance(1);
	// Work that runs while another call blocks.
	host.defer(attempt("work"));
	at(host, 1, attempt("timer"));
	sync(thread, nanosleepCall, { sec: 0, nsec: 2e6 });
	exit(thread, 0);
	assert.equal(
		tries,
		Object.fromEntries(
			[
				"handler",
				"filter of a call",
				"filter of a notification",
				"read",
				"watcher",
				"work",
				"timer",
				"close",
			].map((name) => [name, "EDEADLK"]),
		),
	);
});

test("a thread that sleeps, and one in the middle of a call, cannot block", () => {
	const { host, thread } = machine();
	const kq = kqueue(thread);
	kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 1e6 });
	assert.is(
		codeOf(() => sync(thread, pauseCall)),
		"EBUSY",
	);
	host.advance(1);
	enter(thread, "call");
	assert.is(
		codeOf(() => sync(thread, pauseCall)),
		"EDEADLK",
	);
	leave(thread);
});

test("a host that cannot be driven or may not block is refused before anything is done", () => {
	const real = new Kernel({ host: new RealHost() }).spawn().main;
	const kq = kqueue(real);
	const change = [{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 1 }];
	assert.throws(
		() => sync(real, keventCall, kq, change, eventList(1), FOREVER),
		(error: Error) =>
			error.message ===
			"ENOTSUP: not supported, call (the machine's host cannot be driven: make the Kernel with a BlockingHost)",
	);
	assert.is(keventNow(real, kq, null, eventList(1)), 0);

	class Page extends VirtualHost {
		override get mayBlock(): boolean {
			return false;
		}
	}
	const page = new Kernel({ host: new Page() }).spawn().main;
	assert.throws(
		() => sync(page, pauseCall),
		(error: Error) =>
			error.message ===
			"ENOTSUP: not supported, call (this thread of the platform may not block: use a worker, or the promise form)",
	);
});

test("errors of work that runs while a call blocks come from the host, and not from the call", () => {
	const { host, thread } = machine();
	host.defer(() => {
		throw new Error("work");
	});
	at(host, 1, () => {
		throw new Error("timer");
	});
	assert.is(sync(thread, nanosleepCall, { sec: 0, nsec: 2e6 }), 0);
	assert.throws(() => host.settle(), "work");
	assert.throws(() => host.settle(), "timer");
	host.settle();
});

test("callEither returns a result where the call did not sleep, and a promise where it did", async () => {
	const { host, thread } = machine();
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	file.push(byte);
	const either = (): number | Promise<number> =>
		callEither(thread, "read", null, readCall, fd, byte);
	assert.is(either(), 1);
	assert.is(
		codeOf(() => callEither(thread, "read", null, readCall, 99, byte)),
		"EBADF",
	);
	const later = either();
	assert.ok(later instanceof Promise);
	file.push(byte);
	host.settle();
	assert.is(await later, 1);
});

test("callEither lets the platform take a turn after a thousand calls that did not sleep", async () => {
	const { host, thread } = machine();
	const file = new SyntheticFile({ read: () => 0 });
	const fd = openFile(thread, file);
	const results = Array.from({ length: 2000 }, () =>
		callEither(thread, "read", null, readCall, fd, byte),
	);
	const promised = results.filter((result) => typeof result !== "number");
	assert.is(promised.length, 2);
	host.settle();
	assert.equal(await Promise.all(promised), [0, 0]);
	// A call that fails waits for its turn as well.
	const bad = Array.from({ length: 1000 }, () => {
		try {
			return callEither(thread, "read", null, readCall, 99, byte);
		} catch {
			return null;
		}
	}).filter((result) => result !== null);
	assert.is(bad.length, 1);
	host.settle();
	assert.is(await Promise.resolve(bad[0]).catch((error) => error.code), "EBADF");
});

test("callNow fails with EAGAIN where the call would sleep", () => {
	const { thread } = machine();
	enter(thread, "pause");
	assert.is(
		codeOf(() => callNow(pauseCall(thread))),
		"EAGAIN",
	);
	leave(thread);
});

test("a handler that sleeps after a call does not take its promise away", async () => {
	const { host, kernel, process, thread } = machine();
	const log: unknown[] = [];
	const kq = kqueue(thread);
	sigaction(thread, SIGUSR1, () => {
		const call = kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 5e6 });
		call.then((n) => log.push(["handler's", n, host.now() / 1e6]));
	});
	const first = kevent(thread, kq, null, eventList(1), { sec: 1, nsec: 0 });
	first.catch((error) => log.push(["first", error.code, host.now() / 1e6]));
	kill(kernel.spawn().main, process.pid, SIGUSR1);
	await host.run(() => new Promise<void>((resolve) => at(host, 10, resolve)));
	assert.equal(log, [
		["first", "EINTR", 0],
		["handler's", 0, 5],
	]);
});

test.run();

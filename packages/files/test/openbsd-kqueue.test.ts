// OpenBSD's and NetBSD's own tests of kqueue, under their names: processes, signals, timers, and
// tests that need only a device or a pipe. docs/regress.md says what each does; the code is ours.
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_ENABLE,
	EV_ONESHOT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	eventList,
	exec,
	exit,
	fork,
	fstat,
	kevent,
	keventNow,
	kill,
	kqueue,
	NOTE_CHILD,
	NOTE_EXEC,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	readNow,
	sigaction,
	sigprocmask,
	type Thread,
	waitpidNow,
} from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import {
	SIG_BLOCK,
	SIG_DFL,
	SIG_IGN,
	SIGINT,
	SIGUSR1,
	SIGUSR2,
	sigpending,
	sigset,
} from "@kqpoll/kqueue/signal";
import type { Timespec } from "@kqpoll/kqueue/time";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openDevice } from "../src/device/device-calls.ts";
import { pipe } from "../src/pipe/pipe.ts";
import { O_RDONLY } from "../src/shared/vnode-flags.ts";
import { checkMachine, codeOf, machine, outcome } from "./machine.ts";

function watch(thread: Thread, kq: number, ident: number, filter: number): void {
	keventNow(thread, kq, [{ ident, filter, flags: EV_ADD | EV_ENABLE }], null);
}

function timer(thread: Thread, kq: number, data: number, flags = 0): void {
	const change = { ident: 1, filter: EVFILT_TIMER, flags: EV_ADD | flags, data };
	keventNow(thread, kq, [change], null);
}

test("kq-fork: a child does not inherit its parent's kqueue", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	assert.is(
		codeOf(() => close(child.main, kq)),
		"EBADF",
	);
	assert.is(fstat(thread, kq).size, 0);
});

test("kq-process: forks, execs and exits of a child and of its child are reported", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	const fflags = (NOTE_EXIT | NOTE_FORK | NOTE_EXEC | NOTE_TRACK) >>> 0;
	const add = (ident: number) => {
		const flags = EV_ADD | EV_ENABLE | EV_CLEAR;
		keventNow(thread, kq, [{ ident, filter: EVFILT_PROC, flags, fflags }], null);
	};
	const told = () => {
		const events = eventList(4);
		const n = keventNow(thread, kq, null, events);
		return events
			.slice(0, n)
			.map(({ ident, fflags, data }) => [ident, fflags, data])
			.sort(([a = 0], [b = 0]) => a - b);
	};
	assert.is(
		codeOf(() => add(child.pid + 2 ** 30)),
		"ESRCH",
	);
	add(child.pid);
	const grandchild = fork(child.main);
	assert.equal(told(), [
		[child.pid, NOTE_FORK, 0],
		[grandchild.pid, NOTE_CHILD, child.pid],
	]);
	exec(grandchild.main);
	exit(grandchild.main, 2);
	assert.equal(waitpidNow(child.main, -1), { pid: grandchild.pid, status: 2 << 8 });
	exit(child.main, 3);
	assert.equal(waitpidNow(thread, -1), { pid: child.pid, status: 3 << 8 });
	assert.equal(told(), [
		[child.pid, NOTE_EXIT, 3 << 8],
		[grandchild.pid, NOTE_EXIT + NOTE_EXEC, 2 << 8],
	]);
});

test("kq-random: random bytes are ready, and can be read", () => {
	const { thread } = machine();
	const fd = openDevice(thread, "random", O_RDONLY | O_NONBLOCK);
	const kq = kqueue(thread);
	watch(thread, kq, fd, EVFILT_READ);
	const [event] = eventList(1);
	assert.is(keventNow(thread, kq, null, event === undefined ? [] : [event]), 1);
	assert.equal([event?.ident, event?.filter, event?.data], [fd, EVFILT_READ, 2048]);
	const length = Math.floor((2048 + 7) / 8);
	assert.is(readNow(thread, fd, new Uint8Array(length)), length);
});

test("kq-regress-1: a process exits with a kqueue that watches itself and a signal", () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	watch(thread, kq, kq, EVFILT_READ);
	watch(thread, kq, SIGINT, EVFILT_SIGNAL);
	exit(thread, 0);
	assert.equal(
		{
			firstKqueue: process.fdp.firstKqueue,
			unwatched: process.klist.empty,
			status: process.status,
		},
		{ firstKqueue: null, unwatched: true, status: 0 },
	);
});

test("kq-regress-6: after NOTE_EXIT the status can be taken, even with much to clean up", async () => {
	const { thread, host } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	const flags = EV_ADD | EV_ONESHOT;
	const change = { ident: child.pid, filter: EVFILT_PROC, flags, fflags: NOTE_EXIT };
	const events = eventList(1);
	const call = kevent(thread, kq, [change], events, null);
	for (let i = 0; i < 1000; i++) fork(child.main);
	host.settle();
	assert.is(thread.state, "asleep");
	exit(child.main, 1);
	host.settle();
	assert.is(await call, 1);
	assert.equal([events[0]?.ident, events[0]?.data], [child.pid, 1 << 8]);
	assert.equal(waitpidNow(thread, child.pid), { pid: child.pid, status: 1 << 8 });
});

test("kq-signal: signals are counted, handled or not, and a handler can ask for its own", () => {
	const { thread, process } = machine();
	const { pid } = process;
	const kq = kqueue(thread);
	const told = () => {
		const events = eventList(4);
		const n = keventNow(thread, kq, null, events);
		return events.slice(0, n).map(({ ident, data }) => [ident, data]);
	};
	const handled: number[][][] = [];
	sigaction(thread, SIGUSR1, () => handled.push(told()));
	sigaction(thread, SIGUSR2, SIG_IGN);
	assert.is(
		codeOf(() => watch(thread, kq, 10000, EVFILT_SIGNAL)),
		"EINVAL",
	);
	watch(thread, kq, SIGUSR1, EVFILT_SIGNAL);
	watch(thread, kq, SIGUSR2, EVFILT_SIGNAL);
	kill(thread, pid, SIGUSR1);
	assert.equal([handled, told()], [[[[SIGUSR1, 1]]], []]);
	kill(thread, pid, SIGUSR2);
	assert.equal(told(), [[SIGUSR2, 1]]);
	kill(thread, pid, SIGUSR2);
	kill(thread, pid, SIGUSR2);
	assert.equal(told(), [[SIGUSR2, 2]]);
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1, SIGUSR2));
	sigaction(thread, SIGUSR1, SIG_DFL);
	kill(thread, pid, SIGUSR1);
	kill(thread, pid, SIGUSR2);
	close(thread, kq);
	assert.equal(
		{ exiting: process.exiting, unwatched: process.klist.empty },
		{ exiting: false, unwatched: true },
	);
	assert.is(sigpending(thread) & sigset(SIGUSR1), sigset(SIGUSR1));
});

test("kq-timer: a timer fires once, and again when it is added again, this time periodically", async () => {
	const { thread, host } = machine();
	const kq = kqueue(thread);
	const wait = async () => {
		const events = eventList(1);
		const call = kevent(thread, kq, null, events, { sec: 2, nsec: 0 });
		host.advance(500);
		assert.is(thread.state, "running");
		return [await call, events[0]?.ident, events[0]?.data];
	};
	timer(thread, kq, 500, EV_ONESHOT);
	assert.equal(await wait(), [1, 1, 1]);
	timer(thread, kq, 500);
	assert.equal(
		[await wait(), await wait()],
		[
			[1, 1, 1],
			[1, 1, 1],
		],
	);
});

test("kq-invalid-timer: a timeout out of range is refused while there is a timer", async () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	timer(thread, kq, 500, EV_ONESHOT);
	const invalid: Timespec[] = [
		{ sec: -1, nsec: 0 },
		{ sec: 0, nsec: -1 },
		{ sec: 0, nsec: 1e9 },
	];
	const wait = (timeout: Timespec) => outcome(kevent(thread, kq, null, eventList(1), timeout));
	assert.equal(await Promise.all(invalid.map(wait)), ["EINVAL", "EINVAL", "EINVAL"]);
});

test("kq-reset-timer: adding a timer again discards its expiries, and it begins from now", async () => {
	const { thread, host } = machine();
	const kq = kqueue(thread);
	timer(thread, kq, 10, EV_ONESHOT);
	host.advance(100);
	assert.is(fstat(thread, kq).size, 1);
	timer(thread, kq, 60000, EV_ONESHOT);
	assert.is(keventNow(thread, kq, null, eventList(1)), 0);
	timer(thread, kq, 100, EV_ONESHOT);
	assert.is(await host.run(() => kevent(thread, kq, null, eventList(1), null)), 1);
	assert.is(host.now(), 200e6);
});

test("t_kevent zerotimer: a timer without notes fires", async () => {
	const { thread, host } = machine();
	const kq = kqueue(thread);
	timer(thread, kq, 1);
	const events = eventList(1);
	assert.is(await host.run(() => kevent(thread, kq, null, events, null)), 1);
	assert.equal([events[0]?.ident, events[0]?.data, host.now()], [1, 1, 1e6]);
});

test("close race: pipes are made while other threads close their descriptors, in any order", () => {
	const step = fc.constantFrom<"pipe" | 3 | 4>("pipe", 3, 4);
	const property = fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
		const m = machine();
		const { thread, process } = m;
		const closers = [process.spawnThread(), process.spawnThread()] as const;
		const kq = kqueue(thread);
		// The model: which numbers are open.
		const open = new Set([kq]);
		const lowest = () => {
			let fd = 0;
			while (open.has(fd)) fd++;
			open.add(fd);
			return fd;
		};
		for (const each of steps) {
			if (each === "pipe") {
				const expected = [lowest(), lowest()];
				const ends = pipe(thread);
				assert.equal(ends, expected);
				for (const end of ends) watch(thread, kq, end, EVFILT_READ);
			} else {
				const closed = codeOf(() => close(closers[each - 3] as Thread, each));
				assert.is(closed, open.delete(each) ? "no error" : "EBADF");
			}
		}
		assert.equal(
			[...process.fdp.open()],
			[...open].sort((a, b) => a - b),
		);
		checkMachine(m);
	});
	fc.assert(property, { numRuns: 30 });
});

test.run();

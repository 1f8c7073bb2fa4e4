// OpenBSD's own tests of pipes, kqueue, poll and select, under their names, as far as they need
// only pipes. docs/regress.md says what each does; the code is ours.
import { FdSet, POLLHUP, POLLIN, POLLOUT, poll, pollNow, select, selectNow } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_ENABLE,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	exit,
	fcntl,
	fork,
	kevent,
	keventNow,
	kill,
	kqueue,
	type Process,
	read,
	readNow,
	sigaction,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { SIG_DFL, SIGPIPE, SIGTERM } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../../src/index.ts";
import { codeOf, machine, outcome } from "../machine.ts";

function one(): Uint8Array {
	return new Uint8Array(1);
}

function watch(thread: Thread, kq: number, ident: number, filter: number): void {
	keventNow(thread, kq, [{ ident, filter, flags: EV_ADD | EV_ENABLE }], null);
}

test("kq-pipe: a writer in blocks of 8000 bytes is told of room once a block is read", () => {
	const { thread } = machine();
	const [r, w] = pipe(thread);
	fcntl(thread, w, F_SETFL, O_NONBLOCK);
	const kq = kqueue(thread);
	watch(thread, kq, w, EVFILT_WRITE);
	while (writeNow(thread, w, new Uint8Array(8000)) === 8000);
	assert.is(keventNow(thread, kq, null, eventList(1)), 0);
	readNow(thread, r, new Uint8Array(8000));
	assert.is(keventNow(thread, kq, null, eventList(1)), 1);
});

test("kq-regress-2: a process that exits with both ends watched exits", () => {
	const { thread } = machine();
	for (let i = 0; i < 2; i++) {
		const child = fork(thread);
		const kq = kqueue(child.main);
		const p0 = pipe(child.main);
		const p1 = pipe(child.main);
		for (const fd of [p0[0], p1[1], p1[0]]) watch(child.main, kq, fd, EVFILT_READ);
		exit(child.main, 0);
		assert.is(child.status, 0);
	}
});

test("kq-regress-3: chains of 120 kqueues in both directions go with their process", () => {
	const { process, thread } = machine();
	const kqs = Array.from({ length: 120 }, () => kqueue(thread));
	for (let i = 1; i < kqs.length; i++) {
		watch(thread, kqs[i] as number, kqs[i - 1] as number, EVFILT_READ);
		watch(thread, kqs[i - 1] as number, kqs[i] as number, EVFILT_READ);
	}
	exit(thread, 0);
	assert.is(process.fdp.firstKqueue, null);
});

test("kq-regress-4: a byte in a pipe is reported at the end of a chain of 500 kqueues", async () => {
	const { thread, host } = machine();
	const [r, w] = pipe(thread);
	let last = r;
	for (let i = 0; i < 500; i++) {
		const kq = kqueue(thread);
		watch(thread, kq, last, EVFILT_READ);
		last = kq;
	}
	writeNow(thread, w, one());
	const call = kevent(thread, last, null, eventList(1), null);
	host.settle();
	assert.is(await call, 1);
});

test("kq-regress-5: a kqueue with a pipe in it is selected and polled", async () => {
	const { thread, host } = machine();
	const [r, w] = pipe(thread);
	const kq = kqueue(thread);
	watch(thread, kq, r, EVFILT_READ);
	const fds = [{ fd: kq, events: POLLIN, revents: 0 }];
	const set = new FdSet([kq]);
	assert.equal([selectNow(thread, kq + 1, set, null, null), pollNow(thread, fds)], [0, 0]);
	writeNow(thread, w, one());
	set.set(kq);
	const selecting = select(thread, kq + 1, set, null, null, { sec: 5, usec: 0 });
	host.settle();
	assert.equal([await selecting, set.has(kq)], [1, true]);
	const polling = poll(thread, fds, 5000);
	host.settle();
	assert.equal([await polling, fds[0]?.revents], [1, POLLIN]);
});

test("kqueue_read: a thread that waits for a byte gets its event", async () => {
	const { thread, process, host } = machine();
	const [r, w] = pipe(thread);
	const waiter = process.spawnThread();
	const kq = kqueue(thread);
	watch(thread, kq, r, EVFILT_READ);
	const events = eventList(1);
	const call = kevent(waiter, kq, null, events, null);
	writeNow(thread, w, one());
	host.settle();
	assert.is(await call, 1);
	assert.equal([events[0]?.ident, events[0]?.filter], [r, EVFILT_READ]);
});

test("kqueue_read_eof: a thread that waits for a byte is told of the end of file", async () => {
	const { thread, process, host } = machine();
	const [r, w] = pipe(thread);
	const waiter = process.spawnThread();
	const kq = kqueue(thread);
	watch(thread, kq, r, EVFILT_READ);
	const events = eventList(1);
	const call = kevent(waiter, kq, null, events, null);
	close(thread, w);
	host.settle();
	assert.is(await call, 1);
	assert.equal([events[0]?.filter, (events[0]?.flags ?? 0) & EV_EOF], [EVFILT_READ, EV_EOF]);
});

test("kqueue_write: a thread that waits for room gets its event after 512 bytes are read", async () => {
	const { thread, process, host } = machine();
	const [r, w] = pipe(thread);
	writeNow(thread, w, new Uint8Array(16384));
	const waiter = process.spawnThread();
	const kq = kqueue(thread);
	watch(thread, kq, w, EVFILT_WRITE);
	const events = eventList(1);
	const call = kevent(waiter, kq, null, events, null);
	let count = 0;
	while (waiter.state !== "running") {
		readNow(thread, r, one());
		host.settle();
		count++;
	}
	assert.is(await call, 1);
	assert.equal([count, events[0]?.ident, events[0]?.filter], [512, w, EVFILT_WRITE]);
});

test("kqueue_write_eof: a thread that waits for room is told that its reader is gone", async () => {
	const { thread, process, host } = machine();
	const [r, w] = pipe(thread);
	writeNow(thread, w, new Uint8Array(16384));
	const waiter = process.spawnThread();
	const kq = kqueue(thread);
	watch(thread, kq, w, EVFILT_WRITE);
	const events = eventList(1);
	const call = kevent(waiter, kq, null, events, null);
	close(thread, r);
	host.settle();
	assert.is(await call, 1);
	assert.is((events[0]?.flags ?? 0) & EV_EOF, EV_EOF);
});

test("ping_pong: ten rounds over two pipes, then a write without a reader", async () => {
	const { thread, host } = machine();
	const [r0, w0] = pipe(thread);
	const [r1, w1] = pipe(thread);
	const child = fork(thread);
	const rounds = 10;
	await host.run(async () => {
		const ponging = (async () => {
			const { main } = child;
			close(main, w0);
			close(main, r1);
			for (let i = 0; i < rounds; i++) {
				assert.is(await read(main, r0, new Uint8Array(4)), 4);
				assert.is(await write(main, w1, new Uint8Array(4)), 4);
			}
			assert.is(await read(main, r0, one()), 0);
			return outcome(write(main, w1, one()));
		})();
		close(thread, r0);
		close(thread, w1);
		for (let i = 0; i < rounds; i++) {
			assert.is(await write(thread, w0, new Uint8Array(4)), 4);
			assert.is(await read(thread, r1, new Uint8Array(4)), 4);
		}
		close(thread, w0);
		close(thread, r1);
		assert.is(await ponging, "EPIPE");
	});
});

for (const [name, size] of [
	["run_down_write_big", 65536],
	["run_down_write_small", 1],
] as const) {
	test(`${name}: a writer whose reader goes away gets EPIPE and SIGPIPE`, async () => {
		const { thread, process, host } = machine();
		const [r, w] = pipe(thread);
		let signals = 0;
		sigaction(thread, SIGPIPE, () => signals++);
		const writer = process.spawnThread();
		const ended = await host.run(async () => {
			assert.is(await write(writer, w, new Uint8Array(size)), size);
			const running = (async () => {
				for (;;) {
					const result = await outcome(write(writer, w, new Uint8Array(size)));
					if (result !== size) return result;
				}
			})();
			await undefined;
			close(thread, r);
			return running;
		});
		host.settle();
		assert.equal([ended, signals], ["EPIPE", 1]);
	});
}

test("select_hup: a write end without a reader is writable, and the write fails", async () => {
	const { thread, host } = machine();
	const [r, w] = pipe(thread);
	close(thread, r);
	const writefds = new FdSet([w]);
	const call = select(thread, w + 1, null, writefds, null, null);
	host.settle();
	assert.equal([await call, writefds.has(w)], [1, true]);
	assert.is(
		codeOf(() => writeNow(thread, w, one())),
		"EPIPE",
	);
});

/** Four children that sleep on one end of a pipe. */
function herd(parent: Thread, sleep: (thread: Thread) => Promise<number>) {
	return Array.from({ length: 4 }, () => {
		const child = fork(parent);
		sigaction(child.main, SIGPIPE, SIG_DFL);
		return { child, call: outcome(sleep(child.main)) };
	});
}

function statuses(herd: readonly { child: Process }[]): number[] {
	return herd.map(({ child }) => child.status);
}

for (const [name, end] of [
	["signal", (_close: () => void, kill: () => void) => kill()],
	["wakeup", (close: () => void, _kill: () => void) => close()],
] as const) {
	test(`thundering_herd_read_${name}: all sleeping readers end`, async () => {
		const { thread, host } = machine();
		const [r, w] = pipe(thread);
		const children = herd(thread, (child) => {
			close(child, w);
			return read(child, r, one());
		});
		writeNow(thread, w, one());
		host.settle();
		const asleep = children.filter(({ child }) => child.main.state === "asleep");
		assert.is(asleep.length, 3);
		end(
			() => close(thread, w),
			() => {
				for (const { child } of children) kill(thread, child.pid, SIGTERM);
			},
		);
		host.settle();
		const results = await Promise.all(children.map(({ call }) => call));
		assert.equal(results, [1, ...new Array(3).fill(name === "wakeup" ? 0 : "EINTR")]);
		assert.equal(statuses(children), new Array(4).fill(name === "wakeup" ? 0 : SIGTERM));
	});

	test(`thundering_herd_write_${name}: all sleeping writers end`, async () => {
		const { thread, host } = machine();
		const [r, w] = pipe(thread);
		writeNow(thread, w, new Uint8Array(16384));
		const children = herd(thread, (child) => {
			close(child, r);
			return write(child, w, new Uint8Array(16384));
		});
		host.settle();
		assert.ok(children.every(({ child }) => child.main.state === "asleep"));
		readNow(thread, r, new Uint8Array(16384));
		host.settle();
		assert.is(children.filter(({ child }) => child.main.state === "asleep").length, 3);
		end(
			() => close(thread, r),
			() => {
				for (const { child } of children) kill(thread, child.pid, SIGTERM);
			},
		);
		host.settle();
		const results = await Promise.all(children.map(({ call }) => call));
		assert.equal(results, [16384, ...new Array(3).fill(name === "wakeup" ? "EPIPE" : "EINTR")]);
		const signal = name === "wakeup" ? SIGPIPE : SIGTERM;
		assert.equal(statuses(children), [name === "wakeup" ? 0 : SIGTERM, signal, signal, signal]);
	});
}

test("poll_iocond pipe: the events of every step", () => {
	const { thread } = machine();
	const [p, c] = pipe(thread);
	const ask = (fd: number, ...events: number[]) => {
		const fds = events.map((each) => ({ fd, events: each, revents: 0 }));
		return [pollNow(thread, fds), ...fds.map(({ revents }) => revents)];
	};
	const all = POLLIN | POLLOUT | 2;
	assert.equal(ask(c, all), [1, POLLOUT]);
	assert.equal(ask(p, POLLIN | 2), [0, 0]);
	writeNow(thread, c, one());
	assert.equal(ask(c, all), [1, POLLOUT]);
	assert.equal(ask(p, POLLIN | 2), [1, POLLIN]);
	readNow(thread, p, one());
	assert.equal(ask(p, POLLIN), [0, 0]);
	let written = 0;
	while (ask(c, POLLOUT)[0] === 1) {
		assert.equal(ask(c, POLLOUT), [1, POLLOUT]);
		written += writeNow(thread, c, new Uint8Array(1024));
	}
	let got = 0;
	while (got < written) {
		assert.equal(ask(p, POLLIN), [1, POLLIN]);
		got += readNow(thread, p, new Uint8Array(1024));
	}
	assert.is(got, written);
	close(thread, c);
	assert.equal(ask(p, all, 0), [2, POLLIN | POLLHUP, POLLHUP]);
	assert.equal(ask(c, 0), [1, 0x20]);
});

test("poll_regevent and select_regevent: a writer without a reader ends a wait without a timeout", async () => {
	const { thread, host } = machine();
	const [idle] = pipe(thread);
	const [r, w] = pipe(thread);
	close(thread, r);
	const fds = [
		{ fd: idle, events: POLLIN, revents: 0 },
		{ fd: w, events: POLLOUT, revents: 0 },
	];
	const polling = poll(thread, fds, -1);
	host.settle();
	assert.is(await polling, 1);
	assert.equal(
		fds.map(({ revents }) => revents),
		[0, POLLHUP],
	);
	const readfds = new FdSet([idle]);
	const writefds = new FdSet([w]);
	const selecting = select(thread, w + 1, readfds, writefds, null, null);
	host.settle();
	assert.equal([await selecting, [...readfds], [...writefds]], [1, [], [w]]);
});

test("t_poll basic and 3way: entries are independent, and one byte wakes all sleepers", async () => {
	const { thread, process, host } = machine();
	const [r, w] = pipe(thread);
	const reader = { fd: r, events: POLLIN, revents: -1 };
	const writer = { fd: w, events: POLLOUT, revents: -1 };
	assert.is(pollNow(thread, [reader]), 0);
	assert.equal([reader.revents, writer.revents], [0, -1]);
	assert.is(pollNow(thread, [writer]), 1);
	assert.equal([reader.revents, writer.revents], [0, POLLOUT]);
	assert.is(pollNow(thread, [reader, writer]), 1);
	const waits = [1, 2, 3].map((n) => {
		const entry = { fd: r, events: POLLIN | POLLHUP, revents: 0 };
		return poll(process.spawnThread(), [entry], n * 1000);
	});
	host.advance(1500);
	writeNow(thread, w, one());
	host.settle();
	assert.equal(await Promise.all(waits), [0, 1, 1]);
	assert.is(pollNow(thread, [reader, writer]), 2);
	assert.equal([reader.revents, writer.revents], [POLLIN, POLLOUT]);
});

test.run();

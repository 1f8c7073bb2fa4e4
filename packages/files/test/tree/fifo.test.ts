// Open fifos: bytes, room, end of file that comes and goes, and sleepers.
import { FdSet, POLLHUP, POLLIN, POLLOUT, POLLPRI, poll, select } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	eventList,
	fcntl,
	fork,
	fstat,
	interrupt,
	ioctl,
	kevent,
	keventNow,
	kqueue,
	lseek,
	NOTE_LOWAT,
	read,
	readNow,
	sigaction,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFL, F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import { SIG_DFL, SIGPIPE } from "@kqpoll/kqueue/signal";
import { readv, writev } from "@kqpoll/kqueue/uio";
import { SEEK_CUR } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../../src/shared/vnode-flags.ts";
import { unmount } from "../../src/tree/mount-calls.ts";
import { open, openNow } from "../../src/tree/open-calls.ts";
import { revoke } from "../../src/tree/revoke-calls.ts";
import { checkMachine, codeOf, collect, outcome, revents, selected } from "../machine.ts";
import { add, bytes, drain, traces, type World, world } from "./fifo-world.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const READ = O_RDONLY | O_NONBLOCK;
const SIZE = 8192;
const FILTERS = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT, EVFILT_VNODE, EVFILT_DEVICE];
const RECEIVED = EV_ADD | EV_RECEIPT;

/** A fifo with a reader and a writer, which by default do not block. */
function connected(): World & { readonly r: number; readonly w: number } {
	const made = world();
	const r = made.open(READ);
	const w = made.open(O_WRONLY);
	fcntl(made.thread, r, F_SETFL, 0);
	return { ...made, r, w };
}

test("bytes are read in the order in which they were written, by any writers", () => {
	const { thread, open, r, w } = connected();
	const other = open(O_WRONLY);
	const both = open(O_RDWR);
	for (const [fd, first] of [
		[w, 0],
		[other, 3],
		[both, 6],
	] as const)
		assert.is(writeNow(thread, fd, bytes(3, first)), 3);
	assert.equal(drain(thread, r, 4), [0, 1, 2, 3]);
	assert.equal(drain(thread, both, 2), [4, 5]);
	assert.equal(drain(thread, r, 9), [6, 7, 8]);
	assert.equal([drain(thread, r, 0), writeNow(thread, w, bytes(0))], [[], 0]);
	assert.equal(
		[
			codeOf(() => drain(thread, r, 1)),
			codeOf(() => drain(thread, w, 1)),
			codeOf(() => writeNow(thread, r, bytes(1))),
		],
		["EAGAIN", "EBADF", "EBADF"],
	);
});

test("a write that does not fit is made in parts of 512 bytes or more, or not at all", () => {
	const { thread, r, w } = connected();
	assert.is(writeNow(thread, w, bytes(10_000)), SIZE);
	const cases: readonly [room: number, n: number, result: number | string][] = [
		[0, 1, "EAGAIN"],
		[0, 600, "EAGAIN"],
		[100, 100, 100],
		[100, 101, "EAGAIN"],
		[511, 511, 511],
		[511, 512, "EAGAIN"],
		[511, 513, "EAGAIN"],
		[512, 512, 512],
		[512, 513, 512],
		[600, 9000, 600],
		[SIZE, SIZE, SIZE],
	];
	for (const [room, n, expected] of cases) {
		assert.is(drain(thread, r, room).length, room);
		let result = 0;
		const code = codeOf(() => {
			result = writeNow(thread, w, bytes(n));
		});
		assert.is(code === "no error" ? result : code, expected, `${n} bytes into ${room}`);
		writeNow(thread, w, bytes(room - result));
		assert.is(ioctl(thread, r, FIONREAD), SIZE);
	}
});

test("a write without readers is EPIPE, even of no bytes, and sends SIGPIPE", async () => {
	const { thread, r, w } = connected();
	const child = fork(thread);
	sigaction(child.main, SIGPIPE, SIG_DFL);
	for (const each of [thread, child.main]) close(each, r);
	let signals = 0;
	sigaction(thread, SIGPIPE, () => signals++);
	for (const n of [1, 0, 9000]) {
		assert.is(
			codeOf(() => writeNow(thread, w, bytes(n))),
			"EPIPE",
		);
		assert.is(await outcome(write(thread, w, bytes(n))), "EPIPE");
	}
	assert.is(signals, 6);
	assert.is(await outcome(write(child.main, w, bytes(1))), "EPIPE");
	assert.equal([child.zombie, child.status], [true, SIGPIPE]);
});

test("a read is at end of file when the last writer is gone, until there is another", () => {
	const { thread, open, r, w } = connected();
	const second = open(O_WRONLY);
	writeNow(thread, w, bytes(2));
	close(thread, w);
	assert.equal(drain(thread, r, 9), [0, 1]);
	assert.is(
		codeOf(() => drain(thread, r, 9)),
		"EAGAIN",
	);
	close(thread, second);
	assert.equal([drain(thread, r, 9), drain(thread, r, 9)], [[], []]);
	const third = open(O_WRONLY);
	assert.is(
		codeOf(() => drain(thread, r, 9)),
		"EAGAIN",
	);
	writeNow(thread, third, bytes(1, 7));
	close(thread, third);
	assert.equal([drain(thread, r, 9), drain(thread, r, 9)], [[7], []]);
});

test("without any writer yet, a read that does not block returns 0, and one that blocks waits", async () => {
	const { thread, process, host, open } = world();
	const r = open(READ);
	assert.equal([drain(thread, r, 1), await read(thread, r, bytes(1))], [[], 0]);
	assert.equal(revents(thread, ALL, r), [0]);
	fcntl(thread, r, F_SETFL, 0);
	assert.is(
		codeOf(() => drain(thread, r, 1)),
		"EAGAIN",
	);
	const sleeper = process.spawnThread();
	const call = read(sleeper, r, bytes(1));
	const w = open(O_WRONLY);
	host.settle();
	assert.is(sleeper.state, "asleep");
	close(thread, w);
	host.settle();
	assert.is(await call, 0);
	assert.equal(drain(thread, r, 1), []);
});

test("with a writer, a read that does not block is EAGAIN when there is nothing", async () => {
	const { thread, r, w } = connected();
	ioctl(thread, r, FIONBIO, 1);
	assert.is(fcntl(thread, r, F_GETFL), O_NONBLOCK);
	assert.is(await outcome(read(thread, r, bytes(1))), "EAGAIN");
	fcntl(thread, w, F_SETFL, O_NONBLOCK);
	assert.is(await write(thread, w, bytes(9000)), SIZE);
	assert.is(await outcome(write(thread, w, bytes(1))), "EAGAIN");
});

test("unread bytes are there for the next reader, as long as the fifo is open", () => {
	const { thread, open, r, w } = connected();
	writeNow(thread, w, bytes(4));
	close(thread, r);
	const second = open(READ);
	assert.equal(drain(thread, second, 2), [0, 1]);
	close(thread, w);
	assert.equal(revents(thread, POLLIN, second), [POLLIN | POLLHUP]);
	close(thread, second);
	const third = open(READ);
	assert.equal(revents(thread, POLLIN, third), [0]);
	open(O_WRONLY);
	assert.is(
		codeOf(() => drain(thread, third, 9)),
		"EAGAIN",
	);
});

test("another descriptor, or another process, keeps an end open", () => {
	const w = connected();
	const { thread } = w;
	const child = fork(thread).main;
	const more = dup(thread, w.w);
	close(thread, w.w);
	close(thread, more);
	assert.equal(revents(thread, POLLIN, w.r), [0]);
	writeNow(child, w.w, bytes(1));
	close(child, w.w);
	assert.equal(revents(thread, POLLIN, w.r), [POLLIN | POLLHUP]);
	for (const each of [child, thread]) close(each, w.r);
	assert.equal(traces(w), [0, false]);
});

test("a write of nothing tells the watchers, if there is something to read", () => {
	const { thread, r, w } = connected();
	const kq = kqueue(thread);
	const change = { ident: r, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR };
	keventNow(thread, kq, [change], null);
	writeNow(thread, w, bytes(0));
	assert.equal(collect(thread, kq), []);
	writeNow(thread, w, bytes(5));
	assert.equal(collect(thread, kq).length, 1);
	writeNow(thread, w, bytes(0));
	assert.equal(
		collect(thread, kq).map((event) => event[4]),
		[5],
	);
});

test("O_NONBLOCK that is set while a read sleeps does not end it", async () => {
	const { thread, process, host, r, w } = connected();
	const calls = [0, 1].map(() => outcome(read(process.spawnThread(), r, bytes(9))));
	fcntl(thread, r, F_SETFL, O_NONBLOCK);
	writeNow(thread, w, bytes(5));
	host.settle();
	assert.is(await calls[0], 5);
	close(thread, w);
	host.settle();
	assert.is(await calls[1], 0);
});

test("a fifo says what it holds, and has no offset", () => {
	const { thread, host, open, r, w } = connected();
	const both = open(O_RDWR);
	host.advance(0.000003);
	writeNow(thread, w, bytes(7));
	host.advance(0.000002);
	drain(thread, r, 2);
	const { size, atime, mtime, ctime } = fstat(thread, w) as never;
	assert.equal([size, atime, mtime, ctime], [0, 5, 3, 3]);
	assert.equal(
		[r, w, both].map((fd) => ioctl(thread, fd, FIONREAD)),
		[5, 0, 5],
	);
	assert.equal(
		[codeOf(() => lseek(thread, r, 0, SEEK_CUR)), codeOf(() => ioctl(thread, r, 1))],
		["ESPIPE", "EOPNOTSUPP"],
	);
});

type State = readonly [
	name: string,
	make: () => World & { fd: number },
	all: number,
	out: number,
	none: number,
	select: [boolean, boolean, boolean],
	read: number[] | null,
	write: number[] | null,
];

/** How to bring a fifo with both ends into a state, and which end to look at. */
function state(prepare: (c: ReturnType<typeof connected>) => number): () => World & { fd: number } {
	return () => {
		const made = connected();
		return { ...made, fd: prepare(made) };
	};
}

/** Every state: the revents of a poll for everything, for room, for nothing; select; kevent. */
const STATES: readonly State[] = [
	[
		"reader, never a writer",
		() => {
			const made = world();
			return { ...made, fd: made.open(READ) };
		},
		0,
		0,
		0,
		[false, false, false],
		[],
		null,
	],
	["reader, nothing", state(({ r }) => r), 0, 0, 0, [false, false, false], [], null],
	[
		"reader, data",
		state(({ thread, r, w }) => {
			writeNow(thread, w, bytes(3));
			return r;
		}),
		POLLIN,
		0,
		0,
		[true, false, false],
		[0, 3],
		null,
	],
	[
		"reader, last writer gone",
		state(({ thread, r, w }) => {
			close(thread, w);
			return r;
		}),
		POLLIN | POLLHUP,
		POLLHUP,
		POLLHUP,
		[true, false, false],
		[EV_EOF, 0],
		null,
	],
	[
		"reader, last writer gone, data",
		state(({ thread, r, w }) => {
			writeNow(thread, w, bytes(3));
			close(thread, w);
			return r;
		}),
		POLLIN | POLLHUP,
		POLLHUP,
		POLLHUP,
		[true, false, false],
		[EV_EOF, 3],
		null,
	],
	[
		"reader, another writer",
		state(({ thread, open, r, w }) => {
			close(thread, w);
			open(O_WRONLY);
			return r;
		}),
		0,
		0,
		0,
		[false, false, false],
		[],
		null,
	],
	["writer", state(({ w }) => w), POLLOUT, POLLOUT, 0, [false, true, false], null, [0, SIZE]],
	[
		"writer, room for 512",
		state(({ thread, w }) => {
			writeNow(thread, w, bytes(SIZE - 512));
			return w;
		}),
		POLLOUT,
		POLLOUT,
		0,
		[false, true, false],
		null,
		[0, 512],
	],
	[
		"writer, room for 511",
		state(({ thread, w }) => {
			writeNow(thread, w, bytes(SIZE - 511));
			return w;
		}),
		0,
		0,
		0,
		[false, false, false],
		null,
		[],
	],
	[
		"writer, no reader",
		state(({ thread, r, w }) => {
			close(thread, r);
			return w;
		}),
		POLLOUT,
		POLLOUT,
		0,
		[false, true, false],
		null,
		[EV_EOF, SIZE],
	],
	[
		"writer, full, no reader",
		state(({ thread, r, w }) => {
			writeNow(thread, w, bytes(SIZE));
			close(thread, r);
			return w;
		}),
		POLLOUT,
		POLLOUT,
		0,
		[false, true, false],
		null,
		[EV_EOF, 0],
	],
	[
		"writer, full, another reader",
		state(({ thread, open, r, w }) => {
			writeNow(thread, w, bytes(SIZE));
			close(thread, r);
			open(READ);
			return w;
		}),
		0,
		0,
		0,
		[false, false, false],
		null,
		[],
	],
	[
		"both, nothing",
		state(({ thread, open, r, w }) => {
			for (const fd of [r, w]) close(thread, fd);
			return open(O_RDWR);
		}),
		POLLOUT,
		POLLOUT,
		0,
		[false, true, false],
		[],
		[0, SIZE],
	],
	[
		"both, data",
		state(({ thread, open, w }) => {
			writeNow(thread, w, bytes(3));
			return open(O_RDWR);
		}),
		POLLIN | POLLOUT,
		POLLOUT,
		0,
		[true, true, false],
		[0, 3],
		[0, SIZE - 3],
	],
];

for (const [name, make, all, out, none, sets, readEvent, writeEvent] of STATES) {
	test(`${name}: what poll, select and kevent report`, () => {
		const w = make();
		const { thread, kq, fd } = w;
		// Twice: the second time with the knotes of the first.
		for (let round = 0; round < 2; round++) {
			assert.equal(
				[ALL, POLLOUT, 0].map((events) => revents(thread, events, fd)[0]),
				[all, out, none],
			);
			assert.equal(selected(thread, fd), sets);
		}
		const refused = [readEvent, writeEvent].map((event) => (event === null ? errno.EINVAL : 0));
		assert.equal(
			FILTERS.map((filter) => add(w, fd, filter)),
			[...refused, errno.EINVAL, errno.EINVAL, errno.EINVAL],
		);
		const events = [...event(fd, EVFILT_READ, readEvent), ...event(fd, EVFILT_WRITE, writeEvent)];
		assert.equal([collect(thread, kq), collect(thread, kq)], [events, events]);
		checkMachine(w);
	});
}

function event(fd: number, filter: number, said: number[] | null): number[][] {
	const [flags, data] = said ?? [];
	if (flags === undefined || data === undefined) return [];
	return [[fd, filter, RECEIVED | flags, 0, data]];
}

test("READ forgets the end of file when there is a writer again", () => {
	const w = connected();
	const { thread, kq, open, r } = w;
	const flags = RECEIVED | EV_EOF;
	add(w, r, EVFILT_READ);
	assert.equal(collect(thread, kq), []);
	close(thread, w.w);
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, flags, 0, 0]]);
	const second = open(O_WRONLY);
	assert.equal(collect(thread, kq), []);
	writeNow(thread, second, bytes(2));
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, RECEIVED, 0, 2]]);
	close(thread, second);
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, flags, 0, 2]]);
	open(O_WRONLY);
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, RECEIVED, 0, 2]]);
});

test("WRITE forgets the end of file when there is a reader again", () => {
	const w = connected();
	const { thread, kq, open } = w;
	add(w, w.w, EVFILT_WRITE);
	writeNow(thread, w.w, bytes(SIZE));
	assert.equal(collect(thread, kq), []);
	close(thread, w.r);
	assert.equal(collect(thread, kq), [[w.w, EVFILT_WRITE, RECEIVED | EV_EOF, 0, 0]]);
	const second = open(READ);
	assert.equal(collect(thread, kq), []);
	drain(thread, second, 511);
	assert.equal(collect(thread, kq), []);
	drain(thread, second, 1);
	assert.equal(collect(thread, kq), [[w.w, EVFILT_WRITE, RECEIVED, 0, 512]]);
	close(thread, second);
	assert.equal(collect(thread, kq), [[w.w, EVFILT_WRITE, RECEIVED | EV_EOF, 0, 512]]);
});

test("EV_CLEAR reports the end of file once, and does not end it", () => {
	const w = connected();
	const { thread, kq, open, r } = w;
	const flags = RECEIVED | EV_CLEAR;
	add(w, r, EVFILT_READ, EV_ADD | EV_CLEAR);
	close(thread, w.w);
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, flags | EV_EOF, 0, 0]]);
	assert.equal([collect(thread, kq), drain(thread, r, 1)], [[], []]);
	const second = open(O_WRONLY);
	assert.equal(collect(thread, kq), []);
	writeNow(thread, second, bytes(1));
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, flags, 0, 1]]);
	writeNow(thread, second, bytes(1));
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, flags, 0, 2]]);
});

test("with EV_CLEAR, WRITE is reported after each read that leaves room", () => {
	const w = connected();
	const { thread, kq } = w;
	const flags = RECEIVED | EV_CLEAR;
	writeNow(thread, w.w, bytes(SIZE));
	add(w, w.w, EVFILT_WRITE, EV_ADD | EV_CLEAR);
	for (const [n, room] of [
		[300, 0],
		[300, 600],
		[1, 601],
	] as const) {
		drain(thread, w.r, n);
		const expected = room === 0 ? [] : [[w.w, EVFILT_WRITE, flags, 0, room]];
		assert.equal([collect(thread, kq), collect(thread, kq)], [expected, []]);
	}
	drain(thread, w.r, 0);
	assert.equal(collect(thread, kq), []);
	close(thread, w.r);
	assert.equal(collect(thread, kq), [[w.w, EVFILT_WRITE, flags | EV_EOF, 0, 601]]);
});

test("NOTE_LOWAT is ignored", () => {
	const { thread, kq, r, w } = connected();
	const changes = [r, w].map((ident) => ({
		ident,
		filter: ident === r ? EVFILT_READ : EVFILT_WRITE,
		flags: EV_ADD,
		fflags: NOTE_LOWAT,
		data: 8000,
	}));
	keventNow(thread, kq, changes, null);
	writeNow(thread, w, bytes(1));
	assert.equal(collect(thread, kq), [
		[w, EVFILT_WRITE, EV_ADD, 0, SIZE - 1],
		[r, EVFILT_READ, EV_ADD, 0, 1],
	]);
});

test("poll and select no longer report a hang-up when there is a writer again", () => {
	const { thread, open, r, w } = connected();
	const ask = () => [
		revents(thread, ALL, r, r),
		revents(thread, POLLOUT, r),
		revents(thread, 0, r),
		selected(thread, r),
	];
	const quiet = [[0, 0], [0], [0], [false, false, false]];
	assert.equal(ask(), quiet);
	const gone = POLLIN | POLLHUP;
	close(thread, w);
	assert.equal(ask(), [[gone, gone], [POLLHUP], [POLLHUP], [true, false, false]]);
	open(O_WRONLY);
	assert.equal(ask(), quiet);
});

test("a hang-up that was reported is not reported again with the next writer's bytes", () => {
	const { thread, open, r, w } = connected();
	close(thread, w);
	assert.equal(revents(thread, ALL, r), [POLLIN | POLLHUP]);
	const second = open(O_WRONLY);
	writeNow(thread, second, bytes(1));
	assert.equal(revents(thread, ALL, r), [POLLIN]);
	close(thread, second);
	assert.equal(revents(thread, ALL, r), [POLLIN | POLLHUP]);
});

/** Three threads that wait for a descriptor, by poll, select and kevent; returns their results. */
function waiters(w: World, fd: number, events: number): () => Promise<unknown> {
	const threads = Array.from({ length: 3 }, () => w.process.spawnThread());
	const [one, two, three] = threads as [Thread, Thread, Thread];
	const fds = [{ fd, events, revents: 0 }];
	const set = new FdSet([fd]);
	const list = eventList(1);
	const reads = events === POLLIN;
	add(w, fd, reads ? EVFILT_READ : EVFILT_WRITE);
	const calls = [
		poll(one, fds, -1),
		select(two, fd + 1, reads ? set : null, reads ? null : set, null, null),
		kevent(three, w.kq, null, list, null),
	];
	w.host.settle();
	assert.ok(threads.every(({ state }) => state === "asleep"));
	return async () => {
		w.host.settle();
		assert.equal(await Promise.all(calls), [1, 1, 1]);
		return [fds[0]?.revents, [...set], (list[0]?.flags ?? 0) & ~RECEIVED, list[0]?.data];
	};
}

test("threads that wait for bytes are woken by them, and by the end of file", async () => {
	const w = connected();
	let said = waiters(w, w.r, POLLIN);
	writeNow(w.thread, w.w, bytes(2));
	assert.equal(await said(), [POLLIN, [w.r], 0, 2]);
	drain(w.thread, w.r, 2);
	said = waiters(w, w.r, POLLIN);
	close(w.thread, w.w);
	assert.equal(await said(), [POLLIN | POLLHUP, [w.r], EV_EOF, 0]);
});

test("threads that wait for room are woken by it, and by the end of file", async () => {
	const w = connected();
	writeNow(w.thread, w.w, bytes(SIZE));
	let said = waiters(w, w.w, POLLOUT);
	drain(w.thread, w.r, 512);
	assert.equal(await said(), [POLLOUT, [w.w], 0, 512]);
	writeNow(w.thread, w.w, bytes(512));
	said = waiters(w, w.w, POLLOUT);
	close(w.thread, w.r);
	assert.equal(await said(), [POLLOUT, [w.w], EV_EOF, 0]);
});

test("threads that wait only for a hang-up are woken by it", async () => {
	const w = connected();
	const calls = [0, POLLPRI, POLLOUT].map((events) => {
		const fds = [{ fd: w.r, events, revents: 0 }];
		return poll(w.process.spawnThread(), fds, -1).then((n) => [n, fds[0]?.revents]);
	});
	writeNow(w.thread, w.w, bytes(1));
	w.host.settle();
	assert.is(w.kernel.sleepers, 3);
	close(w.thread, w.w);
	w.host.settle();
	assert.equal(await Promise.all(calls), [
		[1, POLLHUP],
		[1, POLLHUP],
		[1, POLLHUP],
	]);
});

test("a read sleeps until there are bytes, or the end of file", async () => {
	const { thread, process, host, r, w } = connected();
	const reader = process.spawnThread();
	const into = [new Uint8Array(1), new Uint8Array(7)];
	const first = readv(reader, r, into);
	host.settle();
	assert.is(reader.state, "asleep");
	writeNow(thread, w, bytes(3, 1));
	host.settle();
	assert.is(await first, 3);
	assert.equal(
		into.map((buffer) => [...buffer]),
		[[1], [2, 3, 0, 0, 0, 0, 0]],
	);
	const last = read(reader, r, bytes(1));
	host.settle();
	close(thread, w);
	host.settle();
	assert.is(await last, 0);
});

test("a read that missed the end of file stays asleep with the next writer", async () => {
	const { thread, process, host, open, r, w } = connected();
	const call = read(process.spawnThread(), r, bytes(1));
	close(thread, w);
	const second = open(O_WRONLY);
	host.settle();
	writeNow(thread, second, bytes(1));
	host.settle();
	assert.is(await call, 1);
});

test("a write sleeps until all of it is in, and uses all room that it gets", async () => {
	const { thread, process, host, r, w } = connected();
	const writer = process.spawnThread();
	const call = writev(writer, w, [bytes(SIZE), bytes(1000)]);
	const got: number[] = [];
	const held: number[] = [];
	for (const n of [511, 1, 400, 88]) {
		host.settle();
		assert.is(writer.state, "asleep");
		got.push(...drain(thread, r, n));
		host.settle();
		held.push(ioctl(thread, r, FIONREAD));
	}
	host.settle();
	assert.is(await call, SIZE + 1000);
	assert.equal(held, [SIZE - 511, SIZE, SIZE - 400, SIZE]);
	got.push(...drain(thread, r, SIZE));
	assert.equal(got, [...bytes(SIZE), ...bytes(1000)]);
});

test("a write that sleeps gets EPIPE when the last reader goes, even if it has written something", async () => {
	const { thread, process, host, open, r, w } = connected();
	const second = open(READ);
	const writer = process.spawnThread();
	let signals = 0;
	sigaction(thread, SIGPIPE, () => signals++);
	const call = outcome(write(writer, w, bytes(9000)));
	close(thread, r);
	host.settle();
	assert.is(writer.state, "asleep");
	close(thread, second);
	host.settle();
	assert.equal([await call, signals], ["EPIPE", 1]);
});

test("an interrupted transfer returns how much it moved, or EINTR, or the reason of the abort", async () => {
	const { process, host, r, w } = connected();
	const sleeper = process.spawnThread();
	const controller = new AbortController();
	const cases: readonly [call: () => Promise<number>, end: () => void, result: unknown][] = [
		[() => read(sleeper, r, bytes(1)), () => interrupt(sleeper), "EINTR"],
		[() => write(sleeper, w, bytes(9000)), () => interrupt(sleeper), SIZE],
		[() => write(sleeper, w, bytes(1)), () => interrupt(sleeper), "EINTR"],
		[
			() => write(sleeper, w, bytes(1), { signal: controller.signal }),
			() => controller.abort("enough"),
			"enough",
		],
	];
	for (const [begin, end, expected] of cases) {
		const call = outcome(begin());
		host.settle();
		assert.is(sleeper.state, "asleep");
		end();
		host.settle();
		assert.is(await call, expected);
	}
});

test("several readers asleep: each write wakes them, and no byte is lost", async () => {
	const { thread, process, host, r, w } = connected();
	const readers = [0, 1, 2].map(() => process.spawnThread());
	const got: number[] = [];
	const calls = readers.map(async (reader) => {
		const buffer = new Uint8Array(1);
		const n = await read(reader, r, buffer);
		got.push(...buffer.subarray(0, n));
	});
	host.settle();
	writeNow(thread, w, bytes(2, 7));
	host.settle();
	assert.equal(readers.map(({ state }) => state).sort(), ["asleep", "running", "running"]);
	close(thread, w);
	host.settle();
	await Promise.all(calls);
	assert.equal(got, [7, 8]);
});

test("revoking a fifo ends all its sleeping calls, and its open files are dead", async () => {
	const GONE = RECEIVED | EV_EOF | EV_ONESHOT;
	for (const take of [
		({ thread, tree }: World) => revoke(thread, tree, "p"),
		({ thread, tree }: World) => unmount(thread, tree),
	]) {
		const w = connected();
		const { thread, process, host, kq, r } = w;
		add(w, r, EVFILT_READ);
		add(w, w.w, EVFILT_WRITE, EV_ADD | EV_CLEAR);
		assert.is(collect(thread, kq).length, 1);
		const reading = outcome(read(process.spawnThread(), r, bytes(1)));
		const hangup = [{ fd: r, events: 0, revents: 0 }];
		const polling = poll(process.spawnThread(), hangup, -1);
		host.settle();
		take(w);
		host.settle();
		assert.equal([await reading, await polling, hangup[0]?.revents], ["EIO", 1, POLLHUP]);
		assert.equal(collect(thread, kq), [
			[w.w, EVFILT_WRITE, GONE | EV_CLEAR, 0, 0],
			[r, EVFILT_READ, GONE, 0, 0],
		]);
		assert.equal(collect(thread, kq), []);
		for (const fd of [r, w.w]) {
			assert.equal(revents(thread, ALL, fd), [POLLIN | POLLHUP]);
			assert.equal(selected(thread, fd), [true, true, false]);
			assert.equal(
				FILTERS.map((filter) => add(w, fd, filter)),
				[0, 0, errno.EINVAL, errno.EINVAL, errno.EINVAL],
			);
			assert.is(
				codeOf(() => fstat(thread, fd)),
				"EBADF",
			);
			assert.is(
				codeOf(() => ioctl(thread, fd, FIONREAD)),
				"ENOTTY",
			);
		}
		assert.equal(
			[codeOf(() => readNow(thread, r, bytes(1))), codeOf(() => writeNow(thread, w.w, bytes(1)))],
			["EIO", "EIO"],
		);
		assert.equal([w.kernel.sleepers, ...traces(w)], [0, 0, false]);
		checkMachine(w);
	}
});

test("revoking a full fifo wakes sleeping writers", async () => {
	const w = connected();
	writeNow(w.thread, w.w, bytes(SIZE));
	const fds = [{ fd: w.w, events: POLLOUT, revents: 0 }];
	const set = new FdSet([w.w]);
	const calls = [
		poll(w.process.spawnThread(), fds, -1),
		select(w.process.spawnThread(), w.w + 1, null, set, null, null),
	];
	w.host.settle();
	assert.is(w.kernel.sleepers, 2);
	revoke(w.thread, w.tree, "p");
	w.host.settle();
	assert.equal(await Promise.all(calls), [1, 1]);
	assert.equal([fds[0]?.revents, [...set]], [POLLHUP, [w.w]]);
});

test("revoking a fifo ends writes and opens that sleep", async () => {
	const w = connected();
	const { thread, tree, process, host } = w;
	const writing = outcome(write(process.spawnThread(), w.w, bytes(9000)));
	revoke(thread, tree, "p");
	host.settle();
	assert.is(await writing, "EIO");
	for (const flags of [O_RDONLY, O_WRONLY]) {
		const opening = outcome(open(process.spawnThread(), tree, "p", flags));
		assert.equal(traces(w), [1, true]);
		revoke(thread, tree, "p");
		host.settle();
		assert.equal([await opening, ...traces(w)], ["EIO", 0, false]);
	}
	// Also one that was woken before, and has not run yet.
	const woken = outcome(open(process.spawnThread(), tree, "p", O_RDONLY));
	openNow(thread, tree, "p", O_WRONLY);
	unmount(thread, tree);
	host.settle();
	assert.equal([await woken, tree.opens.size], ["EIO", 0]);
});

test("a revoked fifo can be opened again, without any effect of the revoked files", async () => {
	const w = connected();
	const { thread, tree, open: openAgain, r } = w;
	writeNow(thread, w.w, bytes(3));
	revoke(thread, tree, "p");
	assert.is(
		codeOf(() => openAgain(O_WRONLY)),
		"EAGAIN",
	);
	const reader = openAgain(READ);
	const writer = openAgain(O_WRONLY);
	assert.equal(revents(thread, ALL, reader, writer), [0, POLLOUT]);
	for (const fd of [r, w.w]) close(thread, fd);
	assert.equal(revents(thread, ALL, reader, writer), [0, POLLOUT]);
	writeNow(thread, writer, bytes(1, 9));
	assert.equal(drain(thread, reader, 9), [9]);
	assert.equal(traces(w), [2, true]);
});

test("the last close forgets the fifo, and knotes go with their descriptors", () => {
	const w = connected();
	const { thread, kq, r } = w;
	add(w, r, EVFILT_READ);
	add(w, w.w, EVFILT_WRITE);
	close(thread, r);
	assert.equal(traces(w), [1, true]);
	close(thread, w.w);
	assert.equal([...traces(w), ...collect(thread, kq)], [0, false]);
	checkMachine(w);
});

test.run();

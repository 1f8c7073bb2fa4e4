// Pipes: bytes, room, ends, hang-ups, and sleepers.
import {
	FdSet,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	poll,
	pollNow,
	pollSubscriptions,
	pollSubscriptionsNow,
	type Subscription,
	select,
} from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EV_RECEIPT,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_SIGNAL,
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
	read,
	readNow,
	sigaction,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFD, F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { SIG_DFL, SIGPIPE } from "@kqpoll/kqueue/signal";
import { S_IFIFO } from "@kqpoll/kqueue/stat";
import { readv, readvNow, writev, writevNow } from "@kqpoll/kqueue/uio";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CLOEXEC } from "../../src/fcntl.ts";
import { pipe, pipe2 } from "../../src/index.ts";
import {
	checkMachine,
	codeOf,
	collect,
	type Machine,
	machine,
	outcome,
	revents,
	selected,
} from "../machine.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;

interface World extends Machine {
	readonly r: number;
	readonly w: number;
}

function world(): World {
	const m = machine();
	const [r, w] = pipe(m.thread);
	return { ...m, r, w };
}

function bytes(n: number, first = 0): Uint8Array {
	return Uint8Array.from({ length: n }, (_, i) => (first + i) & 0xff);
}

function drain(thread: Thread, fd: number, n: number): number[] {
	const buffer = new Uint8Array(n);
	return [...buffer.subarray(0, readNow(thread, fd, buffer))];
}

function add(thread: Thread, kq: number, ident: number, filter: number, flags = EV_ADD): number {
	const events = eventList(1);
	keventNow(thread, kq, [{ ident, filter, flags: flags | EV_RECEIPT }], events);
	return events[0]?.data ?? -1;
}

test("bytes written to one end are read from the other, in both directions", () => {
	const { thread, r, w } = world();
	assert.is(writeNow(thread, w, bytes(5)), 5);
	assert.is(writeNow(thread, r, bytes(3, 10)), 3);
	assert.equal(drain(thread, r, 3), [0, 1, 2]);
	assert.equal(drain(thread, r, 9), [3, 4]);
	assert.equal(drain(thread, w, 9), [10, 11, 12]);
	assert.is(
		codeOf(() => drain(thread, r, 1)),
		"EAGAIN",
	);
	assert.is(readNow(thread, r, new Uint8Array(0)), 0);
	assert.is(writeNow(thread, w, new Uint8Array(0)), 0);
});

test("a small write goes in as a whole or not at all, a large one in part", () => {
	const { thread, r, w } = world();
	assert.is(writeNow(thread, w, bytes(16384 - 511)), 16384 - 511);
	assert.is(
		codeOf(() => writeNow(thread, w, bytes(512))),
		"EAGAIN",
	);
	assert.is(writeNow(thread, w, bytes(513)), 511);
	assert.is(
		codeOf(() => writeNow(thread, w, bytes(1))),
		"EAGAIN",
	);
	assert.is(drain(thread, r, 512).length, 512);
	assert.is(writeNow(thread, w, bytes(512)), 512);
});

test("a large write to an empty pipe makes the pipe larger, and it stays so", () => {
	const { thread, r, w } = world();
	assert.is(fstat(thread, r).blksize, 16384);
	assert.is(writeNow(thread, w, bytes(70_000)), 65536);
	assert.is(drain(thread, r, 70_000).length, 65536);
	assert.equal(fstat(thread, r), { mode: S_IFIFO, size: 0, blksize: 65536 });
	const other = pipe(thread);
	writeNow(thread, other[1], bytes(1));
	assert.is(writeNow(thread, other[1], bytes(70_000)), 16383);
});

test("the number of large pipes is limited, and a large pipe that closes makes room for others", () => {
	const { thread } = machine();
	const pipes = Array.from({ length: 33 }, () => pipe(thread));
	const sizes = pipes.map(([, w]) => writeNow(thread, w, bytes(70_000)));
	assert.equal(sizes, [...new Array(32).fill(65536), 16384]);
	for (const fd of pipes[0] as [number, number]) close(thread, fd);
	const [, w] = pipe(thread);
	assert.is(writeNow(thread, w, bytes(70_000)), 65536);
});

test("FIONREAD and fstat tell how many bytes a pipe holds", () => {
	const { thread, r, w } = world();
	writeNow(thread, w, bytes(7));
	assert.equal(fstat(thread, r), { mode: S_IFIFO, size: 7, blksize: 16384 });
	assert.equal([ioctl(thread, r, FIONREAD), ioctl(thread, w, FIONREAD)], [7, 0]);
	assert.is(
		codeOf(() => ioctl(thread, r, 1)),
		"ENOTTY",
	);
	assert.is(
		codeOf(() => lseek(thread, r, 0, 0)),
		"ESPIPE",
	);
});

test("flags apply to both ends, and unknown ones are refused", () => {
	const { thread } = machine();
	const fds = pipe2(thread, O_NONBLOCK | O_CLOEXEC);
	assert.equal(
		fds.map((fd) => fcntl(thread, fd, F_GETFD)),
		[1, 1],
	);
	for (const flags of [1, -1, 0.5, Number.NaN, "4"]) {
		assert.is(
			codeOf(() => pipe2(thread, flags as never)),
			"EINVAL",
		);
	}
	assert.is(fds[1], 1);
});

test("a pipe that gets only one descriptor gets none", () => {
	const { thread, process } = machine();
	process.fdp.limit = 3;
	pipe(thread);
	assert.is(
		codeOf(() => pipe(thread)),
		"EMFILE",
	);
	process.fdp.limit = 4;
	assert.equal(pipe(thread), [2, 3]);
});

test("the readiness of every state, through poll, select and kevent", () => {
	const states: readonly [
		string,
		(w: World) => number,
		number,
		number,
		[boolean, boolean, boolean],
	][] = [
		["empty read end", (w) => w.r, POLLOUT, 0, [false, true, false]],
		[
			"read end with data",
			(w) => {
				writeNow(w.thread, w.w, bytes(1));
				return w.r;
			},
			POLLIN | POLLOUT,
			0,
			[true, true, false],
		],
		[
			"read end, writer closed",
			(w) => {
				close(w.thread, w.w);
				return w.r;
			},
			POLLIN | POLLHUP,
			POLLHUP,
			[true, true, false],
		],
		[
			"write end, reader closed",
			(w) => {
				close(w.thread, w.r);
				return w.w;
			},
			POLLIN | POLLHUP,
			POLLHUP,
			[true, true, false],
		],
		[
			"write end, full",
			(w) => {
				writeNow(w.thread, w.w, bytes(16384 - 511));
				return w.w;
			},
			0,
			0,
			[false, false, false],
		],
		[
			"write end with room for 512",
			(w) => {
				writeNow(w.thread, w.w, bytes(16384 - 512));
				return w.w;
			},
			POLLOUT,
			0,
			[false, true, false],
		],
	];
	for (const [name, prepare, all, none, sets] of states) {
		const w = world();
		const fd = prepare(w);
		assert.equal(revents(w.thread, ALL, fd), [all], name);
		assert.equal(revents(w.thread, 0, fd), [none], name);
		assert.equal(selected(w.thread, fd), sets, name);
		checkMachine(w);
	}
	const w = world();
	close(w.thread, w.w);
	close(w.thread, w.r);
	assert.equal(revents(w.thread, POLLOUT, w.w), [POLLNVAL]);
});

test("for poll_oneoff an end goes one way: the other is never ready, and no sleeper spins on it", async () => {
	const { host, thread } = machine();
	const [r, w] = pipe(thread);
	const both: Subscription[] = [r, w].flatMap((fd) => [
		{ type: "fd_write", fd },
		{ type: "fd_read", fd },
	]);
	const told = () =>
		pollSubscriptionsNow(thread, both).map(({ index, nbytes, hangup }) => [index, nbytes, hangup]);
	writeNow(thread, r, new Uint8Array(3));
	assert.equal(told(), [[2, 16384, false]]);
	const waiting = pollSubscriptions(thread, both.slice(0, 2));
	host.settle();
	assert.is(thread.state, "asleep");
	writeNow(thread.process.spawnThread(), w, new Uint8Array(5));
	host.settle();
	assert.equal(
		(await waiting).map(({ index, nbytes }) => [index, nbytes]),
		[[1, 5]],
	);
	// Its reader is gone: the write tells, and what was written to the wrong end is lost.
	close(thread, r);
	assert.equal(
		pollSubscriptionsNow(thread, both.slice(2)).map(({ type, error, hangup }) => [
			type,
			error,
			hangup,
		]),
		[["fd_write", 0, false]],
	);
});

test("filters that a pipe does not have are refused, and so is EXCEPT except for poll", () => {
	const { thread, r } = world();
	const kq = kqueue(thread);
	for (const filter of [EVFILT_VNODE, EVFILT_DEVICE, EVFILT_EXCEPT]) {
		assert.is(add(thread, kq, r, filter), errno.EINVAL);
	}
});

test("READ reports the bytes, and at the end of file what is left, again and again", () => {
	const { thread, r, w } = world();
	const kq = kqueue(thread);
	add(thread, kq, r, EVFILT_READ);
	assert.equal(collect(thread, kq), []);
	writeNow(thread, w, bytes(9));
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 9]]);
	close(thread, w);
	const flags = EV_ADD | EV_RECEIPT | EV_EOF;
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, flags, 0, 9]]);
	assert.is(drain(thread, r, 20).length, 9);
	assert.equal(drain(thread, r, 20), []);
	assert.equal(collect(thread, kq), [[r, EVFILT_READ, flags, 0, 0]]);
});

test("WRITE reports the room from 512 bytes on, and is refused without a reader", () => {
	const { thread, r, w } = world();
	const kq = kqueue(thread);
	add(thread, kq, w, EVFILT_WRITE, EV_ADD | EV_CLEAR);
	const flags = EV_ADD | EV_CLEAR | EV_RECEIPT;
	assert.equal(collect(thread, kq), [[w, EVFILT_WRITE, flags, 0, 16384]]);
	writeNow(thread, w, bytes(16384));
	assert.equal(collect(thread, kq), []);
	drain(thread, r, 511);
	assert.equal(collect(thread, kq), []);
	drain(thread, r, 1);
	assert.equal(collect(thread, kq), [[w, EVFILT_WRITE, flags, 0, 512]]);
	close(thread, r);
	assert.equal(collect(thread, kq), [[w, EVFILT_WRITE, flags | EV_EOF, 0, 0]]);
	assert.is(add(thread, kqueue(thread), w, EVFILT_WRITE), errno.EPIPE);
	assert.is(
		codeOf(() => writeNow(thread, w, bytes(1))),
		"EPIPE",
	);
});

test("a thread that waits for room in a full pipe wakes when its reader goes away", async () => {
	const { thread, process, host, r, w } = world();
	const kq = kqueue(thread);
	add(thread, kq, w, EVFILT_WRITE);
	writeNow(thread, w, bytes(16384));
	const threads = Array.from({ length: 4 }, () => process.spawnThread());
	const [one, two, three, four] = threads as [Thread, Thread, Thread, Thread];
	const fds = [{ fd: w, events: POLLOUT, revents: 0 }];
	const writefds = new FdSet([w]);
	const events = eventList(1);
	const calls = [
		poll(one, fds, -1),
		select(two, w + 1, null, writefds, null, null),
		kevent(three, kq, null, events, null),
		outcome(write(four, w, bytes(1))),
	];
	host.settle();
	assert.ok(threads.every(({ state }) => state === "asleep"));
	close(thread, r);
	host.settle();
	assert.equal(await Promise.all(calls), [1, 1, 1, "EPIPE"]);
	assert.equal([fds[0]?.revents, [...writefds]], [POLLHUP, [w]]);
	assert.is(events[0]?.flags, EV_ADD | EV_RECEIPT | EV_EOF);
});

test("a read sleeps until there are bytes, or the end of file", async () => {
	const { thread, process, host, r, w } = world();
	const reader = process.spawnThread();
	const buffer = new Uint8Array(8);
	const first = read(reader, r, buffer);
	host.settle();
	assert.is(reader.state, "asleep");
	writeNow(thread, w, bytes(3));
	host.settle();
	assert.is(await first, 3);
	assert.equal([...buffer.subarray(0, 3)], [0, 1, 2]);
	const last = read(reader, r, buffer);
	close(thread, w);
	host.settle();
	assert.is(await last, 0);
});

test("a write sleeps until all of it is in, and goes on when less than a third is left", async () => {
	const { thread, process, host, r, w } = world();
	writeNow(thread, w, bytes(16384));
	const writer = process.spawnThread();
	const call = write(writer, w, bytes(10_000));
	host.settle();
	assert.is(writer.state, "asleep");
	assert.is(drain(thread, r, 10_923).length, 10_923);
	host.settle();
	assert.is(fstat(thread, r).size, 5461);
	drain(thread, r, 1);
	host.settle();
	assert.is(await call, 10_000);
	assert.is(fstat(thread, r).size, 15_460);
});

/** Watches both directions of a descriptor; each notification is an event, which `told` collects. */
function watch(thread: Thread, kq: number, fd: number, ...filters: number[]): void {
	for (const filter of filters) add(thread, kq, fd, filter, EV_ADD | EV_CLEAR);
	told(thread, kq);
}

/** The descriptor, the filter and the data of each event. */
function told(thread: Thread, kq: number): number[][] {
	return collect(thread, kq).map(([fd, filter, , , data]) => [fd, filter, data] as number[]);
}

test("a pipe becomes larger when a large write begins and finds it empty, not while one waits", async () => {
	const { thread, process, host, r, w } = world();
	writeNow(thread, w, bytes(16384));
	const writer = process.spawnThread();
	const call = write(writer, w, bytes(20_000));
	drain(thread, r, 16384);
	host.settle();
	assert.equal(fstat(thread, r), { mode: S_IFIFO, size: 16384, blksize: 16384 });
	drain(thread, r, 16384);
	host.settle();
	assert.is(await call, 20_000);
	assert.is(fstat(thread, r).blksize, 16384);
	drain(thread, r, 16384);
	assert.is(writeNow(thread, w, bytes(20_000)), 20_000);
	assert.is(fstat(thread, r).blksize, 65536);
});

test("a read tells the watchers for room when it ends, not when it begins to sleep", async () => {
	const { thread, process, host, r, w } = world();
	const kq = kqueue(thread);
	watch(thread, kq, w, EVFILT_WRITE);
	const reading = read(process.spawnThread(), r, bytes(8));
	assert.equal(told(thread, kq), []);
	writeNow(thread, w, bytes(3));
	host.settle();
	assert.is(await reading, 3);
	assert.equal(told(thread, kq), [[w, EVFILT_WRITE, 16384]]);
	codeOf(() => drain(thread, r, 1));
	assert.equal(told(thread, kq), [[w, EVFILT_WRITE, 16384]]);
	drain(thread, r, 0);
	assert.equal(told(thread, kq), [[w, EVFILT_WRITE, 16384]]);
});

test("a read or a write that is interrupted tells the watchers of the other end", async () => {
	const { thread, process, host, r, w } = world();
	const kq = kqueue(thread);
	const sleeper = process.spawnThread();
	watch(thread, kq, w, EVFILT_WRITE);
	const reading = outcome(read(sleeper, r, bytes(8)));
	assert.equal(told(thread, kq), []);
	interrupt(sleeper);
	host.settle();
	assert.is(await reading, "EINTR");
	assert.equal(told(thread, kq), [[w, EVFILT_WRITE, 16384]]);
	writeNow(thread, w, bytes(16384));
	watch(thread, kq, r, EVFILT_READ);
	const writing = outcome(write(sleeper, w, bytes(1)));
	assert.equal(told(thread, kq), [[r, EVFILT_READ, 16384]]);
	interrupt(sleeper);
	host.settle();
	assert.is(await writing, "EINTR");
	assert.equal(told(thread, kq), [[r, EVFILT_READ, 16384]]);
});

test("a write of nothing tells the watchers, if there is something to read", () => {
	const { thread, r, w } = world();
	const kq = kqueue(thread);
	watch(thread, kq, r, EVFILT_READ);
	writeNow(thread, w, bytes(0));
	assert.equal(told(thread, kq), []);
	writeNow(thread, w, bytes(5));
	assert.equal(told(thread, kq), [[r, EVFILT_READ, 5]]);
	writeNow(thread, w, bytes(0));
	assert.equal(told(thread, kq), [[r, EVFILT_READ, 5]]);
});

test("an end that closes tells the watchers for room first, then the watchers for bytes", () => {
	for (const order of [
		[EVFILT_READ, EVFILT_WRITE],
		[EVFILT_WRITE, EVFILT_READ],
	]) {
		const { thread, r, w } = world();
		const kq = kqueue(thread);
		watch(thread, kq, w, ...order);
		close(thread, r);
		assert.equal(told(thread, kq), [
			[w, EVFILT_WRITE, 0],
			[w, EVFILT_READ, 0],
		]);
	}
});

test("the end of file reaches the watchers before the sleeping reader, which tells them again", async () => {
	const { thread, process, host, r, w } = world();
	const kq = kqueue(thread);
	watch(thread, kq, r, EVFILT_READ);
	const reading = read(process.spawnThread(), r, bytes(8));
	const events = eventList(4);
	const waiting = kevent(process.spawnThread(), kq, null, events, null);
	close(thread, w);
	host.settle();
	assert.equal(await Promise.all([reading, waiting]), [0, 1]);
	assert.equal(told(thread, kq), [[r, EVFILT_READ, 0]]);
	assert.equal(told(thread, kq), []);
});

test("a transfer looks each time before it sleeps whether the pipe still blocks", async () => {
	const { thread, process, host, r, w } = world();
	const calls = [0, 1].map(() => outcome(read(process.spawnThread(), r, bytes(8))));
	fcntl(thread, r, F_SETFL, O_NONBLOCK);
	writeNow(thread, w, bytes(5));
	host.settle();
	assert.equal(await Promise.all(calls), [5, "EAGAIN"]);
	writeNow(thread, w, bytes(16384));
	const writer = process.spawnThread();
	const writing = write(writer, w, bytes(1000));
	fcntl(thread, w, F_SETFL, O_NONBLOCK);
	drain(thread, r, 11_000);
	host.settle();
	assert.is(await writing, 1000);
});

test("a descriptor that does not block gets EAGAIN, and writes in part", async () => {
	const { thread, r, w } = world();
	for (const fd of [r, w]) fcntl(thread, fd, F_SETFL, O_NONBLOCK);
	assert.is(await outcome(read(thread, r, bytes(1))), "EAGAIN");
	assert.is(await write(thread, w, bytes(20_000)), 20_000);
	assert.is(await write(thread, w, bytes(60_000)), 45_536);
	assert.is(await outcome(write(thread, w, bytes(1))), "EAGAIN");
});

test("an interrupted transfer returns how much it moved, or EINTR", async () => {
	const { thread, process, host, r, w } = world();
	const sleeper = process.spawnThread();
	const reading = outcome(read(sleeper, r, bytes(1)));
	interrupt(sleeper);
	host.settle();
	assert.is(await reading, "EINTR");
	writeNow(thread, w, bytes(16_000));
	const writing = outcome(write(sleeper, w, bytes(1000)));
	host.settle();
	interrupt(sleeper);
	host.settle();
	assert.is(await writing, 384);
	const nothing = outcome(write(sleeper, w, bytes(1)));
	const controller = new AbortController();
	interrupt(sleeper);
	host.settle();
	assert.is(await nothing, "EINTR");
	const aborted = outcome(write(sleeper, w, bytes(1), { signal: controller.signal }));
	controller.abort("enough");
	host.settle();
	assert.is(await aborted, "enough");
});

test("two readers asleep on one pipe: each byte wakes one, and none is lost", async () => {
	const { thread, process, host, r, w } = world();
	const readers = [process.spawnThread(), process.spawnThread()];
	const got: number[] = [];
	const calls = readers.map(async (reader) => {
		const buffer = new Uint8Array(1);
		await read(reader, r, buffer);
		got.push(buffer[0] as number);
	});
	host.settle();
	writeNow(thread, w, bytes(1, 7));
	host.settle();
	await undefined;
	assert.equal(readers.map(({ state }) => state).sort(), ["asleep", "running"]);
	writeNow(thread, w, bytes(1, 8));
	host.settle();
	await Promise.all(calls);
	assert.equal(got, [7, 8]);
});

test("vectored forms read and write several buffers as one", async () => {
	const { thread, process, host, r, w } = world();
	assert.is(writevNow(thread, w, [bytes(2), bytes(0), bytes(3, 2)]), 5);
	const into = [new Uint8Array(1), new Uint8Array(3), new Uint8Array(4)];
	assert.is(readvNow(thread, r, into), 5);
	assert.equal(
		into.map((buffer) => [...buffer]),
		[[0], [1, 2, 3], [4, 0, 0, 0]],
	);
	const reader = process.spawnThread();
	const call = readv(reader, r, into);
	assert.is(await writev(thread, w, [bytes(1, 9), bytes(1, 8)]), 2);
	host.settle();
	assert.is(await call, 2);
	assert.equal(
		into.map((buffer) => [...buffer]),
		[[9], [8, 2, 3], [4, 0, 0, 0]],
	);
	assert.is(
		codeOf(() => writevNow(thread, w, "no" as never)),
		"EFAULT",
	);
	assert.is(await outcome(writev(thread, w, [null as never])), "EFAULT");
	assert.is(await outcome(readv(thread, r, 5 as never)), "EFAULT");
});

test("a write without a reader sends SIGPIPE, which ends a process that does not handle it", async () => {
	const { thread, r, w } = world();
	const child = fork(thread);
	sigaction(child.main, SIGPIPE, SIG_DFL);
	for (const each of [thread, child.main]) close(each, r);
	assert.is(
		codeOf(() => writeNow(thread, w, bytes(1))),
		"EPIPE",
	);
	assert.is(await outcome(write(child.main, w, bytes(1))), "EPIPE");
	assert.equal([child.exiting, child.status], [true, SIGPIPE]);
});

test("the other end's watchers are told of a close before a write that sleeps sends SIGPIPE", async () => {
	const { thread, process, host, r, w } = world();
	const kq = kqueue(thread);
	const watched = [
		{ ident: SIGPIPE, filter: EVFILT_SIGNAL, flags: EV_ADD },
		{ ident: w, filter: EVFILT_WRITE, flags: EV_ADD | EV_CLEAR },
	];
	keventNow(thread, kq, watched, null);
	collect(thread, kq);
	const writing = outcome(write(process.spawnThread(), w, bytes(70_000)));
	close(thread, r);
	host.settle();
	assert.is(await writing, "EPIPE");
	assert.equal(
		collect(thread, kq).map(([ident, filter]) => [ident, filter]),
		[
			[w, EVFILT_WRITE],
			[SIGPIPE, EVFILT_SIGNAL],
		],
	);
});

test("an end stays open until the last of its descriptors is closed", () => {
	const { thread, r, w } = world();
	const child = fork(thread);
	close(thread, w);
	assert.equal(revents(thread, POLLIN, r), [0]);
	writeNow(child.main, w, bytes(2));
	close(child.main, w);
	assert.equal(revents(thread, POLLIN, r), [POLLIN | POLLHUP]);
	assert.equal(drain(thread, r, 5), [0, 1]);
});

test("bad buffers and modes are refused", async () => {
	const { thread, r } = world();
	for (const buffer of [null, "x", [1], new Uint16Array(1)]) {
		assert.is(await outcome(read(thread, r, buffer as never)), "EFAULT");
		assert.is(await outcome(write(thread, r, buffer as never)), "EFAULT");
	}
	assert.is(await outcome(read(thread, 99, bytes(1))), "EBADF");
	assert.is(
		codeOf(() => pollNow(thread, [])),
		"no error",
	);
});

test.run();

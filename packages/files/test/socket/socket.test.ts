// Local sockets: bytes, messages, room, ends, and sleepers.
import { POLLHUP, POLLIN, POLLOUT, POLLPRI, poll } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EV_RECEIPT,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	eventList,
	fcntl,
	fstat,
	interrupt,
	ioctl,
	keventNow,
	kqueue,
	NOTE_LOWAT,
	read,
	readNow,
	sigaction,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFD, F_GETFL, F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { SIGPIPE } from "@kqpoll/kqueue/signal";
import { S_IFSOCK } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../../src/index.ts";
import { acceptNow, bind, connectNow, listen } from "../../src/socket/connect-calls.ts";
import { getsockopt, setsockopt } from "../../src/socket/option-calls.ts";
import { recv, recvmsgNow, recvNow } from "../../src/socket/recv-calls.ts";
import { send, sendmsgNow, sendNow, sendtoNow } from "../../src/socket/send-calls.ts";
import {
	getpeername,
	getsockname,
	shutdown,
	socket,
	socketpair,
} from "../../src/socket/socket-calls.ts";
import {
	MSG_DONTWAIT,
	MSG_EOR,
	MSG_NOSIGNAL,
	MSG_OOB,
	MSG_PEEK,
	MSG_TRUNC,
	MSG_WAITALL,
	SHUT_RD,
	SHUT_RDWR,
	SHUT_WR,
	SO_ERROR,
	SO_OOBINLINE,
	SO_RCVBUF,
	SO_RCVLOWAT,
	SO_SNDBUF,
	SO_SNDLOWAT,
	SO_TYPE,
	SOCK_CLOEXEC,
	SOCK_NONBLOCK,
	SOL_SOCKET,
	type SocketType,
} from "../../src/socket/socket-constants.ts";
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
	readonly a: number;
	readonly b: number;
}

function world(type: SocketType = "stream"): World {
	const m = machine();
	const [a, b] = socketpair(m.thread, type);
	return { ...m, a, b };
}

function bytes(n: number, first = 0): Uint8Array {
	return Uint8Array.from({ length: n }, (_, i) => (first + i) & 0xff);
}

function drain(thread: Thread, fd: number, n: number, flags = 0): number[] {
	const buffer = new Uint8Array(n);
	return [...buffer.subarray(0, recvNow(thread, fd, buffer, flags))];
}

function option(thread: Thread, fd: number, name: number): number {
	return getsockopt(thread, fd, SOL_SOCKET, name);
}

function add(thread: Thread, kq: number, ident: number, filter: number, flags = EV_ADD): number {
	const events = eventList(1);
	keventNow(thread, kq, [{ ident, filter, flags: flags | EV_RECEIPT }], events);
	return events[0]?.data ?? -1;
}

test("bytes sent by one end are received by the other, in both directions", () => {
	const { thread, a, b } = world();
	assert.equal([writeNow(thread, a, bytes(5)), sendNow(thread, b, bytes(3, 10))], [5, 3]);
	assert.equal(drain(thread, b, 3), [0, 1, 2]);
	assert.equal(drain(thread, b, 9), [3, 4]);
	assert.equal(drain(thread, a, 9), [10, 11, 12]);
	for (const call of [() => drain(thread, a, 1), () => readNow(thread, b, bytes(1))])
		assert.is(codeOf(call), "EAGAIN");
	assert.is(recvNow(thread, a, new Uint8Array(0)), 0);
	assert.is(writeNow(thread, a, new Uint8Array(0)), 0);
});

test("a sender that waits for room wakes when the other end throws away what it has", async () => {
	const { host, thread, process, a, b } = world();
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident: a, filter: EVFILT_WRITE, flags: EV_ADD }], null);
	writeNow(thread, a, new Uint8Array(8192));
	assert.equal(collect(thread, kq), []);
	const writer = process.spawnThread();
	const writing = write(writer, a, new Uint8Array(10));
	shutdown(thread, b, SHUT_RD);
	host.settle();
	assert.is(await writing, 10);
	assert.equal(collect(thread, kq), [[a, EVFILT_WRITE, EV_ADD, 0, 8182]]);
	assert.equal(revents(thread, POLLOUT, a), [POLLOUT]);
});

test("bytes that are sent are copied, also those of a Buffer of Node", () => {
	const { thread, a, b } = world();
	const buffer = Buffer.from([1, 2, 3]);
	writeNow(thread, a, buffer);
	buffer.fill(0);
	assert.equal(drain(thread, b, 9), [1, 2, 3]);
});

test("the readiness of every state, through poll, select and kevent", () => {
	type Bits = [boolean, boolean, boolean];
	const states: [string, (w: World) => void, number, number, Bits, number[][]][] = [
		["idle", () => {}, POLLOUT, 0, [false, true, false], [[EVFILT_WRITE, EV_ADD, 0, 8192]]],
		[
			"data",
			({ thread, b }) => writeNow(thread, b, bytes(3)),
			POLLIN | POLLOUT,
			0,
			[true, true, false],
			[
				[EVFILT_READ, EV_ADD, 0, 3],
				[EVFILT_WRITE, EV_ADD, 0, 8192],
			],
		],
		[
			"peer shut for writing",
			({ thread, b }) => shutdown(thread, b, SHUT_WR),
			POLLIN | POLLOUT,
			0,
			[true, true, false],
			[
				[EVFILT_READ, EV_ADD | EV_EOF, 0, 0],
				[EVFILT_WRITE, EV_ADD, 0, 8192],
			],
		],
		[
			"both shut for writing",
			({ thread, a, b }) => {
				shutdown(thread, b, SHUT_WR);
				shutdown(thread, a, SHUT_WR);
			},
			POLLIN | POLLOUT,
			0,
			[true, true, false],
			[
				[EVFILT_READ, EV_ADD | EV_EOF, 0, 0],
				[EVFILT_WRITE, EV_ADD | EV_EOF, 0, 8192],
			],
		],
		[
			"peer closed",
			({ thread, b }) => close(thread, b),
			POLLIN | POLLHUP,
			POLLHUP,
			[true, true, false],
			[
				[EVFILT_READ, EV_ADD | EV_EOF, 0, 0],
				[EVFILT_WRITE, EV_ADD | EV_EOF, 0, 8192],
			],
		],
		[
			"peer closed, unread data on both sides",
			({ thread, a, b }) => {
				writeNow(thread, a, bytes(100));
				writeNow(thread, b, bytes(7));
				close(thread, b);
			},
			POLLIN | POLLHUP,
			POLLHUP,
			[true, true, false],
			[
				[EVFILT_READ, EV_ADD | EV_EOF, 0, 7],
				[EVFILT_WRITE, EV_ADD | EV_EOF, 0, 8192],
			],
		],
		["full", ({ thread, a }) => writeNow(thread, a, bytes(8192)), 0, 0, [false, false, false], []],
	];
	for (const type of ["stream", "seqpacket"] as const) {
		for (const [name, bring, all, none, bits, events] of states) {
			const w = world(type);
			const { thread, a } = w;
			bring(w);
			assert.equal(revents(thread, ALL, a), [all], name);
			assert.equal(revents(thread, 0, a), [none], name);
			assert.equal(selected(thread, a), bits, name);
			const kq = kqueue(thread);
			for (const filter of [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT])
				keventNow(thread, kq, [{ ident: a, filter, flags: EV_ADD }], null);
			const wanted = events.map((event) => [a, ...event]);
			assert.equal(collect(thread, kq), wanted, name);
			checkMachine(w);
		}
	}
});

test("sockets that are not connected: a stream is not ready, datagrams can be sent", () => {
	const { thread } = machine();
	for (const domain of ["local", "inet"] as const) {
		const stream = socket(thread, domain, "stream");
		const dgram = socket(thread, domain, "dgram");
		assert.equal(revents(thread, ALL, stream, dgram), [0, POLLOUT]);
		assert.equal(selected(thread, stream), [false, false, false]);
		assert.equal(selected(thread, dgram), [false, true, false]);
		const errors = [
			() => sendNow(thread, stream, bytes(1)),
			() => drain(thread, stream, 1),
			() => sendNow(thread, dgram, bytes(1)),
			() => drain(thread, dgram, 1),
			() => getpeername(thread, stream),
		].map(codeOf);
		assert.equal(errors, ["ENOTCONN", "ENOTCONN", "EDESTADDRREQ", "EAGAIN", "ENOTCONN"]);
		assert.is(getsockname(thread, stream), null);
	}
});

test("READ, WRITE and EXCEPT can be watched, other filters cannot", () => {
	const { thread, a } = world();
	const kq = kqueue(thread);
	const filters = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT, EVFILT_VNODE, EVFILT_DEVICE];
	assert.equal(
		filters.map((filter) => add(thread, kq, a, filter)),
		[0, 0, 0, errno.EINVAL, errno.EINVAL],
	);
});

test("a stream takes what fits although it reports no room, and larger writes in part", () => {
	const { thread, a, b } = world();
	assert.is(writeNow(thread, a, bytes(8192 - 2047)), 8192 - 2047);
	assert.equal(revents(thread, POLLOUT, a), [0]);
	assert.is(
		codeOf(() => writeNow(thread, a, bytes(2048))),
		"EAGAIN",
	);
	assert.is(writeNow(thread, a, bytes(2047)), 2047);
	assert.is(drain(thread, b, 2047).length, 2047);
	assert.equal(revents(thread, POLLOUT, a), [0]);
	drain(thread, b, 1);
	assert.equal(revents(thread, POLLOUT, a), [POLLOUT]);
	assert.is(writeNow(thread, a, bytes(3000)), 2048);
	assert.is(
		codeOf(() => writeNow(thread, a, bytes(1))),
		"EAGAIN",
	);
});

test("watchers for room are notified after every receive, and may set their own low-water mark", () => {
	const { thread, a, b } = world();
	writeNow(thread, a, bytes(8192));
	const kq = kqueue(thread);
	const watch = (flags: number, data: number) => {
		const change = { ident: a, filter: EVFILT_WRITE, flags, fflags: NOTE_LOWAT, data };
		keventNow(thread, kq, [change], null);
	};
	watch(EV_ADD | EV_CLEAR, 100);
	assert.equal(collect(thread, kq), []);
	drain(thread, b, 99);
	assert.equal(collect(thread, kq), []);
	drain(thread, b, 1);
	assert.equal(collect(thread, kq), [[a, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 100]]);
	assert.equal(collect(thread, kq), []);
	drain(thread, b, 1);
	assert.equal(collect(thread, kq), [[a, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 101]]);
});

test("watchers for data are notified after every send, from their own low-water mark on", () => {
	const { thread, a, b } = world();
	const kq = kqueue(thread);
	const change = { ident: b, filter: EVFILT_READ, flags: EV_ADD, fflags: NOTE_LOWAT, data: 3 };
	keventNow(thread, kq, [change], null);
	writeNow(thread, a, bytes(2));
	assert.equal(collect(thread, kq), []);
	writeNow(thread, a, bytes(1));
	assert.equal(collect(thread, kq), [[b, EVFILT_READ, EV_ADD, 0, 3]]);
});

test("closing notifies the writer before the reader, and its own end before the other one", () => {
	const { thread, a, b } = world();
	const kq = kqueue(thread);
	writeNow(thread, a, bytes(8192));
	add(thread, kq, a, EVFILT_READ);
	add(thread, kq, a, EVFILT_WRITE);
	close(thread, b);
	assert.equal(collect(thread, kq), [
		[a, EVFILT_WRITE, EV_ADD | EV_RECEIPT | EV_EOF, 0, 8192],
		[a, EVFILT_READ, EV_ADD | EV_RECEIPT | EV_EOF, 0, 0],
	]);
});

test("after shutdown for writing the other end reads what was sent, and then the end", () => {
	const { thread, process, a, b } = world();
	let signals = 0;
	sigaction(thread, SIGPIPE, () => signals++);
	writeNow(thread, a, bytes(2));
	shutdown(thread, a, SHUT_WR);
	assert.equal([drain(thread, b, 9), drain(thread, b, 9)], [[0, 1], []]);
	const errors = [
		() => sendNow(thread, a, bytes(1), MSG_NOSIGNAL),
		() => sendNow(thread, a, bytes(1)),
		() => writeNow(thread, a, bytes(1)),
	].map(codeOf);
	assert.equal([errors, signals], [["EPIPE", "EPIPE", "EPIPE"], 2]);
	assert.is(writeNow(thread, b, bytes(1)), 1);
	assert.equal(drain(thread, a, 9), [0]);
	assert.is(process.status, 0);
});

test("after shutdown for reading what arrived is gone, and the other end can still send", () => {
	const { thread, a, b } = world();
	writeNow(thread, b, bytes(10));
	shutdown(thread, a, SHUT_RD);
	assert.equal([drain(thread, a, 9), option(thread, a, SO_RCVBUF)], [[], 0]);
	assert.equal(revents(thread, ALL, a, b), [POLLIN | POLLOUT, POLLOUT]);
	assert.is(writeNow(thread, b, bytes(10)), 10);
	assert.is(
		codeOf(() => setsockopt(thread, a, SOL_SOCKET, SO_RCVBUF, 10)),
		"EINVAL",
	);
});

test("shutdown of both directions, and of a wrong direction", () => {
	const { thread, a, b } = world();
	const [r] = pipe(thread);
	const errors = [
		() => shutdown(thread, a, 3),
		() => shutdown(thread, r, SHUT_WR),
		() => shutdown(thread, 99, SHUT_WR),
	].map(codeOf);
	assert.equal(errors, ["EINVAL", "ENOTSOCK", "EBADF"]);
	shutdown(thread, a, SHUT_RDWR);
	assert.equal(revents(thread, ALL, a, b), [POLLIN | POLLOUT, POLLIN | POLLOUT]);
});

test("seqpackets keep their bounds, wait for room, and lose what does not fit into the buffer", () => {
	const { thread, a, b } = world("seqpacket");
	for (const n of [3, 2]) sendNow(thread, a, bytes(n));
	assert.is(ioctl(thread, b, FIONREAD), 5);
	const message = { bytes: new Uint8Array(2), flags: 0 };
	assert.equal([recvmsgNow(thread, b, message), message.flags], [2, MSG_TRUNC]);
	assert.equal([recvmsgNow(thread, b, message), message.flags], [2, 0]);
	assert.is(
		codeOf(() => sendNow(thread, a, bytes(8193))),
		"EMSGSIZE",
	);
	assert.is(sendNow(thread, a, bytes(5000)), 5000);
	assert.is(
		codeOf(() => sendNow(thread, a, bytes(4000))),
		"EAGAIN",
	);
	assert.is(sendNow(thread, a, bytes(3192)), 3192);
});

test("datagrams keep their bounds and their sender's room is the receiver's", () => {
	const { thread, a, b } = world("dgram");
	assert.equal(
		[SO_SNDBUF, SO_RCVBUF, SO_SNDLOWAT, SO_TYPE].map((name) => option(thread, a, name)),
		[2048, 16384, 2048, 2],
	);
	assert.is(
		codeOf(() => sendNow(thread, a, bytes(2049))),
		"EMSGSIZE",
	);
	let sent = 0;
	const filling = codeOf(() => {
		for (;;) sent += sendNow(thread, a, bytes(2000)) / 2000;
	});
	assert.equal([filling, sent, revents(thread, ALL, a)], ["ENOBUFS", 8, [POLLOUT]]);
	assert.is(ioctl(thread, b, FIONREAD), 16000);
	assert.equal(drain(thread, b, 3), [0, 1, 2]);
	assert.is(ioctl(thread, b, FIONREAD), 14000);
	assert.is(
		codeOf(() => sendtoNow(thread, a, bytes(1), 0, "x")),
		"EISCONN",
	);
});

test("an empty datagram is something to read", () => {
	const { thread, a, b } = world("dgram");
	sendNow(thread, a, bytes(0));
	const kq = kqueue(thread);
	add(thread, kq, b, EVFILT_READ);
	assert.equal(collect(thread, kq), [[b, EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 16]]);
	assert.equal([drain(thread, b, 9), revents(thread, POLLIN, b)], [[], [0]]);
});

test("a datagram socket whose peer is destroyed has an error, which is not reported", () => {
	const { thread, a, b } = world("dgram");
	const kq = kqueue(thread);
	add(thread, kq, a, EVFILT_READ);
	close(thread, b);
	assert.equal([collect(thread, kq), revents(thread, ALL, a)], [[], [POLLIN | POLLOUT]]);
	const errors = [() => sendNow(thread, a, bytes(1)), () => sendNow(thread, a, bytes(1))];
	assert.equal(errors.map(codeOf), ["ECONNRESET", "EDESTADDRREQ"]);
	assert.equal([option(thread, a, SO_ERROR), revents(thread, ALL, a)], [0, [POLLOUT]]);
});

test("MSG_PEEK leaves what it returns", () => {
	for (const type of ["stream", "seqpacket", "dgram"] as const) {
		const { thread, a, b } = world(type);
		writeNow(thread, a, bytes(3));
		writeNow(thread, a, bytes(2, 3));
		const first = type === "stream" ? [0, 1, 2, 3, 4] : [0, 1, 2];
		assert.equal(drain(thread, b, 9, MSG_PEEK), first);
		assert.equal(drain(thread, b, 2, MSG_PEEK), [0, 1]);
		assert.is(ioctl(thread, b, FIONREAD), 5);
		assert.equal(drain(thread, b, 9), first);
	}
});

test("local sockets do not have MSG_OOB", () => {
	for (const type of ["stream", "seqpacket", "dgram"] as const) {
		const { thread, a, b } = world(type);
		const errors = [
			() => sendNow(thread, a, bytes(1), MSG_OOB),
			() => recvNow(thread, b, bytes(1), MSG_OOB),
		].map(codeOf);
		assert.equal([errors, ioctl(thread, b, FIONREAD)], [["EOPNOTSUPP", "EOPNOTSUPP"], 0]);
	}
});

test("options have their values, and their limits", () => {
	const { thread, a } = world();
	const names = [SO_SNDBUF, SO_RCVBUF, SO_SNDLOWAT, SO_RCVLOWAT, SO_ERROR, SO_TYPE, SO_OOBINLINE];
	const all = () => names.map((name) => option(thread, a, name));
	assert.equal(all(), [8192, 8192, 2048, 1, 0, 1, 0]);
	const set = (name: number, value: number) => setsockopt(thread, a, SOL_SOCKET, name, value);
	set(SO_SNDBUF, 1000);
	set(SO_RCVLOWAT, 9000);
	set(SO_OOBINLINE, 5);
	assert.equal(all(), [1000, 8192, 1000, 8192, 0, 1, 1]);
	set(SO_SNDLOWAT, 2000);
	set(SO_RCVLOWAT, -7);
	assert.equal(all(), [1000, 8192, 1000, 1, 0, 1, 1]);
	const errors = [
		() => set(SO_SNDBUF, 3e6),
		() => set(SO_SNDBUF, 0.5),
		() => set(SO_ERROR, 0),
		() => setsockopt(thread, a, 6, SO_SNDBUF, 1),
		() => option(thread, a, 0x4000),
		() => getsockopt(thread, a, 6, SO_TYPE),
	].map(codeOf);
	const no = "ENOPROTOOPT";
	assert.equal(errors, ["ENOBUFS", "EINVAL", no, no, no, no]);
});

test("a reader waits for at least SO_RCVLOWAT bytes, except with MSG_DONTWAIT", () => {
	const { thread, a, b } = world();
	setsockopt(thread, b, SOL_SOCKET, SO_RCVLOWAT, 3);
	writeNow(thread, a, bytes(2));
	assert.equal(revents(thread, POLLIN, b), [0]);
	assert.is(
		codeOf(() => drain(thread, b, 9)),
		"EAGAIN",
	);
	assert.equal(drain(thread, b, 2), [0, 1]);
	writeNow(thread, a, bytes(2));
	assert.equal(drain(thread, b, 9, MSG_DONTWAIT), [0, 1]);
	writeNow(thread, a, bytes(3));
	assert.equal([revents(thread, POLLIN, b), drain(thread, b, 9)], [[POLLIN], [0, 1, 2]]);
});

test("a descriptor that does not block receives below SO_RCVLOWAT, too", async () => {
	const { thread, process, host, a, b } = world();
	setsockopt(thread, b, SOL_SOCKET, SO_RCVLOWAT, 3);
	fcntl(thread, b, F_SETFL, O_NONBLOCK);
	for (const call of [recv, read]) {
		writeNow(thread, a, bytes(2));
		assert.is(await call(thread, b, new Uint8Array(9)), 2);
		assert.is(await outcome(call(thread, b, new Uint8Array(9))), "EAGAIN");
	}
	writeNow(thread, a, bytes(2));
	assert.equal(drain(thread, b, 9), [0, 1]);
	fcntl(thread, b, F_SETFL, 0);
	const sleeping = read(process.spawnThread(), b, new Uint8Array(9));
	writeNow(thread, a, bytes(2));
	host.settle();
	writeNow(thread, a, bytes(1));
	host.settle();
	assert.is(await sleeping, 3);
});

test("O_NONBLOCK that is set while a call sleeps does not end it", async () => {
	const { thread, process, host, a, b } = world();
	const readers = [read, recv].map((call) => call(process.spawnThread(), b, new Uint8Array(9)));
	fcntl(thread, b, F_SETFL, O_NONBLOCK);
	writeNow(thread, a, bytes(5));
	host.settle();
	assert.is(await readers[0], 5);
	writeNow(thread, a, bytes(6));
	host.settle();
	assert.is(await readers[1], 6);
	for (const call of [write, send]) {
		fcntl(thread, a, F_SETFL, 0);
		const sending = call(process.spawnThread(), a, bytes(9000));
		fcntl(thread, a, F_SETFL, O_NONBLOCK);
		drain(thread, b, 8192);
		host.settle();
		assert.is(await sending, 9000);
		drain(thread, b, 9000);
	}
});

test("a write of nothing tells the watchers, if there is something to read", () => {
	for (const type of ["stream", "seqpacket"] as const) {
		const { thread, a, b } = world(type);
		const kq = kqueue(thread);
		add(thread, kq, b, EVFILT_READ, EV_ADD | EV_CLEAR);
		sendNow(thread, a, bytes(0));
		assert.equal(collect(thread, kq), []);
		sendNow(thread, a, bytes(5));
		assert.equal(collect(thread, kq).length, 1);
		sendNow(thread, a, bytes(0));
		assert.equal(
			collect(thread, kq).map(([, , , , data]) => data),
			[5],
		);
	}
});

test("an empty packet cannot be polled, and is stepped over, except at the end", () => {
	const { thread, a, b } = world("seqpacket");
	sendNow(thread, a, bytes(0));
	assert.equal(revents(thread, POLLIN, b), [0]);
	const receive = () => drain(thread, b, 9);
	assert.is(codeOf(receive), "EAGAIN");
	for (const n of [0, 0, 3, 0]) sendNow(thread, a, bytes(n));
	// MSG_PEEK removes what no other call would return.
	assert.equal(
		[drain(thread, b, 9, MSG_PEEK), receive()],
		[
			[0, 1, 2],
			[0, 1, 2],
		],
	);
	assert.is(codeOf(receive), "EAGAIN");
	sendNow(thread, a, bytes(0), MSG_EOR);
	assert.equal(receive(), []);
	assert.is(codeOf(receive), "EAGAIN");
	for (const n of [0, 3]) sendNow(thread, a, bytes(n));
	close(thread, a);
	assert.equal([receive(), receive(), receive()], [[], [0, 1, 2], []]);
});

test("an empty seqpacket with MSG_EOR wakes its receiver", async () => {
	const { thread, host, process, a, b } = world("seqpacket");
	const receiving = recv(process.spawnThread(), b, bytes(4));
	host.settle();
	sendNow(thread, a, bytes(0), MSG_EOR);
	host.settle();
	assert.is(await Promise.race([receiving, "asleep"]), 0);
});

test("MSG_EOR is refused on a stream, before anything else", () => {
	const { thread, a, b } = world();
	const send = () => sendNow(thread, a, bytes(5), MSG_EOR);
	assert.equal([codeOf(send), ioctl(thread, b, FIONREAD)], ["EINVAL", 0]);
	close(thread, b);
	assert.is(codeOf(send), "EINVAL");
	for (const type of ["seqpacket", "dgram"] as const) {
		const other = world(type);
		assert.is(sendNow(other.thread, other.a, bytes(5), MSG_EOR), 5);
	}
});

test("the address of a datagram's sender counts, and a longer one counts more", () => {
	const { thread } = machine();
	const to = socket(thread, "local", "dgram");
	bind(thread, to, "to");
	const from = socket(thread, "local", "dgram");
	const kq = kqueue(thread);
	add(thread, kq, to, EVFILT_READ);
	const data = () => collect(thread, kq).map((event) => event[4]);
	sendtoNow(thread, from, bytes(10), 0, "to");
	assert.equal([data(), ioctl(thread, to, FIONREAD)], [[10 + 16], 10]);
	bind(thread, from, "from");
	sendtoNow(thread, from, bytes(10), 0, "to");
	assert.equal([data(), ioctl(thread, to, FIONREAD)], [[20 + 16 + 106], 20]);
	drain(thread, to, 10);
	for (let i = 0; i < 7; i++) sendtoNow(thread, from, bytes(2048 - 17), 0, "to");
	drain(thread, to, 10);
	const room = 16384 - 7 * (2048 - 17 + 106) - 106;
	assert.is(
		codeOf(() => sendtoNow(thread, from, bytes(room + 1), 0, "to")),
		"ENOBUFS",
	);
	assert.is(sendtoNow(thread, from, bytes(room), 0, "to"), room);
});

test("a datagram to a name tells the sender's own watchers, as a connect does", () => {
	const { thread } = machine();
	const to = socket(thread, "local", "dgram");
	bind(thread, to, "to");
	const from = socket(thread, "local", "dgram");
	const kq = kqueue(thread);
	add(thread, kq, from, EVFILT_WRITE, EV_ADD | EV_CLEAR);
	const told = () => collect(thread, kq).length;
	assert.equal([told(), told()], [1, 0]);
	sendtoNow(thread, from, bytes(2000), 0, "to");
	assert.is(told(), 1);
	for (let i = 0; i < 7; i++) sendtoNow(thread, from, bytes(2000), 0, "to");
	assert.is(told(), 1);
	const errors = ["to", "none"].map((name) =>
		codeOf(() => sendtoNow(thread, from, bytes(2000), 0, name)),
	);
	assert.equal([errors, told()], [["ENOBUFS", "ENOENT"], 1]);
	sendtoNow(thread, from, bytes(1), MSG_EOR, "to");
	assert.is(told(), 1);
});

test("shutdown for reading with nothing unread makes no room, and tells nobody", () => {
	const { thread, a, b } = world();
	const kq = kqueue(thread);
	add(thread, kq, a, EVFILT_WRITE, EV_ADD | EV_CLEAR);
	collect(thread, kq);
	shutdown(thread, b, SHUT_RD);
	assert.equal(collect(thread, kq), []);
});

test("MSG_WAITALL sleeps for the rest even if the call must not block, once it has something", async () => {
	for (const flags of [MSG_WAITALL, MSG_WAITALL | MSG_DONTWAIT]) {
		const { thread, process, host, a, b } = world();
		fcntl(thread, b, F_SETFL, O_NONBLOCK);
		const sleeper = process.spawnThread();
		const receive = () => outcome(recv(sleeper, b, new Uint8Array(10), flags));
		assert.is(await receive(), "EAGAIN");
		writeNow(thread, a, bytes(4));
		const filling = receive();
		writeNow(thread, a, bytes(6));
		host.settle();
		assert.is(await filling, 10);
		writeNow(thread, a, bytes(4));
		const part = receive();
		interrupt(sleeper);
		host.settle();
		assert.equal([await part, ioctl(thread, b, FIONREAD)], [4, 0]);
	}
});

test("a receiver with MSG_WAITALL tells a sender that waits for room, and others at its end", async () => {
	const { thread, process, host, a, b } = world();
	const kq = kqueue(thread);
	add(thread, kq, a, EVFILT_WRITE, EV_ADD | EV_CLEAR);
	fcntl(thread, b, F_SETFL, O_NONBLOCK);
	writeNow(thread, a, bytes(4));
	collect(thread, kq);
	const receiver = process.spawnThread();
	const some = recv(receiver, b, new Uint8Array(10), MSG_WAITALL);
	assert.equal([receiver.state, collect(thread, kq)], ["asleep", []]);
	writeNow(thread, a, bytes(6));
	host.settle();
	assert.is(await some, 10);
	assert.equal(
		collect(thread, kq).map((event) => event[4]),
		[8192],
	);
	fcntl(thread, b, F_SETFL, 0);
	for (const [n, wanted] of [
		[30_000, 30_000],
		[14_000, 8192],
	] as const) {
		const sender = process.spawnThread();
		const sending = outcome(send(sender, a, bytes(n)));
		const all = recv(receiver, b, new Uint8Array(wanted), MSG_WAITALL);
		host.settle();
		assert.is(await all, wanted);
		if (n > wanted) drain(thread, b, n - wanted);
		host.settle();
		assert.is(await sending, n);
	}
	writeNow(thread, a, bytes(6145));
	const stalled = send(process.spawnThread(), a, bytes(2048));
	const filled = recv(receiver, b, new Uint8Array(6146), MSG_WAITALL);
	host.settle();
	assert.equal(await Promise.all([stalled, filled]), [2048, 6146]);
});

test("fstat, FIONREAD and options describe a socket", () => {
	const { thread, a, b } = world();
	writeNow(thread, b, bytes(3));
	assert.equal(fstat(thread, a), { mode: S_IFSOCK | 0o666, size: 0, blksize: 8192 });
	shutdown(thread, a, SHUT_WR);
	shutdown(thread, b, SHUT_WR);
	assert.is(fstat(thread, a).mode, S_IFSOCK | 0o444);
	drain(thread, a, 3);
	assert.is(fstat(thread, a).mode, S_IFSOCK);
	assert.is(
		codeOf(() => ioctl(thread, a, 1)),
		"EOPNOTSUPP",
	);
	assert.equal([getsockname(thread, a), codeOf(() => getpeername(thread, 9))], [null, "EBADF"]);
});

test("flags apply to both ends, and descriptors that are not sockets are refused", () => {
	const { thread, process } = machine();
	const fds = socketpair(thread, "stream", SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert.equal(
		fds.map((fd) => [fcntl(thread, fd, F_GETFD), fcntl(thread, fd, F_GETFL) & O_NONBLOCK]),
		[
			[1, O_NONBLOCK],
			[1, O_NONBLOCK],
		],
	);
	const errors = [
		() => socketpair(thread, "stream", 1),
		() => socketpair(thread, "raw" as never),
		() => socket(thread, "inet", "seqpacket"),
		() => socket(thread, "inet6" as never, "stream"),
	].map(codeOf);
	assert.equal(errors, ["EINVAL", "EPROTONOSUPPORT", "EPROTONOSUPPORT", "EAFNOSUPPORT"]);
	process.fdp.limit = 3;
	assert.equal([codeOf(() => socketpair(thread, "stream")), process.fdp.get(2)], ["EMFILE", null]);
});

test("a reader sleeps until there is something, a writer until there is room for all", async () => {
	const { thread, process, host, a, b } = world();
	const other = process.spawnThread();
	const buffer = new Uint8Array(4);
	const reading = recv(other, b, buffer);
	host.settle();
	assert.is(other.state, "asleep");
	writeNow(thread, a, bytes(2, 5));
	host.settle();
	assert.equal([await reading, ...buffer], [2, 5, 6, 0, 0]);
	const sending = send(other, a, bytes(20_000));
	const received: number[] = [];
	while (received.length < 20_000) {
		host.settle();
		received.push(...drain(thread, b, 3000));
	}
	assert.equal([await sending, received], [20_000, [...bytes(20_000)]]);
});

test("MSG_WAITALL fills the buffer, or returns what came before the end", async () => {
	const { thread, process, host, a, b } = world();
	const other = process.spawnThread();
	const buffer = new Uint8Array(10_000);
	const first = recv(other, b, buffer, MSG_WAITALL);
	for (const n of [8192, 1808]) {
		writeNow(thread, a, bytes(n));
		host.settle();
	}
	assert.is(await first, 10_000);
	const second = recv(other, b, buffer, MSG_WAITALL);
	writeNow(thread, a, bytes(7));
	host.settle();
	assert.is(other.state, "asleep");
	close(thread, a);
	host.settle();
	assert.is(await second, 7);
});

test("a second receiver may take bytes that one with MSG_WAITALL waits for", async () => {
	const { thread, process, host, a, b } = world();
	const [patient, other] = [process.spawnThread(), process.spawnThread()];
	const all = recv(patient, b, new Uint8Array(8193), MSG_WAITALL);
	writeNow(thread, a, bytes(8192));
	host.settle();
	assert.equal([patient.state, ioctl(thread, b, FIONREAD)], ["asleep", 0]);
	writeNow(thread, a, bytes(1));
	assert.is(recvNow(other, b, new Uint8Array(9)), 1);
	host.settle();
	assert.is(patient.state, "asleep");
	writeNow(thread, a, bytes(1));
	host.settle();
	assert.is(await all, 8193);
});

test("MSG_WAITALL does not wait for more from an end that sends no more", async () => {
	const { thread, host, a, b } = world();
	writeNow(thread, a, bytes(5));
	shutdown(thread, a, SHUT_WR);
	const receiving = recv(thread, b, new Uint8Array(10), MSG_WAITALL);
	host.settle();
	assert.is(thread.state, "running");
	assert.is(await receiving, 5);
});

test("MSG_WAITALL returns what came together with the end, before the call and while it sleeps", async () => {
	const connection = (m: Machine): [number, number] => {
		const listener = socket(m.thread, "inet", "stream");
		listen(m.thread, listener, 1);
		const client = socket(m.thread, "inet", "stream", SOCK_NONBLOCK);
		codeOf(() => connectNow(m.thread, client, getsockname(m.thread, listener) as number));
		m.host.settle();
		return [client, acceptNow(m.thread, listener)];
	};
	const pair = ({ thread }: Machine): [number, number] => socketpair(thread, "stream");
	for (const make of [pair, connection]) {
		for (const sleeps of [false, true]) {
			const m = machine();
			const { thread, process, host } = m;
			const [a, b] = make(m);
			const receiver = process.spawnThread();
			const begin = (): Promise<number> => recv(receiver, b, new Uint8Array(10), MSG_WAITALL);
			const early = sleeps ? begin() : null;
			host.settle();
			sendNow(thread, a, bytes(5));
			close(thread, a);
			const receiving = early ?? begin();
			host.settle();
			assert.is(receiver.state, "running");
			assert.is(await receiving, 5);
		}
	}
});

test("a sleeping call ends with an interrupt, an abort, a close or a shutdown", async () => {
	const { thread, process, host, a, b } = world();
	const sleeper = process.spawnThread();
	const run = async (call: Promise<unknown>, act: () => void): Promise<unknown> => {
		const result = outcome(call);
		host.settle();
		assert.is(sleeper.state, "asleep");
		act();
		host.settle();
		return result;
	};
	const aborting = () => {
		const controller = new AbortController();
		return { signal: controller.signal, abort: () => controller.abort("enough") };
	};
	const one = aborting();
	const two = aborting();
	const stop = () => interrupt(sleeper);
	assert.equal(
		[
			await run(recv(sleeper, b, bytes(1)), stop),
			await run(recv(sleeper, b, bytes(1), 0, one), one.abort),
			await run(send(sleeper, a, bytes(9000)), stop),
			await run(send(sleeper, a, bytes(1), 0, two), two.abort),
			await run(recv(sleeper, a, bytes(1)), () => shutdown(thread, b, SHUT_WR)),
			await run(send(sleeper, a, bytes(1)), () => close(thread, b)),
		],
		["EINTR", "enough", 8192, "enough", 0, "EPIPE"],
	);
	assert.is(recvNow(thread, a, bytes(1)), 0);
});

test("calls do not sleep on a descriptor that does not block, or with MSG_DONTWAIT", async () => {
	const { thread, host, a, b } = world();
	const results = [
		await outcome(recv(thread, b, bytes(1), MSG_DONTWAIT)),
		await outcome(send(thread, a, bytes(9000), MSG_DONTWAIT)),
		await outcome(send(thread, a, bytes(1), MSG_DONTWAIT)),
	];
	for (const fd of [a, b]) fcntl(thread, fd, F_SETFL, O_NONBLOCK);
	results.push(await outcome(recv(thread, a, bytes(1))), await outcome(write(thread, a, bytes(1))));
	host.settle();
	assert.equal(results, ["EAGAIN", 8192, "EAGAIN", "EAGAIN", "EAGAIN"]);
});

test("a poll that sleeps on a full stream is told that the reader is gone", async () => {
	const { thread, process, host, a, b } = world();
	writeNow(thread, a, bytes(8192));
	const fds = [{ fd: a, events: POLLOUT, revents: 0 }];
	const polling = poll(process.spawnThread(), fds, -1);
	host.settle();
	close(thread, b);
	host.settle();
	assert.equal([await polling, fds[0]?.revents], [1, POLLHUP]);
});

test("a value that is not a buffer is refused", async () => {
	const { thread, a } = world();
	const no = "x" as never;
	const errors = [() => sendNow(thread, a, no), () => recvNow(thread, a, no)].map(codeOf);
	errors.push(await outcome(send(thread, a, no)), await outcome(recv(thread, a, no)));
	const frozen = Object.freeze({ bytes: bytes(1) });
	errors.push(
		...[
			() => sendmsgNow(thread, a, null as never),
			() => recvmsgNow(thread, a, null as never),
			() => recvmsgNow(thread, a, frozen),
			() => sendmsgNow(thread, a, { bytes: bytes(1), fds: 1 as never }),
		].map(codeOf),
	);
	assert.equal(errors, new Array(8).fill("EFAULT"));
});

test.run();

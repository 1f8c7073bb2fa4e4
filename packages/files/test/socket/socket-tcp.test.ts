// TCP on the loopback network: room at both ends, half-closes, resets, out-of-band data.
import { POLLHUP, POLLIN, POLLOUT, POLLPRI } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	ioctl,
	keventNow,
	kqueue,
	NOTE_OOB,
	sigaction,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { SIGPIPE } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { acceptNow, bind, connectNow, listen } from "../../src/socket/connect-calls.ts";
import { getsockopt, setsockopt } from "../../src/socket/option-calls.ts";
import { recv, recvNow } from "../../src/socket/recv-calls.ts";
import { send, sendNow } from "../../src/socket/send-calls.ts";
import { shutdown, socket } from "../../src/socket/socket-calls.ts";
import {
	MSG_OOB,
	MSG_PEEK,
	SHUT_RD,
	SHUT_WR,
	SIOCATMARK,
	SO_ERROR,
	SO_OOBINLINE,
	SO_RCVBUF,
	SO_SNDBUF,
	SOL_SOCKET,
} from "../../src/socket/socket-constants.ts";
import { codeOf, collect, type Machine, machine, outcome, revents, selected } from "../machine.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;

interface World extends Machine {
	/** The end that connected. */
	readonly a: number;
	/** The end that was accepted. */
	readonly b: number;
	/** The listener. */
	readonly l: number;
}

function world(): World {
	const m = machine();
	const { thread, host } = m;
	const l = socket(thread, "inet", "stream");
	bind(thread, l, 80);
	listen(thread, l, 5);
	const a = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, a, 80));
	host.settle();
	return { ...m, l, a, b: acceptNow(thread, l) };
}

function bytes(n: number, first = 0): Uint8Array {
	return Uint8Array.from({ length: n }, (_, i) => (first + i) & 0xff);
}

function drain(thread: Thread, fd: number, n = 99, flags = 0): number[] {
	const buffer = new Uint8Array(n);
	return [...buffer.subarray(0, recvNow(thread, fd, buffer, flags))];
}

function errorOf(thread: Thread, fd: number): number {
	return getsockopt(thread, fd, SOL_SOCKET, SO_ERROR);
}

function watch(thread: Thread, ident: number, filter: number, flags = EV_ADD, fflags = 0): number {
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident, filter, flags, fflags }], null);
	return kq;
}

test("a connection holds a receive buffer and a send buffer in each direction", () => {
	const { thread, a, b } = world();
	assert.is(writeNow(thread, a, bytes(40_000)), 32768);
	assert.equal(revents(thread, ALL, a, b), [0, POLLIN | POLLOUT]);
	drain(thread, b, 2047);
	assert.equal(revents(thread, ALL, a), [0]);
	drain(thread, b, 1);
	assert.equal(revents(thread, ALL, a), [POLLOUT]);
	const kq = watch(thread, b, EVFILT_READ);
	assert.equal(collect(thread, kq), [[b, EVFILT_READ, EV_ADD, 0, 16384]]);
	let got = 2048;
	while (revents(thread, POLLIN, b)[0] === POLLIN) got += drain(thread, b, 5000).length;
	assert.is(got, 32768);
});

test("each end can stop sending; when both have, the connection is over", () => {
	const { thread, a, b } = world();
	const kq = watch(thread, a, EVFILT_WRITE);
	writeNow(thread, a, bytes(2));
	shutdown(thread, a, SHUT_WR);
	shutdown(thread, a, SHUT_WR);
	assert.equal([drain(thread, b), drain(thread, b)], [[0, 1], []]);
	assert.equal(revents(thread, ALL, a, b), [POLLOUT, POLLIN | POLLOUT]);
	assert.is(writeNow(thread, b, bytes(3)), 3);
	shutdown(thread, b, SHUT_WR);
	assert.equal(revents(thread, ALL, a, b), [POLLIN | POLLHUP, POLLIN | POLLHUP]);
	assert.equal(revents(thread, 0, a, b), [POLLHUP, POLLHUP]);
	assert.equal(
		[selected(thread, a), selected(thread, b)],
		[
			[true, true, false],
			[true, true, false],
		],
	);
	assert.equal(collect(thread, kq), [[a, EVFILT_WRITE, EV_ADD | EV_EOF, 0, 16384]]);
	assert.equal([drain(thread, a), drain(thread, a), errorOf(thread, a)], [[0, 1, 2], [], 0]);
});

test("bytes sent before a close arrive, however long the reader takes", () => {
	const { thread, a, b } = world();
	writeNow(thread, a, bytes(32768));
	close(thread, a);
	assert.equal(revents(thread, ALL, b), [POLLIN | POLLOUT]);
	let got = 0;
	for (let n = -1; n !== 0; got += n) n = drain(thread, b, 3000).length;
	assert.equal([got, revents(thread, ALL, b)], [32768, [POLLIN | POLLOUT]]);
	shutdown(thread, b, SHUT_WR);
	assert.equal([revents(thread, ALL, b), errorOf(thread, b)], [[POLLIN | POLLHUP], 0]);
});

test("a sender to an end that is closed gets a reset", () => {
	const { thread, a, b } = world();
	let signals = 0;
	sigaction(thread, SIGPIPE, () => signals++);
	const kq = watch(thread, b, EVFILT_READ);
	writeNow(thread, b, bytes(3));
	close(thread, a);
	assert.equal([collect(thread, kq)[0]?.[2], revents(thread, ALL, b)], [EV_ADD | EV_EOF, [5]]);
	assert.is(writeNow(thread, b, bytes(1)), 1);
	assert.equal(collect(thread, kq), [[b, EVFILT_READ, EV_ADD | EV_EOF, errno.ECONNRESET, 0]]);
	assert.equal(revents(thread, ALL, b), [POLLIN | POLLHUP]);
	assert.equal([codeOf(() => writeNow(thread, b, bytes(1))), signals], ["EPIPE", 1]);
	assert.equal([codeOf(() => drain(thread, b)), drain(thread, b)], ["ECONNRESET", []]);
});

test("an end that is closed answers bytes that are still on their way with a reset", () => {
	const { thread, a, b } = world();
	writeNow(thread, b, bytes(32768));
	close(thread, a);
	assert.equal(revents(thread, ALL, b), [POLLIN | POLLHUP]);
	assert.is(errorOf(thread, b), errno.ECONNRESET);
});

test("closing a listener resets the connections that wait", () => {
	const { thread, host, l } = world();
	const c = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, c, 80));
	host.settle();
	writeNow(thread, c, bytes(1));
	close(thread, l);
	assert.equal(
		[revents(thread, ALL, c), errorOf(thread, c)],
		[[POLLIN | POLLHUP], errno.ECONNRESET],
	);
	const d = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, d, 80));
	host.settle();
	assert.is(errorOf(thread, d), errno.ECONNREFUSED);
});

test("closing a socket while it connects does no harm", () => {
	const { thread, host, l } = world();
	const c = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, c, 80));
	close(thread, c);
	host.settle();
	assert.equal(revents(thread, ALL, l), [0]);
});

test("an end that is shut for reading discards what arrives", () => {
	const { thread, a, b } = world();
	shutdown(thread, b, SHUT_RD);
	for (let i = 0; i < 5; i++) assert.is(writeNow(thread, a, bytes(16384)), 16384);
	assert.equal([drain(thread, b), revents(thread, ALL, a)], [[], [POLLOUT]]);
	assert.is(sendNow(thread, a, bytes(1), MSG_OOB), 1);
});

test("an out-of-band byte is taken out of the stream, and its place is marked", () => {
	const { thread, a, b } = world();
	assert.is(
		codeOf(() => drain(thread, b, 1, MSG_OOB)),
		"EINVAL",
	);
	writeNow(thread, a, bytes(3));
	assert.is(sendNow(thread, a, Uint8Array.of(8, 9), MSG_OOB), 2);
	writeNow(thread, a, bytes(2, 3));
	assert.equal([revents(thread, ALL, b), selected(thread, b)], [[ALL], [true, true, true]]);
	assert.equal([drain(thread, b, 1, MSG_OOB | MSG_PEEK), drain(thread, b, 0, MSG_OOB)], [[9], []]);
	assert.equal(drain(thread, b, 9, MSG_OOB), [9]);
	assert.is(
		codeOf(() => drain(thread, b, 1, MSG_OOB)),
		"EINVAL",
	);
	const mark = () => ioctl(thread, b, SIOCATMARK);
	assert.equal([mark(), drain(thread, b, 99, MSG_PEEK)], [0, [0, 1, 2, 8]]);
	assert.equal([mark(), drain(thread, b)], [0, [0, 1, 2, 8]]);
	assert.equal([mark(), revents(thread, ALL, b), drain(thread, b)], [1, [ALL], [3, 4]]);
	assert.equal([mark(), revents(thread, ALL, b)], [0, [POLLOUT]]);
});

test("a second out-of-band byte takes the place of the first", () => {
	const { thread, a, b } = world();
	for (const n of [1, 2]) {
		writeNow(thread, a, bytes(n));
		sendNow(thread, a, Uint8Array.of(n), MSG_OOB);
	}
	assert.equal([drain(thread, b), drain(thread, b, 1, MSG_OOB)], [[0, 0, 1], [2]]);
});

test("an out-of-band byte is announced before there is room for it", () => {
	const { thread, a, b } = world();
	writeNow(thread, a, bytes(32768));
	const kq = watch(thread, b, EVFILT_EXCEPT, EV_ADD | EV_CLEAR, NOTE_OOB);
	assert.is(
		codeOf(() => sendNow(thread, a, bytes(1))),
		"EAGAIN",
	);
	assert.is(sendNow(thread, a, Uint8Array.of(9), MSG_OOB), 1);
	assert.is(
		codeOf(() => sendNow(thread, a, bytes(1024), MSG_OOB)),
		"EAGAIN",
	);
	assert.equal(collect(thread, kq)[0]?.slice(0, 2), [b, EVFILT_EXCEPT]);
	assert.is(
		codeOf(() => drain(thread, b, 1, MSG_OOB)),
		"EAGAIN",
	);
	let got = 0;
	while (ioctl(thread, b, SIOCATMARK) === 0) got += drain(thread, b, 9000).length;
	assert.equal([got, drain(thread, b, 1, MSG_OOB)], [32768, [9]]);
});

test("an out-of-band byte that has not arrived when the next is sent stays in the stream", () => {
	const { thread, a, b } = world();
	writeNow(thread, a, bytes(32768));
	for (const n of [7, 8]) assert.is(sendNow(thread, a, Uint8Array.of(n), MSG_OOB), 1);
	const got: number[] = [];
	while (ioctl(thread, b, SIOCATMARK) === 0) got.push(...drain(thread, b, 9000));
	assert.equal([got.length, got.at(-1)], [32769, 7]);
	assert.equal(drain(thread, b, 1, MSG_OOB), [8]);
});

test("the notes of an EXCEPT event add up, unless EV_CLEAR is set", () => {
	const { thread, a, b } = world();
	writeNow(thread, a, bytes(3));
	sendNow(thread, a, bytes(1), MSG_OOB);
	const kq = watch(thread, b, EVFILT_EXCEPT, EV_ADD, NOTE_OOB);
	const data = [1, 2].map(() => collect(thread, kq)[0]?.slice(2));
	const clear = watch(thread, b, EVFILT_EXCEPT, EV_ADD | EV_CLEAR, NOTE_OOB);
	data.push(collect(thread, clear)[0]?.slice(2));
	assert.equal(data, [
		[EV_ADD, NOTE_OOB, -6],
		[EV_ADD, NOTE_OOB, -9],
		[EV_ADD | EV_CLEAR, NOTE_OOB, -6],
	]);
	assert.equal(collect(thread, clear), []);
});

test("with SO_OOBINLINE the byte stays in the stream, and MSG_OOB does not read it", () => {
	const { thread, a, b } = world();
	setsockopt(thread, b, SOL_SOCKET, SO_OOBINLINE, 1);
	sendNow(thread, a, Uint8Array.of(9), MSG_OOB);
	assert.equal([revents(thread, ALL, b), ioctl(thread, b, SIOCATMARK)], [[ALL], 1]);
	assert.is(
		codeOf(() => drain(thread, b, 1, MSG_OOB)),
		"EINVAL",
	);
	assert.equal([drain(thread, b), revents(thread, ALL, b)], [[9], [POLLOUT]]);
});

test("sleeping ends move every byte through small buffers", async () => {
	const { thread, process, host, a, b } = world();
	setsockopt(thread, a, SOL_SOCKET, SO_SNDBUF, 100);
	setsockopt(thread, b, SOL_SOCKET, SO_RCVBUF, 70);
	const writer = process.spawnThread();
	const received: number[] = [];
	await host.run(async () => {
		const sending = send(writer, a, bytes(5000)).then((n) => {
			close(writer, a);
			return n;
		});
		const buffer = new Uint8Array(33);
		for (let n = -1; n !== 0; ) {
			n = await recv(thread, b, buffer);
			received.push(...buffer.subarray(0, n));
		}
		assert.is(await sending, 5000);
	});
	assert.equal(received, [...bytes(5000)]);
});

test("a reset wakes a sleeping reader and a sleeping writer", async () => {
	const { thread, process, host, a, b } = world();
	const sleeper = process.spawnThread();
	const reading = outcome(recv(sleeper, b, bytes(1)));
	host.settle();
	close(thread, a);
	host.settle();
	const writing = outcome(send(sleeper, b, bytes(1)));
	host.settle();
	assert.equal([await reading, await writing, errorOf(thread, b)], [0, 1, errno.ECONNRESET]);
	const other = world();
	const full = outcome(send(other.thread, other.b, bytes(40_000)));
	other.host.settle();
	close(other.process.spawnThread(), other.a);
	other.host.settle();
	assert.is(await full, "EPIPE");
});

test.run();

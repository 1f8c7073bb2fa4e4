// Open files that are sent through local sockets.
import { POLLIN } from "@kqpoll/kqpoll";
import { close, fcntl, fork, ioctl, kqueue, readNow, type Thread, writeNow } from "@kqpoll/kqueue";
import { F_GETFD } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../../src/index.ts";
import { setsockopt } from "../../src/socket/option-calls.ts";
import { recvmsg, recvmsgNow, recvNow } from "../../src/socket/recv-calls.ts";
import { sendmsg, sendmsgNow } from "../../src/socket/send-calls.ts";
import { shutdown, socket, socketpair } from "../../src/socket/socket-calls.ts";
import {
	MSG_CMSG_CLOEXEC,
	MSG_PEEK,
	MSG_WAITALL,
	SHUT_RD,
	SO_SNDLOWAT,
	SOL_SOCKET,
} from "../../src/socket/socket-constants.ts";
import { codeOf, machine, outcome, revents } from "../machine.ts";

const TYPES = ["stream", "seqpacket", "dgram"] as const;

function pass(
	thread: Thread,
	fd: number,
	fds: readonly number[],
	bytes = Uint8Array.of(1),
): number {
	return sendmsgNow(thread, fd, { bytes, fds });
}

function take(thread: Thread, fd: number, flags = 0): { n: number; fds: number[] } {
	const message = { bytes: new Uint8Array(9), fds: [] as number[] };
	const n = recvmsgNow(thread, fd, message, flags);
	return { n, fds: message.fds };
}

/** Whether a pipe has no writer any more. */
function ended(thread: Thread, r: number): boolean {
	return codeOf(() => readNow(thread, r, new Uint8Array(1))) === "no error";
}

for (const type of TYPES) {
	test(`${type}: another process gets the same open file at its lowest free number`, () => {
		const { thread } = machine();
		const [a, b] = socketpair(thread, type);
		const other = fork(thread).main;
		const [r, w] = pipe(thread);
		assert.is(pass(thread, a, [w, r]), 1);
		close(thread, w);
		assert.not(ended(thread, r));
		assert.equal(take(other, b), { n: 1, fds: [2, 3] });
		writeNow(other, 2, Uint8Array.of(7));
		assert.equal(revents(thread, POLLIN, r), [POLLIN]);
		close(other, 2);
		close(other, 3);
		readNow(thread, r, new Uint8Array(1));
		assert.ok(ended(thread, r));
	});

	test(`${type}: files that are not received are closed`, () => {
		const { thread, process } = machine();
		const ends = [
			(_: number, b: number) => recvNow(thread, b, new Uint8Array(1)),
			(_: number, b: number) => close(thread, b),
			(_: number, b: number) => shutdown(thread, b, SHUT_RD),
			(_: number, b: number) => {
				process.fdp.limit = 4;
				assert.is(
					codeOf(() => take(thread, b)),
					"EMFILE",
				);
			},
		];
		for (const end of ends) {
			const [a, b] = socketpair(thread, type);
			const [r, w] = pipe(thread);
			pass(thread, a, [w, w]);
			close(thread, w);
			assert.not(ended(thread, r));
			end(a, b);
			assert.ok(ended(thread, r), String(end));
			for (const fd of process.fdp.open()) close(thread, fd);
		}
	});

	test(`${type}: a kqueue, and a value that is not a descriptor, is refused before anything is sent`, () => {
		const { thread } = machine();
		const [a, b] = socketpair(thread, type);
		const [r, w] = pipe(thread);
		const kq = kqueue(thread);
		const errors = [() => pass(thread, a, [w, kq]), () => pass(thread, a, [w, 99])].map(codeOf);
		assert.equal([errors, revents(thread, POLLIN, b)], [["EINVAL", "EBADF"], [0]]);
		close(thread, w);
		assert.ok(ended(thread, r));
	});
}

test("MSG_WAITALL ends before bytes that come with other files", async () => {
	const { thread, process, host } = machine();
	const [a, b] = socketpair(thread, "stream");
	const [r, w] = pipe(thread);
	pass(thread, a, [r], Uint8Array.of(1));
	const message = { bytes: new Uint8Array(9), fds: [] as number[] };
	const n = recvmsg(process.spawnThread(), b, message, MSG_WAITALL);
	for (const fds of [[], [w], []]) {
		host.settle();
		pass(thread, a, fds, Uint8Array.of(2));
	}
	host.settle();
	assert.equal([await n, message.fds], [2, [4]]);
	assert.equal(take(thread, b), { n: 2, fds: [5] });
});

test("a stream stops before bytes that come with files, and a peek leaves them", () => {
	const { thread } = machine();
	const [a, b] = socketpair(thread, "stream");
	const [, w] = pipe(thread);
	writeNow(thread, a, Uint8Array.of(1, 2));
	pass(thread, a, [w], Uint8Array.of(3));
	writeNow(thread, a, Uint8Array.of(4));
	assert.is(ioctl(thread, b, FIONREAD), 4);
	assert.equal(take(thread, b), { n: 2, fds: [] });
	assert.equal(take(thread, b, MSG_PEEK), { n: 2, fds: [] });
	assert.equal(take(thread, b, MSG_CMSG_CLOEXEC), { n: 2, fds: [4] });
	assert.is(fcntl(thread, 4, F_GETFD), 1);
	const empty = new Uint8Array(0);
	assert.is(pass(thread, a, [w], empty), 0);
	assert.equal([revents(thread, POLLIN, b), take(thread, b)], [[POLLIN], { n: 0, fds: [5] }]);
});

test("files wake a sleeping receiver, and cannot be sent over the network", async () => {
	const { thread, process, host } = machine();
	const [a, b] = socketpair(thread, "seqpacket");
	const message = { bytes: new Uint8Array(9), fds: [] as number[] };
	const receiving = recvmsg(process.spawnThread(), b, message);
	host.settle();
	assert.is(await sendmsg(thread, a, { bytes: Uint8Array.of(1), fds: [a] }), 1);
	host.settle();
	assert.equal([await receiving, message.fds], [1, [2]]);
	const udp = socket(thread, "inet", "dgram");
	const outgoing = { bytes: Uint8Array.of(1), fds: [a], address: 9 };
	assert.is(await outcome(sendmsg(thread, udp, outgoing)), "EINVAL");
});

test("a file that is closed while its sender sleeps arrives open", async () => {
	const { thread, process, host } = machine();
	const [a, b] = socketpair(thread, "seqpacket");
	const [r, w] = pipe(thread);
	writeNow(thread, a, new Uint8Array(8192));
	const bytes = Uint8Array.of(1);
	const sending = sendmsg(process.spawnThread(), a, { bytes, fds: [w] });
	close(thread, w);
	host.settle();
	assert.not(ended(thread, r));
	recvNow(thread, b, new Uint8Array(1));
	host.settle();
	assert.equal([await sending, take(thread, b)], [1, { n: 1, fds: [w] }]);
	writeNow(thread, w, bytes);
	assert.equal(revents(thread, POLLIN, r), [POLLIN]);
	writeNow(thread, a, new Uint8Array(8192));
	const controller = new AbortController();
	const message = { bytes, fds: [w] };
	const aborted = outcome(sendmsg(process.spawnThread(), a, message, 0, controller));
	close(thread, w);
	controller.abort("enough");
	host.settle();
	readNow(thread, r, new Uint8Array(1));
	assert.equal([await aborted, ended(thread, r)], ["enough", true]);
});

test("descriptors that need more than the whole buffer are EMSGSIZE", () => {
	const { thread } = machine();
	const [a] = socketpair(thread, "stream");
	const [r] = pipe(thread);
	const pass = (n: number): unknown =>
		codeOf(() => sendmsgNow(thread, a, { bytes: new Uint8Array(1), fds: Array(n).fill(r) }));
	// 16 * (1 + n) bytes have to be at most 8192.
	assert.equal([pass(511), pass(510), pass(510)], ["EMSGSIZE", "no error", "EAGAIN"]);
});

test("descriptors that take all the room wait for that of a byte, and are sent once", async () => {
	const { thread, process, host } = machine();
	const [a, b] = socketpair(thread, "stream");
	setsockopt(thread, a, SOL_SOCKET, SO_SNDLOWAT, 1);
	const before = 8192 - 48;
	writeNow(thread, a, new Uint8Array(before));
	const sending = sendmsg(thread, a, { bytes: new Uint8Array(9), fds: [a, b] });
	const other = process.spawnThread();
	assert.is(recvNow(other, b, new Uint8Array(before)), before);
	host.settle();
	assert.is(await sending, 9);
	assert.equal(take(thread, b), { n: 9, fds: [2, 3] });
	assert.is(
		codeOf(() => take(thread, b)),
		"EAGAIN",
	);
});

test.run();

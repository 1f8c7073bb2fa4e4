// What the descriptors of an account may use: bytes, packets, messages in flight, ports, terminals.
import { close, errno, exit, fcntl, readNow, type Thread, write, writeNow } from "@kqpoll/kqueue";
import { F_SETFL } from "@kqpoll/kqueue/fcntl";
import type { Resource } from "@kqpoll/kqueue/kernel";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../src/pipe/pipe.ts";
import { O_RDWR } from "../src/shared/vnode-flags.ts";
import { acceptNow, bind, connectNow, listen } from "../src/socket/connect-calls.ts";
import { getsockopt, setsockopt } from "../src/socket/option-calls.ts";
import { recv, recvmsgNow, recvNow } from "../src/socket/recv-calls.ts";
import { send, sendmsgNow, sendNow } from "../src/socket/send-calls.ts";
import { socket, socketpair } from "../src/socket/socket-calls.ts";
import {
	MSG_DONTWAIT,
	MSG_WAITALL,
	SO_ERROR,
	SO_LINGER,
	SO_RCVBUF,
	SO_SNDBUF,
	SOCK_NONBLOCK,
	SOL_SOCKET,
} from "../src/socket/socket-constants.ts";
import { mkfifo } from "../src/tree/name-calls.ts";
import { openNow } from "../src/tree/open-calls.ts";
import { Tree } from "../src/tree/tree.ts";
import { openpty, posix_openpt } from "../src/tty/pty-calls.ts";
import { codeOf, type Machine, machine, outcome } from "./machine.ts";

/** A machine with a second account, which has the default limits. */
function world(limits: Partial<Record<Resource, number>>): Machine & { readonly other: Thread } {
	const m = machine();
	for (const [resource, limit] of Object.entries(limits))
		m.process.account[resource as Resource].limit = limit;
	return { ...m, other: m.kernel.spawn().main };
}

/** How much of something an account uses, and the whole machine. */
function used({ kernel, process }: Machine, resource: Resource): number[] {
	return [process.account[resource].used, kernel.account[resource].used];
}

/** How often a call returns before it throws, and the error. */
function until(call: () => unknown): [times: number, code: unknown] {
	for (let times = 0; ; times++) {
		const code = codeOf(call);
		if (code !== "no error") return [times, code];
	}
}

test("an account has no more bytes in sockets than its limit, and those that are received make room", () => {
	const m = world({ bytes: 1000 });
	const { thread, other } = m;
	for (const type of ["stream", "seqpacket", "dgram"] as const) {
		const [a, b] = socketpair(thread, type);
		const header = type === "dgram" ? 16 : 0;
		const send = (): number => sendNow(thread, a, new Uint8Array(100 - header));
		assert.equal(until(send), [10, "ENOBUFS"]);
		assert.equal(used(m, "bytes"), [1000, 1000]);
		recvNow(thread, b, new Uint8Array(100 - header));
		assert.equal(until(send), [1, "ENOBUFS"]);
		const [c, d] = socketpair(other, type);
		assert.is(sendNow(other, c, new Uint8Array(2000)), 2000);
		for (const fd of [a, b]) close(thread, fd);
		for (const fd of [c, d]) close(other, fd);
	}
	assert.equal(used(m, "bytes"), [0, 0]);
});

test("bytes on the network count until they are received or lost", () => {
	const m = world({ bytes: 30_000 });
	const { thread, host } = m;
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 80);
	listen(thread, listener, 1);
	const client = socket(thread, "inet", "stream", SOCK_NONBLOCK);
	codeOf(() => connectNow(thread, client, 80));
	host.settle();
	assert.equal(
		until(() => sendNow(thread, client, new Uint8Array(1000))),
		[30, "ENOBUFS"],
	);
	close(thread, listener);
	assert.equal(used(m, "bytes"), [0, 0]);
	const [one, two] = [socket(thread, "inet", "dgram"), socket(thread, "inet", "dgram")];
	bind(thread, two, 90);
	connectNow(thread, one, 90);
	assert.is(sendNow(thread, one, new Uint8Array(1000)), 1000);
	assert.equal(used(m, "bytes"), [1016, 1016]);
	close(thread, two);
	sendNow(thread, one, new Uint8Array(1000));
	assert.equal(used(m, "bytes"), [0, 0]);
});

test("a stream that reaches the limit after some bytes returns how many were sent", async () => {
	const m = world({ bytes: 20_000 });
	const { thread, process, host } = m;
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 80);
	listen(thread, listener, 1);
	const client = socket(thread, "inet", "stream", SOCK_NONBLOCK);
	codeOf(() => connectNow(thread, client, 80));
	host.settle();
	const server = acceptNow(thread, listener);
	const bytes = new Uint8Array(30_000);
	fcntl(thread, client, F_SETFL, 0);
	for (const attempt of [sendNow, writeNow, send, write]) {
		assert.is(await attempt(thread, client, bytes), 16_384);
		assert.is(
			await outcome(Promise.resolve().then(() => attempt(thread, client, bytes))),
			"ENOBUFS",
		);
		assert.is(recvNow(thread, server, bytes), 16_384);
	}
	const [a, b] = socketpair(thread, "stream");
	for (const attempt of [send, write]) {
		process.account.bytes.limit = 20_000;
		const sleeper = attempt(process.spawnThread(), a, bytes);
		process.account.bytes.limit = 100;
		assert.is(recvNow(thread, b, new Uint8Array(8000)), 8000);
		host.settle();
		assert.is(await sleeper, 8192);
		assert.is(recvNow(thread, b, new Uint8Array(8000)), 192);
	}
	assert.equal(used(m, "bytes"), [0, 0]);
});

/** A connection on the network: the descriptors of a client, and of a server that listens. */
function network({ host }: Machine, client: Thread, server: Thread, rcvbuf: number): number[] {
	const listener = socket(server, "inet", "stream");
	bind(server, listener, 80);
	listen(server, listener, 1);
	const fd = socket(client, "inet", "stream", SOCK_NONBLOCK);
	setsockopt(client, fd, SOL_SOCKET, SO_RCVBUF, rcvbuf);
	codeOf(() => connectNow(client, fd, 80));
	host.settle();
	const accepted = acceptNow(server, listener);
	close(server, listener);
	return [fd, accepted];
}

test("what has arrived is charged to the receiver, who has chosen the size of the buffer", () => {
	const m = world({});
	const { thread: server, other: client } = m;
	const { bytes } = client.process.account;
	const [fd, accepted] = network(m, client, server, 1_000_000) as [number, number];
	const send = (): number => sendNow(server, accepted, new Uint8Array(1000), MSG_DONTWAIT);
	bytes.limit = 100_000;
	until(send);
	// What does not fit the client's share waits at the server, which can have 16,384 bytes there.
	assert.ok(bytes.used > 98_000 && bytes.used <= 100_000, `${bytes.used}`);
	assert.ok(m.process.account.bytes.used <= 16_384);
	const buffer = new Uint8Array(1_000_000);
	bytes.limit = 0;
	const rest = bytes.used + m.process.account.bytes.used;
	let received = 0;
	while (received < rest) received += recvNow(client, fd, buffer);
	assert.is(received, rest);
	assert.equal(used(m, "bytes"), [0, 0]);
	const [sender, receiver] = [socket(server, "inet", "dgram"), socket(client, "inet", "dgram")];
	bind(client, receiver, 90);
	connectNow(server, sender, 90);
	bytes.limit = 5 * 1016;
	for (let i = 0; i < 9; i++) sendNow(server, sender, new Uint8Array(1000));
	assert.equal([used(m, "bytes"), bytes.used], [[0, 5080], 5080]);
	exit(client, 0);
	assert.equal(used(m, "bytes"), [0, 0]);
});

test("a receiver that waits for more than its account may have gets it piece by piece", async () => {
	const m = world({});
	const { thread: server, other: client, host } = m;
	const [fd, accepted] = network(m, client, server, 100_000) as [number, number];
	client.process.account.bytes.limit = 0;
	const buffer = new Uint8Array(9000);
	fcntl(client, fd, F_SETFL, 0);
	const receiving = recv(client, fd, buffer, MSG_WAITALL);
	for (let i = 0; i < 9; i++) sendNow(server, accepted, new Uint8Array(1000).fill(i));
	host.settle();
	assert.is(await receiving, 9000);
	assert.equal([buffer[0], buffer[8999]], [0, 8]);
});

test("a connection counts as an open file before it is accepted, of the account that listens", () => {
	for (const domain of ["local", "inet"] as const) {
		const m = world({ files: 4 });
		const { thread, other, host } = m;
		const address = domain === "local" ? "name" : 80;
		const listener = socket(thread, domain, "stream");
		bind(thread, listener, address);
		listen(thread, listener, 10);
		const connect = (linger = false): void => {
			const fd = socket(other, domain, "stream", SOCK_NONBLOCK);
			if (linger) setsockopt(other, fd, SOL_SOCKET, SO_LINGER, { onoff: 1, linger: 0 });
			const code = codeOf(() => connectNow(other, fd, address));
			host.settle();
			const error = getsockopt(other, fd, SOL_SOCKET, SO_ERROR);
			close(other, fd);
			host.settle();
			if (code === "ECONNREFUSED" || error === errno.ECONNREFUSED) throw "refused";
		};
		connect(true);
		assert.equal(until(connect), [2, "refused"]);
		assert.equal(used(m, "files"), [4, 4]);
		// The first was reset: TCP does not accept it any more.
		const accepted = domain === "local" ? [4, 4] : [3, 3];
		codeOf(() => acceptNow(thread, listener));
		assert.equal(used(m, "files"), accepted);
		acceptNow(thread, listener);
		assert.equal(used(m, "files"), accepted);
		close(thread, listener);
		exit(thread, 0);
		assert.equal(used(m, "files"), [0, 0]);
	}
});

test("the memory of a pipe is charged to the account that made it, and that of a fifo to its first writer", () => {
	const m = world({ bytes: 4096 });
	const { thread } = m;
	const [r, w] = pipe(thread);
	assert.equal(
		until(() => writeNow(thread, w, new Uint8Array(512))),
		[8, "ENOMEM"],
	);
	readNow(thread, r, new Uint8Array(512));
	assert.is(writeNow(thread, w, new Uint8Array(512)), 512);
	const tree = new Tree();
	mkfifo(thread, tree, "f");
	const fifo = openNow(thread, tree, "f", O_RDWR);
	assert.is(
		codeOf(() => writeNow(thread, fifo, new Uint8Array(1))),
		"ENOBUFS",
	);
	close(thread, r);
	close(thread, w);
	assert.equal(used(m, "bytes"), [0, 0]);
	assert.equal(
		until(() => writeNow(thread, fifo, new Uint8Array(1024))),
		[4, "ENOBUFS"],
	);
	close(thread, fifo);
	assert.equal(used(m, "bytes"), [0, 0]);
});

test("an account has no more packets in sockets than its limit, even if they are empty", () => {
	const m = world({ packets: 100 });
	const { thread, other } = m;
	const [a, b] = socketpair(thread, "seqpacket");
	const empty = new Uint8Array(0);
	assert.equal(
		until(() => sendNow(thread, a, empty)),
		[100, "ENOBUFS"],
	);
	assert.equal(used(m, "packets"), [100, 100]);
	const [c] = socketpair(other, "seqpacket");
	sendNow(other, c, empty);
	sendNow(other, c, empty);
	// The first that shows ends the search: all others are stepped over.
	close(thread, a);
	assert.is(recvNow(thread, b, new Uint8Array(1)), 0);
	assert.equal(used(m, "packets"), [99, 101]);
	close(thread, b);
	assert.equal(used(m, "packets"), [0, 2]);
});

test("the bytes of a stream are few packets, however they are sent", () => {
	const m = world({});
	const { thread } = m;
	const [a, b] = socketpair(thread, "stream");
	setsockopt(thread, a, SOL_SOCKET, SO_SNDBUF, 65_536);
	setsockopt(thread, b, SOL_SOCKET, SO_RCVBUF, 65_536);
	assert.equal(
		until(() => sendNow(thread, a, Uint8Array.of(7))),
		[65_536, "EAGAIN"],
	);
	assert.ok(m.process.account.packets.used < 30);
	const buffer = new Uint8Array(65_536);
	assert.is(recvNow(thread, b, buffer), 65_536);
	assert.ok(buffer.every((byte) => byte === 7));
	assert.equal(
		[used(m, "packets"), used(m, "bytes")],
		[
			[0, 0],
			[0, 0],
		],
	);
});

test("an account has no more open files in messages than its limit", () => {
	const m = world({ inflight: 10 });
	const { thread, other } = m;
	const [a, b] = socketpair(thread, "stream");
	const pass = (): number => sendmsgNow(thread, a, { bytes: Uint8Array.of(1), fds: [a, b, a] });
	assert.equal(until(pass), [3, "EMFILE"]);
	assert.throws(pass, "EMFILE: too many open files, sendmsg (the limit of inflight is 10)");
	assert.equal(used(m, "inflight"), [9, 9]);
	const [c, d] = socketpair(other, "stream");
	assert.is(sendmsgNow(other, c, { bytes: Uint8Array.of(1), fds: [d, d, d] }), 1);
	recvmsgNow(thread, b, { bytes: new Uint8Array(1) });
	assert.equal(until(pass), [1, "EMFILE"]);
	exit(thread, 0);
	assert.equal(used(m, "inflight"), [0, 3]);
});

test("messages in flight are no deeper than the limit: a socket in a message in a socket, and so on", () => {
	const { thread } = world({ nesting: 10 });
	let [a, b] = socketpair(thread, "stream");
	const nest = (): void => {
		const [c, d] = socketpair(thread, "stream");
		sendmsgNow(thread, c, { bytes: Uint8Array.of(1), fds: [b] });
		close(thread, a);
		close(thread, b);
		[a, b] = [c, d];
	};
	assert.equal(until(nest), [10, "ENOBUFS"]);
	recvmsgNow(thread, b, { bytes: new Uint8Array(1) });
	nest();
});

test("an account has no more ports than its limit, those that are chosen for it too", () => {
	const m = world({ ports: 3 });
	const { thread, other, host } = m;
	const make = (at: Thread, port: number): number => {
		const so = socket(at, "inet", "dgram");
		bind(at, so, port);
		return so;
	};
	const fds = [make(thread, 0), make(thread, 7), make(thread, 0)];
	const client = socket(thread, "inet", "stream");
	assert.equal(
		[() => make(thread, 0), () => make(thread, 9), () => connectNow(thread, client, 1)].map(codeOf),
		["EADDRNOTAVAIL", "EADDRNOTAVAIL", "EADDRNOTAVAIL"],
	);
	make(other, 9);
	close(thread, fds[1] as number);
	assert.is(
		codeOf(() => connectNow(thread, client, 1)),
		"EINPROGRESS",
	);
	host.settle();
	assert.equal(used(m, "ports"), [3, 4]);
	exit(thread, 0);
	assert.equal(used(m, "ports"), [0, 1]);
});

test("an account has no more terminals than its limit", () => {
	const m = world({ ptys: 2 });
	const { thread, process, other } = m;
	const [master, slave] = openpty(thread);
	openpty(thread);
	assert.is(
		codeOf(() => openpty(thread)),
		"ENXIO",
	);
	openpty(other);
	close(thread, master);
	assert.equal(used(m, "ptys"), [2, 3]);
	close(thread, slave);
	assert.equal(used(m, "ptys"), [1, 2]);
	for (const [limit, open] of [
		[1, () => openpty(thread)],
		[0, () => posix_openpt(thread, O_RDWR)],
	] as const) {
		process.fdp.limit = limit;
		assert.is(codeOf(open), "EMFILE");
	}
	assert.equal(used(m, "ptys"), [1, 2]);
	process.fdp.limit = 9;
	posix_openpt(thread, O_RDWR);
	assert.is(
		codeOf(() => posix_openpt(thread, O_RDWR)),
		"ENXIO",
	);
	exit(thread, 0);
	assert.equal(used(m, "ptys"), [0, 1]);
});

test("what only sockets have that nobody can receive is freed before a limit is reached", () => {
	const { thread, host } = world({ ptys: 1, ports: 1, inflight: 4, packets: 1 });
	for (let i = 0; i < 20; i++) {
		const [a, b] = socketpair(thread, "stream");
		const so = socket(thread, "inet", "dgram");
		bind(thread, so, 0);
		const fds = [b, so, ...openpty(thread)];
		sendmsgNow(thread, a, { bytes: Uint8Array.of(1), fds });
		for (const fd of [a, ...fds.reverse()]) close(thread, fd);
	}
	host.settle();
});

test.run();

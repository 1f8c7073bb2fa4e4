// Options of sockets that real programs set: switches, lingering, and limits of time.
import { POLLHUP, POLLIN, POLLOUT } from "@kqpoll/kqpoll";
import { close, fcntl, read, type Thread, write, writeNow } from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import type { Timeval } from "@kqpoll/kqueue/time";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { accept, acceptNow, bind, connectNow, listen } from "../../src/socket/connect-calls.ts";
import { getsockopt, setsockopt } from "../../src/socket/option-calls.ts";
import { recv, recvNow } from "../../src/socket/recv-calls.ts";
import { send } from "../../src/socket/send-calls.ts";
import { socket, socketpair } from "../../src/socket/socket-calls.ts";
import {
	IPPROTO_TCP,
	type Linger,
	MSG_DONTWAIT,
	MSG_WAITALL,
	SO_BROADCAST,
	SO_DEBUG,
	SO_DONTROUTE,
	SO_ERROR,
	SO_KEEPALIVE,
	SO_LINGER,
	SO_OOBINLINE,
	SO_RCVTIMEO,
	SO_REUSEADDR,
	SO_REUSEPORT,
	SO_SNDTIMEO,
	SO_USELOOPBACK,
	SO_ZEROIZE,
	SOL_SOCKET,
	TCP_NODELAY,
	TCP_NOPUSH,
} from "../../src/socket/socket-constants.ts";
import { codeOf, type Machine, machine, outcome, revents } from "../machine.ts";

/** A TCP connection: the listener, the end that connected, and the one that was accepted. */
function connection({ thread, host }: Machine): [number, number, number] {
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 80);
	listen(thread, listener, 5);
	const client = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, client, 80));
	host.settle();
	return [listener, client, acceptNow(thread, listener)];
}

function set(
	thread: Thread,
	fd: number,
	option: number,
	value: number | Linger | Timeval,
): unknown {
	return codeOf(() => setsockopt(thread, fd, SOL_SOCKET, option, value));
}

function get(thread: Thread, fd: number, option: number): unknown {
	return getsockopt(thread, fd, SOL_SOCKET, option);
}

test("every kind of socket takes the options that are on or off, and says how they are", () => {
	const { thread } = machine();
	const fds = [
		socket(thread, "local", "stream"),
		socket(thread, "local", "dgram"),
		socket(thread, "inet", "stream"),
		socket(thread, "inet", "dgram"),
	];
	const switches = [
		SO_DEBUG,
		SO_REUSEADDR,
		SO_KEEPALIVE,
		SO_BROADCAST,
		SO_USELOOPBACK,
		SO_OOBINLINE,
		SO_REUSEPORT,
		SO_ZEROIZE,
	];
	const all = (fd: number) => switches.map((option) => get(thread, fd, option));
	for (const fd of fds) {
		for (const [i, option] of switches.entries()) {
			assert.is(set(thread, fd, option, 5), "no error");
			assert.equal(
				all(fd),
				switches.map((_, at) => (at === i ? 1 : 0)),
			);
			assert.is(set(thread, fd, option, 0), "no error");
		}
		assert.equal(
			[1, 0].map((value) => set(thread, fd, SO_DONTROUTE, value)),
			["EOPNOTSUPP", "no error"],
		);
		assert.is(get(thread, fd, SO_DONTROUTE), 0);
	}
});

test("TCP_NODELAY and TCP_NOPUSH belong to TCP", () => {
	const { thread } = machine();
	const tcp = socket(thread, "inet", "stream");
	for (const option of [TCP_NODELAY, TCP_NOPUSH]) {
		const value = () => getsockopt(thread, tcp, IPPROTO_TCP, option);
		assert.is(value(), 0);
		setsockopt(thread, tcp, IPPROTO_TCP, option, 1);
		assert.is(value(), 1);
		setsockopt(thread, tcp, IPPROTO_TCP, option, 0);
		assert.is(value(), 0);
	}
	const udp = socket(thread, "inet", "dgram");
	assert.equal(
		[
			() => setsockopt(thread, udp, IPPROTO_TCP, TCP_NODELAY, 1),
			() => getsockopt(thread, udp, IPPROTO_TCP, TCP_NODELAY),
			() => setsockopt(thread, tcp, IPPROTO_TCP, 0x100, 1),
			() => getsockopt(thread, tcp, IPPROTO_TCP, 0x100),
			() => setsockopt(thread, tcp, SOL_SOCKET, TCP_NODELAY << 16, 1),
		].map(codeOf),
		new Array(5).fill("ENOPROTOOPT"),
	);
});

test("a linger that cannot be read is EFAULT, and what its accessor throws is thrown", () => {
	const { thread } = machine();
	const [a] = socketpair(thread, "stream");
	const { proxy, revoke } = Proxy.revocable({ onoff: 1, linger: 1 }, {});
	revoke();
	assert.is(
		codeOf(() => setsockopt(thread, a, SOL_SOCKET, SO_LINGER, proxy)),
		"EFAULT",
	);
	const own = new Error("own");
	const throwing = {
		onoff: 1,
		get linger(): number {
			throw own;
		},
	};
	assert.is(
		codeOf(() => setsockopt(thread, a, SOL_SOCKET, SO_LINGER, throwing)),
		own,
	);
});

test("SO_LINGER and the limits of time are read as they were set, and bad values are refused", () => {
	const { thread } = machine();
	const [a] = socketpair(thread, "stream");
	assert.equal(
		[SO_LINGER, SO_SNDTIMEO, SO_RCVTIMEO].map((option) => get(thread, a, option)),
		[
			{ onoff: 0, linger: 0 },
			{ sec: 0, usec: 0 },
			{ sec: 0, usec: 0 },
		],
	);
	set(thread, a, SO_LINGER, { onoff: 7, linger: 32767 });
	set(thread, a, SO_SNDTIMEO, { sec: 1, usec: 500_000 });
	set(thread, a, SO_RCVTIMEO, { sec: 0, usec: 1 });
	const values = [
		{ onoff: 1, linger: 32767 },
		{ sec: 1, usec: 500_000 },
		{ sec: 0, usec: 1 },
	];
	const read = () => [SO_LINGER, SO_SNDTIMEO, SO_RCVTIMEO].map((it) => get(thread, a, it));
	assert.equal(read(), values);
	assert.equal(
		[
			set(thread, a, SO_LINGER, { onoff: 0, linger: -1 }),
			set(thread, a, SO_LINGER, { onoff: 0, linger: 32768 }),
			set(thread, a, SO_LINGER, { onoff: 0.5, linger: 0 }),
			set(thread, a, SO_LINGER, 1),
			set(thread, a, SO_SNDTIMEO, { sec: -1, usec: 0 }),
			set(thread, a, SO_RCVTIMEO, { sec: 0, usec: 1_000_000 }),
			set(thread, a, SO_RCVTIMEO, null as never),
			set(thread, a, SO_KEEPALIVE, { onoff: 1, linger: 1 }),
		],
		["EINVAL", "EINVAL", "EINVAL", "EFAULT", "EINVAL", "EINVAL", "EFAULT", "EINVAL"],
	);
	assert.equal(read(), values);
});

test("a connection inherits the options of its listener", () => {
	const m = machine();
	const { thread, host } = m;
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 80);
	listen(thread, listener, 5);
	set(thread, listener, SO_KEEPALIVE, 1);
	set(thread, listener, SO_LINGER, { onoff: 1, linger: 3 });
	set(thread, listener, SO_RCVTIMEO, { sec: 2, usec: 0 });
	const client = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, client, 80));
	host.settle();
	const fd = acceptNow(thread, listener);
	assert.equal(
		[SO_KEEPALIVE, SO_LINGER, SO_RCVTIMEO].map((option) => get(thread, fd, option)),
		[1, { onoff: 1, linger: 3 }, { sec: 2, usec: 0 }],
	);
});

test("a TCP socket that lingers for no time resets the connection when it is closed", async () => {
	const m = machine();
	const { thread, process, host } = m;
	const [, client, server] = connection(m);
	writeNow(thread, client, new Uint8Array(3));
	set(thread, client, SO_LINGER, { onoff: 1, linger: 0 });
	const buffer = new Uint8Array(9);
	assert.is(recvNow(thread, server, buffer), 3);
	const reading = outcome(read(process.spawnThread(), server, buffer));
	close(thread, client);
	host.settle();
	assert.is(await reading, "ECONNRESET");
	assert.equal(revents(thread, POLLIN | POLLOUT, server), [POLLIN | POLLHUP]);
	assert.equal([get(thread, server, SO_ERROR), recvNow(thread, server, buffer)], [0, 0]);
});

test("only lingering for no time resets, and only a TCP connection", () => {
	for (const linger of [
		{ onoff: 0, linger: 0 },
		{ onoff: 1, linger: 1 },
	]) {
		const m = machine();
		const [, client, server] = connection(m);
		set(m.thread, client, SO_LINGER, linger);
		close(m.thread, client);
		assert.equal(
			[get(m.thread, server, SO_ERROR), recvNow(m.thread, server, new Uint8Array(1))],
			[0, 0],
		);
	}
	const { thread } = machine();
	const [a, b] = socketpair(thread, "stream");
	set(thread, a, SO_LINGER, { onoff: 1, linger: 0 });
	close(thread, a);
	assert.equal([get(thread, b, SO_ERROR), recvNow(thread, b, new Uint8Array(1))], [0, 0]);
	const alone = socket(thread, "inet", "stream");
	set(thread, alone, SO_LINGER, { onoff: 1, linger: 0 });
	close(thread, alone);
});

const HALF: Timeval = { sec: 0, usec: 500_000 };

test("with SO_RCVTIMEO recv, read and accept fail with EAGAIN after that time", async () => {
	const m = machine();
	const { thread, host, kernel } = m;
	const [listener, client] = connection(m);
	const calls = [
		() => recv(thread, client, new Uint8Array(9)),
		() => read(thread, client, new Uint8Array(9)),
		() => accept(thread, listener),
	];
	for (const fd of [client, listener]) set(thread, fd, SO_RCVTIMEO, HALF);
	for (const call of calls) {
		const before = host.now();
		const waiting = outcome(call());
		host.advance(499);
		assert.is(thread.state, "asleep");
		host.advance(1);
		assert.equal([await waiting, host.now() - before], ["EAGAIN", 500e6]);
	}
	// Without a limit again.
	for (const fd of [client, listener]) set(thread, fd, SO_RCVTIMEO, { sec: 0, usec: 0 });
	void outcome(recv(thread, client, new Uint8Array(9)));
	host.advance(100_000);
	assert.equal([thread.state, kernel.timeouts.size], ["asleep", 0]);
});

test("with SO_SNDTIMEO send and write return what they sent in time, or EAGAIN", async () => {
	for (const call of [send, write]) {
		const { thread, host } = machine();
		const [a, b] = socketpair(thread, "stream");
		set(thread, a, SO_SNDTIMEO, HALF);
		const part = outcome(call(thread, a, new Uint8Array(9000)));
		host.advance(500);
		assert.is(await part, 8192);
		const none = outcome(call(thread, a, new Uint8Array(9000)));
		host.advance(500);
		assert.is(await none, "EAGAIN");
		// The limit of the other direction does not matter.
		set(thread, b, SO_SNDTIMEO, HALF);
		recvNow(thread, b, new Uint8Array(9000));
		void outcome(recv(thread, b, new Uint8Array(1)));
		host.advance(1000);
		assert.is(thread.state, "asleep");
	}
});

test("each sleep of a call has the whole time", async () => {
	for (const call of [recv, read]) {
		const { thread, process, host } = machine();
		const [a, b] = socketpair(thread, "stream");
		const writer = process.spawnThread();
		set(thread, b, SO_RCVTIMEO, HALF);
		// Two threads read; the bytes are for the first of them, which only wakes the second.
		const first = process.spawnThread();
		const got = outcome(call(first, b, new Uint8Array(9)));
		const waiting = outcome(call(thread, b, new Uint8Array(9)));
		host.advance(400);
		writeNow(writer, a, new Uint8Array(1));
		host.advance(400);
		assert.equal([await got, thread.state], [1, "asleep"]);
		host.advance(100);
		assert.is(await waiting, "EAGAIN");
	}
});

test("a receiver with MSG_WAITALL returns what came in time, even if it must not block", async () => {
	for (const flags of [MSG_WAITALL, MSG_WAITALL | MSG_DONTWAIT]) {
		const { thread, host } = machine();
		const [a, b] = socketpair(thread, "stream");
		fcntl(thread, b, F_SETFL, O_NONBLOCK);
		set(thread, b, SO_RCVTIMEO, HALF);
		writeNow(thread, a, new Uint8Array(3));
		const filling = outcome(recv(thread, b, new Uint8Array(9), flags));
		host.advance(500);
		assert.is(await filling, 3);
	}
});

test.run();

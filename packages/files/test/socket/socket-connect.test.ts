// Sockets that find each other: names, ports, listeners, queues, and what ends a connection.
import { POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	eventList,
	exec,
	fcntl,
	fork,
	interrupt,
	kevent,
	keventNow,
	kill,
	kqueue,
	readNow,
	sigaction,
	type Thread,
	threadExit,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFD, F_GETFL, F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { SA_RESTART, SIGUSR1 } from "@kqpoll/kqueue/signal";
import { closefrom } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	accept,
	accept4,
	acceptNow,
	bind,
	connect,
	connectNow,
	listen,
} from "../../src/socket/connect-calls.ts";
import { getsockopt, setsockopt } from "../../src/socket/option-calls.ts";
import { recvmsgNow, recvNow } from "../../src/socket/recv-calls.ts";
import { sendNow, sendtoNow } from "../../src/socket/send-calls.ts";
import {
	getpeername,
	getsockname,
	shutdown,
	socket,
	socketpair,
} from "../../src/socket/socket-calls.ts";
import {
	type Address,
	MSG_OOB,
	SHUT_RD,
	SHUT_WR,
	SO_ACCEPTCONN,
	SO_ERROR,
	SO_RCVBUF,
	SOCK_CLOEXEC,
	SOCK_NONBLOCK,
	SOL_SOCKET,
	type SocketDomain,
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
const DOMAINS: readonly [SocketDomain, Address][] = [
	["local", "/tmp/s"],
	["inet", 80],
];

function listener(thread: Thread, domain: SocketDomain, address: Address, backlog = 5): number {
	const fd = socket(thread, domain, "stream");
	bind(thread, fd, address);
	listen(thread, fd, backlog);
	return fd;
}

/** A socket that has begun to connect; the machine has run. */
function client({ thread, host }: Machine, domain: SocketDomain, address: Address): number {
	const fd = socket(thread, domain, "stream");
	try {
		connectNow(thread, fd, address);
	} catch (error) {
		if ((error as { code?: string }).code !== "EINPROGRESS") throw error;
	}
	host.settle();
	return fd;
}

function drain(thread: Thread, fd: number): number[] {
	const buffer = new Uint8Array(20);
	return [...buffer.subarray(0, readNow(thread, fd, buffer))];
}

function watch(thread: Thread, ident: number, filter: number, flags = EV_ADD): number {
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident, filter, flags }], null);
	return kq;
}

for (const [domain, address] of DOMAINS) {
	test(`a ${domain} listener is ready while connections wait`, () => {
		const m = machine();
		const { thread } = m;
		const l = listener(thread, domain, address);
		const kq = watch(thread, l, EVFILT_READ);
		assert.equal(
			[revents(thread, ALL, l), selected(thread, l), collect(thread, kq)],
			[[0], [false, false, false], []],
		);
		const clients = [client(m, domain, address), client(m, domain, address)];
		assert.equal(
			[revents(thread, ALL, l), selected(thread, l), collect(thread, kq)],
			[[POLLIN], [true, false, false], [[l, EVFILT_READ, EV_ADD, 0, 2]]],
		);
		const servers = clients.map(() => acceptNow(thread, l));
		assert.equal([revents(thread, ALL, l), collect(thread, kq)], [[0], []]);
		assert.is(
			codeOf(() => acceptNow(thread, l)),
			"EAGAIN",
		);
		clients.forEach((fd, i) => {
			writeNow(thread, fd, Uint8Array.of(i));
		});
		assert.equal(
			servers.map((fd) => drain(thread, fd)),
			[[0], [1]],
		);
		assert.equal(
			[getsockname(thread, servers[0] as number), getpeername(thread, clients[0] as number)],
			[address, address],
		);
		assert.is(getpeername(thread, servers[0] as number), getsockname(thread, clients[0] as number));
		checkMachine(m);
	});

	test(`a ${domain} READ knote from before listen does not see connections`, () => {
		const m = machine();
		const { thread } = m;
		const l = socket(thread, domain, "stream");
		bind(thread, l, address);
		const kq = watch(thread, l, EVFILT_READ);
		listen(thread, l, 1);
		client(m, domain, address);
		assert.equal([collect(thread, kq), revents(thread, POLLIN, l)], [[], [POLLIN]]);
	});

	test(`every ${domain} connection is reported, and reported again after an accept`, () => {
		const m = machine();
		const { thread } = m;
		const l = listener(thread, domain, address);
		const kq = watch(thread, l, EVFILT_READ, EV_ADD | EV_CLEAR);
		const seen = [client, client, acceptNow, acceptNow].map((act) => {
			if (act === client) client(m, domain, address);
			else acceptNow(thread, l);
			return collect(thread, kq).map((event) => event[4]);
		});
		assert.equal(seen, [[1], [2], [1], []]);
	});

	test(`a ${domain} connection is refused when the queue is full or there is no listener`, async () => {
		const m = machine();
		const { thread, host } = m;
		const l = socket(thread, domain, "stream");
		bind(thread, l, address);
		const attempt = async () => {
			const result = outcome(connect(thread, socket(thread, domain, "stream"), address));
			host.settle();
			return result;
		};
		const results = [await attempt()];
		listen(thread, l, 2);
		for (let i = 0; i < 3; i++) results.push(await attempt());
		acceptNow(thread, l);
		results.push(await attempt());
		assert.equal(results, ["ECONNREFUSED", 0, 0, "ECONNREFUSED", 0]);
	});

	test(`a ${domain} address belongs to one socket, until that is closed`, () => {
		const { thread } = machine();
		const one = socket(thread, domain, "stream");
		const two = socket(thread, domain, "stream");
		bind(thread, one, address);
		const wrong = domain === "local" ? 80 : "x";
		const bad = domain === "local" ? "" : 65536;
		const errors = [
			() => bind(thread, two, address),
			() => bind(thread, one, domain === "local" ? "other" : 81),
			() => bind(thread, two, wrong),
			() => bind(thread, two, bad),
		].map(codeOf);
		assert.equal(errors, ["EADDRINUSE", "EINVAL", "EAFNOSUPPORT", "EINVAL"]);
		close(thread, one);
		bind(thread, two, address);
		assert.is(getsockname(thread, two), address);
	});

	test(`accept and connect sleep, on ${domain}, until they meet, are interrupted or aborted`, async () => {
		const { thread, process, host } = machine();
		const sleeper = process.spawnThread();
		const l = listener(thread, domain, address);
		const interrupted = outcome(accept(sleeper, l));
		host.settle();
		interrupt(sleeper);
		host.settle();
		const controller = new AbortController();
		const aborted = outcome(accept(sleeper, l, { signal: controller.signal }));
		host.settle();
		controller.abort("enough");
		host.settle();
		assert.equal([await interrupted, await aborted], ["EINTR", "enough"]);
		const accepting = accept4(sleeper, l, SOCK_NONBLOCK | SOCK_CLOEXEC);
		const c = socket(thread, domain, "stream");
		const connecting = connect(thread, c, address);
		host.settle();
		// The sleeping accept has a descriptor already, the one before that of the client.
		const accepted = c - 1;
		assert.equal([await connecting, await accepting], [0, accepted]);
		const flags = [accepted].flatMap((fd) => [
			fcntl(thread, fd, F_GETFD),
			fcntl(thread, fd, F_GETFL) & O_NONBLOCK,
		]);
		assert.equal(flags, [1, O_NONBLOCK]);
		const ended = outcome(accept(sleeper, l));
		host.settle();
		shutdown(thread, l, SHUT_RD);
		host.settle();
		assert.equal(
			[await ended, codeOf(() => acceptNow(thread, l)), revents(thread, POLLIN, l)],
			["ECONNABORTED", "ECONNABORTED", [POLLIN]],
		);
	});

	test(`calls in a wrong state are refused on ${domain}`, () => {
		const m = machine();
		const { thread, process } = m;
		const l = listener(thread, domain, address, -1);
		const c = client(m, domain, address);
		const d = socket(thread, domain, "dgram");
		// A local datagram socket only lacks a name.
		const refused = domain === "local" ? "EINVAL" : "EOPNOTSUPP";
		const errors = [
			() => connectNow(thread, l, address),
			() => connectNow(thread, c, address),
			() => listen(thread, c, 1),
			() => listen(thread, d, 1),
			() => listen(thread, l, Number.NaN),
			() => acceptNow(thread, c),
		].map(codeOf);
		assert.equal(errors, ["EOPNOTSUPP", "EISCONN", "EINVAL", refused, "EINVAL", "EINVAL"]);
		const option = (fd: number) => getsockopt(thread, fd, SOL_SOCKET, SO_ACCEPTCONN);
		assert.equal([option(l), option(c)], [1, 0]);
		process.fdp.limit = 3;
		assert.equal([codeOf(() => acceptNow(thread, l)), revents(thread, POLLIN, l)], ["EMFILE", [1]]);
		process.fdp.limit = 9;
		assert.is(acceptNow(thread, l), 3);
	});

	test(`connections inherit from their ${domain} listener`, () => {
		const m = machine();
		const { thread } = m;
		const l = listener(thread, domain, address);
		setsockopt(thread, l, SOL_SOCKET, SO_RCVBUF, 777);
		fcntl(thread, l, F_SETFL, O_NONBLOCK);
		client(m, domain, address);
		const fd = acceptNow(thread, l);
		assert.equal(
			[getsockopt(thread, fd, SOL_SOCKET, SO_RCVBUF), fcntl(thread, fd, F_GETFL) & O_NONBLOCK],
			[777, O_NONBLOCK],
		);
	});
}

for (const domain of ["local", "inet"] as const) {
	test(`${domain}: a datagram socket whose new connection fails has none any more`, () => {
		const { thread } = machine();
		const address = domain === "local" ? "to" : 7;
		const to = socket(thread, domain, "dgram");
		bind(thread, to, address);
		const s = socket(thread, domain, "dgram");
		const missing = domain === "local" ? ["ENOENT", "none"] : ["EADDRNOTAVAIL", 0];
		for (const [error, other] of [missing, ["EAFNOSUPPORT", null]]) {
			connectNow(thread, s, address);
			assert.is(sendNow(thread, s, Uint8Array.of(1)), 1);
			assert.is(
				codeOf(() => connectNow(thread, s, other as Address)),
				error,
			);
			assert.equal(
				[() => sendNow(thread, s, Uint8Array.of(2)), () => getpeername(thread, s)].map(codeOf),
				["EDESTADDRREQ", "ENOTCONN"],
			);
			assert.is(sendtoNow(thread, s, Uint8Array.of(3), 0, address), 1);
		}
	});

	test(`${domain}: a watcher of a listener runs before a sleeping accept`, async () => {
		const m = machine();
		const { thread, process, host } = m;
		const address = domain === "local" ? "l" : 7;
		const l = listener(thread, domain, address);
		const kq = watch(thread, l, EVFILT_READ);
		const accepting = accept(process.spawnThread(), l);
		const waiting = kevent(process.spawnThread(), kq, null, eventList(1), null);
		client(m, domain, address);
		host.settle();
		assert.equal(await waiting, 1);
		assert.equal(typeof (await accepting), "number");
	});
}

test("a sleeping accept has its number, which is neither free nor open", async () => {
	const m = machine();
	const { thread, process, host } = m;
	const l = listener(thread, "local", "l");
	const kept = l + 1;
	const sleeper = process.spawnThread();
	const accepting = accept(sleeper, l);
	const uses = [
		() => close(thread, kept),
		() => fcntl(thread, kept, F_GETFL),
		() => dup2(thread, kept, kept),
		() => dup2(thread, l, kept),
		() =>
			keventNow(
				thread,
				kqueue(thread),
				[{ ident: kept, filter: EVFILT_READ, flags: EV_ADD }],
				null,
			),
	];
	assert.equal(uses.map(codeOf), ["EBADF", "EBADF", "EBADF", "EBUSY", "EBADF"]);
	assert.equal(revents(thread, POLLIN, kept), [POLLNVAL]);
	const child = fork(thread);
	assert.is(dup(child.main, l), kept);
	exec(thread);
	closefrom(thread, kept + 1);
	closefrom(thread, kept);
	assert.is(
		codeOf(() => closefrom(thread, kept + 1)),
		"EBADF",
	);
	assert.is(client(m, "local", "l"), kept + 1);
	assert.is(await accepting, kept);
	assert.is(fcntl(thread, kept, F_GETFL), 2);
	const again = outcome(accept(sleeper, l));
	assert.is(dup(thread, l), kept + 3);
	interrupt(sleeper);
	host.settle();
	assert.is(await again, "EINTR");
	assert.is(dup(thread, l), kept + 2);
});

test("an accept releases its number when it begins again after a handler, or its thread exits", async () => {
	const { thread, process, host } = machine();
	const l = listener(thread, "local", "l");
	const sleeper = process.spawnThread();
	sigaction(thread, SIGUSR1, () => {}, 0, SA_RESTART);
	const accepting = outcome(accept(sleeper, l));
	kill(thread, process.pid, SIGUSR1);
	host.settle();
	assert.is(sleeper.state, "asleep");
	assert.is(dup(thread, l), l + 2);
	threadExit(sleeper);
	host.settle();
	assert.is(await accepting, "EINTR");
	assert.is(dup(thread, l), l + 1);
});

test("accept needs a descriptor before anything else", async () => {
	const { thread, process } = machine();
	const s = socket(thread, "local", "stream");
	process.fdp.limit = 1;
	assert.equal(
		[await outcome(accept(thread, s)), codeOf(() => acceptNow(thread, s))],
		["EMFILE", "EMFILE"],
	);
	process.fdp.limit = 2;
	assert.is(await outcome(accept(thread, s)), "EINVAL");
	assert.is(dup(thread, s), 1);
});

test("local: listen wants a name and no connection, of any type of socket", () => {
	const { thread } = machine();
	for (const type of ["stream", "seqpacket", "dgram"] as const) {
		const [a, b] = socketpair(thread, type);
		const listening = () => listen(thread, a, 5);
		assert.is(codeOf(listening), "EINVAL");
		close(thread, b);
		// The socket is not connected any more, but it has no name.
		assert.is(codeOf(listening), "EINVAL");
		bind(thread, a, type);
		listening();
		listening();
		assert.is(
			codeOf(() => connectNow(thread, a, "dgram")),
			"EOPNOTSUPP",
		);
	}
});

test("local: an accepted socket shows its listener's name, and can be bound to another, once", () => {
	const m = machine();
	const { thread } = m;
	const l = listener(thread, "local", "l");
	client(m, "local", "l");
	const s = acceptNow(thread, l);
	assert.is(getsockname(thread, s), "l");
	assert.equal(
		["l", "s", "t"].map((name) => codeOf(() => bind(thread, s, name))),
		["EADDRINUSE", "no error", "EINVAL"],
	);
	assert.is(getsockname(thread, s), "s");
	const other = socket(thread, "local", "stream");
	const connecting = () => connectNow(thread, other, "s");
	assert.is(codeOf(connecting), "ECONNREFUSED");
	close(thread, s);
	assert.is(codeOf(connecting), "ENOENT");
	assert.is(
		codeOf(() => connectNow(thread, other, "l")),
		"no error",
	);
});

test("local: names that no socket has, and sockets of another type", () => {
	const { thread } = machine();
	const d = socket(thread, "local", "dgram");
	bind(thread, d, "d");
	const s = socket(thread, "local", "stream");
	const errors = [
		() => connectNow(thread, s, "nobody"),
		() => connectNow(thread, s, "d"),
		() => connectNow(thread, s, "x".repeat(104)),
		() => listen(thread, s, 1),
		() => sendtoNow(thread, d, new Uint8Array(1), 0, "nobody"),
	].map(codeOf);
	assert.equal(errors, ["ENOENT", "EPROTOTYPE", "ENAMETOOLONG", "EINVAL", "ENOENT"]);
});

test("local: closing a listener ends the connections that wait", () => {
	const m = machine();
	const { thread } = m;
	const l = listener(thread, "local", "s");
	const c = client(m, "local", "s");
	close(thread, l);
	assert.equal(revents(thread, ALL, c), [POLLIN | POLLHUP]);
	assert.equal([drain(thread, c), getsockopt(thread, c, SOL_SOCKET, SO_ERROR)], [[], 0]);
});

test("local: a connection whose other end is gone is accepted, with the bytes that were sent", () => {
	const m = machine();
	const { thread } = m;
	const l = listener(thread, "local", "s");
	const c = client(m, "local", "s");
	writeNow(thread, c, Uint8Array.of(7));
	close(thread, c);
	const fd = acceptNow(thread, l);
	assert.equal([drain(thread, fd), drain(thread, fd)], [[7], []]);
});

test("local: datagrams to a name carry the sender's name", () => {
	const { thread } = machine();
	const [a, b] = [socket(thread, "local", "dgram"), socket(thread, "local", "dgram")];
	bind(thread, b, "b");
	const message = { bytes: new Uint8Array(9), address: null as Address | null };
	sendtoNow(thread, a, Uint8Array.of(1), 0, "b");
	assert.equal([recvmsgNow(thread, b, message), message.address], [1, null]);
	bind(thread, a, "a");
	connectNow(thread, a, "b");
	sendNow(thread, a, Uint8Array.of(1, 2));
	assert.equal([recvmsgNow(thread, b, message), message.address], [2, "a"]);
	connectNow(thread, a, "a");
	sendNow(thread, a, Uint8Array.of(1));
	assert.equal([getpeername(thread, a), drain(thread, a)], ["a", [1]]);
});

test("tcp: a descriptor that does not block is writable when it is connected", () => {
	const { thread, host } = machine();
	const l = listener(thread, "inet", 80);
	const c = socket(thread, "inet", "stream", SOCK_NONBLOCK);
	const errors = [1, 2].map(() => codeOf(() => connectNow(thread, c, 80)));
	assert.equal(
		[errors, revents(thread, ALL, c, l)],
		[
			["EINPROGRESS", "EALREADY"],
			[0, 0],
		],
	);
	const kq = watch(thread, c, EVFILT_WRITE);
	host.settle();
	assert.equal(collect(thread, kq), [[c, EVFILT_WRITE, EV_ADD, 0, 16384]]);
	assert.equal(revents(thread, ALL, c, l), [POLLOUT, POLLIN]);
	assert.equal(
		[getsockopt(thread, c, SOL_SOCKET, SO_ERROR), codeOf(() => connectNow(thread, c, 80))],
		[0, "EISCONN"],
	);
});

test("tcp: a connection that is refused is ready for everything, and has the errno", () => {
	const { thread, host } = machine();
	const c = socket(thread, "inet", "stream", SOCK_NONBLOCK);
	const kq = watch(thread, c, EVFILT_WRITE);
	assert.is(
		codeOf(() => connectNow(thread, c, 80)),
		"EINPROGRESS",
	);
	host.settle();
	const refused = [c, EVFILT_WRITE, EV_ADD | EV_EOF, errno.ECONNREFUSED, 16384];
	assert.equal(collect(thread, kq), [refused]);
	assert.equal(revents(thread, ALL, c), [POLLIN | POLLHUP]);
	const error = () => getsockopt(thread, c, SOL_SOCKET, SO_ERROR);
	assert.equal([error(), error()], [errno.ECONNREFUSED, 0]);
	assert.is(
		codeOf(() => connectNow(thread, c, 80)),
		"EINVAL",
	);
});

test("tcp: an interrupted connect goes on", async () => {
	const m = machine();
	const { thread, process, host } = m;
	listener(thread, "inet", 80);
	const c = socket(thread, "inet", "stream");
	const controller = new AbortController();
	const call = outcome(connect(process.spawnThread(), c, 80, { signal: controller.signal }));
	controller.abort("enough");
	host.settle();
	assert.equal([await call, revents(thread, ALL, c)], ["enough", [POLLOUT]]);
});

test("tcp: a socket without a port gets one", () => {
	const m = machine();
	const { thread } = m;
	const [a, b] = [socket(thread, "inet", "stream"), socket(thread, "inet", "stream")];
	bind(thread, a, 0);
	listen(thread, b, 1);
	const ports = [a, b].map((fd) => getsockname(thread, fd));
	assert.equal(ports, [49152, 49153]);
	const c = client(m, "inet", 49153);
	const s = acceptNow(thread, b);
	assert.equal([getsockname(thread, c), getpeername(thread, s)], [49154, 49154]);
	assert.is(
		codeOf(() => connectNow(thread, socket(thread, "inet", "stream"), 0)),
		"EADDRNOTAVAIL",
	);
});

for (const type of ["seqpacket"] as readonly SocketType[]) {
	test(`local ${type}: connections carry messages`, () => {
		const { thread } = machine();
		const l = socket(thread, "local", type);
		bind(thread, l, "s");
		listen(thread, l, 1);
		const c = socket(thread, "local", type);
		connectNow(thread, c, "s");
		for (const n of [1, 2]) writeNow(thread, c, Uint8Array.of(n));
		shutdown(thread, c, SHUT_WR);
		const s = acceptNow(thread, l);
		assert.equal([drain(thread, s), drain(thread, s), drain(thread, s)], [[1], [2], []]);
	});
}

test("udp: datagrams arrive, are lost, or are answered with an error", () => {
	const { thread } = machine();
	const [a, b] = [socket(thread, "inet", "dgram"), socket(thread, "inet", "dgram")];
	bind(thread, b, 53);
	const message = { bytes: new Uint8Array(9), address: null as Address | null };
	sendtoNow(thread, a, Uint8Array.of(1), 0, 53);
	assert.equal([recvmsgNow(thread, b, message), message.address], [1, 49152]);
	assert.is(sendtoNow(thread, a, Uint8Array.of(1), 0, 54), 1);
	assert.equal(revents(thread, ALL, a), [POLLOUT]);
	connectNow(thread, a, 54);
	assert.is(sendNow(thread, a, Uint8Array.of(1)), 1);
	assert.equal(revents(thread, ALL, a), [POLLIN | POLLOUT]);
	assert.equal([() => drain(thread, a), () => drain(thread, a)].map(codeOf), [
		"ECONNREFUSED",
		"EAGAIN",
	]);
	connectNow(thread, b, 99);
	connectNow(thread, a, 53);
	assert.equal(
		[() => sendNow(thread, a, new Uint8Array(9217)), () => drain(thread, b)].map(codeOf),
		["EMSGSIZE", "EAGAIN"],
	);
	connectNow(thread, b, 49152);
	for (let i = 0; i < 10; i++) assert.is(sendNow(thread, a, new Uint8Array(8000)), 8000);
	let got = 0;
	while (revents(thread, POLLIN, b)[0] === POLLIN) got += recvmsgNow(thread, b, message);
	assert.equal([got, getpeername(thread, a), getpeername(thread, b)], [45, 53, 49152]);
});

test("udp: calls that it does not have, and shutdown", () => {
	const { thread } = machine();
	const [a, b] = [socket(thread, "inet", "dgram"), socket(thread, "inet", "dgram")];
	bind(thread, b, 53);
	const one = new Uint8Array(1);
	const errors = [
		() => sendtoNow(thread, a, one, MSG_OOB, 53),
		() => recvNow(thread, a, one, MSG_OOB),
		() => sendtoNow(thread, a, one, 0, 0),
		() => sendtoNow(thread, a, one, 0, "x"),
		() => connectNow(thread, a, 0),
	].map(codeOf);
	const no = "EOPNOTSUPP";
	assert.equal(errors, [no, no, "EADDRNOTAVAIL", "EAFNOSUPPORT", "EADDRNOTAVAIL"]);
	connectNow(thread, a, 53);
	shutdown(thread, a, SHUT_WR);
	const refused = [
		() => sendtoNow(thread, a, one, 0, 53),
		() => bind(thread, a, 54),
		() => acceptNow(thread, a),
	].map(codeOf);
	assert.equal(
		[refused, revents(thread, ALL, a, b)],
		[
			["EPIPE", "EINVAL", "EINVAL"],
			[POLLOUT, 4],
		],
	);
	const c = socket(thread, "inet", "dgram");
	connectNow(thread, c, 53);
	assert.is(
		codeOf(() => sendtoNow(thread, c, one, 0, 53)),
		"EISCONN",
	);
});

test("tcp: a listener that is shut for writing hangs up", () => {
	const { thread } = machine();
	const l = listener(thread, "inet", 80);
	const kq = watch(thread, l, EVFILT_READ);
	shutdown(thread, l, SHUT_WR);
	assert.equal([revents(thread, ALL, l), revents(thread, 0, l)], [[POLLIN | POLLHUP], [POLLHUP]]);
	assert.equal(collect(thread, kq), []);
	assert.is(
		codeOf(() => listen(thread, l, 1)),
		"EINVAL",
	);
});

test("local: datagrams to sockets that are full, of another type, or gone", () => {
	const { thread } = machine();
	const [a, b] = [socket(thread, "local", "dgram"), socket(thread, "local", "dgram")];
	const s = socket(thread, "local", "stream");
	bind(thread, s, "s");
	bind(thread, b, "b");
	const errors = [
		() => sendtoNow(thread, a, new Uint8Array(1), 0, "s"),
		() => connectNow(thread, a, "nobody"),
		() => {
			for (;;) sendtoNow(thread, a, new Uint8Array(2048), 0, "b");
		},
	].map(codeOf);
	assert.equal(errors, ["EPROTOTYPE", "ENOENT", "ENOBUFS"]);
	connectNow(thread, a, "b");
	close(thread, a);
	assert.equal(revents(thread, ALL, b), [POLLIN | POLLOUT]);
});

test.run();

// A net.Socket as a descriptor: bytes, ends, resets, and the state of the object afterwards.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	bind,
	getpeername,
	getsockname,
	getsockopt,
	listen,
	connect as reconnect,
	recv,
	recvNow,
	sendNow,
	setsockopt,
	shutdown,
} from "@kqpoll/files";
import { MSG_OOB, SHUT_RD, SHUT_WR, SO_ERROR, SO_RCVBUF, SOL_SOCKET } from "@kqpoll/files/socket";
import { FdSet, POLLHUP, POLLIN, POLLOUT, poll, selectNow } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	EV_ADD,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	exit,
	fork,
	fstat,
	ioctl,
	read,
	writeNow,
} from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSocket } from "../src/index.ts";
import {
	bytes,
	codeOf,
	gone,
	listenerCounts,
	listening,
	next,
	now,
	outcome,
	pause,
	revents,
	tcpPair,
	text,
	until,
	watch,
	world,
} from "./world.ts";

const ALL = POLLIN | POLLOUT;
/** The listeners that a net.Socket has on itself. */
const OWN = listenerCounts(new Socket());

/** A descriptor and the other end of its connection. */
async function pair() {
	const w = world();
	const [mine, peer] = await tcpPair();
	peer.on("error", () => {});
	return { ...w, w, mine, peer, fd: openSocket(w.thread, mine) };
}

test("bytes go both ways, and READ and WRITE say how many", async () => {
	const { w, thread, peer, mine, fd } = await pair();
	assert.equal(revents(thread, ALL, fd), [POLLOUT]);
	watch(w, { ident: fd, filter: EVFILT_READ });
	peer.write("hello");
	assert.equal(await next(w), [[fd, EVFILT_READ, EV_ADD, 0, 5]]);
	assert.equal([ioctl(thread, fd, FIONREAD), revents(thread, ALL, fd)], [5, [ALL]]);
	const sets = [new FdSet([fd]), new FdSet([fd]), new FdSet([fd])] as const;
	assert.is(selectNow(thread, fd + 1, ...sets), 2);
	assert.equal([text(thread, fd, 4), text(thread, fd), text(thread, fd)], ["hell", "o", "EAGAIN"]);
	assert.equal(now(w), []);
	assert.is(writeNow(thread, fd, bytes("back")), 4);
	const [chunk] = await once(peer, "data");
	assert.is(String(chunk), "back");
	assert.equal(await until(w, { ident: fd, filter: EVFILT_WRITE }), [
		0,
		0,
		mine.writableHighWaterMark,
	]);
	close(thread, fd);
	peer.destroy();
});

test("a socket that connects is not ready until it is connected", async () => {
	const w = world();
	const { thread } = w;
	const [server, port] = await listening();
	const socket = connect(port, "127.0.0.1");
	const fd = openSocket(thread, socket);
	assert.equal(revents(thread, ALL, fd), [0]);
	assert.is(
		codeOf(() => writeNow(thread, fd, bytes("early"))),
		"ENOTCONN",
	);
	assert.is(
		codeOf(() => getpeername(thread, fd)),
		"ENOTCONN",
	);
	assert.equal(await until(w, { ident: fd, filter: EVFILT_WRITE }), [
		0,
		0,
		socket.writableHighWaterMark,
	]);
	assert.equal(
		[
			getsockname(thread, fd),
			getpeername(thread, fd),
			getsockopt(thread, fd, SOL_SOCKET, SO_ERROR),
		],
		[socket.localPort, port, 0],
	);
	close(thread, fd);
	server.close();
});

test("a socket that the program connects later is not ready before", async () => {
	const w = world();
	const [server, port] = await listening();
	const socket = new Socket();
	const fd = openSocket(w.thread, socket);
	assert.equal([revents(w.thread, ALL, fd), text(w.thread, fd)], [[0], "ENOTCONN"]);
	socket.connect(port, "127.0.0.1");
	await until(w, { ident: fd, filter: EVFILT_WRITE });
	close(w.thread, fd);
	await gone(socket);
	assert.equal(listenerCounts(socket), OWN);
	server.close();
});

test("a connection that is refused leaves its errno, and no listener", async () => {
	const w = world();
	const { thread } = w;
	const [server, port] = await listening();
	server.close();
	await once(server, "close");
	const socket = connect(port, "127.0.0.1");
	const fd = openSocket(thread, socket);
	assert.equal(await until(w, { ident: fd, filter: EVFILT_WRITE }), [
		EV_EOF,
		errno.ECONNREFUSED,
		socket.writableHighWaterMark,
	]);
	assert.equal(revents(thread, ALL, fd), [POLLIN | POLLHUP]);
	assert.is(getsockopt(thread, fd, SOL_SOCKET, SO_ERROR), errno.ECONNREFUSED);
	assert.is(getsockopt(thread, fd, SOL_SOCKET, SO_ERROR), 0);
	assert.equal([text(thread, fd), codeOf(() => writeNow(thread, fd, bytes("x")))], ["", "EPIPE"]);
	await gone(socket);
	assert.equal(listenerCounts(socket), OWN);
	close(thread, fd);
});

test("after the other end's FIN unread bytes are read, then the end; writes still work", async () => {
	const { w, thread, peer, fd } = await pair();
	peer.end("last");
	assert.equal(
		await until(w, { ident: fd, filter: EVFILT_READ }, (e) => (e.flags & EV_EOF) !== 0),
		[EV_EOF, 0, 4],
	);
	assert.equal(revents(thread, ALL, fd), [ALL]);
	assert.equal([text(thread, fd), text(thread, fd), text(thread, fd)], ["last", "", ""]);
	writeNow(thread, fd, bytes("reply"));
	const [chunk] = await once(peer, "data");
	assert.is(String(chunk), "reply");
	shutdown(thread, fd, SHUT_WR);
	const fds = [{ fd, events: 0, revents: 0 }];
	assert.equal([await poll(thread, fds, -1), fds[0]?.revents], [1, POLLHUP]);
	assert.equal(revents(thread, ALL, fd), [POLLIN | POLLHUP]);
	close(thread, fd);
});

test("shutdown for writing is an end for the other side, which can still send", async () => {
	const { w, thread, peer, mine, fd } = await pair();
	writeNow(thread, fd, bytes("question"));
	shutdown(thread, fd, SHUT_WR);
	assert.equal(
		[codeOf(() => writeNow(thread, fd, bytes("more"))), revents(thread, ALL, fd)],
		["EPIPE", [POLLOUT]],
	);
	const [chunk] = await once(peer, "data");
	await once(peer, "end");
	peer.end("answer");
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => (e.flags & EV_EOF) !== 0);
	assert.equal([String(chunk), text(thread, fd), text(thread, fd)], ["question", "answer", ""]);
	await gone(mine);
	assert.equal([revents(thread, 0, fd), listenerCounts(mine)], [[POLLHUP], OWN]);
	close(thread, fd);
});

test("after shutdown for reading bytes that arrive are discarded", async () => {
	const { w, thread, peer, mine, fd } = await pair();
	peer.write("before");
	await until(w, { ident: fd, filter: EVFILT_READ });
	shutdown(thread, fd, SHUT_RD);
	assert.is(text(thread, fd), "");
	peer.end(Buffer.alloc(1_000_000));
	await once(peer, "finish");
	await once(mine, "end");
	assert.equal([text(thread, fd), mine.readableLength, revents(thread, ALL, fd)], ["", 0, [ALL]]);
	close(thread, fd);
});

test("a reset is a hang-up with an errno, with which one read fails", async () => {
	const { w, thread, peer, mine, fd } = await pair();
	peer.write("abc");
	await until(w, { ident: fd, filter: EVFILT_READ });
	const reading = until(w, { ident: fd, filter: EVFILT_READ }, (e) => (e.flags & EV_EOF) !== 0);
	peer.resetAndDestroy();
	assert.equal(await reading, [EV_EOF, errno.ECONNRESET, 3]);
	assert.equal(revents(thread, ALL, fd), [POLLIN | POLLHUP]);
	assert.equal(
		[
			text(thread, fd),
			text(thread, fd),
			text(thread, fd),
			codeOf(() => writeNow(thread, fd, bytes("x"))),
		],
		["abc", "ECONNRESET", "", "EPIPE"],
	);
	await gone(mine);
	assert.equal(listenerCounts(mine), OWN);
	close(thread, fd);
});

test("a reset wakes sleepers: the reader gets its errno, and then nothing is left", async () => {
	const { thread, process, peer, fd } = await pair();
	const sleeper = process.spawnThread();
	const receiving = outcome(recv(sleeper, fd, new Uint8Array(1)));
	const fds = [{ fd, events: POLLIN, revents: 0 }];
	const polling = poll(thread, fds, -1);
	peer.resetAndDestroy();
	assert.equal(
		[await receiving, await polling, fds[0]?.revents],
		["ECONNRESET", 1, POLLIN | POLLHUP],
	);
	close(thread, fd);
});

test("writes to a peer that is gone are a reset for readers, and then fail with EPIPE", async () => {
	const { w, thread, peer, fd } = await pair();
	peer.destroy();
	await until(w, { ident: fd, filter: EVFILT_READ });
	// The system learns that nobody reads these, and Node when it writes the next ones.
	const codes: unknown[] = [];
	while (codes.at(-1) !== "EPIPE") {
		codes.push(codeOf(() => writeNow(thread, fd, bytes("x"))));
		await pause();
	}
	assert.equal([...new Set(codes)], ["no error", "EPIPE"]);
	assert.equal(
		[text(thread, fd), text(thread, fd), revents(thread, ALL, fd)],
		["ECONNRESET", "", [POLLIN | POLLHUP]],
	);
	close(thread, fd);
});

test("an object that is destroyed elsewhere hangs up without an errno", async () => {
	const { w, thread, peer, mine, fd } = await pair();
	mine.destroy();
	assert.equal((await until(w, { ident: fd, filter: EVFILT_READ })).slice(0, 2), [EV_EOF, 0]);
	assert.equal(
		[revents(thread, ALL, fd), text(thread, fd), listenerCounts(mine)],
		[[POLLIN | POLLHUP], "", OWN],
	);
	close(thread, fd);
	peer.destroy();
});

test("an object that is ended elsewhere takes no more bytes", async () => {
	const { w, thread, peer, mine, fd } = await pair();
	mine.end();
	assert.is(
		codeOf(() => writeNow(thread, fd, bytes("x"))),
		"EPIPE",
	);
	assert.equal(
		(await until(w, { ident: fd, filter: EVFILT_WRITE }, (e) => e.flags >= EV_EOF))[0],
		EV_EOF,
	);
	peer.write("still");
	await until(w, { ident: fd, filter: EVFILT_READ });
	assert.is(text(thread, fd), "still");
	close(thread, fd);
	peer.destroy();
});

test("an object that had ended, failed or closed before shows that state", async () => {
	const { thread } = world();
	const [ended, other] = await tcpPair();
	ended.end();
	await once(ended, "finish");
	other.end("x");
	await once(ended, "data");
	await gone(ended);
	const [failed] = await tcpPair();
	failed.on("error", () => {});
	failed.destroy(Object.assign(new Error("time is over"), { code: "ETIMEDOUT" }));
	const [half, otherHalf] = await tcpPair();
	otherHalf.end();
	half.resume();
	await once(half, "end");
	const fds = [ended, failed, half].map((socket) => openSocket(thread, socket));
	assert.equal(revents(thread, ALL, ...fds), [POLLIN | POLLHUP, POLLIN | POLLHUP, ALL]);
	assert.equal(
		fds.map((fd) => text(thread, fd)),
		["", "ETIMEDOUT", ""],
	);
	await pause();
	for (const fd of fds) close(thread, fd);
	await gone(half);
	for (const socket of [ended, half]) assert.equal(listenerCounts(socket), OWN);
	assert.equal(listenerCounts(failed), { ...OWN, error: 1 });
});

test("closing the last descriptor sends what was written, then ends the connection", async () => {
	const { thread, peer, mine, fd } = await pair();
	const other = dup(thread, fd);
	close(thread, fd);
	const wrote = writeNow(thread, other, new Uint8Array(1_000_000));
	close(thread, other);
	let got = 0;
	peer.on("data", (chunk) => {
		got += chunk.length;
	});
	await once(peer, "end");
	peer.end();
	await gone(mine);
	assert.equal([got, listenerCounts(mine)], [wrote, OWN]);
});

test("the exit of a process closes its sockets, and a fork keeps them open", async () => {
	const { thread, peer, mine, fd } = await pair();
	const child = fork(thread);
	writeNow(thread, fd, bytes("from the parent, "));
	exit(thread, 0);
	writeNow(child.main, fd, bytes("from the child"));
	assert.is(mine.writableEnded, false);
	exit(child.main, 0);
	let got = "";
	peer.on("data", (chunk) => {
		got += chunk;
	});
	await once(peer, "end");
	peer.end();
	await gone(mine);
	assert.equal([got, listenerCounts(mine)], ["from the parent, from the child", OWN]);
});

test("closing while it connects gives up the connection", async () => {
	const { thread } = world();
	const [server, port] = await listening();
	const socket = connect(port, "127.0.0.1");
	close(thread, openSocket(thread, socket));
	await gone(socket);
	assert.equal([socket.destroyed, listenerCounts(socket)], [true, OWN]);
	server.close();
});

test("a reset after the descriptor was closed has no effect", async () => {
	const { thread, peer, mine, fd } = await pair();
	while (revents(thread, POLLOUT, fd)[0] === POLLOUT) writeNow(thread, fd, new Uint8Array(65536));
	close(thread, fd);
	peer.resetAndDestroy();
	await gone(mine);
	assert.equal(listenerCounts(mine), OWN);
});

test("with close false the object is left as it was, with the bytes that were not received", async () => {
	const w = world();
	const { thread } = w;
	const [mine, peer] = await tcpPair();
	mine.allowHalfOpen = false;
	const fd = openSocket(thread, mine, { close: false });
	peer.write("one two ");
	await until(w, { ident: fd, filter: EVFILT_READ });
	peer.write("three");
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => e.data === 13);
	assert.is(text(thread, fd, 4), "one ");
	close(thread, fd);
	assert.equal([mine.allowHalfOpen, listenerCounts(mine)], [false, OWN]);
	let got = "";
	mine.on("data", (chunk) => {
		got += chunk;
	});
	peer.end(" four");
	await gone(mine);
	assert.is(got, "two three four");
});

test("with close false a destroyed object gets nothing back", async () => {
	const w = world();
	const [mine, peer] = await tcpPair();
	const fd = openSocket(w.thread, mine, { close: false });
	peer.write("x");
	await until(w, { ident: fd, filter: EVFILT_READ });
	mine.destroy();
	close(w.thread, fd);
	await gone(mine);
	assert.equal(listenerCounts(mine), OWN);
	peer.destroy();
});

test("a closed descriptor whose number is used again answers for its new file", async () => {
	const { w, thread, peer, fd } = await pair();
	peer.write("old");
	await until(w, { ident: fd, filter: EVFILT_READ });
	assert.equal(revents(thread, ALL, fd), [ALL]);
	close(thread, fd);
	const [mine, other] = await tcpPair();
	assert.is(openSocket(thread, mine), fd);
	assert.equal([revents(thread, ALL, fd), text(thread, fd)], [[POLLOUT], "EAGAIN"]);
	close(thread, fd);
	other.destroy();
	peer.destroy();
});

test("a poll of several descriptors reports those that are ready, byte by byte", async () => {
	const { thread, peer, fd } = await pair();
	const idle = await tcpPair();
	const fds = [openSocket(thread, idle[0]), fd].map((each) => ({
		fd: each,
		events: POLLIN,
		revents: 0,
	}));
	let got = "";
	const sending = (async () => {
		for (const letter of "slowly") {
			await pause(3);
			peer.write(letter);
		}
		peer.end();
	})();
	for (let chunk = "?"; chunk !== ""; got += chunk) {
		assert.is(await poll(thread, fds, -1), 1);
		assert.equal(
			fds.map((each) => each.revents),
			[0, POLLIN],
		);
		chunk = text(thread, fd);
	}
	await sending;
	assert.is(got, "slowly");
	for (const each of fds) close(thread, each.fd);
	idle[1].destroy();
});

test("SO_RCVBUF limits how much is taken out of the object", async () => {
	const { w, thread, peer, mine, fd } = await pair();
	setsockopt(thread, fd, SOL_SOCKET, SO_RCVBUF, 3);
	peer.write("abcdefgh");
	await until(w, { ident: fd, filter: EVFILT_READ });
	assert.equal([ioctl(thread, fd, FIONREAD), mine.readableLength], [3, 5]);
	assert.equal([text(thread, fd), text(thread, fd), text(thread, fd)], ["abc", "def", "gh"]);
	close(thread, fd);
	peer.destroy();
});

test("bytes arrive as bytes even when the program sets an encoding later", async () => {
	const { w, thread, peer, mine, fd } = await pair();
	mine.setEncoding("utf8");
	peer.write("grün");
	await until(w, { ident: fd, filter: EVFILT_READ });
	assert.is(text(thread, fd), "grün");
	close(thread, fd);
	peer.destroy();
});

test("calls that Node cannot do are refused", async () => {
	const { thread, peer, fd } = await pair();
	const calls = [
		() => sendNow(thread, fd, bytes("x"), MSG_OOB),
		() => recvNow(thread, fd, new Uint8Array(1), MSG_OOB),
		() => bind(thread, fd, 0),
		() => listen(thread, fd, 1),
	];
	assert.equal(calls.map(codeOf), ["EOPNOTSUPP", "EOPNOTSUPP", "EINVAL", "EINVAL"]);
	const fresh = openSocket(thread, new Socket());
	assert.equal(
		[codeOf(() => listen(thread, fresh, 1)), await outcome(reconnect(thread, fresh, 1))],
		["EOPNOTSUPP", "EOPNOTSUPP"],
	);
	const encoded = new Socket();
	encoded.setEncoding("utf8");
	assert.is(
		codeOf(() => openSocket(thread, encoded)),
		"EINVAL",
	);
	assert.is(
		codeOf(() => openSocket(thread, {} as Socket)),
		"EFAULT",
	);
	for (const each of [fd, fresh]) close(thread, each);
	peer.destroy();
});

test("when no number is free the object is not touched", async () => {
	const { thread } = world({ maxfiles: 1 });
	const [mine, peer] = await tcpPair();
	assert.is(
		codeOf(() => openSocket(thread, mine)),
		"EMFILE",
	);
	assert.equal(listenerCounts(mine), OWN);
	for (const socket of [mine, peer]) socket.destroy();
});

test("a connection to a path has no ports, and works", async () => {
	const w = world();
	const { thread } = w;
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-"));
	const server = createServer((socket) => socket.end("from a path"));
	server.listen(join(folder, "s"));
	await once(server, "listening");
	const fd = openSocket(thread, connect(join(folder, "s")));
	const buffer = new Uint8Array(20);
	assert.is(await outcome(read(thread, fd, buffer)), 11);
	assert.equal([getsockname(thread, fd), getpeername(thread, fd)], [null, null]);
	assert.is(fstat(thread, fd).mode & 0o170000, 0o140000);
	close(thread, fd);
	server.close();
	rmSync(folder, { recursive: true });
});

test.run();

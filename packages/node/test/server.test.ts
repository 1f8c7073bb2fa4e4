// A net.Server as a listening descriptor.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	accept,
	acceptNow,
	bind,
	connectNow,
	getpeername,
	getsockname,
	getsockopt,
	listen,
	recvNow,
	setsockopt,
	shutdown,
} from "@kqpoll/files";
import {
	MSG_OOB,
	SHUT_RDWR,
	SO_ACCEPTCONN,
	SO_ERROR,
	SO_RCVBUF,
	SOL_SOCKET,
} from "@kqpoll/files/socket";
import { POLLHUP, POLLIN, POLLOUT, poll } from "@kqpoll/kqpoll";
import { close, EV_ADD, EVFILT_READ, errno, ioctl, read, writeNow } from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openServer } from "../src/index.ts";
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
	text,
	until,
	watch,
	world,
} from "./world.ts";

const ALL = POLLIN | POLLOUT;
const OWN = listenerCounts(new Socket());

/** A server that listens, behind a descriptor. */
async function served(options: Parameters<typeof openServer>[2] = {}) {
	const w = world();
	const [server, port] = await listening();
	return { ...w, w, server, port, fd: openServer(w.thread, server, options) };
}

/** A client whose connection waits at the descriptor. */
async function client(port: number): Promise<Socket> {
	const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
	socket.on("error", () => {});
	await once(socket, "connect");
	return socket;
}

test("READ says how many connections wait, and accept takes the first", async () => {
	const { w, thread, server, port, fd } = await served();
	assert.equal([revents(thread, ALL, fd), codeOf(() => acceptNow(thread, fd))], [[0], "EAGAIN"]);
	assert.equal(
		[getsockname(thread, fd), getsockopt(thread, fd, SOL_SOCKET, SO_ACCEPTCONN)],
		[port, 1],
	);
	watch(w, { ident: fd, filter: EVFILT_READ });
	const clients = [await client(port), await client(port)];
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => e.data === 2);
	assert.equal(now(w), [[fd, EVFILT_READ, EV_ADD, 0, 2]]);
	assert.equal(revents(thread, ALL, fd), [POLLIN]);
	const one = acceptNow(thread, fd);
	assert.equal([getpeername(thread, one), getsockname(thread, one)], [clients[0]?.localPort, port]);
	assert.equal(now(w), [[fd, EVFILT_READ, EV_ADD, 0, 1]]);
	const two = acceptNow(thread, fd);
	assert.equal([now(w), revents(thread, ALL, fd, one, two)], [[], [0, POLLOUT, POLLOUT]]);
	clients[1]?.write("second");
	await until(w, { ident: two, filter: EVFILT_READ });
	assert.equal([text(thread, two), text(thread, one)], ["second", "EAGAIN"]);
	for (const each of [one, two, fd]) close(thread, each);
	for (const socket of clients) socket.destroy();
	await once(server, "close");
	assert.equal(listenerCounts(server), {});
});

test("accept sleeps until a client connects, and bytes sent before are there", async () => {
	const { w, thread, port, fd } = await served();
	const accepting = accept(thread, fd);
	const socket = connect(port, "127.0.0.1");
	socket.end("hello");
	const one = await accepting;
	const buffer = new Uint8Array(10);
	assert.is(await read(thread, one, buffer), 5);
	await until(w, { ident: one, filter: EVFILT_READ });
	assert.is(text(thread, one), "");
	writeNow(thread, one, bytes("bye"));
	close(thread, one);
	const [chunk] = await once(socket, "data");
	assert.is(String(chunk), "bye");
	await gone(socket);
	close(thread, fd);
});

test("a server that is about to listen gets its port later", async () => {
	const w = world();
	const server = createServer();
	const fd = openServer(w.thread, server);
	assert.is(getsockname(w.thread, fd), null);
	const [, port] = await listening(server);
	assert.is(getsockname(w.thread, fd), port);
	close(w.thread, fd);
	await once(server, "close");
});

test("a server that is closed before it listens never does", async () => {
	const w = world();
	const server = createServer();
	const fd = openServer(w.thread, server);
	server.listen(0, "127.0.0.1");
	close(w.thread, fd);
	await pause(20);
	assert.equal([server.listening, server.address()], [false, null]);
});

test("accept fails with an error of the server", async () => {
	const w = world();
	const { thread } = w;
	const [other, port] = await listening();
	const server = createServer();
	const fd = openServer(thread, server);
	const accepting = outcome(accept(thread, fd));
	server.listen(port, "127.0.0.1");
	assert.is(await accepting, "EADDRINUSE");
	const fds = [{ fd, events: POLLIN, revents: 0 }];
	const polling = poll(thread, fds, -1);
	server.listen(port, "127.0.0.1");
	assert.equal([await polling, fds[0]?.revents], [1, POLLIN]);
	assert.is(getsockopt(thread, fd, SOL_SOCKET, SO_ERROR), errno.EADDRINUSE);
	close(thread, fd);
	other.close();
	assert.equal(listenerCounts(server), {});
});

test("a connection that waits holds no more than its receive buffer", async () => {
	const { w, thread, port, fd } = await served();
	setsockopt(thread, fd, SOL_SOCKET, SO_RCVBUF, 1000);
	const socket = await client(port);
	socket.write(Buffer.alloc(16_000_000));
	await until(w, { ident: fd, filter: EVFILT_READ });
	await pause(100);
	assert.ok(socket.writableNeedDrain);
	const one = acceptNow(thread, fd);
	assert.equal([ioctl(thread, one, FIONREAD), socket.writableNeedDrain], [1000, true]);
	close(thread, one);
	await gone(socket);
	close(thread, fd);
});

test("a connection above the limit is reset, and the others are not", async () => {
	const { w, thread, port, fd } = await served({ backlog: 2 });
	const clients = await Promise.all([client(port), client(port)]);
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => e.data === 2);
	const third = connect(port, "127.0.0.1");
	const reset = new Promise((resolve) => third.once("error", resolve));
	assert.is(((await reset) as { code: string }).code, "ECONNRESET");
	assert.is((await until(w, { ident: fd, filter: EVFILT_READ }))[2], 2);
	listen(thread, fd, 3);
	clients.push(await client(port));
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => e.data === 3);
	close(thread, fd);
	await Promise.all(clients.map(gone));
});

test("a connection is an open file of the account that listens, and is reset when that has too many", async () => {
	const { w, thread, port, fd } = await served();
	const { files } = thread.process.account;
	const before = files.used;
	const first = await client(port);
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => e.data === 1);
	assert.is(files.used, before + 1);
	files.limit = files.used;
	const second = connect(port, "127.0.0.1");
	const [error] = await once(second, "error");
	assert.is((error as { code: string }).code, "ECONNRESET");
	const accepted = acceptNow(thread, fd);
	assert.is(files.used, files.limit);
	close(thread, accepted);
	close(thread, fd);
	assert.is(files.used, before - 1);
	first.destroy();
	await gone(first);
});

test("a connection that waits is reset when the listening descriptor is closed", async () => {
	const { w, thread, server, port, fd } = await served();
	const waiting: Socket[] = [];
	server.on("connection", (socket) => waiting.push(socket));
	const socket = connect(port, "127.0.0.1");
	await until(w, { ident: fd, filter: EVFILT_READ });
	close(thread, fd);
	const [error] = await once(socket, "error");
	assert.is((error as { code: string }).code, "ECONNRESET");
	await Promise.all(waiting.map(gone));
	assert.equal(waiting.map(listenerCounts), [OWN]);
});

test("a connection that is reset before it is accepted is aborted", async () => {
	const { w, thread, server, port, fd } = await served();
	const connected = once(server, "connection");
	const socket = await client(port);
	await until(w, { ident: fd, filter: EVFILT_READ });
	const [waiting] = (await connected) as [Socket];
	socket.resetAndDestroy();
	await gone(waiting);
	assert.equal(
		[codeOf(() => acceptNow(thread, fd)), codeOf(() => acceptNow(thread, fd))],
		["ECONNABORTED", "EAGAIN"],
	);
	close(thread, fd);
});

test("a server that is closed elsewhere hangs up when its last connection is gone", async () => {
	const { thread, server, port, fd } = await served();
	const socket = await client(port);
	const fds = [{ fd, events: POLLIN, revents: 0 }];
	await poll(thread, fds, -1);
	const one = acceptNow(thread, fd);
	server.close();
	const polling = poll(thread, fds, -1);
	close(thread, one);
	socket.end();
	assert.equal([await polling, fds[0]?.revents], [1, POLLIN | POLLHUP]);
	assert.is(
		codeOf(() => acceptNow(thread, fd)),
		"ECONNABORTED",
	);
	close(thread, fd);
	assert.equal(listenerCounts(server), {});
});

test("with close false the server goes on listening", async () => {
	const { thread, server, port, fd } = await served({ close: false });
	close(thread, fd);
	assert.equal([server.listening, listenerCounts(server)], [true, {}]);
	const connected = once(server, "connection");
	const socket = await client(port);
	const [accepted] = (await connected) as [Socket];
	for (const each of [socket, accepted]) each.destroy();
	server.close();
});

test("the name of a server at a path is the path, and so is that of its connections", async () => {
	const w = world();
	const { thread } = w;
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-"));
	const path = join(folder, "s");
	const server = createServer().listen(path);
	await once(server, "listening");
	const fd = openServer(thread, server);
	const socket = connect(path);
	const one = await accept(thread, fd);
	assert.equal([getsockname(thread, fd), getsockname(thread, one)], [path, path]);
	close(thread, one);
	await gone(socket.resume());
	const waiting = connect(path);
	waiting.on("error", () => {});
	await until(w, { ident: fd, filter: EVFILT_READ });
	close(thread, fd);
	await gone(waiting);
	rmSync(folder, { recursive: true });
});

test("an object that is not a server is refused, and so are calls that a server cannot do", async () => {
	const { thread, fd, server } = await served();
	assert.equal(
		[
			codeOf(() => openServer(thread, {} as Server)),
			codeOf(() => openServer(thread, server, { backlog: 0 })),
			codeOf(() => writeNow(thread, fd, bytes("x"))),
			text(thread, fd),
			codeOf(() => recvNow(thread, fd, new Uint8Array(1), MSG_OOB)),
			codeOf(() => getpeername(thread, fd)),
			codeOf(() => bind(thread, fd, 1)),
			codeOf(() => connectNow(thread, fd, 1)),
		],
		["EFAULT", "EINVAL", "ENOTCONN", "ENOTCONN", "EOPNOTSUPP", "ENOTCONN", "EINVAL", "EOPNOTSUPP"],
	);
	assert.is(listenerCounts(server)["connection"], 1);
	close(thread, fd);
});

test("after a shutdown nothing is accepted any more", async () => {
	const { thread, fd } = await served();
	const accepting = outcome(accept(thread, fd));
	await pause();
	shutdown(thread.process.spawnThread(), fd, SHUT_RDWR);
	assert.equal([await accepting, revents(thread, POLLIN, fd)], ["ECONNABORTED", [POLLIN]]);
	close(thread, fd);
});

test("events of a kqueue name the listener and its connections", async () => {
	const { w, thread, port, fd } = await served();
	watch(w, { ident: fd, filter: EVFILT_READ, udata: "listener" });
	const socket = await client(port);
	socket.end("x");
	assert.equal(await next(w), [[fd, EVFILT_READ, EV_ADD, 0, 1]]);
	const one = acceptNow(thread, fd);
	watch(w, { ident: one, filter: EVFILT_READ });
	assert.is((await next(w))[0]?.[0], one);
	for (const each of [one, fd]) close(thread, each);
});

test.run();

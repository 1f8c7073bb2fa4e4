// MessagePorts and Workers as descriptors and processes.
import {
	MessageChannel,
	type MessagePort,
	receiveMessageOnPort,
	Worker,
} from "node:worker_threads";
import { POLLHUP, POLLIN, POLLOUT } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_EOF,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	exit,
	kill,
	NOTE_EXIT,
	read,
	waitpidNow,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { SIGCHLD, SIGKILL } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { adoptWorker, openMessagePort, ref, unref } from "../src/index.ts";
import {
	bytes,
	codeOf,
	listenerCounts,
	next,
	now,
	pause,
	revents,
	text,
	until,
	watch,
	world,
} from "./world.ts";

const ALL = POLLIN | POLLOUT;

function channel() {
	const w = world();
	const { port1, port2 } = new MessageChannel();
	return { ...w, w, port1, port2, fd: openMessagePort(w.thread, port1) };
}

test("READ says how many messages wait, and a read takes one", async () => {
	const { w, thread, port2, fd } = channel();
	watch(w, { ident: fd, filter: EVFILT_READ });
	assert.equal([revents(thread, ALL, fd), text(thread, fd)], [[POLLOUT], "EAGAIN"]);
	port2.postMessage(bytes("one"));
	port2.postMessage(bytes("two").buffer);
	port2.postMessage(new DataView(bytes("three").buffer, 1));
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => e.data === 3);
	assert.equal(await next(w), [[fd, EVFILT_READ, EV_ADD, 0, 3]]);
	assert.equal([text(thread, fd, 2), text(thread, fd)], ["on", "two"]);
	assert.equal(now(w), [[fd, EVFILT_READ, EV_ADD, 0, 1]]);
	assert.equal([text(thread, fd), text(thread, fd)], ["hree", "EAGAIN"]);
	close(thread, fd);
});

test("a message that is neither bytes nor a string fails the read that takes it", async () => {
	const { w, thread, port2, fd } = channel();
	for (const message of ["text", { length: 4 }, bytes("bytes"), null]) port2.postMessage(message);
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => e.data === 4);
	assert.equal([text(thread, fd), text(thread, fd), text(thread, fd)], ["text", "EINVAL", "bytes"]);
	assert.match(
		await read(thread, fd, new Uint8Array(1)).catch((error) => error.message),
		/^EINVAL.*message 4 is neither bytes nor a string/,
	);
	close(thread, fd);
});

test("a write is a message, which is a copy", async () => {
	const { thread, port2, fd } = channel();
	const got = new Promise((resolve) => port2.once("message", resolve));
	const data = bytes("hello");
	assert.is(await write(thread, fd, data), 5);
	assert.equal([data.length, Buffer.from((await got) as Uint8Array).toString()], [5, "hello"]);
	close(thread, fd);
});

test("when the channel is closed messages that wait can be read, and then come hang-ups", async () => {
	const { w, thread, port1, port2, fd } = channel();
	port2.postMessage(bytes("last"));
	port2.close();
	assert.equal(
		await until(w, { ident: fd, filter: EVFILT_READ }, (e) => (e.flags & EV_EOF) !== 0),
		[EV_EOF, 0, 1],
	);
	assert.equal(revents(thread, ALL, fd), [POLLIN | POLLHUP]);
	assert.equal(
		[text(thread, fd), text(thread, fd), codeOf(() => writeNow(thread, fd, bytes("x")))],
		["last", "", "EPIPE"],
	);
	assert.equal(
		["message", "messageerror", "close"].map((name) => port1.listenerCount(name)),
		[0, 0, 0],
	);
	close(thread, fd);
});

test("closing closes the port, or with close false leaves it and later messages", async () => {
	const { w, thread, port2, fd } = channel();
	const closed = new Promise((resolve) => port2.once("close", () => resolve("closed")));
	port2.ref();
	close(thread, fd);
	assert.is(await closed, "closed");
	const { port1: mine, port2: peer } = new MessageChannel();
	const other = openMessagePort(thread, mine, { close: false });
	peer.postMessage(bytes("lost"));
	await until(w, { ident: other, filter: EVFILT_READ });
	close(thread, other);
	peer.postMessage(bytes("later"));
	await pause();
	assert.is(Buffer.from(receiveMessageOnPort(mine)?.message).toString(), "later");
	mine.close();
});

test("a port keeps the program alive while ref is on", () => {
	const { thread } = world();
	const { port1, port2 } = new MessageChannel();
	const fd = openMessagePort(thread, port1, { ref: false });
	const states = [hasRef(port1)];
	ref(thread, fd);
	states.push(hasRef(port1));
	unref(thread, fd);
	states.push(hasRef(port1));
	close(thread, fd);
	port2.close();
	assert.equal(states, [false, true, false]);
});

test("an object that is not a port is refused, and so is ref of any other descriptor", () => {
	const { thread, kq } = world();
	assert.equal(
		[
			codeOf(() => openMessagePort(thread, {} as MessagePort)),
			codeOf(() => ref(thread, kq)),
			codeOf(() => unref(thread, kq + 1)),
		],
		["EFAULT", "EINVAL", "EBADF"],
	);
});

/** What Node has and its types do not. */
function hasRef(port: MessagePort): boolean {
	return (port as unknown as { hasRef(): boolean }).hasRef();
}

const ECHO = `const { parentPort } = require("node:worker_threads");
parentPort.on("message", (bytes) => bytes.length > 0 ? parentPort.postMessage(bytes) : process.exit(5));`;

test("a worker is a child with a descriptor for its messages", async () => {
	const w = world();
	const { thread } = w;
	const worker = new Worker(ECHO, { eval: true });
	const { pid, messages } = adoptWorker(thread, worker);
	watch(
		w,
		{ ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT },
		{ ident: SIGCHLD, filter: EVFILT_SIGNAL },
	);
	await write(thread, messages, bytes("ping"));
	await until(w, { ident: messages, filter: EVFILT_READ });
	assert.is(text(thread, messages), "ping");
	worker.postMessage(new Uint8Array(0));
	const events = await next(w);
	assert.equal(
		events.map(([ident, , , fflags, data]) => [ident, fflags, data]),
		[
			[pid, NOTE_EXIT, 5 << 8],
			[SIGCHLD, 0, 1],
		],
	);
	assert.equal(waitpidNow(thread, pid), { pid, status: 5 << 8 });
	assert.equal([text(thread, messages), listenerCounts(worker)], ["", {}]);
	close(thread, messages);
	await pause();
	assert.is(
		codeOf(() => adoptWorker(thread, worker)),
		"ESRCH",
	);
});

test("the end of the process terminates the worker", async () => {
	const w = world();
	const { thread, kernel } = w;
	for (const end of [
		(pid: number) => kill(thread, pid, SIGKILL),
		(pid: number) => exit(kernel.processes.get(pid)?.main ?? thread, 0),
	]) {
		const worker = new Worker(ECHO, { eval: true });
		const { pid, messages } = adoptWorker(thread, worker, { ref: true });
		const exited = new Promise((resolve) => worker.once("exit", resolve));
		watch(w, { ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT });
		end(pid);
		await next(w);
		await exited;
		assert.is(worker.threadId, -1);
		close(thread, messages);
	}
});

test("when there is no room for a worker it is left as it is", async () => {
	const { thread } = world({ maxprocesses: 1 });
	const worker = new Worker(ECHO, { eval: true });
	const before = listenerCounts(worker);
	assert.is(
		codeOf(() => adoptWorker(thread, worker)),
		"EAGAIN",
	);
	assert.equal([listenerCounts(worker), thread.process.fdp.get(1)], [before, null]);
	await worker.terminate();
});

test.run();

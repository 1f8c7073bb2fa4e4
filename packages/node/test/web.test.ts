// Web streams as descriptors.
import {
	ReadableStream,
	type ReadableStreamDefaultController,
	WritableStream,
} from "node:stream/web";
import { POLLHUP, POLLIN, POLLOUT, poll } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	read,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openWebReadable, openWebWritable, ref, unref } from "../src/index.ts";
import {
	bytes,
	codeOf,
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

/** A stream of what its controller enqueues. */
function source() {
	let controller!: ReadableStreamDefaultController;
	const cancelled: unknown[] = [];
	let asked = 0;
	const stream = new ReadableStream(
		{
			start: (it) => {
				controller = it;
			},
			pull: () => void asked++,
			cancel: (reason) => void cancelled.push(reason),
		},
		{ highWaterMark: 0 },
	);
	return { stream, controller, cancelled, asked: () => asked };
}

/** A stream that takes a chunk when it is told to. */
function sink(highWaterMark = 1) {
	const taken: string[] = [];
	let done: () => void = () => {};
	let closed = false;
	const stream = new WritableStream<Uint8Array>(
		{
			write: (chunk) => {
				taken.push(Buffer.from(chunk).toString());
				return new Promise<void>((resolve) => {
					done = resolve;
				});
			},
			close: () => {
				closed = true;
			},
		},
		{ highWaterMark },
	);
	return { stream, taken, take: () => done(), closed: () => closed };
}

test("a chunk is asked for at once, held, and read bit by bit", async () => {
	const w = world();
	const { thread } = w;
	const { stream, controller, asked } = source();
	const fd = openWebReadable(thread, stream);
	watch(w, { ident: fd, filter: EVFILT_READ });
	assert.equal([revents(thread, POLLIN, fd), text(thread, fd)], [[0], "EAGAIN"]);
	await pause();
	assert.is(asked(), 1);
	controller.enqueue(bytes("hello"));
	controller.enqueue(new Uint16Array([0x6261]).buffer);
	assert.equal(await next(w), [[fd, EVFILT_READ, EV_ADD, 0, 5]]);
	assert.equal([text(thread, fd, 4), text(thread, fd), now(w)], ["hell", "o", []]);
	assert.equal(await next(w), [[fd, EVFILT_READ, EV_ADD, 0, 2]]);
	assert.is(text(thread, fd), "ab");
	controller.enqueue(bytes(""));
	controller.enqueue(bytes("x"));
	assert.is(await read(thread, fd, new Uint8Array(3)), 1);
	controller.close();
	assert.equal(await next(w), [[fd, EVFILT_READ, EV_ADD | EV_EOF, 0, 0]]);
	assert.equal([revents(thread, POLLIN, fd), text(thread, fd)], [[POLLIN | POLLHUP], ""]);
	close(thread, fd);
});

test("the event of a stream that fails, or whose chunk is an object, has the errno", async () => {
	const w = world();
	const { thread } = w;
	const failing = source();
	const fd = openWebReadable(thread, failing.stream);
	const reading = outcome(read(thread, fd, new Uint8Array(1)));
	failing.controller.error(Object.assign(new Error("reset"), { code: "ECONNRESET" }));
	assert.is(await reading, "ECONNRESET");
	assert.equal(await until(w, { ident: fd, filter: EVFILT_READ }), [EV_EOF, errno.ECONNRESET, 0]);
	const objects = source();
	const other = openWebReadable(thread, objects.stream);
	objects.controller.enqueue("text");
	assert.is(await read(thread, other, new Uint8Array(9)), 4);
	objects.controller.enqueue({ length: 4 });
	assert.equal(await until(w, { ident: other, filter: EVFILT_READ }), [EV_EOF, errno.EINVAL, 0]);
	assert.match(
		await read(thread, other, new Uint8Array(1)).catch((error) => error.message),
		/^EINVAL.*chunk 2 of the stream is neither bytes nor a string/,
	);
	assert.equal([text(thread, other), objects.cancelled], ["EINVAL", [undefined]]);
	for (const each of [fd, other]) close(thread, each);
});

test("closing cancels a ReadableStream, or with close false releases its lock", async () => {
	const { thread } = world();
	const one = source();
	close(thread, openWebReadable(thread, one.stream));
	await pause();
	assert.equal(one.cancelled, [undefined]);
	const two = source();
	const fd = openWebReadable(thread, two.stream, { close: false });
	two.controller.enqueue(bytes("held"));
	await pause();
	close(thread, fd);
	assert.equal([two.stream.locked, two.cancelled], [false, []]);
	two.controller.enqueue(bytes("next"));
	const { value } = await two.stream.getReader().read();
	assert.is(Buffer.from(value).toString(), "next");
	const failing = source();
	const other = openWebReadable(thread, failing.stream);
	failing.controller.error(new Error("late"));
	close(thread, other);
	await pause();
});

test("a stream takes a chunk while it wants some", async () => {
	const w = world();
	const { thread } = w;
	const { stream, taken, take, closed } = sink();
	const fd = openWebWritable(thread, stream);
	assert.equal(await until(w, { ident: fd, filter: EVFILT_WRITE }), [0, 0, 16384]);
	const data = bytes("one");
	assert.is(writeNow(thread, fd, data), 3);
	data.fill(0);
	assert.equal(
		[revents(thread, POLLOUT, fd), codeOf(() => writeNow(thread, fd, bytes("two")))],
		[[0], "EAGAIN"],
	);
	await pause();
	const fds = [{ fd, events: POLLOUT, revents: 0 }];
	const polling = poll(thread, fds, -1);
	take();
	assert.equal([await polling, fds[0]?.revents, taken], [1, POLLOUT, ["one"]]);
	const writing = write(thread, fd, new Uint8Array(20_000));
	await pause();
	take();
	assert.is(await writing, 20_000);
	close(thread, fd);
	for (let i = 0; i < 3; i++) {
		await pause();
		take();
	}
	await pause();
	assert.equal([taken.map((chunk) => chunk.length), closed()], [[3, 16384, 3616], true]);
});

test("a stream that is closed or fails takes no more", async () => {
	const w = world();
	const { thread } = w;
	const failing = new WritableStream({
		write: () => Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" })),
	});
	const fd = openWebWritable(thread, failing);
	await until(w, { ident: fd, filter: EVFILT_WRITE });
	writeNow(thread, fd, bytes("x"));
	assert.equal(
		await until(w, { ident: fd, filter: EVFILT_WRITE }, (e) => (e.flags & EV_EOF) !== 0),
		[EV_EOF, errno.ENOSPC, 0],
	);
	assert.equal(
		[codeOf(() => writeNow(thread, fd, bytes("x"))), revents(thread, POLLOUT, fd)],
		["ENOSPC", [POLLHUP]],
	);
	close(thread, fd);
	const done = new WritableStream();
	await done.close();
	const other = openWebWritable(thread, done);
	await pause();
	assert.is(
		codeOf(() => writeNow(thread, other, bytes("x"))),
		"EPIPE",
	);
	close(thread, other);
});

test("with close false the lock of a WritableStream is released", async () => {
	const { thread } = world();
	const { stream, closed } = sink();
	close(thread, openWebWritable(thread, stream, { close: false }));
	await pause();
	assert.equal([stream.locked, closed()], [false, false]);
});

test("a locked stream and an object that is not a stream are refused, and ref does nothing", async () => {
	const { thread } = world();
	const { stream } = source();
	const fd = openWebReadable(thread, stream);
	const { stream: writable } = sink();
	writable.getWriter();
	assert.equal(
		[
			codeOf(() => openWebReadable(thread, stream)),
			codeOf(() => openWebWritable(thread, writable)),
			codeOf(() => openWebReadable(thread, {} as ReadableStream)),
			codeOf(() => openWebWritable(thread, {} as WritableStream)),
			codeOf(() => ref(thread, fd)),
			codeOf(() => unref(thread, fd)),
		],
		["EBUSY", "EBUSY", "EFAULT", "EFAULT", "no error", "no error"],
	);
	close(thread, fd);
});

test.run();

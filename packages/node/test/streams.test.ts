// Node's streams as descriptors: readiness, room, ends, failures, and their state afterwards.
import { once } from "node:events";
import {
	createReadStream,
	createWriteStream,
	mkdtempSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, PassThrough, Readable, Writable } from "node:stream";
import { FdSet, POLLHUP, POLLIN, POLLOUT, poll, selectNow } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	fstat,
	ioctl,
	NOTE_LOWAT,
	read,
	sigaction,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import { SIGPIPE } from "@kqpoll/kqueue/signal";
import { S_IFIFO } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openDuplex, openReadable, openWritable } from "../src/index.ts";
import {
	bytes,
	codeOf,
	gone,
	listenerCounts,
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

/** A Readable of what is pushed into it. */
function source(highWaterMark = 16384): Readable {
	return new Readable({ highWaterMark, read() {} });
}

/** A Writable that takes a chunk when it is told to, and logs it as text. */
class Sink extends Writable {
	readonly taken: string[] = [];
	private waiting: (() => void) | null = null;

	override _write(chunk: Buffer, _encoding: string, done: () => void): void {
		this.taken.push(chunk.toString());
		this.waiting = done;
	}

	/** Finishes the chunk that it has. */
	take(): void {
		const { waiting } = this;
		this.waiting = null;
		waiting?.();
	}
}

test("READ says how much a stream has buffered, and a read takes it", async () => {
	const w = world();
	const { thread } = w;
	const stream = source();
	const fd = openReadable(thread, stream);
	watch(w, { ident: fd, filter: EVFILT_READ });
	assert.equal([revents(thread, POLLIN, fd), text(thread, fd), now(w)], [[0], "EAGAIN", []]);
	stream.push("hello");
	assert.equal(await next(w), [[fd, EVFILT_READ, EV_ADD, 0, stream.readableLength]]);
	assert.equal([ioctl(thread, fd, FIONREAD), ioctl(thread, fd, FIONBIO, 0)], [5, 0]);
	assert.equal(fstat(thread, fd), { mode: S_IFIFO, size: 5, blksize: 0 });
	assert.equal([text(thread, fd, 0), text(thread, fd, 2), text(thread, fd)], ["", "he", "llo"]);
	assert.equal([now(w), text(thread, fd)], [[], "EAGAIN"]);
	const reading = read(thread, fd, new Uint8Array(9));
	stream.push("more");
	assert.is(await reading, 4);
	close(thread, fd);
	await gone(stream);
	assert.equal([stream.destroyed, listenerCounts(stream)], [true, {}]);
});

test("the end is reported before the unread bytes are read, and is a hang-up", async () => {
	const w = world();
	const { thread } = w;
	const stream = source();
	const fd = openReadable(thread, stream);
	stream.push("last");
	stream.push(null);
	assert.equal(await until(w, { ident: fd, filter: EVFILT_READ }), [EV_EOF, 0, 4]);
	const fds = [{ fd, events: 0, revents: 0 }];
	assert.equal([await poll(thread, fds, -1), fds[0]?.revents], [1, POLLHUP]);
	assert.equal(revents(thread, POLLIN, fd), [POLLIN | POLLHUP]);
	assert.equal([text(thread, fd, 3), text(thread, fd), text(thread, fd)], ["las", "t", ""]);
	await gone(stream);
	assert.equal([stream.readableEnded, listenerCounts(stream), text(thread, fd)], [true, {}, ""]);
	close(thread, fd);
});

test("the event of a stream that fails has the errno, and so has each read", async () => {
	const w = world();
	const { thread } = w;
	const stream = source();
	const fd = openReadable(thread, stream);
	stream.push("lost");
	const reading = until(w, { ident: fd, filter: EVFILT_READ }, (e) => (e.flags & EV_EOF) !== 0);
	stream.destroy(Object.assign(new Error("gone"), { code: "ENXIO" }));
	assert.equal(await reading, [EV_EOF, errno.ENXIO, 0]);
	await gone(stream);
	assert.equal(
		[text(thread, fd), text(thread, fd), revents(thread, POLLIN, fd)],
		["ENXIO", "ENXIO", [POLLIN | POLLHUP]],
	);
	assert.equal(listenerCounts(stream), {});
	close(thread, fd);
});

test("a stream that emits an error counts as failed, even if it goes on", async () => {
	const w = world();
	const { thread } = w;
	const stream = new PassThrough({ autoDestroy: false });
	const fd = openDuplex(thread, stream);
	await write(thread, fd, bytes("lost"));
	stream.emit("error", Object.assign(new Error("no"), { code: "EPERM" }));
	assert.equal(
		[
			await until(w, { ident: fd, filter: EVFILT_READ }),
			await until(w, { ident: fd, filter: EVFILT_WRITE }),
			text(thread, fd),
			codeOf(() => writeNow(thread, fd, bytes("x"))),
		],
		[[EV_EOF, errno.EPERM, 0], [EV_EOF, errno.EPERM, 0], "EPERM", "EPERM"],
	);
	close(thread, fd);
});

test("with EV_CLEAR bytes that come after a part was read are reported", async () => {
	const w = world();
	const { thread } = w;
	const stream = source(4);
	const fd = openReadable(thread, stream);
	watch(w, { ident: fd, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR });
	stream.push("abcdefgh");
	assert.is((await next(w))[0]?.[4], 8);
	assert.is(text(thread, fd, 4), "abcd");
	await pause();
	now(w);
	stream.push("ij");
	assert.is((await next(w))[0]?.[4], 6);
	assert.equal(
		[text(thread, fd), text(thread, fd), stream.readableHighWaterMark],
		["efghij", "EAGAIN", 4],
	);
	close(thread, fd);
});

test("errors that OpenBSD does not have are EIO, and none makes a read wait", async () => {
	const { thread } = world();
	const codes = ["EWHATEVER", "ERR_STREAM_PREMATURE_CLOSE", "EAGAIN", undefined];
	const fds = codes.map((code) => {
		const stream = source();
		const fd = openReadable(thread, stream);
		stream.destroy(Object.assign(new Error("?"), { code }));
		return fd;
	});
	await pause();
	assert.equal(
		fds.map((fd) => text(thread, fd)),
		["EIO", "EIO", "EIO", "EIO"],
	);
});

test("a stream that is destroyed is at its end, and its bytes are lost", async () => {
	const { thread } = world();
	const stream = source();
	const fd = openReadable(thread, stream);
	stream.push("lost");
	const reading = read(thread, fd, new Uint8Array(0)).then(() =>
		read(thread, fd, new Uint8Array(2)),
	);
	assert.is(await reading, 2);
	stream.destroy();
	assert.equal([text(thread, fd), revents(thread, POLLIN, fd)], ["", [POLLIN | POLLHUP]]);
	close(thread, fd);
});

test("a stream that nobody reads from is not asked for more than its highWaterMark", async () => {
	const w = world();
	const { thread } = w;
	let pushed = 0;
	const stream = new Readable({
		highWaterMark: 1000,
		read() {
			pushed += 100;
			this.push(Buffer.alloc(100));
		},
	});
	const fd = openReadable(thread, stream);
	await until(w, { ident: fd, filter: EVFILT_READ, fflags: NOTE_LOWAT, data: 1000 });
	await pause(5);
	assert.equal(
		[pushed, text(thread, fd, 4000).length, stream.readableHighWaterMark],
		[1000, 1000, 1000],
	);
	await until(w, { ident: fd, filter: EVFILT_READ, fflags: NOTE_LOWAT, data: 1000 });
	assert.is(pushed, 2000);
	close(thread, fd);
});

test("an array of chunks has all of it, and one from nothing only an end", async () => {
	const { thread } = world();
	const fd = openReadable(thread, Readable.from([bytes("a"), bytes("bc")], { objectMode: false }));
	const buffer = new Uint8Array(9);
	const got: number[] = [];
	for (let n = -1; n !== 0; got.push(n)) n = await read(thread, fd, buffer);
	assert.equal([got.reduce((sum, n) => sum + n), got.at(-1)], [3, 0]);
	const empty = openReadable(thread, Readable.from([], { objectMode: false }));
	assert.is(await read(thread, empty, buffer), 0);
	for (const each of [fd, empty]) close(thread, each);
});

/** Reads until the end, or until a read fails: what came, as text. */
async function readAll(thread: Thread, fd: number, size: number): Promise<string> {
	const chunks: Uint8Array[] = [];
	for (;;) {
		const buffer = new Uint8Array(size);
		const n = await outcome(read(thread, fd, buffer));
		if (n === 0) return Buffer.concat(chunks).toString();
		if (typeof n !== "number") return `${Buffer.concat(chunks)}, then ${n}`;
		chunks.push(buffer.subarray(0, n));
	}
}

test("a chunk of any size is read whole, also from a stream whose highWaterMark is 1", async () => {
	const w = world();
	const { thread } = w;
	const big = Buffer.alloc(200_000, "0123456789");
	for (const objectMode of [true, false]) {
		const fd = openReadable(thread, Readable.from([big, Buffer.from("rest")], { objectMode }));
		const [, , data] = await until(w, { ident: fd, filter: EVFILT_READ });
		assert.equal([data, ioctl(thread, fd, FIONREAD)], [200_000, 200_000]);
		assert.equal([text(thread, fd, 5), text(thread, fd, 150_000).length], ["01234", 150_000]);
		assert.equal(text(thread, fd, 49_995).length, 49_995);
		assert.is(await readAll(thread, fd, 100_000), "rest");
		assert.equal(revents(thread, POLLIN, fd), [POLLIN | POLLHUP]);
		close(thread, fd);
	}
});

test("chunks of bytes and of text are read in their order, and empty ones are nothing", async () => {
	const { thread } = world();
	const chunks = ["grün", "", bytes(" und "), new Uint8Array(0), new DataView(bytes("rot").buffer)];
	for (const size of [1, 3, 100]) {
		const lists = [chunks, ["one text"], [], [""]];
		const all: string[] = [];
		for (const list of lists) {
			const fd = openReadable(thread, Readable.from(list));
			all.push(await readAll(thread, fd, size));
			close(thread, fd);
		}
		assert.equal(all, ["grün und rot", "one text", "", ""]);
	}
});

test("a chunk that is neither bytes nor text ends reading with EINVAL, which says which one", async () => {
	const w = world();
	const { thread } = w;
	for (const chunk of [{ length: 3 }, 7, true, ["a"], () => 1, 1n, new Date(0), Symbol("s")]) {
		const stream = Readable.from(["one", bytes("two"), chunk, "lost"]);
		const fd = openReadable(thread, stream);
		assert.is(await readAll(thread, fd, 100), "onetwo, then EINVAL");
		for (let again = 0; again < 2; again++) {
			const failure = await read(thread, fd, new Uint8Array(9)).catch((error) => error.message);
			assert.match(failure, /^EINVAL.*chunk 3 of the stream is neither bytes nor a string/);
		}
		assert.equal(
			[await until(w, { ident: fd, filter: EVFILT_READ }), revents(thread, POLLIN, fd)],
			[[EV_EOF, errno.EINVAL, 0], [POLLIN | POLLHUP]],
		);
		close(thread, fd);
		await gone(stream);
		assert.equal(listenerCounts(stream), {});
	}
});

test("a watcher is told of each chunk, and of one that is neither bytes nor text", async () => {
	const w = world();
	const { thread } = w;
	const stream = new Readable({ objectMode: true, read() {} });
	const fd = openReadable(thread, stream);
	watch(w, { ident: fd, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR });
	for (const chunk of ["one", "three", {}]) stream.push(chunk);
	const seen: unknown[] = [];
	for (let i = 0; i < 3; i++) {
		seen.push(...(await next(w)).map(([, , flags, fflags, data]) => [flags, fflags, data]));
		seen.push(now(w), text(thread, fd));
	}
	const flags = EV_ADD | EV_CLEAR;
	assert.equal(seen, [
		[flags, 0, 3],
		[],
		"one",
		[flags, 0, 5],
		[],
		"three",
		[flags | EV_EOF, errno.EINVAL, 0],
		[],
		"EINVAL",
	]);
	close(thread, fd);
});

test("chunks with members of their own are read by those of the language", async () => {
	const { thread } = world();
	const trap = {
		get(): never {
			throw new Error("asked");
		},
	};
	const traps = { length: trap, byteLength: trap, byteOffset: trap, buffer: trap, subarray: trap };
	const array = Object.defineProperties(bytes("array "), traps);
	const view = Object.defineProperties(new DataView(bytes("view").buffer), traps);
	const detached = new ArrayBuffer(4);
	const empty = new DataView(detached);
	structuredClone(detached, { transfer: [detached] });
	const fd = openReadable(thread, Readable.from([array, detached, empty, view]));
	assert.is(await readAll(thread, fd, 100), "array view");
	close(thread, fd);
	const proxy = openReadable(thread, Readable.from([new Proxy(bytes("no"), {})]));
	assert.is(await readAll(thread, proxy, 100), ", then EINVAL");
	close(thread, proxy);
});

test("a chunk whose bytes were moved elsewhere counts as empty", async () => {
	const w = world();
	const { thread } = w;
	const chunk = bytes("gone");
	const stream = Readable.from([chunk, "next"]);
	const fd = openReadable(thread, stream);
	await until(w, { ident: fd, filter: EVFILT_READ });
	structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] });
	assert.equal([revents(thread, POLLIN, fd), await readAll(thread, fd, 9)], [[0], "next"]);
	close(thread, fd);
});

test("with close false the rest of a chunk that was read in part is put back", async () => {
	const w = world();
	const { thread } = w;
	const stream = Readable.from(["one two", "three"]);
	const fd = openReadable(thread, stream, { close: false });
	await until(w, { ident: fd, filter: EVFILT_READ });
	assert.is(text(thread, fd, 4), "one ");
	close(thread, fd);
	assert.is((await stream.toArray()).map(String).join(), "two,three");
});

test("a Writable in object mode takes one chunk of bytes at a time, while it wants some", async () => {
	const w = world();
	const { thread } = w;
	const taken: unknown[] = [];
	const waiting: (() => void)[] = [];
	const sink = new Writable({
		objectMode: true,
		highWaterMark: 2,
		write(chunk, _encoding, done) {
			taken.push(chunk.length);
			waiting.push(done);
		},
	});
	const fd = openWritable(thread, sink);
	assert.equal(await until(w, { ident: fd, filter: EVFILT_WRITE }), [0, 0, 16_384]);
	assert.is(writeNow(thread, fd, new Uint8Array(20_000)), 16_384);
	assert.is(writeNow(thread, fd, bytes("two")), 3);
	assert.equal(
		[codeOf(() => writeNow(thread, fd, bytes("x"))), revents(thread, POLLOUT, fd)],
		["EAGAIN", [0]],
	);
	const writing = write(thread, fd, bytes("three"));
	while (taken.length < 3) {
		waiting.shift()?.();
		await pause();
	}
	assert.equal([await writing, taken], [5, [16_384, 3, 5]]);
	waiting.shift()?.();
	close(thread, fd);
	await gone(sink);
	assert.equal([sink.writableFinished, listenerCounts(sink)], [true, {}]);
	const duplex = new PassThrough({ objectMode: true });
	const both = openDuplex(thread, duplex);
	for (const word of ["one", "two"]) await write(thread, both, bytes(word));
	duplex.end();
	assert.is(await readAll(thread, both, 2), "onetwo");
	close(thread, both);
});

test("a byte every few milliseconds wakes the reader each time", async () => {
	const { thread } = world();
	const stream = source();
	const fd = openReadable(thread, stream);
	const sending = (async () => {
		for (const letter of "slowly") {
			await pause(3);
			stream.push(letter);
		}
		stream.push(null);
	})();
	let got = "";
	const buffer = new Uint8Array(9);
	for (let n = await read(thread, fd, buffer); n !== 0; n = await read(thread, fd, buffer))
		got += Buffer.from(buffer.subarray(0, n)).toString();
	await sending;
	assert.is(got, "slowly");
	close(thread, fd);
});

test("WRITE says how much a stream takes, and waits while it has to drain", async () => {
	const w = world();
	const { thread } = w;
	const sink = new Sink({ highWaterMark: 1000 });
	const fd = openWritable(thread, sink);
	assert.equal(await until(w, { ident: fd, filter: EVFILT_WRITE }), [0, 0, 1000]);
	assert.is(writeNow(thread, fd, bytes("a".repeat(600))), 600);
	assert.equal(await until(w, { ident: fd, filter: EVFILT_WRITE }), [0, 0, 400]);
	assert.is(writeNow(thread, fd, bytes("b".repeat(600))), 512);
	assert.equal(
		[
			sink.writableNeedDrain,
			revents(thread, ALL, fd),
			codeOf(() => writeNow(thread, fd, bytes("c"))),
		],
		[true, [0], "EAGAIN"],
	);
	sink.take();
	await pause();
	assert.equal(revents(thread, ALL, fd), [0]);
	const fds = [{ fd, events: POLLOUT, revents: 0 }];
	const polling = poll(thread, fds, -1);
	sink.take();
	assert.equal([await polling, fds[0]?.revents], [1, POLLOUT]);
	assert.equal(await until(w, { ident: fd, filter: EVFILT_WRITE }), [0, 0, 1000]);
	sink.destroy();
	close(thread, fd);
});

test("a watch for an amount of room reports it when it is there", async () => {
	const w = world();
	const { thread } = w;
	const sink = new Sink({ highWaterMark: 1000 });
	const fd = openWritable(thread, sink);
	writeNow(thread, fd, bytes("a".repeat(300)));
	writeNow(thread, fd, bytes("b".repeat(300)));
	const waiting = until(w, { ident: fd, filter: EVFILT_WRITE, fflags: NOTE_LOWAT, data: 700 });
	sink.take();
	assert.equal(await waiting, [0, 0, 700]);
	sink.destroy();
	close(thread, fd);
});

test("a writer sleeps until everything is taken, and what it wrote is copied", async () => {
	const { thread } = world();
	const sink = new Sink({ highWaterMark: 4 });
	const fd = openWritable(thread, sink);
	const data = Buffer.from("x".repeat(1500));
	const writing = write(thread, fd, data);
	await pause();
	data.fill("y");
	const done = writing.then(() => clearInterval(ticker));
	const ticker = setInterval(() => sink.take(), 0);
	assert.is(await writing, 1500);
	await done;
	assert.equal([sink.taken[0], sink.taken.join("").length], ["x".repeat(512), 1500]);
	sink.destroy();
	close(thread, fd);
});

test("a stream whose highWaterMark is 0 takes a little at a time", async () => {
	const { thread } = world();
	const sink = new Sink({ highWaterMark: 0 });
	const fd = openWritable(thread, sink);
	assert.equal([revents(thread, POLLOUT, fd), writeNow(thread, fd, bytes("abc"))], [[POLLOUT], 3]);
	assert.equal([revents(thread, POLLOUT, fd), writeNow(thread, fd, bytes(""))], [[0], 0]);
	sink.take();
	await pause();
	assert.equal(revents(thread, POLLOUT, fd), [POLLOUT]);
	sink.destroy();
	const empty = openReadable(
		thread,
		Readable.from([bytes("abc")], { objectMode: false, highWaterMark: 0 }),
	);
	assert.is(await read(thread, empty, new Uint8Array(9)), 3);
});

test("after the end of a stream writes fail with EPIPE and SIGPIPE", async () => {
	const w = world();
	const { thread } = w;
	let signals = 0;
	sigaction(thread, SIGPIPE, () => signals++);
	for (const end of [(sink: Sink) => sink.destroy(), (sink: Sink) => sink.end()]) {
		const sink = new Sink();
		const fd = openWritable(thread, sink);
		watch(w, { ident: fd, filter: EVFILT_WRITE, flags: EV_ADD });
		end(sink);
		assert.equal(
			(await next(w)).map((event) => event.slice(2, 4)),
			[[EV_ADD | EV_EOF, 0]],
		);
		assert.equal(
			[codeOf(() => writeNow(thread, fd, bytes("x"))), revents(thread, POLLOUT, fd)],
			["EPIPE", [POLLHUP]],
		);
		await gone(sink);
		close(thread, fd);
		assert.equal(listenerCounts(sink), {});
	}
	assert.is(signals, 2);
});

test("the event of a stream that cannot write has the errno", async () => {
	const w = world();
	const { thread, process } = w;
	const full = Object.assign(new Error("full"), { code: "ENOSPC" });
	const stream = new Writable({
		highWaterMark: 10,
		write: (_chunk, _encoding, done) => setTimeout(done, 2, full),
	});
	const fd = openWritable(thread, stream);
	const writing = outcome(write(process.spawnThread(), fd, bytes("x".repeat(1000))));
	const failed = until(w, { ident: fd, filter: EVFILT_WRITE }, (e) => (e.flags & EV_EOF) !== 0);
	assert.equal([await writing, await failed], ["ENOSPC", [EV_EOF, errno.ENOSPC, 0]]);
	await gone(stream);
	assert.equal(
		[codeOf(() => writeNow(thread, fd, bytes("x"))), listenerCounts(stream)],
		["ENOSPC", {}],
	);
	close(thread, fd);
});

test("a duplex has two directions, which end one by one", async () => {
	const w = world();
	const { thread } = w;
	const duplex = new PassThrough();
	const fd = openDuplex(thread, duplex);
	assert.equal(revents(thread, ALL, fd), [POLLOUT]);
	assert.is(await write(thread, fd, bytes("through")), 7);
	await until(w, { ident: fd, filter: EVFILT_READ });
	assert.equal([revents(thread, ALL, fd), text(thread, fd)], [[ALL], "through"]);
	writeNow(thread, fd, bytes("x"));
	duplex.end();
	await until(w, { ident: fd, filter: EVFILT_READ }, (e) => (e.flags & EV_EOF) !== 0);
	assert.equal([revents(thread, ALL, fd), text(thread, fd)], [[POLLIN | POLLHUP], "x"]);
	await gone(duplex);
	assert.equal(listenerCounts(duplex), listenerCounts(new PassThrough()));
	close(thread, fd);
	const half = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
	const other = openDuplex(thread, half);
	half.push(null);
	await until(w, { ident: other, filter: EVFILT_READ });
	assert.equal([revents(thread, ALL, other), revents(thread, 0, other)], [[ALL], [0]]);
	assert.is(writeNow(thread, other, bytes("x")), 1);
	close(thread, other);
	await gone(half);
	assert.equal(listenerCounts(half), {});
});

test("closing ends a Writable after everything is written, and destroys a Readable", async () => {
	const { thread } = world();
	const sink = new Sink();
	const fd = openWritable(thread, sink);
	for (const word of ["one", "two"]) writeNow(thread, fd, bytes(word));
	close(thread, fd);
	sink.take();
	await pause();
	sink.take();
	await gone(sink);
	assert.equal(
		[sink.taken, sink.writableFinished, listenerCounts(sink)],
		[["one", "two"], true, {}],
	);
	const duplex = new PassThrough();
	const other = openDuplex(thread, duplex);
	writeNow(thread, other, bytes("unread"));
	close(thread, other);
	await gone(duplex);
	assert.equal(
		[duplex.writableFinished, duplex.destroyed, listenerCounts(duplex)],
		[true, true, listenerCounts(new PassThrough())],
	);
});

test("with close false streams can be used as before, and lose nothing", async () => {
	const w = world();
	const { thread } = w;
	const stream = source();
	const fd = openReadable(thread, stream, { close: false });
	stream.push("one two");
	stream.push(null);
	await until(w, { ident: fd, filter: EVFILT_READ });
	assert.is(text(thread, fd, 4), "one ");
	close(thread, fd);
	assert.equal(listenerCounts(stream), {});
	const chunks = await stream.toArray();
	assert.is(Buffer.concat(chunks).toString(), "two");
	const sink = new Sink();
	close(thread, openWritable(thread, sink, { close: false }));
	assert.equal([sink.writable, listenerCounts(sink)], [true, {}]);
});

test("files are streams like others", async () => {
	const { thread } = world();
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-"));
	const path = join(folder, "file");
	writeFileSync(path, "x".repeat(100_000));
	const from = openReadable(thread, createReadStream(path));
	const copy = createWriteStream(join(folder, "copy"));
	const to = openWritable(thread, copy);
	const buffer = new Uint8Array(9999);
	for (let n = await read(thread, from, buffer); n !== 0; n = await read(thread, from, buffer))
		await write(thread, to, buffer.subarray(0, n));
	for (const fd of [from, to]) close(thread, fd);
	await once(copy, "close");
	assert.is(readFileSync(join(folder, "copy"), "utf8").length, 100_000);
	const missing = openReadable(thread, createReadStream(join(folder, "missing")));
	assert.is(await outcome(read(thread, missing, buffer)), "ENOENT");
	close(thread, missing);
	rmSync(folder, { recursive: true });
});

test("a missing direction is refused, but poll reports the hang-up", async () => {
	const w = world();
	const { thread } = w;
	const stream = source();
	const from = openReadable(thread, stream);
	const sink = new Sink();
	const to = openWritable(thread, sink);
	const add = (ident: number, filter: number) => codeOf(() => watch(w, { ident, filter }));
	assert.equal(
		[
			codeOf(() => writeNow(thread, from, bytes("x"))),
			text(thread, to),
			add(from, EVFILT_WRITE),
			add(to, EVFILT_READ),
			add(to, EVFILT_EXCEPT),
			add(to, EVFILT_VNODE),
		],
		["EBADF", "EBADF", "EINVAL", "EINVAL", "EINVAL", "EINVAL"],
	);
	assert.equal([revents(thread, POLLOUT, from), revents(thread, POLLIN, to)], [[0], [0]]);
	const set = new FdSet([from]);
	assert.is(selectNow(thread, from + 1, null, set, set), 0);
	stream.push(null);
	sink.destroy();
	await pause();
	assert.equal(
		[revents(thread, POLLOUT, from), revents(thread, POLLIN, to), revents(thread, 0, to)],
		[[POLLHUP], [0], [POLLHUP]],
	);
	for (const fd of [from, to]) close(thread, fd);
});

test("a stream that throws when listeners are added gets no descriptor", () => {
	const { thread } = world();
	const stream = source();
	stream.on = () => {
		throw new Error("nobody listens to me");
	};
	const failure = codeOf(() => openReadable(thread, stream)) as Error;
	assert.equal([failure.message, thread.process.fdp.get(1)], ["nobody listens to me", null]);
});

test("streams with an encoding are refused, and so are objects that are not streams", async () => {
	const w = world();
	const { thread } = w;
	const encoded = source();
	encoded.setEncoding("utf8");
	assert.equal(
		[
			codeOf(() => openReadable(thread, encoded)),
			codeOf(() => openReadable(thread, new Sink() as unknown as Readable)),
			codeOf(() => openWritable(thread, source() as unknown as Writable)),
			codeOf(() => openDuplex(thread, null as unknown as Duplex)),
		],
		["EINVAL", "EFAULT", "EFAULT", "EFAULT"],
	);
	const stream = source();
	const fd = openReadable(thread, stream);
	stream.push("grün");
	await until(w, { ident: fd, filter: EVFILT_READ });
	stream.setEncoding("utf8");
	assert.is(text(thread, fd), "EINVAL");
	close(thread, fd);
});

test.run();

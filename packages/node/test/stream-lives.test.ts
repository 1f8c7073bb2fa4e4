// Streams that fail, end or are destroyed at every moment of the life of their descriptor: what
// reads, writes, poll and kevent then say. Nothing hangs, and no error is left to the process.
import { Duplex, Readable, Writable } from "node:stream";
import { ReadableStream, WritableStream } from "node:stream/web";
import { POLLHUP, POLLIN, POLLOUT, poll } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	eventList,
	kevent,
	keventNow,
	kqueue,
	read,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	openDuplex,
	openReadable,
	openWebReadable,
	openWebWritable,
	openWritable,
} from "../src/index.ts";
import { bytes, codeOf, outcome, pause, revents, text, world } from "./world.ts";

/** What can happen to a stream. */
interface Fate {
	/** It fails with ENXIO. */
	fail(): void;
	/** It ends. */
	end(): void;
	/** It is destroyed; null where a stream cannot be. */
	destroy: (() => void) | null;
}

/** A stream to read from, and what happens to it. */
interface Source extends Fate {
	open(thread: Thread): number;
	push(bytes: Uint8Array): void;
}

/** A stream to write to, which holds each chunk until it is told to take it. */
interface Sink extends Fate {
	open(thread: Thread): number;
	take(): void;
}

const broken = (): Error => Object.assign(new Error("broken"), { code: "ENXIO" });

const SOURCES: Readonly<Record<string, () => Source>> = {
	Readable() {
		const stream = new Readable({ read() {} });
		return fated(
			stream,
			() => void stream.push(null),
			(thread) => openReadable(thread, stream),
		);
	},
	"Readable in object mode"() {
		const stream = new Readable({ objectMode: true, read() {} });
		return fated(
			stream,
			() => void stream.push(null),
			(thread) => openReadable(thread, stream),
		);
	},
	Duplex() {
		const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
		return fated(
			stream,
			() => void stream.push(null),
			(thread) => openDuplex(thread, stream),
		);
	},
	ReadableStream() {
		let controller!: ReadableStreamDefaultController;
		const stream = new ReadableStream({
			start: (it) => {
				controller = it as ReadableStreamDefaultController;
			},
		});
		return {
			open: (thread) => openWebReadable(thread, stream),
			push: (chunk) => controller.enqueue(chunk),
			fail: () => controller.error(broken()),
			end: () => {
				if (controller.desiredSize !== 0) controller.close();
			},
			destroy: null,
		};
	},
};

function fated(stream: Readable, end: () => void, open: (thread: Thread) => number): Source {
	return {
		open,
		push: (chunk) => void stream.push(chunk),
		fail: () => void stream.destroy(broken()),
		end,
		destroy: () => void stream.destroy(),
	};
}

const SINKS: Readonly<Record<string, () => Sink>> = {
	Writable() {
		let take = (): void => {};
		const stream = new Writable({
			highWaterMark: 4,
			write: (_chunk, _encoding, done) => {
				take = done;
			},
		});
		return sinkOf(
			stream,
			() => take(),
			(thread) => openWritable(thread, stream),
		);
	},
	"Writable in object mode"() {
		let take = (): void => {};
		const stream = new Writable({
			objectMode: true,
			highWaterMark: 1,
			write: (_chunk, _encoding, done) => {
				take = done;
			},
		});
		return sinkOf(
			stream,
			() => take(),
			(thread) => openWritable(thread, stream),
		);
	},
	Duplex() {
		let take = (): void => {};
		const stream = new Duplex({
			highWaterMark: 4,
			read() {},
			write: (_chunk, _encoding, done) => {
				take = done;
			},
		});
		return sinkOf(
			stream,
			() => take(),
			(thread) => openDuplex(thread, stream),
		);
	},
	WritableStream() {
		let controller!: WritableStreamDefaultController;
		let take = (): void => {};
		const stream = new WritableStream({
			start: (it) => {
				controller = it as WritableStreamDefaultController;
			},
			write: () =>
				new Promise<void>((resolve) => {
					take = resolve;
				}),
		});
		return {
			open: (thread) => openWebWritable(thread, stream),
			take: () => take(),
			fail: () => controller.error(broken()),
			// Only before it has a descriptor, which locks it; later it fails without a reason.
			end: () => (stream.locked ? controller.error() : void stream.close()),
			destroy: null,
		};
	},
};

function sinkOf(stream: Writable, take: () => void, open: (thread: Thread) => number): Sink {
	return {
		open,
		take,
		fail: () => void stream.destroy(broken()),
		end: () => void stream.end(),
		destroy: () => void stream.destroy(),
	};
}

/** Bits as names. */
function namesOf(bits: number): string {
	const names = [
		(bits & POLLIN) !== 0 ? "POLLIN" : "",
		(bits & POLLOUT) !== 0 ? "POLLOUT" : "",
		(bits & POLLHUP) !== 0 ? "POLLHUP" : "",
	];
	return names.filter((name) => name !== "").join(" ") || "nothing";
}

/** The event of a filter now. */
function eventOf(thread: Thread, ident: number, filter: number): string {
	const kq = kqueue(thread);
	const events = eventList(1);
	const n = keventNow(thread, kq, [{ ident, filter, flags: EV_ADD }], events);
	close(thread, kq);
	const [event] = events;
	if (n === 0 || event === undefined) return "no event";
	const eof = (event.flags & EV_EOF) !== 0;
	return [eof ? "EV_EOF" : "event", event.fflags === errno.ENXIO ? "ENXIO" : event.fflags].join(
		" ",
	);
}

/** Calls that sleep while it happens, by a name for each. */
const SLEEPERS: Readonly<Record<string, (thread: Thread, fd: number) => Promise<unknown>>> = {
	"a reader": (thread, fd) => outcome(read(thread, fd, new Uint8Array(9))),
	"a writer": (thread, fd) => outcome(write(thread, fd, bytes("xy"))),
	"a poll for input": (thread, fd) => polled(thread, fd, POLLIN),
	"a poll for room": (thread, fd) => polled(thread, fd, POLLOUT),
	"a kevent for input": (thread, fd) => awaited(thread, fd, EVFILT_READ),
	"a kevent for room": (thread, fd) => awaited(thread, fd, EVFILT_WRITE),
};

async function polled(thread: Thread, fd: number, events: number): Promise<string> {
	const fds = [{ fd, events, revents: 0 }];
	await poll(thread, fds, -1);
	return namesOf(fds[0]?.revents ?? 0);
}

async function awaited(thread: Thread, ident: number, filter: number): Promise<string> {
	const kq = kqueue(thread);
	await kevent(thread, kq, [{ ident, filter, flags: EV_ADD }], eventList(1), null);
	close(thread, kq);
	return eventOf(thread, ident, filter);
}

/** The result of a call that slept; it must not sleep any longer. */
function woken(call: Promise<unknown>): Promise<unknown> {
	return Promise.race([call, pause(1000).then(() => "still asleep")]);
}

/** Lets a stream report what has happened to it. */
const settle = (): Promise<void> => pause(2);

/** Moments of a descriptor that is read. Each prepares it, lets it happen, and reports. */
const READING: Readonly<Record<string, (source: Source, happen: () => void) => Promise<string>>> = {
	async "before it has a descriptor"(source, happen) {
		const { thread } = world();
		happen();
		return readingState(thread, source.open(thread));
	},
	async "before the first read"(source, happen) {
		const { thread } = world();
		const fd = source.open(thread);
		await settle();
		happen();
		return readingState(thread, fd);
	},
	async "with bytes to read"(source, happen) {
		const { thread } = world();
		const fd = source.open(thread);
		source.push(bytes("abc"));
		await settle();
		happen();
		return readingState(thread, fd);
	},
	async "when a part was read"(source, happen) {
		const { thread } = world();
		const fd = source.open(thread);
		source.push(bytes("abc"));
		await settle();
		text(thread, fd, 1);
		happen();
		return readingState(thread, fd);
	},
	async "while others sleep"(source, happen) {
		const w = world();
		const fd = source.open(w.thread);
		await settle();
		const calls = ["a reader", "a poll for input", "a kevent for input"].map((name) =>
			SLEEPERS[name]?.(w.process.spawnThread(), fd),
		);
		await settle();
		happen();
		const results = await Promise.all(calls.map((call) => woken(call as Promise<unknown>)));
		return `${results.join(", ")}; ${await readingState(w.thread, fd)}`;
	},
	async "after its end"(source, happen) {
		const { thread } = world();
		const fd = source.open(thread);
		source.end();
		await settle();
		text(thread, fd);
		await settle();
		happen();
		return readingState(thread, fd);
	},
	async "after close"(source, happen) {
		const { thread } = world();
		const fd = source.open(thread);
		source.push(bytes("abc"));
		close(thread, fd);
		happen();
		await settle();
		return "closed";
	},
};

async function readingState(thread: Thread, fd: number): Promise<string> {
	await settle();
	const state = [
		namesOf(revents(thread, POLLIN, fd)[0] as number),
		eventOf(thread, fd, EVFILT_READ),
		`read ${JSON.stringify(text(thread, fd))}, ${await lastRead(thread, fd)}`,
	].join("; ");
	close(thread, fd);
	await settle();
	return state;
}

/** What a read that may sleep returns. */
async function lastRead(thread: Thread, fd: number): Promise<unknown> {
	return woken(outcome(read(thread, fd, new Uint8Array(9))));
}

/** Moments of a descriptor that is written to. */
const WRITING: Readonly<Record<string, (sink: Sink, happen: () => void) => Promise<string>>> = {
	async "before it has a descriptor"(sink, happen) {
		const { thread } = world();
		happen();
		return writingState(thread, sink.open(thread));
	},
	async "before the first write"(sink, happen) {
		const { thread } = world();
		const fd = sink.open(thread);
		await settle();
		happen();
		return writingState(thread, fd);
	},
	async "during a write"(sink, happen) {
		const { thread } = world();
		const fd = sink.open(thread);
		await settle();
		writeNow(thread, fd, bytes("x"));
		happen();
		return writingState(thread, fd);
	},
	async "while others sleep until it has drained"(sink, happen) {
		const w = world();
		const fd = sink.open(w.thread);
		await settle();
		writeNow(w.thread, fd, bytes("abcd"));
		const calls = ["a writer", "a poll for room", "a kevent for room"].map((name) =>
			SLEEPERS[name]?.(w.process.spawnThread(), fd),
		);
		await settle();
		happen();
		await settle();
		// A stream that was ended says so when everything is written.
		sink.take();
		const results = await Promise.all(calls.map((call) => woken(call as Promise<unknown>)));
		return `${results.join(", ")}; ${await writingState(w.thread, fd)}`;
	},
	async "when it has drained"(sink, happen) {
		const { thread } = world();
		const fd = sink.open(thread);
		await settle();
		writeNow(thread, fd, bytes("abcd"));
		await settle();
		sink.take();
		await settle();
		happen();
		return writingState(thread, fd);
	},
	async "after its end"(sink, happen) {
		const { thread } = world();
		const fd = sink.open(thread);
		await settle();
		sink.end();
		await settle();
		happen();
		return writingState(thread, fd);
	},
	async "after close"(sink, happen) {
		const { thread } = world();
		const fd = sink.open(thread);
		await settle();
		writeNow(thread, fd, bytes("abcd"));
		close(thread, fd);
		happen();
		await settle();
		sink.take();
		await settle();
		return "closed";
	},
};

async function writingState(thread: Thread, fd: number): Promise<string> {
	await settle();
	const state = [
		namesOf(revents(thread, POLLOUT, fd)[0] as number),
		eventOf(thread, fd, EVFILT_WRITE),
		`write ${codeOf(() => writeNow(thread, fd, bytes("x")))}`,
	].join("; ");
	close(thread, fd);
	await settle();
	return state;
}

/** Every cell: what happens when, what is seen then, and with which streams. */
async function matrix<T extends Fate>(
	makers: Readonly<Record<string, () => T>>,
	moments: Readonly<Record<string, (it: T, happen: () => void) => Promise<string>>>,
): Promise<string[]> {
	const cells: Promise<[line: string, kind: string]>[] = [];
	for (const fate of ["fail", "end", "destroy"] as const) {
		for (const [moment, observe] of Object.entries(moments)) {
			for (const [kind, make] of Object.entries(makers)) {
				const it = make();
				if (it[fate] === null) continue;
				const seen = observe(it, () => it[fate]?.());
				cells.push(seen.then((state) => [`${fate} ${moment}: ${state}`, kind]));
			}
		}
	}
	const kinds = new Map<string, string[]>();
	for (const [line, kind] of await Promise.all(cells))
		kinds.set(line, [...(kinds.get(line) ?? []), kind]);
	return [...kinds].map(([line, list]) => `${line} [${list.join(", ")}]`);
}

/** What is seen of a stream that is read: poll, kevent, two reads; before them what sleepers got. */
const READS = `
fail before it has a descriptor: POLLIN POLLHUP; EV_EOF ENXIO; read "ENXIO", ENXIO [Readable, Readable in object mode, Duplex, ReadableStream]
fail before the first read: POLLIN POLLHUP; EV_EOF ENXIO; read "ENXIO", ENXIO [Readable, Readable in object mode, Duplex, ReadableStream]
fail with bytes to read: POLLIN POLLHUP; EV_EOF ENXIO; read "ENXIO", ENXIO [Readable, Readable in object mode, Duplex]
fail with bytes to read: POLLIN; event 0; read "abc", ENXIO [ReadableStream]
fail when a part was read: POLLIN POLLHUP; EV_EOF ENXIO; read "ENXIO", ENXIO [Readable, Readable in object mode, Duplex]
fail when a part was read: POLLIN; event 0; read "bc", ENXIO [ReadableStream]
fail while others sleep: ENXIO, POLLIN POLLHUP, EV_EOF ENXIO; POLLIN POLLHUP; EV_EOF ENXIO; read "ENXIO", ENXIO [Readable, Readable in object mode, Duplex, ReadableStream]
fail after its end: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, ReadableStream]
fail after its end: POLLIN POLLHUP; EV_EOF ENXIO; read "ENXIO", ENXIO [Duplex]
fail after close: closed [Readable, Readable in object mode, Duplex, ReadableStream]
end before it has a descriptor: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, ReadableStream]
end before it has a descriptor: POLLIN; EV_EOF 0; read "", 0 [Duplex]
end before the first read: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, ReadableStream]
end before the first read: POLLIN; EV_EOF 0; read "", 0 [Duplex]
end with bytes to read: POLLIN POLLHUP; EV_EOF 0; read "abc", 0 [Readable, Readable in object mode]
end with bytes to read: POLLIN; EV_EOF 0; read "abc", 0 [Duplex]
end with bytes to read: POLLIN; event 0; read "abc", 0 [ReadableStream]
end when a part was read: POLLIN POLLHUP; EV_EOF 0; read "bc", 0 [Readable, Readable in object mode]
end when a part was read: POLLIN; EV_EOF 0; read "bc", 0 [Duplex]
end when a part was read: POLLIN; event 0; read "bc", 0 [ReadableStream]
end while others sleep: 0, POLLIN POLLHUP, EV_EOF 0; POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, ReadableStream]
end while others sleep: 0, POLLIN, EV_EOF 0; POLLIN; EV_EOF 0; read "", 0 [Duplex]
end after its end: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, ReadableStream]
end after its end: POLLIN; EV_EOF 0; read "", 0 [Duplex]
end after close: closed [Readable, Readable in object mode, Duplex, ReadableStream]
destroy before it has a descriptor: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, Duplex]
destroy before the first read: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, Duplex]
destroy with bytes to read: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, Duplex]
destroy when a part was read: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, Duplex]
destroy while others sleep: 0, POLLIN POLLHUP, EV_EOF 0; POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, Duplex]
destroy after its end: POLLIN POLLHUP; EV_EOF 0; read "", 0 [Readable, Readable in object mode, Duplex]
destroy after close: closed [Readable, Readable in object mode, Duplex]
`;

/** What is seen of a stream that is written to: poll, kevent, a write. */
const WRITES = `
fail before it has a descriptor: POLLHUP; EV_EOF ENXIO; write ENXIO [Writable, Writable in object mode, Duplex, WritableStream]
fail before the first write: POLLHUP; EV_EOF ENXIO; write ENXIO [Writable, Writable in object mode, Duplex, WritableStream]
fail during a write: POLLHUP; EV_EOF ENXIO; write ENXIO [Writable, Writable in object mode, Duplex, WritableStream]
fail while others sleep until it has drained: ENXIO, POLLHUP, EV_EOF ENXIO; POLLHUP; EV_EOF ENXIO; write ENXIO [Writable, Writable in object mode, Duplex, WritableStream]
fail when it has drained: POLLHUP; EV_EOF ENXIO; write ENXIO [Writable, Writable in object mode, Duplex, WritableStream]
fail after its end: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode]
fail after its end: POLLHUP; EV_EOF ENXIO; write ENXIO [Duplex]
fail after its end: POLLHUP; EV_EOF 5; write EIO [WritableStream]
fail after close: closed [Writable, Writable in object mode, Duplex, WritableStream]
end before it has a descriptor: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode, WritableStream]
end before it has a descriptor: POLLOUT; EV_EOF 0; write EPIPE [Duplex]
end before the first write: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode]
end before the first write: POLLOUT; EV_EOF 0; write EPIPE [Duplex]
end before the first write: POLLHUP; EV_EOF 5; write EIO [WritableStream]
end during a write: nothing; no event; write EPIPE [Writable, Writable in object mode, Duplex]
end during a write: POLLHUP; EV_EOF 5; write EIO [WritableStream]
end while others sleep until it has drained: EPIPE, POLLHUP, EV_EOF 0; POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode]
end while others sleep until it has drained: EPIPE, POLLOUT, EV_EOF 0; POLLOUT; EV_EOF 0; write EPIPE [Duplex]
end while others sleep until it has drained: EIO, POLLHUP, EV_EOF 5; POLLHUP; EV_EOF 5; write EIO [WritableStream]
end when it has drained: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode]
end when it has drained: POLLOUT; EV_EOF 0; write EPIPE [Duplex]
end when it has drained: POLLHUP; EV_EOF 5; write EIO [WritableStream]
end after its end: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode]
end after its end: POLLOUT; EV_EOF 0; write EPIPE [Duplex]
end after its end: POLLHUP; EV_EOF 5; write EIO [WritableStream]
end after close: closed [Writable, Writable in object mode, Duplex, WritableStream]
destroy before it has a descriptor: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode, Duplex]
destroy before the first write: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode, Duplex]
destroy during a write: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode, Duplex]
destroy while others sleep until it has drained: EPIPE, POLLHUP, EV_EOF 0; POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode, Duplex]
destroy when it has drained: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode, Duplex]
destroy after its end: POLLHUP; EV_EOF 0; write EPIPE [Writable, Writable in object mode, Duplex]
destroy after close: closed [Writable, Writable in object mode, Duplex]
`;

test("a stream that is read can fail, end or be destroyed at every moment", async () => {
	assert.equal(await matrix(SOURCES, READING), READS.trim().split("\n"));
});

test("a stream that is written to can fail, end or be destroyed at every moment", async () => {
	assert.equal(await matrix(SINKS, WRITING), WRITES.trim().split("\n"));
});

test.run();

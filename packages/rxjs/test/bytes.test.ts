// readBytes and writeBytes over all that can be read and written: order, ends, errors,
// unsubscribing.
import {
	mkfifo,
	openDevice,
	openNow,
	openpty,
	pipe,
	revoke,
	sendNow,
	shutdown,
	socketpair,
	Tree,
} from "@kqpoll/files";
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "@kqpoll/files/fcntl";
import { MSG_EOR, SHUT_RD } from "@kqpoll/files/socket";
import { cfmakeraw, TTYDEF, VMIN, VTIME } from "@kqpoll/files/termios";
import {
	close,
	dup,
	errno,
	fcntl,
	ioctl,
	Kernel,
	lseek,
	openFile,
	RealHost,
	read,
	readNow,
	SyntheticFile,
	sigaction,
	type Thread,
	threadExit,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_SETFL, O_APPEND, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { SIG_IGN, SIGPIPE } from "@kqpoll/kqueue/signal";
import { SEEK_SET } from "@kqpoll/kqueue/unistd";
import fc from "fast-check";
import {
	combineLatest,
	concat,
	config,
	EMPTY,
	from,
	NEVER,
	Observable,
	of,
	repeat,
	Subject,
	share,
	take,
	throwError,
} from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { take as demandTake } from "../src/demand.ts";
import { DemandObservable, readBytes, type WriteBytesOptions, writeBytes } from "../src/index.ts";
import { world as anyWorld, type World } from "./world.ts";

/** A machine whose process ignores SIGPIPE. */
function world(): World {
	const w = anyWorld();
	sigaction(w.thread, SIGPIPE, SIG_IGN);
	return w;
}

/** Bytes that differ from place to place. */
function pattern(length: number, seed = 1): Uint8Array {
	return Uint8Array.from({ length }, (_, i) => Math.imul(i + seed, 0x9e3779b1) >>> 24);
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

function same(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
	return Buffer.concat(a).equals(Buffer.concat(b));
}

const length = ({ length }: Uint8Array): number => length;

/** A program that writes as much as there is room for, lets the machine go on, and repeats that. */
function feed({ host, thread }: World, fd: number, all: Uint8Array): void {
	for (let done = 0, before = -1; done < all.length; host.settle()) {
		assert.is.not(done, before, "somebody reads");
		before = done;
		try {
			while (done < all.length) done += writeNow(thread, fd, all.subarray(done));
		} catch (error) {
			assert.is((error as { code?: string }).code, "EAGAIN");
		}
	}
}

/** What can be read now, at most `most` bytes; "EAGAIN" or an errno ends it. */
function drain(thread: Thread, fd: number, most = Number.POSITIVE_INFINITY): Uint8Array {
	const all: Uint8Array[] = [];
	for (let left = most; left > 0; ) {
		const chunk = new Uint8Array(Math.min(left, 4096));
		let n = 0;
		try {
			n = readNow(thread, fd, chunk);
		} catch {
			n = 0;
		}
		if (n === 0) break;
		left -= n;
		all.push(chunk.subarray(0, n));
	}
	return Buffer.concat(all);
}

/** How many bytes wait to be read. */
function unread({ thread }: World, fd: number): number {
	return ioctl(thread, fd, FIONREAD);
}

/** Fills an empty pipe. */
function fill({ thread }: World, fd: number): void {
	for (;;) {
		try {
			writeNow(thread, fd, new Uint8Array(512));
		} catch {
			return;
		}
	}
}

/** A regular file with that content, open at its beginning. */
function regular({ thread }: World, content: Uint8Array, tree: Tree = new Tree()): number {
	const fd = openNow(thread, tree, "/file", O_RDWR | O_CREAT);
	writeNow(thread, fd, content);
	lseek(thread, fd, 0, SEEK_SET);
	return fd;
}

const RAW = cfmakeraw(TTYDEF);

/** What bytes go through: descriptors to read from and to write to. */
const KINDS: readonly { name: string; make(thread: Thread): readonly [number, number] }[] = [
	{ name: "a pipe", make: pipe },
	{ name: "a socket pair", make: (thread) => socketpair(thread, "stream") },
	{
		name: "a fifo",
		make(thread) {
			const tree = new Tree();
			mkfifo(thread, tree, "/fifo");
			const reader = openNow(thread, tree, "/fifo", O_RDONLY | O_NONBLOCK);
			fcntl(thread, reader, F_SETFL, 0);
			return [reader, openNow(thread, tree, "/fifo", O_WRONLY)];
		},
	},
	{
		name: "a terminal's input",
		make(thread) {
			const [master, slave] = openpty(thread, RAW);
			return [slave, master];
		},
	},
	{ name: "a terminal's output", make: (thread) => openpty(thread, RAW) },
];

for (const { name, make } of KINDS) {
	for (const flags of [0, O_NONBLOCK]) {
		const through = `${name}${flags === 0 ? "" : " that does not block"}`;

		test(`${through} is read in order, completely, and to its end`, () => {
			const w = world();
			const [reader, writer] = make(w.thread);
			for (const fd of [reader, writer]) fcntl(w.thread, fd, F_SETFL, flags);
			const chunks: Uint8Array[] = [];
			w.listen("r", readBytes(w.thread, reader, { size: 1000 }), (chunk) => {
				chunks.push(chunk);
				return "";
			});
			const sent = pattern(50_000);
			feed(w, writer, sent);
			assert.equal(w.log.splice(0), Array(chunks.length).fill("r "));
			assert.ok(chunks.every((chunk) => chunk.length > 0 && chunk.length <= 1000));
			assert.ok(same(chunks, [sent]));
			close(w.thread, writer);
			assert.equal(w.heard(), ["r done"]);
			w.checkClean();
		});

		test(`${through} is written in order and completely, with a slow reader`, () => {
			const w = world();
			const [reader, writer] = make(w.thread);
			for (const fd of [reader, writer]) fcntl(w.thread, fd, F_SETFL, flags);
			const chunks = [1, 100, 512, 513, 5000, 40_000, 3].map((n, i) => pattern(n, i));
			w.listen("w", from(chunks).pipe(writeBytes(w.thread, writer)));
			const got: Uint8Array[] = [];
			for (let n = -1; n !== 0; got.push(drain(w.thread, reader, 700))) {
				w.host.settle();
				n = got.at(-1)?.length ?? n;
			}
			assert.ok(same(got, chunks));
			assert.equal(w.heard(), [...chunks.map(({ length }) => `w ${length}`), "w done"]);
			w.checkClean();
		});
	}

	test(`from ${name} to another, by writeBytes behind readBytes, all bytes go through`, () => {
		const w = world();
		const [reader, writer] = make(w.thread);
		const [reader2, writer2] = make(w.thread);
		const pump = readBytes(w.thread, reader).pipe(writeBytes(w.thread, writer2, { close: true }));
		const got: Uint8Array[] = [];
		w.listen("r", readBytes(w.thread, reader2), (chunk) => got.push(chunk));
		w.listen("p", pump, () => "wrote");
		const sent = pattern(30_000);
		feed(w, writer, sent);
		close(w.thread, writer);
		w.host.settle();
		assert.equal(
			[...new Set(w.heard().filter((what) => !/^r \d/.test(what)))],
			["p wrote", "p done", "r done"],
		);
		assert.ok(same(got, [sent]));
		w.checkClean();
	});
}

test("any chunks and sizes go through two pipes in order", () => {
	const small = fc.integer({ min: 0, max: 700 });
	const sizes = fc.array(fc.oneof(small, fc.integer({ min: 0, max: 40_000 })), { maxLength: 12 });
	const size = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 70_000 }));
	fc.assert(
		fc.property(sizes, size, size, fc.boolean(), (lengths, first, second, slow) => {
			const w = world();
			const [reader, writer] = pipe(w.thread);
			const [reader2, writer2] = pipe(w.thread);
			const chunks = lengths.map((n, i) => pattern(n, i));
			w.listen("w", from(chunks).pipe(writeBytes(w.thread, writer, { close: true })));
			const pump = readBytes(w.thread, reader, { size: first });
			pump.pipe(writeBytes(w.thread, writer2, { close: true })).subscribe();
			const got: Uint8Array[] = [];
			if (slow) {
				for (let n = 1; n > 0; n = got.at(-1)?.length ?? 0) {
					w.host.settle();
					got.push(drain(w.thread, reader2, second));
				}
			} else {
				readBytes(w.thread, reader2, { size: second }).subscribe((chunk) => got.push(chunk));
			}
			assert.equal(w.heard(), [...lengths.map((n) => `w ${n}`), "w done"]);
			assert.ok(same(got, chunks));
			w.checkClean();
		}),
		{ numRuns: 60 },
	);
});

test("a chunk is what is there, in parts of the requested size", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const chunks: Uint8Array[] = [];
	readBytes(w.thread, reader, { size: 3 }).subscribe((chunk) => chunks.push(chunk));
	writeNow(w.thread, writer, bytes(1, 2, 3, 4, 5));
	assert.equal(chunks, []);
	w.host.settle();
	writeNow(w.thread, writer, bytes(6));
	w.host.settle();
	assert.equal(chunks, [bytes(1, 2, 3), bytes(4, 5), bytes(6)]);
});

test("a regular file is read to its end, also an empty one and one open behind its end", () => {
	for (const [content, at, expected] of [
		[pattern(150_000), 0, [65536, 65536, 18928]],
		[bytes(), 0, []],
		[pattern(10), 10, []],
		[pattern(10), 99, []],
	] as const) {
		const w = world();
		const fd = regular(w, content);
		lseek(w.thread, fd, at, SEEK_SET);
		const chunks: Uint8Array[] = [];
		w.listen("r", readBytes(w.thread, fd), (chunk) => {
			chunks.push(chunk);
			return chunk.length;
		});
		assert.equal(w.heard(), [...expected.map((n) => `r ${n}`), "r done"]);
		assert.ok(same(chunks, [content.subarray(at)]));
		w.checkClean();
	}
});

test("a regular file is written, also behind bytes that another writer appends", () => {
	const w = world();
	const fd = regular(w, bytes());
	fcntl(w.thread, fd, F_SETFL, O_APPEND);
	const source = new Subject<Uint8Array>();
	w.listen("w", source.pipe(writeBytes(w.thread, fd)));
	source.next(bytes(1, 2));
	writeNow(w.thread, fd, bytes(3));
	source.next(bytes(4));
	source.complete();
	assert.equal(w.heard(), ["w 2", "w 1", "w done"]);
	lseek(w.thread, fd, 0, SEEK_SET);
	assert.equal([...drain(w.thread, fd)], [1, 2, 3, 4]);
	w.checkClean();
});

test("messages of sockets are chunks, and chunks are messages", () => {
	const w = world();
	const [a, b] = socketpair(w.thread, "dgram");
	w.listen("r", readBytes(w.thread, a), (chunk) => `[${chunk}]`);
	w.listen("w", of(bytes(1, 2), bytes(3)).pipe(writeBytes(w.thread, b)));
	assert.equal(w.heard(), ["w 2", "w 1", "w done", "r [1,2]", "r [3]"]);
});

test("an empty message of a socket is an empty chunk, and not the end", () => {
	for (const type of ["dgram", "seqpacket"] as const) {
		const w = world();
		const [a, b] = socketpair(w.thread, type);
		w.listen("r", readBytes(w.thread, b), (chunk) => `[${chunk}]`);
		sendNow(w.thread, a, bytes(1));
		assert.equal(w.heard(), ["r [1]"]);
		sendNow(w.thread, a, bytes(), type === "dgram" ? 0 : MSG_EOR);
		sendNow(w.thread, a, bytes(2, 3));
		assert.equal(w.heard(), ["r []", "r [2,3]"]);
		// Before the end a packet without bytes is seen only if others follow it.
		sendNow(w.thread, a, bytes(), type === "dgram" ? 0 : MSG_EOR);
		sendNow(w.thread, a, bytes(4));
		if (type === "dgram") shutdown(w.thread, b, SHUT_RD);
		else close(w.thread, a);
		const expected = type === "dgram" ? ["r done"] : ["r []", "r [4]", "r done"];
		assert.equal(w.heard(), expected);
		w.checkClean();
	}
});

test("a chunk takes no more memory than there are bytes, however large its size may be", () => {
	for (const size of [2 ** 31, 2 ** 34, Number.MAX_SAFE_INTEGER]) {
		const w = world();
		const [reader, writer] = pipe(w.thread);
		const buffers: number[] = [];
		const show = ({ buffer, length }: Uint8Array): number => {
			buffers.push(buffer.byteLength);
			return length;
		};
		w.listen("r", readBytes(w.thread, reader, { size }), show);
		writeNow(w.thread, writer, pattern(3));
		assert.equal(w.heard(), ["r 3"]);
		close(w.thread, writer);
		assert.equal([w.heard(), buffers], [["r done"], [3]]);
		w.checkClean();
	}
});

test("a file that says that it has more bytes than memory can hold is ENOMEM", () => {
	const w = world();
	w.listen("r", readBytes(w.thread, w.fd, { size: Number.MAX_SAFE_INTEGER }), length);
	w.file.set("read", { data: 2 ** 52 });
	assert.equal(w.heard(), ["r ENOMEM"]);
	w.checkClean();
});

test("nothing is read while nobody has subscribed, nor inside subscribe", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	writeNow(w.thread, writer, bytes(1, 2, 3));
	const source = readBytes(w.thread, reader);
	w.host.settle();
	w.checkClean();
	const subscription = w.listen("r", source, length);
	assert.equal([w.log, unread(w, reader)], [[], 3]);
	subscription.unsubscribe();
	assert.equal([w.heard(), unread(w, reader)], [[], 3]);
	w.checkClean();
});

test("the subscriber may keep its chunks", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const chunks: Uint8Array[] = [];
	readBytes(w.thread, reader, { size: 2 }).subscribe((chunk) => chunks.push(chunk));
	for (let i = 0; i < 3; i++) {
		writeNow(w.thread, writer, bytes(i, i));
		w.host.settle();
	}
	assert.equal(chunks, [bytes(0, 0), bytes(1, 1), bytes(2, 2)]);
});

test("after unsubscribing inside next no more chunks come, and the rest stays where it is", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	writeNow(w.thread, writer, pattern(10));
	w.listen("r", readBytes(w.thread, reader, { size: 4 }).pipe(take(1)), length);
	assert.equal([w.heard(), unread(w, reader)], [["r 4", "r done"], 6]);
	w.checkClean();
});

test("unsubscribing while there is nothing to read leaves nothing", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const subscription = w.listen("r", readBytes(w.thread, reader), length);
	w.host.settle();
	assert.is(w.kernel.sleepers, 1);
	subscription.unsubscribe();
	w.checkClean();
	writeNow(w.thread, writer, bytes(1));
	assert.equal([w.heard(), unread(w, reader)], [[], 1]);
});

test("a subscriber that throws is reported, and gets what comes after", async () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const reported: unknown[] = [];
	const { onUnhandledError } = config;
	config.onUnhandledError = (error) => reported.push(error);
	const subscription = readBytes(w.thread, reader, { size: 1 }).subscribe(([byte]) => {
		w.log.push(`r ${byte}`);
		throw byte;
	});
	writeNow(w.thread, writer, bytes(1, 2));
	assert.equal(w.heard(), ["r 1", "r 2"]);
	await new Promise((resolve) => setTimeout(resolve));
	config.onUnhandledError = onUnhandledError;
	assert.equal(reported, [1, 2]);
	subscription.unsubscribe();
	w.checkClean();
});

test("of two subscribers each byte goes to one", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const got: Uint8Array[] = [];
	const counts = [0, 0];
	for (const who of [0, 1]) {
		readBytes(w.thread, reader, { size: 10 }).subscribe((chunk) => {
			got.push(chunk);
			counts[who] = (counts[who] as number) + chunk.length;
		});
	}
	const sent = pattern(5000);
	feed(w, writer, sent);
	assert.ok(same(got, [sent]));
	assert.equal(counts, [2500, 2500]);
	// One byte is not enough for two.
	feed(w, writer, bytes(1));
	feed(w, writer, bytes(2));
	assert.equal(got.slice(-2), [bytes(1), bytes(2)]);
});

test("a second subscriber at the same time is EBUSY, and with share all get the same chunks", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const source = readBytes(w.thread, reader);
	const first = w.listen("a", source, (chunk) => `[${chunk}]`);
	w.listen("b", source, (chunk) => `[${chunk}]`);
	assert.equal(w.log, []);
	writeNow(w.thread, writer, bytes(1, 2));
	assert.equal(w.heard().sort(), ["a [1,2]", "b EBUSY"]);
	first.unsubscribe();
	const shared = source.pipe(share());
	w.listen("a", shared, (chunk) => `[${chunk}]`);
	w.listen("b", shared, (chunk) => `[${chunk}]`);
	writeNow(w.thread, writer, bytes(3));
	close(w.thread, writer);
	assert.equal(w.heard(), ["a [3]", "b [3]", "a done", "b done"]);
	w.checkClean();
});

test("one subscriber may follow the other, also inside of its end", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const source = readBytes(w.thread, reader, { size: 1 });
	for (const one of [source.pipe(take(1)), source.pipe(demandTake(1))]) {
		writeNow(w.thread, writer, bytes(1, 2, 3, 4));
		one.subscribe({
			next: (chunk) => w.log.push(`a [${chunk}]`),
			complete: () => w.listen("b", one, (chunk) => `[${chunk}]`),
		});
		assert.equal(w.heard(), ["a [1]", "b [2]", "b done"]);
		w.listen("c", concat(one, one), (chunk) => `[${chunk}]`);
		assert.equal(w.heard(), ["c [3]", "c [4]", "c done"]);
		writeNow(w.thread, writer, bytes(5, 6));
		w.listen("d", one.pipe(repeat(2)), (chunk) => `[${chunk}]`);
		assert.equal(w.heard(), ["d [5]", "d [6]", "d done"]);
	}
	w.checkClean();
});

test("another reader that takes the bytes a subscriber was told of does no harm", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	w.listen("r", readBytes(w.thread, reader), (chunk) => `[${chunk}]`);
	for (let i = 1; i <= 3; i++) {
		writeNow(w.thread, writer, bytes(i));
		assert.is(drain(w.thread, reader).length, 1);
	}
	assert.equal(w.heard(), []);
	writeNow(w.thread, writer, bytes(4));
	assert.equal(w.heard(), ["r [4]"]);
	close(w.thread, writer);
	assert.equal(w.heard(), ["r done"]);
	w.checkClean();
});

test("a thread may sleep in a read of the same descriptor", async () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	w.listen("r", readBytes(w.thread, reader), length);
	const buffer = new Uint8Array(10);
	const sleeping = read(w.process.spawnThread(), reader, buffer);
	w.host.settle();
	writeNow(w.thread, writer, bytes(1, 2, 3));
	w.host.settle();
	const quicker = w.log.length > 0;
	// The sleeper was woken first.
	assert.equal([quicker, await sleeping], [false, 3]);
	writeNow(w.thread, writer, bytes(4));
	assert.equal(w.heard(), ["r 1"]);
});

test("errors of a read come with their code, and are the end", () => {
	const w = world();
	const tree = new Tree();
	const revoked = regular(w, pattern(10), tree);
	const cases: [string, number][] = [
		["EBADF", 99],
		["EISDIR", openNow(w.thread, tree, "/", O_RDONLY)],
		["EBADF", openNow(w.thread, tree, "/file", O_WRONLY)],
		["EIO", openFile(w.thread, failing(-errno.EIO))],
		["ECONNRESET", openFile(w.thread, failing(-errno.ECONNRESET))],
	];
	for (const [code, fd] of cases) {
		w.listen("r", readBytes(w.thread, fd), length);
		assert.equal(w.log, []);
		assert.equal(w.heard(), [`r ${code}`]);
		w.checkClean();
	}
	w.listen("r", readBytes(w.thread, revoked, { size: 4 }).pipe(take(1)), length);
	w.heard();
	revoke(w.thread, tree, "/file");
	w.listen("r", readBytes(w.thread, revoked, { size: 4 }), length);
	assert.equal(w.heard(), ["r EIO"]);
	w.checkClean();
});

/** A file that has something to read and room to write, and fails. */
function failing(error: number): SyntheticFile {
	const file = new SyntheticFile({ read: () => error, write: () => error });
	file.set("read", { data: 1 });
	file.set("write", { data: 1 });
	return file;
}

test("after unsubscribing before an error is reported nothing is reported", () => {
	const w = world();
	w.listen("r", readBytes(w.thread, 99), length).unsubscribe();
	w.listen("w", NEVER.pipe(writeBytes(w.thread, 99))).unsubscribe();
	assert.equal(w.heard(), []);
	w.checkClean();
});

test("for readers and writers a closed descriptor is EBADF, and a thread that exits is ESRCH", () => {
	const w = world();
	const other = w.process.spawnThread();
	const [, writer] = pipe(w.thread);
	const [, writer2] = pipe(w.thread);
	fill(w, writer);
	fill(w, writer2);
	w.listen("w", of(bytes(1)).pipe(writeBytes(w.thread, writer)));
	w.listen("w2", of(bytes(1)).pipe(writeBytes(other, writer2)));
	w.host.settle();
	close(w.thread, writer);
	threadExit(other);
	assert.equal(w.heard().sort(), ["w EBADF", "w2 ESRCH"]);
	const [reader3] = pipe(w.thread);
	const third = w.process.spawnThread();
	w.listen("r", readBytes(w.thread, reader3), length);
	w.listen("r3", readBytes(third, reader3), length);
	threadExit(third);
	close(w.thread, reader3);
	assert.equal(w.heard().sort(), ["r EBADF", "r3 ESRCH"]);
	w.checkClean();
});

test("a new file under a closed descriptor's number is not read, written or closed", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const chunks = new Subject<Uint8Array>();
	const end = new Subject<Uint8Array>();
	w.listen("r", readBytes(w.thread, reader), length);
	w.listen("w", chunks.pipe(writeBytes(w.thread, writer)));
	w.listen("c", end.pipe(writeBytes(w.thread, writer, { close: true })));
	w.host.settle();
	close(w.thread, reader);
	close(w.thread, writer);
	const [reader2, writer2] = pipe(w.thread);
	assert.equal([reader2, writer2], [reader, writer]);
	writeNow(w.thread, writer2, bytes(1));
	chunks.next(bytes(2, 3));
	end.complete();
	assert.equal([w.heard().sort(), unread(w, reader2)], [["c EBADF", "r EBADF", "w EBADF"], 1]);
	assert.ok(w.process.fdp.get(writer2) !== null);
	w.checkClean();
});

test("the bytes before the other descriptor was closed are still read", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const again = dup(w.thread, reader);
	w.listen("r", readBytes(w.thread, again), length);
	writeNow(w.thread, writer, bytes(1, 2));
	close(w.thread, reader);
	close(w.thread, writer);
	assert.equal(w.heard(), ["r 2", "r done"]);
	w.checkClean();
});

test("a file that is ready but neither reads nor writes is not asked again and again", () => {
	const w = world();
	let asked = 0;
	const file = new SyntheticFile({
		read(buffer) {
			asked++;
			if (file.readiness("read").data < 5) return -errno.EAGAIN;
			buffer.set(bytes(1, 2, 3, 4, 5));
			file.setQuietly("read", { data: 0 });
			return 5;
		},
		write(buffer) {
			asked++;
			if (file.readiness("write").data < 5) return -errno.EAGAIN;
			return buffer.length;
		},
	});
	const fd = openFile(w.thread, file);
	w.listen("r", readBytes(w.thread, fd), length);
	w.listen("w", of(bytes(1, 2)).pipe(writeBytes(w.thread, fd)));
	for (const side of ["read", "write"] as const) {
		asked = 0;
		file.set(side, { data: 3 });
		w.host.settle();
		assert.ok(asked <= 2, `asked ${asked} times`);
		file.set(side, { data: 5 });
		assert.equal(w.heard(), side === "read" ? ["r 5"] : ["w 2", "w done"]);
	}
});

test("a terminal that has fewer bytes than VMIN does not keep the machine busy", () => {
	const w = world();
	const cc = [...RAW.cc];
	cc[VMIN] = 5;
	cc[VTIME] = 10;
	const [master, slave] = openpty(w.thread, { ...RAW, cc });
	w.listen("r", readBytes(w.thread, slave), length);
	writeNow(w.thread, master, bytes(1, 2, 3));
	assert.equal(w.heard(), []);
	writeNow(w.thread, master, bytes(4, 5));
	assert.equal(w.heard(), ["r 5"]);
});

test("a device that always has bytes lets the platform take its turn", async () => {
	const { main: thread } = new Kernel({ host: new RealHost() }).spawn();
	let zeros = 0;
	await new Promise<void>((resolve) => {
		const subscription = readBytes(thread, openDevice(thread, "zero", O_RDONLY), {
			size: 1,
		}).subscribe(({ length }) => {
			zeros += length;
		});
		setTimeout(() => {
			subscription.unsubscribe();
			resolve();
		}, 0);
	});
	assert.ok(zeros > 0);
	assert.is(thread.watches, null);
});

test("a chunk is reported when all of it is written", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const chunk = pattern(100_000);
	w.listen("w", of(chunk, bytes(7)).pipe(writeBytes(w.thread, writer)));
	const got: Uint8Array[] = [];
	for (let i = 0; i < 3; i++) {
		assert.equal(w.heard(), []);
		got.push(drain(w.thread, reader, 10_000));
	}
	w.host.settle();
	got.push(drain(w.thread, reader));
	assert.equal(w.heard(), ["w 100000", "w 1", "w done"]);
	got.push(drain(w.thread, reader));
	assert.ok(same(got, [chunk, bytes(7)]));
	w.checkClean();
});

test("a writer without chunks, or a reader that is not asked, keeps no program alive", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const source = new Subject<Uint8Array>();
	const subscription = source.pipe(writeBytes(w.thread, writer)).subscribe();
	const demand = readBytes(w.thread, reader).connect({
		next: ({ length }) => w.log.push(`r ${length}`),
		error: () => assert.unreachable(),
		complete: () => assert.unreachable(),
	});
	w.host.settle();
	assert.is(w.kernel.sleepers, 0);
	source.next(pattern(100_000));
	w.host.settle();
	assert.is(w.kernel.sleepers, 1);
	for (let left = 100_000; left > 0; left -= drain(w.thread, reader).length) w.host.settle();
	w.host.settle();
	assert.is(w.kernel.sleepers, 0);
	demand.request();
	assert.is(w.kernel.sleepers, 1);
	source.next(bytes(1));
	assert.equal([w.heard(), w.kernel.sleepers], [["r 1"], 0]);
	demand.close();
	subscription.unsubscribe();
	w.checkClean();
});

test("a source that waits is not asked any more after unsubscribing", () => {
	const w = world();
	const [, writer] = pipe(w.thread);
	const asked: string[] = [];
	const source = new DemandObservable<Uint8Array>((observer) => ({
		request() {
			asked.push("request");
			w.host.defer(() => observer.next(bytes(1)));
		},
		close: () => asked.push("close"),
	}));
	w.listen("w", source.pipe(writeBytes(w.thread, writer), take(2)));
	assert.equal(
		[w.heard(), asked],
		[
			["w 1", "w 1", "w done"],
			["request", "request", "close"],
		],
	);
	w.checkClean();
});

test("a source that waits is asked for the next chunk when one is written", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const [reader2, writer2] = pipe(w.thread);
	fill(w, writer2);
	w.listen("p", readBytes(w.thread, reader, { size: 100 }).pipe(writeBytes(w.thread, writer2)));
	writeNow(w.thread, writer, pattern(500));
	assert.equal([w.heard(), unread(w, reader)], [[], 400]);
	drain(w.thread, reader2, 512);
	assert.equal([w.heard(), unread(w, reader)], [["p 100", "p 100", "p 100", "p 100", "p 100"], 0]);
});

test("empty chunks are written too", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	fill(w, writer);
	const full = unread(w, reader);
	w.listen("w", of(bytes(), bytes(), bytes(1), bytes()).pipe(writeBytes(w.thread, writer)));
	assert.equal([w.heard(), unread(w, reader)], [["w 0", "w 0"], full]);
	drain(w.thread, reader);
	assert.equal(w.heard(), ["w 1", "w 0", "w done"]);
	w.checkClean();
});

test("a chunk that is not a Uint8Array is EFAULT", () => {
	for (const chunk of ["text", null, undefined, [1]]) {
		const w = world();
		const [, writer] = pipe(w.thread);
		w.listen("w", of(chunk as never, bytes(1)).pipe(writeBytes(w.thread, writer)));
		assert.equal(w.heard(), ["w EFAULT"]);
		w.checkClean();
	}
});

test("a descriptor is closed at the end with the option close, and only then", () => {
	const chunk = bytes(1);
	const cases: [WriteBytesOptions, Observable<Uint8Array>, string[], boolean][] = [
		[{ close: true }, of(chunk), ["w 1", "w done"], false],
		[{ close: true }, EMPTY, ["w done"], false],
		[{ close: false }, of(chunk), ["w 1", "w done"], true],
		[{}, of(chunk), ["w 1", "w done"], true],
		[{ close: true }, throwError(() => "mine"), ["w mine"], true],
		[{ close: true }, NEVER, [], true],
		[{ close: "always" }, of(chunk), ["w 1", "w done"], false],
		[{ close: "always" }, throwError(() => "mine"), ["w mine"], false],
		[{ close: "always" }, of<Uint8Array>("text" as never), ["w EFAULT"], false],
		[{ close: "always" }, NEVER, [], false],
	];
	for (const [options, source, heard, open] of cases) {
		const w = world();
		const [, writer] = pipe(w.thread);
		const subscription = w.listen("w", source.pipe(writeBytes(w.thread, writer, options)));
		assert.equal(w.heard(), heard);
		subscription.unsubscribe();
		assert.is(w.process.fdp.get(writer) !== null, open);
		w.checkClean();
	}
});

test("closing in any case spares another file under the same number", () => {
	const w = world();
	const [, writer] = pipe(w.thread);
	const source = new Subject<Uint8Array>();
	const subscription = w.listen(
		"w",
		source.pipe(writeBytes(w.thread, writer, { close: "always" })),
	);
	close(w.thread, writer);
	const other = openFile(w.thread, new SyntheticFile());
	assert.is(other, writer);
	subscription.unsubscribe();
	assert.ok(w.process.fdp.get(other) !== null);
	w.checkClean();
});

test("without anything to write a wrong descriptor is EBADF, and an ended thread ESRCH", () => {
	const w = world();
	const [, writer] = pipe(w.thread);
	const readOnly = openDevice(w.thread, "null", O_RDONLY);
	const empty = (): readonly Observable<Uint8Array>[] => [
		EMPTY,
		readBytes(w.thread, openDevice(w.thread, "null", O_RDONLY)),
	];
	for (const fd of [99, -1, 0.5, readOnly]) {
		for (const source of empty()) {
			w.listen("w", source.pipe(writeBytes(w.thread, fd)));
			assert.equal(w.heard(), ["w EBADF"], String(fd));
		}
	}
	// Also one that cannot be shown in a message.
	const revoked = Proxy.revocable({}, {});
	revoked.revoke();
	for (const odd of [revoked.proxy, Symbol("odd"), Object.create(null)]) {
		w.listen("w", EMPTY.pipe(writeBytes(w.thread, odd as never)));
		const some = of(bytes(1), bytes(2));
		w.listen("w", some.pipe(writeBytes(w.thread, odd as never, { bound: 1 })));
		w.listen("w", NEVER.pipe(writeBytes(w.thread, odd as never)));
		for (const line of w.heard()) assert.match(line, /^w E[A-Z]+$/);
	}
	const other = w.process.spawnThread();
	threadExit(other);
	for (const source of empty()) {
		w.listen("w", source.pipe(writeBytes(other, writer)));
		assert.equal(w.heard(), ["w ESRCH"]);
	}
	const late = new Subject<Uint8Array>();
	w.listen("w", late.pipe(writeBytes(w.thread, writer)));
	close(w.thread, writer);
	late.complete();
	assert.equal(w.heard(), ["w EBADF"]);
	w.checkClean();
});

test("a chunk is not copied: what is changed before its number comes is written as it is then", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	fill(w, writer);
	const chunk = bytes(1, 2);
	w.listen("w", of(chunk).pipe(writeBytes(w.thread, writer)));
	chunk[1] = 9;
	drain(w.thread, reader);
	assert.equal(
		[w.heard(), [...drain(w.thread, reader)]],
		[
			["w 2", "w done"],
			[1, 9],
		],
	);
	chunk[0] = 7;
	assert.equal([...drain(w.thread, reader)], []);
	w.checkClean();
});

test("a descriptor that was closed elsewhere is an error at the end", () => {
	const w = world();
	const [, writer] = pipe(w.thread);
	const source = new Subject<Uint8Array>();
	w.listen("w", source.pipe(writeBytes(w.thread, writer, { close: true })));
	close(w.thread, writer);
	source.complete();
	assert.equal(w.heard(), ["w EBADF"]);
	w.checkClean();
});

test("a source that fails ends the writing with its error, and waiting chunks are dropped", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	fill(w, writer);
	const full = unread(w, reader);
	const source = new Subject<Uint8Array>();
	w.listen("w", source.pipe(writeBytes(w.thread, writer)));
	source.next(bytes(1));
	w.host.settle();
	source.error("mine");
	assert.equal([w.heard(), drain(w.thread, reader).length], [["w mine"], full]);
	assert.equal([w.heard(), unread(w, reader)], [[], 0]);
	w.checkClean();
});

test("of a source that cannot wait a number of chunks is kept, and one more is ENOBUFS", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	fill(w, writer);
	const source = new Subject<Uint8Array>();
	w.listen("w", source.pipe(writeBytes(w.thread, writer, { bound: 2 })));
	source.next(bytes(1));
	source.next(bytes(2));
	w.host.settle();
	drain(w.thread, reader);
	assert.equal(w.heard(), ["w 1", "w 1"]);
	assert.equal([...drain(w.thread, reader)], [1, 2]);
	fill(w, writer);
	for (let i = 0; i < 3; i++) source.next(bytes(i));
	assert.equal([w.heard(), source.observed], [["w ENOBUFS"], false]);
	w.checkClean();
});

/** A source that emits all at once, and how many values it emitted. */
function greedy(n: number): { readonly source: Observable<Uint8Array>; given: number } {
	const counted = {
		given: 0,
		source: new Observable<Uint8Array>((subscriber) => {
			for (let i = 0; i < n && !subscriber.closed; i++) {
				counted.given++;
				subscriber.next(bytes(i));
			}
			subscriber.complete();
		}),
	};
	return counted;
}

test("a subscription that is over before it begins asks its source for nothing", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const refused = of(bytes(1)).pipe(writeBytes(w.thread, 99));
	const copied = readBytes(w.thread, reader).pipe(writeBytes(w.thread, writer));
	w.listen("both", combineLatest([refused, copied]));
	assert.equal(w.heard(), ["both EBADF"]);
	w.checkClean();
});

test("a source that emits all at once stops when nobody wants more", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const some = greedy(100);
	w.listen("w", some.source.pipe(writeBytes(w.thread, writer), take(2)));
	assert.equal(
		[w.heard(), some.given, [...drain(w.thread, reader)]],
		[["w 1", "w 1", "w done"], 2, [0, 1]],
	);
	fill(w, writer);
	const more = greedy(100);
	w.listen("w", more.source.pipe(writeBytes(w.thread, writer, { bound: 5 })));
	assert.equal([w.heard(), more.given], [["w ENOBUFS"], 6]);
	w.checkClean();
});

test("a pipe without a reader is EPIPE, with one SIGPIPE if there was something to write", () => {
	const w = world();
	let signals = 0;
	sigaction(w.thread, SIGPIPE, () => signals++);
	const broken = (): number => {
		const [reader, writer] = pipe(w.thread);
		close(w.thread, reader);
		return writer;
	};
	const some = greedy(10);
	w.listen("a", some.source.pipe(writeBytes(w.thread, broken())));
	assert.equal([w.heard(), signals, some.given], [["a EPIPE"], 1, 1]);
	const late = new Subject<Uint8Array>();
	w.listen("b", late.pipe(writeBytes(w.thread, broken())));
	assert.equal([w.heard(), signals], [[], 1]);
	late.next(bytes(1));
	assert.equal([w.heard(), signals], [["b EPIPE"], 2]);
	w.listen("c", EMPTY.pipe(writeBytes(w.thread, broken())));
	assert.equal([w.heard(), signals], [["c done"], 2]);
	w.checkClean();
});

test("a reader that goes away while there is no room is EPIPE", () => {
	for (const { name, make } of KINDS.slice(0, 3)) {
		const w = world();
		const [reader, writer] = make(w.thread);
		w.listen("w", of(new Uint8Array(200_000)).pipe(writeBytes(w.thread, writer)));
		assert.equal(w.heard(), []);
		close(w.thread, reader);
		assert.equal(w.heard(), ["w EPIPE"], name);
		w.checkClean();
	}
});

test("other errors of a write come with their code, and are the end", () => {
	const w = world();
	const tree = new Tree({ maxFileSize: 10 });
	const [, slave] = openpty(w.thread, RAW);
	close(w.thread, slave - 1);
	const cases: [string, number][] = [
		["EBADF", 99],
		["EBADF", openNow(w.thread, tree, "/ro", O_RDONLY | O_CREAT)],
		["EFBIG", openNow(w.thread, tree, "/large", O_WRONLY | O_CREAT)],
		["ENOSPC", openDevice(w.thread, "full", O_WRONLY)],
		["EIO", slave],
		["EIO", openFile(w.thread, failing(-errno.EIO))],
	];
	for (const [code, fd] of cases) {
		w.listen("w", of(pattern(11), pattern(11)).pipe(writeBytes(w.thread, fd)));
		assert.equal(w.heard(), [`w ${code}`]);
		w.checkClean();
	}
});

test("after an error of a write the source is not asked any more", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const [reader2, writer2] = pipe(w.thread);
	close(w.thread, reader2);
	w.listen("p", readBytes(w.thread, reader, { size: 10 }).pipe(writeBytes(w.thread, writer2)));
	writeNow(w.thread, writer, pattern(100));
	assert.equal([w.heard(), unread(w, reader)], [["p EPIPE"], 90]);
	w.checkClean();
});

test("after unsubscribing while there is no room nothing more is written", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const source = new Subject<Uint8Array>();
	const subscription = w.listen("w", source.pipe(writeBytes(w.thread, writer)));
	source.next(pattern(100_000));
	w.host.settle();
	const written = unread(w, reader);
	assert.ok(written > 0 && written < 100_000);
	subscription.unsubscribe();
	assert.is(source.observed, false);
	source.next(bytes(1));
	assert.is(drain(w.thread, reader).length, written);
	assert.equal([w.heard(), unread(w, reader)], [[], 0]);
	w.checkClean();
});

test("after unsubscribing inside next that chunk is written, and no other", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const source = new Subject<Uint8Array>();
	fill(w, writer);
	w.listen("w", source.pipe(writeBytes(w.thread, writer), take(1)));
	for (let i = 0; i < 3; i++) source.next(bytes(i));
	w.host.settle();
	drain(w.thread, reader);
	assert.equal([w.heard(), [...drain(w.thread, reader)]], [["w 1", "w done"], [0]]);
	w.checkClean();
});

test("chunks that are emitted inside next come after those that wait", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const source = new Subject<Uint8Array>();
	fill(w, writer);
	source.pipe(writeBytes(w.thread, writer)).subscribe((n) => {
		w.log.push(`w ${n}`);
		if (n === 1) source.next(bytes(9, 9, 9, 9));
	});
	for (const n of [1, 2, 3]) source.next(new Uint8Array(n).fill(n));
	w.host.settle();
	drain(w.thread, reader);
	assert.equal(
		[w.heard(), [...drain(w.thread, reader)]],
		[
			["w 1", "w 2", "w 3", "w 4"],
			[1, 2, 2, 3, 3, 3, 9, 9, 9, 9],
		],
	);
	source.complete();
	assert.equal(w.heard(), []);
	w.checkClean();
});

function detach({ buffer }: Uint8Array): void {
	structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
}

/** A file that does something whenever it is written, and what it was given. */
function written(w: World, act: (given: string[]) => void): { fd: number; given: string[] } {
	const given: string[] = [];
	const file = new SyntheticFile({
		write: (chunk) => {
			given.push(Buffer.from(chunk).toString());
			act(given);
			return chunk.length;
		},
	});
	file.set("write", 100);
	return { fd: openFile(w.thread, file), given };
}

test("chunks that a file makes its source emit while it is written come after the one before", () => {
	const w = world();
	const source = new Subject<Uint8Array>();
	const { fd, given } = written(w, () => {
		const next = ["B", "C"][given.length - 1];
		if (next !== undefined) source.next(Buffer.from(next));
		else source.complete();
	});
	w.listen("w", source.pipe(writeBytes(w.thread, fd)));
	source.next(Buffer.from("A"));
	assert.equal(
		[given, w.heard()],
		[
			["A", "B", "C"],
			["w 1", "w 1", "w 1", "w done"],
		],
	);
	w.checkClean();
});

test("a chunk that comes while there is no room is written once, also if a write makes it come", () => {
	const w = world();
	const source = new Subject<Uint8Array>();
	let room = 0;
	const seen: string[] = [];
	const file = new SyntheticFile({
		write: (chunk) => {
			if (room === 0) return -errno.EAGAIN;
			const n = Math.min(room, chunk.length);
			room -= n;
			seen.push(Buffer.from(chunk.subarray(0, n)).toString());
			if (seen.length === 1) source.next(Buffer.from("cd"));
			return n;
		},
	});
	w.listen("w", source.pipe(writeBytes(w.thread, openFile(w.thread, file))));
	source.next(Buffer.from("ab"));
	for (let i = 0; i < 4; i++) {
		room = 1;
		file.set("write", i + 1);
		w.host.settle();
	}
	assert.equal([seen, w.heard()], [["a", "b", "c", "d"], ["w 2", "w 2", "w done"].slice(0, 2)]);
	source.complete();
	assert.equal(w.heard(), ["w done"]);
	w.checkClean();
});

test("a write may unsubscribe, close its descriptor, throw, and end or fail its source", () => {
	for (const [what, expected] of [
		["unsubscribe", []],
		["close", ["w EBADF"]],
		["complete", ["w 1", "w done"]],
		["error", ["w mine"]],
		["throw", ["w mine"]],
	] as const) {
		const w = world();
		const source = new Subject<Uint8Array>();
		const { fd, given } = written(w, () => {
			if (what === "unsubscribe") subscription.unsubscribe();
			else if (what === "close") close(w.thread, fd);
			else if (what === "complete") source.complete();
			else if (what === "error") source.error("mine");
			else throw "mine";
		});
		const subscription = w.listen("w", source.pipe(writeBytes(w.thread, fd)));
		source.next(Buffer.from("A"));
		source.next(Buffer.from("B"));
		const told = w.heard().filter((line) => line !== "w 1" || what === "complete");
		assert.equal([what, told, given], [what, [...expected], ["A"]]);
		assert.is(source.observed, false);
		w.checkClean();
	}
});

test("a chunk whose buffer shrinks before it is written is EFAULT, and so is what only looks like one", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const odd = (): Uint8Array[] => {
		const detached = bytes(1);
		detach(detached);
		return [detached, new Proxy(bytes(1), {}), Object.create(Uint8Array.prototype)];
	};
	for (const chunk of odd()) w.listen("w", of(chunk).pipe(writeBytes(w.thread, writer)));
	assert.equal(w.heard(), ["w EFAULT", "w EFAULT", "w EFAULT"]);
	const lies = Object.defineProperties(bytes(1, 2), {
		length: { value: 100 },
		subarray: { value: () => bytes(9, 9, 9) },
	});
	w.listen("w", of(lies).pipe(writeBytes(w.thread, writer)));
	assert.equal([w.heard(), ...drain(w.thread, reader)], [["w 2", "w done"], 1, 2]);
	fill(w, writer);
	const late = bytes(1, 2);
	w.listen("w", of(late).pipe(writeBytes(w.thread, writer)));
	detach(late);
	drain(w.thread, reader);
	assert.equal(w.heard(), ["w EFAULT"]);
	w.checkClean();
});

test("another writer may write in between", async () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	fill(w, writer);
	const full = unread(w, reader);
	w.listen("w", of(bytes(1, 1), bytes(2, 2)).pipe(writeBytes(w.thread, writer)));
	w.host.settle();
	const other = write(w.process.spawnThread(), writer, bytes(3, 3));
	w.host.settle();
	assert.is(drain(w.thread, reader, full).length, full);
	fill(w, writer);
	w.host.settle();
	assert.equal([w.heard(), drain(w.thread, reader).length], [[], full]);
	w.host.settle();
	assert.is(await other, 2);
	assert.equal(w.heard(), ["w 2", "w 2", "w done"]);
	assert.equal([...drain(w.thread, reader)].sort(), [1, 1, 2, 2, 3, 3]);
	w.checkClean();
});

test("two writers of one descriptor keep small chunks whole", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	for (const who of [1, 2]) {
		const chunks = Array.from({ length: 60 }, () => new Uint8Array(500).fill(who));
		w.listen(String(who), from(chunks).pipe(writeBytes(w.thread, writer)));
	}
	const got: Uint8Array[] = [];
	for (let n = 1; n > 0; n = got.at(-1)?.length ?? 0) {
		w.host.settle();
		got.push(drain(w.thread, reader, 1700));
	}
	const all = Buffer.concat(got);
	assert.is(all.length, 60_000);
	for (let at = 0; at < all.length; at += 500) {
		const chunk = all.subarray(at, at + 500);
		assert.ok(chunk.every((byte) => byte === chunk[0]));
	}
	assert.equal(
		w
			.heard()
			.filter((what) => what.endsWith("done"))
			.sort(),
		["1 done", "2 done"],
	);
	w.checkClean();
});

test("bytes go from process to process", () => {
	const w = world();
	const other = w.kernel.spawn().main;
	const [reader, writer] = pipe(w.thread);
	const [reader2, writer2] = pipe(other);
	const got: Uint8Array[] = [];
	w.listen("r", readBytes(other, reader2), (chunk) => got.push(chunk));
	w.listen("p", readBytes(w.thread, reader).pipe(writeBytes(other, writer2)), () => "wrote");
	feed(w, writer, pattern(20_000));
	assert.ok(same(got, [pattern(20_000)]));
	threadExit(w.thread);
	assert.equal(
		w.heard().filter((what) => !/wrote|^r \d/.test(what)),
		["p ESRCH"],
	);
});

test.run();

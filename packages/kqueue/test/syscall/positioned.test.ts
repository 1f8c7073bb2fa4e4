// pread, pwrite, preadv and pwritev: what they ask of a file, and what they refuse.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { close, errno, kqueue, openFile, SyntheticFile, sigaction } from "../../src/index.ts";
import { File } from "../../src/kernel.ts";
import { SIGPIPE } from "../../src/signal.ts";
import { preadv, pwritev } from "../../src/uio.ts";
import { pread, pwrite } from "../../src/unistd.ts";
import { codeOf, machine } from "../machine.ts";

/** A file of ten bytes, each its own offset. */
class Ten extends File {
	readonly bytes: Uint8Array = Uint8Array.from({ length: 10 }, (_, i) => i);
	/** How often it was closed. */
	closed = 0;

	constructor() {
		super("vnode");
	}

	override pread(_thread: unknown, buffer: Uint8Array, offset: number): number {
		const bytes = this.bytes.subarray(offset, offset + buffer.length);
		buffer.set(bytes);
		return bytes.length;
	}

	override pwrite(_thread: unknown, buffer: Uint8Array, offset: number): number {
		if (offset + buffer.length > 10) return -errno.EFBIG;
		this.bytes.set(buffer, offset);
		return buffer.length;
	}

	override close(): void {
		this.closed++;
	}
}

function world(flags = 3) {
	const m = machine();
	const file = new Ten();
	file.flags = flags;
	return { ...m, file, fd: openFile(m.thread, file) };
}

test("bytes are read from an offset, and written to one", () => {
	const { thread, file, fd } = world();
	const buffer = new Uint8Array(3);
	assert.is(pread(thread, fd, buffer, 2), 3);
	assert.equal([...buffer], [2, 3, 4]);
	assert.is(pread(thread, fd, buffer, 9), 1);
	assert.is(pread(thread, fd, buffer, Number.MAX_SAFE_INTEGER), 0);
	assert.equal([...buffer], [9, 3, 4]);
	assert.is(pwrite(thread, fd, Uint8Array.of(70, 80), 7), 2);
	assert.is(pwrite(thread, fd, new Uint8Array(0), 10), 0);
	assert.equal([...file.bytes], [0, 1, 2, 3, 4, 5, 6, 70, 80, 9]);
});

test("several buffers are filled and written as if they were one", () => {
	const { thread, file, fd } = world();
	const buffers = [new Uint8Array(2), new Uint8Array(0), new Uint8Array(3), new Uint8Array(4)];
	assert.is(preadv(thread, fd, buffers, 4), 6);
	assert.equal(
		buffers.map((buffer) => [...buffer]),
		[[4, 5], [], [6, 7, 8], [9, 0, 0, 0]],
	);
	assert.is(pwritev(thread, fd, [Uint8Array.of(1), Uint8Array.of(2, 3)], 0), 3);
	assert.equal([...file.bytes], [1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
	assert.equal([preadv(thread, fd, [], 0), pwritev(thread, fd, [], 0)], [0, 0]);
});

test("wrong arguments get their errno, and nothing is written", () => {
	const { thread, file, fd } = world();
	const reader = openFile(thread, Object.assign(new Ten(), { flags: 1 }));
	const writer = openFile(thread, Object.assign(new Ten(), { flags: 2 }));
	const stream = openFile(thread, new SyntheticFile());
	const one = new Uint8Array(1);
	const codes = (of: number, offset: unknown, buffer: unknown = one): unknown[] => {
		const at = offset as number;
		const bytes = buffer as Uint8Array;
		return [
			codeOf(() => pread(thread, of, bytes, at)),
			codeOf(() => pwrite(thread, of, bytes, at)),
			codeOf(() => preadv(thread, of, [bytes], at)),
			codeOf(() => pwritev(thread, of, [bytes], at)),
		];
	};
	const all = (code: string): string[] => [code, code, code, code];
	for (const offset of [-1, 0.5, Number.NaN, 2 ** 53, "0", undefined])
		assert.equal(codes(fd, offset), all("EINVAL"), String(offset));
	assert.equal(codes(99, 0), all("EBADF"));
	assert.equal(codes(reader, 0), ["no error", "EBADF", "no error", "EBADF"]);
	assert.equal(codes(writer, 0), ["EBADF", "no error", "EBADF", "no error"]);
	assert.equal(codes(stream, 0), all("ESPIPE"));
	assert.equal(codes(kqueue(thread), 0), all("ESPIPE"));
	assert.equal(codes(fd, 0, "bytes"), all("EFAULT"));
	assert.is(
		codeOf(() => preadv(thread, fd, one as never, 0)),
		"EFAULT",
	);
	assert.is(
		codeOf(() => pwrite(thread, fd, new Uint8Array(4), 7)),
		"EFBIG",
	);
	assert.equal([...file.bytes], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a write without a reader raises SIGPIPE", () => {
	const { thread, file, fd } = world();
	const caught: number[] = [];
	sigaction(thread, SIGPIPE, (signal) => caught.push(signal));
	file.pwrite = () => -errno.EPIPE;
	assert.is(
		codeOf(() => pwrite(thread, fd, new Uint8Array(1), 0)),
		"EPIPE",
	);
	assert.equal(caught, [SIGPIPE]);
});

test("the file stays open during the call, and is closed after it, also after an error", () => {
	const { thread, file, fd } = world();
	const open: number[] = [];
	file.pread = () => {
		close(thread, fd);
		open.push(file.closed);
		throw new Error("broken");
	};
	assert.match(String(codeOf(() => pread(thread, fd, new Uint8Array(1), 0))), /broken/);
	assert.equal([open, file.closed], [[0], 1]);
});

test.run();

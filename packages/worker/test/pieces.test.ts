// Calls whose data does not fit into the mailbox.
import * as assert from "node:assert/strict";
import { Kernel } from "@kqpoll/kqueue";
import type { WASI } from "@kqpoll/wasi";
import { type WasiImport, wasiErrno } from "@kqpoll/wasi/kernel";
import { test } from "uvu";
import { mailed, type Side } from "./pair.ts";

const MEGABYTE = 2 ** 20;
const REGULAR_FILE = 4;
const SOCKET_DGRAM = 5;
const SOCKET_STREAM = 6;

/** What a kernel was asked to transfer. */
interface Kept {
	/** How many bytes each time. */
	readonly lengths: number[];
	/** At which offsets. */
	readonly offsets: bigint[];
	/** The bytes of all of them. */
	readonly chunks: Uint8Array[];
}

type Transfer = (piece: Uint8Array) => number;

/** A kernel with one descriptor, whose transfers `move` does: it returns how many bytes, or fails. */
function kernelWith(
	filetype: number,
	move: Transfer,
): { readonly side: Side; readonly kept: Kept } {
	const kept: Kept = { lengths: [], offsets: [], chunks: [] };
	let memory = { buffer: new ArrayBuffer(0) as ArrayBufferLike };
	const view = (): DataView => new DataView(memory.buffer as ArrayBuffer);
	const transfer = (iovs: number, result: number): number => {
		const [at, length] = [view().getUint32(iovs, true), view().getUint32(iovs + 4, true)];
		const bytes = new Uint8Array(memory.buffer, at, length);
		kept.lengths.push(length);
		kept.chunks.push(bytes.slice());
		const moved = move(bytes);
		if (moved < 0) return -moved;
		view().setUint32(result, moved, true);
		return wasiErrno.SUCCESS;
	};
	const functions: Record<string, (...values: never[]) => number> = {
		fd_fdstat_get: (_fd: number, at: number) => {
			if (filetype < 0) return wasiErrno.NOTCAPABLE;
			view().setUint8(at, filetype);
			return wasiErrno.SUCCESS;
		},
		fd_write: (_fd: number, iovs: number, _n: number, at: number) => transfer(iovs, at),
		fd_read: (_fd: number, iovs: number, _n: number, at: number) => transfer(iovs, at),
		sock_recv: (_fd: number, iovs: number, _n: number, _flags: number, at: number) =>
			transfer(iovs, at),
		fd_pwrite: (_fd: number, iovs: number, _n: number, offset: bigint, at: number) => {
			kept.offsets.push(offset);
			return transfer(iovs, at);
		},
		poll_oneoff: (from: number, to: number, n: number, found: number) => {
			for (let i = 0; i < n; i++)
				view().setBigUint64(to + 32 * i, view().getBigUint64(from + 48 * i, true), true);
			view().setUint32(found, n, true);
			return wasiErrno.SUCCESS;
		},
	};
	const wasi = {
		functions: functions as Record<string, WasiImport>,
		thread: new Kernel().spawn().main,
		finalizeBindings: (_: unknown, given: { memory: typeof memory }) => {
			memory = given.memory;
		},
	} as unknown as WASI;
	return { side: mailed(() => {}, wasi, 4 * MEGABYTE), kept };
}

/** Calls a transfer of a megabyte in two parts of the memory; returns the error and the count. */
function megabyte(side: Side, name: string, ...more: (number | bigint)[]): [number, number] {
	const view = new DataView(side.memory.buffer);
	[MEGABYTE, 1000, MEGABYTE + 5000, MEGABYTE - 1000].forEach((word, i) => {
		view.setUint32(4 * i, word, true);
	});
	const errno = side.call(name, 3, 0, 2, ...more, 64, 72);
	return [errno, view.getUint32(64, true)];
}

const all: Transfer = ({ length }) => length;

test("a long write goes piece by piece, with the offset of each", () => {
	const { side, kept } = kernelWith(REGULAR_FILE, all);
	for (let i = MEGABYTE; i < side.memory.length; i++) side.memory[i] = i % 251;
	assert.deepEqual(megabyte(side, "fd_pwrite", 5n), [wasiErrno.SUCCESS, MEGABYTE]);
	assert.ok(kept.lengths.length > 1);
	assert.equal(kept.offsets[0], 5n);
	assert.equal(kept.offsets[1], BigInt(5 + (kept.lengths[0] as number)));
	const { memory } = side;
	const first = memory.subarray(MEGABYTE, MEGABYTE + 1000);
	const second = memory.subarray(MEGABYTE + 5000, 2 * MEGABYTE + 4000);
	assert.ok(Buffer.concat(kept.chunks).equals(Buffer.concat([first, second])));
});

test("a long write ends with a piece that was not taken as a whole", () => {
	const { side, kept } = kernelWith(SOCKET_STREAM, ({ length }) =>
		kept.lengths.length === 2 ? 10 : length,
	);
	const [piece] = [128 * 1024 - 64];
	assert.deepEqual(megabyte(side, "fd_write"), [wasiErrno.SUCCESS, piece + 10]);
});

test("an error after the first piece is that of the next call", () => {
	const { side, kept } = kernelWith(SOCKET_STREAM, ({ length }) =>
		kept.lengths.length === 2 ? -wasiErrno.PIPE : length,
	);
	assert.deepEqual(megabyte(side, "fd_write"), [wasiErrno.SUCCESS, kept.lengths[0] as number]);
	const other = kernelWith(SOCKET_STREAM, () => -wasiErrno.PIPE);
	assert.equal(megabyte(other.side, "fd_write")[0], wasiErrno.PIPE);
});

test("a long read of a file fills the buffer, one of a stream takes what is there", () => {
	const file = kernelWith(REGULAR_FILE, (piece) => piece.fill(7).length);
	assert.deepEqual(megabyte(file.side, "fd_read"), [wasiErrno.SUCCESS, MEGABYTE]);
	assert.equal(file.side.memory[2 * MEGABYTE + 3999], 7);
	assert.equal(file.side.memory[2 * MEGABYTE + 4000], 0);
	const stream = kernelWith(SOCKET_STREAM, all);
	assert.deepEqual(megabyte(stream.side, "fd_read"), [
		wasiErrno.SUCCESS,
		stream.kept.lengths[0] as number,
	]);
	assert.equal(stream.kept.lengths.length, 1);
});

test("a descriptor whose kind is not known is one of a stream", () => {
	const { side, kept } = kernelWith(-1, all);
	assert.deepEqual(megabyte(side, "fd_read"), [wasiErrno.SUCCESS, kept.lengths[0] as number]);
	assert.deepEqual(megabyte(side, "fd_write"), [wasiErrno.SUCCESS, MEGABYTE]);
});

test("a long receive that waits for all goes on until the buffer is full", () => {
	const { side } = kernelWith(SOCKET_STREAM, all);
	assert.deepEqual(megabyte(side, "sock_recv", 2), [wasiErrno.SUCCESS, MEGABYTE]);
	const peek = kernelWith(SOCKET_STREAM, all);
	megabyte(peek.side, "sock_recv", 3);
	assert.equal(peek.kept.lengths.length, 1);
});

test("a long message stays whole", () => {
	const { side, kept } = kernelWith(SOCKET_DGRAM, all);
	assert.deepEqual(megabyte(side, "fd_write"), [wasiErrno.SUCCESS, MEGABYTE]);
	assert.deepEqual(kept.lengths, [MEGABYTE]);
});

test("ten thousand subscriptions go at once", () => {
	const { side } = kernelWith(REGULAR_FILE, all);
	const n = 10_000;
	const view = new DataView(side.memory.buffer);
	for (let i = 0; i < n; i++) view.setBigUint64(1024 + 48 * i, BigInt(i), true);
	assert.equal(side.call("poll_oneoff", 1024, MEGABYTE, n, 64), wasiErrno.SUCCESS);
	assert.equal(view.getUint32(64, true), n);
	assert.equal(view.getBigUint64(MEGABYTE + 32 * (n - 1), true), BigInt(n - 1));
});

test("what a kernel does not have is NOSYS", () => {
	const { side } = kernelWith(REGULAR_FILE, all);
	assert.equal(side.call("fd_close", 3), wasiErrno.NOSYS);
});

test.run();

// The memory of the guest, as its own thread sees it: views of what its pointers name.
import { wasiErrno } from "@kqpoll/wasi/kernel";

/** A transfer takes no more pieces than this, as readv(2). */
export const IOV_MAX = 1024;
/** How long a pair of pointer and length is, in bytes. */
const IOVEC = 8;

/** An error number of WASI that a function returns without asking the kernel. */
export class Refusal {
	/** The number. */
	readonly errno: number;

	/** Takes the number. */
	constructor(errno: number) {
		this.errno = errno;
	}
}

const FAULT = new Refusal(wasiErrno.FAULT);

/** The memory of a guest, which is known once it was instantiated. */
export class GuestMemory {
	/** What the guest exports. */
	memory: { readonly buffer: ArrayBufferLike } = { buffer: new ArrayBuffer(0) };

	/** The bytes at a pointer: a view, which lasts until the guest continues. Throws FAULT. */
	bytes(pointer: number, length: number): Uint8Array {
		const { buffer } = this.memory;
		const from = pointer >>> 0;
		const size = length >>> 0;
		if (from + size > buffer.byteLength) throw FAULT;
		return new Uint8Array(buffer as ArrayBuffer, from, size);
	}

	/** A list of `count` structures of `size` bytes each. Throws FAULT. */
	list(pointer: number, count: number, size: number): Uint8Array {
		// The product may not fit into 32 bits.
		if (count * size > this.memory.buffer.byteLength) throw FAULT;
		return this.bytes(pointer, count * size);
	}

	/** The same as {@link bytes}, as numbers. */
	view(pointer: number, length: number): DataView {
		const { buffer, byteOffset } = this.bytes(pointer, length);
		return new DataView(buffer, byteOffset, length >>> 0);
	}

	/**
	 * The pieces that a list of pointers and lengths names, but empty ones, and those after 1024. Throws
	 * FAULT.
	 */
	pieces(pointer: number, count: number): Uint8Array[] {
		const { buffer, byteOffset, byteLength } = this.list(pointer, count >>> 0, IOVEC);
		const list = new DataView(buffer, byteOffset, byteLength);
		const pieces: Uint8Array[] = [];
		for (let at = 0; at < byteLength && pieces.length < IOV_MAX; at += IOVEC) {
			const length = list.getUint32(at + 4, true);
			if (length > 0) pieces.push(this.bytes(list.getUint32(at, true), length));
		}
		return pieces;
	}
}

/** How many bytes there are in all pieces. */
export function lengthOf(pieces: readonly Uint8Array[]): number {
	let length = 0;
	for (const piece of pieces) length += piece.length;
	return length;
}

/** Copies what is in all pieces to one place. */
export function gather(pieces: readonly Uint8Array[], to: Uint8Array, at: number): void {
	let offset = at;
	for (const piece of pieces) {
		to.set(piece, offset);
		offset += piece.length;
	}
}

/** Fills the pieces in their order with `count` bytes from one place. */
export function scatter(
	from: Uint8Array,
	at: number,
	count: number,
	pieces: readonly Uint8Array[],
): void {
	let left = count;
	let offset = at;
	for (const piece of pieces) {
		const n = Math.min(left, piece.length);
		piece.set(from.subarray(offset, offset + n));
		offset += n;
		left -= n;
	}
}

/** Of the bytes in all pieces, those from `begin` on, `length` at most. */
export function slice(pieces: readonly Uint8Array[], begin: number, length: number): Uint8Array[] {
	const part: Uint8Array[] = [];
	let skip = begin;
	let left = length;
	for (const piece of pieces) {
		const some = piece.subarray(skip, skip + left);
		skip = Math.max(0, skip - piece.length);
		left -= some.length;
		if (some.length > 0) part.push(some);
	}
	return part;
}

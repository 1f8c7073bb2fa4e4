// The memory of a guest: numbers, bytes and texts at its pointers, with every one of them checked.
import { wasiErrno } from "../abi/errno.ts";
import { decode, type WasmMemory } from "../platform.ts";
import { fault, stop } from "./trouble.ts";

/** A transfer takes no more pieces than this, as readv(2). */
const IOV_MAX = 1024;
/** How long a pair of pointer and length is, in bytes. */
const IOVEC = 8;
const WORD = 2 ** 32;
const NO_MEMORY: WasmMemory = { buffer: new ArrayBuffer(0) };

/**
 * The memory of a guest. Pointers and lengths are numbers of 32 bits, signed or not. What is outside
 * stops the function with FAULT, before anything is written there. Views are made again when the
 * memory has grown, so a function asks for them again after each sleep.
 */
export class GuestMemory {
	private memory: WasmMemory = NO_MEMORY;
	private buffer: ArrayBufferLike = NO_MEMORY.buffer;
	private data: DataView = new DataView(NO_MEMORY.buffer as ArrayBuffer);

	/** Uses another memory from now on. */
	attach(memory: WasmMemory): void {
		this.memory = memory;
		this.view();
	}

	/** All of it, as it is now. */
	view(): DataView {
		const { buffer } = this.memory;
		if (buffer !== this.buffer) {
			this.buffer = buffer;
			this.data = new DataView(buffer as ArrayBuffer);
		}
		return this.data;
	}

	/** The buffer behind it now. */
	get current(): ArrayBufferLike {
		return this.memory.buffer;
	}

	/** Checks that `length` bytes at `pointer` are inside; returns the pointer as an unsigned number. */
	check(pointer: number, length: number): number {
		const from = pointer >>> 0;
		if (from + length > this.view().byteLength) fault();
		return from;
	}

	/** The bytes at a pointer: a view, which lasts until the memory grows. */
	bytes(pointer: number, length: number): Uint8Array {
		const size = length >>> 0;
		const from = this.check(pointer, size);
		return new Uint8Array(this.buffer as ArrayBuffer, from, size);
	}

	/** Writes 8 bits. */
	setU8(pointer: number, value: number): void {
		this.view().setUint8(this.check(pointer, 1), value);
	}

	/** Writes 16 bits. */
	setU16(pointer: number, value: number): void {
		this.view().setUint16(this.check(pointer, 2), value, true);
	}

	/** Writes 32 bits. */
	setU32(pointer: number, value: number): void {
		this.view().setUint32(this.check(pointer, 4), value, true);
	}

	/** Writes a whole number that is not negative as 64 bits. */
	setU64(pointer: number, value: number): void {
		const at = this.check(pointer, 8);
		// A remainder of numbers this large takes as long as the rest of a call.
		const high = Math.floor(value / WORD);
		this.data.setUint32(at, value - high * WORD, true);
		this.data.setUint32(at + 4, high, true);
	}

	/** Writes 64 bits. */
	setBigU64(pointer: number, value: bigint): void {
		this.view().setBigUint64(this.check(pointer, 8), value, true);
	}

	/** Writes bytes. */
	setBytes(pointer: number, bytes: Uint8Array): void {
		this.bytes(pointer, bytes.length).set(bytes);
	}

	/** A text. ILSEQ for what is not UTF-8. */
	text(pointer: number, length: number): string {
		return decode(this.bytes(pointer, length)) ?? stop(wasiErrno.ILSEQ);
	}

	/**
	 * The pieces of memory that a list of pointers and lengths names. Empty ones are left out, and so
	 * are those after 1024: libraries that pass more go on with the rest. INVAL for more if they belong
	 * to one message.
	 */
	pieces(pointer: number, count: number, isMessage: boolean = false): Uint8Array[] {
		const n = count >>> 0;
		if (isMessage && n > IOV_MAX) stop(wasiErrno.INVAL);
		const from = this.check(pointer, n * IOVEC);
		const { data } = this;
		const pieces: Uint8Array[] = [];
		for (let at = from; at < from + n * IOVEC && pieces.length < IOV_MAX; at += IOVEC) {
			const length = data.getUint32(at + 4, true);
			if (length > 0) pieces.push(this.bytes(data.getUint32(at, true), length));
		}
		return pieces;
	}
}

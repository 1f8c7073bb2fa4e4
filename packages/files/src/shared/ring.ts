// A ring of bytes: what is written at one end is read at the other, without moving the rest.
import { kassert, type Quota } from "@kqpoll/kqueue/kernel";

/** How much room a ring begins with. */
const FIRST_ROOM = 512;

/** A buffer of up to `limit` bytes. Its memory grows by doubling, and only when it is used. */
export class Ring {
	/** How many bytes it may hold. */
	limit: number;
	/** How many bytes it holds. */
	count = 0;
	/** What its memory is charged to, while it has any; null for nothing. */
	payer: Quota | null;
	private bytes: Uint8Array = new Uint8Array(0);
	/** Where the first byte is in the memory. */
	private start = 0;

	/** Makes an empty ring. */
	constructor(limit: number, payer: Quota | null = null) {
		this.limit = limit;
		this.payer = payer;
	}

	/** How many bytes it has room for. */
	get room(): number {
		return this.limit - this.count;
	}

	/**
	 * Appends as many bytes as there is room for, and returns their number; -1, and nothing changes,
	 * if its payer may not use the memory that they need.
	 */
	write(from: Uint8Array): number {
		const n = Math.min(from.length, this.room);
		if (n === 0) return 0;
		if (this.count + n > this.bytes.length && !this.grow(this.count + n)) return -1;
		const { bytes } = this;
		const at = this.wrapped(this.start + this.count);
		const first = Math.min(n, bytes.length - at);
		copy(from, 0, bytes, at, first);
		if (n > first) copy(from, first, bytes, 0, n - first);
		this.count += n;
		return n;
	}

	/** Takes as many bytes as there are and `to` has room for, and returns their number. */
	read(to: Uint8Array): number {
		const n = Math.min(to.length, this.count);
		if (n === 0) return 0;
		const { bytes, start } = this;
		const first = Math.min(n, bytes.length - start);
		copy(bytes, start, to, 0, first);
		if (n > first) copy(bytes, 0, to, first, n - first);
		this.count -= n;
		this.start = this.count === 0 ? 0 : this.wrapped(start + n);
		return n;
	}

	/** Forgets the bytes, and releases the memory. */
	free(): void {
		this.payer?.release(this.bytes.length);
		this.bytes = new Uint8Array(0);
		this.start = 0;
		this.count = 0;
	}

	/** For diagnostics: throws a Panic unless the bytes are within the limit and the memory. */
	check(): void {
		const { bytes, count, limit, start } = this;
		kassert(count >= 0 && count <= limit, "a ring holds at most as many bytes as its limit");
		kassert(count <= bytes.length, "a ring has memory for its bytes");
		kassert(start >= 0 && (start === 0 || start < bytes.length), "a ring begins in its memory");
		kassert(count > 0 || start === 0, "an empty ring begins at the start of its memory");
	}

	/** The place in the memory of a position that may be past its end, by less than one round. */
	private wrapped(at: number): number {
		return at >= this.bytes.length ? at - this.bytes.length : at;
	}

	/** Makes its memory larger. Returns false if that may not be used. */
	private grow(needed: number): boolean {
		let room = Math.max(this.bytes.length, FIRST_ROOM);
		while (room < needed) room *= 2;
		const { bytes, start, count, payer } = this;
		const size = Math.min(room, this.limit);
		if (payer !== null && !payer.charge(size - bytes.length)) return false;
		const grown = new Uint8Array(size);
		const first = Math.min(count, bytes.length - start);
		copy(bytes, start, grown, 0, first);
		copy(bytes, 0, grown, first, count - first);
		this.bytes = grown;
		this.start = 0;
		return true;
	}
}

/** Up to this many bytes are copied one by one: a view of them would cost more. */
const FEW = 64;

/** Copies `n` bytes. */
function copy(from: Uint8Array, start: number, to: Uint8Array, at: number, n: number): void {
	if (n > FEW) to.set(from.subarray(start, start + n), at);
	else for (let i = 0; i < n; i++) to[at + i] = from[start + i] as number;
}

// The bytes of a regular file.
import { kassert } from "@kqpoll/kqueue/kernel";

/** For diagnostics: how many of the zeros behind the bytes are looked at. */
const CHECKED = 64;

/** Bytes that grow and shrink. Reading and writing n of them costs as much as copying n. */
export class Bytes {
	/** The bytes, and behind them zeros. */
	private data: Uint8Array = new Uint8Array(0);
	private length = 0;

	/** How many bytes there are. */
	get size(): number {
		return this.length;
	}

	/** Copies what there is from `offset` on, as much as fits, and returns how many bytes. */
	read(offset: number, into: Uint8Array): number {
		const n = Math.min(into.length, this.length - offset);
		if (n <= 0) return 0;
		into.set(this.data.subarray(offset, offset + n));
		return n;
	}

	/** Copies bytes to `offset`, where there is room, with zeros before it as needed. */
	write(offset: number, from: Uint8Array): void {
		this.data.set(from, offset);
		this.length = Math.max(this.length, offset + from.length);
	}

	/** Cuts the bytes to a size, or adds zeros, for which there is room. */
	resize(size: number): void {
		if (size >= this.length) {
			kassert(size <= this.data.length, "there is room for the zeros");
		} else if (size <= this.data.length / 4) {
			this.data = this.data.slice(0, size);
		} else {
			this.data.fill(0, size, this.length);
		}
		this.length = size;
	}

	/** For diagnostics: throws a Panic unless there is memory for the bytes, and zeros behind them. */
	check(): void {
		const { data, length } = this;
		kassert(length >= 0 && length <= data.length, "a file has memory for its bytes");
		const zeros = data.subarray(length, length + CHECKED);
		kassert(
			zeros.every((byte) => byte === 0),
			"behind the bytes of a file there are zeros",
		);
	}

	/**
	 * Makes room for a size, and returns false without enough memory. The memory doubles, so that a
	 * file that grows is not copied each time.
	 */
	reserve(size: number): boolean {
		if (size <= this.data.length) return true;
		let grown: Uint8Array;
		try {
			grown = new Uint8Array(Math.max(size, 2 * this.data.length));
		} catch {
			return false;
		}
		grown.set(this.data.subarray(0, this.length));
		this.data = grown;
		return true;
	}
}

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

	/**
	 * Copies bytes to `offset`, with zeros before it as needed. Returns false without enough memory.
	 */
	write(offset: number, from: Uint8Array): boolean {
		const end = offset + from.length;
		if (!this.reserve(end)) return false;
		this.data.set(from, offset);
		this.length = Math.max(this.length, end);
		return true;
	}

	/** Cuts the bytes to a size, or adds zeros. Returns false without enough memory. */
	resize(size: number): boolean {
		if (size >= this.length) {
			if (!this.reserve(size)) return false;
		} else if (size <= this.data.length / 4) {
			this.data = this.data.slice(0, size);
		} else {
			this.data.fill(0, size, this.length);
		}
		this.length = size;
		return true;
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

	/** Makes room. The memory doubles, so that a file that grows is not copied each time. */
	private reserve(size: number): boolean {
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

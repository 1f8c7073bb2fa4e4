// The arguments and the environment of a guest, as the kernel writes them.
import type { WasiImport } from "@kqpoll/wasi/kernel";
import type { Strings } from "../abi/messages.ts";

/** Where the kernel sees the memory of the guest. */
export interface Seen {
	/** The memory. */
	buffer: ArrayBufferLike;
}

/**
 * Asks two functions for them: one says how many there are and how many bytes, the other writes
 * pointers to them and the bytes.
 */
export function stringsOf(
	memory: Seen,
	measure: WasiImport | undefined,
	put: WasiImport | undefined,
): Strings {
	const sizes = new ArrayBuffer(8);
	memory.buffer = sizes;
	measure?.(0, 4);
	const [count = 0, length = 0] = new Uint32Array(sizes);
	const first = 4 * count;
	const all = new ArrayBuffer(first + length);
	memory.buffer = all;
	put?.(0, first);
	const pointers = [...new Uint32Array(all, 0, count)];
	return { bytes: new Uint8Array(all, first), offsets: pointers.map((at) => at - first) };
}

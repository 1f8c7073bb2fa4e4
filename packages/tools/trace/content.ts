// The bytes that operations write, and the digest of those that they read.
import { integer } from "./argument.ts";

/** The bytes that a size and a seed stand for. */
export function content(size: string | undefined, seed: string | undefined): Uint8Array {
	const bytes = new Uint8Array(integer(size));
	const first = integer(seed) * 31;
	for (let i = 0; i < bytes.length; i++) bytes[i] = first + i * 7;
	return bytes;
}

/** Reads into a buffer; returns what to print: the number of bytes, and their digest if there are any. */
export async function received(
	size: string | undefined,
	call: (buffer: Uint8Array) => Promise<number>,
): Promise<string> {
	const buffer = new Uint8Array(integer(size));
	const n = await call(buffer);
	let digest = 0;
	for (const byte of buffer.subarray(0, n)) digest = (digest * 31 + byte) & 0xffffff;
	return n === 0 ? "0" : `${n} ${digest}`;
}

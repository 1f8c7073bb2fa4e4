// Which values count as bytes.
import { isAnyArrayBuffer } from "node:util/types";

/**
 * The bytes of a string in UTF-8, of an ArrayBuffer or SharedArrayBuffer, or of a view of one; null
 * for anything else. Those of buffers are not copied.
 */
export function bytesOf(value: unknown): Uint8Array | null {
	if (typeof value === "string") return Buffer.from(value);
	if (isAnyArrayBuffer(value)) return new Uint8Array(value);
	if (!ArrayBuffer.isView(value)) return null;
	return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

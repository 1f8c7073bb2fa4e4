// Which values count as bytes.

/**
 * The bytes of an ArrayBuffer, or of a view of one; null for anything else. They are not copied.
 */
export function bytesOf(value: unknown): Uint8Array | null {
	if (value instanceof ArrayBuffer) return new Uint8Array(value);
	if (!ArrayBuffer.isView(value)) return null;
	return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

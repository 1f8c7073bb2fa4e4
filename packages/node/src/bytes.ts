// Which values count as bytes.
import { isAnyArrayBuffer, isDataView, isTypedArray } from "node:util/types";

const NOTHING = new Uint8Array(0);

/** The members that views have from the language itself; a program can put others before them. */
interface ViewMembers {
	readonly buffer: (this: unknown) => ArrayBufferLike;
	readonly byteOffset: (this: unknown) => number;
	readonly byteLength: (this: unknown) => number;
}

const ofArrays = membersOf(Object.getPrototypeOf(Uint8Array.prototype));
const ofDataViews = membersOf(DataView.prototype);

function membersOf(prototype: object): ViewMembers {
	const getter = (name: string): never =>
		Object.getOwnPropertyDescriptor(prototype, name)?.get as never;
	return {
		buffer: getter("buffer"),
		byteOffset: getter("byteOffset"),
		byteLength: getter("byteLength"),
	};
}

/**
 * The bytes of a string in UTF-8, of an ArrayBuffer or SharedArrayBuffer, or of a view of one; null
 * for anything else. Those of buffers are not copied. A buffer that is detached has none.
 */
export function bytesOf(value: unknown): Uint8Array | null {
	if (typeof value === "string") return Buffer.from(value);
	try {
		if (isAnyArrayBuffer(value)) return new Uint8Array(value);
		if (isTypedArray(value)) return viewed(value, ofArrays);
		return isDataView(value) ? viewed(value, ofDataViews) : null;
	} catch {
		return NOTHING;
	}
}

function viewed(value: unknown, { buffer, byteOffset, byteLength }: ViewMembers): Uint8Array {
	return new Uint8Array(buffer.call(value), byteOffset.call(value), byteLength.call(value));
}

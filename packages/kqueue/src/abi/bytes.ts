// The bytes and words that a program passes: views of the engine's own, over the same memory.
import { errno, SystemError } from "./errno.ts";

/**
 * The members that every typed array has from the language itself. A program can define others of
 * the same name, or pass a Proxy: those are never asked.
 */
const intrinsic = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
/**
 * In bytes, for an array of any kind. `length` is never asked about memory that may be gone: where
 * compiled code has seen arrays of resizable buffers, V8 (of Node.js 20 and 22) goes on returning
 * the length that a detached array had.
 */
const byteLengthOf: (this: unknown) => number = getter(intrinsic, "byteLength");
const offsetOf: (this: unknown) => number = getter(intrinsic, "byteOffset");
const memoryOf: (this: unknown) => ArrayBuffer = getter(intrinsic, "buffer");
const kindOf: (this: unknown) => string | undefined = getter(intrinsic, Symbol.toStringTag);
const sizeOf: (this: unknown) => number = getter(ArrayBuffer.prototype, "byteLength");
/** Throws for an array without memory: one that is detached, or out of the bounds of its buffer. */
const { at } = intrinsic;

function getter(of: object, name: string | symbol): (this: unknown) => never {
	const { get } = Object.getOwnPropertyDescriptor(of, name) as { get: (this: unknown) => never };
	return get;
}

const NOTHING = new Uint8Array(0);
const NO_WORDS = new Int32Array(0);

/**
 * A plain Uint8Array over the memory that a program's Uint8Array has now. Its length is fixed: it
 * changes only when the memory goes away, because the buffer was detached, shrunk, or belongs to a
 * WASM memory that grew. A call that has slept, or has called something of the program, asks
 * {@link isIntact} before it touches the bytes. Throws EFAULT for what is not a
 * Uint8Array, which a Proxy of one is not either, and for one whose memory is gone. `what` names
 * the argument in messages.
 */
export function viewOf(value: unknown, name: string, what = "the buffer"): Uint8Array {
	const length = lengthIn(value, "Uint8Array", name, what);
	if (length === 0) return NOTHING;
	return new Uint8Array(memoryOf.call(value), offsetOf.call(value), length);
}

/** Whether a view that {@link viewOf} has made still has its memory: of `length` bytes. */
export function isIntact(view: Uint8Array, length: number): boolean {
	return view.byteLength === length;
}

/** As {@link viewOf}, for an Int32Array. */
export function wordsOf(value: unknown, name: string, what: string): Int32Array {
	const length = lengthIn(value, "Int32Array", name, what);
	if (length === 0) return NO_WORDS;
	return new Int32Array(memoryOf.call(value), offsetOf.call(value), length);
}

/** How many entries an array of this kind has. Throws EFAULT. */
function lengthIn(value: unknown, kind: string, name: string, what: string): number {
	if (kindOf.call(value) !== kind) {
		const article = kind === "Int32Array" ? "an" : "a";
		throw new SystemError(errno.EFAULT, name, `${what} is not ${article} ${kind}`);
	}
	const size = byteLengthOf.call(value);
	if (size === 0 && !hasMemory(value)) {
		const why = `the memory of ${what} is detached or out of bounds`;
		throw new SystemError(errno.EFAULT, name, why);
	}
	return kind === "Int32Array" ? size / Int32Array.BYTES_PER_ELEMENT : size;
}

function hasMemory(array: unknown): boolean {
	try {
		at.call(array as Uint8Array, 0);
		return true;
	} catch {
		return false;
	}
}

/** Of at most this many bytes a copy costs less than a view. */
const FEW = 64;

/**
 * As {@link viewOf}, for bytes that are only read: of a few it is a copy. The platform makes a
 * buffer for a small array only when it is asked for it, which costs more than a write.
 */
export function contentOf(value: unknown, name: string, what = "the buffer"): Uint8Array {
	return isFew(value) ? new Uint8Array(value) : viewOf(value, name, what);
}

function isFew(value: unknown): value is Uint8Array {
	if (kindOf.call(value) !== "Uint8Array") return false;
	const length = byteLengthOf.call(value);
	return length > 0 && length <= FEW;
}

/** A view is kept if its buffer has at most this many bytes, so that what is kept is small. */
const KEPT_MAX = 1024 * 1024;

/** Makes views as {@link viewOf} does, without a new object when the program passes the same again. */
export class LastView {
	/** What the view was made of. */
	private from: unknown = null;
	private view: Uint8Array = NOTHING;

	/** The view of what a program passes. */
	of(value: unknown, name: string): Uint8Array {
		const { view } = this;
		// An array keeps its buffer and its offset; the length of one that tracks its buffer changes.
		const isSame = value === this.from && view.byteLength > 0;
		if (isSame && isIntact(view, byteLengthOf.call(value))) return view;
		return this.make(value, name);
	}

	/** As {@link contentOf}: a copy of a few bytes the first time, a view when they are passed again. */
	content(value: unknown, name: string): Uint8Array {
		if (value === this.from || !isFew(value)) return this.of(value, name);
		this.from = value;
		this.view = NOTHING;
		return new Uint8Array(value);
	}

	private make(value: unknown, name: string): Uint8Array {
		const view = viewOf(value, name);
		const kept = isSmall(view.buffer);
		this.from = kept ? value : null;
		this.view = kept ? view : NOTHING;
		return view;
	}
}

/** Whether a buffer is small. One that is shared is not asked, as it has another size. */
function isSmall(buffer: ArrayBufferLike): boolean {
	if (Object.getPrototypeOf(buffer) !== ArrayBuffer.prototype) return false;
	try {
		return sizeOf.call(buffer) <= KEPT_MAX;
	} catch {
		// A program has given shared memory the prototype of the other.
		return false;
	}
}

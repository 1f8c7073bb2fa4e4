// Views of the bytes that programs pass: of genuine Uint8Arrays with memory, and of nothing else.
import { runInNewContext } from "node:vm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LastView } from "../../src/abi/bytes.ts";
import { SystemError } from "../../src/index.ts";
import { viewOf } from "../../src/kernel.ts";

/** A buffer that can change its size, which the types of the language level do not know yet. */
interface Resizable extends ArrayBuffer {
	resize(size: number): void;
}

const { WebAssembly: wasm } = globalThis as unknown as {
	readonly WebAssembly: {
		readonly Memory: new (pages: {
			initial: number;
		}) => {
			readonly buffer: ArrayBuffer;
			grow(pages: number): number;
		};
	};
};

function resizable(size: number, max: number): Resizable {
	const make = ArrayBuffer as unknown as new (n: number, options: object) => Resizable;
	return new make(size, { maxByteLength: max });
}

function detached(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
	structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
	return bytes;
}

/** What viewOf says about a value: the bytes of the view, or the code of its error. */
function seen(value: unknown): number[] | string {
	try {
		return [...viewOf(value, "read")];
	} catch (error) {
		return error instanceof SystemError ? error.code : String(error);
	}
}

function boom(): never {
	throw new Error("asked");
}

test("a view has the bytes of the array, in the same memory", () => {
	const bytes = Uint8Array.of(1, 2, 3, 4);
	const view = viewOf(bytes.subarray(1, 3), "read");
	view[0] = 9;
	assert.equal([...bytes], [1, 9, 3, 4]);
	assert.equal(seen(Buffer.from([5, 6])), [5, 6]);
	assert.equal(seen(new Uint8Array(new SharedArrayBuffer(2))), [0, 0]);
	assert.equal(seen(new Uint8Array(0)), []);
	assert.equal(seen(runInNewContext("Uint8Array.of(7)")), [7]);
});

test("what a program defines on its array is not asked", () => {
	class Odd extends Uint8Array<ArrayBuffer> {
		override get length(): number {
			return boom();
		}
		override get buffer(): ArrayBuffer {
			return boom();
		}
		override get byteOffset(): number {
			return boom();
		}
		override subarray(): never {
			return boom();
		}
		override get [Symbol.toStringTag](): "Uint8Array" {
			return boom();
		}
	}
	assert.equal(seen(new Odd(new ArrayBuffer(3))), [0, 0, 0]);
	for (const length of [0, 70, -1, Number.NaN, Number.POSITIVE_INFINITY, 10n]) {
		const bytes = Uint8Array.of(1, 2);
		Object.defineProperty(bytes, "length", { value: length });
		assert.equal(seen(bytes), [1, 2], `of length ${length}`);
	}
	assert.equal(seen(Object.setPrototypeOf(Uint8Array.of(8), null)), [8]);
});

test("what is not a Uint8Array is EFAULT, also a Proxy of one", () => {
	const { proxy, revoke } = Proxy.revocable(new Uint8Array(1), {});
	assert.is(seen(proxy), "EFAULT");
	revoke();
	const others = [
		proxy,
		new Proxy(new Uint8Array(1), { getPrototypeOf: boom, get: boom }),
		Object.create(Uint8Array.prototype),
		new Int8Array(1),
		new Uint8ClampedArray(1),
		new DataView(new ArrayBuffer(1)),
		new ArrayBuffer(1),
		[1],
		"bytes",
		17,
		1n,
		Symbol("bytes"),
		null,
		undefined,
		boom,
	];
	for (const value of others) assert.is(seen(value), "EFAULT");
});

test("an array whose memory is gone is EFAULT, and an empty one is not", () => {
	const buffer = resizable(8, 16);
	const fixed = new Uint8Array(buffer, 4, 4);
	const tracking = new Uint8Array(buffer, 4);
	buffer.resize(16);
	assert.equal([seen(fixed).length, seen(tracking).length], [4, 12]);
	buffer.resize(4);
	assert.equal([seen(fixed), seen(tracking)], ["EFAULT", []]);
	buffer.resize(2);
	assert.equal([seen(fixed), seen(tracking)], ["EFAULT", "EFAULT"]);
	assert.is(seen(detached(new Uint8Array(3))), "EFAULT");
	assert.is(seen(detached(new Uint8Array(0))), "EFAULT");
});

test("the length of a view stays until its memory goes away", () => {
	const buffer = resizable(8, 16);
	const view = viewOf(new Uint8Array(buffer), "read");
	buffer.resize(16);
	assert.is(view.length, 8);
	buffer.resize(7);
	assert.is(view.length, 0);
	const memory = new wasm.Memory({ initial: 1 });
	const other = viewOf(new Uint8Array(memory.buffer, 0, 10), "read");
	memory.grow(1);
	assert.is(other.length, 0);
});

test("the same array has the same view, until its length or its memory is another one", () => {
	const last = new LastView();
	const one = new Uint8Array(4);
	const view = last.of(one, "read");
	assert.is(last.of(one, "read"), view);
	assert.is.not(last.of(new Uint8Array(4), "read"), view);
	const buffer = resizable(8, 16);
	const tracking = new Uint8Array(buffer);
	const lengths = [8, 16, 4, 16].map((size) => {
		buffer.resize(size);
		return last.of(tracking, "read").length;
	});
	assert.equal(lengths, [8, 16, 4, 16]);
	const gone = detached(new Uint8Array(4));
	assert.throws(() => last.of(gone, "read"), /detached/);
	const kept = new Uint8Array(4);
	last.of(kept, "read");
	detached(kept);
	assert.throws(() => last.of(kept, "read"), /detached/);
});

test("a view over much memory is not kept", () => {
	const last = new LastView();
	const bytes = new Uint8Array(new ArrayBuffer(2 ** 21), 0, 1);
	assert.is.not(last.of(bytes, "read"), last.of(bytes, "read"));
	const shared = new Uint8Array(new SharedArrayBuffer(1));
	assert.is.not(last.of(shared, "read"), last.of(shared, "read"));
});

test.run();

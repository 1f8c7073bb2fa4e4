// Hostile objects: what takes the place of an honest argument.
import { isLabelled as isHostile, label } from "./print.ts";
import { Thrown, type World } from "./world.ts";

/** Makes a hostile object of an honest value, or returns null where it makes no sense. */
type Maker = (value: unknown, world: World) => unknown;

/** What cannot be a length, and what can, but is not the right one. */
const LENGTHS: readonly unknown[] = [
	Number.NaN,
	-1,
	-5,
	0.5,
	2 ** 31,
	2 ** 32,
	2 ** 53,
	Number.POSITIVE_INFINITY,
	"2",
	10n,
	undefined,
	null,
	Symbol.iterator,
];

/** An argument as a hostile program passes it: in its place, or around it. */
export function hostile(value: unknown, world: World): unknown {
	const { random } = world;
	// It may be one already, which must not be looked at.
	if (isHostile(value)) return value;
	if (value instanceof Uint8Array) return random.pick(BYTES)(value, world);
	if (Array.isArray(value)) return random.pick(LISTS)(value, world);
	if (typeof value === "function") return random.pick(ODDITIES)(value, world);
	if (typeof value === "object" && value !== null) return random.pick(OBJECTS)(value, world);
	return random.pick(SCALARS)(value, world);
}

/** What an accessor does when it is asked: throws, calls back, or both; sometimes nothing. */
function surprise(world: World): () => void {
	const { random } = world;
	const throws = random.once(3);
	const acts = random.once(2);
	const after = random.below(3);
	const callback = acts ? world.callback(throws) : null;
	let asked = 0;
	return () => {
		if (asked++ < after) return;
		if (callback !== null) callback();
		else if (throws) throw new Thrown("by an accessor");
	};
}

const ODDITIES: readonly Maker[] = [
	() => 5n,
	() => Symbol("hostile"),
	() => label("null-prototype object", Object.create(null)),
	() => revoked({}),
	() => label("date", new Date(Number.NaN)),
	() => label("class", class {}),
];

const SCALARS: readonly Maker[] = [
	...ODDITIES,
	(value) => BigInt(typeof value === "number" && Number.isSafeInteger(value) ? value : 3),
	(value, world) => {
		const ask = surprise(world);
		const convert = (): unknown => {
			ask();
			return value;
		};
		return label("object with valueOf", {
			valueOf: convert,
			toString: convert,
			[Symbol.toPrimitive]: convert,
		});
	},
	(value) => label("boxed value", Object(value)),
	(value) => String(value),
	(value) => [value],
];

const OBJECTS: readonly Maker[] = [
	...ODDITIES,
	withAccessors,
	withAccessors,
	withChangingFields,
	watched,
	(value) => Object.freeze({ ...(value as object) }),
	(value) => Object.assign(Object.create(null), value),
	(value) => revoked(value as object),
	(value, world) => withHostileField(value as Record<string, unknown>, world),
];

const LISTS: readonly Maker[] = [
	...ODDITIES,
	watched,
	(value) => revoked(value as object),
	(value, world) => lying(value as unknown[], world.random.pick(LENGTHS)),
	(value, world) => lying(value as unknown[], (value as unknown[]).length + world.random.below(4)),
	(value, world) => {
		const list = [...(value as unknown[])];
		const ask = surprise(world);
		const at = world.random.below(list.length + 1);
		const item = list[at];
		Object.defineProperty(list, at, {
			enumerable: true,
			configurable: true,
			get() {
				ask();
				return item;
			},
			set: ask,
		});
		return label("list with an accessor", list);
	},
	(value, world) => {
		const list = [...(value as unknown[])];
		const at = world.random.below(list.length + 1);
		list[at] = hostile(list[at], world);
		return list;
	},
	(value) => Object.freeze([...(value as unknown[])]),
	(value, world) => {
		const list = [...(value as unknown[])];
		world.mutations.push(() => world.random.pick(CHANGES)(list));
		return label("list that changes", list);
	},
	(value, world) => {
		const list = [...(value as unknown[])];
		const ask = surprise(world);
		Object.defineProperty(list, Symbol.iterator, {
			value: () => {
				ask();
				return [][Symbol.iterator]();
			},
		});
		Object.defineProperty(list, "map", { value: () => [null, {}, 7] });
		return label("list with an iterator of its own", list);
	},
	() => label("sparse list", new Array<unknown>(3)),
	() => label("not a list", { length: 2, 0: {}, 1: {} }),
];

const CHANGES: readonly ((list: unknown[]) => void)[] = [
	(list) => {
		list.length = 0;
	},
	(list) => {
		list.push(null, 7, {});
	},
	(list) => {
		list[0] = null;
	},
	(list) => {
		list.reverse();
	},
];

const BYTES: readonly Maker[] = [
	...ODDITIES,
	watched,
	(value) => revoked(value as object),
	() => detached(),
	ownLength,
	ownLength,
	ownLength,
	(value) => label("shared bytes", new Uint8Array(new SharedArrayBuffer(size(value)))),
	resizable,
	resizable,
	wasmMemory,
	detachedLater,
	detachedLater,
	(value) => label("words", new Uint16Array(size(value))),
	(value) => label("DataView", new DataView(new ArrayBuffer(size(value)))),
	(value, world) => overriding(size(value), world),
	(value) => Buffer.from(value as Uint8Array),
];

function size(value: unknown): number {
	return (value as Uint8Array).length;
}

function detached(): Uint8Array {
	const bytes = new Uint8Array(8);
	structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
	return label("detached bytes", bytes);
}

function detachedLater(value: unknown, world: World): unknown {
	const bytes = new Uint8Array(size(value));
	world.mutations.push(() => {
		if (bytes.buffer.byteLength > 0) structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
	});
	return label("bytes that are detached later", bytes);
}

/** What newer platforms have, and our language level does not know. */
type Resizable = ArrayBuffer & {
	readonly maxByteLength: number;
	resize(length: number): void;
};
const ResizableBuffer = ArrayBuffer as unknown as new (
	length: number,
	options: { readonly maxByteLength: number },
) => Resizable;
const { WebAssembly } = globalThis as unknown as {
	readonly WebAssembly: {
		readonly Memory: new (pages: {
			readonly initial: number;
			readonly maximum: number;
		}) => { readonly buffer: ArrayBuffer; grow(pages: number): void };
	};
};

function resizable(value: unknown, world: World): unknown {
	const buffer = new ResizableBuffer(size(value), { maxByteLength: 2 * size(value) + 8 });
	const { random } = world;
	world.mutations.push(() => buffer.resize(random.below(buffer.maxByteLength + 1)));
	const fixed = random.once(2);
	return label(
		"resizable bytes",
		fixed ? new Uint8Array(buffer, 0, size(value)) : new Uint8Array(buffer),
	);
}

function wasmMemory(value: unknown, world: World): unknown {
	const memory = new WebAssembly.Memory({ initial: 1, maximum: 3 });
	let left = 2;
	world.mutations.push(() => {
		if (left-- > 0) memory.grow(1);
	});
	return label("wasm memory", new Uint8Array(memory.buffer, 0, Math.min(size(value), 65_536)));
}

function ownLength(value: unknown, world: World): unknown {
	const { random } = world;
	const bytes = new Uint8Array(size(value));
	const length = random.once(3) ? random.below(2 * size(value) + 2) : random.pick(LENGTHS);
	const ask = surprise(world);
	const descriptor = random.once(2)
		? { value: length }
		: {
				get() {
					ask();
					return length;
				},
			};
	Object.defineProperty(bytes, random.pick(["length", "byteLength", "buffer"]), descriptor);
	return label(`bytes(${size(value)}) that say ${String(length)}`, bytes);
}

/** Bytes whose methods are those of the program. */
function overriding(length: number, world: World): unknown {
	const ask = surprise(world);
	class Own extends Uint8Array {
		override subarray(from?: number, to?: number): Uint8Array<ArrayBuffer> {
			ask();
			return super.subarray(from, to) as Uint8Array<ArrayBuffer>;
		}
		override set(array: ArrayLike<number>, offset?: number): void {
			ask();
			super.set(array, offset);
		}
		override fill(value: number): this {
			ask();
			return super.fill(value);
		}
		static get [Symbol.species](): unknown {
			ask();
			return Array;
		}
	}
	return label("bytes with methods of their own", new Own(length));
}

function revoked(value: object): unknown {
	const { proxy, revoke } = Proxy.revocable(value, {});
	revoke();
	return label("revoked proxy", proxy);
}

function lying(list: readonly unknown[], length: unknown): unknown {
	const get = (target: readonly unknown[], key: string | symbol): unknown =>
		key === "length" ? length : Reflect.get(target, key);
	return label(`list that says ${String(length)}`, new Proxy(list, { get }));
}

/** A proxy that may do something whenever it is asked. */
function watched(value: unknown, world: World): unknown {
	const ask = surprise(world);
	const trap =
		<A extends unknown[], R>(act: (...args: A) => R) =>
		(...args: A): R => {
			ask();
			return act(...args);
		};
	return label(
		"proxy",
		new Proxy(value as object, {
			get: trap((target, key) => Reflect.get(target, key, target)),
			set: trap((target, key, to) => Reflect.set(target, key, to, target)),
			has: trap(Reflect.has),
			ownKeys: trap(Reflect.ownKeys),
			getPrototypeOf: trap(Reflect.getPrototypeOf),
			getOwnPropertyDescriptor: trap(Reflect.getOwnPropertyDescriptor),
			defineProperty: trap(Reflect.defineProperty),
		}),
	);
}

/** A copy whose fields are accessors. */
function withAccessors(value: unknown, world: World): unknown {
	const copy = {};
	for (const [key, field] of Object.entries(value as object)) {
		const ask = surprise(world);
		Object.defineProperty(copy, key, {
			enumerable: true,
			configurable: true,
			get() {
				ask();
				return field;
			},
			set: ask,
		});
	}
	return label(`accessors of ${Object.keys(copy).join(", ")}`, copy);
}

/** A copy whose fields are different each time. */
function withChangingFields(value: unknown, world: World): unknown {
	const copy = {};
	const { random } = world;
	for (const [key, field] of Object.entries(value as object)) {
		const after = random.below(3);
		const other = random.once(2) ? random.pick(LENGTHS) : hostile(field, world);
		let asked = 0;
		Object.defineProperty(copy, key, {
			enumerable: true,
			configurable: true,
			get: () => (asked++ < after ? field : other),
			set: () => {},
		});
	}
	return label(`changing ${Object.keys(copy).join(", ")}`, copy);
}

function withHostileField(value: Record<string, unknown>, world: World): unknown {
	const copy = { ...value };
	const key = world.random.pick(Object.keys(copy).concat("other"));
	copy[key] = hostile(copy[key], world);
	return copy;
}

/** An AbortSignal that a program has made itself. */
export function ownSignal(world: World): unknown {
	const { random } = world;
	const aborted = surprise(world);
	const adding = surprise(world);
	const removing = surprise(world);
	const listeners = new Set<() => void>();
	let isAborted = random.once(8);
	world.aborts.push(() => {
		isAborted = true;
		for (const listener of listeners) listener();
	});
	const callsAtOnce = random.once(6);
	return label("a signal of the program's own", {
		get aborted() {
			aborted();
			return isAborted;
		},
		get reason() {
			return new Thrown("the reason");
		},
		addEventListener(_type: string, listener: () => void) {
			adding();
			listeners.add(listener);
			if (callsAtOnce) listener();
		},
		removeEventListener(_type: string, listener: () => void) {
			removing();
			listeners.delete(listener);
		},
	});
}

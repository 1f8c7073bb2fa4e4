// What the host needs of its platform: WebAssembly, text, and a console. Nothing else may touch it.

/** A module that is compiled: a WebAssembly.Module. */
export type WasmModule = object;

/** A WebAssembly.Instance. */
export interface WasmInstance {
	/** What it exports. */
	readonly exports: Readonly<Record<string, unknown>>;
}

/** A WebAssembly.Memory, or what stands for one. */
export interface WasmMemory {
	/** Its bytes now; another object after it has grown. */
	readonly buffer: ArrayBufferLike;
}

/** What a module imports, by module and name. */
export type WasmImports = Record<string, Record<string, unknown>>;

declare const WebAssembly: {
	readonly Instance: new (module: WasmModule, imports: WasmImports) => WasmInstance;
	instantiate(module: WasmModule, imports: WasmImports): Promise<WasmInstance>;
	readonly Suspending?: new (fn: (...args: never[]) => unknown) => unknown;
	readonly promising?: (fn: unknown) => () => Promise<unknown>;
};

declare class TextEncoder {
	encode(text: string): Uint8Array;
}

declare class TextDecoder {
	constructor(encoding: "utf-8", options: { fatal: boolean; ignoreBOM: boolean });
	decode(bytes: Uint8Array): string;
}

declare const crypto: { getRandomValues(bytes: Uint8Array): unknown } | undefined;
declare const console: { log(line: string): void; error(line: string): void };
declare const process: { exit?: (status: number) => never } | undefined;

/** Whether the platform can suspend a guest (JavaScript Promise Integration). */
export function canSuspend(): boolean {
	return (
		typeof WebAssembly.Suspending === "function" && typeof WebAssembly.promising === "function"
	);
}

/* c8 ignore start: with JSPI only, which the Node that measures may not have */
/** An import during which the guest is suspended while its promise is pending. */
export function suspending(fn: (...args: never[]) => unknown): unknown {
	const { Suspending } = WebAssembly;
	return Suspending === undefined ? fn : new Suspending(fn);
}

/** An export that returns a promise, as it may be suspended. */
export function promising(fn: unknown): () => Promise<unknown> {
	const { promising: wrap } = WebAssembly;
	if (wrap === undefined) throw new TypeError("WebAssembly.promising is not there");
	return wrap(fn);
}
/* c8 ignore stop */

/** Instantiates a module at once. A browser's main thread refuses this for large modules. */
export function instantiateNow(module: WasmModule, imports: WasmImports): WasmInstance {
	return new WebAssembly.Instance(module, imports);
}

/* c8 ignore start: with JSPI only, which the Node that measures may not have */
/** Instantiates a module. */
export function instantiate(module: WasmModule, imports: WasmImports): Promise<WasmInstance> {
	return WebAssembly.instantiate(module, imports);
}
/* c8 ignore stop */

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** The bytes of a text in UTF-8. */
export function encode(text: string): Uint8Array {
	return encoder.encode(text);
}

/** The text of bytes that are UTF-8, null if they are not. They may be in shared memory. */
export function decode(bytes: Uint8Array): string | null {
	try {
		return strict.decode(unshared(bytes));
	} catch {
		return null;
	}
}

/** The text of bytes, with a replacement for what is not UTF-8. */
export function decodeLoosely(bytes: Uint8Array): string {
	return lenient.decode(unshared(bytes));
}

/** Decoders refuse shared memory. */
function unshared(bytes: Uint8Array): Uint8Array {
	return bytes.buffer instanceof ArrayBuffer ? bytes : new Uint8Array(bytes);
}

/** How many bytes the platform fills at once. */
const RANDOM_MAX = 65_536;

/**
 * Fills `bytes` with random bytes that nobody can predict. Returns false where the platform has
 * none.
 */
export function fillRandom(bytes: Uint8Array): boolean {
	if (typeof crypto === "undefined") return false;
	for (let at = 0; at < bytes.length; at += RANDOM_MAX) {
		const part = bytes.subarray(at, at + RANDOM_MAX);
		// It refuses shared memory.
		const own = part.buffer instanceof ArrayBuffer ? part : new Uint8Array(part.length);
		crypto.getRandomValues(own);
		if (own !== part) part.set(own);
	}
	return true;
}

/** Prints a line on the platform's console. */
export function printLine(line: string, isError: boolean): void {
	if (isError) console.error(line);
	else console.log(line);
}

/** Ends the program that runs the host; returns if the platform has no such thing. */
export function endProgram(status: number): void {
	if (typeof process !== "undefined") process.exit?.(status);
}

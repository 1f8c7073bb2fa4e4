// The platform's WebAssembly, with the types that the examples need.

/** A module that is compiled. */
export type Module = object;

interface Platform {
	readonly Module: new (bytes: Uint8Array) => Module;
}

export const { Module } = (globalThis as unknown as { WebAssembly: Platform }).WebAssembly;

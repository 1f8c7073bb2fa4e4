// The platform's WebAssembly, with the types that the examples need.

/** A module that is compiled. */
export type Module = object;

interface Platform {
	readonly Module: new (bytes: Uint8Array) => Module;
	readonly Suspending?: unknown;
}

const { WebAssembly } = globalThis as unknown as { WebAssembly: Platform };

export const { Module } = WebAssembly;

/** Whether the platform can suspend guests. */
export const canSuspend: boolean = WebAssembly.Suspending !== undefined;

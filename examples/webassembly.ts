// The platform's WebAssembly, with the types that the examples need.

/** A module that is compiled. */
export type Module = object;

/** An instance of a module. */
export interface Instance {
	readonly exports: Readonly<Record<string, unknown>>;
}

type Imports = Record<string, Record<string, unknown>>;

interface Platform {
	readonly Module: new (bytes: Uint8Array) => Module;
	readonly Instance: new (module: Module, imports: Imports) => Instance;
}

export const { Module, Instance } = (globalThis as unknown as { WebAssembly: Platform })
	.WebAssembly;

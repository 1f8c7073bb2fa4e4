// The platform's WebAssembly, with the types that tests need.
import type { WasmImports, WasmInstance, WasmMemory, WasmModule } from "../src/platform.ts";

/** A memory. */
export interface Memory extends WasmMemory {
	readonly buffer: ArrayBuffer;
	grow(pages: number): number;
}

interface Platform {
	readonly Memory: new (limits: { initial: number; maximum?: number }) => Memory;
	readonly Module: new (bytes: Uint8Array) => WasmModule;
	readonly Instance: new (module: WasmModule, imports: WasmImports) => WasmInstance;
}

export const { Memory, Module, Instance } = (globalThis as unknown as { WebAssembly: Platform })
	.WebAssembly;

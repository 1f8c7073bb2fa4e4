// A machine with one guest, whose functions are called as the guest would call them.
import { Kernel, type Process } from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { WASI, type WASIOptions } from "../src/index.ts";
import type { WasiImport } from "../src/kernel.ts";
import { Memory } from "./webassembly.ts";

/** A guest without a module: a memory of one page, and what stands in it. */
export class World {
	readonly host: VirtualHost = new VirtualHost({ epoch: Date.UTC(2026, 0, 1) });
	readonly kernel: Kernel = new Kernel({ host: this.host, diagnostics: true });
	readonly process: Process = this.kernel.spawn();
	readonly memory: Memory = new Memory({ initial: 1 });
	readonly wasi: WASI;
	readonly call: Readonly<Record<string, WasiImport>>;
	private used = 64;

	/** Makes the guest, on a thread of the machine. */
	constructor(options: WASIOptions | ((process: Process) => WASIOptions) = {}) {
		const chosen = typeof options === "function" ? options(this.process) : options;
		this.wasi = new WASI({ thread: this.process.main, ...chosen });
		this.wasi.finalizeBindings({ exports: { memory: this.memory } });
		this.call = this.wasi.functions;
	}

	get view(): DataView {
		return new DataView(this.memory.buffer);
	}

	/** Room in the memory, on a multiple of 8. */
	room(bytes: number): number {
		const at = this.used;
		this.used = (at + bytes + 7) & ~7;
		return at;
	}

	/** Puts bytes into the memory, and returns where they are. */
	put(content: string | Uint8Array): [pointer: number, length: number] {
		const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
		const at = this.room(bytes.length);
		new Uint8Array(this.memory.buffer).set(bytes, at);
		return [at, bytes.length];
	}

	/** A list of pieces of memory, as readv and writev take it. */
	iovs(...pieces: [pointer: number, length: number][]): [pointer: number, count: number] {
		const at = this.room(8 * pieces.length);
		pieces.forEach(([pointer, length], i) => {
			this.view.setUint32(at + 8 * i, pointer, true);
			this.view.setUint32(at + 8 * i + 4, length, true);
		});
		return [at, pieces.length];
	}

	u32(at: number): number {
		return this.view.getUint32(at, true);
	}

	u64(at: number): bigint {
		return this.view.getBigUint64(at, true);
	}

	text(at: number, length: number): string {
		return new TextDecoder().decode(new Uint8Array(this.memory.buffer).slice(at, at + length));
	}
}

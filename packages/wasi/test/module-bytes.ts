// Small modules of WebAssembly, made byte by byte: what no compiler would make is what tests need.
import { Module } from "./webassembly.ts";

/** What is in a module. */
export interface Contents {
	/** Functions without parameters and results that it imports, as module and name. */
	readonly imports?: readonly (readonly [module: string, name: string])[];
	/** The names under which it exports a function that does nothing. */
	readonly functions?: readonly string[];
	/** Whether that function traps instead. */
	readonly traps?: boolean;
	/** Whether it exports a memory of one page. */
	readonly memory?: boolean;
}

/** Below this a number is one byte. */
const LIMIT = 128;
const text = (value: string): number[] => [value.length, ...new TextEncoder().encode(value)];
const list = (items: readonly number[][]): number[] => [items.length, ...items.flat()];

function section(id: number, content: readonly number[]): number[] {
	const low = content.length % LIMIT;
	const high = Math.floor(content.length / LIMIT);
	return [id, ...(high === 0 ? [low] : [low + LIMIT, high]), ...content];
}

/** Makes a module. */
export function makeModule({ imports = [], functions = [], traps, memory }: Contents): object {
	const body = traps ? [3, 0, 0x00, 0x0b] : [2, 0, 0x0b];
	const index = imports.length;
	const exported = functions.map((name) => [...text(name), 0, index]);
	if (memory) exported.push([...text("memory"), 2, 0]);
	return new Module(
		new Uint8Array([
			...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
			...section(1, list([[0x60, 0, 0]])),
			...section(2, list(imports.map(([from, name]) => [...text(from), ...text(name), 0, 0]))),
			...section(3, [1, 0]),
			...section(5, list(memory ? [[0, 1]] : [])),
			...section(7, list(exported)),
			...section(10, list([body])),
		]),
	);
}

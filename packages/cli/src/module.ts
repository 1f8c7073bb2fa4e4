// The program: a module that is read, compiled, and looked at before it runs.
import { readFileSync } from "node:fs";
import { Kernel } from "@kqpoll/kqueue";
import { WASI } from "@kqpoll/wasi";
import { PREVIEW1 } from "@kqpoll/wasi/kernel";
import { CANNOT_RUN, codeOf, messageOf, NOT_FOUND, Refusal } from "./refusal.ts";
import { WebAssembly } from "./webassembly.ts";

/** The second word of a component, where a module has its version. */
const COMPONENT = "0d000100";

/** Reads and compiles a program. Refuses what is not one, and one whose imports are not there. */
export async function loadProgram(path: string, name: string): Promise<object> {
	const bytes = read(path, name);
	if (bytes.subarray(4, 8).toString("hex") === COMPONENT)
		throw new Refusal(`${name} is a component: only modules for WASI preview1 can run`, CANNOT_RUN);
	let module: object;
	try {
		module = await WebAssembly.compile(bytes);
	} catch (error) {
		throw new Refusal(`${name} is not a WebAssembly module: ${messageOf(error)}`, CANNOT_RUN);
	}
	checkImports(module, name);
	checkExports(module, name);
	return module;
}

function read(path: string, name: string): Buffer {
	try {
		return readFileSync(path);
	} catch (error) {
		const status = codeOf(error) === "ENOENT" ? NOT_FOUND : CANNOT_RUN;
		throw new Refusal(`${name} cannot be read: ${messageOf(error)}`, status);
	}
}

function checkImports(module: object, name: string): void {
	const { functions } = new WASI({ thread: new Kernel().spawn().main, mode: "now" });
	const missing = WebAssembly.Module.imports(module).filter(
		(it) => it.module !== PREVIEW1 || it.kind !== "function" || !Object.hasOwn(functions, it.name),
	);
	if (missing.length === 0) return;
	const names = missing.map((it) => `${it.module}.${it.name}`).join(", ");
	throw new Refusal(`${name} needs imports that are not there: ${names}`, CANNOT_RUN);
}

function checkExports(module: object, name: string): void {
	const exports = WebAssembly.Module.exports(module);
	const has = (export_: string, kind: string): boolean =>
		exports.some((it) => it.name === export_ && it.kind === kind);
	if (!has("_start", "function"))
		throw new Refusal(`${name} is not a program: it does not export _start`, CANNOT_RUN);
	if (!has("memory", "memory")) throw new Refusal(`${name} does not export its memory`, CANNOT_RUN);
}

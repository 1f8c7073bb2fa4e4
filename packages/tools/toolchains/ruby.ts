// Ruby as a guest: the interpreter that @ruby/4.0-wasm-wasi brings, and a program that waits.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { pipe } from "@kqpoll/files";
import { WASI } from "@kqpoll/wasi";
import { installed } from "../install.ts";
import { type Expectation, Machine } from "./machine.ts";

const VERSION = "2.10.1";
const VERSIONS = { "@ruby/4.0-wasm-wasi": VERSION, "@ruby/wasm-wasi": VERSION };
const PROGRAM = "packages/tools/toolchains/waits.rb";

declare const WebAssembly: { readonly Module: new (bytes: Uint8Array) => object };

/** The part of @ruby/wasm-wasi that is used. It adds what the interpreter imports besides WASI. */
interface Ruby {
	readonly RubyVM: {
		instantiateModule(options: {
			readonly module: object;
			readonly wasip1: WASI;
		}): Promise<{ readonly vm: { eval(program: string): { toString(): string } } }>;
	};
}

const EXPECTED = [
	"0 s: slept",
	"0.001 s: slept",
	"0.02 s: slept",
	"3600 s: slept",
	"an empty pipe: nil",
	"its other end: true",
	"with a line: true, hello",
	"an hour later: nil",
].join("\n");

/** What the program has to find. */
export function* ruby(): Generator<Expectation> {
	const modules = installed("ruby", VERSIONS);
	yield {
		name: "Ruby, sync: sleep and IO.select",
		// Loading it takes turns of the platform, which a machine in virtual time does not wait for. The
		// calls of the guest block, and need no program around them.
		async play() {
			const { thread } = new Machine();
			const [stdin, stdout] = pipe(thread);
			const wasip1 = new WASI({ thread, args: ["ruby"], stdin, stdout, mode: "sync" });
			const path = join(modules, "@ruby/wasm-wasi/dist/esm/index.js");
			const { RubyVM } = (await import(pathToFileURL(path).href)) as Ruby;
			const bytes = readFileSync(join(modules, "@ruby/4.0-wasm-wasi/dist/ruby.wasm"));
			const module = new WebAssembly.Module(bytes);
			const { vm } = await RubyVM.instantiateModule({ module, wasip1 });
			return vm.eval(readFileSync(PROGRAM, "utf8")).toString();
		},
		expected: EXPECTED,
	};
}

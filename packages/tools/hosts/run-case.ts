// Runs one of the 17 cases of poll_oneoff under one host, and exits with the guest's status. Standard
// input is what the case needs; where a host has no use for that, it gets the same bytes in its way.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { open, pipe, Tree } from "@kqpoll/files";
import { O_CREAT, O_RDWR } from "@kqpoll/files/fcntl";
import { BlockingHost, close, fcntl, Kernel, lseek, type Thread, writeNow } from "@kqpoll/kqueue";
import { F_DUPFD } from "@kqpoll/kqueue/fcntl";
import { SEEK_SET } from "@kqpoll/kqueue/unistd";
import { WASI } from "@kqpoll/wasi";
import { GUESTS } from "../guests/compile.ts";
import type { HostName, Input } from "./cases.ts";

/** An instance, and what a module imports. */
type Instance = { readonly exports: Record<string, unknown> };
type Imports = Record<string, Record<string, unknown>>;
declare const WebAssembly: {
	readonly Module: new (bytes: Uint8Array) => object;
	readonly Instance: new (module: object, imports: Imports) => Instance;
};

const ARGS = ["stdio-cases"];
const FIVE = "hello";

/** How a host runs a module: returns the exit status. */
type Run = (module: object, args: string[], input: Input) => number | Promise<number>;

/** Makes standard input on the emulated machine. */
async function emulated(thread: Thread, input: Input): Promise<number> {
	const bytes = new TextEncoder().encode(FIVE);
	if (input === "file") {
		const fd = await open(thread, new Tree(), "/five", O_RDWR | O_CREAT, 0o644);
		writeNow(thread, fd, bytes);
		lseek(thread, fd, 0, SEEK_SET);
		return fd;
	}
	const [reader, writer] = pipe(thread);
	if (input === "five") writeNow(thread, writer, bytes);
	// The guest's own descriptors begin at 0, and what is there is closed.
	if (input !== "ended") fcntl(thread, writer, F_DUPFD, 10);
	close(thread, writer);
	return reader;
}

/** Loads a package that the command has installed. */
async function load<T>(modules: string, path: string): Promise<T> {
	return (await import(pathToFileURL(join(modules, path)).href)) as T;
}

/** What a module imports of a host, in the shape that most of them have. */
function instantiate(module: object, wasiImport: unknown): Instance {
	return new WebAssembly.Instance(module, {
		wasi_snapshot_preview1: wasiImport as Record<string, unknown>,
	});
}

/** The shape of node:wasi, which others share. */
interface NodeShape {
	readonly wasiImport: unknown;
	start(instance: Instance): number | undefined;
}

/** The hosts by name. `modules` is the folder in which the others are installed. */
const HOSTS: Readonly<Record<HostName, (modules: string) => Promise<Run>>> = {
	"@kqpoll/wasi": async () => async (module, args, input) => {
		const thread = new Kernel({ host: new BlockingHost() }).spawn().main;
		const stdin = await emulated(thread, input);
		const output = (to: NodeJS.WriteStream) => (bytes: Uint8Array) => void to.write(bytes);
		const wasi = new WASI({
			thread,
			args,
			stdin,
			stdout: output(process.stdout),
			stderr: output(process.stderr),
		});
		return wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
	},
	"node:wasi": async () => {
		const { WASI: Theirs } = await import("node:wasi");
		return (module, args) => {
			const wasi: NodeShape = new Theirs({ version: "preview1", args, returnOnExit: true });
			return wasi.start(instantiate(module, wasi.wasiImport)) ?? 0;
		};
	},
	"@tybys/wasm-util": async (modules) => {
		type Theirs = new (options: object) => NodeShape;
		const path = "@tybys/wasm-util/lib/mjs/index.mjs";
		const { WASI: Theirs } = await load<{ WASI: Theirs }>(modules, path);
		const fs = await import("node:fs");
		return (module, args) => {
			const wasi = new Theirs({ version: "preview1", args, fs, returnOnExit: true });
			return wasi.start(instantiate(module, wasi.wasiImport)) ?? 0;
		};
	},
	"@bjorn3/browser_wasi_shim": async (modules) => {
		interface Theirs {
			readonly WASI: new (args: string[], env: string[], fds: object[]) => NodeShape;
			readonly File: new (bytes: Uint8Array) => object;
			readonly OpenFile: new (file: object) => object;
			readonly ConsoleStdout: { lineBuffered(print: (line: string) => void): object };
		}
		const path = "@bjorn3/browser_wasi_shim/dist/index.js";
		const { WASI: Shim, File, OpenFile, ConsoleStdout } = await load<Theirs>(modules, path);
		return (module, args, input) => {
			const bytes = new TextEncoder().encode(input === "five" || input === "file" ? FIVE : "");
			const output = ConsoleStdout.lineBuffered((line) => console.error(line));
			const wasi = new Shim(args, [], [new OpenFile(new File(bytes)), output, output]);
			return wasi.start(instantiate(module, wasi.wasiImport)) ?? 0;
		};
	},
	uwasi: async (modules) => {
		interface Theirs {
			readonly WASI: new (options: object) => NodeShape;
			useAll(options: object): unknown;
		}
		const { WASI: Micro, useAll } = await load<Theirs>(modules, "uwasi/lib/esm/index.js");
		return (module, args, input) => {
			const texts = input === "five" || input === "file" ? [FIVE] : [];
			const features = [useAll({ stdin: () => texts.shift() ?? "" })];
			const wasi = new Micro({ args, features });
			return wasi.start(instantiate(module, wasi.wasiImport)) ?? 0;
		};
	},
	"@runno/wasi": async (modules) => {
		interface Theirs {
			readonly WASI: new (
				options: object,
			) => {
				getImportObject(): Imports;
				start(wasm: object): { readonly exitCode: number };
			};
		}
		const { WASI: Runno } = await load<Theirs>(modules, "@runno/wasi/dist/main.js");
		return (module, args, input) => {
			const texts = input === "five" || input === "file" ? [FIVE] : [];
			const output = (text: string): void => console.error(text);
			const streams = { stdout: output, stderr: output, stdin: () => texts.shift() ?? null };
			const wasi = new Runno({ args, env: {}, fs: {}, ...streams });
			const instance = new WebAssembly.Instance(module, wasi.getImportObject());
			return wasi.start({ module, instance }).exitCode;
		};
	},
};

const [host, modules = "", number = "", input] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(join(GUESTS, "stdio-cases.wasm")));
const run = await HOSTS[host as HostName](modules);
process.exitCode = await run(module, [...ARGS, number], input as Input);

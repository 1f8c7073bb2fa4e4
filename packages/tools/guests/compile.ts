// Compiles the guests in C to WebAssembly, with a compiler that is itself a WebAssembly module.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installed } from "../install.ts";

/** Where the guests are, from the root of the workspace. */
export const GUESTS = "packages/wasi/test/guests";

/** The compiler and its version: clang and wasi-libc. Other versions make other bytes. */
const COMPILER = { "@yowasp/clang": "22.0.0-git20542-10" };

/** A program that makes the descriptors of others: it is compiled for the machine itself. */
const LAUNCHER = "launch.c";

const FLAGS: readonly string[] = [
	"--target=wasm32-wasip1",
	"-std=c17",
	"-D_GNU_SOURCE",
	"-Oz",
	"-s",
	"-Wall",
	"-Wextra",
	"-Werror",
	"-Wno-unused-function",
];
/** A printf without floating point is half as large. */
const LIBRARIES: readonly string[] = ["-lc-printscan-no-floating-point", "-lwasi-emulated-signal"];

/**
 * wasi-libc's poll has its subscriptions and events on the stack, 160 bytes for each descriptor: a server of
 * hundreds of clients needs more than the usual 64 KiB.
 */
const STACKS: Readonly<Record<string, number>> = { chat: 1024 * 1024 };

/** The part of the compiler that is used. */
interface Compiler {
	readonly commands: Readonly<Record<"clang" | "size", Tool>>;
}

/** A program of the compiler: takes files, and returns those that it made. */
type Tool = (
	args: readonly string[],
	files: Readonly<Record<string, string>>,
	options: {
		readonly stdout: (bytes: Uint8Array | null) => void;
		readonly stderr: (bytes: Uint8Array | null) => void;
		readonly fetchProgress: () => void;
	},
) => Promise<Record<string, Uint8Array>>;

/** The names of all guests, without `.c`. */
export function guestNames(): string[] {
	return readdirSync(GUESTS)
		.filter((file) => file.endsWith(".c") && file !== LAUNCHER)
		.map((file) => file.slice(0, -2))
		.sort();
}

/** Installs the compiler; returns what compiles a guest. Throws what the compiler says. */
export async function compiler(): Promise<(name: string) => Promise<Uint8Array>> {
	const bundle = join(installed("clang", COMPILER), "@yowasp/clang/gen/bundle.js");
	const { commands } = (await import(pathToFileURL(bundle).href)) as Compiler;
	const sources = readdirSync(GUESTS).filter((file) => /\.[ch]$/.test(file));
	const tree = Object.fromEntries(
		sources.map((file) => [file, readFileSync(join(GUESTS, file), "utf8")]),
	);
	// clang would report how far it has loaded its own modules; now they are there.
	const silent = { stdout: () => {}, stderr: () => {}, fetchProgress: () => {} };
	await commands.size(["--version"], {}, silent);
	return async (name) => {
		const messages: string[] = [];
		const decoder = new TextDecoder();
		const listen = (bytes: Uint8Array | null): void => {
			if (bytes !== null) messages.push(decoder.decode(bytes));
		};
		const stack = STACKS[name];
		const linking = stack === undefined ? [] : [`-Wl,-z,stack-size=${stack}`];
		const args = [...FLAGS, ...linking, `${name}.c`, "-o", "guest.wasm", ...LIBRARIES];
		const options = { stdout: listen, stderr: listen, fetchProgress: () => {} };
		const made = await commands.clang(args, tree, options).catch(() => ({}));
		const { "guest.wasm": bytes } = made as Record<string, Uint8Array>;
		if (bytes === undefined) throw new Error(`${name}.c: ${messages.join("")}`);
		return bytes;
	};
}

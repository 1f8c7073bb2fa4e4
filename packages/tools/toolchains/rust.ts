// Programs in Rust as guests: sleeps, and a listener at a descriptor that they find.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bind, connect, getsockname, listen, recvNow, send, shutdown, socket } from "@kqpoll/files";
import { SHUT_WR } from "@kqpoll/files/socket";
import { type Thread, waitpid } from "@kqpoll/kqueue";
import { spawn } from "@kqpoll/wasi";
import { collector, type Expectation, Machine, type Mode } from "./machine.ts";

const SOURCES = "packages/tools/toolchains";
const BUILT = "node_modules/.cache/rust";
/** Debian's compiler, whatever else is in the path. */
const RUSTC = "/usr/bin/rustc";
const PACKAGES = ["rustc", "libstd-rust-dev-wasm32", "lld-14"];

declare const WebAssembly: { readonly Module: new (bytes: Uint8Array) => object };

/** Installs the compiler, unless it is there. */
function installRust(): void {
	const install = ["install", "-y", "--no-install-recommends", ...PACKAGES];
	const missing = (): boolean =>
		spawnSync("dpkg", ["--status", ...PACKAGES], { stdio: "ignore" }).status !== 0;
	for (const args of [install, ["update"], install])
		if (missing()) spawnSync("apt-get", args, { stdio: "ignore" });
	if (missing() || !existsSync(RUSTC))
		throw new Error(`apt-get cannot install ${PACKAGES.join(", ")}`);
}

function compile(name: string): object {
	mkdirSync(BUILT, { recursive: true });
	const output = join(BUILT, `${name}.wasm`);
	const options = ["--target", "wasm32-wasi", "-O", "-C", "strip=symbols", "-o", output];
	execFileSync(RUSTC, [...options, join(SOURCES, `${name}.rs`)], { stdio: "inherit" });
	return new WebAssembly.Module(readFileSync(output));
}

/** Runs a guest to its end; returns what it has written. */
async function run(
	thread: Thread,
	module: object,
	mode: Mode,
	descriptors: readonly number[] = [],
): Promise<string> {
	const output = collector(thread);
	const stdio = [output.fd, output.fd, output.fd] as const;
	const pid = spawn(thread, module, { args: ["guest"], stdio, descriptors, mode });
	const { status } = await waitpid(thread, pid);
	return `${output.text()}status ${status}\n`;
}

/** Connects, and sends lines and an end. Returns what reads all that has come. */
async function talk(thread: Thread, port: number, lines: string): Promise<() => string> {
	const fd = socket(thread, "inet", "stream");
	await connect(thread, fd, port);
	await send(thread, fd, new TextEncoder().encode(lines));
	shutdown(thread, fd, SHUT_WR);
	const buffer = new Uint8Array(1024);
	return () => new TextDecoder().decode(buffer.subarray(0, recvNow(thread, fd, buffer)));
}

/** Two clients, which find their lines in capital letters when the server has ended. */
async function serve(thread: Thread, module: object, mode: Mode): Promise<string> {
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 0);
	listen(thread, listener, 5);
	const port = Number(getsockname(thread, listener));
	const clients = thread.kernel.spawn().main;
	const [one, other] = [
		await talk(clients, port, "one\ntwo\n"),
		await talk(clients, port, "three\n"),
	];
	const server = await run(thread, module, mode, [listener]);
	return one() + other() + server;
}

const NAPS = "0 ms: slept\n1 ms: slept\n20 ms: slept\n3600000 ms: slept\nstatus 0\n";
const SERVED = "ONE\nTWO\nTHREE\nconnection 1: 2 lines\nconnection 2: 1 lines\nstatus 0\n";

/** What the programs have to do, in the modes that there are. */
export function* rust(modes: readonly Mode[]): Generator<Expectation> {
	installRust();
	const [naps, listener] = [compile("naps"), compile("listener")];
	for (const mode of modes)
		yield {
			name: `Rust, ${mode}: thread::sleep`,
			play: () => new Machine().run((thread) => run(thread, naps, mode)),
			expected: NAPS,
		};
	for (const mode of modes)
		yield {
			name: `Rust, ${mode}: a TcpListener at descriptor 3`,
			play: () => new Machine().run((thread) => serve(thread, listener, mode)),
			expected: SERVED,
		};
}

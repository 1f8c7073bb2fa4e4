// wasi: what a guest's calls cost, beside node:wasi with the same guest.
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pipe } from "@kqpoll/files";
import { BlockingHost, close, Kernel, kill, type Process, waitpid, writeNow } from "@kqpoll/kqueue";
import { SIGKILL } from "@kqpoll/kqueue/signal";
import { spawn, WASI } from "@kqpoll/wasi";
import { type Contest, type Contestant, timed, timedAsync } from "../contest.ts";
import type { Figure } from "../footprint.ts";

type Module = object;
type Imports = Record<string, Record<string, unknown>>;
interface Instance {
	readonly exports: Record<string, unknown>;
}
const { WebAssembly } = globalThis as unknown as {
	WebAssembly: {
		Module: new (bytes: Uint8Array) => Module;
		Instance: new (module: Module, imports: Imports) => Instance;
		Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer };
		Suspending?: unknown;
	};
};

const GUEST = join(import.meta.dirname, "../../wasi/test/guests/bench.wasm");
/** In how many bytes the guests move them. */
const PIECE = 65_536;
/** Whether this Node can suspend guests. */
const SUSPENDS = WebAssembly.Suspending !== undefined;

function guest(): Module {
	return new WebAssembly.Module(readFileSync(GUEST));
}

/** A process with as many pipes, whose write ends are its descriptors from 3 on. */
function withPipes(process: Process, count: number): number[] {
	return Array.from({ length: count }, () => pipe(process.main)[1]);
}

/** The guest that blocks, with some descriptors that are ready. */
function blocking(module: Module, args: readonly string[], descriptors: number): Contestant {
	return {
		name: "blocking",
		run: () => {
			const kernel = new Kernel({ host: new BlockingHost(), maxfiles: 8192 });
			const process = kernel.spawn();
			const wasi = new WASI({
				thread: process.main,
				args: ["bench", ...args],
				descriptors: withPipes(process, descriptors),
			});
			const instance = new WebAssembly.Instance(module, wasi.getImportObject());
			return timed(() => check(wasi.start(instance) as number));
		},
	};
}

/** The guest that is suspended while it sleeps. */
function suspended(module: Module, args: readonly string[], descriptors: number): Contestant {
	return {
		name: "suspended",
		run: () => {
			const process = new Kernel({ maxfiles: 8192 }).spawn();
			const wasi = new WASI({
				thread: process.main,
				args: ["bench", ...args],
				descriptors: withPipes(process, descriptors),
				mode: "jspi",
			});
			const instance = new WebAssembly.Instance(module, wasi.getImportObject());
			return timedAsync(async () => check(await wasi.start(instance)));
		},
	};
}

/** The guest in node:wasi, whose only descriptors are the standard ones. */
function nodeWasi(module: Module, args: readonly string[]): Contestant {
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-bench-"));
	const fifo = join(folder, "fifo");
	// What it polls has to be something that epoll takes, which has room.
	execFileSync("mkfifo", [fifo]);
	const output = openSync(fifo, "r+");
	return {
		name: "node:wasi",
		run: async () => {
			// Here, as it warns when it is loaded.
			const { WASI: NodeWASI } = await import("node:wasi");
			const wasi = new NodeWASI({
				version: "preview1",
				args: ["bench", ...args],
				stdout: output,
				returnOnExit: true,
			});
			const imports = { wasi_snapshot_preview1: wasi.wasiImport } as unknown as Imports;
			const instance = new WebAssembly.Instance(module, imports);
			return timed(() => check(wasi.start(instance) as unknown as number));
		},
		close: () => {
			closeSync(output);
			rmSync(folder, { recursive: true });
		},
	};
}

function check(status: number): void {
	if (status !== 0) throw new Error(`the guest ended with status ${status}`);
}

function calls(module: Module, name: string, what: string, count: number): Contest {
	const args = [what, String(count)];
	const contestants = [blocking(module, args, 0), nodeWasi(module, args)];
	if (SUSPENDS) contestants.splice(1, 0, suspended(module, args, 0));
	return { name, n: 1, unit: "call", count, contestants };
}

/** poll_oneoff of descriptors that are all ready; for node:wasi there is only standard output. */
function polls(module: Module, n: number, count: number): Contest {
	const args = ["poll", String(count), n === 1 ? "1" : "3", String(n)];
	const contestants = [blocking(module, args, n === 1 ? 0 : n)];
	if (SUSPENDS) contestants.push(suspended(module, args, n === 1 ? 0 : n));
	if (n === 1) contestants.push(nodeWasi(module, args));
	return { name: "wasi-poll", n, unit: "descriptor", count: n * count, contestants };
}

/** poll_oneoff of descriptors of which the last one is ready: the call alone, without a guest. */
function sparse(n: number, count: number): Contest {
	const process = new Kernel({ host: new BlockingHost(), maxfiles: 8192 }).spawn();
	const pipes = Array.from({ length: n }, () => pipe(process.main));
	writeNow(process.main, pipes[n - 1]?.[1] as number, new Uint8Array(1));
	const wasi = new WASI({ thread: process.main });
	const memory = new WebAssembly.Memory({ initial: 4 });
	wasi.finalizeBindings({ exports: { memory } });
	const view = new DataView(memory.buffer);
	const events = 48 * n;
	pipes.forEach(([fd], i) => {
		view.setUint8(48 * i + 8, 1);
		view.setUint32(48 * i + 16, fd, true);
	});
	const poll = wasi.functions["poll_oneoff"] as (...args: number[]) => number;
	const run = (): number =>
		timed(() => {
			for (let i = 0; i < count; i++) check(poll(0, events, n, 160_000));
		});
	return {
		name: "wasi-poll-1ready",
		n,
		unit: "descriptor",
		count: n * count,
		contestants: [{ name: "blocking", run }],
	};
}

/** Two guests with a pipe in each direction: both sleep again and again. */
function pair(
	module: Module,
	contest: Omit<Contest, "contestants">,
	roles: readonly [readonly string[], readonly string[]],
): Contest {
	const run = async (): Promise<number> => {
		const { main } = new Kernel().spawn();
		const [nearIn, farOut] = pipe(main);
		const [farIn, nearOut] = pipe(main);
		const start = (args: readonly string[], stdin: number, stdout: number): number =>
			spawn(main, module, {
				args: ["bench", ...args],
				stdio: [stdin, stdout, stdout],
				mode: "jspi",
			});
		return timedAsync(async () => {
			const guests = [start(roles[0], nearIn, nearOut), start(roles[1], farIn, farOut)];
			// The receiver sees the end when nobody else has the ends to write to.
			for (const fd of [nearIn, nearOut, farIn, farOut]) close(main, fd);
			for (const pid of guests) check((await waitpid(main, pid)).status);
		});
	};
	return { ...contest, contestants: [{ name: "suspended", run }] };
}

/** A thousand guests that sleep in a poll: what each takes, and the processor time of all. */
export async function wasiSleepers(quick: boolean): Promise<Figure[]> {
	if (!SUSPENDS) return [];
	const n = quick ? 100 : 1000;
	const row = `wasi-sleepers n=${n}`;
	const module = guest();
	const { main } = new Kernel({ maxfiles: 4096 }).spawn();
	const [stdin, far] = pipe(main);
	const args = ["bench", "wait", "1"];
	const pids: number[] = [];
	const bytes = await bytesEachAsync(n, async () => {
		for (let i = 0; i < n; i++)
			pids.push(spawn(main, module, { args, stdio: [stdin, far, far], mode: "jspi" }));
		while (main.kernel.sleepers < n) await sleep(10);
	});
	const before = process.cpuUsage();
	await sleep(1000);
	const { user, system } = process.cpuUsage(before);
	for (const pid of pids) kill(main, pid, SIGKILL);
	for (const pid of pids) await waitpid(main, pid);
	return [
		{ row, what: "a sleeping guest", value: bytes, unit: "bytes" },
		{ row, what: "processor time in a second", value: (user + system) / 1000, unit: "ms" },
	];
}

/** How much the process grows by, divided by `n`: guests have their memory outside of the heap. */
async function bytesEachAsync(n: number, make: () => Promise<void>): Promise<number> {
	globalThis.gc?.();
	const before = process.memoryUsage().rss;
	await make();
	globalThis.gc?.();
	return (process.memoryUsage().rss - before) / n;
}

/** The contests; those of two guests need a Node that can suspend guests. */
export function wasi(quick: boolean): Contest[] {
	const module = guest();
	const scale = quick ? 1 : 10;
	const contests = [
		calls(module, "wasi-clock", "clock", 20_000 * scale),
		calls(module, "wasi-yield", "yield", 2000 * scale),
		...[1, 10, 100, 1000].map((n) => polls(module, n, Math.max(20, (20_000 * scale) / n))),
		...[1, 10, 100, 1000].map((n) => sparse(n, Math.max(20, (20_000 * scale) / n))),
	];
	if (!SUSPENDS) return contests;
	const rounds = 2000 * scale;
	const pieces = 500 * scale;
	return [
		...contests,
		pair(module, { name: "wasi-ping-pongs", n: 2, unit: "round", count: rounds }, [
			["ping", String(rounds)],
			["pong", String(rounds)],
		]),
		pair(module, { name: "wasi-bytes", n: PIECE, unit: "byte", count: pieces * PIECE }, [
			["send", String(pieces)],
			["receive"],
		]),
	];
}

// idle and load: bytes of memory for what only waits, and the cost of loading the packages.
import { spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { pipe } from "@kqpoll/files";
import {
	EV_ADD,
	EV_CLEAR,
	EVFILT_READ,
	eventList,
	Kernel,
	kevent,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type Thread,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { build } from "esbuild";
import { median } from "simple-statistics";

/** A figure that is not a time. */
export interface Figure {
	readonly row: string;
	readonly what: string;
	readonly value: number;
	readonly unit: string;
}

/** How many bytes of the heap each of the `n` things takes that `make` makes. */
function bytesEach(n: number, make: (i: number) => unknown): number {
	const collect = (globalThis as { gc?: () => void }).gc;
	if (collect === undefined) throw new Error("idle needs node --expose-gc");
	const kept: unknown[] = new Array(n);
	make(-1);
	collect();
	const before = process.memoryUsage().heapUsed;
	for (let i = 0; i < n; i++) kept[i] = make(i);
	collect();
	const after = process.memoryUsage().heapUsed;
	if (kept.length !== n) throw new Error("nothing was kept");
	return (after - before) / n;
}

function machine(n: number): Thread {
	return new Kernel({ host: new VirtualHost(), maxfiles: 2 * n + 10 }).spawn().main;
}

/** Bytes of memory for a hundred thousand things that only wait. */
export function idle(quick: boolean): Figure[] {
	const n = quick ? 20_000 : 100_000;
	const row = `idle n=${n}`;
	const thread = machine(n);
	const fds = Array.from({ length: n + 1 }, () => openFile(thread, new SyntheticFile()));
	const kq = kqueue(thread);
	const knote = bytesEach(n, (i) => {
		const ident = fds[i + 1] as number;
		keventNow(thread, kq, [{ ident, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR }], null);
	});
	const other = machine(n + 1);
	const open = bytesEach(n, () => pipe(other));
	const sleeper = machine(2);
	const queue = kqueue(sleeper);
	const events = eventList(1);
	const sleeping = bytesEach(n, () => {
		const thread = sleeper.process.spawnThread();
		void kevent(thread, queue, null, events, null);
		return thread;
	});
	if (sleeper.kernel.sleepers !== n + 1) throw new Error("not all threads sleep");
	return [
		{ row, what: "a registered knote", value: knote, unit: "bytes" },
		{ row, what: "an open pipe", value: open, unit: "bytes" },
		{ row, what: "a sleeping thread", value: sleeping, unit: "bytes" },
	];
}

/** The engine and kqpoll as one file: its size, and how long a new Node takes to import it. */
export async function load(quick: boolean): Promise<Figure[]> {
	const { outputFiles } = await build({
		stdin: {
			contents: 'export * from "@kqpoll/kqueue"; export * from "@kqpoll/kqpoll";',
			resolveDir: "packages/bench",
			loader: "ts",
		},
		bundle: true,
		minify: true,
		write: false,
		format: "esm",
		platform: "neutral",
		target: "es2022",
	});
	const bytes = outputFiles[0]?.contents ?? new Uint8Array();
	const url = `data:text/javascript;base64,${Buffer.from(bytes).toString("base64")}`;
	const script = `const t = performance.now(); await import(${JSON.stringify(url)}); console.log(performance.now() - t)`;
	const times: number[] = [];
	for (let round = 0; round < (quick ? 5 : 15); round++) {
		const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
			encoding: "utf8",
		});
		times.push(Number(stdout));
	}
	return [
		{ row: "load", what: "minified", value: bytes.length, unit: "bytes" },
		{ row: "load", what: "compressed", value: gzipSync(bytes, { level: 9 }).length, unit: "bytes" },
		{ row: "load", what: "import in a new Node", value: median(times), unit: "ms" },
	];
}

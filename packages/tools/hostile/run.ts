// Watches over hostile programs: one that never ends is found, too.
import { Worker } from "node:worker_threads";
import { shrink } from "../trace/shrink.ts";
import type { HostileOptions } from "./options.ts";
import { type Finding, operationsOf, type Total } from "./programs.ts";

/** An operation that takes longer than this never ends; a busy machine must not reach it. */
const HANG_MS = 20_000;
/** The same for a shorter program, which is known to hang. */
const HANG_AGAIN_MS = 4000;
/** How many shorter programs are tried, as each may take that long. */
const TRIES = 40;

/** Loads the program of a worker: Node has no types of its own, and a worker no loader. */
const BOOT = `
	import("tsx/esm/api").then(({ register }) => {
		register();
		return import(${JSON.stringify(new URL("./worker.ts", import.meta.url).href)});
	});
`;

/** How a worker ended. */
interface End {
	/** Its total, or null if it did not come to an end. */
	readonly total: Total | null;
	/** The seed and the operation at which it hung or broke. */
	readonly seed: number;
	readonly operation: number;
	readonly why: string;
	readonly counted: Total;
}

type Message = { readonly finding: Finding } | { readonly total: Total };

/** Runs programs in a worker until all have ended, or one hangs. Rejects if none has begun. */
function inWorker(
	options: HostileOptions,
	limit: number,
	report: (finding: Finding) => void,
): Promise<End> {
	const shared = new Int32Array(new SharedArrayBuffer(5 * 4));
	shared[0] = options.first;
	const worker = new Worker(BOOT, { eval: true, workerData: { options, shared } });
	return new Promise((resolve, reject) => {
		let last = -1;
		let since = performance.now();
		const end = (total: Total | null, why: string): void => {
			clearInterval(watchdog);
			const [seed = 0, operation = 0, calls = 0, wakeups = 0] = shared;
			const counted = { programs: seed - options.first, calls, wakeups };
			void worker.terminate().then(() => resolve({ total, seed, operation, why, counted }));
		};
		const watchdog = setInterval(() => {
			const beat = shared[4] as number;
			// Until the first operation the programs are loaded, which takes long on a busy machine.
			if (beat !== last || beat === 0) since = performance.now();
			last = beat;
			if (performance.now() - since > limit) end(null, "never ends");
		}, 250);
		worker.on("message", (message: Message) => {
			if ("finding" in message) report(message.finding);
			else end(message.total, "");
		});
		worker.on("error", (error) => {
			if (shared[4] === 0) reject(error);
			else end(null, `ends the platform's thread: ${error.stack ?? error}`);
		});
	});
}

/** Runs all programs; returns how much was run. */
export async function supervise(
	options: HostileOptions,
	report: (finding: Finding) => void,
): Promise<Total> {
	const sum: Total = { programs: 0, calls: 0, wakeups: 0 };
	for (let first = options.first; first <= options.last; ) {
		const end = await inWorker({ ...options, first }, HANG_MS, report);
		const { programs, calls, wakeups } = end.total ?? end.counted;
		sum.programs += programs;
		sum.calls += calls;
		sum.wakeups += wakeups;
		if (end.total !== null) break;
		sum.programs++;
		report(await hung(options, end));
		first = end.seed + 1;
	}
	return sum;
}

/** Shortens a program that hangs, as far as a few tries go. */
async function hung(options: HostileOptions, { seed, operation, why }: End): Promise<Finding> {
	const all = operationsOf(options);
	const until = operation < 0 ? all : all.slice(0, all.indexOf(operation) + 1);
	let tries = 0;
	const operations = await shrink(until, async (only) => {
		if (++tries > TRIES) return false;
		const one = { ...options, first: seed, last: seed, only };
		return (await inWorker(one, HANG_AGAIN_MS, () => {})).total === null;
	});
	const where = operation < 0 ? "the end of the program" : `operation ${operation}`;
	return { seed, problem: `${where} ${why}`, operations, transcript: [] };
}

// npm run fuzz: replays random traces of the reference, and shrinks the ones that differ.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { operationsOf } from "./trace/line.ts";
import { Reference } from "./trace/reference.ts";
import { type Difference, replay } from "./trace/replay.ts";
import { shrink } from "./trace/shrink.ts";

const PROFILES = ["mixed", "kevent", "poll", "proc", "bigpoll"];
/** The largest number of seeds, and of operations; larger ones are mistakes. */
const LIMIT = 1_000_000;
const USAGE = `usage: npm run fuzz -- --reference PROGRAM [--seeds A-B] [--ops N] [--profile NAME]
  --reference  the program that makes and answers traces
  --seeds      the first and the last seed, by default 1-100; at most ${LIMIT} seeds
  --ops        how many operations a trace has, by default 300; at most ${LIMIT}
  --profile    a name of a kind of traces that the program knows,
               by default each of ${PROFILES.join(", ")}`;

interface Options {
	readonly reference: Reference;
	readonly first: number;
	readonly last: number;
	readonly ops: number;
	readonly profiles: readonly string[];
}

interface Job {
	readonly seed: number;
	readonly profile: string;
}

/** Ends the command when it cannot do what it was asked for. */
function abort(message: string): never {
	console.error(`fuzz: ${message}`);
	process.exit(2);
}

/** Ends the command when an argument is wrong. */
function fail(message: string): never {
	return abort(`${message}\n${USAGE}`);
}

function values() {
	try {
		return parseArgs({
			options: {
				help: { type: "boolean", short: "h" },
				reference: { type: "string" },
				seeds: { type: "string", default: "1-100" },
				ops: { type: "string", default: "300" },
				profile: { type: "string" },
			},
		}).values;
	} catch (error) {
		return fail((error as Error).message);
	}
}

function parse(): Options {
	const { help, reference, seeds, ops, profile } = values();
	if (help) {
		console.log(USAGE);
		process.exit(0);
	}
	if (reference === undefined) return fail("--reference is missing");
	const range = /^(\d+)-(\d+)$/.exec(seeds);
	const [first, last] = [Number(range?.[1]), Number(range?.[2])];
	if (range === null || first > last) return fail(`--seeds ${seeds} is not a range such as 1-100`);
	if (!Number.isSafeInteger(last)) return fail(`--seeds ${seeds}: ${range[2]} is too large`);
	if (last - first >= LIMIT) return fail(`--seeds ${seeds} is more than ${LIMIT} seeds`);
	if (!/^[1-9]\d*$/.test(ops)) return fail(`--ops ${ops} is not a number above 0`);
	if (Number(ops) > LIMIT) return fail(`--ops ${ops} is more than ${LIMIT}`);
	const profiles = profile === undefined ? PROFILES : [profile];
	return { reference: new Reference(reference), first, last, ops: Number(ops), profiles };
}

function* jobsOf({ first, last, profiles }: Options): Generator<Job> {
	for (const profile of profiles) {
		for (let seed = first; seed <= last; seed++) yield { seed, profile };
	}
}

/** The trace of a list of operations if the engine differs from it. */
async function differs(
	reference: Reference,
	operations: readonly string[],
): Promise<string | null> {
	let trace: string;
	try {
		trace = await reference.answer(operations);
	} catch {
		return null; // The reference itself fails without the operations that were removed.
	}
	return (await replay(trace)).difference === null ? null : trace;
}

function describe({ line, expected, got }: Difference): string {
	return `line ${line}\n  expected ${expected}\n  got      ${got}`;
}

/** Prints the shortest trace that differs, made of the operations of one that does. */
async function printShrunk(reference: Reference, operations: readonly string[]): Promise<void> {
	const small = await shrink(operations, async (some) => (await differs(reference, some)) !== null);
	const smallest = await differs(reference, small);
	if (smallest === null) return;
	console.log(smallest.trimEnd());
	const { difference } = await replay(smallest);
	if (difference !== null) console.log(describe(difference));
}

async function main(): Promise<number> {
	const options = parse();
	const { reference, first, last, ops, profiles } = options;
	try {
		await reference.answer([]);
	} catch (error) {
		return fail(`--reference: ${(error as Error).message}`);
	}
	const jobs = jobsOf(options);
	let lines = 0;
	let differ = 0;
	async function worker(): Promise<void> {
		for (const { seed, profile } of jobs) {
			const trace = await reference.generate(seed, ops, profile);
			const result = await replay(trace);
			lines += result.lines;
			if (result.difference === null) continue;
			differ++;
			console.log(`seed ${seed} of ${profile}: ${describe(result.difference)}`);
			await printShrunk(reference, operationsOf(trace).slice(0, result.difference.line));
		}
	}
	try {
		await Promise.all(Array.from({ length: availableParallelism() }, worker));
	} catch (error) {
		return abort((error as Error).message);
	}
	const total = profiles.length * (last - first + 1);
	console.log(`${total} traces, ${lines} lines, ${differ} differ`);
	return differ === 0 ? 0 : 1;
}

process.exitCode = await main();

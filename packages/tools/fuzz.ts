// npm run fuzz: replays random traces of the reference, and shrinks the ones that differ.
import { availableParallelism } from "node:os";
import { type FuzzOptions, fuzzOptions, USAGE } from "./trace/fuzz-options.ts";
import { operationsOf } from "./trace/line.ts";
import { Reference } from "./trace/reference.ts";
import { type Difference, replay } from "./trace/replay.ts";
import { shrink } from "./trace/shrink.ts";

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

function parse(): FuzzOptions | null {
	try {
		return fuzzOptions(process.argv.slice(2));
	} catch (error) {
		return fail((error as Error).message);
	}
}

function* jobsOf({ first, last, profiles }: FuzzOptions): Generator<Job> {
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
	if (options === null) {
		console.log(USAGE);
		return 0;
	}
	const { first, last, ops, profiles } = options;
	const reference = new Reference(options.reference);
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

// Replays random traces of a reference, and shrinks those that differ.
import { availableParallelism } from "node:os";
import type { FuzzOptions } from "./fuzz-options.ts";
import { operationsOf } from "./line.ts";
import type { Reference } from "./reference.ts";
import { type Difference, replay } from "./replay.ts";
import { shrink } from "./shrink.ts";

interface Job {
	readonly seed: number;
	readonly profile: string;
}

/** How many lines were replayed, and how many traces differ. */
export interface Fuzzed {
	readonly lines: number;
	readonly differ: number;
}

/** Replays the traces that are asked for; prints those that differ. Rejects when the reference fails. */
export async function fuzzTraces(reference: Reference, options: FuzzOptions): Promise<Fuzzed> {
	const jobs = jobsOf(options);
	let lines = 0;
	let differ = 0;
	async function worker(): Promise<void> {
		for (const { seed, profile } of jobs) {
			const trace = await reference.generate(seed, options.ops, profile);
			const result = await replay(trace);
			lines += result.lines;
			if (result.difference === null) continue;
			differ++;
			console.log(`seed ${seed} of ${profile}: ${describe(result.difference)}`);
			await printShrunk(reference, operationsOf(trace).slice(0, result.difference.line));
		}
	}
	await Promise.all(Array.from({ length: availableParallelism() }, worker));
	return { lines, differ };
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
	if ((await differs(reference, operations)) === null) {
		console.log("not shrunk: asked for these operations, the reference answers something else");
		return;
	}
	const small = await shrink(operations, async (some) => (await differs(reference, some)) !== null);
	const smallest = await differs(reference, small);
	if (smallest === null) return;
	console.log(smallest.trimEnd());
	const { difference } = await replay(smallest);
	if (difference !== null) console.log(describe(difference));
}

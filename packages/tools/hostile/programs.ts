// Runs the programs of a range of seeds, and shrinks those in which something is found.
import { shrink } from "../trace/shrink.ts";
import type { HostileOptions, Mode } from "./options.ts";
import { type Outcome, type Progress, run } from "./program.ts";
import { runSleepers } from "./wakeups.ts";

/** Something that is wrong, and the shortest program that shows it. */
export interface Finding {
	readonly seed: number;
	readonly problem: string;
	/** The numbers of the operations of the shortest program. */
	readonly operations: readonly number[];
	readonly transcript: readonly string[];
}

/** How much was run. */
export interface Total {
	programs: number;
	calls: number;
	wakeups: number;
}

/** Runs one program in the given mode. */
export function runProgram(
	mode: Mode,
	seed: number,
	operations: Iterable<number>,
	careful: boolean,
	progress?: Progress,
): Promise<Outcome> {
	const program = { seed, operations, objects: mode === "objects" };
	return mode === "wakeups"
		? runSleepers(program, careful, progress)
		: run(program, careful, progress);
}

/** The operations of a program. */
export function operationsOf({ ops, only }: Pick<HostileOptions, "ops" | "only">): number[] {
	return only === null ? Array.from({ length: ops }, (_, i) => i) : [...only];
}

/** Runs the programs of all seeds; tells `report` of each finding, and `total` of the numbers. */
export async function runPrograms(
	options: HostileOptions,
	total: Total,
	report: (finding: Finding) => void,
	progress: (seed: number, operation: number) => void = () => {},
): Promise<void> {
	const operations = operationsOf(options);
	const { mode } = options;
	for (let seed = options.first; seed <= options.last; seed++) {
		const note = (operation: number): void => progress(seed, operation);
		const outcome = await runProgram(mode, seed, operations, options.only !== null, note);
		total.programs++;
		total.calls += outcome.calls;
		total.wakeups += outcome.wakeups;
		if (outcome.problem !== null)
			report(await shrunk(mode, seed, operations, outcome.problem, note));
	}
}

/** The shortest program that shows the same problem. */
async function shrunk(
	mode: Mode,
	seed: number,
	operations: readonly number[],
	problem: string,
	progress: Progress,
): Promise<Finding> {
	const careful = (some: readonly number[]): Promise<Outcome> =>
		runProgram(mode, seed, some, true, progress);
	const all = await careful(operations);
	// With a check after each operation it may show earlier, and in another way.
	const kind = kindOf(all.problem ?? problem);
	const until = all.at < 0 ? operations : operations.slice(0, operations.indexOf(all.at) + 1);
	const small = await shrink(until, async (some) => {
		const outcome = await careful(some);
		return outcome.problem !== null && kindOf(outcome.problem) === kind;
	});
	const { transcript, problem: shown } = await careful(small);
	return { seed, problem: shown ?? problem, operations: small, transcript };
}

/** A problem without the numbers that differ from run to run. */
function kindOf(problem: string): string {
	return problem.split("\n", 3).join("\n").replaceAll(/\d+/g, "0");
}

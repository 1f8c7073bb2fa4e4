// Replays a trace and compares every line.
import { isComment, isOperation, linesOf, operationOf } from "./line.ts";
import { World } from "./world.ts";

/** The first line of a trace that differs. */
export interface Difference {
	/** Its number, from 1. */
	readonly line: number;
	/** What the trace has, empty if it has ended. */
	readonly expected: string;
	/** What was printed, empty if nothing was. */
	readonly got: string;
}

/** The result of replaying a trace. */
export interface Replay {
	/** How many lines it has, comments and empty ones included. */
	readonly lines: number;
	/** Where it differs first, null where it does not. */
	readonly difference: Difference | null;
}

/** Replays the text of a trace in a new world, up to the first line that differs. */
export async function replay(trace: string): Promise<Replay> {
	const expected = linesOf(trace);
	const lines = expected.length;
	const world = new World();
	let at = 0;
	while (at < lines) {
		const line = expected[at] as string;
		if (isComment(line)) {
			at++;
			continue;
		}
		if (!isOperation(line)) return { lines, difference: differing(at, line, "") };
		for (const got of await attempt(world, operationOf(line))) {
			if (expected[at] !== got)
				return { lines, difference: differing(at, expected[at] ?? "", got) };
			at++;
		}
	}
	try {
		world.check();
	} catch (error) {
		return { lines, difference: differing(lines, "", String(error)) };
	}
	return { lines, difference: null };
}

/** An engine that breaks must show as a difference, not end the tool. */
async function attempt(world: World, operation: string): Promise<string[]> {
	try {
		return await world.step(operation);
	} catch (error) {
		return [`${operation} => ${String(error)}`];
	}
}

function differing(index: number, expected: string, got: string): Difference {
	return { line: index + 1, expected, got };
}

// Makes and ends things again and again, and looks at what is left of them.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Cycle, Ground, KINDS } from "./kinds.ts";
import type { SoakOptions } from "./options.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** By how many bytes the heap may grow in any case: the platform compiles. */
const SLACK = 1024 * 1024;

/** What became of one kind. */
export interface Soaked {
	readonly name: string;
	readonly cycles: number;
	/** The heap in bytes before and after. */
	readonly before: number;
	readonly after: number;
	/** What the machine counts more of than before; null if it counts the same. */
	readonly counts: string | null;
	readonly leaks: boolean;
}

/** Runs each kind, and tells what became of it. */
export async function* soak({ cycles, only }: SoakOptions): AsyncGenerator<Soaked> {
	for (const [name, cycle] of KINDS) if (only.test(name)) yield await soakOne(name, cycle, cycles);
}

/**
 * Runs one kind. Before it counts, it runs for a tenth of the cycles: buffers grow at first. Without
 * `weighs` the heap is not looked at, which takes longest in a short run.
 */
export async function soakOne(
	name: string,
	cycle: Cycle,
	cycles: number,
	weighs = true,
): Promise<Soaked> {
	const ground = new Ground();
	await repeat(cycle, ground, Math.ceil(cycles / 10));
	const first = ground.counts();
	const before = weighs ? await heap() : 0;
	await repeat(cycle, ground, cycles);
	const after = weighs ? await heap() : 0;
	const last = ground.counts();
	const more = Object.keys(last).filter((each) => last[each] !== first[each]);
	const counts =
		more.length === 0
			? null
			: more.map((each) => `${each} ${first[each]} -> ${last[each]}`).join(", ");
	const leaks = counts !== null || after - before > SLACK + cycles;
	return { name, cycles, before, after, counts, leaks };
}

async function repeat(cycle: Cycle, ground: Ground, cycles: number): Promise<void> {
	for (let i = 0; i < cycles; i++) {
		const promise = cycle(ground);
		if (promise instanceof Promise) await promise;
	}
}

/** How many bytes of the heap are in use. */
async function heap(): Promise<number> {
	// What a promise or the platform holds goes with a turn.
	await new Promise((resolve) => setImmediate(resolve));
	gc();
	gc();
	return process.memoryUsage().heapUsed;
}

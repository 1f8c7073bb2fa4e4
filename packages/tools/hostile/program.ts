// A hostile program: which operations there are, and how one runs.

import { custom } from "./calls.ts";
import { filesOperations } from "./files.ts";
import { kqpollOperations } from "./kqpoll.ts";
import { kqueueOperations } from "./kqueue.ts";
import { rxjsOperations } from "./rxjs.ts";
import { type Ending, type Operations, World } from "./world.ts";

/** Ends or changes one of what there is. */
function oneOfThem(endings: readonly Ending[], random: World["random"]): void {
	if (endings.length > 0) random.pick(endings)();
}

/** What a program does besides calls: time passes, calls are aborted, buffers change. */
const otherOperations: Operations = {
	settle: (world) => world.settle(),
	settleAgain: (world) => world.settle(),
	advance: (world) => world.advance(world.random.below(20)),
	advanceFar: (world) => {
		if (world.random.once(8)) world.advance(world.random.below(1000));
	},
	abort: custom("abort", ({ aborts, random }) => oneOfThem(aborts, random)),
	end: custom("end", ({ endings, random }) => oneOfThem(endings, random)),
	mutate: custom("mutate", ({ mutations, random }) => oneOfThem(mutations, random)),
};

const GROUPS: readonly Operations[] = [
	kqueueOperations,
	kqueueOperations,
	kqueueOperations,
	kqpollOperations,
	kqpollOperations,
	filesOperations,
	filesOperations,
	filesOperations,
	rxjsOperations,
	otherOperations,
	otherOperations,
];

/** Which program to run. */
export interface Program {
	readonly seed: number;
	/** The numbers of its operations: all up to a number, or those that a shorter program has. */
	readonly operations: Iterable<number>;
	readonly objects: boolean;
}

/** What became of a program. */
export interface Outcome {
	readonly calls: number;
	/** How many sleeping calls were woken, where that is counted. */
	readonly wakeups: number;
	/** What is wrong; null if nothing was found. */
	readonly problem: string | null;
	/** The number of the operation after which it was found; the end of the program is -1. */
	readonly at: number;
	readonly transcript: readonly string[];
}

/** Told of each operation before it runs. */
export type Progress = (operation: number) => void;

/** Errors that nobody handled, since a program began. */
const unhandled: unknown[] = [];
let listening = false;

function listen(): void {
	if (listening) return;
	listening = true;
	process.on("unhandledRejection", (error) => unhandled.push(error));
	process.on("uncaughtException", (error) => unhandled.push(error));
}

/** What this tool itself throws is found, too: it is not the program's. */
async function guarded(world: World, act: () => Promise<void>): Promise<void> {
	try {
		await act();
	} catch (error) {
		world.found(`outside of any call: ${error instanceof Error ? error.stack : String(error)}`);
	}
}

/** Runs a program. `careful` checks after each operation, and keeps a transcript. */
export async function run(
	{ seed, operations, objects }: Program,
	careful: boolean,
	progress: Progress = () => {},
): Promise<Outcome> {
	listen();
	unhandled.length = 0;
	const world = new World({ seed, objects, careful, groups: GROUPS });
	let at = -1;
	for (const index of operations) {
		progress(index);
		await guarded(world, () => world.step(index));
		if (world.problem === null) continue;
		at = index;
		break;
	}
	progress(-1);
	if (world.problem === null) await guarded(world, () => world.finish());
	// Unhandled rejections are reported after promises had their turn.
	if (unhandled.length > 0) world.found(`nobody handles ${String(unhandled[0])}`);
	const wakeups = 0;
	return { calls: world.calls, wakeups, problem: world.problem, at, transcript: world.transcript };
}

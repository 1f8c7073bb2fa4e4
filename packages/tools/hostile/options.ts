// The options of npm run hostile.
import { parseArgs } from "node:util";

/** The largest number of seeds, and of operations; larger ones are mistakes. */
const LIMIT = 10_000_000;

/** How the command is used. */
export const USAGE = `usage: npm run hostile -- [--seeds A-B] [--ops N] [--objects | --wakeups] [--only LIST]
  --seeds    the first and the last seed, by default 1-1000; each seed makes a program
  --ops      how many operations a program has, by default 300
  --objects  hostile objects are arguments, too: proxies, accessors that throw or call back,
             buffers that shrink; by default arguments are values, right ones and wrong ones
  --wakeups  programs of sleepers instead: whenever nothing happens any more, for each sleeping
             call a thread asks the same without sleeping; what succeeds is a lost wake-up
  --only     the numbers of the operations to run, 3,17,40 for example; by default all
Status: 0 when nothing was found, 1 when something was, 2 when an argument is wrong.`;

/** Which kind of programs run. */
export type Mode = "values" | "objects" | "wakeups";

/** What to run. */
export interface HostileOptions {
	/** The first seed. */
	readonly first: number;
	/** The last seed. */
	readonly last: number;
	/** How many operations a program has. */
	readonly ops: number;
	/** The kind of programs. */
	readonly mode: Mode;
	/** The operations to run, null for all. */
	readonly only: readonly number[] | null;
}

/** Parses arguments; throws an error that says what is wrong with them. */
export function hostileOptions(args: readonly string[]): HostileOptions {
	const { seeds, ops, objects, wakeups, only } = parseArgs({
		args: [...args],
		options: {
			seeds: { type: "string", default: "1-1000" },
			ops: { type: "string", default: "300" },
			objects: { type: "boolean", default: false },
			wakeups: { type: "boolean", default: false },
			only: { type: "string" },
		},
	}).values;
	const range = /^(\d+)-(\d+)$/.exec(seeds);
	const [first, last] = [Number(range?.[1]), Number(range?.[2])];
	if (range === null || first > last)
		throw new Error(`--seeds ${seeds} is not a range such as 1-100`);
	if (last >= 2 ** 31) throw new Error(`--seeds ${seeds}: the last one is too large`);
	if (last - first >= LIMIT) throw new Error(`--seeds ${seeds} is more than ${LIMIT} seeds`);
	if (!/^[1-9]\d*$/.test(ops)) throw new Error(`--ops ${ops} is not a number above 0`);
	if (Number(ops) > LIMIT) throw new Error(`--ops ${ops} is more than ${LIMIT}`);
	if (objects && wakeups) throw new Error("--objects and --wakeups exclude each other");
	if (only !== undefined && !/^\d+(,\d+)*$/.test(only))
		throw new Error(`--only ${only} is not a list such as 3,17,40`);
	const numbers = only?.split(",").map(Number) ?? null;
	const beyond = numbers?.find((number) => number >= Number(ops));
	if (beyond !== undefined) throw new Error(`--only ${beyond} is not below --ops ${ops}`);
	const mode = wakeups ? "wakeups" : objects ? "objects" : "values";
	return { first, last, ops: Number(ops), mode, only: numbers };
}

/** The arguments that run one program again. */
export function argumentsOf(
	seed: number,
	ops: number,
	mode: Mode,
	only: readonly number[],
): string {
	const flag = mode === "values" ? "" : ` --${mode}`;
	return `--seeds ${seed}-${seed} --ops ${ops}${flag} --only ${only.join(",")}`;
}

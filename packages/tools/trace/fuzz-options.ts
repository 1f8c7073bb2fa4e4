// The options of npm run fuzz.
import { parseArgs } from "node:util";

const PROFILES = ["mixed", "kevent", "poll", "proc", "bigpoll"];
/** The largest number of seeds, and of operations; larger ones are mistakes. */
const LIMIT = 1_000_000;

/** How the command is used. */
export const USAGE = `usage: npm run fuzz -- --reference PROGRAM [--seeds A-B] [--ops N] [--profile NAME]
  --reference  the program that makes and answers traces
  --seeds      the first and the last seed, by default 1-100; at most ${LIMIT} seeds
  --ops        how many operations a trace has, by default 300; at most ${LIMIT}
  --profile    a name of a kind of traces that the program knows,
               by default each of ${PROFILES.join(", ")}`;

export interface FuzzOptions {
	/** The program that makes and answers traces. */
	readonly reference: string;
	/** The first seed. */
	readonly first: number;
	/** The last seed. */
	readonly last: number;
	/** How many operations a trace has. */
	readonly ops: number;
	/** The kinds of traces. */
	readonly profiles: readonly string[];
}

/** Parses arguments; throws an error that says what is wrong with them. */
export function fuzzOptions(args: readonly string[]): FuzzOptions {
	const { reference, seeds, ops, profile } = parseArgs({
		args: [...args],
		options: {
			reference: { type: "string" },
			seeds: { type: "string", default: "1-100" },
			ops: { type: "string", default: "300" },
			profile: { type: "string" },
		},
	}).values;
	if (!reference) throw new Error("--reference is missing");
	const range = /^(\d+)-(\d+)$/.exec(seeds);
	const [first, last] = [Number(range?.[1]), Number(range?.[2])];
	if (range === null) throw new Error(`--seeds ${seeds} is not a range such as 1-100`);
	if (first > last) throw new Error(`--seeds ${seeds}: the first one is above the last one`);
	if (!Number.isSafeInteger(last)) throw new Error(`--seeds ${seeds}: the last one is too large`);
	if (last - first >= LIMIT) throw new Error(`--seeds ${seeds} is more than ${LIMIT} seeds`);
	if (!/^[1-9]\d*$/.test(ops)) throw new Error(`--ops ${ops} is not a number above 0`);
	if (Number(ops) > LIMIT) throw new Error(`--ops ${ops} is more than ${LIMIT}`);
	if (profile === "") throw new Error("--profile has no name");
	const profiles = profile === undefined ? PROFILES : [profile];
	return { reference, first, last, ops: Number(ops), profiles };
}

// The options of npm run soak.
import { parseArgs } from "node:util";

/** The most cycles: more are a mistake. */
const LIMIT = 100_000_000;

/** How the command is used. */
export const USAGE = `usage: npm run soak -- [--cycles N] [--only PATTERN]
  --cycles  how often each kind of thing is made and ended, by default 1000000
  --only    a regular expression; only the kinds whose names match it run
A kind leaks when the heap has grown by more than 1 MiB and a byte for each cycle, or when
the machine counts more than before.
Status: 0 when nothing leaks, 1 when something does, 2 when an argument is wrong.`;

/** What to run. */
export interface SoakOptions {
	/** How often each kind is made and ended. */
	readonly cycles: number;
	/** Which kinds run. */
	readonly only: RegExp;
}

/** Parses arguments; throws an error that says what is wrong with them. */
export function soakOptions(args: readonly string[]): SoakOptions {
	const { cycles, only } = parseArgs({
		args: [...args],
		options: {
			cycles: { type: "string", default: "1000000" },
			only: { type: "string", default: "" },
		},
	}).values;
	if (!/^[1-9]\d*$/.test(cycles)) throw new Error(`--cycles ${cycles} is not a number above 0`);
	if (Number(cycles) > LIMIT) throw new Error(`--cycles ${cycles} is more than ${LIMIT}`);
	return { cycles: Number(cycles), only: new RegExp(only) };
}

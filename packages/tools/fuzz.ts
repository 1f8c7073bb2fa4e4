// npm run fuzz: replays random traces of the reference, and shrinks the ones that differ.
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs, promisify } from "node:util";
import { type Difference, operationsOf, replay } from "./trace/replay.ts";
import { shrink } from "./trace/shrink.ts";

const PROFILES = ["mixed", "kevent", "poll", "proc", "bigpoll"];
const USAGE = `usage: npm run fuzz -- --reference PROGRAM [--seeds A-B] [--ops N] [--profile P]
  --reference  the program that makes and answers traces
  --seeds      the first and the last seed, by default 1-100
  --ops        how many operations a trace has, by default 300
  --profile    ${PROFILES.join(", ")}; by default all of them`;

interface Options {
	readonly reference: string;
	readonly first: number;
	readonly last: number;
	readonly ops: number;
	readonly profiles: readonly string[];
}

function fail(message: string): never {
	console.error(`fuzz: ${message}\n${USAGE}`);
	process.exit(2);
}

function parse(): Options {
	let values: Record<"reference" | "seeds" | "ops" | "profile", string | undefined>;
	try {
		values = parseArgs({
			options: {
				reference: { type: "string" },
				seeds: { type: "string" },
				ops: { type: "string" },
				profile: { type: "string" },
			},
		}).values as typeof values;
	} catch (error) {
		return fail((error as Error).message);
	}
	const { reference, seeds = "1-100", ops = "300", profile } = values;
	if (reference === undefined) return fail("--reference is missing");
	const range = /^(\d+)-(\d+)$/.exec(seeds);
	const [first, last] = [Number(range?.[1]), Number(range?.[2])];
	if (range === null || first > last) return fail(`--seeds ${seeds} is not a range such as 1-100`);
	if (!/^[1-9]\d*$/.test(ops)) return fail(`--ops ${ops} is not a number above 0`);
	if (profile !== undefined && !PROFILES.includes(profile)) return fail(`no profile ${profile}`);
	const profiles = profile === undefined ? PROFILES : [profile];
	return { reference, first, last, ops: Number(ops), profiles };
}

/** Runs the reference; returns what it printed, and rejects when it ends with an error. */
function run(program: string, args: readonly string[], input = ""): Promise<string> {
	const child = promisify(execFile)(program, [...args], { maxBuffer: 2 ** 28 });
	// The reference may end early or not read its input; that must not end this program.
	child.child.stdin?.on("error", () => {});
	child.child.stdin?.end(input);
	return child.then(({ stdout }) => stdout);
}

/** Asks the reference about a list of operations and says where the engine differs. */
async function differs(program: string, operations: readonly string[]): Promise<string | null> {
	let trace: string;
	try {
		trace = await run(program, ["run"], `${operations.join("\n")}\n`);
	} catch {
		return null; // The reference itself fails without the operations that were removed.
	}
	return (await replay(trace)).difference === null ? null : trace;
}

function describe({ line, expected, got }: Difference): string {
	return `line ${line}\n  expected ${expected}\n  got      ${got}`;
}

async function main(): Promise<number> {
	const { reference, first, last, ops, profiles } = parse();
	try {
		await run(reference, ["run"]);
	} catch (error) {
		return fail((error as Error).message);
	}
	const jobs = profiles.flatMap((profile) =>
		Array.from({ length: last - first + 1 }, (_, i) => ({ profile, seed: first + i })),
	);
	const total = jobs.length;
	let lines = 0;
	let differ = 0;
	async function worker(): Promise<void> {
		for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
			const { profile, seed } = job;
			const trace = await run(reference, ["gen", String(seed), String(ops), profile]);
			const result = await replay(trace);
			lines += result.lines;
			if (result.difference === null) continue;
			differ++;
			console.log(`seed ${seed} of ${profile}: ${describe(result.difference)}`);
			const operations = operationsOf(trace).slice(0, result.difference.line);
			const small = await shrink(
				operations,
				async (some) => (await differs(reference, some)) !== null,
			);
			const smallest = await differs(reference, small);
			if (smallest === null) continue;
			console.log(smallest.trimEnd());
			const { difference } = await replay(smallest);
			if (difference !== null) console.log(describe(difference));
		}
	}
	await Promise.all(Array.from({ length: availableParallelism() }, worker));
	console.log(`${total} traces, ${lines} lines, ${differ} differ`);
	return differ === 0 ? 0 : 1;
}

process.exitCode = await main();

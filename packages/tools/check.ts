// Runs the checks of the workspace step by step; prints for each whether it failed and how long it
// took.
import { spawnSync } from "node:child_process";
import { delimiter, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Command } from "./command.ts";
import { ALL, chosen, HEAVY, STEPS } from "./steps.ts";

const command = new Command(
	"check",
	`usage: npm run check [-- STEP...]
       npm run check -- --all
       npm run check -- --list

Steps: ${Object.keys(STEPS).join(", ")}
Heavy steps, which run only if they are named, or with --all: ${Object.keys(HEAVY).join(", ")}`,
);

// The tools are used by their names, wherever in the workspace they are installed.
const PATH = ["node_modules/.bin", "packages/tools/node_modules/.bin"]
	.map((folder) => resolve(folder))
	.concat(process.env["PATH"] ?? "")
	.join(delimiter);

/** The steps that the arguments ask for; null to list them. */
function stepsOf(args: string[]): readonly string[] | null {
	const options = { list: { type: "boolean" }, all: { type: "boolean" } } as const;
	const { positionals, values } = parseArgs({ args, options, allowPositionals: true });
	const steps = chosen(positionals, values.all === true);
	return values.list ? null : steps;
}

/** The steps to run; when they are only to be listed, does that and ends the process. */
function wanted(): readonly string[] {
	const named = command.parse(stepsOf);
	if (named !== null) return named;
	for (const [name, commands] of Object.entries(ALL)) {
		const title = Object.hasOwn(HEAVY, name) ? `${name} (heavy)` : name;
		console.log([title, ...commands].join("\n    "));
	}
	process.exit(0);
}

/**
 * Runs a step up to its first failing command; returns what that command printed. What the commands
 * of a heavy step print is shown also when they do not fail.
 */
function failure(step: string): string | undefined {
	for (const line of ALL[step] ?? []) {
		const { status, stdout } = spawnSync(`${line} 2>&1`, {
			shell: true,
			encoding: "utf8",
			maxBuffer: 2 ** 28,
			env: { ...process.env, PATH, NO_COLOR: "1" },
			stdio: ["ignore", "pipe", "inherit"],
		});
		if (status !== 0) return `$ ${line}\n${stdout}`;
		if (Object.hasOwn(HEAVY, step)) process.stdout.write(stdout);
	}
	return undefined;
}

const steps = wanted();
const failed: string[] = [];
for (const step of steps) {
	const start = performance.now();
	const output = failure(step);
	const seconds = ((performance.now() - start) / 1000).toFixed(1);
	console.log(
		`${output === undefined ? "ok  " : "FAIL"}  ${step.padEnd(12)} ${seconds.padStart(6)} s`,
	);
	if (output === undefined) continue;
	console.log(output.replace(/^(?=.)/gm, "      "));
	failed.push(step);
}
if (failed.length > 0) {
	console.log(`failed: ${failed.join(", ")}`);
	process.exitCode = 1;
}

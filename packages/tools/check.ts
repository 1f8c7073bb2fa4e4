// Runs the checks of the workspace step by step; prints for each whether it failed and how long it
// took.
import { spawnSync } from "node:child_process";
import { delimiter, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Command } from "./command.ts";
import { PACKED, packages } from "./workspace.ts";

const tool = (name: string): string => `node --import tsx packages/tools/${name}.ts`;
const coverageOf = (folder: string): string =>
	`c8 report --check-coverage --include "${folder}/src/**" --lines 95 --branches 95`;

/** Packs a package as it would be published, and lints what users would get. */
function pack(name: string, folder: string): string[] {
	const tarball = resolve(`${PACKED}/${name}.tgz`);
	return [
		`pnpm --dir ${folder} pack --out ${tarball}`,
		`publint --strict ${tarball}`,
		`attw --profile esm-only ${tarball}`,
	];
}

const published = packages(".").filter(({ manifest }) => !manifest.private);

/** Makes what is published. */
const BUILD = [`${tool("bundle")} --types`];

/** The commands of each step, in the order in which they run. */
const STEPS: Record<string, string[]> = {
	// Formatting, lint rules, and no cycle of imports other than of types.
	lint: ["biome check --error-on-warnings ."],
	arrows: [tool("arrows")],
	// Not composite, which would leave a build state behind.
	platform: [
		tool("platform"),
		'tsc -p packages/kqueue --noEmit --composite false --lib es2022 --types ""',
	],
	language: [tool("language")],
	types: ["tsc -p tsconfig.check.json"],
	build: BUILD,
	packages: [
		...BUILD,
		...published.flatMap(({ name, folder }) => pack(name, folder)),
		tool("packed"),
	],
	size: [tool("size")],
	unused: ["knip --config packages/tools/knip.json"],
	documented: ["typedoc --options packages/tools/typedoc.config.mjs"],
	concordance: [`${tool("concordance")} --check`],
	coverage: ["npm run --silent coverage", ...published.map(({ folder }) => coverageOf(folder))],
};

const command = new Command(
	"check",
	`usage: npm run check [-- STEP...]
       npm run check -- --list

Steps: ${Object.keys(STEPS).join(", ")}`,
);

// The tools are used by their names, wherever in the workspace they are installed.
const PATH = ["node_modules/.bin", "packages/tools/node_modules/.bin"]
	.map((folder) => resolve(folder))
	.concat(process.env["PATH"] ?? "")
	.join(delimiter);

/** The steps that the arguments ask for, all when they name none; null to list them. */
function stepsOf(args: string[]): string[] | null {
	const options = { list: { type: "boolean" } } as const;
	const { positionals, values } = parseArgs({ args, options, allowPositionals: true });
	const unknown = positionals.find((name) => !Object.hasOwn(STEPS, name));
	if (unknown !== undefined) throw new Error(`Unknown step '${unknown}'`);
	if (values.list) return null;
	return positionals.length > 0 ? positionals : Object.keys(STEPS);
}

/** The steps to run; when they are only to be listed, does that and ends the process. */
function wanted(): string[] {
	const named = command.parse(stepsOf);
	if (named !== null) return named;
	for (const [name, commands] of Object.entries(STEPS)) {
		console.log([name, ...commands].join("\n    "));
	}
	process.exit(0);
}

/** Runs a step up to its first failing command; returns what that command printed. */
function failure(step: string): string | undefined {
	for (const line of STEPS[step] ?? []) {
		const { status, stdout } = spawnSync(`${line} 2>&1`, {
			shell: true,
			encoding: "utf8",
			maxBuffer: 2 ** 28,
			env: { ...process.env, PATH, NO_COLOR: "1" },
			stdio: ["ignore", "pipe", "inherit"],
		});
		if (status !== 0) return `$ ${line}\n${stdout}`;
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

// Runs the checks of the workspace step by step; prints for each whether it failed and how long it
// took.
import { spawnSync } from "node:child_process";
import { delimiter, resolve } from "node:path";
import { parseArgs } from "node:util";
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
const BUILD = ["tsc --build", `${tool("bundle")} --types`];

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

const USAGE = `usage: npm run check [-- STEP...]
       npm run check -- --list

Steps: ${Object.keys(STEPS).join(", ")}`;

// The tools are used by their names, wherever in the workspace they are installed.
const PATH = ["node_modules/.bin", "packages/tools/node_modules/.bin"]
	.map((folder) => resolve(folder))
	.concat(process.env["PATH"] ?? "")
	.join(delimiter);

function usageError(problem: string): never {
	console.error(`${problem}\n${USAGE}`);
	process.exit(2);
}

/** The steps the command line asks for, all when it names none. */
function wanted(): string[] {
	try {
		const options = { list: { type: "boolean" } } as const;
		const { positionals, values } = parseArgs({ options, allowPositionals: true });
		const unknown = positionals.find((name) => !Object.hasOwn(STEPS, name));
		if (unknown !== undefined) throw new Error(`Unknown step '${unknown}'`);
		if (!values.list) return positionals.length > 0 ? positionals : Object.keys(STEPS);
	} catch (error) {
		usageError(error instanceof Error ? error.message : String(error));
	}
	for (const [name, commands] of Object.entries(STEPS)) {
		console.log([name, ...commands].join("\n    "));
	}
	process.exit(0);
}

/** Runs a step up to its first failing command; returns what that command printed. */
function failure(step: string): string | undefined {
	for (const command of STEPS[step] ?? []) {
		const { status, stdout } = spawnSync(`${command} 2>&1`, {
			shell: true,
			encoding: "utf8",
			maxBuffer: 2 ** 28,
			env: { ...process.env, PATH, NO_COLOR: "1" },
			stdio: ["ignore", "pipe", "inherit"],
		});
		if (status !== 0) return `$ ${command}\n${stdout}`;
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

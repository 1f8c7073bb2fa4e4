// The steps of `npm run check`: their names, their commands, and which of them run by default.
import { resolve } from "node:path";
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
export const STEPS: Record<string, string[]> = {
	// Formatting, lint rules, and no cycle of imports other than of types.
	lint: ["biome check --error-on-warnings ."],
	arrows: [tool("arrows")],
	// Not composite, which would leave a build state behind.
	platform: [
		tool("platform"),
		'tsc -p packages/kqueue --noEmit --composite false --lib es2022 --types ""',
	],
	language: [tool("language")],
	types: [
		"tsc -p tsconfig.check.json",
		"tsc -p packages/tools/browser/pages",
		"tsc -p packages/wasi/test/browser",
	],
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

/** Steps that take minutes, or need the network: they run only if they are named, or with --all. */
export const HEAVY: Record<string, string[]> = {
	// Installs Deno, Bun, and later versions of Node.
	runtimes: [tool("runtimes")],
	// Installs Chromium, which takes the packages as browsers get them.
	browser: [tool("bundle"), tool("browser")],
	// Types into programs in a pseudo-terminal, which needs Python.
	terminal: [tool("terminal")],
	// Installs a C compiler; compares its modules, and what Linux prints, with the files here.
	guests: [`${tool("guests")} --check`],
	// Installs Debian's compiler of Rust, and Ruby from npm.
	toolchains: [tool("toolchains")],
};

/** All steps, in the order in which they run. */
export const ALL: Record<string, string[]> = { ...STEPS, ...HEAVY };

/** The steps to run: those that are named, or all that are not heavy, or with `all` those too. */
export function chosen(names: readonly string[], all: boolean): readonly string[] {
	const unknown = names.find((name) => !Object.hasOwn(ALL, name));
	if (unknown !== undefined) throw new Error(`Unknown step '${unknown}'`);
	if (names.length === 0) return Object.keys(all ? ALL : STEPS);
	if (all) throw new Error("--all and steps exclude each other");
	return names;
}

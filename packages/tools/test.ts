// Runs the test files of the workspace under uvu, and fails where uvu 0.5.6 would not.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { parse } from "uvu/parse";
import { Command } from "./command.ts";

/** What a suite's `run()` puts on uvu's queue; `errors` is `true` when uvu has nothing to print. */
type Runner = () => Promise<
	[errors: string | true, passed: number, skipped: number, total: number]
>;
type Group = [name: string, ...runners: Runner[]];

/** The globals by which uvu's own command line controls it. */
interface UvuGlobals {
	UVU_DEFER: 1;
	UVU_INDEX: number;
	UVU_QUEUE: Group[];
}

const command = new Command(
	"test",
	`usage: npm test [-- PATTERN]

PATTERN  a regular expression; only files whose path matches it run`,
);
const TEST_FILE = "^(packages[\\\\/][^\\\\/]+[\\\\/]test|examples)[\\\\/].*\\.test\\.ts$";

const uvu = globalThis as unknown as UvuGlobals;
// Has to be set before uvu is loaded, or every file would run as soon as it is imported.
uvu.UVU_DEFER = 1;
const { exec, test } = await import("uvu");

const counts = { passed: 0, failed: 0, skipped: 0 };

/** Prints what is wrong outside any test, and counts it as a failed test. */
function fail(problem: string): void {
	counts.failed++;
	console.error(`FAIL ${problem}`);
}

/**
 * Removes the tests that the shared `test` still holds; returns how many there were. They were
 * defined after `test.run()` or without one, and would otherwise run as part of the next file.
 */
function takeLeftovers(group: Group): number {
	// uvu adds to an array and returns its new length; the types do not say so.
	const length = test("leftover", () => {}) as unknown as number;
	test.run();
	group.pop();
	return length - 1;
}

/** Problems that show in the text of a test file but not in uvu's results. */
function* textProblems(text: string): Generator<string> {
	// Only at the start of a line, so that a test of this runner may have such a call in a string.
	for (const [, name] of text.matchAll(/^\s*(\w+)\.only\(/gm)) yield `a test is on ${name}.only`;
	for (const [, name] of text.matchAll(/^\s*const (\w+) = suite\b/gm)) {
		if (!text.includes(`${name}.run()`)) yield `no ${name}.run()`;
	}
}

/** Imports a test file, which queues its suites, and finds what uvu would not report about it. */
async function load(name: string, file: string, index: number): Promise<void> {
	const group: Group = [name];
	uvu.UVU_INDEX = index;
	uvu.UVU_QUEUE.push(group);
	try {
		await import(pathToFileURL(file).href);
	} catch (error) {
		takeLeftovers(group);
		group.length = 1;
		fail(`${name}: ${error instanceof Error ? error.stack : error}`);
		return;
	}
	const leftovers = takeLeftovers(group);
	const [, ...runners] = group;
	if (runners.length === 0) fail(`${name}: no test.run()`);
	else if (leftovers > 0) fail(`${name}: ${leftovers} tests come after test.run()`);
	for (const problem of textProblems(readFileSync(file, "utf8"))) fail(`${name}: ${problem}`);
	group.splice(1, runners.length, ...runners.map((run) => counted(name, run)));
}

/** If a file takes longer than this, it waits for something that never happens. */
const LIMIT_MINUTES = 5;

/** The same runner, which adds to `counts`; if a hook throws, uvu prints the error. */
function counted(name: string, run: Runner): Runner {
	return async () => {
		const limit = setTimeout(() => {
			fail(`${name}: still running after ${LIMIT_MINUTES} minutes`);
			process.exit(1);
		}, LIMIT_MINUTES * 60_000).unref();
		try {
			const [errors, passed, skipped, total] = await run();
			counts.passed += passed;
			counts.failed += total - passed;
			counts.skipped += skipped;
			if (errors === true && passed < total) {
				return ["  FAIL  a hook threw, uvu does not keep the error\n", passed, skipped, total];
			}
			return [errors, passed, skipped, total];
		} catch (error) {
			// An `after` hook threw, and the suite's numbers are lost.
			counts.failed++;
			return [`  FAIL  after: ${error instanceof Error ? error.stack : error}\n`, 0, 0, 0];
		} finally {
			clearTimeout(limit);
		}
	};
}

const wanted = command.parse((args): RegExp => {
	const { positionals } = parseArgs({ args, allowPositionals: true });
	if (positionals.length > 1) throw new Error("More than one pattern");
	return new RegExp(positionals[0] ?? "");
});
const { suites } = await parse(".", TEST_FILE, {
	ignore: ["(^|[\\\\/])(build|dist|\\.[^\\\\/]*)$"],
});
const files = suites.filter(({ name }) => wanted.test(name));
let ended = false;

// On exit, because a test that waits for something that never happens lets the process end.
process.on("exit", (code) => {
	if (!ended) fail("the run broke off: a test waits for something that never happens, or exits");
	else if (files.length === 0) fail(`no test file matches ${wanted}`);
	else if (counts.passed + counts.failed === 0) fail("no test ran");
	else if (code !== 0 && counts.failed === 0) fail("an error came after the tests");
	if (process.env["CI"] && counts.skipped > 0) fail("a test is skipped, which CI refuses");
	console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
	if (counts.failed > 0) process.exitCode = 1;
});

for (const [index, { name, file }] of files.entries()) await load(name, file, index);
if (files.length > 0) await exec();
ended = true;

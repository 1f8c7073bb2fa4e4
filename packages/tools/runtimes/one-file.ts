// Runs one test file under any runtime, with all of its tests or some; the last line says how it
// went, as JSON.
import { pathToFileURL } from "node:url";

/** What the last line says. */
export interface FileResult {
	/** How many tests passed. */
	readonly passed: number;
	/** The names of those that failed. */
	readonly failed: readonly string[];
}

/** Which tests run. */
export interface Selection {
	/** Only this one. */
	readonly only?: string | undefined;
	/** All but these. */
	readonly without?: readonly string[] | undefined;
}

/** What a suite's `run()` puts on uvu's queue. */
type Runner = () => Promise<
	[errors: string | true, passed: number, skipped: number, total: number]
>;

/** The globals by which uvu's own command line controls it. */
interface UvuGlobals {
	UVU_DEFER: 1;
	UVU_INDEX: number;
	UVU_QUEUE: [name: string, ...runners: Runner[]][];
}

const uvu = globalThis as unknown as UvuGlobals;
// Has to be set before uvu is loaded, or the file would run as soon as it is imported.
uvu.UVU_DEFER = 1;
const { test } = await import("uvu");

const [file = "", selection = "{}"] = process.argv.slice(2);
const { only, without = [] } = JSON.parse(selection) as Selection;

/** Makes a test fail that is not to run. uvu passes the test's name to its hooks. */
function refuse(state: object): void {
	const { __test__: name } = state as { readonly __test__: string };
	if ((only !== undefined && name !== only) || without.includes(name)) throw new Error("not run");
}

uvu.UVU_INDEX = 0;
uvu.UVU_QUEUE.push([file]);
test.before.each(refuse);
await import(pathToFileURL(file).href);

const [, ...runners] = uvu.UVU_QUEUE[0] ?? [""];
let passed = 0;
const failed: string[] = [];
for (const run of runners) {
	const [errors, count] = await run();
	passed += count;
	if (errors === true) continue;
	for (const [, name] of errors.matchAll(/FAIL {2}"(.*)"$/gm)) failed.push(name as string);
	console.log(errors);
}
const wanted = failed.filter((name) => name === only || !without.includes(name));
const result: FileResult = { passed, failed: only === undefined ? wanted : [] };
console.log(JSON.stringify(result));
process.exit(0);

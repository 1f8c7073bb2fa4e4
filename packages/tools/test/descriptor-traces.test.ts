// The answers of the reference for pipes, sockets, fifos and terminals, replayed line for line.
import { readdir, readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Difference, replay } from "../trace/replay.ts";
import { DIFFER } from "./traces/descriptors/differ.ts";

const HERE = new URL("traces/descriptors/", import.meta.url);
const LIST = "packages/tools/test/traces/descriptors/differ.ts";

const names: string[] = [];
for (const kind of ["scenarios", "random"]) {
	for (const file of await readdir(new URL(`${kind}/`, HERE))) {
		names.push(`${kind}/${file.replace(/\.trace$/, "")}`);
	}
}

/** What has to be done about the list when a trace differs in another line than it says. */
function advice(name: string, listed: number, difference: Difference | null): string {
	if (difference === null) return `${name} no longer differs: remove it from ${LIST}`;
	const { line, expected, got } = difference;
	const lines = `line ${line}\n  expected ${expected}\n  got      ${got}`;
	return line > listed
		? `${name} differs later than it did: replace ${listed} by ${line} in ${LIST}; ${lines}`
		: `${name} differs earlier than it did, which was line ${listed}; ${lines}`;
}

test("there are 72 scenarios and 198 random traces of descriptors", () => {
	const scenarios = names.filter((name) => name.startsWith("scenarios/"));
	assert.equal([scenarios.length, names.length - scenarios.length], [72, 198]);
});

test("every trace in the list of those that differ exists", () => {
	assert.equal(
		Object.keys(DIFFER).filter((name) => !names.includes(name)),
		[],
	);
});

for (const name of names) {
	const listed = DIFFER[name];
	const title =
		listed === undefined
			? `${name} has the same results as in the reference`
			: `${name} has the same results as in the reference up to line ${listed}`;
	test(title, async () => {
		const { difference } = await replay(await readFile(new URL(`${name}.trace`, HERE), "utf8"));
		if (listed === undefined) assert.is(difference, null);
		else assert.is(difference?.line ?? null, listed, advice(name, listed, difference));
	});
}

test.run();

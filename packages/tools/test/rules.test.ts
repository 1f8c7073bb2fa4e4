// The list of the kernel's rules: each of them names a test that exists, a divergence, or a reason.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { listProblems, readOrNull, rowsOf, unlisted } from "../citations.ts";

const LIST = readFileSync("docs/rules.md", "utf8");
const PINS = "packages/files/test/rules.test.ts";
const DIVERGES = /^diverges: (.+)$/;

/** Of the rules that diverge, those whose row is not in the list of divergences. */
function unknownDivergences(list: string, divergences: string): string[] {
	const known = new Set(rowsOf(divergences).map(({ name }) => name));
	return rowsOf(list).flatMap(({ ours }) => {
		const [, name] = DIVERGES.exec(ours) ?? [];
		return name === undefined || known.has(name) ? [] : [name];
	});
}

test("each rule has a test that exists, a divergence or a reason", () => {
	const reasons = ["does not apply", "diverges", "differs"];
	assert.equal([...listProblems(LIST, readOrNull, reasons)], []);
});

test("each divergence that a rule names is in the list of divergences", () => {
	const divergences = readFileSync("docs/divergences.md", "utf8");
	assert.equal(unknownDivergences(LIST, divergences), []);
	const list = "| a | diverges: timers |\n| b | diverges: tides |\n| c | differs: tides |\n";
	assert.equal(unknownDivergences(list, divergences), ["tides"]);
});

test("each test that was written for a rule is in the list", () => {
	assert.equal(unlisted(LIST, PINS, readFileSync(PINS, "utf8")), []);
});

test.run();

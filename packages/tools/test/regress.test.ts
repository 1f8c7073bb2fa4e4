// The list of OpenBSD's regress tests: each of them names a test of ours that exists, or a reason.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { listProblems, readOrNull, rowsOf, testNames, unlisted } from "../citations.ts";
import { packages, sources } from "../workspace.ts";

const SUITE = /\/openbsd-[^/]*\.test\.ts$/;

function table(...rows: string[]): string {
	return ["# Tests", "", "| test | what | ours |", "| --- | --- | --- |", ...rows, ""].join("\n");
}

const SOURCE = `
const ROWS = [{ name: "kq-five" }];
test("kq-one: a sentence", () => {});
test(\`kq-two\`, () => {});
for (const [kind, n] of [["tcp", 1], ["unix", 2]] as const) {
	for (const flag of ["a", "b"]) test(\`kq-three \${kind}: a sentence\`, () => {});
	test(\`\${kind}-four \${kind}\`, () => {});
}
for (const row of ROWS) test(\`\${row.name}: a sentence\`, () => {});
for (const row of ROWS) test(\`kq-seven \${row.list.join()}: a sentence\`, () => {});
testify("kq-six");
`;

function readSource(path: string): string | null {
	return path === "packages/files/test/a.test.ts" ? SOURCE : null;
}

test("the names of tests are found, those that loops make included", () => {
	assert.equal(testNames('test("a", f); test(`b`, f); test("c" + d, f);'), ["a", "b"]);
	assert.equal(testNames(SOURCE), [
		"kq-one: a sentence",
		"kq-two",
		"kq-three tcp: a sentence",
		"kq-three unix: a sentence",
		"tcp-four tcp",
		"tcp-four unix",
		"unix-four tcp",
		"unix-four unix",
		"kq-five: a sentence",
		"kq-seven ",
	]);
});

test("a list is right when each row has a test that exists, or a reason", () => {
	const list = table(
		"| kq-one | it does one | files/a.test.ts: kq-one |",
		"| kq-two | it does two | files/a.test.ts: kq-two |",
		"| kq-three | it does three | files/a.test.ts: kq-three unix |",
		"| kq-four | it does four | files/a.test.ts: unix-four unix |",
		"| kq-five | it does five | files/a.test.ts: kq-five: a sentence |",
		"| kq-nine | it does nine | does not apply: there is no nine |",
	);
	assert.equal([...listProblems(list, readSource)], []);
});

test("each kind of mistake is found", () => {
	const list = table(
		"| kq-one | it does one | files/b.test.ts: kq-one |",
		"| kq-one | it does one | files/a.test.ts: kq-one |",
		"| kq-on | it does on | files/a.test.ts: kq-on |",
		"| kq-six | it does six | files/a.test.ts: kq-six |",
		"| kq-three | it does three | files/a.test.ts: kq-three tls |",
		"| kq-four |  | files/a.test.ts: tcp-four tcp |",
		"| kq-five | it does five | files/a.test.ts: kq-five: a sent |",
		"| kq-seven | it does seven |  |",
		"| kq-eight | it does eight | does not apply: |",
		"| kq-nine | it does nine |",
	);
	const file = "packages/files/test/a.test.ts";
	assert.equal(
		[...listProblems(list, readSource)],
		[
			'"kq-one": there is no packages/files/test/b.test.ts',
			'"kq-one" has two rows',
			`"kq-on": no test of ${file} begins with "kq-on"`,
			`"kq-six": no test of ${file} begins with "kq-six"`,
			`"kq-three": no test of ${file} begins with "kq-three tls"`,
			'"kq-four": a row has a name and says what it does',
			`"kq-five": no test of ${file} begins with "kq-five: a sent"`,
			'"kq-seven" has neither test nor reason',
			'"kq-eight" has neither test nor reason',
			'"kq-nine" has neither test nor reason',
		],
	);
	assert.equal([...listProblems("# Tests\n", readSource)], ["there is no row"]);
});

test("a test that no row names is found", () => {
	const list = table(
		"| kq-one | it does one | files/a.test.ts: kq-one |",
		"| kq-four | it does four | files/a.test.ts: tcp-four |",
		"| kq-two | it does two | kqueue/a.test.ts: kq-two |",
	);
	assert.equal(unlisted(list, "packages/files/test/a.test.ts", SOURCE), [
		"kq-two",
		"kq-three tcp: a sentence",
		"kq-three unix: a sentence",
		"unix-four tcp",
		"unix-four unix",
		"kq-five: a sentence",
		"kq-seven ",
	]);
});

test("other reasons than that a row does not apply count only where they are allowed", () => {
	const list = table("| kq-one | it does one | differs: ours does two |");
	assert.equal(
		[[...listProblems(list, readSource)], [...listProblems(list, readSource, ["differs"])]],
		[['"kq-one" has neither test nor reason'], []],
	);
});

const LIST = readFileSync("docs/regress.md", "utf8");

test("each of OpenBSD's tests has one of ours, or a reason", () => {
	assert.equal([...listProblems(LIST, readOrNull)], []);
	assert.is(rowsOf(LIST).length, 70);
});

test("each of our tests under an original name is in the list", () => {
	const files = packages(".")
		.flatMap(({ folder }) => sources(".", `${folder}/test`))
		.filter((path) => SUITE.test(path));
	const strangers = files.flatMap((path) =>
		unlisted(LIST, path, readFileSync(path, "utf8")).map((name) => `${path}: ${name}`),
	);
	assert.equal(strangers, []);
	assert.ok(files.length > 0);
});

test.run();

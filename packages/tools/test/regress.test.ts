// The list of OpenBSD's regress tests: each of them names a test of ours that exists, or a reason.
import { existsSync, readFileSync } from "node:fs";
import ts from "typescript";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { packages, sources } from "../workspace.ts";

/** A row of a table: a test of theirs. */
interface Row {
	readonly name: string;
	readonly what: string;
	/** Where ours is, or why there is none. */
	readonly ours: string;
}

/** Ours, by its package, its file and the beginning of its name. */
const REFERENCE = /^([\w-]+)\/((?:[\w-]+\/)*[\w.-]+\.test\.ts): (.+)$/;
const REASON = /^does not apply: (.+)$/;
const SUITE = /\/openbsd-[^/]*\.test\.ts$/;

/** The rows of all tables of a text, without their heads. */
function rowsOf(text: string): Row[] {
	return text.split("\n").flatMap((line, i, lines) => {
		if (!line.startsWith("|") || line.startsWith("| ---") || lines[i + 1]?.startsWith("| ---"))
			return [];
		const [name = "", what = "", ours = ""] = line
			.split("|")
			.slice(1, -1)
			.map((cell) => cell.trim());
		return [{ name, what, ours }];
	});
}

/** The names of the tests in a source; for a test made by a loop, all names that it could have. */
function testNames(text: string): string[] {
	const source = ts.createSourceFile("x.test.ts", text, ts.ScriptTarget.Latest, true);
	const names: string[] = [];
	const visit = (node: ts.Node): void => {
		if (ts.isCallExpression(node) && node.expression.getText() === "test") {
			const [name] = node.arguments;
			if (name !== undefined) names.push(...expansions(name));
		}
		ts.forEachChild(node, visit);
	};
	visit(source);
	return names;
}

/** The values that a string of the source can have. */
function expansions(name: ts.Expression): string[] {
	if (ts.isStringLiteralLike(name)) return [name.text];
	if (!ts.isTemplateExpression(name)) return [];
	let all = [name.head.text];
	for (const { expression, literal } of name.templateSpans) {
		const parts = loopStrings(expression);
		all = all.flatMap((before) => parts.map((part) => before + part + literal.text));
	}
	return all;
}

/** The strings in the list of the loop whose variable the expression is, or is a part of. */
function loopStrings(expression: ts.Expression): string[] {
	let root = expression;
	while (ts.isPropertyAccessExpression(root)) root = root.expression;
	if (!ts.isIdentifier(root)) return [];
	for (let node: ts.Node = root; node !== undefined; node = node.parent) {
		if (ts.isForOfStatement(node) && identifiers(node.initializer).includes(root.text))
			return strings(node.expression);
	}
	return [];
}

function identifiers(node: ts.Node): string[] {
	const found = ts.isIdentifier(node) ? [node.text] : [];
	ts.forEachChild(node, (child) => {
		found.push(...identifiers(child));
	});
	return found;
}

/** The strings in an expression, and in the constants of the file that it names. */
function strings(node: ts.Node): string[] {
	if (ts.isStringLiteralLike(node)) return [node.text];
	const found: string[] = [];
	if (ts.isIdentifier(node)) {
		for (const statement of node.getSourceFile().statements) {
			if (!ts.isVariableStatement(statement)) continue;
			for (const { name, initializer } of statement.declarationList.declarations) {
				if (name.getText() === node.text && initializer !== undefined)
					found.push(...strings(initializer));
			}
		}
	}
	ts.forEachChild(node, (child) => {
		found.push(...strings(child));
	});
	return found;
}

/** Whether a name has that beginning, in whole words. */
function begins(name: string, beginning: string): boolean {
	return name.startsWith(beginning) && !/^[\w-]/.test(name.slice(beginning.length));
}

/** What is wrong with a list. `read` returns the text of a test file, null if it does not exist. */
function* listProblems(list: string, read: (path: string) => string | null): Generator<string> {
	const rows = rowsOf(list);
	if (rows.length === 0) yield "there is no row";
	const seen = new Set<string>();
	const namesIn = new Map<string, string[] | null>();
	for (const { name, what, ours } of rows) {
		if (name === "" || what === "") yield `"${name}": a row has a name and says what it does`;
		if (seen.has(name)) yield `"${name}" has two rows`;
		seen.add(name);
		if (REASON.test(ours)) continue;
		const [, folder, file, beginning = ""] = REFERENCE.exec(ours) ?? [];
		if (file === undefined) {
			yield `"${name}" has neither test nor reason`;
			continue;
		}
		const path = `packages/${folder}/test/${file}`;
		if (!namesIn.has(path)) {
			const text = read(path);
			namesIn.set(path, text === null ? null : testNames(text));
		}
		const names = namesIn.get(path) ?? null;
		if (names === null) yield `"${name}": there is no ${path}`;
		else if (!names.some((each) => begins(each, beginning)))
			yield `"${name}": no test of ${path} begins with "${beginning}"`;
	}
}

/** Which tests of a file a list does not name. */
function unlisted(list: string, path: string, text: string): string[] {
	const named = rowsOf(list).flatMap(({ ours }) => {
		const [, folder, file, beginning = ""] = REFERENCE.exec(ours) ?? [];
		return `packages/${folder}/test/${file}` === path ? [beginning] : [];
	});
	return testNames(text).filter((name) => !named.some((each) => begins(name, each)));
}

function readOrNull(path: string): string | null {
	return existsSync(path) ? readFileSync(path, "utf8") : null;
}

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
	]);
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

// Lists in the docs whose rows name tests: their rows, and whether those tests exist.
import { existsSync, readFileSync } from "node:fs";
import ts from "typescript";

/** A row of a table. */
export interface Row {
	/** Its first cell. */
	readonly name: string;
	/** The cells between the first and the last one. */
	readonly what: readonly string[];
	/** Its last cell: where our test is, or why there is none. */
	readonly ours: string;
}

/** Ours, by its package, its file and the beginning of its name. */
const REFERENCE = /^([\w-]+)\/((?:[\w-]+\/)*[\w.-]+\.test\.ts): (.+)$/;
const REASON = /^([a-z ]+): (.+)$/;
/** What the reason of a row without a test begins with. */
const REASONS = ["does not apply"];

/** The rows of all tables of a text, without their heads. */
export function rowsOf(text: string): Row[] {
	return text.split("\n").flatMap((line, i, lines) => {
		if (!line.startsWith("|") || line.startsWith("| ---") || lines[i + 1]?.startsWith("| ---"))
			return [];
		const cells = line
			.split("|")
			.slice(1, -1)
			.map((cell) => cell.trim());
		return [{ name: cells[0] ?? "", what: cells.slice(1, -1), ours: cells.at(-1) ?? "" }];
	});
}

/**
 * The names of the tests in a source; for a test made by a loop, all names that it could have, up to
 * the first part that is computed.
 */
export function testNames(text: string): string[] {
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
		if (parts.length === 0) return all.filter((before) => before !== "");
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

/**
 * What is wrong with a list. `read` returns the text of a test file, null if it does not exist;
 * `reasons` are the words that may stand before the reason of a row without a test.
 */
export function* listProblems(
	list: string,
	read: (path: string) => string | null,
	reasons: readonly string[] = REASONS,
): Generator<string> {
	const rows = rowsOf(list);
	if (rows.length === 0) yield "there is no row";
	const seen = new Set<string>();
	const namesIn = new Map<string, string[] | null>();
	for (const { name, what, ours } of rows) {
		if (name === "" || what.includes("")) yield `"${name}": a row has a name and says what it does`;
		if (seen.has(name)) yield `"${name}" has two rows`;
		seen.add(name);
		if (reasons.includes(REASON.exec(ours)?.[1] ?? "")) continue;
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
export function unlisted(list: string, path: string, text: string): string[] {
	const named = rowsOf(list).flatMap(({ ours }) => {
		const [, folder, file, beginning = ""] = REFERENCE.exec(ours) ?? [];
		return `packages/${folder}/test/${file}` === path ? [beginning] : [];
	});
	return testNames(text).filter((name) => !named.some((each) => begins(name, each)));
}

/** The text of a file; null if it does not exist. */
export function readOrNull(path: string): string | null {
	return existsSync(path) ? readFileSync(path, "utf8") : null;
}

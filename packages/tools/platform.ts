// Checks that the engine reaches the platform only through its host.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { program, sources } from "./workspace.ts";

/** The packages that run anywhere, and the files in them that know a real platform. */
const PORTABLE = [
	"packages/kqueue/src",
	"packages/kqpoll/src",
	"packages/files/src",
	"packages/rxjs/src",
	"packages/wasi/src",
	"packages/worker/src",
];
const PLATFORM = [
	"packages/kqueue/src/base/real-host.ts",
	"packages/wasi/src/platform.ts",
	"packages/worker/src/platform.ts",
];

/**
 * What the language itself offers and the compiler therefore accepts: access to the globals, and
 * the time and randomness that a virtual host has to be able to replace.
 */
const FORBIDDEN = /^(globalThis|eval|Date|Math\.random)$/;

/** The compiler's es2022 does not have the part of the language that `using` needs. */
const LANGUAGE = '/// <reference lib="esnext.disposable" preserve="true" />';

/**
 * True for `declare const x: ...` and the like, which name something the platform has to provide.
 */
function isAmbient(node: ts.Node): boolean {
	const isDeclared = (ts.canHaveModifiers(node) ? ts.getModifiers(node) : undefined)?.some(
		({ kind }) => kind === ts.SyntaxKind.DeclareKeyword,
	);
	// A declared field only states the type of what the class already has.
	return isDeclared === true && !ts.isPropertyDeclaration(node);
}

function* nodeProblems(node: ts.Node, file: ts.SourceFile): Generator<string> {
	const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
	const place = `${file.fileName}:${line + 1}`;
	if (isAmbient(node)) yield `${place}: declares what only the files of the platform may`;
	if (ts.isIdentifier(node) || ts.isPropertyAccessExpression(node)) {
		const text = node.getText(file);
		if (FORBIDDEN.test(text)) yield `${place}: uses ${text}`;
	}
	const children: ts.Node[] = [];
	ts.forEachChild(node, (child) => void children.push(child));
	for (const child of children) yield* nodeProblems(child, file);
}

/** Comments that switch off the compiler's checks. */
function* commentProblems(path: string, text: string): Generator<string> {
	for (const [directive] of text.matchAll(/^\s*\/\/\/ *<reference.*$/gm)) {
		if (directive === LANGUAGE) continue;
		yield `${path}: ${directive.trim()} brings in a platform's types`;
	}
	for (const [directive] of text.matchAll(/@ts-(ignore|expect-error|nocheck)/g)) {
		yield `${path}: ${directive} switches the compiler off`;
	}
}

/** Where the portable packages touch a platform: a line for each place. */
export function* platformProblems(root: string): Generator<string> {
	for (const path of PORTABLE.flatMap((folder) => sources(root, folder))) {
		const text = readFileSync(join(root, path), "utf8");
		yield* commentProblems(path, text);
		if (PLATFORM.includes(path)) continue;
		const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022);
		yield* nodeProblems(file, file);
	}
}

program(import.meta.url, platformProblems);

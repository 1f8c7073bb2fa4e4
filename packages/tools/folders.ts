// Checks the folders inside a package: values are imported downwards only, types also between structures.
import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import ts from "typescript";
import { sources } from "./workspace.ts";

/** How a package is built up. */
export interface Layout {
	/** The folders of its sources, each with those that it may import values from. */
	readonly folders: Readonly<Record<string, readonly string[]>>;
	/**
	 * The files that hold structures. Only they may be named by a type import that runs up, and only
	 * they may be in a circle of imports: structures name each other, as they do in C.
	 */
	readonly structures: readonly string[];
}

/** Folders of which each builds on all before it. */
function ascending(...folders: string[]): Record<string, string[]> {
	return Object.fromEntries(folders.map((folder, i) => [folder, folders.slice(0, i)]));
}

/** The packages that have folders. */
export const LAYOUTS: Readonly<Record<string, Layout>> = {
	kqueue: {
		folders: ascending(
			"abi",
			"base",
			"file",
			"sched",
			"event",
			"process",
			"syscall",
			"stream",
			"testing",
		),
		structures: [
			"event/filterops.ts",
			"event/klist.ts",
			"event/knote.ts",
			"event/kqueue.ts",
			"file/file.ts",
			"file/filedesc.ts",
			"process/machine.ts",
			"process/process.ts",
			"process/session.ts",
			"process/thread.ts",
			"sched/call.ts",
			"sched/wait-channel.ts",
		],
	},
	files: {
		folders: {
			shared: [],
			pipe: ["shared"],
			socket: ["shared"],
			tree: ["shared", "pipe"],
			tty: ["shared"],
			device: ["shared", "tty"],
		},
		structures: [
			"socket/socket.ts",
			"socket/socket-io.ts",
			"tree/file-system.ts",
			"tree/memory-names.ts",
			"tree/memory-vnode.ts",
			"tree/tree.ts",
			"tree/tree-file.ts",
			"tree/vnode.ts",
		],
	},
};

/** An import of one file of a package by another. */
interface Edge {
	readonly from: string;
	readonly to: string;
	/** Whether only types are imported. */
	readonly typeOnly: boolean;
}

/** The imports and re-exports of a file that stay within its package. */
function* edgesOf(folder: string, file: string, text: string): Generator<Edge> {
	const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022);
	for (const statement of source.statements) {
		if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
		const { moduleSpecifier } = statement;
		if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) continue;
		if (!moduleSpecifier.text.startsWith(".")) continue;
		const to = posix.join(posix.dirname(file), moduleSpecifier.text);
		yield { from: short(folder, file), to: short(folder, to), typeOnly: isTypeOnly(statement) };
	}
}

function isTypeOnly(statement: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
	if (ts.isExportDeclaration(statement)) {
		const { exportClause, isTypeOnly } = statement;
		return isTypeOnly || (areTypes(exportClause) ?? false);
	}
	const clause = statement.importClause;
	if (clause === undefined) return false;
	return (
		clause.isTypeOnly || (clause.name === undefined && (areTypes(clause.namedBindings) ?? false))
	);
}

function areTypes(
	names: ts.NamedImportBindings | ts.NamedExportBindings | undefined,
): boolean | undefined {
	if (names === undefined || !(ts.isNamedImports(names) || ts.isNamedExports(names)))
		return undefined;
	return [...names.elements].every((element) => element.isTypeOnly);
}

/** A file's path from the sources of its package. */
function short(folder: string, file: string): string {
	return posix.relative(`${folder}/src`, file);
}

/** Why an import is against the order of the folders, if it is. */
function orderProblem(
	{ folders, structures }: Layout,
	{ from, to, typeOnly }: Edge,
): string | undefined {
	// Entry points stand above all folders.
	if (!from.includes("/")) return undefined;
	const [above = "", below = ""] = [from, to].map((file) => file.split("/")[0]);
	if (above === below || folders[above]?.includes(below)) return undefined;
	if (!typeOnly) return "runs up";
	return structures.includes(to) ? undefined : "runs up, to what is not a structure";
}

/** The circles of a graph: each a sorted list of the files in it. */
export function circles(edges: readonly Pick<Edge, "from" | "to">[]): string[][] {
	const next = new Map<string, string[]>();
	for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to]);
	const reach = new Map([...next.keys()].map((file) => [file, reachable(next, file)]));
	const found = new Map<string, string[]>();
	for (const [file, ahead] of reach) {
		if (!ahead.has(file)) continue;
		const circle = [...ahead].filter((other) => reach.get(other)?.has(file)).sort();
		found.set(circle[0] as string, circle);
	}
	return [...found.values()];
}

/** What can be reached from a file, itself only by a circle. */
function reachable(next: ReadonlyMap<string, readonly string[]>, from: string): Set<string> {
	const seen = new Set<string>();
	const todo = [...(next.get(from) ?? [])];
	for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
		if (seen.has(file)) continue;
		seen.add(file);
		todo.push(...(next.get(file) ?? []));
	}
	return seen;
}

/** Where the imports inside a package break its layout; a package without one has no circles. */
export function* folderProblems(root: string, folder: string, name: string): Generator<string> {
	if (!existsSync(join(root, folder, "src"))) return;
	const layout = LAYOUTS[name];
	const edges = sources(root, `${folder}/src`).flatMap((file) => [
		...edgesOf(folder, file, readFileSync(join(root, file), "utf8")),
	]);
	for (const edge of layout === undefined ? [] : edges) {
		const problem = orderProblem(layout as Layout, edge);
		if (problem !== undefined) yield `${folder}/src/${edge.from}: import of ${edge.to} ${problem}`;
	}
	for (const circle of circles(edges.filter(({ typeOnly }) => !typeOnly)))
		yield `${folder}/src: imports of values go in a circle: ${circle.join(", ")}`;
	for (const circle of circles(edges)) {
		const strangers = circle.filter((file) => !layout?.structures.includes(file));
		if (strangers.length > 0)
			yield `${folder}/src: in a circle of types, and not a structure: ${strangers.join(", ")}`;
	}
}

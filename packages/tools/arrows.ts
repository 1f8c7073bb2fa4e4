// Checks that imports between packages follow the arrows of the design and end at entry points, and
// that those inside a package follow the order of its folders.
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import ts from "typescript";
import { folderProblems } from "./folders.ts";
import { type Package, packages, program, SCOPE, sources } from "./workspace.ts";

/** Which packages each one may import. Private packages are free: nothing imports them. */
const ARROWS: Record<string, string[]> = {
	kqueue: [],
	kqpoll: ["kqueue"],
	files: ["kqueue"],
	rxjs: ["kqueue", "kqpoll"],
	node: ["kqueue", "files"],
	wasi: ["kqueue", "kqpoll", "files"],
	worker: ["kqueue", "wasi"],
	cli: ["kqueue", "files", "node", "wasi", "worker"],
};

/**
 * What the tests of a package may import besides: pollers, to show what its files do to them, and files
 * of other kinds.
 */
const TEST_ARROWS: Record<string, string[]> = {
	files: ["kqpoll"],
	rxjs: ["files"],
	node: ["kqpoll"],
	wasi: ["node"],
	worker: ["files"],
};

/** What the commands of other private packages may import by path: it is not a package to install. */
const TOOLS = "packages/tools/";

/** The packages of the workspace that `from` may name, in its sources or in its tests. */
function targets(from: Package, workspace: Package[], tests: boolean): string[] {
	if (!from.manifest.private) {
		const besides = tests ? (TEST_ARROWS[from.name] ?? []) : [];
		return [...(ARROWS[from.name] ?? []), ...besides];
	}
	return workspace.filter((it) => !it.manifest.private).map((it) => it.name);
}

/** What a package declares that its arrows do not allow. */
function* manifestProblems(from: Package, workspace: Package[]): Generator<string> {
	const { manifest, folder, name } = from;
	if (!manifest.private && ARROWS[name] === undefined) {
		yield `${folder}: published, but the arrows in packages/tools/arrows.ts do not know it`;
	}
	const { dependencies, devDependencies, peerDependencies, optionalDependencies } = manifest;
	for (const [declared, tests] of [
		[{ ...dependencies, ...peerDependencies, ...optionalDependencies }, false],
		[devDependencies ?? {}, true],
	] as const) {
		for (const dependency of Object.keys(declared).filter((it) => it.startsWith(SCOPE))) {
			if (targets(from, workspace, tests).includes(dependency.replace(SCOPE, ""))) continue;
			yield `${folder}/package.json: may not depend on ${dependency}`;
		}
	}
}

/** Why `file` of package `from` may not import `specifier`, if it may not. */
function importProblem(
	from: Package,
	workspace: Package[],
	file: string,
	specifier: string,
): string | undefined {
	const isSource = file.startsWith(`${from.folder}/src/`);
	if (specifier.startsWith(".")) {
		const home = isSource ? `${from.folder}/src/` : `${from.folder}/`;
		const path = posix.join(posix.dirname(file), specifier);
		if (from.manifest.private && path.startsWith(TOOLS)) return undefined;
		return path.startsWith(home) ? undefined : `leaves ${home}`;
	}
	if (specifier.startsWith(SCOPE)) {
		const [name = "", ...rest] = specifier.slice(SCOPE.length).split("/");
		// A package may use its own name in its tests, as its users do.
		if (!targets(from, workspace, !isSource).includes(name) && (isSource || name !== from.name)) {
			return "is against the arrows";
		}
		const entry = ["."].concat(rest).join("/");
		const target = workspace.find((it) => it.name === name);
		return target?.manifest.exports?.[entry] ? undefined : "is not an entry point";
	}
	// Tests and private packages may use whatever is installed; what is published may not.
	if (!isSource || from.manifest.private) return undefined;
	if (specifier.startsWith("node:")) {
		return ["node", "cli"].includes(from.name) ? undefined : "ties it to Node";
	}
	const { dependencies, peerDependencies } = from.manifest;
	const isDeclared = Object.keys({ ...dependencies, ...peerDependencies }).some(
		(it) => specifier === it || specifier.startsWith(`${it}/`),
	);
	return isDeclared ? undefined : "is not a dependency";
}

/** Where the workspace breaks its rules: a line for each manifest and import. */
export function* arrowProblems(root: string): Generator<string> {
	const workspace = packages(root);
	for (const from of workspace) {
		yield* manifestProblems(from, workspace);
		yield* folderProblems(root, from.folder, from.name);
		for (const file of sources(root, from.folder)) {
			const text = readFileSync(join(root, file), "utf8");
			for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
				const problem = importProblem(from, workspace, file, fileName);
				if (problem !== undefined) yield `${file}: import of "${fileName}" ${problem}`;
			}
		}
	}
}

program(import.meta.url, arrowProblems);

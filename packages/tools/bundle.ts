// Builds what the packages publish: their JavaScript, a file for each entry point and what they share,
// once for bundlers, which leave out what a program does not use, and once for Node; and their types (with
// --types), without what is the engine's own.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { Command } from "./command.ts";
import { type Package, packages } from "./workspace.ts";

const command = new Command(
	"build",
	`usage: npm run build
       node --import tsx packages/tools/bundle.ts [--types]
  --types  make the types as well, which npm run build does`,
);
const IMPORT = /^import (?:\{([^}]*)\} from )?"[^"]+";$/gm;
const EXPORT = /^export \{([^}]*)\};$/gm;

/**
 * Puts the body of a module that esbuild made into a function, and keeps every line where it was.
 *
 * V8 trusts that declarations inside a function do not change, and calls them without looking them
 * up. Those of a module it looks up and compares at every call, and imports cost even more. But
 * bundlers can take such a module only as a whole or not at all.
 */
export function inFunction(code: string): string {
	const statements = [...code.matchAll(IMPORT)];
	const imported = new Set(statements.flatMap(([, list]) => names(list).map(([, local]) => local)));
	const exported = [...code.matchAll(EXPORT)].flatMap(([, list]) => names(list));
	const own = exported.map(([local]) => local).filter((local) => !imported.has(local));
	const body = code.replace(IMPORT, emptied).replace(EXPORT, emptied);
	if (/^(import|export)\b/m.test(body)) throw new Error("a module in a form that is not expected");
	if (own.length === 0) return code;

	const used = [...imported].filter((name) => body.includes(name)).join(", ");
	const head = statements.map(([statement]) => statement.replace(/\n\s*/g, " ")).join(" ");
	const end = body.lastIndexOf("\n//# sourceMappingURL=");
	const tail = end < 0 ? "" : body.slice(end);
	const inner = end < 0 ? body : body.slice(0, end);
	return [
		`${head}const { ${own.join(", ")} } = /* @__PURE__ */ ((${used}) => {${inner.trimEnd()}`,
		`return { ${own.join(", ")} };`,
		`})(${used});`,
		`export { ${exported.map(([local, name]) => (local === name ? name : `${local} as ${name}`)).join(", ")} };${tail}`,
	].join("\n");
}

/** The entries of an import's or export's list: the names before and after "as". */
function names(list = ""): [before: string, after: string][] {
	return list
		.split(",")
		.map((entry) => entry.trim())
		.filter((entry) => entry !== "")
		.map((entry) => {
			const [before = "", after = before] = entry.split(" as ");
			return [before, after];
		});
}

/** As many empty lines. */
function emptied(statement: string): string {
	return statement.replace(/[^\n]/g, "");
}

/** Runs the compiler of the workspace, which prints the errors it finds; with any, ends with status 1. */
function tsc(args: readonly string[]): void {
	const { status } = spawnSync("node_modules/.bin/tsc", args, { stdio: "inherit", shell: true });
	if (status !== 0) process.exit(1);
}

/**
 * Writes the types. `tsc --build` has made those that the workspace itself uses, in which the members
 * marked @internal are still there.
 */
function declare({ folder }: Package): void {
	const flags = ["--composite", "false", "--incremental", "false", "--tsBuildInfoFile", "null"];
	const args = ["-p", folder, ...flags, "--stripInternal", "--outDir", join(folder, "dist")];
	tsc(args);
}

async function bundle({ folder, manifest }: Package): Promise<void> {
	const dist = join(folder, "dist");
	const forNode = join(dist, "node");
	mkdirSync(forNode, { recursive: true });
	const entries = Object.keys(manifest.exports ?? {}).filter((entry) => entry !== "./package.json");
	await build({
		entryPoints: entries.map((entry) => join(folder, "src", entryFile(entry))),
		outdir: dist,
		bundle: true,
		// Entry points share one engine.
		splitting: true,
		packages: "external",
		format: "esm",
		platform: "neutral",
		target: "es2022",
		// Constants become numbers where they are used.
		minifySyntax: true,
		// Fields are assigned: a defined one first holds undefined, and V8 then trusts its type less.
		tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
		sourcemap: true,
		sourcesContent: false,
		logLevel: "warning",
	});
	for (const file of readdirSync(dist)) {
		const path = join(dist, file);
		if (file.endsWith(".js"))
			writeFileSync(join(forNode, file), inFunction(readFileSync(path, "utf8")));
		else if (file.endsWith(".js.map"))
			writeFileSync(join(forNode, file), deeper(readFileSync(path, "utf8")));
	}
}

/** A source map that is one folder further away from its sources. */
function deeper(json: string): string {
	const map = JSON.parse(json) as { sources: string[] };
	return JSON.stringify({ ...map, sources: map.sources.map((source) => `../${source}`) });
}

function entryFile(entry: string): string {
	return entry === "." ? "index.ts" : `${entry.slice(2)}.ts`;
}

if (pathToFileURL(process.argv[1] ?? "").href === import.meta.url) {
	// Without --types only what runs is made, and the state of `tsc --build` does not matter.
	const { types } = command.parse(
		(args) => parseArgs({ args, options: { types: { type: "boolean" } } }).values,
	);
	if (types) tsc(["--build"]);
	for (const each of packages(".").filter(({ manifest }) => !manifest.private)) {
		rmSync(join(each.folder, "dist"), { recursive: true, force: true });
		if (types) declare(each);
		await bundle(each);
	}
}

// The pages that run in a browser: found, and bundled with the packages as browsers get them.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { build } from "esbuild";
import { documentedBlocks } from "../docs.ts";
import { packages } from "../workspace.ts";

/** The folders of the pages, and of what they share. */
const FOLDERS = ["packages/tools/browser/pages", "packages/wasi/test/browser"];
/** Where programs of the documentation are written: below a package that depends on all others. */
const EXTRACTED = "packages/tools/node_modules/.browser";

/** What runs in a page of its own. */
export interface Page {
	/** Its name, also that of its module on the server. */
	readonly name: string;
	/** The file with its module, from the root of the workspace. */
	readonly file: string;
	/** What it prints, null if that does not matter. */
	readonly output: string | null;
}

/** The files of the folders with such an ending, from the root of the workspace. */
function filesOf(root: string, ending: string): string[] {
	return FOLDERS.flatMap((folder) => {
		const files = readdirSync(join(root, folder)).filter((file) => file.endsWith(ending));
		return files.sort().map((file) => `${folder}/${file}`);
	});
}

/** The pages of the folders, then the programs of the documentation that are marked "browser". */
export function allPages(root: string): Page[] {
	const pages = filesOf(root, ".page.ts").map((file) => ({
		name: basename(file, ".page.ts"),
		file,
		output: null,
	}));
	rmSync(join(root, EXTRACTED), { recursive: true, force: true });
	mkdirSync(join(root, EXTRACTED), { recursive: true });
	const marked = documentedBlocks(root).filter(({ browser }) => browser);
	const programs = marked.map(({ file, line, source, output }) => {
		const name = `${file.replaceAll("/", "-")}-${line}`;
		const path = `${EXTRACTED}/${name}.ts`;
		writeFileSync(join(root, path), source);
		return { name, file: path, output };
	});
	return [...pages, ...programs];
}

/**
 * Bundles the module of each page, and of each `*.worker.ts` of the folder, which a page starts as
 * `new Worker("/NAME.js", { type: "module" })`. Returns the files by their names. A page may import
 * a .wasm file, as a Uint8Array, and a .txt file, as a text.
 */
export async function bundlePages(pages: readonly Page[]): Promise<Map<string, Uint8Array>> {
	const workers = filesOf(".", ".worker.ts");
	const entries = [
		...pages.map(({ name, file }) => ({ out: name, in: file })),
		...workers.map((file) => ({ out: basename(file, ".ts"), in: file })),
	];
	const published = packages(".").filter(({ manifest }) => !manifest.private);
	const { outputFiles } = await build({
		entryPoints: entries,
		outdir: ".",
		write: false,
		bundle: true,
		splitting: true,
		format: "esm",
		platform: "browser",
		target: "es2022",
		loader: { ".wasm": "binary", ".txt": "text" },
		alias: Object.fromEntries(
			published.map(({ folder, manifest }) => [manifest.name, resolve(folder, "dist")]),
		),
		logLevel: "warning",
		// Our packages are built in pieces, which import each other also for their order.
		logOverride: { "ignored-bare-import": "silent" },
	});
	const root = `${resolve(".")}/`;
	return new Map(outputFiles.map(({ path, contents }) => [path.replace(root, ""), contents]));
}

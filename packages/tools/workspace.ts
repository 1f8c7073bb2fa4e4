// The workspace as the checks read it: its packages, their manifests and their TypeScript files.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** The scope of the workspace's packages. */
export const SCOPE = "@kqpoll/";

/** The folder of the packed packages, each a tarball by its name. */
export const PACKED = "node_modules/.cache/packed";

/** The parts of a package.json the checks look at. */
export interface Manifest {
	name: string;
	private?: boolean;
	exports?: Record<string, unknown>;
	bin?: Record<string, string>;
	dependencies?: Record<string, string>;
	devDependencies?: Record<string, string>;
	peerDependencies?: Record<string, string>;
	optionalDependencies?: Record<string, string>;
}

/** A package of the workspace; `name` is without the scope, `folder` relative to the root. */
export interface Package {
	name: string;
	folder: string;
	manifest: Manifest;
}

/** Every package of the workspace. */
export function packages(root: string): Package[] {
	const folders = readdirSync(join(root, "packages")).map((name) => `packages/${name}`);
	return [...folders, "examples"].flatMap((folder) => {
		const path = join(root, folder, "package.json");
		if (!existsSync(path)) return [];
		const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
		return [{ name: manifest.name.replace(SCOPE, ""), folder, manifest }];
	});
}

/** The TypeScript files under a folder of the workspace, as paths from its root, sorted. */
export function sources(root: string, folder: string): string[] {
	if (!existsSync(join(root, folder))) return [];
	return readdirSync(join(root, folder), { withFileTypes: true })
		.filter(({ name }) => !["node_modules", "build", "dist"].includes(name))
		.flatMap((entry) => {
			const path = `${folder}/${entry.name}`;
			if (entry.isDirectory()) return sources(root, path);
			return entry.name.endsWith(".ts") ? [path] : [];
		})
		.sort();
}

/** Lets a module that finds problems also be run as a program, which fails when it finds any. */
export function program(url: string, problems: (root: string) => Iterable<string>): void {
	if (url !== pathToFileURL(process.argv[1] ?? "").href) return;
	for (const problem of problems(".")) {
		console.error(problem);
		process.exitCode = 1;
	}
}

// Installs packages of npm on which the workspace does not depend, into folders of their own.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** Where those folders are, from the root of the workspace. */
const CACHE = "node_modules/.cache";

/**
 * Installs packages in the versions given, unless they are there, and returns the absolute path of
 * the `node_modules` that holds them. Throws when npm fails.
 */
export function installed(folder: string, versions: Readonly<Record<string, string>>): string {
	const path = join(CACHE, folder);
	const modules = resolve(path, "node_modules");
	const manifest = JSON.stringify({ private: true, dependencies: versions });
	const file = join(path, "package.json");
	if (existsSync(modules) && readFileSync(file, "utf8") === manifest) return modules;
	mkdirSync(path, { recursive: true });
	writeFileSync(file, manifest);
	const options = ["--no-audit", "--no-fund", "--no-package-lock", "--save-exact"];
	execFileSync("npm", ["install", ...options], {
		cwd: path,
		// The result of a command goes to stdout, and what npm says does not.
		stdio: ["ignore", 2, 2],
		shell: process.platform === "win32",
	});
	return modules;
}

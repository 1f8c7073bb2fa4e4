// Imports every source of the published packages, so that coverage counts those that no test
// imports. (c8's own way, `--all`, counts a module that holds nothing but types as wholly
// uncovered.)
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { packages, sources } from "./workspace.ts";

for (const { folder, manifest } of packages(".")) {
	if (manifest.private) continue;
	for (const file of sources(".", `${folder}/src`)) {
		// A program would run.
		if (readFileSync(file, "utf8").startsWith("#!")) continue;
		await import(pathToFileURL(resolve(file)).href);
	}
}

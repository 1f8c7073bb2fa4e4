// Builds the JavaScript of the published packages: a file for each entry point, and what they share.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { packages } from "./workspace.ts";

for (const { folder, manifest } of packages(".")) {
	if (manifest.private) continue;
	const dist = join(folder, "dist");
	for (const file of readdirSync(dist)) {
		if (/\.js(\.map)?$/.test(file)) rmSync(join(dist, file));
	}
	const entries = Object.keys(manifest.exports ?? {}).filter((entry) => entry !== "./package.json");
	await build({
		entryPoints: entries.map((entry) => join(folder, "src", entryFile(entry))),
		outdir: dist,
		bundle: true,
		// Entry points share one engine, and V8 calls within a file for less than between files.
		splitting: true,
		packages: "external",
		format: "esm",
		platform: "neutral",
		target: "es2022",
		// Constants become numbers where they are used.
		minifySyntax: true,
		// Fields are assigned: a defined one holds undefined first, and V8 then trusts its type less.
		tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
		sourcemap: true,
		sourcesContent: false,
		logLevel: "warning",
	});
}

function entryFile(entry: string): string {
	return entry === "." ? "index.ts" : `${entry.slice(2)}.ts`;
}

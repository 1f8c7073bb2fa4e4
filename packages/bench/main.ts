// npm run bench: bundles the benchmarks with the packages as Node gets them, and runs them.
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { build } from "esbuild";
import { benchOptions, command, listed } from "./options.ts";

// Before anything is built; the program that is built parses them again.
if (command.parse(benchOptions) === null) {
	console.log(listed());
	process.exit();
}
execFileSync(process.execPath, ["--import", "tsx", "packages/tools/bundle.ts"], {
	cwd: join(import.meta.dirname, "../.."),
	stdio: "inherit",
});
const outfile = join(import.meta.dirname, "node_modules/.cache/bench.mjs");
await build({
	entryPoints: [join(import.meta.dirname, "bench.ts")],
	outfile,
	bundle: true,
	// The packages are bundled; the tools that measure them come from node_modules.
	external: ["cli-table3", "esbuild", "rxjs", "simple-statistics"],
	// Only the rows ask for their folder, which is not the folder of the bundle.
	define: { "import.meta.dirname": JSON.stringify(join(import.meta.dirname, "rows")) },
	format: "esm",
	platform: "node",
	alias: Object.fromEntries(
		["files", "kqpoll", "kqueue", "rxjs", "wasi"].map((name) => [
			`@kqpoll/${name}`,
			join(import.meta.dirname, "..", name, "dist/node"),
		]),
	),
	logLevel: "warning",
	// Our packages are built in pieces, which import each other also for their order.
	logOverride: { "ignored-bare-import": "silent" },
});
const { status } = spawnSync(process.execPath, ["--expose-gc", outfile, ...process.argv.slice(2)], {
	stdio: "inherit",
});
process.exitCode = status ?? 1;

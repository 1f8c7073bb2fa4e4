// npm run bench: bundles the benchmarks with the packages, as programs are, and runs them.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build } from "esbuild";

const outfile = join(import.meta.dirname, "node_modules/.cache/bench.mjs");
await build({
	entryPoints: [join(import.meta.dirname, "bench.ts")],
	outfile,
	bundle: true,
	// What is measured is bundled; what measures comes from node_modules.
	external: ["cli-table3", "esbuild", "rxjs", "simple-statistics"],
	// Only the rows ask for their folder, and that is not where the bundle is.
	define: { "import.meta.dirname": JSON.stringify(join(import.meta.dirname, "rows")) },
	format: "esm",
	platform: "node",
	// As the packages are published, see packages/tools/bundle.ts.
	minifySyntax: true,
	tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
	logLevel: "warning",
});
const { status } = spawnSync(process.execPath, ["--expose-gc", outfile, ...process.argv.slice(2)], {
	stdio: "inherit",
});
process.exitCode = status ?? 1;

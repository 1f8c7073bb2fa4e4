// Checks the sizes of bundles of what programs import against those in packages/tools/size.json.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { Command } from "./command.ts";

/** What is bundled, as a program of one line. */
const PROGRAMS: Record<string, string> = {
	"the engine": 'export * from "@kqpoll/kqueue";',
	"kqueue, kevent": 'export { Kernel, kevent, kqueue, openFile } from "@kqpoll/kqueue";',
	"the engine and kqpoll": 'export * from "@kqpoll/kqueue"; export * from "@kqpoll/kqpoll";',
	kevents: 'export { kevents } from "@kqpoll/kqueue";',
	"fromKevent, without rxjs": 'export { fromKevent } from "@kqpoll/rxjs";',
	"all of rxjs's adapter, without rxjs": 'export * from "@kqpoll/rxjs";',
	pipe: 'export { pipe } from "@kqpoll/files";',
	"the host of guests": 'export * from "@kqpoll/wasi";',
};

/** By how much a size may exceed the recorded one: compilers change. */
const TOLERANCE = 1.01;
const FILE = "packages/tools/size.json";
const command = new Command(
	"size",
	`usage: node --import tsx packages/tools/size.ts [--write]
  --write  record the sizes of now as what is allowed`,
);

/** Minified and compressed bytes. */
interface Size {
	readonly minified: number;
	readonly gzipped: number;
}

async function measure(program: string): Promise<Size> {
	const { outputFiles } = await build({
		stdin: { contents: program, resolveDir: "packages/tools", loader: "ts" },
		bundle: true,
		minify: true,
		write: false,
		format: "esm",
		platform: "neutral",
		target: "es2022",
		external: ["rxjs"],
	});
	const bytes = outputFiles[0]?.contents ?? new Uint8Array();
	return { minified: bytes.length, gzipped: gzipSync(bytes, { level: 9 }).length };
}

/** What is larger than it may be, in words. */
export function excess(
	measured: Readonly<Record<string, Size>>,
	allowed: Readonly<Record<string, Size>>,
): string[] {
	return Object.entries(measured).flatMap(([name, { gzipped }]) => {
		const limit = allowed[name]?.gzipped ?? 0;
		if (gzipped <= limit * TOLERANCE) return [];
		return [`${name}: ${gzipped} bytes compressed, and ${limit} are recorded`];
	});
}

async function main(): Promise<void> {
	const { write } = command.parse(
		(args) => parseArgs({ args, options: { write: { type: "boolean" } } }).values,
	);
	const measured: Record<string, Size> = {};
	for (const [name, program] of Object.entries(PROGRAMS)) {
		const size = await measure(program);
		measured[name] = size;
		console.log(`${name}: ${size.minified} bytes minified, ${size.gzipped} compressed`);
	}
	if (write) {
		writeFileSync(FILE, `${JSON.stringify(measured, null, "\t")}\n`);
		return;
	}
	const problems = excess(measured, JSON.parse(readFileSync(FILE, "utf8")));
	for (const problem of problems) console.log(problem);
	if (problems.length === 0) return;
	console.log("If that is worth it, record it with --write.");
	process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();

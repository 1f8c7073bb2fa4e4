// Makes the program of workers in packages/worker a text in a module, as a worker can be started with a
// text anywhere: without a file that bundlers and loaders would have to know.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { Command } from "./command.ts";

const ENTRY = "packages/worker/src/guest/main.ts";
const MODULE = "packages/worker/src/program.ts";

/** The module, as it has to be. */
async function moduleText(): Promise<string> {
	const { outputFiles } = await build({
		entryPoints: [ENTRY],
		write: false,
		bundle: true,
		format: "iife",
		platform: "neutral",
		target: "es2022",
		minify: true,
		tsconfigRaw: {},
		logLevel: "warning",
	});
	const program = literal(outputFiles[0]?.text.trim() ?? "");
	return [
		"// The program of workers, made of ./guest/main.ts by `npm run worker-program`. Do not change it here.",
		"",
		"/** What a worker runs. */",
		"export const PROGRAM: string =",
		`\t${program};`,
		"",
	].join("\n");
}

/** A string literal in single quotes: the program has many of the others. */
function literal(text: string): string {
	const json = JSON.stringify(text).slice(1, -1);
	return `'${json.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** Whether the module is not what its source makes it. */
export async function isStale(): Promise<boolean> {
	return readFileSync(MODULE, "utf8") !== (await moduleText());
}

if (pathToFileURL(process.argv[1] ?? "").href === import.meta.url) {
	const command = new Command(
		"worker-program",
		`usage: npm run worker-program [-- --check]
  --check  change nothing; fail if the program is not what its source makes it`,
	);
	const { check } = command.parse(
		(args) => parseArgs({ args, options: { check: { type: "boolean" } } }).values,
	);
	if (!check) writeFileSync(MODULE, await moduleText());
	else if (await isStale()) command.abort("out of date: run npm run worker-program");
}

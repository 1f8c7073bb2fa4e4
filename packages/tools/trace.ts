// npm run trace -- FILE…: replays traces and says which differ.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { replay } from "./trace/replay.ts";

const USAGE = "usage: npm run trace -- FILE...";

function fail(message: string): never {
	console.error(`trace: ${message}\n${USAGE}`);
	process.exit(2);
}

function parse() {
	try {
		return parseArgs({
			allowPositionals: true,
			options: { help: { type: "boolean", short: "h" } },
		});
	} catch (error) {
		return fail((error as Error).message);
	}
}

async function main(): Promise<number> {
	const { values, positionals: files } = parse();
	if (values.help) {
		console.log(USAGE);
		return 0;
	}
	if (files.length === 0) return fail("names of trace files are missing");
	let lines = 0;
	let differ = 0;
	for (const file of files) {
		let text: string;
		try {
			text = await readFile(file, "utf8");
		} catch (error) {
			return fail((error as Error).message);
		}
		const result = await replay(text);
		lines += result.lines;
		if (result.difference === null) continue;
		const { line, expected, got } = result.difference;
		differ++;
		console.log(`${file}:${line}\n  expected ${expected}\n  got      ${got}`);
	}
	console.log(`${files.length} traces, ${lines} lines, ${differ} differ`);
	return differ === 0 ? 0 : 1;
}

process.exitCode = await main();

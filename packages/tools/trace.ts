// npm run trace -- FILE…: replays traces and says which differ.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Command, messageOf } from "./command.ts";
import { operationsOf } from "./trace/line.ts";

const command = new Command("trace", "usage: npm run trace -- FILE...");

function fileNames(args: string[]): string[] {
	const { positionals } = parseArgs({ args, allowPositionals: true });
	if (positionals.length === 0) throw new Error("names of trace files are missing");
	return positionals;
}

async function readTrace(file: string): Promise<string> {
	let text: string;
	try {
		text = await readFile(file, "utf8");
	} catch (error) {
		return command.refuse(messageOf(error));
	}
	if (operationsOf(text).length === 0) command.refuse(`${file} has no operations`);
	return text;
}

async function main(): Promise<number> {
	const files = command.parse(fileNames);
	const traces: string[] = [];
	// All are read first: a wrong name shows before the others have taken their time.
	for (const file of files) traces.push(await readTrace(file));
	// The engine is loaded only now: a name that is wrong shows at once.
	const { replay } = await import("./trace/replay.ts");
	let lines = 0;
	let differ = 0;
	for (const [i, trace] of traces.entries()) {
		const result = await replay(trace);
		lines += result.lines;
		if (result.difference === null) continue;
		const { line, expected, got } = result.difference;
		differ++;
		console.log(`${files[i]}:${line}\n  expected ${expected}\n  got      ${got}`);
	}
	console.log(`${files.length} traces, ${lines} lines, ${differ} differ`);
	return differ === 0 ? 0 : 1;
}

process.exitCode = await main();

// Runs commands one after another with one argument, for commands.test.ts: a process for each takes
// too long. Arguments: the argument, then the paths. Prints a JSON list of their outcomes.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** Stands for the end of the process. */
class Exit extends Error {
	readonly status: number;

	constructor(status: number) {
		super(`exit ${status}`);
		this.status = status;
	}
}

const { log } = console;
const [node = "", , argument = "", ...paths] = process.argv;
const outcomes: object[] = [];
for (const path of paths) {
	const printed = { stdout: "", stderr: "" };
	console.log = (text: string) => {
		printed.stdout += `${text}\n`;
	};
	console.error = (text: string) => {
		printed.stderr += `${text}\n`;
	};
	process.exit = (status) => {
		throw new Exit(Number(status ?? 0));
	};
	process.argv = [node, resolve(path), argument];
	try {
		await import(pathToFileURL(path).href);
		outcomes.push({ status: "went on", ...printed });
	} catch (error) {
		outcomes.push({ status: error instanceof Exit ? error.status : String(error), ...printed });
	}
}
log(JSON.stringify(outcomes));

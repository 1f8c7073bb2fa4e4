// The command line of npm run bench, checked before anything is built or measured.
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Command } from "../tools/command.ts";

/** The rows of contests, and those that are not contests. */
export const ROW_NAMES = [
	"ping-pongs",
	"million-timers",
	"c10k",
	"crowd",
	"poll-oneoff",
	"pump",
	"rx",
	"linux",
	"wasi",
] as const;
/** The rows that are not contests. */
export const FIGURE_NAMES = ["idle", "load", "fairness", "wasi-sleepers"] as const;
/** All of them: those that run by default. */
const NAMES: readonly string[] = [...ROW_NAMES, ...FIGURE_NAMES];

/** The command. */
export const command: Command = new Command(
	"bench",
	`usage: npm run bench [-- ROW...] [--quick] [--rounds N] [--json FILE]
       npm run bench -- engine [--reference PROGRAM] [--quick] [--rounds N] [--json FILE]
       npm run bench -- --list

Rows: ${NAMES.join(", ")}`,
);

/** What to measure. */
export interface Options {
	/** The names of rows, or "engine" alone. */
	readonly rows: readonly string[];
	/** Whether to do less work. */
	readonly quick: boolean;
	/** How often each is measured. */
	readonly rounds: number;
	/** The file that gets all figures. */
	readonly json: string | undefined;
	/** The program that engine is compared with. */
	readonly reference: string | undefined;
}

/** Parses arguments, null if they ask for the names of rows; throws an error that says what is wrong. */
export function benchOptions(args: readonly string[]): Options | null {
	const { positionals, values } = parseArgs({
		args: [...args],
		allowPositionals: true,
		options: {
			quick: { type: "boolean", default: false },
			rounds: { type: "string" },
			json: { type: "string" },
			list: { type: "boolean" },
			reference: { type: "string" },
		},
	});
	const { json, list, quick, reference } = values;
	if (list) return null;
	const rows = positionals.length > 0 ? positionals : NAMES;
	checkRows(rows);
	if (reference !== undefined) {
		if (rows[0] !== "engine") throw new Error("--reference is for engine");
		if (!isProgram(reference)) throw new Error(`--reference ${reference} is not a program`);
	}
	if (json !== undefined) checkTarget(json);
	const rounds = Number(values.rounds ?? (quick ? 5 : 15));
	if (!Number.isSafeInteger(rounds) || rounds < 1)
		throw new Error(`--rounds ${values.rounds} is not a number of rounds`);
	return { rows, quick, rounds, json, reference };
}

/** The names that --list prints. */
export function listed(): string {
	return [...NAMES, "engine"].join("\n");
}

function checkRows(rows: readonly string[]): void {
	if (rows.includes("engine") && rows.length > 1) throw new Error("engine runs alone");
	const unknown = rows.find((name) => name !== "engine" && !NAMES.includes(name));
	if (unknown !== undefined) throw new Error(`Unknown row '${unknown}'`);
}

/** Whether a file, or a name in PATH, can be run. */
function isProgram(name: string): boolean {
	const isPath = name.includes("/") || name.includes("\\");
	const folders = isPath ? ["."] : (process.env["PATH"] ?? "").split(delimiter);
	return folders.some((folder) => {
		const file = resolve(folder, name);
		return isFile(file) && mayAccess(file, constants.X_OK);
	});
}

/** Throws unless a file can be written there. */
function checkTarget(file: string): void {
	const folder = dirname(resolve(file));
	if (!isFolder(folder)) throw new Error(`--json ${file}: there is no folder ${folder}`);
	if (isFolder(resolve(file))) throw new Error(`--json ${file} is a folder`);
	const target = mayAccess(file, constants.F_OK) ? file : folder;
	if (file === "" || !mayAccess(target, constants.W_OK))
		throw new Error(`--json ${file} cannot be written`);
}

function isFile(path: string): boolean {
	return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isFolder(path: string): boolean {
	return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function mayAccess(path: string, mode: number): boolean {
	try {
		accessSync(path, mode);
		return true;
	} catch {
		return false;
	}
}

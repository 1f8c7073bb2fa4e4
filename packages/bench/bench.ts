// npm run bench: measures rows of work, ours compared with what a user would pick instead.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { type Contest, measure, type Result } from "./contest.ts";
import { engine } from "./engine.ts";
import { type Figure, idle, load } from "./footprint.ts";
import { c10k } from "./rows/c10k.ts";
import { crowds } from "./rows/crowd.ts";
import { linux } from "./rows/linux.ts";
import { millionTimers } from "./rows/million-timers.ts";
import { pingPongs } from "./rows/ping-pongs.ts";
import { pump } from "./rows/pump.ts";
import { rx } from "./rows/rx.ts";

/** The rows by name; `quick` asks for less work. */
const ROWS: Readonly<Record<string, (quick: boolean) => Contest[]>> = {
	"ping-pongs": pingPongs,
	"million-timers": millionTimers,
	c10k,
	crowd: crowds,
	pump,
	rx,
	linux,
};

/** Rows that are not contests. */
const FIGURES: Readonly<Record<string, (quick: boolean) => Figure[] | Promise<Figure[]>>> = {
	idle,
	load,
};

const USAGE = `usage: npm run bench [-- ROW...] [--quick] [--rounds N] [--json FILE]
       npm run bench -- engine [--reference PROGRAM] [--quick] [--rounds N]
       npm run bench -- --list

Rows: ${[...Object.keys(ROWS), ...Object.keys(FIGURES)].join(", ")}`;

interface Wish {
	readonly rows: readonly string[];
	readonly quick: boolean;
	readonly rounds: number;
	readonly json: string | undefined;
	readonly reference: string | undefined;
}

function isRow(name: string): boolean {
	return Object.hasOwn(ROWS, name) || Object.hasOwn(FIGURES, name);
}

function usageError(problem: string): never {
	console.error(`${problem}\n${USAGE}`);
	process.exit(2);
}

function wish(): Wish {
	try {
		const { positionals, values } = parseArgs({
			allowPositionals: true,
			options: {
				quick: { type: "boolean" },
				rounds: { type: "string" },
				json: { type: "string" },
				list: { type: "boolean" },
				reference: { type: "string" },
			},
		});
		if (values.list) {
			console.log([...Object.keys(ROWS), ...Object.keys(FIGURES), "engine"].join("\n"));
			process.exit(0);
		}
		const engine = positionals.length === 1 && positionals[0] === "engine";
		const unknown = positionals.find((name) => !engine && !isRow(name));
		if (unknown !== undefined) throw new Error(`Unknown row '${unknown}'`);
		const quick = values.quick ?? false;
		const rounds = Number(values.rounds ?? (quick ? 5 : 15));
		if (!Number.isInteger(rounds) || rounds < 1)
			throw new Error(`--rounds ${values.rounds} is not a number of rounds`);
		if (values.reference !== undefined && !engine) throw new Error("--reference is for engine");
		const rows =
			positionals.length > 0 ? positionals : [...Object.keys(ROWS), ...Object.keys(FIGURES)];
		return { rows, quick, rounds, json: values.json, reference: values.reference };
	} catch (error) {
		usageError(error instanceof Error ? error.message : String(error));
	}
}

/** A number with three figures. */
function figure(value: number): string {
	return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function print(results: readonly Result[]): void {
	const table = new Table({
		head: ["row", "n", "what", "ns a unit", "middle half", "unit", "of ours"],
		style: { head: [], border: [] },
		colAligns: ["left", "right", "left", "right", "right", "left", "right"],
	});
	for (const { row, n, contestant, median, lower, upper, unit, ratio } of results) {
		const half = `${figure(lower)}–${figure(upper)}`;
		table.push([row, n, contestant, figure(median), half, unit, ratio.toFixed(2)]);
	}
	console.log(table.toString());
}

function printFigures(figures: readonly Figure[]): void {
	const table = new Table({
		head: ["row", "what", "how much", "unit"],
		style: { head: [], border: [] },
		colAligns: ["left", "left", "right", "left"],
	});
	for (const { row, what, value, unit } of figures) table.push([row, what, figure(value), unit]);
	console.log(table.toString());
}

/** What `--json` writes. */
interface Report {
	readonly node: string;
	readonly times: Result[];
	readonly figures: Figure[];
}

async function measureRow(row: string, quick: boolean, rounds: number): Promise<Report> {
	const times: Result[] = [];
	for (const contest of ROWS[row]?.(quick) ?? []) times.push(...(await measure(contest, rounds)));
	return { node: process.version, times, figures: (await FIGURES[row]?.(quick)) ?? [] };
}

/**
 * A row in a process of its own, so that what the compiler learned from another does not matter.
 */
function measureApart(row: string, quick: boolean, rounds: number): Report {
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-bench-"));
	try {
		const file = join(folder, "report.json");
		const self = [...process.execArgv, process.argv[1] as string];
		const args = [...self, row, "--rounds", String(rounds), "--json", file];
		const { status } = spawnSync(process.execPath, quick ? [...args, "--quick"] : args, {
			stdio: ["ignore", "ignore", "inherit"],
		});
		if (status !== 0) throw new Error(`row ${row} ended with status ${status}`);
		return JSON.parse(readFileSync(file, "utf8")) as Report;
	} finally {
		rmSync(folder, { recursive: true });
	}
}

const { rows, quick, rounds, json, reference } = wish();
if (rows[0] === "engine") {
	engine(reference, rounds, quick);
	process.exit();
}
const report: Report = { node: process.version, times: [], figures: [] };
for (const row of rows) {
	const apart = rows.length > 1;
	const { times, figures } = apart
		? measureApart(row, quick, rounds)
		: await measureRow(row, quick, rounds);
	report.times.push(...times);
	report.figures.push(...figures);
}
if (report.times.length > 0) print(report.times);
if (report.figures.length > 0) printFigures(report.figures);
if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, "\t")}\n`);

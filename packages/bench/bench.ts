// npm run bench: measures rows of work, ours compared with what a user would pick instead.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import { type Contest, measure, type Result } from "./contest.ts";
import { engine } from "./engine.ts";
import { type Figure, idle, load } from "./footprint.ts";
import { benchOptions, command, type FIGURE_NAMES, listed, type ROW_NAMES } from "./options.ts";
import { c10k } from "./rows/c10k.ts";
import { crowds } from "./rows/crowd.ts";
import { fairness } from "./rows/fairness.ts";
import { linux } from "./rows/linux.ts";
import { millionTimers } from "./rows/million-timers.ts";
import { pingPongs } from "./rows/ping-pongs.ts";
import { pollOneoff } from "./rows/poll-oneoff.ts";
import { pump } from "./rows/pump.ts";
import { rx } from "./rows/rx.ts";
import { wasi, wasiSleepers } from "./rows/wasi.ts";

type RowName = (typeof ROW_NAMES)[number];
type FigureName = (typeof FIGURE_NAMES)[number];

/** The rows by name; `quick` asks for less work. */
const ROWS: Readonly<Record<RowName, (quick: boolean) => Contest[]>> = {
	"ping-pongs": pingPongs,
	"million-timers": millionTimers,
	c10k,
	crowd: crowds,
	"poll-oneoff": pollOneoff,
	pump,
	rx,
	linux,
	wasi,
};

/** Rows that are not contests. */
const FIGURES: Readonly<Record<FigureName, (quick: boolean) => Figure[] | Promise<Figure[]>>> = {
	idle,
	load,
	fairness,
	"wasi-sleepers": wasiSleepers,
};

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
	const contests = ROWS[row as RowName]?.(quick) ?? [];
	for (const contest of contests) times.push(...(await measure(contest, rounds)));
	const figures = (await FIGURES[row as FigureName]?.(quick)) ?? [];
	return { node: process.version, times, figures };
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
		// A row that fails with its figures has them printed.
		if (status !== 0) process.exitCode = 1;
		if (!existsSync(file)) throw new Error(`row ${row} ended with status ${status}`);
		return JSON.parse(readFileSync(file, "utf8")) as Report;
	} finally {
		rmSync(folder, { recursive: true });
	}
}

async function main(): Promise<void> {
	const options = command.parse(benchOptions);
	if (options === null) {
		console.log(listed());
		return;
	}
	const { rows, quick, rounds, json, reference } = options;
	const report: Report = { node: process.version, times: [], figures: [] };
	const alone = rows.length === 1;
	for (const row of rows) {
		if (row === "engine") {
			report.figures.push(...engine(reference, rounds, quick));
			continue;
		}
		const { times, figures } = alone
			? await measureRow(row, quick, rounds)
			: measureApart(row, quick, rounds);
		report.times.push(...times);
		report.figures.push(...figures);
	}
	if (report.times.length > 0) print(report.times);
	if (report.figures.length > 0 && rows[0] !== "engine") printFigures(report.figures);
	if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, "\t")}\n`);
}

await main();

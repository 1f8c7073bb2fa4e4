// The command line of npm run bench: what it refuses, before anything is measured.
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { summarize } from "../engine.ts";
import { benchOptions, listed } from "../options.ts";

const ROOT = new URL("../../..", import.meta.url);

const options = suite<{ folder: string }>("options");
options.before((context) => {
	context.folder = mkdtempSync(join(tmpdir(), "kqpoll-options-"));
});
options.after(({ folder }) => rmSync(folder, { recursive: true }));

/** What is wrong with arguments. */
function refusal(...args: string[]): string {
	try {
		benchOptions(args);
		return "";
	} catch (error) {
		return (error as Error).message;
	}
}

/** Runs the benchmarks as they are after they were built. */
function bench(...args: string[]): Promise<[status: number, stdout: string, stderr: string]> {
	const all = ["--import", "tsx", "packages/bench/bench.ts", ...args];
	return new Promise((resolve) => {
		execFile(process.execPath, all, { cwd: ROOT }, (error, stdout, stderr) =>
			resolve([error === null ? 0 : Number(error.code), stdout, stderr]),
		);
	});
}

options("by default every row runs fifteen times, and five times when it has to be quick", () => {
	const rows = listed().split("\n").slice(0, -1);
	const common = { rows, json: undefined, reference: undefined };
	assert.equal(benchOptions([]), { ...common, quick: false, rounds: 15 });
	assert.equal(benchOptions(["--quick"]), { ...common, quick: true, rounds: 5 });
	assert.is(benchOptions(["--list"]), null);
});

options("engine takes a program by its path or its name, and a file to write", ({ folder }) => {
	const json = join(folder, "new.json");
	for (const reference of [process.execPath, "node"]) {
		const args = ["engine", "--reference", reference, "--rounds", "3", "--json", json];
		assert.equal(benchOptions(args), {
			rows: ["engine"],
			quick: false,
			rounds: 3,
			json,
			reference,
		});
	}
});

options("a row, a number, a program or a file that there is not is refused", ({ folder }) => {
	const text = join(folder, "text");
	writeFileSync(text, "");
	chmodSync(text, 0o644);
	const nowhere = join(folder, "no-such-folder");
	const refused: [args: string[], message: string][] = [
		[["nothing"], "Unknown row 'nothing'"],
		[["engine", "rx"], "engine runs alone"],
		[["--rounds", "0"], "--rounds 0 is not a number of rounds"],
		[["--rounds", "x"], "--rounds x is not a number of rounds"],
		[["--rounds", "1e400"], "--rounds 1e400 is not a number of rounds"],
		[["rx", "--reference", "node"], "--reference is for engine"],
		[["engine", "--reference", nowhere], `--reference ${nowhere} is not a program`],
		[["engine", "--reference", "no-such-program"], "--reference no-such-program is not a program"],
		[["engine", "--reference", folder], `--reference ${folder} is not a program`],
		[["engine", "--reference", ""], "--reference  is not a program"],
		[["--json", folder], `--json ${folder} is a folder`],
		[["--json", ""], "--json  is a folder"],
		[
			["engine", "--json", join(nowhere, "a")],
			`--json ${nowhere}/a: there is no folder ${nowhere}`,
		],
		[["--json", join(text, "a")], `--json ${text}/a: there is no folder ${text}`],
	];
	// Windows does not say which files are programs.
	if (process.platform !== "win32")
		refused.push([["engine", "--reference", text], `--reference ${text} is not a program`]);
	assert.equal(
		refused.map(([args]) => refusal(...args)),
		refused.map(([, message]) => message),
	);
});

options("engine ends with status 2 when the reference fails or prints no rows", async () => {
	const failing = ["false", "true"].map((reference) =>
		bench("engine", "--reference", reference, "--rounds", "1", "--quick"),
	);
	assert.equal(await Promise.all(failing), [
		[2, "", "bench: false ended with status 1\n"],
		[2, "", 'bench: true printed no row such as "kevent-1 n=100 37.5"\n'],
	]);
});

options("engine has the medians of all rounds, and those of the reference, for --json", () => {
	const rounds = (...times: number[]) => times.map((time) => new Map([["kevent-1 n=10", time]]));
	const { log } = console;
	const lines: string[] = [];
	console.log = (line: string) => void lines.push(line);
	try {
		const ours = { row: "kevent-1", what: "n=10", value: 30, unit: "ns" };
		const theirs = { ...ours, what: "n=10, the reference", value: 20 };
		assert.equal(summarize(rounds(30, 90, 10), rounds(20)), [ours, theirs]);
		assert.equal(summarize(rounds(30), []), [ours]);
	} finally {
		console.log = log;
	}
	assert.equal(lines, ["kevent-1 n=10 30.0 20.0 1.50", "kevent-1 n=10 30.0"]);
});

options.run();

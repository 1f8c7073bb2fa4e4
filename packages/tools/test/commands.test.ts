// The commands of the workspace, run as a person runs them: --help, wrong arguments; trace and fuzz.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";

interface Outcome {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SCENARIO = join(ROOT, "packages/tools/test/traces/scenarios/oneshot.trace");

function run(command: string, ...args: string[]): Promise<Outcome> {
	return runProgram(`packages/tools/${command}.ts`, ...args);
}

function runProgram(script: string, ...args: string[]): Promise<Outcome> {
	return new Promise((resolve) => {
		execFile(
			process.execPath,
			["--import", "tsx", script, ...args],
			{ cwd: ROOT },
			(error, stdout, stderr) =>
				resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
		);
	});
}

const commands = suite<{ folder: string }>("commands");
commands.before(async (context) => {
	context.folder = await mkdtemp(join(tmpdir(), "kqpoll-commands-"));
});
commands.after(({ folder }) => rm(folder, { recursive: true }));

/** Writes a program that takes the place of the reference; returns its path. */
async function writeReference(folder: string, name: string, script: string): Promise<string> {
	const file = join(folder, name);
	await writeFile(file, `#!${process.execPath}\n${script}`);
	await chmod(file, 0o755);
	return file;
}

/** Runs every command with one argument. */
async function ask(argument: string): Promise<[path: string, outcome: Outcome][]> {
	const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
	const run = Object.values<string>(scripts).flatMap((script) => script.match(/\S+\.ts$/) ?? []);
	const more = ["packages/tools/bundle.ts", "packages/tools/size.ts"];
	// The command kqpoll has tests of its own.
	const paths = [...new Set([...run, ...more])].filter((path) => !path.endsWith("/kqpoll.ts"));
	assert.ok(paths.length >= 9, paths.join(" "));
	const { stdout } = await runProgram("packages/tools/test/ask-commands.ts", argument, ...paths);
	const outcomes = JSON.parse(stdout) as Outcome[];
	return paths.map((path, i) => [path, outcomes[i] as Outcome]);
}

commands("every command prints its usage when it is asked for it", async () => {
	for (const argument of ["--help", "-h"]) {
		for (const [path, { status, stdout, stderr }] of await ask(argument)) {
			assert.match(stdout, /^usage: (npm|node) /, path);
			assert.equal([status, stderr], [0, ""], path);
		}
	}
});

commands(
	"every command refuses an option that it does not know, and prints its usage",
	async () => {
		for (const [path, { status, stdout, stderr }] of await ask("--no-such-option")) {
			assert.match(stderr, /^[\w-]+: Unknown option '--no-such-option'.*\nusage: /, path);
			assert.equal([status, stdout], [2, ""], path);
		}
	},
);

commands("trace refuses a wrong file before it replays the others", async ({ folder }) => {
	const empty = join(folder, "empty.trace");
	const bad = join(folder, "differs.trace");
	await writeFile(empty, "# nothing\n");
	await writeFile(bad, "0 kqueue => 7\n");
	const wrong = [[], [bad, "no-such.trace"], [bad, folder], [bad, empty]];
	const outcomes = await Promise.all(wrong.map((args) => run("trace", ...args)));
	for (const { status, stdout, stderr } of outcomes) {
		assert.match(stderr, /^trace: .+\nusage: npm run trace -- FILE\.\.\.\n$/);
		assert.equal([status, stdout], [2, ""]);
	}
	assert.match(outcomes[3]?.stderr ?? "", /empty\.trace has no operations/);
});

commands("to trace, the line ends of a file are not a difference", async ({ folder }) => {
	const scenario = await readFile(SCENARIO, "utf8");
	const names = await Promise.all(
		["\r\n", "\r"].map(async (end, i) => {
			const name = join(folder, `ends-${i}.trace`);
			await writeFile(name, `\uFEFF${scenario.replaceAll("\n", end)}`);
			return name;
		}),
	);
	const { status, stdout } = await run("trace", ...names);
	assert.equal([status, stdout], [0, "2 traces, 28 lines, 0 differ\n"]);
});

commands("trace takes a thousand files in one call", async () => {
	const { status, stdout } = await run("trace", ...new Array<string>(1000).fill(SCENARIO));
	assert.is(stdout, "1000 traces, 14000 lines, 0 differ\n");
	assert.is(status, 0);
});

commands(
	"trace shows the first line that differs of each file, and ends with status 1",
	async (context) => {
		const bad = join(context.folder, "bad.trace");
		await writeFile(bad, "0 kqueue => 0\n0 kqueue => 7\n0 kqueue => 8\n");
		const { status, stdout } = await run("trace", bad, SCENARIO);
		assert.is(
			stdout,
			`${bad}:2\n  expected 0 kqueue => 7\n  got      0 kqueue => 1\n2 traces, 17 lines, 1 differ\n`,
		);
		assert.is(status, 1);
	},
);

commands(
	"fuzz refuses a program that is not a reference before it begins, and prints its usage",
	async () => {
		// The program true prints nothing, which must not pass as a trace.
		const programs = ["/no/such/program", "cat", "false", "true"];
		const wrong = programs.map((program) => ["--reference", program]);
		for (const { status, stdout, stderr } of await Promise.all(
			wrong.map((args) => run("fuzz", ...args)),
		)) {
			assert.is(status, 2);
			assert.is(stdout, "");
			assert.match(stderr, /^fuzz: .+\nusage: npm run fuzz -- --reference PROGRAM/);
		}
	},
);

commands("fuzz says so when the reference differs from itself", async ({ folder }) => {
	const reference = await writeReference(
		folder,
		"moody.mjs",
		`console.log("0 kqueue => " + (process.argv[2] === "gen" ? 9 : 0));
`,
	);
	const args = ["--reference", reference, "--seeds", "1-1", "--profile", "mixed"];
	const { status, stdout } = await run("fuzz", ...args);
	assert.match(stdout, /^seed 1 of mixed: line 1\n.*\n.*\nnot shrunk: .*\n1 traces/);
	assert.is(status, 1);
});

commands("fuzz ends with status 2 when the reference refuses a profile", async ({ folder }) => {
	const reference = await writeReference(
		folder,
		"refusing.mjs",
		`const [mode, , , profile] = process.argv.slice(2);
if (mode === "gen") {
	console.error("no profile " + profile);
	process.exit(1);
}
console.log("0 kqueue => 0");
`,
	);
	const args = ["--reference", reference, "--seeds", "7-7", "--profile", "odd"];
	assert.equal(await run("fuzz", ...args), {
		status: 2,
		stdout: "",
		stderr: `fuzz: ${reference} gen 7 300 odd ended with status 1: no profile odd\n`,
	});
});

commands("fuzz shrinks a trace that differs to the operations that matter", async ({ folder }) => {
	// A reference that is wrong about descriptors: it says 9 for every second kqueue.
	const reference = await writeReference(
		folder,
		"wrong.mjs",
		`import { readFileSync } from "node:fs";
const [mode] = process.argv.slice(2);
const ops = mode === "gen"
	? ["0 file sock", "tick 2", "0 kqueue", "0 thread", "0 file vnode", "0 kqueue", "tick 4"]
	: readFileSync(0, "utf8").split("\\n").filter((line) => line !== "");
let fd = 0;
let tid = 0;
let kqueues = 0;
for (const op of ops) {
	if (op.startsWith("tick")) console.log(op + " => 0");
	else if (op === "0 thread") console.log(op + " => " + ++tid);
	else {
		const wrong = op === "0 kqueue" && ++kqueues % 2 === 0;
		console.log(op + " => " + (wrong ? 9 : fd));
		fd++;
	}
}
`,
	);
	const args = ["--reference", reference, "--seeds", "3-3", "--profile", "mixed"];
	const { status, stdout } = await run("fuzz", ...args);
	assert.is(
		stdout,
		`seed 3 of mixed: line 6
  expected 0 kqueue => 9
  got      0 kqueue => 3
0 kqueue => 0
0 kqueue => 9
line 2
  expected 0 kqueue => 9
  got      0 kqueue => 1
1 traces, 7 lines, 1 differ
`,
	);
	assert.is(status, 1);
});

commands.run();

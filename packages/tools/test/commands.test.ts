// The commands trace and fuzz, run as a person runs them.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
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
	const script = join(ROOT, "packages/tools", `${command}.ts`);
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

commands("trace and fuzz print their usage when they are asked for it", async () => {
	for (const command of ["trace", "fuzz"]) {
		const { status, stdout, stderr } = await run(command, "--help");
		assert.match(stdout, new RegExp(`^usage: npm run ${command} -- `));
		assert.is(stderr, "");
		assert.is(status, 0);
	}
});

commands(
	"trace without a file, with an option or with a file that does not exist prints its usage",
	async () => {
		for (const args of [[], ["--nope"], ["no-such.trace"]]) {
			const { status, stdout, stderr } = await run("trace", ...args);
			assert.is(status, 2);
			assert.is(stdout, "");
			assert.match(stderr, /^trace: .+\nusage: npm run trace -- FILE\.\.\.\n$/);
		}
	},
);

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

commands("fuzz without a reference, or with wrong arguments, prints its usage", async () => {
	const wrong = [[], ["--reference", "/no/such/program"], ["--reference", "cat"], ["--nope"]];
	for (const { status, stdout, stderr } of await Promise.all(
		wrong.map((args) => run("fuzz", ...args)),
	)) {
		assert.is(status, 2);
		assert.is(stdout, "");
		assert.match(stderr, /^fuzz: .+\nusage: npm run fuzz -- --reference PROGRAM/);
	}
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

// What a reference answers, and the errors of one that does not.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Reference } from "../trace/reference.ts";

/** A program that treats each profile in its own way, and answers every operation with 0. */
const PROGRAM = `#!${process.execPath}
const [mode, seed, ops, profile] = process.argv.slice(2);
if (mode === "run") {
	const input = require("node:fs").readFileSync(0, "utf8");
	process.stdout.write(input.replaceAll("\\n", " => 0\\n"));
}
if (profile === "odd") {
	console.error("no profile odd\\nI know others");
	process.exitCode = 1;
}
if (profile === "killed") process.kill(process.pid, "SIGKILL");
if (profile === "comment") console.log("# nothing");
if (profile === "words") console.log("0 kqueue => 0\\nHello, reader");
if (profile === "any") console.log("# " + seed + " " + ops + "\\n\\n0 poll - inf => ...\\n< 0 0");
`;

const reference = suite<{ folder: string; program: string }>("reference");
reference.before(async (context) => {
	context.folder = await mkdtemp(join(tmpdir(), "kqpoll-reference-"));
	context.program = join(context.folder, "program.cjs");
	await writeFile(context.program, PROGRAM);
	await chmod(context.program, 0o755);
});
reference.after(({ folder }) => rm(folder, { recursive: true }));

reference("makes a trace of a profile, whatever its name is", async ({ program }) => {
	const trace = await new Reference(program).generate(7, 300, "any");
	assert.is(trace, "# 7 300\n\n0 poll - inf => ...\n< 0 0\n");
});

reference("answers operations, also none", async ({ program }) => {
	assert.is(
		await new Reference(program).answer(["0 kqueue", "tick 1"]),
		"0 kqueue => 0\ntick 1 => 0\n",
	);
	assert.is(await new Reference(program).answer([]), "");
});

for (const [profile, failure] of [
	["odd", "ended with status 1: no profile odd"],
	["killed", "was ended by SIGKILL"],
	["silent", "printed no trace"],
	["comment", "printed no trace"],
	["words", "printed what is not a trace: Hello, reader"],
] as const) {
	reference(`the error of the profile "${profile}" says what failed`, async ({ program }) => {
		const error = await new Reference(program).generate(7, 300, profile).catch((it: Error) => it);
		assert.instance(error, Error);
		assert.is((error as Error).message, `${program} gen 7 300 ${profile} ${failure}`);
	});
}

reference("a program that does not exist cannot be started", async () => {
	const error = await new Reference("/no/such/program").answer([]).catch((it: Error) => it);
	assert.equal(error, new Error("/no/such/program run cannot be started: ENOENT"));
});

reference.run();

// The runner of the checks: its command line, and what it does when steps fail.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { chosen, HEAVY } from "../steps.ts";
import { Project } from "./project.ts";

const check = suite("check");
let project: Project;

check.before.each(() => {
	project = new Project();
	project.write("packages/one/package.json", ['{ "name": "@kqpoll/one" }']);
});

check.after.each(() => project.remove());

check("goes on after a step that fails, shows its output, and names it at the end", () => {
	project.write("a.ts", ["const a: string = 1;"]);
	project.write("b.ts", ["export const b = 1;"]);
	project.write("tsconfig.check.json", [
		'{ "files": ["a.ts"], "compilerOptions": { "noEmit": true } }',
	]);
	project.write("tsconfig.json", ['{ "files": ["b.ts"] }']);
	project.write("packages/tools/bundle.ts", ["export {};"]);
	const { status, stdout } = project.run("check", ["types", "build"]);
	assert.equal(
		{
			status,
			lines: stdout
				.replace(/ +\d+\.\d s$/gm, "")
				.trimEnd()
				.split("\n"),
		},
		{
			status: 1,
			lines: [
				"FAIL  types",
				"      $ tsc -p tsconfig.check.json",
				"      a.ts(1,7): error TS2322: Type 'number' is not assignable to type 'string'.",
				"",
				"ok    build",
				"failed: types",
			],
		},
	);
});

check("lists its steps and the commands they run", () => {
	const { status, stdout } = project.run("check", ["--list"]);
	assert.is(status, 0);
	assert.match(stdout, /^lint\n {4}biome check .*\narrows\n/);
	assert.match(stdout, /\nruntimes \(heavy\)\n {4}.*runtimes\.ts\n/);
});

check("runs a heavy step only if it is named, or with --all", () => {
	const steps = chosen([], false);
	assert.is(steps.includes("runtimes"), false);
	assert.equal(chosen(["runtimes"], false), ["runtimes"]);
	assert.equal(chosen([], true), [...steps, ...Object.keys(HEAVY)]);
});

check("refuses a step or an option it does not know", () => {
	for (const argument of ["nothing", "constructor", "--every", "--all lint"]) {
		const { status, stdout, stderr } = project.run("check", argument.split(" "));
		assert.equal({ status, stdout }, { status: 2, stdout: "" });
		assert.match(stderr, /usage: npm run check/);
	}
});

check.run();

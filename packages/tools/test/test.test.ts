// The test runner, run as a child process on tiny projects: each problem that uvu does not report.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Project } from "./project.ts";

const IMPORT = 'import { suite, test } from "uvu";';
const PASSES = 'test("passes", () => {});';

const runner = suite("test runner");
let project: Project;

runner.before.each(() => {
	project = new Project();
});

runner.after.each(() => project.remove());

/** Writes a test file into the project, by default into the first package. */
function file(name: string, lines: string[], folder = "packages/one/test"): void {
	project.write(`${folder}/${name}`, [IMPORT, ...lines]);
}

/**
 * The outcome of a run: its exit status, the problems that the runner reports, and the last line.
 */
function run(args: string[] = [], env: Record<string, string> = {}) {
	const { status, stdout, stderr } = project.run("test", args, env);
	const problems = `${stdout}\n${stderr}`.match(/(?<=^ *FAIL ).*$/gm) ?? [];
	return {
		status,
		problems: problems.map((p) => p.trim()),
		last: stdout.trim().split("\n").at(-1),
	};
}

runner("runs the tests of every package and of the examples", () => {
	file("a.test.ts", [PASSES, "test.run();"]);
	file("deep/b.test.ts", [PASSES, "test.run();"], "packages/two/test");
	file("c.test.ts", ['const s = suite("c");', 's("passes", () => {});', "s.run();"], "examples");
	file("not-a-test.ts", ['throw new Error("imported");']);
	file("elsewhere.test.ts", ['throw new Error("imported");'], "packages/two/src");
	assert.equal(run(), { status: 0, problems: [], last: "3 passed, 0 failed, 0 skipped" });
});

runner("fails when a test fails", () => {
	file("a.test.ts", [PASSES, 'test("x", () => { throw new Error("no"); });', "test.run();"]);
	const result = run();
	assert.equal(
		{ ...result, problems: [] },
		{ status: 1, problems: [], last: "1 passed, 1 failed, 0 skipped" },
	);
});

runner("fails when a before hook throws", () => {
	file("a.test.ts", [
		'test.before(() => { throw new Error("no"); });',
		PASSES,
		'test("and another", () => {});',
		"test.run();",
	]);
	assert.equal(run(), {
		status: 1,
		problems: ["a hook threw, uvu does not keep the error"],
		last: "0 passed, 2 failed, 0 skipped",
	});
});

runner("fails when an after hook throws, and runs the files that follow", () => {
	file("a.test.ts", ['test.after(() => { throw new Error("no"); });', PASSES, "test.run();"]);
	file("b.test.ts", [PASSES, "test.run();"]);
	assert.equal(run(), {
		status: 1,
		problems: ["after: Error: no"],
		last: "1 passed, 1 failed, 0 skipped",
	});
});

runner("fails on a file without test.run(), and keeps its tests out of the next file", () => {
	file("a.test.ts", [PASSES]);
	file("b.test.ts", [PASSES, "test.run();"]);
	assert.equal(run(), {
		status: 1,
		problems: ["packages/one/test/a.test.ts: no test.run()"],
		last: "1 passed, 1 failed, 0 skipped",
	});
});

runner("fails on tests defined after test.run()", () => {
	file("a.test.ts", [PASSES, "test.run();", 'test("late", () => {});']);
	assert.equal(run(), {
		status: 1,
		problems: ["packages/one/test/a.test.ts: 1 tests come after test.run()"],
		last: "1 passed, 1 failed, 0 skipped",
	});
});

runner("fails on a suite of several that is not run", () => {
	file("a.test.ts", ['const s = suite("s");', 's("never", () => {});', PASSES, "test.run();"]);
	assert.equal(run(), {
		status: 1,
		problems: ["packages/one/test/a.test.ts: no s.run()"],
		last: "1 passed, 1 failed, 0 skipped",
	});
});

runner("fails on a test left on .only", () => {
	file("a.test.ts", ['test.only("focused", () => {});', PASSES, "test.run();"]);
	assert.equal(run(), {
		status: 1,
		problems: ["packages/one/test/a.test.ts: a test is on test.only"],
		last: "1 passed, 1 failed, 1 skipped",
	});
});

runner("lets a test be skipped, but not in CI", () => {
	file("a.test.ts", [PASSES, 'test.skip("not yet", () => {});', "test.run();"]);
	assert.equal(run(), { status: 0, problems: [], last: "1 passed, 0 failed, 1 skipped" });
	assert.equal(run([], { CI: "true" }), {
		status: 1,
		problems: ["a test is skipped, which CI refuses"],
		last: "1 passed, 1 failed, 1 skipped",
	});
});

runner("fails when a test waits for something that never happens", () => {
	file("a.test.ts", ['test("sleeps", () => new Promise(() => {}));', PASSES, "test.run();"]);
	assert.equal(run(), {
		status: 1,
		problems: ["the run broke off: a test waits for something that never happens, or exits"],
		last: "0 passed, 1 failed, 0 skipped",
	});
});

runner("fails on a file that cannot be imported, and runs the others", () => {
	file("a.test.ts", [PASSES, 'throw new Error("no");']);
	file("b.test.ts", [PASSES, "test.run();"]);
	assert.equal(run(), {
		status: 1,
		problems: ["packages/one/test/a.test.ts: Error: no"],
		last: "1 passed, 1 failed, 0 skipped",
	});
});

runner("fails when no test ran", () => {
	file("a.test.ts", ["test.run();"]);
	assert.equal(run(), {
		status: 1,
		problems: ["no test ran"],
		last: "0 passed, 1 failed, 0 skipped",
	});
});

runner("runs the files a pattern matches, and fails when there are none", () => {
	file("a.test.ts", [PASSES, "test.run();"]);
	file("b.test.ts", [PASSES, "test.run();"]);
	assert.equal(run(["test/a"]), { status: 0, problems: [], last: "1 passed, 0 failed, 0 skipped" });
	assert.equal(run(["nothing"]), {
		status: 1,
		problems: ["no test file matches /nothing/"],
		last: "0 passed, 1 failed, 0 skipped",
	});
});

runner("refuses an unknown option, and a pattern that is not a regular expression", () => {
	assert.equal(run(["--watch"]), { status: 2, problems: [], last: "" });
	assert.equal(run(["["]), { status: 2, problems: [], last: "" });
	assert.equal(run(["a", "b"]), { status: 2, problems: [], last: "" });
});

runner.run();

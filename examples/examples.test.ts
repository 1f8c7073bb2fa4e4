// The examples, run as npm start runs them.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

function start(...args: string[]): Promise<[status: number, stdout: string, stderr: string]> {
	return new Promise((resolve) => {
		execFile(
			process.execPath,
			["--import", "tsx", "examples/main.ts", ...args],
			{ cwd: ROOT },
			(error, stdout, stderr) => resolve([error === null ? 0 : Number(error.code), stdout, stderr]),
		);
	});
}

test("hello prints what came through the descriptor", async () => {
	for (const args of [[], ["hello"]]) {
		assert.equal(await start(...args), [0, "1 true hello\n", ""]);
	}
});

test("the examples can be listed", async () => {
	assert.equal(await start("--list"), [0, "hello\n", ""]);
});

test("what is no example gets a usage line and status 2", async () => {
	const usage = "usage: npm start -- [--list | NAME]\n";
	assert.equal(await start("nope"), [2, "", `start: no example nope\n${usage}`]);
	assert.equal(await start("hello", "hello"), [2, "", `start: one example at a time\n${usage}`]);
	assert.is((await start("--nope"))[0], 2);
});

test.run();

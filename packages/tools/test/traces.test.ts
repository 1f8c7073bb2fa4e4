// The reference's answers, replayed line for line.
import { readdir, readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { operationsOf } from "../trace/line.ts";
import { replay } from "../trace/replay.ts";

const HERE = new URL("traces/", import.meta.url);

for (const kind of ["scenarios", "random"]) {
	const folder = new URL(`${kind}/`, HERE);
	const names = await readdir(folder);
	test(`there are traces in ${kind}`, () => {
		assert.is(names.length, kind === "random" ? 40 : 33);
	});
	for (const name of names) {
		test(`${kind}/${name} has the same results as in the reference`, async () => {
			const text = await readFile(new URL(name, folder), "utf8");
			const { lines, difference } = await replay(text);
			assert.is(difference, null);
			assert.is(lines, text.split("\n").length - 1);
		});
	}
}

const TRACE = `# a comment
0 kqueue => 0
0 file sock => 1

0 thread => 1
1 kevent 0 1,-1,0x1,0x0,0,7 1 inf => ...
0 set 1 read 3 0 0 0 => 0
< 1 1 1,-1,0x1,0x0,3,7
`;

test("a correct trace has no difference", async () => {
	assert.equal(await replay(TRACE), { lines: 8, difference: null });
});

test("a trace may have the line ends of Windows", async () => {
	const windows = TRACE.replaceAll("\n", "\r\n");
	assert.equal(await replay(windows), { lines: 8, difference: null });
	assert.equal(operationsOf(windows), operationsOf(TRACE));
});

test("a result that differs is shown with its line", async () => {
	assert.equal(await replay(TRACE.replace("sock => 1", "sock => 2")), {
		lines: 8,
		difference: { line: 3, expected: "0 file sock => 2", got: "0 file sock => 1" },
	});
});

test("the result of a woken thread is compared too", async () => {
	assert.equal(await replay(TRACE.replace("0x0,3,7", "0x0,4,7")), {
		lines: 8,
		difference: { line: 8, expected: "< 1 1 1,-1,0x1,0x0,4,7", got: "< 1 1 1,-1,0x1,0x0,3,7" },
	});
});

test("a line that is missing is a difference", async () => {
	assert.equal(await replay(TRACE.replace(/< 1.*\n/, "")), {
		lines: 7,
		difference: { line: 8, expected: "", got: "< 1 1 1,-1,0x1,0x0,3,7" },
	});
});

test("an additional line is a difference", async () => {
	assert.equal(await replay(`${TRACE}< 0 5\n`), {
		lines: 9,
		difference: { line: 9, expected: "< 0 5", got: "" },
	});
});

test("an operation that does not exist is a difference, not the end of the tool", async () => {
	for (const op of ["fly", "constructor"]) {
		assert.equal(await replay(`0 ${op} 7 => 0\n`), {
			lines: 1,
			difference: {
				line: 1,
				expected: `0 ${op} 7 => 0`,
				got: `0 ${op} 7 => Error: unknown operation ${op}`,
			},
		});
	}
});

test("a thread that does not exist, sleeps or has ended is busy", async () => {
	const trace = `5 kqueue => !busy
x kqueue => !busy
0 thread => 1
0 poll - inf => ...
0 kqueue => !busy
1 texit => 0
1 kqueue => !busy
`;
	assert.equal(await replay(trace), { lines: 7, difference: null });
});

test("the operations of a trace are its lines without results", () => {
	assert.equal(operationsOf(TRACE).slice(0, 3), ["0 kqueue", "0 file sock", "0 thread"]);
});

test.run();

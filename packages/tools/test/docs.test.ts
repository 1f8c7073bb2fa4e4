// Every program in the documentation that needs no browser runs, and prints what the text says.
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Block, blocks, documentedBlocks } from "../docs.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** Below a package that depends on all others, so that their names are known. */
const FOLDER = `${ROOT}packages/tools/node_modules/.docs/`;

function run({ file, line, source }: Block): Promise<[status: number, output: string]> {
	const path = `${FOLDER}${file.replaceAll("/", "-")}-${line}.mts`;
	writeFileSync(path, source);
	return new Promise((resolve) => {
		execFile(
			process.execPath,
			["--import", "tsx", path],
			{ cwd: ROOT, timeout: 60_000 },
			(error, stdout, stderr) => resolve([error === null ? 0 : 1, stdout + stderr]),
		);
	});
}

test("blocks are found, with what they print", () => {
	const text =
		"a\n```ts\n1;\n```\n\n```text\nout\n```\n```sh\nls\n```\n```ts\n2;\n```\n\nb\n\n```text\nno\n```\n```ts browser\n3;\n```\n";
	assert.equal(blocks("f.md", text), [
		{ file: "f.md", line: 2, source: "1;\n", output: "out\n", browser: false },
		{ file: "f.md", line: 12, source: "2;\n", output: null, browser: false },
		{ file: "f.md", line: 21, source: "3;\n", output: null, browser: true },
	]);
});

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });

/** Two run at a time. */
const runs: Map<Block, Promise<[number, string]>> = new Map();
let last: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
// The step "browser" of `npm run check` runs the others.
for (const block of documentedBlocks(ROOT).filter(({ browser }) => !browser)) {
	const mine = (last[0] as Promise<unknown>).then(() => run(block));
	last = [last[1] as Promise<unknown>, mine];
	runs.set(block, mine);
}

for (const [block, result] of runs) {
	test(`${block.file}, line ${block.line}`, async () => {
		const [status, output] = await result;
		if (block.output !== null) assert.is(output, block.output);
		assert.is(status, 0, output);
	});
}

test.run();

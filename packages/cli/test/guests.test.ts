// The guests in C, run by the command: on a real directory, with real input, in real and virtual time.
import * as assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import { run } from "./world.ts";

const GUESTS = fileURLToPath(new URL("../../wasi/test/guests", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kqpoll-guests-"));
test.after(() => rmSync(folder, { recursive: true }));

/** The rows that differ from Linux's; packages/wasi/test/linux.ts has the reasons. */
const HERE: Readonly<Record<string, string>> = {
	"truncate what is open to read": "ENOTCAPABLE",
	"no name": "ok",
};

function recorded(file: string): string {
	return readFileSync(join(GUESTS, "expected", file), "utf8");
}

for (const mode of ["default", "sync", "virtual"]) {
	const how = { default: [], sync: ["--mode", "sync"], virtual: ["--virtual"] }[mode] ?? [];

	test(`${mode}: a program works in a real directory as on Linux, and leaves it empty`, async () => {
		const expected = recorded("files.linux.txt").replace(/^(.*?): .*$/gm, (line, name) =>
			Object.hasOwn(HERE, name) ? `${name}: ${HERE[name]}` : line,
		);
		mkdirSync(join(folder, mode));
		const outcome = await run(
			folder,
			"",
			"run",
			...how,
			"--dir",
			`${mode}::/`,
			`${GUESTS}/files.wasm`,
		);
		assert.deepEqual(outcome, { status: 0, output: expected, errors: "" });
		assert.deepEqual(readdirSync(join(folder, mode)), []);
	});

	test(`${mode}: a program finds all its input, however much it is`, async () => {
		const lines = Array.from({ length: 50_000 }, (_, i) => `line ${i + 1}\n`).join("");
		const outcome = await run(folder, lines, "run", ...how, `${GUESTS}/consumer.wasm`);
		assert.deepEqual(outcome, { status: 0, output: "50000 lines, none missing\n", errors: "" });
	});
}

test("in virtual time naps take what they should, and an hour takes none of ours", async () => {
	const nap = await run(folder, "", "run", "--virtual", `${GUESTS}/nap.wasm`, "exact");
	assert.deepEqual(nap, { status: 0, output: recorded("nap.txt"), errors: "" });
	const { status, output } = await run(folder, "", "run", "--virtual", `${GUESTS}/hours.wasm`);
	assert.deepEqual([status, output.split("\n").at(-2)], [0, "24:00:00 hour 24: 0 lines"]);
});

test.run();

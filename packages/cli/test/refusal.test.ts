import * as assert from "node:assert/strict";
import { test } from "uvu";
import { main, realWorld } from "../src/index.ts";
import { codeOf, messageOf, Refusal } from "../src/refusal.ts";

test("a refusal is one line", () => {
	assert.equal(new Refusal("one\n  two\nthree").message, "one two three");
});

test("anything that was thrown has a message, and perhaps a code", () => {
	assert.deepEqual([messageOf(new Error("why")), messageOf("why")], ["why", "why"]);
	const coded = Object.assign(new Error(), { code: "ENOENT" });
	assert.deepEqual([coded, new Error(), null, { code: 5 }].map(codeOf), ["ENOENT", "", "", ""]);
});

test("what is wrong with the command itself is thrown", async () => {
	const broken = { ...realWorld(), cwd: 5 as unknown as string };
	const failure = await main(["run", "x.wasm"], broken).catch((error: unknown) => error);
	assert.ok(failure instanceof TypeError);
});

test.run();

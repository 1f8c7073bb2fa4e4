// A short soak, and that it finds what is left.
import { pipe } from "@kqpoll/files";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KINDS } from "../soak/kinds.ts";
import { soakOptions } from "../soak/options.ts";
import { soakOne } from "../soak/soak.ts";

test("no kind of file, timer, process or watch leaves anything behind", async () => {
	const left: string[] = [];
	for (const [name, cycle] of KINDS) {
		const { counts } = await soakOne(name, cycle, 20, false);
		if (counts !== null) left.push(`${name}: ${counts}`);
	}
	assert.equal(left, []);
	assert.ok(KINDS.size > 50);
});

test("descriptors that stay open, and memory that is kept, are found", async () => {
	const open = await soakOne("open", ({ main }) => pipe(main), 10);
	assert.match(open.counts ?? "", /descriptors 4 -> 24/);
	assert.ok(open.leaks);
	const kept: unknown[] = [];
	const keep = await soakOne("keep", () => kept.push(new Array(100).fill(0)), 5000);
	assert.is(keep.counts, null);
	assert.ok(keep.leaks);
	assert.is(kept.length, 5500);
});

test("by default each kind has a million cycles", () => {
	assert.is(soakOptions([]).cycles, 1_000_000);
	const { cycles, only } = soakOptions(["--cycles", "7", "--only", "pipe"]);
	assert.is(cycles, 7);
	assert.equal([only.test("pipe, polled"), only.test("fork")], [true, false]);
});

for (const [args, message] of [
	["--cycles 0", /^--cycles 0 is not a number above 0$/],
	["--cycles 100000001", /^--cycles 100000001 is more than 100000000$/],
	["--only (", /^Invalid regular expression/],
	["--nope", /^Unknown option '--nope'/],
] as const) {
	test(`the error of soak "${args}" says what is wrong`, () => {
		assert.throws(() => soakOptions(args.split(" ")), message);
	});
}

test.run();

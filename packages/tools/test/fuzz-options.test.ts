// The options of npm run fuzz, and those that it refuses.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fuzzOptions } from "../trace/fuzz-options.ts";

test("by default a hundred seeds of each of the profiles have 300 operations", () => {
	assert.equal(fuzzOptions(["--reference", "./reference"]), {
		reference: "./reference",
		first: 1,
		last: 100,
		ops: 300,
		profiles: ["mixed", "kevent", "poll", "proc", "bigpoll"],
	});
});

test("every option is used, and a profile may have any name", () => {
	const args = "--reference ./reference --seeds 0-999999 --ops 1000000 --profile any";
	assert.equal(fuzzOptions(args.split(" ")), {
		reference: "./reference",
		first: 0,
		last: 999_999,
		ops: 1_000_000,
		profiles: ["any"],
	});
});

for (const [args, message] of [
	["", "--reference is missing"],
	["--reference=", "--reference is missing"],
	["--reference r --profile=", "--profile has no name"],
	["--reference r --seeds 9-1", "--seeds 9-1: the first one is above the last one"],
	["--reference r --seeds NaN-NaN", "--seeds NaN-NaN is not a range such as 1-100"],
	["--reference r --seeds 1-Infinity", "--seeds 1-Infinity is not a range such as 1-100"],
	["--reference r --seeds x", "--seeds x is not a range such as 1-100"],
	["--reference r --seeds=-1-5", "--seeds -1-5 is not a range such as 1-100"],
	["--reference r --seeds 0-1000000", "--seeds 0-1000000 is more than 1000000 seeds"],
	[
		"--reference r --seeds 9007199254740992-9007199254740992",
		"--seeds 9007199254740992-9007199254740992: the last one is too large",
	],
	["--reference r --ops 0", "--ops 0 is not a number above 0"],
	["--reference r --ops 1e3", "--ops 1e3 is not a number above 0"],
	["--reference r --ops 1000001", "--ops 1000001 is more than 1000000"],
	["--nope", "Unknown option '--nope'"],
] as const) {
	test(`the error of "${args}" says what is wrong`, () => {
		const words = args.split(" ").filter((word) => word !== "");
		assert.throws(
			() => fuzzOptions(words),
			(error: Error) => error.message === message,
		);
	});
}

test.run();

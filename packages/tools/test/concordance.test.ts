// The tags in the sources, and the list of functions they must cover.
import { execFileSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ranKey } from "../concordance/exercise.ts";
import { LISTING, WITHOUT } from "../concordance/listing.ts";
import { findTags, tagsOf } from "../concordance/tags.ts";

test("tags are found on functions, methods and getters, several on one", () => {
	const text = `/** @kern a */
function one() {}

/**
 * Words.
 * @kern b
 * @kern c
 */
export function two(x: number): void {}

export class Thing {
	/** Not tagged. */
	field = 1;

	/** @kern d */
	override method(): void {}

	/** @kern e */
	get empty(): boolean {}
}
`;
	assert.equal(
		tagsOf(text, "x.ts").map(({ kern, name, bare }) => [kern, name, bare]),
		[
			["a", "one", "one"],
			["b", "two", "two"],
			["c", "two", "two"],
			["d", "Thing.method", "method"],
			["e", "Thing.empty", "empty"],
		],
	);
});

test("a tag before nothing is refused", () => {
	assert.throws(() => tagsOf("/** @kern a */\n", "x.ts"), "stands before nothing");
});

test("every function of the listing is either ported or listed with a reason", () => {
	const ported = new Set(findTags().map(({ kern }) => kern));
	assert.equal(
		LISTING.filter((name) => ported.has(name) === (WITHOUT[name] !== undefined)),
		[],
	);
	assert.is(LISTING.length, 87);
});

test("a function that runs in a scenario is counted, one that does not is not", () => {
	// In a process of its own: counting from 0 would spoil the coverage of this one.
	const { NODE_V8_COVERAGE: _, ...env } = process.env;
	const module = new URL("../concordance/exercise.ts", import.meta.url).href;
	const program = `const { ranByScenario } = await import("${module}");
		const ran = await ranByScenario();
		console.log(JSON.stringify([...ran].map(([name, set]) => [name, [...set]])));`;
	const args = ["--import", "tsx", "--input-type=module", "-e", program];
	const ran = new Map<string, string[]>(
		JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8", env, maxBuffer: 2 ** 26 })),
	);
	assert.is(ran.size, 33);
	const timer = ranKey("packages/kqueue/src/event/filters/timer.ts", "timerExpire");
	assert.is(ran.get("timers")?.includes(timer), true);
	assert.is(ran.get("poll-basics")?.includes(timer), false);
});

test.run();

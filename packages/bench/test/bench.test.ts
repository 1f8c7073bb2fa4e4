// The benchmark program: its arguments, its figures.
import { spawnSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { measure, timed } from "../contest.ts";

function bench(...args: string[]) {
	return spawnSync(process.execPath, ["--import", "tsx", "packages/bench/bench.ts", ...args], {
		cwd: new URL("../../..", import.meta.url),
		encoding: "utf8",
	});
}

test("every contestant runs in every round, in turn, and medians are of one unit", async () => {
	const order: string[] = [];
	const contestant = (name: string, times: number[]) => ({
		name,
		run: () => {
			order.push(name);
			return times.shift() as number;
		},
		close: () => void order.push(`${name} closed`),
	});
	const contestants = [
		contestant("ours", [900, 900, 100, 300, 200]),
		contestant("theirs", [900, 900, 400, 800, 400]),
	];
	const results = await measure({ name: "row", n: 7, unit: "event", count: 10, contestants }, 3);
	assert.equal(
		results.map(({ contestant, median, ratio, rounds }) => [contestant, median, ratio, rounds]),
		[
			["ours", 20, 1, 3],
			["theirs", 40, 2, 3],
		],
	);
	assert.equal(order, [
		...Array(5).fill(["ours", "theirs"]).flat(),
		"ours closed",
		"theirs closed",
	]);
});

test("contestants are closed when one fails", async () => {
	let closed = 0;
	const close = () => void closed++;
	const bad = () => {
		throw new Error("mine");
	};
	const contestants = [
		{ name: "a", run: () => 1, close },
		{ name: "b", run: bad, close },
	];
	const failed = measure({ name: "row", n: 1, unit: "event", count: 1, contestants }, 1);
	assert.is(await failed.catch(({ message }) => message), "mine");
	assert.is(closed, 2);
	assert.ok(timed(() => {}) >= 0);
});

test("a bad argument gets a usage line and exit status 2", () => {
	for (const args of [["nothing"], ["--wrong"], ["--rounds", "0"], ["--rounds", "x"]]) {
		const { status, stderr } = bench(...args);
		assert.is(status, 2);
		assert.match(stderr, /usage: npm run bench/);
	}
});

test("--list names the rows", () => {
	const { status, stdout } = bench("--list");
	assert.is(status, 0);
	assert.match(stdout, /^rx$/m);
});

test.run();

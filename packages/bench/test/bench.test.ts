// The benchmark program: its arguments, its figures.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { measure, type Result, timed } from "../contest.ts";

const LINUX = process.platform === "linux";
const ROOT = new URL("../../..", import.meta.url);

function benchIn(env: NodeJS.ProcessEnv, ...args: string[]) {
	return spawnSync(process.execPath, ["--import", "tsx", "packages/bench/bench.ts", ...args], {
		cwd: ROOT,
		encoding: "utf8",
		env: { ...process.env, ...env },
	});
}

/**
 * Measures the row linux once, with a new folder for temporary files; returns what it leaves there
 * too.
 */
function linuxRow(makeEnv: (folder: string) => NodeJS.ProcessEnv) {
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-test-"));
	try {
		const json = join(folder, "times.json");
		const env = { ...makeEnv(folder), TMPDIR: folder };
		const { status, stderr } = benchIn(env, "linux", "--quick", "--rounds", "1", "--json", json);
		assert.is(status, 0, stderr);
		const { times }: { times: Result[] } = JSON.parse(readFileSync(json, "utf8"));
		const left = readdirSync(folder).filter((name) => name.startsWith("kqpoll-bench-"));
		return { stderr, times, left };
	} finally {
		rmSync(folder, { recursive: true });
	}
}

/**
 * A program that says it may open 1010 descriptors, and that one turn of any call took a second.
 */
const PROGRAM = `#!/bin/sh
case $1 in limit) echo 1010;; *) echo "\${3}000000000";; esac
`;

/** A compiler whose output is always the program above. */
const COMPILER = `#!/bin/sh
while [ "$1" != -o ]; do shift; done
cp "$(dirname "$0")/program" "$2"
`;

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

test("linux without a C compiler says why it is left out", () => {
	const { stderr, times, left } = linuxRow((folder) => ({ PATH: folder, CC: "" }));
	const why = LINUX ? "no C compiler works (tried cc, gcc, clang)" : `this is ${process.platform}`;
	assert.is(stderr, `linux is left out: ${why}\n`);
	assert.equal([times, left], [[], []]);
});

test("linux takes the compiler in CC, and leaves out sizes above the limit", () => {
	if (!LINUX) return;
	const { stderr, times, left } = linuxRow((folder) => {
		writeFileSync(join(folder, "program"), PROGRAM, { mode: 0o755 });
		writeFileSync(join(folder, "compiler"), COMPILER, { mode: 0o755 });
		return { CC: `${join(folder, "compiler")} -pipe` };
	});
	assert.is(stderr, "linux has fewer sizes: no more than 1010 descriptors may be open\n");
	assert.equal(left, []);
	const theirs = times.filter(({ contestant }) => contestant.startsWith("Linux"));
	assert.equal(
		theirs.map(({ row, n, contestant, median, unit }) => [row, n, contestant, median, unit]),
		[
			["linux poll", 10, "Linux's poll", 1e9, "call"],
			["linux poll", 100, "Linux's poll", 1e9, "call"],
			["linux select", 10, "Linux's select", 1e9, "call"],
			["linux select", 100, "Linux's select", 1e9, "call"],
			["linux epoll", 10, "Linux's epoll_wait", 1e9, "call"],
			["linux epoll", 100, "Linux's epoll_wait", 1e9, "call"],
		],
	);
});

test("linux compares ours with Linux's own calls where it can", () => {
	const { stderr, times, left } = linuxRow(() => ({ CC: " " }));
	assert.equal(left, []);
	if (times.length === 0) {
		assert.match(stderr, /^linux is left out: .+\n$/);
		return;
	}
	const named = (row: string): string[] =>
		times.filter((time) => time.row === row && time.n === 10).map(({ contestant }) => contestant);
	assert.equal(["linux poll", "linux select", "linux epoll"].map(named), [
		["pollNow", "Linux's poll"],
		["selectNow", "Linux's select"],
		["keventNow", "Linux's epoll_wait"],
	]);
	for (const { row, median } of times) assert.ok(median > 0 && median < 1e9, row);
});

test.run();

// Calls allocate nothing when a program repeats them with the same arrays. A program of its own
// measures that, in bytes of the heap, which do not depend on the machine.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Allocated } from "./allocation-child.ts";

/** How many megabytes of new objects fit between two garbage collections. */
const ROOM = 64;

const FLAGS = [
	"--import",
	"tsx",
	"--expose-gc",
	`--min-semi-space-size=${ROOM}`,
	`--max-semi-space-size=${ROOM}`,
	// Code is compiled after a fixed number of runs, not when another thread has time for it.
	"--no-concurrent-recompilation",
];

/** The most bytes that a knote takes, with its part of the lists that it is on. */
const KNOTE = 256;

function measure(): readonly Allocated[] {
	const program = fileURLToPath(new URL("allocation-child.ts", import.meta.url));
	const { status, stdout, stderr } = spawnSync(process.execPath, [...FLAGS, program], {
		cwd: new URL("../../..", import.meta.url),
		encoding: "utf8",
		// Counters of coverage do not count.
		env: { ...process.env, NODE_V8_COVERAGE: "" },
		timeout: 60_000,
	});
	assert.is(status, 0, stderr);
	return JSON.parse(stdout);
}

let measured: readonly Allocated[] = [];

test.before(() => {
	measured = measure();
});

/** Bytes for each call: whole ones, as the measurement itself takes some hundreds in all. */
function bytesEach({ bytes, calls, collections }: Allocated): number {
	return collections === 0 && bytes >= 0 ? Math.floor(bytes / calls) : Number.POSITIVE_INFINITY;
}

/** The calls whose names begin with one of `kinds` and that allocate more than `limit` bytes. */
function beyond(limit: number, ...kinds: string[]): string[] {
	const those = measured.filter(({ name }) => kinds.some((kind) => name.startsWith(kind)));
	assert.ok(those.length >= kinds.length, `what was measured: ${measured.length} kinds of calls`);
	return those
		.filter((allocated) => bytesEach(allocated) > limit)
		.map((allocated) => `${allocated.name}: ${bytesEach(allocated)} bytes a call`);
}

test("kevent, poll and select allocate nothing, however many events there are", () => {
	const polls = ["poll of none", "poll of one", "poll of ten"];
	assert.equal(beyond(0, "kevent of", ...polls, "select of"), []);
});

test("a call that returns a result or a promise allocates nothing when it did not sleep", () => {
	const kinds = ["either a read", "either a kevent", "either a poll", "either a poll_oneoff"];
	assert.equal(beyond(0, ...kinds), []);
});

test("adding an event allocates a knote and nothing else", () => {
	assert.equal(beyond(KNOTE, "kevent that adds"), []);
});

test("a poll of another array allocates a knote for each entry and nothing else", () => {
	assert.equal(beyond(1000 * KNOTE, "poll of a new array"), []);
});

test("a call that allocates is found, by the bytes or by the collections that they cause", () => {
	// An object with one field has four words; with the arrays there is no round without a collection.
	assert.equal(beyond(0, "wasteful"), [
		"wasteful of objects: 32 bytes a call",
		"wasteful of large arrays: Infinity bytes a call",
	]);
});

test.run();

// The table of limits: each limit has a row, with its defaults and a test that exists.
import { readFileSync } from "node:fs";
import { ACCOUNT_LIMITS, MACHINE_LIMITS, type Resource } from "@kqpoll/kqueue/kernel";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { listProblems, readOrNull, rowsOf } from "../citations.ts";

const LIST = readFileSync("docs/limits.md", "utf8");

/** The number that a cell begins with. */
function numberIn(cell: string | undefined): number {
	return Number(/^[\d,]+/.exec(cell ?? "")?.[0].replaceAll(",", ""));
}

test("each row of the table names a test that exists", () => {
	assert.equal([...listProblems(LIST, readOrNull, [])], []);
});

test("the table has the defaults of every limit", () => {
	const stated = new Map(
		rowsOf(LIST).map(({ name, what }) => [name, [numberIn(what[1]), numberIn(what[2])]]),
	);
	for (const key of Object.keys(ACCOUNT_LIMITS)) {
		const resource = key as Resource;
		const defaults = [ACCOUNT_LIMITS[resource], MACHINE_LIMITS[resource]];
		assert.equal(stated.get(resource), defaults, resource);
	}
});

test("what one account may use of a machine leaves something for another", () => {
	for (const [resource, limit] of Object.entries(ACCOUNT_LIMITS)) {
		assert.ok(limit < MACHINE_LIMITS[resource as Resource], resource);
	}
});

test.run();

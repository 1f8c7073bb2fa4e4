// The check that the engine does not touch the platform, on small engines.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { platformProblems } from "../platform.ts";
import { Project } from "./project.ts";

const platform = suite("platform");
let project: Project;

platform.before.each(() => {
	project = new Project();
});

platform.after.each(() => project.remove());

platform(
	"lets the real host declare the platform, and ignores comments and declared fields",
	() => {
		project.write("packages/kqueue/src/base/real-host.ts", [
			"declare function setTimeout(f: () => void, ms: number): unknown;",
			"export const now = (): number => Date.now() + globalThis.offset;",
		]);
		project.write("packages/kqueue/src/knote.ts", [
			"// Neither globalThis nor Date is used here.",
			'export const text = "globalThis, declare const x: number";',
			"export class Knote { declare kq: number; }",
			"export const max: number = Math.max(1, 2);",
		]);
		project.write("packages/kqueue/test/world.ts", ["export const now = Date.now();"]);
		assert.equal([...platformProblems(project.root)], []);
	},
);

platform("refuses globals, time, randomness and declarations elsewhere", () => {
	project.write("packages/kqueue/src/clock.ts", [
		"declare const performance: { now(): number };",
		"declare global { interface A {} }",
		"export const now = (): number => Date.now();",
		"export const dice = (): number => Math.random();",
		"export const all: unknown = globalThis;",
	]);
	project.write("packages/kqpoll/src/index.ts", ["declare function setTimeout(): void;"]);
	assert.equal(
		[...platformProblems(project.root)],
		[
			"packages/kqueue/src/clock.ts:1: declares what only the files of the platform may",
			"packages/kqueue/src/clock.ts:2: declares what only the files of the platform may",
			"packages/kqueue/src/clock.ts:3: uses Date",
			"packages/kqueue/src/clock.ts:4: uses Math.random",
			"packages/kqueue/src/clock.ts:5: uses globalThis",
			"packages/kqpoll/src/index.ts:1: declares what only the files of the platform may",
		],
	);
});

platform("refuses comments that switch off the compiler's checks, in the real host too", () => {
	project.write("packages/kqueue/src/base/real-host.ts", [
		'/// <reference types="node" />',
		"// @ts-expect-error",
		"setTimeout(() => {}, 1);",
	]);
	assert.equal(
		[...platformProblems(project.root)],
		[
			'packages/kqueue/src/base/real-host.ts: /// <reference types="node" /> brings in a platform\'s types',
			"packages/kqueue/src/base/real-host.ts: @ts-expect-error switches the compiler off",
		],
	);
});

platform.run();

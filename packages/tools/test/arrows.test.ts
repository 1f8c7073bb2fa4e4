// The check of import directions, on small workspaces that keep and break the rules.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { arrowProblems } from "../arrows.ts";
import { Project } from "./project.ts";

const arrows = suite("arrows");
let project: Project;

arrows.before.each(() => {
	project = new Project();
	manifest("packages/kqueue", "kqueue", { exports: { ".": "x", "./kernel": "x" } });
	manifest("packages/kqpoll", "kqpoll", { exports: { ".": "x" } });
	manifest("packages/tools", "tools", { private: true });
});

arrows.after.each(() => project.remove());

function manifest(folder: string, name: string, rest: object): void {
	project.write(`${folder}/package.json`, [JSON.stringify({ name: `@kqpoll/${name}`, ...rest })]);
}

arrows("lets packages import along the arrows, at entry points", () => {
	project.write("packages/kqpoll/src/index.ts", [
		'import type { Knote } from "@kqpoll/kqueue/kernel";',
		'export { x } from "@kqpoll/kqueue";',
		'export * from "./poll.ts";',
	]);
	project.write("packages/kqpoll/test/poll.test.ts", [
		'import "node:fs";',
		'import "uvu";',
		'import "@kqpoll/kqpoll";',
		'import "../src/poll.ts";',
	]);
	project.write("packages/tools/trace.ts", ['await import("@kqpoll/kqpoll");']);
	project.write("examples/package.json", ['{ "name": "@kqpoll/examples", "private": true }']);
	project.write("examples/hello.ts", ['import "@kqpoll/kqueue/kernel";']);
	assert.equal([...arrowProblems(project.root)], []);
});

arrows("lets private packages use the tools by path, and published ones not", () => {
	project.write("examples/package.json", ['{ "name": "@kqpoll/examples", "private": true }']);
	project.write("examples/main.ts", ['import "../packages/tools/command.ts";']);
	project.write("examples/hello.ts", ['import "../packages/kqueue/src/index.ts";']);
	project.write("packages/kqpoll/test/poll.test.ts", ['import "../../tools/command.ts";']);
	assert.equal(
		[...arrowProblems(project.root)],
		[
			'packages/kqpoll/test/poll.test.ts: import of "../../tools/command.ts" leaves packages/kqpoll/',
			'examples/hello.ts: import of "../packages/kqueue/src/index.ts" leaves examples/',
		],
	);
});

arrows("lets tests of files use pollers, and their sources not", () => {
	const kqpoll = { "@kqpoll/kqpoll": "workspace:*" };
	manifest("packages/files", "files", { devDependencies: kqpoll });
	project.write("packages/files/test/pipe.test.ts", ['import "@kqpoll/kqpoll";']);
	assert.equal([...arrowProblems(project.root)], []);
	manifest("packages/files", "files", { dependencies: kqpoll });
	project.write("packages/files/src/pipe.ts", ['import "@kqpoll/kqpoll";']);
	assert.equal(
		[...arrowProblems(project.root)],
		[
			"packages/files/package.json: may not depend on @kqpoll/kqpoll",
			'packages/files/src/pipe.ts: import of "@kqpoll/kqpoll" is against the arrows',
		],
	);
});

arrows("refuses imports against the arrows, of any form", () => {
	project.write("packages/kqueue/src/index.ts", [
		'import type { Poll } from "@kqpoll/kqpoll";',
		'export { poll } from "@kqpoll/kqpoll";',
		'export const later = import("@kqpoll/kqpoll");',
		'export type Polls = import("@kqpoll/kqpoll").Polls;',
		'import "@kqpoll/kqueue";',
	]);
	project.write("packages/kqueue/test/poll.test.ts", ['import "@kqpoll/kqpoll";']);
	project.write("packages/kqpoll/src/index.ts", ['import "@kqpoll/tools";']);
	const problem = (file: string, name: string) =>
		`packages/${file}: import of "@kqpoll/${name}" is against the arrows`;
	assert.equal(
		[...arrowProblems(project.root)],
		[
			problem("kqpoll/src/index.ts", "tools"),
			problem("kqueue/src/index.ts", "kqpoll"),
			problem("kqueue/src/index.ts", "kqpoll"),
			problem("kqueue/src/index.ts", "kqpoll"),
			problem("kqueue/src/index.ts", "kqpoll"),
			problem("kqueue/src/index.ts", "kqueue"),
			problem("kqueue/test/poll.test.ts", "kqpoll"),
		],
	);
});

arrows("refuses paths into another package, or out of the sources", () => {
	project.write("packages/kqpoll/src/index.ts", [
		'import "@kqpoll/kqueue/src/knote.ts";',
		'import "../../kqueue/src/knote.ts";',
		'import "../test/world.ts";',
	]);
	project.write("packages/tools/trace.ts", ['import "../kqueue/src/knote.ts";']);
	assert.equal(
		[...arrowProblems(project.root)],
		[
			'packages/kqpoll/src/index.ts: import of "@kqpoll/kqueue/src/knote.ts" is not an entry point',
			'packages/kqpoll/src/index.ts: import of "../../kqueue/src/knote.ts" leaves packages/kqpoll/src/',
			'packages/kqpoll/src/index.ts: import of "../test/world.ts" leaves packages/kqpoll/src/',
			'packages/tools/trace.ts: import of "../kqueue/src/knote.ts" leaves packages/tools/',
		],
	);
});

arrows("refuses Node and undeclared packages in what is published", () => {
	manifest("packages/kqpoll", "kqpoll", { peerDependencies: { rxjs: "7.8.2" } });
	project.write("packages/kqpoll/src/index.ts", [
		'import "node:fs";',
		'import "fs";',
		'import "uvu/assert";',
		'import "rxjs/operators";',
	]);
	assert.equal(
		[...arrowProblems(project.root)],
		[
			'packages/kqpoll/src/index.ts: import of "node:fs" ties it to Node',
			'packages/kqpoll/src/index.ts: import of "fs" is not a dependency',
			'packages/kqpoll/src/index.ts: import of "uvu/assert" is not a dependency',
		],
	);
});

arrows("refuses manifests that depend against the arrows, and packages it does not know", () => {
	const workspace = "workspace:*";
	manifest("packages/kqueue", "kqueue", { devDependencies: { "@kqpoll/kqpoll": workspace } });
	manifest("packages/kqpoll", "kqpoll", { dependencies: { "@kqpoll/kqueue": workspace } });
	manifest("packages/sockets", "sockets", { peerDependencies: { "@kqpoll/kqueue": workspace } });
	assert.equal(
		[...arrowProblems(project.root)],
		[
			"packages/kqueue/package.json: may not depend on @kqpoll/kqpoll",
			"packages/sockets: published, but the arrows in packages/tools/arrows.ts do not know it",
			"packages/sockets/package.json: may not depend on @kqpoll/kqueue",
		],
	);
});

arrows.run();

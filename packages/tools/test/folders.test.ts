// The check of the folders inside a package, on small packages that keep and break the order.
import { existsSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { circles, folderProblems, LAYOUTS } from "../folders.ts";
import { Project } from "./project.ts";

const folders = suite("folders");
let project: Project;

folders.before.each(() => {
	project = new Project();
});

folders.after.each(() => project.remove());

function write(file: string, ...lines: string[]): void {
	project.write(`packages/kqueue/src/${file}`, lines);
}

function problems(): string[] {
	return [...folderProblems(project.root, "packages/kqueue", "kqueue")].map((problem) =>
		problem.replace("packages/kqueue/src", "src"),
	);
}

folders("lets values be imported from below and from beside, and entry points import all", () => {
	write("index.ts", 'export { a } from "./stream/a.ts";', 'export { b } from "./abi/b.ts";');
	write("stream/a.ts", 'import { b } from "../abi/b.ts";', 'import { c } from "./c.ts";');
	write("stream/c.ts", 'import "../event/scan.ts";');
	assert.equal(problems(), []);
});

folders("refuses values from above, of any form of import", () => {
	write(
		"abi/a.ts",
		'import { b } from "../base/b.ts";',
		'import "../event/scan.ts";',
		'export { c, type D } from "../event/c.ts";',
		'import { type E } from "../process/thread.ts";',
	);
	write("unheard/a.ts", 'import { b } from "../abi/b.ts";');
	assert.equal(problems(), [
		"src/abi/a.ts: import of base/b.ts runs up",
		"src/abi/a.ts: import of event/scan.ts runs up",
		"src/abi/a.ts: import of event/c.ts runs up",
		"src/unheard/a.ts: import of abi/b.ts runs up",
	]);
});

folders("lets types be imported from above if they are structures", () => {
	write(
		"sched/a.ts",
		'import type { Thread } from "../process/thread.ts";',
		'import type { Pump } from "../stream/pump.ts";',
	);
	assert.equal(problems(), [
		"src/sched/a.ts: import of stream/pump.ts runs up, to what is not a structure",
	]);
});

folders("refuses a circle of values, even between structures", () => {
	write("event/knote.ts", 'import { Kqueue } from "./kqueue.ts";');
	write("event/kqueue.ts", 'import { Knote } from "./knote.ts";');
	assert.equal(problems(), [
		"src: imports of values go in a circle: event/knote.ts, event/kqueue.ts",
	]);
});

folders("refuses a circle of types unless all in it are structures", () => {
	write("event/knote.ts", 'import type { Kqueue } from "./kqueue.ts";');
	write("event/kqueue.ts", 'import { Knote } from "./knote.ts";');
	assert.equal(problems(), []);
	write("event/scan.ts", 'import { Knote } from "./knote.ts";');
	write("event/kqueue.ts", 'import type { Scan } from "./scan.ts";');
	assert.equal(problems(), ["src: in a circle of types, and not a structure: event/scan.ts"]);
});

folders("finds circles one by one", () => {
	const edges = ["ab", "bc", "ca", "cd", "de", "ed", "ff", "gh"].map(([from, to]) => ({
		from: from as string,
		to: to as string,
	}));
	assert.equal(circles(edges), [["a", "b", "c"], ["d", "e"], ["f"]]);
});

folders("knows only files that are there", () => {
	for (const [name, { structures }] of Object.entries(LAYOUTS)) {
		const missing = structures.filter((file) => !existsSync(`packages/${name}/src/${file}`));
		assert.equal(missing, [], name);
	}
});

folders.run();

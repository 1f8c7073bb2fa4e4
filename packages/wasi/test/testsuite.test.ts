// The expectations of the published testsuite, on files in memory and on those of a real directory.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mount, Tree, unmount } from "@kqpoll/files";
import type { Thread } from "@kqpoll/kqueue";
import { RealDirectory } from "@kqpoll/node";
import { test } from "uvu";
import { PROGRAMS, runProgram } from "./testsuite.ts";

for (const name of PROGRAMS) {
	test(`${name} of the published testsuite`, () => runProgram(name));

	test(`${name}, on a real directory`, () => {
		const folder = mkdtempSync(join(tmpdir(), "kqpoll-testsuite-"));
		const tree = new Tree();
		let thread: Thread | null = null;
		try {
			runProgram(name, ({ main }) => {
				thread = main;
				mount(main, tree, "/", new RealDirectory(folder));
				return { preopens: { "/": tree } };
			});
		} finally {
			if (thread !== null) unmount(thread, tree, "/", { force: true });
			rmSync(folder, { recursive: true });
		}
	});
}

test.run();

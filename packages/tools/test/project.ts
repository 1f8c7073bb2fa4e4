// A throwaway workspace in which the tests of the tools run a tool as a child process.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** A workspace of a few files, until `remove()`. */
export class Project {
	/** The folder it lies in. */
	readonly root = mkdtempSync(join(tmpdir(), "kqpoll-tools-"));

	constructor() {
		// A test runner and the tests it runs have to share one uvu, so the installed one is used.
		symlinkSync(resolve("node_modules"), join(this.root, "node_modules"), "junction");
		this.write("package.json", ['{ "type": "module" }']);
	}

	/** Writes a file, given by its path in the project and its lines. */
	write(path: string, lines: string[]): void {
		const file = join(this.root, path);
		mkdirSync(dirname(file), { recursive: true });
		writeFileSync(file, `${lines.join("\n")}\n`);
	}

	/** Runs `packages/tools/NAME.ts` of the real workspace in this project. */
	run(name: string, args: string[] = [], env: Record<string, string> = {}) {
		const tool = fileURLToPath(new URL(`../${name}.ts`, import.meta.url));
		// The child is not part of the coverage, and whether it runs in CI is up to the test.
		const { CI: _ci, NODE_V8_COVERAGE: _coverage, ...inherited } = process.env;
		return spawnSync(process.execPath, ["--import", "tsx", tool, ...args], {
			cwd: this.root,
			env: { ...inherited, ...env },
			encoding: "utf8",
		});
	}

	remove(): void {
		rmSync(this.root, { recursive: true });
	}
}

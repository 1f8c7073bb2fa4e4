// Compiles guests for Linux itself, with gcc, and records what they print there.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { GUESTS } from "./compile.ts";

/** The guests whose output on Linux is recorded: those that print the answers of system calls. */
export const RECORDED: readonly string[] = ["files", "fionread", "poll-rows", "select-rows"];

const FLAGS: readonly string[] = [
	"-std=gnu17",
	"-D_GNU_SOURCE",
	"-O1",
	"-Wall",
	"-Wextra",
	"-Wno-unused-function",
];
/** How long a program may take, in milliseconds. */
const LIMIT = 20_000;

/** Runs guests on Linux; returns what each prints. Throws if gcc or a guest fails. */
export function transcripts(names: readonly string[]): ReadonlyMap<string, string> {
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-guests-"));
	const compile = (name: string): string => {
		const program = join(folder, name);
		const source = resolve(GUESTS, `${name}.c`);
		execFileSync("gcc", [...FLAGS, "-o", program, source, "-lutil"], { stdio: "inherit" });
		return program;
	};
	try {
		const launch = compile("launch");
		// Empty, as the guest of files wants it.
		const cwd = join(folder, "empty");
		mkdirSync(cwd);
		const run = (name: string): string =>
			execFileSync(launch, [compile(name)], { cwd, encoding: "utf8", timeout: LIMIT });
		return new Map(names.map((name) => [name, run(name)]));
	} finally {
		rmSync(folder, { recursive: true });
	}
}

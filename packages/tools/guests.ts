// Builds the guests of packages/wasi/test/guests, and records what some of them print on Linux.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Command, messageOf } from "./command.ts";
import { compiler, GUESTS, guestNames } from "./guests/compile.ts";
import { RECORDED, transcripts } from "./guests/native.ts";

const command = new Command(
	"guests",
	`usage: npm run guests [-- [--check] [NAME...]]

NAME     a guest of ${GUESTS}, without .c; by default all
--check  compares with the files that are there instead of writing them`,
);

/** The file with the hashes of all modules; sha256sum --check reads it. */
const HASHES = join(GUESTS, "SHA256SUMS");

interface Request {
	readonly names: readonly string[];
	readonly check: boolean;
}

function parse(args: string[]): Request {
	const options = { check: { type: "boolean" } } as const;
	const { positionals, values } = parseArgs({ args, options, allowPositionals: true });
	const known = guestNames();
	const unknown = positionals.find((name) => !known.includes(name));
	if (unknown !== undefined) throw new Error(`there is no guest ${unknown}`);
	return { names: positionals.length > 0 ? positionals : known, check: values.check === true };
}

/** Writes a file, or compares with the one that is there; returns what is wrong with it. */
function settle(path: string, content: Uint8Array | string, check: boolean): string | null {
	if (!check) {
		writeFileSync(path, content);
		return null;
	}
	if (!existsSync(path)) return `${path} is missing`;
	return readFileSync(path).equals(Buffer.from(content)) ? null : `${path} differs`;
}

/** The hashes of the modules that are there. */
function hashes(): string {
	const files = guestNames().map((name) => `${name}.wasm`);
	const hash = (file: string) =>
		createHash("sha256")
			.update(readFileSync(join(GUESTS, file)))
			.digest("hex");
	return files.map((file) => `${hash(file)}  ${file}\n`).join("");
}

async function* build({ names, check }: Request): AsyncGenerator<string | null> {
	const compile = await compiler();
	for (const name of names) {
		const bytes = await compile(name);
		console.log(`${name}.wasm ${bytes.length} bytes`);
		yield settle(join(GUESTS, `${name}.wasm`), bytes, check);
	}
	yield settle(HASHES, hashes(), check);
	const recorded = RECORDED.filter((name) => names.includes(name));
	if (recorded.length > 0 && process.platform !== "linux") {
		console.log("Not Linux: its transcripts are left as they are");
		return;
	}
	for (const [name, transcript] of recorded.length > 0 ? transcripts(recorded) : []) {
		console.log(`${name} on Linux: ${transcript.split("\n").length - 1} lines`);
		yield settle(join(GUESTS, "expected", `${name}.linux.txt`), transcript, check);
	}
}

const request = command.parse(parse);
try {
	const problems: string[] = [];
	for await (const problem of build(request)) if (problem !== null) problems.push(problem);
	if (problems.length > 0) {
		console.error(problems.join("\n"));
		process.exitCode = 1;
	}
} catch (error) {
	console.error(`guests: ${messageOf(error)}`);
	process.exitCode = 1;
}

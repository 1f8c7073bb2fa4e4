// Asks hosts of WASI guests for the 17 plain cases of poll_oneoff, and prints a table for
// docs/wasi.md.
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Command } from "./command.ts";
import { CASES, type Case, HOST_NAMES, type HostName, INSTALLED } from "./hosts/cases.ts";
import { installed } from "./install.ts";

const command = new Command(
	"hosts",
	`usage: npm run hosts [-- [--why] [HOST...]]

HOST   ${HOST_NAMES.join(", ")}; by default all;
       those of npm are installed into node_modules/.cache/hosts
--why  prints what the guest says of each wrong answer, too`,
);

/** How long a case may take, in milliseconds. */
const LIMIT = 6000;
/** How many run at the same time. */
const PARALLEL = 2;
/** How often a wrong answer is asked for again: where clocks are rough, some are wrong at times. */
const TRIES = 3;

/** How a case went: null when the answer was correct, else what was wrong. */
type Verdict = string | null;

/** What the cases need. */
interface Rig {
	/** Where the hosts of npm are installed. */
	readonly modules: string;
	/** A file of 5 bytes. */
	readonly file: string;
}

/** Runs a case in a process of its own, because some hosts crash. */
function ask(host: HostName, number: number, { input }: Case, rig: Rig): Promise<Verdict> {
	const { modules, file } = rig;
	const script = ["--import", "tsx", "--no-warnings", "packages/tools/hosts/run-case.ts"];
	const stdin = input === "file" ? openSync(file, "r") : "pipe";
	const child = spawn(process.execPath, [...script, host, modules, String(number), input], {
		stdio: [stdin, "pipe", "pipe"],
		timeout: LIMIT,
		killSignal: "SIGKILL",
	});
	if (typeof stdin === "number") closeSync(stdin);
	// A pipe whose reader does not read must not be an error here.
	child.stdin?.on("error", () => {});
	if (input === "five") child.stdin?.write("hello");
	if (input === "ended") child.stdin?.end();
	child.stdout?.resume();
	let said = "";
	child.stderr?.setEncoding("utf8").on("data", (text: string) => {
		said += text;
	});
	return new Promise((resolve) => {
		child.on("close", (status, signal) => {
			if (signal === "SIGKILL") resolve("hangs");
			else if (signal !== null) resolve(`crashes (${signal})`);
			else resolve(status === 0 ? null : said.trim().split("\n").at(-1) || `status ${status}`);
		});
	});
}

/** Asks up to three times until an answer is correct; not again when the host hangs or crashes. */
async function askAgain(host: HostName, number: number, each: Case, rig: Rig): Promise<Verdict> {
	let verdict: Verdict = null;
	for (let i = 0; i < TRIES; i++) {
		verdict = await ask(host, number, each, rig);
		if (verdict === null || isDead(verdict)) return verdict;
	}
	return verdict;
}

function isDead(verdict: string): boolean {
	return /^(hangs|crashes)/.test(verdict);
}

/** Asks a host for all cases. */
async function askAll(host: HostName, rig: Rig): Promise<readonly Verdict[]> {
	const verdicts: Verdict[] = [];
	const waiting = CASES.map((each, i) => [i, each] as const);
	const worker = async (): Promise<void> => {
		for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
			verdicts[next[0]] = await askAgain(host, next[0] + 1, next[1], rig);
	};
	await Promise.all(Array.from({ length: PARALLEL }, worker));
	return verdicts;
}

/** How a verdict stands in the table. */
function cell(verdict: Verdict): string {
	if (verdict === null) return "✓";
	return isDead(verdict) ? (verdict.split(" ")[0] as string) : "–";
}

function table(answers: ReadonlyMap<HostName, readonly Verdict[]>): string[] {
	const hosts = [...answers.keys()];
	const version = (host: HostName): string =>
		INSTALLED[host] ?? (host === "node:wasi" ? process.versions.node : "");
	const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
	const count = (verdicts: readonly Verdict[]): string =>
		String(verdicts.filter((verdict) => verdict === null).length);
	return [
		row(["case", ...hosts.map((host) => `${host} ${version(host)}`.trim())]),
		row(["---", ...hosts.map(() => "---")]),
		...CASES.map(({ title }, i) =>
			row([`${i + 1} ${title}`, ...hosts.map((host) => cell(answers.get(host)?.[i] ?? null))]),
		),
		row(["correct", ...hosts.map((host) => count(answers.get(host) ?? []))]),
	];
}

function parse(args: string[]): { readonly hosts: readonly HostName[]; readonly why: boolean } {
	const options = { why: { type: "boolean" } } as const;
	const { positionals, values } = parseArgs({ args, options, allowPositionals: true });
	const unknown = positionals.find((name) => !HOST_NAMES.includes(name as HostName));
	if (unknown !== undefined) throw new Error(`there is no host ${unknown}`);
	const hosts = positionals.length > 0 ? (positionals as HostName[]) : HOST_NAMES;
	return { hosts, why: values.why === true };
}

const { hosts, why } = command.parse(parse);
const folder = mkdtempSync(join(tmpdir(), "kqpoll-hosts-"));
try {
	const versions = INSTALLED as Record<string, string>;
	const modules = hosts.some((host) => host in INSTALLED) ? installed("hosts", versions) : "";
	const file = join(folder, "five");
	writeFileSync(file, "hello");
	const answers = new Map<HostName, readonly Verdict[]>();
	for (const host of hosts) answers.set(host, await askAll(host, { modules, file }));
	for (const line of table(answers)) console.log(line);
	for (const [host, verdicts] of why ? answers : [])
		for (const [i, verdict] of verdicts.entries())
			if (verdict !== null) console.log(`${host} ${i + 1}: ${verdict}`);
} finally {
	rmSync(folder, { recursive: true });
}

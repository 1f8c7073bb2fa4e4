// Which functions run when a trace is replayed, and when a test file is.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SCENARIOS = join(ROOT, "packages/tools/test/traces/scenarios");

/** The functions that ran, as `file name`. */
export type Ran = ReadonlySet<string>;

interface ScriptCoverage {
	readonly url: string;
	readonly functions: readonly {
		readonly functionName: string;
		readonly ranges: readonly { readonly count: number }[];
	}[];
}

/** How a function is named in a set of those that ran. */
export function ranKey(file: string, name: string): string {
	return `${file} ${name}`;
}

function ranIn(scripts: readonly ScriptCoverage[]): Ran {
	const ran = new Set<string>();
	for (const { url, functions } of scripts) {
		if (!url.startsWith("file:")) continue;
		const path = fileURLToPath(url.replace(/\?.*$/, ""));
		if (!path.startsWith(join(ROOT, "packages"))) continue;
		const file = path.slice(ROOT.length).replaceAll("\\", "/");
		for (const { functionName, ranges } of functions) {
			const name =
				functionName
					.replace(/^(get|set) /, "")
					.split(".")
					.at(-1) ?? "";
			if ((ranges[0]?.count ?? 0) > 0) ran.add(ranKey(file, name));
		}
	}
	return ran;
}

/** What each of the scenarios runs, by the scenario's name. */
export async function ranByScenario(): Promise<ReadonlyMap<string, Ran>> {
	// Only the scenarios need the engine, and not what the command says of its arguments.
	const { replay } = await import("../trace/replay.ts");
	const session = new Session();
	session.connect();
	await session.post("Profiler.enable");
	await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
	const ran = new Map<string, Ran>();
	for (const file of readdirSync(SCENARIOS).sort()) {
		await session.post("Profiler.takePreciseCoverage"); // Counts from 0 again.
		await replay(readFileSync(join(SCENARIOS, file), "utf8"));
		const { result } = await session.post("Profiler.takePreciseCoverage");
		ran.set(file.replace(/\.trace$/, ""), ranIn(result));
	}
	session.disconnect();
	return ran;
}

/** What one test file runs, in a process of its own. */
export function ranByTest(file: string): Ran {
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-coverage-"));
	try {
		const runner = ["--import", "tsx", "packages/tools/test.ts", file.replaceAll(".", "\\.")];
		// Whether the tests pass does not matter here.
		spawnSync(process.execPath, runner, {
			cwd: ROOT,
			stdio: "ignore",
			env: { ...process.env, NODE_V8_COVERAGE: folder },
		});
		const scripts = readdirSync(folder).flatMap(
			(name) =>
				(JSON.parse(readFileSync(join(folder, name), "utf8")) as { result: ScriptCoverage[] })
					.result,
		);
		return ranIn(scripts);
	} finally {
		rmSync(folder, { recursive: true });
	}
}

// Debian's Chromium without a window, driven by playwright-core in a folder of its own.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Where playwright-core is installed, and which version. */
const FOLDER = "node_modules/.cache/browser";
const VERSION = "1.65.1";

/** It has nothing to look for outside this machine. */
const ARGUMENTS: readonly string[] = [
	"--headless",
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
	"--no-proxy-server",
	"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** What a program in a page came to. */
interface Outcome {
	/** What its promise was fulfilled with, as far as JSON has it. */
	readonly value: unknown;
	/** What it wrote to the console, a line each. */
	readonly printed: string;
}

/** A running browser. */
export interface Browser {
	/** Its name and version. */
	readonly version: string;
	/**
	 * Evaluates an expression in a new page at an address. Rejects with what it rejects with, and when
	 * it takes longer than `limit` milliseconds.
	 */
	run(url: string, expression: string, limit: number): Promise<Outcome>;
	/** Ends the browser, and removes its profile. */
	close(): Promise<void>;
}

/** The parts of playwright-core that are used. */
interface Playwright {
	readonly chromium: {
		launchPersistentContext(profile: string, options: object): Promise<Context>;
	};
}

interface Context {
	newPage(): Promise<Page>;
	close(): Promise<void>;
}

interface Page {
	on(event: "console", listener: (message: { text(): string }) => void): void;
	on(event: "pageerror", listener: (error: Error) => void): void;
	goto(url: string): Promise<unknown>;
	evaluate(expression: string): Promise<unknown>;
	close(): Promise<void>;
}

/** Starts the browser with a new profile. Throws an error that says what to do if there is none. */
export async function launch(): Promise<Browser> {
	const executablePath = installChromium();
	const { chromium } = installPlaywright();
	const profile = mkdtempSync(join(tmpdir(), "kqpoll-chromium-"));
	const context = await chromium.launchPersistentContext(profile, {
		executablePath,
		args: [...ARGUMENTS],
		chromiumSandbox: false,
	});
	// Debian's launcher writes warnings to standard error.
	const { stdout: version } = spawnSync(executablePath, ["--version"], { encoding: "utf8" });
	return {
		version: version.trim(),
		run: (url, expression, limit) => evaluate(context, url, expression, limit),
		async close() {
			await context.close();
			rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
		},
	};
}

async function evaluate(
	context: Context,
	url: string,
	expression: string,
	limit: number,
): Promise<Outcome> {
	const page = await context.newPage();
	let printed = "";
	let timer: NodeJS.Timeout | undefined;
	page.on("console", (message) => {
		printed += `${message.text()}\n`;
	});
	try {
		await page.goto(url);
		const value = await Promise.race([
			page.evaluate(expression),
			new Promise((_, reject) => {
				page.on("pageerror", reject);
				const late = new Error(`still running after ${limit} ms; printed so far:\n${printed}`);
				timer = setTimeout(reject, limit, late);
			}),
		]);
		return { value, printed };
	} finally {
		clearTimeout(timer);
		await page.close();
	}
}

/** The program: CHROMIUM in the environment, or chromium, which apt-get installs if it is not there. */
function installChromium(): string {
	const named = process.env["CHROMIUM"];
	if (named !== undefined) return named;
	const install = ["install", "-y", "--no-install-recommends", "chromium"];
	const found = (): string => spawnSync("which", ["chromium"], { encoding: "utf8" }).stdout?.trim();
	for (const args of [null, install, ["update"], install]) {
		if (args !== null) spawnSync("apt-get", args, { stdio: "ignore" });
		const path = found();
		if (path) return path;
	}
	throw new Error("apt-get cannot install chromium; name a Chromium with CHROMIUM=PATH");
}

/** Installs playwright-core, unless it is there in this version. */
function installPlaywright(): Playwright {
	const manifest = JSON.stringify({ private: true, dependencies: { "playwright-core": VERSION } });
	const path = join(FOLDER, "package.json");
	const installed = existsSync(join(FOLDER, "node_modules")) && existsSync(path);
	if (!installed || readFileSync(path, "utf8") !== manifest) {
		mkdirSync(FOLDER, { recursive: true });
		writeFileSync(path, manifest);
		execFileSync("npm", ["install", "--no-audit", "--no-fund", "--no-package-lock"], {
			cwd: FOLDER,
			stdio: "inherit",
		});
	}
	return createRequire(resolve(path))("playwright-core") as Playwright;
}

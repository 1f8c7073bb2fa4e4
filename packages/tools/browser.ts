// Runs the tests that need a browser in Debian's Chromium: the pages of browser/pages, and the programs
// of the documentation that are marked "browser".
import { parseArgs } from "node:util";
import { type Browser, launch } from "./browser/chromium.ts";
import { allPages, bundlePages, type Page } from "./browser/pages.ts";
import { serve } from "./browser/server.ts";
import { Command, messageOf } from "./command.ts";

const command = new Command(
	"browser",
	`usage: node --import tsx packages/tools/browser.ts [--match PATTERN]

PATTERN  a regular expression; only pages whose name matches it run
CHROMIUM in the environment is the program to use; by default chromium, installed with apt-get if there
is none. The packages are taken as npm run build has made them.`,
);

/** How long a page may take, in milliseconds. */
const LIMIT = 60_000;

/** What a page's module exports. */
interface Result {
	readonly name: string;
	/** What went wrong, null if nothing did. */
	readonly error: string | null;
}

/** The pages that the arguments ask for. */
function wanted(args: string[]): readonly Page[] {
	const { values } = parseArgs({ args, options: { match: { type: "string" } } });
	const pattern = new RegExp(values.match ?? "");
	const pages = allPages(".").filter(({ name }) => pattern.test(name));
	if (pages.length === 0) throw new Error(`no page matches ${values.match}`);
	return pages;
}

/** Runs a page; returns its results, and for a page without any whether it printed what it should. */
async function run(browser: Browser, url: string, { name, output }: Page): Promise<Result[]> {
	try {
		const { value, printed } = await browser.run(url, `import("/${name}.js")`, LIMIT);
		const { results } = value as { readonly results?: Result[] };
		if (results !== undefined) return results;
		const differs = output !== null && printed !== output;
		return [{ name: "prints what the text says", error: differs ? `it prints\n${printed}` : null }];
	} catch (error) {
		return [{ name: "ends", error: messageOf(error) }];
	}
}

const pages = command.parse(wanted);
const server = await serve(await bundlePages(pages));
const browser = await launch().catch((error) => command.abort(messageOf(error)));
let passed = 0;
for (const page of pages) {
	for (const { name, error } of await run(browser, server.url, page)) {
		if (error === null) passed++;
		else {
			process.exitCode = 1;
			console.log(`FAIL  ${page.name}: ${name}\n${error.replace(/^/gm, "      ")}`);
		}
	}
}
console.log(`${browser.version}, pages: ${pages.length}, tests that passed: ${passed}`);
await browser.close();
server.close();

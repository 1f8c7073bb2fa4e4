// The programs in the documentation: every block of TypeScript in a Markdown file, "ts" for Node and
// "ts browser" for a browser.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packages } from "./workspace.ts";

/** A block of TypeScript, with what it prints if the text says so. */
export interface Block {
	/** The file, from the root of the workspace. */
	readonly file: string;
	/** The line on which the block begins. */
	readonly line: number;
	/** Its source. */
	readonly source: string;
	/** What it prints, according to the block of plain text behind it; null without such a block. */
	readonly output: string | null;
	/** Whether it needs a browser. */
	readonly browser: boolean;
}

/** The Markdown files that are written by hand, from the root of the workspace. */
export function pages(root: string): string[] {
	const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
	const readmes = packages(root)
		.filter(({ manifest }) => !manifest.private)
		.map(({ folder }) => `${folder}/README.md`)
		.filter((file) => existsSync(join(root, file)));
	return ["README.md", ...docs.map((name) => `docs/${name}`), ...readmes];
}

/** The blocks of a Markdown text. A block of `text` right behind one of `ts` is what it prints. */
export function blocks(file: string, text: string): Block[] {
	const fence = /^```([^\n]*)\n([\s\S]*?)^```$(\n+(?=```text\n)```text\n([\s\S]*?)^```$)?/gm;
	return [...text.matchAll(fence)]
		.filter(([, language]) => language === "ts" || language === "ts browser")
		.map((match) => ({
			file,
			line: text.slice(0, match.index).split("\n").length,
			source: match[2] as string,
			output: match[4] ?? null,
			browser: match[1] === "ts browser",
		}));
}

/** Every block of the documentation. */
export function documentedBlocks(root: string): Block[] {
	return pages(root).flatMap((file) => blocks(file, readFileSync(join(root, file), "utf8")));
}

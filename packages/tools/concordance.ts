// npm run concordance: generates docs/concordance.md, which says for each function of kern_event.c
// which of ours corresponds to it and what runs that. With --check it only checks the file.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Command } from "./command.ts";
import { type Ran, ranByScenario, ranByTest, ranKey } from "./concordance/exercise.ts";
import { LISTING, WITHOUT } from "./concordance/listing.ts";
import { findTags, type Tagged } from "./concordance/tags.ts";
import { sources } from "./workspace.ts";

const TARGET = "docs/concordance.md";
const command = new Command(
	"concordance",
	`usage: npm run concordance [-- --check]
  --check  writes nothing, and fails when the page is out of date`,
);
/** Tests that do not run the same functions every time prove nothing here. */
const CHANCE = /property|model|real-host/;
/** How many traces are named; the rest is only counted. */
const NAMED = 3;

const INTRODUCTION = `# Concordance

Each function that OpenBSD's \`kern_event.c\` 1.194 defines, in its order; our function that corresponds
to it; and what runs our function: scenarios among the traces, or where no scenario does, test files.
\`npm run concordance\` generates this page from the \`@kern\` tags in the sources and from what was seen
to run. \`npm run check\` fails when the page is out of date, when a function is neither ported nor listed
with a reason, and when a ported one is never run.

| kern_event.c | ours | run by |
| --- | --- | --- |
`;

/** What is wrong with the tags. */
function problemsOf(tags: readonly Tagged[]): string[] {
	const tagged = new Set(tags.map(({ kern }) => kern));
	return [
		...LISTING.filter((name) => !tagged.has(name) && WITHOUT[name] === undefined).map(
			(name) => `${name} is neither ported nor listed with a reason`,
		),
		...Object.keys(WITHOUT)
			.filter((name) => tagged.has(name))
			.map((name) => `${name} is listed with a reason although it is ported`),
		...[...tagged, ...Object.keys(WITHOUT)]
			.filter((name) => !LISTING.includes(name))
			.map((name) => `${name} is not a function of the listing`),
	];
}

function namesOf(ran: ReadonlyMap<string, Ran>, { file, bare }: Tagged): string[] {
	return [...ran].filter(([, set]) => set.has(ranKey(file, bare))).map(([name]) => name);
}

function shorten(names: readonly string[]): string {
	const more = names.length - NAMED;
	return names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

async function generate(tags: readonly Tagged[]): Promise<{ text: string; idle: string[] }> {
	const byScenario = await ranByScenario();
	let byTest: ReadonlyMap<string, Ran> | null = null;
	const testsOf = (tag: Tagged): string[] => {
		const files = ["packages/kqueue/test", "packages/kqpoll/test"]
			.flatMap((folder) => sources(".", folder))
			.filter((file) => file.endsWith(".test.ts") && !CHANCE.test(file));
		byTest ??= new Map(files.map((file) => [file, ranByTest(file)]));
		return namesOf(byTest, tag).map((file) => file.replace("packages/", "").replace("test/", ""));
	};
	const idle: string[] = [];
	const rows = LISTING.flatMap((kern) => {
		const ours = tags.filter((tag) => tag.kern === kern);
		if (ours.length === 0) return [`| ${kern} | – | ${WITHOUT[kern]} |`];
		return ours.map((tag) => {
			const scenarios = namesOf(byScenario, tag);
			const runBy = scenarios.length > 0 ? scenarios : testsOf(tag);
			if (runBy.length === 0) idle.push(`${tag.name} (${kern}) is never run`);
			const file = tag.file.replace(/^packages\//, "").replace("/src/", "/");
			return `| ${kern} | \`${tag.name}\`, ${file} | ${shorten(runBy)} |`;
		});
	});
	return { text: `${INTRODUCTION}${rows.join("\n")}\n`, idle };
}

async function main(): Promise<number> {
	const { check } = command.parse(
		(args) => parseArgs({ args, options: { check: { type: "boolean" } } }).values,
	);
	const tags = findTags();
	const problems = problemsOf(tags);
	const { text, idle } = await generate(tags);
	problems.push(...idle);
	if (!check) writeFileSync(TARGET, text);
	else if (readFileSync(TARGET, "utf8") !== text)
		problems.push(`${TARGET} is out of date: npm run concordance`);
	for (const problem of problems) console.error(problem);
	return problems.length === 0 ? 0 : 1;
}

process.exitCode = await main();

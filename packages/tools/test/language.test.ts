// The check of the language: which phrases it finds, and where it looks for them.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { languageProblems, phrasesIn } from "../language.ts";
import { Project } from "./project.ts";

const language = suite("language");
let project: Project;

language.before.each(() => {
	project = new Project();
	project.write("README.md", ["# A project"]);
	project.write("docs/a.md", ["# A page"]);
	project.write("packages/one/package.json", ['{ "name": "@kqpoll/one" }']);
});

language.after.each(() => project.remove());

const phrases = (text: string): string[] => phrasesIn(text).map(([, phrase]) => phrase);

/** What is found in the files of the project: each place and phrase, without the advice. */
const places = (): string[] =>
	[...languageProblems(project.root)].map((problem) => problem.replace(/: write .*/, ""));

language("finds what is hard to read", () => {
	for (const [text, ...found] of [
		["Gives the number; 0 gave nothing, and both give it back.", "Gives", "gave", "give"],
		["A knote that is no knote of it.", "is no knote"],
		["It is none, and those were none.", "is none", "were none"],
		["Wakes who sleeps, and those who wait.", "Wakes who", "those who"],
		["Who reads holds up who writes.", "holds up who", "Who reads"],
		["a wait that wakes the writer and who polls", "who polls"],
		["Null unless given.", "unless given"],
		["After so many milliseconds; with so much room.", "so many", "so much"],
		["Whoever hears of it likewise lets go of it.", "hears", "lets go of", "Whoever", "likewise"],
		["It parts it from the rest, all the same.", "parts it from", "all the same"],
		["It makes an end of it, thus in vain.", "makes an end of", "in vain", "thus"],
		["Hence it shall go, ere it sleeps, lest it fall.", "Hence", "lest", "shall", "ere"],
		["the reader sleeps on until it is passed over", "sleeps on", "passed over"],
	] as const) {
		assert.equal(phrases(text).sort(), [...found].sort(), text);
	}
});

language("leaves alone what only looks like it", () => {
	for (const text of [
		"It gives up; a number is given; giving it a name is easy.",
		"There is no file, there are none, it is no longer one, it is no later than that.",
		"A writer who waits, people who port programs; who is it?",
		"They are all the same. So many files that it takes a minute; as much as that.",
		"Only these few: thousand, there, where, whether, enthusiasm, shallow.",
		"It sleeps on a pipe, what does it sleep on; it is passed by; nobody is told.",
	]) {
		assert.equal(phrases(text), [], text);
	}
});

language("reads comments, strings and templates, and no other code", () => {
	project.write("packages/one/src/a.ts", [
		"// The first: gives 0.",
		'import { gives } from "./hence.ts";',
		"/** Gives `whoever` its {@link thus}; `is no File`. */",
		"export const gave = (give: RegExp = /whence|gave/): string =>",
		`\t\`it gave \${give.test('shall')} and is no \${gives}\`; // a trailing hence`,
		"/**",
		" * Between them are those",
		" * who wait.",
		" * ```ts",
		" * const whence = gives();",
		" * ```",
		" * It is",
		" * no number.",
		" */",
		'export const hence = "http://whoever"; // so',
		"// many calls.",
	]);
	assert.equal(places(), [
		'packages/one/src/a.ts:1: "gives"',
		'packages/one/src/a.ts:3: "Gives"',
		'packages/one/src/a.ts:5: "gave"',
		'packages/one/src/a.ts:5: "shall"',
		'packages/one/src/a.ts:5: "is no "',
		'packages/one/src/a.ts:5: "hence"',
		'packages/one/src/a.ts:7: "those who"',
		'packages/one/src/a.ts:12: "is no number"',
		'packages/one/src/a.ts:15: "whoever"',
		'packages/one/src/a.ts:15: "so many"',
	]);
});

language("reads pages without their code, and not the tables that are generated", () => {
	project.write("README.md", [
		"It gives `a.gives()` to [the reader](docs/hence.md).",
		"",
		"```ts",
		"a.gives(); // whoever",
		"```",
		"",
		"| whence | hence |",
	]);
	project.write("docs/concordance.md", ["Hence:", "", "| file | it gives | whoever |"]);
	project.write("packages/one/README.md", ["Those", "who wait."]);
	assert.equal(places(), [
		'README.md:1: "gives"',
		'README.md:7: "whence"',
		'README.md:7: "hence"',
		'docs/concordance.md:1: "Hence"',
		'packages/one/README.md:1: "Those who"',
	]);
});

language("says what to write instead, and fails", () => {
	project.write("examples/a.ts", ["// It waits for ever."]);
	const { status, stderr } = project.run("language");
	assert.equal(
		{ status, stderr },
		{ status: 1, stderr: 'examples/a.ts:1: "for ever": write "forever"\n' },
	);
	project.write("examples/a.ts", ["// It waits forever."]);
	assert.is(project.run("language").status, 0);
});

language.run();

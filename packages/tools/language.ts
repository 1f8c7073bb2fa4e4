// Checks that comments, messages, test names and pages are written in plain current English.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { pages } from "./docs.ts";
import { program, sources } from "./workspace.ts";

/** The one source that has to contain what the others must not. */
const EXAMPLES = "packages/tools/test/language.test.ts";

/** The page whose tables are generated. */
const GENERATED = "docs/concordance.md";

/** What takes the place of a person in a sentence: a thread, a program or a function. */
const SOMEBODY = 'a noun: "sleepers", "watchers", "readers", "writers", "callers"';

/** What to avoid, and what to write instead. A space stands for any white space; case is ignored. */
const PHRASES: readonly (readonly [pattern: RegExp, instead: string])[] = [
	// Current words in a sense that is not current.
	[/\bgives\b(?! up\b)/, '"returns", or what else it does: "passes", "sets", "makes"'],
	[/\bgive\b(?! up\b)/, '"return", or what else it does: "pass", "set", "make"'],
	[/\bgave\b(?! up\b)/, '"returned", or what else it did: "passed", "set", "made"'],
	[/\bgiv(?:en|ing) back\b/, '"returned", "put back", "released"'],
	[/\bhear(?:s|d|ing)?\b/, '"is told", "is notified", "sees"'],
	[/\blet(?:s|ting)? go of\b/, '"releases", "forgets"'],
	[/\bma(?:kes?|de|king) an end of\b/, '"ends"'],
	[/\b(?:is|are|was|were|be) at an end\b/, '"over", "ended"'],
	[/\bcom(?:es?|ing) to nothing\b/, '"fails", "has no effect"'],
	[/\bparts? (?:it|them|one|the \w+) from\b/, '"separates"'],
	[/\bpass(?:es|ed) over\b/, '"ignores", "skips"'],
	[/\bsleeps? on(?= until\b| unless\b| \|)/, '"stays asleep"'],
	[
		/\bso (?:many|much)\b(?!(?: [\w-]+){0,4} (?:that|as)\b)/,
		'the number, "that many" or "longer than"',
	],
	[/\b(?:without|not) a word\b/, '"silently", "without an error"'],
	[/(?<!\b(?:is|are|be|was|were) )\ball the same\b/, '"anyway"'],
	[/\bunless (?:given|said|told|asked)\b/, '"by default"'],
	[/\bin (?:its|their|whose) stead\b/, '"instead", "in its place"'],
	[/\bin vain\b/, '"without effect", "for nothing"'],
	[/\bto and fro\b/, '"back and forth"'],
	[/\bof old\b(?=[.,;:)]| \|)/, '"old"'],
	[/\b(?:its|their) kin\b/, '"and others like it"'],
	[/\b(?:nothing|something|anything) but for\b|\balone but for\b/, '"except for"'],
	[/\b(?:were|had) (?:it|they) (?:not|been)\b/, 'a sentence with "if"'],
	// Sentences that lack a noun.
	[
		/(?<!\bthere )\b(?:is|are|was|were) no (?!longer\b|more than\b|less\b|\w+er than\b)[\w-]*/,
		'"is not a ...", "is not one"',
	],
	[/(?<!\bthere )\b(?:is|are|was|were) none\b/, '"is not one"'],
	[
		/\b(?:to|of|for|by|with|from|at|on|than|under|against|before|after|behind|without|like|as|those|he|all|one|two|is|wakes?|woke|woken|reach(?:es)?|notif(?:y|ies)|serves?|holds? up|lets?|makes?) who\b/,
		SOMEBODY,
	],
	[
		/(?<=(?:^|[.;:"'`(|\0]|\b(?:and|or|that|tells?|then))\s*)who (?:asks?|calls?|closes?|comes?|listens?|joins?|leaves?|looks?|polls?|reads?|sends?|sleeps?|subscribes?|unsubscribes?|waits?|waited|wakes?|watch(?:es|ed)?|writes?)\b/,
		SOMEBODY,
	],
	[/\bwho(?:m|so|mso)?ever\b/, '"the one that", "any ... that"'],
	// Words that are no longer current.
	[/\blikewise\b/, '"too", "so does"'],
	[/\b(?:hence|thus)\b/, '"so", "therefore"'],
	[/\b(?:henceforth|hereafter)\b/, '"from now on"'],
	[/\b(?:hitherto|heretofore)\b/, '"until now"'],
	[/\b(?:whence|thence)\b/, '"from where", "from there"'],
	[/\b(?:whither|thither|hither)\b/, '"where", "there", "here"'],
	[/\b(?:there|here|where)(?:of|in|by|upon|with|unto|from)\b/, "the preposition and a noun"],
	[/\ba?midst\b/, '"middle", "among"'],
	[/\blest\b/, '"so that ... not"'],
	[/\bshall\b/, '"must", "will"'],
	[/\bere\b/, '"before"'],
	[/\btill\b/, '"until"'],
	[/\bupon\b/, '"on"'],
	[/\bwhilst\b/, '"while"'],
	[/\bamongst\b/, '"among"'],
	[/\b(?:albeit|notwithstanding)\b/, '"although"'],
	[/\bforthwith\b/, '"at once"'],
	[/\b(?:anew|afresh)\b/, '"again"'],
	[/\b(?:naught|nought|aught)\b/, '"nothing", "anything"'],
	[/\bfor ever\b/, '"forever"'],
];

const RULES = PHRASES.map(([{ source }, instead]) => ({
	pattern: new RegExp(source.replaceAll(" ", "\\s+"), "gi"),
	instead,
}));

/** Stands for a character that is not prose: no phrase goes on across it. */
const CODE = "\0";

function blank(text: string, by: string = CODE): string {
	return text.replace(/\S/g, by);
}

/** A string, a constant part of a template or a regular expression. */
interface Literal {
	readonly start: number;
	readonly end: number;
	readonly isProse: boolean;
}

/** The literals of a source, in order. */
function literalsOf(text: string): Literal[] {
	const file = ts.createSourceFile("a.ts", text, ts.ScriptTarget.Latest);
	const found: Literal[] = [];
	const visit = (node: ts.Node): void => {
		// What they name is a file.
		if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
		if (
			ts.isLiteralExpression(node) ||
			ts.isTemplateHead(node) ||
			ts.isTemplateMiddleOrTemplateTail(node)
		) {
			const isProse = !ts.isRegularExpressionLiteral(node);
			found.push({ start: node.getStart(file), end: node.end, isProse });
		}
		ts.forEachChild(node, visit);
	};
	visit(file);
	return found;
}

/** Blanks blocks of code, and reads code within a line as a noun. */
function withoutCode(text: string): string {
	return text
		.replace(/^(\W*)```[\s\S]*?```/gm, (block) => blank(block))
		.replace(/`[^`\n]+`|\{@link [^}]*\}/g, (code) => blank(code, "x"));
}

function commentProse(comment: string): string {
	const marks = /^\s*(?:\/\/+|\/\*+|\*\/|\*)|\*\/$/gm;
	return withoutCode(comment.replace(marks, (mark) => blank(mark, " ")));
}

/** The comments and strings of a source, each character in its place, all others blanked. */
export function sourceProse(text: string): string {
	const comments = /(?:\/\/.*\s*)+|\/\*[\s\S]*?\*\/|\S/g;
	let prose = "";
	for (const { start, end, isProse } of [...literalsOf(text), { start: text.length }]) {
		prose += text
			.slice(prose.length, start)
			.replace(comments, (piece) => (piece.length > 1 ? commentProse(piece) : CODE));
		const literal = text.slice(start, end);
		prose += isProse ? literal.replace(/\\[nrt]/g, "  ") : blank(literal);
	}
	return prose;
}

/** The text of a Markdown page, without its code and its addresses. */
export function pageProse(text: string): string {
	return withoutCode(text).replace(/\]\([^)\s]*\)/g, (address) => blank(address));
}

/** What is to be read in a file. */
function prose(path: string, text: string): string {
	if (path.endsWith(".ts")) return sourceProse(text);
	return pageProse(path === GENERATED ? text.replace(/^\|.*/gm, (row) => blank(row)) : text);
}

/** Phrases to avoid in a text, in its order: the line, the phrase, and what to write instead. */
export function phrasesIn(prose: string): [line: number, phrase: string, instead: string][] {
	return RULES.flatMap(({ pattern, instead }) =>
		[...prose.matchAll(pattern)].map(({ 0: phrase, index }) => ({ phrase, index, instead })),
	)
		.sort((a, b) => a.index - b.index)
		.map(({ phrase, index, instead }) => [
			prose.slice(0, index).split("\n").length,
			phrase.replace(/\s+/g, " "),
			instead,
		]);
}

/** The phrases to avoid in all sources and pages of the workspace: a line for each. */
export function* languageProblems(root: string): Generator<string> {
	const files = ["packages", "examples"].flatMap((folder) => sources(root, folder));
	for (const path of [...files, ...pages(root)]) {
		if (path === EXAMPLES) continue;
		const text = readFileSync(join(root, path), "utf8");
		for (const [line, phrase, instead] of phrasesIn(prose(path, text)))
			yield `${path}:${line}: "${phrase}": write ${instead}`;
	}
}

program(import.meta.url, languageProblems);

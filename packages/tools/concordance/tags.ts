// Finds the functions that carry a @kern tag in the sources.
import { readFileSync } from "node:fs";
import { sources } from "../workspace.ts";

/** A function of ours that stands for one of the listing's. */
export interface Tagged {
	/** The listing's name. */
	readonly kern: string;
	/** Our name, a method's with its class: `Klist.notify`. */
	readonly name: string;
	/** The name that coverage knows it by. */
	readonly bare: string;
	/** The source file, from the top of the repository. */
	readonly file: string;
}

const COMMENT = /\/\*\*[\s\S]*?\*\//g;
const KERN = /@kern (\w+)/g;
const DECLARATION = /^\s*(?:export )?(?:override )?(?:get )?(?:function )?(\w+)/;

/** The tagged functions of one source text. */
export function tagsOf(text: string, file: string): Tagged[] {
	return [...text.matchAll(COMMENT)].flatMap((comment) => {
		const tags = [...comment[0].matchAll(KERN)];
		if (tags.length === 0) return [];
		const after = text.slice((comment.index ?? 0) + comment[0].length);
		const bare = DECLARATION.exec(after)?.[1];
		if (bare === undefined) throw new Error(`${file}: @kern ${tags[0]?.[1]} stands before nothing`);
		const indented = /^\s*\n\t/.test(after);
		const scope = indented ? scopeBefore(text.slice(0, comment.index)) : undefined;
		const name = scope === undefined ? bare : `${scope}.${bare}`;
		return tags.map((tag) => ({ kern: tag[1] as string, name, bare, file }));
	});
}

/** The class that encloses the end of a text. */
function scopeBefore(text: string): string | undefined {
	return [...text.matchAll(/^(?:export )?(?:abstract )?class (\w+)/gm)].at(-1)?.[1];
}

/** The tagged functions of the packages that port the listing. */
export function findTags(): Tagged[] {
	return ["packages/kqueue/src", "packages/kqpoll/src"]
		.flatMap((folder) => sources(".", folder))
		.flatMap((file) => tagsOf(readFileSync(file, "utf8"), file));
}

// The page that follows things through the engine: each function that it names is in its file.
import { existsSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";

const PAGE = "docs/reading-the-engine.md";
const ROW = /^\| `(\w+)` \| ([\w./-]+\.ts) \|/;

/** Whether a source defines a function or a method of a name. */
function defines(source: string, name: string): boolean {
	const definition = new RegExp(
		`^(export )?(async )?function\\*? ${name}\\b|^\t((private|protected|override|readonly|get) )*${name}(<[^>]*>)?( = )?\\(`,
		"m",
	);
	return definition.test(source);
}

test("each function of the ways through the engine is in the file beside it", () => {
	const rows = readFileSync(PAGE, "utf8")
		.split("\n")
		.flatMap((line) => {
			const [, name, file] = ROW.exec(line) ?? [];
			return name === undefined || file === undefined ? [] : [{ name, file }];
		});
	assert.ok(rows.length > 60, `${rows.length} rows`);
	const missing = rows.filter(({ name, file }) => {
		const [folder, ...rest] = file.split("/");
		const path = `packages/${folder}/src/${rest.join("/")}`;
		return !existsSync(path) || !defines(readFileSync(path, "utf8"), name);
	});
	assert.equal(missing, []);
});

test("a function that is not there is found to be missing", () => {
	assert.is(defines("export function wakeup(a: number): void {", "wake"), false);
	assert.is(defines("\t\twake(thread);", "wake"), false);
	assert.is(defines("export function wake(thread: Thread): void {", "wake"), true);
	assert.is(defines("\tprivate readonly drain = (): void => {", "drain"), true);
	assert.is(defines("\toverride step(woken: number): number {", "step"), true);
});

test.run();

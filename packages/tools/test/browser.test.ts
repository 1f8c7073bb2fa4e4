// What the step "browser" does without a browser: its pages, its server and its arguments.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { assertEqual, run } from "../browser/pages/tests.ts";
import { allPages } from "../browser/pages.ts";
import { serve } from "../browser/server.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

test("the pages are those of the folder and the programs of the documentation for browsers", () => {
	const pages = allPages(ROOT);
	const observable = pages.find(({ name }) => name === "observable");
	assert.equal(observable, {
		name: "observable",
		file: "packages/tools/browser/pages/observable.page.ts",
		output: null,
	});
	const recipe = pages.find(({ name }) => name.startsWith("docs-recipes-rxjs.md-"));
	assert.match(recipe?.output ?? "", /^requests: 40\n/);
	for (const { file } of pages) assert.ok(existsSync(`${ROOT}${file}`), file);
});

test("the server has an empty page, modules by their names, and nothing else", async () => {
	const server = await serve(new Map([["a.js", new TextEncoder().encode("export {};")]]));
	const get = async (path: string) => {
		const response = await fetch(`${server.url}${path}`);
		const { status, headers } = response;
		return [status, headers.get("cross-origin-embedder-policy"), await response.text()];
	};
	const [page, module, other] = await Promise.all(["", "a.js", "../package.json"].map(get));
	server.close();
	assert.equal(page, [200, "require-corp", "<!doctype html><title>kqpoll</title>"]);
	assert.equal(module, [200, "require-corp", "export {};"]);
	assert.equal(other, [404, "require-corp", ""]);
});

test("a page's tests run one after the other, also after one that fails", async () => {
	const order: string[] = [];
	const results = await run({
		async a() {
			await null;
			order.push("a");
			assertEqual([1, { b: 2 }], [1, { b: 2 }]);
		},
		b: () => assertEqual(1, 2),
		c: () => void order.push("c"),
	});
	assert.equal(
		results.map(({ name, error }) => [name, error?.split("\n")[0] ?? null]),
		[
			["a", null],
			["b", "Error: it is 1, not 2"],
			["c", null],
		],
	);
	assert.equal(order, ["a", "c"]);
});

test("a pattern that matches no page is refused before anything is installed", async () => {
	const args = ["--import", "tsx", "packages/tools/browser.ts", "--match", "no such page"];
	const [status, message] = await new Promise<[unknown, string]>((resolve) => {
		execFile(process.execPath, args, { cwd: ROOT }, (error, _, stderr) =>
			resolve([error?.code, stderr]),
		);
	});
	assert.is(status, 2);
	assert.match(message, /^browser: no page matches no such page\nusage: /);
});

test.run();

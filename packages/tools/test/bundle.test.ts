// The published modules: their bodies are in functions, which makes no difference to importers.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inFunction } from "../bundle.ts";

const MODULE = `// src/a.ts
import {
  join,
  sep as separator
} from "node:path";
var FIRST = 1;

// src/b.ts
import { basename } from "node:path";
function inner(...parts) {
  return join(...parts) + separator + basename("/x/last");
}
var Shape = class {
};
export {
  Shape,
  inner as outer,
  join
};
//# sourceMappingURL=chunk.js.map
`;

test("a module in a function exports the same values under the same names", async () => {
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-bundle-"));
	try {
		for (const [name, code] of [
			["before.mjs", MODULE],
			["after.mjs", inFunction(MODULE)],
		] as const)
			writeFileSync(join(folder, name), code);
		const load = (name: string): Promise<Record<string, unknown>> =>
			import(pathToFileURL(join(folder, name)).href);
		const [before, after] = [await load("before.mjs"), await load("after.mjs")];
		assert.equal(Object.keys(after), Object.keys(before));
		assert.is(after["join"], before["join"]);
		const { outer } = after as { outer: (...parts: string[]) => string };
		assert.is(outer("a", "b"), "a/b/last");
	} finally {
		rmSync(folder, { recursive: true });
	}
});

test("every line of a body stays where it was, for the source map", () => {
	const lines = inFunction(MODULE).split("\n");
	for (const [i, line] of MODULE.split("\n").slice(0, 14).entries()) {
		const imports = i > 0 && (i < 5 || i === 8);
		assert.ok(imports ? lines[i] === "" : lines[i]?.endsWith(line), `line ${i + 1}: ${lines[i]}`);
	}
	assert.is(lines.at(-2), "//# sourceMappingURL=chunk.js.map");
});

test("a module without declarations stays as it is", () => {
	const module = 'import {\n  a\n} from "./b.js";\nexport {\n  a\n};\n';
	assert.is(inFunction(module), module);
});

test("a module of another form is refused", () => {
	for (const module of ['import a from "b";\nexport {\n  a\n};\n', "export default 1;\n"])
		assert.throws(() => inFunction(module), /form/);
});

test.run();

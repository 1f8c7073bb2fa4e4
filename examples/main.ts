// npm start: runs an example by name, hello unless one is given.
import { parseArgs } from "node:util";

const EXAMPLES: Readonly<Record<string, () => Promise<unknown>>> = {
	hello: () => import("./hello.ts"),
};
const USAGE = "usage: npm start -- [--list | NAME]";

function fail(message: string): never {
	console.error(`start: ${message}\n${USAGE}`);
	process.exit(2);
}

function parse() {
	try {
		return parseArgs({ allowPositionals: true, options: { list: { type: "boolean" } } });
	} catch (error) {
		return fail((error as Error).message);
	}
}

const { values, positionals } = parse();
const [name = "hello", ...more] = positionals;
const example = EXAMPLES[name];
if (example === undefined) fail(`no example ${name}`);
if (more.length > 0) fail("one example at a time");
if (values.list === true) console.log(Object.keys(EXAMPLES).join("\n"));
else await example();

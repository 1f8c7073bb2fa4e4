// The command line.
import * as assert from "node:assert/strict";
import { test } from "uvu";
import { parse } from "../src/options.ts";
import { Refusal } from "../src/refusal.ts";

const NOTHING = {
	program: "p.wasm",
	args: [],
	env: {},
	directories: [],
	ports: [],
	mode: undefined,
	virtual: false,
	trace: undefined,
};

function refused(...args: string[]): string {
	try {
		parse(args);
	} catch (error) {
		if (error instanceof Refusal) {
			assert.equal(error.status, 2);
			return error.message;
		}
		throw error;
	}
	return "nothing";
}

test("options end at the program, and all that follows is the program's", () => {
	assert.deepEqual(parse(["run", "p.wasm"]), NOTHING);
	const own = ["--env", "a", "-x", "--", "--help", "--virtual"];
	assert.deepEqual(parse(["run", "p.wasm", ...own]), { ...NOTHING, args: own });
	assert.deepEqual(parse(["run", "--", "p.wasm", "-v"]), { ...NOTHING, args: ["-v"] });
	assert.deepEqual(parse(["run", "--virtual", "--", "--p.wasm"]), {
		...NOTHING,
		program: "--p.wasm",
		virtual: true,
	});
});

test("all options are known", () => {
	const line = "run --dir a --ro b::/b --tmp /tmp --env A=1 --env=B=x=y --listen 0 --listen 80";
	assert.deepEqual(parse([...line.split(" "), "--mode", "sync", "--trace", "t", "p.wasm"]), {
		...NOTHING,
		env: { A: "1", B: "x=y" },
		directories: [
			{ guest: "a", host: "a", readOnly: false },
			{ guest: "/b", host: "b", readOnly: true },
			{ guest: "/tmp", host: null, readOnly: false },
		],
		ports: [0, 80],
		mode: "sync",
		trace: "t",
	});
});

test("of two directories with one name, and of two variables, the last is taken", () => {
	const line = "run --dir a::/x --tmp /y --tmp /x --ro c::/y --env A=1 --env A=2 p.wasm";
	const options = parse(line.split(" "));
	assert.deepEqual(options?.directories, [
		{ guest: "/x", host: null, readOnly: false },
		{ guest: "/y", host: "c", readOnly: true },
	]);
	assert.deepEqual(options?.env, { A: "2" });
});

test("help is asked for before the program only", () => {
	for (const line of ["--help", "-h", "run --help", "run --dir a -h p.wasm"])
		assert.equal(parse(line.split(" ")), null);
	assert.deepEqual(parse(["run", "p.wasm", "--help"])?.args, ["--help"]);
});

test("a command line that is wrong is refused in one line, which says what is wrong", () => {
	assert.match(refused(), /no command/);
	assert.match(refused("walk"), /unknown command 'walk'/);
	assert.match(refused("run"), /no program/);
	assert.match(refused("run", "--bogus", "p.wasm"), /'--bogus'/);
	assert.match(refused("run", "-x", "p.wasm"), /'-x'/);
	assert.match(refused("run", "--env"), /--env/);
	assert.match(refused("run", "--env", "--tmp", "x", "p.wasm"), /--env/);
	assert.match(refused("run", "--virtual=1", "p.wasm"), /--virtual/);
	assert.match(refused("run", "--env", "NAME", "p.wasm"), /NAME=VALUE/);
	assert.match(refused("run", "--env", "=x", "p.wasm"), /NAME=VALUE/);
	for (const port of ["65536", "-1", "http", "", "1.5", "0x10", "99999999999"])
		assert.match(refused("run", `--listen=${port}`, "p.wasm"), /from 0 to 65535/);
	assert.match(refused("run", "--mode", "worker", "p.wasm"), /sync and jspi/);
	assert.match(refused("run", "--dir", "::/x", "p.wasm"), /empty/);
	assert.match(refused("run", "--dir", "x::", "p.wasm"), /empty/);
	assert.match(refused("run", "--tmp", "", "p.wasm"), /empty/);
	assert.match(refused("run", "--virtual", "--listen", "0", "p.wasm"), /excludes --listen/);
	assert.match(refused("run", "--virtual", "--mode", "jspi", "p.wasm"), /excludes --mode jspi/);
	for (const bad of [["--env"], ["--env", "--tmp", "x"], ["--bogus"]])
		assert.ok(!refused("run", ...bad, "p.wasm").includes("\n"));
});

test.run();

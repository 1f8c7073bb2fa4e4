// Programs that the command runs: what they see, and what becomes of their ends.
import * as assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as after } from "node:timers/promises";
import { test } from "uvu";
import { programs } from "./programs.ts";
import { type Outcome, run, start } from "./world.ts";

const { folder, remove } = programs();
test.after(remove);

/** What a refusal looks like. */
function refusal(status: number, line: string): Outcome {
	return { status, output: "", errors: `kqpoll: ${line}\n` };
}

test("a program reads standard input to its end and writes to standard output", async () => {
	const lines = "a line\n".repeat(50_000);
	const expected = { status: 0, output: lines, errors: "" };
	assert.deepEqual(await run(folder, lines, "run", "cat.wasm"), expected);
	assert.deepEqual(await run(folder, lines, "run", "--mode", "sync", "cat.wasm"), expected);
	assert.deepEqual(await run(folder, lines, "run", "--virtual", "cat.wasm"), expected);
});

test("the program gets its name, its arguments, and the variables of the command line", async () => {
	const args = ["--env", "A=1", "--env", "B=", "show.wasm", "-x", "--env", "C=3", "", "ü"];
	const output = "show.wasm\0-x\0--env\0C=3\0\0ü\0A=1\0B=\0";
	assert.deepEqual(await run(folder, "", "run", ...args), { status: 0, output, errors: "" });
});

test("a program that sleeps is woken by input that comes later", async () => {
	const { stdin, outcome } = start(folder, "run", "poll.wasm");
	await after(50);
	stdin.write("hello");
	assert.equal((await outcome).status, 5);
});

test("a trap is status 134, with its message", async () => {
	const expected = { status: 134, output: "", errors: "wasi: RuntimeError: unreachable\n" };
	assert.deepEqual(await run(folder, "", "run", "trap.wasm"), expected);
	assert.deepEqual(await run(folder, "", "run", "--virtual", "trap.wasm"), expected);
});

test("a signal to the command ends the program, asleep or not, with 128 and its number", async () => {
	for (const [signal, program, status] of [
		["SIGINT", "poll.wasm", 130],
		["SIGTERM", "spin.wasm", 143],
	] as const) {
		const before = process.listenerCount(signal);
		const { outcome } = start(folder, "run", "--mode", "sync", program);
		await after(150);
		process.kill(process.pid, signal);
		assert.equal((await outcome).status, status);
		assert.equal(process.listenerCount(signal), before);
	}
});

test("in virtual time an hour takes no time", async () => {
	assert.equal((await run(folder, "", "run", "--virtual", "hour.wasm")).status, 1);
});

test("what cannot run is status 126 and a line, what is not there 127", async () => {
	writeFileSync(join(folder, "text.wasm"), "#!/bin/sh\n");
	writeFileSync(join(folder, "component.wasm"), Buffer.from("0061736d0d000100", "hex"));
	const names = ["text.wasm", "component.wasm", "absent.wasm", "library.wasm", ".", "none.wasm"];
	const outcomes = await Promise.all(names.map((name) => run(folder, "", "run", name)));
	const [text, component, absent, library, directory, missing] = outcomes as [
		Outcome,
		Outcome,
		Outcome,
		Outcome,
		Outcome,
		Outcome,
	];
	assert.equal(text.status, 126);
	assert.match(text.errors, /^kqpoll: text\.wasm is not a WebAssembly module: .*\n$/);
	const other = "component.wasm is a component: only modules for WASI preview1 can run";
	assert.deepEqual(component, refusal(126, other));
	const imports = "env.one, wasi_snapshot_preview1.fd_fly";
	const lacking = `absent.wasm needs imports that are not there: ${imports}`;
	assert.deepEqual(absent, refusal(126, lacking));
	const entry = "library.wasm is not a program: it does not export _start";
	assert.deepEqual(library, refusal(126, entry));
	assert.equal(directory.status, 126);
	assert.match(directory.errors, /^kqpoll: \. cannot be read: .*\n$/);
	assert.equal(missing.status, 127);
	assert.match(missing.errors, /^kqpoll: none\.wasm cannot be read: .*\n$/);
});

test("directories, ports and traces that cannot be had are status 2 and a line, before the start", async () => {
	writeFileSync(join(folder, "file"), "");
	assert.deepEqual(
		await run(folder, "", "run", "--dir", "none::/x", "cat.wasm"),
		refusal(2, "--dir none: there is no such directory"),
	);
	const long = await run(folder, "", "run", "--dir", "x".repeat(300), "cat.wasm");
	assert.equal(long.status, 2);
	assert.match(long.errors, /^kqpoll: --dir x+: ENAMETOOLONG: .*\n$/);
	assert.deepEqual(
		await run(folder, "", "run", "--ro", "file", "cat.wasm"),
		refusal(2, "--ro file: it is not a directory"),
	);
	const trace = await run(folder, "", "run", "--trace", "none/file", "cat.wasm");
	assert.equal(trace.status, 2);
	assert.match(trace.errors, /^kqpoll: --trace none\/file: .*\n$/);
	const taken = createServer();
	await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
	const { port } = taken.address() as { port: number };
	assert.deepEqual(
		await run(folder, "", "run", "--listen", `${port}`, "cat.wasm"),
		refusal(2, `--listen ${port}: the port is taken`),
	);
	taken.close();
});

test("a mode that the platform does not have is status 2 and a line", async () => {
	const { WebAssembly } = globalThis as unknown as { WebAssembly: object };
	const { status, errors } = await run(folder, "", "run", "--mode", "jspi", "cat.wasm");
	if ("Suspending" in WebAssembly) {
		assert.equal(status, 0);
	} else {
		assert.equal(status, 2);
		assert.match(errors, /^kqpoll: --mode jspi: .*\n$/);
	}
});

test("a trace has one object a line", async () => {
	await run(folder, "x", "run", "--trace", "trace.json", "cat.wasm");
	const lines = readFileSync(join(folder, "trace.json"), "utf8").trimEnd().split("\n");
	const events = lines.map((line) => JSON.parse(line) as { event: string; time: number });
	assert.equal(events[0]?.event, "fork");
	assert.ok(events.some(({ event }) => event === "exit"));
	assert.ok(events.every(({ time }) => typeof time === "number"));
});

test("a trace that cannot be written any more is told once, and the program runs on", async () => {
	if (!existsSync("/dev/full")) return;
	const { status, output, errors } = await run(
		folder,
		"x",
		"run",
		"--trace",
		"/dev/full",
		"cat.wasm",
	);
	assert.deepEqual([status, output], [0, "x"]);
	assert.match(errors, /^kqpoll: --trace \/dev\/full: .*\n$/);
});

test("a terminal is a terminal for the program, in virtual time too", async () => {
	for (const options of [["--virtual"], []]) {
		const { stdin, stdout, outcome } = start(folder, "run", ...options, "kinds.wasm");
		for (const stream of [stdin, stdout]) Object.assign(stream, { isTTY: true });
		stdin.end();
		const CHARACTER_DEVICE = 2;
		assert.equal((await outcome).status, CHARACTER_DEVICE | (CHARACTER_DEVICE << 4));
	}
	const UNKNOWN = 0;
	assert.equal((await run(folder, "", "run", "kinds.wasm")).status, UNKNOWN);
	assert.equal((await run(folder, "", "run", "--virtual", "kinds.wasm")).status, UNKNOWN);
});

test("in virtual time too, a program whose output is closed gets EPIPE", async () => {
	const { stdin, stdout, outcome } = start(folder, "run", "--virtual", "cat.wasm");
	stdout.end();
	stdin.end("x");
	assert.equal((await outcome).status, 64);
});

test("the same virtual run has the same trace", async () => {
	mkdirSync(join(folder, "d"));
	const args = ["--virtual", "--dir", "d", "hour.wasm"];
	await run(folder, "x", "run", "--trace", "one", ...args);
	await run(folder, "x", "run", "--trace", "other", ...args);
	const text = readFileSync(join(folder, "one"), "utf8");
	assert.equal(readFileSync(join(folder, "other"), "utf8"), text);
	assert.match(text, /"time":3600000000000/);
});

test("a program finds its directories by their names, behind its listeners", async () => {
	mkdirSync(join(folder, "x"));
	const args = ["--dir", "x", "--dir", ".::/host", "--tmp", "/tmp", "--ro", "x::/host"];
	const { output } = await run(folder, "", "run", ...args, "names.wasm");
	assert.equal(output, "x\n/host\n/tmp\n");
});

test("a directory of the host is changed for real, one that is read-only and one in memory are not", async () => {
	mkdirSync(join(folder, "home"));
	const made = join(folder, "home", "made");
	const EROFS = 69;
	assert.equal((await run(folder, "", "run", "--ro", "home", "make.wasm")).status, EROFS);
	assert.equal((await run(folder, "", "run", "--tmp", "home", "make.wasm")).status, 0);
	assert.equal(existsSync(made), false);
	assert.equal((await run(folder, "", "run", "--dir", "home", "make.wasm")).status, 0);
	assert.equal(existsSync(made), true);
	const again = await run(folder, "", "run", "--virtual", "--dir", "home::/", "make.wasm");
	const EEXIST = 20;
	assert.equal(again.status, EEXIST);
});

test("no real descriptor stays open behind a program", async () => {
	if (!existsSync("/proc/self/fd")) return;
	await run(folder, "", "run", "--dir", ".", "names.wasm");
	const before = readdirSync("/proc/self/fd").length;
	for (let i = 0; i < 3; i++)
		await run(folder, "", "run", "--dir", ".", "--tmp", "t", "names.wasm");
	// A worker that was ended closes what is its own a little later.
	const left = () => readdirSync("/proc/self/fd").length - before;
	for (let i = 0; left() > 0 && i < 100; i++) await after(20);
	assert.equal(Math.max(0, left()), 0);
});

test("a program that would have too many descriptors is not started", async () => {
	const args = Array.from({ length: 1100 }, (_, i) => ["--tmp", `t${i}`]).flat();
	const { status, errors } = await run(folder, "", "run", ...args, "names.wasm");
	assert.equal(status, 126);
	assert.match(errors, /^kqpoll: names\.wasm cannot be started: EMFILE: .*\n$/);
});

test("a program asleep in poll_oneoff gets the connections to its port", async () => {
	const { stderr, outcome } = start(folder, "run", "--listen", "0", "serve.wasm");
	const [line] = (await once(stderr, "data")) as [Buffer];
	// The program has not begun yet.
	const client = connect(Number(/:([0-9]+)/.exec(`${line}`)?.[1]), "127.0.0.1");
	client.end("hello");
	assert.equal(await text(client), "hello");
	assert.equal((await outcome).status, 0);
});

test("a port that the system chooses is printed", async () => {
	const { errors } = await run(folder, "", "run", "--listen", "0", "cat.wasm");
	assert.match(errors, /^kqpoll: listening on 127\.0\.0\.1:[0-9]+\n$/);
});

test("help is printed on standard output", async () => {
	const { status, output, errors } = await run(folder, "", "--help");
	assert.deepEqual([status, errors], [0, ""]);
	assert.match(output, /^usage: kqpoll run /);
});

test.run();

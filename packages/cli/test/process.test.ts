// The command as a process of its own, with real descriptors.
import * as assert from "node:assert/strict";
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import { programs } from "./programs.ts";

const { folder, remove } = programs();
test.after(remove);

const TEXT = "twelve bytes and more";
const BIN = fileURLToPath(new URL("../src/bin.ts", import.meta.url));

function start(stdio: StdioOptions, ...args: string[]): ChildProcess {
	return spawn(process.execPath, ["--import", "tsx", BIN, "run", ...args], { stdio });
}

function program(name: string): string {
	return join(folder, `${name}.wasm`);
}

/** How it ended, and what it wrote to its standard error. */
async function endOf(child: ChildProcess): Promise<[code: number | null, errors: string]> {
	const errors = child.stderr === null ? Promise.resolve("") : text(child.stderr);
	const [code] = (await once(child, "close")) as [number | null];
	return [code, await errors];
}

/** What all tests need takes longer to start than to run: so it runs at the same time. */
const all = {
	cat: copied(),
	broken: [[], ["--virtual"]].map(brokenOff),
	closed: endOf(
		spawn(
			"sh",
			["-c", `exec "$0" --import tsx "$1" run "$2" <&-`, process.execPath, BIN, program("cat")],
			{ stdio: ["ignore", "pipe", "pipe"] },
		),
	),
	chat: chatted(),
	script: byScript(),
};

/** Copies a file from its middle on; also returns what came out, and how much is left to read. */
async function copied(): Promise<[...end: [number | null, string], output: string, left: number]> {
	const [from, to] = [join(folder, "from"), join(folder, "to")];
	writeFileSync(from, TEXT);
	const [input, output] = [openSync(from, "r"), openSync(to, "w")];
	readSync(input, Buffer.alloc(7));
	const end = await endOf(start([input, output, "pipe"], program("cat")));
	const left = readSync(input, Buffer.alloc(1));
	for (const fd of [input, output]) closeSync(fd);
	return [...end, readFileSync(to, "utf8"), left];
}

/** A program asleep in poll_oneoff gets a connection, then ^C. Returns what the client read. */
async function chatted(): Promise<[code: number | null, greeting: string]> {
	const chat = fileURLToPath(new URL("../../wasi/test/guests/chat.wasm", import.meta.url));
	const child = start(["pipe", "ignore", "pipe"], "--listen", "0", chat);
	const [line] = (await once(child.stderr as Readable, "data")) as [Buffer];
	const client = connect(Number(/:([0-9]+)/.exec(`${line}`)?.[1]), "127.0.0.1");
	const [greeting] = (await once(client, "data")) as [Buffer];
	child.kill("SIGINT");
	const [code] = await endOf(child);
	client.destroy();
	return [code, `${greeting}`];
}

/** Runs the script of the repository from another folder. */
async function byScript(): Promise<[code: number | null, errors: string, output: string]> {
	const root = fileURLToPath(new URL("../../..", import.meta.url));
	const { INIT_CWD: _, ...env } = process.env;
	const line = ["--prefix", root, "run", "--silent", "kqpoll", "--", "run", "show.wasm", "--env"];
	// Standard input stays open, and nobody reads it.
	const stdio: StdioOptions = ["pipe", "pipe", "pipe"];
	const child = spawn("npm", line, { cwd: folder, env, stdio });
	const output = text(child.stdout as Readable);
	return [...(await endOf(child)), await output];
}

function brokenOff(options: string[]): Promise<[code: number | null, errors: string]> {
	const child = start(["pipe", "pipe", "pipe"], ...options, program("cat"));
	child.stdin?.on("error", () => {}).end(Buffer.alloc(4_000_000));
	child.stdout?.once("data", () => child.stdout?.destroy());
	return endOf(child);
}

test("regular files are standard input and output, and their offsets are shared", async () => {
	assert.deepEqual(await all.cat, [0, "", "bytes and more", 0]);
});

test("a program whose reader goes away gets EPIPE, in virtual time too", async () => {
	assert.deepEqual(await Promise.all(all.broken), [
		[64, ""],
		[64, ""],
	]);
});

test("a program asleep in poll_oneoff gets a connection, and is ended by ^C", async () => {
	assert.deepEqual(await all.chat, [130, "* your name?\n"]);
});

test("the script of the repository prints nothing itself, paths begin where npm was called, and input that nobody reads does not keep it alive", async () => {
	assert.deepEqual(await all.script, [0, "", "show.wasm\0--env\0"]);
});

test("standard input that is closed is at its end", async () => {
	assert.deepEqual(await all.closed, [0, ""]);
});

test.run();

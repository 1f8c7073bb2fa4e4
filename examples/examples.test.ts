// The examples, run by themselves and as npm start runs them.
import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { connect as connectTo, listen, recv, send, shutdown, socket } from "@kqpoll/files";
import { SHUT_RDWR, SOCK_NONBLOCK } from "@kqpoll/files/socket";
import { close, dup, Kernel, type Thread } from "@kqpoll/kqueue";
import { kqueueDoCheck } from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { run as runChat, SERVERS } from "./chat.ts";
import { rehearse } from "./chat-emulated.ts";
import type { Serve } from "./chat-protocol.ts";
import { play } from "./chat-script.ts";
import { serveTcp } from "./chat-tcp.ts";
import { EXAMPLES, parseRequest } from "./command-line.ts";
import { LineReader } from "./lines.ts";
import { TimerWheel } from "./timer-wheel.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAIN = ["--import", "tsx", "examples/main.ts"];

type Result = [status: number, stdout: string, stderr: string];

/** Runs what npm start runs. */
function start(...args: string[]): Promise<Result> {
	return new Promise((resolve) => {
		execFile(process.execPath, [...MAIN, ...args], { cwd: ROOT }, (error, stdout, stderr) =>
			resolve([error === null ? 0 : Number(error.code), stdout, stderr]),
		);
	});
}

function expected(name: string): string {
	return readFileSync(new URL(`expected/${name}.txt`, import.meta.url), "utf8");
}

/** What an example prints. */
async function output(run: (print: (line: string) => void) => Promise<void>): Promise<string> {
	let printed = "";
	await run((line) => {
		printed += `${line}\n`;
	});
	return printed;
}

/** What a thread's process has, and the sleepers of its machine. */
function holdings({ process, kernel }: Thread): Record<string, unknown> {
	let knotes = 0;
	let kqueues = 0;
	for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) {
		kqueueDoCheck(kq);
		if (kq !== process.main.kq) kqueues++;
		for (let kn of [...kq.knlist.flat(), ...kq.knhash]) for (; kn !== null; kn = kn.link) knotes++;
	}
	const descriptors = [...process.fdp.open()];
	return { descriptors, knotes, kqueues, sleepers: kernel.sleepers, timers: kernel.ntimers };
}

/** What a server must leave that got a copy of descriptor 0. */
const NOTHING = { descriptors: [0], knotes: 0, kqueues: 0, sleepers: 0, timers: 0 };

/** A server with a listener of its own, and what it has left when it has ended. */
function watched(serve: Serve): { serve: Serve; left: () => unknown } {
	let left: unknown = "it has not ended";
	return {
		async serve(thread, listener, options) {
			const own = dup(thread, listener);
			try {
				await serve(thread, own, options);
			} finally {
				close(thread, own);
				left = holdings(thread);
			}
		},
		left: () => left,
	};
}

/**
 * Runs a program on a machine in virtual time, with a listener at descriptor 0 of its first
 * process.
 */
function onMachine<T>(program: (server: Thread, client: Thread) => Promise<T>): Promise<T> {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, diagnostics: true });
	const { main } = kernel.spawn();
	listen(main, socket(main, "inet", "stream", SOCK_NONBLOCK), 8);
	return host.run(() => program(main, kernel.spawn().main));
}

/** The port of the first listener of a machine. */
const PORT = 49152;

/** A connection to that, and what comes out of it. */
async function dial(thread: Thread): Promise<[fd: number, lines: LineReader]> {
	const fd = socket(thread, "inet", "stream");
	await connectTo(thread, fd, PORT);
	const buffer = new Uint8Array(4096);
	const lines = new LineReader(async () => {
		const n = await recv(thread, fd, buffer);
		return n === 0 ? null : buffer.subarray(0, n);
	});
	return [fd, lines];
}

let chat: Promise<Result>;

test.before(() => {
	// It is idle most of the time, so others may run meanwhile.
	chat = start();
});

test("every example prints the recorded output", async () => {
	const { chat: _, ...examples } = EXAMPLES;
	for (const [name, load] of Object.entries(examples)) {
		const { run } = await load();
		const recording = name.startsWith("chat-") ? "chat" : name;
		assert.is(await output(run), expected(recording), name);
	}
});

for (const [name, server] of Object.entries(SERVERS)) {
	test(`${name}: the scene is the same on emulated sockets and on TCP, and nothing is left`, async () => {
		const emulated = watched(server);
		assert.is(await output((print) => rehearse(emulated.serve, print)), expected("chat"));
		assert.equal(emulated.left(), NOTHING);

		const real = watched(server);
		const serving = await serveTcp(real.serve, 0);
		const heard = await play(serving.dial);
		await serving.stop();
		assert.is(`${heard.join("\n")}\n`, expected("chat"));
		assert.equal(real.left(), NOTHING);
	});

	test(`${name}: when aborted it closes connections in the middle of everything`, async () => {
		const { serve, left } = watched(server);
		const stop = new AbortController();
		await onMachine(async (thread, client) => {
			const served = serve(thread, 0, { signal: stop.signal });
			const [ann, annReads] = await dial(client);
			await send(client, ann, new TextEncoder().encode("ann\n"));
			const [, bobReads] = await dial(client);
			assert.is(await annReads.next(), "* your name?");
			assert.is(await annReads.next(), "* hello ann; here: nobody else");
			stop.abort();
			await served;
			assert.equal([await annReads.next(), await bobReads.next()], [null, "* your name?"]);
			assert.is(await bobReads.next(), null);
		});
		assert.equal(left(), NOTHING);
	});

	test(`${name}: when aborted it does not wait for a client that does not read`, async () => {
		const { serve, left } = watched(server);
		const stop = new AbortController();
		await onMachine(async (thread, client) => {
			const served = serve(thread, 0, { signal: stop.signal });
			const [ann, annReads] = await dial(client);
			const [bob, bobReads] = await dial(client);
			await send(client, bob, new TextEncoder().encode("bob\n"));
			assert.is(await bobReads.next(), "* your name?");
			assert.is(await bobReads.next(), "* hello bob; here: nobody else");
			await send(client, ann, new TextEncoder().encode("ann\n"));
			// More than the buffers of the connection hold, and less than the server keeps.
			const line = `${"x".repeat(7999)}\n`;
			for (let i = 0; i < 15; i++) await send(client, ann, new TextEncoder().encode(line));
			assert.is(await annReads.next(), "* your name?");
			assert.is(await annReads.next(), "* hello ann; here: bob");
			stop.abort();
			await served;
			assert.is(await annReads.next(), null);
		});
		assert.equal(left(), NOTHING);
	});

	test(`${name}: when aborted before it begins it ends`, async () => {
		const { serve, left } = watched(server);
		await onMachine((thread) => serve(thread, 0, { signal: AbortSignal.abort() }));
		assert.equal(left(), NOTHING);
	});

	// EVFILT_READ of a listener reports only connections.
	if (name !== "select" && name !== "poll") continue;
	test(`${name}: a listener that is shut down is an error, and ends it`, async () => {
		const { serve, left } = watched(server);
		const code = await onMachine(async (thread, client) => {
			const served = serve(thread, 0, { signal: new AbortController().signal });
			const [, lines] = await dial(client);
			await lines.next();
			shutdown(thread, 0, SHUT_RDWR);
			return served.catch((error) => error.code);
		});
		assert.equal([code, left()], ["ECONNABORTED", NOTHING]);
	});
}

test("a timer wheel calls back in time, never early, also after more than one turn", () => {
	let now = 5;
	const wheel = new TimerWheel(() => now);
	const calls: string[] = [];
	const set = (ms: number): (() => void) => wheel.add(ms, () => calls.push(`${ms} at ${now}`));
	set(1500);
	set(20);
	set(25);
	const takeBack = set(100);
	set(100);
	takeBack();
	const waits: (number | null)[] = [];
	for (let ms = wheel.timeout(); ms !== null; ms = wheel.timeout()) {
		waits.push(ms);
		now += ms;
		wheel.turn();
	}
	assert.equal(calls, ["20 at 30", "25 at 30", "100 at 110", "1500 at 1510"]);
	assert.equal(waits, [25, 80, 640, 640, 120]);
});

test("a version with another transcript than the recorded one is named", async () => {
	const recorded = expected("chat").trimEnd().replace("* dot left", "* dot stayed");
	const servers = { select: SERVERS["select"] as Serve };
	const failure = await runChat(() => {}, servers, recorded).catch((error) => error.message);
	assert.is(failure, "select differs in line 12:     * dot left instead of     * dot stayed");
});

test("npm start runs the chat servers, and prints their results", async () => {
	const [status, stdout, stderr] = await chat;
	assert.equal([status, stderr], [0, ""]);
	assert.equal(stdout.replace(/ *\d+(\.\d)?/g, " N").split("\n"), [
		"One chat server, four ways to wait. Each serves the same scene to six clients on TCP:",
		"they talk, stall, reset, half-close and leave; then two are connected and idle for a second.",
		"",
		"         transcript   sleeps  changes   events   the scene   idle processor time",
		"select   as recorded N N N N ms N ms",
		"poll     as recorded N N N N ms N ms",
		"kevent   as recorded N N N N ms N ms",
		"rxjs     as recorded N N N N ms N ms",
		"",
		"sleeps: how often it waited; changes: what it asked the engine to watch; events: what was reported.",
		"The transcripts are equal to each other and to the recorded one of N lines.",
		"",
	]);
});

test("npm start runs an example by name, and lists their names", async () => {
	const names = `${Object.keys(EXAMPLES).join("\n")}\n`;
	const both = Promise.all([start("pipeline"), start("--list")]);
	assert.equal(await both, [
		[0, expected("pipeline"), ""],
		[0, names, ""],
	]);
});

test("a wrong command line prints the usage and ends with status 2", async () => {
	const usage = [
		"usage: npm start -- [NAME]",
		"       npm start -- --list",
		"       npm start -- --serve PORT [--with select|poll|kevent|rxjs]",
		"",
	].join("\n");
	const both = Promise.all([start("nope"), start("--serve", "65536", "--with", "poll")]);
	assert.equal(await both, [
		[2, "", `start: there is no example nope\n${usage}`],
		[2, "", `start: --serve 65536 is not a port from 0 to 65535\n${usage}`],
	]);
});

test("command lines", () => {
	const lines = [
		"",
		"pager",
		"--list",
		"--serve 7000",
		"--serve=0 --with rxjs",
		"constructor",
		"hello hello",
		"--list hello",
		"--list --serve 7000",
		"--serve http",
		"--serve -1",
		"--serve 0 --with epoll",
		"--with poll",
		"hello --with poll",
	];
	const parse = (line: string): unknown => {
		try {
			return parseRequest(line.split(" ").filter((word) => word !== ""));
		} catch (error) {
			return (error as Error).message.split("\n")[0];
		}
	};
	assert.equal(lines.map(parse), [
		{ run: "chat" },
		{ run: "pager" },
		{ list: true },
		{ serve: 7000, version: "kevent" },
		{ serve: 0, version: "rxjs" },
		"there is no example constructor",
		"NAME, --list and --serve exclude each other",
		"NAME, --list and --serve exclude each other",
		"NAME, --list and --serve exclude each other",
		"--serve http is not a port from 0 to 65535",
		"Option '--serve' argument is ambiguous.",
		"--with epoll is not a version",
		"--with goes with --serve",
		"--with goes with --serve",
	]);
	assert.throws(() => parseRequest(["--nope"]), /--nope/);
});

test("a chat server stays up until Ctrl-C", async () => {
	const child = spawn(process.execPath, [...MAIN, "--serve", "0", "--with", "poll"], { cwd: ROOT });
	const exit = new Promise((resolve) => child.on("exit", (...how) => resolve(how)));
	const lines = child.stdout.setEncoding("utf8")[Symbol.asyncIterator]();
	let said = "";
	while (!said.includes("Ctrl-C")) said += (await lines.next()).value;
	const port = Number(/127\.0\.0\.1 port (\d+)/.exec(said)?.[1]);

	const client = connect(port, "127.0.0.1");
	client.end("zoe\n");
	assert.is(await text(client), "* your name?\n* hello zoe; here: nobody else\n* bye\n");
	const taken = `start: listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`;
	assert.equal(await start("--serve", String(port)), [1, "", taken]);
	child.kill("SIGINT");
	said += (await lines.next()).value;
	assert.equal(await exit, [0, null]);
	assert.is(
		said,
		[
			`chat by poll at 127.0.0.1 port ${port}: try nc 127.0.0.1 ${port}`,
			"Ctrl-C ends it.",
			"closed",
			"",
		].join("\n"),
	);
});

test.run();

// What keeps a program alive: real programs, which end by themselves or go on.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

/** A program that runs. */
interface Program {
	readonly child: ChildProcess;
	/** The first line that it prints. */
	readonly line: Promise<string>;
	/** All that it prints until it ends, and how it ended: its exit status or its signal. */
	readonly outcome: Promise<[string, unknown]>;
}

/** A program that uses this package; `body` runs after the imports. */
function program(body: string): Program {
	const source = `
		import { spawn } from "node:child_process";
		import { createServer, connect } from "node:net";
		import { accept } from "@kqpoll/files";
		import { close, EV_ADD, eventList, EVFILT_SIGNAL, Kernel, kevent, kqueue, read, writeNow } from "@kqpoll/kqueue";
		import { SIGTERM } from "@kqpoll/kqueue/signal";
		import { poll, POLLIN } from "@kqpoll/kqpoll";
		import * as node from "@kqpoll/node";
		const emulated = new Kernel().spawn();
		const { main } = emulated;
		const server = createServer();
		const listen = () => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
		const text = (string) => new TextEncoder().encode(string);
		const sleepIn = (fd) => poll(main, [{ fd, events: POLLIN, revents: 0 }], -1);
		process.on("exit", () => console.log("exit"));
		void (async () => { ${body} })();
	`;
	const options = ["--import", "tsx", "--input-type=module", "-e", source];
	// A folder where all packages of the workspace can be imported by their names.
	const stdio = ["pipe", "pipe", "inherit"] as const;
	const child = spawn(process.execPath, options, { cwd: FOLDER, stdio: [...stdio] });
	return { child, line: lineOf(child), outcome: outcomeOf(child) };
}

const FOLDER = fileURLToPath(new URL("..", import.meta.url));

async function outcomeOf(child: ChildProcess): Promise<[string, unknown]> {
	let output = "";
	child.stdout?.on("data", (chunk) => {
		output += chunk;
	});
	const [code, signal] = await once(child, "close");
	return [output.trim().replaceAll("\n", " "), signal ?? code];
}

async function lineOf(child: ChildProcess): Promise<string> {
	const [chunk] = await once(child.stdout as NodeJS.ReadableStream, "data");
	return String(chunk).trim();
}

/** The programs. */
function begin() {
	return {
		server: program(`
			const fd = node.openServer(main, server);
			console.log(await listen());
			await sleepIn(fd);
			close(main, await accept(main, fd));
			close(main, fd);
			console.log("accepted");
		`),
		unref: program(`
			const fd = node.openServer(main, server, { ref: false });
			await listen();
			node.adoptChild(main, spawn(process.execPath, ["-e", "process.stdin.pipe(process.stdout)"]), { ref: false });
			console.log("asleep");
			await sleepIn(fd);
		`),
		later: program(`
			const fd = node.openServer(main, server, { ref: false });
			const port = await listen();
			node.ref(main, fd);
			connect(port, "127.0.0.1").unref();
			await sleepIn(fd);
			const one = await accept(main, fd);
			node.unref(main, fd);
			node.unref(main, one);
			console.log("asleep");
			await sleepIn(one);
		`),
		path: program(`
			const fd = node.openPath(main, ".");
			node.openPath(main, "package.json", { ref: false });
			setTimeout(() => { console.log("awake"); close(main, fd); }, 100);
		`),
		stdin: program(`
			const fd = node.openReadable(main, process.stdin);
			const buffer = new Uint8Array(64);
			const n = await read(main, fd, buffer);
			close(main, fd);
			const out = node.openWritable(main, process.stdout);
			writeNow(main, out, buffer.subarray(0, n));
			close(main, out);
			const kept = [process.stdin, process.stdout].map((it) => it.destroyed);
			console.log(kept.join(), process.stdin.listenerCount("readable"));
		`),
		signals: program(`
			node.forwardSignals(emulated, ["SIGTERM"]);
			setInterval(() => { if (emulated.exiting) console.log("ended by", emulated.status); }, 10);
			console.log("ready");
		`),
	};
}

/** All are started at once, when the first test asks, as each takes some time to load. */
let begun: ReturnType<typeof begin> | null = null;

function programs(): ReturnType<typeof begin> {
	begun ??= begin();
	return begun;
}

test("a server keeps the program of a thread that sleeps on it alive", async () => {
	const { server } = programs();
	const port = Number(await server.line);
	assert.is(server.child.exitCode, null);
	connect(port, "127.0.0.1").resume();
	assert.equal(await server.outcome, [`${port} accepted exit`, 0]);
});

test("a sleeping thread alone does not keep its program alive", async () => {
	assert.equal(await programs().unref.outcome, ["asleep exit", 0]);
	assert.equal(await programs().later.outcome, ["asleep exit", 0]);
});

test("a watched path keeps the program alive until it is closed, or not at all with ref false", async () => {
	assert.equal(await programs().path.outcome, ["awake exit", 0]);
});

test("the program ends when the descriptor of standard input is closed, and output stays open", async () => {
	const { stdin } = programs();
	stdin.child.stdin?.write("a line\n");
	assert.equal(await stdin.outcome, ["a line false,false 0 exit", 0]);
});

test("a signal ends the emulated process, the next one the program", async () => {
	const { signals } = programs();
	assert.is(await signals.line, "ready");
	signals.child.kill("SIGTERM");
	await once(signals.child.stdout as NodeJS.ReadableStream, "data");
	signals.child.kill("SIGTERM");
	const [output, how] = await signals.outcome;
	assert.equal([output.split(" ").slice(0, 4).join(" "), how], ["ready ended by 15", "SIGTERM"]);
});

test.after(() => {
	for (const { child } of Object.values(programs())) child.kill("SIGKILL");
});

test.run();

// Guests in workers of Node: how they run, sleep, fail and end.
import * as assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { setTimeout as after } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { pipe, socketpair } from "@kqpoll/files";
import {
	close,
	Kernel,
	kill,
	type Process,
	read,
	readNow,
	sigaction,
	type Thread,
	waitpid,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { SIG_IGN, SIGABRT, SIGKILL, SIGPIPE, SIGTERM } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { spawn } from "@kqpoll/wasi";
import { test } from "uvu";
import { workerRunner } from "../src/index.ts";
import { moduleOf, type Name } from "./modules.ts";

const mode = workerRunner();

/** A parent, the other ends of its guest's standard streams, and the guest. */
interface World {
	readonly process: Process;
	readonly main: Thread;
	readonly input: number;
	readonly output: number;
	readonly errors: number;
	readonly pid: number;
}

function start(name: Name, kernel: Kernel = new Kernel()): World {
	const process = kernel.spawn();
	const { main } = process;
	const [stdin, input] = pipe(main);
	const [output, stdout] = pipe(main);
	const [errors, stderr] = pipe(main);
	const pid = spawn(main, moduleOf(name), { stdio: [stdin, stdout, stderr], mode });
	for (const fd of [stdin, stdout, stderr]) close(main, fd);
	return { process, main, input, output, errors, pid };
}

async function statusOf({ main, pid }: World): Promise<number> {
	return (await waitpid(main, pid)).status;
}

/** All that comes until the end of file. */
async function contents({ process }: World, fd: number): Promise<Buffer> {
	const thread = process.spawnThread();
	const chunks: Uint8Array[] = [];
	const buffer = new Uint8Array(65_536);
	for (let n = await read(thread, fd, buffer); n > 0; n = await read(thread, fd, buffer))
		chunks.push(buffer.slice(0, n));
	return Buffer.concat(chunks);
}

/** What ends a guest before it has begun. */
async function refusal(name: Name): Promise<[status: number, message: string]> {
	const world = start(name);
	return [await statusOf(world), `${await contents(world, world.errors)}`];
}

test("timers of the platform go on while a guest is asleep, and what they do wakes it", async () => {
	const world = start("poll");
	await after(30);
	writeNow(world.main, world.input, Buffer.from("hello"));
	assert.equal(await statusOf(world), 5 << 8);
});

test("without workers there is an error that says so", () => {
	const { getBuiltinModule } = process;
	try {
		Object.assign(process, { getBuiltinModule: () => undefined });
		assert.throws(() => workerRunner(), { code: "ENOTSUP", syscall: "workerRunner" });
	} finally {
		Object.assign(process, { getBuiltinModule });
	}
});

test("a trap ends the guest with SIGABRT, and a message on its standard error", async () => {
	const world = start("trap");
	assert.equal(await statusOf(world), SIGABRT);
	assert.equal(`${await contents(world, world.errors)}`, "wasi: RuntimeError: unreachable\n");
});

test("a program that cannot begin ends with 126, and says why", async () => {
	const [missing, library, closed] = await Promise.all([
		refusal("missing"),
		refusal("library"),
		refusal("closed"),
	]);
	assert.equal(missing[0], 126 << 8);
	assert.match(missing[1], /^wasi: NotStarted: .*"env".*\n$/);
	const why = "the module is a library, not a program";
	assert.deepEqual(library, [126 << 8, `wasi: NotStarted: ${why}\n`]);
	const other = "the module does not export its memory";
	assert.deepEqual(closed, [126 << 8, `wasi: NotStarted: ${other}\n`]);
});

test("a signal ends a guest in an endless loop, one that is asleep, and one that has not begun", async () => {
	const kernel = new Kernel();
	const [spinning, sleeping, beginning] = [start("spin"), start("poll"), start("poll", kernel)];
	kill(beginning.main, beginning.pid, SIGTERM);
	await after(100);
	kill(spinning.main, spinning.pid, SIGTERM);
	kill(sleeping.main, sleeping.pid, SIGKILL);
	const ends = await Promise.all([spinning, sleeping, beginning].map(statusOf));
	assert.deepEqual(ends, [SIGTERM, SIGKILL, SIGTERM]);
	// Its descriptors are closed.
	assert.equal(readNow(sleeping.main, sleeping.output, new Uint8Array(1)), 0);
});

test("a worker that the platform ends is a process that SIGKILL has ended", async () => {
	const workers: Worker[] = [];
	process.on("worker", (worker) => workers.push(worker));
	const [spinning, sleeping] = [start("spin"), start("poll")];
	await after(50);
	process.removeAllListeners("worker");
	for (const worker of workers) void worker.terminate();
	assert.deepEqual(await Promise.all([spinning, sleeping].map(statusOf)), [SIGKILL, SIGKILL]);
});

/** A worker that does nothing but what the test lets it do. */
class Puppet extends EventEmitter {
	static readonly last: Puppet[] = [];

	constructor() {
		super();
		Puppet.last.push(this);
	}

	async terminate(): Promise<void> {}
}

/** Starts a guest in a worker that is a puppet. */
async function inPuppet(): Promise<[World, Puppet]> {
	const { getBuiltinModule } = process;
	Object.assign(process, { getBuiltinModule: () => ({ Worker: Puppet }) });
	const world = start("poll");
	await after(5);
	Object.assign(process, { getBuiltinModule });
	return [world, Puppet.last.at(-1) as Puppet];
}

test("a worker without memory is a process that SIGKILL has ended, one that fails is one of SIGABRT", async () => {
	const [poor, one] = await inPuppet();
	one.emit("error", Object.assign(new Error(), { code: "ERR_WORKER_OUT_OF_MEMORY" }));
	one.emit("exit", 1);
	assert.equal(await statusOf(poor), SIGKILL);
	const [broken, other] = await inPuppet();
	other.emit("error", new TypeError("no"));
	other.emit("exit", 1);
	assert.equal(await statusOf(broken), SIGABRT);
	assert.equal(`${await contents(broken, broken.errors)}`, "wasi: TypeError: no\n");
	// It is over: what comes late changes nothing.
	other.emit("message", null);
});

test("what a guest copies in pieces larger than its mailbox stays as it is", async () => {
	const world = start("cat");
	const bytes = Buffer.alloc(3_000_001);
	for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31) >> 7;
	const copied = contents(world, world.output);
	await write(world.main, world.input, bytes);
	close(world.main, world.input);
	assert.ok(bytes.equals(await copied));
	assert.equal(await statusOf(world), 0);
});

test("messages of a guest stay messages", async () => {
	const { main } = new Kernel().spawn();
	const [mine, its] = socketpair(main, "dgram");
	const pid = spawn(main, moduleOf("cat"), { stdio: [its, its, its], mode });
	const buffer = new Uint8Array(64);
	for (const message of ["one", "", "three"]) {
		if (message === "") continue;
		await write(main, mine, Buffer.from(message));
		assert.equal(`${Buffer.from(buffer.slice(0, await read(main, mine, buffer)))}`, message);
	}
	kill(main, pid, SIGTERM);
	assert.equal((await waitpid(main, pid)).status, SIGTERM);
});

test("a guest that writes where nobody reads gets EPIPE, also if it was asleep", async () => {
	const world = start("cat");
	sigaction(world.main, SIGPIPE, SIG_IGN);
	const feeder = world.process.spawnThread();
	const fed = write(feeder, world.input, new Uint8Array(1_000_000)).catch(() => {});
	await after(50);
	close(world.main, world.output);
	assert.equal(await statusOf(world), 64 << 8);
	close(world.main, world.input);
	await fed;
});

test("the clocks of a guest are those of the machine", async () => {
	const kernel = new Kernel();
	const before = [kernel.host.now(), kernel.host.realtime()];
	const world = start("time", kernel);
	const found = await contents(world, world.output);
	const behind = [kernel.host.now(), kernel.host.realtime()];
	for (const [i, time] of [found.readBigUInt64LE(0), found.readBigUInt64LE(8)].entries()) {
		assert.ok(Number(time) >= (before[i] as number));
		assert.ok(Number(time) <= (behind[i] as number));
	}
	assert.notDeepEqual(found.subarray(16), Buffer.alloc(16));
});

test("on a virtual machine the clocks and random bytes of a guest are virtual", async () => {
	const host = new VirtualHost({ epoch: 1000 });
	const world = start("time", new Kernel({ host }));
	const found = contents(world, world.output);
	const other = start("time", new Kernel({ host: new VirtualHost({ epoch: 1000 }) }));
	const same = contents(other, other.output);
	// The machine does nothing by itself.
	const hosts = [host, other.main.kernel.host as VirtualHost];
	const timer = setInterval(() => {
		for (const each of hosts) each.settle();
	}, 1);
	const bytes = await found;
	assert.deepEqual(bytes.subarray(0, 16), Buffer.from(new BigUint64Array([0n, 10n ** 9n]).buffer));
	assert.deepEqual(await same, bytes);
	clearInterval(timer);
});

test.run();

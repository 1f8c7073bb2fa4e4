// The class WASI: options, starts, ends, standard streams.
import { openNow, pipe, Tree } from "@kqpoll/files";
import { mkdirat } from "@kqpoll/files/at";
import { O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR } from "@kqpoll/files/fcntl";
import {
	close,
	dup2,
	Kernel,
	openFile,
	RealHost,
	SyntheticFile,
	type SystemError,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ProcessExit, WASI, type WASIOptions } from "../src/index.ts";
import { wasiErrno } from "../src/kernel.ts";
import type { WasmInstance } from "../src/platform.ts";
import { moduleOf } from "./library.ts";
import { makeModule } from "./module-bytes.ts";
import { Instance } from "./webassembly.ts";
import { World } from "./world.ts";

function code(act: () => unknown): string {
	try {
		act();
		return "no error";
	} catch (error) {
		return (error as SystemError).code;
	}
}

/** Runs a guest as a program would that knows only node:wasi; returns its status and its output. */
function run(args: string[], options: WASIOptions = {}): [status: unknown, output: string] {
	let output = "";
	const decoder = new TextDecoder();
	const collect = (bytes: Uint8Array): void => {
		output += decoder.decode(bytes);
	};
	const wasi = new WASI({ args, stdin: "", stdout: collect, stderr: collect, ...options });
	const instance = new Instance(moduleOf(args[0] as string), wasi.getImportObject());
	return [wasi.start(instance), output];
}

test("a guest runs with texts as its standard streams, and its status is returned", () => {
	const lines = "line 1\nline 2\n";
	assert.equal(run(["consumer"], { stdin: lines }), [0, "2 lines, none missing\n"]);
	const bytes = new TextEncoder().encode(lines);
	assert.equal(run(["consumer"], { stdin: bytes }), [0, "2 lines, none missing\n"]);
	assert.equal(run(["signals", "exit", "300"]), [44, ""]);
	assert.equal(run(["signals", "raise", "15"]), [143, ""]);
});

test("a guest finds at descriptor 3 what it was given, and sleeps in real time", () => {
	const { main } = new Kernel({ host: new VirtualHost() }).spawn();
	const [text, writer] = pipe(main);
	close(main, writer);
	const [status, output] = run(["pager", "3"], { thread: main, descriptors: [text], stdin: "q" });
	assert.equal([status, output.endsWith("\nbye\n")], [0, true]);
	const begin = performance.now();
	assert.is(run(["nap"])[0], 0);
	assert.ok(performance.now() - begin >= 20);
});

test("a trap is thrown, and is the end of the process", () => {
	const wasi = new WASI({ args: ["signals", "trap"], stdin: "" });
	const instance = new Instance(moduleOf("signals"), wasi.getImportObject());
	assert.throws(() => wasi.start(instance), /unreachable/);
	assert.is(wasi.thread.state, "exited");
	assert.throws(
		() => wasi.checkAlive(),
		(error: unknown) => error instanceof ProcessExit,
	);
});

test("with returnOnExit false the end of the guest is that of the program", () => {
	const { exit } = process;
	const statuses: unknown[] = [];
	process.exit = ((status: number) => statuses.push(status)) as never;
	try {
		run(["signals", "exit", "3"], { returnOnExit: false });
	} finally {
		process.exit = exit;
	}
	assert.equal(statuses, [3]);
});

test("a library is initialized, if it wants to be, and a program is started", () => {
	const library = (functions: string[]): [WASI, WasmInstance] => {
		const wasi = new WASI({ stdin: "" });
		const module = makeModule({ memory: true, functions });
		return [wasi, new Instance(module, wasi.getImportObject())];
	};
	const [wasi, instance] = library(["_initialize"]);
	assert.is(wasi.initialize(instance), undefined);
	assert.is(
		code(() => wasi.initialize(instance)),
		"EINVAL",
	);
	const [without, other] = library(["anything"]);
	assert.is(without.initialize(other), undefined);
	const wrong = [
		() => library(["_initialize"])[0].start(library(["_initialize"])[1]),
		() => library(["anything"])[0].start(library(["anything"])[1]),
		() => library(["_start"])[0].initialize(library(["_start"])[1]),
		() => new WASI({ stdin: "" }).start({ exports: { _start: () => {} } }),
		() =>
			new WASI({ stdin: "" }).initialize({
				exports: { memory: { buffer: new ArrayBuffer(8) }, _initialize: 5 },
			}),
		() => new WASI({ stdin: "" }).start(undefined as never),
	];
	assert.equal(
		wrong.map(code),
		wrong.map(() => "EINVAL"),
	);
});

test("options that are wrong are refused", () => {
	const { main } = new Kernel({ host: new RealHost() }).spawn();
	const wrong: [object, string][] = [
		[{ version: "unstable" }, "EINVAL"],
		[{ mode: "fast" }, "EINVAL"],
		[{ thread: main, mode: "sync" }, "ENOTSUP"],
		[{ args: ["a\0"] }, "EINVAL"],
		[{ args: [5] }, "EINVAL"],
		[{ env: { A: "\0" } }, "EINVAL"],
		[{ stdin: () => {} }, "EINVAL"],
		[{ stdout: "text" }, "EINVAL"],
		[{ stdin: 77 }, "EBADF"],
		[{ cwd: "/work" }, "ENOENT"],
		[{ preopens: { "/": { tree: new Tree(), path: "/none" } } }, "ENOENT"],
		[{ preopens: { "/": "/tmp" } }, "EINVAL"],
		[{ preopens: { "/": null } }, "EINVAL"],
	];
	assert.equal(
		wrong.map(([options]) => code(() => new WASI(options))),
		wrong.map(([, expected]) => expected),
	);
});

test("options of which one is wrong leave no descriptor open", () => {
	const { main } = new Kernel({ host: new VirtualHost() }).spawn();
	const streams = { thread: main, stdin: "", stdout: () => {}, stderr: () => {} };
	const wrong: object[] = [
		{ stderr: "text" },
		{ descriptors: [77] },
		{ preopens: { "/": new Tree(), "/b": { tree: new Tree(), path: "/none" } } },
		{ preopens: { "/": 0 } },
		{ preopens: { "/b": new Tree() }, cwd: "/b/none" },
	];
	assert.equal(
		wrong.map((options) => [
			code(() => new WASI({ ...streams, ...options })),
			[...main.process.fdp.open()],
		]),
		["EINVAL", "EBADF", "ENOENT", "EINVAL", "ENOENT"].map((expected) => [expected, []]),
	);
});

test("a stream that is opened is not taken for one of the process", () => {
	const { main } = new Kernel({ host: new VirtualHost() }).spawn();
	openFile(main, new SyntheticFile({ type: "vnode" }));
	new WASI({ thread: main, stdin: "text" });
	const files = [0, 1, 2].map((fd) => main.process.fdp.get(fd));
	assert.is(new Set(files).size, 3);
});

test("directories that are descriptors are moved behind the others, in their order", () => {
	const places: unknown[] = [];
	for (const [at, other] of [
		[0, 1],
		[3, 0],
		[9, 4],
	] as const) {
		const { main } = new Kernel({ host: new VirtualHost() }).spawn();
		const root = openNow(main, new Tree(), "/", O_RDONLY | O_DIRECTORY);
		dup2(main, root, 20);
		const listener = openFile(main, new SyntheticFile({ type: "vnode" }));
		dup2(main, listener, 21);
		for (const [from, to] of [
			[20, at],
			[21, other],
		] as const) {
			dup2(main, from, to);
			close(main, from);
		}
		for (const fd of [root, listener]) if (fd !== at && fd !== other) close(main, fd);
		const files = [main.process.fdp.get(other), main.process.fdp.get(at)];
		const stream = (): void => {};
		new WASI({
			thread: main,
			stdin: "",
			stdout: stream,
			stderr: stream,
			descriptors: [other],
			preopens: { "/": at, "/tree": new Tree() },
		});
		const { fdp } = main.process;
		places.push([[...fdp.open()], fdp.get(3) === files[0], fdp.get(4) === files[1]]);
	}
	assert.equal(
		places,
		places.map(() => [[0, 1, 2, 3, 4, 5], true, true]),
	);
});

test("without other wishes a guest prints lines on the console, the rest when it ends", () => {
	const { log, error } = console;
	const lines: string[] = [];
	console.log = (line: string) => lines.push(`out ${line}`);
	console.error = (line: string) => lines.push(`err ${line}`);
	try {
		const wasi = new WASI({ args: ["producer", "2"] });
		wasi.start(new Instance(moduleOf("producer"), wasi.getImportObject()));
		const usage = new WASI({ args: ["producer"] });
		usage.start(new Instance(moduleOf("producer"), usage.getImportObject()));
		const world = new World({});
		for (const piece of ["a", "b\nc\n\nd"])
			world.call["fd_write"]?.(1, ...world.iovs(world.put(piece)), world.room(4));
		close(world.wasi.thread, 1);
	} finally {
		console.log = log;
		console.error = error;
	}
	assert.equal(lines, [
		"out line 1",
		"out line 2",
		"err usage: producer COUNT [MILLISECONDS]",
		"out ab",
		"out c",
		"out ",
		"out d",
	]);
});

test("relative paths begin at cwd, which is in a preopened directory", () => {
	const tree = new Tree();
	const { main } = new Kernel({ host: new VirtualHost() }).spawn();
	const root = openNow(main, tree, "/", O_RDONLY | O_DIRECTORY);
	mkdirat(main, root, "in");
	const see = (options: WASIOptions): unknown[] => {
		const world = new World((process) => ({ thread: process.main, stdin: "", ...options }));
		const at = world.room(64);
		const names: string[] = [];
		for (let fd = 3; world.call["fd_prestat_get"]?.(fd, at) === 0; fd++) {
			const length = world.u32(at + 4);
			world.call["fd_prestat_dir_name"]?.(fd, at, length);
			names.push(world.text(at, length));
		}
		world.call["environ_get"]?.(at, at + 8);
		return [names, world.text(at + 8, 20).split("\0")[0]];
	};
	assert.equal(
		[
			see({ preopens: { "/": tree }, cwd: "/in" }),
			see({ preopens: { "/data": tree }, cwd: "/data/in" }),
			see({ preopens: { "/data": tree, "/data/in": tree }, cwd: "/data/in" }),
		],
		[
			[["/"], "PWD=/in"],
			[["/data", "."], "PWD=/data/in"],
			[["/data", "/data/in", "."], "PWD=/data/in"],
		],
	);
	openNow(main, tree, "/f", O_RDWR | O_CREAT);
	assert.is(
		code(() => new WASI({ preopens: { "/": tree }, cwd: "/f" })),
		"ENOTDIR",
	);
});

test("a guest that may not sleep gets EAGAIN, and no events", () => {
	const world = new World((process) => ({ stdin: pipe(process.main)[0], mode: "now" }));
	const read = world.call["fd_read"]?.(0, ...world.iovs([world.room(8), 8]), world.room(4));
	const count = world.room(4);
	const subscription = world.room(48);
	world.view.setUint8(subscription + 8, 1);
	const polled = world.call["poll_oneoff"]?.(subscription, world.room(32), 1, count);
	assert.equal(
		[read, polled, world.u32(count), world.call["sched_yield"]?.()],
		[wasiErrno.AGAIN, 0, 0, 0],
	);
});

test("for a package that runs guests elsewhere a call that sleeps is a promise", async () => {
	const world = new World((process) => ({ stdin: pipe(process.main)[0], mode: "promise" }));
	const at = world.room(64);
	world.view.setUint8(at + 8, 0);
	world.view.setBigUint64(at + 24, 5_000_000n, true);
	const polled = world.call["poll_oneoff"]?.(at, world.room(32), 1, at + 56);
	assert.ok(polled instanceof Promise);
	assert.is(await world.host.run(() => polled as Promise<number>), 0);
	assert.equal([world.u32(at + 56), world.host.now()], [1, 5_000_000]);
	assert.is(world.wasi.mode, "promise");
});

test.run();

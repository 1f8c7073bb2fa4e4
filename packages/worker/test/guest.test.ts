// What runs in a worker, here in the thread of the test.
import * as assert from "node:assert/strict";
import { Kernel } from "@kqpoll/kqueue";
import { WASI } from "@kqpoll/wasi";
import { PREVIEW1 } from "@kqpoll/wasi/kernel";
import { test } from "uvu";
import { CAPACITY, Mailbox } from "../src/abi/mailbox.ts";
import type { Report } from "../src/abi/messages.ts";
import { FUNCTIONS } from "../src/abi/signatures.ts";
import { run } from "../src/guest/run.ts";
import { Service } from "../src/host/service.ts";
import { timeOrigin } from "../src/platform.ts";
import { moduleOf, type Name } from "./modules.ts";

/** How a guest has ended, and what it wrote. `wall` is how far the kernel's wall clock is ahead. */
function ending(name: Name, wall?: number): [report: Report, output: Buffer, asked: number] {
	const chunks: Uint8Array[] = [];
	const { main } = new Kernel().spawn();
	const wasi = new WASI({
		thread: main,
		mode: "now",
		stdin: "hello",
		stdout: (bytes) => chunks.push(bytes),
	});
	const service = new Service(wasi, Mailbox.make(CAPACITY), (error) => {
		throw error;
	});
	if (wall !== undefined) service.mailbox.wall += wall;
	wasi.finalizeBindings({ exports: {} }, { memory: service.memory });
	let asked = 0;
	const none = { bytes: new Uint8Array(0), offsets: [] };
	const told = {
		module: moduleOf(name),
		namespace: PREVIEW1,
		functions: FUNCTIONS,
		mailbox: service.mailbox.buffer,
		args: none,
		env: none,
		origin: timeOrigin(),
	};
	const report = run(told, (larger) => {
		asked++;
		service.serve(larger as SharedArrayBuffer | null);
	});
	return [report, Buffer.concat(chunks), asked];
}

test("a guest returns, fails, or does not start", () => {
	assert.deepEqual(ending("cat").slice(0, 2), [{ ended: "returned" }, Buffer.from("hello")]);
	assert.deepEqual(ending("trap")[0], {
		ended: "failed",
		name: "RuntimeError",
		message: "unreachable",
	});
	assert.equal(ending("missing")[0].ended, "not started");
	assert.deepEqual(ending("library")[0], {
		ended: "not started",
		name: "Error",
		message: "the module is a library, not a program",
	});
	assert.equal(ending("closed")[0].ended, "not started");
});

test("the time and random bytes need no kernel, but for a wall clock that was set", () => {
	const before = Date.now() - 2;
	const [, output, asked] = ending("time");
	assert.equal(asked, 1); // to write them
	const wall = Number(output.readBigUInt64LE(8) / 1_000_000n);
	assert.ok(wall >= before && wall <= Date.now() + 2);
	assert.notDeepEqual(output.subarray(16), Buffer.alloc(16));
	const [, other, more] = ending("time", 3_600e9);
	assert.equal(more, 2);
	assert.ok(Number(other.readBigUInt64LE(8) / 1_000_000n) <= Date.now() + 2);
});

test.run();

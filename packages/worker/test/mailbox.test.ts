// What a guest gets through a mailbox is what it would get from the functions themselves.
import * as assert from "node:assert/strict";
import { wasiErrno } from "@kqpoll/wasi/kernel";
import fc from "fast-check";
import { test } from "uvu";
import { Mailbox } from "../src/abi/mailbox.ts";
import { FUNCTIONS, type Parameter, SIGNATURES } from "../src/abi/signatures.ts";
import type { Value } from "../src/guest/exchange.ts";
import { fillRandom } from "../src/platform.ts";
import { direct, mailed, SIZE } from "./pair.ts";

/** Parameters of the two sorts of functions that the table does not describe. */
const STRINGS: readonly Parameter[] = [64, 64];
const POLL: readonly Parameter[] = [64, 1024, "i32", 4];

/** Numbers that a guest could pass. */
const number: fc.Arbitrary<number> = fc.oneof(
	{ weight: 8, arbitrary: fc.nat(8) },
	{ weight: 1, arbitrary: fc.integer() },
);

/** Pointers: what they lead to does not overlap, unless they are far out of range. */
function pointer(index: number): fc.Arbitrary<number> {
	const inside = fc.nat(100).map((at) => 4096 * (index + 1) + 8 * at);
	return fc.oneof(
		{ weight: 12, arbitrary: inside },
		{ weight: 1, arbitrary: fc.constantFrom(-1, -8, SIZE - 4, SIZE) },
	);
}

function valuesOf(signature: readonly Parameter[]): fc.Arbitrary<Value[]> {
	const list = signature.flatMap((parameter, index): fc.Arbitrary<Value>[] => {
		if (parameter === "i64") return [fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })];
		if (parameter === "i32") return [number];
		if (typeof parameter === "number") return [pointer(index)];
		return [pointer(index), fc.oneof(fc.nat(40), number)];
	});
	return fc.tuple(...list);
}

function signatureOf(name: string): readonly Parameter[] {
	if (name === "poll_oneoff") return POLL;
	return name === "args_get" || name === "environ_get" ? STRINGS : (SIGNATURES[name] ?? []);
}

/** Those of which a call tells us something on a machine on which nobody sleeps. */
const NAMES = FUNCTIONS.filter((name) => !["proc_exit", "proc_raise"].includes(name));

const call = fc
	.constantFrom(...NAMES)
	.chain((name) => fc.record({ name: fc.constant(name), values: valuesOf(signatureOf(name)) }));

/** What stands in the memory: pointers, lengths, names, subscriptions, and anything else. */
const content = fc.array(
	fc.oneof(fc.nat(64), fc.nat(SIZE), fc.constantFrom(0x2e2e2f2e, 0x73636f64, 0x2f), fc.integer()),
	{ minLength: 256, maxLength: 256 },
);

/** The trees of the two machines are not on the same device. */
function forgetDevice(memory: Uint8Array, pointer: number): void {
	memory.fill(0, pointer, pointer + 8);
}

test("every call by a mailbox returns and writes what the function itself does", () => {
	fc.assert(
		fc.property(content, fc.array(call, { maxLength: 20 }), (words, calls) => {
			const [one, other] = [direct(), mailed()];
			for (const { memory } of [one, other])
				for (let at = 0; at < SIZE; at += 1024) new Int32Array(memory.buffer, at, 256).set(words);
			for (const { name, values } of calls) {
				const [expected, got] = [one.call(name, ...values), other.call(name, ...values)];
				// Pointers are checked first, and lists, before the kernel is asked about anything else.
				if (expected !== got && (got === wasiErrno.FAULT || (values[2] as number) >>> 0 > 1024))
					return;
				assert.equal(got, expected, name);
				if (got === wasiErrno.SUCCESS && name.endsWith("filestat_get"))
					for (const { memory } of [one, other]) forgetDevice(memory, values.at(-1) as number);
				if (got === wasiErrno.SUCCESS || name === "poll_oneoff")
					assert.deepEqual(other.memory, one.memory, name);
			}
		}),
		{ numRuns: 300 },
	);
});

test("of more pieces than 1024 a transfer takes the first ones, and a message none", () => {
	for (const side of [direct(), mailed()]) {
		const words = new Uint32Array(side.memory.buffer, 0, 4001);
		// Every second piece is empty.
		for (let i = 0; i < 2000; i++) words.set([20_000, i % 2], 2 * i);
		assert.equal(side.call("fd_write", 1, 0, 2000, 16_000), wasiErrno.SUCCESS);
		assert.equal(words[4000], 1000);
		for (let i = 0; i < 2000; i++) words[2 * i + 1] = 1;
		assert.equal(side.call("fd_write", 1, 0, 2000, 16_000), wasiErrno.SUCCESS);
		assert.equal(words[4000], 1024);
		assert.notEqual(side.call("sock_send", 1, 0, 2000, 0, 16_000), wasiErrno.SUCCESS);
	}
});

test("the table knows the functions of the host", () => {
	assert.deepEqual([...FUNCTIONS].sort(), Object.keys(direct().wasi.functions).sort());
});

test("a pointer out of the memory is FAULT, and the kernel is not asked", () => {
	let asked = 0;
	const side = mailed(() => asked++);
	assert.equal(side.call("fd_write", 1, SIZE - 4, 1, 0), wasiErrno.FAULT);
	assert.equal(side.call("fd_write", 1, 0, 0x7fff_ffff, 0), wasiErrno.FAULT);
	assert.equal(side.call("path_open", 3, 0, SIZE - 1, 2, 0, 0n, 0n, 0, 8), wasiErrno.FAULT);
	assert.equal(side.call("poll_oneoff", 0, 0, -1, 8), wasiErrno.FAULT);
	assert.equal(side.call("clock_time_get", 0, 0n, -4), wasiErrno.FAULT);
	assert.equal(side.call("args_get", SIZE - 4, 0), wasiErrno.FAULT);
	assert.equal(side.call("environ_sizes_get", 0, SIZE - 2), wasiErrno.FAULT);
	assert.equal(asked, 0);
});

test("the clocks of process and thread are those of the kernel", () => {
	let asked = 0;
	const side = mailed(() => asked++, undefined, undefined, 0);
	assert.equal(side.call("clock_time_get", 2, 0n, 8), wasiErrno.SUCCESS);
	assert.equal(side.call("clock_time_get", 9, 0n, 8), wasiErrno.INVAL);
	assert.equal(asked, 2);
	assert.equal(side.call("clock_time_get", 1, 0n, 8), wasiErrno.SUCCESS);
	assert.equal(asked, 2);
});

test("a call that has to stay whole, and is larger than any mailbox, is NOMEM", () => {
	const side = mailed(() => {}, undefined, 20 * 2 ** 20);
	assert.equal(side.call("fd_readdir", 3, 64, 17 * 2 ** 20, 0n, 0), wasiErrno.NOMEM);
	assert.equal(side.call("fd_readdir", 3, 64, 2 ** 20, 0n, 0), wasiErrno.SUCCESS);
});

test("what goes wrong with the exchange itself ends the guest", () => {
	const side = mailed(() => {
		throw new Error("gone");
	});
	assert.throws(() => side.call("sched_yield"), { message: "gone" });
});

test("random bytes go into shared memory too", () => {
	const shared = new Uint8Array(new SharedArrayBuffer(100_000));
	fillRandom(shared);
	assert.ok(shared.subarray(90_000).some((byte) => byte !== 0));
});

test("a mailbox in which nobody asks is left alone", () => {
	assert.equal(Mailbox.make(0).asked, -1);
});

test.run();

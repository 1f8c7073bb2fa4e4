// poll_oneoff: the subscriptions and events of a guest's memory.
import { pipe } from "@kqpoll/files";
import { close, kill, openFile, type Process, SyntheticFile, write } from "@kqpoll/kqueue";
import { SIGKILL } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ProcessExit } from "../src/index.ts";
import { wasiErrno } from "../src/kernel.ts";
import { World } from "./world.ts";

type Asked =
	| { readonly fd: number; readonly write?: boolean }
	| { readonly clock: number; readonly ns: bigint; readonly absolute?: boolean };

interface Told {
	readonly userdata: bigint;
	readonly error: number;
	readonly type: number;
	readonly nbytes: bigint;
	readonly flags: number;
}

/** Writes subscriptions as wasi-libc lays them out. */
function put(world: World, asked: readonly Asked[]): number {
	const at = world.room(48 * asked.length);
	asked.forEach((each, i) => {
		const { view } = world;
		const from = at + 48 * i;
		view.setBigUint64(from, 0xfeed_0000_0000_0000n + BigInt(i), true);
		if ("fd" in each) {
			view.setUint8(from + 8, each.write ? 2 : 1);
			view.setUint32(from + 16, each.fd, true);
		} else {
			view.setUint8(from + 8, 0);
			view.setUint32(from + 16, each.clock, true);
			view.setBigUint64(from + 24, each.ns, true);
			view.setUint16(from + 40, each.absolute ? 1 : 0, true);
		}
	});
	return at;
}

function poll(world: World, asked: readonly Asked[]): Told[] | number {
	const from = put(world, asked);
	const events = world.room(32 * asked.length);
	const count = world.room(4);
	world.view.setUint32(count, 99, true);
	const error = world.call["poll_oneoff"]?.(from, events, asked.length, count);
	if (error !== wasiErrno.SUCCESS) return error as number;
	return Array.from({ length: world.u32(count) }, (_, i) => {
		const at = events + 32 * i;
		return {
			userdata: world.u64(at) - 0xfeed_0000_0000_0000n,
			error: world.view.getUint16(at + 8, true),
			type: world.view.getUint8(at + 10),
			nbytes: world.u64(at + 16),
			flags: world.view.getUint16(at + 24, true),
		};
	});
}

const clock = { error: 0, type: 0, nbytes: 0n, flags: 0 };

function piped({ main }: Process) {
	const [stdin, far] = pipe(main);
	return { stdin, far };
}

test("the events are those of the subscriptions, in their order, with their userdata", () => {
	let far = -1;
	const world = new World((process) => {
		const made = piped(process);
		far = made.far;
		return { stdin: made.stdin };
	});
	void write(world.process.main, far, new Uint8Array(5));
	assert.equal(
		poll(world, [
			{ fd: 0 },
			{ clock: 1, ns: 0n },
			{ fd: 77 },
			{ fd: 0 },
			{ clock: 2, ns: 0n },
			{ fd: far, write: true },
			{ clock: 0, ns: 5_000_000n },
		]),
		[
			{ userdata: 0n, error: 0, type: 1, nbytes: 5n, flags: 0 },
			{ userdata: 1n, ...clock },
			{ userdata: 2n, error: wasiErrno.BADF, type: 1, nbytes: 0n, flags: 0 },
			{ userdata: 3n, error: 0, type: 1, nbytes: 5n, flags: 0 },
			{ userdata: 4n, ...clock, error: wasiErrno.INVAL },
			{ userdata: 5n, error: 0, type: 2, nbytes: 16_379n, flags: 0 },
		],
	);
});

test("a sleep ends at its time, on either clock, relative or absolute", () => {
	const world = new World((process) => ({ stdin: piped(process).stdin }));
	assert.equal(poll(world, [{ fd: 0 }, { clock: 1, ns: 250_000n }]), [{ userdata: 1n, ...clock }]);
	assert.is(world.host.now(), 250_000);
	assert.equal(poll(world, [{ clock: 1, ns: 1_000_001n, absolute: true }]), [
		{ userdata: 0n, ...clock },
	]);
	assert.is(world.host.now(), 1_000_001);
	const wall = BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n;
	assert.equal(poll(world, [{ clock: 0, ns: wall + 3_000_000n, absolute: true }]), [
		{ userdata: 0n, ...clock },
	]);
	assert.ok(world.host.now() >= 3_000_000 && world.host.now() < 3_001_000);
});

test("the end of a pipe is a hang-up, and what was written before it has its bytes", () => {
	let far = -1;
	const world = new World((process) => {
		const made = piped(process);
		far = made.far;
		return { stdin: made.stdin };
	});
	void write(world.process.main, far, new Uint8Array(3));
	close(world.process.main, far);
	assert.equal(poll(world, [{ fd: 0 }]), [
		{ userdata: 0n, error: 0, type: 1, nbytes: 3n, flags: 1 },
	]);
});

test("no subscription is INVAL, wrong pointers are FAULT, and nothing is written then", () => {
	const world = new World();
	const count = world.room(4);
	const call = (...args: number[]) => world.call["poll_oneoff"]?.(...args);
	assert.is(call(0, 0, 0, count), wasiErrno.INVAL);
	assert.is(world.u32(count), 0);
	const before = new Uint8Array(world.memory.buffer).slice();
	assert.is(call(65_536 - 47, 0, 1, count), wasiErrno.FAULT);
	assert.is(call(0, 65_536 - 31, 1, count), wasiErrno.FAULT);
	assert.is(call(0, 0, 0xffff_ffff, count), wasiErrno.FAULT);
	assert.is(call(0, 0, 1, 65_533), wasiErrno.FAULT);
	assert.equal(new Uint8Array(world.memory.buffer), before);
});

test("a guest that asks for the time in a loop sees it pass", () => {
	const world = new World();
	let fired = -1;
	world.host.setTimer(300_000, () => {
		fired = world.host.now();
	});
	const at = world.room(8);
	let calls = 0;
	while (world.u64(at) < 3_000_000n && calls++ < 100_000) world.call["clock_time_get"]?.(1, 1n, at);
	// A timer that is due meanwhile is not stepped over.
	assert.equal([fired, world.u64(at), calls < 5000], [300_000, 3_300_000n, true]);
});

test("in mode now a poll returns what is ready, and does not sleep", () => {
	const world = new World((process) => ({ stdin: piped(process).stdin, mode: "now" }));
	assert.equal(poll(world, [{ fd: 0 }, { clock: 1, ns: 1_000n }]), []);
	assert.equal(poll(world, [{ fd: 0 }, { fd: 9 }]), [
		{ userdata: 1n, error: wasiErrno.BADF, type: 1, nbytes: 0n, flags: 0 },
	]);
	assert.is(world.host.now(), 0);
});

test("a signal ends a guest that sleeps in a poll", () => {
	const file = new SyntheticFile();
	const world = new World(({ main }) => ({ stdin: openFile(main, file) }));
	const killer = world.kernel.spawn().main;
	world.host.setTimer(1e6, () => kill(killer, world.process.pid, SIGKILL));
	assert.throws(
		() => poll(world, [{ fd: 0 }]),
		(error: unknown) => error instanceof ProcessExit && error.status === 137,
	);
	assert.throws(
		() => world.call["clock_time_get"]?.(1, 1n, world.room(8)),
		(error: unknown) => error instanceof ProcessExit,
	);
});

test("a guest that asks again and again if a time is over sees virtual time pass", () => {
	const world = new World();
	const ask = (): number => {
		poll(world, [{ clock: 1, ns: 0n }]);
		return world.host.now();
	};
	assert.equal([ask(), ask(), ask(), ask()], [0, 1000, 1000, 2000]);
});

test("a guest that finds bytes each time takes no time", () => {
	const world = new World((process) => {
		const [r, w] = pipe(process.main);
		void write(process.main, w, new Uint8Array(1));
		return { stdin: r, descriptors: [w] };
	});
	for (let i = 0; i < 5; i++) poll(world, [{ clock: 1, ns: 0n }, { fd: 0 }]);
	assert.is(world.host.now(), 0);
});

test.run();

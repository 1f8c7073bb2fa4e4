// fd_read and fd_write: bytes between the guest and its descriptors.
import { pipe, socketpair } from "@kqpoll/files";
import { openFile, readNow, SyntheticFile, type Thread, write, writeNow } from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { wasiErrno } from "../src/kernel.ts";
import { World } from "./world.ts";

test("a guest reads its input and writes its output in pieces", () => {
	let output = "";
	const world = new World({
		stdin: "hello",
		stdout: (bytes) => {
			output += new TextDecoder().decode(bytes);
		},
	});
	const count = world.room(4);
	const [a, b] = [world.room(2), world.room(8)];
	assert.is(world.call["fd_read"]?.(0, ...world.iovs([a, 2], [b, 8]), count), wasiErrno.SUCCESS);
	assert.equal([world.u32(count), world.text(a, 2), world.text(b, 3)], [5, "he", "llo"]);
	assert.is(world.call["fd_read"]?.(0, ...world.iovs([a, 2]), count), wasiErrno.SUCCESS);
	assert.is(world.u32(count), 0);
	assert.is(world.call["fd_write"]?.(1, ...world.iovs([b, 3], [a, 2]), count), wasiErrno.SUCCESS);
	assert.equal([world.u32(count), output], [5, "llohe"]);
});

test("a read sleeps until there are bytes, while others run", () => {
	const world = new World(({ main }) => {
		const [readEnd, writeEnd] = pipe(main);
		const other = main.process.spawnThread();
		main.kernel.host.setTimer(5e6, () => void write(other, writeEnd, new Uint8Array([1, 2])));
		return { stdin: readEnd };
	});
	const count = world.room(4);
	const at = world.room(4);
	assert.is(world.call["fd_read"]?.(0, ...world.iovs([at, 4]), count), wasiErrno.SUCCESS);
	assert.equal([world.u32(count), world.host.now()], [2, 5e6]);
});

for (const mode of ["sync", "promise"] as const) {
	test(`${mode}: memory that grows while a read sleeps gets the bytes`, async () => {
		let far = -1;
		const grow = (): void => void world.memory.grow(1);
		const world = new World(({ main }) => {
			const ends = pipe(main);
			far = ends[1];
			return { stdin: ends[0], mode };
		});
		const [count, at] = [world.room(4), world.room(4)];
		for (const pieces of [
			[[at, 4]],
			[
				[at, 1],
				[at + 1, 3],
			],
		] as [number, number][][]) {
			const other = world.process.spawnThread();
			world.host.setTimer(2e6, grow);
			world.host.setTimer(5e6, () => void write(other, far, new Uint8Array([65, 66])));
			const answer = world.call["fd_read"]?.(0, ...world.iovs(...pieces), count);
			if (mode === "promise") world.host.advance(5e6);
			assert.equal([await answer, world.u32(count), world.text(at, 2)], [0, 2, "AB"]);
			world.view.setUint32(at, 0, true);
		}
	});

	test(`${mode}: memory that grows while a write sleeps is written from`, async () => {
		const world = new World(({ main }) => {
			const [near, stdout] = pipe(main);
			while (writes(main, stdout)) {}
			const { host } = main.kernel;
			const other = main.process.spawnThread();
			host.setTimer(2e6, () => void world.memory.grow(1));
			host.setTimer(5e6, () => void readNow(other, near, new Uint8Array(65_536)));
			return { stdout, mode };
		});
		const count = world.room(4);
		const answer = world.call["fd_write"]?.(1, ...world.iovs(world.put("after")), count);
		if (mode === "promise") world.host.advance(5e6);
		assert.equal([await answer, world.u32(count)], [0, 5]);
	});
}

/** Whether there was room for more. */
function writes(thread: Thread, fd: number): boolean {
	try {
		return writeNow(thread, fd, new Uint8Array(4096)) > 0;
	} catch {
		return false;
	}
}

test("of more pieces than 1024 a transfer takes the first ones, and a message none", () => {
	let output = "";
	const world = new World(({ main }) => ({
		stdin: "x".repeat(1500),
		stdout: (bytes) => {
			output += new TextDecoder().decode(bytes);
		},
		descriptors: [...socketpair(main, "dgram")],
	}));
	const [count, roflags] = [world.room(4), world.room(4)];
	const [at] = world.put("ab".repeat(750));
	const pieces = Array.from({ length: 1500 }, (_, i): [number, number] => [at + i, 1]);
	const iovs = world.iovs(...pieces);
	const call = (name: string, ...args: number[]): unknown =>
		world.call[name]?.(...args, count) === 0 ? world.u32(count) : "refused";
	assert.equal([call("fd_write", 1, ...iovs), output], [1024, "ab".repeat(512)]);
	assert.equal([call("fd_read", 0, ...iovs), call("fd_read", 0, ...iovs)], [1024, 476]);
	assert.equal(
		[call("fd_write", 3, ...iovs), call("sock_send", 3, ...iovs, 0)],
		["refused", "refused"],
	);
	assert.is(world.call["sock_recv"]?.(4, ...iovs, 0, count, roflags), wasiErrno.INVAL);
});

test("what is outside of the memory is FAULT, and no byte is lost", () => {
	const file = new SyntheticFile();
	file.push(new Uint8Array([7]));
	const world = new World(({ main }) => ({ stdin: openFile(main, file) }));
	const count = world.room(4);
	const read = (...args: number[]) => world.call["fd_read"]?.(...args);
	assert.is(read(0, ...world.iovs([65_535, 2]), count), wasiErrno.FAULT);
	assert.is(read(0, ...world.iovs([0, 0xffff_ffff]), count), wasiErrno.FAULT);
	assert.is(read(0, 65_532, 1, count), wasiErrno.FAULT);
	assert.is(read(0, ...world.iovs([8, 1]), 65_533), wasiErrno.FAULT);
	assert.is(read(0, 0, 0xffff_ffff, count), wasiErrno.FAULT);
	assert.is(read(9, ...world.iovs([8, 1]), count), wasiErrno.BADF);
	assert.is(read(0, ...world.iovs([8, 1]), count), wasiErrno.SUCCESS);
	assert.is(world.u32(count), 1);
});

test.run();

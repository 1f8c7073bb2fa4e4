// The times of files: to the nanosecond, which a number does not hold in our days.
import { Tree } from "@kqpoll/files";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { World } from "./world.ts";

const MTIM = 4;
const CREAT = 1;

function call(world: World, name: string, ...args: (number | bigint)[]): void {
	assert.is(world.call[name]?.(...args), 0, name);
}

function times(world: World, path: string): [atime: bigint, mtime: bigint] {
	const at = world.room(64);
	call(world, "path_filestat_get", 3, 0, ...world.put(path), at);
	return [world.u64(at + 40), world.u64(at + 48)];
}

/** A machine with an open file, and its number. */
function world(): [World, fd: number] {
	const made = new World({ preopens: { "/": new Tree() } });
	const at = made.room(4);
	// Read, write, and set times.
	const rights = 0b10n | 0b100_0000n | (1n << 23n);
	call(made, "path_open", 3, 0, ...made.put("f"), CREAT, rights, 0n, 0, at);
	return [made, made.u32(at)];
}

test("a time that is set is the time that is read, to the nanosecond", () => {
	const [machine] = world();
	const [atime, mtime] = times(machine, "f");
	for (const change of [-100n, -1n, 1n, 999_999_999n, 12_345_678_901_234_567n]) {
		const path = machine.put("f");
		call(machine, "path_filestat_set_times", 3, 0, ...path, 0n, mtime + change, MTIM);
		assert.equal(times(machine, "f"), [atime, mtime + change]);
	}
});

test("a write after a time was set is the last time again", () => {
	const [machine, fd] = world();
	const [, mtime] = times(machine, "f");
	call(machine, "fd_filestat_set_times", fd, 0n, mtime - 77n, MTIM);
	assert.is(times(machine, "f")[1], mtime - 77n);
	machine.host.advance(1);
	call(machine, "fd_write", fd, ...machine.iovs(machine.put("x")), machine.room(4));
	assert.is(times(machine, "f")[1], BigInt(machine.host.realtime()));
});

test.run();

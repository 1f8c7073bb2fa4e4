// What a directory refuses that a file allows.
import { Tree } from "@kqpoll/files";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { wasiErrno } from "../src/kernel.ts";
import { Calls } from "./calls.ts";
import { World } from "./world.ts";

const DIRECTORY = 2;
const READ = 0b10n;
const WRITE = 0b100_0000n;

test("a directory can be opened to read, and is one when it is to be written", () => {
	const world = new World({ preopens: { "/": new Tree() } });
	const open = (rights: bigint): unknown =>
		world.call["path_open"]?.(3, 0, ...world.put("."), DIRECTORY, rights, 0n, 0, world.room(4));
	assert.equal([0n, READ, READ | WRITE, WRITE].map(open), [0, 0, wasiErrno.ISDIR, wasiErrno.ISDIR]);
});

test("a directory has no bytes at an offset, and a pipe has no offset", () => {
	const world = new World({ preopens: { "/": new Tree() }, stdin: "" });
	const pread = (fd: number): unknown =>
		world.call["fd_pread"]?.(fd, ...world.iovs([world.room(8), 8]), 0n, world.room(4));
	assert.equal([3, 0].map(pread), [wasiErrno.ISDIR, wasiErrno.SPIPE]);
});

test("the bytes of a directory are ISDIR, as of one that is opened", () => {
	const calls = new Calls();
	const errors = [
		calls.read(3, 1),
		calls.write(3, "x"),
		calls.pread(3, 1, 0n),
		calls.pwrite(3, "x", 0n),
	];
	assert.equal(errors, Array(4).fill("ISDIR"));
	const sizes = [calls.call("fd_allocate", 3, 0n, 1n), calls.call("fd_filestat_set_size", 3, 0n)];
	assert.equal(
		[...sizes, calls.seek(3, 0n, 0), calls.tell(3)],
		["NOTCAPABLE", "NOTCAPABLE", "BADF", "BADF"],
	);
});

test.run();

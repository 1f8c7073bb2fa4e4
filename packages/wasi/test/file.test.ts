// fd_*: offsets, sizes, times and bytes of open files.
import { pipe } from "@kqpoll/files";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALL, Calls, type Filestat } from "./calls.ts";

const FILE = { oflags: 1, base: ALL };
const MAX = 0x7fff_ffff_ffff_ffffn;

function withFile(): { calls: Calls; fd: number } {
	const calls = new Calls();
	return { calls, fd: calls.open("f", FILE) as number };
}

test("fd_seek and fd_tell", () => {
	const { calls, fd } = withFile();
	assert.equal([calls.tell(fd), calls.write(fd, "0123456789"), calls.tell(fd)], [0n, 10, 10n]);
	assert.equal(
		[
			calls.seek(fd, -5n, 1),
			calls.seek(fd, -3n, 2),
			calls.seek(fd, 1000n, 0),
			calls.seek(fd, -2000n, 1),
			calls.seek(fd, -1n, 0),
			calls.seek(fd, MAX, 0),
			calls.seek(fd, -MAX - 1n, 1),
			calls.seek(fd, 0n, 3),
			calls.seek(fd, 0n, -1),
			calls.tell(fd),
		],
		[5n, 7n, 1000n, "INVAL", "INVAL", "INVAL", "INVAL", "INVAL", "INVAL", 1000n],
	);
	assert.equal(
		[calls.read(fd, 5), calls.seek(fd, 4n, 0), calls.read(fd, 3), calls.tell(fd)],
		["", 4n, "456", 7n],
	);
});

test("what has no offset cannot be sought in", () => {
	const calls = new Calls(({ main }) => ({ stdin: pipe(main)[0] }));
	assert.equal([calls.seek(0, 0n, 0), calls.seek(0, 0n, 1), calls.tell(0)], Array(3).fill("SPIPE"));
	assert.equal([calls.seek(3, 0n, 0), calls.seek(3, 0n, 1), calls.tell(3)], Array(3).fill("BADF"));
});

test("fd_pread and fd_pwrite leave the offset alone", () => {
	const { calls, fd } = withFile();
	assert.equal(
		[calls.pwrite(fd, "0123", 2n), calls.tell(fd), calls.pread(fd, 9, 1n)],
		[4, 0n, "\x000123"],
	);
	assert.equal([calls.pread(fd, 9, 6n), calls.pread(fd, 9, 1_000_000n)], ["", ""]);
	assert.equal(
		[-1n, MAX].map((offset) => calls.pread(fd, 1, offset)),
		["INVAL", "INVAL"],
	);
	assert.equal([calls.pwrite(fd, "x", -1n), calls.pwrite(fd, "x", 2n ** 31n)], ["INVAL", "FBIG"]);
	calls.call("fd_fdstat_set_flags", fd, 1);
	assert.equal([calls.pwrite(fd, "AB", 0n), calls.pread(fd, 9, 0n)], [2, "AB0123"]);
});

test("fd_allocate makes a file longer, never shorter", () => {
	const { calls, fd } = withFile();
	const allocate = (offset: bigint, length: bigint): string | bigint => {
		const error = calls.call("fd_allocate", fd, offset, length);
		return error === "SUCCESS" ? (calls.fstat(fd) as Filestat).size : error;
	};
	assert.equal(
		[
			allocate(0n, 100n),
			allocate(10n, 10n),
			allocate(90n, 20n),
			allocate(0n, 0n),
			allocate(-1n, 5n),
			allocate(5n, -1n),
			allocate(0n, 2n ** 31n),
			allocate(2n ** 52n, 2n ** 52n),
		],
		[100n, 100n, 110n, "INVAL", "INVAL", "INVAL", "FBIG", "FBIG"],
	);
	assert.is(calls.call("fd_allocate", 3, 0n, 1n), "NOTCAPABLE");
});

test("fd_advise takes the six kinds of advice", () => {
	const { calls, fd } = withFile();
	const advise = (advice: number): string => calls.call("fd_advise", fd, 10n, 50n, advice);
	assert.equal([0, 5, 6, -1].map(advise), ["SUCCESS", "SUCCESS", "INVAL", "INVAL"]);
	assert.is(calls.call("fd_advise", fd, -1n, 0n, 0), "INVAL");
	assert.is(calls.call("fd_advise", 3, 0n, 0n, 0), "BADF");
	assert.is((calls.fstat(fd) as Filestat).size, 0n);
});

test("fd_filestat_set_size cuts and adds zeros", () => {
	const { calls, fd } = withFile();
	calls.write(fd, "abcdef");
	const resize = (size: bigint): string => calls.call("fd_filestat_set_size", fd, size);
	assert.equal([resize(2n), calls.pread(fd, 9, 0n)], ["SUCCESS", "ab"]);
	assert.equal([resize(4n), calls.pread(fd, 9, 0n)], ["SUCCESS", "ab\0\0"]);
	assert.equal([resize(-1n), resize(2n ** 31n)], ["INVAL", "FBIG"]);
	assert.is(calls.call("fd_filestat_set_size", 3, 0n), "NOTCAPABLE");
});

test("fd_filestat_set_times sets those that its flags name", () => {
	const { calls, fd } = withFile();
	const set = (flags: number): string => calls.call("fd_filestat_set_times", fd, 11n, 22n, flags);
	const times = (): bigint[] => {
		const { atim, mtim } = calls.fstat(fd) as Filestat;
		return [atim, mtim];
	};
	const made = times();
	assert.equal([set(0), ...times()], ["SUCCESS", ...made]);
	assert.equal([set(1), ...times()], ["SUCCESS", 11n, made[1]]);
	assert.equal([set(4), ...times()], ["SUCCESS", 11n, 22n]);
	assert.equal(
		[set(3), set(12), set(15), set(16), ...times()],
		["INVAL", "INVAL", "INVAL", "INVAL", 11n, 22n],
	);
	calls.world.host.advance(1e9);
	const now = BigInt(calls.world.host.realtime());
	assert.equal([set(2 | 8), ...times()], ["SUCCESS", now, now]);
});

test("a file that has no name any more goes on", () => {
	const { calls, fd } = withFile();
	calls.write(fd, "still");
	assert.is(calls.path("path_unlink_file", "f"), "SUCCESS");
	assert.equal([calls.pread(fd, 9, 0n), (calls.fstat(fd) as Filestat).nlink], ["still", 0n]);
	assert.equal([calls.call("fd_sync", fd), calls.call("fd_datasync", fd)], ["SUCCESS", "SUCCESS"]);
});

test("files of one directory have one device, and a number each", () => {
	const calls = new Calls();
	calls.create("a");
	calls.create("b");
	const [a, b] = [calls.stat("a") as Filestat, calls.stat("b") as Filestat];
	assert.ok(a.dev === b.dev && a.ino !== b.ino);
});

test.run();

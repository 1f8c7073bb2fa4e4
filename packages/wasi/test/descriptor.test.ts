// fd_close, fd_fdstat_*, fd_prestat_*, fd_renumber: descriptors, and what is known about them.
import { openpty, pipe, socket, socketpair, Tree } from "@kqpoll/files";
import { errno, openFile, SyntheticFile, SystemError } from "@kqpoll/kqueue";
import { S_IFCHR } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALL, Calls, rights } from "./calls.ts";

const RW = rights("fd_read", "fd_write");
const SEEKS = rights("fd_seek", "fd_tell");
const PRESTAT = 2048;

/** What fd_prestat_get writes: its tag, and the length of a name. */
function prestat(calls: Calls, fd: number): string | [tag: number, length: number] {
	const error = calls.call("fd_prestat_get", fd, PRESTAT);
	if (error !== "SUCCESS") return error;
	return [calls.world.u32(PRESTAT), calls.world.u32(PRESTAT + 4)];
}

test("preopened directories are found in their order, by length and name", () => {
	const calls = new Calls({ preopens: { "/": new Tree(), "/häuser": new Tree() } });
	assert.equal(
		[2, 3, 4, 5].map((fd) => prestat(calls, fd)),
		["BADF", [0, 1], [0, 8], "BADF"],
	);
	const name = (fd: number, room: number): string => {
		const error = calls.call("fd_prestat_dir_name", fd, PRESTAT, room);
		return error === "SUCCESS" ? calls.world.text(PRESTAT, 8) : error;
	};
	assert.equal(
		[name(4, 8), name(4, 100), name(4, 7), name(4, 0), name(0, 9), name(9, 9)],
		["/häuser", "/häuser", "NAMETOOLONG", "NAMETOOLONG", "BADF", "BADF"],
	);
});

test("a listener before the directories does not end the search for them", () => {
	const calls = new Calls(({ main }) => ({
		descriptors: [socket(main, "inet", "stream"), socket(main, "inet", "stream")],
	}));
	// C libraries stop at BADF, and end the program at any other error; they step over other types.
	assert.equal(
		[3, 4, 5, 6].map((fd) => prestat(calls, fd)),
		[[1, 0], [1, 0], [0, 1], "BADF"],
	);
	assert.is(calls.call("fd_prestat_dir_name", 3, PRESTAT, 10), "BADF");
	const last = new Calls(({ main }) => ({
		preopens: {},
		descriptors: [socket(main, "inet", "stream")],
	}));
	assert.is(prestat(last, 3), "BADF");
});

test("the kinds of descriptors, and whether they have an offset", () => {
	const calls = new Calls(({ main }) => {
		const [, terminal] = openpty(main);
		const device = new SyntheticFile({
			type: "vnode",
			stat: () => ({ mode: S_IFCHR | 0o600, size: 0, blksize: 512 }),
		});
		const [stream] = socketpair(main, "stream");
		const [readEnd] = pipe(main);
		return {
			stdin: terminal,
			stdout: readEnd,
			descriptors: [stream, socket(main, "inet", "dgram"), openFile(main, device)],
		};
	});
	const kinds = [0, 1, 3, 4, 5, 6].map((fd) => {
		const stat = calls.fdstat(fd);
		if (typeof stat === "string") throw new Error(stat);
		return [stat.type, (stat.base & SEEKS) !== 0n, stat.base & RW];
	});
	assert.equal(kinds, [
		[2, false, RW],
		// OpenBSD's pipes go both ways.
		[0, false, RW],
		[6, false, RW],
		[5, false, RW],
		[2, true, RW],
		[3, false, 0n],
	]);
	const types = [0, 1, 3, 4, 5, 6].map((fd) => {
		const stat = calls.fstat(fd);
		return typeof stat === "string" ? stat : stat.filetype;
	});
	assert.equal(types, [2, 0, 6, 5, 2, 3]);
});

test("rights are only ever taken away", () => {
	const calls = new Calls();
	const fd = calls.open("f", { oflags: 1, base: RW | SEEKS }) as number;
	const set = (base: bigint, inheriting = 0n): string =>
		calls.call("fd_fdstat_set_rights", fd, base, inheriting);
	assert.is(calls.write(fd, "abc"), 3);
	assert.is(set(RW | SEEKS | rights("fd_advise")), "NOTCAPABLE");
	assert.is(set(RW | SEEKS, rights("fd_read")), "NOTCAPABLE");
	assert.is(set(SEEKS), "SUCCESS");
	assert.is(set(SEEKS), "SUCCESS");
	assert.is(set(RW | SEEKS), "NOTCAPABLE");
	assert.equal([calls.read(fd, 1), calls.write(fd, "x")], ["NOTCAPABLE", "NOTCAPABLE"]);
	assert.is(set(rights("fd_seek")), "SUCCESS");
	assert.equal([calls.seek(fd, 1n, 0), calls.tell(fd), calls.seek(fd, 0n, 1)], [1n, 1n, 1n]);
	assert.is(set(0n), "SUCCESS");
	assert.equal([calls.seek(fd, 1n, 0), calls.tell(fd)], ["NOTCAPABLE", "NOTCAPABLE"]);
	assert.is(calls.call("fd_fdstat_set_rights", 77, 0n, 0n), "BADF");
});

test("each function on descriptors needs its right, and an open descriptor", () => {
	const calls = new Calls();
	calls.create("f");
	const fd = calls.open("f") as number;
	const all: [string, ...(number | bigint)[]][] = [
		["fd_advise", 0n, 0n, 0],
		["fd_allocate", 0n, 1n],
		["fd_datasync"],
		["fd_fdstat_set_flags", 0],
		["fd_filestat_get", 0],
		["fd_filestat_set_size", 0n],
		["fd_filestat_set_times", 0n, 0n, 0],
		["fd_pread", 0, 0, 0n, 0],
		["fd_pwrite", 0, 0, 0n, 0],
		["fd_read", 0, 0, 0],
		["fd_readdir", 0, 0, 0n, 0],
		["fd_seek", 1n, 0, 0],
		["fd_sync"],
		["fd_tell", 0],
		["fd_write", 0, 0, 0],
	];
	for (const [name, ...args] of all) {
		assert.is(calls.call(name, fd, ...args), "NOTCAPABLE", name);
		for (const closed of [77, -1, 0x7fff_ffff])
			assert.is(calls.call(name, closed, ...args), "BADF");
	}
	for (const name of ["fd_close", "fd_fdstat_get", "fd_prestat_get"])
		assert.is(calls.call(name, -1, 0), "BADF", name);
});

test("flags of an open file are set and seen, unknown ones refused", () => {
	const calls = new Calls();
	const fd = calls.open("f", { oflags: 1, base: ALL & ~rights("fd_readdir") }) as number;
	const set = (flags: number): string => calls.call("fd_fdstat_set_flags", fd, flags);
	const flags = (): number => {
		const stat = calls.fdstat(fd);
		return typeof stat === "string" ? -1 : stat.flags;
	};
	assert.equal([set(1 | 4), flags()], ["SUCCESS", 5]);
	assert.equal([calls.write(fd, "ab"), calls.seek(fd, 0n, 0), calls.write(fd, "cd")], [2, 0n, 2]);
	assert.equal(
		[set(0), flags(), calls.seek(fd, 0n, 0), calls.write(fd, "X")],
		["SUCCESS", 0, 0n, 1],
	);
	assert.equal([calls.seek(fd, 0n, 0), calls.read(fd, 9)], [0n, "Xbcd"]);
	assert.equal([set(32), flags()], ["INVAL", 0]);
	assert.is(set(16), "SUCCESS");
	assert.is(flags() & 16, 16);
});

test("fd_renumber moves a descriptor with its rights onto another one", () => {
	const calls = new Calls();
	const open = (name: string, base: bigint): number =>
		calls.open(name, { oflags: 1, base }) as number;
	const [one, other] = [open("one", RW), open("other", SEEKS)];
	const before = calls.fdstat(one);
	const renumber = (from: number, to: number): string => calls.call("fd_renumber", from, to);
	assert.equal([renumber(one, one), renumber(one, other)], ["SUCCESS", "SUCCESS"]);
	assert.equal([calls.fdstat(one), calls.fdstat(other)], ["BADF", before]);
	assert.is(calls.write(other, "x"), 1);
	assert.equal(
		[renumber(other, one), renumber(one, other), renumber(one, one)],
		["BADF", "BADF", "BADF"],
	);
});

test("a preopened directory can be closed, replaced and moved, with its name", () => {
	const calls = new Calls({
		preopens: { "/a": new Tree(), "/bc": new Tree(), "/def": new Tree() },
	});
	calls.create("in-a");
	assert.is(calls.call("fd_renumber", 5, 4), "SUCCESS");
	assert.equal(
		[3, 4, 5].map((fd) => prestat(calls, fd)),
		[[0, 2], [0, 4], "BADF"],
	);
	const dir = calls.open(".", { oflags: 2, base: ALL & ~RW, inheriting: ALL }) as number;
	assert.is(calls.call("fd_renumber", dir, 4), "SUCCESS");
	assert.equal([prestat(calls, 4), typeof calls.open("in-a", { dir: 4 })], ["BADF", "number"]);
	assert.equal([calls.call("fd_close", 3), prestat(calls, 3)], ["SUCCESS", "BADF"]);
	assert.is(calls.call("fd_close", 3), "BADF");
});

test("a file that fails to close is closed, and what replaces it keeps its rights", () => {
	const failing = (): SyntheticFile =>
		new SyntheticFile({
			close: () => {
				throw new SystemError(errno.EIO, "close");
			},
		});
	const calls = new Calls(({ main }) => ({
		descriptors: [openFile(main, failing()), openFile(main, failing())],
		stdin: "",
		stdout: () => {},
	}));
	const fd = calls.open("f", { dir: 5, oflags: 1, base: rights("fd_read") }) as number;
	const before = calls.fdstat(fd);
	assert.equal(
		[calls.call("fd_renumber", fd, 3), calls.fdstat(3), calls.fdstat(fd)],
		["IO", before, "BADF"],
	);
	assert.equal([calls.call("fd_close", 4), calls.fdstat(4)], ["IO", "BADF"]);
});

test("standard streams can be moved onto other descriptors", () => {
	const calls = new Calls();
	for (const stream of [0, 1, 2]) {
		const fd = calls.open("f", { oflags: 1 }) as number;
		assert.equal(
			[calls.call("fd_renumber", stream, fd), calls.fdstat(stream)],
			["SUCCESS", "BADF"],
		);
		assert.is(typeof calls.fdstat(fd), "object");
	}
});

test("a preopened directory can do all that libraries ask of one, and opens itself again", () => {
	const calls = new Calls();
	const before = calls.fdstat(3);
	if (typeof before === "string") throw new Error(before);
	assert.is(before.inheriting, ALL);
	const { base, inheriting } = before;
	assert.is(base & rights("fd_filestat_set_size", "fd_seek", "fd_read", "fd_write"), 0n);
	const again = calls.open(".", { base, inheriting }) as number;
	assert.equal(calls.fdstat(again), before);
	const ask = (name: string): void => assert.is(typeof calls.open(name, { dir: again }), "number");
	calls.path("path_create_directory", "d");
	ask("d");
});

test("two descriptors of one file see what the other one does", () => {
	const calls = new Calls();
	const reader = calls.open("f", { oflags: 1, base: rights("fd_read") }) as number;
	const writer = calls.open("f", { base: rights("fd_write") }) as number;
	assert.equal([calls.write(writer, "now"), calls.read(reader, 9)], [3, "now"]);
	const cut = calls.open("f", { oflags: 1 | 8, base: RW }) as number;
	assert.equal(
		[calls.read(cut, 9), calls.write(writer, "x"), calls.read(cut, 9)],
		["", 1, "\0\0\0x"],
	);
});

test("a number that is used again knows nothing of what it was", () => {
	const calls = new Calls();
	const first = calls.open("f", { oflags: 1, base: rights("fd_read") }) as number;
	calls.call("fd_close", first);
	assert.is(calls.open("f", { base: rights("fd_write") }), first);
	assert.is(calls.write(first, "x"), 1);
});

test.run();

// path_*: files by path, and what each function answers where it cannot do it.
import { mkfifo, mount, openNow, Tree } from "@kqpoll/files";
import { O_CREAT, O_RDONLY } from "@kqpoll/files/fcntl";
import { close, Kernel } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALL, Calls, type Filestat, rights } from "./calls.ts";

const CREAT = 1;
const DIRECTORY = 2;
const EXCL = 4;
const TRUNC = 8;
const READ = rights("fd_read");
const WRITE = rights("fd_write");

const TYPE = { directory: 3, regular: 4, link: 7 };

function typeOf(stat: Filestat | string): number | string {
	return typeof stat === "string" ? stat : stat.filetype;
}

test("a path goes up and down, but not out of its directory", () => {
	const calls = new Calls();
	calls.path("path_create_directory", "dir");
	calls.path("path_create_directory", "dir/nested");
	calls.create("dir/nested/file");
	const answers = (paths: string[]): unknown[] =>
		paths.map((path) => typeOf(calls.stat(path, true)));
	assert.equal(answers(["dir/.//nested/../../dir/nested/../nested///./file", "dir/nested///"]), [
		TYPE.regular,
		TYPE.directory,
	]);
	assert.equal(
		answers(["/dir", "..", "dir/../..", "dir/nested/../../../x"]),
		Array(4).fill("PERM"),
	);
	assert.equal(answers(["dir/nested/file/", "dir/nested/file///", "dir/nested/file/x"]), [
		"NOTDIR",
		"NOTDIR",
		"NOTDIR",
	]);
	assert.equal(answers(["", "missing", "file\0", `${"n".repeat(256)}`, "x/".repeat(600)]), [
		"NOENT",
		"NOENT",
		"INVAL",
		"NAMETOOLONG",
		"NAMETOOLONG",
	]);
	const [at] = calls.put(new Uint8Array([0xff, 0xfe]));
	assert.is(calls.call("path_unlink_file", 3, at, 2), "ILSEQ");
});

test("a directory in a directory is kept in by the first one", () => {
	const calls = new Calls();
	calls.path("path_create_directory", "inner");
	calls.create("secret");
	const dir = calls.open("inner", { oflags: DIRECTORY, base: ALL & ~WRITE, inheriting: ALL });
	if (typeof dir !== "number") throw new Error(dir);
	assert.is(calls.open("../secret", { dir }), "PERM");
	assert.is(calls.open("/secret", { dir }), "PERM");
	assert.is(calls.symlink("../secret", "inner/link"), "SUCCESS");
	assert.is(calls.open("link", { dir, follow: true }), "PERM");
	assert.is(typeof calls.open("inner/link", { follow: true }), "number");
});

test("links that lead out are made only where they are relative, and are never followed out", () => {
	const calls = new Calls();
	assert.is(calls.symlink("/", "root"), "NOTCAPABLE");
	assert.is(calls.symlink("../..", "up"), "SUCCESS");
	assert.is(calls.open("up", { follow: true }), "PERM");
	assert.is(calls.readlink("up", 10), "../..");
});

test("path_open answers by its flags", () => {
	const calls = new Calls();
	assert.is(calls.open("file"), "NOENT");
	assert.is(calls.open("file", { oflags: CREAT | DIRECTORY }), "INVAL");
	assert.is(calls.open("file", { oflags: 16 }), "INVAL");
	assert.is(calls.open("file", { oflags: CREAT, fdflags: 32 }), "INVAL");
	assert.is(typeOf(calls.stat("file")), "NOENT");
	calls.create("file");
	assert.is(calls.open("file", { oflags: CREAT | EXCL }), "EXIST");
	assert.is(calls.open("file", { oflags: DIRECTORY }), "NOTDIR");
	calls.path("path_create_directory", "dir");
	assert.is(calls.open("dir", { base: WRITE }), "ISDIR");
	assert.is(calls.open("dir", { oflags: TRUNC }), "ISDIR");
	const dir = calls.open("dir", { oflags: DIRECTORY, base: READ });
	assert.is(calls.call("fd_close", dir as number), "SUCCESS");
	assert.is(typeof calls.open(".", { fdflags: 4 }), "number");
});

test("a link at the end is followed only if the guest says so", () => {
	const calls = new Calls();
	calls.path("path_create_directory", "dir");
	calls.create("file");
	for (const [target, name] of [
		["dir", "to-dir"],
		["file", "to-file"],
		["nothing", "dangling"],
		["loop", "loop"],
	] as const)
		assert.is(calls.symlink(target, name), "SUCCESS");
	const names = ["to-dir", "to-file", "dangling", "loop"];
	const kind = (path: string, follow: boolean, oflags = 0): string => {
		const fd = calls.open(path, { follow, oflags });
		return typeof fd === "string" ? fd : "open";
	};
	assert.equal(
		names.map((name) => kind(name, false)),
		Array(4).fill("LOOP"),
	);
	assert.equal(
		names.map((name) => kind(name, false, DIRECTORY)),
		Array(4).fill("LOOP"),
	);
	assert.equal(
		names.map((name) => kind(name, true)),
		["open", "open", "NOENT", "LOOP"],
	);
	assert.equal(
		names.map((name) => kind(name, true, DIRECTORY)),
		["open", "NOTDIR", "NOENT", "LOOP"],
	);
	assert.equal(
		names.map((name) => typeOf(calls.stat(name))),
		Array(4).fill(TYPE.link),
	);
	assert.equal(
		names.map((name) => typeOf(calls.stat(name, true))),
		[TYPE.directory, TYPE.regular, "NOENT", "LOOP"],
	);
	assert.is(kind("dangling", true, CREAT), "open");
	assert.is(typeOf(calls.stat("nothing")), TYPE.regular);
	assert.is(calls.path("path_unlink_file", "loop"), "SUCCESS");
});

test("what is opened has the rights that were asked for, of those of its kind and its directory", () => {
	const calls = new Calls();
	const base = rights("fd_read", "fd_seek", "path_open", "sock_accept");
	const fd = calls.open("f", { oflags: CREAT, base, inheriting: READ }) as number;
	assert.equal(calls.fdstat(fd), {
		type: TYPE.regular,
		flags: 0,
		base: rights("fd_read", "fd_seek"),
		inheriting: 0n,
	});
	const write = calls.open("f", { base: WRITE, fdflags: 1 | 4 }) as number;
	assert.equal(calls.fdstat(write), { type: TYPE.regular, flags: 5, base: WRITE, inheriting: 0n });
	assert.is(calls.read(write, 1), "NOTCAPABLE");
	assert.is(calls.write(fd, "x"), "NOTCAPABLE");
	const narrow = calls.open(".", { base: rights("path_open"), inheriting: READ }) as number;
	assert.is(calls.open("f", { dir: narrow, base: READ | WRITE }), "NOTCAPABLE");
	assert.is(calls.open("f", { dir: narrow, inheriting: WRITE }), "NOTCAPABLE");
	assert.is(calls.open("new", { dir: narrow, oflags: CREAT }), "NOTCAPABLE");
	assert.is(calls.open("f", { dir: narrow, oflags: TRUNC }), "NOTCAPABLE");
	assert.is(typeof calls.open("f", { dir: narrow, base: READ }), "number");
	assert.is(calls.open("f", { dir: fd }), "NOTDIR");
	assert.is(calls.open("f", { dir: 77 }), "BADF");
	assert.is(calls.open("f", { dir: 1 }), "NOTDIR");
});

test("a file that is to be read is not opened to write, whatever other rights Go asks for", () => {
	const inner = new Tree();
	const calls = new Calls(({ main }) => {
		const tree = new Tree();
		close(main, openNow(main, inner, "f", O_CREAT));
		mount(main, tree, "/", inner, { readOnly: true });
		return { preopens: { "/": tree } };
	});
	const write = rights("fd_datasync", "fd_write", "fd_allocate", "path_filestat_set_size");
	const sockets = rights("sock_shutdown", "sock_accept");
	const read = rights("fd_read", "fd_readdir");
	const all = ALL & ~sockets;
	const open = (base: bigint, oflags = 0): unknown =>
		calls.open("f", { follow: true, oflags, base, inheriting: all });
	assert.is(typeof open(all & ~write), "number");
	assert.equal([open(all), open(all & ~read), open(0n, TRUNC)], Array(3).fill("ROFS"));
	assert.is(open(rights("fd_filestat_set_size")), "ROFS");
	const directory = { follow: true, base: all & ~write, inheriting: all };
	assert.is(typeof calls.open(".", directory), "number");
});

test("each function on paths needs its right", () => {
	const calls = new Calls();
	const dir = calls.open(".", { oflags: DIRECTORY }) as number;
	const path = calls.put("x");
	const all: [string, ...(number | bigint)[]][] = [
		["path_create_directory", dir, ...path],
		["path_filestat_get", dir, 0, ...path, 0],
		["path_filestat_set_times", dir, 0, ...path, 0n, 0n, 0],
		["path_link", dir, 0, ...path, dir, ...path],
		["path_link", 3, 0, ...path, dir, ...path],
		["path_open", dir, 0, ...path, 0, 0n, 0n, 0, 0],
		["path_readlink", dir, ...path, 0, 0, 0],
		["path_remove_directory", dir, ...path],
		["path_rename", dir, ...path, dir, ...path],
		["path_rename", 3, ...path, dir, ...path],
		["path_symlink", ...path, dir, ...path],
		["path_unlink_file", dir, ...path],
		["fd_readdir", dir, 0, 0, 0n, 0],
		["fd_filestat_get", dir, 0],
	];
	for (const [name, ...args] of all) assert.is(calls.call(name, ...args), "NOTCAPABLE", name);
});

test("path_create_directory", () => {
	const calls = new Calls();
	const mkdir = (path: string): string => calls.path("path_create_directory", path);
	assert.equal(["a", "a", "a/", ".", "b/", "x/y", "a/..", "/", "../b"].map(mkdir), [
		"SUCCESS",
		"EXIST",
		"EXIST",
		"EXIST",
		"SUCCESS",
		"NOENT",
		"EXIST",
		"PERM",
		"PERM",
	]);
});

test("path_unlink_file removes what is not a directory", () => {
	const calls = new Calls();
	calls.path("path_create_directory", "dir");
	calls.create("file");
	calls.symlink("dir", "link");
	const unlink = (path: string): string => calls.path("path_unlink_file", path);
	// C libraries remove a directory after this error only.
	assert.equal(["dir", "dir/", ".", "link/"].map(unlink), Array(4).fill("ISDIR"));
	assert.equal(["file/", "none", "../x", "/dir", "file", "file", "link"].map(unlink), [
		"NOTDIR",
		"NOENT",
		"PERM",
		"PERM",
		"SUCCESS",
		"NOENT",
		"SUCCESS",
	]);
});

test("path_remove_directory removes an empty directory", () => {
	const calls = new Calls();
	for (const name of ["dir", "full", "full/inner"]) calls.path("path_create_directory", name);
	calls.create("file");
	const rmdir = (path: string): string => calls.path("path_remove_directory", path);
	assert.equal(["full", "file", "file/", "none", ".", "dir/", "full/inner", "full"].map(rmdir), [
		"NOTEMPTY",
		"NOTDIR",
		"NOTDIR",
		"NOENT",
		"INVAL",
		"SUCCESS",
		"SUCCESS",
		"SUCCESS",
	]);
});

test("path_link adds a name to a file", () => {
	const calls = new Calls();
	calls.create("file");
	calls.path("path_create_directory", "dir");
	calls.symlink("none", "dangling");
	assert.is(calls.link("file", "dir/link"), "SUCCESS");
	const [one, other] = [calls.stat("file"), calls.stat("dir/link")];
	assert.equal(one, other);
	assert.is((one as Filestat).nlink, 2n);
	assert.equal(
		[
			calls.link("file", "file"),
			calls.link("file", "dir"),
			calls.link("file", "dangling"),
			calls.link("file", "new/"),
			calls.link("dir", "new"),
			calls.link("none", "new"),
			calls.link("dangling", "new", true),
			calls.link("dangling", "new"),
			calls.link("file", "../new"),
		],
		["EXIST", "EXIST", "EXIST", "NOENT", "PERM", "NOENT", "NOENT", "SUCCESS", "PERM"],
	);
	assert.is(typeOf(calls.stat("new")), TYPE.link);
	assert.is(
		calls.call("path_link", 3, 2, ...calls.put("file"), 3, ...calls.put("a", 1024)),
		"INVAL",
	);
});

test("path_rename moves and replaces", () => {
	const calls = new Calls();
	for (const name of ["dir", "empty", "full", "full/inner"])
		calls.path("path_create_directory", name);
	for (const name of ["file", "other"]) calls.create(name);
	assert.equal(
		[
			calls.rename("file", "dir"),
			calls.rename("dir", "file"),
			calls.rename("dir", "full"),
			calls.rename("dir", "dir/below"),
			calls.rename("none", "new"),
			calls.rename("file", "../new"),
			calls.rename("dir/", "empty"),
			calls.rename("empty", "moved/"),
			calls.rename("moved/", "dir/"),
			calls.rename("file", "other"),
			calls.rename("other", "other"),
		],
		[
			"ISDIR",
			"NOTDIR",
			"NOTEMPTY",
			"INVAL",
			"NOENT",
			"PERM",
			"SUCCESS",
			"SUCCESS",
			"SUCCESS",
			"SUCCESS",
			"SUCCESS",
		],
	);
	assert.equal(
		["dir", "file", "other"].map((name) => typeOf(calls.stat(name))),
		[TYPE.directory, "NOENT", TYPE.regular],
	);
});

test("path_symlink and path_readlink, with less room than the target needs", () => {
	const calls = new Calls();
	calls.path("path_create_directory", "dir");
	calls.create("file");
	assert.equal(
		["new/", "dir", "dir/", "file", "file/", "dir/link", "../x"].map((at) =>
			calls.symlink("target", at),
		),
		["NOENT", "EXIST", "EXIST", "EXIST", "NOTDIR", "SUCCESS", "PERM"],
	);
	assert.equal(
		[10, 6, 4, 0].map((room) => calls.readlink("dir/link", room)),
		["target", "target", "targ", ""],
	);
	assert.equal(
		["file", "dir", "none"].map((path) => calls.readlink(path, 9)),
		["INVAL", "INVAL", "NOENT"],
	);
});

test("path_filestat_set_times sets those of a link, or of what it leads to", () => {
	const calls = new Calls();
	calls.create("file");
	calls.symlink("file", "link");
	const before = calls.stat("file") as Filestat;
	const set = (follow: number, mtim: bigint, flags: number): string =>
		calls.call("path_filestat_set_times", 3, follow, ...calls.put("link"), 7n, mtim, flags);
	assert.is(set(0, 1_000_000_001n, 4), "SUCCESS");
	assert.is((calls.stat("link") as Filestat).mtim, 1_000_000_001n);
	assert.equal(calls.stat("file"), before);
	assert.is(set(1, 2_000_000_002n, 4 | 1), "SUCCESS");
	const { atim, mtim } = calls.stat("file") as Filestat;
	assert.equal([atim, mtim], [7n, 2_000_000_002n]);
	assert.equal(
		[1 | 2, 4 | 8, 16].map((flags) => set(1, 0n, flags)),
		["INVAL", "INVAL", "INVAL"],
	);
	assert.is(set(2, 0n, 4), "INVAL");
	assert.is(set(1, 0n, 2), "SUCCESS");
	assert.is((calls.stat("file") as Filestat).atim, BigInt(calls.world.host.realtime()));
	assert.is((calls.stat("file") as Filestat).mtim, 2_000_000_002n);
});

test("an open of a fifo sleeps until there is the other end", () => {
	const tree = new Tree();
	mkfifo(new Kernel().spawn().main, tree, "fifo");
	const calls = new Calls({ preopens: { "/": tree } });
	const { kernel, host } = calls.world;
	const reader = kernel.spawn().main;
	host.setTimer(3e6, () => openNow(reader, tree, "fifo", O_RDONLY | O_NONBLOCK));
	assert.is(calls.open("fifo", { base: WRITE, fdflags: 4 }), "NXIO");
	assert.is(typeof calls.open("fifo", { base: WRITE }), "number");
	assert.is(host.now(), 3e6);
});

test.run();

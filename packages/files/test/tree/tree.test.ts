// Files and directories by path: what calls do, and the state afterwards.
import {
	close,
	fcntl,
	fork,
	fstat,
	Kernel,
	lseek,
	readNow,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFD, F_GETFL, FD_CLOEXEC, O_APPEND, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { S_IFDIR, S_IFREG } from "@kqpoll/kqueue/stat";
import { writevNow } from "@kqpoll/kqueue/uio";
import { SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CLOEXEC } from "../../src/shared/open-file.ts";
import {
	O_CREAT,
	O_DIRECTORY,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "../../src/shared/vnode-flags.ts";
import { chmod, stat, truncate, utimes } from "../../src/tree/attribute-calls.ts";
import { ftruncate } from "../../src/tree/descriptor-calls.ts";
import { link, mkdir, readdir, rename, rmdir, unlink } from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { Tree } from "../../src/tree/tree.ts";
import { codeOf, type Machine, machine } from "../machine.ts";

interface World extends Machine {
	readonly tree: Tree;
}

function world(): World {
	return { ...machine(), tree: new Tree() };
}

function bytes(...values: number[]): Uint8Array {
	return Uint8Array.from(values);
}

function contents(thread: Thread, tree: Tree, path: string): number[] {
	const fd = openNow(thread, tree, path, O_RDONLY);
	const buffer = new Uint8Array(fstat(thread, fd).size + 1);
	const n = readNow(thread, fd, buffer);
	close(thread, fd);
	return [...buffer.subarray(0, n)];
}

function names(thread: Thread, tree: Tree, path: string): string[] {
	return readdir(thread, tree, path).map(({ name }) => name);
}

test("written bytes are read from the place where they were written", () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	assert.is(writeNow(thread, fd, bytes(1, 2, 3)), 3);
	assert.is(writevNow(thread, fd, [bytes(4), bytes(5, 6)]), 3);
	assert.is(readNow(thread, fd, bytes(0)), 0);
	assert.is(lseek(thread, fd, 1, SEEK_SET), 1);
	const buffer = new Uint8Array(3);
	assert.is(readNow(thread, fd, buffer), 3);
	assert.equal([...buffer], [2, 3, 4]);
	writeNow(thread, fd, bytes(9));
	assert.equal(contents(thread, tree, "f"), [1, 2, 3, 4, 9, 6]);
	assert.equal(
		[
			lseek(thread, fd, -2, SEEK_END),
			lseek(thread, fd, 1, SEEK_CUR),
			lseek(thread, fd, 8, SEEK_SET),
		],
		[4, 5, 8],
	);
	assert.is(readNow(thread, fd, buffer), 0);
	writeNow(thread, fd, bytes(7));
	assert.equal(contents(thread, tree, "f"), [1, 2, 3, 4, 9, 6, 0, 0, 7]);
});

test("descriptors of one open file share its offset, others have their own", () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	const other = openNow(thread, tree, "f", O_RDWR);
	const child = fork(thread).main;
	writeNow(thread, fd, bytes(1, 2));
	writeNow(child, fd, bytes(3));
	writeNow(thread, other, bytes(8));
	assert.equal(contents(thread, tree, "f"), [8, 2, 3]);
	assert.equal([lseek(thread, fd, 0, SEEK_CUR), lseek(thread, other, 0, SEEK_CUR)], [3, 1]);
});

test("with O_APPEND every write goes to the end", () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR | O_APPEND);
	const other = openNow(thread, tree, "f", O_WRONLY);
	writeNow(thread, fd, bytes(1));
	writeNow(thread, other, bytes(5, 6));
	lseek(thread, fd, 0, SEEK_SET);
	writeNow(thread, fd, bytes(2));
	assert.equal(contents(thread, tree, "f"), [5, 6, 2]);
	assert.is(lseek(thread, fd, 0, SEEK_CUR), 3);
	assert.is(fcntl(thread, fd, F_GETFL), O_RDWR | O_APPEND);
});

test("the promise form of a write does not sleep", async () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "f", O_CREAT | O_WRONLY);
	assert.is(await write(thread, fd, new Uint8Array(100_000).fill(3)), 100_000);
	assert.equal(new Set(contents(thread, tree, "f")), new Set([3]));
});

test("truncating a file discards the bytes behind", () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	writeNow(thread, fd, new Uint8Array(40).fill(1));
	ftruncate(thread, fd, 30);
	truncate(thread, tree, "f", 32);
	assert.equal(contents(thread, tree, "f"), [...new Array(30).fill(1), 0, 0]);
	truncate(thread, tree, "f", 2);
	ftruncate(thread, fd, 4);
	assert.equal(contents(thread, tree, "f"), [1, 1, 0, 0]);
	assert.is(lseek(thread, fd, 0, SEEK_CUR), 40);
	close(thread, openNow(thread, tree, "f", O_WRONLY | O_TRUNC));
	truncate(thread, tree, "f", 1);
	assert.equal(contents(thread, tree, "f"), [0]);
});

test("open keeps its flags, returns the lowest descriptor, and makes a missing file", () => {
	const { thread, tree } = world();
	const flags = O_CREAT | O_WRONLY | O_NONBLOCK | O_CLOEXEC;
	assert.is(openNow(thread, tree, "/f", flags, 0o100640), 0);
	assert.is(openNow(thread, tree, "f", O_CREAT | O_RDONLY, 0o777), 1);
	assert.equal(
		[0, 1].map((fd) => [fcntl(thread, fd, F_GETFL), fcntl(thread, fd, F_GETFD)]),
		[
			[O_WRONLY | O_NONBLOCK, FD_CLOEXEC],
			[O_RDONLY, 0],
		],
	);
	assert.is(stat(thread, tree, "f").mode, S_IFREG | 0o640);
	assert.is(openNow(thread, tree, "/", O_DIRECTORY), 2);
	assert.is(openNow(thread, tree, "f", 0x10000000 | O_RDONLY), 3);
	assert.equal(
		[
			codeOf(() => readNow(thread, 0, bytes(0))),
			codeOf(() => writeNow(thread, 1, bytes(0))),
			codeOf(() => ftruncate(thread, 1, 0)),
			codeOf(() => readNow(thread, 2, bytes(0))),
			codeOf(() => writeNow(thread, 2, bytes(0))),
		],
		["EBADF", "EBADF", "EINVAL", "EISDIR", "EBADF"],
	);
});

test("paths may have dots, more slashes than needed, and any characters but NUL", () => {
	const { thread, tree } = world();
	mkdir(thread, tree, "a/");
	mkdir(thread, tree, "/a//b//");
	close(thread, openNow(thread, tree, "a/./b/../ü 🙂\n", O_CREAT));
	assert.equal(names(thread, tree, "a/b/.."), ["b", "ü 🙂\n"]);
	assert.equal(names(thread, tree, "/../../."), ["a"]);
	assert.is(stat(thread, tree, "a/b/../..").ino, stat(thread, tree, "/").ino);
	rename(thread, tree, "a/b/", "c/");
	assert.equal(names(thread, tree, "c/.."), ["a", "c"]);
	const long = "é".repeat(127);
	mkdir(thread, tree, `${long}x`);
	assert.is(
		codeOf(() => mkdir(thread, tree, `${long}xx`)),
		"ENAMETOOLONG",
	);
});

test("links and directories are counted", () => {
	const { thread, tree } = world();
	const links = (...paths: string[]): number[] =>
		paths.map((path) => stat(thread, tree, path).nlink);
	for (const path of ["a", "a/b", "a/b/c", "d"]) mkdir(thread, tree, path);
	const fd = openNow(thread, tree, "a/f", O_CREAT);
	link(thread, tree, "a/f", "d/g");
	assert.equal(links("/", "a", "a/b", "a/b/c", "d", "a/f"), [4, 3, 3, 2, 2, 2]);
	rename(thread, tree, "a/b", "d/b");
	assert.equal(links("/", "a", "d", "d/b", "d/g"), [4, 2, 3, 3, 2]);
	const old = openNow(thread, tree, "a", O_RDONLY);
	unlink(thread, tree, "a/f");
	rename(thread, tree, "d", "a");
	assert.equal(links("/", "a", "a/b"), [3, 3, 3]);
	const nlink = (of: number): unknown => (fstat(thread, of) as { nlink?: number }).nlink;
	assert.equal([nlink(old), nlink(fd)], [0, 1]);
	rmdir(thread, tree, "a/b/c");
	unlink(thread, tree, "a/g");
	assert.equal([links("a/b"), nlink(fd)], [[2], 0]);
	rename(thread, tree, "a/b", "a/h");
	assert.equal([links("/", "a", "a/h"), names(thread, tree, "a")], [[3, 3, 2], ["h"]]);
});

test("fstat tells a file's number, sizes and times", () => {
	const { thread, host, tree } = world();
	const start = host.now();
	const root = { dev: tree.dev, uid: 0, gid: 0 };
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR, 0o600);
	mkdir(thread, tree, "d", 0o1750);
	const f = { mode: S_IFREG | 0o600, size: 0, blksize: 16384, ...root, ino: 3, nlink: 1 };
	assert.equal(stat(thread, tree, "f"), { ...f, atime: start, mtime: start, ctime: start });
	const d = { mode: S_IFDIR | 0o750, size: 512, blksize: 16384, ...root, ino: 4, nlink: 2 };
	assert.equal(stat(thread, tree, "d"), { ...d, atime: start, mtime: start, ctime: start });
	host.advance(1);
	const later = host.now();
	writeNow(thread, fd, bytes(1, 2));
	readdir(thread, tree, "d");
	const written = { ...f, size: 2, atime: start, mtime: later, ctime: later };
	assert.equal(fstat(thread, fd), written);
	assert.equal(stat(thread, tree, "d"), { ...d, atime: later, mtime: start, ctime: start });
	host.advance(1);
	const last = host.now();
	readNow(thread, fd, bytes(1));
	assert.equal(fstat(thread, fd), { ...written, atime: last });
	chmod(thread, tree, "f", S_IFREG | 0o4711);
	utimes(thread, tree, "f", 5, -6);
	const mode = S_IFREG | 0o4711;
	assert.equal(fstat(thread, fd), { ...written, mode, atime: 5, mtime: -6, ctime: last });
	assert.equal(readdir(thread, tree, "/"), [
		{ name: "f", ino: 3, type: S_IFREG },
		{ name: "d", ino: 4, type: S_IFDIR },
	]);
});

test("kernels may share a tree, and trees share nothing", () => {
	const { thread, host, tree } = world();
	const other = new Kernel({ host, diagnostics: true }).spawn().main;
	const mine = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	writeNow(thread, mine, bytes(4));
	assert.equal(contents(other, tree, "f"), [4]);
	assert.equal(names(other, new Tree(), "/"), []);
});

test("many small writes do not copy the file each time", () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	for (let i = 0; i < 200_000; i++) writeNow(thread, fd, bytes(i & 0xff));
	assert.is(fstat(thread, fd).size, 200_000);
});

test.run();

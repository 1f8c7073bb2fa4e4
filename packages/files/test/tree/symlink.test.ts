// Symbolic links: where paths lead through them, and which calls act on a link itself.
import { close, fstat, readNow, type Thread, writeNow } from "@kqpoll/kqueue";
import { S_IFDIR, S_IFLNK, S_IFREG } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "../../src/fcntl.ts";
import {
	chmod,
	link,
	lstat,
	mkdir,
	mkfifo,
	openNow,
	readdir,
	readlink,
	rename,
	revoke,
	rmdir,
	stat,
	symlink,
	Tree,
	truncate,
	unlink,
	unmount,
	utimes,
} from "../../src/index.ts";
import { codeOf, type Machine, machine } from "../machine.ts";

interface World extends Machine {
	readonly tree: Tree;
	/** Makes a file of bytes. */
	readonly put: (path: string, ...bytes: number[]) => void;
	/** What a file holds. */
	readonly get: (path: string) => number[];
	/** The number of what a path leads to, or the error. */
	readonly ino: (path: string) => unknown;
}

/** A tree: d/f and d/e/g are files, d/e is a directory. */
function world(): World {
	const m = machine();
	const { thread } = m;
	const tree = new Tree();
	const put = (path: string, ...bytes: number[]): void => {
		const fd = openNow(thread, tree, path, O_CREAT | O_WRONLY | O_TRUNC);
		writeNow(thread, fd, Uint8Array.from(bytes));
		close(thread, fd);
	};
	const get = (path: string): number[] => {
		const fd = openNow(thread, tree, path, O_RDONLY);
		const bytes = new Uint8Array(fstat(thread, fd).size);
		readNow(thread, fd, bytes);
		close(thread, fd);
		return [...bytes];
	};
	const ino = (path: string): unknown => {
		try {
			return stat(thread, tree, path).ino;
		} catch (error) {
			return (error as { code: string }).code;
		}
	};
	mkdir(thread, tree, "d");
	mkdir(thread, tree, "d/e");
	put("d/f", 1);
	put("d/e/g", 2);
	return { ...m, tree, put, get, ino };
}

function names(thread: Thread, tree: Tree, path: string): string[] {
	return readdir(thread, tree, path).map(({ name }) => name);
}

test("a link is a file of its own, with the length of its path as its size", () => {
	const { thread, host, tree } = world();
	host.advance(1);
	symlink(thread, tree, "e/ü", "d/l");
	const now = host.now();
	assert.equal(lstat(thread, tree, "d/l"), {
		mode: S_IFLNK | 0o777,
		size: 4,
		blksize: 16384,
		dev: tree.dev,
		ino: 7,
		nlink: 1,
		uid: 0,
		gid: 0,
		atime: now,
		mtime: now,
		ctime: now,
	});
	assert.is(readlink(thread, tree, "d/l"), "e/ü");
	assert.equal(readdir(thread, tree, "d"), [
		{ name: "e", ino: 4, type: S_IFDIR },
		{ name: "f", ino: 5, type: S_IFREG },
		{ name: "l", ino: 7, type: S_IFLNK },
	]);
	assert.equal(lstat(thread, tree, "d/f"), stat(thread, tree, "d/f"));
});

test("paths lead through links: relative ones from their directory, others from the root", () => {
	const { thread, tree, ino } = world();
	const links: Record<string, string> = {
		"d/up": "../d/f",
		"d/down": "e",
		"d/e/root": "/d",
		"d/chain": "down/root/up",
		top: "/",
		self: ".",
		slashes: "//d///e//",
	};
	for (const [path, target] of Object.entries(links)) symlink(thread, tree, target, path);
	const [d, e, f, g] = ["d", "d/e", "d/f", "d/e/g"].map(ino);
	const leads: Record<string, unknown> = {
		"d/up": f,
		"d/down": e,
		"d/down/": e,
		"d/down/g": g,
		"d/down/..": d,
		"d/down/root": d,
		"d/down/root/../d/e/root/f": f,
		"d/chain": f,
		top: 2,
		"top/d": d,
		"top/top/self/..//d": d,
		"slashes/g": g,
		"d/up/": "ENOTDIR",
		"d/up/x": "ENOTDIR",
		"d/chain/..": "ENOTDIR",
		"d/down/x": "ENOENT",
		"d/down/x/y": "ENOENT",
	};
	assert.equal(Object.fromEntries(Object.keys(leads).map((path) => [path, ino(path)])), leads);
});

test("a path leads through 32 links, and not through 33", () => {
	const { thread, tree, ino } = world();
	symlink(thread, tree, "d/f", "1");
	for (let i = 2; i <= 33; i++) symlink(thread, tree, `${i - 1}`, `${i}`);
	symlink(thread, tree, ".", "here");
	const through = (n: number): string => "here/".repeat(n);
	assert.equal(
		[ino("32"), ino("33"), ino(`${through(31)}1`), ino(`${through(31)}2`)],
		[ino("d/f"), "ELOOP", ino("d/f"), "ELOOP"],
	);
	assert.equal([ino(through(32)), ino(through(33))], [2, "ELOOP"]);
	symlink(thread, tree, "loop", "loop");
	symlink(thread, tree, "pong", "ping");
	symlink(thread, tree, "ping/x", "pong");
	assert.equal([ino("loop"), ino("ping"), ino("loop/x")], ["ELOOP", "ELOOP", "ELOOP"]);
});

test("the path of a link and what follows it must be a path together", () => {
	const { thread, tree, ino } = world();
	const target = (length: number): string => "d/..".padEnd(length, "/.");
	symlink(thread, tree, target(1020), "long");
	symlink(thread, tree, target(1023), "longer");
	assert.equal(["long", "long/.", "long/d", "long/..", "longer"].map(ino), [
		2,
		2,
		3,
		"ENAMETOOLONG",
		"ENAMETOOLONG",
	]);
	assert.is(readlink(thread, tree, "longer").length, 1023);
	assert.equal(
		["x".repeat(1024), "é".repeat(512)].map((path) =>
			codeOf(() => symlink(thread, tree, path, "new")),
		),
		["ENAMETOOLONG", "ENAMETOOLONG"],
	);
	symlink(thread, tree, "n".repeat(256), "name");
	assert.is(ino("name"), "ENAMETOOLONG");
});

test("a link may lead to nothing, and to the empty path", () => {
	const { thread, tree, ino } = world();
	symlink(thread, tree, "nothing", "l");
	symlink(thread, tree, "", "empty");
	assert.equal(
		[ino("l"), ino("l/"), ino("l/x"), ino("empty"), ino("empty/d")],
		["ENOENT", "ENOENT", "ENOENT", "ENOENT", "ENOENT"],
	);
	assert.equal([readlink(thread, tree, "empty"), lstat(thread, tree, "empty").size], ["", 0]);
	for (const act of [truncate, chmod])
		assert.is(
			codeOf(() => act(thread, tree, "l", 0)),
			"ENOENT",
		);
	mkdir(thread, tree, "nothing");
	assert.is(ino("l"), ino("nothing"));
});

test("open follows a link, and makes the file that it leads to", () => {
	const { thread, tree, put, get, ino } = world();
	symlink(thread, tree, "e/new", "d/l");
	symlink(thread, tree, "/d/l", "again");
	symlink(thread, tree, "none/new", "lost");
	put("again", 7, 8);
	assert.equal([get("d/e/new"), get("d/l"), ino("again")], [[7, 8], [7, 8], ino("d/e/new")]);
	put("d/l", 9);
	assert.equal(get("d/e/new"), [9]);
	unlink(thread, tree, "d/e/new");
	const codes = (path: string, ...flags: number[]): unknown[] =>
		flags.map((flag) => codeOf(() => openNow(thread, tree, path, flag)));
	assert.equal(
		[
			codes("again", O_RDONLY, O_CREAT | O_EXCL, O_CREAT | O_NOFOLLOW, O_CREAT | O_DIRECTORY),
			codes("again/", O_RDONLY, O_CREAT),
			codes("lost", O_RDONLY, O_CREAT, O_NOFOLLOW),
		],
		[
			["ENOENT", "EEXIST", "ELOOP", "EINVAL"],
			["ENOENT", "ENOENT"],
			["ENOENT", "ENOENT", "ELOOP"],
		],
	);
	assert.equal(names(thread, tree, "d/e"), ["g"]);
});

test("with O_NOFOLLOW a link at the end of a path cannot be opened", () => {
	const { thread, tree, get } = world();
	symlink(thread, tree, "d", "l");
	symlink(thread, tree, "d/f", "file");
	const code = (path: string, flags: number): unknown =>
		codeOf(() => openNow(thread, tree, path, flags | O_NOFOLLOW));
	assert.equal(
		[
			code("l", O_RDONLY),
			code("l", O_DIRECTORY),
			code("l/", O_DIRECTORY),
			code("l/f", O_RDONLY),
			code("file", O_RDWR | O_TRUNC),
			code("file", O_CREAT | O_EXCL),
			code("d/f", O_RDWR),
			code("l/../l", O_RDONLY),
		],
		["ELOOP", "ELOOP", "no error", "no error", "ELOOP", "EEXIST", "no error", "ELOOP"],
	);
	assert.equal(get("file"), [1]);
});

test("unlink, rename and lstat act on a link, and link on what it leads to", () => {
	const { thread, tree, ino, get } = world();
	symlink(thread, tree, "f", "d/l");
	const l = lstat(thread, tree, "d/l").ino;
	link(thread, tree, "d/l", "hard");
	assert.equal([lstat(thread, tree, "hard").ino, stat(thread, tree, "d/f").nlink], [ino("d/f"), 2]);
	rename(thread, tree, "d/l", "d/e/l");
	assert.equal([lstat(thread, tree, "d/e/l").ino, ino("d/e/l")], [l, "ENOENT"]);
	rename(thread, tree, "d/e/l", "hard");
	assert.equal([lstat(thread, tree, "hard").ino, stat(thread, tree, "d/f").nlink], [l, 1]);
	rename(thread, tree, "d/f", "hard");
	assert.equal([get("hard"), names(thread, tree, "d")], [[1], ["e"]]);
	symlink(thread, tree, "d", "l");
	unlink(thread, tree, "l");
	assert.equal(names(thread, tree, "/"), ["d", "hard"]);
});

test("a link and a directory do not replace each other", () => {
	const { thread, tree } = world();
	symlink(thread, tree, "d", "l");
	const codes = [
		() => rename(thread, tree, "l", "d/e"),
		() => rename(thread, tree, "d", "l"),
		() => rename(thread, tree, "d", "l/"),
		() => rename(thread, tree, "d/f", "l/"),
		() => rmdir(thread, tree, "l"),
		() => mkdir(thread, tree, "l"),
		() => mkdir(thread, tree, "l/"),
		() => mkfifo(thread, tree, "l"),
		() => symlink(thread, tree, "x", "l"),
		() => link(thread, tree, "d/f", "l"),
		() => link(thread, tree, "l", "new"),
	].map(codeOf);
	assert.equal(codes, [
		"EISDIR",
		"ENOTDIR",
		"ENOTDIR",
		"EISDIR",
		"ENOTDIR",
		"EEXIST",
		"EEXIST",
		"EEXIST",
		"EEXIST",
		"EEXIST",
		"EPERM",
	]);
	assert.equal(names(thread, tree, "/"), ["d", "l"]);
});

test("with a slash behind it a link stands for its directory in all calls", () => {
	const { thread, tree } = world();
	symlink(thread, tree, "d/new", "l");
	assert.is(
		codeOf(() => mkdir(thread, tree, "l/")),
		"EEXIST",
	);
	mkdir(thread, tree, "d/new");
	assert.is(lstat(thread, tree, "l/").mode, S_IFDIR | 0o777);
	assert.equal([() => unlink(thread, tree, "l/"), () => readlink(thread, tree, "l/")].map(codeOf), [
		"EPERM",
		"EINVAL",
	]);
	rename(thread, tree, "l/", "moved");
	assert.equal(
		[names(thread, tree, "d"), names(thread, tree, "/")],
		[
			["e", "f"],
			["d", "l", "moved"],
		],
	);
	mkdir(thread, tree, "d/new");
	rmdir(thread, tree, "l/");
	assert.equal(names(thread, tree, "d"), ["e", "f"]);
});

test("calls on attributes follow a link", () => {
	const { thread, host, tree, get } = world();
	symlink(thread, tree, "d/f", "l");
	const before = lstat(thread, tree, "l");
	host.advance(1);
	chmod(thread, tree, "l", 0o600);
	utimes(thread, tree, "l", 5, 6);
	truncate(thread, tree, "l", 2);
	const { mode, atime, size } = stat(thread, tree, "d/f");
	assert.equal([mode, atime, size, get("l")], [S_IFREG | 0o600, 5, 2, [1, 0]]);
	assert.equal(lstat(thread, tree, "l"), before);
});

test("revoke follows a link, and nothing is left of one in a tree that is unmounted", () => {
	const { thread, tree } = world();
	symlink(thread, tree, "d/f", "l");
	const fd = openNow(thread, tree, "l", O_RDWR);
	revoke(thread, tree, "l");
	assert.is(
		codeOf(() => readNow(thread, fd, new Uint8Array(1))),
		"EIO",
	);
	unmount(thread, tree);
	assert.is(
		codeOf(() => readlink(thread, tree, "l")),
		"ENOENT",
	);
});

test("readlink is for links", () => {
	const { thread, tree } = world();
	symlink(thread, tree, "l", "l");
	symlink(thread, tree, "d", "way");
	assert.equal(
		["d", "d/f", "/", "none", "d/f/x", "way/f", "way/none", "l/x"].map((path) =>
			codeOf(() => readlink(thread, tree, path)),
		),
		["EINVAL", "EINVAL", "EINVAL", "ENOENT", "ENOTDIR", "EINVAL", "ENOENT", "ELOOP"],
	);
	assert.is(readlink(thread, tree, "l"), "l");
});

test("a link that cannot be made is not made", () => {
	const { thread, tree } = world();
	const bad: readonly (readonly [unknown, unknown, string])[] = [
		[7, "new", "EFAULT"],
		["a\0b", "new", "EINVAL"],
		["d", 7, "EFAULT"],
		["d", "", "ENOENT"],
		["d", "new/", "ENOENT"],
		["d", "none/new", "ENOENT"],
		["d", "d/f/new", "ENOTDIR"],
		["d", "d", "EEXIST"],
		["d", "/", "EISDIR"],
	];
	assert.equal(
		bad.map(([target, path]) =>
			codeOf(() => symlink(thread, tree, target as string, path as string)),
		),
		bad.map(([, , code]) => code),
	);
	assert.equal(names(thread, tree, "/"), ["d"]);
});

test.run();

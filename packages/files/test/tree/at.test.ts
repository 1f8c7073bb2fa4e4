// The *at family: paths that begin at the directory of a descriptor.
import {
	close,
	fstat,
	kqueue,
	openFile,
	readNow,
	SyntheticFile,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { callEither, callSync } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, UTIME_OMIT } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	fchmodat,
	fchownat,
	fstatat,
	linkat,
	mkdirat,
	mkfifoat,
	openat,
	openatNow,
	readlinkat,
	renameat,
	symlinkat,
	unlinkat,
	utimensat,
} from "../../src/at.ts";
import {
	AT_REMOVEDIR,
	AT_SYMLINK_FOLLOW,
	AT_SYMLINK_NOFOLLOW,
	O_CREAT,
	O_DIRECTORY,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	O_WRONLY,
} from "../../src/fcntl.ts";
import {
	lstat,
	mkdir,
	openNow,
	pipe,
	readdir,
	readlink,
	rename,
	revoke,
	rmdir,
	stat,
	symlink,
	Tree,
	unmount,
} from "../../src/index.ts";
import { openatCall } from "../../src/kernel.ts";
import { codeOf, type Machine, machine, outcome } from "../machine.ts";

interface World extends Machine {
	readonly tree: Tree;
	/** /d, in which there are a directory e and a file f, both also outside of it. */
	readonly d: number;
	/** /d/e. */
	readonly e: number;
	/** /d/f. */
	readonly f: number;
}

function world(): World {
	const m = machine();
	const { thread } = m;
	const tree = new Tree();
	for (const path of ["d", "d/e", "e"]) mkdir(thread, tree, path);
	close(thread, openNow(thread, tree, "f", O_CREAT));
	const f = openNow(thread, tree, "d/f", O_CREAT | O_RDWR);
	const open = (path: string): number => openNow(thread, tree, path, O_RDONLY);
	return { ...m, tree, f, d: open("d"), e: open("d/e") };
}

/** The names below a directory, each with its path. */
function paths(thread: Thread, tree: Tree, path = ""): string[] {
	return readdir(thread, tree, path || "/").flatMap(({ name, type }) => {
		const below = `${path}/${name}`;
		return [below, ...(type === S_IFDIR ? paths(thread, tree, below) : [])];
	});
}

const BEFORE = ["/d", "/d/e", "/d/f", "/e", "/f"];

test("paths begin at the directory of the descriptor, and those with a slash at the root", () => {
	const { thread, tree, d, e } = world();
	const ino = (path: string): number => stat(thread, tree, path).ino;
	assert.equal(
		["f", "e", ".", "..", "../f", "e/../../e", "/f", "//d/f"].map(
			(path) => fstatat(thread, d, path).ino,
		),
		["d/f", "d/e", "d", "/", "f", "e", "f", "d/f"].map(ino),
	);
	assert.is(fstatat(thread, e, "../../../../f").ino, ino("f"));
});

test("names are made, moved and removed where the path leads", () => {
	const { thread, tree, d, e } = world();
	mkdirat(thread, d, "new/", 0o700);
	mkfifoat(thread, d, "new/p", 0o600);
	symlinkat(thread, "new/p", d, "l");
	linkat(thread, d, "f", e, "hard");
	assert.equal(paths(thread, tree), [
		"/d",
		"/d/e",
		"/d/e/hard",
		"/d/f",
		"/d/new",
		"/d/new/p",
		"/d/l",
		"/e",
		"/f",
	]);
	assert.equal(
		["d/new", "d/new/p", "d/l", "d/f"].map((path) => {
			const { mode, nlink } = lstat(thread, tree, path);
			return [mode, nlink];
		}),
		[
			[S_IFDIR | 0o700, 2],
			[S_IFIFO | 0o600, 1],
			[S_IFLNK | 0o777, 1],
			[S_IFREG | 0o666, 2],
		],
	);
	assert.is(readlinkat(thread, d, "l"), "new/p");
	renameat(thread, d, "new/p", e, "../../p");
	renameat(thread, d, "l", e, "l");
	unlinkat(thread, d, "new", AT_REMOVEDIR);
	unlinkat(thread, e, "hard");
	unlinkat(thread, e, "/f");
	assert.equal(paths(thread, tree), ["/d", "/d/e", "/d/e/l", "/d/f", "/e", "/p"]);
	assert.is(readlink(thread, tree, "d/e/l"), "new/p");
});

test("openat opens and makes files, and a directory that it opens is one to begin at", async () => {
	const { thread, tree, d } = world();
	const made = openatNow(thread, d, "e/new", O_CREAT | O_WRONLY, 0o640);
	writeNow(thread, made, Uint8Array.of(4));
	const directory = await openat(thread, d, "e", O_DIRECTORY);
	const again = callEither(thread, "openat", null, openatCall, directory, "new", O_RDONLY);
	const blocking = callSync(thread, "openat", null, openatCall, directory, "../f", O_RDONLY);
	assert.is(readNow(thread, again as number, new Uint8Array(9)), 1);
	assert.equal(fstat(thread, blocking as number), stat(thread, tree, "d/f"));
	assert.is(stat(thread, tree, "d/e/new").mode, S_IFREG | 0o640);
	const absolute = openatNow(thread, d, "/made", O_CREAT);
	assert.equal(fstat(thread, absolute), stat(thread, tree, "made"));
});

test("openat of a fifo waits for its other end, and its errors name the call", async () => {
	const { thread, d, host } = world();
	mkfifoat(thread, d, "p");
	const message = (call: () => unknown): string => {
		try {
			call();
		} catch (error) {
			return (error as Error).message;
		}
		return "no error";
	};
	assert.match(
		message(() => openatNow(thread, d, "p", O_RDONLY)),
		/^EAGAIN: .*, openat \(p is not open/,
	);
	assert.match(
		message(() => openatNow(thread, d, "none", O_RDONLY)),
		/^ENOENT: .*, openat \(none\)/,
	);
	const other = thread.process.spawnThread();
	const reading = outcome(openat(thread, d, "p", O_RDONLY));
	host.settle();
	assert.is(thread.state, "asleep");
	const writer = await openat(other, d, "p", O_WRONLY);
	host.settle();
	const reader = (await reading) as number;
	writeNow(other, writer, Uint8Array.of(1));
	assert.is(readNow(thread, reader, new Uint8Array(2)), 1);
});

test("flags say whether a link at the end of a path is followed", () => {
	const { thread, host, tree, d } = world();
	symlink(thread, tree, "f", "d/l");
	const f = stat(thread, tree, "d/f");
	const l = lstat(thread, tree, "d/l");
	assert.equal(
		[0, AT_SYMLINK_NOFOLLOW].map((flags) => fstatat(thread, d, "l", flags)),
		[f, l],
	);
	host.advance(1);
	const ctime = host.now();
	const omit = { sec: 0, nsec: UTIME_OMIT };
	fchmodat(thread, d, "l", 0o600);
	fchownat(thread, d, "l", 1, 2);
	utimensat(thread, d, "l", [{ sec: 0, nsec: 5 }, omit]);
	fchmodat(thread, d, "l", 0o700, AT_SYMLINK_NOFOLLOW);
	fchownat(thread, d, "l", 3, -1, AT_SYMLINK_NOFOLLOW);
	utimensat(thread, d, "l", [omit, { sec: 1, nsec: 0 }], AT_SYMLINK_NOFOLLOW);
	assert.equal(
		[stat(thread, tree, "d/f"), lstat(thread, tree, "d/l")],
		[
			{ ...f, mode: S_IFREG | 0o600, uid: 1, gid: 2, atime: 5, ctime },
			{ ...l, mode: S_IFLNK | 0o700, uid: 3, mtime: 1e9, ctime },
		],
	);
	utimensat(thread, d, "l", null);
	const { atime, mtime } = stat(thread, tree, "d/f");
	assert.equal([atime, mtime], [ctime, ctime]);
	linkat(thread, d, "l", d, "one");
	linkat(thread, d, "l", d, "two", AT_SYMLINK_FOLLOW);
	assert.equal(
		["one", "two"].map((path) => fstatat(thread, d, path, AT_SYMLINK_NOFOLLOW).ino),
		[l.ino, f.ino],
	);
	assert.is(
		codeOf(() => openatNow(thread, d, "l", O_NOFOLLOW)),
		"ELOOP",
	);
});

/** All calls of the family on a path. */
function all(thread: Thread, fd: number, path: string): (() => unknown)[] {
	return [
		() => openatNow(thread, fd, path, O_RDONLY),
		() => openatNow(thread, fd, path, O_CREAT),
		() => fstatat(thread, fd, path),
		() => mkdirat(thread, fd, path),
		() => mkfifoat(thread, fd, path),
		() => unlinkat(thread, fd, path),
		() => unlinkat(thread, fd, path, AT_REMOVEDIR),
		() => renameat(thread, fd, path, fd, "moved"),
		() => linkat(thread, fd, path, fd, "hard"),
		() => symlinkat(thread, "x", fd, path),
		() => readlinkat(thread, fd, path),
		() => fchmodat(thread, fd, path, 0),
		() => fchownat(thread, fd, path, 0, 0),
		() => utimensat(thread, fd, path, null),
	];
}

function codes(thread: Thread, fd: number, path: string): unknown[] {
	return [...new Set(all(thread, fd, path).map(codeOf))];
}

test("a descriptor that is not a directory's is refused", () => {
	const { thread, tree, d, e, f } = world();
	const [r] = pipe(thread);
	const stream = openFile(thread, new SyntheticFile());
	assert.equal(
		[99, -1, Number.NaN, r, stream, kqueue(thread), f].map((fd) => codes(thread, fd, "new")),
		[["EBADF"], ["EBADF"], ["EBADF"], ["ENOTDIR"], ["ENOTDIR"], ["ENOTDIR"], ["ENOTDIR"]],
	);
	assert.equal(
		[
			() => renameat(thread, d, "f", 99, "new"),
			() => renameat(thread, d, "f", f, "new"),
			() => linkat(thread, d, "f", 99, "new"),
			() => linkat(thread, d, "f", f, "new"),
		].map(codeOf),
		["EBADF", "ENOTDIR", "EBADF", "ENOTDIR"],
	);
	assert.equal(paths(thread, tree), BEFORE);
	revoke(thread, tree, "d/e");
	assert.equal(codes(thread, e, "new"), ["ENOTDIR"]);
	assert.is(fstatat(thread, f, "/e").ino, stat(thread, tree, "e").ino);
	assert.is(fstatat(thread, e, "/f").ino, stat(thread, tree, "f").ino);
	unmount(thread, tree);
	assert.equal([codes(thread, d, "new"), codes(thread, d, "/new")], [["ENOENT"], ["ENOENT"]]);
});

test("other flags, and what is not a path, are refused", () => {
	const { thread, tree, d } = world();
	const flags = [AT_REMOVEDIR | 1, 0.5, Number.NaN, "0" as unknown as number];
	for (const flag of flags)
		assert.equal(
			[
				() => unlinkat(thread, d, "f", flag),
				() => linkat(thread, d, "f", d, "new", flag),
				() => fstatat(thread, d, "f", flag),
				() => fchmodat(thread, d, "f", 0, flag),
				() => fchownat(thread, d, "f", 0, 0, flag),
				() => utimensat(thread, d, "f", null, flag),
			].map(codeOf),
			new Array(6).fill("EINVAL"),
		);
	assert.equal(
		[
			() => fchmodat(thread, d, "f", 0o200000),
			() => fchownat(thread, d, "f", -2, 0),
			() => utimensat(thread, d, "f", [] as never),
			() => mkdirat(thread, d, "new", 0.5),
			() => mkfifoat(thread, d, "new", 0.5),
		].map(codeOf),
		["EINVAL", "EINVAL", "EFAULT", "EINVAL", "EINVAL"],
	);
	assert.equal(
		["", "a\0", 7, "none/x", "f/x", "n".repeat(256)].map((path) =>
			codes(thread, d, path as string),
		),
		[["ENOENT"], ["EINVAL"], ["EFAULT"], ["ENOENT"], ["ENOTDIR"], ["ENAMETOOLONG"]],
	);
	assert.equal(paths(thread, tree), BEFORE);
});

test("in a removed directory there is nothing, and nothing can be made", () => {
	const { thread, tree, d, e } = world();
	rmdir(thread, tree, "d/e");
	assert.equal(
		["new", ".", "..", "../f"].map((path) => codes(thread, e, path)),
		[["ENOENT"], ["ENOENT"], ["ENOENT"], ["ENOENT"]],
	);
	assert.is(
		codeOf(() => renameat(thread, d, "f", e, "new")),
		"ENOENT",
	);
	assert.equal(fstatat(thread, e, "/d"), fstat(thread, d));
	assert.equal(paths(thread, tree), ["/d", "/d/f", "/e", "/f"]);
});

test("a directory that was moved is where the paths begin", () => {
	const { thread, tree, d } = world();
	rename(thread, tree, "d", "e/d");
	mkdirat(thread, d, "../new");
	assert.equal(paths(thread, tree), ["/e", "/e/d", "/e/d/e", "/e/d/f", "/e/new", "/f"]);
});

test("names cannot be in two trees", () => {
	const { thread, tree, d } = world();
	const other = new Tree();
	const root = openNow(thread, other, "/", O_RDONLY);
	assert.equal(
		[
			() => renameat(thread, d, "f", root, "f"),
			() => renameat(thread, d, "e", root, "e"),
			() => linkat(thread, d, "f", root, "f"),
			() => linkat(thread, d, "e", root, "e"),
		].map(codeOf),
		["EXDEV", "EXDEV", "EXDEV", "EPERM"],
	);
	assert.equal([paths(thread, tree), paths(thread, other)], [BEFORE, []]);
});

test.run();

// Bad input to calls on files and directories: the right errno, and nothing changed.
import {
	close,
	fstat,
	lseek,
	openFile,
	readNow,
	SyntheticFile,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { O_APPEND } from "@kqpoll/kqueue/fcntl";
import { S_IFDIR, S_IFREG } from "@kqpoll/kqueue/stat";
import { closefrom, SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
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
} from "../../src/shared/vnode-flags.ts";
import {
	chmod,
	chown,
	lchown,
	lstat,
	stat,
	truncate,
	utimes,
} from "../../src/tree/attribute-calls.ts";
import { ftruncate } from "../../src/tree/descriptor-calls.ts";
import {
	link,
	mkdir,
	mkfifo,
	readdir,
	readlink,
	rename,
	rmdir,
	symlink,
	unlink,
} from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { revoke } from "../../src/tree/revoke-calls.ts";
import { LINK_MAX, Tree } from "../../src/tree/tree.ts";
import { codeOf, machine } from "../machine.ts";

/** The bits of a mode that are the type. */
const S_IFMT = 0o170000;

interface World {
	readonly thread: Thread;
	readonly tree: Tree;
	/** /d/f, for reading and writing. */
	readonly rw: number;
	/** The same for reading. */
	readonly r: number;
	/** The same for writing. */
	readonly w: number;
	/** /d. */
	readonly directory: number;
	/** No file of a tree. */
	readonly socket: number;
}

function world(maxFileSize = 100): World {
	const { thread } = machine();
	const tree = new Tree({ maxFileSize });
	for (const path of ["d", "e", "e/full"]) mkdir(thread, tree, path);
	for (const path of ["d/f", "e/full/x"]) close(thread, openNow(thread, tree, path, O_CREAT));
	symlink(thread, tree, "loop", "loop");
	symlink(thread, tree, "../d/f", "e/link");
	symlink(thread, tree, "full", "e/way");
	const rw = openNow(thread, tree, "d/f", O_RDWR);
	writeNow(thread, rw, new Uint8Array(10).fill(7));
	return {
		thread,
		tree,
		rw,
		r: openNow(thread, tree, "d/f", O_RDONLY),
		w: openNow(thread, tree, "d/f", O_WRONLY),
		directory: openNow(thread, tree, "d", O_RDONLY),
		socket: openFile(thread, new SyntheticFile()),
	};
}

/** The whole state of a tree, and of the descriptors of the world. */
function snapshot(w: World): unknown {
	const { thread, tree } = w;
	const all: unknown[] = [];
	const visit = (path: string): void => {
		const known = lstat(thread, tree, path);
		const reader = (known.mode & S_IFMT) !== S_IFREG ? null : openNow(thread, tree, path, O_RDONLY);
		const bytes = new Uint8Array(reader === null ? 0 : known.size);
		if (reader !== null) {
			readNow(thread, reader, bytes);
			close(thread, reader);
		}
		all.push([path, known, bytes]);
		if ((known.mode & S_IFMT) === S_IFDIR)
			for (const { name } of readdir(thread, tree, path)) visit(`${path}/${name}`);
	};
	visit("/");
	const fds = [w.rw, w.r, w.w, w.directory].map((fd) => lseek(thread, fd, 0, SEEK_CUR));
	return [all, fds, [...thread.process.fdp.open()]];
}

type Case = readonly [code: string, what: string, call: (w: World) => unknown];

const LONG_NAME = "n".repeat(256);
const LONG_PATH = "d/".repeat(512);

/** Every call on a path, with a wrong path. */
function onPath(code: string, path: unknown, what: string): Case[] {
	const p = path as string;
	return [
		[code, `open ${what}`, ({ thread, tree }) => openNow(thread, tree, p, O_RDONLY)],
		[code, `stat ${what}`, ({ thread, tree }) => stat(thread, tree, p)],
		[code, `lstat ${what}`, ({ thread, tree }) => lstat(thread, tree, p)],
		[code, `readlink ${what}`, ({ thread, tree }) => readlink(thread, tree, p)],
		[code, `chown ${what}`, ({ thread, tree }) => chown(thread, tree, p, 1, 1)],
		[code, `lchown ${what}`, ({ thread, tree }) => lchown(thread, tree, p, 1, 1)],
		[code, `truncate ${what}`, ({ thread, tree }) => truncate(thread, tree, p, 1)],
		[code, `chmod ${what}`, ({ thread, tree }) => chmod(thread, tree, p, 0)],
		[code, `utimes ${what}`, ({ thread, tree }) => utimes(thread, tree, p, 1, 1)],
		[code, `readdir ${what}`, ({ thread, tree }) => readdir(thread, tree, p)],
		[code, `revoke ${what}`, ({ thread, tree }) => revoke(thread, tree, p)],
		[code, `unlink ${what}`, ({ thread, tree }) => unlink(thread, tree, p)],
		[code, `rmdir ${what}`, ({ thread, tree }) => rmdir(thread, tree, p)],
		[code, `link ${what}`, ({ thread, tree }) => link(thread, tree, p, "new")],
		[code, `rename ${what}`, ({ thread, tree }) => rename(thread, tree, p, "new")],
	];
}

/** Every call that makes a name, with a wrong name. */
function onNewName(code: string, path: unknown, what: string): Case[] {
	const p = path as string;
	return [
		[code, `create ${what}`, ({ thread, tree }) => openNow(thread, tree, p, O_CREAT | O_RDWR)],
		[code, `symlink ${what}`, ({ thread, tree }) => symlink(thread, tree, "d", p)],
		[code, `mkfifo ${what}`, ({ thread, tree }) => mkfifo(thread, tree, p)],
		[code, `link to ${what}`, ({ thread, tree }) => link(thread, tree, "d/f", p)],
		[code, `rename to ${what}`, ({ thread, tree }) => rename(thread, tree, "d/f", p)],
		[code, `rename a directory to ${what}`, ({ thread, tree }) => rename(thread, tree, "e", p)],
	];
}

const CASES: readonly Case[] = [
	...onPath("ENOENT", "none", "a missing file"),
	...onPath("ENOENT", "none/", "a missing file, with a slash"),
	...onPath("ENOENT", "none/x", "a file in a missing directory"),
	...onPath("ENOENT", "none/..", "the parent of a missing file"),
	...onPath("ENOENT", "", "an empty path"),
	...onPath("ENOTDIR", "d/f/x", "a name below a file"),
	...onPath("ENOTDIR", "d/f/..", "the parent of a file, by the file"),
	...onPath("ENOTDIR", "d/f/", "a file with a slash"),
	...onPath("ELOOP", "loop/x", "a name below a loop"),
	...onPath("ELOOP", "loop/", "a loop with a slash"),
	...onPath("ENOTDIR", "e/link/x", "a name below a link to a file"),
	...onPath("ENOTDIR", "e/link/", "a link to a file, with a slash"),
	...onPath("ENOENT", "e/way/none/x", "a missing directory by a link"),
	...onPath("ENAMETOOLONG", LONG_NAME, "a long name"),
	...onPath("ENAMETOOLONG", `${LONG_NAME}/x`, "a name below a long name"),
	...onPath("ENAMETOOLONG", LONG_PATH, "a long path"),
	...onPath("ENAMETOOLONG", "\u00e9".repeat(128), "a name with many bytes"),
	...onPath("EFAULT", 7, "a number"),
	...onPath("EFAULT", undefined, "nothing"),
	...onPath("EINVAL", "d\0f", "a path with a NUL"),
	...onNewName("ENOENT", "none/new", "a file in a missing directory"),
	...onNewName("ENOENT", "", "an empty path"),
	...onNewName("ENOTDIR", "d/f/new", "a name below a file"),
	...onNewName("ELOOP", "loop/new", "a name below a loop"),
	...onNewName("ENOTDIR", "e/link/new", "a name below a link to a file"),
	...onNewName("ENAMETOOLONG", LONG_NAME, "a long name"),
	...onNewName("ENAMETOOLONG", LONG_PATH, "a long path"),
	...onNewName("EFAULT", null, "nothing"),
	...onNewName("EINVAL", "\0", "a NUL"),
	...onNewName("EISDIR", "/", "the root"),
	...onNewName("EISDIR", "//", "the root with slashes"),
	["ENOENT", "create with a slash", ({ thread, tree }) => openNow(thread, tree, "new/", O_CREAT)],
	["ENOENT", "link with a slash", ({ thread, tree }) => link(thread, tree, "d/f", "new/")],
	["ENOENT", "rename with a slash", ({ thread, tree }) => rename(thread, tree, "d/f", "new/")],
	["EINVAL", "access mode 3", ({ thread, tree }) => openNow(thread, tree, "d/f", 3)],
	["EINVAL", "half a flag", ({ thread, tree }) => openNow(thread, tree, "d/f", 0.5)],
	["EINVAL", "no flags", ({ thread, tree }) => openNow(thread, tree, "d/f", undefined as never)],
	["EINVAL", "O_TRUNC to read", ({ thread, tree }) => openNow(thread, tree, "d/f", O_TRUNC)],
	["EINVAL", "a mode", ({ thread, tree }) => openNow(thread, tree, "new", O_CREAT, Number.NaN)],
	[
		"EINVAL",
		"O_CREAT of a directory",
		({ thread, tree }) => openNow(thread, tree, "new", O_CREAT | O_DIRECTORY),
	],
	[
		"EEXIST",
		"O_EXCL of a file",
		({ thread, tree }) => openNow(thread, tree, "d/f", O_CREAT | O_EXCL | O_RDWR | O_TRUNC),
	],
	[
		"EEXIST",
		"O_EXCL of a directory",
		({ thread, tree }) => openNow(thread, tree, "d", O_CREAT | O_EXCL),
	],
	[
		"ENOTDIR",
		"O_DIRECTORY of a file",
		({ thread, tree }) => openNow(thread, tree, "d/f", O_DIRECTORY),
	],
	["EISDIR", "a directory to write", ({ thread, tree }) => openNow(thread, tree, "d", O_WRONLY)],
	[
		"EISDIR",
		"truncate a directory",
		({ thread, tree }) => openNow(thread, tree, "d", O_RDWR | O_TRUNC),
	],
	["EISDIR", "truncate a directory", ({ thread, tree }) => truncate(thread, tree, "d", 0)],
	["EINVAL", "truncate below 0", ({ thread, tree }) => truncate(thread, tree, "d/f", -1)],
	["EINVAL", "truncate to a half", ({ thread, tree }) => truncate(thread, tree, "d/f", 0.5)],
	["EFBIG", "truncate too far", ({ thread, tree }) => truncate(thread, tree, "d/f", 101)],
	["EINVAL", "ftruncate below 0", ({ thread, rw }) => ftruncate(thread, rw, -1)],
	["EFBIG", "ftruncate too far", ({ thread, rw }) => ftruncate(thread, rw, 101)],
	["EINVAL", "ftruncate to read", ({ thread, r }) => ftruncate(thread, r, 0)],
	["EINVAL", "ftruncate a directory", ({ thread, directory }) => ftruncate(thread, directory, 0)],
	["EINVAL", "ftruncate a socket", ({ thread, socket }) => ftruncate(thread, socket, 0)],
	["EBADF", "ftruncate nothing", ({ thread }) => ftruncate(thread, 99, 0)],
	["EBADF", "read from a writer", ({ thread, w }) => readNow(thread, w, new Uint8Array(1))],
	["EBADF", "write to a reader", ({ thread, r }) => writeNow(thread, r, new Uint8Array(1))],
	[
		"EISDIR",
		"read a directory",
		({ thread, directory }) => readNow(thread, directory, new Uint8Array(1)),
	],
	[
		"EBADF",
		"write a directory",
		({ thread, directory }) => writeNow(thread, directory, new Uint8Array(1)),
	],
	["EFAULT", "read into nothing", ({ thread, r }) => readNow(thread, r, null as never)],
	["EFBIG", "write too far", ({ thread, rw }) => writeNow(thread, rw, new Uint8Array(91))],
	[
		"EFBIG",
		"append too much",
		({ thread, tree }) => {
			const fd = openNow(thread, tree, "d/f", O_WRONLY | O_APPEND);
			try {
				writeNow(thread, fd, new Uint8Array(91));
			} finally {
				close(thread, fd);
			}
		},
	],
	["EINVAL", "seek before the beginning", ({ thread, rw }) => lseek(thread, rw, -11, SEEK_CUR)],
	[
		"EINVAL",
		"seek before the end of nothing",
		({ thread, rw }) => lseek(thread, rw, -11, SEEK_END),
	],
	["EINVAL", "seek a half", ({ thread, rw }) => lseek(thread, rw, 0.5, SEEK_SET)],
	["EINVAL", "seek from nowhere", ({ thread, rw }) => lseek(thread, rw, 0, 3)],
	[
		"EOVERFLOW",
		"seek too far",
		({ thread, rw }) => lseek(thread, rw, Number.MAX_SAFE_INTEGER, SEEK_CUR),
	],
	["EINVAL", "chmod more bits", ({ thread, tree }) => chmod(thread, tree, "d/f", 0o200000)],
	["EINVAL", "chmod a half", ({ thread, tree }) => chmod(thread, tree, "d/f", 0.5)],
	["EINVAL", "utimes never", ({ thread, tree }) => utimes(thread, tree, "d/f", Number.NaN, 0)],
	[
		"EINVAL",
		"utimes with Infinity",
		({ thread, tree }) => utimes(thread, tree, "d/f", 0, Infinity),
	],
	["ENOTDIR", "readdir of a file", ({ thread, tree }) => readdir(thread, tree, "d/f")],
	["EINVAL", "readlink of a file", ({ thread, tree }) => readlink(thread, tree, "e/way/../../d/f")],
	["EEXIST", "symlink of a link", ({ thread, tree }) => symlink(thread, tree, "x", "loop")],
	["EEXIST", "symlink of a directory", ({ thread, tree }) => symlink(thread, tree, "x", "d")],
	["ENOENT", "symlink with a slash", ({ thread, tree }) => symlink(thread, tree, "x", "new/")],
	["ENAMETOOLONG", "a long target", ({ thread, tree }) => symlink(thread, tree, LONG_PATH, "new")],
	["EFAULT", "no target", ({ thread, tree }) => symlink(thread, tree, 7 as never, "new")],
	["EINVAL", "a target with a NUL", ({ thread, tree }) => symlink(thread, tree, "\0", "new")],
	["EEXIST", "mkdir of a link", ({ thread, tree }) => mkdir(thread, tree, "e/way/")],
	["EEXIST", "mkdir of a file with a slash", ({ thread, tree }) => mkdir(thread, tree, "d/f/")],
	["ENOTDIR", "rmdir of a link", ({ thread, tree }) => rmdir(thread, tree, "e/way")],
	["ENOTEMPTY", "rmdir by a link", ({ thread, tree }) => rmdir(thread, tree, "e/way/")],
	["EPERM", "unlink by a link", ({ thread, tree }) => unlink(thread, tree, "e/way/")],
	["EPERM", "link a directory by a link", ({ thread, tree }) => link(thread, tree, "e/way", "new")],
	["ELOOP", "link a loop", ({ thread, tree }) => link(thread, tree, "loop", "new")],
	["ELOOP", "stat of a loop", ({ thread, tree }) => stat(thread, tree, "loop")],
	["ELOOP", "create by a loop", ({ thread, tree }) => openNow(thread, tree, "loop", O_CREAT)],
	[
		"ELOOP",
		"O_NOFOLLOW of a link",
		({ thread, tree }) => openNow(thread, tree, "e/link", O_RDWR | O_NOFOLLOW | O_TRUNC),
	],
	[
		"EEXIST",
		"O_EXCL of a link",
		({ thread, tree }) => openNow(thread, tree, "loop", O_CREAT | O_EXCL),
	],
	["EISDIR", "truncate by a link", ({ thread, tree }) => truncate(thread, tree, "e/way", 0)],
	["EINVAL", "chown to half a user", ({ thread, tree }) => chown(thread, tree, "d/f", 0.5, 0)],
	["EINVAL", "chown to no group", ({ thread, tree }) => chown(thread, tree, "d/f", 0, -2)],
	["EINVAL", "lchown to no user", ({ thread, tree }) => lchown(thread, tree, "d/f", 2 ** 32, 0)],
	["EPERM", "link a directory", ({ thread, tree }) => link(thread, tree, "d", "new")],
	["EEXIST", "link to a file", ({ thread, tree }) => link(thread, tree, "d/f", "e/full/x")],
	["EEXIST", "link to a directory", ({ thread, tree }) => link(thread, tree, "d/f", "e")],
	["EEXIST", "link to itself", ({ thread, tree }) => link(thread, tree, "d/f", "d/f")],
	["EPERM", "unlink a directory", ({ thread, tree }) => unlink(thread, tree, "d")],
	["EISDIR", "unlink the root", ({ thread, tree }) => unlink(thread, tree, "/")],
	["EBUSY", "unlink the root by a path", ({ thread, tree }) => unlink(thread, tree, "d/..")],
	["EEXIST", "mkdir of a directory", ({ thread, tree }) => mkdir(thread, tree, "d")],
	["EEXIST", "mkdir of a file", ({ thread, tree }) => mkdir(thread, tree, "d/f")],
	["EEXIST", "mkdir of a dot", ({ thread, tree }) => mkdir(thread, tree, "d/.")],
	["EISDIR", "mkdir of the root", ({ thread, tree }) => mkdir(thread, tree, "/")],
	["ENOENT", "mkdir nowhere", ({ thread, tree }) => mkdir(thread, tree, "none/new")],
	["ENOTDIR", "mkdir below a file", ({ thread, tree }) => mkdir(thread, tree, "d/f/new")],
	["ENAMETOOLONG", "mkdir of a long name", ({ thread, tree }) => mkdir(thread, tree, LONG_NAME)],
	["EINVAL", "mkdir with a mode", ({ thread, tree }) => mkdir(thread, tree, "new", "7" as never)],
	["ENOTDIR", "rmdir of a file", ({ thread, tree }) => rmdir(thread, tree, "d/f")],
	["ENOTEMPTY", "rmdir of a full one", ({ thread, tree }) => rmdir(thread, tree, "e/full")],
	["ENOTEMPTY", "rmdir by dots", ({ thread, tree }) => rmdir(thread, tree, "e/full/..")],
	["EINVAL", "rmdir of a dot", ({ thread, tree }) => rmdir(thread, tree, "d/.")],
	["EISDIR", "rmdir of the root", ({ thread, tree }) => rmdir(thread, tree, "/")],
	["EBUSY", "rmdir of the root by a path", ({ thread, tree }) => rmdir(thread, tree, "d/..")],
	["EISDIR", "rename the root", ({ thread, tree }) => rename(thread, tree, "/", "new")],
	["EINVAL", "rename a dot", ({ thread, tree }) => rename(thread, tree, "d/.", "new")],
	["EINVAL", "rename two dots", ({ thread, tree }) => rename(thread, tree, "e/full/..", "new")],
	["EISDIR", "rename to a dot", ({ thread, tree }) => rename(thread, tree, "e", "d/.")],
	["EISDIR", "rename a file to dots", ({ thread, tree }) => rename(thread, tree, "d/f", "d/..")],
	["EINVAL", "rename to two dots", ({ thread, tree }) => rename(thread, tree, "e", "d/..")],
	["EISDIR", "rename onto a directory", ({ thread, tree }) => rename(thread, tree, "d/f", "e")],
	["ENOTDIR", "rename onto a file", ({ thread, tree }) => rename(thread, tree, "e", "d/f")],
	[
		"ENOTEMPTY",
		"rename onto a full one",
		({ thread, tree }) => rename(thread, tree, "d", "e/full"),
	],
	["EINVAL", "rename into itself", ({ thread, tree }) => rename(thread, tree, "e", "e/new")],
	[
		"EINVAL",
		"rename deep into itself",
		({ thread, tree }) => rename(thread, tree, "e", "e/full/y"),
	],
];

test("bad input gets its errno and changes nothing", () => {
	const w = world();
	const before = snapshot(w);
	for (const [code, what, call] of CASES) {
		assert.is(
			codeOf(() => call(w)),
			code,
			what,
		);
		// The comparison itself reads files and so changes their times; the clock stands still.
		assert.equal(snapshot(w), before, what);
	}
});

test("a process without room for a descriptor makes no file and truncates none", () => {
	const w = world();
	const { thread, tree } = w;
	thread.process.fdp.limit = w.socket + 1;
	const flags = O_CREAT | O_RDWR | O_TRUNC;
	assert.equal(
		["new", "d/f"].map((path) => codeOf(() => openNow(thread, tree, path, flags))),
		["EMFILE", "EMFILE"],
	);
	assert.is(fstat(thread, w.rw).size, 10);
	closefrom(thread, w.socket);
	assert.equal(
		readdir(thread, tree, "/").map(({ name }) => name),
		["d", "e", "loop"],
	);
});

test("a file for which there is not enough memory does not grow", () => {
	const { thread, tree, rw } = world(Number.MAX_SAFE_INTEGER);
	const far = 2 ** 52;
	assert.is(
		codeOf(() => truncate(thread, tree, "d/f", far)),
		"ENOSPC",
	);
	lseek(thread, rw, far, SEEK_SET);
	assert.is(
		codeOf(() => writeNow(thread, rw, new Uint8Array(1))),
		"ENOSPC",
	);
	assert.equal([fstat(thread, rw).size, lseek(thread, rw, 0, SEEK_CUR)], [10, far]);
});

test("the number of names of a file, and of directories in a directory, is limited", () => {
	const { thread, tree } = world();
	for (let i = 2; i < LINK_MAX; i++) mkdir(thread, tree, `d/${i}`);
	const errors = {
		mkdir: codeOf(() => mkdir(thread, tree, "d/more")),
		move: codeOf(() => rename(thread, tree, "e/full", "d/more")),
		self: codeOf(() => rename(thread, tree, "d", "new")),
	};
	assert.equal(errors, { mkdir: "EMLINK", move: "EMLINK", self: "EMLINK" });
	for (let i = 1; i < LINK_MAX; i++) link(thread, tree, "d/f", `e/${i}`);
	assert.equal(
		[codeOf(() => link(thread, tree, "d/f", "more")), stat(thread, tree, "d/f").nlink],
		["EMLINK", LINK_MAX],
	);
});

test.run();

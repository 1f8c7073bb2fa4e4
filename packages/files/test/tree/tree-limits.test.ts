// The limits of a tree: bytes, names and depth, in all and for each account.
import { close, fork, Kernel, lseek, SystemError, type Thread, writeNow } from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { pwrite, SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CREAT, O_RDWR, O_TRUNC } from "../../src/shared/vnode-flags.ts";
import { stat, truncate } from "../../src/tree/attribute-calls.ts";
import { Directory } from "../../src/tree/directory.ts";
import { unmount } from "../../src/tree/mount-calls.ts";
import {
	link,
	mkdir,
	mkfifo,
	readdir,
	rename,
	rmdir,
	symlink,
	unlink,
} from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { Tree, type TreeOptions } from "../../src/tree/tree.ts";
import { codeOf } from "../machine.ts";

interface World {
	readonly tree: Tree;
	/** Threads of two accounts. */
	readonly one: Thread;
	readonly two: Thread;
}

function world(options: TreeOptions): World {
	const kernel = new Kernel({ host: new VirtualHost(), diagnostics: true });
	return { tree: new Tree(options), one: kernel.spawn().main, two: kernel.spawn().main };
}

function make(thread: Thread, tree: Tree, path: string, size: number): number {
	const fd = openNow(thread, tree, path, O_CREAT | O_RDWR);
	if (size > 0) writeNow(thread, fd, new Uint8Array(size));
	return fd;
}

/** The bytes and names in use. */
function used({ usage }: Tree): [number, number] {
	return [usage.bytes.used, usage.names.used];
}

test("the files that an account makes have no more bytes than its share, and all files no more than the tree", () => {
	const { tree, one, two } = world({ maxBytes: 10, maxAccountBytes: 6 });
	const a = make(one, tree, "a", 6);
	assert.is(
		codeOf(() => make(one, tree, "b", 1)),
		"ENOSPC",
	);
	const c = make(two, tree, "c", 4);
	assert.is(
		codeOf(() => writeNow(two, c, new Uint8Array(1))),
		"ENOSPC",
	);
	lseek(one, a, 3, SEEK_SET);
	assert.is(writeNow(one, a, new Uint8Array(3)), 3, "bytes that are there can be written again");
	assert.is(
		codeOf(() => writeNow(one, a, new Uint8Array(1))),
		"ENOSPC",
	);
	assert.is(stat(one, tree, "a").size, 6, "a write that fails changes nothing");
	truncate(one, tree, "a", 2);
	assert.is(writeNow(two, c, new Uint8Array(2)), 2);
	assert.equal(used(tree), [8, 3]);
});

test("one byte far behind the end is charged with all zeros before it", () => {
	const { tree, one } = world({ maxAccountBytes: 1000 });
	const fd = make(one, tree, "a", 0);
	assert.is(
		codeOf(() => pwrite(one, fd, new Uint8Array(1), 2 ** 30)),
		"ENOSPC",
	);
	assert.is(
		codeOf(() => truncate(one, tree, "a", 1001)),
		"ENOSPC",
	);
	truncate(one, tree, "a", 1000);
	assert.is(
		codeOf(() => pwrite(one, fd, new Uint8Array(1), 1000)),
		"ENOSPC",
	);
	assert.equal(used(tree), [1000, 1]);
});

test("a write to a file of another account uses that account's share", () => {
	const { tree, one, two } = world({ maxAccountBytes: 10 });
	make(one, tree, "a", 10);
	assert.is(
		codeOf(() => make(two, tree, "a", 11)),
		"ENOSPC",
	);
	make(two, tree, "b", 10);
	assert.equal(used(tree), [20, 2]);
});

test("the bytes of a file are free when its last name is gone and it is closed", () => {
	const { tree, one } = world({});
	const fd = make(one, tree, "a", 100);
	link(one, tree, "a", "b");
	unlink(one, tree, "a");
	assert.equal(used(tree), [100, 1], "it has another name");
	unlink(one, tree, "b");
	assert.equal(used(tree), [100, 0], "it is open");
	writeNow(one, fd, new Uint8Array(1));
	assert.equal(used(tree), [101, 0]);
	close(one, fd);
	assert.equal(used(tree), [0, 0]);
	close(one, make(one, tree, "c", 7));
	close(one, make(one, tree, "d", 8));
	rename(one, tree, "c", "d");
	assert.equal(used(tree), [7, 1], "a file that was replaced is gone");
	openNow(one, tree, "d", O_RDWR | O_TRUNC);
	assert.equal(used(tree), [0, 1]);
});

test("the bytes of a file that was removed and revoked are free", () => {
	const { tree, one } = world({});
	const fd = make(one, tree, "a", 5);
	unlink(one, tree, "a");
	make(one, tree, "b", 6);
	unmount(one, tree);
	assert.equal(used(tree), [6, 1]);
	close(one, fd);
	assert.equal(used(tree), [6, 1], "it is counted once");
});

test("an account makes no more names than its share, and all together no more than the tree has", () => {
	const { tree, one, two } = world({ maxNames: 6, maxAccountNames: 4 });
	make(one, tree, "file", 0);
	mkdir(one, tree, "dir");
	mkfifo(one, tree, "dir/fifo");
	symlink(one, tree, "file", "symlink");
	for (const act of [
		() => make(one, tree, "more", 0),
		() => mkdir(one, tree, "more"),
		() => mkfifo(one, tree, "more"),
		() => symlink(one, tree, "file", "more"),
		() => link(one, tree, "file", "more"),
	]) {
		assert.is(codeOf(act), "ENOSPC");
	}
	const names = readdir(one, tree, "/").map(({ name }) => name);
	assert.equal(names, ["file", "dir", "symlink"]);
	link(two, tree, "file", "link");
	make(two, tree, "other", 0);
	assert.is(
		codeOf(() => mkdir(two, tree, "more")),
		"ENOSPC",
	);
	unlink(two, tree, "symlink");
	mkdir(one, tree, "again");
	assert.equal(used(tree), [0, 6]);
});

test("a child makes names for the account of its parent", () => {
	const { tree, one } = world({ maxAccountNames: 1 });
	const child = fork(one).main;
	make(child, tree, "a", 0);
	assert.is(
		codeOf(() => make(one, tree, "b", 0)),
		"ENOSPC",
	);
});

test("a rename needs no room, and a name stays charged to the account that made it", () => {
	const { tree, one, two } = world({ maxNames: 3, maxAccountNames: 2 });
	mkdir(one, tree, "d");
	make(one, tree, "a", 0);
	make(two, tree, "b", 0);
	rename(two, tree, "a", "d/a");
	assert.is(
		codeOf(() => make(one, tree, "c", 0)),
		"ENOSPC",
	);
	rename(one, tree, "b", "d/a");
	assert.is(tree.share(one.process).names.used, 2, "the name that is there is kept");
	make(two, tree, "e", 0);
	assert.equal(used(tree), [0, 3]);
});

test("a directory is no deeper than the tree allows, wherever it is made or moved", () => {
	const { tree, one } = world({ maxDepth: 4 });
	for (const path of ["a", "a/b", "a/b/c", "a/b/c/d"]) mkdir(one, tree, path);
	assert.is(
		codeOf(() => mkdir(one, tree, "a/b/c/d/e")),
		"ENOSPC",
	);
	make(one, tree, "a/b/c/d/file", 0);
	mkdir(one, tree, "x");
	mkdir(one, tree, "x/y");
	assert.is(
		codeOf(() => rename(one, tree, "x", "a/b/c/x")),
		"ENOSPC",
	);
	assert.is(
		codeOf(() => rename(one, tree, "a", "x/a")),
		"ENOSPC",
	);
	rename(one, tree, "x", "a/b/x");
	rename(one, tree, "a/b/c", "c");
	assert.equal(
		readdir(one, tree, "c").map(({ name }) => name),
		["d"],
	);
	mkdir(one, tree, "c/d/e");
});

/** How often the names of a directory are gone through while `act` runs. */
function walks(act: () => void): number {
	const { from } = Directory.prototype;
	let count = 0;
	Directory.prototype.from = function (position) {
		count++;
		return from.call(this, position);
	};
	try {
		act();
	} finally {
		Directory.prototype.from = from;
	}
	return count;
}

test("a directory that moves is gone through only if it may be too deep, and then once", () => {
	const tree = new Tree({ maxDepth: 6 });
	const one = new Kernel({ host: new VirtualHost() }).spawn().main;
	for (const path of ["a", "a/b", "x", "x/y", "x/y/z"]) mkdir(one, tree, path);
	for (let i = 0; i < 100; i++) make(one, tree, `x/file${i}`, 0);
	const back = (): void => {
		for (const [from, to] of [
			["x", "a/b/x"],
			["a/b/x", "x"],
		] as const)
			rename(one, tree, from, to);
	};
	assert.is(walks(back), 0);
	for (const path of ["x/y/z/1", "x/y/z/1/2"]) mkdir(one, tree, path);
	assert.is(codeOf(back), "ENOSPC");
	for (const path of ["x/y/z/1/2", "x/y/z/1"]) rmdir(one, tree, path);
	assert.ok(walks(back) > 0);
	assert.is(walks(back), 0);
	// What was counted again can grow.
	for (const path of ["x/y/z/1", "x/y/z/1/2"]) mkdir(one, tree, path);
	assert.is(codeOf(back), "ENOSPC");
});

test("limits of a tree that are not whole numbers are refused", () => {
	const names = [
		"maxFileSize",
		"maxBytes",
		"maxAccountBytes",
		"maxNames",
		"maxAccountNames",
		"maxDepth",
	];
	for (const name of names) {
		for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1", 1n]) {
			assert.throws(
				() => new Tree({ [name]: wrong }),
				(error: unknown) => error instanceof SystemError && error.code === "EINVAL",
			);
		}
	}
});

test.run();

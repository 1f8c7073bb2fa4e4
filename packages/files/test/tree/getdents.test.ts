// Directories that are read by a descriptor, while names come and go.
import {
	close,
	dup,
	EVFILT_READ,
	fork,
	fstat,
	lseek,
	openFile,
	readNow,
	SyntheticFile,
	type Thread,
} from "@kqpoll/kqueue";
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from "@kqpoll/kqueue/stat";
import { SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CREAT, O_RDONLY, O_WRONLY } from "../../src/fcntl.ts";
import {
	getdents,
	link,
	mkdir,
	mkfifo,
	openNow,
	readdir,
	rename,
	revoke,
	rmdir,
	stat,
	symlink,
	Tree,
	unlink,
} from "../../src/index.ts";
import { codeOf, collect, type Machine, machine } from "../machine.ts";
import { add, world as watched } from "./vnode-world.ts";

interface World extends Machine {
	readonly tree: Tree;
	/** The directory d, in which there is nothing. */
	readonly fd: number;
}

function world(): World {
	const m = machine();
	const tree = new Tree();
	mkdir(m.thread, tree, "d");
	return { ...m, tree, fd: openNow(m.thread, tree, "d", O_RDONLY) };
}

function make(thread: Thread, tree: Tree, ...paths: string[]): void {
	for (const path of paths) close(thread, openNow(thread, tree, path, O_CREAT));
}

function names(thread: Thread, fd: number, count = 100): string {
	return getdents(thread, fd, count)
		.map(({ name }) => name)
		.join(" ");
}

test("getdents returns names with their files, types and positions, and moves the offset", () => {
	const { thread, host, tree, fd } = world();
	host.advance(1);
	make(thread, tree, "d/f");
	mkdir(thread, tree, "d/directory");
	mkfifo(thread, tree, "d/p");
	symlink(thread, tree, "f", "d/ü");
	const { mtime } = stat(thread, tree, "d");
	host.advance(1);
	assert.equal(getdents(thread, fd, 2), [
		{ name: ".", ino: 3, type: S_IFDIR, off: 12 },
		{ name: "..", ino: 2, type: S_IFDIR, off: 24 },
	]);
	assert.is(lseek(thread, fd, 0, SEEK_CUR), 24);
	assert.equal(getdents(thread, fd, 9), [
		{ name: "f", ino: 4, type: S_IFREG, off: 36 },
		{ name: "directory", ino: 5, type: S_IFDIR, off: 56 },
		{ name: "p", ino: 6, type: S_IFIFO, off: 68 },
		{ name: "ü", ino: 7, type: S_IFLNK, off: 80 },
	]);
	const { atime, size, mtime: same } = stat(thread, tree, "d");
	assert.equal([atime, same, size], [host.now(), mtime, 512]);
	assert.equal([lseek(thread, fd, 0, SEEK_CUR), getdents(thread, fd, 9)], [512, []]);
});

test("the descriptors of one open directory share its offset, others have their own", () => {
	const { thread, tree, fd } = world();
	make(thread, tree, "d/a", "d/b");
	const other = openNow(thread, tree, "d", O_RDONLY);
	const child = fork(thread).main;
	assert.equal(
		[
			names(thread, fd, 2),
			names(child, fd, 1),
			names(thread, dup(thread, fd)),
			names(thread, other),
		],
		[". ..", "a", "b", ". .. a b"],
	);
});

test("lseek to the position behind a name goes on there, and to 0 begins again", () => {
	const { thread, tree, fd } = world();
	make(thread, tree, "d/a", "d/b", "d/c");
	const all = getdents(thread, fd, 9);
	for (const [i, { off }] of all.entries()) {
		lseek(thread, fd, off, SEEK_SET);
		assert.equal(getdents(thread, fd, 9), all.slice(i + 1));
	}
	lseek(thread, fd, 0, SEEK_SET);
	assert.equal(getdents(thread, fd, 9), all);
});

test("lseek takes other offsets too, which lead to the next name", () => {
	const { thread, tree, fd } = world();
	make(thread, tree, "d/a", "d/b");
	const from = (offset: number, whence: number): string => {
		lseek(thread, fd, offset, whence);
		return names(thread, fd);
	};
	assert.equal(
		[from(1, SEEK_SET), from(30, SEEK_SET), from(-476, SEEK_CUR), from(0, SEEK_END)],
		[".. a b", "b", "b", ""],
	);
	assert.equal([from(-476, SEEK_END), from(9999, SEEK_SET)], ["b", ""]);
	assert.is(lseek(thread, fd, 0, SEEK_CUR), 9999);
	assert.equal(
		[
			() => lseek(thread, fd, -1, SEEK_SET),
			() => lseek(thread, fd, 0.5, SEEK_SET),
			() => lseek(thread, fd, 0, 3),
		].map(codeOf),
		["EINVAL", "EINVAL", "EINVAL"],
	);
});

test("positions stay good while other names come and go", () => {
	const { thread, tree, fd } = world();
	make(thread, tree, "d/a", "d/b", "d/c", "d/e");
	assert.is(names(thread, fd, 4), ". .. a b");
	unlink(thread, tree, "d/a");
	unlink(thread, tree, "d/c");
	make(thread, tree, "d/f", "d/a");
	assert.is(names(thread, fd), "e f a");
	lseek(thread, fd, 24, SEEK_SET);
	assert.is(names(thread, fd), "b e f a");
});

test("a name that is replaced keeps its position, one that is renamed gets a new one", () => {
	const { thread, tree, fd } = world();
	make(thread, tree, "d/a", "d/b", "d/c", "new");
	const inode = stat(thread, tree, "new").ino;
	const [, , , b] = getdents(thread, fd, 4);
	rename(thread, tree, "new", "d/b");
	rename(thread, tree, "d/a", "d/z");
	lseek(thread, fd, 0, SEEK_SET);
	const [, , again, ...rest] = getdents(thread, fd, 9);
	assert.equal(again, { ...b, ino: inode });
	assert.equal(
		rest.map(({ name }) => name),
		["c", "z"],
	);
	assert.equal(
		readdir(thread, tree, "d").map(({ name }) => name),
		["b", "c", "z"],
	);
});

test("names that are made and removed again and again do not make a directory larger", () => {
	const { thread, tree, fd } = world();
	make(thread, tree, "d/first");
	for (let i = 0; i < 1000; i++) {
		make(thread, tree, `d/${i}`, `d/x${i}`);
		unlink(thread, tree, `d/${i}`);
		unlink(thread, tree, `d/x${i}`);
	}
	assert.equal([names(thread, fd), fstat(thread, fd).size], [". .. first", 512]);
	for (let i = 0; i < 100; i++) link(thread, tree, "d/first", `d/${i}`);
	assert.is(fstat(thread, fd).size, 1536);
	for (let i = 0; i < 99; i++) unlink(thread, tree, `d/${i}`);
	lseek(thread, fd, 0, SEEK_SET);
	assert.is(names(thread, fd), ". .. first 99");
});

test("a removed directory has no names, not even . and ..", () => {
	const { thread, tree, fd } = world();
	rmdir(thread, tree, "d");
	assert.equal([getdents(thread, fd, 9), fstat(thread, fd).size], [[], 0]);
	assert.is(lseek(thread, fd, 0, SEEK_END), 0);
});

test(".. is where the directory was moved to", () => {
	const { thread, tree, fd } = world();
	mkdir(thread, tree, "e");
	rename(thread, tree, "d", "e/d");
	const [, up] = getdents(thread, fd, 9);
	assert.is(up?.ino, stat(thread, tree, "e").ino);
});

test("a watcher for reading is told how much of a directory is left", () => {
	const w = watched();
	const { thread, directory, kq } = w;
	add(w, directory, EVFILT_READ);
	const left = (): number[] => collect(thread, kq).map(([, , , , data]) => data as number);
	assert.equal(left(), [512]);
	getdents(thread, directory, 1);
	assert.equal(left(), [500]);
	getdents(thread, directory, 9);
	assert.equal(left(), []);
});

test("what is not an open directory, or a wrong count, gets its errno", () => {
	const { thread, tree, fd } = world();
	make(thread, tree, "f");
	const file = openNow(thread, tree, "f", O_RDONLY);
	const writer = openNow(thread, tree, "f", O_WRONLY);
	const stream = openFile(thread, new SyntheticFile());
	const code = (of: number, count: unknown = 1): unknown =>
		codeOf(() => getdents(thread, of, count as number));
	assert.equal(
		[
			code(99),
			code(writer),
			code(stream),
			code(file),
			...[0, -1, 0.5, Number.NaN, "1"].map((n) => code(fd, n)),
		],
		["EBADF", "EBADF", ...new Array(7).fill("EINVAL")],
	);
	assert.is(
		codeOf(() => readNow(thread, fd, new Uint8Array(1))),
		"EISDIR",
	);
	revoke(thread, tree, "d");
	assert.is(code(fd), "EBADF");
});

test("a reader sees each name that stays exactly once, whatever comes and goes", () => {
	const name = fc.integer({ min: 0, max: 30 }).map((n) => `d/${"n".repeat(n % 7)}${n}`);
	const step = fc.oneof(
		fc.record({ op: fc.constantFrom("make" as const, "remove" as const), name }),
		fc.record({ op: fc.constant("rename" as const), name, to: name }),
		fc.record({ op: fc.constant("read" as const), count: fc.integer({ min: 1, max: 5 }) }),
	);
	fc.assert(
		fc.property(fc.array(name), fc.array(step, { maxLength: 60, size: "max" }), (before, steps) => {
			const { thread, tree, fd } = world();
			const there = (): string[] => readdir(thread, tree, "d").map((entry) => `d/${entry.name}`);
			make(thread, tree, ...new Set(before));
			const stayed = new Set(there());
			const seen: string[] = [];
			const read = (count: number): number => {
				const found = getdents(thread, fd, count);
				seen.push(...found.map((entry) => `d/${entry.name}`));
				return found.length;
			};
			for (const s of steps) {
				if (s.op === "read") read(s.count);
				else if (s.op === "make") make(thread, tree, s.name);
				else if (s.op === "remove" && there().includes(s.name)) unlink(thread, tree, s.name);
				else if (s.op === "rename" && there().includes(s.name)) rename(thread, tree, s.name, s.to);
				else continue;
				if (s.op === "remove") stayed.delete(s.name);
				if (s.op === "rename" && s.name !== s.to) {
					stayed.delete(s.name);
					stayed.delete(s.to);
				}
			}
			while (read(3) > 0);
			const times = [...stayed].map((path) => [path, seen.filter((p) => p === path).length]);
			assert.equal(
				times,
				[...stayed].map((path) => [path, 1]),
			);
			assert.equal(seen.slice(0, 2), ["d/.", "d/.."]);
		}),
		{ numRuns: 300 },
	);
});

test.run();

// fd_readdir: the names in a directory, piece by piece.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALL, Calls, type Entry, type Filestat, rights } from "./calls.ts";

const MANY = 200;

function list(calls: Calls, room: number, cookie = 0n, fd = 3): Entry[] {
	const answer = calls.readdir(fd, room, cookie);
	if (typeof answer === "string") throw new Error(answer);
	return answer.entries;
}

test("an empty directory has . and .., and every name its number and kind", () => {
	const calls = new Calls();
	calls.path("path_create_directory", "dir");
	calls.create("file");
	calls.symlink("file", "link");
	const numberOf = (path: string): bigint => (calls.stat(path) as Filestat).ino;
	const found = list(calls, 1000).map(({ name, type, ino }) => [name, type, ino]);
	assert.equal(found, [
		[".", 3, numberOf(".")],
		["..", 3, numberOf(".")],
		["dir", 3, numberOf("dir")],
		["file", 4, numberOf("file")],
		["link", 7, numberOf("link")],
	]);
	const dir = calls.open("dir", { oflags: 2, base: rights("fd_readdir") }) as number;
	assert.equal(
		list(calls, 1000, 0n, dir).map(({ name, ino }) => [name, ino]),
		[
			[".", numberOf("dir")],
			["..", numberOf(".")],
		],
	);
});

test("a buffer that is full ends in the middle of a name, and a cookie goes on behind any name", () => {
	const calls = new Calls();
	for (let i = 0; i < MANY; i++) calls.create(`name-${i}`);
	const all = list(calls, 40_000).map(({ name }) => name);
	assert.is(all.length, MANY + 2);
	for (const room of [32, 33, 57, 256, 4096]) {
		const names: string[] = [];
		for (let cookie = 0n; ; ) {
			const answer = calls.readdir(3, room, cookie);
			if (typeof answer === "string") throw new Error(answer);
			names.push(...answer.entries.map(({ name }) => name));
			if (answer.used < room) break;
			assert.is(answer.used, room);
			cookie = answer.entries.at(-1)?.next as bigint;
		}
		assert.equal(names, all);
	}
	for (const room of [0, 1, 23, 24])
		assert.equal(calls.readdir(3, room), { used: room, entries: [] });
});

test("cookies stay valid while names come and go", () => {
	const calls = new Calls();
	for (const name of ["a", "b", "c", "d"]) calls.create(name);
	const third = list(calls, 1000)[3] as Entry;
	assert.is(third.name, "b");
	for (const name of ["a", "b", "c"]) calls.path("path_unlink_file", name);
	calls.create("e");
	const rest = (): string[] => list(calls, 1000, third.next).map(({ name }) => name);
	assert.equal(
		[rest(), rest()],
		[
			["d", "e"],
			["d", "e"],
		],
	);
	assert.equal(list(calls, 1000, 2n ** 50n), []);
	assert.is(calls.readdir(3, 1000, 2n ** 63n), "INVAL");
});

test("what is not a directory, and one that was removed", () => {
	const calls = new Calls();
	const file = calls.open("f", { oflags: 1, base: ALL }) as number;
	assert.equal([calls.readdir(file, 100), calls.readdir(9, 100)], ["NOTCAPABLE", "BADF"]);
	calls.path("path_create_directory", "dir");
	const dir = calls.open("dir", { oflags: 2, base: rights("fd_readdir") }) as number;
	calls.path("path_remove_directory", "dir");
	assert.equal(calls.readdir(dir, 100), { used: 0, entries: [] });
});

test.run();

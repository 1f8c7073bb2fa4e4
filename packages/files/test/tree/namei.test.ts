// Paths that must stay in the directory at which they begin, for hosts of guests.
import { close, dup, type Thread } from "@kqpoll/kqueue";
import { S_IFDIR } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	fchmodat,
	fchownat,
	fstatat,
	linkat,
	mkdirat,
	mkfifoat,
	openatNow,
	readlinkat,
	renameat,
	symlinkat,
	unlinkat,
	utimensat,
} from "../../src/at.ts";
import { AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CREAT, O_RDONLY } from "../../src/fcntl.ts";
import { mkdir, mkfifo, openNow, readdir, stat, symlink, Tree } from "../../src/index.ts";
import { namei, rootOf, startAt, stayBeneath } from "../../src/kernel.ts";
import { codeOf, type Machine, machine } from "../machine.ts";

interface World extends Machine {
	readonly tree: Tree;
	/** /jail, with a directory a, a file a/f and links that lead out. */
	readonly fd: number;
}

const LINKS: Readonly<Record<string, string>> = {
	absolute: "/jail/a",
	out: "..",
	"a/out": "../../secret",
	"a/in": "../a/f",
	"a/inout": "../inside/../../secret",
	inside: "a/../a",
	chain: "a/absolute",
	"a/absolute": "/",
};

function world(): World {
	const m = machine();
	const { thread } = m;
	const tree = new Tree();
	for (const path of ["jail", "jail/a", "e"]) mkdir(thread, tree, path);
	for (const path of ["secret", "jail/a/f"]) close(thread, openNow(thread, tree, path, O_CREAT));
	for (const [path, target] of Object.entries(LINKS)) symlink(thread, tree, target, `jail/${path}`);
	return { ...m, tree, fd: openNow(thread, tree, "jail", O_RDONLY) };
}

/** Every name of a tree. */
function paths(thread: Thread, tree: Tree, path = ""): string[] {
	return readdir(thread, tree, path || "/").flatMap(({ name, type }) => {
		const below = `${path}/${name}`;
		return [below, ...(type === S_IFDIR ? paths(thread, tree, below) : [])];
	});
}

const STAYS = ["a", "a/", ".", "./a/..", "a/../a/./f", "inside", "inside/f", "a/in", "a/none"];
const LEAVES = [
	"..",
	"../jail",
	"a/../..",
	"a/../../jail/a",
	"/",
	"/jail/a",
	"absolute",
	"absolute/f",
	"out",
	"out/secret",
	"a/out",
	"a/inout/x",
	"chain",
	"chain/secret",
];

test("a path that must stay in its directory fails with EPERM where it would leave it", () => {
	const { thread, tree, fd } = world();
	const free = startAt(thread, fd, "test");
	const start = { ...free, beneath: true };
	for (const path of STAYS) assert.equal(namei(start, path), namei(free, path), path);
	assert.equal(
		LEAVES.map((path) => codeOf(() => namei(start, path))),
		LEAVES.map(() => "EPERM"),
	);
	assert.equal(
		LEAVES.map((path) => codeOf(() => namei(free, path))),
		LEAVES.map((path) => (path === "a/inout/x" ? "ENOTDIR" : "no error")),
	);
	const root = { ...rootOf(thread, tree, "test"), beneath: true };
	assert.equal(
		["jail/a/../..", "..", "jail/out/..", "jail/absolute", "/"].map((path) =>
			codeOf(() => namei(root, path)),
		),
		["no error", "EPERM", "EPERM", "EPERM", "EPERM"],
	);
});

test("a link that is not followed does not lead out", () => {
	const { thread, fd } = world();
	const start = { ...startAt(thread, fd, "test"), beneath: true };
	assert.equal(
		["absolute", "out", "a/out"].map((path) =>
			namei(start, path, { follow: false }).vnode?.readlink(start, path),
		),
		["/jail/a", "..", "../../secret"],
	);
	assert.is(
		codeOf(() => namei(start, "out/", { follow: false })),
		"EPERM",
	);
});

test("where a path leads is told with the directory of its last name, also if there is none", () => {
	const { thread, tree, fd } = world();
	const place = namei(startAt(thread, fd, "test"), "out/e/../secret");
	assert.equal(
		[place.path, place.name, place.directory.ino, place.vnode?.ino],
		["out/e/../secret", "secret", 2, stat(thread, tree, "secret").ino],
	);
	const none = namei(startAt(thread, fd, "test"), "inside/none");
	assert.equal(
		[none.name, none.directory.ino, none.vnode],
		["none", stat(thread, tree, "jail/a").ino, null],
	);
});

test("after stayBeneath no call of the family leaves the directory, by any of its descriptors", () => {
	const { thread, tree, fd } = world();
	const other = dup(thread, fd);
	stayBeneath(thread, fd);
	const before = paths(thread, tree);
	const secret = stat(thread, tree, "secret");
	const ways = ["../x", "/x", "out/x", "a/../../x", "absolute/x", "../secret"];
	for (const of of [fd, other])
		for (const path of ways)
			assert.equal(
				[
					() => openatNow(thread, of, path, O_CREAT),
					() => fstatat(thread, of, path),
					() => mkdirat(thread, of, path),
					() => mkfifoat(thread, of, path),
					() => unlinkat(thread, of, path),
					() => unlinkat(thread, of, path, AT_REMOVEDIR),
					() => renameat(thread, of, "a/f", of, path),
					() => renameat(thread, of, path, of, "new"),
					() => linkat(thread, of, "a/f", of, path),
					() => linkat(thread, of, path, of, "new"),
					() => symlinkat(thread, "x", of, path),
					() => readlinkat(thread, of, path),
					() => fchmodat(thread, of, path, 0),
					() => fchownat(thread, of, path, 0, 0),
					() => utimensat(thread, of, path, null),
				].map(codeOf),
				new Array(15).fill("EPERM"),
				path,
			);
	assert.equal([paths(thread, tree), stat(thread, tree, "secret")], [before, secret]);
	assert.is(readlinkat(thread, fd, "out"), "..");
	assert.is(fstatat(thread, fd, "out", AT_SYMLINK_NOFOLLOW).size, 2);
	assert.is(fstatat(thread, fd, "inside/f").ino, stat(thread, tree, "jail/a/f").ino);
});

test("directories that are opened beneath such a directory are such directories too", () => {
	const { thread, tree, fd } = world();
	stayBeneath(thread, fd);
	const a = openatNow(thread, fd, "a", O_RDONLY);
	assert.is(
		codeOf(() => fstatat(thread, a, "..")),
		"EPERM",
	);
	assert.is(
		codeOf(() => fstatat(thread, a, "in")),
		"EPERM",
	);
	assert.is(fstatat(thread, a, "f").ino, stat(thread, tree, "jail/a/f").ino);
	const outside = openNow(thread, tree, "jail", O_RDONLY);
	assert.is(fstatat(thread, outside, "..").ino, 2);
	assert.is(
		codeOf(() => renameat(thread, outside, "../secret", a, "../taken")),
		"EPERM",
	);
	renameat(thread, outside, "../secret", a, "taken");
	assert.ok(paths(thread, tree).includes("/jail/a/taken"));
});

test("only an open directory of a tree can keep its paths", () => {
	const { thread, tree, fd } = world();
	mkfifo(thread, tree, "p");
	const file = openNow(thread, tree, "secret", O_RDONLY);
	assert.equal(
		[99, file, fd].map((of) => codeOf(() => stayBeneath(thread, of))),
		["EBADF", "ENOTDIR", "no error"],
	);
});

test.run();

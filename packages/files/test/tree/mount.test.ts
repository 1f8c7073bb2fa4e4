// File systems in a tree: mount and unmount.
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EVFILT_VNODE,
	eventList,
	keventNow,
	kqueue,
	NOTE_REVOKE,
	NOTE_WRITE,
	readNow,
	writeNow,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fstatat, mkdirat, openatNow, unlinkat } from "../../src/at.ts";
import { AT_REMOVEDIR, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from "../../src/fcntl.ts";
import {
	chmod,
	chown,
	fchmod,
	link,
	mkdir,
	mkfifo,
	mount,
	openNow,
	readdir,
	readlink,
	rename,
	rmdir,
	stat,
	symlink,
	Tree,
	truncate,
	unlink,
	unmount,
	utimes,
} from "../../src/index.ts";
import { namei, rootOf, startAt, stayBeneath } from "../../src/kernel.ts";
import { codeOf, type Machine, machine } from "../machine.ts";

interface World extends Machine {
	readonly tree: Tree;
	/** Mounted on /m: a directory d, a file f. */
	readonly inner: Tree;
}

function world(options: { readOnly?: boolean } = {}): World {
	const m = machine();
	const { thread } = m;
	const tree = new Tree();
	const inner = new Tree();
	mkdir(thread, tree, "m");
	for (const name of ["f", "m/hidden"]) close(thread, openNow(thread, tree, name, O_CREAT));
	mkdir(thread, inner, "d");
	mkfifo(thread, inner, "p");
	symlink(thread, inner, "f", "l");
	close(thread, openNow(thread, inner, "f", O_CREAT));
	mount(thread, tree, "m", inner, options);
	return { ...m, tree, inner };
}

const namesOf = ({ thread }: World, tree: Tree, path: string): string[] =>
	readdir(thread, tree, path).map(({ name }) => name);

test("a mount hides what is below it, and unmount shows it again", () => {
	const w = world();
	assert.equal(namesOf(w, w.tree, "m"), ["d", "p", "l", "f"]);
	assert.equal(
		[stat(w.thread, w.tree, "m").dev, stat(w.thread, w.tree, "m/d/..").ino],
		[w.inner.dev, 2],
	);
	unmount(w.thread, w.tree, "m");
	assert.equal(namesOf(w, w.tree, "m"), ["hidden"]);
	mount(w.thread, w.tree, "m", w.inner);
	assert.equal(namesOf(w, w.tree, "m"), ["d", "p", "l", "f"]);
});

test("two dots lead out of a mount, and a path that begins at its own tree stays in it", () => {
	const w = world();
	const { thread, tree, inner } = w;
	assert.equal(namesOf(w, tree, "m/d/../.."), ["m", "f"]);
	assert.equal(namesOf(w, tree, "m/../m/../m/d/.."), ["d", "p", "l", "f"]);
	assert.equal(namesOf(w, inner, "../.."), ["d", "p", "l", "f"]);
	const fd = openNow(thread, tree, "m/d", O_RDONLY);
	assert.is(fstatat(thread, fd, "../..").ino, 2);
	assert.is(fstatat(thread, fd, "../..").dev, tree.dev);
	assert.is(fstatat(thread, fd, "/f").dev, tree.dev);
});

test("links of a mounted file system count from the root of the tree", () => {
	const { thread, tree } = world();
	symlink(thread, tree, "/f", "m/out");
	symlink(thread, tree, "../f", "m/up");
	symlink(thread, tree, "m/d", "in");
	assert.equal(
		["m/out", "m/up", "in", "m/l"].map((path) => stat(thread, tree, path).dev === tree.dev),
		[true, true, false, false],
	);
	assert.is(readlink(thread, tree, "m/out"), "/f");
});

test("directories that must not be left are not left through a mount", () => {
	const { thread, tree } = world();
	const jail = openNow(thread, tree, "m", O_RDONLY);
	stayBeneath(thread, jail);
	assert.is(
		codeOf(() => fstatat(thread, jail, "..")),
		"EPERM",
	);
	assert.is(
		codeOf(() => fstatat(thread, jail, "d/../..")),
		"EPERM",
	);
	const outer = openNow(thread, tree, ".", O_RDONLY);
	stayBeneath(thread, outer);
	assert.is(fstatat(thread, outer, "m/..").dev, tree.dev);
	assert.is(
		codeOf(() => fstatat(thread, outer, "m/../..")),
		"EPERM",
	);
	const covered = new Tree();
	mount(thread, tree, "m/d", covered);
	assert.is(
		codeOf(() => fstatat(thread, jail, "d/../..")),
		"EPERM",
	);
	assert.is(fstatat(thread, jail, "d/.").dev, covered.dev);
});

test("names are not linked or renamed from one file system to another, nor removed under a mount", () => {
	const { thread, tree } = world();
	mkdir(thread, tree, "e");
	const calls = [
		() => link(thread, tree, "f", "m/g"),
		() => link(thread, tree, "m/f", "g"),
		() => rename(thread, tree, "f", "m/g"),
		() => rename(thread, tree, "m/f", "f"),
		() => rename(thread, tree, "m", "n"),
		() => rename(thread, tree, "e", "m"),
		() => rmdir(thread, tree, "m"),
		() => unlink(thread, tree, "m"),
		() => mkdir(thread, tree, "m"),
		() => rmdir(thread, tree, "m/."),
		() => rename(thread, tree, "m", "m/d/x"),
	];
	assert.equal(calls.map(codeOf), [
		...["EXDEV", "EXDEV", "EXDEV", "EXDEV", "EXDEV", "EXDEV"],
		...["EBUSY", "EBUSY", "EEXIST", "EINVAL", "EBUSY"],
	]);
	rename(thread, tree, "m/f", "m/d/f");
	assert.is(stat(thread, tree, "m/d/f").nlink, 1);
});

test("a directory above a mount can be renamed, and the mount goes with it", () => {
	const w = world();
	const { thread, tree } = w;
	mkdir(thread, tree, "a");
	mkdir(thread, tree, "a/b");
	mount(thread, tree, "a/b", new Tree());
	mkdir(thread, tree, "a/b/c");
	rename(thread, tree, "a", "z");
	assert.equal(namesOf(w, tree, "z/b/c/.."), ["c"]);
	assert.is(
		codeOf(() => rmdir(thread, tree, "z")),
		"ENOTEMPTY",
	);
});

test("what cannot be mounted, or unmounted, has its errno", () => {
	const { thread, tree, inner } = world();
	const other = new Tree();
	const mounts = [
		() => mount(thread, tree, "f", other),
		() => mount(thread, tree, "none", other),
		() => mount(thread, tree, "m", inner),
		() => mount(thread, tree, "m/d", tree),
		() => mount(thread, inner, "d", inner),
		() => mount(thread, tree, "m", {} as Tree),
		() => mount(thread, {} as Tree, "m", other),
		() => mount(thread, tree, "m", new Proxy(other, {})),
		() => unmount(thread, tree, "m/d"),
		() => unmount(thread, tree, "f"),
		() => unmount(thread, tree, "/"),
		() => unmount(thread, tree, "none"),
	];
	assert.equal(mounts.map(codeOf), [
		...["ENOTDIR", "ENOENT", "EBUSY", "EBUSY", "EBUSY", "EFAULT", "EFAULT", "EFAULT"],
		...["EINVAL", "EINVAL", "EINVAL", "ENOENT"],
	]);
	assert.is(other.covered, null);
});

test("unmount fails with EBUSY while something is open or mounted in it", () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "m/f", O_RDWR);
	const busy = () => codeOf(() => unmount(thread, tree, "m"));
	assert.is(busy(), "EBUSY");
	close(thread, fd);
	mount(thread, tree, "m/d", new Tree());
	assert.is(busy(), "EBUSY");
	unmount(thread, tree, "m/d");
	assert.is(busy(), "no error");
});

test("unmount by force revokes what is open, also in what is mounted in it", () => {
	const { thread, tree, inner } = world();
	const deep = new Tree();
	mount(thread, tree, "m/d", deep);
	const fds = ["m/f", "m/d/g"].map((path) => openNow(thread, tree, path, O_CREAT | O_RDWR));
	const kq = kqueue(thread);
	const change = { filter: EVFILT_VNODE, flags: EV_ADD | EV_CLEAR, fflags: NOTE_REVOKE };
	keventNow(
		thread,
		kq,
		fds.map((ident) => ({ ident, ...change })),
		null,
	);
	unmount(thread, tree, "m", { force: true });
	assert.is(keventNow(thread, kq, null, eventList(4)), 2);
	assert.equal(
		fds.map((fd) => codeOf(() => writeNow(thread, fd, new Uint8Array(1)))),
		["EIO", "EIO"],
	);
	assert.equal(
		[inner.covered, deep.covered, inner.opens.size, deep.opens.size],
		[null, null, 0, 0],
	);
});

test("the root of a tree can be covered, several times, and who is below stays there", () => {
	const w = world();
	const { thread, tree } = w;
	const below = openNow(thread, tree, "/", O_RDONLY);
	const [one, two] = [new Tree(), new Tree()];
	mount(thread, tree, "/", one);
	mkdir(thread, tree, "/one");
	mount(thread, tree, "/", two);
	mkdir(thread, tree, "/two");
	assert.equal(namesOf(w, tree, "/"), ["two"]);
	assert.equal(namesOf(w, tree, "two/../.."), ["two"]);
	assert.is(fstatat(thread, below, "f").dev, tree.dev);
	assert.is(fstatat(thread, below, "m/../..").dev, two.dev);
	unmount(thread, tree, "/");
	assert.equal(namesOf(w, tree, "/"), ["one"]);
	unmount(thread, tree, "/");
	assert.equal(namesOf(w, tree, "/"), ["m", "f"]);
});

test("nothing is changed in a file system that is mounted read-only", () => {
	const { thread, tree, inner } = world({ readOnly: true });
	const d = openNow(thread, tree, "m/d", O_RDONLY);
	const before = stat(thread, inner, "f");
	const calls: [string, () => unknown][] = [
		["EROFS", () => openNow(thread, tree, "m/f", O_WRONLY)],
		["EROFS", () => openNow(thread, tree, "m/f", O_RDWR | O_TRUNC)],
		["EROFS", () => openNow(thread, tree, "m/new", O_CREAT)],
		["EROFS", () => openatNow(thread, d, "new", O_CREAT)],
		["no error", () => close(thread, openNow(thread, tree, "m/f", O_CREAT))],
		["no error", () => close(thread, openNow(thread, tree, "m/p", O_RDWR))],
		["EROFS", () => mkdir(thread, tree, "m/new")],
		["EROFS", () => mkdirat(thread, d, "new")],
		["EEXIST", () => mkdir(thread, tree, "m/d")],
		["EROFS", () => mkfifo(thread, tree, "m/new")],
		["EROFS", () => symlink(thread, tree, "f", "m/new")],
		["EROFS", () => link(thread, tree, "m/f", "m/new")],
		["EROFS", () => rename(thread, tree, "m/f", "m/new")],
		["EROFS", () => rename(thread, tree, "f", "m/new")],
		["EROFS", () => unlink(thread, tree, "m/f")],
		["ENOENT", () => unlink(thread, tree, "m/none")],
		["EROFS", () => rmdir(thread, tree, "m/d")],
		["EROFS", () => unlinkat(thread, d, "../d", AT_REMOVEDIR)],
		["EROFS", () => truncate(thread, tree, "m/f", 1)],
		["EISDIR", () => truncate(thread, tree, "m/d", 1)],
		["EROFS", () => chmod(thread, tree, "m/f", 0)],
		["EROFS", () => fchmod(thread, d, 0)],
		["EROFS", () => chown(thread, tree, "m/f", 1, 1)],
		["EROFS", () => utimes(thread, tree, "m/f", 1, 1)],
		["EISDIR", () => openNow(thread, tree, "m/d", O_WRONLY)],
	];
	assert.equal(
		calls.map(([, call]) => codeOf(call)),
		calls.map(([code]) => code),
	);
	const fd = openNow(thread, tree, "m/f", O_RDONLY);
	assert.is(readNow(thread, fd, new Uint8Array(1)), 0);
	assert.equal(stat(thread, inner, "f"), before);
});

test("read-only ends with the mount", () => {
	const { thread, tree, inner } = world({ readOnly: true });
	unmount(thread, tree, "m");
	mkdir(thread, inner, "new");
	mount(thread, tree, "m", inner);
	mkdir(thread, tree, "m/newer");
	assert.is(stat(thread, tree, "m").nlink, 5);
});

test("watchers of a directory are told of what happens in it, whichever way it was reached", () => {
	const { thread, tree, inner } = world();
	const ident = openNow(thread, inner, "d", O_RDONLY);
	const kq = kqueue(thread);
	keventNow(
		thread,
		kq,
		[{ ident, filter: EVFILT_VNODE, flags: EV_ADD | EV_CLEAR, fflags: NOTE_WRITE }],
		null,
	);
	mkdir(thread, tree, "m/d/x");
	assert.is(keventNow(thread, kq, null, eventList(1)), 1);
});

test("a path is followed at the same cost, however many file systems the tree has", () => {
	const { thread } = machine();
	const tree = new Tree();
	for (let i = 0; i < 100; i++) {
		mkdir(thread, tree, `${i}`);
		mount(thread, tree, `${i}`, new Tree());
	}
	const start = rootOf(thread, tree, "test");
	assert.is(namei(start, "99/../98/..").vnode, tree.root);
	assert.is(startAt(thread, openNow(thread, tree, "5", O_RDONLY), "test").tree, tree);
	unmount(thread, tree);
	assert.is(tree.mounts.size, 0);
});

test.run();

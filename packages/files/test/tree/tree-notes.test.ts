// What watchers of files and directories are told of each operation, and in which order.
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_ENABLE,
	EVFILT_VNODE,
	eventList,
	fstat,
	keventNow,
	kqueue,
	lseek,
	NOTE_ATTRIB,
	NOTE_DELETE,
	NOTE_EXTEND,
	NOTE_LINK,
	NOTE_RENAME,
	NOTE_REVOKE,
	NOTE_TRUNCATE,
	NOTE_WRITE,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { O_APPEND } from "@kqpoll/kqueue/fcntl";
import { UTIME_OMIT } from "@kqpoll/kqueue/stat";
import { pread, pwrite, SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	O_CREAT,
	O_EXCL,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "../../src/shared/vnode-flags.ts";
import { utimensat } from "../../src/tree/attribute-at-calls.ts";
import { chmod, chown, lchown, stat, truncate, utimes } from "../../src/tree/attribute-calls.ts";
import {
	fchmod,
	fchown,
	fsync,
	ftruncate,
	futimens,
	futimes,
	getdents,
} from "../../src/tree/descriptor-calls.ts";
import { unmount } from "../../src/tree/mount-calls.ts";
import { mkdirat, renameat, symlinkat, unlinkat } from "../../src/tree/name-at-calls.ts";
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
import { Tree } from "../../src/tree/tree.ts";
import { checkMachine, codeOf, type Machine, machine } from "../machine.ts";

const NOTES = {
	DELETE: NOTE_DELETE,
	WRITE: NOTE_WRITE,
	EXTEND: NOTE_EXTEND,
	ATTRIB: NOTE_ATTRIB,
	LINK: NOTE_LINK,
	RENAME: NOTE_RENAME,
	REVOKE: NOTE_REVOKE,
	TRUNCATE: NOTE_TRUNCATE,
};
const EVERYTHING = Object.values(NOTES).reduce((all, note) => all | note);

function names(fflags: number): string {
	return Object.entries(NOTES)
		.filter(([, note]) => (fflags & note) !== 0)
		.map(([name]) => name)
		.join("|");
}

/** A tree whose files and directories are all watched, in the order in which they are listed. */
interface World extends Machine {
	readonly tree: Tree;
	readonly fds: Readonly<Record<string, number>>;
	/** What watchers have been told since the last call: "path NOTES". */
	readonly report: () => string[];
}

const PATHS = ["/", "/d", "/d/f", "/d/g", "/d/none", "/d/sub", "/e", "/e/full", "/e/h"] as const;

function world(notes: number = EVERYTHING): World {
	const m = machine();
	const { thread } = m;
	const tree = new Tree();
	for (const path of ["d", "e", "d/sub", "e/full"]) mkdir(thread, tree, path);
	for (const path of ["d/f", "d/g", "e/h", "d/none", "e/full/x"]) {
		const fd = openNow(thread, tree, path, O_CREAT | O_WRONLY);
		if (path !== "d/none") writeNow(thread, fd, new Uint8Array(10));
		close(thread, fd);
	}
	const kq = kqueue(thread);
	const fds: Record<string, number> = {};
	for (const path of PATHS) {
		const isDirectory = (stat(thread, tree, path).mode & 0o040000) !== 0;
		const ident = openNow(thread, tree, path, isDirectory ? O_RDONLY : O_RDWR);
		fds[path] = ident;
		const flags = EV_ADD | EV_CLEAR;
		keventNow(
			thread,
			kq,
			[{ ident, filter: EVFILT_VNODE, flags, fflags: notes, udata: path }],
			null,
		);
	}
	const report = (): string[] => {
		const events = eventList(32);
		const n = keventNow(thread, kq, null, events);
		return events.slice(0, n).map(({ udata, fflags }) => `${udata} ${names(fflags)}`);
	};
	return { ...m, tree, fds, report };
}

type Case = readonly [
	name: string,
	act: (thread: Thread, tree: Tree, fds: Readonly<Record<string, number>>) => unknown,
	told: readonly string[],
];

function put(thread: Thread, fd: number | undefined, n: number): void {
	writeNow(thread, fd as number, new Uint8Array(n));
}

const OMIT = { sec: 0, nsec: UTIME_OMIT };

const CASES: readonly Case[] = [
	["making a file", (t, tree) => openNow(t, tree, "d/new", O_CREAT | O_EXCL), ["/d WRITE"]],
	["opening a file", (t, tree) => openNow(t, tree, "d/f", O_CREAT | O_RDWR), []],
	[
		"opening a file to truncate it",
		(t, tree) => openNow(t, tree, "d/f", O_RDWR | O_TRUNC),
		["/d/f ATTRIB|TRUNCATE"],
	],
	[
		"opening an empty file to truncate it",
		(t, tree) => openNow(t, tree, "d/none", O_CREAT | O_WRONLY | O_TRUNC),
		["/d/none ATTRIB"],
	],
	["reading", (t, _tree, fds) => readNow(t, fds["/d/f"] as number, new Uint8Array(99)), []],
	["moving the offset", (t, _tree, fds) => lseek(t, fds["/d/f"] as number, 99, SEEK_SET), []],
	[
		"closing the last descriptor of another file",
		(t, tree) => close(t, openNow(t, tree, "/", 0)),
		[],
	],
	[
		"reading a directory",
		(t, _tree, fds) => [getdents(t, fds["/d"] as number, 9), fsync(t, fds["/d/f"] as number)],
		[],
	],
	[
		"writing at an offset inside a file",
		(t, _tree, fds) => pwrite(t, fds["/d/f"] as number, new Uint8Array(3), 7),
		["/d/f WRITE"],
	],
	[
		"writing at an offset behind its end",
		(t, _tree, fds) => pwrite(t, fds["/d/f"] as number, new Uint8Array(1), 10),
		["/d/f WRITE|EXTEND"],
	],
	[
		"reading and writing nothing at an offset",
		(t, _tree, fds) => [
			pread(t, fds["/d/f"] as number, new Uint8Array(9), 0),
			pwrite(t, fds["/d/f"] as number, new Uint8Array(0), 99),
		],
		[],
	],
	["making a fifo", (t, tree) => mkfifo(t, tree, "d/new"), ["/d WRITE"]],
	["making a symbolic link", (t, tree) => symlink(t, tree, "f", "d/new"), ["/d WRITE"]],
	[
		"removing a symbolic link",
		(t, tree) => {
			symlink(t, tree, "f", "d/new");
			unlink(t, tree, "d/new");
		},
		["/d WRITE"],
	],
	[
		"moving a symbolic link over a file",
		(t, tree) => {
			symlink(t, tree, "f", "d/new");
			rename(t, tree, "d/new", "e/h");
		},
		["/d WRITE", "/e WRITE", "/e/h DELETE"],
	],
	[
		"making a file by a symbolic link",
		(t, tree) => {
			symlink(t, tree, "../e/new", "d/l");
			openNow(t, tree, "d/l", O_CREAT);
		},
		["/d WRITE", "/e WRITE"],
	],
	[
		"writing and setting attributes by a symbolic link",
		(t, tree) => {
			symlink(t, tree, "../e/h", "d/l");
			put(t, openNow(t, tree, "d/l", O_WRONLY), 1);
			chmod(t, tree, "d/l", 0);
			readlink(t, tree, "d/l");
			lchown(t, tree, "d/l", 1, 1);
		},
		["/d WRITE", "/e/h WRITE|ATTRIB"],
	],
	[
		"adding another name by a symbolic link",
		(t, tree) => {
			symlink(t, tree, "f", "d/l");
			link(t, tree, "d/l", "e/new");
		},
		["/d WRITE", "/d/f LINK", "/e WRITE"],
	],
	[
		"making and moving names from the directories of descriptors",
		(t, _tree, fds) => {
			mkdirat(t, fds["/d/sub"] as number, "../new");
			symlinkat(t, "x", fds["/e"] as number, "l");
			renameat(t, fds["/d"] as number, "g", fds["/d/sub"] as number, "g");
			unlinkat(t, fds["/d"] as number, "f");
		},
		["/d WRITE|LINK", "/e WRITE", "/d/sub WRITE", "/d/g RENAME", "/d/f DELETE"],
	],
	["looking", (t, tree) => [stat(t, tree, "/d/f"), readdir(t, tree, "d")], []],
	["writing inside a file", (t, _tree, fds) => put(t, fds["/d/f"], 10), ["/d/f WRITE"]],
	["writing behind its end", (t, _tree, fds) => put(t, fds["/d/f"], 11), ["/d/f WRITE|EXTEND"]],
	["writing nothing", (t, _tree, fds) => put(t, fds["/d/f"], 0), []],
	[
		"appending",
		(t, tree) => put(t, openNow(t, tree, "e/h", O_WRONLY | O_APPEND), 1),
		["/e/h WRITE|EXTEND"],
	],
	[
		"writing through another name",
		(t, tree) => {
			link(t, tree, "d/f", "e/l");
			put(t, openNow(t, tree, "e/l", O_WRONLY), 1);
		},
		["/d/f WRITE|LINK", "/e WRITE"],
	],
	["making a directory", (t, tree) => mkdir(t, tree, "d/new"), ["/d WRITE|LINK"]],
	[
		"removing a directory",
		(t, tree) => rmdir(t, tree, "d/sub"),
		["/d WRITE|LINK", "/d/sub DELETE"],
	],
	[
		"failing to remove a directory that is not empty",
		(t, tree) => codeOf(() => rmdir(t, tree, "e/full")),
		["/e/full DELETE"],
	],
	[
		"failing to remove a file as a directory",
		(t, tree) => [codeOf(() => rmdir(t, tree, "e/h")), codeOf(() => rmdir(t, tree, "e/."))],
		[],
	],
	["removing a file", (t, tree) => unlink(t, tree, "d/f"), ["/d/f DELETE", "/d WRITE"]],
	[
		"removing one of two names",
		(t, tree) => {
			link(t, tree, "d/f", "e/l");
			unlink(t, tree, "e/l");
		},
		["/d/f DELETE|LINK", "/e WRITE"],
	],
	["adding another name", (t, tree) => link(t, tree, "d/f", "e/l"), ["/d/f LINK", "/e WRITE"]],
	["failing to add another name", (t, tree) => codeOf(() => link(t, tree, "d/f", "e/h")), []],
	["renaming a file", (t, tree) => rename(t, tree, "d/f", "d/i"), ["/d WRITE", "/d/f RENAME"]],
	[
		"moving a file",
		(t, tree) => rename(t, tree, "d/f", "e/i"),
		["/d WRITE", "/e WRITE", "/d/f RENAME"],
	],
	[
		"moving a file over another",
		(t, tree) => rename(t, tree, "d/f", "e/h"),
		["/d WRITE", "/e WRITE", "/e/h DELETE", "/d/f RENAME"],
	],
	[
		"moving a directory",
		(t, tree) => rename(t, tree, "e/full", "d/new"),
		["/e WRITE", "/d WRITE", "/e/full RENAME"],
	],
	[
		"moving a directory over an empty one",
		(t, tree) => rename(t, tree, "e/full", "d/sub"),
		["/e WRITE", "/d WRITE", "/d/sub DELETE", "/e/full RENAME"],
	],
	[
		"failing to move a directory over one that is not empty",
		(t, tree) => codeOf(() => rename(t, tree, "d/sub", "e/full")),
		["/d WRITE"],
	],
	[
		"failing to move a directory deep into itself",
		(t, tree) => codeOf(() => rename(t, tree, "e", "e/full/y")),
		["/ WRITE"],
	],
	[
		"failing to move a directory into itself",
		(t, tree) => codeOf(() => rename(t, tree, "e", "e/y")),
		[],
	],
	[
		"failing to move a file over a directory and a directory over a file",
		(t, tree) => [
			codeOf(() => rename(t, tree, "d/f", "e/full")),
			codeOf(() => rename(t, tree, "e/full", "d/f")),
		],
		[],
	],
	[
		"renaming a file to its own name",
		(t, tree) => {
			rename(t, tree, "d/f", "d/f");
			rename(t, tree, "d/sub", "d/sub/");
		},
		[],
	],
	[
		"renaming a file to its other name",
		(t, tree) => {
			link(t, tree, "d/f", "e/l");
			rename(t, tree, "d/f", "e/l");
		},
		["/d/f LINK", "/e WRITE"],
	],
	["changing the mode", (t, tree) => chmod(t, tree, "d/f", 0), ["/d/f ATTRIB"]],
	["changing the mode of a directory", (t, tree) => chmod(t, tree, "d", 0), ["/d ATTRIB"]],
	[
		"changing the mode by a descriptor",
		(t, _, fds) => fchmod(t, fds["/d"] as number, 0),
		["/d ATTRIB"],
	],
	[
		"changing the owner",
		(t, tree, fds) => {
			chown(t, tree, "d/f", -1, -1);
			fchown(t, fds["/e"] as number, 1, -1);
		},
		["/d/f ATTRIB", "/e ATTRIB"],
	],
	[
		"setting times by descriptors",
		(t, _tree, fds) => {
			futimes(t, fds["/d/f"] as number, 1, 2);
			futimens(t, fds["/e/h"] as number, [OMIT, OMIT]);
			utimensat(t, fds["/d"] as number, "g", null);
		},
		["/d/f ATTRIB", "/e/h ATTRIB", "/d/g ATTRIB"],
	],
	["setting the times", (t, tree) => utimes(t, tree, "d/f", 1, 2), ["/d/f ATTRIB"]],
	[
		"cutting a file",
		(t, tree, fds) => {
			truncate(t, tree, "d/f", 9);
			ftruncate(t, fds["/e/h"] as number, 0);
		},
		["/d/f ATTRIB|TRUNCATE", "/e/h ATTRIB|TRUNCATE"],
	],
	["truncating a file to its size", (t, tree) => truncate(t, tree, "d/f", 10), ["/d/f ATTRIB"]],
	["growing a file by truncating it", (t, tree) => truncate(t, tree, "d/f", 11), ["/d/f ATTRIB"]],
	["failing to truncate a directory", (t, tree) => codeOf(() => truncate(t, tree, "d", 0)), []],
	["revoking a file", (t, tree) => revoke(t, tree, "d/f"), ["/d/f REVOKE"]],
	["unmounting", (t, tree) => unmount(t, tree), PATHS.map((path) => `${path} REVOKE`)],
];

for (const [name, act, told] of CASES) {
	test(`${name} tells ${told.length === 0 ? "nobody" : told.join(", ")}`, () => {
		const w = world();
		assert.equal(w.report(), []);
		act(w.thread, w.tree, w.fds);
		assert.equal(w.report(), told);
		assert.equal(w.report(), []);
		checkMachine(w);
	});
}

test("a watcher for one of several notes is told of all of them, other watchers of none", () => {
	const told = (notes: number, act: Case[1]): string[] => {
		const w = world(notes);
		act(w.thread, w.tree, w.fds);
		return w.report();
	};
	assert.equal(
		[
			told(NOTE_WRITE, (t, _tree, fds) => put(t, fds["/d/f"], 11)),
			told(NOTE_EXTEND, (t, _tree, fds) => put(t, fds["/d/f"], 11)),
			told(NOTE_EXTEND, (t, _tree, fds) => put(t, fds["/d/f"], 10)),
			told(NOTE_LINK, (t, tree) => mkdir(t, tree, "d/new")),
			told(NOTE_TRUNCATE, (t, tree) => truncate(t, tree, "d/f", 1)),
			told(NOTE_TRUNCATE, (t, tree) => truncate(t, tree, "d/f", 11)),
			told(0, (t, tree) => unlink(t, tree, "d/f")),
			told(0, (t, tree) => revoke(t, tree, "d/f")),
		],
		[
			["/d/f WRITE|EXTEND"],
			["/d/f WRITE|EXTEND"],
			[],
			["/d WRITE|LINK"],
			["/d/f ATTRIB|TRUNCATE"],
			[],
			[],
			["/d/f "],
		],
	);
});

test("without EV_CLEAR notes add up and are reported again and again", () => {
	const { thread } = machine();
	const tree = new Tree();
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	const kq = kqueue(thread);
	const change = (fflags: number): void => {
		const flags = EV_ADD | EV_ENABLE;
		keventNow(thread, kq, [{ ident: fd, filter: EVFILT_VNODE, flags, fflags }], null);
	};
	const report = (): string[] => {
		const events = eventList(4);
		return events.slice(0, keventNow(thread, kq, null, events)).map((kev) => names(kev.fflags));
	};
	change(EVERYTHING);
	put(thread, fd, 1);
	assert.equal([report(), report()], [["WRITE|EXTEND"], ["WRITE|EXTEND"]]);
	chmod(thread, tree, "f", 0);
	assert.equal(report(), ["WRITE|EXTEND|ATTRIB"]);
	change(NOTE_DELETE);
	utimes(thread, tree, "f", 0, 0);
	assert.equal(report(), ["WRITE|EXTEND|ATTRIB"]);
	unlink(thread, tree, "f");
	put(thread, fd, 1);
	assert.equal(report(), ["DELETE|WRITE|EXTEND|ATTRIB"]);
});

test("an open file that was removed goes on, and its watchers with it", () => {
	const w = world();
	unlink(w.thread, w.tree, "d/f");
	openNow(w.thread, w.tree, "d/f", O_CREAT);
	w.report();
	put(w.thread, w.fds["/d/f"], 11);
	assert.equal(w.report(), ["/d/f WRITE|EXTEND"]);
	assert.is(fstat(w.thread, w.fds["/d/f"] as number).size, 11);
	assert.is(stat(w.thread, w.tree, "d/f").size, 0);
});

test("the newest watcher of a file is notified first", () => {
	const { thread } = machine();
	const tree = new Tree();
	const kq = kqueue(thread);
	const fds = [1, 2, 3].map(() => openNow(thread, tree, "f", O_CREAT | O_RDWR));
	for (const ident of fds) {
		const change = { ident, filter: EVFILT_VNODE, flags: EV_ADD, fflags: NOTE_ATTRIB };
		keventNow(thread, kq, [change], null);
	}
	chmod(thread, tree, "f", 0o600);
	const events = eventList(4);
	const n = keventNow(thread, kq, null, events);
	assert.equal(
		events.slice(0, n).map(({ ident }) => ident),
		[...fds].reverse(),
	);
});

test.run();

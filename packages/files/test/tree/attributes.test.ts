// Attributes of files: permissions, owners, times and flags, by path and by descriptor.
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EVFILT_VNODE,
	eventList,
	fcntl,
	fstat,
	Kernel,
	keventNow,
	kqueue,
	lseek,
	NOTE_ATTRIB,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFL, F_SETFL, O_APPEND, O_DSYNC, O_SYNC } from "@kqpoll/kqueue/fcntl";
import { S_IFDIR, S_IFREG, UTIME_NOW, UTIME_OMIT } from "@kqpoll/kqueue/stat";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { preadv, pwritev } from "@kqpoll/kqueue/uio";
import { pread, pwrite, SEEK_CUR } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../../src/fcntl.ts";
import {
	chmod,
	chown,
	fchmod,
	fchown,
	fdatasync,
	fsync,
	futimens,
	futimes,
	lchown,
	lstat,
	mkdir,
	mkfifo,
	openDevice,
	openNow,
	pipe,
	revoke,
	stat,
	symlink,
	type Times,
	Tree,
	unlink,
	utimes,
	type VnodeStat,
} from "../../src/index.ts";
import { codeOf, type Machine, machine } from "../machine.ts";

interface World extends Machine {
	readonly tree: Tree;
	/** A file of ten bytes, open for reading and writing. */
	readonly fd: number;
}

function world(): World {
	const m = machine();
	const tree = new Tree();
	const fd = openNow(m.thread, tree, "f", O_CREAT | O_RDWR, 0o644);
	writeNow(
		m.thread,
		fd,
		Uint8Array.from({ length: 10 }, (_, i) => i),
	);
	return { ...m, tree, fd };
}

/** How often the watchers of a descriptor got NOTE_ATTRIB alone: the result of each act. */
function attribs(thread: Thread, ident: number, ...acts: (() => unknown)[]): boolean[] {
	const kq = kqueue(thread);
	const change = { ident, filter: EVFILT_VNODE, flags: EV_ADD | EV_CLEAR, fflags: 0xff };
	keventNow(thread, kq, [change], null);
	return acts.map((act) => {
		act();
		const events = eventList(1);
		return keventNow(thread, kq, null, events) === 1 && events[0]?.fflags === NOTE_ATTRIB;
	});
}

test("pread and pwrite leave the offset where it is", () => {
	const { thread, host, tree, fd } = world();
	host.advance(1);
	const buffer = new Uint8Array(4);
	assert.is(pread(thread, fd, buffer, 8), 2);
	assert.equal([...buffer], [8, 9, 0, 0]);
	assert.is(stat(thread, tree, "f").atime, host.now());
	assert.is(pwrite(thread, fd, Uint8Array.of(7, 7), 11), 2);
	assert.is(preadv(thread, fd, [buffer, new Uint8Array(9)], 9), 4);
	assert.equal([...buffer], [9, 0, 7, 7]);
	assert.is(pwritev(thread, fd, [Uint8Array.of(1), Uint8Array.of(2)], 0), 2);
	assert.is(pread(thread, fd, buffer, 0), 4);
	assert.equal([...buffer], [1, 2, 2, 3]);
	assert.equal([lseek(thread, fd, 0, SEEK_CUR), fstat(thread, fd).size], [10, 13]);
});

test("pwrite writes to its offset, also with O_APPEND", () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "f", O_RDWR | O_APPEND);
	pwrite(thread, fd, Uint8Array.of(99), 3);
	const buffer = new Uint8Array(12);
	assert.is(pread(thread, fd, buffer, 0), 10);
	assert.equal([...buffer], [0, 1, 2, 99, 4, 5, 6, 7, 8, 9, 0, 0]);
	assert.is(lseek(thread, fd, 0, SEEK_CUR), 0);
});

test("pread and pwrite fail for directories, fifos, pipes and revoked files, and beyond the limit", () => {
	const { thread } = machine();
	const tree = new Tree({ maxFileSize: 10 });
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	mkfifo(thread, tree, "p");
	const fifo = openNow(thread, tree, "p", O_RDWR);
	const [r, w] = pipe(thread);
	const directory = openNow(thread, tree, "/", O_RDONLY);
	const codes = (of: number, offset = 0): unknown[] => [
		codeOf(() => pread(thread, of, new Uint8Array(1), offset)),
		codeOf(() => pwrite(thread, of, new Uint8Array(1), offset)),
	];
	assert.equal(
		[codes(directory), codes(fifo), codes(r), codes(w), codes(fd, 10)],
		[
			["EISDIR", "EBADF"],
			["ESPIPE", "ESPIPE"],
			["ESPIPE", "ESPIPE"],
			["ESPIPE", "ESPIPE"],
			["no error", "EFBIG"],
		],
	);
	revoke(thread, tree, "f");
	assert.equal(codes(fd), ["EIO", "EIO"]);
});

test("chmod and fchmod set the permission bits", () => {
	const { thread, host, tree, fd } = world();
	host.advance(1);
	assert.equal(
		attribs(
			thread,
			fd,
			() => fchmod(thread, fd, 0o4711),
			() => chmod(thread, tree, "f", S_IFREG | 0o600),
			() => fchmod(thread, fd, 0o600),
		),
		[true, true, true],
	);
	const { mode, ctime, mtime } = stat(thread, tree, "f");
	assert.equal([mode, ctime, mtime], [S_IFREG | 0o600, host.now(), 0]);
});

test("chown keeps the user and the group, clears the bits that set them, and lchown is for links", () => {
	const { thread, host, tree, fd } = world();
	symlink(thread, tree, "f", "l");
	const whose = (path: string): unknown => {
		const { uid, gid, mode, ctime } = lstat(thread, tree, path);
		return [uid, gid, mode & 0o7777, ctime];
	};
	fchmod(thread, fd, 0o6755);
	assert.equal(
		attribs(thread, fd, () => chown(thread, tree, "f", -1, -1)),
		[true],
	);
	assert.equal(whose("f"), [0, 0, 0o6755, 0]);
	host.advance(1);
	assert.equal(
		attribs(
			thread,
			fd,
			() => chown(thread, tree, "l", 1000, -1),
			() => fchown(thread, fd, 0xffffffff, 50),
		),
		[true, true],
	);
	assert.equal(whose("f"), [1000, 50, 0o755, host.now()]);
	assert.equal(
		attribs(thread, fd, () => lchown(thread, tree, "l", 7, 8)),
		[false],
	);
	const start = host.now();
	host.advance(1);
	fchown(thread, fd, 1000, 50);
	assert.equal(
		[whose("f"), whose("l")],
		[
			[1000, 50, 0o755, start],
			[7, 8, 0o777, start],
		],
	);
});

test("a new file is of the group of its directory", () => {
	const { thread, tree } = world();
	mkdir(thread, tree, "d");
	chown(thread, tree, "d", 5, 6);
	mkdir(thread, tree, "d/d");
	mkfifo(thread, tree, "d/d/p");
	symlink(thread, tree, "x", "d/d/l");
	close(thread, openNow(thread, tree, "d/d/f", O_CREAT));
	assert.equal(
		["d", "d/d", "d/d/p", "d/d/l", "d/d/f"].map((path) => {
			const { uid, gid } = lstat(thread, tree, path);
			return [uid, gid];
		}),
		[
			[5, 6],
			[0, 6],
			[0, 6],
			[0, 6],
			[0, 6],
		],
	);
});

test("a time that a number of nanoseconds does not hold has its nanoseconds beside it", () => {
	const { thread, tree, fd } = world();
	const sec = 1_800_000_000;
	const exact = (): unknown[] => {
		const { atime, atimensec, mtime, mtimensec } = stat(thread, tree, "f");
		return [atime, atimensec, mtime, mtimensec];
	};
	const omit = { sec: 0, nsec: UTIME_OMIT };
	futimens(thread, fd, [
		{ sec: 1, nsec: 2 },
		{ sec, nsec: 100 },
	]);
	assert.equal(exact(), [1_000_000_002, undefined, sec * 1e9, 100]);
	futimens(thread, fd, [{ sec, nsec: 999_999_999 }, omit]);
	assert.equal(exact(), [(sec + 1) * 1e9, 999_999_999, sec * 1e9, 100]);
	utimes(thread, tree, "f", 5, 6);
	assert.equal(exact(), [5, undefined, 6, undefined]);
});

test("futimes and futimens set times, leave times, and set the time of the call", () => {
	const { thread, host, tree, fd } = world();
	const times = (): number[] => {
		const { atime, mtime, ctime } = stat(thread, tree, "f");
		return [atime, mtime, ctime];
	};
	const now = { sec: 0, nsec: UTIME_NOW };
	const omit = { sec: Number.NaN, nsec: UTIME_OMIT };
	const seen: number[][] = [];
	const after = (act: () => void) => (): void => {
		host.advance(1);
		act();
		seen.push(times().map((time) => (time === host.now() ? -1 : time)));
	};
	assert.equal(
		attribs(
			thread,
			fd,
			after(() => futimes(thread, fd, 5, -6)),
			after(() => futimens(thread, fd, [{ sec: 2, nsec: 3 }, omit])),
			after(() => futimens(thread, fd, [omit, { sec: -1, nsec: 999_999_999 }])),
			after(() => futimens(thread, fd, [now, omit])),
			after(() => futimens(thread, fd, [{ sec: 1, nsec: 0 }, now])),
			after(() => futimens(thread, fd, [omit, omit])),
			after(() => futimens(thread, fd, null)),
			after(() => utimes(thread, tree, "f", 1.7e18, 0)),
		),
		new Array(8).fill(true),
	);
	const start = host.now();
	assert.equal(seen, [
		[5, -6, -1],
		[2_000_000_003, -6, -1],
		[2_000_000_003, -1, -1],
		[-1, -1, -1],
		[1e9, -1, -1],
		[1e9, start - 3e6, -1],
		[-1, -1, -1],
		[1.7e18, 0, -1],
	]);
});

test("attributes of what is not a file of a tree, or with wrong numbers, cannot be set", () => {
	const { thread, tree, fd } = world();
	const [r] = pipe(thread);
	const calls = (of: number): unknown[] =>
		[
			() => fchmod(thread, of, 0),
			() => fchown(thread, of, 1, 1),
			() => futimes(thread, of, 1, 1),
			() => futimens(thread, of, null),
		].map(codeOf);
	const all = (code: string): string[] => [code, code, code, code];
	assert.equal([calls(99), calls(r)], [all("EBADF"), all("EINVAL")]);
	const time = { sec: 0, nsec: 0 };
	const bad: readonly (readonly [unknown, string])[] = [
		["times", "EFAULT"],
		[[time], "EFAULT"],
		[[time, null], "EFAULT"],
		[[time, { sec: 0, nsec: 1e9 }], "EINVAL"],
		[[{ sec: 0, nsec: -3 }, time], "EINVAL"],
		[[{ sec: 0.5, nsec: 0 }, time], "EINVAL"],
		[[time, { sec: 0, nsec: 0.5 }], "EINVAL"],
		[[time, {}], "EINVAL"],
	];
	for (const [times, code] of bad)
		assert.is(
			codeOf(() => futimens(thread, fd, times as Times)),
			code,
			JSON.stringify(times),
		);
	assert.equal(
		[
			() => fchmod(thread, fd, 0o200000),
			() => fchown(thread, fd, -2, 0),
			() => fchown(thread, fd, 0, 2 ** 32),
			() => chown(thread, tree, "f", Number.NaN, 0),
			() => lchown(thread, tree, "f", 0, 0.5),
			() => futimes(thread, fd, 0, 0.5),
		].map(codeOf),
		new Array(6).fill("EINVAL"),
	);
	const before = stat(thread, tree, "f");
	revoke(thread, tree, "f");
	assert.equal([calls(fd), stat(thread, tree, "f")], [all("EBADF"), before]);
});

test("fsync and fdatasync take files, directories, fifos and devices", () => {
	const { thread, tree, fd } = world();
	mkfifo(thread, tree, "p");
	const [r] = pipe(thread);
	const fds = [
		fd,
		openNow(thread, tree, "/", O_RDONLY),
		openNow(thread, tree, "p", O_RDWR),
		openDevice(thread, "null"),
		r,
		kqueue(thread),
		99,
	];
	const codes = (): unknown[] =>
		fds.map((of) => `${codeOf(() => fsync(thread, of))}, ${codeOf(() => fdatasync(thread, of))}`);
	const ok = "no error, no error";
	const bad = "EINVAL, EINVAL";
	assert.equal(codes(), [ok, ok, ok, ok, bad, bad, "EBADF, EBADF"]);
	unlink(thread, tree, "f");
	assert.is(codes()[0], ok);
	revoke(thread, tree, "p");
	assert.is(codes()[2], "EBADF, EBADF");
});

test("open and F_SETFL keep O_SYNC, which is O_DSYNC", () => {
	const { thread, tree } = world();
	const fd = openNow(thread, tree, "f", O_WRONLY | O_DSYNC);
	assert.is(fcntl(thread, fd, F_GETFL), O_WRONLY | O_SYNC);
	fcntl(thread, fd, F_SETFL, O_APPEND);
	assert.is(fcntl(thread, fd, F_GETFL), O_WRONLY | O_APPEND);
	fcntl(thread, fd, F_SETFL, O_SYNC);
	assert.is(fcntl(thread, fd, F_GETFL), O_WRONLY | O_SYNC);
});

test("stat tells files of different trees apart", () => {
	const { thread, tree, fd } = world();
	const other = new Tree();
	const root = stat(thread, other, "/");
	assert.equal(root, stat(thread, other, "/.."));
	assert.is.not(root.dev, tree.dev);
	assert.equal([root.ino, root.mode, root.uid, root.gid], [2, S_IFDIR | 0o755, 0, 0]);
	assert.equal(fstat(thread, fd), stat(thread, tree, "f"));
	assert.is((fstat(thread, fd) as VnodeStat).dev, tree.dev);
	assert.is(readNow(thread, fd, new Uint8Array(1)), 0);
});

test("the times of a file are those of the host's wall clock", () => {
	const born = Date.UTC(2026, 10, 1);
	const host = new VirtualHost({ epoch: born });
	const { main } = new Kernel({ host }).spawn();
	const tree = new Tree();
	host.advance(2000);
	openNow(main, tree, "/note", O_CREAT | O_RDWR);
	assert.is(stat(main, tree, "/note").mtime, (born + 2000) * 1e6);
});

test.run();

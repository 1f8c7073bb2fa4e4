// Files and directories that are revoked: by themselves, or with the whole tree.
import { POLLHUP, POLLIN, POLLOUT, POLLPRI } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	eventList,
	fstat,
	ioctl,
	kevent,
	lseek,
	NOTE_ATTRIB,
	NOTE_DELETE,
	NOTE_REVOKE,
	NOTE_WRITE,
	read,
	readNow,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { SEEK_CUR, SEEK_END } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDONLY, O_RDWR } from "../../src/shared/vnode-flags.ts";
import { ftruncate } from "../../src/tree/descriptor-calls.ts";
import { unmount } from "../../src/tree/mount-calls.ts";
import { unlink } from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { revoke } from "../../src/tree/revoke-calls.ts";
import { checkMachine, codeOf, collect, outcome, revents, selected } from "../machine.ts";
import { add, FILTERS, world } from "./vnode-world.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const { EINVAL } = errno;
const RECEIVED = EV_ADD | EV_RECEIPT;
const GONE = RECEIVED | EV_EOF | EV_ONESHOT;

test("a revoked file is readable, writable and hung up, and new knotes on it are dead", () => {
	const w = world();
	const { thread, tree, file, directory, kq } = w;
	revoke(thread, tree, "f");
	revoke(thread, tree, "d");
	for (const fd of [file, directory]) {
		assert.equal(revents(thread, ALL, fd), [POLLIN | POLLHUP]);
		assert.equal(revents(thread, POLLOUT, fd), [POLLHUP]);
		assert.equal(revents(thread, POLLPRI, fd), [POLLHUP]);
		assert.equal(revents(thread, 0, fd), [POLLHUP]);
		assert.equal(selected(thread, fd), [true, true, false]);
		assert.equal(
			FILTERS.map((filter) => add(w, fd, filter)),
			[0, 0, EINVAL, EINVAL, EINVAL],
		);
		assert.equal(collect(thread, kq), [
			[fd, EVFILT_READ, GONE, 0, 0],
			[fd, EVFILT_WRITE, GONE, 0, 0],
		]);
		assert.equal(collect(thread, kq), []);
	}
	checkMachine(w);
});

test("revoking ends knotes with end of file, once, with and without NOTE_REVOKE", () => {
	const w = world();
	const { thread, tree, file, kq } = w;
	add(w, file, EVFILT_VNODE, NOTE_REVOKE | NOTE_WRITE);
	const deaf = openNow(thread, tree, "f", O_RDONLY);
	add(w, deaf, EVFILT_VNODE, NOTE_WRITE);
	lseek(thread, file, 0, SEEK_END);
	add(w, file, EVFILT_READ);
	assert.equal(collect(thread, kq), []);
	revoke(thread, tree, "f");
	assert.equal(collect(thread, kq), [
		[file, EVFILT_READ, GONE, 0, 0],
		[deaf, EVFILT_VNODE, GONE, 0, 0],
		[file, EVFILT_VNODE, GONE, NOTE_REVOKE, 0],
	]);
	assert.equal(collect(thread, kq), []);
	checkMachine(w);
	for (const fd of [file, deaf]) close(thread, fd);
	checkMachine(w);
});

test("a knote with EV_CLEAR that has reported reports once more when its file is revoked", () => {
	const w = world();
	const { thread, tree, file, kq } = w;
	for (const filter of [EVFILT_READ, EVFILT_WRITE]) add(w, file, filter, 0, EV_ADD | EV_CLEAR);
	const flags = RECEIVED | EV_CLEAR;
	assert.equal(collect(thread, kq), [
		[file, EVFILT_READ, flags, 0, 10],
		[file, EVFILT_WRITE, flags, 0, 0],
	]);
	assert.equal(collect(thread, kq), []);
	revoke(thread, tree, "f");
	assert.equal(collect(thread, kq), [
		[file, EVFILT_WRITE, GONE | EV_CLEAR, 0, 0],
		[file, EVFILT_READ, GONE | EV_CLEAR, 0, 0],
	]);
	assert.equal(collect(thread, kq), []);
});

test("a watcher is not told what is done with a file after it was revoked", () => {
	const w = world();
	const { thread, tree, file, kq } = w;
	add(w, file, EVFILT_VNODE, NOTE_REVOKE | NOTE_WRITE);
	revoke(thread, tree, "f");
	writeNow(thread, openNow(thread, tree, "f", O_RDWR), new Uint8Array(1));
	assert.equal(collect(thread, kq), [[file, EVFILT_VNODE, GONE, NOTE_REVOKE, 0]]);
});

test("notes that were not reported before a file was revoked come with the end of file", () => {
	const w = world();
	add(w, w.file, EVFILT_VNODE, NOTE_DELETE | NOTE_REVOKE | NOTE_ATTRIB);
	unlink(w.thread, w.tree, "f");
	unmount(w.thread, w.tree);
	assert.equal(collect(w.thread, w.kq), [
		[w.file, EVFILT_VNODE, GONE, NOTE_DELETE | NOTE_REVOKE, 0],
	]);
});

test("a thread that waits for a file wakes when it is revoked", async () => {
	const w = world();
	const { thread, host, tree, file, kq } = w;
	add(w, file, EVFILT_VNODE, NOTE_REVOKE);
	const sleeper = thread.process.spawnThread();
	const events = eventList(2);
	const call = kevent(sleeper, kq, null, events, null);
	revoke(thread, tree, "f");
	host.settle();
	assert.is(await call, 1);
	assert.is(events[0]?.fflags, NOTE_REVOKE);
});

test("a revoked descriptor cannot be used, and the file can be opened again", async () => {
	const w = world();
	const { thread, tree, file, directory, kq } = w;
	revoke(thread, tree, "f");
	const byte = new Uint8Array(1);
	assert.equal(
		[
			await outcome(read(thread, file, byte)),
			await outcome(write(thread, file, byte)),
			codeOf(() => readNow(thread, file, byte)),
			codeOf(() => writeNow(thread, file, byte)),
			codeOf(() => fstat(thread, file)),
			codeOf(() => ftruncate(thread, file, 0)),
			codeOf(() => lseek(thread, file, 0, SEEK_END)),
			codeOf(() => ioctl(thread, file, FIONREAD)),
			lseek(thread, file, 3, SEEK_CUR),
		],
		["EIO", "EIO", "EIO", "EIO", "EBADF", "EBADF", "EBADF", "ENOTTY", 3],
	);
	const anew = openNow(thread, tree, "f", O_RDWR);
	assert.equal([fstat(thread, anew).size, fstat(thread, directory).size], [10, 512]);
	add(w, anew, EVFILT_VNODE, NOTE_REVOKE | NOTE_WRITE);
	writeNow(thread, anew, byte);
	assert.equal(collect(thread, kq), [[anew, EVFILT_VNODE, RECEIVED, NOTE_WRITE, 0]]);
	revoke(thread, tree, "f");
	assert.equal(collect(thread, kq), [[anew, EVFILT_VNODE, GONE, NOTE_WRITE | NOTE_REVOKE, 0]]);
});

test("unmounting revokes all open files, and no path is valid any more", () => {
	const w = world();
	const { thread, tree, file, directory } = w;
	const again = openNow(thread, tree, "f", O_RDWR);
	unlink(thread, tree, "f");
	unmount(thread, tree);
	unmount(thread, tree);
	assert.equal(revents(thread, 0, file, directory, again), [POLLHUP, POLLHUP, POLLHUP]);
	assert.equal(
		["/", "d", "f"].map((path) => codeOf(() => openNow(thread, tree, path, O_RDONLY))),
		["ENOENT", "ENOENT", "ENOENT"],
	);
});

test("the tree forgets files that are closed or revoked", () => {
	const { thread, tree, file, directory } = world();
	assert.is(tree.opens.size, 2);
	close(thread, file);
	revoke(thread, tree, "d");
	assert.is(tree.opens.size, 0);
	close(thread, directory);
	assert.is(tree.opens.size, 0);
});

test.run();

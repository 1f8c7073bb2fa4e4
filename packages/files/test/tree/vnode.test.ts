// How ready regular files, directories and revoked vnodes are, for poll, select and kevent.
import { FdSet, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, poll, select } from "@kqpoll/kqpoll";
import {
	EV_ADD,
	EV_CLEAR,
	EV_RECEIPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	eventList,
	ioctl,
	kevent,
	lseek,
	NOTE_EOF,
	readNow,
	writeNow,
} from "@kqpoll/kqueue";
import { O_APPEND } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDWR } from "../../src/shared/vnode-flags.ts";
import { chmod } from "../../src/tree/attribute-calls.ts";
import { ftruncate } from "../../src/tree/descriptor-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { checkMachine, codeOf, collect, revents, selected } from "../machine.ts";
import { add, FILTERS, world } from "./vnode-world.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const { EINVAL } = errno;
const RECEIVED = EV_ADD | EV_RECEIPT;

test("files and directories are always ready for poll and select, at any offset", () => {
	const w = world();
	const { thread, file, directory } = w;
	for (const offset of [0, 10, 99]) {
		lseek(thread, file, offset, SEEK_SET);
		assert.equal(revents(thread, ALL, file, directory), [POLLIN | POLLOUT, POLLIN | POLLOUT]);
		assert.equal(revents(thread, POLLRDNORM, file, directory), [POLLRDNORM, POLLRDNORM]);
		assert.equal(revents(thread, POLLPRI, file, directory), [0, 0]);
		assert.equal(revents(thread, 0, file, directory), [0, 0]);
		assert.equal(selected(thread, file), [true, true, false]);
		assert.equal(selected(thread, directory), [true, true, false]);
	}
	checkMachine(w);
});

test("poll and select that could sleep return at once for files", async () => {
	const { thread, file, directory } = world();
	const fds = [file, directory].map((fd) => ({ fd, events: POLLIN, revents: 0 }));
	assert.is(await poll(thread, fds, -1), 2);
	const set = new FdSet([file, directory]);
	assert.is(await select(thread, directory + 1, null, set, null, null), 2);
});

test("files and directories take READ, WRITE and VNODE, and refuse EXCEPT and DEVICE", () => {
	const w = world();
	for (const fd of [w.file, w.directory]) {
		assert.equal(
			FILTERS.map((filter) => add(w, fd, filter)),
			[0, 0, EINVAL, 0, EINVAL],
		);
	}
	assert.equal(collect(w.thread, w.kq), [
		[w.file, EVFILT_READ, RECEIVED, 0, 10],
		[w.file, EVFILT_WRITE, RECEIVED, 0, 0],
		[w.directory, EVFILT_READ, RECEIVED, 0, 512],
		[w.directory, EVFILT_WRITE, RECEIVED, 0, 0],
	]);
	checkMachine(w);
});

test("READ counts from the offset of the knote's own open file, and below zero behind the end", () => {
	const w = world();
	const { thread, tree, file, kq } = w;
	const other = openNow(thread, tree, "f", O_RDWR);
	add(w, file, EVFILT_READ);
	add(w, other, EVFILT_READ);
	const data = (): number[][] => collect(thread, kq).map(([fd, , , , n]) => [fd, n] as number[]);
	assert.equal(data(), [
		[file, 10],
		[other, 10],
	]);
	readNow(thread, file, new Uint8Array(4));
	lseek(thread, other, 13, SEEK_SET);
	assert.equal(data(), [
		[file, 6],
		[other, -3],
	]);
	readNow(thread, file, new Uint8Array(99));
	assert.equal(data(), [[other, -3]]);
	ftruncate(thread, file, 13);
	assert.equal(data(), [[file, 3]]);
	writeNow(thread, other, new Uint8Array(2));
	assert.equal(data(), [[file, 5]]);
	lseek(thread, other, 0, SEEK_SET);
	assert.equal(data(), [[file, 5]]);
	chmod(thread, tree, "f", 0);
	assert.equal(data(), [
		[file, 5],
		[other, 15],
	]);
	checkMachine(w);
});

test("READ with NOTE_EOF reports the end, with a flag that stays", () => {
	const w = world();
	const { thread, file, kq } = w;
	add(w, file, EVFILT_READ, NOTE_EOF);
	const event = (fflags: number, data: number): number[] => [
		file,
		EVFILT_READ,
		RECEIVED,
		fflags,
		data,
	];
	assert.equal(collect(thread, kq), [event(0, 10)]);
	lseek(thread, file, 0, SEEK_END);
	assert.equal(collect(thread, kq), [event(NOTE_EOF, 0)]);
	assert.equal(collect(thread, kq), [event(NOTE_EOF, 0)]);
	ftruncate(thread, file, 12);
	assert.equal(collect(thread, kq), [event(NOTE_EOF, 2)]);
});

test("READ with EV_CLEAR reports each write, and not reads and changes of the offset", () => {
	const w = world();
	const { thread, tree, file, kq } = w;
	add(w, file, EVFILT_READ, 0, EV_ADD | EV_CLEAR);
	const flags = RECEIVED | EV_CLEAR;
	assert.equal(collect(thread, kq), [[file, EVFILT_READ, flags, 0, 10]]);
	readNow(thread, file, new Uint8Array(1));
	lseek(thread, file, 3, SEEK_SET);
	assert.equal(collect(thread, kq), []);
	writeNow(thread, openNow(thread, tree, "f", O_RDWR | O_APPEND), new Uint8Array(1));
	assert.equal(collect(thread, kq), [[file, EVFILT_READ, flags, 0, 8]]);
});

test("a thread that waits at the end of a file wakes when it grows", async () => {
	const w = world();
	const { thread, host, tree, file, kq } = w;
	lseek(thread, file, 0, SEEK_END);
	add(w, file, EVFILT_READ);
	const events = eventList(1);
	const sleeper = thread.process.spawnThread();
	const call = kevent(sleeper, kq, null, events, null);
	chmod(thread, tree, "f", 0);
	host.settle();
	assert.is(sleeper.state, "asleep");
	writeNow(thread, openNow(thread, tree, "f", O_RDWR | O_APPEND), new Uint8Array(3));
	host.settle();
	assert.is(await call, 1);
	assert.is(events[0]?.data, 3);
	checkMachine(w);
});

test("FIONREAD counts as READ does, but not below zero", () => {
	const { thread, file, directory } = world();
	const counts = [0, 4, 10, 11].map((offset) => {
		lseek(thread, file, offset, SEEK_SET);
		return ioctl(thread, file, FIONREAD);
	});
	assert.equal(counts, [10, 6, 0, 0]);
	assert.is(ioctl(thread, directory, FIONREAD), 512);
	assert.is(
		codeOf(() => ioctl(thread, file, 1)),
		"ENOTTY",
	);
});

test.run();

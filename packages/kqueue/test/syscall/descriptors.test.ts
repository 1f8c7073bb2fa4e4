// The effects of close, dup, fcntl, ioctl, fork and exec on descriptors, and on their knotes.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	F_DUPFD,
	F_DUPFD_CLOEXEC,
	F_GETFD,
	F_GETFL,
	F_SETFD,
	F_SETFL,
	FD_CLOEXEC,
	O_APPEND,
	O_ASYNC,
	O_NONBLOCK,
	O_SYNC,
} from "../../src/fcntl.ts";
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_VNODE,
	EVFILT_WRITE,
	eventList,
	exec,
	exit,
	fcntl,
	fork,
	fstat,
	interrupt,
	ioctl,
	kevent,
	keventNow,
	kqueue,
	lseek,
	NOTE_EXEC,
	openFile,
	readNow,
	SyntheticFile,
	type SyntheticFileOptions,
	type Thread,
	writeNow,
} from "../../src/index.ts";
import { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD } from "../../src/ioctl.ts";
import type { Knote, Kqueue } from "../../src/kernel.ts";
import { SIGUSR1 } from "../../src/signal.ts";
import { S_IFIFO } from "../../src/stat.ts";
import { closefrom, SEEK_SET } from "../../src/unistd.ts";
import { checkMachine, codeOf, type Fields, fields, machine, rejection } from "../machine.ts";

const O_RDWR = 2;

function readable(thread: Thread, bytes = 1, options: SyntheticFileOptions = {}): number {
	const file = new SyntheticFile(options);
	file.push(new Uint8Array(bytes));
	return openFile(thread, file);
}

function watch(thread: Thread, kq: number, ident: number, flags = EV_ADD): void {
	assert.is(keventNow(thread, kq, [{ ident, filter: EVFILT_READ, flags }], null), 0);
}

function collect(thread: Thread, kq: number): Fields[] {
	const events = eventList(16);
	return fields(events, keventNow(thread, kq, null, events));
}

function event(fd: number, data = 1, flags = EV_ADD): Fields {
	return [fd, EVFILT_READ, flags, 0, data, null];
}

function* knotesOn(lists: readonly (Knote | null)[]): Generator<Knote> {
	for (const head of lists) for (let kn = head; kn !== null; kn = kn.link) yield kn;
}

/**
 * What the kqueues of a process watch, newest kqueue first: filter and ident of every knote, those
 * with a descriptor first, the others by ident.
 */
function knotes({ process }: Thread): (readonly [number, number])[][] {
	const found: (readonly [number, number])[][] = [];
	for (let kq: Kqueue | null = process.fdp.firstKqueue; kq !== null; kq = kq.next)
		found.push(
			[
				...knotesOn(kq.knlist.flat()),
				// Their order in the hash is that of chance.
				...[...knotesOn(kq.knhash)].sort((a, b) => a.ident - b.ident || b.filter - a.filter),
			].map((kn) => [kn.filter, kn.ident] as const),
		);
	return found;
}

function open({ process }: Thread): number[] {
	return [...process.fdp.open()];
}

// A kqueue's own descriptor

test("a kqueue gets the lowest free number, open for both, and is not closed by exec", () => {
	const { thread } = machine();
	readable(thread);
	readable(thread);
	close(thread, 0);
	assert.is(kqueue(thread), 0);
	assert.is(kqueue(thread), 2);
	assert.is(fcntl(thread, 0, F_GETFL), O_RDWR);
	assert.is(fcntl(thread, 0, F_GETFD), 0);
	exec(thread);
	assert.equal(open(thread), [0, 1, 2]);
});

test("a kqueue can be neither read nor written, and has no offset", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	watch(thread, kq, readable(thread));
	const bytes = new Uint8Array(64);
	assert.is(
		codeOf(() => readNow(thread, kq, bytes)),
		"ENXIO",
	);
	assert.is(
		codeOf(() => writeNow(thread, kq, bytes)),
		"ENXIO",
	);
	assert.is(
		codeOf(() => lseek(thread, kq, 0, SEEK_SET)),
		"ESPIPE",
	);
});

test("ioctl on a kqueue knows close-on-exec, sets flags although it fails, and knows nothing else", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const answers: unknown[] = [];
	const ask = (command: number, argument?: unknown) =>
		answers.push([
			codeOf(() => assert.is(ioctl(thread, kq, command, argument), 0)),
			fcntl(thread, kq, F_GETFD),
			fcntl(thread, kq, F_GETFL),
		]);
	ask(FIOCLEX);
	ask(FIONCLEX);
	ask(FIONBIO, 1);
	ask(FIOASYNC, 1);
	ask(FIONBIO, 0);
	ask(FIOASYNC, 0);
	ask(FIONREAD);
	assert.equal(answers, [
		["no error", FD_CLOEXEC, O_RDWR],
		["no error", 0, O_RDWR],
		["ENOTTY", 0, O_RDWR | O_NONBLOCK],
		["ENOTTY", 0, O_RDWR | O_NONBLOCK | O_ASYNC],
		["ENOTTY", 0, O_RDWR | O_ASYNC],
		["ENOTTY", 0, O_RDWR],
		["ENOTTY", 0, O_RDWR],
	]);
});

test("F_SETFL on a kqueue sets the flags, but fails with ENOTTY", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	for (const flags of [O_NONBLOCK, O_NONBLOCK | O_APPEND | O_ASYNC, 0]) {
		assert.is(
			codeOf(() => fcntl(thread, kq, F_SETFL, flags)),
			"ENOTTY",
		);
		assert.is(fcntl(thread, kq, F_GETFL), O_RDWR | flags);
	}
});

test("a kqueue with O_NONBLOCK sleeps like any other", async () => {
	const { host, thread } = machine();
	const kq = kqueue(thread);
	codeOf(() => fcntl(thread, kq, F_SETFL, O_NONBLOCK));
	const promise = kevent(thread, kq, null, eventList(1), { sec: 1, nsec: 0 });
	assert.is(thread.state, "asleep");
	host.advance(1000);
	assert.is(await promise, 0);
});

test("fstat on a kqueue tells how many events are queued, stale and disabled ones included", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const sizes: number[] = [];
	const look = () => sizes.push(fstat(thread, kq).size);
	assert.equal(fstat(thread, kq), { mode: S_IFIFO, size: 0, blksize: 32 });
	const first = readable(thread);
	watch(thread, kq, first);
	watch(thread, kq, readable(thread));
	look();
	readNow(thread, first, new Uint8Array(1));
	look();
	watch(thread, kq, 2, EV_DISABLE);
	look();
	assert.equal(collect(thread, kq), []);
	look();
	assert.equal(sizes, [2, 2, 2, 0]);
});

test("a kqueue can be watched for READ and for nothing else", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const outer = kqueue(thread);
	const answers = [EVFILT_READ, EVFILT_WRITE, EVFILT_VNODE, EVFILT_DEVICE, EVFILT_EXCEPT].map(
		(filter) =>
			codeOf(() => keventNow(thread, outer, [{ ident: kq, filter, flags: EV_ADD }], null)),
	);
	assert.equal(answers, ["no error", "EINVAL", "EINVAL", "EINVAL", "EINVAL"]);
	assert.equal(knotes(thread), [[[EVFILT_READ, kq]], []]);
});

test("a duplicate of a kqueue is the same kqueue, until the last number is closed", () => {
	const { thread, kernel } = machine();
	const kq = kqueue(thread);
	const fd = readable(thread);
	const numbers = [kq, dup(thread, kq), dup2(thread, kq, 30), fcntl(thread, kq, F_DUPFD, 7)];
	assert.equal(numbers, [0, 2, 30, 7]);
	watch(thread, 30, fd);
	keventNow(thread, 2, [{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD }], null);
	for (const each of numbers) assert.equal(collect(thread, each), [event(fd)]);
	close(thread, 0);
	close(thread, 30);
	close(thread, 2);
	assert.equal(collect(thread, 7), [event(fd)]);
	assert.is(kernel.ntimers, 1);
	close(thread, 7);
	assert.equal(
		numbers.map((each) => codeOf(() => collect(thread, each))),
		["EBADF", "EBADF", "EBADF", "EBADF"],
	);
	assert.is(kernel.ntimers, 0);
	assert.is(thread.process.fdp.firstKqueue, null);
	assert.is(thread.process.fdp.get(fd)?.refs, 1);
});

test("closing the last descriptor of a kqueue ends its sleepers with EBADF, another one does not", async () => {
	const made = machine();
	const { host, process, thread } = made;
	const kq = kqueue(thread);
	const other = dup(thread, kq);
	const sleepers = [process.spawnThread(), process.spawnThread()];
	const calls = sleepers.map((each) => rejection(kevent(each, kq, null, eventList(1), null)));
	close(thread, kq);
	host.settle();
	assert.equal(
		sleepers.map(({ state }) => state),
		["asleep", "asleep"],
	);
	close(thread, other);
	host.settle();
	assert.equal(await Promise.all(calls), ["EBADF", "EBADF"]);
	assert.is(process.fdp.firstKqueue, null);
	checkMachine(made);
});

test("a kqueue stays alive for the call that sleeps on it when its number is used again", async () => {
	const { host, process, thread } = machine();
	const kq = kqueue(thread);
	const sleeper = process.spawnThread();
	const call = rejection(kevent(sleeper, kq, null, eventList(1), null));
	const fresh = kqueue(thread);
	dup2(thread, fresh, kq);
	watch(thread, kq, readable(thread));
	host.settle();
	assert.is(await call, "EBADF");
	assert.equal(collect(thread, fresh), [event(2)]);
});

test("closing a kqueue that is watched removes the watcher's knote", () => {
	const { thread, host } = machine();
	const inner = kqueue(thread);
	const outer = kqueue(thread);
	const second = dup(thread, inner);
	watch(thread, inner, readable(thread));
	watch(thread, outer, inner);
	watch(thread, outer, second);
	assert.equal(collect(thread, outer), [event(inner), event(second)]);
	close(thread, inner);
	assert.equal(collect(thread, outer), [event(second)]);
	close(thread, second);
	host.settle();
	assert.equal(collect(thread, outer), []);
	assert.equal(knotes(thread), [[]]);
});

test("a kqueue that watches itself can be closed", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	watch(thread, kq, kq);
	watch(thread, kq, dup(thread, kq));
	close(thread, kq);
	assert.equal(knotes(thread), [[[EVFILT_READ, 1]]]);
	close(thread, 1);
	assert.equal(knotes(thread), []);
});

// close

test("closing a descriptor removes its knotes from every kqueue, without an event", async () => {
	const made = machine();
	const { host, process, thread } = made;
	const [first, second] = [kqueue(thread), kqueue(thread)];
	const gone = readable(thread);
	const stays = readable(thread);
	for (const kq of [first, second]) {
		watch(thread, kq, gone);
		watch(thread, kq, stays, EV_ADD | EV_DISABLE);
		keventNow(thread, kq, [{ ident: gone, filter: EVFILT_WRITE, flags: EV_ADD }], null);
	}
	assert.is(fstat(thread, first).size, 2);
	close(thread, gone);
	assert.is(fstat(thread, first).size, 1);
	assert.equal(knotes(thread), [[[EVFILT_READ, stays]], [[EVFILT_READ, stays]]]);
	const sleeper = process.spawnThread();
	const call = kevent(sleeper, first, null, eventList(1), { sec: 1, nsec: 0 });
	host.advance(1000);
	assert.is(await call, 0);
	checkMachine(made);
});

test("a thread asleep in kevent is not told of a close, and stays asleep", async () => {
	const { host, process, thread } = machine();
	const kq = kqueue(thread);
	const silent = new SyntheticFile();
	const fd = openFile(thread, silent);
	watch(thread, kq, fd);
	const sleeper = process.spawnThread();
	const call = kevent(sleeper, kq, null, eventList(1), null);
	close(thread, fd);
	silent.push(new Uint8Array(1));
	host.settle();
	assert.is(sleeper.state, "asleep");
	interrupt(sleeper);
	host.settle();
	assert.is(await rejection(call), "EINTR");
});

test("a number that is used again starts with no knotes and nothing of the old file's state", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const fd = readable(thread, 5);
	fcntl(thread, fd, F_SETFD, FD_CLOEXEC);
	fcntl(thread, fd, F_SETFL, O_NONBLOCK);
	watch(thread, kq, fd);
	close(thread, fd);
	const fresh = new SyntheticFile();
	assert.is(openFile(thread, fresh), fd);
	assert.equal(collect(thread, kq), []);
	assert.is(
		codeOf(() => watch(thread, kq, fd, EV_DELETE)),
		"ENOENT",
	);
	assert.equal([fcntl(thread, fd, F_GETFD), fcntl(thread, fd, F_GETFL)], [0, O_RDWR]);
	watch(thread, kq, fd);
	assert.equal(collect(thread, kq), []);
	fresh.push(new Uint8Array(2));
	assert.equal(collect(thread, kq), [event(fd, 2)]);
});

test("any change to a closed descriptor is EBADF, not ENOENT", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const fd = readable(thread);
	watch(thread, kq, fd);
	close(thread, fd);
	const answers = [EV_ADD, EV_DELETE, EV_DISABLE, 0].map((flags) =>
		codeOf(() => watch(thread, kq, fd, flags)),
	);
	assert.equal(answers, ["EBADF", "EBADF", "EBADF", "EBADF"]);
});

test("an object is closed once, when its last number in any process is gone", () => {
	const { thread } = machine();
	let closed = 0;
	const fd = readable(thread, 1, { close: () => closed++ });
	const second = dup(thread, fd);
	const child = fork(thread).main;
	const kq = kqueue(child);
	watch(child, kq, second);
	close(thread, fd);
	close(thread, second);
	close(child, fd);
	assert.equal(collect(child, kq), [event(second)]);
	assert.is(closed, 0);
	close(child, second);
	assert.is(closed, 1);
});

test("the lowest free number is used first, after any closes in any order", () => {
	const { thread } = machine();
	const file = new SyntheticFile();
	const opened = () => openFile(thread, file);
	assert.equal([opened(), opened(), opened(), opened(), opened()], [0, 1, 2, 3, 4]);
	for (const fd of [3, 1, 4]) close(thread, fd);
	assert.equal([opened(), opened(), opened(), opened()], [1, 3, 4, 5]);
	close(thread, 0);
	assert.equal([dup(thread, 5), opened()], [0, 6]);
});

// dup, dup2, F_DUPFD

test("a new number for a watched file has no knotes, and each number has its own", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const fd = readable(thread);
	watch(thread, kq, fd);
	const numbers = [dup(thread, fd), dup2(thread, fd, 9), fcntl(thread, fd, F_DUPFD, 5)];
	assert.equal(numbers, [2, 9, 5]);
	assert.equal(collect(thread, kq), [event(fd)]);
	for (const each of numbers)
		assert.is(
			codeOf(() => watch(thread, kq, each, EV_DELETE)),
			"ENOENT",
		);
	watch(thread, kq, 9);
	close(thread, fd);
	assert.equal(collect(thread, kq), [event(9)]);
	close(thread, 9);
	assert.equal(collect(thread, kq), []);
	assert.equal(open(thread), [kq, 2, 5]);
});

test("dup2 onto a watched number removes its knotes, and the new file starts with none", () => {
	const made = machine();
	const { thread } = made;
	const kq = kqueue(thread);
	const closed: string[] = [];
	const from = readable(thread, 7);
	const to = readable(thread, 1, { close: () => closed.push("old") });
	watch(thread, kq, to);
	fcntl(thread, to, F_SETFD, FD_CLOEXEC);
	assert.is(dup2(thread, from, to), to);
	assert.equal(closed, ["old"]);
	assert.equal(knotes(thread), [[]]);
	assert.is(fcntl(thread, to, F_GETFD), 0);
	watch(thread, kq, to);
	assert.equal(collect(thread, kq), [event(to, 7)]);
	checkMachine(made);
});

test("dup2 of a number onto itself does nothing to its knotes and flags", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const fd = readable(thread);
	watch(thread, kq, fd);
	fcntl(thread, fd, F_SETFD, FD_CLOEXEC);
	assert.is(dup2(thread, fd, fd), fd);
	assert.is(fcntl(thread, fd, F_GETFD), FD_CLOEXEC);
	assert.equal(collect(thread, kq), [event(fd)]);
	assert.is(thread.process.fdp.get(fd)?.refs, 2);
});

test("dup2 between two numbers of one file keeps the knotes of the first only", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const fd = readable(thread);
	const other = dup(thread, fd);
	watch(thread, kq, fd);
	watch(thread, kq, other);
	dup2(thread, fd, other);
	assert.equal(collect(thread, kq), [event(fd)]);
	close(thread, other);
	assert.equal(collect(thread, kq), [event(fd)]);
});

test("dup2 onto a kqueue's only number closes the kqueue", async () => {
	const { host, process, thread } = machine();
	const kq = kqueue(thread);
	const fd = readable(thread);
	watch(thread, kq, fd, EV_ADD | EV_DISABLE);
	const call = rejection(kevent(process.spawnThread(), kq, null, eventList(1), null));
	dup2(thread, fd, kq);
	host.settle();
	assert.is(await call, "EBADF");
	assert.is(process.fdp.firstKqueue, null);
	assert.is(readNow(thread, kq, new Uint8Array(4)), 1);
});

test("F_DUPFD takes the lowest free number from its argument on", () => {
	const { thread } = machine();
	const fd = readable(thread);
	const from = [0, 5, 5, 0, 1023].map((argument) => fcntl(thread, fd, F_DUPFD, argument));
	assert.equal(from, [1, 5, 6, 2, 1023]);
	assert.is(
		codeOf(() => fcntl(thread, fd, F_DUPFD, 1023)),
		"EMFILE",
	);
	assert.equal(open(thread), [0, 1, 2, 5, 6, 1023]);
	assert.is(dup(thread, fd), 3);
});

// Flags

test("close-on-exec belongs to the number: fcntl and ioctl agree on it, duplicates begin without", () => {
	const { thread } = machine();
	const fd = readable(thread);
	const flags = () => open(thread).map((each) => fcntl(thread, each, F_GETFD));
	ioctl(thread, fd, FIOCLEX);
	dup(thread, fd);
	dup2(thread, fd, 2);
	fcntl(thread, fd, F_DUPFD, 0);
	fcntl(thread, fd, F_DUPFD_CLOEXEC, 0);
	assert.equal(flags(), [1, 0, 0, 0, 1]);
	fcntl(thread, 1, F_SETFD, FD_CLOEXEC);
	fcntl(thread, 0, F_SETFD, 0);
	ioctl(thread, 4, FIONCLEX);
	fcntl(thread, 2, F_SETFD, ~FD_CLOEXEC);
	assert.equal(flags(), [0, 1, 0, 0, 0]);
});

test("open-file flags belong to the file: every number has them, a child's too", () => {
	const { thread } = machine();
	const fd = readable(thread);
	const second = dup(thread, fd);
	const child = fork(thread).main;
	assert.is(fcntl(child, second, F_SETFL, O_NONBLOCK | O_APPEND), 0);
	assert.is(fcntl(thread, fd, F_GETFL), O_RDWR | O_NONBLOCK | O_APPEND);
	assert.is(ioctl(thread, fd, FIONBIO, 0), 0);
	assert.is(ioctl(thread, fd, FIOASYNC, 1), 0);
	assert.is(fcntl(child, fd, F_GETFL), O_RDWR | O_APPEND | O_ASYNC);
	assert.is(fcntl(thread, fd, F_SETFL, 0), 0);
	assert.is(fcntl(child, second, F_GETFL), O_RDWR);
});

test("F_SETFL does not change the open mode, or flags that cannot be set", () => {
	const { thread } = machine();
	const fd = readable(thread);
	assert.is(fcntl(thread, fd, F_SETFL, -1), 0);
	assert.is(fcntl(thread, fd, F_GETFL), O_RDWR | O_NONBLOCK | O_APPEND | O_ASYNC | O_SYNC);
	assert.is(readNow(thread, fd, new Uint8Array(4)), 1);
});

// closefrom, exec, fork, exit

test("closefrom closes every number from its argument on, with their knotes", () => {
	const made = machine();
	const { thread } = made;
	const kq = kqueue(thread);
	for (let i = 0; i < 5; i++) watch(thread, kq, readable(thread));
	dup2(thread, 1, 500);
	close(thread, 4);
	closefrom(thread, 3);
	assert.equal(open(thread), [kq, 1, 2]);
	assert.equal(collect(thread, kq), [event(1), event(2)]);
	assert.is(
		codeOf(() => closefrom(thread, 3)),
		"EBADF",
	);
	closefrom(thread, 2);
	closefrom(thread, 0);
	assert.equal(open(thread), []);
	assert.equal(knotes(thread), []);
	checkMachine(made);
});

test("closefrom finds open descriptors above a gap", () => {
	const { thread } = machine();
	dup2(thread, readable(thread), 40);
	closefrom(thread, 1);
	assert.equal(open(thread), [0]);
});

test("exec closes marked descriptors, like close, and keeps kqueues and the rest", () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	const marked = readable(thread);
	const kept = readable(thread);
	const doomed = kqueue(thread);
	for (const fd of [marked, doomed]) fcntl(thread, fd, F_SETFD, FD_CLOEXEC);
	watch(thread, kq, marked);
	watch(thread, kq, kept);
	watch(thread, doomed, kept);
	const changes = [
		{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD },
		{ ident: SIGUSR1, filter: EVFILT_SIGNAL, flags: EV_ADD },
		{ ident: process.pid, filter: EVFILT_PROC, flags: EV_ADD, fflags: NOTE_EXEC },
	];
	keventNow(thread, kq, changes, null);
	exec(thread);
	assert.equal(open(thread), [kq, kept]);
	assert.equal(knotes(thread), [
		[
			[EVFILT_READ, kept],
			[EVFILT_PROC, process.pid],
			[EVFILT_TIMER, 1],
			[EVFILT_SIGNAL, SIGUSR1],
		],
	]);
	assert.equal(collect(thread, kq), [
		event(kept),
		[process.pid, EVFILT_PROC, EV_ADD | EV_CLEAR, NOTE_EXEC, 0, null],
	]);
	assert.is(readable(thread), marked, "the number is free again");
	assert.is(fcntl(thread, marked, F_GETFD), 0);
});

test("a kqueue that was marked close-on-exec does not survive it", async () => {
	const { host, process, thread } = machine();
	const kq = kqueue(thread);
	ioctl(thread, kq, FIOCLEX);
	const call = rejection(kevent(process.spawnThread(), kq, null, eventList(1), null));
	exec(thread);
	host.settle();
	assert.is(await call, "EBADF");
	assert.equal(open(thread), []);
});

test("a child has the parent's descriptors and flags, but its kqueues' numbers are free", () => {
	const { thread } = machine();
	const first = kqueue(thread);
	const fd = readable(thread);
	const second = kqueue(thread);
	dup2(thread, fd, 25);
	dup2(thread, first, 26);
	fcntl(thread, fd, F_SETFD, FD_CLOEXEC);
	watch(thread, second, fd);
	const child = fork(thread).main;
	assert.equal(open(child), [fd, 25]);
	assert.equal([fcntl(child, fd, F_GETFD), fcntl(child, 25, F_GETFD)], [FD_CLOEXEC, 0]);
	assert.equal(
		[first, second, 26].map((each) => codeOf(() => close(child, each))),
		["EBADF", "EBADF", "EBADF"],
	);
	assert.equal(knotes(child), []);
	assert.equal([kqueue(child), kqueue(child), kqueue(child)], [first, second, 3]);
	watch(child, first, 25);
	assert.equal(collect(child, first), [event(25)]);
	close(child, fd);
	assert.equal(collect(thread, second), [event(fd)], "the parent's knotes are untouched");
});

test("threads share descriptors and kqueues", () => {
	const { thread, process } = machine();
	const other = process.spawnThread();
	const kq = kqueue(other);
	const fd = readable(thread);
	watch(thread, kq, fd);
	assert.equal(collect(other, kq), [event(fd)]);
	close(other, fd);
	assert.equal(collect(thread, kq), []);
});

test("exit closes descriptors, also kqueues, in ascending order of their numbers", () => {
	const { thread } = machine();
	const closed: unknown[] = [];
	const child = fork(thread).main;
	const tell = (name: string) => ({ close: () => closed.push([name, knotes(child)]) });
	dup2(child, readable(child, 1, tell("moved")), 30);
	close(child, 0);
	readable(child, 1, tell("first"));
	const kq = kqueue(child);
	readable(child, 1, tell("last"));
	for (const fd of [0, 2, 30]) watch(child, kq, fd, EV_ADD | EV_DISABLE);
	exit(child, 0);
	assert.equal(closed, [
		[
			"first",
			[
				[
					[EVFILT_READ, 2],
					[EVFILT_READ, 30],
				],
			],
		],
		["last", []],
		["moved", []],
	]);
	assert.is(child.process.fdp.firstKqueue, null);
});

// Table sizes, and many descriptors

test("a table has room for 20, then 50, then twice as much each time it is full", () => {
	const { thread, process } = machine({ maxfiles: 1000 });
	const file = new SyntheticFile();
	const sizes: (readonly [number, number])[] = [[0, process.fdp.size]];
	for (let n = 1; n <= 1000; n++) {
		openFile(thread, file);
		const { size } = process.fdp;
		if (size !== sizes.at(-1)?.[1]) sizes.push([n, size]);
	}
	assert.equal(sizes, [
		[0, 20],
		[21, 50],
		[51, 100],
		[101, 200],
		[201, 400],
		[401, 800],
		[801, 1600],
	]);
	closefrom(thread, 0);
	assert.is(process.fdp.size, 1600, "it does not shrink");
});

test("a table grows for the number that dup2 or F_DUPFD asks for, and not further", () => {
	const { thread, process } = machine();
	const fd = readable(thread);
	const sizes = [19, 20, 49, 99, 100, 1023].map((to) => {
		dup2(thread, fd, to);
		return process.fdp.size;
	});
	assert.equal(sizes, [20, 50, 50, 100, 200, 1600]);
	codeOf(() => dup2(thread, fd, 1024));
	codeOf(() => dup2(thread, 500, 501));
	assert.is(process.fdp.size, 1600);
	const other = machine();
	fcntl(other.thread, readable(other.thread), F_DUPFD, 120);
	assert.is(other.process.fdp.size, 200);
});

test("ten thousand descriptors can be opened, watched, reported and closed", () => {
	const many = 10_000;
	const made = machine({ maxfiles: many, diagnostics: false });
	const { thread, process } = made;
	const kq = kqueue(thread);
	const files = Array.from({ length: many - 1 }, () => new SyntheticFile());
	const fds = files.map((file) => openFile(thread, file));
	assert.equal([fds[0], fds.at(-1), process.fdp.size], [1, many - 1, 12_800]);
	assert.is(
		codeOf(() => dup(thread, kq)),
		"EMFILE",
	);
	const changes = fds.map((ident) => ({
		ident,
		filter: EVFILT_READ,
		flags: EV_ADD | EV_DISPATCH,
		udata: -ident,
	}));
	assert.is(keventNow(thread, kq, changes, null), 0);
	assert.equal(collect(thread, kq), []);

	// Every third one becomes ready, in descending order, and is reported in that order.
	const ready = fds.filter((fd) => fd % 3 === 0).reverse();
	for (const fd of ready) files[fd - 1]?.push(new Uint8Array(2));
	assert.is(fstat(thread, kq).size, ready.length);
	const events = eventList(many);
	assert.is(keventNow(thread, kq, null, events), ready.length);
	assert.equal(
		fields(events, ready.length),
		ready.map((fd) => [fd, EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 2, -fd]),
	);
	checkMachine(made);

	close(thread, 5000);
	assert.is(openFile(thread, new SyntheticFile()), 5000);
	const [, second] = [fork(thread), fork(thread)];
	assert.equal(open(second.main), fds);
	closefrom(thread, 1);
	assert.equal(open(thread), [kq]);
	assert.equal(knotes(thread), [[]]);
	assert.is(fstat(thread, kq).size, 0);
	checkMachine(made);
});

test("a kqueue among ten thousand descriptors can be under any of their numbers", () => {
	const { thread } = machine({ maxfiles: 10_000 });
	const fd = readable(thread);
	const kq = dup2(thread, kqueue(thread), 9_999);
	close(thread, 1);
	dup2(thread, fd, 9_998);
	watch(thread, kq, 9_998);
	watch(thread, kq, kq);
	assert.equal(collect(thread, kq), [event(9_998), event(9_999)]);
	assert.equal(knotes(thread), [
		[
			[EVFILT_READ, 9_998],
			[EVFILT_READ, 9_999],
		],
	]);
});

test.run();

// Processes: fork, exec, exit, wait, pledge, and what their watchers are told.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DISABLE,
	EV_ENABLE,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	eventList,
	exec,
	exit,
	fork,
	fstat,
	ioctl,
	Kernel,
	kevent,
	keventNow,
	kill,
	kqueue,
	NOTE_CHILD,
	NOTE_EXEC,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	NOTE_TRACKERR,
	openFile,
	pledge,
	SyntheticFile,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
	waitpidNow,
} from "../../src/index.ts";
import { FIOCLEX } from "../../src/ioctl.ts";
import { PID_MAX } from "../../src/kernel.ts";
import {
	SIG_BLOCK,
	SIG_DFL,
	SIG_IGN,
	SIG_SETMASK,
	SIGCHLD,
	SIGKILL,
	SIGTERM,
	SIGUSR1,
	SIGUSR2,
	sigset,
} from "../../src/signal.ts";
import { VirtualHost } from "../../src/testing.ts";
import { checkMachine, codeOf, type Fields, fields, machine, rejection } from "../machine.ts";

const ALL = NOTE_EXIT | NOTE_FORK | NOTE_EXEC;

function watch(thread: Thread, kq: number, pid: number, fflags: number, flags = EV_ADD): void {
	keventNow(thread, kq, [{ ident: pid, filter: EVFILT_PROC, flags, fflags: fflags >>> 0 }], null);
}

function collect(thread: Thread, kq: number): Fields[] {
	const events = eventList(8);
	return fields(events, keventNow(thread, kq, null, events));
}

test("fork, exec and exit of a watched process are reported with its wait status", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	watch(thread, kq, child.pid, ALL);
	const grandchild = fork(child.main);
	exec(child.main);
	assert.equal(collect(thread, kq), [
		[child.pid, EVFILT_PROC, EV_ADD | EV_CLEAR, NOTE_FORK + NOTE_EXEC, 0, null],
	]);
	exit(child.main, 3);
	assert.equal(collect(thread, kq), [
		[child.pid, EVFILT_PROC, EV_ADD | EV_CLEAR | EV_EOF | EV_ONESHOT, NOTE_EXIT, 3 << 8, null],
	]);
	assert.is(grandchild.parent, null);
});

test("an exit is reported even without NOTE_EXIT, and one by a signal shows in the status", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	watch(thread, kq, child.pid, NOTE_FORK);
	exit(child.main, 0, SIGKILL);
	assert.equal(collect(thread, kq), [
		[child.pid, EVFILT_PROC, EV_ADD | EV_CLEAR | EV_EOF | EV_ONESHOT, 0, SIGKILL, null],
	]);
	assert.equal(collect(thread, kq), []);
});

test("with NOTE_EXIT an exit is kept while the event is disabled, without it is lost", () => {
	for (const [fflags, expected] of [
		[NOTE_EXIT, 1],
		[NOTE_FORK, 0],
	] as const) {
		const { thread } = machine();
		const kq = kqueue(thread);
		const child = fork(thread);
		watch(thread, kq, child.pid, fflags, EV_ADD | EV_DISABLE);
		exit(child.main, 1);
		watch(thread, kq, child.pid, 0, EV_ENABLE);
		assert.is(collect(thread, kq).length, expected);
	}
});

test("a tracked fork is followed, and a child that exits before it is read is one event", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	watch(thread, kq, child.pid, NOTE_TRACK | NOTE_EXIT);
	const grandchild = fork(child.main);
	exit(grandchild.main, 7);
	const eof = EV_EOF | EV_ONESHOT;
	assert.equal(collect(thread, kq), [
		[grandchild.pid, EVFILT_PROC, 0x25 | eof, NOTE_CHILD + NOTE_EXIT, 7 << 8, null],
	]);
});

test("a fork that cannot be followed is reported with NOTE_TRACKERR", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	watch(thread, kq, thread.process.pid, NOTE_TRACK);
	pledge(thread, "stdio");
	fork(thread);
	const expected: Fields = [1, EVFILT_PROC, EV_ADD | EV_CLEAR, NOTE_TRACKERR, 0, null];
	assert.equal(collect(thread, kq), [expected]);
});

test("a process that has exited cannot be watched, signalled or watched as a zombie", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	exit(child.main, 0);
	const change = { ident: child.pid, filter: EVFILT_PROC, flags: EV_ADD };
	assert.is(
		codeOf(() => keventNow(thread, kq, [change], null)),
		"ESRCH",
	);
	assert.is(
		codeOf(() => kill(thread, child.pid, SIGTERM)),
		"ESRCH",
	);
	assert.is(
		codeOf(() => keventNow(thread, kq, [{ ...change, ident: PID_MAX + 1 }], null)),
		"ESRCH",
	);
});

test("a parent takes its children's statuses, of one child or of any, and then there are none", () => {
	const { thread } = machine();
	const first = fork(thread);
	const second = fork(thread);
	assert.is(waitpidNow(thread, -1), null);
	exit(second.main, 2);
	assert.is(waitpidNow(thread, first.pid), null);
	assert.equal(waitpidNow(thread, -1), { pid: second.pid, status: 2 << 8 });
	assert.is(
		codeOf(() => waitpidNow(thread, second.pid)),
		"ECHILD",
	);
	exit(first.main, 0, SIGTERM);
	assert.equal(waitpidNow(thread, first.pid), { pid: first.pid, status: SIGTERM });
	assert.is(
		codeOf(() => waitpidNow(thread, -1)),
		"ECHILD",
	);
});

test("after NOTE_EXIT the child can be waited for, with the same status", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	watch(thread, kq, child.pid, NOTE_EXIT, EV_ADD | EV_ONESHOT);
	exit(child.main, 5);
	const data = collect(thread, kq)[0]?.[4];
	assert.equal(waitpidNow(thread, child.pid), { pid: child.pid, status: data as number });
});

test("a parent that ignores its children, or is gone, leaves no zombies", () => {
	const { thread, kernel } = machine();
	sigaction(thread, SIGCHLD, SIG_IGN);
	const child = fork(thread);
	const grandchild = fork(child.main);
	sigaction(child.main, SIGCHLD, SIG_DFL);
	const zombie = fork(child.main);
	exit(zombie.main, 0);
	assert.ok(kernel.processes.has(zombie.pid));
	exit(child.main, 0);
	exit(grandchild.main, 0);
	assert.equal([...kernel.processes.keys()], [thread.process.pid]);
});

test("a child's exit sends SIGCHLD to its parent", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident: SIGCHLD, filter: EVFILT_SIGNAL, flags: EV_ADD }], null);
	exit(fork(thread).main, 0);
	exit(fork(thread).main, 0);
	assert.equal(collect(thread, kq), [[SIGCHLD, EVFILT_SIGNAL, 0x21, 0, 2, null]]);
});

test("a child gets descriptors, actions and mask, but no kqueue and no watcher", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	thread.sigmask = sigset(SIGUSR1);
	sigaction(thread, SIGTERM, SIG_IGN);
	const child = fork(thread);
	assert.is(child.main.sigmask, sigset(SIGUSR1));
	assert.is(sigaction(child.main, SIGTERM, SIG_DFL), SIG_IGN);
	assert.is(
		codeOf(() => fstat(child.main, kq)),
		"EBADF",
	);
	assert.is(kqueue(child.main), kq);
	exit(child.main, 0);
	file.set("read", { data: 1 });
	assert.equal(collect(thread, kq), [[fd, EVFILT_READ, EV_ADD, 0, 1, null]]);
	exit(thread, 0);
	assert.is(file.refs, 0);
});

test("exec keeps kqueues and what they watch, and closes what is marked", () => {
	const m = machine();
	const { thread } = m;
	const kq = kqueue(thread);
	const kept = new SyntheticFile();
	const marked = new SyntheticFile();
	const fds = [openFile(thread, kept), openFile(thread, marked)];
	ioctl(thread, fds[1] as number, FIOCLEX);
	keventNow(
		thread,
		kq,
		[
			...fds.map((ident) => ({ ident, filter: EVFILT_READ, flags: EV_ADD })),
			{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 5 },
		],
		null,
	);
	sigaction(thread, SIGUSR1, () => {});
	exec(thread);
	kept.set("read", { data: 2 });
	m.host.advance(5);
	assert.is(marked.refs, 0);
	assert.is(sigaction(thread, SIGUSR1, SIG_DFL), SIG_DFL);
	assert.equal(collect(thread, kq), [
		[fds[0] as number, EVFILT_READ, EV_ADD, 0, 2, null],
		[1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, null],
	]);
	checkMachine(m);
});

test("exit ends the calls of the other threads and closes everything", async () => {
	const { thread, process, kernel } = machine();
	const other = process.spawnThread();
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	openFile(thread, file);
	const call = rejection(kevent(other, kq, null, eventList(1), null));
	exit(thread, 0);
	assert.is(await call, "EINTR");
	assert.equal([file.refs, other.state, thread.state], [0, "exited", "exited"]);
	assert.equal([kernel.sleepers, kernel.timeouts.size, kernel.processes.size], [0, 0, 0]);
});

test("one thread can end without the others", () => {
	const { thread, process } = machine();
	const other = process.spawnThread();
	const kq = kqueue(other);
	threadExit(other);
	assert.equal(process.threads, [thread]);
	assert.is(
		codeOf(() => kqueue(other)),
		"ESRCH",
	);
	assert.equal(collect(thread, kq), []);
});

test("ids count up, wrap at the largest, and skip those in use", () => {
	const kernel = new Kernel({ host: new VirtualHost(), firstPid: PID_MAX - 2 });
	const first = kernel.spawn();
	const rest = [fork(first.main), fork(first.main)];
	assert.equal(
		[first, ...rest].map(({ pid }) => pid),
		[PID_MAX - 2, PID_MAX - 1, PID_MAX],
	);
	assert.is(
		codeOf(() => fork(first.main)),
		"EAGAIN",
	);
	exit((rest[0] as typeof first).main, 0);
	waitpidNow(first.main, -1);
	assert.is(fork(first.main).pid, PID_MAX - 1);
});

test("a new thread blocks what its creator blocks, so that a watched signal does not end the process", () => {
	const { host, kernel, process, thread } = machine();
	sigprocmask(thread, SIG_BLOCK, sigset(SIGTERM));
	const other = process.spawnThread();
	const kq = kqueue(other);
	keventNow(other, kq, [{ ident: SIGTERM, filter: EVFILT_SIGNAL, flags: EV_ADD }], null);
	kill(kernel.spawn().main, process.pid, SIGTERM);
	host.settle();
	const events = eventList(1);
	assert.is(keventNow(other, kq, null, events), 1);
	assert.equal([other.sigmask, process.exiting], [sigset(SIGTERM), false]);
	// Of another creator it has that one's mask, and a creator in a ppoll passes on its own.
	sigprocmask(other, SIG_SETMASK, sigset(SIGTERM, SIGUSR1));
	assert.is(process.spawnThread(other).sigmask, sigset(SIGTERM, SIGUSR1));
	other.oldmask = sigset(SIGUSR2);
	assert.is(process.spawnThread(other).sigmask, sigset(SIGUSR2));
	other.oldmask = null;
});

test("fork leaves a child no more than twice the room that is used", () => {
	const { thread } = machine();
	const sizes = (highest: number): [number, number] => {
		const parent = fork(thread);
		const fd = openFile(parent.main, new SyntheticFile());
		dup2(parent.main, fd, 400);
		close(parent.main, 400);
		if (highest !== fd) dup2(parent.main, fd, highest);
		return [parent.fdp.size, fork(parent.main).fdp.size];
	};
	assert.equal([0, 19, 20, 49, 50, 99, 100, 199, 200, 201, 400].map(sizes), [
		[800, 20],
		[800, 20],
		[800, 50],
		[800, 50],
		[800, 100],
		[800, 100],
		[800, 200],
		[800, 200],
		[800, 400],
		[800, 400],
		[800, 800],
	]);
});

test.run();

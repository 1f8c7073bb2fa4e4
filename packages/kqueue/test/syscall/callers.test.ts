// What a call says to a caller that is not a thread, or not any longer, and what may be left out.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	dup,
	EV_ADD,
	EV_DELETE,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_VNODE,
	errno,
	exit,
	fcntl,
	fork,
	type Kevent,
	type KeventRequest,
	kevent,
	keventNow,
	kevents,
	kill,
	kqueue,
	openFile,
	pledge,
	read,
	readNow,
	SyntheticFile,
	type SystemError,
	sigaction,
	type Thread,
	threadExit,
	waitpid,
	watchKevent,
} from "../../src/index.ts";
import { callEither, callSync, pauseCall } from "../../src/kernel.ts";
import { SIG_DFL, SIGPIPE, SIGTERM, sigpending } from "../../src/signal.ts";
import { getpgid } from "../../src/unistd.ts";
import { HookedFile, machine } from "../machine.ts";

const buffer = new Uint8Array(1);
const observer = { next: () => {}, error: () => {}, complete: () => {} };

/** Calls of every form, each on what is passed as its thread. */
const CALLS: Record<string, (thread: Thread) => unknown> = {
	kqueue: (thread) => kqueue(thread),
	"kevent, as a promise": (thread) => kevent(thread, 0, null, null, null),
	"kevent, never sleeping": (thread) => keventNow(thread, 0, null, null),
	"kevent, as a watch": (thread) =>
		watchKevent(thread, { ident: 1, filter: EVFILT_TIMER }, observer),
	"kevent, iterated": (thread) => kevents(thread, { ident: 1, filter: EVFILT_TIMER }),
	"read, as a promise": (thread) => read(thread, 0, buffer),
	"read, never sleeping": (thread) => readNow(thread, 0, buffer),
	open: (thread) => openFile(thread, new SyntheticFile()),
	close: (thread) => close(thread, 0),
	dup: (thread) => dup(thread, 0),
	fcntl: (thread) => fcntl(thread, 0, 1),
	fork: (thread) => fork(thread),
	exit: (thread) => exit(thread, 0),
	threadExit: (thread) => threadExit(thread),
	waitpid: (thread) => waitpid(thread, -1),
	kill: (thread) => kill(thread, 1, 0),
	sigaction: (thread) => sigaction(thread, SIGTERM, SIG_DFL),
	sigpending: (thread) => sigpending(thread),
	getpgid: (thread) => getpgid(thread, 0),
	"pause, either": (thread) => callEither(thread, "pause", null, pauseCall),
	"pause, blocking": (thread) => callSync(thread, "pause", null, pauseCall),
};

async function failure(call: (thread: Thread) => unknown, thread: unknown): Promise<string> {
	try {
		await call(thread as Thread);
	} catch (error) {
		return (error as Error).message;
	}
	return "no error";
}

test("a call on what is not a thread says what its first argument is, and does nothing", async () => {
	const { kernel, process } = machine();
	for (const [name, call] of Object.entries(CALLS)) {
		const syscall = name.split(",")[0];
		for (const [wrong, shown] of [
			[process, "an object"],
			[kernel, "an object"],
			[7, "7"],
			[undefined, "undefined"],
			[null, "null"],
			["main", '"main"'],
			[{}, "an object"],
		] as const) {
			const advice = "the first argument is a thread; a process's first is process.main";
			assert.is(
				await failure(call, wrong),
				`EFAULT: bad address, ${syscall} (${advice}; this is ${shown})`,
				name,
			);
		}
	}
	assert.equal([process.exiting, process.threads.length, kernel.activity.depth], [false, 1, 0]);
});

test("a call on a thread that is gone says what ended it", async () => {
	const m = machine();
	const other = m.process.spawnThread();
	threadExit(other);
	const exited = fork(m.thread);
	exit(exited.main, 3);
	const ended = fork(m.thread);
	kill(m.thread, ended.pid, SIGPIPE);
	m.host.settle();
	for (const [name, call] of Object.entries(CALLS)) {
		const begin = `ESRCH: no such process, ${name.split(",")[0]} (thread`;
		assert.is(await failure(call, other), `${begin} ${other.tid} has exited)`, name);
		assert.is(
			await failure(call, exited.main),
			`${begin} ${exited.main.tid} is gone: its process ${exited.pid} has exited)`,
			name,
		);
		assert.is(
			await failure(call, ended.main),
			`${begin} ${ended.main.tid} is gone: its process ${ended.pid} was ended by SIGPIPE)`,
			name,
		);
	}
});

test("a change says which of its fields is wrong", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const good = { ident: 1, filter: EVFILT_TIMER, flags: 1 };
	for (const [fields, why] of [
		[{ ident: "1" }, 'ident "1" is not a number'],
		[{ filter: 1e6 }, "filter 1000000 is not an EVFILT_ constant"],
		[{ filter: undefined }, "filter undefined is not an EVFILT_ constant"],
		[{ flags: -1 }, "flags -1 are not EV_ constants"],
		[{ flags: undefined }, "flags undefined are not EV_ constants"],
		[{ fflags: 2 ** 32 }, "fflags 4294967296 are not NOTE_ constants"],
		[{ data: 1.5 }, "data 1.5 is not a whole number"],
		[{ data: "5" }, 'data "5" is not a whole number'],
	] as const) {
		const bad = { ...good, ...fields } as never;
		assert.throws(
			() => keventNow(thread, kq, [good, bad], null),
			(error: Error) => error.message === `EINVAL: invalid argument, kevent (change 1: ${why})`,
			why,
		);
		if ("flags" in fields && fields.flags === undefined) continue;
		assert.throws(
			() => watchKevent(thread, bad, observer),
			(error: Error) => error.message === `EINVAL: invalid argument, kevent (${why})`,
			why,
		);
	}
	assert.throws(
		() => watchKevent(thread, null as never, observer),
		(error: Error) => error.message === "EFAULT: bad address, kevent (the change is not an object)",
	);
	assert.throws(
		() => keventNow(thread, 99, null, null),
		(error: Error) =>
			error.message === "EBADF: bad file descriptor, kevent (descriptor 99 is not open)",
	);
	const fd = openFile(thread, new SyntheticFile());
	assert.throws(
		() => keventNow(thread, fd, null, null),
		(error: Error) =>
			error.message === `EBADF: bad file descriptor, kevent (descriptor ${fd} is not a kqueue)`,
	);
});

test("a change that is refused says who refused it, and why", () => {
	const { kernel, thread } = machine({ timermax: 0 });
	const kq = kqueue(thread);
	const fd = openFile(thread, new SyntheticFile());
	const file = new SyntheticFile();
	const denied = openFile(thread, file);
	file.deny("read", errno.EPERM);
	keventNow(thread, kq, [{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD }], null);
	pledge(fork(thread).main, "stdio");
	const pledged = [...kernel.processes.values()].at(-1)?.main as Thread;
	const own = kqueue(pledged);
	const rows: [Thread, number, number, number, number, string][] = [
		[thread, kq, 99, EVFILT_READ, EV_ADD, "EBADF READ 99: descriptor 99 is not open"],
		[thread, kq, fd, EVFILT_READ, EV_DELETE, `ENOENT READ ${fd}: there is no such event to change`],
		[thread, kq, fd, -77, EV_ADD, `EINVAL -77 ${fd}: there is no such filter`],
		[
			thread,
			kq,
			fd,
			EVFILT_VNODE,
			EV_ADD,
			`EINVAL VNODE ${fd}: the file refused it, which is a socket`,
		],
		[
			thread,
			kq,
			denied,
			EVFILT_READ,
			EV_ADD,
			`EPERM READ ${denied}: the file refused it, which is a socket`,
		],
		[
			thread,
			kq,
			2,
			EVFILT_TIMER,
			EV_ADD,
			"ENOMEM TIMER 2: the limit of timers of the machine is 1",
		],
		[thread, kq, 4711, EVFILT_PROC, EV_ADD, "ESRCH PROC 4711: there is no process 4711"],
		[thread, kq, 99, EVFILT_SIGNAL, EV_ADD, "EINVAL SIGNAL 99: the filter refused it"],
		[pledged, own, 1, EVFILT_PROC, EV_ADD, 'EPERM PROC 1: the process has not pledged "proc"'],
	];
	for (const [who, queue, ident, filter, flags, expected] of rows) {
		const [code, ...why] = expected.split(" ");
		assert.throws(
			() => keventNow(who, queue, [{ ident, filter, flags }], null),
			(error: SystemError) =>
				error.code === code && error.message.endsWith(`(change 0: ${why.join(" ")})`),
			expected,
		);
	}
	assert.throws(
		() => watchKevent(thread, { ident: 99, filter: EVFILT_READ }, observer),
		(error: Error) => error.message.endsWith("kevent (READ 99: descriptor 99 is not open)"),
	);
});

test("the current thread is only set while a change or a fork is worked on", () => {
	const { kernel, thread } = machine();
	const kq = kqueue(thread);
	const file = new HookedFile();
	const fd = openFile(thread, file);
	keventNow(thread, kq, [{ ident: thread.process.pid, filter: EVFILT_PROC, flags: EV_ADD }], null);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	assert.is(kernel.curthread, null);
	fork(thread);
	assert.is(kernel.curthread, null);
	file.asked = () => {
		throw "asked";
	};
	try {
		keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	} catch {}
	assert.is(kernel.curthread, null);
});

test("the flags of what is watched may be left out", async () => {
	const { host, thread } = machine();
	const file = new SyntheticFile();
	const request: KeventRequest = { ident: openFile(thread, file), filter: EVFILT_READ };
	const told: number[] = [];
	watchKevent(thread, request, { ...observer, next: ({ data }: Kevent) => told.push(data) });
	const events = kevents(thread, request);
	const next = events.next();
	file.set("read", 3);
	host.settle();
	assert.is((await next).value?.data, 3);
	assert.equal(told, [3]);
	await events.return();
});

test.run();

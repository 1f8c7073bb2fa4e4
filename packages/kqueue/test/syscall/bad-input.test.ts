// Wrong arguments: every call answers them with the kernel's errno, and changes nothing.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL } from "../../src/fcntl.ts";
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_ERROR,
	EV_ONESHOT,
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
	ioctl,
	Kernel,
	type KernelOptions,
	Kevent,
	type KeventChange,
	kevent,
	keventNow,
	kill,
	kqueue,
	lseek,
	openFile,
	pledge,
	readNow,
	SyntheticFile,
	SystemError,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
	waitpidNow,
	writeNow,
} from "../../src/index.ts";
import { FIOCLEX, FIONBIO, FIONCLEX, FIONREAD } from "../../src/ioctl.ts";
import {
	EVFILT_AIO,
	File,
	FREAD,
	FWRITE,
	formatKnote,
	type Knote,
	type Kqueue,
	PID_MAX,
} from "../../src/kernel.ts";
import {
	SIG_BLOCK,
	SIG_IGN,
	SIG_SETMASK,
	SIG_UNBLOCK,
	SIGKILL,
	SIGSTOP,
	SIGTERM,
	threadKill,
} from "../../src/signal.ts";
import { VirtualHost } from "../../src/testing.ts";
import type { Timespec } from "../../src/time.ts";
import { closefrom, SEEK_SET } from "../../src/unistd.ts";
import { checkMachine, fields, type Machine, machine } from "../machine.ts";

/** A machine with some state that a call could damage. */
interface World extends Machine {
	/** Descriptor 0: three bytes to read, and no room to write. */
	readonly file: number;
	/** Descriptor 1: a kqueue with a READ event on the file, a timer and a signal. */
	readonly kq: number;
	/** Descriptor 2: can only be written. */
	readonly writeonly: number;
}

function world(options: KernelOptions = {}): World {
	const made = machine(options);
	const { thread } = made;
	const bytes = new SyntheticFile();
	bytes.push(new Uint8Array([1, 2, 3]));
	const file = openFile(thread, bytes);
	const kq = kqueue(thread);
	const sink = new SyntheticFile({ write: (buffer) => buffer.length });
	sink.flags = FWRITE;
	const writeonly = openFile(thread, sink);
	const changes = [
		{ ident: file, filter: EVFILT_READ, flags: EV_ADD },
		{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 1000 },
		{ ident: SIGTERM, filter: EVFILT_SIGNAL, flags: EV_ADD },
	];
	assert.is(keventNow(thread, kq, changes, null), 0);
	return { ...made, file, kq, writeonly };
}

function knotesOf({ knlist, knhash }: Kqueue): string[] {
	const found: string[] = [];
	for (const head of [...knlist.flat(), ...knhash]) {
		for (let kn: Knote | null = head; kn !== null; kn = kn.link) {
			found.push(`${formatKnote(kn)} wants ${kn.sfflags} ${kn.sdata}`);
		}
	}
	return found;
}

/** All that a program could notice about a machine, to check that a call changed nothing. */
function stateOf({ kernel }: Machine): unknown {
	const processes = [...kernel.processes.values()].map((process) => {
		const { fdp } = process;
		const kqueues: unknown[] = [];
		for (let kq = fdp.firstKqueue; kq !== null; kq = kq.next)
			kqueues.push([kq.id, kq.count, kq.state, kq.refs, kq.busy, knotesOf(kq)]);
		return {
			pid: process.pid,
			parent: process.parent?.pid ?? null,
			children: [...process.children].map(({ pid }) => pid),
			exiting: process.exiting,
			pledge: process.pledge,
			size: fdp.size,
			descriptors: [...fdp.open()].map((fd) => {
				const file = fdp.get(fd) as File;
				return [fd, fdp.isCloexec(fd), file.type, file.flags, file.refs, file.stat()];
			}),
			kqueues,
			signals: [process.siglist, [...process.sigacts], [...process.sigmasks]],
			threads: process.threads.map((thread) => [
				thread.tid,
				thread.state,
				thread.sigmask,
				thread.siglist,
				thread.oldmask,
			]),
		};
	});
	return { processes, timers: kernel.ntimers, sleepers: kernel.sleepers };
}

/** Code and call of an error, which has to be a SystemError; the text of any other value. */
function described(error: unknown): string {
	return error instanceof SystemError ? `${error.code} ${error.syscall}` : String(error);
}

function refusal(call: () => unknown): string {
	try {
		call();
	} catch (error) {
		return described(error);
	}
	return "no error";
}

function rejection(promise: Promise<unknown>): Promise<string> {
	return promise.then(() => "no error", described);
}

function show(value: unknown): string {
	if (typeof value === "string") return JSON.stringify(value);
	return Array.isArray(value) ? `[${value.map(show).join()}]` : String(value);
}

/** Passes each value to the call; checks how it fails and that nothing has changed. */
function refuses(
	made: Machine,
	values: readonly unknown[],
	expected: string,
	call: (value: never) => unknown,
): void {
	const before = stateOf(made);
	for (const value of values) {
		const answer = refusal(() => call(value as never));
		assert.is(`${show(value)}: ${answer}`, `${show(value)}: ${expected}`);
		assert.equal(stateOf(made), before);
	}
	checkMachine(made);
}

/** None of these is an open descriptor of the world. */
const NO_DESCRIPTORS = [
	"0",
	[0],
	new Number(0),
	0n,
	Symbol("0"),
	-1,
	-(2 ** 31),
	3,
	1023,
	1024,
	2 ** 31 - 1,
	2 ** 31,
	2 ** 32,
	2 ** 53,
	0.5,
	-0.5,
	1e-300,
	Number.NaN,
	Number.POSITIVE_INFINITY,
	Number.NEGATIVE_INFINITY,
	null,
	undefined,
	true,
	"",
	"3",
	"one",
	{},
	[],
	() => 0,
];

const BYTES: Uint8Array = new Uint8Array(4);

/** Every call on a descriptor, by the name in its errors. */
const DESCRIPTOR_CALLS: readonly (readonly [string, (thread: Thread, fd: never) => unknown])[] = [
	["close", (thread, fd) => close(thread, fd)],
	["closefrom", (thread, fd) => closefrom(thread, fd)],
	["dup", (thread, fd) => dup(thread, fd)],
	["dup2", (thread, fd) => dup2(thread, fd, 0)],
	["dup2", (thread, fd) => dup2(thread, fd, fd)],
	["fcntl", (thread, fd) => fcntl(thread, fd, F_DUPFD, 0)],
	["fcntl", (thread, fd) => fcntl(thread, fd, F_DUPFD_CLOEXEC, 0)],
	["fcntl", (thread, fd) => fcntl(thread, fd, F_GETFD)],
	["fcntl", (thread, fd) => fcntl(thread, fd, F_SETFD, 1)],
	["fcntl", (thread, fd) => fcntl(thread, fd, F_GETFL)],
	["fcntl", (thread, fd) => fcntl(thread, fd, F_SETFL, 4)],
	["fcntl", (thread, fd) => fcntl(thread, fd, -1)],
	["ioctl", (thread, fd) => ioctl(thread, fd, FIOCLEX)],
	["ioctl", (thread, fd) => ioctl(thread, fd, FIONBIO, 1)],
	["ioctl", (thread, fd) => ioctl(thread, fd, -1)],
	["fstat", (thread, fd) => fstat(thread, fd)],
	["lseek", (thread, fd) => lseek(thread, fd, 0, SEEK_SET)],
	["read", (thread, fd) => readNow(thread, fd, BYTES)],
	["write", (thread, fd) => writeNow(thread, fd, BYTES)],
	["kevent", (thread, fd) => keventNow(thread, fd, null, null)],
];

test("every call on a value that is not an open descriptor fails with EBADF and changes nothing", () => {
	for (const [name, call] of DESCRIPTOR_CALLS) {
		const made = world();
		refuses(made, NO_DESCRIPTORS, `EBADF ${name}`, (fd) => call(made.thread, fd));
	}
});

test("a bad descriptor is found before anything else that is wrong with the call", async () => {
	const made = world();
	const { thread } = made;
	const bad = -1;
	const rubbish = {} as never;
	refuses(made, [rubbish], "EBADF dup2", (to) => dup2(thread, bad, to));
	refuses(made, [rubbish], "EBADF fcntl", (command) => fcntl(thread, bad, command, command));
	refuses(made, [rubbish], "EBADF lseek", (offset) => lseek(thread, bad, offset, offset));
	refuses(made, [rubbish], "EBADF read", (buffer) => readNow(thread, bad, buffer));
	refuses(made, [rubbish], "EBADF write", (buffer) => writeNow(thread, bad, buffer));
	refuses(made, [rubbish], "EBADF kevent", (list) => keventNow(thread, bad, list, list));
	const answer = await rejection(kevent(thread, bad, rubbish, rubbish, rubbish));
	assert.is(answer, "EBADF kevent");
});

test("dup2 to a value that cannot be a descriptor fails with EBADF, even from an open one", () => {
	const made = world();
	const { thread, file } = made;
	const impossible = NO_DESCRIPTORS.filter((fd) => fd !== 3 && fd !== 1023);
	refuses(made, impossible, "EBADF dup2", (to) => dup2(thread, file, to));
});

test("F_DUPFD from a value that cannot be a descriptor fails with EINVAL", () => {
	const made = world();
	const { thread, file } = made;
	const impossible = NO_DESCRIPTORS.filter((fd) => fd !== 3 && fd !== 1023 && fd !== undefined);
	refuses(made, impossible, "EINVAL fcntl", (from) => fcntl(thread, file, F_DUPFD, from));
	refuses(made, impossible, "EINVAL fcntl", (from) => fcntl(thread, file, F_DUPFD_CLOEXEC, from));
});

test("fcntl refuses a command that it does not know with EINVAL", () => {
	const made = world();
	const { thread, file } = made;
	const unknown = [-1, 5, 9, 11, 1.5, 2 ** 32, Number.NaN, "1", null, undefined, {}, []];
	refuses(made, unknown, "EINVAL fcntl", (command) => fcntl(thread, file, command, 1));
});

test("fcntl refuses an argument that is not an integer with EINVAL", () => {
	const made = world();
	const { thread, file } = made;
	const bad = [
		0.5,
		Number.NaN,
		Number.POSITIVE_INFINITY,
		2 ** 53,
		"1",
		"",
		null,
		true,
		{},
		[1],
		1n,
	];
	for (const command of [F_DUPFD, F_SETFD, F_SETFL])
		refuses(made, bad, "EINVAL fcntl", (argument) => fcntl(thread, file, command, argument));
});

test("ioctl refuses a command that the file does not know with ENOTTY", () => {
	const made = world();
	const { thread, file, kq } = made;
	const unknown = [-1, 0, FIONREAD, 1.5, Number.NaN, "x", null, undefined, {}, [], Symbol("x")];
	refuses(made, unknown, "ENOTTY ioctl", (command) => ioctl(thread, file, command));
	refuses(made, unknown, "ENOTTY ioctl", (command) => ioctl(thread, kq, command));
});

test("a file without an offset refuses every lseek with ESPIPE", () => {
	const made = world();
	const { thread, file, kq } = made;
	const offsets = [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null, undefined, {}];
	refuses(made, offsets, "ESPIPE lseek", (offset) => lseek(thread, file, offset, SEEK_SET));
	refuses(made, offsets, "ESPIPE lseek", (whence) => lseek(thread, kq, 0, whence));
});

test("a buffer of a wrong type fails with EFAULT, after the check of the open mode", () => {
	const made = world();
	const { thread, file, writeonly } = made;
	const none = [null, undefined, 4, "abcd", [], [1, 2], {}, new ArrayBuffer(4), new Int32Array(4)];
	refuses(made, none, "EFAULT read", (buffer) => readNow(thread, file, buffer));
	refuses(made, none, "EFAULT write", (buffer) => writeNow(thread, file, buffer));
	refuses(made, [...none, BYTES], "EBADF read", (buffer) => readNow(thread, writeonly, buffer));
	assert.is(writeNow(thread, writeonly, BYTES), 4);
});

test("a file that is not open for writing refuses it with EBADF", () => {
	const made = world();
	const { thread, process, file } = made;
	(process.fdp.get(file) as File).flags = FREAD;
	refuses(made, [BYTES, null], "EBADF write", (buffer) => writeNow(thread, file, buffer));
	assert.is(readNow(thread, file, BYTES), 3);
});

/** None of these is a signal's number. */
const NO_SIGNALS = [
	-1,
	33,
	1.5,
	2 ** 32,
	2 ** 32 + 15,
	Number.NaN,
	Number.POSITIVE_INFINITY,
	"15",
	null,
	undefined,
	{},
	[],
];

test("kill and threadKill refuse a wrong signal with EINVAL, for any receiver", () => {
	const made = world();
	const { thread } = made;
	refuses(made, NO_SIGNALS, "EINVAL kill", (signal) => kill(thread, 1, signal));
	refuses(made, NO_SIGNALS, "EINVAL kill", (signal) => kill(thread, 4242, signal));
	refuses(made, NO_SIGNALS, "EINVAL threadKill", (signal) => threadKill(thread, thread, signal));
});

test("kill finds no process for a value that is not a process id", () => {
	const made = world();
	const { thread } = made;
	const none = [-1, 2, 1.5, PID_MAX, -PID_MAX, 2 ** 53, Number.NaN, "1", null, undefined, {}, [1]];
	refuses(made, none, "ESRCH kill", (pid) => kill(thread, pid, SIGTERM));
	refuses(made, none, "ESRCH kill", (pid) => kill(thread, pid, 0));
	assert.is(kill(thread, 1, 0), undefined);
});

test("sigaction refuses wrong signals, and KILL and STOP, with EINVAL", () => {
	const made = world();
	const { thread } = made;
	const refused = [...NO_SIGNALS, 0, SIGKILL, SIGSTOP];
	refuses(made, refused, "EINVAL sigaction", (signal) => sigaction(thread, signal, SIG_IGN));
});

test("sigprocmask refuses an unknown way of changing the mask with EINVAL", () => {
	const made = world();
	const { thread } = made;
	const unknown = [0, 4, -1, 1.5, 2 ** 32 + SIG_BLOCK, Number.NaN, "1", null, undefined, {}, [1]];
	refuses(made, unknown, "EINVAL sigprocmask", (how) => sigprocmask(thread, how, -1));
});

/** None of these is a set of signals. */
const NO_SETS = [
	"0",
	[0],
	new Number(0),
	0n,
	Symbol("0"),
	2 ** 32,
	-(2 ** 31) - 1,
	0.5,
	Number.NaN,
	Number.POSITIVE_INFINITY,
	"",
	"1",
	null,
	true,
	{},
	[1],
];

test("sigaction refuses a wrong action or set of signals with EINVAL", () => {
	const made = world();
	const { thread } = made;
	const none = [null, undefined, 0, 1, "", "SIG_BLOCK", "sig_ign", true, {}, [() => {}]];
	refuses(made, none, "EINVAL sigaction", (action) => sigaction(thread, SIGTERM, action));
	refuses(made, NO_SETS, "EINVAL sigaction", (mask) => sigaction(thread, SIGTERM, SIG_IGN, mask));
});

test("sigprocmask refuses a wrong set of signals with EINVAL, and the mask is as before", () => {
	const made = world();
	const { thread } = made;
	sigprocmask(thread, SIG_SETMASK, 5);
	for (const how of [SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK])
		refuses(made, [...NO_SETS, undefined], "EINVAL sigprocmask", (set) =>
			sigprocmask(thread, how, set),
		);
});

test("a mask of all ones blocks everything but KILL and STOP", () => {
	const { thread } = machine();
	const all = ~((1 << (SIGKILL - 1)) | (1 << (SIGSTOP - 1)));
	assert.is(sigprocmask(thread, SIG_SETMASK, -1), 0);
	assert.is(sigprocmask(thread, SIG_UNBLOCK, -1), all);
	assert.is(sigprocmask(thread, SIG_BLOCK, 2 ** 32 - 1), 0);
	assert.is(thread.sigmask, all);
});

test("waitpid finds no child for a value that is not a child's id", () => {
	const made = world();
	const { thread } = made;
	refuses(made, [-1, 1, 2], "ECHILD waitpid", (pid) => waitpidNow(thread, pid));
	const child = fork(thread);
	const none = [1, 3, -2, 1.5, 2 ** 53, Number.NaN, "2", null, undefined, {}, [2]];
	refuses(made, none, "ECHILD waitpid", (pid) => waitpidNow(thread, pid));
	assert.is(waitpidNow(thread, child.pid), null);
	assert.is(waitpidNow(thread, -1), null);
});

test("an exit status keeps its low eight bits", () => {
	const { thread } = machine();
	const statuses = [0, 1, 255, 256, 257, -1, 2 ** 32 + 3].map((status) => {
		const child = fork(thread);
		exit(child.main, status);
		return waitpidNow(thread, child.pid)?.status;
	});
	assert.equal(statuses, [0, 1 << 8, 255 << 8, 0, 1 << 8, 255 << 8, 3 << 8]);
});

test("exit refuses a wrong status or signal with EINVAL, and the process goes on", () => {
	const made = world();
	const { thread } = made;
	const none = [0.5, Number.NaN, Number.POSITIVE_INFINITY, "1", "", null, undefined, true, {}, 1n];
	refuses(made, none, "EINVAL exit", (status) => exit(thread, status));
	const signals = NO_SIGNALS.filter((signal) => signal !== undefined);
	refuses(made, signals, "EINVAL exit", (signal) => exit(thread, 0, signal));
	const child = fork(thread);
	exit(child.main, 0, SIGTERM);
	assert.equal(waitpidNow(thread, child.pid), { pid: child.pid, status: SIGTERM });
});

test("pledge refuses a value that is not a string with EFAULT", () => {
	const made = world();
	const none = [null, undefined, 0, true, {}, ["stdio"], Symbol("stdio"), () => "stdio"];
	refuses(made, none, "EFAULT pledge", (promises) => pledge(made.thread, promises));
});

test("a value that is not a file cannot be opened: EFAULT", () => {
	const made = world();
	const none = [null, undefined, 0, "file", true, {}, [], Symbol("file"), SyntheticFile];
	refuses(made, none, "EFAULT open", (file) => openFile(made.thread, file));
});

test("a process that has exited gets no new thread", () => {
	const made = world();
	const child = fork(made.thread);
	exit(child.main, 0);
	refuses(made, [undefined], "ESRCH spawnThread", () => child.spawnThread());
});

test("a child that is in the middle of its exit cannot be waited for yet", () => {
	const { thread } = world();
	const child = fork(thread);
	const seen: unknown[] = [];
	const tell = { close: () => seen.push(waitpidNow(thread, -1)) };
	openFile(child.main, new SyntheticFile(tell));
	exit(child.main, 7);
	assert.equal(seen, [null]);
	assert.equal(waitpidNow(thread, -1), { pid: child.pid, status: 7 << 8 });
});

/** Every call of the package that takes a thread, by the name in its errors. */
const CALLS: readonly (readonly [string, (thread: Thread) => unknown])[] = [
	...DESCRIPTOR_CALLS.map(
		([name, call]) => [name, (thread: Thread) => call(thread, 0 as never)] as const,
	),
	["kqueue", (thread) => kqueue(thread)],
	["open", (thread) => openFile(thread, new SyntheticFile())],
	["kill", (thread) => kill(thread, 1, SIGTERM)],
	["threadKill", (thread) => threadKill(thread, thread, SIGTERM)],
	["sigaction", (thread) => sigaction(thread, SIGTERM, SIG_IGN)],
	["sigprocmask", (thread) => sigprocmask(thread, SIG_SETMASK, -1)],
	["fork", (thread) => fork(thread)],
	["exec", (thread) => exec(thread)],
	["exit", (thread) => exit(thread, 0)],
	["threadExit", (thread) => threadExit(thread)],
	["waitpid", (thread) => waitpidNow(thread, -1)],
	["pledge", (thread) => pledge(thread, "stdio")],
];

test("every call on a thread that has exited fails with ESRCH and changes nothing", async () => {
	const made = world();
	const gone = made.process.spawnThread();
	threadExit(gone);
	for (const [name, call] of CALLS) refuses(made, [gone], `ESRCH ${name}`, call);
	const before = stateOf(made);
	const change = { ident: 2, filter: EVFILT_TIMER, flags: EV_ADD };
	const promise = kevent(gone, made.kq, [change], eventList(1), null);
	assert.is(await rejection(promise), "ESRCH kevent");
	assert.equal(stateOf(made), before);
});

test("every call on a thread of a process that has exited fails with ESRCH", () => {
	const made = world();
	const child = fork(made.thread);
	const gone = child.main;
	exit(gone, 0);
	for (const [name, call] of CALLS) refuses(made, [gone], `ESRCH ${name}`, call);
});

test("a thread that has exited cannot be sent a signal", () => {
	const made = world();
	const gone = made.process.spawnThread();
	threadExit(gone);
	refuses(made, [gone], "ESRCH threadKill", (target) => threadKill(made.thread, target, SIGTERM));
});

test("a thread asleep refuses a call that may sleep with EBUSY, and applies none of its changes", async () => {
	const made = world();
	const { thread, kq, host } = made;
	const empty = kqueue(thread);
	const sleeping = kevent(thread, empty, null, eventList(1), { sec: 1, nsec: 0 });
	const before = stateOf(made);
	const change = { ident: 2, filter: EVFILT_TIMER, flags: EV_ADD };
	const zero = { sec: 0, nsec: 0 };
	assert.is(await rejection(kevent(thread, kq, [change], eventList(1), null)), "EBUSY kevent");
	assert.is(await rejection(kevent(thread, kq, [change], null, zero)), "EBUSY kevent");
	assert.equal(stateOf(made), before);
	assert.is(keventNow(thread, kq, [change], null), 0);
	host.advance(1000);
	assert.is(await sleeping, 0);
	checkMachine(made);
});

// kevent

const NO_ARRAYS = [
	0,
	1,
	true,
	"",
	"list",
	{},
	{ length: 1 },
	new Int32Array(1),
	() => [],
	Symbol(),
];
const GOOD: KeventChange = { ident: 2, filter: EVFILT_TIMER, flags: EV_ADD };

test("a list that is not an array fails with EFAULT before any change is applied", async () => {
	const made = world();
	const { thread, kq } = made;
	refuses(made, NO_ARRAYS, "EFAULT kevent", (list) => keventNow(thread, kq, list, null));
	refuses(made, NO_ARRAYS, "EFAULT kevent", (list) => keventNow(thread, kq, [GOOD], list));
	const before = stateOf(made);
	for (const list of NO_ARRAYS as never[]) {
		assert.is(await rejection(kevent(thread, kq, list, null, null)), "EFAULT kevent");
		assert.is(await rejection(kevent(thread, kq, [GOOD], list, null)), "EFAULT kevent");
	}
	assert.equal(stateOf(made), before);
});

test("a list whose length no array has fails with EINVAL before any change is applied", () => {
	const made = world();
	const { thread, kq } = made;
	const before = stateOf(made);
	for (const length of [Number.NaN, -1, 0.5, 2 ** 32, 10n, "2", {}]) {
		const list = new Proxy([GOOD], {
			get: (target, key) => (key === "length" ? length : Reflect.get(target, key)),
		}) as never;
		assert.throws(() => keventNow(thread, kq, list, null), /EINVAL/);
		assert.throws(() => keventNow(thread, kq, [GOOD], list), /EINVAL/);
	}
	assert.equal(stateOf(made), before);
});

test("each field of a change is read once, also of one that is refused", () => {
	const { thread, kq } = world();
	const asked: string[] = [];
	const change = new Proxy(
		{ ...GOOD, fflags: 1n },
		{
			get: (target, key) => {
				asked.push(String(key));
				return Reflect.get(target, key);
			},
		},
	);
	assert.throws(() => keventNow(thread, kq, [change as never], null), /EINVAL.*fflags 1 are not/);
	assert.equal(asked, ["ident", "filter", "flags", "fflags", "data", "udata"]);
});

test("a list that closes the kqueue when it is asked for its length fails with EBADF", () => {
	for (const place of [0, 1]) {
		const { process, thread } = machine();
		const kq = kqueue(thread);
		const list = new Proxy([GOOD], {
			get: (target, key) => {
				if (key === "length" && process.fdp.get(kq) !== null) close(thread, kq);
				return Reflect.get(target, key);
			},
		});
		const lists = [[GOOD], [GOOD]] as never[];
		lists[place] = list as never;
		const [changes, events] = lists as [never, never];
		assert.throws(() => keventNow(thread, kq, changes, events), /EBADF/);
		assert.is(process.fdp.firstKqueue, null);
	}
});

test("null and undefined are empty lists", () => {
	const { thread, kq } = world();
	assert.is(keventNow(thread, kq, null, null), 0);
	assert.is(keventNow(thread, kq, undefined as never, undefined as never), 0);
	assert.is(keventNow(thread, kq, [], []), 0);
});

const TIMEOUTS: readonly (readonly [timeout: unknown, code: string])[] = [
	[{ sec: -1, nsec: 0 }, "EINVAL"],
	[{ sec: 0, nsec: -1 }, "EINVAL"],
	[{ sec: 0, nsec: 1e9 }, "EINVAL"],
	[{ sec: 1, nsec: 2 ** 31 }, "EINVAL"],
	[{ sec: Number.NaN, nsec: 0 }, "EINVAL"],
	[{ sec: 0, nsec: Number.NaN }, "EINVAL"],
	[{ sec: Number.POSITIVE_INFINITY, nsec: 0 }, "EINVAL"],
	[{ sec: Number.NEGATIVE_INFINITY, nsec: 0 }, "EINVAL"],
	[{ sec: 0, nsec: Number.POSITIVE_INFINITY }, "EINVAL"],
	[{ sec: 0.5, nsec: 0 }, "EINVAL"],
	[{ sec: 0, nsec: 0.5 }, "EINVAL"],
	[{ sec: "1", nsec: 0 }, "EINVAL"],
	[{ sec: 0, nsec: "0" }, "EINVAL"],
	[{ sec: 1n, nsec: 0 }, "EINVAL"],
	[{ sec: null, nsec: null }, "EINVAL"],
	[{ sec: 1 }, "EINVAL"],
	[{ nsec: 1 }, "EINVAL"],
	[{}, "EINVAL"],
	[[], "EINVAL"],
	[0, "EFAULT"],
	[1000, "EFAULT"],
	[Number.NaN, "EFAULT"],
	[Number.POSITIVE_INFINITY, "EFAULT"],
	[-1, "EFAULT"],
	["", "EFAULT"],
	["1", "EFAULT"],
	[true, "EFAULT"],
	[false, "EFAULT"],
	[1n, "EFAULT"],
	[() => 0, "EFAULT"],
	[Symbol("soon"), "EFAULT"],
];

test("a timeout out of range is refused before any change is applied", async () => {
	const made = world();
	const { thread, kq } = made;
	const before = stateOf(made);
	for (const [timeout, code] of TIMEOUTS) {
		const answer = await rejection(kevent(thread, kq, [GOOD], eventList(1), timeout as Timespec));
		assert.is(`${show(timeout)}: ${answer}`, `${show(timeout)}: ${code} kevent`);
		assert.equal(stateOf(made), before);
	}
	const noEvents = kevent(thread, kq, null, null, { sec: Number.NaN, nsec: 0 });
	assert.is(await rejection(noEvents), "EINVAL kevent");
});

test("a wrong timeout is refused before a list that is not an array is", async () => {
	const { thread, kq } = world();
	const timeout = { sec: 0, nsec: 1e9 };
	assert.is(await rejection(kevent(thread, kq, 5 as never, 5 as never, timeout)), "EINVAL kevent");
});

test("the largest possible timeout sleeps like an infinite one", async () => {
	const made = machine();
	const { thread, host } = made;
	const kq = kqueue(thread);
	const timeout = { sec: Number.MAX_VALUE, nsec: 999_999_999 };
	const promise = kevent(thread, kq, null, eventList(1), timeout);
	host.advance(1e9);
	assert.is(thread.state, "asleep");
	close(thread, kq);
	host.settle();
	assert.is(await rejection(promise), "EBADF kevent");
});

test("kevent rejects and never throws, for any arguments", async () => {
	const { thread, kq } = world();
	const rubbish = [undefined, null, Number.NaN, -1, "x", {}, [], [null], true];
	for (const each of rubbish as never[]) {
		const promises = [
			kevent(each, kq, null, null, null),
			kevent(thread, each, null, null, null),
			kevent(thread, kq, each, null, null),
			kevent(thread, kq, null, each, null),
			kevent(thread, kq, null, null, each),
			kevent(thread, kq, null, null, null, each),
			kevent(each, each, each, each, each, each),
		];
		assert.ok(promises.every((promise) => promise instanceof Promise));
		await Promise.allSettled(promises);
	}
});

/** A change, what is wrong with it, and the errno it gets. */
const CHANGES: readonly (readonly [change: Readonly<Record<string, unknown>>, errno: number])[] = [
	...["0", [0], new Number(0), 0n, Symbol("0")].flatMap((odd) =>
		["ident", "filter", "flags", "fflags", "data"].map((field) => [{ [field]: odd }, 22] as const),
	),
	// Filters that do not exist, and numbers that do not fit into 16 bits.
	[{ filter: 0 }, 22],
	[{ filter: 1 }, 22],
	[{ filter: 9 }, 22],
	[{ filter: 15 }, 22],
	[{ filter: 0x7fff }, 22],
	[{ filter: EVFILT_AIO }, 22],
	[{ filter: -10 }, 22],
	[{ filter: -0x8000 }, 22],
	[{ filter: 0x8000 }, 22],
	[{ filter: 0xffff }, 22],
	[{ filter: -0x8001 }, 22],
	[{ filter: 2 ** 32 - 1 }, 22],
	[{ filter: -1.5 }, 22],
	[{ filter: Number.NaN }, 22],
	[{ filter: Number.NEGATIVE_INFINITY }, 22],
	[{ filter: "-1" }, 22],
	[{ filter: null }, 22],
	[{ filter: undefined }, 22],
	[{ filter: {} }, 22],
	// Filters that this file does not have.
	[{ filter: EVFILT_VNODE }, 22],
	[{ filter: EVFILT_DEVICE }, 22],
	[{ ident: 1, filter: EVFILT_WRITE }, 22],
	[{ ident: 1, filter: EVFILT_EXCEPT }, 22],
	[{ ident: 1, filter: EVFILT_VNODE }, 22],
	[{ ident: 3 }, 45],
	// Flags that do not fit into 16 bits.
	[{ flags: -1 }, 22],
	[{ flags: 0x10001 }, 22],
	[{ flags: 1.5 }, 22],
	[{ flags: Number.NaN }, 22],
	[{ flags: Number.POSITIVE_INFINITY }, 22],
	[{ flags: "1" }, 22],
	[{ flags: null }, 22],
	[{ flags: undefined }, 22],
	[{ flags: [1] }, 22],
	// Notes that do not fit into 32 bits.
	[{ fflags: 2 ** 32 }, 22],
	[{ fflags: -(2 ** 31) - 1 }, 22],
	[{ fflags: 0.5 }, 22],
	[{ fflags: Number.NaN }, 22],
	[{ fflags: Number.POSITIVE_INFINITY }, 22],
	[{ fflags: "1" }, 22],
	[{ fflags: null }, 22],
	// Data that is not an integer.
	[{ data: 0.5 }, 22],
	[{ data: Number.NaN }, 22],
	[{ data: Number.POSITIVE_INFINITY }, 22],
	[{ data: 2 ** 53 }, 22],
	[{ data: "1" }, 22],
	[{ data: 1n }, 22],
	[{ data: null }, 22],
	[{ data: {} }, 22],
	// Descriptors.
	[{ ident: -1 }, 9],
	[{ ident: 4 }, 9],
	[{ ident: 1023 }, 9],
	[{ ident: 2 ** 31 - 1 }, 9],
	[{ ident: 2 ** 31 }, 9],
	[{ ident: 2 ** 53 }, 9],
	[{ ident: 0.5 }, 9],
	[{ ident: Number.NaN }, 9],
	[{ ident: Number.POSITIVE_INFINITY }, 9],
	[{ ident: 4, flags: 0 }, 9],
	[{ ident: 4, flags: EV_DELETE }, 9],
	[{ ident: "0" }, 22],
	[{ ident: 0n }, 22],
	[{ ident: null }, 22],
	[{ ident: undefined }, 22],
	[{ ident: {} }, 22],
	[{ ident: Symbol("zero") }, 22],
	// Changes of events that do not exist.
	[{ ident: 2, flags: 0 }, 2],
	[{ ident: 2, flags: EV_DELETE }, 2],
	[{ filter: EVFILT_WRITE, flags: EV_DELETE }, 2],
	[{ ident: 5, filter: EVFILT_TIMER, flags: EV_DELETE }, 2],
	[{ ident: -5, filter: EVFILT_TIMER, flags: EV_ONESHOT }, 2],
	[{ ident: PID_MAX + 1, filter: EVFILT_PROC, flags: EV_DELETE }, 2],
	[{ ident: 33, filter: EVFILT_SIGNAL, flags: EV_DELETE }, 2],
	// Timers, processes, signals.
	[{ ident: 0.5, filter: EVFILT_TIMER }, 22],
	[{ ident: Number.NaN, filter: EVFILT_TIMER }, 22],
	[{ ident: Number.POSITIVE_INFINITY, filter: EVFILT_TIMER }, 22],
	[{ ident: 2 ** 53, filter: EVFILT_TIMER }, 22],
	[{ ident: -1, filter: EVFILT_PROC }, 3],
	[{ ident: 0, filter: EVFILT_PROC }, 3],
	[{ ident: 2, filter: EVFILT_PROC }, 3],
	[{ ident: PID_MAX, filter: EVFILT_PROC }, 3],
	[{ ident: PID_MAX + 1, filter: EVFILT_PROC }, 3],
	[{ ident: 1 + 2 ** 30, filter: EVFILT_PROC }, 3],
	[{ ident: 1.5, filter: EVFILT_PROC }, 22],
	[{ ident: Number.NaN, filter: EVFILT_PROC }, 22],
	[{ ident: "1", filter: EVFILT_PROC }, 22],
	[{ ident: -1, filter: EVFILT_SIGNAL }, 22],
	[{ ident: 33, filter: EVFILT_SIGNAL }, 22],
	[{ ident: 10000, filter: EVFILT_SIGNAL }, 22],
	[{ ident: 2 ** 32, filter: EVFILT_SIGNAL }, 22],
	[{ ident: 1.5, filter: EVFILT_SIGNAL }, 22],
];

/** A kind of file that cannot be watched. */
class DeafFile extends File {
	constructor() {
		super("socket");
	}
}

const CODES: Readonly<Record<number, string>> = {
	2: "ENOENT",
	3: "ESRCH",
	9: "EBADF",
	22: "EINVAL",
	45: "EOPNOTSUPP",
};

test("a change that is out of range fails with its errno and changes nothing", () => {
	const made = world();
	const { thread, kq } = made;
	assert.is(openFile(thread, new DeafFile()), 3);
	const before = stateOf(made);
	for (const [bad, number] of CHANGES) {
		const change = { ident: 0, filter: EVFILT_READ, flags: EV_ADD, ...bad } as never;
		const row = Object.entries(bad).map(([key, value]) => `${key} ${show(value)}`);
		const answer = refusal(() => keventNow(thread, kq, [change], null));
		assert.is(`${row}: ${answer}`, `${row}: ${CODES[number]} kevent`);
		assert.equal(stateOf(made), before);
	}
	checkMachine(made);
});

test("with room such a change is answered by an entry, and the changes around it are applied", () => {
	const made = world();
	const { thread, kq, kernel } = made;
	assert.is(openFile(thread, new DeafFile()), 3);
	const before = stateOf(made);
	const around = (flags: number) => [
		{ ident: 100, filter: EVFILT_TIMER, flags },
		{ ident: 200, filter: EVFILT_TIMER, flags },
	];
	for (const [bad, number] of CHANGES) {
		const change: Partial<KeventChange> = { ident: 0, filter: EVFILT_READ, flags: EV_ADD, ...bad };
		const { ident, filter } = change;
		const [first, last] = around(EV_ADD);
		const events = eventList(4);
		const n = keventNow(thread, kq, [first, { udata: "mine", ...change }, last] as never, events);
		assert.is(n, 1);
		const [entry] = events as [Kevent, ...Kevent[]];
		assert.equal(
			[entry.ident, entry.filter, entry.flags, entry.data, entry.udata],
			[ident, filter, EV_ERROR, number, "mine"],
		);
		assert.is(kernel.ntimers, 3);
		assert.is(keventNow(thread, kq, around(EV_DELETE), null), 0);
		assert.equal(stateOf(made), before);
	}
});

test("a change that is not an object fails with EFAULT, with and without room for an entry", () => {
	const made = world();
	const { thread, kq } = made;
	const none = [null, undefined, 0, Number.NaN, "", "READ", true, 1n, Symbol(), () => GOOD];
	refuses(made, none, "EFAULT kevent", (change) => keventNow(thread, kq, [GOOD, change], null));
	const before = stateOf(made);
	const events = [new Kevent(7, 7, 7, 7, 7, 7)];
	for (const change of none as never[])
		assert.is(
			refusal(() => keventNow(thread, kq, [GOOD, change], events)),
			"EFAULT kevent",
		);
	assert.equal(fields(events, 1), [[7, 7, 7, 7, 7, 7]]);
	assert.equal(stateOf(made), before);
});

test("an object without fields is a change that is out of range, a hole is not a change", () => {
	const made = world();
	const { thread, kq } = made;
	const empty = [{}, [], new Date(0), new Map(), Object.create(null)];
	for (const change of empty as never[])
		assert.is(
			refusal(() => keventNow(thread, kq, [change], null)),
			"EINVAL kevent",
		);
	const sparse: KeventChange[] = [];
	sparse[2] = GOOD;
	refuses(made, [sparse, new Array(1)], "EFAULT kevent", (list) =>
		keventNow(thread, kq, list, null),
	);
});

test("changes are only read: they may be frozen, and so may their list", () => {
	const { thread, kq, kernel } = world();
	const change = Object.freeze(new Kevent(2, EVFILT_TIMER, EV_ADD, 0, 5, "mine"));
	assert.is(keventNow(thread, kq, Object.freeze([change]), null), 0);
	assert.equal(fields([change], 1), [[2, EVFILT_TIMER, EV_ADD, 0, 5, "mine"]]);
	assert.is(kernel.ntimers, 2);
});

test("a list of events may be frozen when there is an event object in every slot", () => {
	const { thread, kq, file } = world();
	const events = Object.freeze(eventList(2)) as Kevent[];
	assert.is(keventNow(thread, kq, null, events), 1);
	assert.equal(fields(events, 2), [
		[file, EVFILT_READ, EV_ADD, 0, 3, null],
		[0, 0, 0, 0, 0, null],
	]);
});

test("an error of a change's getter reaches the caller, and the batch is not applied", () => {
	const made = world();
	const { thread, kq } = made;
	const trap = {
		...GOOD,
		get data(): number {
			throw new RangeError("no data");
		},
	};
	const call = (list: KeventChange[]) => keventNow(thread, kq, list, null);
	refuses(made, [[trap]], "RangeError: no data", call);
	refuses(made, [[GOOD, trap]], "RangeError: no data", call);
});

test("a change whose getter closes the kqueue fails with EBADF, and leaves nothing behind", () => {
	const { thread, kq, kernel, process } = world();
	const trap = {
		get ident(): number {
			close(thread, kq);
			return 2;
		},
		filter: EVFILT_TIMER,
		flags: EV_ADD,
	};
	assert.is(
		refusal(() => keventNow(thread, kq, [trap], eventList(1))),
		"EBADF kevent",
	);
	assert.is(kernel.ntimers, 0);
	assert.is(process.fdp.firstKqueue, null);
});

test("a change whose getter ends the process or thread is refused with EDEADLK", () => {
	const made = world();
	const { thread, kq } = made;
	const trap = (end: () => void) => ({
		get ident(): number {
			end();
			return 2;
		},
		filter: EVFILT_TIMER,
		flags: EV_ADD,
	});
	const change = (end: () => void) => keventNow(thread, kq, [GOOD, trap(end)], null);
	refuses(made, [() => exit(thread, 0)], "EDEADLK exit", change);
	refuses(made, [() => threadExit(thread)], "EDEADLK threadExit", change);
});

test("a change whose getter calls kevent on the same kqueue is applied after it", () => {
	const { thread, kq, kernel } = world();
	const trap = {
		get ident(): number {
			keventNow(thread, kq, [{ ident: 3, filter: EVFILT_TIMER, flags: EV_ADD }], null);
			return 2;
		},
		filter: EVFILT_TIMER,
		flags: EV_ADD,
	};
	assert.is(keventNow(thread, kq, [trap], null), 0);
	assert.is(kernel.ntimers, 3);
});

// Limits

test("a process has as many descriptors as its limit allows, and then EMFILE", () => {
	const made = world({ maxfiles: 3 });
	const { thread, file } = made;
	const calls: readonly (readonly [string, () => unknown])[] = [
		["kqueue", () => kqueue(thread)],
		["open", () => openFile(thread, new SyntheticFile())],
		["dup", () => dup(thread, file)],
		["fcntl", () => fcntl(thread, file, F_DUPFD, 0)],
		["fcntl", () => fcntl(thread, file, F_DUPFD_CLOEXEC, 2)],
	];
	for (const [name, call] of calls) refuses(made, [undefined], `EMFILE ${name}`, call);
	refuses(made, [3], "EBADF dup2", (to) => dup2(thread, file, to));
	refuses(made, [3], "EINVAL fcntl", (from) => fcntl(thread, file, F_DUPFD, from));
	for (const [, call] of calls) {
		close(thread, 2);
		assert.is(call(), 2);
	}
});

test("a limit of no descriptors lets nothing be opened", () => {
	const made = machine({ maxfiles: 0 });
	const { thread } = made;
	refuses(made, [undefined], "EMFILE kqueue", () => kqueue(thread));
	refuses(made, [undefined], "EMFILE open", () => openFile(thread, new SyntheticFile()));
});

test("the limit on descriptors is each process's own and can be changed", () => {
	const made = world();
	const { thread, process, file } = made;
	process.fdp.limit = 2;
	refuses(made, [undefined], "EMFILE dup", () => dup(thread, file));
	const child = fork(thread).main;
	assert.is(child.process.fdp.limit, 2);
	assert.is(dup(child, file), 1, "the kqueue's number is free in the child");
	process.fdp.limit = 4;
	assert.is(dup(thread, file), 3);
	refuses(made, [undefined], "EMFILE dup", () => dup(thread, file));
	refuses(made, [undefined], "EMFILE dup", () => dup(child, file));
	process.fdp.limit = 5;
	assert.is(dup(thread, file), 4);
	process.fdp.limit = 0;
	assert.is(close(thread, 4), undefined, "open descriptors can still be used");
	refuses(made, [undefined], "EMFILE kqueue", () => kqueue(thread));
});

test("one timer more than the limit fits, then ENOMEM, over all processes", () => {
	const made = machine({ timermax: 2 });
	const { thread, kernel } = made;
	const kq = kqueue(thread);
	const child = fork(thread).main;
	const other = kqueue(child);
	const add = (ident: number) => [{ ident, filter: EVFILT_TIMER, flags: EV_ADD, data: 5 }];
	assert.is(keventNow(thread, kq, [...add(1), ...add(2)], null), 0);
	assert.is(keventNow(child, other, add(1), null), 0);
	refuses(made, [3, -3], "ENOMEM kevent", (ident) => keventNow(thread, kq, add(ident), null));
	refuses(made, [2], "ENOMEM kevent", (ident) => keventNow(child, other, add(ident), null));
	const events = eventList(2);
	assert.is(keventNow(thread, kq, add(3), events), 1);
	assert.equal(fields(events, 1), [[3, EVFILT_TIMER, EV_ERROR, 0, 12, null]]);
	assert.is(keventNow(thread, kq, add(2), null), 0, "an existing one can be changed");

	assert.is(keventNow(thread, kq, [{ ...GOOD, flags: EV_DELETE }], null), 0);
	assert.is(keventNow(child, other, add(2), null), 0);
	kernel.timermax = 3;
	assert.is(keventNow(thread, kq, add(3), null), 0);
	refuses(made, [4], "ENOMEM kevent", (ident) => keventNow(thread, kq, add(ident), null));
	exit(child, 0);
	assert.is(kernel.ntimers, 2);
	close(thread, kq);
	assert.is(kernel.ntimers, 0);
});

test("there are as many processes as the limit allows, with zombies, and then EAGAIN", () => {
	const made = machine({ maxprocesses: 2 });
	const { thread, kernel } = made;
	const child = fork(thread);
	refuses(made, [thread, child.main], "EAGAIN fork", fork);
	refuses(made, [undefined], "EAGAIN spawn", () => kernel.spawn());
	exit(child.main, 7);
	refuses(made, [thread], "EAGAIN fork", fork);
	assert.equal(waitpidNow(thread, child.pid), { pid: child.pid, status: 7 << 8 });
	const next = fork(thread);
	assert.is(next.pid, 3, "an id is not used again at once");
	exit(next.main, 0);
	waitpidNow(thread, -1);
	assert.is(kernel.spawn().pid, 4);
});

test("a fork that fails is not reported to watchers", () => {
	const made = machine({ maxprocesses: 1 });
	const { thread, process } = made;
	const kq = kqueue(thread);
	const watch = { ident: process.pid, filter: EVFILT_PROC, flags: EV_ADD, fflags: 0x40000000 };
	keventNow(thread, kq, [watch], null);
	refuses(made, [thread], "EAGAIN fork", fork);
	assert.is(keventNow(thread, kq, null, eventList(1)), 0);
});

test("a machine whose limits allow no processes, descriptors or timers can be made", () => {
	const host = new VirtualHost();
	const none = new Kernel({ host, maxprocesses: 0 });
	assert.is(
		refusal(() => none.spawn()),
		"EAGAIN spawn",
	);
	const { thread, kernel } = machine({ timermax: 0 });
	const kq = kqueue(thread);
	assert.is(keventNow(thread, kq, [GOOD], null), 0);
	assert.is(kernel.ntimers, 1);
	assert.is(
		refusal(() => keventNow(thread, kq, [{ ...GOOD, ident: 1 }], null)),
		"ENOMEM kevent",
	);
});

test("the ids of processes end at the largest one", () => {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, firstPid: PID_MAX });
	assert.is(kernel.spawn().pid, PID_MAX);
	assert.is(
		refusal(() => kernel.spawn()),
		"EAGAIN spawn",
	);
	const beyond = new Kernel({ host, firstPid: PID_MAX + 1 });
	assert.is(
		refusal(() => beyond.spawn()),
		"EAGAIN spawn",
	);
});

test("a limit that is not a whole number is refused when the machine is made", () => {
	const host = new VirtualHost();
	const names = ["maxfiles", "maxprocesses", "timermax", "firstPid"] as const;
	const bad = [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, "5", "", true, {}, [5], 5n];
	for (const name of names) {
		for (const value of bad) {
			const answer = refusal(() => new Kernel({ host, [name]: value as never }));
			assert.is(`${name} ${show(value)}: ${answer}`, `${name} ${show(value)}: EINVAL Kernel`);
		}
	}
	const kernel = new Kernel({ host });
	assert.equal(
		[kernel.maxfiles, kernel.maxprocesses, kernel.timermax, kernel.spawn().pid],
		[1024, 16_384, 262_144, 1],
	);
});

test("flags that only the system sets are removed from changes", () => {
	const { thread, kq, file } = world();
	const change = { ident: file, filter: EVFILT_READ, flags: EV_DELETE };
	keventNow(thread, kq, [change], null);
	keventNow(thread, kq, [{ ...change, flags: 0xf800 | 0x0700 | EV_ADD | EV_CLEAR }], null);
	const events = eventList(2);
	assert.is(keventNow(thread, kq, null, events), 1);
	assert.equal(fields(events, 1), [[file, EVFILT_READ, 0x0700 | EV_ADD | EV_CLEAR, 0, 3, null]]);
});

test("close-on-exec cannot be set or cleared on a descriptor that is not open", () => {
	const made = world();
	refuses(made, [3, -1], "EBADF ioctl", (fd) => ioctl(made.thread, fd, FIOCLEX));
	refuses(made, [3, -1], "EBADF ioctl", (fd) => ioctl(made.thread, fd, FIONCLEX));
	assert.is(openFile(made.thread, new SyntheticFile()), 3);
	assert.is(fcntl(made.thread, 3, F_GETFD), 0);
});

test("even a value that cannot be shown gets its errno", () => {
	const { thread, kq } = world();
	const odd = Object.create(null);
	for (const [call, code] of [
		[() => close(thread, odd), "EBADF"],
		[() => dup2(thread, kq, odd), "EBADF"],
		[() => closefrom(thread, odd), "EBADF"],
		[() => fcntl(thread, kq, odd), "EINVAL"],
		[() => fcntl(thread, kq, F_DUPFD, odd), "EINVAL"],
		[() => kill(thread, odd, SIGTERM), "ESRCH"],
		[() => kill(thread, 1, odd), "EINVAL"],
		[() => sigaction(thread, SIGTERM, SIG_IGN, odd), "EINVAL"],
		[() => sigprocmask(thread, odd, 0), "EINVAL"],
		[() => exit(thread, odd), "EINVAL"],
		[() => waitpidNow(thread, odd), "ECHILD"],
		[() => keventNow(thread, odd, null, null), "EBADF"],
		[() => keventNow(thread, kq, [{ ...odd, ident: odd, filter: -7, flags: 1 }], null), "EINVAL"],
	] as const) {
		assert.throws(call, (error: { code: string }) => error.code === code);
	}
});

test.run();

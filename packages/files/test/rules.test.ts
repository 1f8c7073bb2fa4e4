// Rules of the kernel that its traces do not reach: TCP, UDP, vnodes, terminals, passed descriptors.
import { POLLHUP, POLLIN, POLLOUT, POLLPRI } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	eventList,
	exit,
	fork,
	kevent,
	keventNow,
	kqueue,
	NOTE_ATTRIB,
	NOTE_EOF,
	NOTE_EXTEND,
	NOTE_LOWAT,
	NOTE_OOB,
	NOTE_WRITE,
	openFile,
	type Process,
	read,
	readNow,
	sigaction,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { File, filterops, type Klist, type Knote, knoteJoin } from "@kqpoll/kqueue/kernel";
import { SIG_IGN, SIGINT, SIGTTIN } from "@kqpoll/kqueue/signal";
import { setpgid } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	acceptNow,
	bind,
	connectNow,
	getsockopt,
	listen,
	login_tty,
	openDevice,
	openpty,
	pipe,
	recvmsgNow,
	recvNow,
	sendmsgNow,
	sendNow,
	sendtoNow,
	setsockopt,
	shutdown,
	socket,
	socketpair,
} from "../src/index.ts";
import {
	MSG_OOB,
	SHUT_RD,
	SHUT_WR,
	SO_ERROR,
	SO_RCVLOWAT,
	SO_SNDBUF,
	SO_SNDLOWAT,
	SOL_SOCKET,
} from "../src/socket/socket-constants.ts";
import { cfmakeraw, TTYDEF, VMIN, VTIME } from "../src/termios.ts";
import { chmod } from "../src/tree/attribute-calls.ts";
import { revoke } from "../src/tree/revoke-calls.ts";
import { checkMachine, codeOf, collect, type Machine, machine, revents } from "./machine.ts";
import { world } from "./tree/vnode-world.ts";
import { terminal } from "./tty/tty-world.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const FILTERS = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT, EVFILT_VNODE, EVFILT_DEVICE];

/** A kqueue that watches a descriptor for each of the filters, in their order. */
function watch(
	thread: Thread,
	ident: number,
	filters: readonly number[],
	more: { flags?: number; fflags?: number; data?: number } = {},
): number {
	const kq = kqueue(thread);
	const { flags = 0, ...rest } = more;
	const changes = filters.map((filter) => ({ ident, filter, flags: EV_ADD | flags, ...rest }));
	keventNow(thread, kq, changes, null);
	return kq;
}

/** The errno of adding each filter, or 0. */
function answers(thread: Thread, ident: number): unknown[] {
	const kq = kqueue(thread);
	const events = eventList(FILTERS.length);
	const flags = EV_ADD | EV_RECEIPT;
	const changes = FILTERS.map((filter) => ({ ident, filter, flags }));
	return events.slice(0, keventNow(thread, kq, changes, events)).map(({ data }) => data);
}

interface Connection extends Machine {
	readonly a: number;
	readonly b: number;
}

/** A TCP connection whose ends do not have anything to read. */
function tcp(): Connection {
	const m = machine();
	const { thread, host } = m;
	const l = socket(thread, "inet", "stream");
	bind(thread, l, 80);
	listen(thread, l, 1);
	const a = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, a, 80));
	host.settle();
	const b = acceptNow(thread, l);
	close(thread, l);
	return { ...m, a, b };
}

/** A UDP socket that is connected to a port that nobody has, and has been told so. */
function refusedUdp(): Machine & { readonly fd: number; readonly kqs: readonly number[] } {
	const m = machine();
	const { thread } = m;
	const fd = socket(thread, "inet", "dgram");
	connectNow(thread, fd, 54);
	const kqs = [0, NOTE_LOWAT].map((fflags) =>
		watch(thread, fd, [EVFILT_READ, EVFILT_WRITE], { fflags, data: 99_999 }),
	);
	assert.equal(
		kqs.map((kq) => collect(thread, kq)),
		[[[fd, EVFILT_WRITE, EV_ADD, 0, 9216]], []],
	);
	sendNow(thread, fd, new Uint8Array(1));
	return { ...m, fd, kqs };
}

function take(thread: Thread, fd: number, n: number): number {
	return recvNow(thread, fd, new Uint8Array(n));
}

test("TCP and UDP take READ, WRITE and EXCEPT, and refuse other filters", () => {
	const { thread, a } = tcp();
	const udp = socket(thread, "inet", "dgram");
	const expected = [0, 0, 0, errno.EINVAL, errno.EINVAL];
	assert.equal([answers(thread, a), answers(thread, udp)], [expected, expected]);
});

test("READ and EXCEPT of TCP are told of what arrives, WRITE of what the other end takes", () => {
	const { thread, a, b } = tcp();
	const filters = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT];
	const kq = watch(thread, a, filters, { flags: EV_CLEAR, fflags: NOTE_OOB });
	const seen = (): number[][] =>
		collect(thread, kq).map(([, filter = 0, , , n = 0]) => [filter, n]);
	const acts = [
		() => {},
		() => {},
		() => writeNow(thread, b, new Uint8Array(3)),
		() => sendNow(thread, b, new Uint8Array(1), MSG_OOB),
		() => writeNow(thread, a, new Uint8Array(32_768)),
		() => take(thread, b, 9000),
	];
	const steps = acts.map((act) => {
		act();
		return seen();
	});
	assert.equal(steps, [
		[[EVFILT_WRITE, 16_384]],
		[],
		[[EVFILT_READ, 3]],
		[
			[EVFILT_EXCEPT, -9],
			[EVFILT_READ, 3],
		],
		[],
		[[EVFILT_WRITE, 9000]],
	]);
});

test("READ of TCP at the end reports the unread bytes with EV_EOF, again and again", () => {
	const { thread, a, b } = tcp();
	const kq = watch(thread, a, [EVFILT_READ]);
	writeNow(thread, b, new Uint8Array(5));
	shutdown(thread, b, SHUT_WR);
	const end = (n: number): number[] => [a, EVFILT_READ, EV_ADD | EV_EOF, 0, n];
	assert.equal([collect(thread, kq), collect(thread, kq)], [[end(5)], [end(5)]]);
	take(thread, a, 3);
	assert.equal(collect(thread, kq), [end(2)]);
	take(thread, a, 3);
	assert.equal([collect(thread, kq), collect(thread, kq)], [[end(0)], [end(0)]]);
});

test("shutdown for reading is the end for READ of TCP, and not for WRITE", () => {
	const { thread, a, b } = tcp();
	const kq = watch(thread, a, [EVFILT_READ, EVFILT_WRITE]);
	writeNow(thread, b, new Uint8Array(5));
	shutdown(thread, a, SHUT_RD);
	assert.equal(collect(thread, kq).sort(), [
		[a, EVFILT_READ, EV_ADD | EV_EOF, 0, 0],
		[a, EVFILT_WRITE, EV_ADD, 0, 16_384],
	]);
	assert.equal(revents(thread, ALL, a, b), [POLLIN | POLLOUT, POLLOUT]);
});

test("an error of UDP makes READ and WRITE ready, without a flag and without a note", () => {
	const { thread, fd, kqs } = refusedUdp();
	const events = [
		[fd, EVFILT_READ, EV_ADD, 0, 0],
		[fd, EVFILT_WRITE, EV_ADD, 0, 9216],
	];
	for (const kq of kqs) assert.equal(collect(thread, kq).sort(), events);
	assert.equal(revents(thread, ALL, fd), [POLLIN | POLLOUT]);
});

test("only a call takes the error of a socket, events and polls leave it", () => {
	const { thread, fd, kqs } = refusedUdp();
	for (const kq of kqs) collect(thread, kq);
	revents(thread, ALL, fd);
	const error = (): number => getsockopt(thread, fd, SOL_SOCKET, SO_ERROR);
	assert.equal([error(), error()], [errno.ECONNREFUSED, 0]);
	assert.equal(
		kqs.map((kq) => collect(thread, kq)),
		[[[fd, EVFILT_WRITE, EV_ADD, 0, 9216]], []],
	);
});

test("NOTE_LOWAT takes the place of the low-water marks of TCP", () => {
	const { thread, a, b } = tcp();
	setsockopt(thread, a, SOL_SOCKET, SO_RCVLOWAT, 2);
	const reader = watch(thread, a, [EVFILT_READ], { fflags: NOTE_LOWAT, data: 4 });
	const early = watch(thread, a, [EVFILT_READ], { fflags: NOTE_LOWAT, data: 1 });
	const seen = (kq: number): unknown[] => collect(thread, kq).map((event) => event[4]);
	const steps = [1, 2, 1].map((n) => {
		writeNow(thread, b, new Uint8Array(n));
		return [revents(thread, POLLIN, a)[0], seen(reader), seen(early)];
	});
	assert.equal(steps, [
		[0, [], [1]],
		[POLLIN, [], [3]],
		[POLLIN, [4], [4]],
	]);
	const writer = watch(thread, a, [EVFILT_WRITE], { fflags: NOTE_LOWAT, data: 16_384 });
	const late = watch(thread, a, [EVFILT_WRITE], { fflags: NOTE_LOWAT, data: 1 });
	writeNow(thread, a, new Uint8Array(16_384 + 16_383));
	assert.equal([revents(thread, POLLOUT, a)[0], seen(writer), seen(late)], [0, [], [1]]);
	take(thread, b, 16_383);
	assert.equal(
		[revents(thread, POLLOUT, a)[0], seen(writer), seen(late)],
		[POLLOUT, [16_384], [16_384]],
	);
});

test("SO_RCVLOWAT and SO_SNDLOWAT say when TCP is ready, and a small buffer lowers its mark", () => {
	const { thread, a, b } = tcp();
	setsockopt(thread, a, SOL_SOCKET, SO_RCVLOWAT, 3);
	setsockopt(thread, a, SOL_SOCKET, SO_SNDLOWAT, 16_384);
	const kq = watch(thread, a, [EVFILT_READ, EVFILT_WRITE]);
	const state = (): unknown[] => [
		revents(thread, ALL, a)[0],
		collect(thread, kq)
			.map(([, filter, , , n]) => [filter, n])
			.sort(),
	];
	writeNow(thread, b, new Uint8Array(2));
	writeNow(thread, a, new Uint8Array(16_385));
	assert.equal(state(), [0, []]);
	writeNow(thread, b, new Uint8Array(1));
	take(thread, b, 1);
	assert.equal(state(), [
		POLLIN | POLLOUT,
		[
			[EVFILT_READ, 3],
			[EVFILT_WRITE, 16_384],
		],
	]);
	setsockopt(thread, b, SOL_SOCKET, SO_SNDBUF, 100);
	assert.is(getsockopt(thread, b, SOL_SOCKET, SO_SNDLOWAT), 100);
	assert.equal(revents(thread, POLLOUT, b), [POLLOUT]);
});

test("the room of TCP is below zero after an out-of-band byte for which there was none", () => {
	const { thread, a } = tcp();
	const kq = watch(thread, a, [EVFILT_WRITE]);
	writeNow(thread, a, new Uint8Array(32_768));
	sendNow(thread, a, new Uint8Array(1), MSG_OOB);
	assert.equal(collect(thread, kq), []);
	shutdown(thread, a, SHUT_WR);
	assert.equal(collect(thread, kq), [[a, EVFILT_WRITE, EV_ADD | EV_EOF, 0, -1]]);
});

test("EXCEPT reports out-of-band bytes only with NOTE_OOB, and hang-ups only to poll", () => {
	const { thread, a, b } = tcp();
	const [plain, oob] = [0, NOTE_OOB].map((fflags) =>
		watch(thread, b, [EVFILT_EXCEPT], { fflags }),
	) as [number, number];
	sendNow(thread, a, Uint8Array.of(9), MSG_OOB);
	assert.equal(
		[collect(thread, plain), collect(thread, oob)],
		[[], [[b, EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0]]],
	);
	const other = tcp();
	const kqs = [0, NOTE_OOB].map((fflags) =>
		watch(other.thread, other.b, [EVFILT_EXCEPT], { fflags }),
	);
	for (const fd of [other.a, other.b]) shutdown(other.thread, fd, SHUT_WR);
	assert.equal(
		[kqs.map((kq) => collect(other.thread, kq)), revents(other.thread, POLLPRI, other.b)],
		[[[], []], [POLLHUP]],
	);
});

test("READ of TCP ignores NOTE_EOF", () => {
	const { thread, a, b } = tcp();
	const kq = watch(thread, a, [EVFILT_READ], { fflags: NOTE_EOF });
	assert.equal(collect(thread, kq), []);
	shutdown(thread, b, SHUT_WR);
	assert.equal(collect(thread, kq), [[a, EVFILT_READ, EV_ADD | EV_EOF, 0, 0]]);
});

test("READ of UDP counts the address of the sender too", () => {
	const { thread } = machine();
	const [to, from] = [socket(thread, "inet", "dgram"), socket(thread, "inet", "dgram")];
	bind(thread, to, 53);
	const kq = watch(thread, to, [EVFILT_READ]);
	for (const n of [3, 0]) sendtoNow(thread, from, new Uint8Array(n), 0, 53);
	assert.equal(collect(thread, kq), [[to, EVFILT_READ, EV_ADD, 0, 3 + 16 + 16]]);
	take(thread, to, 9);
	assert.equal(collect(thread, kq), [[to, EVFILT_READ, EV_ADD, 0, 16]]);
});

test("VNODE with EV_ONESHOT, EV_CLEAR or EV_DISPATCH reports once; EV_DISPATCH keeps the notes", () => {
	const seen = [EV_ONESHOT, EV_CLEAR, EV_DISPATCH].map((flags) => {
		const w = world();
		const { thread, tree, file } = w;
		const notes = { flags, fflags: NOTE_WRITE | NOTE_ATTRIB };
		const kq = watch(thread, file, [EVFILT_VNODE], notes);
		const report = (): unknown[] => collect(thread, kq).map((event) => event[3]);
		writeNow(thread, file, new Uint8Array(11));
		const steps = [report(), report()];
		chmod(thread, tree, "f", 0);
		steps.push(report());
		const enable = { ident: file, filter: EVFILT_VNODE, flags: EV_ENABLE };
		const code = codeOf(() => keventNow(thread, kq, [enable], null));
		checkMachine(w);
		return [...steps, code, report()];
	});
	const written = NOTE_WRITE | NOTE_EXTEND;
	assert.equal(seen, [
		[[written], [], [], "ENOENT", []],
		[[written], [], [NOTE_ATTRIB], "no error", []],
		[[written], [], [], "no error", [written | NOTE_ATTRIB]],
	]);
});

test("a revoked file cannot be used any more when its watchers are told", () => {
	const { thread, tree, file } = world();
	const klist = tree.root.entries?.get("f")?.klist as Klist;
	const codes: unknown[] = [];
	let armed = false;
	const event = (): boolean => {
		if (armed) codes.push(codeOf(() => readNow(thread, file, new Uint8Array(1))));
		return armed;
	};
	class Watcher extends File {
		override kqfilter(kn: Knote): number {
			return knoteJoin(kn, filterops({ name: "watcher", event }), klist);
		}
	}
	const kq = watch(thread, openFile(thread, new Watcher("vnode")), [EVFILT_READ]);
	armed = true;
	revoke(thread, tree, "f");
	assert.equal(codes, ["EIO"]);
	close(thread, kq);
});

test("READ of a raw terminal waits for VMIN bytes, with VTIME for one, and is silent without any", () => {
	const states = [
		[3, 0],
		[3, 5],
		[0, 5],
		[0, 0],
	].map(([min = 0, time = 0]) => {
		const raw = cfmakeraw(TTYDEF);
		const cc = raw.cc.map((c, i) => (i === VMIN ? min : i === VTIME ? time : c));
		const t = terminal({ ...raw, cc });
		const kq = watch(t.thread, t.slave, [EVFILT_READ]);
		const state = (): unknown => [
			revents(t.thread, POLLIN, t.slave)[0],
			collect(t.thread, kq).map((event) => event[4]),
		];
		const steps: unknown[] = [state()];
		t.type("ab");
		steps.push(state(), t.read(1));
		t.type("c");
		return [...steps, state()];
	});
	assert.equal(states, [
		[[0, []], [0, []], "EAGAIN", [POLLIN, [3]]],
		[[0, []], [POLLIN, [2]], "EAGAIN", [POLLIN, [3]]],
		[[0, []], [POLLIN, [2]], "a", [POLLIN, [2]]],
		[[0, []], [POLLIN, [2]], "a", [POLLIN, [2]]],
	]);
});

test("when VTIME ends a read no watcher is told", async () => {
	const { thread, host, process } = machine();
	const raw = cfmakeraw(TTYDEF);
	const cc = raw.cc.map((c, i) => (i === VMIN ? 3 : i === VTIME ? 5 : c));
	const [master, slave] = openpty(thread, { ...raw, cc });
	const kq = watch(thread, slave, [EVFILT_READ], { flags: EV_CLEAR });
	const reading = read(process.spawnThread(), slave, new Uint8Array(9));
	writeNow(thread, master, new Uint8Array(2));
	const flags = EV_ADD | EV_CLEAR;
	assert.equal(collect(thread, kq), [[slave, EVFILT_READ, flags, 0, 2]]);
	host.advance(500);
	assert.equal([await reading, collect(thread, kq)], [2, []]);
});

interface Login extends Machine {
	readonly master: number;
	/** The leader of the session, in the foreground: its 0 is the terminal. */
	readonly shell: Process;
	/** Its child, in the background. */
	readonly job: Process;
}

function login(): Login {
	const m = machine();
	const { thread } = m;
	const [master, slave] = openpty(thread);
	const shell = fork(thread);
	close(shell.main, master);
	login_tty(shell.main, slave);
	close(thread, slave);
	const job = fork(shell.main);
	setpgid(shell.main, job.pid, 0);
	return { ...m, master, shell, job };
}

function line(text: string): Uint8Array {
	return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

test("how ready a terminal is does not depend on the foreground group", () => {
	const { thread, host, master, shell, job } = login();
	sigaction(job.main, SIGTTIN, SIG_IGN);
	const threads = [shell.main, job.main];
	const kqs = threads.map((each) => watch(each, 0, [EVFILT_READ]));
	writeNow(thread, master, line("hi\n"));
	host.settle();
	assert.equal(
		threads.map((each, i) => [revents(each, ALL, 0), collect(each, kqs[i] as number)]),
		[
			[[POLLIN | POLLOUT], [[0, EVFILT_READ, EV_ADD, 0, 3]]],
			[[POLLIN | POLLOUT], [[0, EVFILT_READ, EV_ADD, 0, 3]]],
		],
	);
	assert.equal(
		[job, shell].map(({ main }) => codeOf(() => readNow(main, 0, new Uint8Array(9)))),
		["EIO", "no error"],
	);
});

test("/dev/tty is as ready as the terminal of the session", () => {
	const { thread, host, master, shell } = login();
	const tty = openDevice(shell.main, "tty");
	const kq = watch(shell.main, tty, [EVFILT_READ, EVFILT_WRITE]);
	const state = (): unknown[] => [
		revents(shell.main, ALL, 0, tty),
		collect(shell.main, kq)
			.map(([, filter, , , n]) => [filter, n])
			.sort(),
	];
	const room = [EVFILT_WRITE, 8192];
	assert.equal(state(), [[POLLOUT, POLLOUT], [room]]);
	writeNow(thread, master, line("hi\n"));
	host.settle();
	readNow(thread, master, new Uint8Array(99));
	const both = POLLIN | POLLOUT;
	assert.equal(state(), [
		[both, both],
		[[EVFILT_READ, 3], room],
	]);
});

test("EVFILT_SIGNAL counts the signals that a terminal sends, also those that are ignored", async () => {
	const { thread, host, master, shell, job } = login();
	sigaction(shell.main, SIGINT, SIG_IGN);
	const interrupts = watch(shell.main, SIGINT, [EVFILT_SIGNAL]);
	const stops = watch(job.main, SIGTTIN, [EVFILT_SIGNAL]);
	for (const text of ["\x03", "\x03"]) writeNow(thread, master, line(text));
	sigaction(job.main, SIGTTIN, () => {});
	const reading = read(job.main, 0, new Uint8Array(1)).catch((error) => error.code);
	host.settle();
	assert.is(await reading, "EINTR");
	const flags = EV_ADD | EV_CLEAR;
	assert.equal(
		[collect(shell.main, interrupts), collect(job.main, stops)],
		[[[SIGINT, EVFILT_SIGNAL, flags, 0, 2]], [[SIGTTIN, EVFILT_SIGNAL, flags, 0, 1]]],
	);
});

test("a thread that watches a terminal wakes with its end when the leader of the session exits", async () => {
	const { host, shell, job } = login();
	const kq = watch(job.main, 0, [EVFILT_READ]);
	const events = eventList(2);
	const call = kevent(job.main, kq, null, events, null);
	exit(shell.main, 0);
	host.settle();
	const n = await call;
	assert.equal(
		events.slice(0, n).map(({ ident, filter, flags, data }) => [ident, filter, flags, data]),
		[[0, EVFILT_READ, EV_ADD | EV_EOF | EV_ONESHOT, 0]],
	);
	assert.equal(collect(job.main, kq), []);
});

test("passed descriptors count as bytes that the other end has not read", () => {
	const { thread } = machine();
	const [a, b] = socketpair(thread, "stream");
	const [r] = pipe(thread);
	const kqs = [watch(thread, b, [EVFILT_READ]), watch(thread, a, [EVFILT_WRITE])];
	const data = (): unknown[] => kqs.flatMap((kq) => collect(thread, kq)).map((event) => event[4]);
	const pass = (n: number, ...fds: number[]): unknown =>
		codeOf(() => sendmsgNow(thread, a, { bytes: new Uint8Array(n), fds }));
	// Of one descriptor the message has 32 bytes: a head of 16, and 16 for each.
	assert.equal([pass(1, r), data()], ["no error", [33, 8192 - 33]]);
	recvmsgNow(thread, b, { bytes: new Uint8Array(1), fds: [] });
	assert.equal(data(), [8192]);
});

test("a send of descriptors needs room for an even count of them", () => {
	const { thread } = machine();
	const [a, b] = socketpair(thread, "stream");
	const [r] = pipe(thread);
	const kq = watch(thread, b, [EVFILT_READ]);
	const pass = (): unknown =>
		codeOf(() => sendmsgNow(thread, a, { bytes: new Uint8Array(0), fds: [r] }));
	for (const [room, answer, taken] of [
		[47, "EAGAIN", 0],
		[48, "no error", 32],
	] as const) {
		writeNow(thread, a, new Uint8Array(8192 - room));
		assert.equal([room, pass(), collect(thread, kq)[0]?.[4]], [room, answer, 8192 - room + taken]);
		readNow(thread, b, new Uint8Array(8192));
	}
});

test.run();

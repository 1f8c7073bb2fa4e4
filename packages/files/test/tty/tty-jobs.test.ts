// Job control: sessions, the foreground group, signals from the keyboard, background.

import {
	close,
	dup,
	exit,
	fork,
	ioctl,
	type Process,
	read,
	readNow,
	sigaction,
	sigprocmask,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import {
	SIG_BLOCK,
	SIG_IGN,
	SIGHUP,
	SIGINFO,
	SIGINT,
	SIGQUIT,
	SIGTSTP,
	SIGTTIN,
	SIGTTOU,
	SIGWINCH,
	sigset,
} from "@kqpoll/kqueue/signal";
import { getsid, setpgid, setsid } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDWR } from "../../src/fcntl.ts";
import {
	isatty,
	login_tty,
	openDevice,
	openpty,
	pipe,
	posix_openpt,
	ptsname,
	tcgetattr,
	tcgetpgrp,
	tcgetwinsize,
	tcsetattr,
	tcsetpgrp,
	tcsetwinsize,
} from "../../src/index.ts";
import {
	CLOCAL,
	ICANON,
	NOFLSH,
	TCSANOW,
	type Termios,
	TOSTOP,
	TTYDEF,
	VMIN,
	VSTATUS,
	VTIME,
} from "../../src/termios.ts";
import { TIOCGPGRP, TIOCNOTTY, TIOCREMOTE, TIOCSCTTY, TIOCSIG } from "../../src/ttycom.ts";
import { codeOf, type Machine, machine, outcome } from "../machine.ts";
import { bytes, ctrl, string } from "./tty-world.ts";

interface Login extends Machine {
	/** The thread of the process that made the pty. */
	readonly master: number;
	/** The leader of the terminal's session: its 0, 1 and 2 are the terminal. */
	readonly shell: Process;
	/** Children of the shell, each in a group of its own. */
	readonly jobs: readonly Process[];
	/** The signals that were caught: [pid, signal]. */
	readonly caught: [number, number][];
	type(text: string): void;
}

const CAUGHT = [SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH, SIGINFO];

function login(changes: Partial<Termios> = {}): Login {
	const m = machine();
	const { thread } = m;
	const [master, slave] = openpty(thread, { ...TTYDEF, ...changes });
	const shell = fork(thread);
	close(shell.main, master);
	login_tty(shell.main, slave);
	close(thread, slave);
	const jobs = [fork(shell.main), fork(shell.main)];
	for (const job of jobs) setpgid(shell.main, job.pid, 0);
	const caught: [number, number][] = [];
	for (const process of [shell, ...jobs])
		for (const signal of CAUGHT)
			sigaction(process.main, signal, () => {
				caught.push([process.pid, signal]);
			});
	const type = (text: string): void => {
		writeNow(thread, master, bytes(text));
		m.host.settle();
	};
	return { ...m, master, shell, jobs, caught, type };
}

function screen({ thread, master }: Login): string {
	const buffer = new Uint8Array(1000);
	return string(buffer.subarray(0, readNow(thread, master, buffer)));
}

test("login_tty makes a session with the terminal as its descriptors", () => {
	const { shell } = login();
	assert.equal(
		[0, 1, 2, 3].map((fd) => isatty(shell.main, fd)),
		[true, true, true, false],
	);
	assert.equal([getsid(shell.main, 0), tcgetpgrp(shell.main, 0)], [shell.pid, shell.pid]);
});

test("^C, ^\\ and ^Z go only to the foreground group, and flush what was typed", () => {
	const t = login();
	const [job] = t.jobs as [Process];
	tcsetpgrp(t.shell.main, 0, job.pid);
	t.type(`abc${ctrl("C")}`);
	assert.equal([t.caught, screen(t)], [[[job.pid, SIGINT]], "^C"]);
	t.type(ctrl("\\"));
	t.type(ctrl("Z"));
	assert.equal(t.caught.slice(1), [
		[job.pid, SIGQUIT],
		[job.pid, SIGTSTP],
	]);
	t.type("x\n");
	assert.is(readNow(job.main, 0, new Uint8Array(10)), 2);
});

test("with NOFLSH a signal leaves what was typed", () => {
	const t = login({ lflag: (TTYDEF.lflag | NOFLSH) >>> 0 });
	t.type(`abc${ctrl("C")}\n`);
	assert.is(readNow(t.shell.main, 0, new Uint8Array(10)), 4);
	assert.is(tcgetattr(t.shell.main, 0).lflag, (TTYDEF.lflag | NOFLSH) >>> 0);
});

test("VSTATUS sends SIGINFO, and ^Y SIGTSTP when it is read", () => {
	const cc = TTYDEF.cc.map((c, place) => (place === VSTATUS ? 0x14 : c));
	const t = login({ cc });
	t.type(ctrl("T"));
	assert.equal(t.caught, [[t.shell.pid, SIGINFO]]);
	t.type(`a${ctrl("Y")}b\n`);
	assert.is(t.caught.length, 1);
	const buffer = new Uint8Array(10);
	assert.is(readNow(t.shell.main, 0, buffer), 1);
	t.host.settle();
	assert.equal(t.caught.slice(1), [[t.shell.pid, SIGTSTP]]);
	assert.is(readNow(t.shell.main, 0, buffer), 2);
	t.type(`${ctrl("Y")}c\n`);
	assert.equal([readNow(t.shell.main, 0, buffer), string(buffer.subarray(0, 2))], [2, "c\n"]);
});

test("a read in the background gets SIGTTIN, and if that is handled EINTR", async () => {
	const t = login();
	const [job] = t.jobs as [Process];
	const reading = outcome(read(job.main, 0, new Uint8Array(10)));
	t.host.settle();
	assert.equal([await reading, t.caught], ["EINTR", [[job.pid, SIGTTIN]]]);
});

test("a read in the background whose SIGTTIN is not handled waits to be in front", async () => {
	const t = login();
	const [job] = t.jobs as [Process];
	sigaction(job.main, SIGTTIN, "SIG_DFL");
	const reading = read(job.main, 0, new Uint8Array(10));
	t.type("for the shell\n");
	assert.is(job.main.state, "asleep");
	assert.is(readNow(t.shell.main, 0, new Uint8Array(100)), 14);
	tcsetpgrp(t.shell.main, 0, job.pid);
	t.type("hi\n");
	assert.is(await reading, 3);
});

test("a read that waits in the background goes on when its process joins the foreground group", async () => {
	const t = login();
	const [job] = t.jobs as [Process];
	sigaction(job.main, SIGTTIN, "SIG_DFL");
	const reading = read(job.main, 0, new Uint8Array(10));
	t.type("hi\n");
	assert.is(job.main.state, "asleep");
	setpgid(t.shell.main, job.pid, t.shell.pid);
	t.host.settle();
	assert.is(await reading, 3);
});

test("a read that waits in the background goes on when its process gives up the terminal", async () => {
	const leaves: ((job: Process) => unknown)[] = [
		(job) => ioctl(job.main, 0, TIOCNOTTY),
		(job) => setsid(job.main),
	];
	for (const leave of leaves) {
		const t = login();
		const job = fork(t.shell.main);
		setpgid(t.shell.main, job.pid, t.jobs[0]?.pid as number);
		sigaction(job.main, SIGTTIN, "SIG_DFL");
		const reading = read(job.spawnThread(), 0, new Uint8Array(10));
		t.type("hi\n");
		leave(job);
		t.host.settle();
		assert.is(await reading, 3);
	}
});

test("a read that waits in the background gets EIO when no process is left to bring it to the front", async () => {
	const t = login();
	const [job] = t.jobs as [Process];
	const orphan = fork(job.main);
	setpgid(job.main, orphan.pid, 0);
	sigaction(orphan.main, SIGTTIN, "SIG_DFL");
	const reading = outcome(read(orphan.main, 0, new Uint8Array(10)));
	t.host.settle();
	assert.is(orphan.main.state, "asleep");
	exit(job.main, 0);
	t.host.settle();
	assert.is(await reading, "EIO");
});

test("a read that waits in the background ends when the master is closed, also with CLOCAL", async () => {
	const t = login({ cflag: TTYDEF.cflag | CLOCAL });
	const [job] = t.jobs as [Process];
	sigaction(job.main, SIGTTIN, "SIG_DFL");
	const reading = read(job.main, 0, new Uint8Array(10));
	t.host.settle();
	close(t.thread, t.master);
	t.host.settle();
	assert.is(await reading, 0);
});

test("in remote mode a read in the background waits too", async () => {
	const t = login();
	const [job] = t.jobs as [Process];
	sigaction(job.main, SIGTTIN, "SIG_DFL");
	ioctl(t.thread, t.master, TIOCREMOTE, 1);
	t.type("piece");
	const reading = read(job.main, 0, new Uint8Array(10));
	assert.is(job.main.state, "asleep");
	tcsetpgrp(t.shell.main, 0, job.pid);
	t.host.settle();
	assert.is(await reading, 5);
});

test("a read in the background waits to be in front, and VTIME counts only from then", async () => {
	const cc = TTYDEF.cc.map((c, place) => (place === VMIN ? 0 : place === VTIME ? 5 : c));
	const t = login({ lflag: TTYDEF.lflag & ~ICANON, cc });
	const [job] = t.jobs as [Process];
	sigaction(job.main, SIGTTIN, "SIG_DFL");
	const reading = read(job.main, 0, new Uint8Array(10));
	t.host.advance(1000);
	assert.is(job.main.state, "asleep");
	tcsetpgrp(t.shell.main, 0, job.pid);
	t.host.advance(499);
	assert.is(job.main.state, "asleep");
	t.host.advance(1);
	assert.is(await reading, 0);
});

test("a read in the background fails with EIO when SIGTTIN is ignored or blocked", () => {
	const t = login();
	const [ignores, blocks] = t.jobs as [Process, Process];
	sigaction(ignores.main, SIGTTIN, SIG_IGN);
	sigprocmask(blocks.main, SIG_BLOCK, sigset(SIGTTIN));
	const codes = [ignores, blocks].map(({ main }) =>
		codeOf(() => readNow(main, 0, new Uint8Array(1))),
	);
	assert.equal([codes, t.caught], [["EIO", "EIO"], []]);
});

test("a read in an orphaned group fails with EIO", () => {
	const t = login();
	const [job] = t.jobs as [Process];
	const orphan = fork(job.main);
	setpgid(job.main, orphan.pid, 0);
	exit(job.main, 0);
	assert.is(
		codeOf(() => readNow(orphan.main, 0, new Uint8Array(1))),
		"EIO",
	);
});

test("a write in the background is allowed without TOSTOP", async () => {
	const t = login();
	const [job] = t.jobs as [Process];
	assert.is(writeNow(job.main, 1, bytes("a")), 1);
	await tcsetattr(t.shell.main, 0, TCSANOW, { ...TTYDEF, lflag: TTYDEF.lflag | TOSTOP });
	assert.is(await outcome(write(job.main, 1, bytes("b"))), "EINTR");
	sigaction(job.main, SIGTTOU, "SIG_DFL");
	const writing = write(job.main, 1, bytes("c"));
	assert.is(screen(t), "a");
	tcsetpgrp(t.shell.main, 0, job.pid);
	t.host.settle();
	assert.equal([await writing, screen(t)], [1, "c"]);
	tcsetpgrp(t.shell.main, 0, t.shell.pid);
	sigaction(job.main, SIGTTOU, SIG_IGN);
	assert.is(writeNow(job.main, 1, bytes("d")), 1);
});

test("a write that waits in the background goes on when TOSTOP is cleared", async () => {
	const t = login({ lflag: TTYDEF.lflag | TOSTOP });
	const [job] = t.jobs as [Process];
	sigaction(job.main, SIGTTOU, "SIG_DFL");
	const writing = write(job.main, 1, bytes("x"));
	t.host.settle();
	assert.is(job.main.state, "asleep");
	await tcsetattr(t.shell.main, 0, TCSANOW, TTYDEF);
	t.host.settle();
	assert.equal([await writing, screen(t)], [1, "x"]);
});

test("settings are changed in the background if SIGTTOU is ignored, otherwise when in front", async () => {
	const t = login();
	const [job] = t.jobs as [Process];
	sigaction(job.main, SIGTTOU, "SIG_DFL");
	const changing = tcsetattr(job.main, 0, TCSANOW, { ...TTYDEF, lflag: 0 });
	t.host.settle();
	assert.is(tcgetattr(t.shell.main, 0).lflag, TTYDEF.lflag);
	tcsetpgrp(t.shell.main, 0, job.pid);
	t.host.settle();
	assert.equal([await changing, tcgetattr(t.shell.main, 0).lflag], [0, 0]);
	sigaction(t.shell.main, SIGTTOU, SIG_IGN);
	assert.is(await tcsetattr(t.shell.main, 0, TCSANOW, TTYDEF), 0);
});

test("a new size sends SIGWINCH to the foreground group, the same size does not", () => {
	const t = login();
	const size = { row: 24, col: 80, xpixel: 0, ypixel: 0 };
	for (const row of [24, 24, 25]) {
		tcsetwinsize(t.thread, t.master, { ...size, row });
		t.host.settle();
	}
	assert.equal(t.caught, [
		[t.shell.pid, SIGWINCH],
		[t.shell.pid, SIGWINCH],
	]);
	assert.equal(tcgetwinsize(t.shell.main, 0), { ...size, row: 25 });
});

test("TIOCSIG of the master sends any signal", () => {
	const t = login();
	ioctl(t.thread, t.master, TIOCSIG, SIGINT);
	t.host.settle();
	assert.equal(t.caught, [[t.shell.pid, SIGINT]]);
	const codes = [0, 33, 1.5, null].map((signal) =>
		codeOf(() => ioctl(t.thread, t.master, TIOCSIG, signal)),
	);
	assert.equal(codes, ["EINVAL", "EINVAL", "EINVAL", "EINVAL"]);
});

test("when the master is closed the leader gets SIGHUP, and all read the end", () => {
	const t = login();
	const [job] = t.jobs as [Process];
	close(t.thread, t.master);
	t.host.settle();
	assert.equal(t.caught, [[t.shell.pid, SIGHUP]]);
	assert.is(readNow(job.main, 0, new Uint8Array(1)), 0);
	assert.is(
		codeOf(() => writeNow(job.main, 1, bytes("a"))),
		"EIO",
	);
});

test("when the leader exits the foreground group gets SIGHUP, and the terminal is revoked", async () => {
	const t = login();
	const [front, back] = t.jobs as [Process, Process];
	tcsetpgrp(t.shell.main, 0, front.pid);
	sigaction(back.main, SIGTTIN, "SIG_DFL");
	const sleeper = front.spawnThread();
	sigprocmask(sleeper, SIG_BLOCK, sigset(SIGHUP));
	const reading = [read(sleeper, 0, new Uint8Array(1)), read(back.main, 0, new Uint8Array(1))];
	exit(t.shell.main, 0);
	t.host.settle();
	assert.equal([t.caught, await Promise.all(reading)], [[[front.pid, SIGHUP]], [0, 0]]);
	assert.equal(
		[() => writeNow(front.main, 1, bytes("a")), () => tcgetattr(front.main, 0)].map(codeOf),
		["EIO", "EBADF"],
	);
	assert.is(readNow(t.thread, t.master, new Uint8Array(1)), 0);
});

test("a session whose last output is not read yet does not keep the terminal", () => {
	const { thread } = machine();
	const [, slave] = openpty(thread);
	const shell = fork(thread);
	close(thread, slave);
	login_tty(shell.main, slave);
	writeNow(shell.main, 1, bytes("bye"));
	exit(shell.main, 0);
	const next = fork(thread);
	setsid(next.main);
	const again = openDevice(next.main, "ttyp0");
	ioctl(next.main, again, TIOCSCTTY);
	assert.is(tcgetpgrp(next.main, again), next.pid);
});

test("a terminal that its session has only through the master goes with the master", () => {
	const { thread } = machine();
	const leader = fork(thread);
	setsid(leader.main);
	const master = posix_openpt(leader.main, O_RDWR);
	ioctl(leader.main, master, TIOCSCTTY);
	close(leader.main, master);
	const [other, slave] = openpty(thread);
	assert.is(ptsname(thread, other), "ttyp0");
	assert.is(
		codeOf(() => openDevice(leader.main, "tty")),
		"ENXIO",
	);
	close(thread, slave);
	ioctl(leader.main, openDevice(leader.main, "ttyp0"), TIOCSCTTY);
});

test("TIOCSCTTY is for leaders of sessions without a terminal, and for terminals without a session", () => {
	const t = login();
	const [job] = t.jobs as [Process];
	const [, other] = openpty(t.thread);
	const stranger = fork(t.thread);
	setsid(stranger.main);
	const name = ptsname(t.thread, t.master) as "ttyp0";
	const taken = openDevice(stranger.main, name);
	const codes = [
		() => ioctl(job.main, 0, TIOCSCTTY),
		() => ioctl(stranger.main, taken, TIOCSCTTY),
		() => ioctl(t.shell.main, openDevice(t.shell.main, "ttyp1"), TIOCSCTTY),
		() => ioctl(stranger.main, other, TIOCSCTTY),
		// The same call again is allowed.
		() => ioctl(stranger.main, other, TIOCSCTTY),
	].map(codeOf);
	assert.equal(codes, ["EPERM", "EPERM", "EPERM", "no error", "no error"]);
});

test("tcsetpgrp is for the session's own terminal and its own groups", () => {
	const t = login();
	const codes = [
		() => tcsetpgrp(t.thread, t.master, 1),
		() => tcsetpgrp(t.shell.main, 0, 99),
		() => tcsetpgrp(t.shell.main, 0, Number.NaN),
		() => tcsetpgrp(t.shell.main, 0, 1),
		() => tcsetpgrp(t.shell.main, dup(t.shell.main, 0), t.shell.pid),
	].map(codeOf);
	assert.equal(codes, ["ENOTTY", "EINVAL", "EINVAL", "EPERM", "no error"]);
	assert.is(ioctl(t.thread, t.master, TIOCGPGRP), t.shell.pid);
});

test("there is no foreground group when its last member is gone", () => {
	const t = login();
	const [job] = t.jobs as [Process];
	sigaction(t.shell.main, 20, SIG_IGN);
	tcsetpgrp(t.shell.main, 0, job.pid);
	exit(job.main, 0);
	assert.is(tcgetpgrp(t.shell.main, 0), 0);
	t.type(ctrl("C"));
	assert.equal(t.caught, []);
});

test("/dev/tty is the terminal of the caller's session, and of no other", () => {
	const t = login();
	const [job] = t.jobs as [Process];
	const fd = openDevice(job.main, "tty");
	writeNow(job.main, fd, bytes("hi"));
	assert.is(screen(t), "hi");
	assert.is(
		codeOf(() => openDevice(t.thread, "tty")),
		"ENXIO",
	);
});

test("TIOCNOTTY gives up the terminal, which the leader cannot do", () => {
	const t = login();
	const [job] = t.jobs as [Process];
	ioctl(job.main, 0, TIOCNOTTY);
	const codes = [
		() => openDevice(job.main, "tty"),
		() => ioctl(job.main, 0, TIOCNOTTY),
		() => ioctl(t.shell.main, 0, TIOCNOTTY),
	].map(codeOf);
	assert.equal(codes, ["ENXIO", "ENOTTY", "EINVAL"]);
	tcsetpgrp(t.shell.main, 0, job.pid);
	t.type(ctrl("C"));
	assert.equal(t.caught, []);
	// It is not in the background any more.
	t.type("a\n");
	assert.is(readNow(job.main, 0, new Uint8Array(2)), 2);
});

test("the session has no terminal any more when the last slave is closed", () => {
	const t = login();
	for (const { main } of [t.shell, ...t.jobs]) for (const fd of [0, 1, 2]) close(main, fd);
	assert.is(t.shell.pgrp.session.tty, null);
	assert.is(
		codeOf(() => openDevice(t.shell.main, "tty")),
		"ENXIO",
	);
	const again = openDevice(t.shell.main, ptsname(t.thread, t.master) as "ttyp0");
	ioctl(t.shell.main, again, TIOCSCTTY);
	assert.is(tcgetpgrp(t.shell.main, again), t.shell.pid);
});

test("a file that is not a terminal is refused with ENOTTY", () => {
	const { thread } = machine();
	const [r] = pipe(thread);
	const fds: [Thread, number][] = [[thread, r]];
	const codes = fds.flatMap(([who, fd]) =>
		[
			() => tcgetattr(who, fd),
			() => tcgetpgrp(who, fd),
			() => ptsname(who, fd),
			() => login_tty(who, fd),
		].map(codeOf),
	);
	assert.equal(codes, ["ENOTTY", "ENOTTY", "ENOTTY", "ENOTTY"]);
	assert.is(isatty(thread, 99), false);
});

test.run();

// Ptys: opening and closing, sleeping, what kevent, poll and select report, and the master's modes.
import { POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDBAND, poll } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_EOF,
	EV_RECEIPT,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	eventList,
	fcntl,
	fork,
	fstat,
	ioctl,
	Kernel,
	kevent,
	keventNow,
	kqueue,
	lseek,
	NOTE_OOB,
	read,
	readNow,
	sigaction,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { SIGUSR1, threadKill } from "@kqpoll/kqueue/signal";
import { S_IFCHR } from "@kqpoll/kqueue/stat";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDWR } from "../../src/fcntl.ts";
import {
	openDevice,
	openpty,
	posix_openpt,
	ptsname,
	tcdrain,
	tcflush,
	tcgetattr,
	tcgetwinsize,
	tcsetattr,
	tcsetattrNow,
} from "../../src/index.ts";
import {
	B0,
	B9600,
	B115200,
	CLOCAL,
	cfmakeraw,
	ECHO,
	IXON,
	ONLCR,
	OPOST,
	PARMRK,
	TCIFLUSH,
	TCIOFLUSH,
	TCOFLUSH,
	TCSADRAIN,
	TCSAFLUSH,
	TCSANOW,
	TTYDEF,
	VMIN,
	VTIME,
} from "../../src/termios.ts";
import {
	TIOCDRAIN,
	TIOCEXCL,
	TIOCFLUSH,
	TIOCGETA,
	TIOCGWINSZ,
	TIOCOUTQ,
	TIOCPKT,
	TIOCPKT_DATA,
	TIOCPKT_DOSTOP,
	TIOCPKT_FLUSHREAD,
	TIOCPKT_FLUSHWRITE,
	TIOCPKT_NOSTOP,
	TIOCPKT_START,
	TIOCPKT_STOP,
	TIOCREMOTE,
	TIOCSETA,
	TIOCSTART,
	TIOCSTI,
	TIOCSTOP,
	TIOCSWINSZ,
	TIOCUCNTL,
	UIOCCMD,
} from "../../src/ttycom.ts";
import { checkMachine, codeOf, collect, machine, outcome, revents, selected } from "../machine.ts";
import { bytes, count, ctrl, string, terminal } from "./tty-world.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const RAW = cfmakeraw(TTYDEF);
const SIZE = { row: 24, col: 80, xpixel: 640, ypixel: 480 };

function watch(thread: Thread, kq: number, ident: number, filter: number, fflags = 0): unknown {
	return codeOf(() => {
		const change = { ident, filter, flags: EV_ADD | EV_RECEIPT, fflags };
		const events = eventList(1);
		keventNow(thread, kq, [change], events);
		const { data } = events[0] as (typeof events)[0];
		if (data !== 0) throw { code: data };
	});
}

/** The control byte, or the data behind a byte 0. */
function packet(thread: Thread, master: number): unknown {
	const buffer = new Uint8Array(100);
	const n = count(() => readNow(thread, master, buffer));
	if (typeof n !== "number" || n === 0) return n;
	return buffer[0] === TIOCPKT_DATA && n > 1 ? string(buffer.subarray(1, n)) : buffer[0];
}

test("a terminal begins with the settings asked for, or with the default ones", () => {
	const { thread } = machine();
	const [, plain] = openpty(thread);
	const [, other] = openpty(thread, RAW, SIZE);
	assert.equal(tcgetattr(thread, plain), TTYDEF);
	assert.equal([TTYDEF.ispeed, TTYDEF.ospeed, TTYDEF.oflag], [B115200, B115200, OPOST | ONLCR]);
	assert.equal([tcgetattr(thread, other), tcgetwinsize(thread, other)], [RAW, SIZE]);
	assert.equal(tcgetwinsize(thread, plain), { row: 0, col: 0, xpixel: 0, ypixel: 0 });
});

test("an openpty that fails leaves nothing behind", () => {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, maxfiles: 3, diagnostics: true });
	const thread = kernel.spawn().main;
	const codes = [
		() => openpty(thread, {} as never),
		() => openpty(thread, null, { ...SIZE, row: -1 }),
		() => openpty(thread, { ...TTYDEF, cc: [1] }),
		() => openpty(thread, { ...TTYDEF, cc: new Array(20) }),
	].map(codeOf);
	assert.equal(codes, ["EINVAL", "EINVAL", "EINVAL", "EINVAL"]);
	const [master, slave] = openpty(thread);
	assert.is(
		codeOf(() => openpty(thread)),
		"EMFILE",
	);
	close(thread, slave);
	close(thread, master);
	assert.is(ptsname(thread, openpty(thread)[0]), "ttyp0");
});

test("there are 992 of them, and the first free name is used again", () => {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, maxfiles: 3000, diagnostics: true });
	const thread = kernel.spawn({ ptys: 992 }).main;
	const masters = Array.from({ length: 992 }, () => openpty(thread)[0]);
	assert.equal(
		[0, 1, 61, 62, 991].map((i) => ptsname(thread, masters[i] as number)),
		["ttyp0", "ttyp1", "ttypZ", "ttyq0", "ttyTZ"],
	);
	assert.is(
		codeOf(() => openpty(thread)),
		"ENXIO",
	);
	const freed = masters[100] as number;
	const name = ptsname(thread, freed);
	close(thread, freed);
	close(thread, freed + 1);
	assert.is(ptsname(thread, openpty(thread)[0]), name);
});

test("a slave is opened by name while its master is open", () => {
	const { thread, master, slave } = terminal();
	const name = ptsname(thread, master) as "ttyp0";
	const again = openDevice(thread, name, 1);
	assert.is(writeNow(thread, again, bytes("a")), 1);
	assert.is(
		codeOf(() => readNow(thread, again, new Uint8Array(1))),
		"EBADF",
	);
	close(thread, master);
	const codes = [name, "ttyq0", "ttyx"].map((each) =>
		codeOf(() => openDevice(thread, each as "ttyp0")),
	);
	assert.equal(codes, ["ENXIO", "ENXIO", "ENXIO"]);
	for (const fd of [slave, again]) close(thread, fd);
});

test("a master alone is not ready until its slave is opened", async () => {
	const { thread, host, process } = machine();
	const master = posix_openpt(thread, O_RDWR | O_NONBLOCK);
	const put = () => count(() => writeNow(thread, master, bytes("x")));
	const get = () => count(() => readNow(thread, master, new Uint8Array(1)));
	assert.equal([revents(thread, ALL, master), put(), get()], [[0], "EAGAIN", "EAGAIN"]);
	const other = process.spawnThread();
	const fds = [{ fd: master, events: POLLOUT, revents: 0 }];
	const waiting = poll(other, fds, -1);
	host.settle();
	assert.is(other.state, "asleep");
	openDevice(thread, ptsname(thread, master) as "ttyp0");
	host.settle();
	assert.equal([await waiting, fds[0]?.revents, put()], [1, POLLOUT, 1]);
	assert.is(
		codeOf(() => posix_openpt(thread, 3)),
		"EINVAL",
	);
});

test("a write to the master waits until the slave is opened", async () => {
	const { thread, host, process } = machine();
	const master = posix_openpt(thread, O_RDWR);
	const typist = process.spawnThread();
	const typing = write(typist, master, bytes("hi\n"));
	host.settle();
	const slave = openDevice(thread, ptsname(thread, master) as "ttyp0");
	host.settle();
	assert.equal([await typing, readNow(thread, slave, new Uint8Array(9))], [3, 3]);
});

test("closing the last slave is a hang-up, which opening one again ends", () => {
	const t = terminal();
	const { thread, master, slave } = t;
	const name = ptsname(thread, master) as "ttyp0";
	const child = fork(thread);
	const second = openDevice(thread, name);
	const copy = dup(thread, slave);
	for (const fd of [slave, copy, second]) close(thread, fd);
	assert.is(t.screen(), "EAGAIN");
	close(child.main, slave);
	assert.equal([t.screen(), count(() => writeNow(thread, master, bytes("x")))], ["", "EIO"]);
	assert.equal(revents(thread, ALL, master), [POLLIN | POLLHUP]);
	const again = openDevice(thread, name);
	assert.equal([t.screen(), revents(thread, ALL, master)], ["EAGAIN", [POLLOUT]]);
	assert.equal(tcgetattr(thread, again), TTYDEF);
});

test("what a program prints before it exits is read, and then the end", () => {
	const t = terminal();
	const { thread, master, slave } = t;
	fcntl(thread, slave, F_SETFL, 0);
	const kq = kqueue(thread);
	watch(thread, kq, master, EVFILT_READ);
	t.print("bye\n");
	close(thread, slave);
	assert.equal(revents(thread, ALL, master), [POLLIN | POLLOUT]);
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 5]]);
	const buffer = new Uint8Array(3);
	assert.is(readNow(thread, master, buffer), 3);
	assert.equal([t.screen(), t.screen()], ["\r\n", ""]);
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, EV_ADD | EV_RECEIPT | EV_EOF, 0, 0]]);
});

test("the unread output of a slave that does not block is lost when it is closed", () => {
	const t = terminal();
	t.print("lost");
	close(t.thread, t.slave);
	assert.is(t.screen(), "");
});

test("a slave that is opened before the output is read keeps the terminal", () => {
	const t = terminal(RAW);
	const { thread, master, slave } = t;
	fcntl(thread, slave, F_SETFL, 0);
	t.print("one");
	close(thread, slave);
	const again = openDevice(thread, ptsname(thread, master) as "ttyp0");
	writeNow(thread, again, bytes("two"));
	assert.equal([t.screen(), t.screen()], ["onetwo", "EAGAIN"]);
	assert.equal(tcgetattr(thread, again), RAW);
});

test("closing a master discards what the slave has not read, and a closed slave's output", () => {
	const t = terminal();
	const { thread, master, slave } = t;
	fcntl(thread, slave, F_SETFL, 0);
	t.type("typed\n");
	close(thread, master);
	assert.equal(
		[t.read(), t.print("x"), revents(thread, ALL, slave)],
		["", "EIO", [POLLIN | POLLHUP]],
	);
	assert.equal([ioctl(thread, slave, TIOCOUTQ), selected(thread, slave)], [0, [true, true, false]]);
	close(thread, slave);
	const [other, closed] = openpty(thread);
	writeNow(thread, closed, bytes("x"));
	close(thread, closed);
	close(thread, other);
	assert.is(ptsname(thread, openpty(thread)[0]), "ttyp0");
});

test("with CLOCAL a slave whose master is gone is at its end, but is not hung up", () => {
	const t = terminal({ cflag: TTYDEF.cflag | CLOCAL });
	close(t.thread, t.master);
	assert.equal([t.read(), t.print("x"), revents(t.thread, ALL, t.slave)], ["", "EIO", [POLLOUT]]);
});

test("a reader sleeps until there is a line", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread);
	const buffer = new Uint8Array(10);
	const reading = read(thread, slave, buffer);
	const typist = process.spawnThread();
	writeNow(typist, master, bytes("ab"));
	host.settle();
	assert.is(thread.state, "asleep");
	writeNow(typist, master, bytes("\n"));
	host.settle();
	assert.is(await reading, 3);
});

test("two readers of a terminal get a line each", async () => {
	const { thread, host, process, kernel } = machine();
	const [master, slave] = openpty(thread);
	const threads = [process.spawnThread(), process.spawnThread()];
	const buffers = threads.map(() => new Uint8Array(10));
	const reading = threads.map((each, i) => read(each, slave, buffers[i] as Uint8Array));
	writeNow(thread, master, bytes("one\n"));
	host.settle();
	assert.equal(
		threads.map(({ state }) => state),
		["running", "asleep"],
	);
	writeNow(thread, master, bytes("three\n"));
	host.settle();
	assert.equal([await Promise.all(reading), kernel.sleepers], [[4, 6], 0]);
});

test("a read that sleeps is ended by a signal, an abort, the end of the master", async () => {
	const { thread, host, process } = machine();
	sigaction(thread, SIGUSR1, () => {});
	const [master, slave] = openpty(thread);
	const reader = process.spawnThread();
	const abort = new AbortController();
	const first = outcome(read(reader, slave, new Uint8Array(1)));
	threadKill(thread, reader, SIGUSR1);
	host.settle();
	assert.is(await first, "EINTR");
	const second = read(reader, slave, new Uint8Array(1), { signal: abort.signal });
	abort.abort("enough");
	host.settle();
	assert.is(await second.catch((reason) => reason), "enough");
	const third = read(reader, slave, new Uint8Array(1));
	close(thread, master);
	host.settle();
	assert.is(await third, 0);
});

test("VTIME without VMIN: a read gives up after that many tenths of a second", async () => {
	const cc = RAW.cc.map((c, i) => (i === VMIN ? 0 : i === VTIME ? 5 : c));
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, { ...RAW, cc });
	const reading = read(thread, slave, new Uint8Array(9));
	host.advance(499);
	assert.is(thread.state, "asleep");
	host.advance(1);
	assert.is(await reading, 0);
	const again = read(thread, slave, new Uint8Array(9));
	host.advance(300);
	writeNow(process.spawnThread(), master, bytes("ab"));
	host.settle();
	assert.equal([await again, host.now()], [2, 800e6]);
});

test("VTIME with VMIN: the time counts from the last byte, and starts only with the first", async () => {
	const cc = RAW.cc.map((c, i) => (i === VMIN ? 4 : i === VTIME ? 5 : c));
	const { thread, host, process, kernel } = machine();
	const [master, slave] = openpty(thread, { ...RAW, cc });
	const typist = process.spawnThread();
	const buffer = new Uint8Array(9);
	const reading = read(thread, slave, buffer);
	host.advance(10_000);
	for (const c of "abc") {
		assert.is(thread.state, "asleep");
		writeNow(typist, master, bytes(c));
		host.advance(400);
	}
	host.advance(99);
	assert.is(thread.state, "asleep");
	host.advance(1);
	assert.equal([await reading, kernel.timeouts.size], [3, 0]);
	// For bytes that are there already the time starts with the read.
	writeNow(typist, master, bytes("x"));
	host.advance(10_000);
	const late = read(thread, slave, buffer);
	host.advance(499);
	assert.is(thread.state, "asleep");
	host.advance(1);
	assert.is(await late, 1);
	const whole = read(thread, slave, buffer);
	writeNow(typist, master, bytes("abcdef"));
	host.settle();
	assert.is(await whole, 6);
});

test("a change of VMIN wakes sleeping readers", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, {
		...RAW,
		cc: RAW.cc.map((c, i) => (i === VMIN ? 9 : c)),
	});
	const other = process.spawnThread();
	const reading = read(thread, slave, new Uint8Array(9));
	writeNow(other, master, bytes("ab"));
	host.settle();
	assert.is(thread.state, "asleep");
	tcsetattrNow(other, slave, TCSANOW, RAW);
	host.settle();
	assert.is(await reading, 2);
});

test("VTIME that is set while a reader sleeps counts from then", async () => {
	const { thread, host, process } = machine();
	const [, slave] = openpty(thread);
	const other = process.spawnThread();
	host.advance(1000);
	const reading = read(thread, slave, new Uint8Array(9));
	host.advance(1000);
	const cc = RAW.cc.map((c, i) => (i === VMIN ? 0 : i === VTIME ? 5 : c));
	tcsetattrNow(other, slave, TCSANOW, { ...RAW, cc });
	host.advance(499);
	assert.is(thread.state, "asleep");
	host.advance(1);
	assert.is(await reading, 0);
});

test("with VTIME the pairs that PARMRK makes count as bytes that came in", async () => {
	const cc = RAW.cc.map((c, i) => (i === VMIN ? 9 : i === VTIME ? 5 : c));
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, { ...RAW, iflag: RAW.iflag | PARMRK, cc });
	const reading = read(thread, slave, new Uint8Array(9));
	const typist = process.spawnThread();
	for (const c of "a\xff") {
		writeNow(typist, master, bytes(c));
		host.advance(400);
		assert.is(thread.state, "asleep");
	}
	host.advance(100);
	assert.is(await reading, 3);
});

test("a line that waits is read when the terminal becomes raw while the reader sleeps", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread);
	const other = process.spawnThread();
	const reading = read(thread, slave, new Uint8Array(9));
	writeNow(other, master, bytes("ab"));
	host.settle();
	tcsetattrNow(other, slave, TCSANOW, RAW);
	host.settle();
	assert.is(await reading, 2);
});

test("a writer sleeps above the high-water mark and goes on at the low one", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, RAW);
	const writing = write(thread, slave, new Uint8Array(10_000));
	const other = process.spawnThread();
	host.settle();
	// Pieces of 512 bytes until there are more than 7992.
	assert.equal([thread.state, ioctl(other, slave, TIOCOUTQ)], ["asleep", 8192]);
	const take = (n: number): void => {
		readNow(other, master, new Uint8Array(n));
		host.settle();
	};
	take(8192 - 257);
	assert.equal([ioctl(other, slave, TIOCOUTQ), revents(other, POLLOUT, slave)], [257, [0]]);
	take(1);
	assert.equal([await writing, ioctl(other, slave, TIOCOUTQ)], [10_000, 256 + 10_000 - 8192]);
});

test("a write goes on in pieces of 512 while there is no more than the high-water mark", () => {
	const t = terminal(RAW);
	const take = (n: number): number => readNow(t.thread, t.master, new Uint8Array(n));
	assert.equal([t.print("x".repeat(7000)), t.print("x".repeat(9000))], [7000, 1024]);
	assert.is(take(9000), 8024);
	assert.equal([t.print("x".repeat(7992)), t.print("x"), t.print("x")], [7992, 1, "EAGAIN"]);
});

test("a write that goes on first finishes the piece that did not fit", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, RAW);
	writeNow(thread, slave, new Uint8Array(100));
	const writing = write(process.spawnThread(), slave, new Uint8Array(20_000));
	const other = write(process.spawnThread(), slave, new Uint8Array(20_000));
	host.settle();
	assert.is(ioctl(thread, slave, TIOCOUTQ), 8192);
	readNow(thread, master, new Uint8Array(8192 - 256));
	host.settle();
	// 412 of the 512 bytes of the piece have fitted.
	assert.is(ioctl(thread, slave, TIOCOUTQ), 256 + 100 + 15 * 512);
	let sum = 8192 - 256;
	while (sum < 40_100) {
		sum += readNow(thread, master, new Uint8Array(9000));
		host.settle();
	}
	assert.equal([await writing, await other, sum], [20_000, 20_000, 40_100]);
});

test("a slower terminal holds less, and its settings count for the next write", async () => {
	const t = terminal({ ...RAW, ospeed: B9600 });
	// 256 + 960, rounded up to whole pieces.
	assert.equal([t.print("x".repeat(9000)), t.print("y")], [1536, "EAGAIN"]);
	t.screen();
	fcntl(t.thread, t.slave, F_SETFL, 0);
	const writing = write(t.process.spawnThread(), t.slave, new Uint8Array(6000));
	t.host.settle();
	t.set({ ospeed: B115200 });
	t.screen();
	t.host.settle();
	assert.is(ioctl(t.thread, t.slave, TIOCOUTQ), 1536);
	for (let i = 0; i < 3; i++) {
		t.screen();
		t.host.settle();
	}
	assert.is(await writing, 6000);
});

test("a writer that sleeps gets EIO when the master goes, also with CLOCAL", async () => {
	for (const cflag of [RAW.cflag, RAW.cflag | CLOCAL]) {
		const { thread, host, process } = machine();
		const [master, slave] = openpty(thread, { ...RAW, cflag });
		const writer = process.spawnThread();
		const writing = outcome(write(writer, slave, new Uint8Array(9000)));
		close(thread, master);
		host.settle();
		assert.is(await writing, "EIO");
	}
});

test("typing waits for room, and fails when the slave goes", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, RAW);
	const typist = process.spawnThread();
	const typing = write(typist, master, new Uint8Array(9000));
	host.settle();
	assert.equal([typist.state, ioctl(thread, slave, FIONREAD)], ["asleep", 8190]);
	readNow(thread, slave, new Uint8Array(1000));
	host.settle();
	assert.is(await typing, 9000);
	tcflush(thread, slave, TCIFLUSH);
	const again = outcome(write(typist, master, new Uint8Array(9000)));
	host.settle();
	close(thread, slave);
	host.settle();
	assert.is(await again, "EIO");
});

test("typing goes on when the slave forgets its input", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, RAW);
	const typist = process.spawnThread();
	const typing = write(typist, master, new Uint8Array(9000));
	host.settle();
	tcflush(thread, slave, TCIFLUSH);
	host.settle();
	assert.is(await typing, 9000);
});

test("typing goes on when a line may grow, and when some of it is erased", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, RAW);
	const typist = process.spawnThread();
	const typing = write(typist, master, bytes("x".repeat(9000)));
	host.settle();
	assert.is(typist.state, "asleep");
	tcsetattrNow(thread, slave, TCSANOW, { ...TTYDEF, lflag: TTYDEF.lflag & ~ECHO });
	host.settle();
	assert.is(await typing, 9000);
	tcflush(thread, slave, TCIFLUSH);
	const again = write(typist, master, bytes(`a\n${"x".repeat(8189)}`));
	host.settle();
	assert.is(typist.state, "asleep");
	ioctl(thread, slave, TIOCSTI, 0x15);
	host.settle();
	assert.equal([await again, ioctl(thread, slave, FIONREAD)], [8191, 2]);
});

test("tcdrain and TCSADRAIN wait until the output is read, TCSAFLUSH also discards the input", async () => {
	const { thread, host, process, kernel } = machine();
	const [master, slave] = openpty(thread);
	const threads = Array.from({ length: 3 }, () => process.spawnThread()) as [
		Thread,
		Thread,
		Thread,
	];
	writeNow(thread, slave, bytes("output"));
	writeNow(thread, master, bytes("in\n"));
	const calls = [
		tcdrain(threads[0], slave),
		tcsetattr(threads[1], slave, TCSADRAIN, { ...TTYDEF, lflag: 0 }),
		tcsetattr(threads[2], slave, TCSAFLUSH, RAW),
	];
	host.settle();
	assert.equal([kernel.sleepers, tcgetattr(thread, slave)], [3, TTYDEF]);
	assert.equal(
		[
			() => ioctl(thread, slave, TIOCDRAIN),
			() => tcsetattrNow(thread, slave, TCSADRAIN, RAW),
			() => tcsetattrNow(thread, slave, TCSAFLUSH, RAW),
			() => tcsetattrNow(thread, slave, 7, RAW),
		].map(codeOf),
		["EAGAIN", "EAGAIN", "EAGAIN", "EINVAL"],
	);
	readNow(thread, master, new Uint8Array(100));
	host.settle();
	assert.equal([await Promise.all(calls), tcgetattr(thread, slave)], [[0, 0, 0], RAW]);
	assert.is(ioctl(thread, slave, FIONREAD), 0);
	assert.equal(
		[await tcdrain(thread, slave), await tcsetattr(thread, slave, TCSADRAIN, RAW)],
		[0, 0],
	);
});

test("settings that wait are those at the time of the call, even if the object changes", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread);
	writeNow(thread, slave, bytes("x"));
	const waiter = process.spawnThread();
	const cc = [...RAW.cc];
	const termios = { ...RAW, cc };
	const setting = tcsetattr(waiter, slave, TCSADRAIN, termios);
	cc[VMIN] = 9;
	termios.lflag = 0;
	readNow(thread, master, new Uint8Array(1));
	host.settle();
	assert.equal([await setting, tcgetattr(thread, slave)], [0, RAW]);
	assert.is(await outcome(tcsetattr(waiter, slave, TCSANOW, {} as never)), "EFAULT");
	assert.is(await outcome(tcsetattr(waiter, 99, TCSANOW, {} as never)), "EBADF");
});

test("tcdrain ends with EINTR, and when the master goes", async () => {
	const { thread, host, process } = machine();
	sigaction(thread, SIGUSR1, () => {});
	const [master, slave] = openpty(thread);
	writeNow(thread, slave, bytes("x"));
	const waiter = process.spawnThread();
	const first = outcome(tcdrain(waiter, slave));
	threadKill(thread, waiter, SIGUSR1);
	host.settle();
	assert.is(await first, "EINTR");
	const second = tcdrain(waiter, slave);
	close(thread, master);
	host.settle();
	assert.is(await second, 0);
});

test("tcflush discards input, output or both", () => {
	for (const [queue, left] of [
		[TCIFLUSH, [0, 4]],
		[TCOFLUSH, [3, 0]],
		[TCIOFLUSH, [0, 0]],
	] as const) {
		const t = terminal({ lflag: TTYDEF.lflag & ~8 });
		t.type("ab\n");
		t.print("abcd");
		tcflush(t.thread, t.slave, queue);
		const now = [FIONREAD, TIOCOUTQ].map((command) => ioctl(t.thread, t.slave, command));
		assert.equal(now, left);
	}
	const t = terminal();
	t.print("ab");
	ioctl(t.thread, t.slave, TIOCFLUSH, 0);
	assert.is(t.screen(), "EAGAIN");
	assert.is(
		codeOf(() => tcflush(t.thread, t.slave, 0)),
		"EINVAL",
	);
});

test("TIOCSTOP stops output and TIOCSTART starts it, and TIOCSTI types", () => {
	const t = terminal();
	ioctl(t.thread, t.slave, TIOCSTOP);
	ioctl(t.thread, t.slave, TIOCSTOP);
	t.print("x");
	assert.is(t.screen(), "EAGAIN");
	ioctl(t.thread, t.slave, TIOCSTART);
	ioctl(t.thread, t.slave, TIOCSTART);
	for (const c of bytes("hi\n")) ioctl(t.thread, t.slave, TIOCSTI, c);
	assert.equal([t.screen(), t.read()], ["xhi\r\n", "hi\n"]);
	assert.is(ioctl(t.thread, t.slave, TIOCEXCL), 0);
});

test("wrong arguments get EFAULT, and commands of other files ENOTTY", () => {
	const { thread, master, slave } = terminal();
	const frozen = Object.freeze({});
	const codes = [
		() => ioctl(thread, slave, TIOCGETA, null),
		() => ioctl(thread, slave, TIOCGETA, 7),
		() => ioctl(thread, slave, TIOCGWINSZ, frozen),
		() => ioctl(thread, slave, TIOCSETA, {}),
		() => ioctl(thread, slave, TIOCSETA, { ...TTYDEF, iflag: -1 }),
		() => ioctl(thread, slave, TIOCSETA, { ...TTYDEF, ospeed: 1.5 }),
		() => ioctl(thread, slave, TIOCSETA, { ...TTYDEF, cc: TTYDEF.cc.map(() => 256) }),
		() => ioctl(thread, slave, TIOCSWINSZ, { ...SIZE, col: 65536 }),
		() => ioctl(thread, slave, TIOCFLUSH, "all"),
		() => ioctl(thread, slave, TIOCSTI, 256),
		() => ioctl(thread, slave, 0x1234),
		() => ioctl(thread, slave, 5n as never),
		() => ioctl(thread, slave, UIOCCMD(1)),
		() => ioctl(thread, slave, TIOCPKT, 1),
		() => ioctl(thread, master, 0x1234),
		() => lseek(thread, slave, 0, SEEK_SET),
		() => lseek(thread, master, 0, SEEK_SET),
	].map(codeOf);
	assert.equal(codes, [
		...Array(10).fill("EFAULT"),
		...Array(5).fill("ENOTTY"),
		"ESPIPE",
		"ESPIPE",
	]);
	assert.equal(tcgetattr(thread, slave), TTYDEF);
});

test("both ends are character devices", () => {
	const { thread, master, slave } = terminal();
	assert.equal(
		[master, slave].map((fd) => fstat(thread, fd).mode),
		[S_IFCHR | 0o666, S_IFCHR | 0o620],
	);
});

test("kevent on a slave: bytes to read, room to print, and no other filter", () => {
	const t = terminal(RAW);
	const { thread, slave } = t;
	const kq = kqueue(thread);
	const filters = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT, EVFILT_VNODE, EVFILT_DEVICE];
	assert.equal(
		filters.map((filter) => watch(thread, kq, slave, filter)),
		["no error", "no error", 22, 22, 22],
	);
	t.type("abc");
	t.print("0123456789");
	const flags = EV_ADD | EV_RECEIPT;
	assert.equal(collect(thread, kq).sort(), [
		[slave, EVFILT_READ, flags, 0, 3],
		[slave, EVFILT_WRITE, flags, 0, 8182],
	]);
	close(thread, t.master);
	// WRITE does not report the end.
	assert.equal(collect(thread, kq).sort(), [
		[slave, EVFILT_READ, flags | EV_EOF, 0, 0],
		[slave, EVFILT_WRITE, flags, 0, 8192],
	]);
});

test("the end of a terminal is over when the other end is opened again", () => {
	const t = terminal(RAW);
	const { thread, master, slave } = t;
	const kq = kqueue(thread);
	watch(thread, kq, master, EVFILT_READ);
	const name = ptsname(thread, master) as "ttyp0";
	close(thread, slave);
	const flags = EV_ADD | EV_RECEIPT;
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, flags | EV_EOF, 0, 0]]);
	const again = openDevice(thread, name);
	assert.equal(collect(thread, kq), []);
	writeNow(thread, again, bytes("x"));
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, flags, 0, 1]]);
});

test("kevent on a master: output, room for input, control bytes", () => {
	const t = terminal(RAW);
	const { thread, master, slave } = t;
	const kq = kqueue(thread);
	assert.equal(
		[EVFILT_READ, EVFILT_WRITE, EVFILT_VNODE].map((filter) => watch(thread, kq, master, filter)),
		["no error", "no error", 22],
	);
	watch(thread, kq, master, EVFILT_EXCEPT, NOTE_OOB);
	ioctl(thread, master, TIOCUCNTL, 1);
	t.print("abc");
	t.type("de");
	ioctl(thread, slave, UIOCCMD(9));
	const flags = EV_ADD | EV_RECEIPT;
	assert.equal(
		collect(thread, kq).sort(),
		[
			[master, EVFILT_READ, flags, 0, 4],
			[master, EVFILT_WRITE, flags, 0, 8190],
			[master, EVFILT_EXCEPT, flags, NOTE_OOB, 1],
		].sort(),
	);
	ioctl(thread, slave, TIOCSTOP);
	t.screen();
	keventNow(thread, kq, [{ ident: master, filter: EVFILT_WRITE, flags: EV_DELETE }], null);
	// Output cannot be read while it is stopped.
	assert.equal(collect(thread, kq), []);
});

test("while lines are edited a master can always end the line", () => {
	const t = terminal({ lflag: TTYDEF.lflag & ~8 });
	t.type("x".repeat(8190));
	assert.equal(revents(t.thread, POLLOUT, t.master), [POLLOUT]);
	t.type("\n");
	assert.equal([revents(t.thread, POLLOUT, t.master), t.type("y")], [[0], "EAGAIN"]);
	t.read();
	assert.equal(revents(t.thread, POLLOUT, t.master), [POLLOUT]);
});

test("poll and select sleep on both ends and wake up", async () => {
	const { thread, host, process, kernel } = machine();
	const [master, slave] = openpty(thread, RAW);
	const other = process.spawnThread();
	const wait = (fd: number, events: number) => {
		const fds = [{ fd, events, revents: 0 }];
		return poll(other, fds, -1).then(() => fds[0]?.revents);
	};
	const steps: [number, number, () => unknown, number][] = [
		[slave, POLLIN, () => writeNow(thread, master, bytes("a")), POLLIN],
		[master, POLLIN, () => writeNow(thread, slave, new Uint8Array(2000)), POLLIN],
		[slave, POLLOUT, () => readNow(thread, master, new Uint8Array(2000)), POLLOUT],
		[master, POLLPRI | POLLRDBAND, () => control(), POLLPRI | POLLRDBAND],
		[master, POLLOUT, () => readNow(thread, slave, new Uint8Array(9000)), POLLOUT],
		[master, 0, () => close(thread, slave), POLLHUP],
	];
	const control = (): void => {
		ioctl(thread, master, TIOCUCNTL, 1);
		ioctl(thread, slave, UIOCCMD(1));
		codeOf(() => writeNow(thread, master, new Uint8Array(9000)));
	};
	for (const [fd, events, act, expected] of steps) {
		const waiting = wait(fd, events);
		host.settle();
		assert.is(other.state, "asleep");
		act();
		host.settle();
		assert.is(await waiting, expected);
	}
	assert.equal([kernel.sleepers, kernel.timeouts.size], [0, 0]);
});

test("select and kevent cannot ask a slave for exceptional conditions, poll can for hang-ups", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread);
	assert.equal([selected(thread, slave), revents(thread, 0, slave)], [[false, true, false], [0]]);
	const other = process.spawnThread();
	const fds = [{ fd: slave, events: 0, revents: 0 }];
	const waiting = poll(other, fds, -1);
	close(thread, master);
	host.settle();
	assert.equal([await waiting, fds[0]?.revents], [1, POLLHUP]);
});

test("packet mode reports flushes, stops and starts, and changed stop characters", () => {
	const t = terminal();
	const { thread, master, slave } = t;
	ioctl(thread, master, TIOCPKT, 1);
	t.print("data");
	assert.equal([packet(thread, master), packet(thread, master)], ["data", "EAGAIN"]);
	t.type(ctrl("S"));
	assert.equal(revents(thread, ALL, master), [ALL]);
	t.print("held");
	assert.equal([packet(thread, master), packet(thread, master)], [TIOCPKT_STOP, "EAGAIN"]);
	t.type(ctrl("Q"));
	assert.equal([packet(thread, master), packet(thread, master)], [TIOCPKT_START, "held"]);
	tcflush(thread, slave, TCIOFLUSH);
	assert.is(packet(thread, master), TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
	t.set({ iflag: TTYDEF.iflag & ~IXON });
	assert.is(packet(thread, master), TIOCPKT_NOSTOP);
	t.set({ iflag: TTYDEF.iflag });
	assert.is(packet(thread, master), TIOCPKT_DOSTOP);
	ioctl(thread, master, TIOCPKT, 0);
	t.print("plain");
	assert.is(t.screen(), "plain");
});

test("a reader in packet mode is told that output was stopped", async () => {
	const { thread, host, process } = machine();
	const [master] = openpty(thread);
	ioctl(thread, master, TIOCPKT, 1);
	const other = process.spawnThread();
	const buffer = new Uint8Array(10);
	const reading = read(other, master, buffer);
	writeNow(thread, master, bytes(ctrl("S")));
	host.settle();
	assert.equal([await reading, buffer[0]], [1, TIOCPKT_STOP]);
});

test("packet mode that is turned on reports at once what happened before", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread);
	tcflush(thread, slave, TCIOFLUSH);
	const other = process.spawnThread();
	const buffer = new Uint8Array(10);
	const reading = read(other, master, buffer);
	ioctl(thread, master, TIOCPKT, 1);
	host.settle();
	assert.equal([await reading, buffer[0]], [1, TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE]);
	const t = terminal(RAW);
	ioctl(t.thread, t.master, TIOCPKT, 1);
	assert.is(packet(t.thread, t.master), TIOCPKT_NOSTOP);
});

test("a master is in packet mode or in user-control mode, not in both", () => {
	const { thread, master, slave } = terminal();
	const set = (command: number, on: number) => codeOf(() => ioctl(thread, master, command, on));
	assert.equal(
		[set(TIOCPKT, 1), set(TIOCUCNTL, 1), set(TIOCPKT, 0), set(TIOCUCNTL, 1), set(TIOCPKT, 1)],
		["no error", "EINVAL", "no error", "no error", "EINVAL"],
	);
	// The byte 0 is not a control byte.
	ioctl(thread, slave, UIOCCMD(0));
	assert.is(packet(thread, master), "EAGAIN");
	ioctl(thread, slave, UIOCCMD(255));
	assert.is(packet(thread, master), 255);
});

test("in remote mode the slave reads what the master writes, one write at a time", async () => {
	const t = terminal();
	const { thread, master, slave } = t;
	ioctl(thread, master, TIOCREMOTE, 1);
	assert.equal(revents(thread, POLLOUT, master), [POLLOUT]);
	assert.equal([t.type(`a${ctrl("C")}\n`), t.type("b"), t.screen()], [3, "EAGAIN", "EAGAIN"]);
	assert.equal(
		[revents(thread, POLLOUT, master), t.read(2), t.type("b")],
		[[0], `a${ctrl("C")}`, "EAGAIN"],
	);
	assert.equal([t.read(), t.read(), t.type("b"), t.read()], ["\n", "EAGAIN", 1, "b"]);
	// An empty write is an end of file, and waits like others.
	assert.equal(
		[t.type("c"), t.type(""), t.read(), t.type(""), t.read()],
		[1, "EAGAIN", "c", 0, ""],
	);
	assert.is(t.type("x".repeat(9000)), 8191);
	ioctl(thread, master, TIOCREMOTE, 0);
	assert.is(ioctl(thread, slave, FIONREAD), 0);
});

test("a read that sleeps follows when remote mode is switched on", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread);
	const buffer = new Uint8Array(9);
	const reading = read(process.spawnThread(), slave, buffer);
	ioctl(thread, master, TIOCREMOTE, 1);
	writeNow(thread, master, bytes("abc"));
	host.settle();
	assert.equal([await reading, buffer.subarray(0, 3)], [3, bytes("abc")]);
});

test("in remote mode VTIME does not count", async () => {
	const cc = RAW.cc.map((c, i) => (i === VMIN ? 0 : i === VTIME ? 5 : c));
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, { ...RAW, cc });
	ioctl(thread, master, TIOCREMOTE, 1);
	const reading = read(process.spawnThread(), slave, new Uint8Array(9));
	host.advance(10_000);
	writeNow(thread, master, bytes("abc"));
	host.settle();
	assert.is(await reading, 3);
});

test("a change of settings by the master drops the output, which nobody else could read", () => {
	const t = terminal();
	t.print("old");
	tcsetattrNow(t.thread, t.master, TCSAFLUSH, RAW);
	assert.equal([t.screen(), tcgetattr(t.thread, t.slave)], ["EAGAIN", RAW]);
	assert.is(ioctl(t.thread, t.master, FIONREAD), 0);
});

test("settings that are wrong drop the output, too, and a closed slave hangs up", () => {
	const { thread } = machine();
	const [master, slave] = openpty(thread, RAW);
	writeNow(thread, slave, new Uint8Array(1500));
	assert.is(
		codeOf(() => ioctl(thread, master, TIOCSETA, {})),
		"EFAULT",
	);
	assert.is(ioctl(thread, slave, TIOCOUTQ), 0);
	writeNow(thread, slave, new Uint8Array(200));
	close(thread, slave);
	assert.equal(revents(thread, ALL, master), [POLLIN | POLLOUT]);
	tcsetattrNow(thread, master, TCSANOW, RAW);
	assert.equal(
		[revents(thread, ALL, master), readNow(thread, master, new Uint8Array(1))],
		[[POLLIN | POLLHUP], 0],
	);
});

test("the speed 0 hangs up no process without a session", () => {
	const t = terminal();
	t.set({ ospeed: B0 });
	assert.is(tcgetattr(t.thread, t.slave).ospeed, B0);
});

test("an edge-triggered reader is told of each piece of input", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, RAW);
	const kq = kqueue(thread);
	const change = { ident: slave, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR };
	keventNow(thread, kq, [change], null);
	const other = process.spawnThread();
	for (let i = 1; i <= 3; i++) {
		const events = eventList(1);
		const waiting = kevent(other, kq, null, events, null);
		host.settle();
		assert.is(other.state, "asleep");
		writeNow(thread, master, bytes("x"));
		host.settle();
		assert.equal([await waiting, events[0]?.data], [1, i]);
	}
});

test("nothing is left of ten thousand ptys that were opened and closed", () => {
	const m = machine();
	const { thread } = m;
	const kq = kqueue(thread);
	for (let i = 0; i < 10_000; i++) {
		const [master, slave] = openpty(thread);
		watch(thread, kq, master, EVFILT_READ);
		writeNow(thread, slave, bytes("x"));
		close(thread, i % 2 === 0 ? slave : master);
		close(thread, i % 2 === 0 ? master : slave);
	}
	assert.equal([collect(thread, kq), ptsname(thread, openpty(thread)[0])], [[], "ttyp0"]);
	checkMachine(m);
});

test("a faster terminal tells writers of room", async () => {
	const { thread, host, process } = machine();
	const [, slave] = openpty(thread, { ...TTYDEF, ospeed: 300 });
	fcntl(thread, slave, F_SETFL, O_NONBLOCK);
	writeNow(thread, slave, new Uint8Array(90).fill(97));
	const fds = [{ fd: slave, events: POLLOUT, revents: 0 }];
	const polling = poll(process.spawnThread(), fds, -1);
	host.settle();
	tcsetattrNow(thread, slave, TCSANOW, { ...TTYDEF, ospeed: 9600 });
	host.settle();
	assert.is(await Promise.race([polling, "asleep"]), 1);
});

test("a writer keeps the mark of a slow terminal, and goes on when the master has read enough", async () => {
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, { ...RAW, ospeed: B0 });
	writeNow(thread, slave, new Uint8Array(200));
	const writing = write(process.spawnThread(), slave, new Uint8Array(50));
	host.settle();
	// Others may write below the new mark, 256; this write began with 100.
	tcsetattrNow(thread, slave, TCSANOW, { ...RAW, ospeed: 9600 });
	const take = (n: number): unknown => {
		if (n > 0) readNow(thread, master, new Uint8Array(n));
		host.settle();
		return [ioctl(thread, slave, TIOCOUTQ), revents(thread, POLLOUT, slave)];
	};
	assert.equal(
		[take(0), take(99)],
		[
			[200, [POLLOUT]],
			[101, [POLLOUT]],
		],
	);
	assert.equal([take(1), await writing], [[150, [POLLOUT]], 50]);
});

test("what erases input tells the master of room", async () => {
	const { thread, host, process } = machine();
	const [master] = openpty(thread);
	writeNow(thread, master, new Uint8Array(9000).fill(97));
	const fds = [{ fd: master, events: POLLOUT, revents: 0 }];
	const polling = poll(process.spawnThread(), fds, -1);
	host.settle();
	// ^U
	writeNow(thread, master, Uint8Array.of(21));
	host.settle();
	assert.is(await Promise.race([polling, "asleep"]), 1);
});

test.run();

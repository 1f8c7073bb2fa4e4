// Whom a pty tells of what, in which order, and what is true at that moment: as the traces of the
// kernel's own answers say. EV_ONESHOT keeps what a knote saw when it was told, EV_CLEAR shows each
// time that it was told.
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_ONESHOT,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	fcntl,
	interrupt,
	ioctl,
	kevent,
	keventNow,
	kqueue,
	read,
	readNow,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDWR } from "../../src/fcntl.ts";
import { openDevice, openpty, ptsname, tcdrain, tcflush, tcsetattrNow } from "../../src/index.ts";
import { cfmakeraw, TCIFLUSH, TCIOFLUSH, TCOFLUSH, TCSANOW, TTYDEF } from "../../src/termios.ts";
import {
	TIOCOUTQ,
	TIOCPKT,
	TIOCPKT_DOSTOP,
	TIOCPKT_FLUSHREAD,
	TIOCPKT_FLUSHWRITE,
	TIOCPKT_NOSTOP,
	TIOCREMOTE,
	TIOCSTOP,
	UIOCCMD,
} from "../../src/ttycom.ts";
import { codeOf, collect, type Machine, machine, outcome } from "../machine.ts";
import { bytes, count } from "./tty-world.ts";

const RAW = cfmakeraw(TTYDEF);

interface World extends Machine {
	readonly kq: number;
	readonly master: number;
	readonly slave: number;
}

/** A machine with a kqueue and a raw pty, whose ends block. */
function world(): World {
	const m = machine();
	const kq = kqueue(m.thread);
	const [master, slave] = openpty(m.thread, RAW);
	return { ...m, kq, master, slave };
}

function add(thread: Thread, kq: number, ident: number, filter: number, flags: number): void {
	keventNow(thread, kq, [{ ident, filter, flags: EV_ADD | flags }], null);
}

/** Waits for an event of a descriptor; returns its filter and data. */
async function waitFor(
	thread: Thread,
	kq: number,
	ident: number,
	filter: number,
): Promise<unknown> {
	const events = eventList(1);
	await kevent(thread, kq, [{ ident, filter, flags: EV_ADD }], events, null);
	return [events[0]?.filter, events[0]?.data];
}

test("input tells watchers first and wakes sleeping readers after", async () => {
	const { thread, host, process, kq, master, slave } = world();
	const reader = process.spawnThread();
	const reading = read(reader, slave, new Uint8Array(10));
	const waiting = waitFor(process.spawnThread(), kq, slave, EVFILT_READ);
	host.settle();
	writeNow(thread, master, bytes("hello"));
	host.settle();
	assert.equal([await reading, await waiting], [5, [EVFILT_READ, 5]]);
});

test("output tells the master's watchers first and wakes its sleeping readers after", async () => {
	const { thread, host, process, kq, master, slave } = world();
	const reading = read(process.spawnThread(), master, new Uint8Array(10));
	const waiting = waitFor(process.spawnThread(), kq, master, EVFILT_READ);
	host.settle();
	writeNow(thread, slave, bytes("hello"));
	host.settle();
	assert.equal([await reading, await waiting], [5, [EVFILT_READ, 5]]);
});

test("room for typing tells the master's watchers first and wakes its writers after", async () => {
	const { thread, host, process, kq, master, slave } = world();
	writeNow(thread, master, new Uint8Array(9000));
	const writing = write(process.spawnThread(), master, new Uint8Array(8000));
	const waiting = waitFor(process.spawnThread(), kq, master, EVFILT_WRITE);
	host.settle();
	readNow(thread, slave, new Uint8Array(9000));
	host.settle();
	assert.equal([await writing, await waiting], [8000, [EVFILT_WRITE, 8192]]);
});

test("room for output wakes the slave's writers first and tells its watchers after", async () => {
	const { thread, host, process, kq, master, slave } = world();
	writeNow(thread, slave, new Uint8Array(8000));
	const writer = process.spawnThread();
	const writing = write(writer, slave, new Uint8Array(300));
	const watcher = process.spawnThread();
	const events = eventList(1);
	const change = { ident: slave, filter: EVFILT_WRITE, flags: EV_ADD };
	void outcome(kevent(watcher, kq, [change], events, null));
	host.settle();
	readNow(thread, master, new Uint8Array(9000));
	host.settle();
	// The writer has taken the room before the watcher looks.
	assert.equal([await writing, watcher.state], [300, "asleep"]);
});

test("a flush tells the master before the queue is empty", () => {
	const { thread, kq, master, slave } = world();
	add(thread, kq, master, EVFILT_READ, EV_ONESHOT);
	writeNow(thread, slave, new Uint8Array(20));
	tcflush(thread, slave, TCOFLUSH);
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 20]]);
	assert.is(
		count(() => readNow(thread, master, new Uint8Array(9))),
		"EAGAIN",
	);
});

test("a flush starts stopped output, and tells the master of what is lost", () => {
	const { thread, kq, master, slave } = world();
	ioctl(thread, slave, TIOCSTOP);
	writeNow(thread, slave, new Uint8Array(30));
	add(thread, kq, master, EVFILT_READ, EV_ONESHOT);
	assert.equal(collect(thread, kq), []);
	tcflush(thread, slave, TCIOFLUSH);
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 30]]);
});

test("the last close of a slave flushes while the terminal is open", () => {
	const { thread, kq, master, slave } = world();
	fcntl(thread, slave, F_SETFL, O_NONBLOCK);
	writeNow(thread, master, new Uint8Array(9000));
	add(thread, kq, master, EVFILT_WRITE, EV_ONESHOT);
	assert.equal(collect(thread, kq), []);
	close(thread, slave);
	// The room of the flush made it active; by now there is none, for the terminal is closed.
	assert.equal(collect(thread, kq), [[master, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0]]);
});

test("a slave that is closed with unread output tells the master of it once more", () => {
	const { thread, kq, master, slave } = world();
	add(thread, kq, master, EVFILT_READ, EV_CLEAR);
	writeNow(thread, slave, new Uint8Array(20));
	collect(thread, kq);
	close(thread, slave);
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 20]]);
});

test("outside of packet mode nobody is told that output was stopped", () => {
	const { thread, kq, master, slave } = world();
	add(thread, kq, master, EVFILT_READ, EV_ONESHOT);
	writeNow(thread, slave, new Uint8Array(20));
	ioctl(thread, slave, TIOCSTOP);
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 20]]);
	assert.is(
		count(() => readNow(thread, master, new Uint8Array(9))),
		"EAGAIN",
	);
});

test("a read in remote mode ends when the master is closed", async () => {
	const { thread, host, process, master, slave } = world();
	ioctl(thread, master, TIOCREMOTE, 1);
	const reading = read(process.spawnThread(), slave, new Uint8Array(10));
	host.settle();
	close(thread, master);
	host.settle();
	assert.is(await reading, 0);
	assert.is(readNow(thread, slave, new Uint8Array(10)), 0);
});

test("output that the master's settings drop wakes nobody; its next read does", async () => {
	const { thread, host, process, kq, master, slave } = world();
	const writer = process.spawnThread();
	const writing = write(writer, slave, new Uint8Array(9000));
	const drainer = process.spawnThread();
	const draining = tcdrain(drainer, slave);
	add(thread, kq, slave, EVFILT_WRITE, EV_CLEAR);
	tcsetattrNow(thread, master, TCSANOW, RAW);
	host.settle();
	assert.is(ioctl(thread, slave, TIOCOUTQ), 0);
	assert.equal([writer.state, drainer.state, collect(thread, kq)], ["asleep", "asleep", []]);
	writeNow(thread, slave, bytes("hello"));
	assert.is(readNow(thread, master, new Uint8Array(9)), 5);
	host.settle();
	assert.equal(
		[await writing, drainer.state, ioctl(thread, slave, TIOCOUTQ)],
		[9000, "asleep", 808],
	);
	readNow(thread, master, new Uint8Array(900));
	host.settle();
	assert.is(await draining, 0);
});

test("settings that make no room and nothing readable tell no watcher", () => {
	const { thread, kq, master, slave } = world();
	writeNow(thread, master, bytes("abc"));
	add(thread, kq, slave, EVFILT_READ, EV_CLEAR);
	add(thread, kq, slave, EVFILT_WRITE, EV_CLEAR);
	add(thread, kq, master, EVFILT_WRITE, EV_CLEAR);
	assert.is(collect(thread, kq).length, 3);
	tcsetattrNow(thread, slave, TCSANOW, RAW);
	assert.equal(collect(thread, kq), []);
});

test("input that is forgotten before it was full tells nobody of room", () => {
	const { thread, kq, master, slave } = world();
	add(thread, kq, master, EVFILT_WRITE, EV_CLEAR);
	writeNow(thread, master, bytes("abc"));
	collect(thread, kq);
	tcflush(thread, slave, TCIFLUSH);
	assert.equal(collect(thread, kq), []);
	writeNow(thread, master, new Uint8Array(9000));
	tcflush(thread, slave, TCIFLUSH);
	assert.equal(collect(thread, kq), [[master, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 8192]]);
});

test("any request at a slave tells the master whether ^S stops output, if that has changed", () => {
	const requests = [
		(thread: Thread, fd: number) => fcntl(thread, fd, F_SETFL, O_NONBLOCK),
		(thread: Thread, fd: number) => ioctl(thread, fd, UIOCCMD(1)),
	];
	for (const request of requests) {
		const { thread, master, slave } = world();
		const told = () => {
			const buffer = new Uint8Array(1);
			return count(() => readNow(thread, master, buffer)) === 1 ? buffer[0] : "nothing";
		};
		ioctl(thread, master, TIOCPKT, 1);
		fcntl(thread, slave, F_SETFL, O_NONBLOCK);
		close(thread, slave);
		// It is not raw any more.
		const again = openDevice(thread, ptsname(thread, master) as "ttyp0", O_RDWR);
		const flushed = TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE;
		assert.equal([told(), told()], [TIOCPKT_NOSTOP | flushed, "nothing"]);
		codeOf(() => request(thread, again));
		assert.equal([told(), told()], [TIOCPKT_DOSTOP, "nothing"]);
	}
});

test("packet mode that is turned on again tells nobody of what waits already", () => {
	const { thread, kq, master, slave } = world();
	ioctl(thread, master, TIOCPKT, 1);
	add(thread, kq, master, EVFILT_READ, EV_CLEAR);
	tcflush(thread, slave, TCOFLUSH);
	assert.is(collect(thread, kq).length, 1);
	ioctl(thread, master, TIOCPKT, 1);
	assert.equal(collect(thread, kq), []);
});

test("a read of a terminal tells the master of room when it ends, not when it falls asleep", async () => {
	const { thread, host, process, kq, master, slave } = world();
	add(thread, kq, master, EVFILT_WRITE, EV_CLEAR);
	collect(thread, kq);
	const reading = read(process.spawnThread(), slave, new Uint8Array(10));
	host.settle();
	assert.equal(collect(thread, kq), []);
	writeNow(thread, master, bytes("abc"));
	host.settle();
	assert.is(await reading, 3);
	assert.equal(collect(thread, kq), [[master, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 8192]]);
});

test("a read of a terminal that gets nothing tells the master of room, too", async () => {
	const { thread, host, process, kq, master, slave } = world();
	add(thread, kq, master, EVFILT_WRITE, EV_CLEAR);
	const told = [[master, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 8192]];
	collect(thread, kq);
	const reader = process.spawnThread();
	const reading = outcome(read(reader, slave, new Uint8Array(10)));
	assert.equal(collect(thread, kq), []);
	interrupt(reader);
	host.settle();
	assert.equal([await reading, collect(thread, kq)], ["EINTR", told]);
	assert.is(
		count(() => readNow(thread, slave, new Uint8Array(10))),
		"EAGAIN",
	);
	assert.equal(collect(thread, kq), told);
	// Of no bytes it does not get as far as the terminal.
	assert.is(readNow(thread, slave, new Uint8Array(0)), 0);
	assert.equal(collect(thread, kq), []);
});

test("in remote mode only the end of a piece tells the master of room", async () => {
	const { thread, host, process, kq, master, slave } = world();
	ioctl(thread, master, TIOCREMOTE, 1);
	add(thread, kq, master, EVFILT_WRITE, EV_CLEAR);
	collect(thread, kq);
	const reader = process.spawnThread();
	const reading = outcome(read(reader, slave, new Uint8Array(10)));
	interrupt(reader);
	host.settle();
	assert.equal([await reading, collect(thread, kq)], ["EINTR", []]);
	writeNow(thread, master, bytes("abc"));
	readNow(thread, slave, new Uint8Array(2));
	assert.equal(collect(thread, kq), []);
	readNow(thread, slave, new Uint8Array(2));
	assert.equal(collect(thread, kq), [[master, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 8192]]);
});

test("whether a call on a terminal may sleep is decided when it begins", async () => {
	const { thread, host, process, master, slave } = world();
	const first = read(process.spawnThread(), slave, new Uint8Array(10));
	const second = read(process.spawnThread(), slave, new Uint8Array(10));
	const writing = write(process.spawnThread(), slave, new Uint8Array(20_000));
	host.settle();
	for (const fd of [master, slave]) fcntl(thread, fd, F_SETFL, O_NONBLOCK);
	writeNow(thread, master, bytes("hello"));
	host.settle();
	assert.is(await first, 5);
	writeNow(thread, master, bytes("world!"));
	host.settle();
	assert.is(await second, 6);
	for (let i = 0; i < 3; i++) {
		readNow(thread, master, new Uint8Array(9000));
		host.settle();
	}
	assert.is(await writing, 20_000);
});

test("a write of no bytes fails with EIO when the other end is gone, and tells nobody before", async () => {
	const { thread, kq, master, slave } = world();
	writeNow(thread, slave, bytes("abc"));
	add(thread, kq, master, EVFILT_READ, EV_CLEAR);
	collect(thread, kq);
	const nothing = (fd: number) => count(() => writeNow(thread, fd, new Uint8Array(0)));
	assert.equal([nothing(master), nothing(slave), collect(thread, kq)], [0, 0, []]);
	const other = openpty(thread, RAW);
	close(thread, master);
	close(thread, other[1]);
	assert.equal([nothing(slave), nothing(other[0])], ["EIO", "EIO"]);
});

test("in remote mode a write has at most 8191 bytes, even if it may sleep", async () => {
	const { thread, host, process, master, slave } = world();
	ioctl(thread, master, TIOCREMOTE, 1);
	assert.is(await write(thread, master, new Uint8Array(10_000)), 8191);
	// One that has to wait for the piece before is not different.
	const writing = write(process.spawnThread(), master, new Uint8Array(9000));
	host.settle();
	assert.is(readNow(thread, slave, new Uint8Array(9000)), 8191);
	host.settle();
	assert.equal([await writing, ioctl(thread, slave, FIONREAD)], [8191, 8192]);
});

test("a thread that waits until output is out tells the master of it", async () => {
	const { thread, process, host, kq, master, slave } = world();
	writeNow(thread, slave, bytes("abc"));
	add(thread, kq, master, EVFILT_READ, EV_CLEAR);
	collect(thread, kq);
	const draining = tcdrain(process.spawnThread(), slave);
	host.settle();
	assert.equal(collect(thread, kq), [[master, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3]]);
	readNow(thread, master, new Uint8Array(9));
	host.settle();
	assert.is(await draining, 0);
});

test.run();

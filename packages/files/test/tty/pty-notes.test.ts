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
	fcntl,
	ioctl,
	keventNow,
	kqueue,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openpty, tcflush } from "../../src/index.ts";
import { cfmakeraw, TCIFLUSH, TCIOFLUSH, TCOFLUSH, TTYDEF } from "../../src/termios.ts";
import { TIOCPKT, TIOCSTOP } from "../../src/ttycom.ts";
import { collect, type Machine, machine } from "../machine.ts";
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

test("packet mode that is turned on again tells nobody of what waits already", () => {
	const { thread, kq, master, slave } = world();
	ioctl(thread, master, TIOCPKT, 1);
	add(thread, kq, master, EVFILT_READ, EV_CLEAR);
	tcflush(thread, slave, TCOFLUSH);
	assert.is(collect(thread, kq).length, 1);
	ioctl(thread, master, TIOCPKT, 1);
	assert.equal(collect(thread, kq), []);
});

test.run();

// OpenBSD's own tests of terminals, under their names. docs/regress.md says what each does; the
// code is ours.
import {
	FdSet,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	pollNow,
	selectNow,
} from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	ioctl,
	kevent,
	keventNow,
	kqueue,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openpty } from "../../src/index.ts";
import { cfmakeraw, TTYDEF } from "../../src/termios.ts";
import { TIOCUCNTL, UIOCCMD } from "../../src/ttycom.ts";
import { codeOf, machine } from "../machine.ts";
import { count, terminal } from "./tty-world.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;

function one(thread: Thread, fd: number): number {
	return readNow(thread, fd, new Uint8Array(1));
}

function put(thread: Thread, fd: number, n = 1): number {
	return writeNow(thread, fd, new Uint8Array(n));
}

function ask(thread: Thread, fd: number, ...events: number[]): number[] {
	const fds = events.map((each) => ({ fd, events: each, revents: 0 }));
	return [pollNow(thread, fds), ...fds.map(({ revents }) => revents)];
}

function choose(thread: Thread, fd: number, sets = "rwe"): string {
	const asked = [..."rwe"].map((set) => (sets.includes(set) ? new FdSet([fd]) : null));
	const [r, w, e] = asked;
	const n = selectNow(thread, fd + 1, r ?? null, w ?? null, e ?? null);
	return n + [..."rwe"].filter((_, i) => asked[i]?.has(fd)).join("");
}

test("kq-pty-1: READ and WRITE of both ends while bytes go through a raw pty", () => {
	const { thread, master, slave } = terminal(cfmakeraw(TTYDEF));
	const kq = kqueue(thread);
	for (const ident of [master, slave])
		for (const filter of [EVFILT_READ, EVFILT_WRITE])
			keventNow(thread, kq, [{ ident, filter, flags: EV_ADD }], null);
	const ready = (): string[] => {
		const events = eventList(4);
		const n = keventNow(thread, kq, null, events);
		const name = ({ ident, filter }: { ident: number; filter: number }): string =>
			(ident === master ? "m" : "s") + (filter === EVFILT_READ ? "R" : "W");
		return events.slice(0, n).map(name).sort();
	};
	assert.equal(ready(), ["mW", "sW"]);
	put(thread, master);
	assert.equal(ready(), ["mW", "sR", "sW"]);
	one(thread, slave);
	assert.equal(ready(), ["mW", "sW"]);
	while (count(() => put(thread, master)) === 1);
	assert.equal(ready(), ["sR", "sW"]);
	one(thread, slave);
	assert.equal(ready(), ["mW", "sR", "sW"]);
	while (count(() => one(thread, slave)) === 1);
	assert.equal(ready(), ["mW", "sW"]);
});

test("kq-pty-2: a master is told that its slave was closed", async () => {
	const { thread, host } = machine();
	const [master, slave] = openpty(thread);
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident: master, filter: EVFILT_READ, flags: EV_ADD }], null);
	const events = eventList(1);
	const waiting = kevent(thread, kq, null, events, { sec: 5, nsec: 0 });
	close(thread, slave);
	host.settle();
	assert.is(await waiting, 1);
	const { ident, filter, flags } = events[0] as (typeof events)[0];
	assert.equal([ident, filter, flags], [master, EVFILT_READ, EV_ADD | EV_EOF]);
});

test("poll_iocond pty: the events of every step", () => {
	const { thread } = machine();
	const [p, c] = openpty(thread);
	assert.equal(
		[ask(thread, c, ALL), ask(thread, p, ALL)],
		[
			[1, POLLOUT],
			[1, POLLOUT],
		],
	);
	put(thread, c);
	assert.equal(
		[ask(thread, c, ALL), ask(thread, p, ALL)],
		[
			[1, POLLOUT],
			[1, POLLIN | POLLOUT],
		],
	);
	assert.is(one(thread, p), 1);
	assert.equal(ask(thread, p, POLLIN), [0, 0]);
	let written = 0;
	for (let last = ask(thread, c, POLLOUT); last[0] !== 0; last = ask(thread, c, POLLOUT)) {
		assert.equal(last, [1, POLLOUT]);
		written += put(thread, c, 1024);
	}
	let got = 0;
	while (got < written) {
		assert.equal(ask(thread, p, POLLIN), [1, POLLIN]);
		got += readNow(thread, p, new Uint8Array(1024));
	}
	assert.equal([got, ask(thread, p, POLLIN)], [written, [0, 0]]);
	ioctl(thread, p, TIOCUCNTL, 1);
	put(thread, c);
	ioctl(thread, c, UIOCCMD(42));
	put(thread, c);
	assert.equal(ask(thread, p, ALL, 0), [1, ALL, 0]);
	const buffer = new Uint8Array(16);
	assert.equal([readNow(thread, p, buffer), buffer[0]], [1, 42]);
	assert.equal(ask(thread, p, ALL, 0), [1, POLLIN | POLLOUT, 0]);
	assert.is(readNow(thread, p, buffer), 3);
	assert.equal(ask(thread, p, ALL, 0), [1, POLLOUT, 0]);
	close(thread, c);
	assert.equal(ask(thread, p, ALL, 0), [2, POLLIN | POLLHUP, POLLHUP]);
	assert.equal(ask(thread, c, 0), [1, POLLNVAL]);
});

test("select_iocond pty: the sets of every step", () => {
	const { thread } = machine();
	const [p, c] = openpty(thread);
	assert.equal([choose(thread, c), choose(thread, p)], ["1w", "1w"]);
	put(thread, c);
	assert.equal([choose(thread, c), choose(thread, p)], ["1w", "2rw"]);
	assert.is(one(thread, p), 1);
	assert.is(choose(thread, p, "r"), "0");
	let written = 0;
	while (choose(thread, c, "w") === "1w") written += put(thread, c, 1024);
	let got = 0;
	while (choose(thread, p, "r") === "1r") got += readNow(thread, p, new Uint8Array(1024));
	assert.is(got, written);
	ioctl(thread, p, TIOCUCNTL, 1);
	put(thread, c);
	ioctl(thread, c, UIOCCMD(42));
	put(thread, c);
	const said = [choose(thread, p)];
	for (let i = 0; i < 2; i++) {
		readNow(thread, p, new Uint8Array(16));
		said.push(choose(thread, p));
	}
	assert.equal(said, ["3rwe", "2rw", "1w"]);
	close(thread, c);
	assert.is(choose(thread, p), "2rw");
	assert.is(
		codeOf(() => choose(thread, c)),
		"EBADF",
	);
});

test.run();

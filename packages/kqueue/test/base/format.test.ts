// Kevents, knotes and transitions in words.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { knoteKey } from "../../src/event/knote.ts";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_ERROR,
	EV_SET,
	EVFILT_DEVICE,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_TIMER,
	EVFILT_VNODE,
	errno,
	errnoName,
	eventList,
	exec,
	exit,
	fork,
	formatKevent,
	kevent,
	keventNow,
	kill,
	kqueue,
	NOTE_CHANGE,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_WRITE,
	openFile,
	SyntheticFile,
	SystemError,
} from "../../src/index.ts";
import { filterName, formatKnote, type TraceEvent } from "../../src/kernel.ts";
import { SIGCHLD } from "../../src/signal.ts";
import { machine } from "../machine.ts";

test("a kevent shows filter, ident and flags by name, and other fields if they are set", () => {
	for (const [kev, words] of [
		[EV_SET(5, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3), "READ 5 ADD|CLEAR data=3"],
		[EV_SET(1, EVFILT_TIMER, 0, 0, 0, "tick"), "TIMER 1 0x0 udata=tick"],
		[EV_SET(9, EVFILT_READ, EV_ERROR, 0, errno.EBADF), "READ 9 ERROR error=EBADF"],
		[EV_SET(9, EVFILT_READ, EV_ERROR, 0, 0), "READ 9 ERROR error=0"],
		[
			EV_SET(7, EVFILT_PROC, EV_ADD, NOTE_EXIT + NOTE_FORK + 0x100),
			"PROC 7 ADD fflags=EXIT|FORK|0x100",
		],
		[EV_SET(7, EVFILT_VNODE, 0x0301, NOTE_WRITE), "VNODE 7 ADD|0x300 fflags=WRITE"],
		[EV_SET(7, EVFILT_DEVICE, EV_ADD, NOTE_CHANGE, 0, {}), "DEVICE 7 ADD fflags=CHANGE udata={…}"],
		[EV_SET(7, EVFILT_TIMER, EV_ADD, 2), "TIMER 7 ADD fflags=0x2"],
		[EV_SET(7, 20, EV_ADD), "20 7 ADD"],
		[{ ident: 3, filter: EVFILT_READ, flags: EV_ADD }, "READ 3 ADD"],
	] as const) {
		assert.is(formatKevent(kev), words);
	}
	assert.is(filterName(EVFILT_VNODE), "VNODE");
	assert.is(filterName(-20), "-20");
});

test("errors have names and messages like Node's", () => {
	assert.is(errnoName(9), "EBADF");
	assert.is(errnoName(-5), "E?");
	const error = new SystemError(errno.EBADF, "kevent", "descriptor 7");
	assert.equal(
		[error.name, error.message, error.code, error.errno, error.syscall],
		["SystemError", "EBADF: bad file descriptor, kevent (descriptor 7)", "EBADF", 9, "kevent"],
	);
	assert.is(new SystemError(555, "kevent").message, "E?: unknown error 555, kevent");
});

test("the sink gets every transition of an event's life, in order, with its time", async () => {
	const log: TraceEvent[] = [];
	const { thread, process, kernel, host } = machine({ sink: (event) => log.push(event) });
	const words = () =>
		log.splice(0).map((event) => {
			const { event: name, time: _time, ...rest } = event;
			return [name, ...Object.values(rest)].join(" ");
		});
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	const change = { ident: fd, filter: EVFILT_READ, flags: EV_ADD };
	keventNow(thread, kq, [change], null);
	assert.equal(words(), [
		"kqueue 0",
		"attach 0 READ 1 ADD [PROCESSING|ATTACHING file]",
		`register 0 ${fd} -1 1 0`,
	]);
	const call = kevent(thread, kq, null, eventList(1), null);
	host.advance(2);
	file.set("read", { data: 1 });
	host.settle();
	await call;
	assert.equal([...new Set(log.map(({ time }) => time))], [0, 2e6]);
	assert.equal(words(), [
		"sleep 0 kevent",
		"activate 0 READ 1 ADD data=1 [ACTIVE|NOTIFYING read]".replace("|NOTIFYING", ""),
		"enqueue 0 READ 1 ADD data=1 [ACTIVE|QUEUED read]",
		"wake 0 0",
		"dequeue 0 READ 1 ADD data=1 [ACTIVE|PROCESSING read]",
		"deliver 0 READ 1 ADD data=1 [ACTIVE|PROCESSING read]",
		"enqueue 0 READ 1 ADD data=1 [ACTIVE|QUEUED|PROCESSING read]",
	]);
	keventNow(thread, kq, [{ ...change, flags: EV_DELETE }], null);
	close(thread, fd);
	close(thread, kq);
	assert.equal(words(), [
		"dequeue 0 READ 1 ADD data=1 [ACTIVE|PROCESSING read]",
		"drop 0 READ 1 ADD data=1 [ACTIVE|PROCESSING read]",
		`register 0 ${fd} -1 2 0`,
		"close 1 1",
		"close 1 0",
		"terminate 0",
	]);
	const child = fork(thread);
	exec(child.main);
	exit(child.main, 0);
	kill(thread, process.pid, SIGCHLD);
	assert.equal(words(), [
		"fork 2",
		"exec 2",
		"exit 2",
		`signal 1 ${SIGCHLD}`,
		`signal 1 ${SIGCHLD}`,
	]);
	kernel.sink = null;
	kqueue(thread);
	assert.equal(words(), []);
});

test("the sink is told of knotes whose object or descriptor is gone", () => {
	const log: string[] = [];
	const { thread } = machine({
		sink: (event) => {
			if ("knote" in event) log.push(`${event.event} ${event.knote}`);
		},
	});
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	log.length = 0;
	file.invalidate();
	assert.equal(log, [
		"dead READ 1 ADD [PROCESSING dead]",
		"activate READ 1 ADD|ONESHOT|EOF [ACTIVE|PROCESSING dead]",
		"enqueue READ 1 ADD|ONESHOT|EOF [ACTIVE|QUEUED|PROCESSING dead]",
	]);
});

test("a knote shows its status, its filter, and the entry of poll to which it belongs", () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	const fd = openFile(thread, new SyntheticFile());
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	const kn = process.fdp.firstKqueue?.knlist[0]?.[fd];
	if (kn === null || kn === undefined) throw new Error("there is a knote");
	assert.is(formatKnote(kn), "READ 1 ADD [0x0 read]");
	Object.assign(kn, { key: knoteKey(EVFILT_READ, 4) });
	assert.is(formatKnote(kn), "READ 1 ADD pollid=4 [0x0 read]");
});

test.run();

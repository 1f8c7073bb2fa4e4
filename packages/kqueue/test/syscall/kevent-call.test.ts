// The call kevent itself: the order of its checks, receipts, batches, event lists and timeouts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_ENABLE,
	EV_ERROR,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_TIMER,
	EVFILT_WRITE,
	errno,
	eventList,
	fstat,
	interrupt,
	Kevent,
	type KeventChange,
	kevent,
	keventNow,
	kqueue,
	NOTE_LOWAT,
	openFile,
	SyntheticFile,
	type Thread,
} from "../../src/index.ts";
import { EV_SYSFLAGS, EVFILT_AIO, type KqueueFile } from "../../src/kernel.ts";
import type { Timespec } from "../../src/time.ts";
import {
	checkMachine,
	codeOf,
	type Fields,
	fields,
	type Machine,
	machine,
	rejection,
} from "../machine.ts";

const { EBADF, EINVAL, ENOENT } = errno;

/** A machine with a kqueue, descriptor 0, and a descriptor with a byte to read, 1. */
interface World extends Machine {
	readonly kq: number;
	readonly fd: number;
	readonly file: SyntheticFile;
}

function world(): World {
	const made = machine();
	const kq = kqueue(made.thread);
	const file = new SyntheticFile();
	file.push(new Uint8Array(1));
	const fd = openFile(made.thread, file);
	return { ...made, kq, fd, file };
}

function timer(ident: number, flags = EV_ADD, udata: unknown = null): KeventChange {
	return { ident, filter: EVFILT_TIMER, flags, data: 1000, udata };
}

/** The idents of the timers that a kqueue has, ascending. */
function timers({ process }: Machine, kq: number): number[] {
	const found: number[] = [];
	for (const head of (process.fdp.get(kq) as KqueueFile).kq.knhash)
		for (let kn = head; kn !== null; kn = kn.link) found.push(kn.ident);
	return found.sort((a, b) => a - b);
}

/** Calls keventNow with room for `room` events; returns its result, the list, and the timers. */
function call(made: World, changes: readonly KeventChange[], room: number): unknown[] {
	const { thread, kq } = made;
	const events: Kevent[] = new Array<Kevent>(room);
	let result: unknown;
	const code = codeOf(() => {
		result = keventNow(thread, kq, changes, events);
	});
	checkMachine(made);
	return [
		code === "no error" ? result : code,
		fields(
			events.filter((each) => each !== undefined),
			room,
		),
		timers(made, kq),
	];
}

function receipt(ident: number, udata: unknown = null): Fields {
	return [ident, EVFILT_TIMER, EV_ERROR, 0, 0, udata];
}

function failure(ident: number, data: number, udata: unknown = null): Fields {
	return [ident, EVFILT_TIMER, EV_ERROR, 0, data, udata];
}

const RECEIPT = EV_ADD | EV_RECEIPT;

// The order of the checks

test("the descriptor is checked before the timeout, the timeout before lists and changes", async () => {
	const { thread, kq, fd, kernel } = world();
	const bad = { sec: 0, nsec: -1 };
	const none = "nothing" as never;
	const change = [timer(1)];
	const answers = await Promise.all([
		rejection(kevent(thread, 7, change, none, bad)),
		rejection(kevent(thread, fd, change, none, bad)),
		rejection(kevent(thread, kq, change, none, bad)),
		rejection(kevent(thread, kq, change, none, null)),
		rejection(kevent(thread, kq, [...change, null as never], null, null)),
	]);
	assert.equal(answers, ["EBADF", "EBADF", "EINVAL", "EFAULT", "EFAULT"]);
	assert.is(kernel.ntimers, 0);
});

test("the timeout is checked even if there is nothing to wait for", async () => {
	const { thread, kq } = world();
	const bad = { sec: -1, nsec: 0 };
	assert.is(await rejection(kevent(thread, kq, null, null, bad)), "EINVAL");
	assert.is(await rejection(kevent(thread, kq, [timer(1, RECEIPT)], [], bad)), "EINVAL");
});

test("register asks for filter, descriptor, knote and object, in this order", () => {
	const { thread, kq } = world();
	const change = (ident: number, filter: number, flags: number) =>
		codeOf(() => keventNow(thread, kq, [{ ident, filter, flags }], null));
	const answers = [
		change(7, -10, EV_DELETE),
		change(7, EVFILT_AIO, EV_DELETE),
		change(2 ** 40, EVFILT_READ, EV_DELETE),
		change(7, EVFILT_READ, EV_DELETE),
		change(kq, EVFILT_WRITE, EV_DELETE),
		change(kq, EVFILT_WRITE, EV_ADD),
		change(4242, EVFILT_PROC, EV_DELETE),
		change(4242, EVFILT_PROC, EV_ADD),
	];
	assert.equal(answers, [
		"EINVAL",
		"EINVAL",
		"EBADF",
		"EBADF",
		"ENOENT",
		"EINVAL",
		"ENOENT",
		"ESRCH",
	]);
});

// Receipts and errors

test("a failing change without room fails the call: earlier ones stay, later ones are skipped", () => {
	const changes = [timer(1), timer(2), timer(9, EV_DELETE), timer(3), timer(8, EV_DELETE)];
	assert.equal(call(world(), changes, 0), ["ENOENT", [], [1, 2]]);
});

test("a failing change with room is answered by an entry, and later ones are applied", () => {
	const changes = [timer(1), timer(9, EV_DELETE, "mine"), timer(2)];
	assert.equal(call(world(), changes, 1), [1, [failure(9, ENOENT, "mine")], [1, 2]]);
	assert.equal(call(world(), changes, 4), [1, [failure(9, ENOENT, "mine")], [1, 2]]);
});

test("of two failing changes with room for one the second fails the call", () => {
	const aio = { ident: 8, filter: EVFILT_AIO, flags: EV_ADD };
	const changes = [timer(9, EV_DELETE), timer(1), aio, timer(2)];
	assert.equal(call(world(), changes, 1), ["EINVAL", [failure(9, ENOENT)], [1]]);
});

test("a receipt without room ends the call silently with 0, and later changes are not applied", () => {
	const changes = [timer(1), timer(2, RECEIPT), timer(3)];
	assert.equal(call(world(), changes, 0), [0, [], [1, 2]]);
});

test("more receipts than room: the first are written, the next ends the call with 0", () => {
	const changes = [timer(1, RECEIPT), timer(2, RECEIPT), timer(3, RECEIPT), timer(4, RECEIPT)];
	assert.equal(call(world(), changes, 2), [0, [receipt(1), receipt(2)], [1, 2, 3]]);
});

test("as many receipts as room are counted", () => {
	const changes = [timer(1, RECEIPT, "a"), timer(2), timer(3, RECEIPT, "b")];
	assert.equal(call(world(), changes, 2), [2, [receipt(1, "a"), receipt(3, "b")], [1, 2, 3]]);
});

test("a change with EV_RECEIPT that fails gets one entry", () => {
	const changes = [timer(9, EV_DELETE | EV_RECEIPT), timer(1, RECEIPT)];
	assert.equal(call(world(), changes, 4), [2, [failure(9, ENOENT), receipt(1)], [1]]);
});

test("receipts and errors mix in the order of the changes", () => {
	const changes = [
		timer(1, RECEIPT),
		timer(7, EV_DELETE),
		timer(2),
		timer(8, EV_ENABLE),
		timer(1, EV_DELETE | EV_RECEIPT),
	];
	assert.equal(call(world(), changes, 5), [
		4,
		[receipt(1), failure(7, ENOENT), failure(8, ENOENT), receipt(1)],
		[2],
	]);
});

test("an entry's flags are EV_ERROR and nothing else", () => {
	const made = world();
	const flags = RECEIPT | EV_SYSFLAGS | EV_CLEAR | EV_ONESHOT | EV_DISABLE | 0x0700;
	assert.equal(call(made, [timer(1, flags)], 1), [1, [receipt(1)], [1]]);
	assert.equal(call(made, [timer(1, EV_RECEIPT | EV_DELETE)], 1), [1, [receipt(1)], []]);
});

test("an entry has the change's fflags, unless the change made a knote or tried to", () => {
	const { thread, kq, fd } = world();
	const read = { ident: fd, filter: EVFILT_READ, fflags: NOTE_LOWAT, data: 5 };
	const changes: readonly KeventChange[] = [
		{ ...read, flags: EV_DELETE },
		{ ...read, flags: RECEIPT },
		{ ...read, flags: RECEIPT, fflags: NOTE_LOWAT + 0x80000000 },
		{ ...read, flags: EV_RECEIPT, fflags: 7 },
		{ ...read, flags: EV_DELETE | EV_RECEIPT, fflags: 8 },
		{ ...read, ident: kq, filter: EVFILT_WRITE, flags: EV_ADD, fflags: 9 },
		{ ...read, ident: 99, flags: EV_ADD, fflags: 10 },
		{ ...read, filter: EVFILT_AIO, flags: EV_ADD, fflags: -1 },
	];
	const events = eventList(8);
	assert.is(keventNow(thread, kq, changes, events), 8);
	assert.equal(fields(events, 8), [
		[fd, EVFILT_READ, EV_ERROR, NOTE_LOWAT, ENOENT, null],
		[fd, EVFILT_READ, EV_ERROR, 0, 0, null],
		[fd, EVFILT_READ, EV_ERROR, NOTE_LOWAT + 0x80000000, 0, null],
		[fd, EVFILT_READ, EV_ERROR, 7, 0, null],
		[fd, EVFILT_READ, EV_ERROR, 8, 0, null],
		[kq, EVFILT_WRITE, EV_ERROR, 0, EINVAL, null],
		[99, EVFILT_READ, EV_ERROR, 10, EBADF, null],
		[fd, EVFILT_AIO, EV_ERROR, 0xffffffff, EINVAL, null],
	]);
});

test("a call that writes an entry collects no event, and does not wait", async () => {
	const { thread, kq, fd } = world();
	const add = { ident: fd, filter: EVFILT_READ, flags: RECEIPT };
	const events = eventList(4);
	assert.is(await kevent(thread, kq, [add], events, null), 1);
	assert.equal(fields(events, 2), [
		[fd, EVFILT_READ, EV_ERROR, 0, 0, null],
		[0, 0, 0, 0, 0, null],
	]);
	assert.is(thread.state, "running");
	assert.is(await kevent(thread, kq, [timer(9, EV_DELETE)], events, null), 1);
	assert.equal(fields(events, 1), [failure(9, ENOENT)]);
	assert.is(keventNow(thread, kq, null, events), 1);
	assert.equal(fields(events, 1), [[fd, EVFILT_READ, RECEIPT, 0, 1, null]]);
});

test("after a receipt that ends the call it does not wait", async () => {
	const made = world();
	const { thread, kq } = made;
	assert.is(await kevent(thread, kq, [timer(1, RECEIPT), timer(2)], null, null), 0);
	assert.equal(timers(made, kq), [1]);
});

test("EV_RECEIPT is only for its own change, and is echoed in the events of the knote it made", () => {
	const { thread, kq, fd } = world();
	const read = { ident: fd, filter: EVFILT_READ };
	const events = eventList(2);
	assert.is(keventNow(thread, kq, [{ ...read, flags: RECEIPT }], events), 1);
	assert.is(keventNow(thread, kq, [{ ...read, flags: EV_ADD }], events), 1);
	assert.equal(fields(events, 1), [[fd, EVFILT_READ, RECEIPT, 0, 1, null]]);
});

// Batches

test("after a value that is not a change in the second batch the first is still applied", () => {
	const idents = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
	const changes = idents.map((ident) => timer(ident));
	changes[10] = null as never;
	assert.equal(call(world(), changes, 0), ["EFAULT", [], [0, 1, 2, 3, 4, 5, 6, 7]]);
	assert.equal(call(world(), changes, 4), ["EFAULT", [], [0, 1, 2, 3, 4, 5, 6, 7]]);
	delete changes[7];
	assert.equal(call(world(), changes, 4), ["EFAULT", [], []]);
});

test("entries that were written before such a fault stay, and are not counted", () => {
	const idents = [0, 1, 2, 3, 4, 5, 6, 7];
	const changes = [...idents.map((ident) => timer(ident, RECEIPT)), undefined as never];
	assert.equal(call(world(), changes, 20), [
		"EFAULT",
		idents.map((ident) => receipt(ident)),
		idents,
	]);
});

test("hundreds of changes go in at once, and each failing one is answered", () => {
	const idents = Array.from({ length: 300 }, (_, ident) => ident);
	const changes = idents.map((ident) => timer(ident, ident % 3 === 0 ? EV_DELETE : EV_ADD));
	const failing = idents.filter((ident) => ident % 3 === 0);
	assert.equal(call(world(), changes, 300), [
		100,
		failing.map((ident) => failure(ident, ENOENT)),
		idents.filter((ident) => ident % 3 !== 0),
	]);
});

test("a batch is copied before its first change is applied", () => {
	const made = world();
	const { thread, kq } = made;
	const changes: KeventChange[] = [1, 2, 3].map((ident) => timer(ident));
	const later = { ...timer(4), ident: 4 };
	Object.defineProperty(later, "ident", {
		get() {
			changes[0] = timer(99);
			return 4;
		},
	});
	changes.push(later);
	keventNow(thread, kq, changes, null);
	assert.equal(timers(made, kq), [1, 2, 3, 4]);
});

test("each field of a change is read once", () => {
	const { thread, kq } = world();
	const reads: string[] = [];
	const change = new Proxy(timer(1), {
		get(target, name) {
			reads.push(String(name));
			return Reflect.get(target, name);
		},
	});
	keventNow(thread, kq, [change], null);
	assert.equal(reads.sort(), ["data", "fflags", "filter", "flags", "ident", "udata"]);
});

test("the program may modify a change after the call", () => {
	const { thread, kq, fd } = world();
	const change = new Kevent(fd, EVFILT_READ, EV_ADD, 0, 0, "mine");
	keventNow(thread, kq, [change], null);
	Object.assign(change, { ident: 99, filter: EVFILT_WRITE, flags: 0, udata: "other" });
	const events = eventList(1);
	keventNow(thread, kq, null, events);
	assert.equal(fields(events, 1), [[fd, EVFILT_READ, EV_ADD, 0, 1, "mine"]]);
});

// One array for both

test("the change list can be the event list: receipts are written over the changes", () => {
	const made = world();
	const { thread, kq } = made;
	const list = [1, 2, 3].map(
		(ident) => new Kevent(ident, EVFILT_TIMER, RECEIPT, 0, 5, `t${ident}`),
	);
	assert.is(keventNow(thread, kq, list, list), 3);
	assert.equal(fields(list, 3), [receipt(1, "t1"), receipt(2, "t2"), receipt(3, "t3")]);
	assert.equal(timers(made, kq), [1, 2, 3]);
});

test("in such a list an entry never clobbers a change that was not read yet", () => {
	const made = world();
	const { thread, kq } = made;
	const idents = Array.from({ length: 20 }, (_, i) => i);
	const list = idents.map((i) => new Kevent(i, EVFILT_TIMER, i % 2 === 0 ? EV_DELETE : EV_ADD));
	assert.is(keventNow(thread, kq, list, list), 10);
	const even = idents.filter((i) => i % 2 === 0);
	assert.equal(
		fields(list, 10),
		even.map((i) => failure(i, ENOENT)),
	);
	assert.equal(
		timers(made, kq),
		idents.filter((i) => i % 2 === 1),
	);
	assert.equal(
		list.slice(10).map(({ ident, flags }) => [ident, flags]),
		idents.slice(10).map((i) => [i, i % 2 === 0 ? EV_DELETE : EV_ADD]),
	);
});

test("in such a list events are written over the changes too", () => {
	const { thread, kq, fd } = world();
	const list = [new Kevent(fd, EVFILT_READ, EV_ADD, 0, 0, "mine")];
	const [object] = list;
	assert.is(keventNow(thread, kq, list, list), 1);
	assert.equal(fields(list, 1), [[fd, EVFILT_READ, EV_ADD, 0, 1, "mine"]]);
	assert.is(list[0], object);
	assert.is(keventNow(thread, kq, list, list), 1, "and the results can be passed in again");
});

// Event lists

test("event objects are filled in place, and those beyond the result are not changed", () => {
	const { thread, kq, fd } = world();
	const events = [1, 2, 3].map((n) => new Kevent(n, n, n, n, n, n));
	const objects = [...events];
	assert.is(keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], events), 1);
	assert.ok(events.every((each, i) => each === objects[i]));
	assert.equal(fields(events, 3), [
		[fd, EVFILT_READ, EV_ADD, 0, 1, null],
		[2, 2, 2, 2, 2, 2],
		[3, 3, 3, 3, 3, 3],
	]);
});

test("a sparse list gets new objects where there are events, and stays sparse elsewhere", () => {
	const { thread, kq, fd } = world();
	const events: Kevent[] = new Array<Kevent>(4);
	assert.is(keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], events), 1);
	assert.ok(events[0] instanceof Kevent);
	assert.equal([events.length, 0 in events, 1 in events], [4, true, false]);
	assert.equal(fields(events, 1), [[fd, EVFILT_READ, EV_ADD, 0, 1, null]]);
});

test("a list element that is not an object is replaced, a plain object is filled", () => {
	const { thread, kq } = world();
	const fds = Array.from({ length: 5 }, () => {
		const file = new SyntheticFile();
		file.push(new Uint8Array(2));
		return openFile(thread, file);
	});
	const changes = fds.map((ident) => ({ ident, filter: EVFILT_READ, flags: EV_ADD }));
	const plain = {};
	const events = [null, 5, "event", undefined, plain] as never as Kevent[];
	assert.is(keventNow(thread, kq, changes, events), 5);
	assert.equal(
		fields(events, 5),
		fds.map((fd) => [fd, EVFILT_READ, EV_ADD, 0, 2, null]),
	);
	assert.is(events[4], plain);
	assert.equal(
		events.map((each) => each instanceof Kevent),
		[true, true, true, true, false],
	);
});

test("a list of four thousand million holes costs nothing", () => {
	const { thread, kq, fd } = world();
	const events: Kevent[] = new Array<Kevent>(2 ** 32 - 1);
	assert.is(keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], events), 1);
	assert.equal(fields(events, 1), [[fd, EVFILT_READ, EV_ADD, 0, 1, null]]);
});

/** Adds READ events for `n` new descriptors that are ready; returns their numbers. */
function manyReady(thread: Thread, kq: number, n: number, flags = EV_ADD): number[] {
	const fds = Array.from({ length: n }, () => {
		const file = new SyntheticFile();
		file.push(new Uint8Array(1));
		return openFile(thread, file);
	});
	keventNow(
		thread,
		kq,
		fds.map((ident) => ({ ident, filter: EVFILT_READ, flags })),
		null,
	);
	return fds;
}

test("more than eight events come in one call, each once, in the order of their activation", () => {
	const { thread, kq } = world();
	const fds = manyReady(thread, kq, 21);
	const events = eventList(64);
	for (let round = 0; round < 2; round++) {
		assert.is(keventNow(thread, kq, null, events), 21);
		assert.equal(
			fields(events, 21),
			fds.map((fd) => [fd, EVFILT_READ, EV_ADD, 0, 1, null]),
		);
	}
	assert.is(fstat(thread, kq).size, 21);
});

test("with less room in the list than there are events, all events get their turn", () => {
	const { thread, kq } = world();
	const fds = manyReady(thread, kq, 5);
	const events = eventList(2);
	const rounds = [1, 2, 3, 4, 5].map(() => {
		assert.is(keventNow(thread, kq, null, events), 2);
		return events.map(({ ident }) => ident - (fds[0] as number));
	});
	assert.equal(rounds, [
		[0, 1],
		[2, 3],
		[4, 0],
		[1, 2],
		[3, 4],
	]);
});

/** An event list in which writing the `udata` of entry `at` calls a function of the program. */
function trapped(n: number, at: number, act: (event: Kevent) => void): Kevent[] {
	const events = eventList(n);
	const event = events[at] as Kevent;
	Object.defineProperty(event, "udata", { set: () => act(event) });
	return events;
}

test("an accessor in the event list runs like a filter's callback: it cannot remove its knote", () => {
	const { thread, kq } = world();
	const fds = manyReady(thread, kq, 10);
	const codes: unknown[] = [];
	const events = trapped(16, 2, ({ ident }) => {
		const change = { ident, filter: EVFILT_READ, flags: EV_DELETE };
		codes.push(
			codeOf(() => close(thread, kq)),
			codeOf(() => close(thread, ident)),
			codeOf(() => keventNow(thread, kq, [change], null)),
		);
	});
	assert.is(keventNow(thread, kq, null, events), 10);
	assert.equal(codes, ["EDEADLK", "EDEADLK", "EDEADLK"]);
	assert.equal(events.map(({ ident }) => ident).slice(0, 11), [...fds, 0]);
	assert.is(keventNow(thread, kq, null, eventList(16)), 10);
});

test("an accessor in the event list may ask for events, which nothing else then gets", () => {
	const { thread, kq } = world();
	const fds = manyReady(thread, kq, 10, EV_ADD | EV_ONESHOT);
	const inner = eventList(4);
	const outer = trapped(16, 2, () => {
		assert.is(keventNow(thread, kq, null, inner), 4);
	});
	assert.is(keventNow(thread, kq, null, outer), 6);
	assert.equal(
		[outer.slice(0, 6), inner].map((events) => events.map(({ ident }) => ident)),
		[[...fds.slice(0, 3), ...fds.slice(7)], fds.slice(3, 7)],
	);
	assert.is(keventNow(thread, kq, null, inner), 0);
});

test("kevent throws what an accessor in the event list throws, and the rest of its eight is lost", () => {
	const { thread, kq } = world();
	const fds = manyReady(thread, kq, 10, EV_ADD | EV_ONESHOT);
	const mine = new Error("mine");
	const events = trapped(16, 2, () => {
		throw mine;
	});
	assert.is(
		codeOf(() => keventNow(thread, kq, null, events)),
		mine,
	);
	assert.equal(events.map(({ ident }) => ident).slice(0, 4), [...fds.slice(0, 3), 0]);
	const rest = eventList(4);
	assert.is(keventNow(thread, kq, null, rest), 2);
	assert.equal(
		rest.map(({ ident }) => ident),
		[...fds.slice(8), 0, 0],
	);
});

test("a list that is emptied while the call sleeps still gets its event", async () => {
	const { thread, kq, fd, file, host } = world();
	const add = { ident: fd, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR };
	const events = eventList(2);
	keventNow(thread, kq, [add], events);
	const promise = kevent(thread, kq, null, events, null);
	events.length = 0;
	file.push(new Uint8Array(1));
	host.settle();
	assert.is(await promise, 1);
	assert.equal(fields(events, 2), [[fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, null]]);
});

// Timeouts

test("without room there is nothing to wait for, with any timeout", async () => {
	const { thread, kq, fd } = world();
	const add = [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }];
	const forever: readonly (Timespec | null)[] = [null, { sec: 100, nsec: 0 }];
	for (const timeout of forever) {
		assert.is(await kevent(thread, kq, add, null, timeout), 0);
		assert.is(await kevent(thread, kq, add, [], timeout), 0);
		assert.is(thread.state, "running");
	}
	assert.is(fstat(thread, kq).size, 1);
});

test("with a timeout of zero it does not sleep, with one of a nanosecond it does", async () => {
	const { thread, kq, host } = world();
	assert.is(await kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 0 }), 0);
	const promise = kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 1 });
	assert.is(thread.state, "asleep");
	host.advance(1e-6);
	assert.is(await promise, 0);
});

test("a timeout is exact to the nanosecond, and has no effect after an event", async () => {
	const { thread, kq, fd, file, host } = world();
	const events = eventList(1);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR }], events);
	const late = kevent(thread, kq, null, events, { sec: 1, nsec: 500_000_000 });
	host.advance(1499.999999);
	assert.is(thread.state, "asleep");
	host.advance(0.000001);
	assert.is(await late, 0);
	const early = kevent(thread, kq, null, events, { sec: 1, nsec: 500_000_000 });
	host.advance(1000);
	file.push(new Uint8Array(1));
	host.settle();
	assert.is(await early, 1);
	assert.equal(fields(events, 1), [[fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, null]]);
});

test("an infinite timeout is null or undefined", async () => {
	const { thread, kq, fd, host, file } = world();
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR }], null);
	keventNow(thread, kq, null, eventList(1));
	for (const timeout of [null, undefined as never]) {
		const promise = kevent(thread, kq, null, eventList(1), timeout);
		host.advance(1e12);
		assert.is(thread.state, "asleep");
		file.push(new Uint8Array(1));
		host.settle();
		assert.is(await promise, 1);
	}
});

test("with nothing registered a call sleeps until a signal or the end of the kqueue", async () => {
	const { thread, kq, host } = world();
	const first = kevent(thread, kq, null, eventList(1), null);
	host.advance(1e9);
	assert.is(interrupt(thread), true);
	host.settle();
	assert.is(await rejection(first), "EINTR");
	const second = kevent(thread, kq, null, eventList(1), null);
	close(thread, kq);
	host.settle();
	assert.is(await rejection(second), "EBADF");
});

test("changes are applied before the call sleeps, and stay if it is interrupted", async () => {
	const made = world();
	const { thread, kq, host } = made;
	const promise = kevent(thread, kq, [timer(1), timer(2)], eventList(1), null);
	assert.equal([thread.state, timers(made, kq)], ["asleep", [1, 2]]);
	interrupt(thread);
	host.settle();
	assert.is(await rejection(promise), "EINTR");
	assert.equal(timers(made, kq), [1, 2]);
});

test("an event that cannot be written fails the call, a receipt that cannot be written is counted", () => {
	const made = world();
	const { thread, kq } = made;
	const frozen = () => [
		Object.freeze(new Kevent()) as Kevent,
		Object.freeze(new Kevent()) as Kevent,
	];
	const changes = [1, 2].map((ident) => new Kevent(ident, EVFILT_TIMER, RECEIPT, 0, 5));
	assert.is(keventNow(thread, kq, changes, frozen()), 2);
	assert.is(thread.kernel.ntimers, 2);
	made.host.advance(5);
	assert.throws(() => keventNow(thread, kq, null, frozen()), /EFAULT/);
	made.host.advance(5);
	assert.throws(() => keventNow(thread, kq, null, Object.freeze(new Array(2)) as never), /EFAULT/);
	assert.is(keventNow(thread, kq, null, [new Kevent()]), 0);
});

test("the message of a change that fails says which change it was", () => {
	const { thread, kq } = world();
	const good = new Kevent(1, EVFILT_TIMER, 1, 0, 5);
	for (const [bad, message] of [
		[
			new Kevent(99, EVFILT_READ, 1),
			"EBADF: bad file descriptor, kevent (change 1: READ 99: descriptor 99 is not open)",
		],
		[
			{ ident: 2, filter: EVFILT_TIMER, flags: 1, data: 0.5 },
			"EINVAL: invalid argument, kevent (change 1: data 0.5 is not a whole number)",
		],
		[null, "EFAULT: bad address, kevent (change 1 is not an object)"],
	] as const) {
		assert.throws(
			() => keventNow(thread, kq, [good, bad as never], null),
			(error: Error) => error.message === message,
		);
	}
});

test("the event list is as long as it was when the call began", async () => {
	const { thread, kq, host } = world();
	const timers = [1, 2, 3].map((ident) => new Kevent(ident, EVFILT_TIMER, 1, 0, 5));
	const events = [new Kevent()];
	const call = kevent(thread, kq, timers, events, null);
	events.push(new Kevent(), new Kevent());
	host.advance(5);
	assert.is(await call, 1);
	assert.equal(
		events.map(({ ident }) => ident),
		[1, 0, 0],
	);
});

test.run();

// poll_oneoff: an event for each subscription, its errors, and what a closed descriptor does.
import {
	close,
	dup2,
	errno,
	interrupt,
	kill,
	kqueue,
	openFile,
	SyntheticFile,
	sigaction,
	type Thread,
} from "@kqpoll/kqueue";
import {
	callAsync,
	callEither,
	callSync,
	File,
	FREAD,
	FWRITE,
	filterops,
	formatThreads,
	Klist,
	type Knote,
	knoteJoin,
} from "@kqpoll/kqueue/kernel";
import { SIGUSR1 } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	POLLIN,
	pollNow,
	pollSubscriptions,
	pollSubscriptionsNow,
	type Subscription,
	type SubscriptionEvent,
} from "../src/index.ts";
import {
	CLOCKID_MONOTONIC,
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	EVENTTYPE_FD_WRITE,
	SUBSCRIPTION_FD_BARRED,
	SubscriptionSet,
	subscriptionsCall,
} from "../src/kernel.ts";
import {
	checkMachine,
	fileOf,
	type Machine,
	machine,
	readable,
	refusal,
	rejection,
} from "./machine.ts";

const FOREVER = Number.POSITIVE_INFINITY;
const HOUR = 3600e9;

function reads(fd: number): Subscription {
	return { type: "fd_read", fd };
}

function writes(fd: number): Subscription {
	return { type: "fd_write", fd };
}

function after(timeout: number | bigint): Subscription {
	return { type: "clock", timeout };
}

/** An event as a row: which subscription, errno, bytes, hang-up. */
type Row = readonly [index: number, error: number, nbytes: number, hangup: boolean];

function rows(events: readonly SubscriptionEvent[]): Row[] {
	return events.map(({ index, error, nbytes, hangup }) => [index, error, nbytes, hangup]);
}

/** The events that there are now. */
function now(thread: Thread, ...subscriptions: Subscription[]): Row[] {
	return rows(pollSubscriptionsNow(thread, subscriptions));
}

/** A set of subscriptions, as [type, ident, flags]. */
function setOf(...subscriptions: (readonly [type: number, ident: number, flags?: number])[]) {
	const set = new SubscriptionSet();
	set.reserve(subscriptions.length);
	for (const [i, [type, ident, flags = 0]] of subscriptions.entries()) {
		set.type[i] = type;
		set.ident[i] = ident;
		set.flags[i] = flags;
	}
	return set;
}

/** The events of a set, as rows. */
function eventsOf(set: SubscriptionSet): Row[] {
	return [...set.events.subarray(0, set.nevents)].map((i) => [
		i,
		set.error[i] as number,
		set.nbytes[i] as number,
		set.hangup[i] === 1,
	]);
}

/** Makes the call of a set, which must not sleep. */
function call(thread: Thread, set: SubscriptionSet): Row[] {
	assert.is(callEither(thread, "poll_oneoff", null, subscriptionsCall, set), set.nevents);
	return eventsOf(set);
}

/** The descriptor of an idle file; what its sides refuse, if anything. */
function idle(thread: Thread, denied: { read?: number; write?: number } = {}): number {
	const file = new SyntheticFile();
	file.deny("read", denied.read ?? 0);
	file.deny("write", denied.write ?? 0);
	return openFile(thread, file);
}

/** The descriptor of a file that is open for one direction, and has room in the other. */
function oneWay(thread: Thread, flags: number): number {
	const fd = idle(thread);
	const file = fileOf(thread, fd);
	file.flags = flags;
	file.set("read", { data: 5 });
	file.set("write", { data: 5 });
	return fd;
}

/** A file that is always ready, and calls back when it is joined and when it is asked. */
class Calling extends File {
	readonly klist: Klist = new Klist();
	readonly asked: (kn: Knote) => void;
	readonly joined: () => void;

	constructor(asked: (kn: Knote) => void, joined: () => void = () => {}) {
		super("socket");
		this.asked = asked;
		this.joined = joined;
	}

	override kqfilter(kn: Knote): number {
		this.joined();
		return knoteJoin(kn, callingFiltops, this.klist);
	}
}

const callingFiltops = filterops({
	name: "calling",
	event: (kn) => {
		(kn.fp as Calling).asked(kn);
		return true;
	},
});

test("without a subscription the call is EINVAL", async () => {
	const { thread } = machine();
	assert.is(
		refusal(() => pollSubscriptionsNow(thread, [])),
		"EINVAL poll_oneoff",
	);
	assert.is(await rejection(pollSubscriptions(thread, [])), "EINVAL poll_oneoff");
	const set = new SubscriptionSet();
	assert.is(
		refusal(() => callEither(thread, "poll_oneoff", null, subscriptionsCall, set)),
		"EINVAL poll_oneoff",
	);
	assert.is(set.busy, false);
});

test("a descriptor that is not open is an event, alone or beside others, and ends no sleep late", async () => {
	const { host, thread } = machine();
	const r = readable(thread, 3);
	for (const fd of [99, -1, 2 ** 31 - 1]) {
		assert.equal(rows(await pollSubscriptions(thread, [reads(fd)])), [[0, errno.EBADF, 0, false]]);
	}
	assert.equal(rows(await pollSubscriptions(thread, [reads(99), after(HOUR)])), [
		[0, errno.EBADF, 0, false],
	]);
	assert.equal(rows(await pollSubscriptions(thread, [writes(99), reads(r), after(HOUR)])), [
		[0, errno.EBADF, 0, false],
		[1, 0, 3, false],
	]);
	assert.is(host.now(), 0);
});

test("data comes before a clock that is not due, and beside one that is", async () => {
	const { host, thread } = machine();
	const fd = idle(thread);
	const waiting = pollSubscriptions(thread, [reads(fd), after(50e6)]);
	host.advance(50);
	assert.equal(rows(await waiting), [[1, 0, 0, false]]);
	fileOf(thread, fd).push(new Uint8Array(5));
	assert.equal(rows(await pollSubscriptions(thread, [reads(fd), after(HOUR)])), [[0, 0, 5, false]]);
	// The FIONREAD of wasi-libc.
	assert.equal(rows(await pollSubscriptions(thread, [reads(fd), after(0)])), [
		[0, 0, 5, false],
		[1, 0, 0, false],
	]);
	assert.equal(rows(await pollSubscriptions(thread, [after(0), reads(idle(thread))])), [
		[0, 0, 0, false],
	]);
});

test("a descriptor that is asked twice has two events, in the order of the subscriptions", async () => {
	const { host, thread } = machine();
	const [a, b] = [idle(thread), idle(thread)];
	const waiting = pollSubscriptions(thread, [reads(b), writes(a), reads(a), reads(b), reads(a)]);
	fileOf(thread, a).set("read", { data: 1 });
	fileOf(thread, b).set("read", { data: 2 });
	host.settle();
	assert.equal(rows(await waiting), [
		[0, 0, 2, false],
		[2, 0, 1, false],
		[3, 0, 2, false],
		[4, 0, 1, false],
	]);
});

test("an event has the type and the userdata of its subscription", async () => {
	const { thread } = machine();
	const fd = readable(thread, 2);
	const userdata = { of: "a program" };
	assert.equal(
		await pollSubscriptions(thread, [
			{ type: "fd_read", fd, userdata },
			{ type: "fd_write", fd: 99, userdata: 7n },
			after(0),
		]),
		[
			{ index: 0, type: "fd_read", userdata, error: 0, nbytes: 2, hangup: false },
			{ index: 1, type: "fd_write", userdata: 7n, error: errno.EBADF, nbytes: 0, hangup: false },
			{ index: 2, type: "clock", userdata: undefined, error: 0, nbytes: 0, hangup: false },
		],
	);
});

test("only the hang-up of a read is reported: an end is not one, and a write tells itself", () => {
	const { thread } = machine();
	const fd = idle(thread);
	const file = fileOf(thread, fd);
	file.set("read", { data: 4, eof: true });
	file.set("write", { eof: true });
	assert.equal(now(thread, reads(fd), writes(fd)), [
		[0, 0, 4, false],
		[1, 0, 0, false],
	]);
	file.set("read", { data: 4, eof: true, hup: true });
	file.set("write", { eof: true, hup: true });
	assert.equal(now(thread, reads(fd), writes(fd)), [
		[0, 0, 4, true],
		[1, 0, 0, false],
	]);
	// A pipe refuses to be watched for room when its reader is gone.
	assert.equal(now(thread, writes(idle(thread, { write: errno.EPIPE }))), [[0, 0, 0, false]]);
});

test("in a direction for which it is not open a descriptor is never ready, and no error", () => {
	const m = machine();
	const { thread } = m;
	const [r, w] = [oneWay(thread, FREAD), oneWay(thread, FWRITE)];
	for (let again = 0; again < 3; again++) {
		assert.equal(now(thread, reads(r), writes(r)), [[0, 0, 5, false]]);
		assert.equal(now(thread, reads(w), writes(w)), [[1, 0, 5, false]]);
		assert.equal(now(thread, writes(r), reads(w)), []);
		checkMachine(m);
	}
});

test("a subscription that is never ready reports when its descriptor is closed", async () => {
	const closed: readonly [string, (thread: Thread) => number][] = [
		["not open for it", (thread) => oneWay(thread, FREAD)],
		["refused by its file", (thread) => idle(thread, { write: errno.EINVAL })],
		["refused by a fifo", (thread) => idle(thread, { write: errno.EPERM })],
	];
	for (const [name, open] of closed) {
		const m = machine();
		const fd = open(m.thread);
		const waiting = pollSubscriptions(m.thread, [writes(fd), after(HOUR)]);
		m.host.settle();
		assert.is(m.thread.state, "asleep", name);
		close(m.process.spawnThread(), fd);
		m.host.settle();
		assert.equal(rows(await waiting), [[0, errno.EBADF, 0, false]], name);
		checkMachine(m);
	}
});

test("the same subscription is ready once the descriptor refers to a file that is open for it", () => {
	const { thread } = machine();
	const [r, w] = [oneWay(thread, FREAD), oneWay(thread, FWRITE)];
	const set = setOf([EVENTTYPE_CLOCK, 1], [EVENTTYPE_FD_WRITE, r]);
	assert.equal(call(thread, set), [[0, 0, 0, false]]);
	dup2(thread, w, r);
	assert.equal(call(thread, set), [
		[0, 0, 0, false],
		[1, 0, 5, false],
	]);
});

test("a host bars directions by rights of its own", () => {
	const { thread } = machine();
	const fd = readable(thread, 1);
	const clock = [EVENTTYPE_CLOCK, CLOCKID_MONOTONIC] as const;
	const set = setOf(
		clock,
		[EVENTTYPE_FD_READ, fd, SUBSCRIPTION_FD_BARRED],
		[EVENTTYPE_FD_READ, fd],
	);
	assert.equal(call(thread, set), [
		[0, 0, 0, false],
		[2, 0, 1, false],
	]);
	set.flags[1] = 0;
	set.flags[2] = SUBSCRIPTION_FD_BARRED;
	assert.equal(call(thread, set), [
		[0, 0, 0, false],
		[1, 0, 1, false],
	]);
	set.ident[2] = 99;
	assert.equal(call(thread, set).at(-1), [2, errno.EBADF, 0, false]);
});

test("a file that cannot be watched at all is an event with the errno, whatever else there is", () => {
	const { thread } = machine();
	const { EINVAL, ENXIO, EOPNOTSUPP } = errno;
	const neither = idle(thread, { read: EOPNOTSUPP, write: EINVAL });
	assert.equal(now(thread, reads(neither), writes(neither)), [
		[0, EOPNOTSUPP, 0, false],
		[1, EINVAL, 0, false],
	]);
	assert.equal(now(thread, reads(idle(thread, { read: ENXIO }))), [[0, ENXIO, 0, false]]);
	// A kqueue can be waited for, but not written to.
	assert.equal(now(thread, writes(kqueue(thread))), []);
});

test("an account without room for a knote is an event with ENOMEM", () => {
	const m = machine({ limits: { knotes: 2 } });
	const { thread } = m;
	const fds = [1, 2, 3].map((n) => readable(thread, n));
	const { ENOMEM } = errno;
	assert.equal(now(thread, ...fds.map(reads)), [
		[0, 0, 1, false],
		[1, 0, 2, false],
		[2, ENOMEM, 0, false],
	]);
	checkMachine(m);
});

test("what a file says of its bytes becomes a whole number that is not negative", () => {
	const { thread } = machine();
	const most = Number.MAX_SAFE_INTEGER;
	for (const [data, nbytes] of [
		[2.5, 2],
		[-3, 0],
		[Number.NaN, 0],
		[2 ** 60, most],
		[FOREVER, most],
	] as const) {
		const tell = (kn: Knote): void => {
			kn.data = data;
		};
		const fd = openFile(thread, new Calling(tell));
		assert.equal(now(thread, reads(fd)), [[0, 0, nbytes, false]], String(data));
	}
});

test("types that do not exist and clocks that cannot be waited for are events with EINVAL", () => {
	const { thread } = machine();
	const fd = readable(thread, 1);
	const { EINVAL } = errno;
	const set = setOf(
		[EVENTTYPE_CLOCK, 2],
		[EVENTTYPE_CLOCK, 3],
		[3, fd],
		[255, fd],
		[EVENTTYPE_FD_READ, fd],
		[EVENTTYPE_CLOCK, -1],
	);
	assert.equal(call(thread, set), [
		[0, EINVAL, 0, false],
		[1, EINVAL, 0, false],
		[2, EINVAL, 0, false],
		[3, EINVAL, 0, false],
		[4, 0, 1, false],
		[5, EINVAL, 0, false],
	]);
});

test("a descriptor that is closed during the sleep is an event with EBADF, for each subscription", async () => {
	const m = machine();
	const [fd, other] = [idle(m.thread), idle(m.thread)];
	const waiting = pollSubscriptions(m.thread, [reads(fd), reads(other), writes(fd)]);
	close(m.process.spawnThread(), fd);
	m.host.settle();
	assert.equal(rows(await waiting), [
		[0, errno.EBADF, 0, false],
		[2, errno.EBADF, 0, false],
	]);
	assert.equal(now(m.thread, reads(fd), writes(other)), [[0, errno.EBADF, 0, false]]);
	checkMachine(m);
});

test("a signal interrupts the call with EINTR, and its set has no events", async () => {
	const m = machine();
	const { host, process, thread } = m;
	const fd = idle(thread);
	const set = setOf([EVENTTYPE_CLOCK, 0], [EVENTTYPE_FD_READ, fd]);
	call(thread, set);
	set.timeout[0] = 1e9;
	sigaction(thread, SIGUSR1, () => {});
	for (const wake of [() => kill(thread, process.pid, SIGUSR1), () => interrupt(thread)]) {
		const waiting = callAsync(thread, "poll_oneoff", null, subscriptionsCall, set);
		host.settle();
		assert.is(thread.state, "asleep");
		wake();
		host.settle();
		assert.is(await rejection(waiting), "EINTR poll_oneoff");
		assert.equal([set.nevents, set.busy], [0, false]);
		checkMachine(m);
	}
	// What came with the signal is there for the next call.
	const waiting = callAsync(thread, "poll_oneoff", null, subscriptionsCall, set);
	fileOf(thread, fd).push(new Uint8Array(2));
	kill(thread, process.pid, SIGUSR1);
	host.settle();
	assert.is(await rejection(waiting), "EINTR poll_oneoff");
	assert.equal(call(thread, set), [[1, 0, 2, false]]);
});

test("an aborted call rejects with the reason", async () => {
	const { thread } = machine();
	const controller = new AbortController();
	const waiting = pollSubscriptions(thread, [reads(idle(thread))], controller);
	controller.abort("enough");
	thread.kernel.host.defer(() => {});
	(thread.kernel.host as Machine["host"]).settle();
	assert.is(await waiting.catch((reason) => reason), "enough");
});

test("calls that overlap need a thread and a set each", async () => {
	const m = machine();
	const { host, thread } = m;
	const set = setOf([EVENTTYPE_FD_READ, idle(thread)]);
	const other = m.process.spawnThread();
	const waiting = callAsync(thread, "poll_oneoff", null, subscriptionsCall, set);
	const second = (): unknown => callEither(other, "poll_oneoff", null, subscriptionsCall, set);
	assert.is(refusal(second), "EBUSY poll_oneoff");
	assert.is(
		refusal(() => set.reserve(3)),
		"EBUSY SubscriptionSet.reserve",
	);
	assert.is(
		refusal(() => now(thread, after(0))),
		"EBUSY poll_oneoff",
	);
	fileOf(thread, set.ident[0] as number).push(new Uint8Array(1));
	host.settle();
	assert.is(await waiting, 1);
	assert.is(second(), 1);
	checkMachine(m);
});

test("a filter that throws ends the call with its error, and set and thread can be used again", () => {
	const m = machine();
	const { thread } = m;
	let fails = true;
	const fd = openFile(
		thread,
		new Calling(() => {
			if (fails) throw new Error("a filter");
		}),
	);
	const set = setOf([EVENTTYPE_FD_READ, readable(thread)], [EVENTTYPE_FD_READ, fd]);
	assert.throws(() => call(thread, set), "a filter");
	assert.equal([set.busy, set.nevents, thread.polling], [false, 0, false]);
	checkMachine(m);
	fails = false;
	assert.equal(call(thread, set), [
		[0, 0, 1, false],
		[1, 0, 0, false],
	]);
});

test("a file that closes its descriptor while a knote joins it leaves an event with EBADF", () => {
	const m = machine();
	const { thread } = m;
	const closing = () => close(thread, fd);
	const fd: number = openFile(thread, new Calling(() => {}, closing));
	assert.equal(now(thread, reads(fd), after(HOUR)), [[0, errno.EBADF, 0, false]]);
	checkMachine(m);
});

test("a filter that makes the call it is asked in gets EDEADLK", () => {
	const m = machine();
	const { thread } = m;
	let said = "";
	const fd: number = openFile(
		thread,
		new Calling(() => {
			said = refusal(() => now(thread, reads(fd)));
		}),
	);
	assert.equal(now(thread, reads(fd)), [[0, 0, 0, false]]);
	assert.is(said, "EDEADLK poll_oneoff");
	checkMachine(m);
});

test("poll and poll_oneoff use each other's knotes", () => {
	const { thread } = machine();
	const fd = readable(thread, 2);
	const list = [{ fd, events: POLLIN, revents: 0 }];
	for (let again = 0; again < 3; again++) {
		assert.equal(now(thread, reads(fd)), [[0, 0, 2, false]]);
		assert.is(pollNow(thread, list), 1);
		assert.equal(call(thread, setOf([EVENTTYPE_FD_READ, fd, SUBSCRIPTION_FD_BARRED], [0, 1])), [
			[1, 0, 0, false],
		]);
	}
	assert.is(thread.kq?.nknotes, 1);
});

test("nothing that will ever happen is a deadlock for a call that blocks, and named", () => {
	const { thread } = machine();
	const [a, b] = [idle(thread), oneWay(thread, FREAD)];
	const never = setOf([EVENTTYPE_FD_READ, a], [EVENTTYPE_FD_WRITE, b], [EVENTTYPE_CLOCK, 1]);
	never.timeout.fill(0xffffffff, 4, 6);
	assert.throws(
		() => callSync(thread, "poll_oneoff", null, subscriptionsCall, never),
		/EDEADLK.*poll_oneoff of descriptors 0 \(read\), 1 \(write\) and a clock, forever/,
	);
	const later = setOf([EVENTTYPE_CLOCK, 1]);
	later.timeout[1] = 1;
	assert.is(callSync(thread, "poll_oneoff", null, subscriptionsCall, later), 1);
	assert.is(thread.kernel.host.now(), 2 ** 32);
});

test("a sleeper is described by the descriptors and clocks that it waits for", async () => {
	const { host, kernel, thread } = machine();
	const fds = Array.from({ length: 12 }, () => idle(thread));
	const described = async (...subscriptions: Subscription[]): Promise<string> => {
		const waiting = pollSubscriptions(thread, [...subscriptions, after(HOUR)]);
		const words = formatThreads(kernel);
		host.advance(3600e3);
		await waiting;
		return words.replace(/^.* sleeps in /, "").replace(/,? (until|for|forever).*/, "");
	};
	assert.is(await described(), "poll_oneoff of a clock");
	assert.is(await described(after(2 * HOUR)), "poll_oneoff of 2 clocks");
	assert.is(
		await described(reads(fds[0] as number)),
		"poll_oneoff of descriptors 0 (read) and a clock",
	);
	assert.match(
		await described(...fds.map(writes)),
		/^poll_oneoff of descriptors 0 \(write\), .*7 \(write\), 4 more and a clock$/,
	);
});

test("ten thousand subscriptions: to one descriptor, to as many clocks, and to as many descriptors", async () => {
	const n = 10_000;
	const m = machine({ diagnostics: false, maxfiles: n + 10 });
	const { host, thread } = m;
	const fd = readable(thread, 3);
	const same = Array.from({ length: n }, () => reads(fd));
	assert.equal(now(thread, ...same).length, n);
	const clocks = Array.from({ length: n }, (_, i) => after(1e6 * (1 + (i % 100))));
	const waiting = pollSubscriptions(thread, clocks);
	host.advance(1);
	assert.equal(
		(await waiting).map(({ index }) => index),
		Array.from({ length: n / 100 }, (_, i) => 100 * i),
	);
	const fds = Array.from({ length: n }, () => idle(thread));
	const set = setOf(...fds.map((each) => [EVENTTYPE_FD_READ, each] as const));
	for (const i of [0, 5000, 9999]) {
		const sleeping = callAsync(thread, "poll_oneoff", null, subscriptionsCall, set);
		fileOf(thread, fds[i] as number).set("read", { data: 7 });
		host.settle();
		assert.is(await sleeping, 1);
		assert.equal(eventsOf(set), [[i, 0, 7, false]]);
		fileOf(thread, fds[i] as number).set("read", { data: 0 });
	}
	checkMachine(m);
});

const WRONG: readonly (readonly [unknown, string])[] = [
	[null, "EFAULT"],
	["fd_read", "EFAULT"],
	[{}, "EFAULT"],
	[[null], "EFAULT"],
	[[1], "EFAULT"],
	[[{}], "EINVAL"],
	[[{ type: "fd", fd: 1 }], "EINVAL"],
	[[{ type: "clock" }], "EINVAL"],
	[[{ type: "clock", timeout: -1 }], "EINVAL"],
	[[{ type: "clock", timeout: "1" }], "EINVAL"],
	[[{ type: "clock", timeout: Number.NaN }], "EINVAL"],
	[[{ type: "clock", timeout: -1n }], "EINVAL"],
	[[{ type: "clock", timeout: 2n ** 64n }], "EINVAL"],
	[[{ type: "clock", timeout: 0, clock: "process" }], "EINVAL"],
	[{ length: 2 ** 20 + 1 }, "EFAULT"],
	[new Array(2 ** 20 + 1), "EINVAL"],
];

test("what is not an array of subscriptions is EFAULT, and wrong values are EINVAL", async () => {
	const m = machine();
	for (const [list, code] of WRONG) {
		const wrong = list as readonly Subscription[];
		const name = JSON.stringify(list, (_key, value) =>
			typeof value === "bigint" ? String(value) : value,
		).slice(0, 60);
		const got = refusal(() => pollSubscriptionsNow(m.thread, wrong));
		assert.match(got, new RegExp(`^${code} `), name);
		assert.is(await rejection(pollSubscriptions(m.thread, wrong)), got, name);
	}
	for (const set of [
		null,
		{},
		[],
		Object.create(SubscriptionSet.prototype),
		new Proxy(new SubscriptionSet(), {}),
	]) {
		const wrong = set as SubscriptionSet;
		assert.is(
			refusal(() => callEither(m.thread, "poll_oneoff", null, subscriptionsCall, wrong)),
			"EFAULT poll_oneoff",
		);
	}
	checkMachine(m);
});

test.run();

// A program that measures how many bytes calls allocate, and prints the results as JSON. It needs
// node --expose-gc, and a young generation so large that it is not collected meanwhile.
import { PerformanceObserver, performance } from "node:perf_hooks";
import {
	EV_ADD,
	EV_CLEAR,
	EV_ENABLE,
	EVFILT_READ,
	eventList,
	Kernel,
	Kevent,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type Thread,
} from "@kqpoll/kqueue";
import { type Begin, callEither, keventCall, readCall } from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { FdSet, POLLIN, POLLOUT, type Pollfd, pollNow, selectNow } from "../src/index.ts";
import {
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	EVENTTYPE_FD_WRITE,
	pollCall,
	SubscriptionSet,
	subscriptionsCall,
} from "../src/kernel.ts";

/** What the calls of one kind allocated, in the round of several in which they allocated least. */
export interface Allocated {
	readonly name: string;
	/** How many calls a round has. */
	readonly calls: number;
	/** How many bytes of the heap they took. */
	readonly bytes: number;
	/** How many garbage collections there were meanwhile: after one, the bytes mean nothing. */
	readonly collections: number;
}

/** Calls of one kind. */
interface Subject {
	readonly name: string;
	/** How many calls a round has. */
	readonly calls: number;
	/** Prepares a round, and returns the call. Not measured. */
	readonly prepare: () => (i: number) => void;
}

/** When a round began and ended, and how many bytes of the heap it took. */
interface Round {
	readonly begin: number;
	readonly end: number;
	readonly bytes: number;
}

const ROUNDS = 3;
const STEADY_CALLS = 50_000;
/** How many knotes are made in a round. */
const KNOTES = 10_000;
const ENTRIES = 1000;
const READY = { data: 1 } as const;
const UNREADY = { data: 0 } as const;

function world(n: number) {
	const thread = new Kernel({ host: new VirtualHost(), maxfiles: n + 10 }).spawn().main;
	const files = Array.from({ length: n }, () => new SyntheticFile());
	return { thread, files, fds: files.map((file) => openFile(thread, file)) };
}

/** A call that is made again and again on the same machine. */
function steady(name: string, prepare: () => (i: number) => void): Subject {
	const call = prepare();
	return { name, calls: STEADY_CALLS, prepare: () => call };
}

function expect(got: number, expected: number): void {
	if (got !== expected) throw new Error(`${got} events instead of ${expected}`);
}

/** A kqueue on which `n` files are registered. */
function registered(n: number, flags: number) {
	const { thread, files, fds } = world(n);
	const kq = kqueue(thread);
	const changes = fds.map((fd) => new Kevent(fd, EVFILT_READ, flags));
	keventNow(thread, kq, changes, null);
	return { thread, files, kq, changes, events: eventList(8) };
}

function keventOne(flags: number): () => void {
	const { thread, files, kq, events } = registered(10, EV_ADD | flags);
	const file = files[3] as SyntheticFile;
	return () => {
		file.set("read", READY);
		expect(keventNow(thread, kq, null, events), 1);
		file.setQuietly("read", UNREADY);
	};
}

function keventNone(): () => void {
	const { thread, kq, events } = registered(10, EV_ADD);
	return () => expect(keventNow(thread, kq, null, events), 0);
}

function keventChange(): () => void {
	const { thread, kq, files, changes, events } = registered(1, EV_ADD | EV_ENABLE);
	(files[0] as SyntheticFile).setQuietly("read", READY);
	return () => expect(keventNow(thread, kq, changes, events), 1);
}

/** Ten descriptors, of which `ready` are ready, always the same ones. */
function some(ready: number) {
	const { thread, files, fds } = world(10);
	for (const file of files.slice(0, ready)) file.set("read", READY);
	return { thread, fds };
}

function pollSome(ready: number, events: number): () => void {
	const { thread, fds } = some(ready);
	const list: Pollfd[] = fds.map((fd) => ({ fd, events, revents: 0 }));
	return () => expect(pollNow(thread, list), ready);
}

function pollOne(): () => void {
	const { thread, files, fds } = world(10);
	const list: Pollfd[] = fds.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
	const file = files[3] as SyntheticFile;
	return () => {
		file.set("read", READY);
		expect(pollNow(thread, list), 1);
		file.setQuietly("read", UNREADY);
	};
}

function selectSome(ready: number): () => void {
	const { thread, fds } = some(ready);
	const asked = new FdSet(fds);
	const set = asked.copy();
	return () => {
		set.words.set(asked.words);
		expect(selectNow(thread, fds.length, set, null, null), ready);
	};
}

/** A call that may sleep and does not, in the form for hosts that suspend programs. */
function either<A extends readonly unknown[]>(
	thread: Thread,
	name: string,
	result: number,
	begin: Begin<A>,
	...args: A
): () => void {
	return () => {
		const got = callEither(thread, name, null, begin, ...args);
		// From time to time there is a promise, so that the platform takes its turn.
		if (typeof got === "number") expect(got, result);
	};
}

function eitherRead(): () => void {
	const { thread } = world(0);
	const fd = openFile(thread, new SyntheticFile({ read: (buffer) => buffer.length }));
	return either(thread, "read", 16, readCall, fd, new Uint8Array(16));
}

function eitherKevent(): () => void {
	const { thread, kq, files, events } = registered(10, EV_ADD);
	(files[3] as SyntheticFile).set("read", READY);
	return either(thread, "kevent", 1, keventCall, kq, null, events, null);
}

function eitherPoll(): () => void {
	const { thread, fds } = some(1);
	const list: Pollfd[] = fds.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
	return either(thread, "poll", 1, pollCall, list, -1);
}

/**
 * Subscriptions to the read and the write side of ten descriptors, of which `ready` are readable,
 * and to a clock that is due in the call, with `timeout` nanoseconds.
 */
function oneoff(ready: number, timeout: number, absolute: number): () => void {
	const { thread, fds } = some(ready);
	const set = new SubscriptionSet();
	set.reserve(2 * fds.length + 1);
	for (const [i, fd] of fds.entries()) {
		set.type[2 * i] = EVENTTYPE_FD_READ;
		set.type[2 * i + 1] = EVENTTYPE_FD_WRITE;
		set.ident.fill(fd, 2 * i, 2 * i + 2);
	}
	const clock = 2 * fds.length;
	const due = timeout === 0 ? 1 : 0;
	set.type[clock] = EVENTTYPE_CLOCK;
	set.ident[clock] = 1;
	return either(thread, "poll_oneoff", ready + due, (made) => {
		set.timeout[2 * clock] = timeout;
		set.flags[clock] = absolute;
		return subscriptionsCall(made, set);
	});
}

/** The last object of a call that allocates on purpose. */
let kept: unknown = null;

function wasteful(make: (i: number) => unknown): () => (i: number) => void {
	return () => (i) => {
		kept = make(i);
	};
}

/** Adds events to a new kqueue, whose list of descriptors grows with them. */
function keventAdd(): Subject {
	const { thread, fds } = world(KNOTES);
	const changes = fds.map((fd) => [new Kevent(fd, EVFILT_READ, EV_ADD | EV_CLEAR)]);
	const prepare = () => {
		const kq = kqueue(thread);
		return (i: number): void => {
			keventNow(thread, kq, changes[i] as Kevent[], null);
		};
	};
	return { name: "kevent that adds", calls: KNOTES, prepare };
}

/** How often an array was rotated. */
let turned = 0;

/** Polls a thousand descriptors, in a different order in each call: every entry changes. */
function pollNew(): Subject {
	const { thread, fds } = world(ENTRIES);
	const list: Pollfd[] = fds.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
	const calls = KNOTES / ENTRIES;
	const turn = (): Pollfd[] => {
		turned++;
		return [...list.slice(turned), ...list.slice(0, turned)];
	};
	const prepare = () => {
		const lists = Array.from({ length: calls }, turn);
		return (i: number): void => expect(pollNow(thread, lists[i] as Pollfd[]), 0);
	};
	return { name: "poll of a new array", calls, prepare };
}

/** The calls to measure, and two that allocate on purpose, to check the measurement. */
function subjects(): Subject[] {
	return [
		steady("kevent of none", keventNone),
		steady("kevent of one", () => keventOne(0)),
		steady("kevent of one, EV_CLEAR", () => keventOne(EV_CLEAR)),
		steady("kevent of one, and a change", keventChange),
		steady("poll of none", () => pollSome(0, POLLIN)),
		steady("poll of one", () => pollSome(1, POLLIN)),
		steady("poll of one that becomes ready", pollOne),
		steady("poll of ten", () => pollSome(10, POLLIN)),
		steady("poll of ten, to read or write", () => pollSome(10, POLLIN | POLLOUT)),
		steady("select of none", () => selectSome(0)),
		steady("select of one", () => selectSome(1)),
		steady("select of ten", () => selectSome(10)),
		steady("either a read", eitherRead),
		steady("either a kevent", eitherKevent),
		steady("either a poll", eitherPoll),
		steady("either a poll_oneoff of a clock", () => oneoff(0, 0, 0)),
		steady("either a poll_oneoff of one, and a timeout", () => oneoff(1, 1e6, 0)),
		steady("either a poll_oneoff of ten, and a time", () => oneoff(10, 1e6, 1)),
		keventAdd(),
		pollNew(),
		steady(
			"wasteful of objects",
			wasteful((i) => ({ i })),
		),
		steady(
			"wasteful of large arrays",
			wasteful(() => new Array<number>(250).fill(0)),
		),
	];
}

function run(call: (i: number) => void, calls: number): void {
	for (let i = 0; i < calls; i++) call(i);
}

/** A round. There is no collection before it: that might drop compiled code. */
function measure({ prepare, calls }: Subject): Round {
	const call = prepare();
	const begin = performance.now();
	const before = process.memoryUsage().heapUsed;
	run(call, calls);
	const bytes = process.memoryUsage().heapUsed - before;
	return { begin, end: performance.now(), bytes };
}

const { gc } = globalThis as { gc?: () => void };
if (gc === undefined) throw new Error("this needs node --expose-gc");

/** When each garbage collection began. */
const collections: number[] = [];
const observer = new PerformanceObserver((list) => {
	for (const { startTime } of list.getEntries()) collections.push(startTime);
});
observer.observe({ entryTypes: ["gc"] });

const measured = subjects().map((subject) => {
	const { calls, prepare } = subject;
	gc();
	// Long enough that all of it is compiled.
	run(prepare(), calls);
	return { subject, rounds: Array.from({ length: ROUNDS }, () => measure(subject)) };
});

// The platform reports collections in a later turn.
await new Promise((resolve) => setTimeout(resolve, 20));
observer.disconnect();
const found = measured.map(({ subject: { name, calls }, rounds }): Allocated => {
	const [least] = rounds
		.map(({ begin, end, bytes }) => ({
			name,
			calls,
			bytes,
			collections: collections.filter((at) => at >= begin && at <= end).length,
		}))
		.sort((a, b) => a.collections - b.collections || a.bytes - b.bytes);
	return least as Allocated;
});
console.log(JSON.stringify(found));
if (kept === null) throw new Error("nothing was wasted");

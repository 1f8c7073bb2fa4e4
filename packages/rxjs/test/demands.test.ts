// What users of RxJS demand of kevents as observables, demand by demand.
import { pipe } from "@kqpoll/files";
import {
	close,
	EV_EOF,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	type Kevent,
	kevents,
	kill,
	sigaction,
	writeNow,
} from "@kqpoll/kqueue";
import { SIG_IGN, SIGUSR1 } from "@kqpoll/kqueue/signal";
import {
	firstValueFrom,
	fromEvent,
	Observable,
	type Subscription,
	share,
	switchMap,
	take,
	takeUntil,
} from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	fromKevent,
	type KqueueEvent,
	kernelTimer,
	type ReadableEvent,
	readable,
	signals,
	writable,
} from "../src/index.ts";
import { type World, world } from "./world.ts";

const data = ({ data }: Kevent): unknown => data;

function reads(w: World): Observable<Kevent> {
	return fromKevent(w.thread, { ident: w.fd, filter: EVFILT_READ, flags: 0 });
}

test("1: subscribing registers, unsubscribing deletes", () => {
	const w = world();
	const source = reads(w);
	w.checkClean();
	const subscription = w.listen("a", source, data);
	assert.is(w.process.fdp.firstKqueue?.nknotes, 1);
	w.file.set("read", { data: 1 });
	assert.equal(w.heard(), ["a 1"]);
	subscription.unsubscribe();
	w.file.set("read", { data: 2 });
	assert.equal(w.heard(), []);
	w.checkClean();
});

test("1: subscribers of the same events share a knote, which goes with the last of them", () => {
	const w = world();
	const subscriptions = [w.listen("a", reads(w), data), w.listen("b", reads(w), data)];
	assert.is(w.process.fdp.firstKqueue?.nknotes, 1);
	w.file.set("read", { data: 1 });
	assert.equal(w.heard(), ["a 1", "b 1"]);
	subscriptions[0]?.unsubscribe();
	w.file.set("read", { data: 2 });
	assert.equal(w.heard(), ["b 2"]);
	subscriptions[1]?.unsubscribe();
	w.checkClean();
});

test("1: subscribing or unsubscribing inside next does not affect other subscribers", () => {
	const w = world();
	let late: Subscription | null = null;
	const first = reads(w).subscribe(() => {
		first.unsubscribe();
		second.unsubscribe();
		late = w.listen("late", reads(w), data);
	});
	const second = w.listen("second", reads(w), data);
	const third = w.listen("third", reads(w), data);
	w.file.set("read", { data: 1 });
	const before = w.heard();
	assert.equal(
		before.filter((line) => line.startsWith("second")),
		[],
	);
	assert.ok(before.includes("third 1") && before.includes("late 1"));
	third.unsubscribe();
	(late as Subscription | null)?.unsubscribe();
	w.checkClean();
});

test("1: a later subscriber alone gets what is ready already, and the others get nothing again", async () => {
	const w = world();
	const first = w.listen("first", reads(w), data);
	const room = w.listen("room", writable(w.thread, w.fd), ({ room }) => room);
	w.file.set("read", { data: 1 });
	w.file.set("write", { data: 8 });
	assert.equal(w.heard().slice(-2), ["first 1", "room 8"]);
	const value = firstValueFrom(reads(w));
	w.listen("once", writable(w.thread, w.fd).pipe(take(1)), ({ room }) => room);
	assert.equal(w.heard(), ["once 8", "once done"]);
	assert.is((await value).data, 1);
	first.unsubscribe();
	room.unsubscribe();
	w.checkClean();
});

test("1: a subscriber that switches to the same events runs once for each", () => {
	const w = world();
	let runs = 0;
	const switching = reads(w).pipe(
		switchMap(() => {
			runs++;
			return reads(w);
		}),
	);
	const subscription = w.listen("inner", switching, data);
	w.file.set("read", { data: 1 });
	assert.equal([w.heard(), runs], [["inner 1"], 1]);
	w.host.advance(1000);
	assert.equal([w.heard(), runs], [[], 1]);
	w.file.set("read", { data: 2 });
	assert.equal([w.heard(), runs], [["inner 2"], 2]);
	subscription.unsubscribe();
	w.checkClean();
});

test("1: a subscriber that throws does not affect other subscribers", () => {
	const w = world();
	const bad = reads(w).subscribe(() => {
		throw new Error("mine");
	});
	const good = w.listen("good", reads(w), data);
	w.file.set("read", { data: 1 });
	// RxJS reports it in a timer of the platform; nothing is thrown here.
	const report = globalThis.setTimeout;
	const reported: unknown[] = [];
	globalThis.setTimeout = ((fn: () => void) => reported.push(fn)) as never;
	try {
		assert.equal(w.heard(), ["good 1"]);
	} finally {
		globalThis.setTimeout = report;
	}
	assert.is(reported.length, 1);
	bad.unsubscribe();
	good.unsubscribe();
	w.checkClean();
});

test("2: an end of file completes after its event, or is like other events, and the errno is kept", () => {
	const w = world();
	const change = { ident: w.fd, filter: EVFILT_READ, flags: 0 };
	const show = ({ flags, fflags }: Kevent): string =>
		`${flags & EV_EOF ? "eof" : "data"} ${fflags}`;
	w.listen("completes", fromKevent(w.thread, change), show);
	const stays = w.listen("emits", fromKevent(w.thread, change, { eof: "emit" }), show);
	w.file.set("read", { eof: true, fflags: 54 });
	assert.equal(w.heard(), ["completes eof 54", "completes done", "emits eof 54"]);
	w.file.set("read", { data: 3 });
	assert.equal(w.heard(), ["emits eof 54"]);
	stays.unsubscribe();
	w.checkClean();
});

test("2: a refused change, a closed descriptor and an ended thread are errors with a code", () => {
	const w = world();
	w.listen("bad", fromKevent(w.thread, { ident: 99, filter: EVFILT_READ, flags: 0 }));
	w.listen("closed", reads(w));
	const events: unknown[] = [];
	reads(w).subscribe({ error: (error) => events.push(error.name, error.syscall, error.errno) });
	close(w.thread, w.fd);
	assert.equal(w.log, []);
	assert.equal(w.heard().sort(), ["bad EBADF", "closed EBADF"]);
	assert.equal(events, ["SystemError", "kevent", 9]);
	w.checkClean();
});

test("3: coalescing is visible in the count", () => {
	const w = world();
	sigaction(w.thread, SIGUSR1, SIG_IGN);
	const subscriptions = [
		w.listen("signal", signals(w.thread, SIGUSR1), ({ count }) => count),
		w.listen("timer", kernelTimer(w.thread, 10), ({ expirations }) => expirations),
		w.listen("bytes", readable(w.thread, w.fd), ({ bytes }) => bytes),
	];
	for (let i = 0; i < 3; i++) kill(w.thread, w.process.pid, SIGUSR1);
	w.file.set("read", { data: 5 });
	w.file.set("read", { data: 7 });
	assert.equal(w.heard(), ["signal 3", "bytes 7"]);
	w.host.advance(10);
	assert.equal(w.heard(), ["timer 1"]);
	for (const subscription of subscriptions) subscription.unsubscribe();
	w.checkClean();
});

test("4: nothing is emitted inside subscribe, but in the machine's next turn", () => {
	const w = world();
	w.file.set("read", { data: 1 });
	const order: string[] = [];
	w.host.defer(() => order.push("before"));
	const subscription = reads(w).subscribe(() => order.push("event"));
	w.host.defer(() => order.push("after"));
	assert.equal(order, []);
	w.host.settle();
	assert.equal(order, ["before", "event", "after"]);
	subscription.unsubscribe();
	const refused = fromKevent(w.thread, { ident: 99, filter: EVFILT_READ, flags: 0 });
	refused.subscribe({ error: () => order.push("error") });
	assert.is(order.length, 3);
	refused.subscribe({ error: () => order.push("never") }).unsubscribe();
	w.host.settle();
	assert.equal(order.slice(3), ["error"]);
	w.checkClean();
});

test("5: AbortSignal, for await and using work, without Rx too", async () => {
	const w = world();
	const abort = new AbortController();
	const subscription = w.listen(
		"a",
		reads(w).pipe(takeUntil(fromEvent(abort.signal, "abort"))),
		data,
	);
	abort.abort();
	assert.equal(w.heard(), ["a done"]);
	assert.is(subscription.closed, true);
	w.checkClean();

	const ticks: number[] = [];
	await w.host.run(async () => {
		const change = { ident: 1, filter: EVFILT_TIMER, flags: 0, data: 10 };
		for await (const { data } of kevents(w.thread, change)) {
			ticks.push(data);
			if (ticks.length === 2) break;
		}
	});
	assert.equal([ticks, w.host.now()], [[1, 1], 20e6]);
	const it = kevents(w.thread, { ident: w.fd, filter: EVFILT_READ, flags: 0 });
	await it[Symbol.asyncDispose]();
	w.checkClean();
});

test("6: the filter tells what an event is", () => {
	const describe = (event: KqueueEvent): string => {
		switch (event.filter) {
			case EVFILT_READ:
				return `${event.bytes} bytes`;
			case EVFILT_SIGNAL:
				return `${event.count} signals`;
			default:
				return "something else";
		}
	};
	const w = world();
	sigaction(w.thread, SIGUSR1, SIG_IGN);
	const sources: Observable<KqueueEvent>[] = [
		readable(w.thread, w.fd),
		signals(w.thread, SIGUSR1),
		writable(w.thread, w.fd),
	];
	const subscriptions = sources.map((source) => w.listen("", source, describe));
	w.file.set("read", { data: 3 });
	w.file.set("write", { data: 1 });
	kill(w.thread, w.process.pid, SIGUSR1);
	assert.equal(w.heard().sort(), [" 1 signals", " 3 bytes", " something else"]);
	for (const subscription of subscriptions) subscription.unsubscribe();
	// The compiler refuses what does not fit.
	const event = {} as ReadableEvent;
	// @ts-expect-error A readable event has no count.
	void event.count;
});

test("8: prototypes stay as they are, and operators of RxJS work", async () => {
	const w = world();
	const before = Object.getOwnPropertyNames(Observable.prototype).sort();
	const [r, wr] = pipe(w.thread);
	const value = firstValueFrom(readable(w.thread, r).pipe(share(), take(1)));
	writeNow(w.thread, wr, new Uint8Array(5));
	w.host.settle();
	assert.is((await value).bytes, 5);
	assert.equal(Object.getOwnPropertyNames(Observable.prototype).sort(), before);
	w.checkClean();
});

test.run();

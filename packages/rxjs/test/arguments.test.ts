// What programs pass: copied and checked when an observable is made, and never a TypeError of the
// inside.
import { pipe } from "@kqpoll/files";
import {
	EV_DISPATCH,
	EVFILT_READ,
	EVFILT_TIMER,
	Kevent,
	SystemError,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { type Observable, of, take } from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as demand from "../src/demand.ts";
import {
	DemandObservable,
	exceptional,
	fromKevent,
	kernelScheduler,
	kernelTimer,
	pollfds,
	processEvents,
	readable,
	readBytes,
	signals,
	vnodeChanges,
	withBackpressure,
	writable,
	writeBytes,
} from "../src/index.ts";
import { TestSchedulerHost } from "../src/testing.ts";
import { world } from "./world.ts";

/** Values that are not numbers, and numbers that nothing has. */
const ODD: readonly unknown[] = [
	Number.NaN,
	Number.POSITIVE_INFINITY,
	-1,
	-0.5,
	2 ** 31,
	2 ** 53,
	"1x",
	1n,
	Symbol("x"),
	{},
	Object.create(null),
	() => 1,
	null,
];

/** What a call throws: the code of a SystemError, or the value. */
function codeOf(call: () => unknown): unknown {
	try {
		call();
	} catch (error) {
		return error instanceof SystemError ? error.code : error;
	}
	return "nothing";
}

/** An object whose accessor throws. */
function trap(name: string, rest: object = {}): never {
	const thrower = { get: () => fail(name), enumerable: true };
	return Object.defineProperty({ ...rest }, name, thrower) as never;
}

function fail(name: string): never {
	throw `no ${name}`;
}

test("a change is copied once, when the observable is made", () => {
	const w = world();
	const [r1, w1] = pipe(w.thread);
	const [r2, w2] = pipe(w.thread);
	const change = new Kevent(r1, EVFILT_READ, 0);
	const one = fromKevent(w.thread, change);
	change.ident = r2;
	const two = fromKevent(w.thread, change);
	change.filter = EVFILT_TIMER;
	change.flags = EV_DISPATCH;
	const shown = ({ ident, filter }: Kevent): string => `${ident} ${filter}`;
	const subscriptions = [w.listen("one", one, shown), w.listen("two", two, shown)];
	writeNow(w.thread, w1, new Uint8Array(1));
	assert.equal(w.heard(), [`one ${r1} ${EVFILT_READ}`]);
	writeNow(w.thread, w2, new Uint8Array(1));
	assert.equal(w.heard(), [`two ${r2} ${EVFILT_READ}`]);
	for (const subscription of subscriptions) subscription.unsubscribe();
	w.checkClean();
});

test("each accessor is called once, and what one throws is thrown when the observable is made", () => {
	const w = world();
	const { thread, fd } = w;
	for (const name of ["ident", "filter", "flags", "fflags", "data", "udata"]) {
		const change = trap(name, { ident: fd, filter: EVFILT_READ, flags: 0 });
		assert.is(
			codeOf(() => fromKevent(thread, change)),
			`no ${name}`,
		);
	}
	const calls: [string, (options: never) => unknown][] = [
		["eof", (options) => fromKevent(thread, { ident: fd, filter: EVFILT_READ }, options)],
		["lowat", (options) => readable(thread, fd, options)],
		["eof", (options) => writable(thread, fd, options)],
		["oneshot", (options) => kernelTimer(thread, 1, options)],
		["size", (options) => readBytes(thread, fd, options)],
		["bound", (options) => writeBytes(thread, fd, options)],
		["close", (options) => writeBytes(thread, fd, options)],
	];
	for (const [name, call] of calls) {
		assert.is(
			codeOf(() => call(trap(name))),
			`no ${name}`,
		);
		let read = 0;
		const counting = Object.defineProperty({}, name, { get: () => void read++ });
		const made = call(counting as never);
		if (made instanceof DemandObservable) made.subscribe().unsubscribe();
		assert.is(read, 1, name);
		call(null as never);
	}
	assert.is(
		codeOf(() => pollfds(thread, [trap("events", { fd })])),
		"no events",
	);
	w.heard();
	w.checkClean();
});

test("polls ask for what the list had when they were made", () => {
	const w = world();
	const list = [{ fd: w.fd, events: 1 }];
	const source = pollfds(w.thread, list);
	w.file.set("read", { data: 1 });
	list.push({ fd: 99, events: 1 });
	w.listen("", source.pipe(take(2)));
	assert.equal(w.heard(), [" 1", " 1", " done"]);
});

test("what is not a thread, change, list or function is EFAULT", () => {
	const w = world();
	const change = { ident: w.fd, filter: EVFILT_READ };
	const makers: ((thread: Thread) => unknown)[] = [
		(thread) => fromKevent(thread, change),
		(thread) => readable(thread, 0),
		(thread) => writable(thread, 0),
		(thread) => exceptional(thread, 0),
		(thread) => vnodeChanges(thread, 0),
		(thread) => processEvents(thread, 1),
		(thread) => signals(thread, 1),
		(thread) => kernelTimer(thread, 1),
		(thread) => readBytes(thread, 0),
		(thread) => writeBytes(thread, 0),
		(thread) => pollfds(thread, []),
	];
	for (const make of makers) {
		for (const thread of [null, undefined, w.process, ...ODD]) {
			assert.is(
				codeOf(() => make(thread as never)),
				"EFAULT",
			);
		}
	}
	const objects = new Set<unknown>(ODD.filter((odd) => typeof odd === "object" && odd !== null));
	for (const odd of [undefined, ...ODD]) {
		const calls: (() => unknown)[] = [
			() => pollfds(w.thread, odd as never),
			() => new TestSchedulerHost(odd as never),
		];
		if (!objects.has(odd)) {
			calls.push(() => pollfds(w.thread, [odd] as never));
			calls.push(() => fromKevent(w.thread, odd as never));
		}
		if (typeof odd !== "function") {
			calls.push(() => withBackpressure(odd as never));
			calls.push(() => demand.concatMap(odd as never));
			calls.push(() => demand.mergeMap(odd as never));
			calls.push(() => demand.lift(odd as never));
			calls.push(() => new DemandObservable(odd as never));
		}
		assert.equal(
			calls.map(codeOf),
			calls.map(() => "EFAULT"),
		);
	}
});

test("a list of polls is read by its numbers, and a revoked Proxy is not one", () => {
	const w = world();
	const { proxy, revoke } = Proxy.revocable([], {});
	revoke();
	assert.is(
		codeOf(() => pollfds(w.thread, proxy)),
		"EFAULT",
	);
	const list = (length: unknown): never => new Proxy([], { get: () => length }) as never;
	for (const length of [1025, 2 ** 53, Number.NaN])
		assert.is(
			codeOf(() => pollfds(w.thread, list(length))),
			"EINVAL",
		);
	const endless = [{ fd: w.fd, events: 1 }];
	endless[Symbol.iterator] = () => fail("iterator");
	assert.is(
		codeOf(() => pollfds(w.thread, endless)),
		"nothing",
	);
});

test("options that are not valid are EINVAL when the observable is made", () => {
	const w = world();
	const change = { ident: w.fd, filter: EVFILT_READ };
	for (const odd of ODD) {
		const calls: (() => unknown)[] = [
			() => fromKevent(w.thread, change, { eof: odd as never }),
			() => readable(w.thread, w.fd, { eof: odd as never }),
		];
		if (odd !== 2 ** 31) {
			calls.push(() => readBytes(w.thread, w.fd, { size: odd as never }));
			calls.push(() => writeBytes(w.thread, w.fd, { close: odd as never }));
			if (odd !== Number.POSITIVE_INFINITY) {
				calls.push(() => writeBytes(w.thread, w.fd, { bound: odd as never }));
				calls.push(() => withBackpressure(() => of(1), odd as never));
				calls.push(() => demand.mergeMap(() => of(1), odd as never));
			}
		}
		assert.equal(
			calls.map(codeOf),
			calls.map(() => "EINVAL"),
		);
	}
});

test("what does not fit into a change is a SystemError for the subscriber", async () => {
	const w = world();
	const { thread, fd } = w;
	for (const odd of ODD) {
		const n = odd as number;
		const sources: Observable<unknown>[] = [
			readable(thread, n),
			readable(thread, fd, { lowat: n }),
			writable(thread, n),
			exceptional(thread, n),
			vnodeChanges(thread, n),
			vnodeChanges(thread, fd, n),
			processEvents(thread, n),
			processEvents(thread, w.process.pid, n),
			signals(thread, n),
			kernelTimer(thread, n),
			readBytes(thread, n),
			readBytes(thread, fd).pipe(writeBytes(thread, n)),
			pollfds(w.process.spawnThread(), [{ fd: n, events: 1 }]).pipe(take(3)),
			pollfds(w.process.spawnThread(), [{ fd: 99, events: n }]).pipe(take(3)),
			...["ident", "filter", "flags", "fflags", "data"].flatMap((name) => {
				const source = fromKevent(thread, { ident: fd, filter: EVFILT_READ, [name]: odd });
				return [
					source,
					source.pipe(
						withBackpressure(() => of(1)),
						take(3),
					),
				];
			}),
		];
		const errors: unknown[] = [];
		const subscriptions = sources.map((source) =>
			source.subscribe({ error: (error) => errors.push(error) }),
		);
		await w.host.run(() => Promise.resolve());
		for (const subscription of subscriptions) subscription.unsubscribe();
		await w.host.run(() => Promise.resolve());
		assert.equal(
			errors.filter((error) => !(error instanceof SystemError)),
			[],
		);
		assert.ok(errors.length >= 10);
		// The threads that polled keep their kqueues.
		assert.equal([thread.watches, w.kernel.timeouts.size, w.kernel.sleepers], [null, 0, 0]);
	}
});

test("changes and options that cannot be read are EFAULT, when the observable is made", () => {
	const { thread, fd } = world();
	const { proxy, revoke } = Proxy.revocable<object>({}, {});
	revoke();
	const odd = proxy as never;
	for (const make of [
		() => fromKevent(thread, odd),
		() => fromKevent(thread, { ident: fd, filter: EVFILT_READ }, odd),
		() => readable(thread, fd, odd),
		() => writable(thread, fd, odd),
		() => kernelTimer(thread, 1, odd),
		() => pollfds(thread, odd),
		() => pollfds(thread, [odd]),
		() => readBytes(thread, fd, odd),
		() => writeBytes(thread, fd, odd),
	])
		assert.is(codeOf(make), "EFAULT");
	const own = new Error("own");
	const throwing = {
		get size(): number {
			throw own;
		},
	};
	assert.is(
		codeOf(() => readBytes(thread, fd, throwing)),
		own,
	);
});

test("work that is scheduled for the end of all time never runs, and no clock goes there", () => {
	const { kernel, host } = world();
	let ran = false;
	kernelScheduler(kernel).schedule(() => {
		ran = true;
	}, Number.POSITIVE_INFINITY);
	assert.equal([kernel.timeouts.size, kernel.sleepers], [0, 0]);
	host.drive(() => false);
	assert.equal([ran, host.now()], [false, 0]);
});

test("work that is scheduled after what is not a time runs at once", () => {
	const { kernel, host } = world();
	for (const delay of [5n, Symbol("odd"), {}, Number.NaN, -1, "9"]) {
		let ran = false;
		kernelScheduler(kernel).schedule(() => {
			ran = true;
		}, delay as never);
		host.advance(0);
		assert.ok(ran);
	}
});

test.run();

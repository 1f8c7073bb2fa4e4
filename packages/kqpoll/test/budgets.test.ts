// The costs of each operation, as counts: how often filters are asked, and what happens to lists.
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_DISPATCH,
	EV_ENABLE,
	EV_ONESHOT,
	EVFILT_READ,
	eventList,
	kevent,
	keventNow,
	kqueue,
	openFile,
} from "@kqpoll/kqueue";
import {
	callAsync,
	callNow,
	File,
	type Filterops,
	filterops,
	Klist,
	type Knote,
	knoteJoin,
	kqueueDoCheck,
	syscall,
} from "@kqpoll/kqueue/kernel";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FdSet, POLLIN, POLLOUT, poll, pollNow, select, selectNow } from "../src/index.ts";
import {
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	EVENTTYPE_FD_WRITE,
	SubscriptionSet,
	subscriptionsCall,
} from "../src/kernel.ts";
import { entry, type Machine, machine } from "./machine.ts";

/** How many descriptors are registered or polled: a cost either grows with them or does not. */
const SIZES = [10, 100, 1000];

/**
 * How often something happened; zeros are left out. `join`, `ask` and `part` are the file's own
 * kqfilter, event and detach; `lookup` is a descriptor that is looked up; the rest are the engine's
 * transitions.
 */
type Cost = Record<string, number>;

/** A file that is as ready as it is told to be, and counts the calls of its filter. */
class Bell extends File {
	readonly klist = new Klist();
	readonly count: (what: string) => void;
	ready = false;

	constructor(count: (what: string) => void) {
		super("socket");
		this.count = count;
	}

	/** Becomes ready and notifies. */
	ring(): void {
		this.ready = true;
		this.klist.notify(0);
	}

	override kqfilter(kn: Knote): number {
		this.count("join");
		return knoteJoin(kn, bellFiltops, this.klist);
	}
}

function bellOf(kn: Knote): Bell {
	return kn.fp as Bell;
}

const bellFiltops: Filterops = filterops({
	name: "bell",
	event: (kn) => {
		bellOf(kn).count("ask");
		return bellOf(kn).ready;
	},
	detach: (kn) => {
		bellOf(kn).count("part");
		bellOf(kn).klist.remove(kn);
	},
});

/** A machine with `n` bells, and the counts since they were read last. */
interface World extends Machine {
	readonly bells: readonly Bell[];
	readonly fds: readonly number[];
	/** What `act` costs. */
	readonly cost: (act: () => unknown) => Cost;
}

function world(n: number): World {
	let counts: Cost = {};
	const count = (what: string): void => {
		counts[what] = (counts[what] ?? 0) + 1;
	};
	// Checking a list of a thousand at each step takes long: it is checked after each operation.
	const small = machine({ diagnostics: n <= 100, sink: ({ event }) => count(event) });
	const bells = Array.from({ length: n }, () => new Bell(count));
	const fds = bells.map((bell) => openFile(small.thread, bell));
	const { fdp } = small.process;
	const get = fdp.get.bind(fdp);
	fdp.get = (fd) => {
		count("lookup");
		return get(fd);
	};
	const cost = (act: () => unknown): Cost => {
		counts = {};
		act();
		const cost = counts;
		for (let kq = fdp.firstKqueue; kq !== null; kq = kq.next) kqueueDoCheck(kq);
		return cost;
	};
	return { ...small, bells, fds, cost };
}

/** A cost without the zeros. */
function only(cost: Cost): Cost {
	return Object.fromEntries(Object.entries(cost).filter(([, times]) => times !== 0));
}

/** Makes the first `ready` bells ready. */
function ring({ bells }: World, ready: number): void {
	for (const bell of bells.slice(0, ready)) bell.ring();
}

/** Undoes that, without notifying. */
function silence({ bells }: World): void {
	for (const bell of bells) bell.ready = false;
}

/** A kqueue on which every bell of a new machine is registered. */
function registered(n: number, flags: number) {
	const all = world(n);
	const kq = kqueue(all.thread);
	const events = eventList(64);
	const changes = all.fds.map((ident) => ({ ident, filter: EVFILT_READ, flags }));
	const add = (): number => keventNow(all.thread, kq, changes, null);
	const take = (): number => keventNow(all.thread, kq, null, events);
	return { all, kq, events, add, take };
}

test("adding an event joins its knote once and asks its filter once", () => {
	for (const n of SIZES) {
		const { all, add } = registered(n, EV_ADD);
		// A descriptor is looked up for its file, and again after the filter's attach has run, which
		// might have closed it. The kqueue's own is looked up once a call.
		assert.equal(
			all.cost(add),
			{ lookup: 2 * n + 1, register: n, attach: n, join: n, ask: n },
			`${n} new events`,
		);
		// An existing event is changed: its filter is asked, nothing is joined.
		assert.equal(all.cost(add), { lookup: n + 1, register: n, ask: n }, `${n} old events`);
	}
});

test("a kevent that finds nothing asks no filter, however many are registered", () => {
	for (const n of SIZES) {
		const { all, add, take } = registered(n, EV_ADD);
		add();
		// The ready list is empty. The descriptor that is looked up is the kqueue's.
		assert.equal(all.cost(take), { lookup: 1 }, `n = ${n}`);
	}
});

test("one event among many idle ones costs the same among ten and a thousand", () => {
	for (const n of SIZES) {
		const { all, add, take } = registered(n, EV_ADD | EV_CLEAR);
		add();
		// The object notifies its only knote, whose filter says yes.
		assert.equal(
			all.cost(() => ring(all, 1)),
			{ ask: 1, activate: 1, enqueue: 1 },
			`n = ${n}, told`,
		);
		// The filter of a queued knote is asked at each change, but the knote is not queued twice.
		assert.equal(
			all.cost(() => ring(all, 1)),
			{ ask: 1, activate: 1 },
			`n = ${n}, told again`,
		);
		// Before the event is delivered the filter is asked whether there still is one.
		assert.equal(
			all.cost(take),
			{ lookup: 1, ask: 1, dequeue: 1, deliver: 1 },
			`n = ${n}, handed out`,
		);
		assert.equal(all.cost(take), { lookup: 1 }, `n = ${n}, nothing left`);
	}
});

test("64 events cost 64 times what one costs, though a scan takes eight at a time", () => {
	for (const n of [64, 100, 1000]) {
		const { all, add, take } = registered(n, EV_ADD | EV_CLEAR);
		add();
		assert.equal(
			all.cost(() => ring(all, 64)),
			{ ask: 64, activate: 64, enqueue: 64 },
			`n = ${n}, told`,
		);
		// Eight passes of one scan: each begins where the last one ended.
		assert.equal(
			all.cost(take),
			{ lookup: 1, ask: 64, dequeue: 64, deliver: 64 },
			`n = ${n}, handed out`,
		);
	}
});

test("a level-triggered event is queued again once, and only the next kevent looks at it", () => {
	for (const n of SIZES) {
		for (const ready of [1, 8, n]) {
			const { all, add, take, events } = registered(n, EV_ADD);
			const m = Math.min(ready, events.length);
			const name = `${ready} of ${n}`;
			add();
			ring(all, ready);
			// It is queued behind the end of the scan, even if there is room for more events.
			const again = { lookup: 1, ask: m, dequeue: m, deliver: m, enqueue: m };
			assert.equal(all.cost(take), again, name);
			assert.equal(all.cost(take), again, `${name}, again`);
			// The next kevent finds that the condition has gone, and nothing is queued again; since it
			// found no event, it looks at all that is queued.
			silence(all);
			assert.equal(
				all.cost(take),
				{ lookup: 1, ask: ready, dequeue: ready },
				`${name}, the condition gone`,
			);
			assert.equal(all.cost(take), { lookup: 1 }, `${name}, nothing left`);
		}
	}
});

test("EV_CLEAR and EV_DISPATCH queue nothing again, EV_ONESHOT drops what it reports", () => {
	for (const n of SIZES) {
		const cleared = { lookup: 1, ask: 1, dequeue: 1, deliver: 1 };
		// The filter of an EV_ONESHOT event is not asked again: the event is delivered as it is.
		const dropped = { lookup: 1, dequeue: 1, deliver: 1, part: 1, drop: 1 };
		for (const [flags, cost] of [
			[EV_CLEAR, cleared],
			[EV_DISPATCH, cleared],
			[EV_ONESHOT, dropped],
			[EV_ONESHOT | EV_CLEAR, dropped],
		] as const) {
			const { all, add, take } = registered(n, EV_ADD | flags);
			add();
			ring(all, 1);
			assert.equal(all.cost(take), cost, `flags ${flags}, n = ${n}`);
			// The condition still holds, but no filter is asked.
			assert.equal(all.cost(take), { lookup: 1 }, `flags ${flags}, n = ${n}, again`);
		}
	}
});

test("the filter of an event that its report disabled is asked when it is enabled", () => {
	for (const n of SIZES) {
		const { all, kq, add, take } = registered(n, EV_ADD | EV_DISPATCH);
		const change = { ident: all.fds[0] as number, filter: EVFILT_READ, flags: EV_ENABLE };
		const enable = (): number => keventNow(all.thread, kq, [change], null);
		add();
		ring(all, 1);
		take();
		// While the knote is disabled its filter is asked at changes, but it is not queued.
		assert.equal(
			all.cost(() => ring(all, 1)),
			{ ask: 1, activate: 1 },
			`n = ${n}, told`,
		);
		assert.equal(
			all.cost(enable),
			{ lookup: 2, register: 1, ask: 1, activate: 1, enqueue: 1 },
			`n = ${n}, enabled`,
		);
		// An event that is already enabled is not changed.
		assert.equal(all.cost(enable), { lookup: 2, register: 1 }, `n = ${n}, enabled again`);
	}
});

test("a kevent that sleeps is woken once and asks only the filters of ready knotes", async () => {
	for (const n of SIZES) {
		const { all, kq, add, events } = registered(n, EV_ADD | EV_CLEAR);
		let result = Promise.resolve(-1);
		add();
		assert.equal(
			all.cost(() => {
				result = kevent(all.thread, kq, null, events, null);
			}),
			{ lookup: 1, sleep: 1 },
			`n = ${n}, asleep`,
		);
		// The first knote that is queued wakes the thread; the second finds it awake.
		assert.equal(
			all.cost(() => ring(all, 2)),
			{ ask: 2, activate: 2, enqueue: 2, wake: 1 },
			`n = ${n}, told`,
		);
		assert.equal(
			all.cost(() => all.host.settle()),
			{ ask: 2, dequeue: 2, deliver: 2 },
			`n = ${n}, handed out`,
		);
		assert.is(await result, 2);
	}
});

test("closing detaches each knote once and asks no filter", () => {
	for (const n of SIZES) {
		const { all, kq, add } = registered(n, EV_ADD);
		const { thread } = all;
		add();
		// One of n descriptors: only its own knote.
		const one = all.cost(() => close(thread, all.fds[0] as number));
		assert.equal({ ...one, lookup: 0 }, { lookup: 0, close: 1, part: 1, drop: 1 }, `one of ${n}`);
		const rest = n - 1;
		const queue = all.cost(() => close(thread, kq));
		const gone = { lookup: 0, close: 1, terminate: 1, part: rest, drop: rest };
		assert.equal({ ...queue, lookup: 0 }, gone, `kqueue of ${rest}`);
	}
});

/** Subscriptions of one type to descriptors. */
function subscribed(fds: readonly number[], type = EVENTTYPE_FD_READ): SubscriptionSet {
	const set = new SubscriptionSet();
	set.reserve(fds.length);
	set.type.fill(type);
	set.ident.set(fds);
	return set;
}

/** How many subscriptions of a set have an event now. */
function subscriptionsNow({ thread }: Machine, set: SubscriptionSet): number {
	try {
		return syscall(thread, "poll_oneoff", () => callNow(subscriptionsCall(thread, set)));
	} catch {
		// It would sleep.
		return 0;
	}
}

/** The forms of poll, select and poll_oneoff, over the read side of every bell. */
const CALLS = {
	poll_oneoff: (all: World) => {
		const set = subscribed(all.fds);
		return {
			// It also looks whether a descriptor is open for the direction.
			lookups: 3,
			now: () => subscriptionsNow(all, set),
			sleeping: () => callAsync(all.thread, "poll_oneoff", null, subscriptionsCall, set),
		};
	},
	poll: (all: World) => {
		const list = all.fds.map((fd) => entry(fd, POLLIN));
		return {
			lookups: 2,
			now: () => pollNow(all.thread, list),
			sleeping: () => poll(all.thread, list, -1),
		};
	},
	select: (all: World) => {
		const asked = new FdSet(all.fds);
		const set = asked.copy();
		const nfds = (all.fds.at(-1) as number) + 1;
		const refill = (): void => set.words.set(asked.words);
		return {
			lookups: 2,
			now: () => {
				refill();
				return selectNow(all.thread, nfds, set, null, null);
			},
			sleeping: () => {
				refill();
				return select(all.thread, nfds, set, null, null, null);
			},
		};
	},
};

for (const [name, prepare] of Object.entries(CALLS)) {
	test(`the first ${name} makes the knotes, the second finds them`, () => {
		for (const n of SIZES) {
			for (const ready of [0, 1, 8, n]) {
				const all = world(n);
				const { lookups, now } = prepare(all);
				const title = `${ready} of ${n}`;
				let result = -1;
				const call = (): void => {
					result = now();
				};
				ring(all, ready);
				// Each filter is asked when its knote is made, and once more before an event is delivered.
				// A ready knote is queued when it is made, and again after its event was delivered.
				assert.equal(
					all.cost(call),
					only({
						lookup: lookups * n,
						kqueue: 1,
						register: n,
						attach: n,
						join: n,
						ask: n + ready,
						activate: ready,
						enqueue: 2 * ready,
						dequeue: ready,
						deliver: ready,
					}),
					`${title}, first`,
				);
				assert.is(result, ready);
				// The call remembers its knotes and looks nothing up. As an object may change without
				// notifying, each filter is asked anyway, and once more before an event is delivered.
				// Ready knotes are in the list already.
				const again = only({
					register: n,
					ask: n + ready,
					activate: ready,
					enqueue: ready,
					dequeue: ready,
					deliver: ready,
				});
				assert.equal(all.cost(call), again, `${title}, second`);
				assert.equal(all.cost(call), again, `${title}, third`);
				assert.is(result, ready);
				// The scan asks the knotes that are still in the list once more, but there is no event.
				silence(all);
				assert.equal(
					all.cost(call),
					only({ register: n, ask: n + ready, dequeue: ready }),
					`${title}, the condition gone`,
				);
				assert.is(result, 0);
				assert.equal(all.cost(call), { register: n, ask: n }, `${title}, nothing left`);
			}
		}
	});

	test(`a ${name} that sleeps asks only the filters of ready knotes again`, async () => {
		for (const n of SIZES) {
			const all = world(n);
			const { now, sleeping } = prepare(all);
			let result = Promise.resolve(-1);
			now();
			assert.equal(
				all.cost(() => {
					result = sleeping();
				}),
				{ register: n, ask: n, sleep: 1 },
				`n = ${n}, asleep`,
			);
			assert.equal(
				all.cost(() => ring(all, 1)),
				{ ask: 1, activate: 1, enqueue: 1, wake: 1 },
				`n = ${n}, told`,
			);
			assert.equal(
				all.cost(() => all.host.settle()),
				{ ask: 1, dequeue: 1, deliver: 1, enqueue: 1 },
				`n = ${n}, handed out`,
			);
			assert.is(await result, 1);
		}
	});
}

test("a poll registers only the entry that changed", () => {
	for (const n of SIZES) {
		const all = world(n);
		const list = all.fds.map((fd) => entry(fd, POLLIN));
		const call = (): number => pollNow(all.thread, list);
		call();
		list[n - 1] = entry(all.fds[n - 1] as number, POLLOUT);
		// The entry asks for another filter: a new knote. The old one stays for now.
		assert.equal(
			all.cost(call),
			{ lookup: 2, register: n, attach: 1, join: 1, ask: n },
			`n = ${n}, changed`,
		);
		assert.equal(all.cost(call), { register: n, ask: n }, `n = ${n}, again`);
		// The object notifies both. The old one has expired: the scan drops it without asking.
		all.bells[n - 1]?.ring();
		assert.equal(
			all.cost(call),
			{
				register: n,
				ask: n + 1,
				activate: 1,
				dequeue: 2,
				deliver: 1,
				enqueue: 1,
				part: 1,
				drop: 1,
			},
			`n = ${n}, told`,
		);
	}
});

test("a select of another set looks its descriptors up and makes only missing knotes", () => {
	for (const n of SIZES) {
		const all = world(n);
		const nfds = (all.fds.at(-1) as number) + 1;
		const rest = new FdSet(all.fds.slice(1));
		const set = rest.copy();
		const call = (): number => {
			set.words.set(rest.words);
			return selectNow(all.thread, nfds, set, null, null);
		};
		call();
		rest.set(all.fds[0] as number);
		// The new descriptor is looked up twice, as its knote is made.
		assert.equal(
			all.cost(call),
			{ lookup: n + 1, register: n, attach: 1, join: 1, ask: n },
			`n = ${n}, one more`,
		);
		rest.clear(all.fds[0] as number);
		assert.equal(
			all.cost(call),
			{ lookup: n - 1, register: n - 1, ask: n - 1 },
			`n = ${n}, one less`,
		);
	}
});

test("an entry that asks for two things costs two knotes, which are looked up in each call", () => {
	for (const n of SIZES) {
		const all = world(n);
		const list = all.fds.map((fd) => entry(fd, POLLIN | POLLOUT));
		const call = (): number => pollNow(all.thread, list);
		const k = 2 * n;
		assert.equal(
			all.cost(call),
			{ lookup: 2 * k, kqueue: 1, register: k, attach: k, join: k, ask: k },
			`n = ${n}, first`,
		);
		assert.equal(all.cost(call), { lookup: k, register: k, ask: k }, `n = ${n}, second`);
	}
});

test("a poll_oneoff registers only the subscription that changed, and clocks cost nothing there", () => {
	for (const n of SIZES) {
		const all = world(n);
		const set = subscribed([...all.fds, 1, 1, 99]);
		set.type.fill(EVENTTYPE_CLOCK, n, n + 3);
		const call = (): number => subscriptionsNow(all, set);
		// Two are due at once, and the last is not a clock that exists.
		assert.is(call(), 3);
		assert.equal(all.cost(call), { register: n, ask: n }, `n = ${n}, again`);
		set.timeout.fill(1e9, 2 * n);
		assert.equal(all.cost(call), { register: n, ask: n }, `n = ${n}, another time`);
		set.type[n - 1] = EVENTTYPE_FD_WRITE;
		assert.equal(
			all.cost(call),
			{ lookup: 3, register: n, attach: 1, join: 1, ask: n },
			`n = ${n}, changed`,
		);
		assert.equal(all.cost(call), { register: n, ask: n }, `n = ${n}, changed, again`);
	}
});

test("poll_oneoff sleeps and wakes once for any number of clocks", async () => {
	for (const n of SIZES) {
		const all = world(0);
		const set = subscribed(
			Array.from({ length: n }, () => 1),
			EVENTTYPE_CLOCK,
		);
		for (let i = 0; i < n; i++) set.timeout[2 * i] = 5e6;
		subscriptionsNow(all, set);
		let result = Promise.resolve(-1);
		const sleep = (): void => {
			result = callAsync(all.thread, "poll_oneoff", null, subscriptionsCall, set);
		};
		assert.equal(all.cost(sleep), { sleep: 1 }, `n = ${n}, asleep`);
		assert.equal(
			all.cost(() => all.host.advance(5)),
			{ wake: 1 },
			`n = ${n}, due`,
		);
		assert.is(await result, n);
	}
});

test.run();

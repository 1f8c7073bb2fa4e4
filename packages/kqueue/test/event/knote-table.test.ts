// The table of a kqueue: each knote is found again, at a cost that does not grow with their number.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { firstKnote, knoteFind } from "../../src/event/knote-table.ts";
import type { Kqueue } from "../../src/event/kqueue.ts";
import {
	close,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_ENABLE,
	EV_ONESHOT,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	eventList,
	type KeventWatch,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type Thread,
	watchKevent,
} from "../../src/index.ts";
import type { Knote } from "../../src/kernel.ts";
import { codeOf, machine } from "../machine.ts";

const observer = { next() {}, error() {}, complete() {} };

/** The newest kqueue of a thread's process. */
function newest(thread: Thread): Kqueue {
	return thread.process.fdp.firstKqueue as Kqueue;
}

/** The number of knotes on the longest list of the hash. */
function longest({ knhash }: Kqueue): number {
	return Math.max(
		...knhash.map((first) => {
			let length = 0;
			for (let kn = first; kn !== null; kn = kn.link) length++;
			return length;
		}),
	);
}

/** Counts how often the engine goes from a knote to the next one of the same list. */
class Steps {
	count = 0;

	/** Begins to count those that leave the knote. */
	watch(kn: Knote): void {
		let link = kn.link;
		Object.defineProperty(kn, "link", {
			get: () => {
				this.count++;
				return link;
			},
			set: (next: Knote | null) => {
				link = next;
			},
		});
	}
}

/** The steps of a work, for each of the things that it is done for. */
function stepsEach(n: number, work: (n: number, steps: Steps) => void): number {
	const steps = new Steps();
	work(n, steps);
	return steps.count / n;
}

test("twenty thousand timers are found, changed, deleted and expired, and lists stay short", () => {
	const n = 20_000;
	const { host, kernel, process, thread } = machine({ timermax: n, diagnostics: false });
	const kq = kqueue(thread);
	const change = (ident: number, flags: number, data = 5): unknown =>
		codeOf(() => keventNow(thread, kq, [{ ident, filter: EVFILT_TIMER, flags, data }], null));
	// Idents of all kinds: of either sign, and some with the same low bits.
	const ident = (i: number): number => (i % 3 === 0 ? -i : i % 3 === 1 ? i : i * 4096);
	for (let i = 0; i < n; i++) assert.is(change(ident(i), EV_ADD | EV_ONESHOT), "no error");
	const { nknotes, nhashed, knhash } = process.fdp.firstKqueue as NonNullable<
		typeof process.fdp.firstKqueue
	>;
	assert.equal([nknotes, nhashed], [n, n]);
	assert.ok(knhash.length >= n / 4);
	for (let i = 0; i < n; i++) assert.is(change(ident(i), EV_ADD | EV_ONESHOT, 6), "no error");
	assert.is(process.fdp.firstKqueue?.nknotes, n);
	for (let i = 0; i < n; i += 2) assert.is(change(ident(i), EV_DELETE), "no error");
	for (let i = 0; i < n; i += 2) assert.is(change(ident(i), EV_DELETE), "ENOENT");
	host.advance(6);
	const events = eventList(n);
	const got = keventNow(thread, kq, null, events);
	const idents = events.slice(0, got).map((event) => event.ident);
	const expected = Array.from({ length: n / 2 }, (_, i) => ident(2 * i + 1));
	const ascending = (a: number, b: number): number => a - b;
	assert.equal(idents.sort(ascending), expected.sort(ascending));
	close(thread, kq);
	assert.is(kernel.ntimers, 0);
});

test("no choice of idents puts more than a few knotes into one list", () => {
	const n = 4096;
	const choices: Record<string, (i: number) => number> = {
		small: (i) => i,
		negative: (i) => -i,
		"one of each 4096": (i) => i * 4096 + 7,
		"multiples of 65,536": (i) => i * 65_536,
		"high halves only": (i) => i * 2 ** 32,
		"high bits only": (i) => (i - n / 2) * 2 ** 41,
		"both halves alike": (i) => i * (2 ** 32 + 1),
	};
	const lengths = Object.entries(choices).map(([name, ident]) => {
		const { thread } = machine({ timermax: n, diagnostics: false });
		const kq = kqueue(thread);
		const add = (i: number) => ({ ident: ident(i), filter: EVFILT_TIMER, flags: EV_ADD, data: 9 });
		for (let i = 0; i < n; i++) keventNow(thread, kq, [add(i)], null);
		return [name, longest(newest(thread)) <= 12];
	});
	assert.equal(
		lengths,
		Object.keys(choices).map((name) => [name, true]),
	);
});

test("the lists of two kqueues with the same idents differ", () => {
	const { thread } = machine({ diagnostics: false });
	const lists = [0, 1].map(() => {
		const kq = kqueue(thread);
		for (let ident = 0; ident < 64; ident++)
			keventNow(thread, kq, [{ ident, filter: EVFILT_TIMER, flags: EV_ADD, data: 9 }], null);
		return newest(thread).knhash.map((kn) => kn?.ident);
	});
	assert.not.equal(lists[0], lists[1]);
});

test("watches of one timer or signal, each with its own knote, are not in one list", () => {
	for (const filter of [EVFILT_TIMER, EVFILT_SIGNAL]) {
		const { thread } = machine({ timermax: 4096, diagnostics: false });
		const flags = EV_ADD | EV_CLEAR | EV_ENABLE;
		for (let i = 0; i < 4096; i++) watchKevent(thread, { ident: 1, filter, flags }, observer);
		assert.ok(longest(newest(thread)) <= 12);
	}
});

/** Makes watches of one descriptor, each with its own knote, whose steps are counted. */
function watches(thread: Thread, fd: number, n: number, steps: Steps): KeventWatch[] {
	const flags = EV_ADD | EV_CLEAR | EV_ENABLE;
	return Array.from({ length: n }, () => {
		const watch = watchKevent(thread, { ident: fd, filter: EVFILT_READ, flags }, observer);
		steps.watch(firstKnote(newest(thread), fd) as Knote);
		return watch;
	});
}

for (const [what, end] of [
	["the oldest first", (made: KeventWatch[]) => made.forEach((watch) => void watch.close())],
	[
		"the newest first",
		(made: KeventWatch[]) => made.reverse().forEach((watch) => void watch.close()),
	],
	[
		"by closing the descriptor",
		(_made: KeventWatch[], thread: Thread, fd: number) => close(thread, fd),
	],
] as const) {
	test(`watches of one descriptor cost the same each, removed ${what}`, () => {
		const [few = 0, many = 0] = [100, 1000].map((n) =>
			stepsEach(n, (_n, steps) => {
				const { thread, host } = machine({ diagnostics: false });
				const fd = openFile(thread, new SyntheticFile());
				end(watches(thread, fd, n, steps), thread, fd);
				host.advance(0);
			}),
		);
		assert.ok(many < 2 * few, `${few} steps each of 100, ${many} each of 1000`);
	});
}

test("a knote is found among many of its descriptor, and not after it was deleted", () => {
	const { thread } = machine();
	const fd = openFile(thread, new SyntheticFile());
	const made = watches(thread, fd, 100, new Steps());
	const kq = newest(thread);
	const keys = (kn: Knote | null): number[] => (kn === null ? [] : [kn.key, ...keys(kn.link)]);
	const find = (key: number) => knoteFind(kq, fd, ~(key & 15), Math.floor(key / 16))?.key ?? null;
	const all = keys(firstKnote(kq, fd));
	assert.equal(all.map(find), all);
	for (const watch of made.slice(0, 99)) watch.close();
	const left = keys(firstKnote(kq, fd));
	assert.equal([left.length, kq.nknotes], [1, 1]);
	assert.equal(
		all.map(find),
		all.map((key) => (left.includes(key) ? key : null)),
	);
	made[99]?.close();
	assert.equal([firstKnote(kq, fd), kq.nknotes, kq.indexes?.size], [null, 0, 0]);
});

test("a kqueue has room for the descriptors that it watches, and not for all below them", () => {
	const { thread } = machine({ maxfiles: 100_000 });
	const room = (fd: number): number => {
		dup2(thread, 0, fd);
		keventNow(thread, kqueue(thread), [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
		const { knlist } = newest(thread);
		return knlist.length + new Set(knlist).size * 256;
	};
	openFile(thread, new SyntheticFile());
	assert.equal([room(255), room(256), room(9999), room(99_999)], [257, 514, 552, 903]);
});

test.run();

// Wrong arguments of poll, ppoll, select and pselect, and the errors that they cause.
import {
	close,
	errno,
	exit,
	interrupt,
	kevent,
	kqueue,
	openFile,
	SyntheticFile,
	sigaction,
	type Thread,
	threadExit,
} from "@kqpoll/kqueue";
import { SIGUSR1, sigset } from "@kqpoll/kqueue/signal";
import type { Timespec, Timeval } from "@kqpoll/kqueue/time";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	FD_CLR,
	FD_COPY,
	FD_ISSET,
	FD_SET,
	FD_ZERO,
	FdSet,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	type Pollfd,
	poll,
	pollNow,
	ppoll,
	ppollNow,
	pselect,
	pselectNow,
	select,
	selectNow,
} from "../src/index.ts";
import {
	checkMachine,
	entry,
	fileOf,
	knotes,
	machine,
	readable,
	refusal,
	rejection,
	revents,
	show,
	UNWRITTEN,
} from "./machine.ts";

/** poll and ppoll in all their forms, with a timeout of zero. */
const POLLS: readonly (readonly [string, (thread: Thread, fds: never) => unknown])[] = [
	["pollNow", (thread, fds) => pollNow(thread, fds)],
	["ppollNow", (thread, fds) => ppollNow(thread, fds, 0)],
	["poll", (thread, fds) => poll(thread, fds, 0)],
	["ppoll", (thread, fds) => ppoll(thread, fds, { sec: 0, nsec: 0 }, 0)],
];

type SelectArguments = readonly [nfds: never, read: never, write: never, except: never];

/** select and pselect in all their forms, with a timeout of zero. */
const SELECTS: readonly (readonly [string, (thread: Thread, args: SelectArguments) => unknown])[] =
	[
		["selectNow", (thread, args) => selectNow(thread, ...args)],
		["pselectNow", (thread, args) => pselectNow(thread, ...args, 0)],
		["select", (thread, args) => select(thread, ...args, { sec: 0, usec: 0 })],
		["pselect", (thread, args) => pselect(thread, ...args, { sec: 0, nsec: 0 }, 0)],
	];

/** How a call fails in each of its forms: a Now form throws, a promise form rejects. */
async function failure(name: string, call: () => unknown): Promise<string> {
	if (name.endsWith("Now")) return refusal(call);
	return rejection(call() as Promise<unknown>);
}

// Timeouts

const BAD_PARTS = [
	[0],
	0n,
	Symbol("0"),
	-1,
	-1e-9,
	0.5,
	1e9,
	2 ** 53,
	Number.NaN,
	Number.POSITIVE_INFINITY,
	Number.NEGATIVE_INFINITY,
	"0",
	"",
	null,
	undefined,
	true,
	{},
	[],
	0n,
];
const BAD_SECONDS = BAD_PARTS.filter((part) => part !== 1e9 && part !== 2 ** 53);
const NO_OBJECTS = [0, 1, -1, Number.NaN, "", "1", true, false, 1n, Symbol("soon"), () => 0];

test("poll refuses a timeout that is neither a number of milliseconds nor -1", async () => {
	const made = machine();
	const { thread } = made;
	const fds = [entry(readable(thread), POLLIN)];
	const bad = [
		-2,
		-0.5,
		-1.5,
		-(2 ** 31),
		Number.NaN,
		Number.POSITIVE_INFINITY,
		Number.NEGATIVE_INFINITY,
		"",
		"0",
		"1000",
		null,
		undefined,
		true,
		false,
		{},
		[],
		[0],
		0n,
		Symbol("soon"),
		() => 0,
		{ sec: 0, nsec: 0 },
	];
	for (const timeout of bad as never[]) {
		const answer = await rejection(poll(thread, fds, timeout));
		assert.is(`${show(timeout)}: ${answer}`, `${show(timeout)}: EINVAL poll`);
	}
	assert.equal([revents(fds), thread.kq], [[UNWRITTEN], null]);
	checkMachine(made);
});

test("ppoll refuses a timespec out of range with EINVAL, and other values with EFAULT", async () => {
	const made = machine();
	const { thread } = made;
	const fds = [entry(readable(thread), POLLIN)];
	const refuse = async (timeout: unknown, expected: string) => {
		const answer = await rejection(ppoll(thread, fds, timeout as Timespec, -1));
		assert.is(`${show(timeout)}: ${answer}`, `${show(timeout)}: ${expected} poll`);
	};
	for (const sec of BAD_SECONDS) await refuse({ sec, nsec: 0 }, "EINVAL");
	for (const nsec of BAD_PARTS) await refuse({ sec: 0, nsec }, "EINVAL");
	for (const each of [{}, [], { sec: 1 }, { sec: 0, usec: 0 }]) await refuse(each, "EINVAL");
	for (const each of NO_OBJECTS) await refuse(each, "EFAULT");
	assert.equal([revents(fds), thread.kq, thread.sigmask], [[UNWRITTEN], null, 0]);
	checkMachine(made);
});

test("select refuses a timeval out of range with EINVAL, and other values with EFAULT", async () => {
	const made = machine();
	const { thread } = made;
	const set = new FdSet([readable(thread)]);
	const refuse = async (timeout: unknown, expected: string) => {
		const answer = await rejection(select(thread, 1, set, set, set, timeout as Timeval));
		assert.is(`${show(timeout)}: ${answer}`, `${show(timeout)}: ${expected} select`);
	};
	for (const sec of BAD_SECONDS) await refuse({ sec, usec: 0 }, "EINVAL");
	for (const usec of [...BAD_PARTS, 1e6]) await refuse({ sec: 0, usec }, "EINVAL");
	for (const each of [{}, [], { sec: 1 }, { sec: 0, nsec: 0 }]) await refuse(each, "EINVAL");
	for (const each of NO_OBJECTS) await refuse(each, "EFAULT");
	assert.equal([[...set], thread.kq], [[0], null]);
	checkMachine(made);
});

test("pselect refuses a timespec out of range with EINVAL, and other values with EFAULT", async () => {
	const made = machine();
	const { thread } = made;
	const set = new FdSet([readable(thread)]);
	const refuse = async (timeout: unknown, expected: string) => {
		const answer = await rejection(pselect(thread, 1, set, null, null, timeout as Timespec, -1));
		assert.is(`${show(timeout)}: ${answer}`, `${show(timeout)}: ${expected} select`);
	};
	for (const sec of BAD_SECONDS) await refuse({ sec, nsec: 0 }, "EINVAL");
	for (const nsec of BAD_PARTS) await refuse({ sec: 0, nsec }, "EINVAL");
	for (const each of [{}, [], { sec: 1 }, { sec: 0, usec: 0 }]) await refuse(each, "EINVAL");
	for (const each of NO_OBJECTS) await refuse(each, "EFAULT");
	assert.equal([[...set], thread.kq, thread.sigmask], [[0], null, 0]);
});

test("the largest part of a second is accepted", async () => {
	const { thread, host } = machine();
	const micros = select(thread, 0, null, null, null, { sec: 0, usec: 999_999 });
	host.advance(999.999);
	assert.is(await micros, 0);
	const nanos = ppoll(thread, [], { sec: 0, nsec: 999_999_999 });
	host.advance(999.999999);
	assert.is(await nanos, 0);
});

test("the largest possible timeouts sleep like infinite ones", async () => {
	const { thread, host } = machine();
	const polls = [
		() => poll(thread, [], Number.MAX_VALUE),
		() => poll(thread, [], -1),
		() => ppoll(thread, [], { sec: Number.MAX_VALUE, nsec: 0 }),
		() => ppoll(thread, [], null),
		() => ppoll(thread, [], undefined as never),
	];
	const selects = [
		() => select(thread, 0, null, null, null, { sec: 2 ** 53, usec: 0 }),
		() => select(thread, 0, null, null, null, null),
		() => pselect(thread, 0, null, null, null, null),
	];
	for (const call of [...polls, ...selects]) {
		const promise = call();
		host.advance(1e12);
		assert.is(thread.state, "asleep");
		interrupt(thread);
		host.settle();
		const name = (polls as unknown[]).includes(call) ? "poll" : "select";
		assert.is(await rejection(promise), `EINTR ${name}`);
	}
});

test("a part of a millisecond is rounded up, never to 0", async () => {
	const { thread, host } = machine();
	for (const ms of [Number.MIN_VALUE, 1e-6, 0.5]) {
		const promise = poll(thread, [], ms);
		assert.is(thread.state, "asleep");
		host.advance(Math.max(ms, 1e-6));
		assert.is(await promise, 0);
	}
});

// The array of poll

test("a value that is not an array is refused with EFAULT before anything is done", async () => {
	const none = [
		null,
		undefined,
		0,
		1,
		"",
		"fds",
		true,
		{},
		{ length: 1 },
		entry(0, POLLIN),
		new Int32Array(2),
		() => [],
		Symbol("fds"),
		new Set([entry(0, POLLIN)]),
	];
	for (const [name, call] of POLLS) {
		const made = machine();
		for (const fds of none as never[]) {
			const answer = await failure(name, () => call(made.thread, fds));
			assert.is(`${name} ${show(fds)}: ${answer}`, `${name} ${show(fds)}: EFAULT poll`);
		}
		assert.is(made.thread.kq, null);
		checkMachine(made);
	}
});

/** A list that says that it has another length. */
function lying(list: readonly unknown[], length: unknown): unknown {
	return new Proxy(list, {
		get: (target, key) => (key === "length" ? length : Reflect.get(target, key)),
	});
}

test("a length that no array has is refused with EINVAL, and the next poll is honest", async () => {
	for (const [name, call] of POLLS) {
		const made = machine();
		const fd = readable(made.thread);
		for (const length of [Number.NaN, -1, 0.5, 2 ** 32, 10n, "1", undefined, {}, Symbol("1")]) {
			const fds = lying([entry(fd, POLLIN)], length) as never;
			const answer = await failure(name, () => call(made.thread, fds));
			assert.is(`${name} ${show(length)}: ${answer}`, `${name} ${show(length)}: EINVAL poll`);
			assert.is(pollNow(made.thread, [entry(fd, POLLIN)]), 1);
		}
		checkMachine(made);
	}
});

test("each field of a pollfd is read once, and its length too", async () => {
	for (const [, call] of POLLS) {
		const { thread } = machine();
		const asked: string[] = [];
		const watched = (target: object, name: string): unknown =>
			new Proxy(target, {
				get: (of, key) => {
					asked.push(`${name}${String(key)}`);
					return Reflect.get(of, key);
				},
			});
		const fds = watched([watched(entry(readable(thread), POLLIN), "")], "list ");
		assert.is(await call(thread, fds as never), 1);
		assert.equal(asked, ["list length", "list 0", "fd", "events", "list 0"]);
	}
});

test("a revoked list or entry is EFAULT", async () => {
	const { proxy: list, revoke } = Proxy.revocable([entry(0, POLLIN)], {});
	const { proxy: one, revoke: revokeOne } = Proxy.revocable(entry(0, POLLIN), {});
	revoke();
	revokeOne();
	for (const [name, call] of POLLS) {
		const made = machine();
		for (const fds of [list, [one]] as never[])
			assert.is(await failure(name, () => call(made.thread, fds)), "EFAULT poll");
		checkMachine(made);
	}
});

test("a set that only looks like one, or whose words are not words, is EFAULT", () => {
	const made = machine();
	const set = new FdSet([readable(made.thread)]);
	for (const none of [new Proxy(set, {}), { words: set.words, size: 32 }, Object.create(set)]) {
		assert.is(
			refusal(() => selectNow(made.thread, 1, none as never, null, null)),
			"EFAULT select",
		);
		for (const macro of [FD_SET, FD_CLR, FD_ISSET] as const)
			assert.is(
				refusal(() => macro(1, none as never)),
				`EFAULT ${macro.name}`,
			);
		assert.is(
			refusal(() => FD_ZERO(none as never)),
			"EFAULT FD_ZERO",
		);
		assert.is(
			refusal(() => FD_COPY(none as never, set)),
			"EFAULT FD_COPY",
		);
	}
	for (const words of [null, [], new Uint8Array(4), new Proxy(set.words, {})])
		assert.is(
			refusal(() => {
				set.words = words as never;
			}),
			"EFAULT FdSet",
		);
	assert.is(selectNow(made.thread, 1, set, null, null), 1);
	const lying = Object.defineProperty(Int32Array.of(1), "length", { value: 10n });
	set.words = lying as Int32Array;
	assert.is(selectNow(made.thread, 1, set, null, null), 1);
	checkMachine(made);
});

test("an entry that is not an object is refused with EFAULT, and no revents are written", async () => {
	const none = [null, undefined, 0, 7, "", "fd", true, 1n, Symbol("fd"), () => 0];
	for (const [name, call] of POLLS) {
		const made = machine();
		const { thread } = made;
		const [first, last] = [entry(readable(thread), POLLIN), entry(99, POLLIN)];
		for (const each of none) {
			const answer = await failure(name, () => call(thread, [first, each, last] as never));
			assert.is(`${name} ${show(each)}: ${answer}`, `${name} ${show(each)}: EFAULT poll`);
		}
		const sparse = [first, last];
		sparse.length = 3;
		for (const fds of [sparse, new Array(1)])
			assert.is(await failure(name, () => call(thread, fds as never)), "EFAULT poll");
		assert.equal(revents([first, last]), [UNWRITTEN, UNWRITTEN]);
		assert.equal(knotes(thread), []);
		checkMachine(made);
		assert.is(pollNow(thread, [first, last]), 2, "the next poll works");
	}
});

test("events that do not fit into 16 bits are refused with EINVAL, and nothing is written", async () => {
	const bad = [
		0x10000,
		-0x8001,
		2 ** 32 + 1,
		0.5,
		Number.NaN,
		Number.POSITIVE_INFINITY,
		Number.NEGATIVE_INFINITY,
		"",
		"1",
		null,
		undefined,
		true,
		{},
		[],
		[1],
	];
	for (const [name, call] of POLLS) {
		const made = machine();
		const { thread } = made;
		const first = entry(readable(thread), POLLIN);
		for (const events of bad) {
			const wrong = { fd: -1, events, revents: UNWRITTEN };
			const answer = await failure(name, () => call(thread, [first, wrong] as never));
			assert.is(`${name} ${show(events)}: ${answer}`, `${name} ${show(events)}: EINVAL poll`);
			assert.equal(revents([first, wrong as Pollfd]), [UNWRITTEN, UNWRITTEN]);
		}
		checkMachine(made);
	}
});

test("events of 16 bits are accepted with and without sign", () => {
	const { thread } = machine();
	const fd = readable(thread);
	const fds = [0xffff, -1, -0x8000, 0x7fff, 0x8000].map((events) => entry(fd, events));
	assert.is(pollNow(thread, fds), 3);
	assert.equal(revents(fds), [0x41, 0x41, 0, 0x41, 0]);
});

test("an object without fields is an entry out of range", () => {
	const { thread } = machine();
	for (const each of [{}, [], { fd: 0 }, new Date(0), Object.create(null)] as never[])
		assert.is(
			refusal(() => pollNow(thread, [each])),
			"EINVAL poll",
		);
	assert.is(thread.process.fdp.size, 20);
});

test("a negative descriptor is skipped, with any events", () => {
	const { thread } = machine();
	const fds = [-1, -2, -(2 ** 31)].flatMap((fd) => [entry(fd, POLLIN | POLLOUT), entry(fd, 0)]);
	assert.is(pollNow(thread, fds), 0);
	assert.equal(revents(fds), [0, 0, 0, 0, 0, 0]);
	assert.equal(knotes(thread), []);
});

test("a value that is not a descriptor is not open", () => {
	const { thread } = machine();
	readable(thread);
	const none = [
		1,
		1023,
		1024,
		2 ** 31 - 1,
		2 ** 31,
		2 ** 32,
		2 ** 53,
		0.5,
		1e-300,
		Number.NaN,
		Number.POSITIVE_INFINITY,
		"0",
		"",
		null,
		undefined,
		true,
		{},
		[0],
	];
	const fds = none.map((fd) => entry(fd as never, POLLIN));
	assert.is(pollNow(thread, fds), none.length);
	assert.equal(
		revents(fds),
		none.map(() => POLLNVAL),
	);
});

test("poll takes as many entries as a process can have descriptors, and then EINVAL", async () => {
	for (const [name, call] of POLLS) {
		const { thread, process } = machine({ maxfiles: 8 });
		const fd = readable(thread);
		const fds = Array.from({ length: 9 }, () => entry(fd, POLLIN));
		assert.is(await failure(name, () => call(thread, fds as never)), "EINVAL poll");
		assert.equal([thread.kq, revents(fds)], [null, fds.map(() => UNWRITTEN)]);
		assert.is(await call(thread, fds.slice(1) as never), 8);
		process.fdp.limit = 7;
		assert.is(await failure(name, () => call(thread, fds.slice(1) as never)), "EINVAL poll");
		process.fdp.limit = 9;
		assert.is(await call(thread, fds as never), 9);
	}
});

test("the number of entries is checked before the entries, and the timeout before that", async () => {
	const { thread } = machine({ maxfiles: 1 });
	const rubbish = [null, null] as never;
	assert.is(
		refusal(() => pollNow(thread, rubbish)),
		"EINVAL poll",
	);
	assert.is(await rejection(poll(thread, null as never, -2)), "EINVAL poll");
	const soon = { sec: 0, nsec: 1e9 };
	assert.is(await rejection(ppoll(thread, null as never, soon)), "EINVAL poll");
});

test("an array may be frozen, and empty", async () => {
	const { thread } = machine();
	const fds = Object.freeze([entry(readable(thread), POLLIN)]);
	assert.is(pollNow(thread, fds), 1);
	assert.equal(revents(fds), [POLLIN]);
	assert.is(pollNow(thread, Object.freeze([])), 0);
	assert.is(await poll(thread, [], 0), 0);
});

test("fields that cannot be written do no harm when they are not written", () => {
	const { thread } = machine();
	const fds = [Object.freeze(entry(readable(thread), POLLIN)), null];
	assert.is(
		refusal(() => pollNow(thread, fds as never)),
		"EFAULT poll",
	);
});

test("an error of an entry's getter reaches the caller, and the next poll works", async () => {
	for (const [name, call] of POLLS) {
		const made = machine();
		const { thread } = made;
		const good = entry(readable(thread), POLLIN);
		const trap = {
			get fd(): number {
				throw new RangeError("no descriptor");
			},
			events: POLLIN,
			revents: UNWRITTEN,
		};
		const answer = await failure(name, () => call(thread, [good, trap] as never));
		assert.is(answer, "RangeError: no descriptor");
		assert.is(good.revents, UNWRITTEN);
		checkMachine(made);
		assert.is(await call(thread, [good] as never), 1);
	}
});

test("an entry whose getter polls on the same thread is refused with EDEADLK", () => {
	const made = machine();
	const { thread } = made;
	const good = entry(readable(thread), POLLIN);
	const trap = {
		get fd(): number {
			return pollNow(thread, [good]);
		},
		events: POLLIN,
		revents: UNWRITTEN,
	};
	assert.is(
		refusal(() => pollNow(thread, [trap])),
		"EDEADLK poll",
	);
	checkMachine(made);
	assert.is(pollNow(thread, [good]), 1);
});

test("an entry whose getter ends the process or thread is refused with EDEADLK", () => {
	const made = machine();
	const { thread } = made;
	const good = entry(readable(thread), POLLIN);
	const trap = (end: () => void) => ({
		get fd(): number {
			end();
			return 0;
		},
		events: POLLIN,
		revents: UNWRITTEN,
	});
	assert.equal(
		[
			refusal(() => pollNow(thread, [good, trap(() => exit(thread, 0))])),
			refusal(() => pollNow(thread, [good, trap(() => threadExit(thread))])),
		],
		["EDEADLK exit", "EDEADLK threadExit"],
	);
	assert.is(good.revents, UNWRITTEN);
	checkMachine(made);
	assert.is(pollNow(thread, [good]), 1);
});

test("of an array that grows while it is read the original length is read", () => {
	const made = machine();
	const { thread } = made;
	const fd = readable(thread);
	const fds = [entry(fd, POLLIN), entry(fd, POLLIN)];
	const growing = {
		get fd(): number {
			fds.push(entry(fd, POLLIN));
			return fd;
		},
		events: POLLIN,
		revents: UNWRITTEN,
	};
	fds[0] = growing;
	assert.is(pollNow(thread, fds), 2);
	assert.equal(revents(fds), [POLLIN, POLLIN, UNWRITTEN]);
	checkMachine(made);
});

test("an array that shrinks while it is read lacks entries: EFAULT", () => {
	const made = machine();
	const { thread } = made;
	const fd = readable(thread);
	const fds = [entry(fd, POLLIN), entry(fd, POLLIN)];
	const shrinking = {
		get fd(): number {
			fds.length = 1;
			return fd;
		},
		events: POLLIN,
		revents: UNWRITTEN,
	};
	fds[0] = shrinking;
	assert.is(
		refusal(() => pollNow(thread, fds)),
		"EFAULT poll",
	);
	assert.equal(revents(fds), [UNWRITTEN]);
	checkMachine(made);
});

// The arguments of select

test("a wrong number of descriptors is refused with EINVAL", async () => {
	const bad = [
		-1,
		-(2 ** 31),
		0.5,
		Number.NaN,
		Number.POSITIVE_INFINITY,
		Number.NEGATIVE_INFINITY,
		"",
		"1",
		null,
		undefined,
		true,
		{},
		[],
		[1],
		1n,
		Symbol("all"),
	];
	for (const [name, call] of SELECTS) {
		const made = machine();
		const { thread } = made;
		const set = new FdSet([readable(thread), 99]);
		for (const nfds of bad as never[]) {
			const args = [nfds, set, set, set] as never as SelectArguments;
			const answer = await failure(name, () => call(thread, args));
			assert.is(`${name} ${show(nfds)}: ${answer}`, `${name} ${show(nfds)}: EINVAL select`);
		}
		assert.equal([[...set], thread.kq], [[0, 99], null]);
		checkMachine(made);
	}
});

test("any larger number counts as the size of the table", () => {
	const { thread } = machine();
	const fd = readable(thread);
	for (const nfds of [1, 20, 1024, 2 ** 31 - 1, 2 ** 31, 2 ** 53, Number.MAX_VALUE]) {
		const set = new FdSet([fd]);
		assert.is(selectNow(thread, nfds, set, null, null), 1);
		assert.equal([...set], [fd]);
	}
});

test("a value that is not a set is refused with EFAULT, and the sets are not changed", async () => {
	const none = [0, 1, "", "set", true, {}, [], [0], new Int32Array(32), new Set([0]), () => 0];
	for (const [name, call] of SELECTS) {
		const made = machine();
		const { thread } = made;
		const set = new FdSet([readable(thread), 99]);
		for (const each of none) {
			for (const sets of [
				[each, set, null],
				[set, each, set],
				[null, null, each],
			]) {
				const args = [1, ...sets] as never as SelectArguments;
				const answer = await failure(name, () => call(thread, args));
				assert.is(`${name} ${show(each)}: ${answer}`, `${name} ${show(each)}: EFAULT select`);
			}
		}
		assert.equal([[...set], thread.kq], [[0, 99], null]);
		checkMachine(made);
	}
});

test("a set without room for all nfds descriptors is refused with EFAULT", async () => {
	for (const [name, call] of SELECTS) {
		const { thread } = machine({ maxfiles: 1000 });
		const fd = readable(thread);
		const large = new FdSet([fd]);
		const none = new FdSet([], 0);
		const one = new FdSet([fd], 20);
		const args = (nfds: number, ...sets: unknown[]) => [nfds, ...sets] as never as SelectArguments;
		const answers = [
			await failure(name, () => call(thread, args(1, large, none, null))),
			await failure(name, () => call(thread, args(20, none, large, null))),
			await failure(name, () => call(thread, args(0, none, none, none))),
			await failure(name, () => call(thread, args(1024, one, null, null))),
		];
		for (let i = 0; i < 32; i++) openFile(thread, new SyntheticFile());
		answers.push(
			await failure(name, () => call(thread, args(32, one, null, null))),
			await failure(name, () => call(thread, args(33, large, null, one))),
			await failure(name, () => call(thread, args(1024, one, null, null))),
		);
		assert.equal(answers, [
			"EFAULT select",
			"EFAULT select",
			"no error",
			"no error",
			"no error",
			"EFAULT select",
			"EFAULT select",
		]);
		assert.equal([[...large], [...one]], [[fd], [fd]]);
	}
});

test("undefined means no set, like null", () => {
	const { thread } = machine();
	const set = new FdSet([readable(thread)]);
	assert.is(selectNow(thread, 1, set, undefined as never, undefined as never), 1);
	assert.equal([...set], [0]);
});

test("a descriptor that is not open fails the call with EBADF, and the sets are as before", async () => {
	for (const [name, call] of SELECTS) {
		const made = machine();
		const { thread } = made;
		const fd = readable(thread);
		const [read, write, except] = [new FdSet([fd]), new FdSet([fd]), new FdSet([fd, 5])];
		const args = [6, read, write, except] as never as SelectArguments;
		assert.is(await failure(name, () => call(thread, args)), "EBADF select");
		assert.equal([[...read], [...write], [...except]], [[fd], [fd], [fd, 5]]);
		checkMachine(made);
		const below = [5, read, null, except] as never as SelectArguments;
		assert.is(await call(thread, below), 1);
	}
});

test("errors of descriptors that cannot be watched fail the call, except for those that select ignores", () => {
	const made = machine();
	const { thread } = made;
	const fd = openFile(thread, new SyntheticFile());
	const answers = Object.entries(errno).map(([name, number]) => {
		fileOf(thread, fd).deny("read", number);
		const set = new FdSet([fd]);
		let result: unknown;
		const refused = refusal(() => {
			result = selectNow(thread, 1, set, null, null);
		});
		return [name, refused === "no error" ? result : refused, [...set]];
	});
	const passed = ["EOPNOTSUPP", "EINVAL", "EPERM"];
	assert.equal(
		answers,
		Object.keys(errno).map((name) => {
			if (passed.includes(name)) return [name, 0, []];
			if (name === "EPIPE") return [name, 1, [fd]];
			return [name, `${name} select`, [fd]];
		}),
	);
	checkMachine(made);
});

test("the timeout of select is checked before the number of descriptors, that before the sets", async () => {
	const { thread } = machine();
	const rubbish = "set" as never;
	const bad = { sec: 0, usec: 1e6 };
	assert.is(await rejection(select(thread, -1, rubbish, null, null, 5 as never)), "EFAULT select");
	assert.is(await rejection(select(thread, -1, rubbish, null, null, bad)), "EINVAL select");
	assert.is(await rejection(select(thread, -1, rubbish, null, null, null)), "EINVAL select");
	assert.is(await rejection(select(thread, 9, rubbish, null, null, null)), "EFAULT select");
});

// The mask, and threads

test("a call that fails before it waits does not change the signal mask", async () => {
	const { thread } = machine();
	const closed = new FdSet([5]);
	sigaction(thread, SIGUSR1, () => {});
	const mask = sigset(SIGUSR1);
	const answers = [
		refusal(() => ppollNow(thread, [null as never], mask)),
		refusal(() => ppollNow(thread, null as never, mask)),
		refusal(() => pselectNow(thread, 6, closed, null, null, mask)),
		refusal(() => pselectNow(thread, -1, null, null, null, mask)),
		await rejection(ppoll(thread, [null as never], null, mask)),
		await rejection(pselect(thread, 6, closed, null, null, null, mask)),
	];
	assert.equal(answers, [
		"EFAULT poll",
		"EFAULT poll",
		"EBADF select",
		"EINVAL select",
		"EFAULT poll",
		"EBADF select",
	]);
	assert.equal([thread.sigmask, thread.oldmask], [0, null]);
});

test("every call on a thread that has exited fails with ESRCH", async () => {
	const { process, thread } = machine();
	const fd = readable(thread);
	const gone = process.spawnThread();
	threadExit(gone);
	const fds = [entry(fd, POLLIN)];
	const set = new FdSet([fd, 9]);
	for (const [name, call] of POLLS)
		assert.is(await failure(name, () => call(gone, fds as never)), "ESRCH poll");
	for (const [name, call] of SELECTS) {
		const args = [20, set, null, null] as never as SelectArguments;
		assert.is(await failure(name, () => call(gone, args)), "ESRCH select");
	}
	assert.equal([revents(fds), [...set], gone.kq], [[UNWRITTEN], [fd, 9], null]);
});

test("a thread asleep in poll or select refuses to poll or select with EBUSY", async () => {
	const made = machine();
	const { process, host } = made;
	const fd = readable(process.main);
	const sleeps: readonly (readonly [string, (thread: Thread) => Promise<number>])[] = [
		["poll", (thread) => poll(thread, [], -1)],
		["select", (thread) => pselect(thread, 0, null, null, null, null)],
	];
	for (const [sleeping, sleep] of sleeps) {
		const thread = process.spawnThread();
		const asleep = rejection(sleep(thread));
		const fds = [entry(fd, POLLIN)];
		const set = new FdSet([fd, 9]);
		const answers: string[] = [];
		for (const [name, call] of POLLS)
			answers.push(await failure(name, () => call(thread, fds as never)));
		for (const [name, call] of SELECTS) {
			const args = [20, set, null, null] as never as SelectArguments;
			answers.push(await failure(name, () => call(thread, args)));
		}
		assert.equal(
			answers.map((answer) => answer.slice(0, 6)),
			answers.map(() => "EBUSY "),
		);
		assert.equal([revents(fds), [...set]], [[UNWRITTEN], [fd, 9]]);
		assert.is(thread.state, "asleep");
		interrupt(thread);
		host.settle();
		assert.is(await asleep, `EINTR ${sleeping}`);
		checkMachine(made);
	}
});

test("a thread asleep in kevent refuses poll and select with EBUSY, but not their Now forms", async () => {
	const { thread, host } = machine();
	const fd = readable(thread);
	const asleep = rejection(kevent(thread, kqueue(thread), null, [null as never], null));
	const fds = [entry(fd, POLLIN)];
	const set = new FdSet([fd]);
	const answers = [
		await rejection(poll(thread, fds, 0)),
		await rejection(ppoll(thread, fds, null)),
		await rejection(select(thread, 1, set, null, null, null)),
		await rejection(pselect(thread, 1, set, null, null, null)),
	];
	assert.equal(answers, ["EBUSY poll", "EBUSY poll", "EBUSY select", "EBUSY select"]);
	assert.equal([revents(fds), [...set]], [[UNWRITTEN], [fd]]);
	assert.is(pollNow(thread, fds), 1);
	assert.is(selectNow(thread, 1, set, null, null), 1);
	interrupt(thread);
	host.settle();
	assert.is(await asleep, "EINTR kevent");
});

test("the promise forms reject and never throw, for any arguments", async () => {
	const { thread } = machine();
	const rubbish = [undefined, null, Number.NaN, -2, "x", {}, [null], true];
	const zero = { sec: 0, nsec: 0 };
	for (const each of rubbish as never[]) {
		const promises = [
			poll(each, [], 0),
			poll(thread, each, 0),
			poll(thread, [], each),
			poll(thread, [], 0, each),
			ppoll(each, [], zero),
			ppoll(thread, each, zero),
			ppoll(thread, [], each === undefined || each === null ? zero : each),
			ppoll(thread, [], zero, 0, each),
			select(each, 0, null, null, null, { sec: 0, usec: 0 }),
			select(thread, each, null, null, null, { sec: 0, usec: 0 }),
			select(thread, 0, each, each, each, { sec: 0, usec: 0 }),
			select(thread, 0, null, null, null, { sec: 0, usec: 0 }, each),
			pselect(each, 0, null, null, null, zero),
			pselect(thread, each, null, null, null, zero),
			pselect(thread, 0, each, each, each, zero),
			pselect(thread, 0, null, null, null, zero, 0, each),
		];
		assert.ok(promises.every((promise) => promise instanceof Promise));
		await Promise.allSettled(promises);
	}
	assert.is(thread.state, "running");
});

// FdSet

test("a set cannot hold a value that is not a descriptor, and is as before", () => {
	const set = new FdSet([1]);
	const bad = [
		-1,
		0.5,
		2 ** 24,
		2 ** 31,
		2 ** 53,
		Number.NaN,
		Number.POSITIVE_INFINITY,
		"1",
		"",
		null,
		undefined,
		true,
		{},
		[1],
		1n,
		Symbol("fd"),
	];
	for (const fd of bad as never[]) {
		const answers = [refusal(() => set.set(fd)), refusal(() => FD_SET(fd, set))];
		answers.push(refusal(() => new FdSet([1, fd])));
		assert.equal([show(fd), ...answers], [show(fd), ...answers.map(() => "EBADF FD_SET")]);
	}
	assert.equal([[...set], set.size], [[1], 1024]);
});

test("a value that is not a descriptor is in no set, and removing it does nothing", () => {
	const set = new FdSet([0, 1, 31, 1023]);
	const bad = [-1, 0.5, 1024, 2 ** 53, Number.NaN, "1", null, undefined, {}, [1]] as never[];
	assert.equal(
		bad.map((fd) => [set.has(fd), FD_ISSET(fd, set)]),
		bad.map(() => [false, false]),
	);
	for (const fd of bad) {
		set.clear(fd);
		FD_CLR(fd, set);
	}
	assert.equal([...set], [0, 1, 31, 1023]);
});

test("a wrong size of a set is refused with EINVAL, and sets grow when they have to", () => {
	const bad = [-1, 0.5, 2 ** 24 + 1, Number.NaN, Number.POSITIVE_INFINITY, "32", null, {}, 32n];
	for (const size of bad as never[])
		assert.is(
			`${show(size)}: ${refusal(() => new FdSet([], size))}`,
			`${show(size)}: EINVAL FdSet`,
		);
	const set = new FdSet([], 0);
	assert.is(set.size, 0);
	set.set(0);
	assert.is(set.size, 32);
	set.set(1000);
	assert.equal([set.size, [...set]], [1024, [0, 1000]]);
	set.set(2 ** 24 - 1);
	assert.equal([set.size, [...set]], [2 ** 24, [0, 1000, 2 ** 24 - 1]]);
});

test("the sign bit of a word is a descriptor like any other", () => {
	const set = new FdSet([31, 63]);
	assert.equal([...set.words.slice(0, 3)], [-(2 ** 31), -(2 ** 31), 0]);
	set.clear(31);
	assert.equal([set.has(31), set.has(63), [...set]], [false, true, [63]]);
});

test("a copied set is another set, FD_COPY makes a set equal, FD_ZERO empties it", () => {
	const from = new FdSet([3, 40], 64);
	const copy = from.copy();
	const to = new FdSet([1000]);
	FD_COPY(from, to);
	from.set(5);
	assert.equal([[...copy], [...to], copy.size, to.size], [[3, 40], [3, 40], 64, 64]);
	FD_ZERO(copy);
	assert.equal([[...copy], [...from]], [[], [3, 5, 40]]);
	FD_COPY(from, from);
	assert.equal([...from], [3, 5, 40]);
});

test("a set that changes while its select sleeps gets the answer for its old contents", async () => {
	const { thread, host } = machine();
	const files = [new SyntheticFile(), new SyntheticFile()];
	const [first, second] = files.map((file) => openFile(thread, file)) as [number, number];
	const set = new FdSet([first]);
	const promise = select(thread, 2, set, null, null, null);
	FD_COPY(new FdSet([second, 70], 128), set);
	files[1]?.push(new Uint8Array(1));
	host.settle();
	assert.is(thread.state, "asleep");
	files[0]?.push(new Uint8Array(1));
	host.settle();
	assert.is(await promise, 1);
	assert.equal([...set], [first, 70], "the answer is written over the words that were read");
	close(thread, first);
});

test("a set that shrinks while its select sleeps has no room for the answer: EFAULT", async () => {
	const made = machine();
	const { thread, host } = made;
	const fd = openFile(thread, new SyntheticFile());
	const [read, write] = [new FdSet([fd]), new FdSet([fd])];
	const promise = rejection(select(thread, 1, read, write, null, { sec: 1, usec: 0 }));
	FD_COPY(new FdSet([], 0), write);
	host.advance(1000);
	assert.is(await promise, "EFAULT select");
	assert.equal([[...read], [...write]], [[fd], []]);
	checkMachine(made);
});

test.run();

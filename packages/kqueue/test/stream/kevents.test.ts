// Kevents as async iterables: policies, ends, and nothing left behind.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	EV_ENABLE,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_VNODE,
	exit,
	fork,
	type Kevent,
	type KeventChange,
	type KeventIterator,
	type KeventsOptions,
	kevents,
	kill,
	NOTE_CHILD,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	NOTE_WRITE,
	openFile,
	sigaction,
	threadExit,
} from "../../src/index.ts";
import type { AbortSignalLike } from "../../src/kernel.ts";
import { SIG_IGN, SIGUSR1 } from "../../src/signal.ts";
import { checkMachine, codeOf, HookedFile, type Machine, machine, rejection } from "../machine.ts";

interface World extends Machine {
	readonly file: HookedFile;
	readonly fd: number;
	/** Iterates, by default over READ events of the file. */
	iterate(change?: Partial<KeventChange>, options?: KeventsOptions): KeventIterator;
	/** Sends a signal, which the process ignores. */
	signal(): void;
}

function world(): World {
	const m = machine({ timermax: 20_000 });
	const file = new HookedFile();
	const fd = openFile(m.thread, file);
	sigaction(m.thread, SIGUSR1, SIG_IGN);
	return {
		...m,
		file,
		fd,
		iterate: (change, options) =>
			kevents(m.thread, { ident: fd, filter: EVFILT_READ, flags: 0, ...change }, options),
		signal: () => kill(m.thread, m.process.pid, SIGUSR1),
	};
}

const SIGNAL = { ident: SIGUSR1, filter: EVFILT_SIGNAL };

/** The state of a promise of `next`: data, "done", the code or reason of an error, or "waits". */
async function told(next: Promise<IteratorResult<Kevent, undefined>>): Promise<unknown> {
	const result = next.then(
		({ done, value }) => (done ? "done" : value.data),
		(error) => error?.code ?? error,
	);
	return Promise.race([result, Promise.resolve().then(() => turns("waits"))]);
}

async function turns<T>(value: T): Promise<T> {
	for (let i = 0; i < 5; i++) await null;
	return value;
}

/** All that an iteration yields without waiting. */
async function drain(w: World, it: KeventIterator): Promise<unknown[]> {
	const all: unknown[] = [];
	for (;;) {
		const next = it.next();
		w.host.settle();
		const what = await told(next);
		all.push(what);
		if (typeof what !== "number") return all;
	}
}

function checkClean(w: World): void {
	assert.equal(
		[w.thread.watches, w.kernel.sleepers, w.kernel.timeouts.size, w.process.fdp.firstKqueue],
		[null, 0, 0, null],
	);
	checkMachine(w);
}

test("pull: the knote is asked when the consumer asks, and counts meanwhile", async () => {
	const w = world();
	const it = w.iterate(SIGNAL);
	for (let i = 0; i < 3; i++) w.signal();
	w.host.settle();
	assert.is(w.kernel.sleepers, 0);
	const first = it.next();
	w.host.settle();
	assert.is(await told(first), 3);
	w.signal();
	const second = it.next();
	w.host.settle();
	assert.is(await told(second), 1);
	const third = it.next();
	assert.equal([await told(third), w.kernel.sleepers], ["waits", 1]);
	w.signal();
	w.host.settle();
	assert.is(await told(third), 1);
	await it.return();
	checkClean(w);
});

test("pull: a knote that was added with EV_ENABLE waits too", async () => {
	const w = world();
	const it = w.iterate({ ...SIGNAL, flags: EV_ENABLE });
	for (let i = 0; i < 3; i++) {
		w.signal();
		w.host.settle();
	}
	assert.equal(await drain(w, it), [3, "waits"]);
	await it.return();
	checkClean(w);
});

test("pull: if the filter throws, that request rejects, and the next one loses nothing", async () => {
	const w = world();
	const it = w.iterate();
	w.file.asked = () => {
		throw Object.assign(new Error("mine"), { code: "mine" });
	};
	assert.is(await told(it.next()), "mine");
	w.file.asked = null;
	w.file.set("read", { data: 1 });
	const next = it.next();
	w.host.settle();
	assert.is(await told(next), 1);
	await it.return();
	checkClean(w);
});

test("pull: a descriptor is reported once for each request, for as long as it is ready", async () => {
	const w = world();
	const it = w.iterate();
	w.file.set("read", { data: 2 });
	for (let i = 0; i < 3; i++) {
		const next = it.next();
		w.host.settle();
		assert.is(await told(next), 2);
	}
	w.file.set("read", { data: 0 });
	const next = it.next();
	w.host.settle();
	assert.is(await told(next), "waits");
	await it.return();
	checkClean(w);
});

test("pull: notes are reported once", async () => {
	const w = world();
	const child = fork(w.thread);
	const it = w.iterate({ ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_FORK });
	fork(child.main);
	const first = it.next();
	w.host.settle();
	assert.is((await first).value?.fflags, NOTE_FORK);
	const second = it.next();
	w.host.settle();
	assert.is(await told(second), "waits");
	await it.return();
	assert.is(await told(second), "done");
	checkClean(w);
});

test("several calls of next are served in turn", async () => {
	const w = world();
	const it = w.iterate(SIGNAL);
	const asked = [it.next(), it.next(), it.next()];
	w.signal();
	w.host.settle();
	w.signal();
	w.signal();
	w.host.settle();
	assert.equal(await Promise.all(asked.map(told)), [1, 2, "waits"]);
	await it.return();
	assert.is(await told(asked[2] as Promise<IteratorResult<Kevent, undefined>>), "done");
	checkClean(w);
});

test("latest: the newest event is kept, with the counts and notes of those that it replaced", async () => {
	const w = world();
	const signals = w.iterate(SIGNAL, { policy: "latest" });
	const reads = w.iterate({}, { policy: "latest" });
	const child = fork(w.thread);
	const notes = w.iterate(
		{ ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_FORK | NOTE_EXIT },
		{ policy: "latest" },
	);
	for (let i = 1; i <= 3; i++) {
		w.signal();
		w.file.set("read", { data: i });
		w.host.settle();
	}
	fork(child.main);
	w.host.settle();
	exit(child.main, 2);
	w.host.settle();
	assert.equal(await drain(w, signals), [3, "waits"]);
	assert.equal(await drain(w, reads), [3, "waits"]);
	const { value } = await notes.next();
	assert.equal([value?.fflags, value?.data], [(NOTE_FORK | NOTE_EXIT) >>> 0, 512]);
	assert.equal(await notes.next(), { done: true, value: undefined });
	for (const it of [signals, reads]) await it.return();
	checkClean(w);
});

test("latest: for followed processes the newest event of each is kept", async () => {
	const w = world();
	const child = fork(w.thread);
	const it = w.iterate(
		{ ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_TRACK | NOTE_FORK | NOTE_EXIT },
		{ policy: "latest" },
	);
	const grandchild = fork(child.main);
	w.host.settle();
	const last = fork(grandchild.main);
	w.host.settle();
	exit(child.main, 2);
	exit(last.main, 3);
	w.host.settle();
	exit(grandchild.main, 4);
	w.host.settle();
	const seen: unknown[] = [];
	for await (const { ident, fflags, data } of it) {
		seen.push([ident - child.pid, fflags, data]);
		w.host.settle();
	}
	const all = (NOTE_FORK | NOTE_CHILD | NOTE_EXIT) >>> 0;
	assert.equal(seen.sort(), [
		[0, (NOTE_FORK | NOTE_EXIT) >>> 0, 2 * 256],
		[1, all, 4 * 256],
		[2, (NOTE_CHILD | NOTE_EXIT) >>> 0, 3 * 256],
	]);
	checkClean(w);
});

test("latest: the first event of a child that forks still has the id of its parent", async () => {
	const w = world();
	const child = fork(w.thread);
	const it = w.iterate(
		{ ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_TRACK | NOTE_FORK },
		{ policy: "latest" },
	);
	const grandchild = fork(child.main);
	w.host.settle();
	fork(grandchild.main);
	w.host.settle();
	const seen: unknown[] = [];
	for (let i = 0; i < 3; i++) {
		const { value } = await it.next();
		seen.push([(value?.ident ?? 0) - child.pid, value?.fflags, value?.data]);
	}
	assert.equal(seen.sort(), [
		[0, NOTE_FORK, 0],
		[1, NOTE_FORK | NOTE_CHILD, child.pid],
		[2, NOTE_CHILD, grandchild.pid],
	]);
	await it.return();
	checkClean(w);
});

test("buffered: a full buffer stops the knote, which joins later events into one", async () => {
	const w = world();
	const it = w.iterate(SIGNAL, { policy: "buffered", bound: 2 });
	for (let i = 0; i < 5; i++) {
		w.signal();
		w.host.settle();
	}
	assert.equal(await drain(w, it), [1, 1, 3, "waits"]);
	await it.return();
	checkClean(w);
});

test("buffered: with other options events are dropped, or are an error", async () => {
	for (const [overflow, expected] of [
		["dropOldest", [4, 5, "waits"]],
		["dropNewest", [1, 2, "waits"]],
		["error", [1, 2, "ENOBUFS"]],
	] as const) {
		const w = world();
		const it = w.iterate({}, { policy: "buffered", bound: 2, overflow });
		for (let i = 1; i <= 5; i++) {
			w.file.set("read", { data: i });
			w.host.settle();
		}
		assert.equal(await drain(w, it), expected);
		if (overflow === "error") assert.is(await told(it.next()), "done");
		await it.return();
		checkClean(w);
	}
});

test("buffered: a descriptor that was ready when the buffer was full is reported again", async () => {
	const w = world();
	const it = w.iterate({}, { policy: "buffered", bound: 2 });
	for (let i = 1; i <= 5; i++) {
		w.file.set("read", { data: i });
		w.host.settle();
	}
	assert.equal(await drain(w, it), [1, 2, 5, "waits"]);
	await it.return();
	checkClean(w);
});

test("buffered: a long buffer keeps the order", async () => {
	const w = world();
	const it = w.iterate({}, { policy: "buffered", bound: 1001 });
	for (let i = 1; i <= 1000; i++) {
		w.file.set("read", { data: i });
		w.host.settle();
	}
	const all = await drain(w, it);
	assert.equal(
		all.slice(0, 1000),
		Array.from({ length: 1000 }, (_, i) => i + 1),
	);
	await it.return();
	checkClean(w);
});

test("an end of file is the last event, or like other events", async () => {
	const w = world();
	const completes = w.iterate();
	const emits = w.iterate({}, { eof: "emit" });
	w.file.set("read", { data: 4, eof: true });
	const last = completes.next();
	const after = completes.next();
	w.host.settle();
	assert.equal([(await last).value?.flags, await told(after)], [(await last).value?.flags, "done"]);
	assert.ok(((await last).value?.flags ?? 0) & EV_EOF);
	for (let i = 0; i < 2; i++) {
		const next = emits.next();
		w.host.settle();
		assert.ok(((await next).value?.flags ?? 0) & EV_EOF);
	}
	await emits.return();
	checkClean(w);
});

test("after an event with EV_ONESHOT the iteration ends", async () => {
	const w = world();
	const it = w.iterate({ flags: EV_ONESHOT });
	w.file.set("read", { data: 1 });
	assert.equal(await drain(w, it), [1, "done"]);
	checkClean(w);
});

test("for await gets every event, and leaving it deletes the knote", async () => {
	const w = world();
	const counts: number[] = [];
	const consumer = (async () => {
		for await (const { data } of w.iterate({ ident: 1, filter: EVFILT_TIMER, data: 10 })) {
			counts.push(data);
			if (counts.length === 3) break;
		}
	})();
	await w.host.run(() => consumer);
	assert.equal([counts, w.host.now()], [[1, 1, 1], 30e6]);
	checkClean(w);
});

test("a consumer that throws deletes the knote too", async () => {
	const w = world();
	w.file.set("read", { data: 1 });
	const consumer = (async () => {
		for await (const _ of w.iterate()) throw new Error("mine");
	})();
	w.host.settle();
	assert.is(await consumer.catch(({ message }) => message), "mine");
	checkClean(w);
});

test("return, throw and dispose end it, and waiting requests get the end", async () => {
	for (const end of ["return", "throw", "dispose"] as const) {
		const w = world();
		const it = w.iterate();
		const waiting = it.next();
		if (end === "return") assert.equal(await it.return(), { done: true, value: undefined });
		else if (end === "throw") assert.is(await rejection(it.throw({ code: "mine" })), "mine");
		else await it[Symbol.asyncDispose]();
		assert.equal([await told(waiting), await told(it.next())], ["done", "done"]);
		assert.is(it[Symbol.asyncIterator](), it);
		checkClean(w);
	}
});

test("an abort rejects the waiting request with its reason, or the next request", async () => {
	const w = world();
	const abort = new AbortController();
	const waits = w.iterate({}, { signal: abort.signal });
	const idle = w.iterate({}, { signal: abort.signal });
	const waiting = [waits.next(), waits.next()];
	abort.abort("enough");
	assert.equal(await Promise.all(waiting.map(told)), ["enough", "done"]);
	assert.equal([await told(idle.next()), await told(idle.next())], ["enough", "done"]);
	const late = w.iterate({}, { signal: abort.signal });
	assert.equal([await told(late.next()), await told(late.next())], ["enough", "done"]);
	checkClean(w);
});

test("an iteration that ended leaves no listener on its signal", async () => {
	const w = world();
	let listeners = 0;
	const signal = {
		aborted: false,
		reason: undefined,
		addEventListener: () => listeners++,
		removeEventListener: () => listeners--,
	};
	const it = w.iterate({}, { signal });
	assert.is(listeners, 1);
	await it.return();
	await it.return();
	assert.is(listeners, 0);
	checkClean(w);
});

test("a wrong AbortSignal throws, and leaves nothing", () => {
	const w = world();
	for (const signal of [{}, 5, Symbol("signal"), 1n]) {
		assert.is(
			codeOf(() => w.iterate({}, { signal: signal as never })),
			"EINVAL",
		);
	}
	checkClean(w);
});

/** A signal that a program has made itself. */
function homemade(how: Partial<AbortSignalLike>): AbortSignalLike {
	const listeners = { addEventListener: () => {}, removeEventListener: () => {} };
	return Object.defineProperties(listeners as never, Object.getOwnPropertyDescriptors(how));
}

test("an accessor of a signal that throws ends the iteration with its error", async () => {
	const w = world();
	const fails = (): never => {
		throw "mine";
	};
	const early = homemade({
		get aborted() {
			return fails();
		},
	});
	assert.equal(await drain(w, w.iterate({}, { signal: early })), ["mine"]);
	let abort = (): void => {};
	const late = {
		...homemade({}),
		aborted: false,
		get reason() {
			return fails();
		},
		addEventListener: (_type: "abort", listener: () => void) => {
			abort = listener;
		},
	};
	const it = w.iterate({}, { signal: late });
	const next = it.next();
	abort();
	assert.equal([await told(next), await told(it.next())], ["mine", "done"]);
	checkClean(w);
});

test("a signal that refuses or calls its listener at once leaves nothing", async () => {
	const w = world();
	const refuses = homemade({ aborted: false });
	refuses.addEventListener = () => {
		throw new Error("mine");
	};
	assert.throws(() => w.iterate({}, { signal: refuses }), /mine/);
	const calls = { ...homemade({}), aborted: false, reason: "at once" };
	calls.addEventListener = (_type, listener) => listener();
	assert.equal(await drain(w, w.iterate({}, { signal: calls })), ["at once"]);
	const stays = { ...homemade({}), aborted: false };
	stays.removeEventListener = () => {
		throw "mine";
	};
	const it = w.iterate({}, { signal: stays });
	assert.is(await rejection(it.return()), "mine");
	checkClean(w);
});

test("what is not a change, or does not fit, throws before anything is added", () => {
	const w = world();
	const thrown = (request: unknown): unknown => codeOf(() => kevents(w.thread, request as never));
	assert.equal([null, undefined, 5, Symbol("x")].map(thrown), Array(4).fill("EFAULT"));
	const wrong = [
		{ flags: 1n },
		{ filter: Object.create(null) },
		{ fflags: "1" },
		{ data: Number.NaN },
	];
	const codes = [...wrong, { ident: Symbol("x") }, { flags: Symbol("x") }].map((part) =>
		thrown({ ident: w.fd, filter: EVFILT_READ, ...part }),
	);
	assert.equal(codes, Array(6).fill("EINVAL"));
	assert.is(
		codeOf(() => kevents(5 as never, { ident: w.fd, filter: EVFILT_READ })),
		"EFAULT",
	);
	checkClean(w);
});

test("the fields of a change are read once, and options may be left out as null", () => {
	const w = world();
	const reads: string[] = [];
	const change = new Proxy(
		{ ident: w.fd, filter: EVFILT_READ, flags: 0 },
		{
			get: (target, name) => {
				reads.push(String(name));
				return Reflect.get(target, name);
			},
		},
	);
	void kevents(w.thread, change, null).return();
	assert.equal(reads, ["ident", "filter", "flags", "fflags", "data", "udata"]);
	checkClean(w);
});

test("events that are kept come before an error or the end", async () => {
	const w = world();
	const it = w.iterate({}, { policy: "buffered" });
	w.file.set("read", { data: 1 });
	w.host.settle();
	close(w.thread, w.fd);
	w.host.settle();
	assert.equal(
		[await told(it.next()), await told(it.next()), await told(it.next())],
		[1, "EBADF", "done"],
	);
	checkClean(w);
});

test("a descriptor that is closed rejects with EBADF, a thread that exits with ESRCH", async () => {
	const w = world();
	const it = w.iterate();
	const next = it.next();
	close(w.thread, w.fd);
	w.host.settle();
	assert.is(await told(next), "EBADF");
	const other = w.process.spawnThread();
	const timer = kevents(other, { ident: 1, filter: EVFILT_TIMER, flags: 0, data: 1 });
	const tick = timer.next();
	threadExit(other);
	w.host.settle();
	assert.is(await told(tick), "ESRCH");
	checkClean(w);
});

test("wrong changes and options throw, and leave nothing", () => {
	const w = world();
	const codes = [
		() => w.iterate({ ident: 99 }),
		() => w.iterate({ filter: EVFILT_VNODE, fflags: NOTE_WRITE }),
		() => w.iterate({}, { policy: "all" as never }),
		() => w.iterate({}, { policy: "buffered", bound: 0 }),
		() => w.iterate({}, { bound: 1.5 }),
		() => w.iterate({}, { overflow: "burst" as never }),
		() => w.iterate({}, { eof: "never" as never }),
	].map(codeOf);
	assert.equal(codes, ["EBADF", "EINVAL", "EINVAL", "EINVAL", "EINVAL", "EINVAL", "EINVAL"]);
	checkClean(w);
});

test("ten thousand iterations at once, ended in another order, leave nothing", async () => {
	const w = world();
	const its = Array.from({ length: 10_000 }, (_, i) =>
		w.iterate({ ident: i, filter: EVFILT_TIMER, data: 1 + (i % 10) }),
	);
	const nexts = its.map((it) => it.next());
	w.host.advance(5);
	const first = await Promise.all(nexts.map(told));
	assert.equal(
		[first.filter((what) => what === 1).length, first.filter((what) => what === "waits").length],
		[5000, 5000],
	);
	for (let i = 0; i < its.length; i++) await its[(i * 7919) % its.length]?.return();
	assert.equal(await Promise.all(nexts.slice(0, 10).map(told)), [
		1,
		1,
		1,
		1,
		1,
		"done",
		"done",
		"done",
		"done",
		"done",
	]);
	checkClean(w);
});

test("a process is followed into its children until the last has exited", async () => {
	const w = world();
	const child = fork(w.thread);
	const change = {
		ident: child.pid,
		filter: EVFILT_PROC,
		fflags: NOTE_FORK | NOTE_EXIT | NOTE_TRACK,
	};
	const seen: string[] = [];
	const follow = (async (): Promise<void> => {
		for await (const { ident, fflags } of w.iterate(change)) {
			const notes = [NOTE_FORK, NOTE_CHILD, NOTE_EXIT].map((note) => (fflags & note ? "1" : "0"));
			seen.push(`${ident - child.pid} ${notes.join("")}`);
		}
	})();
	const two = kevents(w.thread, { ...change, flags: 0, udata: 1 });
	const step = async (act: () => void): Promise<void> => {
		act();
		w.host.settle();
		await turns(0);
		w.host.settle();
		await turns(0);
	};
	let grandchild = child;
	await step(() => {
		grandchild = fork(child.main);
	});
	await step(() => exit(child.main, 0));
	assert.equal(seen.splice(0).sort(), ["0 001", "0 100", "1 010"]);
	// A second iteration has knotes of its own.
	await two.return();
	await step(() => {
		fork(grandchild.main);
	});
	await step(() => exit(grandchild.main, 0));
	await step(() => exit([...w.kernel.processes.values()].at(-1)?.main as typeof w.thread, 0));
	assert.equal(seen.sort(), ["1 001", "1 100", "2 001", "2 010"]);
	await follow;
	checkClean(w);
});

test.run();

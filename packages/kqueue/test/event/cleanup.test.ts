// Several things go wrong in one call: everything is done anyway, and the first error is the
// caller's.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { F_SETFD, FD_CLOEXEC } from "../../src/fcntl.ts";
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_ONESHOT,
	EVFILT_PROC,
	EVFILT_READ,
	eventList,
	exec,
	exit,
	fcntl,
	fork,
	fstat,
	ioctl,
	keventNow,
	kevents,
	kqueue,
	NOTE_EXIT,
	openFile,
	read,
	readNow,
	type Thread,
	threadExit,
	watchKevent,
	writeNow,
} from "../../src/index.ts";
import {
	type AbortSignalLike,
	attempt,
	callNow,
	doAll,
	enter,
	type Failure,
	File,
	type Filterops,
	filterops,
	Klist,
	type Knote,
	knoteJoin,
	leave,
	readCall,
	rethrow,
} from "../../src/kernel.ts";
import { closefrom } from "../../src/unistd.ts";
import { checkMachine, fields, machine, rejection } from "../machine.ts";

/** A file that throws wherever it is told to, and logs what it did. */
class Brittle extends File {
	readonly klist: Klist = new Klist();
	readonly log: string[];
	readonly name: string;
	/** The operations that throw. */
	readonly breaks: Set<string>;
	/** Runs inside its operations. */
	inside: (operation: string) => void = () => {};
	private readonly filter: Filterops;

	constructor(log: string[], name: string, ...breaks: string[]) {
		super("socket");
		this.log = log;
		this.name = name;
		this.breaks = new Set(breaks);
		this.filter = filterops({
			name,
			detach: (kn) => {
				this.klist.remove(kn);
				this.does("detach");
			},
			event: () => {
				if (this.breaks.has("event")) this.does("event");
				return false;
			},
		});
	}

	private does(what: string): void {
		this.log.push(`${this.name}.${what}`);
		this.inside(what);
		if (this.breaks.has(what)) throw `${this.name}.${what}`;
	}

	override read(): number {
		this.does("read");
		return 0;
	}

	override write(): number {
		this.does("write");
		return 0;
	}

	override ioctl(): number {
		this.does("ioctl");
		return 0;
	}

	override kqfilter(kn: Knote): number {
		knoteJoin(kn, this.filter, this.klist);
		this.does("attach");
		return 0;
	}

	override close(): void {
		this.does("close");
	}
}

function thrown(act: () => unknown): unknown {
	try {
		act();
	} catch (value) {
		return value;
	}
	return "nothing";
}

function watched(thread: Thread, ...files: Brittle[]): { kq: number; fds: number[] } {
	const kq = kqueue(thread);
	const fds = files.map((file) => openFile(thread, file));
	for (const ident of fds)
		keventNow(thread, kq, [{ ident, filter: EVFILT_READ, flags: EV_ADD }], null);
	for (const { log } of files) log.length = 0;
	return { kq, fds };
}

test("doAll does everything and throws the first error", () => {
	const log: number[] = [];
	const step = (n: number, fails: boolean) => (): void => {
		log.push(n);
		if (fails) throw n;
	};
	doAll(step(1, false), step(2, false));
	assert.is(
		thrown(() => doAll(step(3, false), step(4, true), step(5, false), step(6, true))),
		4,
	);
	assert.equal(log, [1, 2, 3, 4, 5, 6]);
	doAll();
});

test("attempt keeps the first error, of any type, and rethrow throws it", () => {
	let failure: Failure = attempt(null, () => {});
	assert.is(failure, null);
	rethrow(failure);
	failure = attempt(failure, () => {
		throw undefined;
	});
	failure = attempt(failure, () => {
		throw 1;
	});
	assert.equal(failure, { value: undefined });
	let caught = false;
	try {
		rethrow(failure);
	} catch (value) {
		caught = value === undefined;
	}
	assert.is(caught, true);
});

test("close: the error of a detach goes before that of the file's close", () => {
	const m = machine();
	const log: string[] = [];
	const file = new Brittle(log, "A", "detach", "close");
	const { fds } = watched(m.thread, file);
	assert.is(
		thrown(() => close(m.thread, fds[0] as number)),
		"A.detach",
	);
	assert.equal(log, ["A.detach", "A.close"]);
	assert.equal([file.refs, file.klist.empty], [0, true]);
	checkMachine(m);
});

test("dup2: the same for the file that it replaces", () => {
	const m = machine();
	const log: string[] = [];
	const old = new Brittle(log, "A", "detach", "close");
	const { fds } = watched(m.thread, old);
	const fd = openFile(m.thread, new Brittle(log, "B"));
	assert.is(
		thrown(() => dup2(m.thread, fd, fds[0] as number)),
		"A.detach",
	);
	assert.equal([log, old.refs], [["A.detach", "A.close"], 0]);
	assert.is(readNow(m.thread, fds[0] as number, new Uint8Array(1)), 0);
});

test("closefrom and exec close all, and throw the first error", () => {
	for (const how of ["closefrom", "exec"]) {
		const m = machine();
		const log: string[] = [];
		const files = ["A", "B", "C"].map((name) => new Brittle(log, name, "close"));
		const fds = files.map((file) => openFile(m.thread, file));
		for (const fd of fds) fcntl(m.thread, fd, F_SETFD, FD_CLOEXEC);
		const act = (): void => (how === "exec" ? exec(m.thread) : closefrom(m.thread, 0));
		assert.is(thrown(act), "A.close", how);
		assert.equal(log, ["A.close", "B.close", "C.close"], how);
	}
});

test("a change that deletes: the detach's error, and the knote and its file are gone", () => {
	const m = machine();
	const log: string[] = [];
	const file = new Brittle(log, "A", "detach", "close");
	const { kq, fds } = watched(m.thread, file);
	// The detach closes the descriptor: the knote's reference is the last.
	let closed: unknown = "not tried";
	file.inside = (what) => {
		if (what === "detach") closed = thrown(() => close(m.thread, fds[0] as number));
	};
	const change = { ident: fds[0] as number, filter: EVFILT_READ, flags: EV_DELETE };
	assert.is(
		thrown(() => keventNow(m.thread, kq, [change], null)),
		"A.detach",
	);
	// A knote in use keeps its descriptor open.
	assert.is((closed as { code: string }).code, "EDEADLK");
	assert.is(file.refs, 1);
	checkMachine(m);
});

test("a change that adds: attach's error goes before those of the clean-up", () => {
	const m = machine();
	const log: string[] = [];
	const file = new Brittle(log, "A", "attach", "close");
	const fd = openFile(m.thread, file);
	const kq = kqueue(m.thread);
	file.inside = (what) => {
		if (what === "attach") close(m.thread, fd);
	};
	const change = { ident: fd, filter: EVFILT_READ, flags: EV_ADD };
	assert.is(
		thrown(() => keventNow(m.thread, kq, [change], null)),
		"A.attach",
	);
	assert.equal([log, file.refs], [["A.attach", "A.close"], 0]);
	checkMachine(m);
});

test("a change that adds: the error of the first event goes before the detach's", () => {
	const m = machine();
	const log: string[] = [];
	const file = new Brittle(log, "A", "event", "detach");
	const fd = openFile(m.thread, file);
	const kq = kqueue(m.thread);
	const change = { ident: fd, filter: EVFILT_READ, flags: EV_ADD };
	assert.is(
		thrown(() => keventNow(m.thread, kq, [change], null)),
		"A.event",
	);
	assert.equal([log, file.refs], [["A.attach", "A.event", "A.detach"], 1]);
	checkMachine(m);
});

test("operations on a file: their error goes before that of a close that they cause", async () => {
	for (const what of ["read", "write", "ioctl", "stat", "read, asleep", "read, by its call"]) {
		const m = machine();
		const log: string[] = [];
		const operation = what.split(",")[0] as string;
		const file = new Brittle(log, "A", operation, "close");
		if (what === "stat") {
			file.stat = () => {
				close(m.thread, fd);
				throw "A.stat";
			};
		}
		const fd = openFile(m.thread, file);
		file.inside = (each) => {
			if (each === operation) close(m.thread, fd);
		};
		const byte = new Uint8Array(1);
		const acts: Record<string, () => unknown> = {
			read: () => readNow(m.thread, fd, byte),
			write: () => writeNow(m.thread, fd, byte),
			ioctl: () => ioctl(m.thread, fd, 0, null),
			stat: () => fstat(m.thread, fd),
			"read, by its call": () => {
				enter(m.thread, "read");
				try {
					callNow(readCall(m.thread, fd, byte));
				} finally {
					leave(m.thread);
				}
			},
		};
		const act = acts[what];
		const error = act === undefined ? await rejection(read(m.thread, fd, byte)) : thrown(act);
		assert.is(error, `A.${operation}`, what);
		assert.equal([log.at(-1), file.refs], ["A.close", 0], what);
		assert.is(m.thread.depth, 0);
	}
});

test("a kqueue that is closed drops all its knotes, and throws the first error", () => {
	const m = machine();
	const log: string[] = [];
	const files = ["A", "B", "C"].map((name) => new Brittle(log, name, "detach"));
	const { kq } = watched(m.thread, ...files);
	assert.is(
		thrown(() => close(m.thread, kq)),
		"A.detach",
	);
	assert.equal(log, ["A.detach", "B.detach", "C.detach"]);
	assert.is(m.process.fdp.firstKqueue, null);
});

test("a process that exits closes all, tells its watchers, and throws the first error", () => {
	const m = machine();
	const log: string[] = [];
	const child = fork(m.thread);
	const files = ["A", "B"].map((name) => new Brittle(log, name, "detach", "close"));
	watched(child.main, ...files);
	const kq = kqueue(m.thread);
	const change = { ident: child.pid, filter: EVFILT_PROC, flags: EV_ADD, fflags: NOTE_EXIT };
	keventNow(m.thread, kq, [change], null);
	assert.is(
		thrown(() => exit(child.main, 0)),
		"A.detach",
	);
	// The kqueue has the lowest number, so its knotes go first.
	assert.equal(log, ["A.detach", "B.detach", "A.close", "B.close"]);
	const events = eventList(1);
	assert.is(keventNow(m.thread, kq, null, events), 1);
	assert.is(child.zombie, true);
});

test("an object that goes away leaves all its knotes, and throws the first error", () => {
	const m = machine();
	const log: string[] = [];
	const file = new Brittle(log, "A", "detach");
	const { kq, fds } = watched(m.thread, file);
	const second = dup(m.thread, fds[0] as number);
	keventNow(m.thread, kq, [{ ident: second, filter: EVFILT_READ, flags: EV_ADD }], null);
	log.length = 0;
	assert.is(
		thrown(() => file.klist.invalidate()),
		"A.detach",
	);
	assert.equal([log, file.klist.empty], [["A.detach", "A.detach"], true]);
	const events = eventList(4);
	assert.is(keventNow(m.thread, kq, null, events), 2);
	assert.equal(
		fields(events, 2).map(([ident]) => ident),
		[second, fds[0]],
	);
});

test("a thread that ends stops its watches and its polls, and throws the first error", () => {
	const m = machine();
	const log: string[] = [];
	const other = m.process.spawnThread();
	const file = new Brittle(log, "A", "detach");
	const fd = openFile(m.thread, file);
	const quiet = { next: () => {}, error: () => {}, complete: () => {} };
	watchKevent(other, { ident: fd, filter: EVFILT_READ, flags: EV_ADD }, quiet);
	assert.is(
		thrown(() => threadExit(other)),
		"A.detach",
	);
	assert.equal([other.state, other.watches, file.klist.empty], ["exited", null, true]);
	assert.is(m.process.fdp.firstKqueue, null);
});

test("a watch that cannot be made leaves nothing, and throws what the filter threw", () => {
	const m = machine();
	const log: string[] = [];
	const file = new Brittle(log, "A", "attach", "detach");
	const fd = openFile(m.thread, file);
	const quiet = { next: () => {}, error: () => {}, complete: () => {} };
	assert.is(
		thrown(() => watchKevent(m.thread, { ident: fd, filter: EVFILT_READ, flags: EV_ADD }, quiet)),
		"A.attach",
	);
	assert.equal([m.thread.watches, m.process.fdp.firstKqueue], [null, null]);
});

test("a watch that ends is completed even if its observer threw, and that is reported", () => {
	const m = machine();
	const log: string[] = [];
	const file = new Brittle(log, "A");
	const fd = openFile(m.thread, file);
	m.kernel.sink = null;
	watchKevent(
		m.thread,
		{ ident: 1, filter: -7, flags: EV_ADD | EV_ONESHOT, data: 1 },
		{
			next: () => {
				log.push("next");
				throw new Error("next");
			},
			error: () => log.push("error"),
			complete: () => {
				log.push("complete");
				throw new Error("complete");
			},
		},
	);
	assert.throws(() => m.host.advance(1), "next");
	assert.equal(log, ["next", "complete"]);
	close(m.thread, fd);
	m.host.settle();
});

test("an iteration whose signal refuses listeners leaves no watch, and throws the signal's error", () => {
	const m = machine();
	const log: string[] = [];
	const file = new Brittle(log, "A", "detach");
	const fd = openFile(m.thread, file);
	const signal: AbortSignalLike = {
		aborted: false,
		reason: null,
		addEventListener: () => {
			throw "signal";
		},
		removeEventListener: () => {},
	};
	const change = { ident: fd, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR };
	assert.is(
		thrown(() => kevents(m.thread, change, { signal })),
		"signal",
	);
	assert.equal([log, m.thread.watches], [["A.attach", "A.detach"], null]);
});

test.run();

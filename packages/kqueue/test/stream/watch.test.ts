// Watches: observers are told of kevents as they come, and nothing is left when they stop.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_WRITE,
	eventList,
	exit,
	fork,
	Kernel,
	type Kevent,
	type KeventChange,
	type KeventObserver,
	type KeventWatch,
	kevent,
	kill,
	kqueue,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	openFile,
	RealHost,
	SyntheticFile,
	sigaction,
	type Thread,
	threadExit,
	watchKevent,
} from "../../src/index.ts";
import { SIG_IGN, SIGKILL, SIGUSR1 } from "../../src/signal.ts";
import { VirtualHost } from "../../src/testing.ts";
import { checkMachine, codeOf, HookedFile, type Machine, machine } from "../machine.ts";

interface World extends Machine {
	readonly file: HookedFile;
	readonly fd: number;
	/** What observers were told: a name and then data, the code of an error, or "done". */
	readonly log: string[];
	/** Watches under a name. */
	watch(name: string, change: Partial<KeventChange>, next?: (event: Kevent) => void): KeventWatch;
}

function world(): World {
	const m = machine({ timermax: 10_000 });
	const file = new HookedFile();
	const fd = openFile(m.thread, file);
	const log: string[] = [];
	return {
		...m,
		file,
		fd,
		log,
		watch: (name, change, next) =>
			watchKevent(
				m.thread,
				{ ident: fd, filter: EVFILT_READ, flags: 0, ...change },
				observer(log, name, next),
			),
	};
}

function observer(
	log: string[],
	name: string,
	next: (event: Kevent) => void = () => {},
): KeventObserver {
	return {
		next(event) {
			log.push(`${name} ${event.data}`);
			next(event);
		},
		error: (error) => log.push(`${name} ${(error as { code: string }).code}`),
		complete: () => log.push(`${name} done`),
	};
}

/** What observers have been told since the last call. */
function heard(w: World): string[] {
	w.host.settle();
	return w.log.splice(0);
}

/** Checks that no watch is left. */
function checkClean(w: World): void {
	assert.equal(
		[w.thread.watches, w.kernel.sleepers, w.kernel.timeouts.size, w.process.fdp.firstKqueue],
		[null, 0, 0, null],
	);
	checkMachine(w);
}

test("a watch is told of each change, in a turn of its own", () => {
	const w = world();
	w.file.set("read", { data: 3 });
	const watch = w.watch("a", {});
	assert.equal(w.log, []);
	assert.equal(heard(w), ["a 3"]);
	assert.equal(heard(w), []);
	w.file.set("read", { data: 5 });
	assert.equal(w.log, []);
	assert.equal(heard(w), ["a 5"]);
	watch.close();
	checkClean(w);
});

test("the thread may sleep in other calls meanwhile", async () => {
	const w = world();
	const watch = w.watch("a", { ident: 1, filter: EVFILT_TIMER, data: 10 });
	const kq = kqueue(w.thread);
	const waiting = kevent(w.thread, kq, null, eventList(1), { sec: 0, nsec: 25e6 });
	w.host.advance(25);
	assert.equal([await waiting, w.log], [0, ["a 1", "a 1"]]);
	watch.close();
	close(w.thread, kq);
	checkClean(w);
});

test("an event has the fields of the change, and the program's udata", () => {
	const w = world();
	const udata = {};
	const events: Kevent[] = [];
	const watch = w.watch("a", { udata }, (event) => events.push(event));
	w.file.set("read", { data: 1 });
	heard(w);
	w.file.set("read", { data: 2 });
	heard(w);
	assert.is(events.length, 2);
	assert.is.not(events[0], events[1]);
	const [{ ident, filter, flags, data }] = events as [Kevent];
	assert.equal([ident, filter, flags, data], [w.fd, EVFILT_READ, EV_ADD | EV_CLEAR, 1]);
	assert.is(events[0]?.udata, udata);
	watch.close();
});

test("watches for the same event share a knote, and only a new one is told what is ready", () => {
	const w = world();
	w.file.set("read", { data: 3 });
	const a = w.watch("a", {});
	heard(w);
	const b = w.watch("b", {});
	assert.is(w.process.fdp.firstKqueue?.nknotes, 1);
	assert.equal(w.log, []);
	assert.equal(heard(w), ["b 3"]);
	const c = w.watch("c", {});
	w.file.set("read", { data: 4 });
	assert.equal(heard(w), ["a 4", "b 4", "c 4"]);
	a.close();
	w.file.set("read", { data: 5 });
	assert.equal(heard(w), ["b 5", "c 5"]);
	assert.is(w.process.fdp.firstKqueue?.nknotes, 1);
	b.close();
	c.close();
	checkClean(w);
});

test("a new watch is told of what was ready before it after what was ready before that", () => {
	const w = world();
	const [one, two] = [new SyntheticFile(), new SyntheticFile()];
	const idents = [one, two].map((file) => openFile(w.thread, file));
	w.file.set("read", { data: 3 });
	const watches = [w.watch("a", {}), w.watch("b", { ident: idents[0] as number })];
	heard(w);
	one.set("read", { data: 1 });
	watches.push(w.watch("c", {}));
	two.set("read", { data: 2 });
	watches.push(w.watch("d", { ident: idents[1] as number }));
	assert.equal(heard(w), ["b 1", "c 3", "d 2"]);
	for (const watch of watches) watch.close();
	checkClean(w);
});

test("a watch made inside an event is told once what is ready, and the others nothing again", () => {
	const w = world();
	const made: KeventWatch[] = [];
	const again = (): void => {
		if (made.length < 5) made.push(w.watch(`${made.length}`, {}, again));
	};
	again();
	w.file.set("read", { data: 1 });
	assert.equal(heard(w), ["0 1", "1 1", "2 1", "3 1", "4 1"]);
	w.file.set("read", { data: 2 });
	assert.equal(heard(w), ["0 2", "1 2", "2 2", "3 2", "4 2"]);
	assert.is(w.process.fdp.firstKqueue?.nknotes, 1);
	for (const watch of made) watch.close();
	checkClean(w);
});

test("a new watch is not told of signals, forks and periods from before it", () => {
	const w = world();
	sigaction(w.thread, SIGUSR1, SIG_IGN);
	const child = fork(w.thread);
	const changes = [
		{ ident: SIGUSR1, filter: EVFILT_SIGNAL },
		{ ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_FORK },
		{ ident: 1, filter: EVFILT_TIMER, data: 1 },
	];
	const happen = (): void => {
		kill(w.thread, w.process.pid, SIGUSR1);
		fork(child.main);
	};
	const watches = changes.map((change) => w.watch("old", change));
	happen();
	for (const change of changes) watches.push(w.watch("new", change));
	happen();
	assert.equal(heard(w).sort(), ["new 0", "new 1", "old 0", "old 2"]);
	w.host.advance(1);
	assert.equal(heard(w), ["old 1", "new 1"]);
	for (const watch of watches) watch.close();
	checkClean(w);
});

test("a watch of a process that has exited is ESRCH, also before the others are told of the exit", () => {
	const w = world();
	const child = fork(w.thread);
	const change = { ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_EXIT };
	w.watch("old", change);
	exit(child.main, 0);
	assert.is(
		codeOf(() => w.watch("new", change)),
		"ESRCH",
	);
	assert.equal(heard(w), ["old 0", "old done"]);
	checkClean(w);
});

test("a new watch with NOTE_TRACK is not told of children that were born before it", () => {
	const w = world();
	const child = fork(w.thread);
	const change = { ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_TRACK | NOTE_EXIT };
	w.watch("old", change);
	const grandchild = fork(child.main);
	assert.equal(heard(w), [`old ${child.pid}`]);
	w.watch("new", change);
	exit(grandchild.main, 1);
	exit(child.main, 0);
	assert.equal(heard(w).sort(), ["new 0", "new done", "old 0", "old 256", "old done"]);
	checkClean(w);
});

test("the filter is asked for a new watch alone, and if it throws only that one fails", () => {
	const w = world();
	const a = w.watch("a", {});
	w.file.set("read", { data: 1 });
	heard(w);
	w.watch("b", {});
	w.file.asked = () => {
		throw Object.assign(new Error("mine"), { code: "mine" });
	};
	assert.equal(heard(w), ["b mine"]);
	w.file.asked = null;
	w.file.set("read", { data: 2 });
	assert.equal(heard(w), ["a 2"]);
	a.close();
	checkClean(w);
});

test("a descriptor that is closed while its file is asked is EBADF", () => {
	const w = world();
	w.file.asked = () => {
		w.file.asked = null;
		close(w.thread, w.fd);
	};
	const join = w.file.kqfilter.bind(w.file);
	w.file.kqfilter = (kn) => {
		w.file.asked?.();
		return join(kn);
	};
	assert.is(
		codeOf(() => w.watch("a", {})),
		"EBADF",
	);
	checkClean(w);
});

test("a watch whose process ends while its file is asked is charged for no more", () => {
	const w = world();
	const join = w.file.kqfilter.bind(w.file);
	w.file.kqfilter = (kn) => {
		kill(w.thread, w.process.pid, SIGKILL);
		return join(kn);
	};
	// Its end closes the file, which lets deferred work run: the watch fails before it is made.
	w.file.close = () => w.host.settle();
	assert.is(
		codeOf(() => w.watch("a", {})),
		"ESRCH",
	);
	assert.equal([w.process.account.watches.used, w.kernel.account.watches.used], [0, 0]);
});

test("a watch that joins a timer does not restart it", () => {
	const w = world();
	const timer = { ident: 1, filter: EVFILT_TIMER, data: 10 };
	const a = w.watch("a", timer);
	w.host.advance(6);
	const b = w.watch("b", timer);
	w.host.advance(4);
	assert.equal(heard(w), ["a 1", "b 1"]);
	a.close();
	b.close();
	checkClean(w);
});

test("a watch for another event has a knote of its own", () => {
	const w = world();
	const watches = [
		w.watch("a", { ident: 1, filter: EVFILT_TIMER, data: 10 }),
		w.watch("b", { ident: 1, filter: EVFILT_TIMER, data: 15 }),
		w.watch("c", { ident: 1, filter: EVFILT_TIMER, data: 10, udata: 7 }),
		w.watch("d", { ident: 1, filter: EVFILT_TIMER, data: 10, flags: EV_DISPATCH }),
	];
	assert.is(w.process.fdp.firstKqueue?.nknotes, 4);
	w.host.advance(30);
	assert.equal(heard(w).sort(), ["a 1", "a 1", "a 1", "b 1", "b 1", "c 1", "c 1", "c 1", "d 1"]);
	for (const watch of watches) watch.close();
	checkClean(w);
});

test("with EV_DISPATCH the next event is asked for, and nothing is lost in between", () => {
	const w = world();
	sigaction(w.thread, SIGUSR1, SIG_IGN);
	const watch = w.watch("a", { ident: SIGUSR1, filter: EVFILT_SIGNAL, flags: EV_DISPATCH });
	const send = (): void => kill(w.thread, w.process.pid, SIGUSR1);
	send();
	assert.equal(heard(w), ["a 1"]);
	assert.is(w.kernel.sleepers, 0);
	for (let i = 0; i < 3; i++) send();
	assert.equal(heard(w), []);
	watch.enable();
	watch.enable();
	assert.is(w.kernel.sleepers, 1);
	assert.equal(heard(w), ["a 3"]);
	watch.close();
	watch.enable();
	checkClean(w);
});

test("with EV_DISPATCH an event may be asked for inside the one before", () => {
	const w = world();
	let left = 2;
	const watch: KeventWatch = w.watch("a", { flags: EV_DISPATCH | EV_CLEAR }, () => {
		if (left-- > 0) watch.enable();
	});
	w.file.set("read", { data: 1 });
	assert.equal(heard(w), ["a 1", "a 1", "a 1"]);
	watch.close();
	checkClean(w);
});

test("a watch with a knote of its own can be paused, a shared one cannot", () => {
	const w = world();
	const own = w.watch("own", { flags: EV_DISPATCH });
	const shared = w.watch("shared", {});
	own.disable();
	w.file.set("read", { data: 2 });
	assert.equal(heard(w), ["shared 2"]);
	own.enable();
	assert.equal(heard(w), ["own 2"]);
	assert.is(
		codeOf(() => shared.disable()),
		"EINVAL",
	);
	own.close();
	shared.close();
	checkClean(w);
});

test("with EV_ONESHOT a watch completes after its event", () => {
	const w = world();
	const child = fork(w.thread);
	const a = w.watch("a", { flags: EV_ONESHOT });
	const b = w.watch("b", { ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_EXIT });
	w.file.set("read", { data: 1 });
	exit(child.main, 3);
	assert.equal(heard(w), ["a 1", "a done", `b ${3 * 256}`, "b done"]);
	assert.equal([a.closed, b.closed], [true, true]);
	checkClean(w);
});

test("an end of file is an event like others", () => {
	const w = world();
	const events: number[] = [];
	const watch = w.watch("a", {}, ({ flags }) => events.push(flags & EV_EOF));
	w.file.set("read", { eof: true });
	assert.equal([heard(w), events], [["a 0"], [EV_EOF]]);
	watch.close();
	checkClean(w);
});

test("a change that fails throws, and leaves nothing", () => {
	const w = world();
	const codes = [
		{ ident: 99 },
		{ filter: 1 },
		{ filter: 1.5 },
		{ ident: 1, filter: EVFILT_TIMER, data: 0.5 },
		{ ident: 999, filter: EVFILT_PROC },
		{ flags: -1 },
	].map((change) => codeOf(() => w.watch("a", change)));
	assert.equal(codes, ["EBADF", "EINVAL", "EINVAL", "EINVAL", "ESRCH", "EINVAL"]);
	assert.is(
		codeOf(() => watchKevent(w.thread, null as never, observer([], ""))),
		"EFAULT",
	);
	checkClean(w);
});

test("watches of a descriptor that is closed fail with EBADF, also those that are paused", () => {
	const w = world();
	w.watch("a", {});
	w.watch("b", {});
	w.watch("c", { flags: EV_DISPATCH });
	const other = w.watch("d", { ident: 1, filter: EVFILT_TIMER, data: 10 });
	w.file.set("read", { data: 1 });
	heard(w);
	close(w.thread, w.fd);
	assert.equal(w.log, []);
	assert.equal(heard(w).sort(), ["a EBADF", "b EBADF", "c EBADF"]);
	other.close();
	checkClean(w);
});

test("a descriptor that becomes another file's has a new knote for later watches", () => {
	const w = world();
	const other = new SyntheticFile();
	const otherFd = openFile(w.thread, other);
	w.watch("a", {});
	dup2(w.thread, otherFd, w.fd);
	const b = w.watch("b", {});
	assert.equal(heard(w), ["a EBADF"]);
	w.file.set("read", { data: 1 });
	other.set("read", { data: 2 });
	assert.equal(heard(w), ["b 2"]);
	b.close();
	checkClean(w);
});

test("a watch that is closed before its descriptor, or before its turn, is told nothing", () => {
	const w = world();
	const a = w.watch("a", {});
	const b = w.watch("b", {});
	w.file.set("read", { data: 1 });
	a.close();
	close(w.thread, w.fd);
	b.close();
	b.close();
	assert.equal(heard(w), []);
	checkClean(w);
});

test("the end of the thread fails its watches with ESRCH, and frees all that they had", () => {
	for (const end of [threadExit, (thread: Thread) => exit(thread, 0)]) {
		const w = world();
		const other = w.process.spawnThread();
		const log: string[] = [];
		watchKevent(other, { ident: w.fd, filter: EVFILT_WRITE, flags: 0 }, observer(log, "a"));
		watchKevent(other, { ident: 1, filter: EVFILT_TIMER, flags: 0, data: 5 }, observer(log, "b"));
		end(other);
		assert.equal(
			[log, other.watches, w.process.fdp.firstKqueue, w.kernel.timeouts.size],
			[[], null, null, 0],
		);
		w.host.settle();
		assert.equal([log, w.kernel.sleepers], [["a ESRCH", "b ESRCH"], 0]);
		assert.is(
			codeOf(() =>
				watchKevent(other, { ident: 1, filter: EVFILT_TIMER, flags: 0 }, observer([], "")),
			),
			"ESRCH",
		);
	}
});

test("an observer may close itself and others, watch again, close the descriptor, and exit", () => {
	const w = world();
	const a = w.watch("a", {}, () => {
		a.close();
		b.close();
		late = w.watch("late", {});
	});
	const b = w.watch("b", {});
	let late = w.watch("none", { ident: 1, filter: EVFILT_TIMER, data: 1 });
	late.close();
	w.file.set("read", { data: 1 });
	assert.equal(heard(w), ["a 1", "late 1"]);
	const c = w.watch("c", {}, () => close(w.thread, w.fd));
	assert.equal(heard(w), ["c 1", "late EBADF", "c EBADF"]);
	assert.is(c.closed, true);
	checkClean(w);
	w.watch("d", { ident: 1, filter: EVFILT_TIMER, data: 1 }, () => exit(w.thread, 0));
	w.watch("e", { ident: 2, filter: EVFILT_TIMER, data: 50 });
	w.host.advance(1);
	assert.equal([heard(w), w.process.exiting], [["d 1", "e ESRCH", "d ESRCH"].sort(), true]);
});

test("the platform reports what an observer throws, and the others are still told", () => {
	const w = world();
	const a = w.watch("a", {}, () => {
		throw new Error("mine");
	});
	const b = w.watch("b", {});
	w.file.set("read", { data: 1 });
	assert.throws(() => w.host.settle(), /mine/);
	assert.equal(heard(w), ["a 1", "b 1"]);
	a.close();
	b.close();
	checkClean(w);
});

test("ten thousand watches, opened and closed in any order, leave nothing", () => {
	const w = world();
	const watches: KeventWatch[] = [];
	for (let i = 0; i < 10_000; i++) {
		const change = i % 3 === 0 ? {} : { ident: i, filter: EVFILT_TIMER, data: 1 + (i % 7) };
		watches.push(w.watch("", { ...change, flags: i % 2 === 0 ? 0 : EV_DISPATCH }));
		if (i % 5 === 0) watches.splice((i * 7919) % watches.length, 1)[0]?.close();
	}
	w.host.advance(3);
	for (const watch of watches.reverse()) watch.close();
	checkClean(w);
});

/** The length of the longest list of knotes without a descriptor. */
function longest({ process }: World): number {
	let max = 0;
	for (let kn of process.fdp.firstKqueue?.knhash ?? []) {
		let n = 0;
		for (; kn !== null; kn = kn.link) n++;
		max = Math.max(max, n);
	}
	return max;
}

test("watches of one ident, each with a knote, are found in lists that stay short", () => {
	for (const n of [1000, 10_000]) {
		const w = world();
		w.kernel.diagnostics = false;
		const change = { ident: 7, filter: EVFILT_TIMER, data: 5, flags: EV_DISPATCH };
		const watches = Array.from({ length: n }, () => w.watch("", change));
		assert.ok(longest(w) <= 16);
		for (const watch of watches) watch.close();
		checkClean(w);
	}
});

test("when there are more events than one turn takes, other work gets its turns", () => {
	const w = world();
	const order: string[] = [];
	const files = Array.from({ length: 200 }, () => new SyntheticFile());
	const watches = files.map((file) => {
		const ident = openFile(w.thread, file);
		return w.watch("", { ident }, () => order.push("event"));
	});
	const runnable = {
		queued: false,
		runnext: null,
		runprev: null,
		run: () => order.push("other"),
	};
	for (const file of files) file.set("read", { data: 1 });
	w.kernel.runqueue.add(runnable);
	w.host.settle();
	assert.equal([order.indexOf("other"), order.length], [64, 201]);
	for (const watch of watches) watch.close();
	checkClean(w);
});

test("a signal handler that closes the other watches while one is made does no harm", () => {
	const w = world();
	const first = w.watch("first", { ident: 1, filter: EVFILT_TIMER, data: 1 });
	sigaction(w.thread, SIGUSR1, () => first.close());
	// Its filter sends the signal, which is taken on the way back from the change.
	const poll = w.file.kqfilter.bind(w.file);
	w.file.kqfilter = (kn) => {
		kill(w.thread, w.process.pid, SIGUSR1);
		return poll(kn);
	};
	const second = w.watch("second", {});
	assert.is(first.closed, true);
	w.file.set("read", { data: 1 });
	assert.equal(heard(w), ["second 1"]);
	second.close();
	checkClean(w);
});

test("a handler that closes all watches of a knote leaves none to a watch that is made just then", () => {
	const w = world();
	const first = w.watch("first", {});
	sigaction(w.thread, SIGUSR1, () => first.close());
	const second = w.watch("second", {
		get data(): number {
			kill(w.thread, w.process.pid, SIGUSR1);
			return 0;
		},
	});
	assert.equal([first.closed, w.process.fdp.firstKqueue?.nknotes], [true, 1]);
	w.file.set("read", { data: 1 });
	assert.equal(heard(w), ["second 1"]);
	second.close();
	checkClean(w);
});

test("a descriptor that was closed and is the same file's again has a new knote", () => {
	const w = world();
	const other = dup(w.thread, w.fd);
	w.watch("a", {});
	close(w.thread, w.fd);
	assert.is(dup(w.thread, other), w.fd);
	const b = w.watch("b", {});
	w.file.set("read", { data: 1 });
	assert.equal(heard(w), ["a EBADF", "b 1"]);
	b.close();
	checkClean(w);
});

test("when a descriptor is closed in the turn of its event, only the close is reported", () => {
	const w = world();
	const other = new SyntheticFile();
	const otherFd = openFile(w.thread, other);
	const a = w.watch("a", {}, () => {
		close(w.thread, otherFd);
		assert.is(openFile(w.thread, new SyntheticFile()), otherFd);
	});
	w.watch("b", { ident: otherFd });
	w.file.set("read", { data: 1 });
	other.set("read", { data: 2 });
	assert.equal(heard(w), ["a 1", "b EBADF"]);
	a.close();
	checkClean(w);
});

test("a watch that is paused in the turn of its event keeps the event", () => {
	const w = world();
	sigaction(w.thread, SIGUSR1, SIG_IGN);
	const a = w.watch("a", {}, () => b.disable());
	const b = w.watch("b", { ident: SIGUSR1, filter: EVFILT_SIGNAL, flags: EV_ENABLE });
	w.file.set("read", { data: 1 });
	kill(w.thread, w.process.pid, SIGUSR1);
	assert.equal(heard(w), ["a 1"]);
	kill(w.thread, w.process.pid, SIGUSR1);
	b.enable();
	assert.equal(heard(w), ["b 2"]);
	a.close();
	b.close();
	checkClean(w);
});

test("closing a watch inside its last event hides the end from its observer", () => {
	const w = world();
	const watch: KeventWatch = w.watch("a", { flags: EV_ONESHOT }, () => watch.close());
	w.file.set("read", { data: 1 });
	assert.equal(heard(w), ["a 1"]);
	checkClean(w);
});

test("a change that throws while it is read or added leaves nothing", () => {
	const w = world();
	const change = {
		filter: EVFILT_READ,
		flags: 0,
		get ident(): number {
			throw new Error("no ident");
		},
	};
	assert.throws(() => watchKevent(w.thread, change, observer([], "")), /no ident/);
	const { kqfilter } = w.file;
	w.file.kqfilter = () => {
		throw new Error("no filter");
	};
	assert.throws(() => w.watch("a", {}), /no filter/);
	w.file.kqfilter = kqfilter;
	checkClean(w);
});

test("what is not an observer, a change or a thread throws, and the thread has no watches", () => {
	const w = world();
	const change = { ident: w.fd, filter: EVFILT_READ };
	const good = observer([], "");
	const { complete, error, next } = good;
	const bad = [null, undefined, 5, {}, { next, error }, { next, complete }, { error, complete }];
	const calls = [
		...bad.map((observer) => () => watchKevent(w.thread, change, observer as never)),
		() => watchKevent(w.thread, Symbol("x") as never, good),
		() => watchKevent(null as never, change, good),
		() => watchKevent(w.thread, { ...change, filter: Object.create(null) }, good),
		() => watchKevent(w.thread, { ...change, flags: 1n as never }, good),
	];
	assert.equal(calls.map(codeOf), [...Array(9).fill("EFAULT"), "EINVAL", "EINVAL"]);
	const throws = {
		filter: EVFILT_READ,
		get ident(): number {
			throw new Error("mine");
		},
	};
	assert.throws(() => watchKevent(w.thread, throws, good), /mine/);
	const endless = {
		...good,
		get error(): never {
			throw new Error("mine");
		},
	};
	assert.throws(() => watchKevent(w.thread, change, endless), /mine/);
	checkClean(w);
});

test("an account has no more watches than its limit, and one that ends makes room", () => {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, accountLimits: { watches: 2 }, limits: { watches: 3 } });
	const [one, two] = [kernel.spawn().main, kernel.spawn().main];
	const child = fork(one).main;
	const log: string[] = [];
	const open = (thread: Thread, flags = 0): KeventWatch => {
		const change = { ident: 1, filter: EVFILT_TIMER, flags, data: 1 };
		return watchKevent(thread, change, observer(log, ""));
	};
	const a = open(one);
	open(child, EV_ONESHOT);
	// A knote is not enough to have: it is the watch that counts.
	assert.is(
		codeOf(() => open(one)),
		"EAGAIN",
	);
	assert.is(
		codeOf(() => open(child)),
		"EAGAIN",
	);
	open(two);
	assert.is(
		codeOf(() => open(two)),
		"EAGAIN",
	);
	const used = (): unknown => [one, two].map(({ process }) => process.account.watches.used);
	assert.equal([used(), kernel.account.watches.used], [[2, 1], 3]);
	a.close();
	a.close();
	assert.equal(used(), [1, 1]);
	host.advance(1);
	assert.equal(used(), [0, 1]);
	open(one);
	threadExit(two);
	exit(one, 0);
	host.settle();
	assert.equal([used(), kernel.account.watches.used], [[0, 0], 0]);
});

test("a refused watch is not counted", () => {
	const w = world();
	assert.is(
		codeOf(() => w.watch("", { ident: 99 })),
		"EBADF",
	);
	assert.is(w.process.account.watches.used, 0);
	w.watch("", {});
	close(w.thread, w.fd);
	assert.is(w.process.account.watches.used, 1);
	w.host.settle();
	assert.is(w.process.account.watches.used, 0);
});

test("an accessor of a change may end the thread: then the watch is ESRCH", () => {
	const w = world();
	w.process.spawnThread();
	const change = {
		filter: EVFILT_READ,
		get ident(): number {
			threadExit(w.thread);
			return w.fd;
		},
	};
	assert.is(
		codeOf(() => watchKevent(w.thread, change, observer([], ""))),
		"ESRCH",
	);
	checkClean(w);
});

test("a filter that throws when it is asked again ends its watches, and others go on", () => {
	const w = world();
	const other = openFile(w.thread, new SyntheticFile());
	w.watch("a", {});
	w.watch("b", {});
	const c = w.watch("c", { ident: other, filter: EVFILT_TIMER, data: 1 });
	heard(w);
	w.file.set("read", { data: 1 });
	w.file.asked = () => {
		throw Object.assign(new Error("mine"), { code: "mine" });
	};
	w.host.advance(2);
	assert.equal(heard(w), ["a mine", "b mine", "c 1", "c 1"]);
	c.close();
	checkClean(w);
});

test("a filter that throws when a watch is resumed may be asked again", () => {
	const w = world();
	const watch = w.watch("a", { flags: EV_DISPATCH });
	w.file.set("read", { data: 1 });
	assert.equal(heard(w), ["a 1"]);
	w.file.asked = () => {
		throw new Error("mine");
	};
	assert.throws(() => watch.enable(), /mine/);
	assert.is(w.kernel.sleepers, 0);
	w.file.asked = null;
	watch.enable();
	assert.equal(heard(w), ["a 1"]);
	watch.close();
	checkClean(w);
});

test("a file that throws when the thread ends does not keep its watches from being told", () => {
	const w = world();
	const other = w.process.spawnThread();
	const log: string[] = [];
	watchKevent(other, { ident: w.fd, filter: EVFILT_READ, flags: 0 }, observer(log, "a"));
	const { klist } = w.file;
	const { remove } = klist;
	klist.remove = () => {
		klist.remove = remove;
		throw new Error("mine");
	};
	assert.throws(() => threadExit(other), /mine/);
	w.host.settle();
	assert.equal([log, w.kernel.sleepers], [["a ESRCH"], 0]);
});

test("while the call of a thread that ends is broken off, its watches wait, and may be closed", () => {
	const w = world();
	const other = w.process.spawnThread();
	const log: string[] = [];
	const change = { ident: w.fd, filter: EVFILT_READ, flags: 0 };
	const a = watchKevent(other, change, observer(log, "a"));
	watchKevent(other, change, observer(log, "b"));
	const signal = {
		aborted: false,
		addEventListener: () => {},
		removeEventListener: () => {
			a.close();
			// Deferred work must not ask again and again for what the thread cannot be told.
			w.host.settle();
		},
	};
	const call = kevent(other, kqueue(other), null, eventList(1), null, { signal: signal as never });
	call.catch((error: { code: string }) => log.push(error.code));
	w.file.set("read", { data: 1 });
	threadExit(other);
	assert.equal(log, []);
	w.host.settle();
	assert.equal([log, other.watches], [["b ESRCH"], null]);
	checkMachine(w);
});

test("a watch that a filter or the trace sink closes goes soon", () => {
	for (const by of ["filter", "sink"] as const) {
		const w = world();
		const a = w.watch("a", {});
		const b = w.watch("b", { ident: 1, filter: EVFILT_TIMER, data: 5 });
		const closeOnce = (): void => {
			w.kernel.sink = null;
			w.file.asked = null;
			a.close();
		};
		if (by === "sink") w.kernel.sink = closeOnce;
		else w.file.asked = closeOnce;
		w.file.set("read", { data: 1 });
		assert.equal([a.closed, w.process.fdp.firstKqueue?.nknotes], [true, 2]);
		assert.equal([heard(w), w.process.fdp.firstKqueue?.nknotes], [[], 1]);
		b.close();
		checkClean(w);
	}
});

test("a watch may be closed while the knote of the only other one leaves", () => {
	const ways = ["close the watch", "close the descriptor", "replace the descriptor"] as const;
	for (const way of ways) {
		const w = world();
		const a = w.watch("a", {});
		const b = w.watch("b", { ident: 1, filter: EVFILT_TIMER, data: 5 });
		w.file.left = () => {
			w.file.left = null;
			a.close();
			b.close();
			// Deferred work must not take away the knote that leaves, or wait for it in a loop.
			w.host.settle();
		};
		if (way === "close the watch") a.close();
		else if (way === "close the descriptor") close(w.thread, w.fd);
		else dup2(w.thread, openFile(w.thread, new SyntheticFile()), w.fd);
		assert.equal([way, heard(w)], [way, []]);
		checkClean(w);
	}
});

test("a watch that a filter closes goes also if deferred work runs inside of the filter", () => {
	const w = world();
	const a = w.watch("a", {});
	const b = w.watch("b", { ident: 1, filter: EVFILT_TIMER, data: 5 });
	w.file.asked = () => {
		w.file.asked = null;
		a.close();
		w.host.settle();
	};
	w.file.set("read", { data: 1 });
	assert.equal([heard(w), w.process.fdp.firstKqueue?.nknotes], [[], 1]);
	b.close();
	checkClean(w);
});

test("an event does not wait in a loop for a callback that runs deferred work", () => {
	const w = world();
	const a = w.watch("a", {});
	const b = w.watch("b", { ident: 1, filter: EVFILT_TIMER, data: 5 });
	w.file.set("read", { data: 1 });
	w.file.left = () => {
		w.file.left = null;
		// The knote that leaves is the first one that is ready.
		w.host.settle();
		w.host.advance(5);
	};
	a.close();
	assert.equal(w.log, []);
	assert.equal(heard(w), ["b 1"]);
	b.close();
	checkClean(w);
});

test("with EV_DISPATCH a process and its followed children report one event at a time", () => {
	const w = world();
	const child = fork(w.thread);
	const seen: string[] = [];
	const watch = w.watch(
		"",
		{
			ident: child.pid,
			filter: EVFILT_PROC,
			flags: EV_DISPATCH | EV_DISABLE,
			fflags: NOTE_TRACK | NOTE_FORK | NOTE_EXIT,
		},
		({ ident, fflags }) => seen.push(`${ident - child.pid}:${fflags >>> 0 === 0 ? "" : fflags}`),
	);
	const look = (): string[] => {
		heard(w);
		return seen.splice(0);
	};
	const grandchild = fork(child.main);
	exit(child.main, 0);
	assert.equal(look(), []);
	const all: string[] = [];
	for (let i = 0; i < 2; i++) {
		watch.enable();
		const got = look();
		assert.is(got.length, 1);
		all.push(...got);
	}
	assert.equal(all.sort(), [`0:${(NOTE_FORK | NOTE_EXIT) >>> 0}`, "1:4"]);
	exit(grandchild.main, 0);
	assert.equal(look(), []);
	watch.enable();
	assert.equal([look(), watch.closed], [[`1:${NOTE_EXIT >>> 0}`], true]);
	checkClean(w);
});

test("an event costs no more when a thousand watches of processes wait for their consumers", () => {
	const steps = (n: number): number => {
		const w = world();
		w.kernel.diagnostics = false;
		const child = fork(w.thread);
		const flags = EV_DISPATCH | EV_DISABLE;
		const change = { ident: child.pid, filter: EVFILT_PROC, flags, fflags: NOTE_TRACK | NOTE_EXIT };
		const watches = Array.from({ length: n }, () => w.watch("", change));
		watches.push(w.watch("a", {}));
		fork(child.main);
		heard(w);
		let registers = 0;
		w.kernel.sink = ({ event }) => {
			if (event === "register") registers++;
		};
		for (let i = 1; i <= 3; i++) {
			w.file.set("read", { data: i });
			assert.equal(heard(w), [`a ${i}`]);
		}
		w.kernel.sink = null;
		for (const watch of watches) watch.close();
		checkClean(w);
		return registers;
	};
	assert.equal([steps(100), steps(1000)], [0, 0]);
});

test("an exit without NOTE_EXIT is not forgotten while a watch is paused", () => {
	const w = world();
	const child = fork(w.thread);
	const change = { ident: child.pid, filter: EVFILT_PROC, fflags: NOTE_FORK };
	const watch = w.watch("a", { ...change, flags: EV_DISPATCH | EV_DISABLE });
	exit(child.main, 3);
	assert.equal(heard(w), []);
	watch.enable();
	assert.equal(heard(w), [`a ${3 * 256}`, "a done"]);
	checkClean(w);
});

test("a watch that always has events lets the platform take its turn", async () => {
	const { main: thread } = new Kernel({ host: new RealHost() }).spawn();
	const file = new SyntheticFile();
	const ident = openFile(thread, file);
	file.set("read", { data: 1 });
	await new Promise<void>((resolve) => {
		const change = { ident, filter: EVFILT_READ, flags: EV_DISPATCH };
		const watch = watchKevent(thread, change, {
			next: () => watch.enable(),
			error: () => {},
			complete: () => {},
		});
		setTimeout(() => {
			watch.close();
			resolve();
		}, 0);
	});
	assert.is(thread.watches, null);
});

test("using ends a watch", () => {
	const w = world();
	const watch = w.watch("a", {});
	watch[Symbol.dispose]();
	assert.is(watch.closed, true);
	checkClean(w);
});

test.run();

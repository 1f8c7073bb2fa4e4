// Filters and files that call back into the engine, or throw: nothing is corrupted, nothing is lost.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	dup2,
	EV_ADD,
	EV_DELETE,
	EV_DISABLE,
	EV_ENABLE,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	eventList,
	exit,
	keventNow,
	kqueue,
	openFile,
	readNow,
	SyntheticFile,
	SystemError,
	threadExit,
} from "../../src/index.ts";
import {
	File,
	type Filterops,
	filterops,
	Klist,
	type Knote,
	knoteModify,
	knoteProcess,
} from "../../src/kernel.ts";
import { closefrom } from "../../src/unistd.ts";
import { checkMachine, codeOf, fields, type Machine, machine } from "../machine.ts";

/** The hooks of a filter; each is called before the filter does its work. */
interface Hooks {
	kqfilter?: (() => void) | undefined;
	attached?: (() => void) | undefined;
	detach?: (() => void) | undefined;
	event?: (() => void) | undefined;
	modify?: (() => void) | undefined;
	process?: (() => void) | undefined;
	close?: (() => void) | undefined;
	read?: (() => void) | undefined;
}

/** A file that is readable when it is told to be, with a hook in every callback. */
class Hooked extends File {
	readonly klist: Klist = new Klist();
	readonly hooks: Hooks = {};
	ready = 0;
	private readonly filter: Filterops = filterops({
		name: "hooked",
		detach: (kn) => {
			this.hooks.detach?.();
			this.klist.remove(kn);
		},
		event: (kn) => {
			this.hooks.event?.();
			kn.data = this.ready;
			return this.ready > 0;
		},
		modify: (kev, kn) => {
			this.hooks.modify?.();
			return knoteModify(kev, kn);
		},
		process: (kn, out) => {
			this.hooks.process?.();
			return knoteProcess(kn, out);
		},
	});

	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		this.hooks.kqfilter?.();
		if (kn.filter !== EVFILT_READ && kn.filter !== EVFILT_WRITE) return errno.EINVAL;
		kn.fop = this.filter;
		this.klist.insert(kn);
		this.hooks.attached?.();
		return 0;
	}

	override read(): number {
		this.hooks.read?.();
		return 0;
	}

	override close(): void {
		this.hooks.close?.();
	}

	set(ready: number): void {
		this.ready = ready;
		this.klist.notify(0);
	}
}

interface World extends Machine {
	readonly kq: number;
	readonly file: Hooked;
	readonly fd: number;
	/** Applies a change to the file's READ event; returns the errno. */
	readonly change: (flags: number, udata?: unknown) => number;
	/** Collects up to `n` events. */
	readonly collect: (n?: number) => unknown[];
}

function world(): World {
	const m = machine();
	const { thread } = m;
	const kq = kqueue(thread);
	const file = new Hooked();
	const fd = openFile(thread, file);
	const change = (flags: number, udata: unknown = null) => {
		const events = eventList(1);
		const kev = { ident: fd, filter: EVFILT_READ, flags: flags | EV_RECEIPT, udata };
		keventNow(thread, kq, [kev], events);
		return events[0]?.data ?? -1;
	};
	const collect = (n = 8) => {
		const events = eventList(n);
		return fields(events, keventNow(thread, kq, null, events));
	};
	return { ...m, kq, file, fd, change, collect };
}

/** Runs something once, inside a hook, and remembers how it ended. */
function inside(hooks: Hooks, hook: keyof Hooks, act: () => unknown): () => unknown {
	let result: unknown = "never called";
	hooks[hook] = () => {
		hooks[hook] = undefined;
		result = codeOf(act);
	};
	return () => result;
}

const HOOKS = ["event", "modify", "process"] as const;

/** Makes a filter's hook run, by a call of the engine that asks the filter. */
const ASK: Readonly<Record<(typeof HOOKS)[number] | "notify", (w: World) => void>> = {
	notify: (w) => w.file.set(1),
	event: (w) => w.file.set(1),
	modify: (w) => {
		w.change(EV_ADD);
	},
	process: (w) => {
		w.file.ready = 1;
		w.collect();
	},
};

for (const hook of HOOKS) {
	test(`a call that would wait for itself is refused in ${hook}, and nothing has changed`, () => {
		for (const [what, act] of [
			["delete", (w: World) => errorOf(w.change(EV_DELETE))],
			["enable", (w: World) => errorOf(w.change(EV_ENABLE))],
			["add", (w: World) => errorOf(w.change(EV_ADD))],
			["close", (w: World) => close(w.thread, w.fd)],
			["close the kqueue", (w: World) => close(w.thread, w.kq)],
			["closefrom", (w: World) => closefrom(w.thread, w.kq)],
			["dup2", (w: World) => dup2(w.thread, w.kq, w.fd)],
			["invalidate", (w: World) => w.file.klist.invalidate()],
			["exit", (w: World) => exit(w.thread, 0)],
		] as const) {
			const w = world();
			w.change(EV_ADD, "kept");
			w.file.set(1);
			const result = inside(w.file.hooks, hook, () => act(w));
			ASK[hook](w);
			assert.is(result(), "EDEADLK", `${what} in ${hook}`);
			checkMachine(w);
			w.change(EV_ADD, "kept");
			assert.equal(w.collect(), [[w.fd, EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 1, "kept"]]);
			assert.is(w.change(EV_DELETE), 0);
			close(w.thread, w.fd);
			close(w.thread, w.kq);
			assert.is(w.file.refs, 0);
		}
	});

	test(`a call that does not wait works in ${hook}`, () => {
		const w = world();
		w.change(EV_ADD);
		w.file.set(1);
		const other = new SyntheticFile();
		other.set("read", { data: 5 });
		let seen: unknown[] = [];
		const result = inside(w.file.hooks, hook, () => {
			const fd = openFile(w.thread, other);
			const kq = kqueue(w.thread);
			const events = eventList(4);
			const add = [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }];
			keventNow(w.thread, w.kq, add, null);
			keventNow(w.thread, kq, add, null);
			seen = fields(events, keventNow(w.thread, kq, null, events));
			close(w.thread, kq);
		});
		ASK[hook](w);
		assert.is(result(), "no error");
		const fd = (seen[0] as number[])[0] as number;
		assert.equal(seen, [[fd, EVFILT_READ, EV_ADD, 0, 5, null]]);
		checkMachine(w);
		assert.is(w.collect().length, 2);
	});

	test(`an error thrown by ${hook} reaches the caller, and the event is still there`, () => {
		const w = world();
		w.change(EV_ADD, "kept");
		w.file.set(1);
		const thrown = new Error(hook);
		w.file.hooks[hook] = () => {
			throw thrown;
		};
		assert.is(
			codeOf(() => ASK[hook](w)),
			thrown,
		);
		checkMachine(w);
		w.file.hooks[hook] = undefined;
		const [event] = w.collect() as unknown[][];
		assert.equal(event?.slice(0, 2), [w.fd, EVFILT_READ]);
		assert.is(w.change(EV_DELETE), 0);
		assert.is(w.file.klist.empty, true);
	});
}

function errorOf(number: number): void {
	if (number !== 0) throw new SystemError(number, "kevent");
}

test("a scan inside a filter that a scan asks finds nothing to wait for", () => {
	const w = world();
	w.change(EV_ADD);
	w.file.set(1);
	let nested: unknown[] = [];
	inside(w.file.hooks, "process", () => {
		nested = w.collect();
	});
	assert.is(w.collect().length, 1);
	assert.equal(nested, []);
	checkMachine(w);
});

test("a scan inside a filter that is being notified meets its own knote", () => {
	const w = world();
	w.change(EV_ADD);
	w.file.set(1);
	const result = inside(w.file.hooks, "event", () => w.collect());
	w.file.klist.notify(0);
	assert.is(result(), "EDEADLK");
	checkMachine(w);
	assert.is(w.collect().length, 1);
});

test("a notification of a list of knotes inside another of the same list is refused", () => {
	const w = world();
	w.change(EV_ADD);
	const result = inside(w.file.hooks, "event", () => w.file.klist.notify(0));
	w.file.set(1);
	assert.is(result(), "EDEADLK");
	assert.is(w.collect().length, 1);
});

test("a filter may delete another knote of the list that is being notified", () => {
	for (const order of [
		[0, 1, 2],
		[2, 1, 0],
	]) {
		const w = world();
		const kqs = order.map(() => kqueue(w.thread));
		const add = { ident: w.fd, filter: EVFILT_READ, flags: EV_ADD };
		for (const kq of kqs) keventNow(w.thread, kq, [add], null);
		let asked = 0;
		w.file.hooks.event = () => {
			if (asked++ > 0) return;
			const victim = kqs[order[1] as number] as number;
			keventNow(w.thread, victim, [{ ...add, flags: EV_DELETE }], null);
		};
		w.file.set(1);
		assert.is(asked, 2);
		w.file.hooks.event = undefined;
		assert.equal(
			kqs.map((kq) => keventNow(w.thread, kq, null, eventList(2))),
			[0, 1, 2].map((i) => (i === order[1] ? 0 : 1)),
		);
		checkMachine(w);
	}
});

test("a descriptor closed while it is added leaves no knote, and no error", () => {
	const w = world();
	for (const [hook, act] of [
		["kqfilter", () => close(w.thread, w.fd)],
		["attached", () => close(w.thread, w.fd)],
		["attached", () => dup2(w.thread, w.kq, w.fd)],
	] as const) {
		const file = new Hooked();
		const fd = openFile(w.thread, file);
		assert.is(fd, w.fd + 1);
		const target = dup2(w.thread, fd, w.fd);
		close(w.thread, fd);
		const result = inside(file.hooks, hook, act);
		assert.is(w.change(EV_ADD), 0);
		assert.is(result(), "no error");
		assert.equal([file.refs, file.klist.empty, target], [0, true, w.fd]);
		checkMachine(w);
		if (w.process.fdp.get(w.fd) === null) openFile(w.thread, new Hooked());
	}
});

test("a kqueue cannot be closed while a filter is attached to it", () => {
	const w = world();
	const kq = kqueue(w.thread);
	const other = new Hooked();
	const ident = openFile(w.thread, other);
	const result = inside(other.hooks, "attached", () => close(w.thread, kq));
	keventNow(w.thread, kq, [{ ident, filter: EVFILT_READ, flags: EV_ADD }], null);
	assert.is(result(), "EDEADLK");
	close(w.thread, kq);
	assert.is(other.klist.empty, true);
});

test("a kqueue closed by a getter of a change goes after the changes, and the wait fails", () => {
	const w = world();
	const add = { ident: w.fd, filter: EVFILT_READ, flags: EV_ADD };
	const closing = {
		...add,
		get udata() {
			close(w.thread, w.kq);
			return null;
		},
	};
	assert.is(
		codeOf(() => keventNow(w.thread, w.kq, [closing], eventList(1))),
		"EBADF",
	);
	assert.equal([w.file.klist.empty, w.file.refs, w.process.fdp.firstKqueue], [true, 1, null]);
});

test("a filter whose attach fails or throws leaves nothing behind", () => {
	const w = world();
	w.change(EV_ADD);
	const thrown = new Error("kqfilter");
	for (const hook of ["kqfilter", "attached"] as const) {
		const file = new Hooked();
		const ident = openFile(w.thread, file);
		file.hooks[hook] = () => {
			throw thrown;
		};
		const add = [{ ident, filter: EVFILT_READ, flags: EV_ADD }];
		assert.is(
			codeOf(() => keventNow(w.thread, w.kq, add, null)),
			thrown,
		);
		assert.equal([file.refs, file.klist.empty], [1, true]);
	}
	checkMachine(w);
});

test("a filter that throws when it is first asked is not added", () => {
	const w = world();
	const thrown = new Error("event");
	w.file.hooks.event = () => {
		throw thrown;
	};
	assert.is(
		codeOf(() => w.change(EV_ADD)),
		thrown,
	);
	w.file.hooks.event = undefined;
	assert.equal([w.file.refs, w.file.klist.empty, w.change(EV_DELETE)], [1, true, errno.ENOENT]);
	checkMachine(w);
});

test("a filter that throws when it is enabled stays disabled", () => {
	const w = world();
	w.change(EV_ADD | EV_DISABLE);
	w.file.set(1);
	const thrown = new Error("process");
	w.file.hooks.process = () => {
		throw thrown;
	};
	assert.is(
		codeOf(() => w.change(EV_ENABLE)),
		thrown,
	);
	w.file.hooks.process = undefined;
	assert.equal(w.collect(), []);
	assert.is(w.change(EV_ENABLE), 0);
	assert.is(w.collect().length, 1);
});

test("events collected before a filter threw are delivered, and the next scan asks it first", () => {
	const w = world();
	const calm = new Hooked();
	const ident = openFile(w.thread, calm);
	keventNow(w.thread, w.kq, [{ ident, filter: EVFILT_READ, flags: EV_ADD }], null);
	w.change(EV_ADD);
	calm.set(4);
	w.file.set(1);
	const thrown = new Error("process");
	w.file.hooks.process = () => {
		throw thrown;
	};
	for (let round = 0; round < 3; round++) {
		assert.equal(w.collect(), [[ident, EVFILT_READ, EV_ADD, 0, 4, null]]);
		checkMachine(w);
		assert.is(
			codeOf(() => w.collect()),
			thrown,
		);
		checkMachine(w);
	}
	w.file.hooks.process = undefined;
	assert.is(w.collect().length, 2);
});

test("a filter that threw does not fail scans after its descriptor is closed", () => {
	const w = world();
	const calm = new Hooked();
	const ident = openFile(w.thread, calm);
	keventNow(w.thread, w.kq, [{ ident, filter: EVFILT_READ, flags: EV_ADD }], null);
	w.change(EV_ADD);
	calm.set(4);
	w.file.set(1);
	w.file.hooks.process = () => {
		throw new Error("process");
	};
	assert.is(w.collect().length, 1);
	close(w.thread, w.fd);
	assert.is(w.collect().length, 1);
});

test("a knote goes even if its detach throws, and no event is lost", () => {
	const thrown = new Error("detach");
	const throwing = () => {
		throw thrown;
	};
	const deleted = world();
	deleted.change(EV_ADD);
	deleted.file.hooks.detach = throwing;
	assert.is(
		codeOf(() => deleted.change(EV_DELETE)),
		thrown,
	);
	assert.is(deleted.change(EV_DELETE), errno.ENOENT);

	const oneshot = world();
	oneshot.change(EV_ADD | EV_ONESHOT);
	oneshot.file.set(1);
	oneshot.file.hooks.detach = throwing;
	assert.is(oneshot.collect().length, 1);
	// The event was delivered and the knote is gone: the platform reports the error.
	assert.is(
		codeOf(() => oneshot.host.settle()),
		thrown,
	);
	assert.equal(oneshot.collect(), []);

	const closed = world();
	closed.change(EV_ADD);
	closed.file.hooks.detach = throwing;
	assert.is(
		codeOf(() => close(closed.thread, closed.fd)),
		thrown,
	);
	assert.equal([closed.file.refs, closed.process.fdp.get(closed.fd)], [0, null]);

	const gone = world();
	gone.change(EV_ADD);
	gone.file.hooks.detach = throwing;
	assert.is(
		codeOf(() => gone.file.klist.invalidate()),
		thrown,
	);
	assert.equal([gone.file.klist.empty, gone.collect().length], [true, 1]);

	for (const w of [deleted, oneshot, closed, gone]) {
		assert.is(w.file.klist.empty, true);
		checkMachine(w);
	}
});

test("a close that throws has closed the descriptor", () => {
	const w = world();
	const thrown = new Error("close");
	w.change(EV_ADD);
	w.file.hooks.close = () => {
		throw thrown;
	};
	assert.is(
		codeOf(() => close(w.thread, w.fd)),
		thrown,
	);
	assert.is(
		codeOf(() => close(w.thread, w.fd)),
		"EBADF",
	);
	assert.equal(w.collect(), []);
});

test("an exit goes on when a file's close throws, and throws at the end", () => {
	const w = world();
	const thrown = new Error("close");
	const last = new Hooked();
	openFile(w.thread, last);
	w.file.hooks.close = () => {
		throw thrown;
	};
	assert.is(
		codeOf(() => exit(w.thread, 0)),
		thrown,
	);
	assert.equal([last.refs, w.thread.state, w.kernel.processes.size], [0, "exited", 0]);
});

test("a file closed by its own read stays until the read has returned", () => {
	const w = world();
	const log: string[] = [];
	w.file.hooks.read = () => {
		close(w.thread, w.fd);
		log.push("read");
	};
	w.file.hooks.close = () => log.push("close");
	assert.is(readNow(w.thread, w.fd, new Uint8Array(1)), 0);
	assert.equal(log, ["read", "close"]);
});

test("a thread does not end while a filter that its poll asks is running", () => {
	const w = world();
	w.thread.kq = w.process.fdp.firstKqueue;
	w.change(EV_ADD);
	const result = inside(w.file.hooks, "event", () => threadExit(w.thread));
	w.thread.kqserial = 0;
	w.file.set(1);
	assert.is(result(), "EDEADLK");
	w.thread.kq = null;
});

test.run();

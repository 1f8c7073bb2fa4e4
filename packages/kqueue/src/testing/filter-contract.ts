// What every filter promises, as numbered checks that any file type can run.
import {
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_ERROR,
	EV_ONESHOT,
	EV_RECEIPT,
} from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import { eventList, Kevent } from "../abi/kevent.ts";
import { formatKevent } from "../base/format.ts";
import { VirtualHost } from "../base/virtual-host.ts";
import { Kernel } from "../process/kernel.ts";
import type { Thread } from "../process/thread.ts";
import { close, fstat } from "../syscall/descriptors.ts";
import { kevent, keventNow, kqueue } from "../syscall/kevent-call.ts";

/** Where a check happens: a machine of its own, in virtual time, with diagnostics on. */
export interface ContractWorld {
	/** The host. */
	readonly host: VirtualHost;
	/** The machine. */
	readonly kernel: Kernel;
	/** The thread whose kqueues watch. */
	readonly thread: Thread;
}

/** Something to watch with the filter under test. */
export interface FilterFixture {
	/** What is watched. */
	readonly ident: number;
	/** The NOTE_ flags to ask for: 0 by default. */
	readonly fflags?: number;
	/** The data of the change: 0 by default. */
	readonly data?: number;
	/** Makes an event happen; can be called again. */
	readonly trigger: () => void;
	/** Makes the condition go away, for filters of the kind "level". */
	readonly untrigger?: () => void;
}

/** A filter under test. */
export interface FilterSubject {
	/** What it is called in messages. */
	readonly name: string;
	/** Its EVFILT_ number. */
	readonly filter: number;
	/**
	 * When it has events: "level", while a condition is true, which can become false again; "sticky",
	 * from the first trigger on; "edge", once for each trigger, since it sets EV_CLEAR itself;
	 * "always".
	 */
	readonly kind: "level" | "sticky" | "edge" | "always";
	/** Makes something to watch, not triggered yet. */
	readonly setup: (world: ContractWorld) => FilterFixture;
}

/** One promise, to be run as a test. */
export interface ContractCheck {
	/** Its number, which never changes. */
	readonly number: number;
	/** What is promised. */
	readonly name: string;
	/** Resolves if the promise is kept, rejects with what is wrong if it is not. */
	readonly run: () => Promise<void>;
}

/** A kqueue and a fixture, and what the checks do with them. */
class Bench {
	readonly world: ContractWorld;
	readonly fixture: FilterFixture;
	readonly kq: number;
	private readonly subject: FilterSubject;

	constructor(subject: FilterSubject) {
		const host = new VirtualHost();
		const kernel = new Kernel({ host, diagnostics: true });
		const thread = kernel.spawn().main;
		this.subject = subject;
		this.world = { host, kernel, thread };
		this.kq = kqueue(thread);
		this.fixture = subject.setup(this.world);
	}

	/** The change that asks for the fixture's event. */
	change(flags: number, udata: unknown = null): Kevent {
		const { ident, fflags = 0, data = 0 } = this.fixture;
		return new Kevent(ident, this.subject.filter, flags, fflags, data, udata);
	}

	/** Applies a change that must succeed. */
	apply(flags: number, udata: unknown = null, kq: number = this.kq): void {
		this.equal("errors", this.entries([this.change(flags | EV_RECEIPT, udata)], kq), [0]);
	}

	/** The errnos of the changes that fail or ask for a receipt. */
	entries(changes: readonly Kevent[], kq: number = this.kq): number[] {
		const events = eventList(changes.length);
		const n = keventNow(this.world.thread, kq, changes, events);
		return events.slice(0, n).map((kev) => {
			if (kev.flags !== EV_ERROR) this.fail("an entry of flags EV_ERROR", formatKevent(kev));
			return kev.data;
		});
	}

	/** What is reported now. */
	collect(kq: number = this.kq): Kevent[] {
		const events = eventList(4);
		return events.slice(0, keventNow(this.world.thread, kq, null, events));
	}

	/** Returns the one event for the fixture that must be reported. */
	one(what: string, udata: unknown = null, kq: number = this.kq): Kevent {
		const events = this.collect(kq);
		const [event] = events;
		const right =
			events.length === 1 &&
			event?.ident === this.fixture.ident &&
			event.filter === this.subject.filter &&
			event.udata === udata;
		if (!right) this.fail(`one event ${what}`, events.map(formatKevent).join("; ") || "none");
		return event;
	}

	/** Nothing must be reported. */
	none(what: string, kq: number = this.kq): void {
		const events = this.collect(kq);
		if (events.length > 0) this.fail(`no event ${what}`, events.map(formatKevent).join("; "));
	}

	/** Makes an event happen. */
	trigger(): void {
		this.fixture.trigger();
		this.world.host.settle();
	}

	/** Makes the condition go away, for filters of the kind "level". */
	untrigger(): void {
		this.fixture.untrigger?.();
		this.world.host.settle();
	}

	equal(what: string, got: readonly number[], expected: readonly number[]): void {
		if (got.join() !== expected.join())
			this.fail(`${what} ${expected.join() || "none"}`, got.join() || "none");
	}

	fail(expected: string, got: string): never {
		throw new Error(`${this.subject.name}: expected ${expected}, got ${got}`);
	}
}

type Check = readonly [name: string, run: (bench: Bench, kind: string) => void | Promise<void>];

const CHECKS: readonly Check[] = [
	[
		"an added event is reported when it happens",
		(bench, kind) => {
			bench.apply(EV_ADD);
			if (kind !== "always") bench.none("before the trigger");
			bench.trigger();
			bench.one("after the trigger");
		},
	],
	[
		"a deleted event is not reported",
		(bench) => {
			bench.apply(EV_ADD);
			bench.apply(EV_DELETE);
			bench.trigger();
			bench.none("after it was deleted");
		},
	],
	[
		"an event that was not added cannot be deleted, enabled or disabled",
		(bench) => {
			const changes = [EV_DELETE, EV_ENABLE, EV_DISABLE].map((flags) => bench.change(flags));
			const missing = [errno.ENOENT, errno.ENOENT, errno.ENOENT];
			bench.equal("errors before it was added", bench.entries(changes), missing);
			bench.apply(EV_ADD);
			bench.apply(EV_DELETE);
			bench.equal("errors after it was deleted", bench.entries(changes), missing);
		},
	],
	[
		"a disabled event is kept back until it is enabled",
		(bench) => {
			bench.apply(EV_ADD | EV_DISABLE);
			bench.trigger();
			bench.none("while it is disabled");
			bench.apply(EV_ENABLE);
			bench.one("after it was enabled");
		},
	],
	[
		"a oneshot event is reported once and is gone",
		(bench) => {
			bench.apply(EV_ADD | EV_ONESHOT);
			bench.trigger();
			bench.one("after the trigger");
			bench.trigger();
			bench.none("after it was reported");
			bench.equal("errors", bench.entries([bench.change(EV_DELETE)]), [errno.ENOENT]);
		},
	],
	[
		"a dispatched event is reported once and is disabled",
		(bench) => {
			bench.apply(EV_ADD | EV_DISPATCH);
			bench.trigger();
			bench.one("after the trigger");
			bench.trigger();
			bench.none("after it was reported");
			bench.apply(EV_ENABLE);
			bench.trigger();
			bench.one("after it was enabled again");
		},
	],
	[
		"a receipt takes the place of events",
		(bench) => {
			bench.apply(EV_ADD);
			bench.trigger();
			bench.equal("receipts", bench.entries([bench.change(EV_ADD | EV_RECEIPT)]), [0]);
			bench.trigger();
			bench.one("after the receipt");
		},
	],
	[
		"the event has the udata of the change",
		(bench) => {
			const udata = { any: "thing" };
			bench.apply(EV_ADD, udata);
			bench.trigger();
			bench.one("with its udata", udata);
		},
	],
	[
		"adding again replaces udata and makes no second event",
		(bench) => {
			bench.apply(EV_ADD, "first");
			bench.apply(EV_ADD, "second");
			bench.trigger();
			bench.one("with the new udata", "second");
			bench.apply(EV_DELETE);
			bench.equal("errors", bench.entries([bench.change(EV_DELETE)]), [errno.ENOENT]);
		},
	],
	[
		"disabling an event keeps back what has happened already",
		(bench) => {
			bench.apply(EV_ADD);
			bench.trigger();
			bench.apply(EV_DISABLE);
			bench.none("after it was disabled");
			bench.apply(EV_ENABLE);
			bench.one("after it was enabled");
		},
	],
	[
		"deleting an event forgets what has happened already",
		(bench) => {
			bench.apply(EV_ADD);
			bench.trigger();
			bench.apply(EV_DELETE);
			bench.equal("pending events", [fstat(bench.world.thread, bench.kq).size], [0]);
			bench.none("after it was deleted");
		},
	],
	[
		"every kqueue gets the event",
		(bench) => {
			const other = kqueue(bench.world.thread);
			bench.apply(EV_ADD, "one");
			bench.apply(EV_ADD, "other", other);
			bench.trigger();
			bench.one("in the first kqueue", "one");
			bench.one("in the second kqueue", "other", other);
			bench.apply(EV_DELETE);
			bench.trigger();
			bench.none("in the kqueue it was deleted from");
			bench.one("in the other kqueue", "other", other);
		},
	],
	[
		"with EV_CLEAR an event is reported once for each trigger",
		(bench, kind) => {
			bench.apply(EV_ADD | EV_CLEAR);
			bench.trigger();
			bench.one("after the trigger");
			bench.none("without another trigger");
			if (kind === "always") return;
			bench.untrigger();
			bench.trigger();
			bench.one("after another trigger");
		},
	],
	[
		"without EV_CLEAR an event is reported as long as its condition is true",
		(bench, kind) => {
			bench.apply(EV_ADD);
			bench.trigger();
			bench.one("after the trigger");
			if (kind === "edge") {
				bench.none("of a filter that clears by itself");
				return;
			}
			bench.one("while its condition is true");
			if (kind !== "level") return;
			bench.untrigger();
			bench.none("after its condition is no longer true");
		},
	],
	[
		"a oneshot event that is disabled stays until it is reported",
		(bench) => {
			bench.apply(EV_ADD | EV_ONESHOT | EV_DISABLE);
			bench.trigger();
			bench.none("while it is disabled");
			bench.apply(EV_ENABLE);
			bench.one("after it was enabled");
			bench.equal("errors", bench.entries([bench.change(EV_DELETE)]), [errno.ENOENT]);
		},
	],
	[
		"the event has the flags of the change",
		(bench) => {
			const flags = EV_ADD | EV_CLEAR | EV_DISPATCH;
			bench.apply(flags);
			bench.trigger();
			const event = bench.one("after the trigger");
			bench.equal("flags", [event.flags & flags], [flags]);
		},
	],
	[
		"closing the kqueue deletes its events",
		(bench) => {
			const { thread } = bench.world;
			bench.apply(EV_ADD);
			close(thread, bench.kq);
			bench.trigger();
			const next = kqueue(thread);
			bench.none("in a new kqueue", next);
			bench.apply(EV_ADD, null, next);
			bench.trigger();
			bench.one("in the kqueue it was added to", null, next);
		},
	],
	[
		"the event wakes a thread that sleeps for it",
		async (bench, kind) => {
			const { thread } = bench.world;
			const sleeper = thread.process.spawnThread();
			bench.apply(EV_ADD);
			const events = eventList(1);
			const call = kevent(sleeper, bench.kq, null, events, null);
			if (kind !== "always" && sleeper.state !== "asleep") bench.fail("a sleeper", "none");
			bench.trigger();
			if ((sleeper.state as string) === "asleep") bench.fail("the sleeper awake", "asleep");
			if ((await call) !== 1) bench.fail("one event for the sleeper", "another number");
			bench.equal("idents", [events[0]?.ident ?? -1], [bench.fixture.ident]);
		},
	],
];

/** The checks for a filter. Each makes a world of its own. */
export function filterContract(subject: FilterSubject): ContractCheck[] {
	return CHECKS.map(([name, check], index) => ({
		number: index + 1,
		name,
		run: async () => check(new Bench(subject), subject.kind),
	}));
}

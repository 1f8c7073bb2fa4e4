// Lists of knotes whose filters call back into the engine during a walk: no knote is left out, and
// none is asked twice.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	dup,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_ENABLE,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_READ,
	eventList,
	fstat,
	keventNow,
	kqueue,
	openFile,
} from "../../src/index.ts";
import {
	File,
	type Filterops,
	filterops,
	Klist,
	type Knote,
	type KqueueFile,
} from "../../src/kernel.ts";
import { checkMachine, codeOf, fields, type Machine, machine } from "../machine.ts";

/** What a filter does when it is asked about its knote. */
type Deed =
	| { do: "add" | "delete" | "disable" | "enable" | "close"; who: number }
	| { do: "forget"; who: number }
	| { do: "open" }
	| { do: "notify" | "invalidate" };

/** What is done to the list. `deeds[n]` is done by the filter that is asked as the nth. */
type Step =
	| { do: "act"; deed: Deed }
	| { do: "notify"; deeds: Deed[][] }
	| { do: "scan"; room: number; deeds: Deed[][] };

/** Counts how often its knotes are asked with a hint, and then does what it is told to. */
class Counter extends File {
	readonly klist: Klist = new Klist();
	/** Called when a filter is asked by a notification or a scan. */
	asked: (ident: number, hint: number) => void = () => {};
	private readonly filter: Filterops = filterops({
		name: "counter",
		detach: (kn) => this.klist.remove(kn),
		event: (kn, hint) => {
			if (hint !== 0) kn.data++;
			this.asked(kn.ident, hint);
			return kn.data > 0;
		},
	});

	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		kn.fop = this.filter;
		this.klist.insert(kn);
		return 0;
	}
}

/** A knote as the test remembers it. */
interface Noted {
	readonly ident: number;
	count: number;
	disabled: boolean;
	dead: boolean;
}

/** A knote whose filter is about to be asked. */
interface Turn {
	readonly kn: Noted;
	/** What it does then. */
	readonly deeds: readonly Deed[];
}

const FLAGS = {
	add: EV_ADD | EV_CLEAR,
	delete: EV_DELETE,
	disable: EV_DISABLE,
	enable: EV_ENABLE,
} as const;

const KQ = 0;
const COUNTER = 1;
const WATCHED = 6;
/** The descriptors that are watched are duplicates of the counter. */
const FIRST = 2;
const HINT = 1;

/** The machine, and a simple description of its expected state. */
class World {
	readonly machine: Machine = machine();
	readonly file: Counter = new Counter();
	private readonly open: Set<number> = new Set();
	/** The knotes of the kqueue. */
	private knotes: Noted[] = [];
	/** Those on the list, newest first. */
	private list: Noted[] = [];
	/** Those that are ready; the first has been ready for the longest time. */
	private ready: Noted[] = [];
	/** The knote whose filter is being asked. */
	private busy: Noted[] = [];
	private walking = false;
	/** What went wrong inside a filter; kept here, so that the engine does not handle it. */
	private readonly failures: unknown[] = [];

	constructor() {
		const { thread } = this.machine;
		kqueue(thread);
		openFile(thread, this.file);
		for (let i = 0; i < WATCHED; i++) this.open.add(dup(thread, COUNTER));
	}

	/** Does a deed to the engine; returns the expected result. */
	act(deed: Deed): void {
		const { thread } = this.machine;
		if (deed.do === "open") {
			if (this.open.size < WATCHED) this.open.add(dup(thread, COUNTER));
			return;
		}
		if (!("who" in deed)) {
			const { klist } = this.file;
			const code = codeOf(() => (deed.do === "notify" ? klist.notify(HINT) : klist.invalidate()));
			assert.is(code, this.expectWhole(deed.do), deed.do);
			return;
		}
		const ident = FIRST + deed.who;
		if (deed.do === "forget") {
			this.forget(ident);
			return;
		}
		const code = codeOf(() => {
			if (deed.do === "close") close(thread, ident);
			else keventNow(thread, KQ, [{ ident, filter: EVFILT_READ, flags: FLAGS[deed.do] }], null);
		});
		assert.is(code, this.expect(deed.do, ident), `${deed.do} ${ident}`);
	}

	/** Sets a count back to 0 without notifying: a knote that is ready has no event now. */
	private forget(ident: number): void {
		for (let kn = this.file.klist.first; kn !== null; kn = kn.selnext)
			if (kn.ident === ident) kn.data = 0;
		for (const kn of this.list) if (kn.ident === ident) kn.count = 0;
	}

	private expectWhole(what: "notify" | "invalidate"): string {
		if (this.walking) return "EDEADLK";
		if (what === "notify") {
			for (const kn of this.list) {
				kn.count++;
				this.activate(kn);
			}
			return "no error";
		}
		if (this.busy.some((kn) => this.list.includes(kn))) return "EDEADLK";
		for (const kn of this.list) this.die(kn);
		this.list = [];
		return "no error";
	}

	private expect(what: keyof typeof FLAGS | "close", ident: number): string {
		if (!this.open.has(ident)) return "EBADF";
		const kn = this.knotes.find((it) => it.ident === ident);
		if (kn !== undefined && this.busy.includes(kn)) return "EDEADLK";
		if (what === "close") {
			this.open.delete(ident);
			if (kn !== undefined) this.drop(kn);
		} else if (kn !== undefined) {
			this.change(kn, what);
		} else if (what === "add") {
			const added = { ident, count: 0, disabled: false, dead: false };
			this.knotes.push(added);
			this.list.unshift(added);
		} else {
			return "ENOENT";
		}
		return "no error";
	}

	private change(kn: Noted, what: keyof typeof FLAGS): void {
		if (what === "delete") this.drop(kn);
		else if (what === "disable") kn.disabled = true;
		else if (what === "add" || kn.disabled) {
			if (what === "enable") kn.disabled = false;
			if (kn.dead || kn.count > 0) this.activate(kn);
		}
	}

	private die(kn: Noted): void {
		kn.dead = true;
		kn.count = 0;
		this.activate(kn);
	}

	private activate(kn: Noted): void {
		if (!kn.disabled && !this.ready.includes(kn)) this.ready.push(kn);
	}

	private drop(kn: Noted): void {
		this.knotes = this.knotes.filter((it) => it !== kn);
		this.list = this.list.filter((it) => it !== kn);
		this.ready = this.ready.filter((it) => it !== kn);
	}

	/** Notifies the list; the filters do `deeds` meanwhile. */
	notify(deeds: Deed[][]): void {
		const turns = this.notifyTurns(deeds);
		let turn = turns.next().value;
		this.file.asked = (ident, hint) => {
			// Not for questions that a deed causes.
			if (hint === 0) return;
			this.run(turn, ident);
			turn = turns.next().value;
		};
		this.walking = true;
		this.file.klist.notify(HINT);
		this.walking = false;
		this.file.asked = () => {};
		this.rethrow();
		assert.is(turn, undefined, "every filter was asked");
	}

	private *notifyTurns(deeds: Deed[][]): Generator<Turn, undefined> {
		const rest = [...deeds];
		for (const kn of [...this.list]) {
			if (!this.list.includes(kn)) continue;
			kn.count++;
			yield { kn, deeds: rest.shift() ?? [] };
			if (kn.count > 0) this.activate(kn);
		}
	}

	/** Collects events; the filters that are asked do `deeds` meanwhile. */
	scan(room: number, deeds: Deed[][]): void {
		const expected: unknown[] = [];
		const turns = this.scanTurns(room, expected, deeds);
		let turn = turns.next().value;
		let asking = false;
		this.file.asked = (ident, hint) => {
			// Not for questions that a deed causes.
			if (hint !== 0 || asking) return;
			asking = true;
			this.run(turn, ident);
			asking = false;
			turn = turns.next().value;
		};
		const events = eventList(room);
		const n = keventNow(this.machine.thread, KQ, null, events);
		this.file.asked = () => {};
		this.rethrow();
		assert.equal(fields(events, n), expected, "the events");
		assert.is(turn, undefined, "every filter was asked");
	}

	/** The questions of a scan; between them the events become known. */
	private *scanTurns(
		room: number,
		expected: unknown[],
		deeds: Deed[][],
	): Generator<Turn, undefined> {
		const flags = EV_ADD | EV_CLEAR;
		const rest = [...deeds];
		// A pass that found nothing is followed by another.
		while (room > 0 && expected.length === 0 && this.ready.length > 0) {
			for (const kn of [...this.ready]) {
				if (expected.length === room) return;
				if (!this.ready.includes(kn)) continue;
				this.ready = this.ready.filter((it) => it !== kn);
				if (kn.disabled) continue;
				if (kn.dead) {
					expected.push([kn.ident, EVFILT_READ, flags | EV_EOF | EV_ONESHOT, 0, 0, null]);
					this.drop(kn);
					continue;
				}
				yield { kn, deeds: rest.shift() ?? [] };
				if (kn.count > 0) expected.push([kn.ident, EVFILT_READ, flags, 0, kn.count, null]);
				kn.count = 0;
			}
		}
	}

	/** Does the deed of the next filter. */
	private run(turn: Turn | undefined, ident: number): void {
		try {
			assert.is(ident, turn?.kn.ident, "whose turn it is");
			if (turn === undefined) return;
			this.busy.push(turn.kn);
			for (const deed of turn.deeds) this.act(deed);
			this.busy.pop();
		} catch (error) {
			this.failures.push(error);
		}
	}

	private rethrow(): void {
		if (this.failures.length > 0) throw this.failures[0];
	}

	/** Compares the list, the number of knotes and of ready knotes, and checks the engine's invariants. */
	check(): void {
		checkMachine(this.machine);
		const found: number[] = [];
		let before: Knote | null = null;
		for (let kn = this.file.klist.first; kn !== null; kn = kn.selnext) {
			assert.is(kn.klist, this.file.klist, "a knote knows its list");
			assert.is(kn.selprev, before, "the list is linked both ways");
			before = kn;
			found.push(kn.ident);
		}
		const idents = this.list.map(({ ident }) => ident);
		assert.equal(found, idents, "the list");
		assert.is(this.file.klist.empty, idents.length === 0);
		const { kq } = this.machine.process.fdp.get(KQ) as KqueueFile;
		assert.is(kq.nknotes, this.knotes.length, "the number of knotes");
		assert.is(fstat(this.machine.thread, KQ).size, this.ready.length, "how many are ready");
	}
}

const who = fc.nat(WATCHED - 1);
const aDeed: fc.Arbitrary<Deed> = fc.oneof(
	{
		weight: 10,
		arbitrary: fc.record({
			do: fc.constantFrom("add", "add", "delete", "disable", "enable", "close", "forget"),
			who,
		}),
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constantFrom("notify", "invalidate") }) },
	{ weight: 1, arbitrary: fc.constant({ do: "open" as const }) },
);
const someDeeds = fc.array(fc.array(aDeed, { maxLength: 3 }), { maxLength: WATCHED });
const aStep: fc.Arbitrary<Step> = fc.oneof(
	{ weight: 5, arbitrary: fc.record({ do: fc.constant("act" as const), deed: aDeed }) },
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("notify" as const), deeds: someDeeds }) },
	{
		weight: 2,
		arbitrary: fc.record({
			do: fc.constant("scan" as const),
			room: fc.nat(WATCHED + 1),
			deeds: someDeeds,
		}),
	},
);

function perform(world: World, step: Step): void {
	if (step.do === "act") world.act(step.deed);
	else if (step.do === "notify") world.notify(step.deeds);
	else world.scan(step.room, step.deeds);
	world.check();
}

test("filters that change the list during a walk leave out no knote, and none is asked twice", () => {
	fc.assert(
		fc.property(fc.array(aStep, { size: "+1", maxLength: 40 }), (steps) => {
			const world = new World();
			for (let i = 0; i < WATCHED - 1; i++) world.act({ do: "add", who: i });
			world.check();
			for (const step of steps) perform(world, step);
			perform(world, { do: "notify", deeds: [] });
			perform(world, { do: "scan", room: WATCHED, deeds: [] });
		}),
		{ numRuns: 3000, includeErrorInReport: true },
	);
});

test.run();

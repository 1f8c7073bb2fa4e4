// poll and select of synthetic files against functions that compute the expected results.
import {
	close,
	dup,
	dup2,
	errno,
	errnoName,
	openFile,
	type Process,
	SyntheticFile,
	type Thread,
} from "@kqpoll/kqueue";
import { badfdFiltops, SERIAL_MAX } from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	FdSet,
	POLL_NOHUP,
	POLLERR,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	POLLRDBAND,
	POLLRDNORM,
	POLLWRBAND,
	type Pollfd,
	pollNow,
	selectNow,
} from "../src/index.ts";
import { checkMachine, knotes, type Machine, machine, UNWRITTEN } from "./machine.ts";

type SideName = "read" | "write" | "except";

const SIDES = ["read", "write", "except"] as const;

interface Side {
	readonly data: number;
	readonly eof: boolean;
	readonly hup: boolean;
}

/** A file's three sides, and the errors with which it refuses to be watched. */
interface State {
	readonly file: SyntheticFile;
	readonly sides: Record<SideName, Side>;
	readonly denied: Readonly<Record<SideName, number>>;
	/** The sides that have hung up. */
	readonly hung: Set<SideName>;
}

/** The states of the files behind the descriptors. */
type Table = ReadonlyMap<number, State>;

const IGNORED: readonly number[] = [errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM];

/** The expected revents of an entry. */
function expectedRevents(table: Table, fd: number, events: number): number {
	const asked = events & ~POLL_NOHUP;
	const nothing = (asked & ~POLLHUP) === 0;
	const read = asked & (POLLIN | POLLRDNORM);
	const write = asked & POLLOUT;
	const except = asked & (POLLPRI | POLLRDBAND);
	if (fd < 0 || (read === 0 && write === 0 && except === 0 && !nothing)) return 0;
	const state = table.get(fd);
	if (state === undefined) return POLLNVAL;
	let revents = 0;
	if (read !== 0) revents |= refused(state, "read") ?? readSays(state, read);
	if (write !== 0) {
		// A file that is never written to is still watched for its hang-up.
		const hupOnly = state.denied.write === errno.EPERM && read === 0 && except === 0;
		revents |= hupOnly
			? (refused(state, "except") ?? exceptSays(state, 0))
			: (refused(state, "write") ?? writeSays(state, write));
	}
	if (except !== 0 || nothing) revents |= refused(state, "except") ?? exceptSays(state, except);
	return revents;
}

/** The revents for a side that cannot be watched, null if it can. */
function refused({ denied }: State, side: SideName): number | null {
	const error = denied[side];
	if (error === 0) return null;
	if (error === errno.EPIPE) return POLLHUP;
	return IGNORED.includes(error) ? 0 : POLLERR;
}

function readSays({ sides: { read } }: State, asked: number): number {
	if (read.eof) return asked | (read.hup ? POLLHUP : 0);
	return read.data > 0 ? asked : 0;
}

function writeSays({ sides: { write } }: State, asked: number): number {
	if (write.eof && write.hup) return POLLHUP;
	return write.eof || write.data > 0 ? asked : 0;
}

function exceptSays({ sides: { except } }: State, asked: number): number {
	if (except.hup) return POLLHUP;
	return except.data > 0 ? asked : 0;
}

/**
 * The expected result of select for one descriptor in one set: whether its bit is set, or an error.
 */
function expectedBit(table: Table, fd: number, side: SideName): boolean | string {
	const state = table.get(fd);
	if (state === undefined) return "EBADF";
	const error = state.denied[side];
	if (error === errno.EPIPE) return true;
	if (IGNORED.includes(error)) return false;
	if (error !== 0) return errnoName(error);
	const { data, eof } = state.sides[side];
	return data > 0 || (eof && side !== "except");
}

type Numbers = readonly number[] | null;

/** A set for select: its contents, and how much room it has. */
interface SetSpec {
	readonly fds: readonly number[];
	readonly size: number;
}

/** The expected result and sets of select. */
function expectedSelect(
	table: Table,
	size: number,
	nfds: number,
	sets: readonly (FdSet | null)[],
): { result: number | string; left: Numbers[] } {
	const before = sets.map((set) => set && [...set]);
	const nd = Math.min(nfds, size);
	if (nfds < 0) return { result: "EINVAL", left: before };
	if (sets.some((set) => set !== null && set.size < nd)) return { result: "EFAULT", left: before };
	let result = 0;
	const left: Numbers[] = [];
	for (const [which, fds] of before.entries()) {
		const ready: number[] = [];
		for (const fd of fds ?? []) {
			if (fd >= nd) continue;
			const bit = expectedBit(table, fd, SIDES[which] as SideName);
			if (typeof bit === "string") return { result: bit, left: before };
			if (bit) ready.push(fd);
		}
		result += ready.length;
		// Whole words are written, the words beyond them stay.
		const rest = fds?.filter((fd) => fd >= Math.ceil(nd / 32) * 32) ?? [];
		left.push(fds && [...ready, ...rest]);
	}
	return { result, left };
}

type Denied = Record<SideName, number>;

type Command =
	| { do: "poll"; who: number; entries: { fd: number; events: number }[] }
	| { do: "select"; who: number; nfds: number; sets: (SetSpec | null)[] }
	| { do: "set"; fd: number; side: SideName; change: Partial<Side>; quietly: boolean }
	| { do: "open"; denied: Denied }
	| { do: "dup"; fd: number }
	| { do: "dup2"; who: number; fd: number; to: number }
	| { do: "close"; who: number; fd: number };

/** A host whose threads begin their serials so close to the end that they wrap. */
class WrappingHost extends VirtualHost {
	private readonly left: number;

	constructor(left: number) {
		super();
		this.left = left;
	}

	override random(): number {
		return SERIAL_MAX - this.left;
	}
}

/** Two threads that share descriptors, and the states of the files behind these. */
class World {
	private readonly machine: Machine;
	private readonly process: Process;
	private readonly threads: readonly Thread[];
	private readonly table: Map<number, State> = new Map();

	constructor(maxfiles: number, left: number) {
		this.machine = machine({ host: new WrappingHost(left), maxfiles });
		this.process = this.machine.process;
		this.threads = [this.process.main, this.process.spawnThread()];
	}

	perform(command: Command): void {
		const thread = this.threads["who" in command ? command.who : 0] as Thread;
		switch (command.do) {
			case "poll":
				this.poll(thread, command.entries);
				break;
			case "select":
				this.select(thread, command.nfds, command.sets);
				break;
			case "set":
				this.set(command.fd, command.side, command.change, command.quietly);
				break;
			case "open":
				this.open(command.denied);
				break;
			default:
				this.descriptor(thread, command);
		}
		this.check();
	}

	private poll(thread: Thread, entries: readonly { fd: number; events: number }[]): void {
		const fds: Pollfd[] = entries.map((entry) => ({ ...entry, revents: UNWRITTEN }));
		const result = resultOf(() => pollNow(thread, fds));
		const { limit } = this.process.fdp;
		const tooMany = entries.length > limit;
		const expected = fds.map(({ fd, events }) =>
			tooMany ? UNWRITTEN : expectedRevents(this.table, fd, events),
		);
		assert.equal(
			fds.map(({ revents }) => revents),
			expected,
			"revents",
		);
		const count = expected.filter((revents) => revents !== 0).length;
		assert.is(result, tooMany ? "EINVAL" : count, "the result of poll");
		for (const [i, { fd, events }] of fds.entries()) {
			assert.is(fd, entries[i]?.fd, "poll does not write fd");
			assert.is(events, entries[i]?.events, "poll does not write events");
		}
	}

	private select(thread: Thread, nfds: number, specs: readonly (SetSpec | null)[]): void {
		const sets = specs.map((spec) => spec && new FdSet(spec.fds, spec.size));
		const [read = null, write = null, except = null] = sets;
		const { result, left } = expectedSelect(this.table, this.process.fdp.size, nfds, sets);
		assert.is(
			resultOf(() => selectNow(thread, nfds, read, write, except)),
			result,
			"the result of select",
		);
		assert.equal(
			sets.map((set) => set && [...set]),
			left,
			"the sets",
		);
	}

	private set(fd: number, side: SideName, change: Partial<Side>, quietly: boolean): void {
		const state = this.table.get(fd);
		if (state === undefined) return;
		const before = state.sides[side];
		const after = { ...before, ...change };
		// A knote that has seen a hang-up remembers it, until it sees an end of file without one: a
		// side that hung up once stays so, or at least stays at its end.
		if (side === "except") after.hup ||= before.hup;
		else after.eof ||= state.hung.has(side);
		if (after.eof && after.hup) state.hung.add(side);
		state.sides[side] = after;
		if (quietly) state.file.setQuietly(side, after);
		else state.file.set(side, after);
	}

	private open(denied: Denied): void {
		const file = new SyntheticFile();
		for (const side of SIDES) file.deny(side, denied[side]);
		const fd = resultOf(() => openFile(this.process.main, file));
		if (typeof fd !== "number") return;
		const sides = { read: IDLE, write: IDLE, except: IDLE };
		this.table.set(fd, { file, sides, denied, hung: new Set() });
	}

	private descriptor(thread: Thread, command: Command & { do: "dup" | "dup2" | "close" }): void {
		const { fd } = command;
		const state = this.table.get(fd);
		const closed = command.do === "close" ? fd : command.do === "dup2" ? command.to : -1;
		const left = closed === fd && command.do === "dup2" ? null : this.leftBy(thread, closed);
		const result = resultOf(() => {
			if (command.do === "dup") return dup(thread, fd);
			if (command.do === "dup2") return dup2(thread, fd, command.to);
			close(thread, fd);
			return fd;
		});
		if (typeof result !== "number") return;
		if (command.do === "close") this.table.delete(fd);
		else if (state !== undefined) this.table.set(result, state);
		if (left !== null) assert.equal(this.knotesOn(closed), left, "what a close leaves behind");
	}

	/** How many knotes the threads have on a descriptor, and how many of them are badfd. */
	private knotesOn(fd: number): [all: number, bad: number][] {
		return this.threads.map((thread) => {
			const all = knotes(thread).filter(({ ident }) => ident === fd);
			return [all.length, all.filter(({ fop }) => fop === badfdFiltops).length];
		});
	}

	/** The same after `thread` has closed it: other threads, which may be asleep, are told so. */
	private leftBy(thread: Thread, fd: number): [all: number, bad: number][] {
		return this.knotesOn(fd).map(([all, bad], who) =>
			this.threads[who] === thread ? [bad, bad] : [all, all],
		);
	}

	/** Checks the kqueues of the threads; the number of knotes of earlier calls is bounded. */
	private check(): void {
		checkMachine(this.machine);
		for (let kq = this.process.fdp.firstKqueue; kq !== null; kq = kq.next) {
			assert.ok(kq.nknotes <= 4 * 256 * kq.knlist.length, "the number of knotes");
		}
	}
}

const IDLE: Side = { data: 0, eof: false, hup: false };

/** What a call returns, or the code of what it throws. */
function resultOf(call: () => number): unknown {
	try {
		return call();
	} catch (error) {
		return (error as { code?: string }).code ?? error;
	}
}

const who = fc.nat(1);
const aDescriptor = fc.oneof(
	{ weight: 20, arbitrary: fc.nat(6) },
	{ weight: 2, arbitrary: fc.constantFrom(19, 20, 31, 32, 33, 49, 50) },
	{ weight: 2, arbitrary: fc.constantFrom(-1, -7, 2 ** 31 - 1) },
);
const BITS = [POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL];
const MORE_BITS = [POLLRDNORM, POLLRDBAND, POLLWRBAND, POLL_NOHUP, 0x0200, -0x8000];
const events = fc.oneof(
	{ weight: 3, arbitrary: fc.constantFrom(POLLIN, POLLOUT, POLLIN | POLLOUT, POLLPRI, 0, POLLHUP) },
	{
		weight: 3,
		arbitrary: fc
			.subarray([...BITS, ...MORE_BITS])
			.map((bits) => bits.reduce((all, bit) => all | bit, 0)),
	},
	{ weight: 1, arbitrary: fc.integer({ min: -0x8000, max: 0xffff }) },
);
const entries = fc.array(fc.record({ fd: aDescriptor, events }), { size: "+1", maxLength: 14 });
const aSet = fc.option(
	fc.record({
		fds: fc.array(
			fc.oneof(
				{ weight: 12, arbitrary: fc.nat(6) },
				{ weight: 1, arbitrary: fc.constantFrom(7, 19, 20, 31, 32, 49, 50, 64, 99) },
			),
			{ maxLength: 6 },
		),
		size: fc.constantFrom(0, 32, 64, 1024, 1024, 1024),
	}),
	{ freq: 3 },
);
const aPoll = fc.record({ do: fc.constant("poll" as const), who, entries });
const aSelect = fc.record({
	do: fc.constant("select" as const),
	who,
	nfds: fc.constantFrom(-1, 0, 1, 2, 4, 5, 7, 7, 7, 20, 33, 1024),
	sets: fc.array(aSet, { minLength: 3, maxLength: 3 }),
});
const aChange = fc.record({
	do: fc.constant("set" as const),
	fd: fc.nat(6),
	side: fc.constantFrom(...SIDES),
	change: fc.record(
		{ data: fc.constantFrom(0, 0, 1, 9), eof: fc.boolean(), hup: fc.boolean() },
		{ requiredKeys: [] },
	),
	quietly: fc.oneof(
		{ weight: 3, arbitrary: fc.constant(true) },
		{ weight: 1, arbitrary: fc.constant(false) },
	),
});
const { ENXIO, ENODEV, EPIPE, EPERM, EINVAL, EOPNOTSUPP } = errno;
const none = fc.constant<Denied>({ read: 0, write: 0, except: 0 });
const denied: fc.Arbitrary<Denied> = fc.record({
	read: fc.constantFrom(0, 0, 0, EINVAL, EOPNOTSUPP, ENXIO),
	write: fc.constantFrom(0, 0, 0, EPIPE, EPIPE, EPERM, EPERM, EINVAL, ENODEV),
	except: fc.constantFrom(0, 0, 0, EINVAL, EOPNOTSUPP, ENXIO),
});
const anOpening: fc.Arbitrary<Command> = fc.record({
	do: fc.constant("open" as const),
	denied: fc.oneof({ weight: 2, arbitrary: none }, { weight: 1, arbitrary: denied }),
});
const aDescriptorCommand: fc.Arbitrary<Command> = fc.oneof(
	fc.record({ do: fc.constant("dup" as const), fd: fc.nat(6) }),
	fc.record({ do: fc.constant("close" as const), who, fd: fc.nat(6) }),
	fc.record({ do: fc.constant("close" as const), who, fd: fc.nat(6) }),
	fc.record({
		do: fc.constant("dup2" as const),
		who,
		fd: fc.nat(6),
		to: fc.oneof(
			{ weight: 6, arbitrary: fc.nat(6) },
			{ weight: 1, arbitrary: fc.constantFrom(19, 20, 33) },
		),
	}),
);
const openings = fc.array(anOpening, { minLength: 3, maxLength: 6 });
/** How many descriptors there may be, and so how many entries. */
const limits = fc.constantFrom(7, 64, 1024);
const serials = fc.constantFrom(0, 3, 50, 10_000);

function sequencesOf(calls: fc.Arbitrary<Command>): fc.Arbitrary<Command[]> {
	const command = fc.oneof(
		{ weight: 5, arbitrary: calls },
		{ weight: 5, arbitrary: aChange },
		{ weight: 1, arbitrary: anOpening },
		{ weight: 1, arbitrary: aDescriptorCommand },
	);
	return fc.array(command, { size: "+1", maxLength: 40 });
}

function holdsFor(calls: fc.Arbitrary<Command>): void {
	fc.assert(
		fc.property(limits, serials, openings, sequencesOf(calls), (limit, left, first, commands) => {
			const world = new World(limit, left);
			for (const command of [...first, ...commands]) world.perform(command);
		}),
		{ numRuns: 2000, includeErrorInReport: true },
	);
}

test("poll reports the present state of the files, after any earlier calls", () => {
	holdsFor(aPoll);
});

test("select reports the present state of the files, after any earlier calls", () => {
	holdsFor(aSelect);
});

test("poll and select on the same threads do not disturb each other", () => {
	holdsFor(fc.oneof(aPoll, aSelect));
});

test("arrays so long that their knotes are purged in between have the same results", () => {
	const many = fc.array(fc.record({ fd: fc.nat(6), events }), {
		size: "max",
		minLength: 300,
		maxLength: 500,
	});
	const round = fc.tuple(many, fc.array(aChange, { maxLength: 5 }));
	fc.assert(
		fc.property(openings, fc.array(round, { maxLength: 4 }), (first, rounds) => {
			const world = new World(1024, 0);
			for (const command of first) world.perform(command);
			for (const [entries, changes] of rounds) {
				for (const change of changes) world.perform(change);
				world.perform({ do: "poll", who: 0, entries });
			}
		}),
		// Shrinking such arrays would take minutes.
		{ numRuns: 30, endOnFailure: true, includeErrorInReport: true },
	);
});

test.run();

// The engine against the naive model: random commands, and all short sequences of operations.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EV_ERROR,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_DEVICE,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	fstat,
	Kevent,
	type KeventChange,
	keventNow,
	kqueue,
	NOTE_EOF,
	NOTE_LOWAT,
	openFile,
	SyntheticFile,
} from "../../src/index.ts";
import { EVFILT_AIO, KqueueFile } from "../../src/kernel.ts";
import { checkMachine, codeOf, type Fields, fields, type Machine, machine } from "../machine.ts";
import {
	ModelFile,
	type ModelKnote,
	ModelKqueue,
	type ModelSide,
	ModelWorld,
	type SideName,
} from "./model.ts";

/** What an event list holds where nothing was written. */
const UNTOUCHED: Fields = [-2, 77, 77, 77, 77, "untouched"];

type Where = [filter: number, ident: number];

/** The engine and the model: everything is done to both, and must have the same result. */
class Pair {
	readonly machine: Machine = machine();
	readonly world: ModelWorld = new ModelWorld();

	kqueue(): number {
		const fd = kqueue(this.machine.thread);
		same(fd, this.world.open(new ModelKqueue()), "the kqueue's descriptor");
		return fd;
	}

	open(): number {
		const fd = openFile(this.machine.thread, new SyntheticFile());
		same(fd, this.world.open(new ModelFile()), "the file's descriptor");
		return fd;
	}

	dup(fd: number): void {
		const got = resultOf(() => dup(this.machine.thread, fd));
		same(got, this.world.dup(fd) ?? "EBADF", "dup");
	}

	dup2(fd: number, to: number): void {
		const got = resultOf(() => dup2(this.machine.thread, fd, to));
		same(got, this.world.dup2(fd, to) ?? "EBADF", "dup2");
	}

	close(fd: number): void {
		const code = codeOf(() => close(this.machine.thread, fd));
		same(code, this.world.close(fd) ? "no error" : "EBADF", "close");
	}

	set(fd: number, side: SideName, change: Partial<ModelSide>, quietly: boolean): void {
		const model = this.world.file(fd);
		if (model === null) return;
		if (quietly) this.file(fd).setQuietly(side, change);
		else this.file(fd).set(side, change);
		this.world.set(model, side, change, quietly);
	}

	deny(fd: number, side: SideName, error: number): void {
		const model = this.world.file(fd);
		if (model === null) return;
		this.file(fd).deny(side, error);
		model.denied[side] = error;
	}

	/** With `inPlace` the list of changes is the event list too. */
	kevent(kq: number, changes: readonly KeventChange[], room: number, inPlace = false): void {
		const expected = this.world.kevent(kq, changes, inPlace ? changes.length : room);
		const copies = changes.map(toKevent);
		const events = inPlace ? copies : Array.from({ length: room }, () => new Kevent(...UNTOUCHED));
		const given = inPlace ? copies : changes;
		const result = resultOf(() => keventNow(this.machine.thread, kq, given, events));
		same(result, expected.result, "kevent's result");
		const written = expected.events.length;
		sameRows(fields(events, written), expected.events, "kevent's entries");
		const before = inPlace ? changes.map((change) => rowOf(toKevent(change))) : [];
		const rest = events.slice(written).map((_, i) => before[written + i] ?? UNTOUCHED);
		sameRows(fields(events.slice(written), events.length), rest, "the rest of the event list");
	}

	/** Compares what can be seen of the queues and files, and checks the engine's invariants. */
	check(): void {
		checkMachine(this.machine);
		for (const [fd, object] of this.world.table) {
			if (object instanceof ModelFile) {
				const expected = object.watchers.map(whereOf).reverse();
				sameRows(watchersOf(this.file(fd)), expected, "the watchers of a file");
				continue;
			}
			const file = this.machine.process.fdp.get(fd);
			assert.instance(file, KqueueFile);
			same((file as KqueueFile).kq.nknotes, object.knotes.length, "the number of knotes");
			same(fstat(this.machine.thread, fd).size, object.ready.length, "the size of a kqueue");
		}
	}

	private file(fd: number): SyntheticFile {
		return this.machine.process.fdp.get(fd) as SyntheticFile;
	}
}

/** What a call returns, or the code of what it throws. */
function resultOf(call: () => number): unknown {
	let result = 0;
	const code = codeOf(() => {
		result = call();
	});
	return code === "no error" ? result : code;
}

function toKevent({ ident, filter, flags, fflags, data, udata }: KeventChange): Kevent {
	return new Kevent(ident, filter, flags, fflags, data, udata);
}

function rowOf(kev: Kevent): Fields {
	return fields([kev], 1)[0] as Fields;
}

function whereOf({ filter, ident }: ModelKnote): Where {
	return [filter, ident];
}

/** The watchers of a file, newest first. */
function watchersOf(file: SyntheticFile): Where[] {
	const found: Where[] = [];
	for (let kn = file.klist.first; kn !== null; kn = kn.selnext) found.push([kn.filter, kn.ident]);
	return found;
}

/** assert.is at a fraction of its cost: there are millions of comparisons. */
function same(got: unknown, expected: unknown, what: string): void {
	if (got !== expected) assert.is(got, expected, `${what}: ${got} instead of ${expected}`);
}

function sameRows(
	got: readonly (readonly unknown[])[],
	expected: readonly (readonly unknown[])[],
	what: string,
): void {
	let equal = got.length === expected.length;
	for (let i = 0; equal && i < got.length; i++) {
		equal = (got[i] as unknown[]).every((value, field) => value === expected[i]?.[field]);
	}
	if (!equal) {
		const text = `${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`;
		assert.equal(got, expected, text);
		assert.unreachable(text);
	}
}

type Command =
	| { do: "kevent"; kq: number; changes: KeventChange[]; room: number; inPlace: boolean }
	| { do: "scan"; kq: number; room: number }
	| { do: "set"; fd: number; side: SideName; change: Partial<ModelSide>; quietly: boolean }
	| { do: "deny"; fd: number; side: SideName; error: number }
	| { do: "open" }
	| { do: "dup"; fd: number }
	| { do: "dup2"; fd: number; to: number }
	| { do: "close"; fd: number }
	| { do: "renew"; kq: number };

/** The queues are descriptors 0 and 1, the files come after them. */
const QUEUES = 2;
const FILES = 6;
const MAX_FD = QUEUES + FILES + 2;

const aQueue = fc.nat(QUEUES - 1);
const aFile = fc.integer({ min: QUEUES, max: MAX_FD });
const aSide = fc.constantFrom<SideName>("read", "write");
const aRoom = fc.constantFrom(0, 1, 2, 3, 7, 8, 9, 16, 20);
const anAmount = fc.integer({ min: -2, max: 4 });
const someFflags = fc.constantFrom(0, 0, NOTE_LOWAT, NOTE_LOWAT | NOTE_EOF, 0xffffffff, -1);

const anyFlags = fc
	.subarray([
		EV_ONESHOT,
		EV_CLEAR,
		EV_DISPATCH,
		EV_RECEIPT,
		EV_ENABLE,
		EV_DISABLE,
		EV_DELETE,
		0x100,
	])
	.map((flags) => flags.reduce((all, flag) => all | flag, 0));
const oneFlag = fc.constantFrom(0, 0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH, EV_DISABLE);
const someFlags = fc.oneof(
	{ weight: 6, arbitrary: oneFlag.map((flag) => EV_ADD | flag) },
	{ weight: 3, arbitrary: anyFlags.map((flags) => EV_ADD | flags) },
	{ weight: 3, arbitrary: fc.constantFrom(EV_DELETE, EV_DISABLE, EV_ENABLE, 0) },
	{ weight: 1, arbitrary: anyFlags },
	{ weight: 1, arbitrary: anyFlags.map((flags) => EV_ADD | EV_EOF | EV_ERROR | flags) },
	{ weight: 1, arbitrary: fc.nat(0xffff) },
);

const aChange: fc.Arbitrary<KeventChange> = fc.record(
	{
		ident: fc.oneof(
			{ weight: 20, arbitrary: aFile },
			{ weight: 1, arbitrary: fc.constantFrom(-1, 19, 20, 1023, 0x7fffffff, 2 ** 31, 2 ** 40) },
		),
		filter: fc.oneof(
			{ weight: 20, arbitrary: fc.constantFrom(EVFILT_READ, EVFILT_WRITE) },
			{
				weight: 1,
				arbitrary: fc.constantFrom(EVFILT_AIO, EVFILT_VNODE, EVFILT_DEVICE, -10, 0, 1, 15, -32768),
			},
		),
		flags: someFlags,
		fflags: someFflags,
		data: anAmount,
		udata: fc.constantFrom<unknown>(1, "two", null),
	},
	{ requiredKeys: ["ident", "filter", "flags"] },
);

const someChanges = fc.oneof(
	{ weight: 4, arbitrary: fc.array(aChange, { minLength: 1, maxLength: 3 }) },
	{ weight: 1, arbitrary: fc.array(aChange, { minLength: 6, maxLength: 18 }) },
);

const aSideChange: fc.Arbitrary<Partial<ModelSide>> = fc.record(
	{
		data: anAmount,
		eof: fc.boolean(),
		fflags: fc.constantFrom(0, 5, 0x80000001),
	},
	{ requiredKeys: [] },
);

const aCommand: fc.Arbitrary<Command> = fc.oneof(
	{
		weight: 8,
		arbitrary: fc.record({
			do: fc.constant("kevent" as const),
			kq: fc.oneof({ weight: 20, arbitrary: aQueue }, { weight: 1, arbitrary: aFile }),
			changes: someChanges,
			room: aRoom,
			inPlace: fc.boolean(),
		}),
	},
	{
		weight: 6,
		arbitrary: fc.record({ do: fc.constant("scan" as const), kq: aQueue, room: aRoom }),
	},
	{
		weight: 8,
		arbitrary: fc.record({
			do: fc.constant("set" as const),
			fd: aFile,
			side: aSide,
			change: aSideChange,
			quietly: fc.boolean(),
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({
			do: fc.constant("deny" as const),
			fd: aFile,
			side: aSide,
			error: fc.constantFrom(0, 0, errno.EPIPE, errno.ENXIO),
		}),
	},
	{ weight: 2, arbitrary: fc.constant({ do: "open" as const }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("dup" as const), fd: aFile }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("dup2" as const), fd: aFile, to: aFile }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("close" as const), fd: aFile }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("renew" as const), kq: aQueue }) },
);

function perform(pair: Pair, command: Command): void {
	switch (command.do) {
		case "kevent":
			pair.kevent(command.kq, command.changes, command.room, command.inPlace);
			break;
		case "scan":
			pair.kevent(command.kq, [], command.room);
			break;
		case "set":
			pair.set(command.fd, command.side, command.change, command.quietly);
			break;
		case "deny":
			pair.deny(command.fd, command.side, command.error);
			break;
		case "open":
			if (pair.world.table.size <= MAX_FD) pair.open();
			break;
		case "dup":
			if (pair.world.table.size <= MAX_FD) pair.dup(command.fd);
			break;
		case "dup2":
			pair.dup2(command.fd, command.to);
			break;
		case "close":
			pair.close(command.fd);
			break;
		case "renew":
			pair.close(command.kq);
			same(pair.kqueue(), command.kq, "the number that was free");
			break;
	}
}

test("random commands have the same results in the engine and in the model", () => {
	fc.assert(
		fc.property(fc.array(aCommand, { size: "+1", maxLength: 60 }), (commands) => {
			const pair = new Pair();
			for (let i = 0; i < QUEUES; i++) pair.kqueue();
			for (let i = 0; i < FILES; i++) pair.open();
			for (const command of commands) {
				perform(pair, command);
				pair.check();
			}
		}),
		{ numRuns: 2000, includeErrorInReport: true },
	);
});

/** The two knotes of the exhaustive tests. */
interface Two {
	readonly pair: Pair;
	readonly kq: number;
	readonly a: number;
	readonly b: number;
}

type Operation = (two: Two) => void;

/** Makes a change; it asks for a receipt, which is cheaper than a thrown error. */
function changeOf(which: "a" | "b", flags: number, fflags = 0, data = 0): Operation {
	const asked = flags | EV_RECEIPT;
	return (two) => {
		const change = {
			ident: two[which],
			filter: EVFILT_READ,
			flags: asked,
			fflags,
			data,
			udata: flags,
		};
		two.pair.kevent(two.kq, [change], 1);
	};
}

function told(change: Partial<ModelSide>): Operation {
	return ({ pair, a }) => pair.set(a, "read", change, false);
}

function untold(change: Partial<ModelSide>): Operation {
	return ({ pair, a }) => pair.set(a, "read", change, true);
}

const scanOne: Operation = ({ pair, kq }) => pair.kevent(kq, [], 1);
const scanAll: Operation = ({ pair, kq }) => pair.kevent(kq, [], 3);

/** After a sequence the rest must be the same too: what is ready, and what becomes ready if enabled. */
function drain(two: Two): void {
	scanAll(two);
	changeOf("a", EV_ENABLE)(two);
	changeOf("b", EV_ENABLE)(two);
	scanAll(two);
}

/**
 * Performs all sequences of `length` of the operations, and with that all shorter ones, as their
 * beginnings. Returns how many.
 */
function exhaust(operations: Readonly<Record<string, Operation>>, length: number): number {
	const names = Object.keys(operations);
	const list = Object.values(operations);
	const total = list.length ** length;
	const pair = new Pair();
	let performed = 0;
	for (let sequence = 0; sequence < total; sequence++) {
		const kq = pair.kqueue();
		const a = pair.open();
		pair.dup(a);
		const two: Two = { pair, kq, a, b: a + 1 };
		const steps: number[] = [];
		for (let rest = sequence, i = 0; i < length; i++) {
			steps.push(rest % list.length);
			rest = Math.floor(rest / list.length);
		}
		try {
			for (const step of steps) {
				(list[step] as Operation)(two);
				pair.check();
			}
			drain(two);
			for (const fd of [two.b, a, kq]) pair.close(fd);
			performed++;
		} catch (error) {
			const text = error instanceof Error ? error.message : String(error);
			throw new Error(`${steps.map((step) => names[step]).join(", ")}: ${text}`, { cause: error });
		}
	}
	return performed;
}

test("two knotes of one file are the same in the model after any five operations", () => {
	const sequences = exhaust(
		{
			"add a": changeOf("a", EV_ADD),
			"add a, clear": changeOf("a", EV_ADD | EV_CLEAR),
			"add a, oneshot": changeOf("a", EV_ADD | EV_ONESHOT),
			"add a, dispatch": changeOf("a", EV_ADD | EV_DISPATCH),
			"disable a": changeOf("a", EV_DISABLE),
			"enable a": changeOf("a", EV_ENABLE),
			"delete a": changeOf("a", EV_DELETE),
			"add b": changeOf("b", EV_ADD),
			ready: told({ data: 1 }),
			"unready, untold": untold({ data: 0 }),
			"scan 1": scanOne,
		},
		5,
	);
	assert.is(sequences, 161_051);
});

test("two knotes of a ready file are the same in the model after any five changes of their flags", () => {
	const sequences = exhaust(
		{
			"add a, clear, dispatch": changeOf("a", EV_ADD | EV_CLEAR | EV_DISPATCH),
			"add a, disabled": changeOf("a", EV_ADD | EV_DISABLE),
			"add a for two bytes": changeOf("a", EV_ADD, NOTE_LOWAT, 2),
			"add a, enable": changeOf("a", EV_ADD | EV_ENABLE),
			"add b, oneshot": changeOf("b", EV_ADD | EV_ONESHOT),
			"disable b": changeOf("b", EV_DISABLE),
			"enable b": changeOf("b", EV_ENABLE),
			"two bytes": told({ data: 2 }),
			"one byte, untold": untold({ data: 1 }),
			"end of file": told({ data: 0, eof: true, fflags: 9 }),
			"no end, untold": untold({ eof: false }),
			"scan 1": scanOne,
		},
		5,
	);
	assert.is(sequences, 248_832);
});

test.run();

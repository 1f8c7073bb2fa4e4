// Descriptor tables against maps from numbers to files.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, FD_CLOEXEC } from "../../src/fcntl.ts";
import {
	close,
	dup,
	dup2,
	exec,
	fcntl,
	fork,
	ioctl,
	kqueue,
	openFile,
	type Process,
	SyntheticFile,
} from "../../src/index.ts";
import { FIOCLEX, FIONCLEX } from "../../src/ioctl.ts";
import { closefrom } from "../../src/unistd.ts";
import { checkMachine, codeOf, type Machine, machine } from "../machine.ts";

/** An open file, and how often it was closed for good. */
interface Opened {
	/** Null for a kqueue. */
	readonly file: SyntheticFile | null;
	closed: number;
}

/** A descriptor. */
interface Slot {
	readonly opened: Opened;
	cloexec: boolean;
}

/** A process and what its table must hold. */
interface Subject {
	readonly process: Process;
	readonly slots: Map<number, Slot>;
	/** The numbers that calls have reserved. */
	readonly reserved: Set<number>;
	size: number;
}

type Command =
	| { do: "open" | "kqueue" | "exec" | "fork" | "reserve" }
	| { do: "close" | "closefrom" | "dup" | "release"; fd: number }
	| { do: "dup2" | "dupfd" | "dupfd cloexec"; fd: number; to: number }
	| { do: "cloexec"; fd: number; on: boolean; how: "fcntl" | "ioctl" };

type Result = number | string;

/** Sizes that a table can have: 20, 50, then doubled. */
function roomFor(fd: number, size: number): number {
	const sizes = [20, 50, 100, 200, 400, 800, 1600];
	return sizes.find((it) => it > fd && it >= size) as number;
}

/** The size of a child's table, whose parent uses descriptors up to `last`. */
function sizeForChild(last: number, size: number): number {
	if (last < 20) return 20;
	const sizes = [50, 100, 200, 400, 800, 1600];
	return sizes.filter((it) => it <= size && (it < 100 || it <= 2 * last)).at(-1) as number;
}

/** A machine of processes that fork, with maps of their descriptors for comparison. */
class World {
	private readonly machine: Machine;
	private readonly limit: number;
	private readonly opened: Opened[] = [];
	readonly subjects: Subject[] = [];

	constructor(limit: number) {
		this.limit = limit;
		this.machine = machine({ maxfiles: limit });
		this.subjects.push({
			process: this.machine.process,
			slots: new Map(),
			reserved: new Set(),
			size: 20,
		});
	}

	/** Does a command in a process; the engine's result must be the map's result. */
	perform(subject: Subject, command: Command): void {
		let got: Result = 0;
		const opened: Opened = { file: command.do === "kqueue" ? null : this.newFile(), closed: 0 };
		const code = codeOf(() => {
			got = this.call(subject, command, opened);
		});
		const expected = this.expect(subject, command, opened);
		assert.is(code === "no error" ? got : code, expected, JSON.stringify(command));
		this.check();
	}

	private newFile(): SyntheticFile {
		const file: SyntheticFile = new SyntheticFile({
			close: () => {
				for (const it of this.opened) if (it.file === file) it.closed++;
			},
		});
		return file;
	}

	private call({ process }: Subject, command: Command, { file }: Opened): Result {
		const thread = process.main;
		switch (command.do) {
			case "open":
				return openFile(thread, file as SyntheticFile);
			case "kqueue":
				return kqueue(thread);
			case "close":
				close(thread, command.fd);
				return 0;
			case "closefrom":
				closefrom(thread, command.fd);
				return 0;
			case "dup":
				return dup(thread, command.fd);
			case "dup2":
				return dup2(thread, command.fd, command.to);
			case "dupfd":
				return fcntl(thread, command.fd, F_DUPFD, command.to);
			case "dupfd cloexec":
				return fcntl(thread, command.fd, F_DUPFD_CLOEXEC, command.to);
			case "cloexec":
				if (command.how === "ioctl")
					return ioctl(thread, command.fd, command.on ? FIOCLEX : FIONCLEX);
				return fcntl(thread, command.fd, F_SETFD, command.on ? FD_CLOEXEC : 0);
			case "reserve": {
				const fd = process.fdp.reserve();
				return fd < 0 ? "EMFILE" : fd;
			}
			case "release":
				process.fdp.release(command.fd);
				return 0;
			case "exec":
				exec(thread);
				return 0;
			case "fork":
				if (this.subjects.length < 3) this.forked(process);
				return 0;
		}
	}

	private forked(process: Process): void {
		const parent = this.subjects.find((it) => it.process === process) as Subject;
		const slots = new Map<number, Slot>();
		for (const [fd, slot] of parent.slots)
			if (slot.opened.file !== null) slots.set(fd, { ...slot });
		const last = Math.max(-1, ...parent.slots.keys(), ...parent.reserved);
		const size = sizeForChild(last, parent.size);
		this.subjects.push({ process: fork(process.main), slots, reserved: new Set(), size });
	}

	private expect(subject: Subject, command: Command, opened: Opened): Result {
		const { slots, reserved } = subject;
		const slot = "fd" in command ? slots.get(command.fd) : undefined;
		switch (command.do) {
			case "open":
			case "kqueue": {
				const fd = this.put(subject, 0, { opened, cloexec: false });
				if (typeof fd === "number") this.opened.push(opened);
				return fd;
			}
			case "close":
				return slots.delete(command.fd) ? 0 : "EBADF";
			case "closefrom": {
				const from = [...slots.keys()].filter((fd) => fd >= command.fd);
				const kept = [...reserved].some((fd) => fd >= command.fd);
				if (command.fd < 0 || (from.length === 0 && !kept)) return "EBADF";
				for (const fd of from) slots.delete(fd);
				return 0;
			}
			case "dup":
				if (slot === undefined) return "EBADF";
				return this.put(subject, 0, { ...slot, cloexec: false });
			case "dup2":
				if (slot === undefined || command.to < 0 || command.to >= this.limit) return "EBADF";
				if (command.fd === command.to) return command.to;
				if (reserved.has(command.to)) return "EBUSY";
				slots.set(command.to, { ...slot, cloexec: false });
				subject.size = roomFor(command.to, subject.size);
				return command.to;
			case "dupfd":
			case "dupfd cloexec":
				if (slot === undefined) return "EBADF";
				if (command.to < 0 || command.to >= this.limit) return "EINVAL";
				return this.put(subject, command.to, { ...slot, cloexec: command.do !== "dupfd" });
			case "cloexec":
				if (slot === undefined) return "EBADF";
				slot.cloexec = command.on;
				return 0;
			case "reserve": {
				const fd = this.put(subject, 0, null);
				if (typeof fd === "number") reserved.add(fd);
				return fd;
			}
			case "release":
				reserved.delete(command.fd);
				return 0;
			case "exec":
				for (const [fd, { cloexec }] of [...slots]) if (cloexec) slots.delete(fd);
				return 0;
			case "fork":
				return 0;
		}
	}

	/** Fills the lowest free number from `from` on, unless it is only to be reserved. */
	private put(subject: Subject, from: number, slot: Slot | null): Result {
		let fd = from;
		while (subject.slots.has(fd) || subject.reserved.has(fd)) fd++;
		if (fd >= this.limit) return "EMFILE";
		if (slot !== null) subject.slots.set(fd, slot);
		subject.size = roomFor(fd, subject.size);
		return fd;
	}

	private check(): void {
		checkMachine(this.machine);
		const references = new Map<Opened, number>();
		for (const { process, slots, size } of this.subjects) {
			const { fdp } = process;
			const numbers = [...slots.keys()].sort((a, b) => a - b);
			assert.equal([...fdp.open()], numbers, "the open numbers");
			assert.is(fdp.size, size, "the size of the table");
			for (const [fd, { opened, cloexec }] of slots) {
				references.set(opened, (references.get(opened) ?? 0) + 1);
				if (opened.file === null) assert.is(fdp.get(fd)?.type, "kqueue");
				else assert.is(fdp.get(fd), opened.file, "the file");
				const flags = fcntl(process.main, fd, F_GETFD);
				assert.is(flags, cloexec ? FD_CLOEXEC : 0, "close-on-exec");
			}
			for (const fd of [-1, size, 0.5, Number.NaN, 2 ** 31]) assert.is(fdp.get(fd), null);
		}
		for (const opened of this.opened) {
			const count = references.get(opened) ?? 0;
			if (opened.file === null) continue;
			assert.is(opened.file.refs, count, "the references of a file");
			assert.is(opened.closed, count === 0 ? 1 : 0, "how often a file was closed");
		}
	}
}

/** Small numbers, so that they meet; some where a table grows; some that are not descriptors. */
const aNumber = fc.oneof(
	{ weight: 12, arbitrary: fc.nat(12) },
	{ weight: 2, arbitrary: fc.constantFrom(19, 20, 49, 50, 51, 99, 100, 130) },
	{ weight: 1, arbitrary: fc.constantFrom(-1, 199, 200, 1023, 2 ** 31) },
);
const aCommand: fc.Arbitrary<Command> = fc.oneof(
	{
		weight: 8,
		arbitrary: fc.record({ do: fc.constantFrom("open", "open", "open", "kqueue") }),
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constantFrom("exec", "fork") }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("reserve" as const) }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("release" as const), fd: aNumber }) },
	{
		weight: 6,
		arbitrary: fc.record({ do: fc.constantFrom("close", "close", "dup"), fd: aNumber }),
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("closefrom" as const), fd: aNumber }) },
	{
		weight: 5,
		arbitrary: fc.record({
			do: fc.constantFrom("dup2", "dupfd", "dupfd cloexec"),
			fd: aNumber,
			to: aNumber,
		}),
	},
	{
		weight: 3,
		arbitrary: fc.record({
			do: fc.constant("cloexec" as const),
			fd: aNumber,
			on: fc.boolean(),
			how: fc.constantFrom("fcntl", "ioctl"),
		}),
	},
);

test("descriptors are the lowest free numbers of tables that grow in steps up to the limit", () => {
	const commands = fc.array(fc.tuple(fc.nat(2), aCommand), { size: "+1", maxLength: 50 });
	// Limits on both sides of the sizes of a table.
	const limits = fc.constantFrom(0, 5, 20, 21, 50, 60, 120, 1024);
	fc.assert(
		fc.property(limits, commands, (limit, commands) => {
			const world = new World(limit);
			for (const [who, command] of commands) {
				world.perform(world.subjects[who % world.subjects.length] as Subject, command);
			}
		}),
		{ numRuns: 1000, includeErrorInReport: true },
	);
});

test("a table that is filled grows to 50 and then doubles, and at its limit refuses one more", () => {
	const { process, thread } = machine({ maxfiles: 230 });
	const sizes: Record<number, number> = {};
	for (let fd = 0; fd < 230; fd++) {
		assert.is(openFile(thread, new SyntheticFile()), fd);
		sizes[process.fdp.size] ??= fd;
	}
	assert.equal(sizes, { 20: 0, 50: 20, 100: 50, 200: 100, 400: 200 });
	assert.is(
		codeOf(() => openFile(thread, new SyntheticFile())),
		"EMFILE",
	);
	assert.is(process.fdp.size, 400);
});

test.run();

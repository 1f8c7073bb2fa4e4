// What poll and select remember from call to call never shows: a thread that has called before
// gets the same results as a new one.
import { close, errno, openFile, SyntheticFile, type Thread } from "@kqpoll/kqueue";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	FdSet,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	type Pollfd,
	pollNow,
	selectNow,
} from "../src/index.ts";
import { type Machine, machine } from "./machine.ts";

const FDS = 5;
const aFd = fc.nat(FDS - 1);
const aSide = fc.constantFrom("read" as const, "write" as const, "except" as const);

type Step =
	| { do: "set" | "quiet"; fd: number; side: "read" | "write" | "except"; data: number }
	| { do: "end" | "reopen" | "close" | "invalidate"; fd: number }
	| { do: "poll"; entries: [fd: number, events: number][] }
	| { do: "select"; nfds: number; sets: (number[] | null)[] }
	| { do: "again" };

const aStep: fc.Arbitrary<Step> = fc.oneof(
	fc.record({
		do: fc.constantFrom("set" as const, "quiet" as const),
		fd: aFd,
		side: aSide,
		data: fc.nat(1),
	}),
	fc.record({
		do: fc.constantFrom("end" as const, "reopen" as const, "close" as const, "invalidate" as const),
		fd: aFd,
	}),
	fc.record({
		do: fc.constant("poll" as const),
		entries: fc.array(
			fc.tuple(
				fc.integer({ min: -1, max: FDS }),
				fc.constantFrom(0, POLLIN, POLLOUT, POLLPRI, POLLIN | POLLOUT, POLLIN | POLLPRI),
			),
			{ maxLength: 20, size: "max" },
		),
	}),
	fc.record({
		do: fc.constant("select" as const),
		nfds: fc.nat(FDS + 1),
		sets: fc.array(fc.option(fc.uniqueArray(aFd)), { minLength: 3, maxLength: 3 }),
	}),
	{ weight: 5, arbitrary: fc.constant({ do: "again" as const }) },
);

/** Five descriptors, a thread that remembers, and the last calls. */
class World {
	readonly machine: Machine = machine();
	readonly files: SyntheticFile[] = [];
	entries: [number, number][] = [];
	nfds = 0;
	sets: (number[] | null)[] = [null, null, null];

	constructor() {
		for (let fd = 0; fd < FDS; fd++) this.open(fd);
	}

	open(fd: number): void {
		const file = new SyntheticFile();
		this.files[fd] = file;
		assert.is(openFile(this.machine.thread, file), fd);
	}

	isOpen(fd: number): boolean {
		return this.machine.process.fdp.get(fd) !== null;
	}

	/** The outcome of a poll: its result and all revents. */
	poll(thread: Thread): unknown {
		const list = this.entries.map(([fd, events]): Pollfd => ({ fd, events, revents: -1 }));
		const n = pollNow(thread, list);
		return [n, list.map(({ revents }) => revents)];
	}

	/** The outcome of a select: its result and all sets, or its error. */
	select(thread: Thread): unknown {
		const sets = this.sets.map((fds) => (fds === null ? null : new FdSet(fds)));
		const [read, write, except] = sets as [FdSet | null, FdSet | null, FdSet | null];
		let result: unknown;
		try {
			result = selectNow(thread, this.nfds, read, write, except);
		} catch (error) {
			result = (error as { code: string }).code;
		}
		return [result, ...sets.map((set) => set && [...set])];
	}

	run(step: Step): void {
		const { thread } = this.machine;
		switch (step.do) {
			case "set":
				this.files[step.fd]?.set(step.side, { data: step.data });
				return;
			case "quiet":
				this.files[step.fd]?.setQuietly(step.side, { data: step.data });
				return;
			case "end":
				// An end of file that is undone would still show in a knote, as in the original.
				this.files[step.fd]?.set("read", { eof: true, hup: true });
				return;
			case "invalidate":
				// The object is gone: a new watch would be for another one.
				this.files[step.fd]?.invalidate();
				this.reopen(step.fd);
				return;
			case "close":
				if (this.isOpen(step.fd)) close(thread, step.fd);
				return;
			case "reopen":
				this.reopen(step.fd);
				return;
			case "poll":
				this.entries = step.entries;
				return;
			case "select":
				this.nfds = step.nfds;
				this.sets = step.sets;
				return;
			case "again":
				return;
		}
	}

	/** Another file at the number; closed numbers below it are opened too. */
	reopen(fd: number): void {
		if (this.isOpen(fd)) close(this.machine.thread, fd);
		for (let each = 0; each <= fd; each++) if (!this.isOpen(each)) this.open(each);
	}

	compare(): void {
		const { process, thread } = this.machine;
		const fresh = process.spawnThread();
		assert.equal(this.poll(thread), this.poll(fresh), "poll");
		assert.equal(this.select(thread), this.select(fresh), "select");
	}
}

test("a thread that has polled and selected before gets the same as a new thread", () => {
	fc.assert(
		fc.property(fc.array(aStep, { maxLength: 40, size: "max" }), (steps) => {
			const world = new World();
			for (const step of steps) {
				world.run(step);
				world.compare();
			}
		}),
		{ numRuns: Number(process.env["REMEMBERED_RUNS"] ?? 300) },
	);
});

test("the first poll may be of descriptor 0, without events", () => {
	const { thread } = machine();
	const list = [{ fd: 0, events: 0, revents: -1 }];
	assert.is(pollNow(thread, list), 1);
	assert.is(list[0]?.revents, POLLNVAL);
	openFile(thread, new SyntheticFile());
	assert.is(pollNow(thread, list), 0);
	assert.is(list[0]?.revents, 0);
});

test("a filter that was refused is registered again in the next call, another one is remembered", () => {
	const { thread } = machine();
	const file = new SyntheticFile();
	file.deny("read", errno.EIO);
	file.setQuietly("read", { data: 1 });
	const list = [{ fd: openFile(thread, file), events: POLLIN | POLLOUT, revents: 0 }];
	for (let turn = 0; turn < 2; turn++) {
		assert.is(pollNow(thread, list), 1);
		assert.is(list[0]?.revents, 0x8, "POLLERR, each time");
	}
	file.deny("read", 0);
	assert.is(pollNow(thread, list), 1);
	assert.is(list[0]?.revents, POLLIN);
});

test.run();

// On demand the same values come as without: in order, one for each request, and never inside one.
import { mkfifo, openNow, pipe, socketpair, Tree } from "@kqpoll/files";
import { O_RDONLY, O_WRONLY } from "@kqpoll/files/fcntl";
import {
	close,
	exit,
	fork,
	kill,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	type Process,
	readNow,
	sigaction,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { SIG_IGN, SIGPIPE, SIGUSR1 } from "@kqpoll/kqueue/signal";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	type Demand,
	type DemandObservable,
	kernelTimer,
	processEvents,
	readable,
	readBytes,
	signals,
} from "../src/index.ts";
import { type World, world } from "./world.ts";

/** An observer that asks for values, and checks that the source keeps its promises. */
class Asker<T> {
	readonly values: T[] = [];
	/** "done" or the code of an error, once it has ended. */
	end: string | null = null;
	/** How many more values it asks for inside the one before. */
	eager = 0;
	private readonly demand: Demand;
	private readonly show: (value: T) => void;
	private owed = false;
	private calling = true;
	private closed = false;

	constructor(source: DemandObservable<T>, show: (value: T) => void = () => {}) {
		this.show = show;
		this.demand = source.connect({
			next: (value) => this.take(value),
			error: (error) => this.finish((error as { code: string }).code),
			complete: () => this.finish("done"),
		});
		this.calling = false;
	}

	/** Asks for a value, if it does not wait for one already. */
	ask(): void {
		if (this.owed || this.closed) return;
		this.owed = true;
		const { calling } = this;
		this.calling = true;
		this.demand.request();
		this.calling = calling;
	}

	close(): void {
		this.closed = true;
		this.demand.close();
	}

	private check(): void {
		assert.not(this.calling, "nothing comes inside request or connect");
		assert.not(this.closed, "nothing comes after close");
		assert.is(this.end, null, "nothing comes after the end");
	}

	private take(value: T): void {
		this.check();
		assert.ok(this.owed, "a value comes when one was asked for");
		this.owed = false;
		this.values.push(value);
		this.show(value);
		if (this.eager > 0) {
			this.eager--;
			this.ask();
		}
	}

	private finish(end: string): void {
		this.check();
		this.end = end;
	}
}

/** What the observer does: it asks, several times in a row, or waits for what it has asked for. */
type Asking = { readonly do: "ask"; readonly eager: number } | { readonly do: "settle" };

const asking: fc.Arbitrary<Asking> = fc.oneof(
	fc.record({ do: fc.constant("ask" as const), eager: fc.integer({ min: 0, max: 3 }) }),
	fc.record({ do: fc.constant("settle" as const) }),
);

function act<T>(w: World, asker: Asker<T> | null, step: Asking): void {
	if (step.do === "settle") {
		w.host.settle();
	} else if (asker !== null) {
		asker.eager = step.eager;
		asker.ask();
	}
}

/** Asks until nothing comes any more. */
function askAll<T>(w: World, asker: Asker<T>): void {
	asker.eager = 0;
	for (let before = -1; before !== asker.values.length; w.host.settle()) {
		before = asker.values.length;
		asker.ask();
	}
}

const ENDS: readonly ((thread: Thread) => readonly [number, number])[] = [
	(thread) => pipe(thread),
	(thread) => socketpair(thread, "stream"),
	(thread) => {
		const tree = new Tree();
		mkfifo(thread, tree, "/fifo");
		const reader = openNow(thread, tree, "/fifo", O_RDONLY | O_NONBLOCK);
		return [reader, openNow(thread, tree, "/fifo", O_WRONLY)];
	},
];

/** What is done to a pair of ends. */
type Step =
	| Asking
	| { readonly do: "write"; readonly n: number }
	| { readonly do: "steal"; readonly n: number }
	| { readonly do: "end" | "shut" | "leave" };

const writing = fc.record({
	do: fc.constant("write" as const),
	n: fc.integer({ min: 1, max: 3000 }),
});
const stealing = fc.record({
	do: fc.constant("steal" as const),
	n: fc.integer({ min: 1, max: 2000 }),
});
const ending = fc.record({
	do: fc.constantFrom("end" as const, "shut" as const, "leave" as const),
});
/** Sometimes another reader reads, and sometimes an end is closed early. */
const steps: fc.Arbitrary<Step[]> = fc.array(
	fc.oneof(
		{ weight: 6, arbitrary: asking },
		{ weight: 5, arbitrary: writing },
		{ weight: 2, arbitrary: stealing },
		{ weight: 1, arbitrary: ending },
	),
	{ maxLength: 40 },
);
const ends = fc.constantFrom(...ENDS);
const size = fc.integer({ min: 1, max: 2500 });

/** Writes up to `n` bytes, as many as there is room for, that continue those before. */
function writeOn(thread: Thread, fd: number, n: number, before: number): number {
	try {
		return writeNow(
			thread,
			fd,
			Uint8Array.from({ length: n }, (_, i) => (before + i) % 251),
		);
	} catch {
		return 0;
	}
}

function steal(thread: Thread, fd: number, n: number): Uint8Array {
	const buffer = new Uint8Array(n);
	try {
		return buffer.subarray(0, readNow(thread, fd, buffer));
	} catch {
		return buffer.subarray(0, 0);
	}
}

test("with any readers, on demand or not, all bytes come once and in order", () => {
	fc.assert(
		fc.property(ends, size, steps, (make, size, script) => {
			const w = world();
			sigaction(w.thread, SIGPIPE, SIG_IGN);
			const [reader, writer] = make(w.thread);
			const came: number[] = [];
			let written = 0;
			const asker = new Asker(readBytes(w.thread, reader, { size }), (chunk) =>
				came.push(...chunk),
			);
			let [open, shut, left] = [true, false, false];
			for (const step of script) {
				if (step.do === "write" && open) written += writeOn(w.thread, writer, step.n, written);
				else if (step.do === "steal" && !shut) came.push(...steal(w.thread, reader, step.n));
				else if (step.do === "end" && open) {
					open = false;
					close(w.thread, writer);
				} else if (step.do === "shut" && !shut) {
					shut = true;
					close(w.thread, reader);
				} else if (step.do === "leave" && !left) {
					left = true;
					asker.close();
				} else if (step.do === "ask" || step.do === "settle") {
					act(w, left ? null : asker, step);
				}
			}
			if (!left) askAll(w, asker);
			if (!left && !shut) {
				if (open) close(w.thread, writer);
				askAll(w, asker);
			}
			assert.equal(
				came,
				Array.from({ length: came.length }, (_, i) => i % 251),
			);
			// All bytes have come except those lost with the descriptor or taken by other readers.
			if (!left && !shut) assert.is(came.length, written);
			const possible: (string | null)[] = ["done"];
			if (shut) possible.push("EBADF");
			if (left) possible.push(null);
			assert.ok(possible.includes(asker.end), `${asker.end}`);
			asker.close();
			w.checkClean();
		}),
		{ numRuns: 300 },
	);
});

test("on demand the same bytes come as without", () => {
	const own = fc.array(fc.oneof(asking, writing), { maxLength: 40 });
	fc.assert(
		fc.property(ends, size, own, (make, size, script) => {
			const run = (
				onDemand: boolean,
			): { readonly bytes: number[]; readonly end: string | null } => {
				const w = world();
				const [reader, writer] = make(w.thread);
				const bytes: number[] = [];
				const source = readBytes(w.thread, reader, { size });
				const asker = onDemand ? new Asker(source, (chunk) => bytes.push(...chunk)) : null;
				let end: string | null = null;
				if (!onDemand)
					source.subscribe({
						next: (chunk) => bytes.push(...chunk),
						complete: () => {
							end = "done";
						},
					});
				let written = 0;
				for (const step of script) {
					if (step.do === "write") {
						// Without demand there may be room where there is none with demand.
						w.host.settle();
						if (asker !== null) askAll(w, asker);
						written += writeOn(w.thread, writer, step.n, written);
					} else {
						act(w, asker, step);
					}
				}
				close(w.thread, writer);
				w.host.settle();
				if (asker !== null) askAll(w, asker);
				w.checkClean();
				return { bytes, end: asker === null ? end : asker.end };
			};
			assert.equal(run(true), run(false));
		}),
		{ numRuns: 100 },
	);
});

/** Adds up the counts of events, on demand and without, while things happen and time passes. */
function counted<T>(
	source: (w: World) => DemandObservable<T>,
	count: (value: T) => number,
	happen: (w: World, n: number) => void,
	script: readonly (Asking | { readonly do: "happen"; readonly n: number })[],
): [asked: number, pushed: number] {
	const sums = [true, false].map((onDemand) => {
		const w = world();
		sigaction(w.thread, SIGUSR1, SIG_IGN);
		let sum = 0;
		const add = (value: T): void => {
			assert.ok(count(value) > 0, "an event has something to count");
			sum += count(value);
		};
		const asker = onDemand ? new Asker(source(w), add) : null;
		const subscription = onDemand ? null : source(w).subscribe(add);
		for (const step of script) {
			if (step.do === "happen") happen(w, step.n);
			else act(w, asker, step);
		}
		w.host.settle();
		if (asker !== null) askAll(w, asker);
		asker?.close();
		subscription?.unsubscribe();
		w.checkClean();
		return sum;
	});
	return sums as [number, number];
}

const happenings = fc.array(
	fc.oneof(
		asking,
		fc.record({ do: fc.constant("happen" as const), n: fc.integer({ min: 1, max: 30 }) }),
	),
	{ maxLength: 40 },
);

test("on demand as many signals are counted as without, and as were sent", () => {
	fc.assert(
		fc.property(happenings, (script) => {
			const send = (w: World, n: number): void => {
				for (let i = 0; i < n; i++) kill(w.thread, w.process.pid, SIGUSR1);
			};
			const sent = script.reduce((sum, step) => sum + (step.do === "happen" ? step.n : 0), 0);
			const sums = counted(
				(w) => signals(w.thread, SIGUSR1),
				({ count }) => count,
				send,
				script,
			);
			assert.equal(sums, [sent, sent]);
		}),
		{ numRuns: 150 },
	);
});

test("on demand as many periods of a timer are counted as without, and as have passed", () => {
	fc.assert(
		fc.property(happenings, fc.integer({ min: 1, max: 50 }), (script, ms) => {
			const pass = (w: World, n: number): void => w.host.advance(n);
			const time = script.reduce((sum, step) => sum + (step.do === "happen" ? step.n : 0), 0);
			const periods = Math.floor(time / ms);
			const sums = counted(
				(w) => kernelTimer(w.thread, ms),
				({ expirations }) => expirations,
				pass,
				script,
			);
			assert.equal(sums, [periods, periods]);
		}),
		{ numRuns: 150 },
	);
});

test("an event on demand tells the state at that moment", () => {
	const step = fc.oneof(
		asking,
		fc.record({ do: fc.constant("set" as const), data: fc.integer({ min: 0, max: 3 }) }),
	);
	fc.assert(
		fc.property(fc.array(step, { maxLength: 40 }), (script) => {
			const w = world();
			const asker = new Asker(readable(w.thread, w.fd), ({ bytes }) => {
				assert.ok(bytes > 0);
				assert.is(bytes, w.file.readiness("read").data);
			});
			for (const each of script) {
				if (each.do === "set") w.file.set("read", { data: each.data });
				else act(w, asker, each);
			}
			w.file.set("read", { data: 7, eof: true });
			askAll(w, asker);
			assert.equal([asker.values.at(-1)?.bytes, asker.end], [7, "done"]);
			w.checkClean();
		}),
		{ numRuns: 150 },
	);
});

test("every fork and exit of followed processes comes, one event at a time", () => {
	const step = fc.oneof(
		asking,
		fc.record({ do: fc.constantFrom("fork" as const, "exit" as const), which: fc.nat(20) }),
	);
	fc.assert(
		fc.property(fc.array(step, { maxLength: 40 }), (script) => {
			const w = world();
			const first = fork(w.thread);
			const notes = NOTE_FORK | NOTE_EXIT | NOTE_TRACK;
			const parents: [number, number][] = [];
			const seen = { parents: [] as [number, number][], exits: [] as [number, number | null][] };
			const asker = new Asker(processEvents(w.thread, first.pid, notes), (event) => {
				if (event.parent !== null) seen.parents.push([event.pid, event.parent]);
				if (event.exited) seen.exits.push([event.pid, event.exitStatus]);
			});
			const running: Process[] = [first];
			const exits: [number, number][] = [];
			const end = (process: Process): void => {
				running.splice(running.indexOf(process), 1);
				exits.push([process.pid, exits.length]);
				exit(process.main, exits.length - 1);
			};
			for (const each of script) {
				if (each.do === "ask" || each.do === "settle") {
					act(w, asker, each);
					continue;
				}
				const process = running[each.which % running.length];
				if (process === undefined) continue;
				if (each.do === "exit") {
					end(process);
				} else {
					const child = fork(process.main);
					parents.push([child.pid, process.pid]);
					running.push(child);
				}
			}
			for (const process of [...running]) end(process);
			askAll(w, asker);
			const byPid = (a: readonly unknown[], b: readonly unknown[]): number =>
				Number(a[0]) - Number(b[0]);
			assert.equal([seen.exits.sort(byPid), asker.end], [exits.sort(byPid), "done"]);
			// If a child's exit came first, the event tells of both.
			for (const [pid, parent] of seen.parents)
				assert.equal(parents.find(([child]) => child === pid)?.[1], parent);
			w.checkClean();
		}),
		{ numRuns: 150 },
	);
});

test.run();

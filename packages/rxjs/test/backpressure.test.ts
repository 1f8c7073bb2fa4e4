// withBackpressure: like concatMap and mergeMap, except that the source waits.
import { pipe, socketpair } from "@kqpoll/files";
import { POLLOUT, type Pollfd, pollNow } from "@kqpoll/kqpoll";
import {
	close,
	EV_DISPATCH,
	EVFILT_READ,
	ioctl,
	type Thread,
	threadExit,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import fc from "fast-check";
import {
	concat,
	concatMap,
	delay,
	EMPTY,
	from,
	mergeMap,
	NEVER,
	Observable,
	type ObservableInput,
	of,
	type SchedulerLike,
	Subject,
	take,
	throwError,
} from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	DemandObservable,
	fromKevent,
	kernelScheduler,
	kernelTimer,
	readable,
	readBytes,
	withBackpressure,
	writeBytes,
} from "../src/index.ts";
import { type World, world } from "./world.ts";

/** A source on demand, and how it was used. */
interface Supply<T> {
	readonly source: DemandObservable<T>;
	/** How many values it was asked for. */
	asked: number;
	/** Whether an observer is connected. */
	connected: boolean;
}

/**
 * Sends values as they are asked for, each soon, and then ends: completes or, with `end`, fails.
 */
function supply<T>({ host }: World, values: readonly T[], end: string | null = null): Supply<T> {
	const result: Supply<T> = {
		asked: 0,
		connected: false,
		source: new DemandObservable<T>((observer) => {
			let at = 0;
			let outstanding = false;
			let closed = false;
			result.connected = true;
			return {
				request() {
					assert.not(outstanding, "a value is asked for when the one before has come");
					assert.not(closed, "a closed connection is not asked");
					outstanding = true;
					result.asked++;
					host.defer(() => {
						if (closed) return;
						outstanding = false;
						if (at < values.length) observer.next(values[at++] as T);
						else if (end === null) observer.complete();
						else observer.error(end);
					});
				},
				close() {
					closed = true;
					result.connected = false;
				},
			};
		}),
	};
	return result;
}

/** What one value is turned into: values after delays in ms, and how it ends. */
interface Inner {
	readonly delays: readonly number[];
	readonly end: "complete" | "error" | "never" | "throw";
}

/** An observable of that description. Its values and times tell where they come from. */
function inner(
	{ delays, end }: Inner,
	index: number,
	scheduler: SchedulerLike,
): ObservableInput<string> {
	if (end === "throw") throw `thrown ${index}`;
	// No two of them have the same times, so that their order is defined.
	const values = delays.map((ms, k) => {
		const value = of(`${index}.${k}`);
		return ms === 0 ? value : value.pipe(delay(ms + (index * 16 + k + 1) * 1e-4, scheduler));
	});
	if (end === "error")
		return concat(
			...values,
			throwError(() => `error ${index}`),
		);
	return end === "never" ? concat(...values, NEVER) : concat(...values);
}

test("with the same inner observables it emits the same as mergeMap at the same times", () => {
	const ends = fc.constantFrom(
		"complete",
		"complete",
		"complete",
		"complete",
		"error",
		"never",
		"throw",
	);
	const inners = fc.array(
		fc.record({
			delays: fc.array(fc.constantFrom(0, 0, 1, 2, 5), { maxLength: 3 }),
			end: ends as fc.Arbitrary<Inner["end"]>,
		}),
		{ maxLength: 8 },
	);
	const end = fc.constantFrom(null, null, "source");
	fc.assert(
		fc.property(inners, end, fc.integer({ min: 1, max: 4 }), (script, ending, concurrent) => {
			const run = (
				operate: (
					w: World,
					project: (value: Inner, index: number) => ObservableInput<string>,
				) => Observable<string>,
			) => {
				const w = world();
				const scheduler = kernelScheduler(w.kernel);
				const result = operate(w, (value, index) => inner(value, index, scheduler));
				const subscription = w.listen("", result, (value) => `${w.host.now()} ${value}`);
				w.host.advance(100);
				subscription.unsubscribe();
				w.checkClean();
				return w.log;
			};
			const ours = run((w, project) =>
				supply(w, script, ending).source.pipe(withBackpressure(project, concurrent)),
			);
			// Here the error comes after the values before it; mergeMap would be told of it at once.
			if (ending !== null) {
				const without = run((w, project) =>
					supply(w, script).source.pipe(withBackpressure(project, concurrent)),
				);
				const last = ours.at(-1) === " source" ? ours.slice(0, -1) : ours;
				assert.equal(last, without.slice(0, last.length));
				return;
			}
			assert.equal(
				ours,
				run((_, project) => from(script).pipe(mergeMap(project, concurrent))),
			);
			if (concurrent === 1)
				assert.equal(
					ours,
					run((_, project) => from(script).pipe(concatMap(project))),
				);
		}),
		{ numRuns: 400 },
	);
});

test("a value is asked for when its work can begin, and not before", () => {
	for (const concurrent of [1, 3, Number.POSITIVE_INFINITY]) {
		const w = world();
		const values = supply(w, [0, 1, 2, 3, 4]);
		const work = [0, 1, 2, 3, 4].map(() => new Subject<string>());
		const operator = withBackpressure((i: number) => work[i] as Subject<string>, concurrent);
		const subscription = w.listen("", values.source.pipe(operator));
		assert.is(values.asked, 1);
		w.host.settle();
		const first = Math.min(concurrent, 6);
		assert.equal(
			[values.asked, work.filter(({ observed }) => observed).length],
			[first, Math.min(first, 5)],
		);
		work[0]?.complete();
		w.host.settle();
		assert.is(values.asked, Math.min(concurrent + 1, 6));
		subscription.unsubscribe();
		assert.equal([values.connected, work.filter(({ observed }) => observed).length], [false, 0]);
	}
});

test("work that never ends keeps the source waiting forever", () => {
	const w = world();
	const values = supply(w, [1, 2]);
	const subscription = w.listen("", values.source.pipe(withBackpressure(() => NEVER)));
	w.host.advance(1000);
	assert.equal([values.asked, w.log], [1, []]);
	subscription.unsubscribe();
	assert.is(values.connected, false);
});

test("work that is done at once keeps its order, and so does work that takes a promise", async () => {
	const w = world();
	w.listen("a", supply(w, [1, 2, 3]).source.pipe(withBackpressure((n, i) => [n, n * 10, i])));
	assert.equal(w.heard(), [..."1 10 0 2 20 1 3 30 2".split(" ").map((n) => `a ${n}`), "a done"]);
	w.listen("b", supply(w, [1, 2, 3]).source.pipe(withBackpressure(async (n) => n, 2)));
	const ms = kernelTimer(w.thread, 1, { oneshot: true });
	await w.host.run(() => new Promise<void>((complete) => ms.subscribe({ complete })));
	assert.equal(w.heard(), ["b 1", "b 2", "b 3", "b done"]);
	w.listen("c", supply(w, []).source.pipe(withBackpressure(() => EMPTY)));
	assert.equal(w.heard(), ["c done"]);
});

test("the end of the source waits for the work", () => {
	const w = world();
	const work = new Subject<string>();
	w.listen("", supply(w, [1]).source.pipe(withBackpressure(() => work, 2)));
	assert.equal(w.heard(), []);
	work.next("late");
	work.complete();
	assert.equal(w.heard(), [" late", " done"]);
});

test("an error of the source, of the work, or in making the work ends everything", () => {
	const boom = (): never => {
		throw "thrown";
	};
	for (const [project, end, heard] of [
		[(n: number) => (n === 2 ? throwError(() => "work") : NEVER), null, " work"],
		[(n: number) => (n === 2 ? boom() : NEVER), null, " thrown"],
		[() => NEVER, "source", " source"],
	] as const) {
		const w = world();
		const values = supply(w, [1, 2], end);
		let left = 0;
		const counted = (n: number): Observable<never> =>
			new Observable((subscriber) => {
				const subscription = project(n).subscribe(subscriber);
				return () => {
					left++;
					subscription.unsubscribe();
				};
			});
		const make = heard === " thrown" ? project : counted;
		w.listen("", values.source.pipe(withBackpressure(make, 3)));
		assert.equal([w.heard(), values.connected], [[heard], false]);
		assert.is(left, heard === " thrown" ? 0 : 2);
	}
});

test("endless work that is done at once stops when nobody wants more", () => {
	const w = world();
	const values = supply(w, [1, 2]);
	let given = 0;
	const greedy = new Observable<number>((subscriber) => {
		while (!subscriber.closed && given < 1000) subscriber.next(given++);
	});
	w.listen(
		"",
		values.source.pipe(
			withBackpressure(() => greedy),
			take(2),
		),
	);
	assert.equal([w.heard(), given, values.connected], [[" 0", " 1", " done"], 2, false]);
});

test("after unsubscribing in next, in the work or while it is made nothing more is asked for", () => {
	for (const where of ["next", "work", "project"] as const) {
		const w = world();
		const values = supply(w, [1, 2, 3]);
		const work = new Observable<number>((subscriber) => {
			if (where === "work") subscription.unsubscribe();
			subscriber.next(1);
			subscriber.complete();
		});
		const make = (): Observable<number> => {
			if (where === "project") subscription.unsubscribe();
			return work;
		};
		const subscription = values.source.pipe(withBackpressure(make)).subscribe((n) => {
			w.log.push(`got ${n}`);
			if (where === "next") subscription.unsubscribe();
		});
		assert.equal(
			[w.heard(), values.asked, values.connected],
			[where === "next" ? ["got 1"] : [], 1, false],
		);
	}
});

test("every subscriber has a connection of its own", () => {
	const w = world();
	const values = supply(w, [1, 2]);
	const source = values.source.pipe(withBackpressure((n) => of(n)));
	w.listen("a", source);
	w.listen("b", source);
	assert.equal(
		[w.heard().sort(), values.asked],
		[["a 1", "a 2", "a done", "b 1", "b 2", "b done"], 6],
	);
});

test("behind what cannot wait it errors when it is subscribed to, and pipe throws nothing", () => {
	const w = world();
	const bytes = readBytes(w.thread, w.fd);
	for (const source of [of(1), bytes.pipe(take(1))]) {
		w.listen("", (source as Observable<unknown>).pipe(withBackpressure(() => of(1))));
		assert.equal(w.heard(), [" EINVAL"]);
	}
	const behind = bytes.pipe(withBackpressure(() => of(1))).pipe(withBackpressure(() => of(1)));
	assert.instance(behind, DemandObservable);
	w.checkClean();
});

test("its limit must be at least 1", () => {
	for (const concurrent of [0, -1, 0.5, 1.5, Number.NaN, "2", 2n]) {
		assert.throws(
			() => withBackpressure(() => of(1), concurrent as never),
			(error: { code: string }) => error.code === "EINVAL",
		);
	}
});

test("a source that ends inside of connect is not asked, and is closed", () => {
	const w = world();
	for (const end of ["error", "complete"] as const) {
		const calls: string[] = [];
		const ended = new DemandObservable<Uint8Array>((observer) => {
			if (end === "error") observer.error("mine");
			else observer.complete();
			return { request: () => calls.push("asked"), close: () => calls.push("closed") };
		});
		const told = `s ${end === "error" ? "mine" : "done"}`;
		for (const source of [
			ended,
			ended.decoded((bytes) => bytes.length),
			ended.pipe(withBackpressure(() => of(1))),
			ended.decoded((bytes) => bytes.length).pipe(withBackpressure(() => of(1))),
			ended.pipe(writeBytes(w.thread, pipe(w.thread)[1])),
		]) {
			w.listen("s", source as Observable<unknown>);
			assert.equal(w.heard(), [told]);
		}
		assert.equal([...new Set(calls)], ["closed"]);
		w.checkClean();
	}
});

test("values can be decoded on the way, and a decoder that throws is an error", () => {
	const w = world();
	const values = supply(w, [1, 2, 3]);
	const decoded = values.source.decoded((n) => {
		if (n === 3) throw "no";
		return n * 10;
	});
	w.listen("asked", decoded.pipe(withBackpressure((n) => of(n))));
	assert.equal([w.heard(), values.connected], [["asked 10", "asked 20", "asked no"], false]);
	w.listen("plain", decoded);
	assert.equal([w.heard(), values.connected], [["plain 10", "plain 20", "plain no"], false]);
	w.listen("some", decoded.pipe(take(1)));
	assert.equal([w.heard(), values.connected], [["some 10", "some done"], false]);
});

test("with EV_DISPATCH a subscriber is told again and again while the condition holds", () => {
	const w = world();
	let left = 3;
	const change = { ident: w.fd, filter: EVFILT_READ, flags: EV_DISPATCH };
	fromKevent(w.thread, change).subscribe(({ data }) => {
		w.log.push(`${data}`);
		w.file.setQuietly("read", { data: --left });
	});
	w.file.set("read", { data: left });
	assert.equal(w.heard(), ["3", "2", "1"]);
});

test("an observer that closes its connection inside the last value is not told of the end", () => {
	const w = world();
	const demand = readable(w.thread, w.fd).connect({
		next({ eof }) {
			w.log.push(`${eof}`);
			demand.close();
		},
		error: () => assert.unreachable(),
		complete: () => assert.unreachable(),
	});
	demand.request();
	w.file.set("read", { eof: true });
	assert.equal(w.heard(), ["true"]);
	w.checkClean();
});

test("what a filter throws when it is asked is an error, soon", () => {
	const w = world();
	let broken = false;
	const { kqfilter } = w.file;
	w.file.kqfilter = (kn) => {
		const error = kqfilter.call(w.file, kn);
		const { event } = kn.fop;
		const ask: typeof event = (each, hint) => {
			if (broken) throw new Error("mine");
			return event(each, hint);
		};
		kn.fop = { ...kn.fop, mpsafe: false, event: ask };
		return error;
	};
	const demand = readable(w.thread, w.fd).connect({
		next: () => assert.unreachable(),
		error: (error) => w.log.push(`${(error as Error).message}`),
		complete: () => assert.unreachable(),
	});
	broken = true;
	demand.request();
	assert.equal(w.log, []);
	assert.equal(w.heard(), ["mine"]);
	w.checkClean();
});

/** Whether poll says that there is room to write. */
function writable(thread: Thread, fd: number): boolean {
	const list: Pollfd[] = [{ fd, events: POLLOUT, revents: 0 }];
	pollNow(thread, list);
	return list[0]?.revents === POLLOUT;
}

/** How many bytes can be written before there is no more room. */
function fill(thread: Thread, fd: number): number {
	for (let n = 0; ; n += 512) if (!writable(thread, fd) || put(thread, fd) === 0) return n;
}

function put(thread: Thread, fd: number): number {
	try {
		return writeNow(thread, fd, new Uint8Array(512));
	} catch {
		return 0;
	}
}

test("during the consumer's work the writer finds no room, and finds some when it goes on", () => {
	for (const make of [pipe, (thread: Thread) => socketpair(thread, "stream")]) {
		const w = world();
		const other = w.process.spawnThread();
		const [reader, writer] = make(w.thread);
		const work: Subject<number>[] = [];
		const subscription = readBytes(w.thread, reader)
			.pipe(
				withBackpressure(() => {
					const each = new Subject<number>();
					work.push(each);
					return each;
				}),
			)
			.subscribe();
		writeNow(w.thread, writer, new Uint8Array(100));
		w.host.settle();
		assert.is(work.length, 1);
		for (let i = 1; i < 4; i++) {
			assert.ok(fill(other, writer) > 0);
			// However long it takes, nothing is read.
			w.host.advance(1000);
			assert.equal([writable(other, writer), work.length], [false, i]);
			work.at(-1)?.complete();
			w.host.settle();
			assert.equal([writable(other, writer), work.length], [true, i + 1]);
		}
		subscription.unsubscribe();
		threadExit(other);
		w.checkClean();
	}
});

/** A pattern so long that its bytes tell where they belong, followed by its beginning again. */
const PERIOD = 65_521;
const PATTERN = Buffer.from(
	Uint8Array.from(
		{ length: PERIOD + 65_536 },
		(_, i) => Math.imul((i % PERIOD) + 1, 0x9e3779b1) >>> 24,
	),
);

/** Checks that the chunks, one after the other, are what was written. */
class Check {
	bytes = 0;

	take(chunk: Uint8Array): void {
		const from = this.bytes % PERIOD;
		if (PATTERN.compare(chunk, 0, chunk.length, from, from + chunk.length) !== 0)
			throw new Error(`bytes from ${this.bytes} on differ`);
		this.bytes += chunk.length;
	}
}

/** Writes `total` bytes of the pattern, in parts of up to 64 KB, and closes. */
async function writeAll(thread: Thread, fd: number, total: number): Promise<void> {
	for (let done = 0; done < total; ) {
		const from = done % PERIOD;
		const n = Math.min(65_536, total - done);
		done += await write(thread, fd, PATTERN.subarray(from, from + n));
	}
	close(thread, fd);
}

/** What a pipe holds after a large write into the empty pipe. */
const BIG_PIPE = 65_536;

test("100 MB go through slow work complete, and only the pipe and one chunk are ever in memory", async () => {
	const w = world();
	const total = 100_000_000;
	const [reader, writer] = pipe(w.thread);
	const check = new Check();
	let peak = 0;
	let chunks = 0;
	let blocked = 0;
	const poller = w.process.spawnThread();
	const consumed = new Promise<void>((resolve, reject) => {
		readBytes(w.thread, reader)
			.pipe(
				withBackpressure((chunk) => {
					check.take(chunk);
					chunks++;
					// The work takes a millisecond; then the test looks at what has come meanwhile.
					return kernelTimer(w.thread, 1, { oneshot: true }).pipe(
						concatMap(() => {
							peak = Math.max(peak, ioctl(w.thread, reader, FIONREAD) + chunk.length);
							if (!writable(poller, writer)) blocked++;
							return EMPTY;
						}),
					);
				}),
			)
			.subscribe({ error: reject, complete: resolve });
	});
	const other = w.process.spawnThread();
	await w.host.run(() => Promise.all([writeAll(other, writer, total), consumed]));
	assert.equal([check.bytes, peak], [total, 2 * BIG_PIPE]);
	// All chunks but the last were full, and the writer had to wait for each of them.
	assert.equal([chunks, w.host.now()], [Math.ceil(total / BIG_PIPE), chunks * 1e6]);
	assert.ok(blocked >= chunks - 2, `no room ${blocked} times`);
	threadExit(poller);
	w.checkClean();
});

test("with several works at a time there are as many chunks in memory, and no more", async () => {
	const w = world();
	const total = 5_000_000;
	const [reader, writer] = pipe(w.thread);
	const check = new Check();
	const scheduler = kernelScheduler(w.kernel);
	let held = 0;
	let peak = 0;
	let most = 0;
	const consumed = new Promise<void>((resolve, reject) => {
		readBytes(w.thread, reader, { size: 8192 })
			.pipe(
				withBackpressure((chunk, i) => {
					check.take(chunk);
					most = Math.max(most, ++held);
					peak = Math.max(peak, ioctl(w.thread, reader, FIONREAD) + held * 8192);
					return of(0).pipe(
						delay(1 + (i % 5), scheduler),
						concatMap(() => {
							held--;
							return EMPTY;
						}),
					);
				}, 3),
			)
			.subscribe({ error: reject, complete: resolve });
	});
	const other = w.process.spawnThread();
	await w.host.run(() => Promise.all([writeAll(other, writer, total), consumed]));
	assert.equal([check.bytes, most], [total, 3]);
	assert.ok(peak <= BIG_PIPE + 3 * 8192, `${peak} bytes`);
	w.checkClean();
});

test("slow work at the end of two pipes holds up the writer at their beginning", async () => {
	const w = world();
	const total = 10_000_000;
	const [reader, writer] = pipe(w.thread);
	const [reader2, writer2] = pipe(w.thread);
	const check = new Check();
	let written = 0;
	let peak = 0;
	readBytes(w.thread, reader)
		.pipe(writeBytes(w.thread, writer2, { close: true }))
		.subscribe((n) => {
			written += n;
		});
	const consumed = new Promise<void>((resolve, reject) => {
		readBytes(w.thread, reader2)
			.pipe(
				withBackpressure((chunk) => {
					check.take(chunk);
					return kernelTimer(w.thread, 1, { oneshot: true }).pipe(
						concatMap(() => {
							const inPipes =
								ioctl(w.thread, reader, FIONREAD) + ioctl(w.thread, reader2, FIONREAD);
							peak = Math.max(peak, inPipes + chunk.length);
							return EMPTY;
						}),
					);
				}),
			)
			.subscribe({ error: reject, complete: resolve });
	});
	const other = w.process.spawnThread();
	await w.host.run(() => Promise.all([writeAll(other, writer, total), consumed]));
	assert.equal([check.bytes, written], [total, total]);
	assert.ok(peak > 2 * BIG_PIPE && peak <= 3 * BIG_PIPE, `${peak} bytes`);
	w.checkClean();
});

test("work that fails in the middle leaves the rest in the pipe, and nothing else", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	let chunks = 0;
	const source = readBytes(w.thread, reader, { size: 10 }).pipe(
		withBackpressure(() => (++chunks === 3 ? throwError(() => "mine") : of(chunks))),
	);
	w.listen("", source);
	writeNow(w.thread, writer, new Uint8Array(100));
	assert.equal([w.heard(), ioctl(w.thread, reader, FIONREAD)], [[" 1", " 2", " mine"], 70]);
	w.checkClean();
});

test.run();

// From one descriptor through operators to another: the source waits for a slow reader.
import { openDevice, pipe } from "@kqpoll/files";
import { O_RDONLY } from "@kqpoll/files/fcntl";
import { close, ioctl, readNow, writeNow } from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import {
	bufferCount,
	delay,
	filter,
	pipe as join,
	map,
	type ObservableInput,
	of,
	Subject,
	take,
	throwError,
} from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as demand from "../../src/demand.ts";
import {
	type DemandOperator,
	kernelScheduler,
	readable,
	readBytes,
	withBackpressure,
	writeBytes,
} from "../../src/index.ts";
import { type World, world } from "../world.ts";

const flipped = (chunk: Uint8Array): Uint8Array => chunk.map((byte) => byte ^ 255);

/** Operators through which the same bytes go, turned. */
const TRANSFORMS: Readonly<Record<string, (w: World) => DemandOperator<Uint8Array, Uint8Array>>> = {
	map: () => demand.map(flipped),
	filter: () =>
		demand.lift(
			join(
				filter(({ length }) => length > 0),
				map(flipped),
			),
		),
	concatMap: () => demand.concatMap((chunk) => [flipped(chunk)]),
	"concatMap, many for one": () =>
		demand.concatMap(function* (chunk) {
			for (const byte of flipped(chunk)) yield Uint8Array.of(byte);
		}),
	withBackpressure: () => withBackpressure((chunk) => of(flipped(chunk))),
	"work that takes time": (w) =>
		withBackpressure((chunk) => of(flipped(chunk)).pipe(delay(1, kernelScheduler(w.kernel)))),
	lift: () =>
		demand.lift(
			join(
				map(flipped),
				bufferCount(1),
				map(([chunk]) => chunk as Uint8Array),
			),
		),
};

for (const [name, make] of Object.entries(TRANSFORMS)) {
	test(`with ${name} in between, what is read is what the slow reader has room for`, () => {
		const w = world();
		const [reader, writer] = pipe(w.thread);
		const [reader2, writer2] = pipe(w.thread);
		const [size, total] = [512, 400_000];
		let passed = 0;
		const pumping = readBytes(w.thread, reader, { size }).pipe(
			make(w),
			demand.tap(({ length }) => {
				passed += length;
			}),
			writeBytes(w.thread, writer2, { close: true }),
		);
		w.listen("p", pumping, () => "");
		let [sent, got, most] = [0, 0, 0];
		const buffer = new Uint8Array(1000);
		for (let round = 0; got < total; round++) {
			assert.ok(round < 5000, "all bytes come");
			sent += feed(w, writer, Math.min(4096, total - sent), sent);
			if (sent === total && w.process.fdp.get(writer) !== null) close(w.thread, writer);
			w.host.advance(1);
			// Between the pipes there is never more than one chunk.
			most = Math.max(most, sent - ioctl(w.thread, reader, FIONREAD) - got - unread(w, reader2));
			if (round % 3 === 0) got += drain(w, reader2, buffer, got);
		}
		assert.ok(most <= size, `${most} bytes between the pipes`);
		w.host.advance(10);
		assert.equal([w.heard().at(-1), passed], ["p done", total]);
		w.checkClean();
	});
}

/** Writes up to `n` bytes that tell where they belong, as many as there is room for. */
function feed(w: World, fd: number, n: number, from: number): number {
	if (n === 0) return 0;
	try {
		return writeNow(
			w.thread,
			fd,
			Uint8Array.from({ length: n }, (_, i) => (from + i) % 251),
		);
	} catch {
		return 0;
	}
}

/** Reads once, and checks that the bytes are those from `from` on, turned. */
function drain(w: World, fd: number, buffer: Uint8Array, from: number): number {
	let n = 0;
	try {
		n = readNow(w.thread, fd, buffer);
	} catch {
		return 0;
	}
	for (let i = 0; i < n; i++) assert.is((buffer[i] ?? 0) ^ 255, (from + i) % 251);
	return n;
}

function unread(w: World, fd: number): number {
	return ioctl(w.thread, fd, FIONREAD);
}

test("takeUntil, take and takeWhile end the reading, and the rest stays where it is", () => {
	const stop = new Subject<void>();
	for (const [operator, left] of [
		[demand.take<Uint8Array>(2), 6],
		[demand.takeWhile<Uint8Array>((_, index) => index < 2), 4],
		[demand.takeUntil<Uint8Array>(stop), 0],
	] as const) {
		const w = world();
		const [reader, writer] = pipe(w.thread);
		const [, writer2] = pipe(w.thread);
		writeNow(w.thread, writer, new Uint8Array(10));
		const pumping = readBytes(w.thread, reader, { size: 2 }).pipe(
			operator,
			writeBytes(w.thread, writer2),
		);
		w.listen("", pumping);
		w.host.settle();
		stop.next();
		assert.equal([w.heard().at(-1), unread(w, reader)], [" done", left]);
		w.checkClean();
	}
});

test("an error in the middle comes to the subscriber, and ends both sides", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const [, writer2] = pipe(w.thread);
	const boom = (): never => {
		throw "mine";
	};
	for (const operator of [
		demand.map(boom),
		demand.filter<Uint8Array>(boom),
		demand.concatMap(boom),
		demand.concatMap(() => throwError(() => "mine")),
		demand.lift<Uint8Array, never>(boom),
		demand.concatMap(() => null as never),
	] as readonly DemandOperator<Uint8Array, Uint8Array>[]) {
		writeNow(w.thread, writer, new Uint8Array(1));
		const pumping = readBytes(w.thread, reader).pipe(operator, writeBytes(w.thread, writer2));
		w.listen("", pumping);
		const [heard, ...others] = w.heard();
		assert.ok(heard === " mine" || heard?.startsWith(" TypeError"), heard);
		assert.equal(others, []);
		w.checkClean();
	}
});

test("leaving inside of next ends all connections, and nothing comes any more", () => {
	const inners: readonly (() => ObservableInput<number>)[] = [
		() => [1, 2, 3],
		() => of(1, 2, 3),
		() => demand.from([1, 2, 3]),
	];
	for (const inner of inners) {
		const w = world();
		w.file.set("read", { data: 1 });
		const source = readable(w.thread, w.fd).pipe(demand.concatMap(inner));
		const subscription = source.subscribe((n) => {
			w.log.push(`${n}`);
			if (n === 2) subscription.unsubscribe();
		});
		assert.equal(w.heard(), ["1", "2"]);
		w.checkClean();
	}
});

test("the numbers of written bytes can be waited for, too", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const [, writer2] = pipe(w.thread);
	writeNow(w.thread, writer, new Uint8Array(10));
	const work: Subject<number>[] = [];
	const pumping = readBytes(w.thread, reader, { size: 2 }).pipe(
		writeBytes(w.thread, writer2),
		demand.concatMap(() => {
			work.push(new Subject());
			return work.at(-1) as Subject<number>;
		}),
	);
	const subscription = w.listen("", pumping);
	w.host.settle();
	assert.equal([work.length, unread(w, reader)], [1, 8]);
	work[0]?.complete();
	w.host.settle();
	assert.equal([work.length, unread(w, reader)], [2, 6]);
	subscription.unsubscribe();
	w.checkClean();
});

test("files one after the other, as cat reads them", () => {
	const w = world();
	const ends = [pipe(w.thread), pipe(w.thread)] as const;
	const [reader, writer] = pipe(w.thread);
	const sources = ends.map(([from]) => readBytes(w.thread, from));
	w.listen("", demand.concat(...sources).pipe(writeBytes(w.thread, writer)));
	for (const [, to] of [...ends].reverse()) {
		writeNow(w.thread, to, Uint8Array.of(to));
		close(w.thread, to);
		w.host.settle();
	}
	assert.equal(w.heard(), [" 1", " 1", " done"]);
	const buffer = new Uint8Array(3);
	assert.is(readNow(w.thread, reader, buffer), 2);
	assert.equal([...buffer.subarray(0, 2)], [ends[0][1], ends[1][1]]);
	w.checkClean();
});

test("an endless generator is written at the reader's pace, and closed when the subscriber leaves", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	let [made, closed] = [0, false];
	function* endless(): Generator<Uint8Array> {
		try {
			for (;;) {
				made++;
				yield new Uint8Array(512);
			}
		} finally {
			closed = true;
		}
	}
	const subscription = demand.from(endless()).pipe(writeBytes(w.thread, writer)).subscribe();
	w.host.settle();
	assert.is(made, Math.floor(unread(w, reader) / 512) + 1);
	subscription.unsubscribe();
	assert.ok(closed);
	w.checkClean();
});

test("an asynchronous iterable is asked for each value, and what it throws is an error", async () => {
	const asked: number[] = [];
	async function* lines(): AsyncGenerator<number> {
		for (let n = 0; n < 3; n++) {
			asked.push(n);
			yield n;
		}
		throw "mine";
	}
	const log: unknown[] = [];
	const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
	const asking = demand.from(lines()).connect({
		next: (value) => log.push(value),
		error: (error) => log.push(error),
		complete: () => log.push("done"),
	});
	await turn();
	assert.equal(asked, []);
	for (let i = 1; i <= 4; i++) {
		asking.request();
		await turn();
		assert.equal(log.length, i);
	}
	assert.equal(
		[asked, log],
		[
			[0, 1, 2],
			[0, 1, 2, "mine"],
		],
	);
	for (const odd of [null, undefined, 1, {}])
		assert.throws(
			() => demand.from(odd as never),
			(error: { code: string }) => error.code === "EFAULT",
		);
});

test("ten thousand values that all come inside of their requests need no deep stack", () => {
	const log: number[] = [];
	const numbers = Array.from({ length: 10_000 }, (_, i) => i);
	const chain = demand.from(numbers).pipe(
		demand.filter((n) => n % 1000 === 999),
		demand.concatMap((n) => [n, n]),
		demand.map((n) => n + 1),
		demand.scan((sum, n) => sum + n, 0),
	);
	chain.pipe(withBackpressure((n) => [n])).subscribe((n) => log.push(n));
	assert.equal([log.length, log.at(-1)], [20, 110_000]);
});

test("writing a long queue moves each chunk a bounded number of times", () => {
	const moved = [1000, 10_000].map((n) => {
		const w = world();
		const [reader, writer] = pipe(w.thread);
		const source = new Subject<Uint8Array>();
		source.pipe(writeBytes(w.thread, writer, { bound: Number.POSITIVE_INFINITY })).subscribe();
		for (let i = 0; i < n; i++) source.next(new Uint8Array(64));
		const count = countMoves();
		const buffer = new Uint8Array(65_536);
		for (let got = 0; got < n * 64; w.host.settle()) got += readNow(w.thread, reader, buffer);
		return count();
	});
	assert.ok((moved[1] as number) <= 20 * (moved[0] as number) + 20_000, `moved ${moved}`);
});

/** Counts the entries that arrays move, until the result is called. */
function countMoves(): () => number {
	const { shift, slice } = Array.prototype;
	let moved = 0;
	Array.prototype.shift = function (this: unknown[]) {
		moved += this.length;
		return shift.call(this);
	};
	Array.prototype.slice = function (this: unknown[], ...args: []) {
		const result = slice.apply(this, args);
		moved += result.length;
		return result;
	};
	return () => {
		Object.assign(Array.prototype, { shift, slice });
		return moved;
	};
}

test("ten thousand pipelines that end in every way leave nothing", () => {
	const w = world();
	const [reader, writer] = pipe(w.thread);
	const [reader2, writer2] = pipe(w.thread);
	const stop = new Subject<void>();
	const buffer = new Uint8Array(10);
	const boom = (): never => {
		throw "mine";
	};
	const ends = [
		demand.take<Uint8Array>(1),
		demand.takeUntil<Uint8Array>(stop),
		demand.map<Uint8Array, Uint8Array>(boom),
		demand.concatMap<Uint8Array, Subject<Uint8Array>>(() => new Subject()),
		demand.concatMap<Uint8Array, readonly Uint8Array[]>((chunk) => [chunk, chunk]),
	];
	for (let i = 0; i < 10_000; i++) {
		const pumping = readBytes(w.thread, reader).pipe(
			demand.filter(() => true),
			ends[i % ends.length] as DemandOperator<Uint8Array, Uint8Array>,
			writeBytes(w.thread, writer2),
		);
		const subscription = pumping.subscribe({ error: () => {} });
		if (i % 3 > 0) writeNow(w.thread, writer, new Uint8Array(1));
		if (i % 7 > 0) w.host.settle();
		stop.next();
		subscription.unsubscribe();
		for (const fd of [reader, reader2]) if (unread(w, fd) > 0) readNow(w.thread, fd, buffer);
		w.checkClean();
	}
	assert.is(stop.observed, false);
});

test("a device that always has bytes is read through operators without a stop of others", () => {
	const w = world();
	const zero = openDevice(w.thread, "zero", O_RDONLY);
	w.listen(
		"",
		readBytes(w.thread, zero, { size: 2 }).pipe(
			demand.filter(() => true),
			demand.map(({ length }) => length),
			take(3),
		),
	);
	assert.equal(w.heard(), [" 2", " 2", " 2", " done"]);
	w.checkClean();
});

test.run();

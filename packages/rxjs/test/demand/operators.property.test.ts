// Random chains of operators that keep demand, beside the same chains of RxJS's own.
import fc from "fast-check";
import * as rx from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as demand from "../../src/demand.ts";
import {
	type Demand,
	DemandObservable,
	type DemandObserver,
	type DemandOperator,
	withBackpressure,
} from "../../src/index.ts";
import { type World, world } from "../world.ts";

/** A source of numbers, and how much was asked of it. */
class Supply implements Demand {
	/** How many values it has sent. */
	static sent = 0;
	/** How many connections are open. */
	static open = 0;
	private readonly w: World;
	private readonly values: readonly number[];
	private readonly fails: boolean;
	private readonly observer: DemandObserver<number>;
	private at = 0;
	private owed = false;
	private sending = false;
	private closed = false;

	constructor(
		w: World,
		values: readonly number[],
		fails: boolean,
		observer: DemandObserver<number>,
	) {
		this.w = w;
		this.values = values;
		this.fails = fails;
		this.observer = observer;
		Supply.open++;
	}

	request(): void {
		assert.not(this.owed, "a value is asked for when the one before has come");
		assert.not(this.closed, "a closed connection is not asked");
		this.owed = true;
		// Some values come inside of the request, others later.
		if (this.at % 3 !== 0 && !this.sending) this.send();
		else this.w.host.defer(() => this.send());
	}

	close(): void {
		if (this.closed) return;
		this.closed = true;
		Supply.open--;
	}

	private send(): void {
		if (this.closed || !this.owed) return;
		this.owed = false;
		this.sending = true;
		if (this.at < this.values.length) {
			Supply.sent++;
			this.observer.next(this.values[this.at++] as number);
		} else if (this.fails) this.observer.error("source");
		else this.observer.complete();
		this.sending = false;
	}
}

/** An operator twice: ours and RxJS's. */
interface Pair {
	readonly name: string;
	readonly ours: DemandOperator<number, number>;
	readonly theirs: rx.OperatorFunction<number, number>;
}

const both = (
	name: string,
	ours: DemandOperator<number, number>,
	theirs: rx.OperatorFunction<number, number>,
): Pair => ({ name, ours, theirs });

const sum = (a: number, b: number): number => a + b;
const throwing = (n: number): number => {
	if (n % 7 === 6) throw "thrown";
	return n;
};
function* twice(n: number): Generator<number> {
	yield n;
	yield n + 1;
}
const fromOf = (n: number, i: number): rx.Observable<number> => rx.of(n, i, n + i);
const failing = (n: number): rx.Observable<number> =>
	n % 5 === 4
		? rx.concat(
				rx.of(n),
				rx.throwError(() => "work"),
			)
		: rx.of(n);

const small = fc.integer({ min: 0, max: 4 });
const pair: fc.Arbitrary<Pair> = fc.oneof(
	fc.constantFrom(
		both(
			"map",
			demand.map((n, i) => n * 2 + i),
			rx.map((n, i) => n * 2 + i),
		),
		both("map, which throws", demand.map(throwing), rx.map(throwing)),
		both("scan", demand.scan(sum), rx.scan(sum)),
		both("scan with a seed", demand.scan(sum, 3), rx.scan(sum, 3)),
		both("distinctUntilChanged", demand.distinctUntilChanged(), rx.distinctUntilChanged()),
		both("tap", demand.tap(throwing), rx.tap(throwing)),
		both(
			"concatMap of arrays",
			demand.concatMap((n) => [n, n]),
			rx.concatMap((n) => [n, n]),
		),
		both("concatMap of generators", demand.concatMap(twice), rx.concatMap(twice)),
		both("concatMap of observables", demand.concatMap(fromOf), rx.concatMap(fromOf)),
		both("mergeMap", demand.mergeMap(failing, 1), rx.mergeMap(failing, 1)),
		both(
			"withBackpressure of sources that wait",
			withBackpressure((n) => demand.from([n, n + 1]).pipe(demand.map(throwing))),
			rx.concatMap((n) => rx.from([n, n + 1]).pipe(rx.map(throwing))),
		),
		both(
			"concatMap of nothing",
			demand.concatMap(() => []),
			rx.concatMap(() => []),
		),
		both(
			"lift",
			demand.lift(
				rx.pipe(
					rx.pairwise(),
					rx.map(([a, b]) => b - a),
				),
			),
			rx.pipe(
				rx.pairwise(),
				rx.map(([a, b]) => b - a),
			),
		),
		both("several at once", demand.lift(rx.concatMap(fromOf)), rx.concatMap(fromOf)),
		both("startWith", demand.lift(rx.startWith(8, 9)), rx.startWith(8, 9)),
		both("endWith", demand.lift(rx.endWith(8, 9)), rx.endWith(8, 9)),
		both("retry", demand.lift(rx.retry(1)), rx.retry(1)),
		both("repeat", demand.lift(rx.repeat(2)), rx.repeat(2)),
		both(
			"catchError",
			demand.lift(rx.catchError((error) => rx.of(String(error).length))),
			rx.catchError((error) => rx.of(String(error).length)),
		),
	),
	small.map((n) => both(`take ${n}`, demand.take(n), rx.take(n))),
	small.map((n) => both(`skip ${n}`, demand.skip(n), rx.skip(n))),
	small.map((n) =>
		both(
			"filter",
			demand.filter((v) => v % 3 !== n),
			rx.filter((v) => v % 3 !== n),
		),
	),
	fc.boolean().map((inclusive) =>
		both(
			"takeWhile",
			demand.takeWhile((n) => n < 15, inclusive),
			rx.takeWhile((n) => n < 15, inclusive),
		),
	),
	fc.integer({ min: 1, max: 3 }).map((n) =>
		both(
			"bufferCount",
			joined(
				demand.bufferCount<number>(n),
				demand.map((list) => list.reduce(sum, 0)),
			),
			rx.pipe(
				rx.bufferCount(n),
				rx.map((list) => list.reduce(sum, 0)),
			),
		),
	),
);

/** One operator behind the other. */
function joined<A, B, C>(a: DemandOperator<A, B>, b: DemandOperator<B, C>): DemandOperator<A, C> {
	return ((source: never) => b(a(source) as never)) as never;
}

const script = fc.record({
	values: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 10 }),
	fails: fc.boolean(),
	chain: fc.array(pair, { maxLength: 5 }),
});

/** What a source sends, and the operators behind it. */
interface Script {
	readonly values: readonly number[];
	readonly fails: boolean;
	readonly chain: readonly Pair[];
}

/** An observer that writes down what it is told. */
const hearing = (log: string[]): rx.Observer<number> => ({
	next: (value) => log.push(String(value)),
	error: (error) => log.push(`error ${error}`),
	complete: () => log.push("done"),
});

function ourChain(w: World, { values, fails, chain }: Script): DemandObservable<number> {
	Supply.sent = 0;
	Supply.open = 0;
	const source = new DemandObservable<number>((observer) => new Supply(w, values, fails, observer));
	let from = source;
	for (const { ours } of chain) from = from.pipe(ours);
	return from;
}

function theirChain(
	{ values, fails, chain }: Script,
	sent: (n: number) => void = () => {},
): rx.Observable<number> {
	const source = rx.concat(
		rx.from(values).pipe(rx.tap(sent)),
		fails ? rx.throwError(() => "source") : rx.EMPTY,
	);
	return chain.reduce<rx.Observable<number>>((from, { theirs }) => from.pipe(theirs), source);
}

test("a plain subscriber is told the same as with RxJS's own operators", () => {
	fc.assert(
		fc.property(script, (each) => {
			const w = world();
			const [ours, theirs]: [string[], string[]] = [[], []];
			const subscription = ourChain(w, each).subscribe(hearing(ours));
			w.host.settle();
			theirChain(each).subscribe(hearing(theirs));
			assert.equal(ours, theirs);
			assert.is(Supply.open, 0);
			subscription.unsubscribe();
		}),
		{ numRuns: 500 },
	);
});

test("an observer that asks is told the same, one value for each request, and no more is read", () => {
	fc.assert(
		fc.property(script, fc.nat(12), (each, stop) => {
			const w = world();
			const [ours, theirs]: [string[], string[]] = [[], []];
			let [owed, inside, over] = [false, false, false];
			const hear = hearing(ours);
			const end = (tell: () => void): void => {
				assert.not(over);
				over = true;
				tell();
			};
			const asked = ourChain(w, each).connect({
				next(value) {
					assert.ok(owed && !over, "a value comes when one is asked for");
					assert.not(inside, "never inside of next");
					inside = true;
					owed = false;
					hear.next(value);
					// Sometimes it asks inside.
					if (value % 2 === 0 && ours.length < stop) ask();
					inside = false;
				},
				error: (error) => end(() => hear.error(error)),
				complete: () => end(() => hear.complete()),
			});
			const ask = (): void => {
				if (owed || over) return;
				owed = true;
				asked.request();
			};
			w.host.settle();
			assert.is(Supply.sent, 0, "nothing is read before something is asked for");
			while (!over && ours.length < stop) {
				ask();
				w.host.settle();
			}
			const heard = ours.length;
			const read = Supply.sent;
			w.host.advance(100);
			assert.equal([ours.length, Supply.sent], [heard, read], "nobody asks, and nothing is read");
			// RxJS's, given one value of the source after the other, until as many have come.
			let needed = 0;
			theirChain(each, () => {
				if (theirs.length < heard) needed++;
			}).subscribe(hearing(theirs));
			assert.equal(ours, over ? theirs : theirs.slice(0, heard));
			if (!over) assert.is(read, needed);
			asked.close();
			assert.is(Supply.open, 0);
		}),
		{ numRuns: 500 },
	);
});

test.run();

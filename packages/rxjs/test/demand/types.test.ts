// Types of operators that keep demand. `npm run check -- types` proves them; here they run too.
import {
	concatMap,
	pipe as join,
	type Observable,
	of,
	from as rxFrom,
	map as rxMap,
	take as rxTake,
	tap as rxTap,
} from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as demand from "../../src/demand.ts";
import { DemandObservable, readBytes, withBackpressure, writeBytes } from "../../src/index.ts";
import { world } from "../world.ts";

/** True if both types are the same, not only assignable to each other. */
type Same<A, B> =
	(<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only if `Expected` is exactly the type of the value. */
function is<Expected>() {
	return <A>(value: A, _same: Same<A, Expected>): A => value;
}

const { thread, fd } = world();
const bytes = readBytes(thread, fd);

test("operators that keep demand make observables that can be asked", () => {
	const lengths = bytes.pipe(demand.map((chunk) => chunk.length));
	is<DemandObservable<number>>()(lengths, true);
	const several = bytes.pipe(
		demand.filter((chunk) => chunk.length > 1),
		demand.scan((sum, { length }) => sum + length, 0),
		demand.map((sum, index) => `${sum.toFixed()} ${index}`),
		demand.takeWhile((text) => text.length > 0),
		demand.take(3),
	);
	is<DemandObservable<string>>()(several, true);
	assert.instance(several, DemandObservable);
	is<DemandObservable<number>>()(bytes.pipe(writeBytes(thread, fd)), true);
	is<DemandObservable<number>>()(
		bytes.pipe(
			demand.map((chunk) => chunk.subarray(1)),
			writeBytes(thread, fd),
			demand.tap((n) => n.toFixed()),
		),
		true,
	);
	is<DemandObservable<number>>()(
		bytes.pipe(
			demand.lift(
				join(
					rxMap((chunk: Uint8Array) => chunk.length),
					rxTake(1),
				),
			),
		),
		true,
	);
});

test("one operator of RxJS in between makes a plain observable, which is buffered when it is written", () => {
	const plain = bytes.pipe(
		demand.map((chunk) => chunk.length),
		rxMap((n) => n + 1),
	);
	is<Observable<number>>()(plain, true);
	is<Observable<number>>()(
		bytes.pipe(
			rxTap((chunk) => chunk.length),
			writeBytes(thread, fd),
		),
		true,
	);
	is<Observable<number>>()(of(new Uint8Array(1)).pipe(writeBytes(thread, fd)), true);
	is<Observable<number>>()(rxFrom(["a"]).pipe(demand.map((text) => text.length)), true);
	// @ts-expect-error What cannot wait cannot be asked.
	const asked: DemandObservable<number> = plain;
	assert.not.instance(asked, DemandObservable);
});

test("withBackpressure and concatMap take unions of inputs, as RxJS does", () => {
	const cond = (chunk: Uint8Array): boolean => chunk.length > 1;
	const plain = of(new Uint8Array(1)).pipe(concatMap((c) => (cond(c) ? of(1) : of("a"))));
	is<Observable<string | number>>()(plain, true);
	const asked = bytes.pipe(withBackpressure((c) => (cond(c) ? of(1) : of("a"))));
	is<DemandObservable<string | number>>()(asked, true);
	const mixed = bytes.pipe(
		demand.concatMap((c, i) => (cond(c) ? [i] : i > 1 ? Promise.resolve("a") : bytes)),
	);
	is<DemandObservable<string | number | Uint8Array>>()(mixed, true);
	is<DemandObservable<number | Uint8Array>>()(demand.concat(of(1), bytes), true);
	is<Observable<number>>()(of(1).pipe(demand.mergeMap((n) => [n])), true);
});

test("guards narrow", () => {
	const mixed = demand.from<string | number | null>(["a", 1, null]);
	is<DemandObservable<string>>()(
		mixed.pipe(demand.filter((each): each is string => typeof each === "string")),
		true,
	);
	is<DemandObservable<string | number>>()(mixed.pipe(demand.filter(Boolean)), true);
	is<DemandObservable<number>>()(
		mixed.pipe(demand.takeWhile((each): each is number => typeof each === "number")),
		true,
	);
	is<DemandObservable<string | number | null>>()(
		mixed.pipe(demand.takeWhile((_each, index) => index < 2)),
		true,
	);
	is<DemandObservable<number>>()(demand.from([1, 2]).pipe(demand.scan((a, b) => a + b)), true);
	is<DemandObservable<number[]>>()(demand.from([1, 2]).pipe(demand.bufferCount(2)), true);
});

test.run();

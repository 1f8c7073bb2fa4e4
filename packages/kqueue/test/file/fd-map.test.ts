// The map of descriptor numbers: what is next in it and next free, and how many words are looked at.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FdMap } from "../../src/file/fd-map.ts";

const SIZE = 2500;

/** The lowest number from `from` on that is in a set, or is not; -1 when there is none below `end`. */
function search(set: Set<number>, from: number, isIn: boolean, end: number): number {
	for (let n = from; n < end; n++) if (set.has(n) === isIn) return n;
	return -1;
}

test("the next number in the map, and the next free one, are those of a set", () => {
	const run = fc.record({ from: fc.nat(SIZE), length: fc.nat(1300), add: fc.boolean() });
	fc.assert(
		fc.property(fc.array(run, { maxLength: 8 }), fc.array(fc.nat(2 * SIZE)), (runs, froms) => {
			const map = new FdMap();
			const set = new Set<number>();
			for (const { from, length, add } of runs) {
				for (let n = from; n < from + length; n++) {
					if (add) map.add(n);
					else map.delete(n);
					if (add) set.add(n);
					else set.delete(n);
				}
			}
			for (const from of [0, 31, 32, 1023, 1024, ...froms]) {
				assert.is(map.next(from), search(set, from, true, 3 * SIZE), `next of ${from}`);
				assert.is(map.nextFree(from), search(set, from, false, 6 * SIZE), `next free of ${from}`);
			}
		}),
	);
});

test("a free number behind a hundred thousand is found by looking at few words", () => {
	const map = new FdMap();
	for (let n = 0; n < 100_000; n++) map.add(n);
	let looks = 0;
	for (const name of ["words", "full"]) {
		const words = Reflect.get(map, name) as Int32Array;
		const counted = new Proxy(words, {
			get: (target, key) => {
				if (typeof key === "string" && /^\d+$/.test(key)) looks++;
				return Reflect.get(target, key);
			},
		});
		Reflect.set(map, name, counted);
	}
	assert.is(map.nextFree(1), 100_000);
	assert.ok(looks <= 110, `${looks} words`);
});

test.run();

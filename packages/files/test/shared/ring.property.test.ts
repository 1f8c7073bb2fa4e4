// A ring of bytes against an array of them.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Ring } from "../../src/shared/ring.ts";

test("a ring reads what was written, in order, and never holds more than its limit", () => {
	const step = fc.record({ write: fc.boolean(), n: fc.nat(700) });
	fc.assert(
		fc.property(
			fc.integer({ min: 1, max: 2000 }),
			fc.array(step, { maxLength: 60, size: "max" }),
			(limit, steps) => {
				const ring = new Ring(limit);
				const model: number[] = [];
				let next = 0;
				for (const { write, n } of steps) {
					if (write) {
						const from = Uint8Array.from({ length: n }, () => next++ & 0xff);
						const taken = ring.write(from);
						assert.is(taken, Math.min(n, limit - model.length));
						model.push(...from.subarray(0, taken));
						next -= n - taken;
					} else {
						const to = new Uint8Array(n);
						const given = ring.read(to);
						assert.equal([...to.subarray(0, given)], model.splice(0, n));
					}
					assert.equal([ring.count, ring.room], [model.length, limit - model.length]);
				}
				ring.free();
				assert.equal([ring.count, ring.read(new Uint8Array(1))], [0, 0]);
			},
		),
		{ numRuns: 500 },
	);
});

test("a raised limit lets more in, and what is there is kept", () => {
	const ring = new Ring(4);
	assert.is(ring.write(Uint8Array.of(1, 2, 3, 4, 5)), 4);
	ring.read(new Uint8Array(2));
	ring.limit = 1000;
	assert.is(ring.write(new Uint8Array(997).fill(9)), 997);
	const to = new Uint8Array(1000);
	assert.is(ring.read(to), 999);
	assert.equal([...to.subarray(0, 4)], [3, 4, 9, 9]);
});

test.run();

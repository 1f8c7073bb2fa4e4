// Lists that fail are made as short as possible.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shrink } from "../trace/shrink.ts";

test("items that do not matter to the failure are removed", async () => {
	const items = Array.from({ length: 100 }, (_, i) => i);
	const small = await shrink(items, async (some) => some.includes(13) && some.includes(77));
	assert.equal(small, [13, 77]);
});

test("no single item can be removed from what is left, and the order is kept", async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(fc.nat(9), { minLength: 1 }), fc.nat(30), async (items, sum) => {
			const fails = async (some: readonly number[]) => some.reduce((a, b) => a + b, 0) >= sum;
			fc.pre(await fails(items));
			const small = await shrink(items, fails);
			assert.ok(await fails(small));
			for (let i = 0; i < small.length; i++) {
				assert.not.ok(await fails(small.filter((_, at) => at !== i)));
			}
			let from = 0;
			for (const item of small) {
				from = items.indexOf(item, from) + 1;
				assert.ok(from > 0);
			}
		}),
		{ numRuns: 50 },
	);
});

test.run();

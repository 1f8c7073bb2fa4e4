// The check of bundle sizes finds bundles that have grown.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { excess } from "../size.ts";

const size = (gzipped: number) => ({ minified: 3 * gzipped, gzipped });

test("a bundle that grows by more than a hundredth, or is not recorded, is too large", () => {
	const allowed = {
		same: size(1000),
		grown: size(1000),
		smaller: size(1000),
		a_little: size(1000),
	};
	const measured = {
		same: size(1000),
		grown: size(1011),
		smaller: size(10),
		a_little: size(1010),
		unknown: size(1),
	};
	assert.equal(excess(measured, allowed), [
		"grown: 1011 bytes compressed, and 1000 are recorded",
		"unknown: 1 bytes compressed, and 0 are recorded",
	]);
});

test.run();

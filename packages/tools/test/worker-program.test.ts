import * as assert from "node:assert/strict";
import { test } from "uvu";
import { isStale } from "../worker-program.ts";

test("the program of workers is what its source makes it", async () => {
	assert.equal(await isStale(), false, "run npm run worker-program");
});

test.run();

// Times of real files: what node:fs is given keeps the microsecond.
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { secondsOf } from "../src/exact-times.ts";

test("times just behind a whole microsecond do not lose it", () => {
	const directory = mkdtempSync(join(tmpdir(), "exact-times-"));
	try {
		const file = join(directory, "file");
		writeFileSync(file, "");
		const lost: bigint[] = [];
		for (let i = 0n; i < 2000n; i++) {
			const time = 1_796_098_195_000_000_000n + i * 499_979_000n + (i % 120n);
			utimesSync(file, secondsOf(time), secondsOf(time));
			const off = time - statSync(file, { bigint: true }).mtimeNs;
			if (off <= -1000n || off >= 1000n) lost.push(time);
		}
		assert.equal(lost, []);
	} finally {
		rmSync(directory, { recursive: true });
	}
});

test.run();

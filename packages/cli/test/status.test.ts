import * as assert from "node:assert/strict";
import { constants } from "node:os";
import { SIGINFO, SIGUSR1 } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import { exitStatus } from "../src/status.ts";

test("a status is that of the program, or 128 and the number of a signal on this system", () => {
	assert.deepEqual([0, 7 << 8, 255 << 8].map(exitStatus), [0, 7, 255]);
	assert.equal(exitStatus(SIGUSR1), 128 + constants.signals.SIGUSR1);
	const { SIGINFO: known = SIGINFO } = constants.signals as Partial<Record<string, number>>;
	assert.equal(exitStatus(SIGINFO), 128 + known);
});

test.run();

// onThreadExit: hosts learn that a thread has ended.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { exit, Kernel, kill, threadExit } from "../../src/index.ts";
import { onThreadExit } from "../../src/kernel.ts";
import { SIGKILL } from "../../src/signal.ts";
import { VirtualHost } from "../../src/testing.ts";

test("a host is told of each end of a thread, in a turn of its own, unless it takes that back", () => {
	const host = new VirtualHost();
	const kernel = new Kernel({ host });
	const log: string[] = [];
	const told = (name: string) => () => log.push(name);
	const [one, two, three] = [kernel.spawn().main, kernel.spawn().main, kernel.spawn().main];
	const second = one.process.spawnThread();
	onThreadExit(one, told("one"));
	onThreadExit(one, told("one again"));
	onThreadExit(second, told("second"));
	onThreadExit(two, told("two"));
	onThreadExit(three, told("never"))();
	threadExit(second);
	assert.equal(log, []);
	host.settle();
	assert.equal(log, ["second"]);
	exit(one, 0);
	kill(three, two.process.pid, SIGKILL);
	exit(three, 0);
	host.settle();
	assert.equal(log, ["second", "one", "one again", "two"]);
	onThreadExit(one, told("late"));
	onThreadExit(one, told("never"))();
	host.settle();
	assert.equal(log.slice(4), ["late"]);
});

test.run();

// Repeated poll: what each poll says, and what ends it.
import { pipe } from "@kqpoll/files";
import { POLLHUP, POLLIN, POLLNVAL, POLLOUT } from "@kqpoll/kqpoll";
import { close, exit, readNow, sigaction, writeNow } from "@kqpoll/kqueue";
import { SIGUSR1, threadKill } from "@kqpoll/kqueue/signal";
import { defer, EMPTY, take } from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pollfds, withBackpressure } from "../src/index.ts";
import { type World, world } from "./world.ts";

/** Lets promises and the machine run until nothing is left to do. */
async function turns(w: World): Promise<void> {
	for (let i = 0; i < 20; i++) {
		w.host.settle();
		await null;
	}
}

test("each poll is emitted, for as long as a descriptor is ready", async () => {
	const w = world();
	const [r, wr] = pipe(w.thread);
	const poller = w.process.spawnThread();
	let polls = 0;
	const subscription = w.listen("", pollfds(poller, [{ fd: r, events: POLLIN }]), (revents) => {
		if (++polls === 3) readNow(w.thread, r, new Uint8Array(9));
		return revents;
	});
	await turns(w);
	assert.is(poller.state, "asleep");
	writeNow(w.thread, wr, new Uint8Array(1));
	await turns(w);
	assert.equal([w.heard(), poller.state], [[" 1", " 1", " 1"], "asleep"]);
	close(w.thread, wr);
	await turns(w);
	assert.is(w.log[0], ` ${POLLIN | POLLHUP}`);
	subscription.unsubscribe();
	await turns(w);
	assert.is(poller.state, "running");
	assert.is(w.kernel.sleepers, 0);
});

test("revents are in the order of the descriptors, and those below 0 are skipped", async () => {
	const w = world();
	const [r, wr] = pipe(w.thread);
	const poller = w.process.spawnThread();
	const fds = [
		{ fd: wr, events: POLLOUT },
		{ fd: -1, events: POLLIN },
		{ fd: 99, events: POLLIN },
		{ fd: r, events: POLLIN },
	];
	w.listen("", pollfds(poller, fds).pipe(take(1)), (revents) => revents.join());
	await turns(w);
	assert.equal(w.heard(), [` ${POLLOUT},0,${POLLNVAL},0`, " done"]);
	assert.equal([poller.state, w.kernel.sleepers], ["running", 0]);
});

test("behind withBackpressure it polls when the work is done", async () => {
	const w = world();
	const [, wr] = pipe(w.thread);
	const poller = w.process.spawnThread();
	let works = 0;
	const count = () => {
		works++;
		return EMPTY;
	};
	const source = pollfds(poller, [{ fd: wr, events: POLLOUT }]);
	const subscription = w.listen("", source.pipe(withBackpressure(() => defer(count))));
	await turns(w);
	assert.ok(works > 1);
	subscription.unsubscribe();
	await turns(w);
	const after = works;
	await turns(w);
	assert.equal([works, w.kernel.sleepers], [after, 0]);
});

test("a busy thread, a signal and the end of the thread are errors", async () => {
	const w = world();
	const [r] = pipe(w.thread);
	const poller = w.process.spawnThread();
	sigaction(poller, SIGUSR1, () => {});
	const source = pollfds(poller, [{ fd: r, events: POLLIN }]);
	w.listen("first", source);
	w.listen("second", source);
	await turns(w);
	assert.equal(w.heard(), ["second EBUSY"]);
	threadKill(w.thread, poller, SIGUSR1);
	await turns(w);
	assert.equal(w.heard(), ["first EINTR"]);
	w.listen("third", source);
	await turns(w);
	exit(w.thread, 0);
	await turns(w);
	assert.equal([w.heard(), w.kernel.sleepers], [["third EINTR"], 0]);
});

test.run();

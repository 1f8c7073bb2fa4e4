// Repeated poll: what each poll says, and what ends it.
import { pipe } from "@kqpoll/files";
import { POLLHUP, POLLIN, POLLNVAL, POLLOUT } from "@kqpoll/kqpoll";
import { close, exit, Kernel, readNow, sigaction, writeNow } from "@kqpoll/kqueue";
import { SIGUSR1, threadKill } from "@kqpoll/kqueue/signal";
import { config, defer, EMPTY, map, NEVER, take } from "rxjs";
import { TestScheduler } from "rxjs/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pollfds, withBackpressure } from "../src/index.ts";
import { TestSchedulerHost } from "../src/testing.ts";
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
	subscription.unsubscribe();
	close(w.thread, wr);
	w.listen("", pollfds(poller, [{ fd: r, events: POLLIN }]).pipe(take(2)));
	await turns(w);
	assert.equal(w.heard(), [` ${POLLIN | POLLHUP}`, ` ${POLLIN | POLLHUP}`, " done"]);
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
	const count = () => (++works < 5 ? EMPTY : NEVER);
	const source = pollfds(poller, [{ fd: wr, events: POLLOUT }]);
	const subscription = w.listen("", source.pipe(withBackpressure(() => defer(count))));
	await turns(w);
	assert.is(works, 5);
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
	assert.equal([w.heard(), w.kernel.sleepers], [["third ESRCH"], 0]);
});

test("polls show in marbles, and what a descriptor becomes when it is closed", () => {
	const rx = new TestScheduler((actual, expected) => assert.equal(actual, expected));
	rx.run(({ cold, expectObservable }) => {
		const kernel = new Kernel({ host: new TestSchedulerHost(rx), diagnostics: true });
		const { main } = kernel.spawn();
		const [r, wr] = pipe(main);
		const fds = [{ fd: r, events: POLLIN }];
		cold("--w--w-c--d").subscribe((what) => {
			if (what === "w") writeNow(main, wr, new Uint8Array(1));
			else close(main, what === "c" ? wr : r);
		});
		// While it hangs up, each poll returns at once: this one begins after the work.
		const slow = pollfds(main.process.spawnThread(), fds).pipe(
			withBackpressure(([revents]) => {
				if (revents === POLLIN) readNow(main, r, new Uint8Array(8));
				return cold("v-|").pipe(map(() => revents));
			}),
		);
		expectObservable(slow, "^-----------!").toBe("--a--a-b-b-c-", {
			a: POLLIN,
			b: POLLIN | POLLHUP,
			c: POLLNVAL,
		});
	});
});

test("a subscriber that throws is reported, and the thread can poll again", () => {
	const w = world();
	const [, wr] = pipe(w.thread);
	const poller = w.process.spawnThread();
	const source = pollfds(poller, [{ fd: wr, events: POLLOUT }]);
	const thrown: unknown[] = [];
	config.onUnhandledError = (error) => thrown.push(error);
	const report = globalThis.setTimeout;
	globalThis.setTimeout = ((fn: () => void) => fn()) as never;
	try {
		source.pipe(take(1)).subscribe(() => {
			throw "mine";
		});
		w.host.settle();
	} finally {
		globalThis.setTimeout = report;
		config.onUnhandledError = null;
	}
	w.listen("next", source.pipe(take(1)));
	assert.equal([thrown, w.heard()], [["mine"], [`next ${POLLOUT}`, "next done"]]);
	assert.equal([poller.state, w.kernel.sleepers], ["running", 0]);
});

test.run();

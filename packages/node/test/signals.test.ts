// Signals of the real process for an emulated one.
import { EVFILT_SIGNAL, eventList, exit, kevent, sigaction } from "@kqpoll/kqueue";
import { SIG_IGN, SIGHUP, SIGUSR2 } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { forwardSignals } from "../src/index.ts";
import { codeOf, next, outcome, pause, watch, world } from "./world.ts";

/** Sends a signal to this program, which has a listener for it. */
function raise(signal: NodeJS.Signals): void {
	process.kill(process.pid, signal);
}

test("a signal is counted under OpenBSD's number, and handled", async () => {
	const w = world();
	const { thread } = w;
	const handled: number[] = [];
	sigaction(thread, SIGUSR2, (signal) => handled.push(signal));
	watch(w, { ident: SIGUSR2, filter: EVFILT_SIGNAL });
	const forwarding = forwardSignals(w.process, ["SIGUSR2", "SIGHUP"]);
	const sleeping = outcome(kevent(w.process.spawnThread(), w.kq, null, eventList(1), null));
	// The listener does not keep the program alive.
	const alive = setInterval(() => {}, 1000);
	raise("SIGUSR2");
	assert.is(await sleeping, "EINTR");
	assert.equal((await next(w))[0]?.slice(0, 2), [SIGUSR2, EVFILT_SIGNAL]);
	assert.equal(handled, [SIGUSR2]);
	sigaction(thread, SIGHUP, SIG_IGN);
	watch(w, { ident: SIGHUP, filter: EVFILT_SIGNAL });
	raise("SIGHUP");
	assert.equal((await next(w))[0]?.[0], SIGHUP);
	forwarding.close();
	forwarding.close();
	clearInterval(alive);
	assert.equal([process.listenerCount("SIGUSR2"), process.listenerCount("SIGHUP")], [0, 0]);
});

test("a signal without a handler ends the emulated process, not the program", async () => {
	const w = world();
	const forwarding = forwardSignals(w.process, ["SIGHUP"]);
	raise("SIGHUP");
	while (!w.process.exiting) await pause();
	assert.is(w.process.status, SIGHUP);
	forwarding[Symbol.dispose]();
});

test("a signal for a process that has exited is sent again without the listener", async () => {
	const w = world();
	forwardSignals(w.process, ["SIGUSR2", "SIGHUP"]);
	exit(w.thread, 0);
	let heard = 0;
	const listener = () => heard++;
	process.on("SIGUSR2", listener);
	raise("SIGUSR2");
	while (heard < 2) await pause();
	process.off("SIGUSR2", listener);
	assert.equal([process.listenerCount("SIGUSR2"), process.listenerCount("SIGHUP")], [0, 0]);
});

test("a signal that cannot be forwarded is refused, and then none is forwarded", () => {
	const { process: emulated, thread } = world();
	const before = process.eventNames();
	for (const signal of ["SIGKILL", "SIGSTOP", "SIGPWR", "toString"] as NodeJS.Signals[])
		assert.is(
			codeOf(() => forwardSignals(emulated, ["SIGHUP", signal])),
			"EINVAL",
		);
	exit(thread, 0);
	assert.is(
		codeOf(() => forwardSignals(emulated, ["SIGHUP"])),
		"ESRCH",
	);
	assert.equal(process.eventNames(), before);
});

test.run();

// Signals: which thread takes them, what they interrupt, and what EVFILT_SIGNAL counts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EVFILT_READ,
	EVFILT_SIGNAL,
	eventList,
	fork,
	Kernel,
	kevent,
	keventNow,
	kill,
	kqueue,
	openFile,
	SyntheticFile,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
} from "../../src/index.ts";
import { psignal, sigsuspendMask } from "../../src/kernel.ts";
import {
	SA_NODEFER,
	SIG_BLOCK,
	SIG_DFL,
	SIG_IGN,
	SIG_SETMASK,
	SIG_UNBLOCK,
	SIGCHLD,
	SIGKILL,
	SIGSTOP,
	SIGTERM,
	SIGTHR,
	SIGUSR1,
	SIGUSR2,
	sigpending,
	sigset,
	threadKill,
} from "../../src/signal.ts";
import { FakeHost, FakePlatform, rest } from "../base/fake-platform.ts";
import { codeOf, type Fields, fields, machine, rejection } from "../machine.ts";

function collect(thread: Thread, kq: number): Fields[] {
	const events = eventList(8);
	return fields(events, keventNow(thread, kq, null, events));
}

function watch(thread: Thread, kq: number, signal: number): void {
	keventNow(thread, kq, [{ ident: signal, filter: EVFILT_SIGNAL, flags: EV_ADD }], null);
}

function counted(signal: number, count: number): Fields {
	return [signal, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, count, null];
}

test("ignored, blocked and handled signals all count", () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	const taken: number[] = [];
	for (const signal of [SIGUSR1, SIGUSR2, SIGTERM]) watch(thread, kq, signal);
	sigaction(thread, SIGUSR1, SIG_IGN);
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR2));
	sigaction(thread, SIGTERM, (signal) => taken.push(signal));
	for (const signal of [SIGUSR1, SIGUSR2, SIGUSR2, SIGTERM]) kill(thread, process.pid, signal);
	assert.equal(collect(thread, kq), [
		counted(SIGUSR1, 1),
		counted(SIGUSR2, 2),
		counted(SIGTERM, 1),
	]);
	assert.equal(taken, [SIGTERM]);
});

test("a handler sees its own event", () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	watch(thread, kq, SIGUSR1);
	let seen: Fields[] = [];
	sigaction(thread, SIGUSR1, () => {
		seen = collect(thread, kq);
	});
	kill(thread, process.pid, SIGUSR1);
	assert.equal(seen, [counted(SIGUSR1, 1)]);
});

test("a signal deleted from a kqueue no longer counts, and a watched signal 0 never comes", () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	watch(thread, kq, 0);
	watch(thread, kq, SIGCHLD);
	keventNow(thread, kq, [{ ident: SIGCHLD, filter: EVFILT_SIGNAL, flags: EV_DELETE }], null);
	kill(thread, process.pid, SIGCHLD);
	kill(thread, process.pid, 0);
	assert.equal(collect(thread, kq), []);
	assert.is(
		codeOf(() => watch(thread, kq, 33)),
		"EINVAL",
	);
});

test("a signal that a sleeping thread takes ends its call, and the event stays", async () => {
	const { thread, process, host } = machine();
	const sender = process.spawnThread();
	sender.sigmask = sigset(SIGUSR1);
	const kq = kqueue(thread);
	watch(thread, kq, SIGUSR1);
	const taken: string[] = [];
	sigaction(thread, SIGUSR1, () => taken.push("handler"));
	const call = rejection(kevent(thread, kq, null, eventList(1), null)).then((code) => {
		taken.push("call");
		return code;
	});
	kill(sender, process.pid, SIGUSR1);
	host.settle();
	assert.is(await call, "EINTR");
	assert.equal(taken, ["handler", "call"]);
	assert.equal(collect(thread, kq), [counted(SIGUSR1, 1)]);
});

test("with the signal ignored or blocked the same sleeper gets the event", async () => {
	for (const prepare of [
		(thread: Thread) => sigaction(thread, SIGUSR1, SIG_IGN),
		(thread: Thread) => sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1)),
	]) {
		const { thread, process, host } = machine();
		const kq = kqueue(thread);
		watch(thread, kq, SIGUSR1);
		prepare(thread);
		const events = eventList(2);
		const call = kevent(thread, kq, null, events, null);
		psignal(process, SIGUSR1);
		host.settle();
		assert.equal(fields(events, await call), [counted(SIGUSR1, 1)]);
	}
});

test("a signal has priority over an event of the same moment", async () => {
	const { thread, process, host } = machine();
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	sigaction(thread, SIGUSR1, () => {});
	const call = rejection(kevent(thread, kq, null, eventList(1), null));
	file.set("read", { data: 1 });
	psignal(process, SIGUSR1);
	host.settle();
	assert.is(await call, "EINTR");
	assert.is(collect(thread, kq).length, 1);
});

test("signals do not affect a call that does not have to sleep", async () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	const fd = openFile(thread, new SyntheticFile());
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
	sigaction(thread, SIGUSR1, () => {});
	kill(thread, process.pid, SIGUSR1);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	sigprocmask(thread, SIG_SETMASK, 0);
	assert.is(await kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 0 }), 0);
});

test("a signal that is pending when the thread falls asleep interrupts it at once", async () => {
	const { thread, process } = machine();
	const other = process.spawnThread();
	const kq = kqueue(thread);
	sigaction(thread, SIGUSR1, () => {});
	// Not sent by a call of the machine: the thread is told soon, and sleeps before that.
	other.sigmask = sigset(SIGUSR1);
	psignal(process, SIGUSR1);
	assert.is(await rejection(kevent(thread, kq, null, eventList(1), null)), "EINTR");
	assert.is(sigpending(thread), 0);
});

test("blocked signals wait until they are unblocked, and come in order of their numbers", () => {
	const { thread, process } = machine();
	const taken: number[] = [];
	for (const signal of [SIGUSR1, SIGTERM, SIGTHR]) {
		sigaction(thread, signal, (which) => taken.push(which));
	}
	const set = sigset(SIGUSR1, SIGTERM, SIGTHR);
	assert.is(sigprocmask(thread, SIG_BLOCK, set), 0);
	for (const signal of [SIGTHR, SIGUSR1, SIGUSR1, SIGTERM]) kill(thread, process.pid, signal);
	assert.is(sigpending(thread), set);
	assert.is(sigprocmask(thread, SIG_UNBLOCK, set), set);
	assert.equal(taken, [SIGTERM, SIGUSR1, SIGTHR]);
	assert.is(sigpending(thread), 0);
});

test("a handler's own signal and its mask are blocked while it runs, and KILL never is", () => {
	const { thread, process } = machine();
	const log: string[] = [];
	sigaction(thread, SIGUSR2, () => log.push("USR2"));
	sigaction(
		thread,
		SIGUSR1,
		() => {
			const nested = log.length > 0;
			log.push("begin");
			if (!nested) kill(thread, process.pid, SIGUSR1);
			kill(thread, process.pid, SIGUSR2);
			log.push("end");
		},
		sigset(SIGUSR2, SIGKILL),
	);
	kill(thread, process.pid, SIGUSR1);
	assert.equal(log, ["begin", "end", "begin", "end", "USR2"]);
	assert.is(thread.sigmask, 0);
	sigprocmask(thread, SIG_SETMASK, sigset(SIGKILL, SIGSTOP, SIGUSR1));
	assert.is(thread.sigmask, sigset(SIGUSR1));
});

test("a mask for one call is restored when it ends, after the handlers that it allowed", async () => {
	const { thread, process, host } = machine();
	const kq = kqueue(thread);
	const masks: number[] = [];
	sigaction(thread, SIGUSR1, () => masks.push(thread.sigmask));
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1, SIGTERM));
	sigsuspendMask(thread, sigset(SIGTERM), "test");
	const call = rejection(kevent(thread, kq, null, eventList(1), null));
	psignal(process, SIGUSR1);
	host.settle();
	assert.is(await call, "EINTR");
	assert.equal(masks, [sigset(SIGTERM, SIGUSR1)]);
	assert.is(thread.sigmask, sigset(SIGUSR1, SIGTERM));
});

test("a signal for the process goes to a thread that does not block it, a sleeping one first", async () => {
	const { thread, process, host } = machine();
	const busy = process.spawnThread();
	const sleeper = process.spawnThread();
	const kq = kqueue(thread);
	sigaction(thread, SIGUSR1, () => {});
	thread.sigmask = sigset(SIGUSR1);
	const call = rejection(kevent(sleeper, kq, null, eventList(1), null));
	psignal(process, SIGUSR1, thread);
	host.settle();
	assert.is(await call, "EINTR");
	assert.is(busy.state, "running");
});

test("a signal for one thread waits for that thread", () => {
	const { thread, process, host } = machine();
	const other = process.spawnThread();
	const taken: number[] = [];
	sigaction(thread, SIGUSR1, (signal) => taken.push(signal));
	other.sigmask = sigset(SIGUSR1);
	threadKill(thread, other, SIGUSR1);
	host.settle();
	assert.equal(taken, []);
	assert.is(sigpending(other), sigset(SIGUSR1));
	other.sigmask = 0;
	threadKill(thread, other, SIGUSR1);
	host.settle();
	assert.equal(taken, [SIGUSR1]);
});

test("the default action of most signals ends the process, of some does nothing", async () => {
	const { thread, process, host, kernel } = machine();
	const child = fork(thread);
	const kq = kqueue(child.main);
	const call = rejection(kevent(child.main, kq, null, eventList(1), null));
	kill(thread, child.pid, SIGCHLD);
	host.settle();
	assert.is(child.main.state, "asleep");
	kill(thread, child.pid, SIGTERM);
	host.settle();
	assert.is(await call, "EINTR");
	assert.equal([child.exiting, child.status, child.threads], [true, SIGTERM, []]);
	assert.ok(kernel.processes.has(process.pid));
});

test("a process that kills itself is gone when the call returns", () => {
	const { thread, process } = machine();
	kill(thread, process.pid, SIGKILL);
	assert.equal([process.exiting, process.status, thread.state], [true, SIGKILL, "exited"]);
});

test("when a signal becomes ignored, a pending one is discarded", () => {
	const { thread, process } = machine();
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
	kill(thread, process.pid, SIGUSR1);
	sigaction(thread, SIGUSR1, SIG_IGN);
	sigprocmask(thread, SIG_UNBLOCK, sigset(SIGUSR1));
	assert.is(sigpending(thread), 0);
	assert.is(sigaction(thread, SIGUSR1, SIG_DFL), SIG_IGN);
	assert.is(process.exiting, false);
});

test("the platform reports what a handler throws, and the mask is restored", () => {
	const { thread, process, host } = machine();
	const thrown = new Error("from the handler");
	sigaction(thread, SIGUSR1, () => {
		throw thrown;
	});
	kill(thread, process.pid, SIGUSR1);
	assert.is(thread.sigmask, 0);
	assert.is(
		codeOf(() => host.settle()),
		thrown,
	);
});

test("a set consists of signals only", () => {
	for (const none of [0, 33, -1, 0.5, Number.NaN, "1", Symbol("1"), undefined]) {
		assert.is(
			codeOf(() => sigset(SIGTERM, none as never)),
			"EINVAL",
		);
	}
	assert.is(sigset(), 0);
});

test("signal 0 finds out whether a thread exists", () => {
	const { thread, process } = machine();
	const other = process.spawnThread();
	threadKill(thread, other, 0);
	threadExit(other);
	assert.is(
		codeOf(() => threadKill(thread, other, 0)),
		"ESRCH",
	);
	assert.is(
		codeOf(() => sigpending(other)),
		"ESRCH",
	);
});

test("a handler that sends itself its signal some times has run as often when the call returns", () => {
	const { host, thread, process } = machine();
	for (const flags of [0, SA_NODEFER]) {
		let runs = 0;
		const handler = (): void => {
			if (++runs < 50) kill(thread, process.pid, SIGUSR1);
		};
		sigaction(thread, SIGUSR1, handler, 0, flags);
		kill(thread, process.pid, SIGUSR1);
		assert.is(runs, 50);
		host.settle();
		assert.is(runs, 50);
	}
});

test("one that does so without end lets the program go on, and runs again in turns of its own", () => {
	const { host, kernel, thread, process } = machine();
	let runs = 0;
	let other = 0;
	sigaction(thread, SIGUSR1, () => {
		if (++runs < 5500) kill(thread, process.pid, SIGUSR1);
	});
	sigaction(thread, SIGUSR2, () => other++);
	kill(thread, process.pid, SIGUSR1);
	assert.equal([runs, sigpending(thread)], [1001, 0]);
	assert.ok((process.siglist & sigset(SIGUSR1)) !== 0);
	// Other signals are still taken before the call returns that sends them.
	kill(thread, process.pid, SIGUSR2);
	assert.equal([runs, other], [2002, 1]);
	// Other processes have their turns in between.
	const order: number[] = [];
	const neighbour = kernel.spawn();
	sigaction(neighbour.main, SIGUSR1, () => order.push(runs));
	psignal(neighbour, SIGUSR1);
	host.settle();
	assert.equal([runs, order, process.siglist], [5500, [3003], 0]);
});

test("signals that each handler sends are taken, in their order, and not without end", () => {
	const { host, thread, process } = machine();
	const log: number[] = [];
	const all = [SIGUSR1, SIGUSR2, SIGTERM];
	for (const signal of all) {
		sigaction(thread, signal, () => {
			log.push(signal);
			if (log.length < 4000) for (const each of all) kill(thread, process.pid, each);
		});
	}
	kill(thread, process.pid, SIGTERM);
	assert.ok(log.length > 1000 && log.length < 1100, `${log.length} deliveries`);
	assert.is(thread.sigmask, 0);
	host.settle();
	assert.ok(log.length >= 4000 && log.length < 4010, `${log.length} deliveries`);
	assert.equal([process.siglist, thread.sigmask, thread.handling], [0, 0, 0]);
});

test("handlers inside handlers do not use up the stack", () => {
	const { host, thread, process } = machine();
	let depth = 0;
	let deepest = 0;
	let runs = 0;
	const handler = (): void => {
		deepest = Math.max(deepest, ++depth);
		if (++runs < 5000) kill(thread, process.pid, SIGUSR1);
		depth--;
	};
	sigaction(thread, SIGUSR1, handler, 0, SA_NODEFER);
	kill(thread, process.pid, SIGUSR1);
	host.settle();
	assert.equal([runs, deepest, process.siglist], [5000, 64, 0]);
});

test("a signal that is taken later does not wait in a loop for the handler that sent it", () => {
	const { host, thread, process } = machine();
	const log: string[] = [];
	sigaction(thread, SIGUSR2, () => log.push("inner"));
	sigaction(thread, SIGUSR1, () => {
		// Longer than signals are taken again.
		host.advance(20);
		kill(thread, process.pid, SIGUSR2);
		kill(thread, process.pid, SIGUSR2);
		host.settle();
		log.push("outer");
	});
	kill(thread, process.pid, SIGUSR1);
	assert.equal(log, ["inner", "outer"]);
	host.settle();
	assert.equal([log, process.siglist, thread.handling], [["inner", "outer", "inner"], 0, 0]);
});

test("a handler that takes long has 10 ms, and the platform a turn before the rest", async () => {
	const platform = new FakePlatform();
	const kernel = new Kernel({ host: new FakeHost(platform) });
	const { main, pid } = kernel.spawn();
	let runs = 0;
	sigaction(main, SIGUSR1, () => {
		platform.work(4);
		if (++runs < 20) kill(main, pid, SIGUSR1);
	});
	kill(main, pid, SIGUSR1);
	const counts = [runs];
	await rest();
	assert.is(runs, counts[0]);
	for (let i = 0; i < 6; i++) {
		const from = runs;
		await platform.turn();
		counts.push(runs - from);
	}
	assert.equal(counts, [3, 3, 3, 3, 3, 3, 2]);
});

test("processes that signal each other leave the platform its turns", async () => {
	const platform = new FakePlatform();
	const kernel = new Kernel({ host: new FakeHost(platform) });
	const processes = [kernel.spawn(), kernel.spawn()] as const;
	const log: number[] = [];
	for (const [i, { main }] of processes.entries()) {
		sigaction(main, SIGUSR1, () => {
			log.push(i);
			platform.work(4);
			kill(main, (processes[1 - i] as (typeof processes)[0]).pid, SIGUSR1);
		});
	}
	kill(processes[0].main, processes[1].pid, SIGUSR1);
	await rest();
	const seen = [log.splice(0), ...(await platform.turns(6, log))];
	assert.ok(seen.every((turn) => turn.length === 3));
	assert.ok(seen.flat().every((who, i) => who === (i + 1) % 2));
});

test.run();

// What drivers can rely on, and what they cannot break; signals that the program has made itself.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	BlockingHost,
	close,
	EV_ADD,
	EVFILT_READ,
	EVFILT_TIMER,
	eventList,
	exit,
	fork,
	interrupt,
	Kernel,
	kevent,
	keventNow,
	kill,
	kqueue,
	openFile,
	read,
	ringDoorbell,
	SyntheticFile,
	sigaction,
	type Thread,
	threadExit,
	waitpidNow,
	watchKevent,
} from "../../src/index.ts";
import {
	type AbortSignalLike,
	callAsync,
	callNow,
	callSync,
	cutShort,
	Driver,
	enter,
	keventCall,
	leave,
	nanosleepCall,
	pauseCall,
	readCall,
	resume,
	sigwaitCall,
	startCall,
	WOULD_SLEEP,
	waitpidCall,
} from "../../src/kernel.ts";
import {
	SA_RESTART,
	SIGKILL,
	SIGUSR1,
	SIGUSR2,
	sigset,
	sigwait,
	sigwaitNow,
} from "../../src/signal.ts";
import { VirtualHost } from "../../src/testing.ts";
import { readv } from "../../src/uio.ts";
import { codeOf, HookedFile, machine, rejection } from "../machine.ts";

const byte = new Uint8Array(1);

/** A signal whose `aborted` does something when it is read for the nth time. */
class OddSignal implements AbortSignalLike {
	reads = 0;
	readonly listeners: Set<() => void> = new Set();
	private readonly odd: number;

	constructor(odd: number) {
		this.odd = odd;
	}

	get aborted(): boolean {
		if (++this.reads === this.odd) throw "odd";
		return false;
	}

	get reason(): unknown {
		throw "reason";
	}

	addEventListener(_type: "abort", listener: () => void): void {
		this.listeners.add(listener);
	}

	removeEventListener(_type: "abort", listener: () => void): void {
		this.listeners.delete(listener);
	}
}

test("a signal whose accessor throws, at whatever moment, settles the call and leaves nothing", async () => {
	let tried = 0;
	for (let odd = 1; odd < 12; odd++) {
		const { host, kernel, thread } = machine();
		const file = new SyntheticFile();
		const fd = openFile(thread, file);
		const signal = new OddSignal(odd);
		const call = rejection(read(thread, fd, byte, { signal }));
		host.settle();
		interrupt(thread);
		host.settle();
		const later = new Promise((resolve) => setImmediate(() => resolve("pending")));
		const outcome = await Promise.race([call, later]);
		assert.ok(outcome === "odd" || outcome === "EINTR", `${odd}: ${String(outcome)}`);
		if (outcome === "odd") tried++;
		assert.equal(
			[thread.state, kernel.sleepers, kernel.activity.depth, signal.listeners.size, file.refs],
			["running", 0, 0, 0, 1],
			`read ${odd}`,
		);
	}
	assert.ok(tried >= 2, `${tried} moments`);
});

test("a signal whose accessors make the event happen does not keep the sleeper asleep", async () => {
	for (const accessor of ["aborted", "addEventListener"]) {
		for (let nth = 1; nth < 4; nth++) {
			const { host, kernel, thread } = machine();
			const file = new SyntheticFile();
			const fd = openFile(thread, file);
			let reads = 0;
			const act = (): boolean => {
				if (++reads === nth) file.push(byte);
				return false;
			};
			const signal: AbortSignalLike = {
				get aborted() {
					return accessor === "aborted" && act();
				},
				reason: null,
				addEventListener: () => void (accessor === "aborted" || act()),
				removeEventListener: () => {},
			};
			const call = read(thread, fd, new Uint8Array(1), { signal });
			host.settle();
			if (reads < nth) file.push(byte);
			host.settle();
			const later = new Promise((resolve) => setImmediate(() => resolve("asleep")));
			assert.is(await Promise.race([call, later]), 1, `${accessor} ${nth}`);
			assert.equal([thread.state, kernel.sleepers], ["running", 0]);
		}
	}
});

test("a signal whose accessor throws when the process exits keeps nothing open", async () => {
	const { host, process, thread } = machine();
	const child = fork(thread);
	const file = new SyntheticFile();
	const fd = openFile(child.main, file);
	let armed = false;
	const signal: AbortSignalLike = {
		get aborted() {
			if (armed) throw "odd";
			return false;
		},
		reason: null,
		addEventListener: () => {},
		removeEventListener: () => {
			throw "removed";
		},
	};
	const call = rejection(read(child.main, fd, byte, { signal }));
	host.settle();
	armed = true;
	let reported: unknown = null;
	try {
		exit(child.main, 0);
		host.settle();
	} catch (error) {
		reported = error;
	}
	assert.equal([await call, reported], ["odd", "removed"]);
	assert.equal([child.zombie, file.refs, [...child.fdp.open()]], [true, 0, []]);
	assert.is(process.exiting, false);
});

test("a blocking call with such a signal fails, and is never taken for done", () => {
	for (let odd = 1; odd < 12; odd++) {
		const { host, thread } = machine();
		host.setTimer(1e6, () => interrupt(thread));
		const options = { signal: new OddSignal(odd) };
		const code = codeOf(() => callSync(thread, "pause", options, pauseCall));
		assert.ok(code === "odd" || code === "EINTR", `${odd}: ${String(code)}`);
	}
});

/** A driver that logs, and throws when it is told something. */
class Brittle extends Driver {
	readonly log: unknown[] = [];

	override woken(thread: Thread): void {
		this.log.push("woken");
		resume(thread);
	}

	override done(result: number): void {
		this.log.push(result);
		throw new Error("done");
	}

	override failed(error: unknown): void {
		this.log.push((error as { code: string }).code);
		throw new Error("failed");
	}
}

test("what a driver throws is the platform's, and harms nobody", () => {
	const { host, kernel, process, thread } = machine();
	const other = process.spawnThread();
	const driver = new Brittle();
	assert.is(
		startCall(() => driver, other, "pause", null, pauseCall),
		WOULD_SLEEP,
	);
	threadExit(other);
	assert.throws(() => host.settle(), "failed");
	assert.equal([driver.log, kernel.activity.depth, kernel.sleepers], [["EINTR"], 0, 0]);
	const soon = { sec: 0, nsec: 1 };
	startCall(() => driver, thread, "nanosleep", null, nanosleepCall, soon);
	assert.throws(() => host.advance(1), "done");
	assert.equal(driver.log, ["EINTR", "woken", 0]);
	assert.is(callSync(thread, "nanosleep", null, nanosleepCall, soon), 0);
});

test("resume and cutShort do nothing for a thread that is not there to continue", async () => {
	const { host, kernel, process, thread } = machine();
	const other = process.spawnThread();
	const driver = new Brittle();
	startCall(() => driver, other, "pause", null, pauseCall);
	resume(other);
	assert.equal([other.state, kernel.sleepers], ["asleep", 1]);
	threadExit(other);
	assert.throws(() => host.settle(), "failed");
	resume(other);
	cutShort(other, new Error("late"));
	assert.equal([other.state, driver.log], ["exited", ["EINTR"]]);
	cutShort(thread, new Error("not asleep"));
	assert.is(thread.state, "running");
});

test("an interruption ends a call even if a signal with SA_RESTART is pending", async () => {
	const { host, kernel, process, thread } = machine();
	sigaction(thread, SIGUSR1, () => {}, 0, SA_RESTART);
	const fd = openFile(thread, new SyntheticFile());
	const call = rejection(read(thread, fd, byte));
	kill(kernel.spawn().main, process.pid, SIGUSR1);
	assert.is(interrupt(thread), true);
	host.settle();
	assert.is(await call, "EINTR");
});

test("an error names its call, whatever calls its handlers make", async () => {
	const { host, kernel, process, thread } = machine();
	const fd = openFile(thread, new SyntheticFile());
	sigaction(thread, SIGUSR1, () => {
		rejection(read(thread, fd, byte));
	});
	const call = readv(thread, fd, [byte]);
	kill(kernel.spawn().main, process.pid, SIGUSR1);
	host.settle();
	const error = await call.catch((thrown) => thrown);
	assert.equal([error.code, error.syscall], ["EINTR", "readv"]);
});

test("aborting a call does not interrupt the one that its handler makes", async () => {
	const { host, kernel, process, thread } = machine();
	const kq = kqueue(thread);
	const abort = new AbortController();
	let inner: Promise<unknown> = Promise.resolve();
	sigaction(thread, SIGUSR1, () => {
		inner = rejection(kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 5e6 }));
		abort.abort("outer");
	});
	const outer = kevent(thread, kq, null, eventList(1), null, { signal: abort.signal });
	kill(kernel.spawn().main, process.pid, SIGUSR1);
	host.settle();
	assert.is(await rejection(outer), "outer");
	host.advance(5);
	assert.is(await inner, "no error");
});

test("a file whose channel throws fails the call, and leaves nothing behind", async () => {
	class Torn extends SyntheticFile {
		asked = 0;
		override channel(mode: number): ReturnType<SyntheticFile["channel"]> {
			if (++this.asked === 2) throw "torn";
			return super.channel(mode);
		}
	}
	const { kernel, thread } = machine();
	const file = new Torn();
	const fd = openFile(thread, file);
	assert.is(await rejection(read(thread, fd, byte)), "torn");
	assert.equal([file.refs, kernel.activity.depth, thread.depth, kernel.sleepers], [1, 0, 0, 0]);
});

test("a program that only makes blocking calls that do not sleep sees timers, and what is posted", () => {
	const host = new BlockingHost();
	const thread = new Kernel({ host }).spawn().main;
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	const events = eventList(1);
	let posted = false;
	host.attach(() => {
		if (posted) file.push(byte);
	});
	const zero = { sec: 0, nsec: 0 };
	const spin = (
		changes: { ident: number; filter: number; flags: number; data?: number }[],
	): number => {
		keventNow(thread, kq, changes, null);
		for (let calls = 1; calls <= 50_000_000; calls++) {
			if (callSync(thread, "kevent", null, keventCall, kq, null, events, zero) > 0) return calls;
		}
		return 0;
	};
	assert.ok(spin([{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD | 0x10, data: 2 }]) > 0);
	posted = true;
	ringDoorbell(host.doorbell as SharedArrayBuffer);
	assert.ok(spin([{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }]) > 0);
});

test("in virtual time such a program lets time pass, too", () => {
	const { host, thread } = machine();
	const kq = kqueue(thread);
	const change = [{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 1000 }];
	const events = eventList(1);
	keventNow(thread, kq, change, null);
	let calls = 0;
	const zero = { sec: 0, nsec: 0 };
	while (callSync(thread, "kevent", null, keventCall, kq, null, events, zero) === 0) calls++;
	assert.equal([calls < 2000, host.now()], [true, 1e9]);
});

test("two machines on one host: a call blocks on neither while the other is in the middle of something", () => {
	const host = new VirtualHost();
	const one = new Kernel({ host }).spawn().main;
	const two = new Kernel({ host }).spawn().main;
	const tries: unknown[] = [];
	const attempt = (): void => {
		tries.push(codeOf(() => callSync(two, "nanosleep", null, nanosleepCall, { sec: 0, nsec: 1 })));
	};
	const file = new HookedFile();
	file.asked = attempt;
	const fd = openFile(one, file);
	keventNow(one, kqueue(one), [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	file.asked = null;
	const change = { ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 1 };
	const watch = watchKevent(one, change, { next: attempt, error: () => {}, complete: () => {} });
	host.advance(1);
	watch.close();
	assert.equal(tries, ["EDEADLK", "EDEADLK"]);
	attempt();
	assert.is(tries[2], "no error");
});

test("another's timer that throws does not end a call that blocks", async () => {
	const host = new BlockingHost();
	const thread = new Kernel({ host }).spawn().main;
	const reported: unknown[] = [];
	const listen = (error: unknown): void => void reported.push((error as Error).message);
	process.prependOnceListener("uncaughtException", listen);
	host.setTimer(host.now() + 1e6, () => {
		throw new Error("another's");
	});
	const begin = host.now();
	assert.is(callSync(thread, "nanosleep", null, nanosleepCall, { sec: 0, nsec: 10e6 }), 0);
	assert.ok(host.now() - begin >= 10e6);
	await new Promise((resolve) => setTimeout(resolve, 5));
	process.off("uncaughtException", listen);
	assert.equal(reported, ["another's"]);
});

test("a receiver that is attached when the bell has rung already is called, one that is detached is not", () => {
	const host = new BlockingHost();
	const thread = new Kernel({ host }).spawn().main;
	ringDoorbell(host.doorbell as SharedArrayBuffer);
	const nap = (): number =>
		callSync(thread, "nanosleep", null, nanosleepCall, { sec: 0, nsec: 1e5 });
	nap();
	const log: string[] = [];
	host.attach(() => log.push("late"));
	nap();
	assert.equal(log, ["late"]);
	const detach = host.attach(() => log.push("gone"));
	detach();
	nap();
	assert.equal(log, ["late"]);
});

test("virtual time does not go back when a timer blocks", () => {
	const { host, thread } = machine();
	host.setTimer(1e6, () => {
		callSync(thread, "nanosleep", null, nanosleepCall, { sec: 3600, nsec: 0 });
	});
	host.advance(10);
	assert.is(host.now(), 3600e9 + 1e6);
});

test("sigwait does not take SIGKILL", async () => {
	const { host, kernel, process, thread } = machine();
	const call = rejection(sigwait(thread, -1));
	kill(kernel.spawn().main, process.pid, SIGKILL);
	host.settle();
	assert.equal([await call, process.status], ["EINTR", SIGKILL]);
	const other = kernel.spawn().main;
	other.siglist = sigset(SIGKILL);
	other.sigmask = -1;
	assert.is(sigwaitNow(other, -1), 0);
});

test("of two threads that wait for signals each gets one, and none is lost with a thread that ends", async () => {
	const { host, kernel, process, thread } = machine();
	const sender = kernel.spawn().main;
	const set = sigset(SIGUSR1, SIGUSR2);
	for (const each of process.threads) each.sigmask = set;
	const other = process.spawnThread();
	const both = [sigwait(thread, set), sigwait(other, set)];
	kill(sender, process.pid, SIGUSR1);
	kill(sender, process.pid, SIGUSR2);
	host.settle();
	assert.equal((await Promise.all(both)).sort(), [SIGUSR1, SIGUSR2]);
	// The one that was woken ends before its turn: the other one gets the signal.
	const third = process.spawnThread();
	const first = rejection(sigwait(thread, set));
	const second = sigwait(third, set);
	kill(sender, process.pid, SIGUSR1);
	threadExit(thread);
	host.settle();
	assert.equal([await first, await second], ["EINTR", SIGUSR1]);
});

test("a sigwait that never sleeps leaves the one that its thread sleeps in alone", async () => {
	const { host, kernel, process, thread } = machine();
	const set = sigset(SIGUSR1);
	thread.sigmask = set;
	const call = sigwait(thread, set);
	enter(thread, "sigwait");
	assert.is(
		codeOf(() => callNow(sigwaitCall(thread, sigset(SIGUSR2)))),
		"EAGAIN",
	);
	leave(thread);
	kill(kernel.spawn().main, process.pid, SIGUSR1);
	host.settle();
	assert.is(await call, SIGUSR1);
});

test("what a program cannot be told is EFAULT, and nothing is lost", async () => {
	const { host, kernel, process, thread } = machine();
	sigaction(thread, SIGUSR1, () => {});
	const frozen = Object.freeze({ sec: 0, nsec: 0 });
	const nap = callAsync(thread, "nanosleep", null, nanosleepCall, { sec: 1, nsec: 0 }, frozen);
	kill(kernel.spawn().main, process.pid, SIGUSR1);
	host.settle();
	assert.is(await rejection(nap), "EFAULT");
	const child = fork(thread);
	exit(child.main, 3);
	const status = Object.freeze({ status: 0 });
	assert.is(await rejection(callAsync(thread, "waitpid", null, waitpidCall, -1, status)), "EFAULT");
	assert.is(waitpidNow(thread, -1)?.pid, child.pid);
});

test("accessors of the arguments may close what the call is about", async () => {
	const { process, thread } = machine();
	let closed = 0;
	const file = new SyntheticFile({ close: () => closed++ });
	const fd = openFile(thread, file);
	const buffers = [byte];
	Object.defineProperty(buffers, 0, {
		get: () => {
			if (file.refs > 0) close(thread, fd);
			return byte;
		},
	});
	assert.is(await rejection(readv(thread, fd, buffers)), "EBADF");
	assert.is(closed, 1);
	const kq = kqueue(thread);
	const timeout = {
		nsec: 0,
		get sec(): number {
			close(thread, kq);
			return 1;
		},
	};
	assert.is(await rejection(kevent(thread, kq, null, eventList(1), timeout)), "EBADF");
	assert.is(process.fdp.firstKqueue, null);
	assert.is(
		codeOf(() => readCall(thread, fd, byte)),
		"EBADF",
	);
});

test("a child of a thread that sleeps in a ppoll has the thread's own mask", () => {
	const { thread } = machine();
	thread.sigmask = 0;
	thread.oldmask = sigset(SIGUSR1);
	assert.is(fork(thread).main.sigmask, sigset(SIGUSR1));
	thread.oldmask = null;
});

test.run();

// One program of pipes, poll, timers, signals and children, driven in three ways: the transcripts
// are the same.
import { POLLIN, POLLOUT, type Pollfd } from "@kqpoll/kqpoll";
import { pollCall } from "@kqpoll/kqpoll/kernel";
import {
	EV_ADD,
	EVFILT_READ,
	EVFILT_TIMER,
	eventList,
	exit,
	fork,
	Kernel,
	kevent,
	keventNow,
	kill,
	kqueue,
	readNow,
	SystemError,
	sigaction,
	sigprocmask,
	type Thread,
	watchKevent,
	writeNow,
} from "@kqpoll/kqueue";
import {
	type Begin,
	callAsync,
	callEither,
	callSync,
	keventCall,
	nanosleepCall,
	pauseCall,
	readCall,
	readvCall,
	sigwaitCall,
	waitpidCall,
	writeCall,
} from "@kqpoll/kqueue/kernel";
import { SIG_BLOCK, SIGUSR1, SIGUSR2, sigset } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { WEXITSTATUS } from "@kqpoll/kqueue/wait";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../src/index.ts";

/** A call that a program asks its driver for: its name, how it begins, and its arguments. */
type Asked = readonly [name: string, begin: Begin<never[]>, ...args: unknown[]];

/** A program that sleeps: it yields its calls, and gets their results, or what they threw. */
type Program = Generator<Asked, void, number | SystemError>;

function ask<A extends readonly unknown[]>(name: string, begin: Begin<A>, ...args: A): Asked {
	return [name, begin as unknown as Begin<never[]>, ...args];
}

interface World {
	readonly host: VirtualHost;
	readonly thread: Thread;
	readonly log: string[];
}

function world(): World {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, diagnostics: true });
	return { host, thread: kernel.spawn().main, log: [] };
}

function* program({ host, thread, log }: World): Program {
	const { process, kernel } = thread;
	const say = (words: string): void => void log.push(`${host.now() / 1e6} ms: ${words}`);
	const told = (name: string, result: number | SystemError): void =>
		say(`${name} ${typeof result === "number" ? result : result.code}`);
	const text = (bytes: Uint8Array, n: number | SystemError): string =>
		String.fromCharCode(...bytes.subarray(0, Number(n)));
	const bytes = (words: string): Uint8Array => Uint8Array.from(words, (c) => c.charCodeAt(0));
	const [r, w] = pipe(thread);
	const kq = kqueue(thread);
	const buffer = new Uint8Array(16);
	sigaction(thread, SIGUSR1, (signal) => say(`handler of ${signal}`));

	// A time-out, and a poll that a watcher's write wakes.
	const fds: Pollfd[] = [{ fd: r, events: POLLIN, revents: 0 }];
	told("poll", yield ask("poll", pollCall, fds, 20));
	const timer = watchKevent(
		thread,
		{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 30 },
		{
			next: () => {
				say("the watcher writes");
				writeNow(thread, w, bytes("tick"));
				timer.close();
			},
			error: (error) => say(String(error)),
			complete: () => {},
		},
	);
	told("poll", yield ask("poll", pollCall, fds, -1));
	const n = yield ask("read", readCall, r, buffer);
	say(`read ${text(buffer, n)}`);

	// Two entries, of which one is ready at once.
	const both: Pollfd[] = [
		{ fd: r, events: POLLIN, revents: 0 },
		{ fd: w, events: POLLOUT, revents: 0 },
	];
	told("poll", yield ask("poll", pollCall, both, -1));
	say(both.map(({ revents }) => revents).join());

	// A signal interrupts a sleep, and its handler runs before the program goes on.
	host.setTimer(host.now() + 5e6, () => kill(kernel.spawn().main, process.pid, SIGUSR1));
	const left = { sec: 0, nsec: 0 };
	told("nanosleep", yield ask("nanosleep", nanosleepCall, { sec: 1, nsec: 0 }, left));
	say(`left ${left.sec} s ${left.nsec} ns`);
	host.setTimer(host.now() + 5e6, () => kill(kernel.spawn().main, process.pid, SIGUSR1));
	told("pause", yield ask("pause", pauseCall));
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR2));
	host.setTimer(host.now() + 5e6, () => kill(kernel.spawn().main, process.pid, SIGUSR2));
	told("sigwait", yield ask("sigwait", sigwaitCall, sigset(SIGUSR2)));

	// A write that has to wait for a reader, three times.
	const drained = new Uint8Array(30_000);
	const gone = fork(thread);
	for (let i = 1; i <= 3; i++) {
		host.setTimer(host.now() + i * 1e6, () => {
			say(`drained ${readNow(gone.main, r, drained)}`);
		});
	}
	told("write", yield ask("write", writeCall, w, new Uint8Array(100_000)));

	// Kevents: a timer and the bytes left in the pipe.
	const events = eventList(2);
	keventNow(thread, kq, [{ ident: r, filter: EVFILT_READ, flags: EV_ADD }], null);
	const change = [{ ident: 9, filter: EVFILT_TIMER, flags: EV_ADD, data: 7 }];
	const soon = { sec: 0, nsec: 50e6 };
	told("kevent", yield ask("kevent", keventCall, kq, change, events, soon));
	say(`${events[0]?.filter} ${events[0]?.data}`);

	// A child that exits, and one that does not exist.
	host.setTimer(host.now() + 3e6, () => exit(gone.main, 7));
	const taken = { status: 0 };
	const pid = yield ask("waitpid", waitpidCall, gone.pid, taken);
	say(`waitpid ${pid === gone.pid} ${WEXITSTATUS(taken.status)}`);
	told("waitpid", yield ask("waitpid", waitpidCall, -1, taken));

	// Two buffers.
	const parts = [new Uint8Array(2), new Uint8Array(3)];
	told("readv", yield ask("readv", readvCall, r, parts));
}

function failure(error: unknown): SystemError {
	if (error instanceof SystemError) return error;
	throw error;
}

/** Runs the program to its end with calls that block. */
function runSync(w: World): string[] {
	const running = program(w);
	let step = running.next();
	while (!step.done) {
		const [name, begin, ...args] = step.value;
		let result: number | SystemError;
		try {
			result = callSync(w.thread, name, null, begin, ...(args as never[]));
		} catch (error) {
			result = failure(error);
		}
		step = running.next(result);
	}
	return w.log;
}

/** Runs the program to its end with calls that are promises, all of them or those that sleep. */
function runAsync(w: World, call: typeof callAsync | typeof callEither): Promise<string[]> {
	return w.host.run(async () => {
		const running = program(w);
		let step = running.next();
		while (!step.done) {
			const [name, begin, ...args] = step.value;
			let result: number | SystemError;
			try {
				const given = call(w.thread, name, null, begin, ...(args as never[]));
				result = typeof given === "number" ? given : await given;
			} catch (error) {
				result = failure(error);
			}
			step = running.next(result);
		}
		return w.log;
	});
}

const TRANSCRIPT = [
	"20 ms: poll 0",
	"50 ms: the watcher writes",
	"50 ms: poll 1",
	"50 ms: read tick",
	"50 ms: poll 1",
	"50 ms: 0,4",
	"55 ms: handler of 30",
	"55 ms: nanosleep EINTR",
	"55 ms: left 0 s 995000000 ns",
	"60 ms: handler of 30",
	"60 ms: pause EINTR",
	"65 ms: sigwait 31",
	"66 ms: drained 30000",
	"67 ms: drained 30000",
	"68 ms: drained 5536",
	"68 ms: write 100000",
	"68 ms: kevent 1",
	"68 ms: -1 34464",
	"71 ms: waitpid true 7",
	"71 ms: waitpid ECHILD",
	"71 ms: readv 5",
];

test("a program that blocks in virtual time has the transcript of one with promises", async () => {
	const expected = await runAsync(world(), callAsync);
	assert.equal(expected, TRANSCRIPT);
	assert.equal(runSync(world()), expected);
	assert.equal(await runAsync(world(), callEither), expected);
});

test("a call that blocks forever fails, and says what every thread waits for", () => {
	const { host, thread, log } = world();
	const [r] = pipe(thread);
	const other = thread.process.spawnThread();
	const kq = kqueue(other);
	keventNow(other, kq, [{ ident: r, filter: EVFILT_READ, flags: EV_ADD }], null);
	kevent(other, kq, null, eventList(1), null).catch((error) => log.push(error.code));
	const asleep = `thread ${other.tid} of process 1 sleeps in kevent of kqueue ${kq}, which watches READ ${r}, forever`;
	let error: unknown = null;
	try {
		callSync(thread, "read", null, readCall, r, new Uint8Array(1));
	} catch (thrown) {
		error = thrown;
	}
	assert.is(
		String(error),
		"SystemError: EDEADLK: resource deadlock avoided, read (nothing will ever wake it: " +
			`thread ${thread.tid} of process 1 sleeps in read of descriptor ${r} (pipe), forever; ${asleep})`,
	);
	// The thread is awake again, the other one is not.
	assert.equal([thread.state, other.state, host.now()], ["running", "asleep", 0]);
});

test.run();

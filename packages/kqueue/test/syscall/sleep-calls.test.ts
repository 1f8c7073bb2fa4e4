// Calls that only sleep, and waitpid: when they end, and with what.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	exit,
	fork,
	kill,
	nanosleep,
	sigaction,
	sigprocmask,
	type Thread,
	waitpid,
	waitpidNow,
} from "../../src/index.ts";
import {
	SIG_BLOCK,
	SIG_DFL,
	SIG_IGN,
	SIGCHLD,
	SIGINT,
	SIGKILL,
	SIGTERM,
	SIGUSR1,
	SIGUSR2,
	sigpending,
	sigset,
	sigsuspend,
	sigwait,
	sigwaitNow,
	threadKill,
} from "../../src/signal.ts";
import { pause } from "../../src/unistd.ts";
import { WEXITSTATUS, WIFEXITED, WIFSIGNALED, WIFSTOPPED, WTERMSIG } from "../../src/wait.ts";
import { codeOf, machine, rejection } from "../machine.ts";

const never = { sec: 1e9, nsec: 0 };

/** Another process of the same machine, to send signals from. */
function stranger(thread: Thread): Thread {
	return thread.kernel.spawn().main;
}

test("nanosleep sleeps for its time, and not shorter", async () => {
	const { host, thread } = machine();
	const done: number[] = [];
	nanosleep(thread, { sec: 1, nsec: 500_000_001 }).then((n) => done.push(n, host.now()));
	await host.run(() => nanosleep(stranger(thread), { sec: 2, nsec: 0 }));
	assert.equal(done, [0, 1_500_000_001]);
	// It sleeps even for a time of 0.
	const before = host.now();
	await host.run(() => nanosleep(thread, { sec: 0, nsec: 0 }));
	assert.is(host.now(), before + 1);
});

test("a signal interrupts nanosleep, which reports the time that is left", async () => {
	const { host, thread } = machine();
	sigaction(thread, SIGUSR1, () => {});
	const left = { sec: -1, nsec: -1 };
	const nap = rejection(nanosleep(thread, { sec: 5, nsec: 0 }, left));
	host.advance(1250);
	kill(stranger(thread), thread.process.pid, SIGUSR1);
	host.settle();
	assert.is(await nap, "EINTR");
	assert.equal(left, { sec: 3, nsec: 750_000_000 });
});

test("a signal that is already pending keeps nanosleep from sleeping", async () => {
	const { thread } = machine();
	let handled = 0;
	sigaction(thread, SIGUSR1, () => handled++);
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
	kill(thread, thread.process.pid, SIGUSR1);
	const left = { sec: -1, nsec: -1 };
	thread.sigmask = 0;
	assert.is(await rejection(nanosleep(thread, { sec: 5, nsec: 1 }, left)), "EINTR");
	assert.equal([left, handled], [{ sec: 5, nsec: 1 }, 1]);
});

test("nanosleep refuses wrong times", async () => {
	const { thread } = machine();
	assert.is(await rejection(nanosleep(thread, { sec: 0, nsec: 1e9 })), "EINVAL");
	assert.is(await rejection(nanosleep(thread, { sec: -1, nsec: 0 })), "EINVAL");
	assert.is(await rejection(nanosleep(thread, null as never)), "EFAULT");
});

test("pause ends when a handler has run, and not for a signal that is ignored", async () => {
	const { host, thread } = machine();
	const log: unknown[] = [];
	sigaction(thread, SIGUSR1, (signal) => log.push(signal));
	sigaction(thread, SIGUSR2, SIG_IGN);
	const call = rejection(pause(thread)).then((code) => log.push(code));
	kill(stranger(thread), thread.process.pid, SIGUSR2);
	host.advance(10);
	assert.is(thread.state, "asleep");
	kill(stranger(thread), thread.process.pid, SIGUSR1);
	host.settle();
	await call;
	assert.equal(log, [SIGUSR1, "EINTR"]);
});

test("sigsuspend unblocks signals while it sleeps, and then blocks them again", async () => {
	const { host, thread } = machine();
	const log: unknown[] = [];
	sigaction(thread, SIGUSR1, (signal) => log.push(signal));
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
	// Pending before: it is not missed.
	kill(thread, thread.process.pid, SIGUSR1);
	assert.equal(log, []);
	assert.is(await rejection(sigsuspend(thread, 0)), "EINTR");
	assert.equal(log, [SIGUSR1]);
	// Sent during the sleep.
	const call = rejection(sigsuspend(thread, 0));
	kill(stranger(thread), thread.process.pid, SIGUSR1);
	host.settle();
	assert.is(await call, "EINTR");
	assert.equal([log, thread.sigmask], [[SIGUSR1, SIGUSR1], sigset(SIGUSR1)]);
	assert.is(await rejection(sigsuspend(thread, "all" as never)), "EINVAL");
});

test("sigwait takes a blocked signal, without its handler", async () => {
	const { host, thread } = machine();
	let handled = 0;
	const { pid } = thread.process;
	sigaction(thread, SIGUSR1, () => handled++);
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1, SIGUSR2, SIGTERM));
	const call = sigwait(thread, sigset(SIGUSR1, SIGUSR2));
	kill(stranger(thread), pid, SIGTERM);
	host.settle();
	assert.is(thread.state, "asleep");
	kill(stranger(thread), pid, SIGUSR1);
	host.settle();
	assert.is(await call, SIGUSR1);
	assert.equal([handled, sigpending(thread)], [0, sigset(SIGTERM)]);
	// The lowest pending one that is in the set.
	kill(stranger(thread), pid, SIGUSR2);
	kill(stranger(thread), pid, SIGUSR1);
	assert.is(await sigwait(thread, sigset(SIGUSR1, SIGUSR2)), SIGUSR1);
	assert.is(sigwaitNow(thread, sigset(SIGUSR1, SIGUSR2)), SIGUSR2);
	assert.is(sigwaitNow(thread, sigset(SIGUSR1, SIGUSR2)), 0);
	assert.is(sigpending(thread), sigset(SIGTERM));
});

test("the thread that waits for a signal gets it, even if other threads could", async () => {
	const { host, process, thread } = machine();
	const other = process.spawnThread();
	let handled = 0;
	sigaction(thread, SIGUSR1, () => handled++);
	const call = sigwait(other, sigset(SIGUSR1));
	kill(stranger(thread), process.pid, SIGUSR1);
	host.settle();
	assert.equal([await call, handled], [SIGUSR1, 0]);
	// If it is sent to another thread, that one gets it.
	const second = sigwait(other, sigset(SIGUSR1));
	threadKill(stranger(thread), thread, SIGUSR1);
	host.settle();
	assert.equal([other.state, handled], ["asleep", 1]);
	threadKill(stranger(thread), other, SIGUSR1);
	host.settle();
	assert.is(await second, SIGUSR1);
});

test("another signal interrupts sigwait", async () => {
	const { host, thread } = machine();
	sigaction(thread, SIGUSR2, () => {});
	const call = rejection(sigwait(thread, sigset(SIGUSR1)));
	kill(stranger(thread), thread.process.pid, SIGUSR2);
	host.settle();
	assert.is(await call, "EINTR");
	assert.is(await rejection(sigwait(thread, 1.5)), "EINVAL");
	assert.is(
		codeOf(() => sigwaitNow(thread, "x" as never)),
		"EINVAL",
	);
});

test("waitpid sleeps until a child exits, and takes its status", async () => {
	const { host, thread } = machine();
	const first = fork(thread);
	const second = fork(thread);
	const any = waitpid(thread, -1);
	assert.is(thread.state, "asleep");
	exit(second.main, 3);
	host.settle();
	const taken = await any;
	assert.equal(taken, { pid: second.pid, status: 0x300 });
	assert.equal([WIFEXITED(taken.status), WEXITSTATUS(taken.status)], [true, 3]);
	const named = waitpid(thread, first.pid);
	kill(thread, first.pid, SIGKILL);
	host.settle();
	const { status } = await named;
	assert.equal(
		[WIFSIGNALED(status), WTERMSIG(status), WIFEXITED(status), WIFSTOPPED(status)],
		[true, SIGKILL, false, false],
	);
	assert.is(await rejection(waitpid(thread, -1)), "ECHILD");
});

test("waitpid of one child is not ended by another, which can still be waited for", async () => {
	const { host, thread } = machine();
	const first = fork(thread);
	const second = fork(thread);
	const call = waitpid(thread, first.pid);
	exit(second.main, 0);
	host.settle();
	assert.is(thread.state, "asleep");
	exit(first.main, 1);
	host.settle();
	assert.is((await call).pid, first.pid);
	assert.equal(waitpidNow(thread, -1), { pid: second.pid, status: 0 });
});

test("when two threads wait for children, each child ends the wait of one", async () => {
	const { host, process, thread } = machine();
	const children = [fork(thread), fork(thread)];
	const calls = [waitpid(thread, -1), waitpid(process.spawnThread(), -1)];
	for (const child of children) exit(child.main, 0);
	host.settle();
	assert.equal(
		(await Promise.all(calls)).map(({ pid }) => pid).sort(),
		children.map(({ pid }) => pid),
	);
});

test("a child that becomes no zombie ends the wait with ECHILD", async () => {
	const { host, thread } = machine();
	const child = fork(thread);
	sigaction(thread, SIGCHLD, SIG_IGN);
	const call = rejection(waitpid(thread, child.pid));
	exit(child.main, 0);
	host.settle();
	assert.is(await call, "ECHILD");
});

test("SIGCHLD interrupts a wait if it is handled, and the child is still there", async () => {
	const { host, thread } = machine();
	sigaction(thread, SIGCHLD, () => {});
	const child = fork(thread);
	const call = rejection(waitpid(thread, -1));
	exit(child.main, 0);
	host.settle();
	assert.is(await call, "EINTR");
	assert.is(waitpidNow(thread, -1)?.pid, child.pid);
	sigaction(thread, SIGCHLD, SIG_DFL);
});

test("a sleep that is aborted rejects with the reason, and a signal ends a process that sleeps", async () => {
	const { host, thread } = machine();
	const abort = new AbortController();
	const options = { signal: abort.signal };
	const calls = [
		nanosleep(thread, never, null, options),
		pause(stranger(thread), options),
		sigwait(stranger(thread), sigset(SIGINT), options),
		sigsuspend(stranger(thread), 0, options),
	].map(rejection);
	abort.abort("enough");
	host.settle();
	assert.equal(await Promise.all(calls), ["enough", "enough", "enough", "enough"]);
	const ended = rejection(pause(thread));
	kill(stranger(thread), thread.process.pid, SIGTERM);
	host.settle();
	assert.is(await ended, "EINTR");
	assert.is(thread.process.status, SIGTERM);
});

test.run();

// Real children as emulated processes: pipes, exits, signals both ways.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { POLLHUP, POLLIN, POLLOUT, poll } from "@kqpoll/kqpoll";
import {
	close,
	EV_EOF,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	exit,
	fcntl,
	kill,
	NOTE_EXIT,
	NOTE_FORK,
	read,
	sigaction,
	sigprocmask,
	type Thread,
	waitpidNow,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_DUPFD } from "@kqpoll/kqueue/fcntl";
import {
	SIG_BLOCK,
	SIG_IGN,
	SIGBUS,
	SIGCHLD,
	SIGKILL,
	SIGTERM,
	SIGUSR1,
	sigset,
} from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { adoptChild } from "../src/index.ts";
import {
	bytes,
	codeOf,
	gone,
	listenerCounts,
	next,
	pause,
	revents,
	until,
	watch,
	world,
} from "./world.ts";

/** A program in JavaScript. */
function node(program: string, ...options: Parameters<typeof spawn>[2][]): ChildProcess {
	return spawn(process.execPath, ["-e", program], options[0] ?? {});
}

/** All that can be read up to the end. */
async function all(thread: Thread, fd: number): Promise<string> {
	const chunks: Buffer[] = [];
	for (;;) {
		const buffer = Buffer.alloc(65536);
		const n = await read(thread, fd, buffer);
		if (n === 0) return Buffer.concat(chunks).toString();
		chunks.push(buffer.subarray(0, n));
	}
}

test("a child echoes what is written to it, and its exit is an event, a signal and a status", async () => {
	const w = world();
	const { thread } = w;
	const child = node("process.stdin.pipe(process.stdout)");
	watch(w, { ident: w.process.pid, filter: EVFILT_PROC, fflags: NOTE_FORK });
	const { pid, stdin, stdout, stderr } = adoptChild(thread, child);
	assert.equal((await next(w))[0]?.[3], NOTE_FORK);
	watch(
		w,
		{ ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT },
		{ ident: SIGCHLD, filter: EVFILT_SIGNAL },
	);
	assert.equal(waitpidNow(thread, pid), null);
	await write(thread, stdin, bytes("through the cat"));
	close(thread, stdin);
	assert.equal([await all(thread, stdout), await all(thread, stderr)], ["through the cat", ""]);
	const events = await next(w);
	assert.equal(
		events.map(([ident, , , fflags, data]) => [ident, fflags, data]),
		[
			[pid, NOTE_EXIT, 0],
			[SIGCHLD, 0, 1],
		],
	);
	assert.equal(waitpidNow(thread, pid), { pid, status: 0 });
	for (const fd of [stdout, stderr]) close(thread, fd);
	assert.equal(listenerCounts(child), {});
});

test("the end of a child's output is reported with the unread bytes, and so is its status", async () => {
	const w = world();
	const { thread } = w;
	const child = node("process.stdout.write('bye'); process.exitCode = 3;");
	const { pid, stdin, stdout } = adoptChild(thread, child);
	watch(w, { ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT });
	const ended = await until(w, { ident: stdout, filter: EVFILT_READ }, (e) => e.flags >= EV_EOF);
	assert.equal(ended, [EV_EOF, 0, 3]);
	assert.equal(revents(thread, POLLIN, stdout), [POLLIN | POLLHUP]);
	assert.is((await next(w))[0]?.[4], 3 << 8);
	assert.is(await all(thread, stdout), "bye");
	const fds = [{ fd: stdin, events: POLLOUT, revents: 0 }];
	assert.equal([await poll(thread, fds, -1), fds[0]?.revents], [1, POLLHUP]);
	assert.is(
		codeOf(() => writeNow(thread, stdin, bytes("x"))),
		"EPIPE",
	);
	for (const stream of [child.stdin, child.stdout]) if (stream !== null) await gone(stream);
	assert.equal(child.stdout?.listenerCount("readable"), 0);
});

test("a child whose output nobody reads waits, and loses nothing", async () => {
	const w = world();
	const { thread } = w;
	const child = node("process.stdout.write(Buffer.alloc(8_000_000, 'x'))");
	const { pid, stdout } = adoptChild(thread, child);
	watch(w, { ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT });
	await until(w, { ident: stdout, filter: EVFILT_READ });
	await pause(100);
	assert.equal([child.exitCode, (child.stdout?.readableLength ?? 0) < 1_000_000], [null, true]);
	assert.is((await all(thread, stdout)).length, 8_000_000);
	assert.is((await next(w))[0]?.[4], 0);
});

test("the status of a child that a signal killed has the signal's number", async () => {
	const w = world();
	const child = node("process.kill(process.pid, 'SIGBUS')", { stdio: "ignore" });
	const { pid, ...pipes } = adoptChild(w.thread, child);
	assert.equal(pipes, { stdin: -1, stdout: -1, stderr: -1 });
	watch(w, { ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT });
	assert.equal(
		(await next(w)).map((event) => event.slice(3)),
		[[NOTE_EXIT, SIGBUS]],
	);
});

test("a signal to the emulated child is sent to the real one, which decides what to do", async () => {
	const w = world();
	const { thread } = w;
	sigaction(thread, SIGTERM, SIG_IGN);
	sigprocmask(thread, SIG_BLOCK, sigset(SIGTERM));
	const child = node(
		"process.on('SIGTERM', () => process.exit(7)); console.log('ready'); setInterval(() => {}, 1000)",
	);
	const { pid, stdout } = adoptChild(thread, child);
	watch(w, { ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT });
	await until(w, { ident: stdout, filter: EVFILT_READ });
	kill(thread, pid, SIGTERM);
	assert.is((await next(w))[0]?.[4], 7 << 8);
	const other = node("setInterval(() => {}, 1000)");
	const { pid: second } = adoptChild(thread, other);
	await once(other, "spawn");
	watch(w, { ident: second, filter: EVFILT_PROC, fflags: NOTE_EXIT });
	kill(thread, second, SIGUSR1);
	kill(thread, second, SIGTERM);
	assert.is((await next(w))[0]?.[4], SIGTERM);
});

test("SIGKILL, and anything else that ends the emulated child, kills the real one", async () => {
	const w = world();
	const { thread, kernel } = w;
	for (const [end, status] of [
		[(pid: number) => kill(thread, pid, SIGKILL), SIGKILL],
		[(pid: number) => exit(kernel.processes.get(pid)?.main ?? thread, 2), 2 << 8],
	] as const) {
		const child = node("setInterval(() => {}, 1000)");
		await once(child, "spawn");
		const exited = once(child, "exit");
		const { pid } = adoptChild(thread, child);
		watch(w, { ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT });
		end(pid);
		assert.is((await next(w))[0]?.[4], status);
		assert.equal(await exited, [null, "SIGKILL"]);
		assert.equal([waitpidNow(thread, pid), listenerCounts(child)], [{ pid, status }, {}]);
	}
});

test("a child that cannot be started exits with 127", async () => {
	const w = world();
	const child = spawn("/nowhere/to/be/found");
	const { pid, stdout } = adoptChild(w.thread, child);
	watch(w, { ident: pid, filter: EVFILT_PROC, fflags: NOTE_EXIT });
	assert.is((await next(w))[0]?.[4], 127 << 8);
	assert.equal([await all(w.thread, stdout), listenerCounts(child)], ["", {}]);
});

test("a child that has already exited can still be waited for", async () => {
	const w = world();
	const child = node("process.exit(4)");
	await once(child, "exit");
	const { pid } = adoptChild(w.thread, child);
	assert.equal([waitpidNow(w.thread, pid), listenerCounts(child)], [{ pid, status: 4 << 8 }, {}]);
});

test("the emulated child has none of its parent's descriptors", async () => {
	const w = world();
	const { thread, kernel } = w;
	const child = node("process.stdin.pipe(process.stdout)");
	const { pid, stdin, stdout } = adoptChild(thread, child);
	const files = kernel.processes.get(pid)?.fdp;
	assert.equal([...(files?.open() ?? [])].length, 1);
	close(thread, stdin);
	assert.is(await all(thread, stdout), "");
});

test("when there is no room for a child it is left as it is", async () => {
	const child = node("process.stdin.pipe(process.stdout)");
	const before = listenerCounts(child);
	const few = world({ maxfiles: 3 }).thread;
	assert.is(
		codeOf(() => adoptChild(few, child)),
		"EMFILE",
	);
	assert.is(fcntl(few, 0, F_DUPFD, 1), 1);
	assert.is(
		codeOf(() => adoptChild(world({ maxprocesses: 1 }).thread, child)),
		"EAGAIN",
	);
	assert.is(
		codeOf(() => adoptChild(few, {} as ChildProcess)),
		"EFAULT",
	);
	assert.equal([listenerCounts(child), child.stdout?.listenerCount("readable")], [before, 0]);
	child.kill();
	await once(child, "exit");
});

test.run();

// The threads of a process: their order, and what it costs that there are many.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	exit,
	kill,
	type Process,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
} from "../../src/index.ts";
import { SIG_BLOCK, SIGTERM, sigset } from "../../src/signal.ts";
import { machine } from "../machine.ts";

/** Makes threads; returns them, and a count of how often the engine goes from one to the next. */
function crowd(process: Process, n: number): [threads: Thread[], steps: { count: number }] {
	const threads = Array.from({ length: n }, () => process.spawnThread());
	const steps = { count: 0 };
	for (const thread of threads) {
		let next = thread.nextThread;
		Object.defineProperty(thread, "nextThread", {
			get: () => {
				steps.count++;
				return next;
			},
			set: (other: Thread | null) => {
				next = other;
			},
		});
	}
	return [threads, steps];
}

test("threads are in order of creation, those that end leave the order of the others", () => {
	const { process, thread } = machine();
	const [a, b, c] = [process.spawnThread(), process.spawnThread(), process.spawnThread()] as const;
	assert.equal(
		process.threads.map(({ tid }) => tid),
		[0, 1, 2, 3],
	);
	threadExit(b);
	assert.equal(process.threads, [thread, a, c]);
	threadExit(thread);
	threadExit(c);
	const d = process.spawnThread();
	assert.equal(process.threads, [a, d]);
	threadExit(a);
	threadExit(d);
	assert.equal([process.threads, process.firstThread, process.lastThread], [[], null, null]);
	assert.equal(process.threads, []);
	assert.is(process.spawnThread().tid, 5);
});

for (const [how, end] of [
	["together", (_threads: Thread[], main: Thread) => exit(main, 0)],
	["the oldest first", (threads: Thread[]) => threads.forEach((each) => void threadExit(each))],
	[
		"the newest first",
		(threads: Thread[]) => threads.reverse().forEach((each) => void threadExit(each)),
	],
] as const) {
	test(`a thread's end costs the same among few and among many, ${how}`, () => {
		const [few = 0, many = 0] = [100, 1000].map((n) => {
			const { process, thread } = machine();
			// A signal that all of them block, and have inherited so.
			sigaction(thread, SIGTERM, () => {});
			sigprocmask(thread, SIG_BLOCK, sigset(SIGTERM));
			const [threads, steps] = crowd(process, n);
			kill(thread, process.pid, SIGTERM);
			steps.count = 0;
			end(threads, thread);
			return steps.count / n;
		});
		assert.ok(many <= 4 && few <= 4, `${few} steps each of 100, ${many} each of 1000`);
	});
}

test("a mask that does not matter to pending signals does not ask other threads", () => {
	const { process, thread } = machine();
	sigprocmask(thread, SIG_BLOCK, sigset(SIGTERM));
	const [threads, steps] = crowd(process, 100);
	kill(thread, process.pid, SIGTERM);
	steps.count = 0;
	for (const each of threads) sigprocmask(each, SIG_BLOCK, sigset(SIGTERM));
	assert.is(steps.count, 0);
});

test.run();

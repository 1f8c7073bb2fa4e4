// Closing a descriptor: which kqueues it concerns, and what it costs that there are many others.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Kqueue } from "../../src/event/kqueue.ts";
import {
	close,
	EV_ADD,
	EVFILT_READ,
	exit,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type Thread,
} from "../../src/index.ts";
import { machine } from "../machine.ts";

/** Counts how often the engine looks for a list of knotes in one of the kqueues of a process. */
function looks(thread: Thread): { count: number } {
	const looked = { count: 0 };
	for (let kq = thread.process.fdp.firstKqueue; kq !== null; kq = kq.next) {
		const { knlist } = kq;
		Object.defineProperty(kq, "knlist", {
			get: () => {
				looked.count++;
				return knlist;
			},
		});
	}
	return looked;
}

function watch(thread: Thread, kq: number, fd: number): void {
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
}

/** Opens descriptors, each watched by the oldest kqueue and the next one, and more kqueues. */
function watched(thread: Thread, n: number): number[] {
	const [oldest, next] = [kqueue(thread), kqueue(thread)];
	const fds = Array.from({ length: n }, () => {
		const fd = openFile(thread, new SyntheticFile());
		watch(thread, oldest, fd);
		watch(thread, next, fd);
		return fd;
	});
	for (let i = 0; i < n; i++) kqueue(thread);
	return fds;
}

for (const [what, work] of [
	[
		"closing kqueues",
		(thread: Thread, fds: number[]) => fds.forEach((fd) => void close(thread, fd + fds.length)),
	],
	[
		"closing descriptors",
		(thread: Thread, fds: number[]) => fds.forEach((fd) => void close(thread, fd)),
	],
	["an exit", (thread: Thread) => exit(thread, 0)],
] as const) {
	test(`${what} looks only at kqueues that watch the descriptor`, () => {
		const [few = 0, many = 0] = [40, 400].map((n) => {
			const { thread } = machine({ maxfiles: 4 * n, diagnostics: false });
			const fds = watched(thread, n);
			const looked = looks(thread);
			work(thread, fds);
			return looked.count / n;
		});
		assert.ok(many <= few + 1, `${few} looks each of 40, ${many} each of 400`);
	});
}

test("the kqueues that watch a descriptor are known, newest first, while they do", () => {
	const { process, thread } = machine();
	const fd = openFile(thread, new SyntheticFile());
	const of = (): number[] => process.fdp.kqueuesOf(fd).map(({ id }: Kqueue) => id);
	const kqs = [kqueue(thread), kqueue(thread), kqueue(thread)] as const;
	assert.equal(of(), []);
	watch(thread, kqs[1], fd);
	assert.equal(of(), [1]);
	watch(thread, kqs[2], fd);
	watch(thread, kqs[0], fd);
	assert.equal(of(), [2, 1, 0]);
	close(thread, kqs[1]);
	assert.equal(of(), [2, 0]);
	close(thread, kqs[2]);
	close(thread, kqs[0]);
	assert.equal(of(), []);
	const again = kqueue(thread);
	watch(thread, again, fd);
	assert.equal(of(), [3]);
	close(thread, fd);
	assert.equal(of(), []);
});

test.run();

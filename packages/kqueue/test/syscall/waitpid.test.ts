// waitpid: which child it takes, and what it costs that there are many.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { exit, fork, type Process, type Thread, waitpidNow } from "../../src/index.ts";
import { setpgid } from "../../src/unistd.ts";
import { waitStatusNow } from "../../src/wait.ts";
import { codeOf, machine } from "../machine.ts";

/** Children of which every third is in a group of its own. */
function family(thread: Thread, n: number): Process[] {
	return Array.from({ length: n }, (_, i) => {
		const child = fork(thread);
		if (i % 3 === 0) setpgid(child.main, 0, 0);
		return child;
	});
}

/** What waitpid does, said in the simplest way: null for a wait, an errno, or the child's id. */
function expected({ children, pgrp }: Process, pid: number): number | string | null {
	const group = pid === 0 ? pgrp.pgid : -pid;
	const meant = [...children]
		.reverse()
		.filter((child) => pid === -1 || child.pid === pid || child.pgrp.pgid === group);
	if (meant.length === 0) return "ECHILD";
	return meant.find(({ zombie }) => zombie)?.pid ?? null;
}

test("the newest child that has exited is taken, of those that a number means", () => {
	const { process, thread } = machine();
	const children = family(thread, 12);
	const pids = children.map(({ pid }) => pid);
	const stranger = fork(children[0]?.main as Thread);
	const numbers = [-1, 0, ...pids, ...pids.map((pid) => -pid), stranger.pid, 999, -999, 0.5];
	const check = (pid: number): void => {
		const want = expected(process, pid);
		let got: number | string | null = null;
		const code = codeOf(() => {
			got = waitpidNow(thread, pid)?.pid ?? null;
		});
		assert.is(code === "no error" ? got : code, want, `waitpid of ${pid}`);
	};
	for (const pid of numbers) check(pid);
	// In no order of either age or group.
	for (const i of [5, 2, 9, 0, 11, 3, 6]) {
		exit((children[i] as Process).main, i);
		if (i % 2 === 0) check(i % 4 === 0 ? -1 : 0);
	}
	for (const pid of numbers) check(pid);
	for (const { main, exiting } of children) if (!exiting) exit(main, 1);
	for (const pid of [...numbers.reverse(), ...numbers]) check(pid);
	assert.equal([process.children.size, process.zombies], [0, []]);
});

/** Counts how often properties of an object are read. */
function countReads<T extends object>(
	object: T,
	keys: (keyof T)[],
	reads: { count: number },
): void {
	for (const key of keys) {
		let value = object[key];
		Object.defineProperty(object, key, {
			get: () => {
				reads.count++;
				return value;
			},
			set: (next: T[keyof T]) => {
				value = next;
			},
		});
	}
}

for (const [what, number] of [
	["any child", (_child: Process) => -1],
	["a child by its id", (child: Process) => child.pid],
	["a child of a group", (child: Process) => -child.pgrp.pgid],
] as const) {
	test(`a wait for ${what} costs the same among few and among many`, () => {
		const [few = 0, many = 0] = [30, 300].map((n) => {
			const { thread } = machine();
			const looked = { count: 0 };
			const children = family(thread, n);
			for (const child of children) countReads(child, ["pid", "zombie"], looked);
			for (const child of children) {
				exit(child.main, 0);
				waitpidNow(thread, number(child));
			}
			return looked.count / n;
		});
		assert.ok(many <= few + 1, `${few} looks each of 30, ${many} each of 300`);
	});
}

test("the status of a child can be looked at as often as one likes before it is taken", () => {
	const { thread } = machine();
	const child = fork(thread);
	const grandchild = fork(child.main);
	assert.is(waitStatusNow(thread, child.pid), null);
	exit(grandchild.main, 1);
	// Only the parent may ask, for exactly this child.
	const others = [grandchild.pid, -1, 0, 1, 999, 0.5, Number.NaN, "2", null, undefined];
	const asked = (): unknown[] => others.map((pid) => waitStatusNow(thread, pid as number));
	assert.is(waitStatusNow(child.main, grandchild.pid), 1 << 8);
	exit(child.main, 7);
	assert.equal(new Set(asked()), new Set([null]));
	for (let i = 0; i < 3; i++) assert.is(waitStatusNow(thread, child.pid), 7 << 8);
	assert.equal(waitpidNow(thread, -1), { pid: child.pid, status: 7 << 8 });
	assert.is(waitStatusNow(thread, child.pid), null);
	assert.is(
		codeOf(() => waitStatusNow(child.main, 1)),
		"ESRCH",
	);
});

test.run();

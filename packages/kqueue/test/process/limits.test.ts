// Limits: what an account and a machine may have, and that one account leaves enough for others.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	dup,
	EV_ADD,
	EV_DELETE,
	EVFILT_READ,
	EVFILT_TIMER,
	eventList,
	exit,
	fork,
	Kernel,
	keventNow,
	kqueue,
	type Limits,
	openFile,
	SyntheticFile,
	SystemError,
	type Thread,
	threadExit,
	waitpidNow,
} from "../../src/index.ts";
import type { Resource } from "../../src/kernel.ts";
import { VirtualHost } from "../../src/testing.ts";

/** A machine whose accounts may have 3 of a resource, and which may have 5 in all. */
function limited(resource: Resource): Kernel {
	const host = new VirtualHost();
	const whole = { [resource]: 5 } as Partial<Limits>;
	return new Kernel({
		host,
		diagnostics: true,
		maxprocesses: resource === "processes" ? 5 : 100,
		timermax: resource === "timers" ? 4 : 100,
		limits: whole,
		accountLimits: { [resource]: 3 },
	});
}

/** How many times a call succeeds, at most 10 times, and the code and reason of its failure. */
function until(act: () => unknown): string {
	for (let n = 0; n < 10; n++) {
		try {
			act();
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			return `${n} ${error.code}: ${/\(.*?([^:]*)\)$/.exec(error.message)?.[1]?.trim()}`;
		}
	}
	return "10";
}

function timer(thread: Thread, kq: number, ident: number, flags: number): void {
	const change = { ident, filter: EVFILT_TIMER, flags, data: 1000 };
	keventNow(thread, kq, [change], null);
}

test("an account has no more processes than its limit, and the machine no more than its own", () => {
	const kernel = limited("processes");
	const one = kernel.spawn();
	const two = kernel.spawn();
	assert.is(
		until(() => fork(one.main)),
		"2 EAGAIN: the limit of processes is 3",
	);
	const child = fork(two.main);
	assert.is(
		until(() => fork(child.main)),
		"0 EAGAIN: the limit of processes of the machine is 5",
	);
	assert.is(
		until(() => kernel.spawn()),
		"0 EAGAIN: the limit of processes of the machine is 5",
	);
	exit(child.main, 0);
	assert.is(
		kernel.account.processes.used,
		5,
		"a process that exited counts until it is waited for",
	);
	waitpidNow(two.main, -1);
	assert.is(
		until(() => fork(two.main)),
		"1 EAGAIN: the limit of processes of the machine is 5",
	);
});

test("a chain of forks is one account", () => {
	const kernel = limited("processes");
	const first = kernel.spawn();
	let last = first;
	const message = until(() => {
		last = fork(last.main);
	});
	assert.is(message.slice(0, 8), "2 EAGAIN");
	assert.is(kernel.spawn().account.processes.used, 1, "another account is not affected");
	assert.is(first.account, last.account);
});

test("an account has no more threads than its limit; a thread that ends makes room", () => {
	const kernel = limited("threads");
	const { main, process } = { main: kernel.spawn().main, process: kernel.spawn() };
	assert.is(
		until(() => main.process.spawnThread()),
		"2 EAGAIN: the limit of threads is 3",
	);
	assert.is(
		until(() => process.spawnThread()),
		"1 EAGAIN: the limit of threads of the machine is 5",
	);
	assert.is(until(() => fork(process.main)).slice(0, 8), "0 EAGAIN");
	assert.is(process.account.processes.used, 1, "a fork that failed is not counted");
	threadExit(main);
	assert.is(until(() => fork(process.main)).slice(0, 8), "1 EAGAIN");
	exit(process.main, 0);
	assert.is(kernel.account.threads.used, 3);
});

test("a machine with too many open files refuses new ones, and not other numbers for the same", () => {
	const kernel = limited("files");
	const one = kernel.spawn().main;
	const two = kernel.spawn().main;
	const open = (thread: Thread): number => openFile(thread, new SyntheticFile());
	assert.is(
		until(() => open(one)),
		"3 ENFILE: the limit of files is 3",
	);
	assert.is(
		until(() => kqueue(two)),
		"2 ENFILE: the limit of files of the machine is 5",
	);
	assert.is(dup(one, 0), 3);
	close(one, 0);
	assert.is(until(() => open(two)).slice(0, 8), "0 ENFILE");
	close(one, 3);
	assert.is(until(() => open(two)).slice(0, 8), "1 ENFILE");
	fork(one);
	assert.is(kernel.account.files.used, 5, "a fork opens no file");
	exit(one, 0);
	exit(two, 0);
});

test("an account has no more knotes than its limit", () => {
	const kernel = limited("knotes");
	const { main } = kernel.spawn();
	const kq = kqueue(main);
	const fd = openFile(main, new SyntheticFile());
	let ident = 0;
	const add = (): void => timer(main, kq, ident++, EV_ADD);
	assert.is(until(add), "3 ENOMEM: the limit of knotes is 3");
	assert.is(main.kernel.ntimers, 3, "a timer without a knote is not counted");
	const watch = { ident: fd, filter: EVFILT_READ, flags: EV_ADD };
	const events = eventList(1);
	assert.is(keventNow(main, kq, [watch], events), 1);
	assert.is(events[0]?.data, 12, "ENOMEM");
	timer(main, kq, 1, EV_DELETE);
	assert.is(keventNow(main, kq, [watch], events), 0);
	close(main, kq);
	assert.is(kernel.account.knotes.used, 0);
});

test("an account has no more timers than its limit, and the machine one more than timermax", () => {
	const kernel = limited("timers");
	const one = kernel.spawn().main;
	const two = kernel.spawn().main;
	for (const [thread, answer] of [
		[one, "3 ENOMEM: the limit of timers is 3"],
		[two, "2 ENOMEM: the limit of timers of the machine is 5"],
	] as const) {
		const kq = kqueue(thread);
		let ident = 0;
		assert.is(
			until(() => timer(thread, kq, ident++, EV_ADD)),
			answer,
		);
	}
	exit(one, 0);
	assert.is(kernel.ntimers, 2);
});

test("a process can be spawned with limits of its own, and a limit can be changed", () => {
	const kernel = new Kernel({ host: new VirtualHost(), accountLimits: { threads: 3 } });
	const small = kernel.spawn({ threads: 2 });
	const usual = kernel.spawn();
	assert.is(until(() => small.spawnThread()).slice(0, 8), "1 EAGAIN");
	assert.is(until(() => usual.spawnThread()).slice(0, 8), "2 EAGAIN");
	small.account.threads.limit = 4;
	assert.is(until(() => small.spawnThread()).slice(0, 8), "2 EAGAIN");
	small.account.threads.limit = 1;
	assert.is(small.account.threads.used, 4, "what is there stays");
});

test("a limit that is not a number of things is refused", () => {
	const host = new VirtualHost();
	for (const wrong of [-1, 0.5, Number.NaN, "3", 1n, Symbol("three"), {}]) {
		const threads = wrong as number;
		for (const act of [
			() => new Kernel({ host, limits: { threads } }),
			() => new Kernel({ host, accountLimits: { threads } }),
			() => new Kernel({ host }).spawn({ threads }),
		]) {
			assert.match(until(act), /^0 EINVAL/);
		}
	}
	const endless = new Kernel({ host, limits: { threads: Number.POSITIVE_INFINITY } });
	assert.is(endless.account.threads.limit, Number.POSITIVE_INFINITY);
});

test.run();

// The private kqueue of a thread: made at the first call, kept between calls, purged, released.
import {
	close,
	dup,
	dup2,
	EVFILT_READ,
	errno,
	exit,
	interrupt,
	Kernel,
	Kevent,
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
} from "@kqpoll/kqueue";
import {
	File,
	filterops,
	Klist,
	type Knote,
	type Kqueue,
	kqueueDoCheck,
	SERIAL_MAX,
	seltrueKqfilter,
} from "@kqpoll/kqueue/kernel";
import { SIG_BLOCK, SIG_SETMASK, SIGUSR1, SIGUSR2, sigset } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	FdSet,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	poll,
	pollNow,
	ppoll,
	ppollNow,
	pselect,
	pselectNow,
	select,
	selectNow,
} from "../src/index.ts";

interface World {
	readonly host: VirtualHost;
	readonly kernel: Kernel;
	readonly thread: Thread;
	readonly files: readonly SyntheticFile[];
	readonly fds: readonly number[];
}

function world(n: number, maxfiles = 1024): World {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, maxfiles, diagnostics: true });
	const thread = kernel.spawn().main;
	const files = Array.from({ length: n }, () => new SyntheticFile());
	return { host, kernel, thread, files, fds: files.map((file) => openFile(thread, file)) };
}

function pollin(fds: readonly number[]) {
	return fds.map((fd) => ({ fd, events: POLLIN, revents: -1 }));
}

function knotes(thread: Thread): number {
	return thread.kq?.nknotes ?? 0;
}

test("a thread gets its kqueue at its first call, with a serial from the host's random numbers", () => {
	const { thread, fds } = world(1);
	assert.is(thread.kq, null);
	assert.is(pollNow(thread, pollin(fds)), 0);
	assert.is((thread.kq as Kqueue | null)?.nknotes, 1);
	assert.is(thread.kqserial, (new VirtualHost().random() & SERIAL_MAX) + 1);
	const other = thread.process.spawnThread();
	selectNow(other, 0, null, null, null);
	assert.ok(other.kq !== null && other.kq !== thread.kq);
});

test("the next call over the same descriptors makes no new knotes", () => {
	const { thread, files, fds } = world(50);
	const list = pollin(fds);
	for (let i = 0; i < 10; i++) {
		files[i]?.set("read", { data: 1 });
		assert.is(pollNow(thread, list), i + 1);
		assert.is(knotes(thread), 50);
	}
});

test("knotes that a call did not ask for again are dropped when a scan meets them", () => {
	const { thread, files, fds } = world(3);
	for (const file of files) file.set("read", { data: 1 });
	assert.is(pollNow(thread, pollin(fds)), 3);
	assert.is(pollNow(thread, pollin([fds[2] as number])), 1);
	assert.is(knotes(thread), 1);
	const readfds = new FdSet([fds[1] as number]);
	assert.is(selectNow(thread, 20, readfds, null, null), 1);
	assert.equal([...readfds], [fds[1]]);
	assert.is(knotes(thread), 1);
});

test("poll and select do not share knotes", () => {
	const { thread, fds } = world(1);
	selectNow(thread, 20, new FdSet(fds), null, null);
	pollNow(thread, pollin(fds));
	assert.is(knotes(thread), 2);
});

test("knotes of entries that always change do not pile up", () => {
	const { thread, fds } = world(16);
	let most = 0;
	for (let shift = 0; shift < 400; shift++) {
		const list = Array.from({ length: 40 }, (_, i) => fds[(i * 7 + shift) % 16] as number);
		pollNow(thread, pollin(list));
		most = Math.max(most, knotes(thread));
	}
	// More than four times the size of the list of descriptors, 256, is purged.
	assert.ok(most > 256 && most <= 4 * 256, String(most));
});

test("at the end of the serials the kqueue is purged and counting begins again", () => {
	const { thread, files, fds } = world(2);
	files[0]?.set("read", { data: 1 });
	pollNow(thread, pollin(fds));
	thread.kqserial = SERIAL_MAX - 3;
	assert.is(pollNow(thread, pollin(fds)), 1);
	assert.is(thread.kqserial, SERIAL_MAX - 1);
	assert.is(pollNow(thread, pollin([fds[1] as number])), 0);
	assert.is(thread.kqserial, SERIAL_MAX);
	// The scan met the knote of the first descriptor, which was ready, and dropped it.
	assert.is(knotes(thread), 2);
	const list = pollin(fds);
	assert.is(pollNow(thread, list), 1);
	assert.is(thread.kqserial, 2);
	assert.is(knotes(thread), 2);
	assert.equal(
		list.map(({ revents }) => revents),
		[POLLIN, 0],
	);
});

test("the kqueue goes with its thread, and releases the files", () => {
	const { thread, kernel, files, fds } = world(2);
	const other = thread.process.spawnThread();
	pollNow(other, pollin(fds));
	assert.is(files[0]?.refs, 2);
	threadExit(other);
	assert.equal([other.kq, files[0]?.refs, thread.process.fdp.firstKqueue], [null, 1, null]);
	assert.is(kernel.sleepers, 0);
});

test("a descriptor closed under a poll, and restored before it looks, is noticed the next time", async () => {
	// The scenario of OpenBSD's poll_close.
	const { thread, host, files, fds } = world(1);
	const fd = fds[0] as number;
	const poller = thread.process.spawnThread();
	files[0]?.set("read", { data: 1 });
	const list = pollin([fd]);
	assert.is(await poll(poller, list, -1), 1);
	files[0]?.set("read", { data: 0 });
	const copy = dup(thread, fd);
	close(thread, fd);
	dup2(thread, copy, fd);
	const call = poll(poller, list, -1);
	host.settle();
	assert.is(poller.state, "asleep");
	close(thread, fd);
	host.settle();
	assert.is(await call, 1);
	assert.equal(list, [{ fd, events: POLLIN, revents: POLLNVAL }]);
});

test("a descriptor closed under a select fails the call", async () => {
	const { thread, host, fds } = world(1);
	const selecter = thread.process.spawnThread();
	const readfds = new FdSet(fds);
	const call = select(selecter, 20, readfds, null, null, null).catch((error) => error.code);
	close(thread, fds[0] as number);
	host.settle();
	assert.is(await call, "EBADF");
	assert.equal([...readfds], fds);
});

test("a poll that watches nothing sleeps for its time", async () => {
	const { thread, host } = world(0);
	for (const list of [[], pollin([-1]), [{ fd: 99, events: 0x100, revents: 5 }]]) {
		const call = poll(thread, list, 7);
		host.advance(6.9);
		assert.is(thread.state, "asleep");
		host.advance(0.1);
		assert.is(await call, 0);
		assert.ok(list.every(({ revents }) => revents === 0));
	}
});

test("the array may be changed while its poll sleeps: the call has its own copy", async () => {
	const { thread, host, files, fds } = world(2);
	const list = pollin(fds);
	const second = list[1];
	const call = poll(thread, list, -1);
	list.length = 1;
	files[1]?.set("read", { data: 1 });
	host.settle();
	assert.is(await call, 1);
	assert.equal(list, [{ fd: fds[0], events: POLLIN, revents: 0 }]);
	assert.is(second?.revents, -1);
});

test("a thread asleep in poll cannot poll again, and another thread can", async () => {
	const { thread, host, files, fds } = world(1);
	const list = pollin(fds);
	const call = poll(thread, list, -1);
	assert.is(await poll(thread, list, 0).catch((error) => error.code), "EBUSY");
	assert.throws(() => pollNow(thread, list), /EBUSY.*asleep in poll or select/);
	assert.is(pollNow(thread.process.spawnThread(), pollin(fds)), 0);
	files[0]?.set("read", { data: 1 });
	host.settle();
	assert.is(await call, 1);
});

test("a poll inside a filter is refused on the thread that asks, and works on another", () => {
	const { thread, fds } = world(1);
	const other = thread.process.spawnThread();
	const refused: unknown[] = [];
	class Nested extends File {
		constructor() {
			super("socket");
		}
		override kqfilter(kn: Knote): number {
			try {
				pollNow(thread, pollin(fds));
			} catch (error) {
				refused.push((error as { errno: number }).errno);
			}
			assert.is(pollNow(other, pollin(fds)), 0);
			return kn.filter === EVFILT_READ ? seltrueKqfilter(kn) : errno.EINVAL;
		}
	}
	const fd = openFile(thread, new Nested());
	assert.is(pollNow(thread, [{ fd, events: POLLIN | POLLOUT, revents: 0 }]), 1);
	assert.equal(refused, [errno.EDEADLK, errno.EDEADLK]);
	assert.is(thread.polling, false);
});

test("a poll fails when a filter throws, and the next one works", () => {
	const { thread, fds, files } = world(1);
	const thrown = new Error("from kqfilter");
	let healthy = false;
	class Moody extends File {
		constructor() {
			super("socket");
		}
		override kqfilter(kn: Knote): number {
			if (!healthy) throw thrown;
			return seltrueKqfilter(kn);
		}
	}
	files[0]?.set("read", { data: 1 });
	const list = pollin([fds[0] as number, openFile(thread, new Moody())]);
	assert.throws(
		() => pollNow(thread, list),
		(error: unknown) => error === thrown,
	);
	assert.equal(
		list.map(({ revents }) => revents),
		[-1, -1],
	);
	healthy = true;
	assert.is(pollNow(thread, list), 2);
	kqueueDoCheck(thread.kq as Kqueue);
});

/** A file that is always ready, with hooks. */
class Hooked extends File {
	readonly klist: Klist = new Klist();
	attach: () => void = () => {};
	detach: () => void = () => {};
	event: () => void = () => {};
	ready = true;

	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		this.attach();
		kn.fop = filterops({
			name: "hooked",
			detach: (each) => {
				this.klist.remove(each);
				this.detach();
			},
			event: () => {
				this.event();
				return this.ready;
			},
		});
		this.klist.insert(kn);
		return 0;
	}
}

test("the purge of a thread's kqueue cannot be disturbed by polls", () => {
	const { thread } = world(0);
	const file = new Hooked();
	const fd = openFile(thread, file);
	const results: unknown[] = [];
	pollNow(thread, pollin([fd]));
	file.detach = () => results.push(codeOf(() => pollNow(thread, pollin([fd]))));
	thread.kqserial = SERIAL_MAX;
	assert.is(pollNow(thread, pollin([fd])), 1);
	assert.equal(results, ["EDEADLK"]);
	results.length = 0;
	threadExit(thread);
	assert.equal(results, ["ESRCH"]);
	assert.equal([thread.kq, file.refs], [null, 1]);
});

test("a thread's kqueue is not purged while a filter of it is being asked", () => {
	const { thread } = world(0);
	const asked = new Hooked();
	const other = new Hooked();
	const fd = openFile(thread, asked);
	const many = new Array<number>(1000).fill(openFile(thread, other));
	asked.ready = false;
	pollNow(thread, pollin([fd]));
	let result: unknown;
	asked.event = () => {
		asked.event = () => {};
		result = pollNow(
			thread,
			many.map((each) => ({ fd: each, events: POLLIN | POLLOUT, revents: 0 })),
		);
	};
	asked.klist.notify(0);
	assert.is(result, 1000);
	asked.event = () => {
		asked.event = () => {};
		thread.kqserial = SERIAL_MAX;
		result = codeOf(() => pollNow(thread, pollin([many[0] as number])));
	};
	asked.klist.notify(0);
	assert.is(result, "EDEADLK");
	assert.is(pollNow(thread, pollin([fd])), 0);
	assert.equal([thread.kqserial, knotes(thread)], [1, 1]);
});

test("a thread that a file ends while its process exits is ended once", () => {
	const { thread, fds } = world(1);
	const other = thread.process.spawnThread();
	const file = new Hooked();
	pollNow(thread, pollin([fds[0] as number, openFile(thread, file)]));
	file.detach = () => threadExit(other);
	exit(thread, 0);
	assert.equal([other.state, thread.state, thread.process.threads], ["exited", "exited", []]);
});

test("a thread does not end in the middle of its poll", () => {
	const { thread } = world(0);
	const file = new Hooked();
	const fd = openFile(thread, file);
	const results: unknown[] = [];
	const entry = {
		get fd() {
			results.push(codeOf(() => threadExit(thread)));
			return fd;
		},
		events: POLLIN,
		revents: 0,
	};
	file.attach = () => results.push(codeOf(() => exit(thread, 0)));
	assert.is(pollNow(thread, [entry]), 1);
	assert.equal(results, ["EDEADLK", "EDEADLK"]);
});

test("a poll by the filter of a descriptor that it polls is refused, and does not return POLLERR", () => {
	const { thread } = world(0);
	const file = new Hooked();
	const list = pollin([openFile(thread, file)]);
	pollNow(thread, list);
	const results: unknown[] = [];
	file.event = () => {
		file.event = () => {};
		results.push(codeOf(() => pollNow(thread, list)));
	};
	file.klist.notify(0);
	assert.equal(results, ["EDEADLK"]);
	assert.is(thread.polling, false);
	assert.is(pollNow(thread, list), 1);
});

test("entries added while the poll registers are not part of it", () => {
	const { thread } = world(0);
	const file = new Hooked();
	const fd = openFile(thread, file);
	const list = pollin([fd]);
	file.attach = () => list.push(...pollin([fd]));
	assert.is(pollNow(thread, list), 1);
	file.attach = () => {};
	assert.is(pollNow(thread, pollin([fd])), 1);
	assert.equal(
		list.map(({ revents }) => revents),
		[POLLIN, -1],
	);
});

test("a set that shrank while its select slept is a bad address", async () => {
	const { thread, host, files, fds } = world(1);
	const readfds = new FdSet(fds);
	const call = select(thread, 20, readfds, null, null, null).catch((error) => error.code);
	readfds.words = new Int32Array(0);
	files[0]?.set("read", { data: 1 });
	host.settle();
	assert.is(await call, "EFAULT");
});

test("the mask of a ppoll survives the calls of its handlers, and holds until they are done", async () => {
	const { thread, host, fds } = world(1);
	const { pid } = thread.process;
	const masks: number[] = [];
	sigprocmask(thread, SIG_SETMASK, sigset(SIGUSR1));
	sigaction(thread, SIGUSR1, () => {
		pollNow(thread, pollin(fds));
		masks.push(thread.sigmask);
	});
	const call = ppoll(thread, [], null, sigset(SIGUSR2)).catch((error) => error.code);
	kill(thread, pid, SIGUSR1);
	host.settle();
	assert.is(await call, "EINTR");
	assert.equal([masks, thread.sigmask], [[sigset(SIGUSR1, SIGUSR2)], sigset(SIGUSR1)]);
});

test("the mask of a ppoll holds while it sleeps, also when its filters make calls", async () => {
	const { thread, host } = world(0);
	const file = new Hooked();
	const fd = openFile(thread, file);
	const kq = kqueue(thread);
	file.ready = false;
	file.attach = () => keventNow(thread, kq, null, [new Kevent()]);
	let handled = 0;
	sigaction(thread, SIGUSR1, () => handled++);
	const entry = { fd: dup(thread, fd), events: 0, revents: 0 };
	close(thread, fd);
	const call = ppoll(thread, [entry], { sec: 0, nsec: 5e6 }, sigset(SIGUSR1));
	kill(thread, thread.process.pid, SIGUSR1);
	host.settle();
	assert.equal([handled, thread.sigmask], [0, sigset(SIGUSR1)]);
	host.advance(5);
	await call;
	assert.equal([handled, thread.sigmask], [1, 0]);
});

test("the mask of a pselect lets a pending signal through even when the call fails", async () => {
	const { thread } = world(0);
	const handled: number[] = [];
	sigaction(thread, SIGUSR1, (signal) => handled.push(signal));
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
	kill(thread, thread.process.pid, SIGUSR1);
	const bad = new FdSet([7]);
	assert.is(
		codeOf(() => pselectNow(thread, 8, bad, null, null, 0)),
		"EBADF",
	);
	assert.equal([handled, thread.sigmask], [[SIGUSR1], sigset(SIGUSR1)]);
	kill(thread, thread.process.pid, SIGUSR1);
	const call = pselect(thread, 8, bad, null, null, null, 0).catch((error) => error.code);
	assert.is(await call, "EBADF");
	assert.equal([handled, thread.sigmask], [[SIGUSR1, SIGUSR1], sigset(SIGUSR1)]);
	// What is wrong before anything is registered is found before the mask matters.
	kill(thread, thread.process.pid, SIGUSR1);
	assert.is(
		codeOf(() => pselectNow(thread, -1, bad, null, null, 0)),
		"EINVAL",
	);
	assert.is(handled.length, 2);
});

test("the mask of a ppoll is removed when the call fails, and when it does not sleep", async () => {
	const { thread, fds, files } = world(1);
	const mask = sigset(SIGUSR1);
	const frozen = [Object.freeze({ fd: fds[0] as number, events: POLLIN, revents: 0 })];
	files[0]?.set("read", { data: 1 });
	assert.is(
		codeOf(() => ppollNow(thread, frozen, mask)),
		"EFAULT",
	);
	assert.is(thread.sigmask, 0);
	assert.is(ppollNow(thread, pollin(fds), mask), 1);
	assert.is(thread.sigmask, 0);
	assert.is(await ppoll(thread, frozen, null, mask).catch((error) => error.code), "EFAULT");
	assert.equal([thread.sigmask, thread.polling], [0, false]);
	assert.is(await pselect(thread, 0, null, null, null, { sec: 0, nsec: 0 }, mask), 0);
	assert.is(thread.sigmask, 0);
	const signal = { aborted: false } as never;
	const call = ppoll(thread, [], null, mask, { signal }).catch((error) => error.code);
	assert.is(await call, "EINVAL");
	assert.equal([thread.sigmask, thread.polling, thread.state], [0, false, "running"]);
});

test("a mask for a call that cannot be interrupted changes no other mask", async () => {
	const { thread, host, fds } = world(1);
	const kq = kqueue(thread);
	let handled = 0;
	sigaction(thread, SIGUSR1, () => handled++);
	const call = kevent(thread, kq, null, [new Kevent()], null).catch((error) => error.code);
	for (const mask of [sigset(SIGUSR1), sigset(SIGUSR2)]) {
		assert.is(ppollNow(thread, pollin(fds), mask), 0);
		assert.is(pselectNow(thread, 0, null, null, null, mask), 0);
		assert.equal([thread.sigmask, thread.oldmask], [0, null]);
	}
	kill(thread, thread.process.pid, SIGUSR1);
	host.settle();
	assert.equal([await call, handled, thread.sigmask], ["EINTR", 1, 0]);
});

test("an entry that cannot be written fails the poll, also when it is interrupted", async () => {
	const { thread, host, fds, files } = world(1);
	const frozen = [Object.freeze({ fd: fds[0] as number, events: POLLIN, revents: 0 })];
	const call = poll(thread, frozen, -1).catch((error) => error.code);
	interrupt(thread);
	host.settle();
	assert.is(await call, "EFAULT");
	files[0]?.set("read", { data: 1 });
	assert.is(
		codeOf(() => pollNow(thread, frozen)),
		"EFAULT",
	);
	const thrown = new Error("setter");
	const throwing = {
		fd: fds[0] as number,
		events: POLLIN,
		get revents() {
			return 0;
		},
		set revents(_value: number) {
			throw thrown;
		},
	};
	assert.is(
		codeOf(() => pollNow(thread, [throwing])),
		thrown,
	);
	assert.is(pollNow(thread, pollin(fds)), 1);
});

test("a process that exits goes while its poll sleeps, even if the entries cannot be written", async () => {
	const { thread, kernel, fds } = world(1);
	const other = thread.process.spawnThread();
	const frozen = [Object.freeze({ fd: fds[0] as number, events: POLLIN, revents: 0 })];
	const call = poll(other, frozen, -1).catch((error) => error.code);
	exit(thread, 0);
	assert.is(await call, "EINTR");
	assert.equal([kernel.processes.size, kernel.sleepers], [0, 0]);
});

function codeOf(call: () => unknown): unknown {
	try {
		call();
	} catch (error) {
		return (error as { code?: string }).code ?? error;
	}
	return "no error";
}

test("ten thousand descriptors are polled and selected", () => {
	const { thread, files, fds } = world(10_000, 20_000);
	const list = pollin(fds);
	files[9_999]?.set("read", { data: 1 });
	assert.is(pollNow(thread, list), 1);
	assert.is(list[9_999]?.revents, POLLIN);
	const readfds = new FdSet(fds);
	assert.is(selectNow(thread, 10_000, readfds, null, null), 1);
	assert.equal([...readfds], [9_999]);
});

test("what many threads remember of their polls does not use up the limit of knotes", () => {
	const kernel = new Kernel({ host: new VirtualHost(), accountLimits: { knotes: 1000 } });
	const process = kernel.spawn();
	const fds = Array.from({ length: 20 }, () => openFile(process.main, new SyntheticFile()));
	for (let i = 0; i < 200; i++) {
		const thread = process.spawnThread();
		for (const fd of fds) assert.is(pollNow(thread, [{ fd, events: POLLIN, revents: 0 }]), 0);
	}
	const { used } = process.account.knotes;
	assert.ok(400 < used && used <= 501, `${used}`);
});

test.run();

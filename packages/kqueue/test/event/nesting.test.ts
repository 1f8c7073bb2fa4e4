// Calls inside calls, on one thread and on others: from filters, files, handlers and getters.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	dup,
	EV_ADD,
	EV_CLEAR,
	EVFILT_READ,
	EVFILT_TIMER,
	errno,
	eventList,
	exec,
	exit,
	fork,
	ioctl,
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
	waitpidNow,
} from "../../src/index.ts";
import { FIOCLEX } from "../../src/ioctl.ts";
import {
	File,
	filterops,
	getFile,
	Klist,
	type Knote,
	psignal,
	sigsuspendMask,
} from "../../src/kernel.ts";
import {
	SIG_BLOCK,
	SIG_IGN,
	SIGCHLD,
	SIGKILL,
	SIGTERM,
	SIGUSR1,
	sigpending,
	sigset,
	threadKill,
} from "../../src/signal.ts";
import { closefrom } from "../../src/unistd.ts";
import { checkMachine, codeOf, machine, rejection } from "../machine.ts";

/** A file whose kqfilter and detach do what a test says. */
class Custom extends File {
	readonly klist: Klist = new Klist();
	attach: (kn: Knote) => void = () => {};
	detach: () => void = () => {};
	closed: () => void = () => {};

	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		kn.fop = filterops({
			name: "custom",
			detach: (each) => {
				this.klist.remove(each);
				this.detach();
			},
			event: () => false,
		});
		this.klist.insert(kn);
		this.attach(kn);
		return 0;
	}

	override close(): void {
		this.closed();
	}
}

function read(ident: number) {
	return { ident, filter: EVFILT_READ, flags: EV_ADD };
}

function add(thread: Thread, kq: number, ident: number): number {
	return keventNow(thread, kq, [read(ident)], null);
}

test("a handler that makes calls does not change the mask that is restored after it", async () => {
	const { thread, process, host } = machine();
	const kq = kqueue(thread);
	const masks: number[] = [];
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
	sigaction(thread, SIGUSR1, () => {
		keventNow(thread, kq, null, eventList(1));
		masks.push(thread.sigmask);
	});
	sigsuspendMask(thread, sigset(SIGTERM), "test");
	const call = rejection(kevent(thread, kq, null, eventList(1), null));
	psignal(process, SIGUSR1);
	host.settle();
	assert.is(await call, "EINTR");
	assert.equal(masks, [sigset(SIGTERM, SIGUSR1)]);
	assert.is(thread.sigmask, sigset(SIGUSR1));
});

test("a call inside a callback takes no signals, the call around the callback does", () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	const file = new Custom();
	const log: string[] = [];
	sigaction(thread, SIGUSR1, () => log.push("handler"));
	file.attach = () => {
		kill(thread, process.pid, SIGUSR1);
		keventNow(thread, kqueue(thread), null, eventList(1));
		log.push("attached");
	};
	add(thread, kq, openFile(thread, file));
	assert.equal(log, ["attached", "handler"]);
});

test("a process killed by a callback ends when the call returns", () => {
	const { thread, process } = machine();
	const kq = kqueue(thread);
	const file = new Custom();
	file.attach = () => kill(thread, process.pid, SIGKILL);
	add(thread, kq, openFile(thread, file));
	assert.equal([process.exiting, process.status, file.refs], [true, SIGKILL, 0]);
});

test("a process killed by a call of another of its threads ends when none of its calls runs", () => {
	const { thread, process, host } = machine();
	const other = process.spawnThread();
	const kq = kqueue(thread);
	const file = new Custom();
	file.attach = () => kill(other, process.pid, SIGTERM);
	add(thread, kq, openFile(thread, file));
	host.settle();
	assert.equal([process.exiting, process.status], [true, SIGTERM]);
});

test("a thread that falls asleep with a pending signal that it now blocks stays asleep", async () => {
	const { thread, process, host } = machine();
	const kq = kqueue(thread);
	let handled = 0;
	sigaction(thread, SIGUSR1, () => handled++);
	psignal(process, SIGUSR1);
	sigsuspendMask(thread, sigset(SIGUSR1), "test");
	const call = kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 5e6 });
	host.settle();
	assert.equal([handled, thread.state, thread.sigmask], [0, "asleep", sigset(SIGUSR1)]);
	host.advance(5);
	assert.is(await call, 0);
	assert.equal([handled, thread.sigmask], [1, 0]);
});

test("a signal that another thread took in the meantime interrupts no thread", async () => {
	const { thread, process, host } = machine();
	const sleeper = process.spawnThread();
	const kq = kqueue(thread);
	let handled = 0;
	sigaction(thread, SIGUSR1, () => handled++);
	const call = kevent(sleeper, kq, null, eventList(1), { sec: 0, nsec: 5e6 });
	psignal(process, SIGUSR1);
	assert.is(sleeper.state, "ready");
	sigprocmask(thread, SIG_BLOCK, 0); // A call of the running thread, which takes it first.
	host.settle();
	assert.equal([handled, sleeper.state], [1, "asleep"]);
	host.advance(5);
	assert.is(await call, 0);
});

test("a mask that unblocks a pending signal wakes a sleeping thread", async () => {
	const { thread, process, host } = machine();
	const kq = kqueue(thread);
	let handled = 0;
	sigaction(thread, SIGUSR1, () => handled++);
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
	kill(thread, process.pid, SIGUSR1);
	const call = rejection(kevent(thread, kq, null, eventList(1), null));
	sigprocmask(thread, 3, 0);
	host.settle();
	assert.is(await call, "EINTR");
	assert.is(handled, 1);
});

test("ignoring a signal discards it, even if it is handled again before it is unblocked", () => {
	const { thread, process } = machine();
	let handled = 0;
	sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
	kill(thread, process.pid, SIGUSR1);
	sigaction(thread, SIGUSR1, SIG_IGN);
	sigaction(thread, SIGUSR1, () => handled++);
	assert.is(sigpending(thread), 0);
	sigprocmask(thread, 3, 0);
	assert.is(handled, 0);
});

test("a call that may sleep is refused inside another of the same thread", async () => {
	const { thread, process, host } = machine();
	const kq = kqueue(thread);
	const other = kqueue(thread);
	const file = new Custom();
	let nested: Promise<unknown> | undefined;
	file.attach = () => {
		nested = rejection(kevent(thread, other, null, eventList(1), null));
	};
	const change = read(openFile(thread, file));
	const outer = kevent(thread, kq, [change], eventList(1), { sec: 0, nsec: 5e6 });
	assert.is(await nested, "EDEADLK");
	host.advance(5);
	assert.is(await outer, 0);
	const second = process.spawnThread();
	file.attach = () => {
		nested = kevent(second, other, null, eventList(1), { sec: 0, nsec: 5e6 });
	};
	add(thread, other, change.ident);
	host.advance(5);
	assert.is(await nested, 0);
});

test("a thread does not end inside a call of its own, nor its process", () => {
	const m = machine();
	const { thread, process } = m;
	const kq = kqueue(thread);
	const file = new Custom();
	const results: unknown[] = [];
	file.attach = () => {
		results.push(
			codeOf(() => threadExit(thread)),
			codeOf(() => exit(thread, 0)),
			codeOf(() => exit(process.spawnThread(), 0)),
		);
	};
	add(thread, kq, openFile(thread, file));
	assert.equal(results, ["EDEADLK", "EDEADLK", "EDEADLK"]);
	checkMachine(m);
	assert.is(thread.depth, 0);
});

test("exec does not close the descriptor of a filter that is being asked", () => {
	const m = machine();
	const { thread } = m;
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	ioctl(thread, fd, FIOCLEX);
	add(thread, kq, fd);
	// A filter that is notified: its knote is in use.
	const custom = new Custom();
	const ident = openFile(thread, custom);
	ioctl(thread, ident, FIOCLEX);
	add(thread, kq, ident);
	let result: unknown;
	const kn = custom.klist.first as Knote;
	kn.fop = filterops({
		name: "execs",
		detach: (each) => custom.klist.remove(each),
		event: () => {
			result = codeOf(() => exec(thread));
			return false;
		},
	});
	custom.klist.notify(0);
	assert.is(result, "EDEADLK");
	assert.equal([file.refs, custom.refs], [2, 2]);
	checkMachine(m);
	exec(thread);
	assert.equal([file.refs, custom.refs], [0, 0]);
});

test("a busy kqueue cannot be closed by its other descriptors, nor while a change uses it", () => {
	const m = machine();
	const { thread } = m;
	const kq = kqueue(thread);
	const copy = dup(thread, kq);
	const file = new Custom();
	const results: unknown[] = [];
	file.attach = () => {
		results.push(
			codeOf(() => close(thread, kq)),
			codeOf(() => close(thread, copy)),
			codeOf(() => closefrom(thread, kq)),
		);
	};
	add(thread, kq, openFile(thread, file));
	assert.equal(results, ["EDEADLK", "EDEADLK", "EDEADLK"]);
	checkMachine(m);
});

test("a handler that ends its thread while the thread is ending does not affect other threads", async () => {
	const { thread, process, host } = machine();
	const second = process.spawnThread();
	const third = process.spawnThread();
	const kq = kqueue(thread);
	const call = rejection(kevent(second, kq, null, eventList(1), null));
	sigaction(thread, SIGUSR1, () => threadExit(second));
	sigprocmask(second, SIG_BLOCK, sigset(SIGUSR1));
	kill(third, process.pid, SIGUSR1);
	host.settle();
	assert.is(await call, "EINTR");
	assert.equal(process.threads, [thread, third]);
	assert.equal([thread.state, second.state, third.state], ["running", "exited", "running"]);
});

test("an exit does not take the signals that are pending, and happens once", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const child = fork(thread);
	const { main } = child;
	keventNow(thread, kq, [{ ident: child.pid, filter: -5, flags: EV_ADD }], null);
	sigaction(main, SIGTERM, () => exit(main, 9));
	psignal(child, SIGTERM);
	exit(main, 3);
	const events = eventList(1);
	keventNow(thread, kq, null, events);
	assert.is(events[0]?.data, 3 << 8);
	assert.equal(waitpidNow(thread, child.pid), { pid: child.pid, status: 3 << 8 });
});

test("a thread that ends does not take the signals that are pending, and other threads go on", () => {
	const { thread, process } = machine();
	const other = process.spawnThread();
	sigaction(thread, SIGTERM, () => threadExit(other));
	threadKill(thread, other, SIGTERM);
	threadExit(other);
	assert.equal([process.threads, thread.state], [[thread], "running"]);
});

test("signals for a process without threads wait for one", () => {
	const { thread, host } = machine();
	const child = fork(thread);
	threadExit(child.main);
	kill(thread, child.pid, SIGKILL);
	host.settle();
	assert.is(child.exiting, false);
	child.spawnThread();
	host.settle();
	assert.equal([child.exiting, child.status], [true, SIGKILL]);
});

test("a host that settles inside a callback does not wait for a process that cannot end yet", () => {
	const { thread, process, host } = machine();
	const other = process.spawnThread();
	const kq = kqueue(thread);
	const file = new Custom();
	file.attach = () => {
		kill(other, process.pid, SIGKILL);
		host.settle();
	};
	add(thread, kq, openFile(thread, file));
	host.settle();
	assert.is(process.exiting, true);
});

test("the file of a kqueue gets no descriptor in another process, nor after it was closed", () => {
	const { thread, kernel } = machine();
	const kq = kqueue(thread);
	const file = getFile(thread, kq, "test");
	assert.is(
		codeOf(() => openFile(kernel.spawn().main, file)),
		"EINVAL",
	);
	close(thread, kq);
	assert.is(
		codeOf(() => openFile(thread, file)),
		"EINVAL",
	);
	assert.is(
		codeOf(() => openFile(thread, {} as never)),
		"EFAULT",
	);
});

test("every descriptor is closed although the filters of some throw", () => {
	for (const end of [
		(thread: Thread) => closefrom(thread, 0),
		(thread: Thread) => exec(thread),
		(thread: Thread) => exit(thread, 0),
	]) {
		const { thread } = machine();
		const kq = kqueue(thread);
		const files = Array.from({ length: 3 }, () => new Custom());
		for (const file of files) {
			const fd = openFile(thread, file);
			ioctl(thread, fd, FIOCLEX);
			add(thread, kq, fd);
			file.detach = () => {
				throw new Error("detach");
			};
		}
		assert.throws(() => end(thread), "detach");
		for (const file of files) {
			assert.equal([file.klist.empty, file.refs], [true, 0]);
		}
	}
});

test("a kqueue whose filters throw is closed anyway, and its sleepers wake", async () => {
	const { thread, process, kernel, host } = machine();
	const sleeper = process.spawnThread();
	const kq = kqueue(thread);
	const files = [new Custom(), new Custom()];
	for (const file of files) {
		add(thread, kq, openFile(thread, file));
		file.detach = () => {
			throw new Error("detach");
		};
	}
	const timer = { ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 5 };
	keventNow(thread, kq, [timer], null);
	const call = rejection(kevent(sleeper, kq, null, eventList(1), null));
	assert.throws(() => close(thread, kq), "detach");
	host.settle();
	assert.is(await call, "EBADF");
	assert.equal(
		[kernel.timeouts.size, kernel.ntimers, files.map(({ refs }) => refs)],
		[0, 0, [1, 1]],
	);
	assert.is(process.fdp.firstKqueue, null);
});

test("all knotes of a descriptor go although one of their filters throws", () => {
	const { thread } = machine();
	const kqs = [kqueue(thread), kqueue(thread)];
	const file = new Custom();
	const fd = openFile(thread, file);
	for (const kq of kqs) add(thread, kq, fd);
	file.detach = () => {
		throw new Error("detach");
	};
	assert.throws(() => close(thread, fd), "detach");
	const next = new SyntheticFile();
	assert.is(openFile(thread, next), fd);
	next.set("read", { data: 1 });
	for (const kq of kqs) assert.is(keventNow(thread, kq, null, eventList(1)), 0);
});

/** A file that three kqueues watch, the middle one's knote, and its filter. */
function watched() {
	const { thread } = machine();
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	const kqs = Array.from({ length: 3 }, () => kqueue(thread));
	for (const kq of kqs) add(thread, kq, fd);
	const middle = file.klist.first?.selnext as Knote;
	return { thread, file, fd, kqs, middle, fop: middle.fop };
}

test("a notification goes on when a filter throws, and throws at the end", () => {
	const { thread, file, kqs, middle, fop } = watched();
	const thrown = new Error("event");
	middle.fop = {
		...fop,
		mpsafe: false,
		event: () => {
			throw thrown;
		},
	};
	assert.is(
		codeOf(() => file.set("read", { data: 1 })),
		thrown,
	);
	middle.fop = fop;
	assert.equal(
		kqs.map((kq) => keventNow(thread, kq, null, eventList(1))),
		[1, 0, 1],
	);
});

test("a filter that is not safe is guarded among others that are safe", () => {
	const { thread, file, fd, kqs, middle, fop } = watched();
	const codes: unknown[] = [];
	const event = (kn: Knote, hint: number): boolean => {
		codes.push(
			codeOf(() => file.notify(0)),
			codeOf(() => file.invalidate()),
			codeOf(() => close(thread, fd)),
		);
		return fop.event(kn, hint);
	};
	middle.fop = { ...fop, mpsafe: false, event };
	file.set("read", 1);
	assert.equal(codes, ["EDEADLK", "EDEADLK", "EDEADLK"]);
	middle.fop = fop;
	assert.equal(
		kqs.map((kq) => keventNow(thread, kq, null, eventList(1))),
		[1, 1, 1],
	);
});

test("a child cannot be waited for while it is exiting", () => {
	const { thread } = machine();
	const file = new Custom();
	const child = fork(thread);
	openFile(child.main, file);
	let early: unknown;
	file.closed = () => {
		early = waitpidNow(thread, child.pid);
	};
	exit(child.main, 9);
	assert.is(early, null);
	assert.equal(waitpidNow(thread, child.pid), { pid: child.pid, status: 9 << 8 });
});

test("a process that has exited gets no threads, and using its first thread fails", () => {
	const { thread, process } = machine();
	exit(thread, 0);
	assert.is(
		codeOf(() => process.spawnThread()),
		"ESRCH",
	);
	assert.is(
		codeOf(() => kqueue(process.main)),
		"ESRCH",
	);
	assert.is(
		codeOf(() => exit(process.main, 0)),
		"ESRCH",
	);
});

test("a parent that ignores its children gets no SIGCHLD", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident: SIGCHLD, filter: -6, flags: EV_ADD }], null);
	sigaction(thread, SIGCHLD, SIG_IGN);
	exit(fork(thread).main, 0);
	assert.is(keventNow(thread, kq, null, eventList(1)), 0);
});

test("a knote is inserted into only one list, once, and its filter is one for descriptors", () => {
	const m = machine();
	const { thread } = m;
	const kq = kqueue(thread);
	const twice = new Custom();
	twice.attach = (kn) => twice.klist.insert(kn);
	const fd = openFile(thread, twice);
	assert.throws(() => add(thread, kq, fd), "a knote is on one list");
	const wrong = new Custom();
	wrong.attach = (kn) => {
		kn.fop = { ...kn.fop, isfd: false };
	};
	const ident = openFile(thread, wrong);
	assert.throws(() => add(thread, kq, ident), "kqfilter sets kn.fop");
	checkMachine(m);
	close(thread, fd);
	close(thread, ident);
	assert.equal([twice.refs, wrong.refs], [0, 0]);
});

test("a trace sink that calls the engine is refused, and what it throws is reported", () => {
	const results: unknown[] = [];
	let noisy = false;
	const m = machine({
		sink: (event) => {
			if (!noisy || event.event !== "activate") return;
			noisy = false;
			results.push(codeOf(() => kqueue(m.thread)));
			throw new Error("sink");
		},
	});
	const { thread, host } = m;
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	keventNow(thread, kq, [{ ...read(openFile(thread, file)), flags: EV_ADD | EV_CLEAR }], null);
	noisy = true;
	file.set("read", { data: 1 });
	assert.equal(results, ["EDEADLK"]);
	assert.throws(() => host.settle(), "sink");
	assert.is(keventNow(thread, kq, null, eventList(1)), 1);
	checkMachine(m);
});

test("a file stays until the call on it has returned", () => {
	const { thread } = machine();
	const log: string[] = [];
	const file = new SyntheticFile({
		ioctl: () => {
			close(thread, 0);
			log.push("ioctl");
			return 7;
		},
		close: () => log.push("close"),
	});
	assert.is(openFile(thread, file), 0);
	assert.is(ioctl(thread, 0, 1), 7);
	assert.equal(log, ["ioctl", "close"]);
	assert.is(
		codeOf(() => ioctl(thread, 0, 1)),
		"EBADF",
	);
	assert.is(errno.EBADF, 9);
});

test("a sleeping call is settled when a signal ends its process and a file cannot be closed", async () => {
	const { thread, host } = machine();
	const child = fork(thread);
	const file = new Custom();
	openFile(child.main, file);
	file.closed = () => {
		throw new Error("close");
	};
	const call = rejection(kevent(child.main, kqueue(child.main), null, eventList(1), null));
	kill(thread, child.pid, SIGTERM);
	assert.throws(() => host.settle(), "close");
	assert.is(await call, "EINTR");
	assert.equal([child.exiting, child.status], [true, SIGTERM]);
});

test("errors of closing files, when a signal ends the process after a call, do not fail the call", () => {
	const { thread, host } = machine();
	const child = fork(thread);
	const file = new Custom();
	const fd = openFile(child.main, file);
	file.closed = () => {
		throw new Error("close");
	};
	sigprocmask(child.main, SIG_BLOCK, sigset(SIGTERM));
	kill(thread, child.pid, SIGTERM);
	child.main.sigmask = 0;
	assert.is(dup(child.main, fd), fd + 1);
	assert.is(child.exiting, true);
	assert.throws(() => host.settle(), "close");
});

test("a process killed by a filter that the host notifies ends after the notification", () => {
	const { thread, process, host, kernel } = machine();
	const killer = kernel.spawn().main;
	const kq = kqueue(thread);
	const file = new Custom();
	add(thread, kq, openFile(thread, file));
	const kn = file.klist.first as Knote;
	kn.fop = filterops({
		name: "kills",
		detach: (each) => file.klist.remove(each),
		event: () => {
			kill(killer, process.pid, SIGTERM);
			host.settle();
			return false;
		},
	});
	file.klist.notify(0);
	assert.is(process.exiting, false);
	host.settle();
	assert.equal([process.exiting, process.status], [true, SIGTERM]);
});

test("a signal whose thread ends, or blocks it, goes to another thread", () => {
	for (const away of [
		(thread: Thread) => threadExit(thread),
		(thread: Thread) => {
			sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
		},
	]) {
		const { thread, process, host } = machine();
		const other = process.spawnThread();
		let handled = 0;
		sigaction(other, SIGUSR1, () => handled++);
		psignal(process, SIGUSR1); // The first thread is chosen, and not told yet.
		away(thread);
		host.settle();
		assert.is(handled, 1);
	}
});

test("a handler that sleeps in a call with a mask does not mix up the masks", async () => {
	const { thread, process, host } = machine();
	const kq = kqueue(thread);
	let inner: Promise<unknown> | undefined;
	let handled = 0;
	sigaction(thread, SIGUSR1, () => {
		handled++;
		if (handled > 1) return;
		sigsuspendMask(thread, sigset(SIGTERM), "test");
		inner = kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 5e6 });
	});
	kill(thread, process.pid, SIGUSR1);
	assert.equal([thread.state, thread.sigmask], ["asleep", sigset(SIGTERM)]);
	host.advance(5);
	assert.is(await inner, 0);
	assert.is(thread.sigmask, 0);
	kill(thread, process.pid, SIGUSR1);
	assert.is(handled, 2);
});

test("an exit whose files end other threads of the process, or exit again, happens once", () => {
	const { thread, process } = machine();
	const other = process.spawnThread();
	const file = new Custom();
	const results: unknown[] = [];
	openFile(thread, file);
	file.closed = () => {
		results.push(
			codeOf(() => exit(other, 0)),
			codeOf(() => exit(thread, 0)),
		);
	};
	exit(thread, 4);
	assert.equal(results, ["ESRCH", "ESRCH"]);
	assert.is(process.status, 4 << 8);
});

test("a mask changed while a call with a mask sleeps is the one that is restored", async () => {
	const { thread, host } = machine();
	const kq = kqueue(thread);
	sigprocmask(thread, SIG_BLOCK, sigset(SIGCHLD));
	sigsuspendMask(thread, sigset(SIGTERM), "test");
	const call = kevent(thread, kq, null, eventList(1), { sec: 0, nsec: 5e6 });
	assert.is(sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1)), sigset(SIGCHLD));
	assert.is(thread.sigmask, sigset(SIGTERM));
	host.advance(5);
	await call;
	assert.is(thread.sigmask, sigset(SIGCHLD, SIGUSR1));
});

test.run();

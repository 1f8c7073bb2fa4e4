// What a handler with SA_RESTART does to the call that it interrupts, and the other flags of sigaction.
import { FdSet, POLLIN, poll, select } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EVFILT_READ,
	eventList,
	exit,
	fork,
	Kernel,
	kevent,
	kill,
	kqueue,
	nanosleep,
	openFile,
	read,
	readNow,
	SyntheticFile,
	SystemError,
	sigaction,
	type Thread,
	waitpid,
	waitpidNow,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { callSync, readCall } from "@kqpoll/kqueue/kernel";
import {
	SA_NOCLDSTOP,
	SA_NOCLDWAIT,
	SA_NODEFER,
	SA_RESETHAND,
	SA_RESTART,
	SIG_DFL,
	SIGCHLD,
	SIGUSR1,
	SIGUSR2,
	sigset,
	sigsuspend,
	sigwait,
} from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { readv, writev } from "@kqpoll/kqueue/uio";
import { pause } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDONLY } from "../src/fcntl.ts";
import {
	accept,
	bind,
	connect,
	connectNow,
	getsockname,
	listen,
	mkfifo,
	open,
	openpty,
	pipe,
	recv,
	send,
	sendmsg,
	socket,
	socketpair,
	Tree,
	tcdrain,
} from "../src/index.ts";
import { type Address, SOCK_NONBLOCK } from "../src/socket.ts";

interface World {
	readonly host: VirtualHost;
	readonly thread: Thread;
	readonly log: unknown[];
	/** Sends a signal to the thread's process, from outside. */
	readonly signal: (signal: number) => void;
}

function world(flags = SA_RESTART, handler: () => void = () => {}): World {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, diagnostics: true });
	const thread = kernel.spawn().main;
	const sender = kernel.spawn().main;
	const log: unknown[] = [];
	const handle = (signal: number): void => {
		log.push(signal === SIGUSR1 ? "USR1" : "USR2");
		handler();
	};
	sigaction(thread, SIGUSR1, handle, 0, flags);
	sigaction(thread, SIGUSR2, handle);
	return { host, thread, log, signal: (n) => kill(sender, thread.process.pid, n) };
}

/** What becomes of a promise, when there is nothing left to do. */
async function outcome(w: World, promise: Promise<unknown>): Promise<unknown> {
	let result: unknown = "asleep";
	promise.then(
		(value) => {
			result = value;
		},
		(error) => {
			result = error instanceof SystemError ? error.code : error;
		},
	);
	w.host.settle();
	await new Promise((resolve) => setImmediate(resolve));
	return result;
}

const byte = new Uint8Array(1);
const bytes = new Uint8Array(3);

function fill(thread: Thread, fd: number): void {
	try {
		for (;;) writeNow(thread, fd, new Uint8Array(4096));
	} catch {}
}

/** Calls that begin again, each with what it waits for. */
const RESTARTED: Record<string, (w: World) => { call: Promise<unknown>; help: () => void }> = {
	read: ({ thread }) => {
		const [r, w] = pipe(thread);
		return { call: read(thread, r, bytes), help: () => writeNow(thread, w, bytes) };
	},
	readv: ({ thread }) => {
		const [r, w] = pipe(thread);
		return { call: readv(thread, r, [byte, bytes]), help: () => writeNow(thread, w, bytes) };
	},
	write: ({ thread }) => {
		const [a, b] = socketpair(thread, "stream");
		fill(thread, a);
		const drain = new Uint8Array(1 << 20);
		return { call: write(thread, a, bytes), help: () => readNow(thread, b, drain) };
	},
	writev: ({ thread }) => {
		const [a, b] = socketpair(thread, "stream");
		fill(thread, a);
		const drain = new Uint8Array(1 << 20);
		return { call: writev(thread, a, [byte, byte, byte]), help: () => readNow(thread, b, drain) };
	},
	recv: ({ thread }) => {
		const [a, b] = socketpair(thread, "dgram");
		return { call: recv(thread, a, bytes), help: () => writeNow(thread, b, bytes) };
	},
	send: ({ thread }) => {
		const [a, b] = socketpair(thread, "stream");
		fill(thread, a);
		const drain = new Uint8Array(1 << 20);
		return { call: send(thread, a, bytes), help: () => readNow(thread, b, drain) };
	},
	sendmsg: ({ thread }) => {
		const [a, b] = socketpair(thread, "stream");
		fill(thread, a);
		const drain = new Uint8Array(1 << 20);
		return {
			call: sendmsg(thread, a, { bytes, fds: [b] }),
			help: () => readNow(thread, b, drain),
		};
	},
	tcdrain: ({ thread }) => {
		const [master, slave] = openpty(thread);
		writeNow(thread, slave, bytes);
		const call = tcdrain(thread, slave).then(() => 3);
		return { call, help: () => readNow(thread, master, new Uint8Array(9)) };
	},
};

for (const [name, make] of Object.entries(RESTARTED)) {
	test(`${name} begins again after a handler with SA_RESTART, as often as it is interrupted`, async () => {
		const w = world();
		const { call, help } = make(w);
		for (let times = 1; times <= 3; times++) {
			w.signal(SIGUSR1);
			assert.is(await outcome(w, call), "asleep");
			assert.is(w.thread.state, "asleep");
			assert.equal(w.log, new Array(times).fill("USR1"));
		}
		help();
		assert.is(await outcome(w, call), 3);
		assert.equal([w.thread.kernel.sleepers, w.thread.kernel.activity.depth], [0, 0]);
	});

	test(`${name} fails with EINTR after a handler without it`, async () => {
		const w = world();
		const { call } = make(w);
		w.signal(SIGUSR2);
		assert.is(await outcome(w, call), "EINTR");
	});
}

test("accept and waitpid begin again", async () => {
	const w = world();
	const fd = socket(w.thread, "inet", "stream");
	bind(w.thread, fd, 0);
	listen(w.thread, fd, 5);
	const call = accept(w.thread, fd);
	w.signal(SIGUSR1);
	assert.is(await outcome(w, call), "asleep");
	const client = socket(w.thread, "inet", "stream", SOCK_NONBLOCK);
	try {
		connectNow(w.thread, client, getsockname(w.thread, fd) as Address);
	} catch {}
	assert.type(await outcome(w, call), "number");
	const child = fork(w.thread);
	const wait = waitpid(w.thread, child.pid);
	w.signal(SIGUSR1);
	assert.is(await outcome(w, wait), "asleep");
	exit(child.main, 0);
	assert.equal(await outcome(w, wait), { pid: child.pid, status: 0 });
	assert.equal(w.log, ["USR1", "USR1"]);
});

/** Calls that never begin again. */
const NEVER: Record<string, (w: World) => Promise<unknown>> = {
	connect: ({ thread }) => {
		const fd = socket(thread, "inet", "stream");
		bind(thread, fd, 0);
		listen(thread, fd, 5);
		return connect(thread, socket(thread, "inet", "stream"), getsockname(thread, fd) as Address);
	},
	"open of a fifo": ({ thread }) => {
		const tree = new Tree();
		mkfifo(thread, tree, "/f", 0o600);
		return open(thread, tree, "/f", O_RDONLY);
	},
	poll: ({ thread }) => {
		const [r] = pipe(thread);
		return poll(thread, [{ fd: r, events: POLLIN, revents: 0 }], -1);
	},
	select: ({ thread }) => {
		const [r] = pipe(thread);
		return select(thread, r + 1, new FdSet([r]), null, null, null);
	},
	kevent: ({ thread }) => {
		const [r] = pipe(thread);
		const change = { ident: r, filter: EVFILT_READ, flags: EV_ADD };
		return kevent(thread, kqueue(thread), [change], eventList(1), null);
	},
	nanosleep: ({ thread }) => nanosleep(thread, { sec: 9, nsec: 0 }),
	pause: ({ thread }) => pause(thread),
	sigsuspend: ({ thread }) => sigsuspend(thread, 0),
	sigwait: ({ thread }) => sigwait(thread, sigset(SIGUSR2)),
};

for (const [name, make] of Object.entries(NEVER)) {
	test(`${name} never begins again`, async () => {
		const w = world();
		const call = make(w);
		w.signal(SIGUSR1);
		assert.is(await outcome(w, call), "EINTR");
		assert.equal(w.log, ["USR1"]);
	});
}

test("a write that has moved bytes returns their number instead of beginning again", async () => {
	const w = world();
	const [, end] = pipe(w.thread);
	const call = write(w.thread, end, new Uint8Array(100_000));
	w.signal(SIGUSR1);
	assert.is(await outcome(w, call), 65536);
});

test("a call begins again with its descriptor as it is then", async () => {
	const w = world(SA_RESTART, () => {
		close(w.thread, r);
		if (again) openFile(w.thread, file);
	});
	let again = false;
	const file = new SyntheticFile();
	const [r, end] = pipe(w.thread);
	const gone = read(w.thread, r, bytes);
	w.signal(SIGUSR1);
	assert.is(await outcome(w, gone), "EBADF");
	// Another file behind the same number is read.
	again = true;
	openFile(w.thread, new SyntheticFile());
	const other = read(w.thread, r, bytes);
	w.signal(SIGUSR1);
	assert.is(await outcome(w, other), "asleep");
	file.push(bytes);
	assert.is(await outcome(w, other), 3);
	close(w.thread, end);
});

test("a signal that is pending before the call does not make it fail", async () => {
	const w = world();
	const [r, end] = pipe(w.thread);
	w.thread.sigmask = sigset(SIGUSR1);
	w.signal(SIGUSR1);
	w.thread.sigmask = 0;
	const call = read(w.thread, r, bytes);
	assert.is(await outcome(w, call), "asleep");
	assert.equal(w.log, ["USR1"]);
	writeNow(w.thread, end, bytes);
	assert.is(await outcome(w, call), 3);
});

test("a handler that makes a call which sleeps ends the one that it interrupted", async () => {
	const naps: Promise<unknown>[] = [];
	const w = world(SA_RESTART, () => {
		naps.push(nanosleep(w.thread, { sec: 0, nsec: 1e6 }));
	});
	const [r] = pipe(w.thread);
	const call = read(w.thread, r, bytes);
	w.signal(SIGUSR1);
	assert.is(await outcome(w, call), "EINTR");
	w.host.advance(1);
	assert.equal(await Promise.all(naps), [0]);
});

test("a call that begins again can be aborted, and ended with its thread", async () => {
	const w = world();
	const [r] = pipe(w.thread);
	const abort = new AbortController();
	const call = read(w.thread, r, bytes, { signal: abort.signal });
	w.signal(SIGUSR1);
	assert.is(await outcome(w, call), "asleep");
	abort.abort("enough");
	assert.is(await outcome(w, call), "enough");
	const last = read(w.thread, r, bytes);
	w.signal(SIGUSR1);
	exit(w.thread, 0);
	assert.is(await outcome(w, last), "EINTR");
});

test("a call that blocks begins again too", () => {
	const w = world();
	const [r, end] = pipe(w.thread);
	w.host.setTimer(1e6, () => w.signal(SIGUSR1));
	w.host.setTimer(2e6, () => w.signal(SIGUSR1));
	w.host.setTimer(3e6, () => void writeNow(w.thread, end, bytes));
	assert.is(callSync(w.thread, "read", null, readCall, r, bytes), 3);
	assert.equal([w.log, w.host.now()], [["USR1", "USR1"], 3e6]);
});

test("of two signals the lower one decides", async () => {
	const w = world();
	const [r] = pipe(w.thread);
	const call = read(w.thread, r, bytes);
	w.thread.sigmask = sigset(SIGUSR1, SIGUSR2);
	w.signal(SIGUSR2);
	w.thread.sigmask = 0;
	w.signal(SIGUSR1);
	assert.is(await outcome(w, call), "asleep");
	assert.equal(w.log, ["USR1", "USR2"]);
});

test("SA_RESETHAND: the handler runs once, and then the default ends the process", () => {
	const w = world(SA_RESETHAND);
	w.signal(SIGUSR1);
	w.host.settle();
	assert.equal([w.log, w.thread.state], [["USR1"], "running"]);
	w.signal(SIGUSR1);
	w.host.settle();
	assert.equal([w.log, w.thread.state], [["USR1"], "exited"]);
});

test("SA_NODEFER: the signal is not blocked while its handler runs", () => {
	let depth = 0;
	let deepest = 0;
	const w = world(SA_NODEFER, () => {
		deepest = Math.max(deepest, ++depth);
		if (deepest < 3) kill(w.thread, w.thread.process.pid, SIGUSR1);
		depth--;
	});
	w.signal(SIGUSR1);
	w.host.settle();
	assert.is(deepest, 3);
});

test("SA_NOCLDWAIT: children that exit are not waited for, and send no SIGCHLD", () => {
	const { host, thread } = world();
	let told = 0;
	sigaction(thread, SIGCHLD, () => told++, 0, SA_NOCLDWAIT | SA_NOCLDSTOP);
	const child = fork(thread);
	exit(child.main, 0);
	host.settle();
	assert.throws(
		() => waitpidNow(thread, -1),
		(error: SystemError) => error.code === "ECHILD",
	);
	assert.is(thread.kernel.processes.has(child.pid), false);
	sigaction(thread, SIGCHLD, SIG_DFL);
	assert.is(told, 0);
});

test("fork keeps the flags of actions, and what is not a flag is refused", async () => {
	const w = world();
	const child = fork(w.thread);
	const [r] = pipe(child.main);
	const call = read(child.main, r, bytes);
	kill(w.thread, child.pid, SIGUSR1);
	assert.is(await outcome(w, call), "asleep");
	for (const flags of [0x40, -1, 1.5, "SA_RESTART"]) {
		assert.throws(
			() => sigaction(w.thread, SIGUSR1, SIG_DFL, 0, flags as number),
			(error: SystemError) => error.code === "EINVAL",
		);
	}
});

test.run();

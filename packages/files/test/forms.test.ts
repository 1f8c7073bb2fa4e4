// Every call that can sleep, in its four forms: with nothing to wait for they do the same, and when
// they have to wait, the description of the thread says what for.
import { Kernel, SystemError, type Thread, writeNow } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import {
	type Begin,
	callAsync,
	callEither,
	callNow,
	callSync,
	enter,
	formatThread,
	leave,
	readCall,
	writeCall,
} from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDONLY, O_WRONLY } from "../src/fcntl.ts";
import {
	accept4Now,
	acceptNow,
	bind,
	connectNow,
	getsockname,
	listen,
	mkfifo,
	openNow,
	openpty,
	pipe,
	socket,
	socketpair,
	Tree,
	tcdrainNow,
	tcgetattr,
} from "../src/index.ts";
import {
	accept4Call,
	acceptCall,
	connectCall,
	openCall,
	recvCall,
	recvmsgCall,
	sendCall,
	sendmsgCall,
	sendtoCall,
	tcdrainCall,
	tcsetattrCall,
} from "../src/kernel.ts";
import { type Address, SOCK_CLOEXEC, SOCK_NONBLOCK } from "../src/socket.ts";
import { cfmakeraw, TCSADRAIN } from "../src/termios.ts";

interface World {
	readonly host: VirtualHost;
	readonly thread: Thread;
}

function world(): World {
	const host = new VirtualHost();
	return { host, thread: new Kernel({ host, diagnostics: true }).spawn().main };
}

/** A call, begun by a function that takes the thread. */
type Call = Begin<[]>;

/** What a test needs for a call: how it begins, and what lets it go on when it sleeps. */
interface Situation {
	readonly call: Call;
	/** What it returns at the end. */
	readonly result: number;
	/** The description of what its thread does. */
	readonly words: string;
	/** Causes what it waits for. */
	readonly help: () => void;
}

function fill(thread: Thread, fd: number): void {
	try {
		for (;;) writeNow(thread, fd, new Uint8Array(4096));
	} catch (error) {
		if (!(error instanceof SystemError) || error.code !== "EAGAIN") throw error;
	}
}

function listener(thread: Thread): { fd: number; address: Address } {
	const fd = socket(thread, "inet", "stream");
	bind(thread, fd, 0);
	listen(thread, fd, 5);
	return { fd, address: getsockname(thread, fd) as Address };
}

const bytes = new Uint8Array(3);

/** Each call, in a world where it has to wait. */
const SITUATIONS: Record<string, (w: World) => Situation> = {
	read: ({ thread }) => {
		const [r, w] = pipe(thread);
		return {
			call: () => readCall(thread, r, bytes),
			result: 3,
			words: `read of descriptor ${r} (pipe)`,
			help: () => writeNow(thread, w, bytes),
		};
	},
	write: ({ thread }) => {
		const [a, b] = socketpair(thread, "stream");
		fill(thread, a);
		return {
			call: () => writeCall(thread, a, bytes),
			result: 3,
			words: `write of descriptor ${a} (socket)`,
			help: () => callHelp(thread, () => readCall(thread, b, new Uint8Array(1 << 20))),
		};
	},
	accept: ({ thread }) => {
		const { fd, address } = listener(thread);
		return {
			call: () => acceptCall(thread, fd),
			result: fd + 1,
			words: `accept of descriptor ${fd} (inet stream socket)`,
			help: () => connectSoon(thread, address),
		};
	},
	accept4: ({ thread }) => {
		const { fd, address } = listener(thread);
		return {
			call: () => accept4Call(thread, fd, SOCK_CLOEXEC),
			result: fd + 1,
			words: `accept4 of descriptor ${fd} (inet stream socket)`,
			help: () => connectSoon(thread, address),
		};
	},
	connect: ({ thread }) => {
		const { address } = listener(thread);
		const fd = socket(thread, "inet", "stream");
		return {
			call: () => connectCall(thread, fd, address),
			result: 0,
			words: `connect of descriptor ${fd} (inet stream socket)`,
			help: () => {},
		};
	},
	recv: ({ thread }) => {
		const [a, b] = socketpair(thread, "seqpacket");
		return {
			call: () => recvCall(thread, a, bytes),
			result: 3,
			words: `recv of descriptor ${a} (local seqpacket socket)`,
			help: () => writeNow(thread, b, bytes),
		};
	},
	recvmsg: ({ thread }) => {
		const [a, b] = socketpair(thread, "dgram");
		return {
			call: () => recvmsgCall(thread, a, { bytes: new Uint8Array(9) }),
			result: 3,
			words: `recvmsg of descriptor ${a} (local dgram socket)`,
			help: () => writeNow(thread, b, bytes),
		};
	},
	send: ({ thread }) => {
		const [a, b] = socketpair(thread, "stream");
		fill(thread, a);
		return {
			call: () => sendCall(thread, a, bytes),
			result: 3,
			words: `send of descriptor ${a} (local stream socket)`,
			help: () => callHelp(thread, () => readCall(thread, b, new Uint8Array(1 << 20))),
		};
	},
	sendmsg: ({ thread }) => {
		const [a, b] = socketpair(thread, "stream");
		fill(thread, a);
		return {
			call: () => sendmsgCall(thread, a, { bytes, fds: [a] }),
			result: 3,
			words: `sendmsg of descriptor ${a} (local stream socket)`,
			help: () => callHelp(thread, () => readCall(thread, b, new Uint8Array(1 << 20))),
		};
	},
	"open of a fifo": ({ thread }) => {
		const tree = new Tree();
		mkfifo(thread, tree, "/fifo", 0o666);
		return {
			call: () => openCall(thread, tree, "/fifo", O_WRONLY),
			result: 1,
			words: "open of fifo /fifo, which has no reader",
			help: () => void openNow(thread, tree, "/fifo", O_RDONLY | O_NONBLOCK),
		};
	},
	tcdrain: ({ thread }) => {
		const [master, slave] = openpty(thread);
		writeNow(thread, slave, bytes);
		return {
			call: () => tcdrainCall(thread, slave),
			result: 0,
			words: `tcdrain of descriptor ${slave} (terminal)`,
			help: () => callHelp(thread, () => readCall(thread, master, new Uint8Array(99))),
		};
	},
	tcsetattr: ({ thread }) => {
		const [master, slave] = openpty(thread);
		writeNow(thread, slave, bytes);
		const termios = tcgetattr(thread, slave);
		cfmakeraw(termios);
		return {
			call: () => tcsetattrCall(thread, slave, TCSADRAIN, termios),
			result: 0,
			words: `tcsetattr of descriptor ${slave} (terminal)`,
			help: () => callHelp(thread, () => readCall(thread, master, new Uint8Array(99))),
		};
	},
};

/** Makes a call that does not have to sleep, on a thread of its own. */
function callHelp(thread: Thread, begin: Call): void {
	const other = thread.process.spawnThread();
	enter(other, "help");
	try {
		callNow(begin(other) as never);
	} finally {
		leave(other);
	}
}

function connectSoon(thread: Thread, address: Address): void {
	const fd = socket(thread, "inet", "stream");
	try {
		connectNow(thread, fd, address);
	} catch (error) {
		if (!(error instanceof SystemError) || error.code !== "EINPROGRESS") throw error;
	}
}

for (const [name, situation] of Object.entries(SITUATIONS)) {
	test(`${name}, as a promise: it sleeps, its thread says what it waits for, and it goes on`, async () => {
		const w = world();
		const { call, help, result, words } = situation(w);
		const promise = callAsync(w.thread, name, null, call);
		assert.is(formatThread(w.thread), `thread 0 of process 1 sleeps in ${words}, forever`);
		help();
		w.host.settle();
		w.host.advance(1000);
		assert.is(await promise, result);
	});

	test(`${name}, as either: a promise when it has to wait`, async () => {
		const w = world();
		const { call, help, result } = situation(w);
		const either = callEither(w.thread, name, null, call);
		assert.ok(either instanceof Promise);
		help();
		w.host.settle();
		w.host.advance(1000);
		assert.is(await either, result);
	});

	test(`${name}, blocking: what happens meanwhile lets it go on`, () => {
		const w = world();
		const { call, help, result } = situation(w);
		w.host.setTimer(5e6, help);
		assert.is(callSync(w.thread, name, null, call), result);
	});
}

test("sendto an existing datagram socket does not have to wait in any form", () => {
	const { thread } = world();
	const to = socket(thread, "inet", "dgram");
	bind(thread, to, 0);
	const from = socket(thread, "inet", "dgram");
	const address = getsockname(thread, to) as Address;
	const call = (): ReturnType<typeof sendtoCall> => sendtoCall(thread, from, bytes, 0, address);
	assert.is(callSync(thread, "sendto", null, call), 3);
	assert.is(callEither(thread, "sendto", null, call), 3);
});

test("accept4Now takes a connection with its flags, and fails with EAGAIN without one", () => {
	const { host, thread } = world();
	const { fd, address } = listener(thread);
	const codes: unknown[] = [];
	const attempt = (act: () => unknown): void => {
		try {
			codes.push(act());
		} catch (error) {
			codes.push((error as SystemError).code);
		}
	};
	attempt(() => accept4Now(thread, fd, SOCK_NONBLOCK));
	attempt(() => acceptNow(thread, fd));
	attempt(() => accept4Now(thread, fd, 1));
	connectSoon(thread, address);
	host.settle();
	attempt(() => accept4Now(thread, fd, SOCK_NONBLOCK));
	attempt(() => callNowOf(thread, () => readCall(thread, fd + 2, bytes)));
	assert.equal(codes, ["EAGAIN", "EAGAIN", "EINVAL", fd + 2, "EAGAIN"]);
});

function callNowOf(thread: Thread, begin: Call): number {
	enter(thread, "call");
	try {
		return callNow(begin(thread) as never);
	} finally {
		leave(thread);
	}
}

test("tcdrainNow returns when all output is out, and fails with EAGAIN before", () => {
	const { thread } = world();
	const [master, slave] = openpty(thread);
	tcdrainNow(thread, slave);
	writeNow(thread, slave, bytes);
	assert.throws(
		() => tcdrainNow(thread, slave),
		(error: SystemError) => error.code === "EAGAIN",
	);
	callHelp(thread, () => readCall(thread, master, new Uint8Array(99)));
	tcdrainNow(thread, slave);
});

test.run();

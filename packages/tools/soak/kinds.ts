// What is made and ended again and again: every type of file, alone and watched, timers, processes,
// threads and watches.
import {
	acceptNow,
	bind,
	connectNow,
	listen,
	mkdir,
	mkfifo,
	openDevice,
	openNow,
	openpty,
	pipe,
	sendmsgNow,
	socket,
	socketpair,
	Tree,
	unlink,
} from "@kqpoll/files";
import { O_CREAT, O_DIRECTORY, O_RDWR } from "@kqpoll/files/fcntl";
import { SOCK_NONBLOCK } from "@kqpoll/files/socket";
import { POLLIN, poll } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_DELETE,
	EV_ONESHOT,
	EVFILT_READ,
	EVFILT_TIMER,
	exit,
	fork,
	Kernel,
	keventNow,
	kqueue,
	nanosleep,
	openFile,
	read,
	SyntheticFile,
	SystemError,
	type Thread,
	threadExit,
	waitpidNow,
	watchKevent,
	writeNow,
} from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { spawn } from "@kqpoll/wasi";

const { Module } = (
	globalThis as unknown as { WebAssembly: { Module: new (bytes: Uint8Array) => object } }
).WebAssembly;
/** A guest that calls proc_exit with 7. */
const SEVEN = new Module(
	Buffer.from(
		"AGFzbQEAAAABCAJgAX8AYAAAAiQBFndhc2lfc25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAADAgEBBQMBAAEH" +
			"EwIGbWVtb3J5AgAGX3N0YXJ0AAEKCAEGAEEHEAAL",
		"base64",
	),
);

/** A machine on which things are made and ended. */
export class Ground {
	readonly host: VirtualHost = new VirtualHost();
	readonly kernel: Kernel = new Kernel({ host: this.host });
	readonly main: Thread = this.kernel.spawn().main;
	/** The thread that sleeps on what is made. */
	readonly sleeper: Thread = this.main.process.spawnThread();
	readonly kq: number = kqueue(this.main);
	readonly tree: Tree = new Tree();
	/** Where TCP connections come from. */
	readonly listener: number;

	/** Makes what is there all the time. */
	constructor() {
		const { main, tree } = this;
		mkdir(main, tree, "directory");
		mkfifo(main, tree, "fifo");
		close(main, openNow(main, tree, "file", O_CREAT));
		this.listener = socket(main, "inet", "stream");
		bind(main, this.listener, 80);
		listen(main, this.listener, 8);
	}

	/** What the machine counts. */
	counts(): Record<string, number> {
		const { account, pgrps, processes, sleepers, timeouts } = this.kernel;
		const used = Object.entries(account).flatMap(([name, quota]) =>
			typeof quota?.used === "number" ? [[name, quota.used] as const] : [],
		);
		return {
			processes: processes.size,
			groups: pgrps.size,
			sleepers,
			timeouts: timeouts.size,
			descriptors: [...this.main.process.fdp.open()].length,
			...Object.fromEntries(used),
		};
	}
}

/** Makes a file, and returns its descriptors. */
type Open = (ground: Ground) => readonly number[];

/** Does something once. */
export type Cycle = (ground: Ground) => unknown;

const FILES: Readonly<Record<string, Open>> = {
	pipe: ({ main }) => pipe(main),
	"socketpair of streams": ({ main }) => socketpair(main, "stream"),
	"socketpair of messages": ({ main }) => socketpair(main, "seqpacket"),
	"socketpair of datagrams": ({ main }) => socketpair(main, "dgram"),
	"TCP connection": ({ host, listener, main }) => {
		const client = socket(main, "inet", "stream", SOCK_NONBLOCK);
		refused("EINPROGRESS", () => connectNow(main, client, 80));
		host.settle();
		return [client, acceptNow(main, listener)];
	},
	"UDP socket": ({ main }) => {
		const fd = socket(main, "inet", "dgram");
		bind(main, fd, 0);
		return [fd];
	},
	pty: ({ main }) => openpty(main),
	fifo: ({ main, tree }) => [openNow(main, tree, "fifo", O_RDWR | O_NONBLOCK)],
	"regular file": ({ main, tree }) => [openNow(main, tree, "file", O_RDWR)],
	"new file": ({ main, tree }) => {
		const fd = openNow(main, tree, "new", O_CREAT | O_RDWR);
		writeNow(main, fd, BYTE);
		unlink(main, tree, "new");
		return [fd];
	},
	directory: ({ main, tree }) => [openNow(main, tree, "directory", O_DIRECTORY)],
	device: ({ main }) => [openDevice(main, "null")],
	kqueue: ({ main }) => [kqueue(main)],
	"synthetic file": ({ main }) => [openFile(main, new SyntheticFile())],
};

const BYTE = new Uint8Array([1]);

/** Does what fails with this error. */
function refused(code: string, act: () => void): void {
	try {
		act();
	} catch (error) {
		if (!(error instanceof SystemError) || error.code !== code) throw error;
	}
}

function closeAll({ host, main }: Ground, fds: readonly number[]): void {
	for (const fd of fds) close(main, fd);
	host.settle();
}

function alone(open: Open): Cycle {
	return (ground) => closeAll(ground, open(ground));
}

/** A thread sleeps in a poll of the file while it is closed. */
function polled(open: Open): Cycle {
	return async (ground) => {
		const fds = open(ground);
		const list = fds.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
		const polling = poll(ground.sleeper, list, -1);
		closeAll(ground, fds);
		await polling;
	};
}

/** A kqueue watches the file while it is closed. */
function watched(open: Open): Cycle {
	return (ground) => {
		const fds = open(ground);
		const changes = fds.map((ident) => ({ ident, filter: EVFILT_READ, flags: EV_ADD }));
		keventNow(ground.main, ground.kq, changes, null);
		closeAll(ground, fds);
	};
}

const OBSERVER = { next() {}, error() {}, complete() {} };

const OTHERS: Readonly<Record<string, Cycle>> = {
	"timer that is deleted": ({ kq, main }) => {
		const timer = { ident: 1, filter: EVFILT_TIMER, data: 1000 };
		keventNow(main, kq, [{ ...timer, flags: EV_ADD }], null);
		keventNow(main, kq, [{ ...timer, flags: EV_DELETE }], null);
	},
	"timer that expires": ({ host, kq, main }) => {
		const flags = EV_ADD | EV_ONESHOT;
		keventNow(main, kq, [{ ident: 1, filter: EVFILT_TIMER, data: 1, flags }], null);
		host.advance(1);
		keventNow(main, kq, null, EVENTS);
	},
	"sleep with a time": async ({ host, sleeper }) => {
		const sleeping = nanosleep(sleeper, { sec: 0, nsec: 1 });
		host.advance(1);
		await sleeping;
	},
	"sleep that is aborted": async ({ host, sleeper, main }) => {
		const [r, w] = pipe(main);
		const controller = new AbortController();
		const reading = read(sleeper, r, BYTE, controller).catch(() => 0);
		controller.abort();
		host.settle();
		await reading;
		close(main, r);
		close(main, w);
	},
	fork: ({ host, main }) => {
		const child = fork(main);
		exit(child.main, 0);
		waitpidNow(main, child.pid);
		host.settle();
	},
	guest: async ({ host, listener, main }) => {
		const stdio = [listener, listener, listener] as const;
		const pid = spawn(main, SEVEN, { args: ["seven"], stdio, mode: "sync" });
		host.settle();
		// What awaits the guest's end goes on.
		await null;
		if (waitpidNow(main, pid)?.status !== 7 << 8) throw new Error("the guest has not returned 7");
	},
	thread: ({ host, main }) => {
		threadExit(main.process.spawnThread());
		host.settle();
	},
	watch: ({ host, listener, main }) => {
		const change = { ident: listener, filter: EVFILT_READ, flags: 0 };
		watchKevent(main, change, OBSERVER).close();
		host.settle();
	},
	"watch that ends with its descriptor": ({ host, main }) => {
		const [r, w] = pipe(main);
		watchKevent(main, { ident: r, filter: EVFILT_READ, flags: 0 }, OBSERVER);
		close(main, r);
		close(main, w);
		host.settle();
	},
	"socket in its own buffer": ({ host, main }) => {
		const [a, b] = socketpair(main, "stream");
		sendmsgNow(main, a, { bytes: BYTE, fds: [b] });
		close(main, a);
		close(main, b);
		host.settle();
	},
	machine: () => {
		const { main } = new Kernel({ host: new VirtualHost() }).spawn();
		pipe(main);
		exit(main, 0);
	},
};

const EVENTS = [{ ident: 0, filter: 0, flags: 0, fflags: 0, data: 0, udata: null }];

/** All kinds by name. */
export const KINDS: ReadonlyMap<string, Cycle> = new Map([
	...Object.entries(FILES).flatMap(([name, open]) => [
		[name, alone(open)] as const,
		[`${name}, polled`, polled(open)] as const,
		[`${name}, watched`, watched(open)] as const,
	]),
	...Object.entries(OTHERS),
]);

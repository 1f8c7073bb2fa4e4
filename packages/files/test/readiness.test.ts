// What poll, select and kevent report for every kind of descriptor in every state: a table. Each
// row is tested with a new descriptor, again with the same knotes, and by threads that sleep.
import {
	FdSet,
	POLLERR,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	poll,
	pollNow,
	pollSubscriptions,
	pollSubscriptionsNow,
	type Subscription,
	type SubscriptionEvent,
	select,
} from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_EOF,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	errnoName,
	eventList,
	ioctl,
	Kevent,
	kevent,
	keventNow,
	kqueue,
	lseek,
	NOTE_OOB,
	openFile,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { type File, FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import { SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DetachableDevice } from "../src/device/detachable-device.ts";
import { openDevice } from "../src/device/device-calls.ts";
import { pipe } from "../src/pipe/pipe.ts";
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../src/shared/vnode-flags.ts";
import { acceptNow, bind, connectNow, listen } from "../src/socket/connect-calls.ts";
import { setsockopt } from "../src/socket/option-calls.ts";
import { sendNow } from "../src/socket/send-calls.ts";
import { shutdown, socket, socketpair } from "../src/socket/socket-calls.ts";
import { MSG_OOB, SHUT_WR, SO_OOBINLINE, SOL_SOCKET } from "../src/socket/socket-constants.ts";
import { mkdir, mkfifo } from "../src/tree/name-calls.ts";
import { openNow } from "../src/tree/open-calls.ts";
import { revoke } from "../src/tree/revoke-calls.ts";
import { Tree } from "../src/tree/tree.ts";
import { openpty } from "../src/tty/pty-calls.ts";
import { CLOCAL, cfmakeraw, ECHO, TTYDEF } from "../src/tty/termios.ts";
import { TIOCUCNTL, UIOCCMD } from "../src/tty/tty-constants.ts";
import {
	checkMachine,
	codeOf,
	collect,
	type Machine,
	machine,
	outcome,
	selected,
} from "./machine.ts";

const R = POLLIN;
const W = POLLOUT;
const H = POLLHUP;

/** The events that poll is asked for. */
const EVENTS = { all: POLLIN | POLLOUT | POLLPRI, none: 0, out: POLLOUT } as const;
type Asked = keyof typeof EVENTS;

/** What kevent reports for a filter: the errno of adding it, no event, or the event. */
type Said = string | null | readonly [flags: number, fflags: number, data: number];
/** What it reports for READ, WRITE and EXCEPT. */
type SaidOfAll = readonly [Said, Said, Said];

/** An object, in the row's state or just before it. */
interface Made {
	readonly fd: number;
	/** Brings it into the row's state; absent if it is there already. */
	readonly reach?: () => void;
}

interface Row {
	readonly name: string;
	readonly make: (machine: Machine) => Made;
	/** The revents of a poll for POLLIN, POLLOUT and POLLPRI. */
	readonly all: number;
	/** The revents of a poll without events. */
	readonly none: number;
	/** The revents of a poll for only POLLOUT, where that differs. */
	readonly out?: number;
	/** Readable, writable, exceptional, or the errno. */
	readonly select: readonly [number, number, number] | string;
	/** READ, WRITE and EXCEPT, added in the row's state. */
	readonly kevent: SaidOfAll;
	/** The conditions for which a thread sleeps before `reach`, to wake with the row's answer. */
	readonly woken?: readonly Asked[];
	/** The events of knotes that were added before `reach`, if they differ from `kevent`. */
	readonly noticed?: SaidOfAll;
}

/** An event with a number and nothing else. */
function data(n: number): Said {
	return [0, 0, n];
}

/** An event that also reports the end. */
function eof(n: number): Said {
	return [EV_EOF, 0, n];
}

/** An event of a file that was revoked. */
const DEAD: Said = [EV_EOF | EV_ONESHOT, 0, 0];

function bytes(n: number): Uint8Array {
	return new Uint8Array(n);
}

function ascii(text: string): Uint8Array {
	return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Writes until there is no room. */
function fill(thread: Thread, fd: number): void {
	while (codeOf(() => writeNow(thread, fd, bytes(1024))) === "no error");
}

/** Reads until there is nothing more. */
function drain(thread: Thread, fd: number): void {
	while (codeOf(() => readNow(thread, fd, bytes(65536))) === "no error");
}

/** A pipe whose read end, used for writing, has no room: nothing is ready there. */
function fullBehind(thread: Thread): [read: number, write: number] {
	const ends = pipe(thread);
	writeNow(thread, ends[0], bytes(16384));
	return ends;
}

/** Two local sockets, the first of which has no room to send: nothing is ready there. */
function fullPair(thread: Thread): [full: number, peer: number] {
	const ends = socketpair(thread, "stream");
	fill(thread, ends[0]);
	return ends;
}

/** Two ends of a TCP connection. */
function tcpPair({ thread, host }: Machine): [number, number] {
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 80);
	listen(thread, listener, 1);
	const a = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, a, 80));
	host.settle();
	const b = acceptNow(thread, listener);
	close(thread, listener);
	return [a, b];
}

/** A local socket that listens at "/s". */
function listener(thread: Thread): number {
	const fd = socket(thread, "local", "stream");
	bind(thread, fd, "/s");
	listen(thread, fd, 5);
	return fd;
}

function connectTo(thread: Thread, address: string): void {
	connectNow(thread, socket(thread, "local", "stream"), address);
}

/** A fifo "p" that is open to read and to write. */
function fifo(thread: Thread): { tree: Tree; r: number; w: number } {
	const tree = new Tree();
	mkfifo(thread, tree, "p");
	const r = openNow(thread, tree, "p", O_RDONLY | O_NONBLOCK);
	return { tree, r, w: openNow(thread, tree, "p", O_WRONLY) };
}

/** A terminal whose output is full, and without input: nothing is ready at its slave. */
function fullOutput(thread: Thread, cflag = TTYDEF.cflag): { master: number; slave: number } {
	const termios = { ...TTYDEF, cflag, lflag: TTYDEF.lflag & ~ECHO };
	const [master, slave] = openpty(thread, termios);
	fill(thread, slave);
	return { master, slave };
}

/** A raw terminal whose input is full, and without output: nothing is ready at its master. */
function fullInput(thread: Thread): { master: number; slave: number } {
	const [master, slave] = openpty(thread, cfmakeraw(TTYDEF));
	fill(thread, master);
	return { master, slave };
}

/** A file of ten bytes, of which none is read. */
function regular(thread: Thread, tree: Tree): number {
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	writeNow(thread, fd, bytes(10));
	lseek(thread, fd, 0, SEEK_SET);
	return fd;
}

const PIPES: readonly Row[] = [
	{
		name: "pipe, read end, empty, with a writer",
		make: ({ thread }) => {
			const [fd, w] = fullBehind(thread);
			return { fd, reach: () => readNow(thread, w, bytes(16384)) };
		},
		all: W,
		none: 0,
		select: [0, 1, 0],
		kevent: [null, data(16384), "EINVAL"],
		woken: ["all"],
	},
	{
		name: "pipe, read end, with data",
		make: ({ thread }) => {
			const [fd, w] = fullBehind(thread);
			const reach = () => {
				readNow(thread, w, bytes(16384));
				writeNow(thread, w, bytes(5));
			};
			return { fd, reach };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(5), data(16384), "EINVAL"],
		woken: ["all"],
	},
	{
		name: "pipe, read end, writer closed",
		make: ({ thread }) => {
			const [fd, w] = fullBehind(thread);
			return { fd, reach: () => close(thread, w) };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 1, 0],
		kevent: [eof(0), "EPIPE", "EINVAL"],
		woken: ["all", "none", "out"],
		noticed: [eof(0), eof(0), "EINVAL"],
	},
	{
		name: "pipe, read end, writer closed, with data",
		make: ({ thread }) => {
			const [fd, w] = fullBehind(thread);
			const reach = () => {
				writeNow(thread, w, bytes(5));
				close(thread, w);
			};
			return { fd, reach };
		},
		all: R | H,
		none: H,
		select: [1, 1, 0],
		kevent: [eof(5), "EPIPE", "EINVAL"],
		woken: ["all", "none"],
		noticed: [eof(5), eof(0), "EINVAL"],
	},
	{
		name: "pipe, write end, reader closed",
		make: ({ thread }) => {
			const [r, fd] = pipe(thread);
			writeNow(thread, fd, bytes(16384));
			return { fd, reach: () => close(thread, r) };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 1, 0],
		kevent: [eof(0), "EPIPE", "EINVAL"],
		woken: ["all", "none", "out"],
		noticed: [eof(0), eof(0), "EINVAL"],
	},
	{
		name: "pipe, write end, with room for 511 bytes",
		make: ({ thread }) => {
			const [, fd] = pipe(thread);
			writeNow(thread, fd, bytes(16384 - 511));
			return { fd };
		},
		all: 0,
		none: 0,
		out: 0,
		select: [0, 0, 0],
		kevent: [null, null, "EINVAL"],
	},
	{
		name: "pipe, write end, with room for 512 bytes",
		make: ({ thread }) => {
			const [r, fd] = pipe(thread);
			writeNow(thread, fd, bytes(16384 - 511));
			return { fd, reach: () => readNow(thread, r, bytes(1)) };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: [null, data(512), "EINVAL"],
		woken: ["all", "out"],
	},
];

const SOCKETS: readonly Row[] = [
	{
		name: "local stream, idle",
		make: ({ thread }) => {
			const [fd, peer] = fullPair(thread);
			return { fd, reach: () => drain(thread, peer) };
		},
		all: W,
		none: 0,
		select: [0, 1, 0],
		kevent: [null, data(8192), null],
		woken: ["all"],
	},
	{
		name: "local stream, with room for 2047 bytes",
		make: ({ thread }) => {
			const [fd] = socketpair(thread, "stream");
			writeNow(thread, fd, bytes(8192 - 2047));
			return { fd };
		},
		all: 0,
		none: 0,
		select: [0, 0, 0],
		kevent: [null, null, null],
	},
	{
		name: "local stream, peer sends no more",
		make: ({ thread }) => {
			const [fd, peer] = fullPair(thread);
			const reach = () => {
				drain(thread, peer);
				shutdown(thread, peer, SHUT_WR);
			};
			return { fd, reach };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [eof(0), data(8192), null],
		woken: ["all"],
	},
	{
		name: "local stream, both send no more",
		make: ({ thread }) => {
			const [fd, peer] = fullPair(thread);
			const reach = () => {
				drain(thread, peer);
				shutdown(thread, peer, SHUT_WR);
				shutdown(thread, fd, SHUT_WR);
			};
			return { fd, reach };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [eof(0), eof(8192), null],
		woken: ["all"],
	},
	{
		name: "local stream, peer closed",
		make: ({ thread }) => {
			const [fd, peer] = fullPair(thread);
			return { fd, reach: () => close(thread, peer) };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 1, 0],
		kevent: [eof(0), eof(8192), null],
		woken: ["all", "none", "out"],
	},
	{
		name: "local stream, peer closed, with data",
		make: ({ thread }) => {
			const [fd, peer] = fullPair(thread);
			const reach = () => {
				writeNow(thread, peer, bytes(5));
				close(thread, peer);
			};
			return { fd, reach };
		},
		all: R | H,
		none: H,
		select: [1, 1, 0],
		kevent: [eof(5), eof(8192), null],
		woken: ["all", "none"],
	},
	{
		name: "local stream, peer closed, data read",
		make: ({ thread }) => {
			const [fd, peer] = fullPair(thread);
			const reach = () => {
				writeNow(thread, peer, bytes(5));
				close(thread, peer);
				readNow(thread, fd, bytes(5));
			};
			return { fd, reach };
		},
		all: R | H,
		none: H,
		select: [1, 1, 0],
		kevent: [eof(0), eof(8192), null],
		woken: ["all", "none"],
	},
	{
		name: "TCP, both send no more",
		make: (m) => {
			const { thread } = m;
			const [fd, peer] = tcpPair(m);
			fill(thread, fd);
			const reach = () => {
				drain(thread, peer);
				shutdown(thread, fd, SHUT_WR);
				shutdown(thread, peer, SHUT_WR);
			};
			return { fd, reach };
		},
		all: R | H,
		none: H,
		select: [1, 1, 0],
		kevent: [eof(0), eof(16384), null],
		woken: ["all", "none"],
	},
	{
		name: "TCP, out-of-band byte next",
		make: (m) => {
			const { thread } = m;
			const [fd, peer] = tcpPair(m);
			setsockopt(thread, fd, SOL_SOCKET, SO_OOBINLINE, 1);
			fill(thread, fd);
			const reach = () => {
				drain(thread, peer);
				sendNow(thread, peer, bytes(1), MSG_OOB);
			};
			return { fd, reach };
		},
		all: R | W | POLLPRI,
		none: 0,
		select: [1, 1, 1],
		kevent: [data(1), data(16384), [0, NOTE_OOB, 0]],
		woken: ["all"],
	},
	...(["local", "inet"] as const).map(
		(domain): Row => ({
			name: `${domain} stream, not connected`,
			make: ({ thread }) => ({ fd: socket(thread, domain, "stream") }),
			all: 0,
			none: 0,
			select: [0, 0, 0],
			kevent: [null, null, null],
		}),
	),
	{
		name: "listener, without connections",
		make: ({ thread }) => ({ fd: listener(thread) }),
		all: 0,
		none: 0,
		select: [0, 0, 0],
		kevent: [null, null, null],
	},
	{
		name: "listener, with two connections",
		make: ({ thread }) => {
			const fd = listener(thread);
			const reach = () => {
				connectTo(thread, "/s");
				connectTo(thread, "/s");
			};
			return { fd, reach };
		},
		all: R,
		none: 0,
		select: [1, 0, 0],
		kevent: [data(2), null, null],
		woken: ["all"],
	},
	{
		name: "local dgram, not connected",
		make: ({ thread }) => ({ fd: socket(thread, "local", "dgram") }),
		all: W,
		none: 0,
		select: [0, 1, 0],
		kevent: [null, data(2048), null],
	},
	{
		name: "UDP, not connected",
		make: ({ thread }) => ({ fd: socket(thread, "inet", "dgram") }),
		all: W,
		none: 0,
		select: [0, 1, 0],
		kevent: [null, data(9216), null],
	},
];

const FIFOS: readonly Row[] = [
	{
		name: "fifo, to read, never had a writer",
		make: ({ thread }) => {
			const tree = new Tree();
			mkfifo(thread, tree, "p");
			return { fd: openNow(thread, tree, "p", O_RDONLY | O_NONBLOCK) };
		},
		all: 0,
		none: 0,
		out: 0,
		select: [0, 0, 0],
		kevent: [null, "EINVAL", "EINVAL"],
	},
	{
		name: "fifo, to read, with data",
		make: ({ thread }) => {
			const { r: fd, w } = fifo(thread);
			return { fd, reach: () => writeNow(thread, w, bytes(5)) };
		},
		all: R,
		none: 0,
		out: 0,
		select: [1, 0, 0],
		kevent: [data(5), "EINVAL", "EINVAL"],
		woken: ["all"],
	},
	{
		name: "fifo, to read, last writer gone",
		make: ({ thread }) => {
			const { r: fd, w } = fifo(thread);
			return { fd, reach: () => close(thread, w) };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 0, 0],
		kevent: [eof(0), "EINVAL", "EINVAL"],
		woken: ["all", "none", "out"],
	},
	{
		name: "fifo, to read, last writer gone, with data",
		make: ({ thread }) => {
			const { r: fd, w } = fifo(thread);
			const reach = () => {
				writeNow(thread, w, bytes(5));
				close(thread, w);
			};
			return { fd, reach };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 0, 0],
		kevent: [eof(5), "EINVAL", "EINVAL"],
		woken: ["all", "none", "out"],
	},
	{
		name: "fifo, to read, with a writer again",
		make: ({ thread }) => {
			const { tree, r: fd, w } = fifo(thread);
			close(thread, w);
			return { fd, reach: () => openNow(thread, tree, "p", O_WRONLY) };
		},
		all: 0,
		none: 0,
		out: 0,
		select: [0, 0, 0],
		kevent: [null, "EINVAL", "EINVAL"],
	},
	{
		name: "fifo, to write, with a reader",
		make: ({ thread }) => {
			const { r, w: fd } = fifo(thread);
			fill(thread, fd);
			return { fd, reach: () => drain(thread, r) };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: ["EINVAL", data(8192), "EINVAL"],
		woken: ["all", "out"],
	},
	{
		name: "fifo, to write, with room for 511 bytes",
		make: ({ thread }) => {
			const { w: fd } = fifo(thread);
			writeNow(thread, fd, bytes(8192 - 511));
			return { fd };
		},
		all: 0,
		none: 0,
		out: 0,
		select: [0, 0, 0],
		kevent: ["EINVAL", null, "EINVAL"],
	},
	{
		name: "fifo, to write, with room for 512 bytes",
		make: ({ thread }) => {
			const { r, w: fd } = fifo(thread);
			writeNow(thread, fd, bytes(8192 - 511));
			return { fd, reach: () => readNow(thread, r, bytes(1)) };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: ["EINVAL", data(512), "EINVAL"],
		woken: ["all", "out"],
	},
	{
		name: "fifo, to write, no reader",
		make: ({ thread }) => {
			const { r, w: fd } = fifo(thread);
			return { fd, reach: () => close(thread, r) };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: ["EINVAL", eof(8192), "EINVAL"],
	},
	{
		name: "fifo, to write, full, no reader",
		make: ({ thread }) => {
			const { r, w: fd } = fifo(thread);
			fill(thread, fd);
			return { fd, reach: () => close(thread, r) };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: ["EINVAL", eof(0), "EINVAL"],
		woken: ["all", "out"],
	},
	{
		name: "fifo, to do both, empty",
		make: ({ thread }) => {
			const tree = new Tree();
			mkfifo(thread, tree, "p");
			const fd = openNow(thread, tree, "p", O_RDWR);
			return { fd };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: [null, data(8192), "EINVAL"],
	},
	{
		name: "fifo, to do both, with data",
		make: ({ thread }) => {
			const tree = new Tree();
			mkfifo(thread, tree, "p");
			const fd = openNow(thread, tree, "p", O_RDWR);
			return { fd, reach: () => writeNow(thread, fd, bytes(5)) };
		},
		all: R | W,
		none: 0,
		out: W,
		select: [1, 1, 0],
		kevent: [data(5), data(8192 - 5), "EINVAL"],
	},
	{
		name: "fifo, to read, revoked",
		make: ({ thread }) => {
			const { tree, r: fd } = fifo(thread);
			return { fd, reach: () => revoke(thread, tree, "p") };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 1, 0],
		kevent: [DEAD, DEAD, "EINVAL"],
		// A select that sleeps has no WRITE knote: a fifo that is only read refuses it.
		woken: ["none", "out"],
	},
];

const TERMINALS: readonly Row[] = [
	{
		name: "terminal, no input",
		make: ({ thread }) => {
			const { master, slave: fd } = fullOutput(thread);
			return { fd, reach: () => drain(thread, master) };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: [null, data(8192), "EINVAL"],
		woken: ["all", "out"],
	},
	{
		name: "terminal, with half a line",
		make: ({ thread }) => {
			const { master, slave: fd } = fullOutput(thread);
			const reach = () => {
				drain(thread, master);
				writeNow(thread, master, ascii("hello"));
			};
			return { fd, reach };
		},
		all: W,
		none: 0,
		select: [0, 1, 0],
		kevent: [null, data(8192), "EINVAL"],
		woken: ["all"],
	},
	{
		name: "terminal, with a line",
		make: ({ thread }) => {
			const { master, slave: fd } = fullOutput(thread);
			const reach = () => {
				drain(thread, master);
				writeNow(thread, master, ascii("hello\nand"));
			};
			return { fd, reach };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(6), data(8192), "EINVAL"],
		woken: ["all"],
	},
	{
		name: "raw terminal, with half a line",
		make: ({ thread }) => {
			const [master, fd] = openpty(thread, cfmakeraw(TTYDEF));
			fill(thread, fd);
			const reach = () => {
				drain(thread, master);
				writeNow(thread, master, ascii("hello"));
			};
			return { fd, reach };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(5), data(8192), "EINVAL"],
		woken: ["all"],
	},
	{
		name: "terminal, with 257 bytes of output",
		make: ({ thread }) => {
			const [, fd] = openpty(thread, cfmakeraw(TTYDEF));
			writeNow(thread, fd, bytes(257));
			return { fd };
		},
		all: 0,
		none: 0,
		out: 0,
		select: [0, 0, 0],
		kevent: [null, null, "EINVAL"],
	},
	{
		name: "terminal, with 256 bytes of output",
		make: ({ thread }) => {
			const [master, fd] = openpty(thread, cfmakeraw(TTYDEF));
			writeNow(thread, fd, bytes(257));
			return { fd, reach: () => readNow(thread, master, bytes(1)) };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: [null, data(8192 - 256), "EINVAL"],
		woken: ["all", "out"],
	},
	{
		name: "terminal, master closed",
		make: ({ thread }) => {
			const { master, slave: fd } = fullOutput(thread);
			return { fd, reach: () => close(thread, master) };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 1, 0],
		kevent: [eof(0), data(8192), "EINVAL"],
		woken: ["all", "none", "out"],
	},
	{
		name: "terminal without modem control, master closed",
		make: ({ thread }) => {
			const { master, slave: fd } = fullOutput(thread, TTYDEF.cflag | CLOCAL);
			return {
				fd,
				reach: () => {
					drain(thread, master);
					close(thread, master);
				},
			};
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: [null, data(8192), "EINVAL"],
		woken: ["all", "out"],
	},
	{
		name: "pty master, no output",
		make: ({ thread }) => {
			const { master: fd, slave } = fullInput(thread);
			return { fd, reach: () => drain(thread, slave) };
		},
		all: W,
		none: 0,
		out: W,
		select: [0, 1, 0],
		kevent: [null, data(8192), null],
		woken: ["all", "out"],
	},
	{
		name: "pty master, with output",
		make: ({ thread }) => {
			const { master: fd, slave } = fullInput(thread);
			const reach = () => {
				drain(thread, slave);
				writeNow(thread, slave, bytes(5));
			};
			return { fd, reach };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(5), data(8192), null],
		woken: ["all"],
	},
	{
		name: "pty master, slave closed",
		make: ({ thread }) => {
			const { master: fd, slave } = fullInput(thread);
			return { fd, reach: () => close(thread, slave) };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 1, 0],
		kevent: [eof(0), null, null],
		woken: ["all", "none", "out"],
	},
	{
		name: "pty master, with a control byte",
		make: ({ thread }) => {
			const { master: fd, slave } = fullInput(thread);
			ioctl(thread, fd, TIOCUCNTL, 1);
			const reach = () => {
				drain(thread, slave);
				ioctl(thread, slave, UIOCCMD(42));
			};
			return { fd, reach };
		},
		all: R | W | POLLPRI,
		none: 0,
		select: [1, 1, 1],
		kevent: [data(1), data(8192), [0, NOTE_OOB, 1]],
		woken: ["all"],
	},
];

const FILES: readonly Row[] = [
	{
		name: "regular file",
		make: ({ thread }) => ({ fd: regular(thread, new Tree()) }),
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(10), data(0), "EINVAL"],
	},
	{
		name: "regular file, at its end",
		make: ({ thread }) => {
			const fd = regular(thread, new Tree());
			lseek(thread, fd, 0, SEEK_END);
			return { fd };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [null, data(0), "EINVAL"],
	},
	{
		name: "regular file, behind its end",
		make: ({ thread }) => {
			const fd = regular(thread, new Tree());
			lseek(thread, fd, 3, SEEK_END);
			return { fd };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(-3), data(0), "EINVAL"],
	},
	{
		name: "directory",
		make: ({ thread }) => {
			const tree = new Tree();
			mkdir(thread, tree, "d");
			return { fd: openNow(thread, tree, "d", O_RDONLY) };
		},
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(512), data(0), "EINVAL"],
	},
	{
		name: "revoked file",
		make: ({ thread }) => {
			const tree = new Tree();
			const fd = regular(thread, tree);
			return { fd, reach: () => revoke(thread, tree, "f") };
		},
		all: R | H,
		none: H,
		out: H,
		select: [1, 1, 0],
		kevent: [DEAD, DEAD, "EINVAL"],
	},
	{
		name: "kqueue, empty",
		make: ({ thread }) => ({ fd: kqueue(thread) }),
		all: 0,
		none: 0,
		select: [0, 0, 0],
		kevent: [null, "EINVAL", "EINVAL"],
	},
	{
		name: "kqueue, with an event",
		make: ({ thread }) => {
			const fd = kqueue(thread);
			const [r, w] = pipe(thread);
			keventNow(thread, fd, [{ ident: r, filter: EVFILT_READ, flags: EV_ADD }], null);
			return { fd, reach: () => writeNow(thread, w, bytes(1)) };
		},
		all: R,
		none: 0,
		select: [1, 0, 0],
		kevent: [data(1), "EINVAL", "EINVAL"],
		woken: ["all"],
	},
	{
		name: "device that is always ready",
		make: ({ thread }) => ({ fd: openDevice(thread, "null") }),
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(0), data(0), "EINVAL"],
	},
	{
		name: "random device",
		make: ({ thread }) => ({ fd: openDevice(thread, "random") }),
		all: R | W,
		none: 0,
		select: [1, 1, 0],
		kevent: [data(2048), data(8192), "EINVAL"],
	},
	{
		name: "device that is gone",
		make: ({ thread }) => {
			const device = new DetachableDevice();
			const fd = openFile(thread, device);
			return { fd, reach: () => device.detach() };
		},
		all: POLLERR,
		none: POLLERR,
		select: "ENXIO",
		kevent: ["ENXIO", "ENXIO", "ENXIO"],
	},
	{
		name: "closed descriptor",
		make: ({ thread }) => {
			const [fd] = fullBehind(thread);
			return { fd, reach: () => close(thread, fd) };
		},
		all: POLLNVAL,
		none: POLLNVAL,
		out: POLLNVAL,
		select: "EBADF",
		kevent: ["EBADF", "EBADF", "EBADF"],
		woken: ["all", "none", "out"],
		// The knotes go with the descriptor, and nothing is reported.
		noticed: [null, null, "EINVAL"],
	},
];

/** A descriptor in a row's state, on a machine of its own, with an empty kqueue. */
function fresh(row: Row): Machine & { readonly fd: number; readonly kq: number } {
	const m = machine();
	const { fd, reach } = row.make(m);
	const kq = kqueue(m.thread);
	reach?.();
	return { ...m, fd, kq };
}

/** The polls of a row, and their expected answers. */
function answers(row: Row): [asked: Asked, revents: number][] {
	const { all, none, out } = row;
	const both: [Asked, number][] = [
		["all", all],
		["none", none],
	];
	return out === undefined ? both : [...both, ["out", out]];
}

/** The result of a poll for one descriptor, and the revents. */
function result(revents: number): [number, number] {
	return [revents === 0 ? 0 : 1, revents];
}

function ask(thread: Thread, fd: number, asked: Asked): [number, number] {
	const entry = { fd, events: EVENTS[asked], revents: -1 };
	return [pollNow(thread, [entry]), entry.revents];
}

/** A poll for which nothing is ready does not wake before its timeout. */
async function sleepThrough(row: Row, asked: Asked): Promise<void> {
	const { thread, fd, host } = fresh(row);
	const entry = { fd, events: EVENTS[asked], revents: -1 };
	const call = poll(thread, [entry], 1000);
	host.advance(999);
	assert.is(thread.state, "asleep", "a poll for which nothing is ready sleeps");
	host.advance(1);
	assert.equal([await call, entry.revents], [0, 0]);
}

/**
 * Begins a call on a thread of its own, which must sleep; then reaches the row's state, which must
 * end the sleep unless `wakes` is false. Returns the outcome of the call within a second.
 */
async function fromSleep<T>(
	m: Machine,
	{ reach }: Made,
	wakes: boolean,
	begin: (waiter: Thread) => Promise<T>,
): Promise<T> {
	const waiter = m.process.spawnThread();
	const call = begin(waiter);
	m.host.settle();
	assert.is(waiter.state, "asleep", "before that nothing is ready");
	reach?.();
	m.host.settle();
	assert.is(waiter.state, wakes ? "running" : "asleep", "after");
	m.host.advance(1000);
	const became = await call;
	checkMachine(m);
	return became;
}

async function wokenPoll(row: Row, asked: Asked): Promise<[number, number]> {
	const m = machine();
	const made = row.make(m);
	const entry = { fd: made.fd, events: EVENTS[asked], revents: -1 };
	return [await fromSleep(m, made, true, (waiter) => poll(waiter, [entry], -1)), entry.revents];
}

async function wokenSelect(row: Row): Promise<unknown> {
	const m = machine();
	const made = row.make(m);
	const { fd } = made;
	const sets = [new FdSet([fd]), new FdSet([fd]), new FdSet([fd])] as const;
	const n = await fromSleep(m, made, true, (waiter) =>
		outcome(select(waiter, fd + 1, ...sets, null)),
	);
	const bits = sets.map((set) => Number(set.has(fd)));
	return typeof n === "string" ? n : { n, bits };
}

/** Both directions of a descriptor. */
function directions(fd: number): Subscription[] {
	return [
		{ type: "fd_read", fd },
		{ type: "fd_write", fd },
	];
}

/** An event of poll_oneoff: its type, its error, its bytes, and whether it is a hang-up. */
type SubscriptionSaid = readonly [type: string, error: number, nbytes: number, hangup: boolean];

function toldOf(events: readonly SubscriptionEvent[]): SubscriptionSaid[] {
	return events.map(({ type, error, nbytes, hangup }) => [type, error, nbytes, hangup]);
}

/**
 * What poll_oneoff says in a row's state: the same as select in the directions that the descriptor
 * was made for, with the bytes of kevent, and for reads the hang-up of poll. Where select fails, both
 * have that error.
 */
function expectedEvents(row: Row, { thread }: Machine, fd: number): SubscriptionSaid[] {
	if (typeof row.select === "string") {
		const error = errno[row.select as keyof typeof errno];
		return ["fd_read", "fd_write"].map((type) => [type, error, 0, false]);
	}
	const { access } = thread.process.fdp.get(fd) as File;
	const entry = { fd, events: POLLIN, revents: 0 };
	pollNow(thread, [entry]);
	const hangup = (entry.revents & POLLHUP) !== 0;
	const [readable, writable] = row.select;
	// Behind the end of a file kevent counts backwards.
	const [reads = 0, writes = 0] = row.kevent.map((said) =>
		Array.isArray(said) ? Math.max(0, said[2]) : 0,
	);
	const told: SubscriptionSaid[] = [];
	if ((access & FREAD) !== 0 && readable) told.push(["fd_read", 0, reads, hangup]);
	if ((access & FWRITE) !== 0 && writable) told.push(["fd_write", 0, writes, false]);
	return told;
}

async function wokenSubscriptions(row: Row): Promise<void> {
	const m = machine();
	const made = row.make(m);
	const expected: SubscriptionSaid[] = [];
	const reach = (): void => {
		made.reach?.();
		expected.push(...expectedEvents(row, m, made.fd));
	};
	const wakes = expectedEvents(row, fresh(row), made.fd).length > 0;
	const clock: Subscription = { type: "clock", timeout: 1e9 };
	const events = await fromSleep(m, { fd: made.fd, reach }, wakes, (waiter) =>
		pollSubscriptions(waiter, [...directions(made.fd), clock]),
	);
	assert.equal(toldOf(events), wakes ? expected : [["clock", 0, 0, false]], "woken");
}

const FILTERS = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT] as const;

/** Adds a knote for each filter; returns the errnos of those that are refused. */
function watch(thread: Thread, kq: number, ident: number): (string | null)[] {
	return FILTERS.map((filter) => {
		const fflags = filter === EVFILT_EXCEPT ? NOTE_OOB : 0;
		const receipts = [new Kevent()];
		const changes = [{ ident, filter, flags: EV_ADD | EV_RECEIPT, fflags }];
		assert.is(keventNow(thread, kq, changes, receipts), 1);
		const error = receipts[0]?.data ?? -1;
		return error === 0 ? null : errnoName(error);
	});
}

function refused(said: SaidOfAll): (string | null)[] {
	return said.map((each) => (typeof each === "string" ? each : null));
}

/** The events that a row has, as a kqueue reports them. */
function reported(ident: number, said: SaidOfAll): number[][] {
	return said.flatMap((each, i) => {
		if (each === null || typeof each === "string") return [];
		const [flags, fflags, n] = each;
		return [[ident, FILTERS[i] as number, EV_ADD | EV_RECEIPT | flags, fflags, n]];
	});
}

async function wokenKevent(row: Row, said: SaidOfAll): Promise<void> {
	const m = machine();
	const made = row.make(m);
	const kq = kqueue(m.thread);
	assert.equal(watch(m.thread, kq, made.fd), refused(said));
	const events = eventList(4);
	const second = { sec: 1, nsec: 0 };
	const expected = reported(made.fd, said);
	const n = await fromSleep(m, made, expected.length > 0, (waiter) =>
		kevent(waiter, kq, null, events, second),
	);
	const got = events
		.slice(0, n)
		.map(({ ident, filter, flags, fflags, data }) => [ident, filter, flags, fflags, data])
		// In the order of the table, not of the lists of knotes.
		.sort((a, b) => (b[1] as number) - (a[1] as number));
	assert.equal(got, expected, "woken");
}

for (const row of [...PIPES, ...SOCKETS, ...FIFOS, ...TERMINALS, ...FILES]) {
	test(`${row.name}: poll`, async () => {
		for (const [asked, revents] of answers(row)) {
			const { thread, fd } = fresh(row);
			assert.equal(ask(thread, fd, asked), result(revents), `fresh, ${asked}`);
			assert.equal(ask(thread, fd, asked), result(revents), `again, ${asked}`);
			if (revents === 0) await sleepThrough(row, asked);
			if (!row.woken?.includes(asked)) continue;
			assert.equal(await wokenPoll(row, asked), result(revents), `woken, ${asked}`);
		}
		const m = fresh(row);
		for (const [asked, revents] of [...answers(row), ...answers(row)]) {
			assert.equal(ask(m.thread, m.fd, asked), result(revents), `in turn, ${asked}`);
		}
		checkMachine(m);
	});

	test(`${row.name}: select`, async () => {
		const m = fresh(row);
		const say = () => {
			let bits: number[] = [];
			const code = codeOf(() => {
				bits = selected(m.thread, m.fd).map(Number);
			});
			return code === "no error" ? bits : code;
		};
		assert.equal([say(), say()], [row.select, row.select]);
		checkMachine(m);
		if (!row.woken?.includes("all")) return;
		const { select: said } = row;
		const expected =
			typeof said === "string" ? said : { n: said[0] + said[1] + said[2], bits: said };
		assert.equal(await wokenSelect(row), expected, "woken");
	});

	test(`${row.name}: poll_oneoff`, async () => {
		const m = fresh(row);
		const say = () => toldOf(pollSubscriptionsNow(m.thread, directions(m.fd)));
		const expected = expectedEvents(row, m, m.fd);
		assert.equal([say(), say()], [expected, expected]);
		checkMachine(m);
		if (row.woken?.includes("all")) await wokenSubscriptions(row);
	});

	test(`${row.name}: kevent`, async () => {
		const m = fresh(row);
		const { thread, fd, kq } = m;
		assert.equal(watch(thread, kq, fd), refused(row.kevent));
		const expected = reported(fd, row.kevent);
		assert.equal(collect(thread, kq), expected, "fresh");
		const remaining = expected.filter(([, , flags = 0]) => (flags & EV_ONESHOT) === 0);
		assert.equal(collect(thread, kq), remaining, "again");
		checkMachine(m);
		if (row.woken?.includes("all")) await wokenKevent(row, row.noticed ?? row.kevent);
	});
}

test.run();

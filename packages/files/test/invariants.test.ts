// The checks that diagnostics make after each operation find what a test breaks.
import { close, ioctl, readNow, type Thread, writeNow } from "@kqpoll/kqueue";
import { type File, getFile, Panic, Quota } from "@kqpoll/kqueue/kernel";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CREAT, O_RDONLY, O_RDWR } from "../src/fcntl.ts";
import {
	acceptNow,
	bind,
	connectNow,
	getsockopt,
	listen,
	mkdir,
	mkfifo,
	openNow,
	openpty,
	pipe,
	ptsname,
	sendmsgNow,
	shutdown,
	socket,
	socketpair,
	symlink,
	Tree,
	unlink,
} from "../src/index.ts";
import { Ring } from "../src/shared/ring.ts";
import type { Socket } from "../src/socket/socket.ts";
import { type Packet, SockBuf } from "../src/socket/socket-buffer.ts";
import { SS_ISCONNECTED, SS_ISCONNECTING } from "../src/socket/socket-constants.ts";
import { SHUT_WR, SO_TYPE, SOCK_NONBLOCK, SOL_SOCKET } from "../src/socket.ts";
import { ICANON, TTYDEF } from "../src/termios.ts";
import { Directory, type Entry } from "../src/tree/directory.ts";
import type { Fifo } from "../src/tree/fifo.ts";
import type { MemoryVnode as Vnode } from "../src/tree/memory-vnode.ts";
import { Bytes } from "../src/tree/vnode-bytes.ts";
import { findPty, type Pty } from "../src/tty/pty.ts";
import type { Tty } from "../src/tty/tty.ts";
import { TTY_QUOTE, TtyQueue } from "../src/tty/tty-queue.ts";
import { TIOCOUTQ } from "../src/ttycom.ts";
import { codeOf, type Machine, machine } from "./machine.ts";

/** Sets a field, also a private or read-only one. */
function set(object: object, field: string, value: unknown): void {
	(object as Record<string, unknown>)[field] = value;
}

/** A way to break a world, and the problem that is then found. */
type Break<W> = readonly [found: string, breaks: (world: W) => void];

/** Breaks a new world in each way, uses it, and compares the problems found. */
function finds<W>(make: () => W, act: (world: W) => unknown, breaks: readonly Break<W>[]): void {
	const found = (breakIt: (world: W) => void): unknown => {
		const world = make();
		breakIt(world);
		const error = codeOf(() => act(world));
		return error instanceof Panic ? error.message.replace("assertion failed: ", "") : error;
	};
	assert.is(
		found(() => {}),
		"no error",
	);
	assert.equal(
		breaks.map(([, breakIt]) => found(breakIt)),
		breaks.map(([what]) => what),
	);
}

function bytes(n: number): Uint8Array {
	return new Uint8Array(n).fill(1);
}

function read(thread: Thread, fd: number): number {
	return readNow(thread, fd, bytes(1));
}

test("a ring that loses count or place is found", () => {
	const make = (): Ring => {
		const ring = new Ring(1000);
		ring.write(bytes(3));
		return ring;
	};
	finds(make, (ring) => ring.check(), [
		["a ring holds at most as many bytes as its limit", (ring) => set(ring, "count", 1001)],
		["a ring holds at most as many bytes as its limit", (ring) => set(ring, "count", -1)],
		["a ring has memory for its bytes", (ring) => set(ring, "count", 600)],
		["a ring begins in its memory", (ring) => set(ring, "start", 512)],
		["an empty ring begins at the start of its memory", emptyOut],
	]);
});

function emptyOut(ring: Ring): void {
	set(ring, "count", 0);
	set(ring, "start", 3);
}

interface End extends File {
	readonly buffer: Ring;
	readonly readers: object;
	readonly writers: object;
}

interface Pipe extends Machine {
	readonly r: number;
	readonly w: number;
	readonly end: End;
	readonly other: End;
}

function pipeWorld(): Pipe {
	const m = machine();
	const [r, w] = pipe(m.thread);
	writeNow(m.thread, w, bytes(3));
	const [end, other] = [r, w].map((fd) => getFile(m.thread, fd, "test") as End);
	return { ...m, r, w, end: end as End, other: other as End };
}

test("a pipe whose ends, room or sleepers do not agree is found", () => {
	finds(pipeWorld, ({ thread, r }) => read(thread, r), [
		["a ring has memory for its bytes", ({ end }) => set(end.buffer, "count", 600)],
		["a pipe has the room of its size", ({ end }) => set(end, "big", true)],
		["the ends of a pipe name each other", ({ other }) => set(other, "peer", null)],
		[
			"no reader sleeps while there are bytes",
			({ end, thread }) => set(end.readers, "first", thread),
		],
	]);
	finds(pipeWorld, ({ thread, w }) => writeNow(thread, w, bytes(1)), [
		[
			"no writer sleeps while there is plenty of room",
			({ end, thread }) => set(end.writers, "first", thread),
		],
	]);
	const hungUp = (): Pipe => {
		const world = pipeWorld();
		readNow(world.thread, world.r, bytes(3));
		close(world.thread, world.w);
		return world;
	};
	finds(hungUp, ({ thread, r }) => read(thread, r), [
		["no reader sleeps without a writer", ({ end, thread }) => set(end.readers, "first", thread)],
	]);
});

test("without diagnostics nothing is checked", () => {
	finds(pipeWorld, ({ thread, r }) => read(thread, r), [
		[
			"no error",
			({ end, kernel }) => {
				kernel.diagnostics = false;
				set(end, "big", true);
			},
		],
	]);
});

function packet(n: number): Packet {
	return {
		bytes: bytes(n),
		memory: n,
		address: null,
		rights: null,
		header: 0,
		record: true,
		eor: false,
		urgent: false,
		payer: null,
		next: null,
	};
}

test("a socket's buffer that loses count or packets is found", () => {
	const make = (): SockBuf => {
		const buffer = new SockBuf(100, 10);
		buffer.append(packet(3));
		buffer.append(packet(4));
		return buffer;
	};
	finds(make, (buffer) => buffer.check(), [
		["a buffer knows its last packet", (buffer) => set(buffer, "last", buffer.first)],
		["a buffer counts what it holds", (buffer) => set(buffer, "cc", 8)],
		["a buffer counts its records", (buffer) => set(buffer, "records", 1)],
		["a buffer counts its data", (buffer) => set(buffer, "datacc", 8)],
		["a buffer's low-water mark is in it", (buffer) => set(buffer, "hiwat", 9)],
		["a header takes room", (buffer) => set(buffer.first as Packet, "header", -1)],
		[
			"a packet without data is a record",
			(buffer) => buffer.append({ ...packet(0), record: false, urgent: true }),
		],
		[
			"files begin a record, and take room",
			(buffer) => set(buffer.first as Packet, "rights", { files: [] }),
		],
	]);
});

interface Sockets extends Machine {
	readonly a: number;
	readonly b: number;
	/** The sockets of `a` and `b`. */
	readonly one: Socket;
	readonly other: Socket;
}

function sockets(m: Machine, a: number, b: number): Sockets {
	const [one, other] = [a, b].map((fd) => getFile(m.thread, fd, "test") as Socket);
	return { ...m, a, b, one: one as Socket, other: other as Socket };
}

/** A connection with three bytes on the way to `b`. */
function localWorld(): Sockets {
	const m = machine();
	const [a, b] = socketpair(m.thread, "stream");
	writeNow(m.thread, a, bytes(3));
	return sockets(m, a, b);
}

function look({ thread, b }: Sockets): number {
	return getsockopt(thread, b, SOL_SOCKET, SO_TYPE);
}

test("a local socket whose buffers, ends, state or sleepers do not agree is found", () => {
	finds(localWorld, ({ thread, b }) => read(thread, b), [
		["a buffer counts what it holds", ({ other }) => set(other.rcv, "cc", 99)],
		["a buffer counts what it holds", ({ other }) => set(other.snd, "cc", 4)],
		["the ends of a connection name each other", ({ one }) => set(one, "peer", null)],
		[
			"a socket is connected or connecting, not both",
			({ other }) => set(other, "state", SS_ISCONNECTED | SS_ISCONNECTING),
		],
	]);
	finds(localWorld, look, [
		["the out-of-band mark is ahead", ({ other }) => set(other, "oobmark", -1)],
	]);
	finds(localWorld, ({ thread, a }) => getsockopt(thread, a, SOL_SOCKET, SO_TYPE), [
		["a buffer counts what it holds", ({ one }) => set(one.snd, "cc", 4)],
		["a local socket sends without a buffer", ({ one }) => sendItself(one)],
	]);
	const ended = (): Sockets => {
		const world = localWorld();
		shutdown(world.thread, world.a, SHUT_WR);
		return world;
	};
	finds(ended, look, [
		[
			"no receiver sleeps when nothing can arrive",
			({ other, thread }) => set(other.rcv.channel, "first", thread),
		],
	]);
	finds(ended, ({ thread, a }) => getsockopt(thread, a, SOL_SOCKET, SO_TYPE), [
		[
			"no sender sleeps when nothing can be sent",
			({ one, thread }) => set(one.snd.channel, "first", thread),
		],
	]);
});

function sendItself({ snd }: Socket): void {
	snd.append(packet(1));
}

test("files on their way to a receiver that are already closed are found", () => {
	const make = (): Sockets & { readonly file: File } => {
		const world = localWorld();
		const { thread, a, b } = world;
		readNow(thread, b, bytes(3));
		const [r] = pipe(thread);
		sendmsgNow(thread, a, { bytes: bytes(1), fds: [r] });
		return { ...world, file: getFile(thread, r, "test") };
	};
	finds(make, look, [["files that travel are open", ({ file }) => set(file, "refs", 0)]]);
});

test("datagram sockets that do not know who is connected to them are found", () => {
	const make = (): Sockets => {
		const m = machine();
		const [a, b] = socketpair(m.thread, "dgram");
		return sockets(m, a, b);
	};
	finds(make, look, [
		["a sender is connected to its receiver", ({ one }) => set(one, "peer", null)],
		["a receiver knows who is connected to it", ({ one }) => set(one, "senders", new Set())],
	]);
});

function tcpWorld(): Sockets & { readonly listener: Socket; readonly l: number } {
	const m = machine();
	const { thread, host } = m;
	const l = socket(thread, "inet", "stream");
	bind(thread, l, 80);
	listen(thread, l, 5);
	const connected = (): number => {
		const fd = socket(thread, "inet", "stream", SOCK_NONBLOCK);
		codeOf(() => connectNow(thread, fd, 80));
		host.settle();
		return fd;
	};
	const a = connected();
	const b = acceptNow(thread, l);
	writeNow(thread, a, bytes(3));
	connected();
	return { ...sockets(m, a, b), l, listener: getFile(thread, l, "test") as Socket };
}

test("a TCP socket whose ends, mark or end of data do not agree is found", () => {
	finds(tcpWorld, look, [
		["a buffer counts its data", ({ other }) => set(other.rcv, "datacc", 2)],
		["a TCP socket's buffers hold data alone", ({ other }) => takeRoom(other.rcv)],
		["the ends of a connection name each other", ({ one }) => set(one, "peer", null)],
		["the out-of-band mark is in what arrives", ({ other }) => set(other, "oobmark", 4)],
		["the out-of-band byte is a byte", ({ other }) => set(other, "oobByte", 256)],
		["the end comes after all data", ({ other }) => set(other, "finSent", true)],
		["a buffer counts what it holds", ({ one }) => set(one.snd, "cc", 1)],
	]);
});

function takeRoom(buffer: SockBuf): void {
	set(buffer.first as Packet, "header", 16);
	buffer.cc += 16;
}

test("connections and listeners that do not know each other are found", () => {
	const look = ({ thread, l }: ReturnType<typeof tcpWorld>): number =>
		getsockopt(thread, l, SOL_SOCKET, SO_TYPE);
	finds(tcpWorld, look, [
		[
			"connections in a queue know their listener",
			({ listener }) => set(listener.queue[0] as Socket, "head", null),
		],
		["a listener has its new connections", ({ listener }) => set(listener, "head", listener)],
	]);
});

interface Files extends Machine {
	readonly tree: Tree;
	readonly root: Directory<Vnode>;
	/** A regular file, a directory, and an open fifo with a byte in it. */
	readonly f: Vnode;
	readonly d: Vnode;
	readonly p: Vnode;
	/** A symbolic link. */
	readonly l: Vnode;
	readonly fifo: Fifo;
	readonly fd: number;
}

/** The positions of a directory, which nobody else sees. */
function entriesOf(directory: Directory<Vnode>): Entry<Vnode>[] {
	return (directory as unknown as { entries: Entry<Vnode>[] }).entries;
}

function namesOf(directory: Directory<Vnode>): Map<string, Pick<Entry<Vnode>, "position">> {
	return (directory as unknown as { names: Map<string, Pick<Entry<Vnode>, "position">> }).names;
}

function treeWorld(): Files {
	const m = machine();
	const { thread } = m;
	const tree = new Tree();
	close(thread, openNow(thread, tree, "f", O_CREAT));
	mkdir(thread, tree, "d");
	mkdir(thread, tree, "d/d");
	mkfifo(thread, tree, "p");
	symlink(thread, tree, "f", "l");
	const fd = openNow(thread, tree, "p", O_RDWR);
	writeNow(thread, fd, bytes(1));
	const root = tree.root.entries as Directory<Vnode>;
	const [f, d, p, l] = ["f", "d", "p", "l"].map((name) => root.get(name)) as Vnode[] as [
		Vnode,
		Vnode,
		Vnode,
		Vnode,
	];
	return { ...m, tree, root, f, d, p, l, fifo: p.fifo as Fifo, fd };
}

/** What a name is charged to that only a mistake could make. */
const FREE = new Quota(1, null);

test("a tree whose names, links and open files do not agree is found", () => {
	finds(treeWorld, ({ thread, tree }) => mkdir(thread, tree, "new"), [
		["a file counts its names", ({ f }) => set(f, "nlink", 2)],
		["a file counts its names", ({ d }) => set(d, "nlink", 2)],
		["a file counts its names", ({ root }) => root.delete("d")],
		["a directory has one name", ({ root, d }) => root.set("again", d, FREE)],
		["a directory knows where it is", ({ d }) => set(d, "parent", d)],
		["the root is in itself", ({ tree, d }) => set(tree.root, "parent", d)],
		["a name is one step of a path", ({ root, f }) => root.set("a/b", f, FREE)],
		["directories alone have entries", ({ f }) => set(f, "entries", new Directory())],
		["symbolic links alone lead on", ({ f }) => set(f, "target", "d")],
		["a symbolic link leads along a path", ({ l }) => set(l, "target", "x".repeat(1024))],
		[
			"a symbolic link is not open",
			({ thread, tree, f, l }) => {
				openNow(thread, tree, "f", O_RDONLY);
				set(f, "opens", 0);
				set(l, "opens", 1);
				set([...tree.opens][1] as File, "vnode", l);
			},
		],
		["names do not overlap", ({ root }) => set(entriesOf(root)[1] as object, "position", 30)],
		["a name has one position", ({ root }) => namesOf(root).set("p", { position: 0 })],
		["every name has a position", ({ root }) => namesOf(root).set("x", { position: 0 })],
		[
			"the last position is that of a name",
			({ d }) =>
				entriesOf(d.entries as Directory<Vnode>).push({
					name: "x",
					vnode: null,
					position: 36,
					end: 48,
					payer: FREE,
				}),
		],
		["a tree counts its names", ({ root }) => root.set("again", treeWorld().f, FREE)],
		["a tree counts its bytes", ({ tree }) => tree.usage.bytes.force(1)],
		["a file counts its open files", ({ p }) => set(p, "opens", 7)],
		[
			"regular files alone have bytes",
			({ p }) => {
				p.bytes.reserve(1);
				p.bytes.write(0, bytes(1));
			},
		],
		["an open fifo is under way", ({ p }) => set(p, "fifo", null)],
		["fifos alone are under way", ({ f, fifo }) => set(f, "fifo", fifo)],
		["a fifo counts its readers", ({ fifo }) => set(fifo.reading, "opens", 2)],
		["a fifo counts its writers", ({ fifo }) => set(fifo.writing, "opens", 0)],
		["the tree's open files are open", ({ tree }) => set([...tree.opens][0] as File, "refs", 0)],
		[
			"the tree's open files are open",
			({ tree }) => set([...tree.opens][0] as File, "revoked", true),
		],
	]);
});

test("a removed file that still has links is found", () => {
	const make = (): Files => {
		const world = treeWorld();
		const { thread, tree, d } = world;
		unlink(thread, tree, "p");
		openNow(thread, tree, "d/d", O_RDONLY);
		(d.entries as Directory<Vnode>).delete("d");
		set([...tree.opens][1]?.vnode as Vnode, "nlink", 0);
		set(d, "nlink", 2);
		return world;
	};
	finds(make, ({ thread, tree }) => mkdir(thread, tree, "new"), [
		["what has no name has no links", ({ p }) => set(p, "nlink", 1)],
		[
			"a directory without a name is empty",
			({ tree, f }) =>
				([...tree.opens] as { vnode: unknown }[])
					.map(({ vnode }) => vnode as Vnode)[1]
					?.entries?.set("f", f, FREE),
		],
	]);
});

test("a large tree is checked too, though not after each change", () => {
	const { thread, tree, f } = treeWorld();
	for (let i = 0; i < 500; i++) mkdir(thread, tree, `${i}`);
	set(f, "nlink", 2);
	const outcomes = Array.from({ length: 20 }, (_, i) => codeOf(() => mkdir(thread, tree, `x${i}`)));
	assert.ok(outcomes.some((error) => error instanceof Panic));
});

test("a fifo whose ends, bytes or sleepers do not agree is found", () => {
	finds(treeWorld, ({ thread, fd }) => writeNow(thread, fd, bytes(1)), [
		["a ring begins in its memory", ({ fifo }) => set(fifo.buffer, "start", 512)],
		["a fifo's ends are opened before closed", ({ fifo }) => set(fifo.writing, "opens", -1)],
		["a fifo with writers is not at its end", ({ fifo }) => set(fifo, "eof", true)],
		[
			"no writer sleeps when there is room",
			({ fifo, thread }) => set(fifo.writing.transfers, "first", thread),
		],
		[
			"no reader's open sleeps when there is a writer",
			({ fifo, thread }) => set(fifo.reading.opening, "first", thread),
		],
		[
			"no writer's open sleeps when there is a reader",
			({ fifo, thread }) => set(fifo.writing.opening, "first", thread),
		],
	]);
	finds(treeWorld, ({ thread, fd }) => readNow(thread, fd, bytes(0)), [
		[
			"no reader sleeps when there is something",
			({ fifo, thread }) => set(fifo.reading.transfers, "first", thread),
		],
	]);
});

test("a file whose memory is too small, or not clean behind its bytes, is found", () => {
	const make = (): Bytes => {
		const file = new Bytes();
		file.reserve(100);
		file.write(0, bytes(100));
		file.resize(50);
		return file;
	};
	finds(make, (file) => file.check(), [
		["a file has memory for its bytes", (file) => set(file, "length", 101)],
		["behind the bytes of a file there are zeros", (file) => set(file, "length", 49)],
	]);
});

test("a terminal's queue that loses count or place is found", () => {
	const make = (): TtyQueue => {
		const queue = new TtyQueue(200);
		queue.put(1);
		return queue;
	};
	finds(make, (queue) => queue.check(0xff), [
		["a queue holds at most as much as its limit", (queue) => set(queue, "count", 201)],
		["a queue has memory for its characters", (queue) => set(queue, "count", 129)],
		["a queue begins in its memory", (queue) => set(queue, "start", 128)],
		["a queue's characters carry the marks they may", (queue) => queue.put(1 | TTY_QUOTE)],
	]);
});

interface Line extends Machine {
	readonly slave: number;
	readonly master: number;
	readonly pty: Pty;
	readonly tty: Tty;
}

/** A terminal with a line to read, and nothing to print. */
function lineWorld(lflag = TTYDEF.lflag): Line {
	const m = machine();
	const { thread, kernel } = m;
	const [master, slave] = openpty(thread, { ...TTYDEF, lflag });
	const pty = findPty(kernel, ptsname(thread, master)) as Pty;
	writeNow(thread, master, Uint8Array.of(97, 10));
	readNow(thread, master, bytes(99));
	return { ...m, master, slave, pty, tty: pty.tty };
}

test("a terminal whose queues, marks, sleepers or session do not agree is found", () => {
	const act = ({ thread, slave }: Line): number => ioctl(thread, slave, TIOCOUTQ);
	const { pgrp } = machine().process;
	finds(lineWorld, act, [
		["a queue's characters carry the marks they may", ({ tty }) => tty.outq.put(97 | TTY_QUOTE)],
		["a queue holds at most as much as its limit", ({ tty }) => set(tty.rawq, "count", 9000)],
		["columns begin at 0", ({ tty }) => set(tty, "column", -1)],
		["input is processed again before a call returns", ({ tty }) => set(tty, "retyping", true)],
		["an open terminal has its marks in order", ({ tty }) => set(tty, "hiwat", 0)],
		["no reader sleeps beside a line", ({ tty, thread }) => set(tty.readers, "first", thread)],
		[
			"no writer sleeps when all is printed",
			({ tty, thread }) => set(tty.writers, "first", thread),
		],
		["a session knows its terminal", ({ tty }) => set(tty, "session", pgrp.session)],
		["the foreground is of the terminal's session", ({ tty }) => set(tty, "pgrp", pgrp)],
	]);
	finds(() => lineWorld(TTYDEF.lflag & ~ICANON), act, [
		["lines wait in canonical mode alone", ({ tty }) => tty.canq.put(97)],
	]);
});

test("a pty whose ends, modes or name do not agree is found", () => {
	finds(lineWorld, ({ thread, master }) => ioctl(thread, master, TIOCOUTQ), [
		["a terminal is open while a slave is", ({ tty }) => set(tty, "isOpen", false)],
		["a terminal is open while a slave is", ({ pty }) => pty.slaves.clear()],
		["the open slaves of a pty are open", ({ pty }) => set([...pty.slaves][0] as File, "refs", 0)],
		["a slave that is open is not about to close", ({ pty }) => set(pty, "closing", true)],
		["the carrier goes with the master", ({ pty }) => set(pty, "controlled", false)],
		["a master is in one mode", inBothModes],
		["a pty has its name while an end is open", ({ pty }) => set(pty, "name", "ttyp1")],
	]);
	const printed = (): Line => {
		const world = lineWorld();
		writeNow(world.thread, world.slave, bytes(3));
		return world;
	};
	finds(printed, ({ thread, slave }) => ioctl(thread, slave, TIOCOUTQ), [
		[
			"no reader of the master sleeps when there is output",
			({ pty, thread }) => set(pty.readers, "first", thread),
		],
	]);
	const closing = (): Line => {
		const world = printed();
		close(world.thread, world.slave);
		return world;
	};
	finds(closing, ({ thread, master }) => ioctl(thread, master, TIOCOUTQ), [
		[
			"a slave that is about to close waits for the master to read",
			({ tty }) => set(tty, "carrier", false),
		],
	]);
});

function inBothModes({ pty }: Line): void {
	set(pty, "packetMode", true);
	set(pty, "userMode", true);
}

test.run();

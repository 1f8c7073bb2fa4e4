// Errors in the middle of clean-ups: all steps are done, and the first error counts.
import {
	close,
	EV_ADD,
	EVFILT_READ,
	interrupt,
	keventNow,
	kqueue,
	openFile,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { File, filterops, getFile, type Klist, type Knote, knoteJoin } from "@kqpoll/kqueue/kernel";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../../src/pipe/pipe.ts";
import { openPair } from "../../src/shared/open-file.ts";
import { O_RDWR } from "../../src/shared/vnode-flags.ts";
import { acceptNow, bind, connectNow, listen } from "../../src/socket/connect-calls.ts";
import { recvNow } from "../../src/socket/recv-calls.ts";
import { sendmsg, sendmsgNow, sendNow } from "../../src/socket/send-calls.ts";
import type { Socket } from "../../src/socket/socket.ts";
import { shutdown, socket, socketpair } from "../../src/socket/socket-calls.ts";
import { SHUT_RD, SHUT_WR, SOCK_NONBLOCK } from "../../src/socket/socket-constants.ts";
import type { Fifo } from "../../src/tree/fifo.ts";
import { unmount } from "../../src/tree/mount-calls.ts";
import { mkfifo } from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { revoke } from "../../src/tree/revoke-calls.ts";
import { Tree } from "../../src/tree/tree.ts";
import { findPty } from "../../src/tty/pty.ts";
import { openpty, ptsname } from "../../src/tty/pty-calls.ts";
import { codeOf, type Machine, machine, outcome } from "../machine.ts";

interface World extends Machine {
	/** The names of the steps that were done, each of which threw its name. */
	readonly steps: string[];
	/**
	 * Adds a watcher to a list. Whenever the list is notified it throws, after `act` the first time.
	 */
	watch(klist: Klist, name: string, act?: () => void): void;
	/** Opens a file that throws when it is closed. */
	open(name: string): number;
	/** What a call throws, and which steps it does. */
	tried(call: () => unknown): [thrown: unknown, steps: string[]];
	/** The socket behind a descriptor. */
	socketOf(fd: number): Socket;
}

function world(): World {
	const m = machine();
	const { thread } = m;
	const kq = kqueue(thread);
	const steps: string[] = [];
	const step = (name: string): never => {
		steps.push(name);
		throw { code: name };
	};
	return {
		...m,
		steps,
		watch(klist, name, act = () => {}) {
			let first = act;
			let quiet = true;
			const event = (): boolean => {
				if (quiet) return false;
				const now = first;
				first = () => {};
				now();
				return step(name);
			};
			const ident = openFile(thread, new Watching(klist, event));
			keventNow(thread, kq, [{ ident, filter: EVFILT_READ, flags: EV_ADD }], null);
			quiet = false;
		},
		open: (name) => openFile(thread, new Closing(() => step(name))),
		tried: (call) => [codeOf(call), steps.splice(0)],
		socketOf: (fd) => getFile(thread, fd, "test") as Socket,
	};
}

/** A file whose knotes join a list of another file. */
class Watching extends File {
	private readonly klist: Klist;
	private readonly event: () => boolean;

	constructor(klist: Klist, event: () => boolean) {
		super("vnode");
		this.klist = klist;
		this.event = event;
	}

	override kqfilter(kn: Knote): number {
		return knoteJoin(kn, filterops({ name: "watching", event: this.event }), this.klist);
	}
}

/** A file that does something when it is closed. */
class Closing extends File {
	override readonly close: () => void;

	constructor(act: () => void) {
		super("vnode");
		this.close = act;
	}
}

function bytes(n: number): Uint8Array {
	return new Uint8Array(n);
}

/** Passes the only descriptors of files to another socket. */
function pass(thread: Thread, fd: number, fds: readonly number[]): void {
	sendmsgNow(thread, fd, { bytes: bytes(1), fds });
	for (const each of fds) codeOf(() => close(thread, each));
}

/** A TCP connection that was not accepted yet, and its listener. */
function pending({ thread, host }: World): { client: number; listener: number } {
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 80);
	listen(thread, listener, 5);
	const client = socket(thread, "inet", "stream", SOCK_NONBLOCK);
	codeOf(() => connectNow(thread, client, 80));
	host.settle();
	return { client, listener };
}

/** A TCP connection: the end that connected, and the one that was accepted. */
function connection(w: World): [client: number, server: number] {
	const { client, listener } = pending(w);
	const server = acceptNow(w.thread, listener);
	getFile(w.thread, server, "test").flags |= O_NONBLOCK;
	return [client, server];
}

interface End extends File {
	readonly klist: Klist;
}

test("closing a pipe's end notifies its own watchers before and after, then the other end", () => {
	const { thread, watch, tried } = world();
	const [r, w] = pipe(thread);
	const klistOf = (fd: number): Klist => (getFile(thread, fd, "test") as End).klist;
	watch(klistOf(w), "other");
	watch(klistOf(r), "own");
	assert.equal(
		tried(() => close(thread, r)),
		["own", ["own", "own", "other"]],
	);
});

test("when only one of a pair of files gets a descriptor, the error is the limit's, not the close's", () => {
	const { thread, process, tried, steps } = world();
	const closing = (name: string): File =>
		new Closing(() => {
			steps.push(name);
			throw { code: name };
		});
	process.fdp.limit = 2;
	assert.equal(
		tried(() => openPair(thread, closing("one"), closing("other"), 0)),
		["EMFILE", ["one"]],
	);
});

function fifoWorld(): World & { readonly tree: Tree; readonly fifo: Fifo; readonly fd: number } {
	const w = world();
	const tree = new Tree();
	mkfifo(w.thread, tree, "p");
	const fd = openNow(w.thread, tree, "p", O_RDWR);
	return { ...w, tree, fd, fifo: tree.root.entries?.get("p")?.fifo as Fifo };
}

test("closing a fifo's last file for both notifies writers, then readers", () => {
	const { thread, watch, tried, fifo, fd } = fifoWorld();
	watch(fifo.reading.klist, "readers");
	watch(fifo.writing.klist, "writers");
	assert.equal(
		tried(() => close(thread, fd)),
		["writers", ["writers", "readers"]],
	);
});

test("revoking a fifo notifies its vnode's watchers, writers, then readers", () => {
	const { thread, watch, tried, tree, fifo } = fifoWorld();
	watch(fifo.reading.klist, "readers");
	watch(fifo.writing.klist, "writers");
	const steps = ["writers", "readers"];
	assert.equal(
		tried(() => revoke(thread, tree, "p")),
		["writers", steps],
	);
	const again = fifoWorld();
	again.watch(again.fifo.reading.klist, "readers");
	again.watch(again.fifo.writing.klist, "writers");
	again.watch(again.tree.root.entries?.get("p")?.klist as Klist, "vnode");
	assert.equal(
		again.tried(() => revoke(again.thread, again.tree, "p")),
		["vnode", ["vnode", ...steps]],
	);
});

test("unmounting a tree revokes all its files, even if watchers of the first ones throw", () => {
	const { thread, watch, tried } = world();
	const tree = new Tree();
	for (const name of ["first", "second"]) {
		mkfifo(thread, tree, name);
		openNow(thread, tree, name, O_RDWR);
		watch(tree.root.entries?.get(name)?.klist as Klist, name);
	}
	assert.equal(
		tried(() => unmount(thread, tree)),
		["first", ["first", "second"]],
	);
	assert.is(tree.opens.size, 0);
});

test("connecting a socket notifies its receivers, then its senders", () => {
	const { thread, watch, tried, socketOf } = world();
	const fd = socket(thread, "inet", "dgram");
	watch(socketOf(fd).rcv.klist, "receive");
	watch(socketOf(fd).snd.klist, "send");
	assert.equal(
		tried(() => connectNow(thread, fd, 9)),
		["receive", ["receive", "send"]],
	);
});

test("a datagram that cannot be received notifies receivers, then senders", () => {
	const { thread, watch, tried, socketOf } = world();
	const fd = socket(thread, "inet", "dgram");
	connectNow(thread, fd, 9);
	watch(socketOf(fd).rcv.klist, "receive");
	watch(socketOf(fd).snd.klist, "send");
	assert.equal(
		tried(() => sendNow(thread, fd, bytes(1))),
		["receive", ["receive", "send"]],
	);
});

test("both ends of a local connection are connected, even if watchers of the first one throw", () => {
	const w = world();
	const { thread, watch, tried, socketOf } = w;
	const listener = socket(thread, "local", "stream");
	bind(thread, listener, "name");
	listen(thread, listener, 5);
	const client = socket(thread, "local", "stream");
	watch(socketOf(client).rcv.klist, "client");
	watch(socketOf(listener).rcv.klist, "listener");
	assert.equal(
		tried(() => connectNow(thread, client, "name")),
		["client", ["client", "listener"]],
	);
});

test("both ends of a TCP connection are connected, even if watchers of the first one throw", () => {
	const w = world();
	const { thread, host, watch, tried, socketOf } = w;
	const { client, listener } = pending(w);
	close(thread, client);
	const other = socket(thread, "inet", "stream", SOCK_NONBLOCK);
	codeOf(() => connectNow(thread, other, 80));
	watch(socketOf(other).rcv.klist, "client");
	watch(socketOf(listener).rcv.klist, "listener");
	assert.equal(
		tried(() => host.settle()),
		["client", ["client", "listener"]],
	);
});

test("a refused connection notifies senders, then receivers", () => {
	const { thread, host, watch, tried, socketOf } = world();
	const fd = socket(thread, "inet", "stream", SOCK_NONBLOCK);
	codeOf(() => connectNow(thread, fd, 80));
	watch(socketOf(fd).rcv.klist, "receive");
	watch(socketOf(fd).snd.klist, "send");
	assert.equal(
		tried(() => host.settle()),
		["send", ["send", "receive"]],
	);
});

test("shutting a local socket for reading notifies receivers, closes files, then notifies senders", () => {
	const { thread, watch, tried, open, socketOf, steps } = world();
	const [a, b] = socketpair(thread, "stream");
	pass(thread, a, [open("one"), open("two")]);
	pass(thread, a, [open("three")]);
	watch(socketOf(b).rcv.klist, "receive");
	watch(socketOf(a).snd.klist, "room");
	steps.length = 0;
	assert.equal(
		tried(() => shutdown(thread, b, SHUT_RD)),
		["receive", ["receive", "three", "one", "two", "room"]],
	);
});

test("shutting a TCP socket for reading notifies receivers, then takes the bytes on their way", () => {
	const w = world();
	const { thread, watch, tried, socketOf } = w;
	const [a, b] = connection(w);
	writeNow(thread, a, bytes(20_000));
	watch(socketOf(b).rcv.klist, "receive");
	watch(socketOf(a).snd.klist, "room");
	assert.equal(
		tried(() => shutdown(thread, b, SHUT_RD)),
		["receive", ["receive", "receive", "room"]],
	);
});

test("shutting a local socket for writing notifies senders, then the other end", () => {
	const { thread, watch, tried, socketOf } = world();
	const [a, b] = socketpair(thread, "stream");
	watch(socketOf(a).snd.klist, "own");
	watch(socketOf(b).rcv.klist, "other");
	assert.equal(
		tried(() => shutdown(thread, a, SHUT_WR)),
		["own", ["own", "other"]],
	);
});

test("shutting a TCP socket for writing notifies senders, then the other end", () => {
	const w = world();
	const { thread, watch, tried, socketOf } = w;
	const [a, b] = connection(w);
	watch(socketOf(a).snd.klist, "own");
	watch(socketOf(b).rcv.klist, "other");
	assert.equal(
		tried(() => shutdown(thread, a, SHUT_WR)),
		["own", ["own", "other"]],
	);
});

test("when the second end of a TCP connection is shut for writing, both ends are over", () => {
	const w = world();
	const { thread, watch, tried, socketOf } = w;
	const [a, b] = connection(w);
	shutdown(thread, b, SHUT_WR);
	watch(socketOf(a).rcv.klist, "own");
	watch(socketOf(b).rcv.klist, "other");
	assert.equal(
		tried(() => shutdown(thread, a, SHUT_WR)),
		["other", ["other", "other", "own"]],
	);
});

test("closing a local socket notifies both ends, then closes the files that it has", () => {
	const { thread, watch, tried, open, socketOf, steps } = world();
	const [a, b] = socketpair(thread, "stream");
	pass(thread, a, [open("file")]);
	for (const [fd, end] of [
		[b, "own"],
		[a, "other"],
	] as const) {
		watch(socketOf(fd).snd.klist, `${end} send`);
		watch(socketOf(fd).rcv.klist, `${end} receive`);
	}
	steps.length = 0;
	assert.equal(
		tried(() => close(thread, b)),
		["own send", ["own send", "own receive", "other send", "other receive", "file"]],
	);
});

test("closing a TCP socket ends its direction, then answers what the other end sends", () => {
	const w = world();
	const { thread, watch, tried, socketOf } = w;
	const [a, b] = connection(w);
	writeNow(thread, b, bytes(20_000));
	for (const [fd, end] of [
		[a, "own"],
		[b, "other"],
	] as const) {
		watch(socketOf(fd).snd.klist, `${end} send`);
		watch(socketOf(fd).rcv.klist, `${end} receive`);
	}
	const reset = ["other send", "other receive"];
	assert.equal(
		tried(() => close(thread, a)),
		["own send", ["own send", "own receive", "other receive", ...reset]],
	);
});

test("closing a listener resets every connection that was not accepted", () => {
	const w = world();
	const { thread, watch, tried, socketOf } = w;
	const { client, listener } = pending(w);
	watch((socketOf(listener).queue[0] as Socket).rcv.klist, "server");
	watch(socketOf(client).rcv.klist, "client");
	assert.equal(
		tried(() => close(thread, listener)),
		["server", ["server", "client"]],
	);
	const local = socket(thread, "local", "stream");
	bind(thread, local, "name");
	listen(thread, local, 5);
	for (const name of ["first", "second"]) {
		const fd = socket(thread, "local", "stream");
		connectNow(thread, fd, "name");
		watch(socketOf(fd).rcv.klist, name);
	}
	assert.equal(
		tried(() => close(thread, local)),
		["first", ["first", "second"]],
	);
});

test("a call on a socket that a callback closes throws its own error, not that of the close", () => {
	const { thread, watch, tried, socketOf } = world();
	const [a, b] = socketpair(thread, "stream");
	watch(socketOf(b).rcv.klist, "receive", () => close(thread, b));
	watch(socketOf(a).rcv.klist, "closed");
	assert.equal(
		tried(() => shutdown(thread, b, SHUT_RD)),
		["receive", ["receive", "receive", "closed"]],
	);
});

test("a send that fails throws its own error, not that of the files it held", () => {
	const { thread, watch, tried, open, socketOf } = world();
	const [a, b] = socketpair(thread, "stream");
	const fds = [open("one"), open("two")];
	watch(socketOf(b).rcv.klist, "send", () => {
		for (const fd of fds) close(thread, fd);
		recvNow(thread, b, bytes(1));
	});
	assert.equal(
		tried(() => sendmsgNow(thread, a, { bytes: bytes(1), fds })),
		["send", ["send", "one", "two"]],
	);
});

test("an interrupted send releases all its files, and then its socket", async () => {
	const { thread, host, watch, steps, open, socketOf } = world();
	const [a, b] = socketpair(thread, "stream");
	const fds = [open("one"), open("two")];
	sendNow(thread, a, bytes(8192));
	const sending = outcome(sendmsg(thread, a, { bytes: bytes(1), fds }));
	for (const fd of [...fds, a]) close(thread, fd);
	watch(socketOf(b).rcv.klist, "other end");
	interrupt(thread);
	host.settle();
	assert.equal([await sending, steps], ["one", ["one", "two", "other end"]]);
});

test("files that are not received are all closed, and the sender has their room again", () => {
	const { thread, tried, open, socketOf, steps } = world();
	const [a, b] = socketpair(thread, "stream");
	pass(thread, a, [open("one"), open("two")]);
	steps.length = 0;
	assert.equal(
		tried(() => recvNow(thread, b, bytes(1))),
		["one", ["one", "two"]],
	);
	assert.equal([socketOf(a).snd.cc, socketOf(b).rcv.cc], [1, 1]);
});

test("closing a master notifies all watchers at both ends, and its pty goes with the slave", () => {
	const { thread, kernel, watch, tried } = world();
	const [master, slave] = openpty(thread);
	const name = ptsname(thread, master);
	const pty = findPty(kernel, name);
	assert.ok(pty);
	watch(pty.tty.rsel, "input");
	watch(pty.tty.wsel, "output");
	const [thrown, steps] = tried(() => close(thread, master));
	assert.equal([thrown, new Set(steps)], ["input", new Set(["input", "output"])]);
	tried(() => close(thread, slave));
	assert.equal([pty.tty.isOpen, findPty(kernel, name)], [false, null]);
});

test("closing a slave notifies all watchers at both ends", () => {
	const { thread, kernel, watch, tried } = world();
	const [master, slave] = openpty(thread);
	const name = ptsname(thread, master);
	const pty = findPty(kernel, name);
	assert.ok(pty);
	watch(pty.selr, "master reads");
	watch(pty.selw, "master writes");
	const [thrown, steps] = tried(() => close(thread, slave));
	assert.equal(
		[thrown, new Set(steps), pty.tty.isOpen],
		["master writes", new Set(["master writes", "master reads"]), false],
	);
	tried(() => close(thread, master));
	assert.is(findPty(kernel, name), null);
});

test.run();

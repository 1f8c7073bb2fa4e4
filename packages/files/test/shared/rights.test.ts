// Open files in messages that nobody can receive, and what it costs to find them.
import {
	close,
	exit,
	fork,
	kill,
	openFile,
	readNow,
	type Thread,
	waitpidNow,
	writeNow,
} from "@kqpoll/kqueue";
import { File, getFile } from "@kqpoll/kqueue/kernel";
import { SIGTERM } from "@kqpoll/kqueue/signal";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../../src/pipe/pipe.ts";
import { inFlightOf } from "../../src/shared/rights.ts";
import { O_CREAT, O_RDWR } from "../../src/shared/vnode-flags.ts";
import { bind, connectNow, listen } from "../../src/socket/connect-calls.ts";
import { recvmsgNow } from "../../src/socket/recv-calls.ts";
import { sendmsgNow } from "../../src/socket/send-calls.ts";
import { socket, socketpair } from "../../src/socket/socket-calls.ts";
import { LocalSocket } from "../../src/socket/socket-local.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { Tree } from "../../src/tree/tree.ts";
import { openpty } from "../../src/tty/pty-calls.ts";
import { codeOf, type Machine, machine } from "../machine.ts";

const TYPES = ["stream", "seqpacket", "dgram"] as const;
const BYTE = Uint8Array.of(1);

function pass(thread: Thread, fd: number, ...fds: number[]): void {
	sendmsgNow(thread, fd, { bytes: BYTE, fds });
}

function take(thread: Thread, fd: number): number[] {
	const message = { bytes: new Uint8Array(1), fds: [] as number[] };
	recvmsgNow(thread, fd, message);
	return message.fds;
}

function closeAll(thread: Thread, ...fds: number[]): void {
	for (const fd of fds) close(thread, fd);
}

/** Whether a pipe has no writer any more. */
function ended(thread: Thread, r: number): boolean {
	return codeOf(() => readNow(thread, r, new Uint8Array(1))) === "no error";
}

/** Leaves descriptors to a socket that waits in its own buffer. */
function strand(thread: Thread, ...fds: number[]): void {
	const [a, b] = socketpair(thread, "stream");
	pass(thread, a, a, b, ...fds);
	closeAll(thread, ...fds, a, b);
}

/** A file that says when it is closed, and may throw then. */
class Witness extends File {
	private readonly name: string;
	private readonly closed: string[];
	private readonly act: () => void;

	constructor(name: string, closed: string[], act: () => void = () => {}) {
		super("vnode");
		this.name = name;
		this.closed = closed;
		this.act = act;
	}

	override close(): void {
		this.closed.push(this.name);
		this.act();
	}
}

for (const type of TYPES) {
	test(`${type}: a socket in its own buffer is closed, with all that is in it`, () => {
		const { thread, kernel } = machine();
		const [r, w] = pipe(thread);
		const [a, b] = socketpair(thread, type);
		pass(thread, a, b, w);
		closeAll(thread, w, b);
		assert.ok(ended(thread, r));
		assert.is(inFlightOf(kernel).count, 0);
		assert.not(codeOf(() => pass(thread, a)) === "no error");
	});

	test(`${type}: sockets in each other's buffers are closed when the last can be received no more`, () => {
		const { thread } = machine();
		const [r, w] = pipe(thread);
		const [a, b] = socketpair(thread, type);
		const [c, d] = socketpair(thread, type);
		pass(thread, a, d);
		pass(thread, c, b, w);
		closeAll(thread, w, d);
		assert.not(ended(thread, r));
		close(thread, b);
		assert.ok(ended(thread, r));
	});
}

test("sockets that can still be received keep what is in their buffers", () => {
	const { thread } = machine();
	const [r, w] = pipe(thread);
	const [a, b] = socketpair(thread, "stream");
	const [c, d] = socketpair(thread, "stream");
	pass(thread, a, a, b, w);
	pass(thread, c, b);
	closeAll(thread, a, b, w);
	assert.not(ended(thread, r));
	const [b2] = take(thread, d) as [number];
	const [a3, b3, w3] = take(thread, b2) as [number, number, number];
	writeNow(thread, w3, BYTE);
	assert.is(readNow(thread, r, new Uint8Array(9)), 1);
	closeAll(thread, w3, a3, b3, b2);
	assert.ok(ended(thread, r));
	assert.is(
		codeOf(() => pass(thread, c)),
		"no error",
	);
});

test("a listener in the buffer of a connection that it has not accepted is closed", () => {
	const { thread } = machine();
	const [r, w] = pipe(thread);
	const listener = socket(thread, "local", "stream");
	bind(thread, listener, "name");
	listen(thread, listener, 1);
	const client = socket(thread, "local", "stream");
	connectNow(thread, client, "name");
	pass(thread, client, listener, client, w);
	closeAll(thread, listener, client, w);
	assert.ok(ended(thread, r));
	bind(thread, socket(thread, "local", "stream"), "name");
});

test("the names, ports, terminals and files of sockets that nobody can receive are free again", () => {
	const { thread } = machine();
	const tree = new Tree();
	for (let i = 0; i < 3; i++) {
		for (const type of ["stream", "dgram"] as const) {
			const so = socket(thread, "inet", type);
			bind(thread, so, 80);
			if (type === "stream") listen(thread, so, 1);
			strand(thread, so);
		}
		const pty = openpty(thread);
		assert.equal(pty, [0, 1]);
		strand(thread, ...pty);
		strand(thread, openNow(thread, tree, "f", O_CREAT | O_RDWR));
	}
	assert.is(tree.opens.size, 0);
});

test("what a process leaves in flight is closed when it exits, and when a signal ends it", () => {
	const { thread, host } = machine();
	for (const end of [
		(child: Thread) => exit(child, 0),
		(child: Thread) => kill(child, child.process.pid, SIGTERM),
	]) {
		const [r, w] = pipe(thread);
		const child = fork(thread).main;
		const [a, b] = socketpair(child, "stream");
		pass(child, a, a, b, w);
		close(thread, w);
		assert.not(ended(thread, r));
		end(child);
		host.settle();
		assert.ok(ended(thread, r), String(end));
		close(thread, r);
		waitpidNow(thread, -1);
	}
});

/** Builds a chain: both ends of each pair wait in the buffer of the next. Returns the last. */
function chain({ thread }: Machine, length: number): [number, number] {
	let last = socketpair(thread, "stream");
	for (let i = 0; i < length; i++) {
		const pair = socketpair(thread, "stream");
		pass(thread, pair[0], ...last);
		closeAll(thread, ...last);
		last = pair;
	}
	return last;
}

test("a long chain of sockets in flight is closed by close, by exit and by a signal", () => {
	for (const end of [
		(thread: Thread, fds: number[]) => closeAll(thread, ...fds),
		(thread: Thread) => exit(thread, 0),
		(thread: Thread) => kill(thread, thread.process.pid, SIGTERM),
	]) {
		const m = machine();
		m.kernel.diagnostics = false;
		const fds = chain(m, 2500);
		assert.is(inFlightOf(m.kernel).count, 5000);
		end(m.thread, fds);
		m.host.settle();
		assert.is(inFlightOf(m.kernel).count, 0, String(end));
	}
});

/** A machine with files that say when they are closed, and throw. */
function throwers(): Machine & { closed: string[]; witness: (name: string) => number } {
	const m = machine();
	const closed: string[] = [];
	const witness = (name: string): number =>
		openFile(
			m.thread,
			new Witness(name, closed, () => {
				throw { code: name };
			}),
		);
	return { ...m, closed, witness };
}

test("when a close throws, the rest is closed anyway, and the first error comes out", () => {
	const { thread, kernel, closed, witness } = throwers();
	let last = socketpair(thread, "stream");
	for (const name of ["a", "b", "c"]) {
		const pair = socketpair(thread, "stream");
		const fd = witness(name);
		pass(thread, pair[0], ...last, fd);
		closeAll(thread, ...last, fd);
		last = pair;
	}
	close(thread, last[0]);
	assert.is(
		codeOf(() => close(thread, last[1])),
		"c",
	);
	assert.equal(closed, ["c", "b", "a"]);
	assert.is(inFlightOf(kernel).count, 0);
});

test("when a close of what nobody can receive throws, the rest is closed anyway", () => {
	const { thread, closed, witness } = throwers();
	const [a, b] = socketpair(thread, "stream");
	const [d, e] = [witness("d"), witness("e")];
	pass(thread, a, b, d, e);
	closeAll(thread, d, e);
	assert.is(
		codeOf(() => close(thread, b)),
		"d",
	);
	assert.equal(closed, ["d", "e"]);
});

test("messages that are thrown away are closed from the last to the first", () => {
	const { thread } = machine();
	const closed: string[] = [];
	const [a, b] = socketpair(thread, "seqpacket");
	for (const names of ["12", "34", "56"]) {
		const fds = [...names].map((name) => openFile(thread, new Witness(name, closed)));
		pass(thread, a, ...fds);
		closeAll(thread, ...fds);
	}
	close(thread, b);
	assert.equal(closed.join(""), "563412");
});

test("a close of what nobody can receive may leave more of that", () => {
	const { thread, kernel } = machine();
	const closed: string[] = [];
	const file = new Witness("first", closed, () => {
		strand(thread, openFile(thread, new Witness("second", closed)));
		closed.push("end of the first");
	});
	strand(thread, openFile(thread, file));
	assert.equal(closed, ["first", "end of the first", "second"]);
	assert.is(inFlightOf(kernel).count, 0);
});

/** How much was looked at for something. */
function looked({ kernel }: Machine, act: () => void): number {
	kernel.diagnostics = false;
	const before = inFlightOf(kernel).looked;
	act();
	return inFlightOf(kernel).looked - before;
}

test("closing sockets costs nothing for what is in flight elsewhere", () => {
	const m = machine();
	const { thread } = m;
	const fds = chain(m, 100);
	assert.is(
		looked(m, () => {
			for (let i = 0; i < 100; i++) {
				const [a, b] = socketpair(thread, "stream");
				const [r, w] = pipe(thread);
				pass(thread, a, r);
				closeAll(thread, r, w, ...take(thread, b));
				closeAll(thread, a, b);
			}
		}),
		0,
	);
	closeAll(thread, ...fds);
});

test("ten times as many sockets in flight cost about ten times as much", () => {
	const costs = [200, 2000].map((n) => {
		const m = machine();
		const { thread, host } = m;
		return looked(m, () => {
			let last = chain(m, n);
			for (let i = 0; i < n; i++) {
				const [a, b] = socketpair(thread, "stream");
				const [c, d] = socketpair(thread, "stream");
				pass(thread, a, ...last);
				pass(thread, c, b);
				// From here the whole chain is reached, which can still be received.
				closeAll(thread, ...last, b);
				const [again] = take(thread, d) as [number];
				last = take(thread, again) as [number, number];
				closeAll(thread, a, again, c, d);
			}
			closeAll(thread, ...last);
			host.settle();
		});
	});
	const [small, large] = costs as [number, number];
	assert.ok(large < 12 * small, `${small}, then ${large}`);
});

test("after a search that found nothing the next ones wait, until the end of the turn at the latest", () => {
	const m = machine();
	const { thread, host, kernel } = m;
	kernel.diagnostics = false;
	const [a, b] = socketpair(thread, "stream");
	const last = chain(m, 100);
	const [c, d] = socketpair(thread, "stream");
	pass(thread, c, ...last);
	pass(thread, a, d);
	host.settle();
	// From here the whole chain is reached, which can still be received.
	closeAll(thread, ...last, d);
	const [r, w] = pipe(thread);
	strand(thread, w);
	assert.not(ended(thread, r));
	host.settle();
	assert.ok(ended(thread, r));
	assert.equal(take(thread, take(thread, b)[0] as number).length, 2);
});

test("ports are searched for among what nobody can receive before there is none left", () => {
	const m = machine();
	const { thread, kernel, process } = m;
	kernel.diagnostics = false;
	process.fdp.limit = 20_000;
	process.account.ports.limit = 20_000;
	const [a] = socketpair(thread, "stream");
	const last = chain(m, 100);
	const [c, d] = socketpair(thread, "stream");
	pass(thread, c, ...last);
	pass(thread, a, d);
	const ports = Array.from({ length: 16_384 }, () => {
		const so = socket(thread, "inet", "dgram");
		bind(thread, so, 0);
		return so;
	});
	closeAll(thread, ...last, d);
	strand(thread, ...ports.slice(0, 2));
	bind(thread, socket(thread, "inet", "dgram"), 0);
	bind(thread, socket(thread, "inet", "dgram"), 0);
	assert.is(
		codeOf(() => bind(thread, socket(thread, "inet", "dgram"), 0)),
		"EADDRNOTAVAIL",
	);
});

/** The files that the descriptors of a process lead to, through the buffers of sockets. */
function reachable(thread: Thread): Set<File> {
	const { fdp } = thread.process;
	const found = new Set([...fdp.open()].map((fd) => getFile(thread, fd, "test")));
	for (const file of found)
		if (file instanceof LocalSocket)
			file.eachRights((rights) => {
				for (const each of rights.files) found.add(each);
			});
	return found;
}

test("whatever is sent, received and closed, what can be reached is open and nothing else", () => {
	const step = fc.record({
		act: fc.constantFrom("pair", "pair", "listen", "dial", "pass", "pass", "pass", "take", "close"),
		at: fc.nat(999),
		fds: fc.array(fc.nat(999), { minLength: 1, maxLength: 3 }),
		settles: fc.boolean(),
	});
	fc.assert(
		fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
			const { thread, host, process, kernel } = machine();
			const files = new Set<File>();
			const opened = (...fds: number[]): void => {
				for (const fd of fds) files.add(getFile(thread, fd, "test"));
			};
			for (const { act, at, fds, settles } of steps) {
				const open = [...process.fdp.open()];
				const pick = (n: number): number => open[n % open.length] ?? -1;
				codeOf(() => {
					if (act === "pair") opened(...socketpair(thread, TYPES[at % 3] ?? "stream"));
					else if (act === "pass") pass(thread, pick(at), ...fds.map(pick));
					else if (act === "take") take(thread, pick(at));
					else if (act === "close") close(thread, pick(at));
					else {
						const so = socket(thread, "local", "stream");
						opened(so);
						if (act === "listen") bind(thread, so, "name");
						if (act === "listen") listen(thread, so, 2);
						else connectNow(thread, so, "name");
						pass(thread, so, so, ...fds.map(pick));
					}
				});
				if (!settles) continue;
				host.settle();
				const found = reachable(thread);
				for (const file of files) assert.is(file.refs > 0, found.has(file));
			}
			exit(thread, 0);
			host.settle();
			const { account } = process;
			const charged = [account.bytes, account.files, account.inflight, account.packets];
			const counts = charged.map((quota) => quota.used);
			assert.equal([inFlightOf(kernel).count, ...counts], [0, 0, 0, 0, 0]);
			for (const file of files) assert.is(file.refs, 0);
		}),
		{ numRuns: 60 },
	);
});

test.run();

// Ten thousand pipes and a hundred threads of several processes, in virtual time: every byte
// arrives, the same seed makes the same run, and nothing is left at the end.
import { createHash } from "node:crypto";
import { FdSet, POLLIN, POLLOUT, poll, select } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EVFILT_PROC,
	EVFILT_READ,
	eventList,
	exit,
	fork,
	Kernel,
	kevent,
	keventNow,
	kqueue,
	NOTE_EXIT,
	type Process,
	read,
	readNow,
	type Thread,
	waitpidNow,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import type { File, TraceEvent } from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { closefrom } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../src/index.ts";
import { codeOf, outcome } from "./machine.ts";
import { KINDS, type Kind, NOTHING, remains, scatter } from "./streams-world.ts";

const PIPES = 10_000;
/** How many pipes, the first ones, are busy, and their bytes; the others carry a short message. */
const BUSY = 100;
const BYTES = 1_000_000;
const MESSAGE = 64;

/** How many threads write, and how many read with each way to wait; one more starts everything. */
const WRITERS = 50;
const READERS = { kevent: 14, poll: 2, select: 2, read: 31 } as const;
/** The first pipes are each read by a thread of its own that sleeps in read, and by no other. */
const OWN = READERS.read;
/** How many read ends one poll watches, and one select. */
const POLLED = 4000;
const SELECTED = 3000;

/** Longer than anything takes. */
const HOUR = { sec: 3600, nsec: 0 };

/** The most bytes that one call moves. */
const MAX_SIZE = 40_000;
/** A pipe carries these bytes, over and over, from some place on. */
const PERIOD = 65_521;
const PATTERN = Uint8Array.from({ length: PERIOD + MAX_SIZE }, (_, i) => scatter(0, i % PERIOD));

/** The pipes are made first, so that a descriptor tells which pipe it is, in all processes. */
const readEnd = (which: number): number => 2 * which;
const writeEnd = (which: number): number => 2 * which + 1;
const pipeOf = (fd: number): number => fd >> 1;

/** What a child process does. */
interface Role {
	readonly threads: number;
	/** The descriptors that it needs. */
	readonly needs: (fd: number) => boolean;
	/** What its threads share. */
	readonly begin?: (main: Thread) => void;
	/** What each of its threads does. */
	readonly thread: (thread: Thread, index: number) => Promise<void>;
}

/** One run: a machine, its program, and what has come through the pipes. */
class Run {
	readonly host = new VirtualHost();
	readonly kernel: Kernel;
	readonly processes: Process[] = [];
	readonly files: File[] = [];
	readonly sent: number[] = new Array<number>(PIPES).fill(0);
	readonly received: number[] = new Array<number>(PIPES).fill(0);
	readonly totals: readonly number[];
	private readonly hash = createHash("sha1");
	private lines = "";
	private readonly scratch = new Uint8Array(MAX_SIZE);
	/** The calls that a thread slept in. */
	readonly slept: Set<string> = new Set();
	private state: number;

	constructor(seed: number) {
		this.state = seed;
		// Without diagnostics: to check thousands of ready knotes at each step takes too long.
		this.kernel = new Kernel({
			host: this.host,
			maxfiles: 2 * PIPES + 1,
			sink: (event) => this.trace(event),
		});
		this.totals = this.sent.map((_, i) => (i < BUSY ? BYTES : 1 + this.random(MESSAGE)));
	}

	/** What identifies the trace. */
	digest(): string {
		return this.hash.update(this.lines, "latin1").digest("hex");
	}

	/** The first process: makes the pipes and the others, and waits until these have exited. */
	async main(): Promise<void> {
		const { main } = this.adopt(this.kernel.spawn());
		for (let i = 0; i < PIPES; i++) {
			const fds = pipe(main);
			assert.equal(fds, [readEnd(i), writeEnd(i)]);
			for (const fd of fds) this.files.push(main.process.fdp.get(fd) as File);
		}
		const writers = this.writerRoles().map((role) => ({ role, process: this.fork(main) }));
		// Only the writers keep the write ends.
		for (const which of this.sent.keys()) close(main, writeEnd(which));
		const readers = this.readerRoles().map((role) => ({ role, process: this.fork(main) }));
		closefrom(main, 0);
		const children = [...writers, ...readers];
		const kq = kqueue(main);
		const what = { filter: EVFILT_PROC, flags: EV_ADD, fflags: NOTE_EXIT };
		const changes = children.map(({ process }) => ({ ident: process.pid, ...what }));
		keventNow(main, kq, changes, null);
		const running = children.map(({ role, process }) => this.child(process, role));
		await Promise.all([this.reap(main, kq, children.length), ...running]);
		exit(main, 0);
	}

	/** Waits until that many children have exited. */
	private async reap(main: Thread, kq: number, children: number): Promise<void> {
		const events = eventList(children);
		for (let left = children; left > 0; ) {
			const n = await kevent(main, kq, null, events, null);
			for (const { ident } of events.slice(0, n))
				assert.equal(waitpidNow(main, ident), { pid: ident, status: 0 });
			left -= n;
		}
	}

	private writerRoles(): Role[] {
		return [0, 1].map((half) => ({
			threads: WRITERS / 2,
			needs: (fd) => fd === writeEnd(pipeOf(fd)) && pipeOf(fd) % 2 === half,
			thread: (thread, index) => this.writer(thread, 2 * index + half),
		}));
	}

	private readerRoles(): Role[] {
		return [
			this.keventRole(),
			{
				threads: READERS.poll,
				needs: () => true,
				thread: (thread, index) => this.pollReader(thread, index),
			},
			{
				threads: READERS.select,
				needs: () => true,
				thread: (thread, index) => this.selectReader(thread, index),
			},
			{
				threads: READERS.read,
				needs: (fd) => pipeOf(fd) < OWN,
				thread: (thread, index) => this.reader(thread, readEnd(index)),
			},
		];
	}

	/** A child: its threads do their work, and then it exits. */
	private async child(process: Process, role: Role): Promise<void> {
		const { main } = process;
		for (const fd of [...process.fdp.open()]) if (!role.needs(fd)) close(main, fd);
		role.begin?.(main);
		const threads = [main];
		while (threads.length < role.threads) threads.push(process.spawnThread());
		await Promise.all(threads.map((thread, i) => role.thread(thread, i)));
		exit(main, 0);
	}

	private fork(main: Thread): Process {
		return this.adopt(fork(main));
	}

	private adopt(process: Process): Process {
		this.processes.push(process);
		return process;
	}

	// Writing.

	/** Writes the bytes of some of the pipes, and closes each when all are written, or read. */
	private async writer(thread: Thread, index: number): Promise<void> {
		const left = [...this.sent.keys()].filter((which) => which % WRITERS === index);
		const kept: number[] = [];
		while (left.length > 0) {
			const choice = this.random(10);
			if (choice === 0) await this.pause(thread, 20);
			else if (choice < 4) await this.writeWhereRoom(thread, left);
			else {
				// The busy ones are first.
				const which = left[this.random(choice < 7 ? Math.min(2, left.length) : left.length)];
				await this.write(thread, which as number);
			}
			for (const which of left.filter((each) => this.sent[each] === this.totals[each])) {
				if (this.random(2) === 0) close(thread, writeEnd(which));
				else kept.push(which);
				left.splice(left.indexOf(which), 1);
			}
		}
		while (kept.some((which) => this.received[which] !== this.totals[which]))
			await this.pause(thread, 1000);
		for (const which of kept) close(thread, writeEnd(which));
	}

	private async write(thread: Thread, which: number): Promise<void> {
		const bytes = this.next(which);
		assert.is(await write(thread, writeEnd(which), bytes), bytes.length);
		this.sent[which] = (this.sent[which] as number) + bytes.length;
	}

	/** Waits until one of several pipes has room, and writes without sleeping. */
	private async writeWhereRoom(thread: Thread, left: readonly number[]): Promise<void> {
		const entries = left
			.slice(0, 1 + this.random(4))
			.map((which) => ({ fd: writeEnd(which), events: POLLOUT, revents: 0 }));
		await poll(thread, entries, -1);
		for (const { fd } of entries.filter(({ revents }) => revents !== 0)) {
			const which = pipeOf(fd);
			const n = writeNow(thread, fd, this.next(which));
			assert.ok(n > 0);
			this.sent[which] = (this.sent[which] as number) + n;
		}
	}

	/** The next bytes to be written. */
	private next(which: number): Uint8Array {
		const sent = this.sent[which] as number;
		return pattern(which, sent, Math.min(this.size(), (this.totals[which] as number) - sent));
	}

	// Reading.

	/** Sleeps in read. */
	private async reader(thread: Thread, fd: number): Promise<void> {
		const buffer = new Uint8Array(MAX_SIZE);
		for (;;) {
			const n = await read(thread, fd, buffer.subarray(0, this.size()));
			this.took(pipeOf(fd), buffer.subarray(0, n));
			if (n === 0) return;
			if (this.random(5) === 0) await this.pause(thread, 20);
		}
	}

	/**
	 * Threads that sleep in kevent, on one kqueue that watches all pipes. For pipes with a reader of
	 * their own they only notice the end.
	 */
	private keventRole(): Role {
		let kq = -1;
		const open = new Set(this.sent.keys());
		const all = [...open].map((which) => ({
			ident: readEnd(which),
			filter: EVFILT_READ,
			flags: which < OWN ? EV_ADD | EV_CLEAR : EV_ADD,
		}));
		return {
			threads: READERS.kevent,
			needs: () => true,
			begin: (main) => {
				kq = kqueue(main);
				keventNow(main, kq, all, null);
			},
			thread: (thread) => this.keventReader(thread, kq, open),
		};
	}

	private async keventReader(thread: Thread, kq: number, open: Set<number>): Promise<void> {
		const events = eventList(1 + this.random(32));
		while (open.size > 0) {
			const n = await outcome(kevent(thread, kq, null, events, HOUR));
			// Another thread closed it: all pipes are at their end.
			if (n === "EBADF") return;
			assert.is.not(n, 0, "after an hour some thread sleeps without a reason");
			for (const { ident, flags } of events.slice(0, n as number)) {
				const which = pipeOf(ident);
				// Another thread may have read in between.
				if (!open.has(which)) continue;
				const left = which < OWN ? (flags & EV_EOF) === 0 : this.readNow(thread, ident);
				if (left) continue;
				close(thread, ident);
				open.delete(which);
				if (open.size === 0) close(thread, kq);
			}
			if (this.random(10) === 0) await this.pause(thread, 10);
		}
	}

	/** Sleeps in poll, over thousands of pipes. */
	private async pollReader(thread: Thread, index: number): Promise<void> {
		const entries = some(index / READERS.poll, POLLED).map((which) => ({
			fd: readEnd(which),
			events: POLLIN,
			revents: 0,
		}));
		for (let left = entries.length; left > 0; ) {
			const n = await poll(thread, entries, -1);
			const ready = entries.filter(({ revents }) => revents !== 0);
			assert.is(n, ready.length);
			for (const entry of ready) {
				if (this.readNow(thread, entry.fd) !== 0) continue;
				entry.fd = -1;
				left--;
			}
			if (this.random(3) !== 0) await this.pause(thread, 200);
		}
	}

	/** Sleeps in select, over thousands of pipes. */
	private async selectReader(thread: Thread, index: number): Promise<void> {
		const watched = new FdSet(some(index / READERS.select, SELECTED).map(readEnd), 2 * PIPES);
		for (let left = SELECTED; left > 0; ) {
			const readfds = watched.copy();
			const n = await select(thread, 2 * PIPES, readfds, null, null, null);
			const ready = [...readfds];
			assert.is(n, ready.length);
			for (const fd of ready) {
				if (this.readNow(thread, fd) !== 0) continue;
				watched.clear(fd);
				left--;
			}
			if (this.random(3) !== 0) await this.pause(thread, 200);
		}
	}

	/** Reads what there is; returns how many bytes, or -1 when another thread was faster. */
	private readNow(thread: Thread, fd: number): number {
		const buffer = this.scratch.subarray(0, this.size());
		let n = -1;
		const code = codeOf(() => {
			n = readNow(thread, fd, buffer);
		});
		assert.is(code, n < 0 ? "EAGAIN" : "no error");
		if (n >= 0) this.took(pipeOf(fd), buffer.subarray(0, n));
		return n;
	}

	/** Bytes have arrived, or with an empty chunk the end. */
	private took(which: number, bytes: Uint8Array): void {
		const received = this.received[which] as number;
		const expected = pattern(which, received, bytes.length);
		const same = Buffer.compare(bytes, expected) === 0;
		assert.ok(same, `pipe ${which} from byte ${received} on, ${bytes.length} bytes`);
		this.received[which] = received + bytes.length;
		if (bytes.length === 0) assert.is(received, this.totals[which], "the end comes last");
	}

	// Random numbers and time.

	/** A number from 0 up to `below`, from a generator that begins with the seed. */
	private random(below: number): number {
		this.state = (this.state + 0x6d2b79f5) | 0;
		return (scatter(this.state, 0) >>> 0) % below;
	}

	/** How many bytes a call moves at most. */
	private size(): number {
		return 1 + this.random([600, 8192, MAX_SIZE, MAX_SIZE][this.random(4)] as number);
	}

	/** Sleeps for some milliseconds. */
	private async pause(thread: Thread, below: number): Promise<void> {
		assert.is(await poll(thread, [], 1 + this.random(below)), 0);
	}

	private trace(to: TraceEvent): void {
		if (to.call !== undefined) this.slept.add(to.call);
		const what =
			to.knote ??
			`${to.ident} ${to.filter} ${to.flags} ${to.error} ${to.thread} ${to.call} ${to.pid} ${to.fd}`;
		this.lines += `${to.time} ${to.event} ${to.kq} ${what}\n`;
		if (this.lines.length < 65_536) return;
		this.hash.update(this.lines, "latin1");
		this.lines = "";
	}
}

/** What a pipe carries from a byte on. */
function pattern(which: number, from: number, n: number): Uint8Array {
	const start = (which * 6007 + from) % PERIOD;
	return PATTERN.subarray(start, start + n);
}

/**
 * That many pipes, beginning at a fraction of all; without those that have a reader of their own.
 */
function some(part: number, n: number): number[] {
	return Array.from({ length: n }, (_, i) => OWN + Math.floor(part * PIPES) + i);
}

/** Runs the program; checks that all arrived and nothing is left; returns the trace's digest. */
async function digestOf(seed: number): Promise<string> {
	const run = new Run(seed);
	await run.host.run(() => run.main());
	assert.equal(run.sent, run.totals);
	assert.equal(run.received, run.totals);
	assert.equal([...run.slept].sort(), ["kevent", "poll", "read", "select", "write"]);
	assert.is(run.kernel.nthreads, 100);
	const kind = KINDS[0] as Kind;
	const ends = run.files.map((file) => ({ kind, file }));
	assert.is(ends.length, 2 * PIPES);
	assert.equal(remains(run.kernel, run.processes, ends), NOTHING);
	checkRoom(run.kernel);
	return run.digest();
}

/** Checks that the large buffers, of which a kernel has 32, can be used again. */
function checkRoom(kernel: Kernel): void {
	const { main } = kernel.spawn();
	const taken = Array.from({ length: 33 }, () => writeNow(main, pipe(main)[1], PATTERN));
	assert.equal(taken, [...new Array<number>(32).fill(65_536), 16_384]);
	exit(main, 0);
}

let first: Promise<string> | null = null;

test("a million bytes through each of a hundred among ten thousand pipes", async () => {
	first = digestOf(1);
	assert.is((await first).length, 40);
});

test("the same seed makes the same trace, another seed another", async () => {
	const [one, same, other] = [await (first ?? digestOf(1)), await digestOf(1), await digestOf(2)];
	assert.is(one, same);
	assert.is.not(one, other);
});

test.run();

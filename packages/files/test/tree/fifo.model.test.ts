// Random programs over a fifo against a naive model: its open files, and a list of bytes.
import { POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, poll } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	EV_ADD,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	fcntl,
	interrupt,
	ioctl,
	keventNow,
	read,
	readNow,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../../src/shared/vnode-flags.ts";
import { open } from "../../src/tree/open-calls.ts";
import { revoke } from "../../src/tree/revoke-calls.ts";
import { checkMachine, codeOf, outcome, revents, selected } from "../machine.ts";
import { traces, type World, world } from "./fifo-world.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const SIZE = 8192;

/** An open file of the model. */
interface OpenFile {
	readonly reads: boolean;
	readonly writes: boolean;
	nonblocking: boolean;
	/** Its descriptors, and the calls that sleep on it. */
	refs: number;
	revoked: boolean;
}

/** A call that sleeps, and what it waits to do. */
interface Sleeper {
	readonly kind: "open" | "read" | "write";
	readonly thread: Thread;
	readonly result: Promise<unknown>;
	readonly file: OpenFile;
	/** The rest that a write has to write; the buffer of a read. */
	readonly buffer: Uint8Array;
	/** How much of it is done. */
	done: number;
	/** Whether the other side came while it slept in an open. */
	met: boolean;
}

/** The fifo, as simple as possible: its bytes, and its open files. */
class Model {
	bytes: number[] = [];
	files: OpenFile[] = [];
	eof = false;

	count(side: "reads" | "writes"): number {
		return this.files.filter((file) => file[side]).length;
	}

	/** Whether an open waits, or the error with which it fails. */
	refusal(file: OpenFile): "EAGAIN" | "ENXIO" | null {
		if (file.reads && file.writes) return null;
		if (this.count(file.reads ? "writes" : "reads") > 0) return null;
		if (!file.nonblocking) return "EAGAIN";
		return file.reads ? null : "ENXIO";
	}

	/** Opens a file, which wakes the opens of the other side. */
	enter(file: OpenFile, sleepers: readonly Sleeper[]): void {
		const before = { reads: this.count("reads"), writes: this.count("writes") };
		this.files.push(file);
		if (file.writes) this.eof = false;
		for (const sleeper of sleepers) {
			const other = sleeper.file.reads ? "writes" : "reads";
			if (sleeper.kind === "open" && file[other] && before[other] === 0) sleeper.met = true;
		}
	}

	/** Takes a reference from a file, and closes it with the last. */
	release(file: OpenFile): void {
		if (--file.refs > 0 || file.revoked) return;
		this.files.splice(this.files.indexOf(file), 1);
		if (file.writes && this.count("writes") === 0) this.eof = true;
		if (this.files.length > 0) return;
		this.bytes = [];
		this.eof = false;
	}

	revoke(): void {
		for (const file of this.files) file.revoked = true;
		this.files = [];
		this.bytes = [];
		this.eof = false;
	}

	/** Reads: how many bytes, a code, or null when it would have to wait. */
	read(file: OpenFile, into: Uint8Array, nonblocking = file.nonblocking): number | string | null {
		if (file.revoked) return "EIO";
		const taken = this.bytes.splice(0, into.length);
		into.set(taken);
		if (taken.length > 0 || into.length === 0 || this.eof) return taken.length;
		if (!nonblocking) return null;
		return this.count("writes") === 0 ? 0 : "EAGAIN";
	}

	/** Writes what fits: how many bytes, a code, or null when it would have to wait. */
	write(file: OpenFile, from: Uint8Array, nonblocking = file.nonblocking): number | string | null {
		if (file.revoked) return "EIO";
		if (this.count("reads") === 0) return "EPIPE";
		const room = SIZE - this.bytes.length;
		if (room < from.length && room < 512) return nonblocking ? "EAGAIN" : null;
		this.bytes.push(...from.subarray(0, room));
		return Math.min(from.length, room);
	}

	readable(file: OpenFile): boolean {
		return file.revoked || (file.reads && (this.eof || this.bytes.length > 0));
	}

	writable(file: OpenFile): boolean {
		if (file.revoked) return true;
		return file.writes && (this.count("reads") === 0 || SIZE - this.bytes.length >= 512);
	}

	revents(file: OpenFile, events: number): number {
		if (file.revoked) return (events & POLLIN) | POLLHUP;
		const bits = (this.readable(file) ? POLLIN : 0) | (this.writable(file) ? POLLOUT : 0);
		return (bits & events) | (this.eof ? POLLHUP : 0);
	}

	/** What kevent reports for a descriptor. */
	events(fd: number, file: OpenFile): number[][] {
		const all: number[][] = [];
		const held = this.bytes.length;
		if (this.readable(file)) all.push([fd, EVFILT_READ, EV_ADD | (this.eof ? EV_EOF : 0), 0, held]);
		const alone = this.count("reads") === 0;
		if (this.writable(file))
			all.push([fd, EVFILT_WRITE, EV_ADD | (alone ? EV_EOF : 0), 0, SIZE - held]);
		return all;
	}
}

/** The machine and its model. */
class Pair {
	private readonly world: World = world();
	private readonly model = new Model();
	private readonly fds: Map<number, OpenFile> = new Map();
	private sleepers: Sleeper[] = [];
	private poller: { fd: number; events: number; thread: Thread; result: Promise<unknown> } | null =
		null;
	/** What kevent has yet to report for descriptors that were revoked. */
	private last: number[][] = [];
	private next = 0;

	/** One of the descriptors, if possible one of those that can do the operation. */
	private fdAt(which: number, side?: "reads" | "writes"): number | undefined {
		const all = [...this.fds.keys()];
		const able = all.filter((fd) => side === undefined || this.fds.get(fd)?.[side]);
		const choice = able.length > 0 ? able : all;
		return choice[which % Math.max(1, choice.length)];
	}

	private adopt(fd: number, file: OpenFile): void {
		let lowest = 1;
		while (this.fds.has(lowest)) lowest++;
		assert.is(fd, lowest);
		this.fds.set(fd, file);
		const { thread, kq } = this.world;
		for (const filter of [EVFILT_READ, EVFILT_WRITE]) {
			const can = file.revoked || (filter === EVFILT_READ ? file.reads : file.writes);
			const changes = [{ ident: fd, filter, flags: EV_ADD }];
			assert.is(keventNow(thread, kq, changes, can ? null : eventList(1)), can ? 0 : 1);
			if (file.revoked) this.last.push([fd, filter, EV_ADD | EV_EOF | EV_ONESHOT, 0, 0]);
		}
	}

	/** Remembers a call that sleeps, or compares the result of one that does not. */
	private async expect(
		kind: Sleeper["kind"],
		thread: Thread,
		result: Promise<unknown>,
		file: OpenFile,
		buffer: Uint8Array,
		expected: number | string | null,
		done = 0,
	): Promise<void> {
		assert.is(thread.state === "asleep", expected === null);
		if (expected !== null) assert.is(await result, expected);
		else {
			if (kind !== "open") file.refs++;
			this.sleepers.push({ kind, thread, result, file, buffer, done, met: false });
		}
	}

	async open(flags: number, sleeps: boolean): Promise<void> {
		const { tree, process } = this.world;
		const reads = (flags & 3) !== O_WRONLY;
		const writes = (flags & 3) !== O_RDONLY;
		const nonblocking = (flags & O_NONBLOCK) !== 0;
		const file: OpenFile = { reads, writes, nonblocking, refs: 1, revoked: false };
		const refusal = this.model.refusal(file);
		if (refusal === null || (sleeps && refusal === "EAGAIN")) this.model.enter(file, this.sleepers);
		if (!sleeps) {
			const result = result1(() => this.world.open(flags));
			if (refusal === null) this.adopt(result as number, file);
			else assert.is(result, refusal);
			return;
		}
		const thread = process.spawnThread();
		const result = outcome(open(thread, tree, "p", flags));
		if (refusal === null) this.adopt((await result) as number, file);
		else {
			const expected = refusal === "EAGAIN" ? null : refusal;
			await this.expect("open", thread, result, file, new Uint8Array(0), expected);
		}
	}

	close(which: number): void {
		const fd = this.fdAt(which);
		if (fd === undefined) return;
		const file = this.fds.get(fd) as OpenFile;
		close(this.world.thread, fd);
		this.fds.delete(fd);
		this.last = this.last.filter(([ident]) => ident !== fd);
		this.model.release(file);
	}

	dup(which: number): void {
		const fd = this.fdAt(which);
		if (fd === undefined || this.fds.size > 20) return;
		const file = this.fds.get(fd) as OpenFile;
		file.refs++;
		this.adopt(dup(this.world.thread, fd), file);
	}

	/** A call that sleeps on the file does not notice: what counts is how it began. */
	setFlags(which: number, nonblocking: boolean): void {
		const fd = this.fdAt(which);
		if (fd === undefined) return;
		const file = this.fds.get(fd) as OpenFile;
		if (file.revoked) return;
		file.nonblocking = nonblocking;
		fcntl(this.world.thread, fd, F_SETFL, nonblocking ? O_NONBLOCK : 0);
	}

	async read(which: number, n: number, sleeps: boolean): Promise<void> {
		const fd = this.fdAt(which, "reads");
		if (fd === undefined || this.isBusy("read")) return;
		const file = this.fds.get(fd) as OpenFile;
		const buffer = new Uint8Array(n);
		const model = new Uint8Array(n);
		const expected = file.reads ? this.model.read(file, model) : "EBADF";
		if (!sleeps) {
			const result = result1(() => readNow(this.world.thread, fd, buffer));
			assert.is(result, expected ?? "EAGAIN");
		} else {
			const thread = this.world.process.spawnThread();
			const result = outcome(read(thread, fd, buffer));
			await this.expect("read", thread, result, file, buffer, expected);
		}
		if (expected !== null) assert.equal(buffer, model);
	}

	async write(which: number, n: number, sleeps: boolean): Promise<void> {
		const fd = this.fdAt(which, "writes");
		if (fd === undefined || this.isBusy("write")) return;
		const file = this.fds.get(fd) as OpenFile;
		const data = Uint8Array.from({ length: n }, () => this.next++ & 0xff);
		const expected = file.writes ? this.model.write(file, data) : "EBADF";
		if (!sleeps) {
			const result = result1(() => writeNow(this.world.thread, fd, data));
			assert.is(result, expected ?? "EAGAIN");
			return;
		}
		const thread = this.world.process.spawnThread();
		const result = outcome(write(thread, fd, data));
		const done = typeof expected === "number" ? expected : 0;
		const more = expected === null || (typeof expected === "number" && done < n);
		const waits = more && !file.nonblocking;
		await this.expect("write", thread, result, file, data, waits ? null : expected, done);
	}

	/** One reader and one writer at a time, so that the model does not need their order. */
	private isBusy(kind: Sleeper["kind"]): boolean {
		return this.sleepers.some((sleeper) => sleeper.kind === kind);
	}

	poll(which: number, events: number): void {
		const fd = this.fdAt(which);
		if (fd === undefined || this.poller !== null) return;
		const { reads, revoked } = this.fds.get(fd) as OpenFile;
		// A descriptor that only writes is not asked for POLLIN; if that is all, its close is not
		// reported.
		const heard = reads || revoked ? events : events & ~POLLIN;
		if (heard === 0 && events !== 0) return;
		const thread = this.world.process.spawnThread();
		const entry = { fd, events, revents: 0 };
		const result = poll(thread, [entry], -1).then((n) => [n, entry.revents]);
		this.poller = { fd, events: heard, thread, result };
	}

	async interrupt(which: number): Promise<void> {
		const sleeper = this.sleepers[which % Math.max(1, this.sleepers.length)];
		if (sleeper === undefined) return;
		interrupt(sleeper.thread);
		this.world.host.settle();
		assert.is(await sleeper.result, sleeper.done || "EINTR");
		this.sleepers.splice(this.sleepers.indexOf(sleeper), 1);
		this.model.release(sleeper.file);
	}

	revoke(): void {
		const { thread, tree } = this.world;
		revoke(thread, tree, "p");
		for (const [fd, file] of this.fds) {
			if (file.revoked) continue;
			for (const [filter, can] of [
				[EVFILT_READ, file.reads],
				[EVFILT_WRITE, file.writes],
			] as const)
				if (can) this.last.push([fd, filter, EV_ADD | EV_EOF | EV_ONESHOT, 0, 0]);
		}
		this.model.revoke();
	}

	/** Lets every sleeper that can go on do so, on both sides, and compares. */
	async settle(): Promise<void> {
		const { host } = this.world;
		host.settle();
		for (let again = true; again; ) {
			again = false;
			for (const sleeper of [...this.sleepers]) {
				const result = this.goOn(sleeper);
				if (result === null) continue;
				again = true;
				this.sleepers.splice(this.sleepers.indexOf(sleeper), 1);
				const got = await sleeper.result;
				if (sleeper.kind === "open" && result === 0) this.adopt(got as number, sleeper.file);
				else {
					assert.is(got, result);
					this.model.release(sleeper.file);
				}
			}
		}
		await this.check();
	}

	/** The result of a sleeping call now, 0 for an open; null if it must stay asleep. */
	private goOn(sleeper: Sleeper): number | string | null {
		const { model } = this;
		const { kind, file, buffer } = sleeper;
		if (kind === "open") return file.revoked ? "EIO" : sleeper.met ? 0 : null;
		if (kind === "read") {
			const into = new Uint8Array(buffer.length);
			const n = model.read(file, into, false);
			if (n !== null) assert.equal(buffer, into);
			return n;
		}
		for (;;) {
			const n = model.write(file, buffer.subarray(sleeper.done), false);
			if (typeof n !== "number") return n;
			sleeper.done += n;
			if (sleeper.done === buffer.length) return sleeper.done;
		}
	}

	/** Whether both have the same state, and no call sleeps that could go on. */
	private async check(): Promise<void> {
		const { model, world } = this;
		const { thread, kq } = world;
		for (const { thread } of this.sleepers) assert.is(thread.state, "asleep");
		await this.checkPoller();
		const events = eventList(100);
		const n = keventNow(thread, kq, null, events);
		const reported = events
			.slice(0, n)
			.map(({ ident, filter, flags, fflags, data }) => [ident, filter, flags, fflags, data]);
		const expected = [...this.fds].flatMap(([fd, file]) =>
			file.revoked ? [] : model.events(fd, file),
		);
		assert.equal(reported.sort(byFd), [...expected, ...this.last].sort(byFd));
		this.last = [];
		for (const [fd, file] of this.fds) {
			for (const events of [ALL, POLLOUT, 0])
				assert.equal(revents(thread, events, fd), [model.revents(file, events)]);
			const sets = [model.readable(file), model.writable(file), false];
			assert.equal(selected(thread, fd), sets);
			if (!file.revoked)
				assert.is(ioctl(thread, fd, FIONREAD), file.reads ? model.bytes.length : 0);
		}
		const opening = this.sleepers.filter(({ kind }) => kind === "open").length;
		assert.ok(world.tree.opens.size >= model.files.length - opening);
		assert.equal(traces(world), [model.files.length, model.files.length > 0]);
	}

	private async checkPoller(): Promise<void> {
		if (this.poller === null) return;
		const { fd, events, thread, result } = this.poller;
		const file = this.fds.get(fd);
		const expected = file === undefined ? POLLNVAL : this.model.revents(file, events);
		assert.is(thread.state === "asleep", expected === 0);
		if (expected === 0) return;
		assert.equal(await result, [1, expected]);
		this.poller = null;
	}

	/** Ends all sleeping calls and closes all descriptors: nothing is left. */
	async end(): Promise<void> {
		// The file of an interrupted call goes with it, and pollers may be told of that.
		while (this.sleepers.length > 0) {
			await this.interrupt(0);
			await this.settle();
		}
		while (this.fds.size > 0) this.close(0);
		await this.settle();
		assert.equal(traces(this.world), [0, false]);
		assert.equal([this.world.kernel.sleepers, this.world.kernel.timeouts.size], [0, 0]);
		checkMachine(this.world);
	}
}

function byFd([a = 0, b = 0]: number[], [c = 0, d = 0]: number[]): number {
	return a - c || b - d;
}

/** What a call returns, or the code of what it throws. */
function result1(call: () => number): number | string {
	let result = 0;
	const code = codeOf(() => {
		result = call();
	});
	return code === "no error" ? result : (code as string);
}

const which = fc.nat(9);
const n = fc.oneof(fc.nat(3), fc.nat(600), fc.nat(12_000), fc.constantFrom(512, 7680, 7681, 8192));
const sleeps = fc.boolean();
const NB = O_NONBLOCK;
const flags = fc.oneof(
	{ weight: 3, arbitrary: fc.constantFrom(O_RDONLY | NB, O_WRONLY) },
	{ weight: 2, arbitrary: fc.constantFrom(O_RDONLY, O_WRONLY | NB) },
	{ weight: 1, arbitrary: fc.constantFrom(O_RDWR, O_RDWR | NB) },
);
const events = fc.constantFrom(0, POLLIN, POLLOUT, ALL);

const command = fc.oneof(
	{ weight: 16, arbitrary: fc.record({ op: fc.constant("open" as const), flags, sleeps }) },
	{
		weight: 20,
		arbitrary: fc.record({
			op: fc.constantFrom("read" as const, "write" as const),
			which,
			n,
			sleeps,
		}),
	},
	{ weight: 16, arbitrary: fc.record({ op: fc.constant("close" as const), which }) },
	{ weight: 5, arbitrary: fc.record({ op: fc.constant("poll" as const), which, events }) },
	{ weight: 2, arbitrary: fc.record({ op: fc.constant("fcntl" as const), which, on: sleeps }) },
	{
		weight: 2,
		arbitrary: fc.record({
			op: fc.constantFrom("dup" as const, "interrupt" as const),
			which,
		}),
	},
	{ weight: 1, arbitrary: fc.record({ op: fc.constant("revoke" as const) }) },
);

type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

function perform(pair: Pair, c: Command): void | Promise<void> {
	switch (c.op) {
		case "open":
			return pair.open(c.flags, c.sleeps);
		case "read":
			return pair.read(c.which, c.n, c.sleeps);
		case "write":
			return pair.write(c.which, c.n, c.sleeps);
		case "poll":
			return pair.poll(c.which, c.events);
		case "fcntl":
			return pair.setFlags(c.which, c.on);
		case "close":
			return pair.close(c.which);
		case "dup":
			return pair.dup(c.which);
		case "interrupt":
			return pair.interrupt(c.which);
		case "revoke":
			return pair.revoke();
	}
}

test("opens, closes, reads, writes, polls and kevents of a fifo do what the model does", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(command, { minLength: 10, maxLength: 80, size: "max" }),
			async (commands) => {
				const pair = new Pair();
				for (const c of commands) {
					await perform(pair, c);
					await pair.settle();
				}
				await pair.end();
			},
		),
		{ numRuns: 250 },
	);
});

test.run();

// Random programs over raw ptys, against a naive model of two streams of bytes.
import { FdSet, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, poll, select } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	exit,
	fcntl,
	fork,
	interrupt,
	ioctl,
	kevent,
	keventNow,
	kqueue,
	type Process,
	read,
	readNow,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import type { File } from "@kqpoll/kqueue/kernel";
import { SIG_BLOCK, SIG_UNBLOCK, SIGUSR1, sigset, threadKill } from "@kqpoll/kqueue/signal";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openDevice } from "../../src/device/device-calls.ts";
import { openpty, ptsname } from "../../src/tty/pty-calls.ts";
import { cfmakeraw, TTYDEF, VMIN, VTIME } from "../../src/tty/termios.ts";
import { tcdrain, tcflush, tcsetattrNow } from "../../src/tty/tty-calls.ts";
import {
	TCIFLUSH,
	TCIOFLUSH,
	TCOFLUSH,
	TCSANOW,
	TIOCSTART,
	TIOCSTI,
	TIOCSTOP,
} from "../../src/tty/tty-constants.ts";
import { checkMachine, type Machine, machine, outcome, revents, selected } from "../machine.ts";
import { count } from "./tty-world.ts";

const RAW = cfmakeraw(TTYDEF);
const QUEUE = 8192;
/** A write goes on while there is no more output than this. */
const HIWAT = 7992;
/** A piece of output. */
const OBUFSIZ = 512;
const MS = 1e6;

/** An open file of either end. */
interface OpenFile {
	readonly end: "master" | "slave";
	nonblocking: boolean;
	/** Its descriptors, and the calls that sleep on it. */
	refs: number;
}

/** A descriptor: its process, its number, and its open file. */
interface Handle {
	readonly process: Process;
	readonly fd: number;
	readonly file: OpenFile;
}

/** The immediate result of a call: a count, a code, or null when it would have to wait. */
type Answer = number | string | null;

/** A pty in raw mode as two streams of bytes. */
class Streams {
	now = 0;
	/** From the slave to the master, and back. */
	up: number[] = [];
	down: number[] = [];
	vmin = 1;
	vtime = 0;
	lastInput = 0;
	lastChange = 0;
	stopped = false;
	/** Whether the master threw output away, of which the slave's threads are not told. */
	quiet = false;
	/** Whether the master is open. */
	controlled = true;
	/** The open slaves. */
	slaves = 0;
	/** Whether a slave is open, or was open and its output is not read yet. */
	open = false;
	/** Whether the slaves were never all closed, or one was opened again. */
	carrier = true;

	openSlave(): void {
		this.slaves++;
		if (!this.open) this.vmin = this.vtime = 0;
		this.open = true;
		this.carrier = true;
	}

	close(file: OpenFile): void {
		if (--file.refs > 0) return;
		if (file.end === "master") {
			this.controlled = false;
			this.carrier = false;
			this.flush(true, true);
			return;
		}
		this.slaves--;
		if (this.slaves === 0 && file.nonblocking) this.up = [];
		this.maybeHangUp();
	}

	/** The last slave is closed, and its output will not be read. */
	private maybeHangUp(): void {
		if (!this.open || this.slaves > 0 || (this.up.length > 0 && this.controlled)) return;
		this.open = false;
		this.carrier = false;
		this.flush(true, true);
	}

	flush(input: boolean, output: boolean): void {
		if (input) this.down = [];
		if (output) {
			this.up = [];
			this.stopped = false;
			this.quiet = false;
		}
		this.maybeHangUp();
	}

	/** Settings made at the master drop the output silently. */
	set(end: OpenFile["end"], vmin: number, vtime: number): void {
		this.vmin = vmin;
		this.vtime = vtime;
		this.lastChange = this.now;
		if (end === "slave") return;
		this.up = [];
		this.quiet = true;
		this.maybeHangUp();
	}

	read({ end }: OpenFile, n: number, late = false): number[] | null {
		if (n === 0) return [];
		if (end === "master") {
			if (this.open && this.up.length > 0 && !this.stopped) {
				const taken = this.up.splice(0, n);
				if (this.up.length <= 256) this.quiet = false;
				this.maybeHangUp();
				return taken;
			}
			return this.carrier ? null : [];
		}
		if (!this.controlled) return [];
		return this.enough(late) ? this.down.splice(0, n) : null;
	}

	private enough(late: boolean): boolean {
		const { length } = this.down;
		if (this.vtime === 0) return length >= this.vmin;
		if (this.vmin === 0) return length > 0 || late;
		return length > 0 && (length >= this.vmin || late);
	}

	/** The end of the sleep of a reader that began at this time. */
	deadline({ end }: OpenFile, since: number): number {
		if (end === "master" || this.vtime === 0) return Number.POSITIVE_INFINITY;
		const time = this.vtime * 100 * MS;
		const from = Math.max(since, this.lastChange);
		if (this.vmin === 0) return from + time;
		return this.down.length === 0
			? Number.POSITIVE_INFINITY
			: Math.max(from, this.lastInput) + time;
	}

	/** Takes in what is left of the bytes of a write; null when there is no room for any. */
	write({ end }: OpenFile, data: Uint8Array, done: number): Answer {
		if (end === "slave" && !this.controlled) return "EIO";
		if (end === "master" && !this.open) return this.carrier ? null : "EIO";
		if (data.length === 0) return 0;
		if (end === "master") {
			const room = Math.max(0, QUEUE - 2 - this.down.length);
			return this.type(data.subarray(done, done + room)) || null;
		}
		let at = done;
		while (at < data.length && this.up.length <= HIWAT) {
			const piece = data.subarray(at, at - (at % OBUFSIZ) + OBUFSIZ);
			const fits = piece.subarray(0, QUEUE - this.up.length);
			this.up.push(...fits);
			at += fits.length;
		}
		return at - done || null;
	}

	/** Any byte lets output go on: cfmakeraw leaves IXANY. */
	type(data: Uint8Array): number {
		if (data.length === 0) return 0;
		this.down.push(...data);
		this.lastInput = this.now;
		this.stopped = false;
		return data.length;
	}

	get drained(): boolean {
		return this.up.length === 0 || !this.controlled;
	}

	/** How many bytes FIONREAD and kevent report at an end. */
	readable({ end }: OpenFile): number {
		if (end === "master") return this.stopped || !this.open ? 0 : this.up.length;
		const { length } = this.down;
		return length < this.vmin && this.vtime === 0 ? 0 : length;
	}

	/** How much room kevent reports at an end, 0 when it is not writable. */
	writable({ end }: OpenFile): number {
		if (end === "slave") return this.up.length <= 256 ? QUEUE - this.up.length : 0;
		return this.open && this.down.length < QUEUE - 2 ? QUEUE - this.down.length : 0;
	}

	hungUp({ end }: OpenFile): boolean {
		return end === "master" ? !this.carrier : !this.controlled;
	}

	revents(file: OpenFile, events: number): number {
		const hup = this.hungUp(file);
		const r = hup || this.readable(file) > 0 ? POLLIN : 0;
		const w = !hup && this.writable(file) > 0 ? POLLOUT : 0;
		return ((r | w) & events) | (hup ? POLLHUP : 0);
	}

	selected(file: OpenFile): [boolean, boolean, boolean] {
		const hup = this.hungUp(file);
		return [hup || this.readable(file) > 0, hup || this.writable(file) > 0, false];
	}

	/** What kevent reports for a descriptor. */
	events(fd: number, file: OpenFile): number[][] {
		const hup = this.hungUp(file);
		const r = this.readable(file);
		const w = this.writable(file);
		return [
			...(r > 0 || hup ? [[fd, EVFILT_READ, EV_ADD | (hup ? EV_EOF : 0), 0, r]] : []),
			...(w > 0 ? [[fd, EVFILT_WRITE, EV_ADD, 0, w]] : []),
		];
	}
}

/** A read, a write or a tcdrain that sleeps. */
interface Transfer {
	readonly kind: "read" | "write" | "drain";
	readonly process: Process;
	readonly thread: Thread;
	readonly result: Promise<unknown>;
	readonly file: OpenFile;
	readonly since: number;
	/** What a write writes; the buffer of a read. */
	readonly buffer: Uint8Array;
	done: number;
	/** Whether it was woken for another reason than what it waits for. */
	roused: boolean;
}

/** A poll, a select or a kevent that sleeps. */
interface Watcher {
	readonly kind: "poll" | "select" | "kevent";
	readonly thread: Thread;
	readonly handle: Handle;
	readonly events: number;
	readonly until: number;
	readonly result: Promise<unknown>;
	/** Kevent: whether the descriptor was closed, of which it is not told. */
	deaf: boolean;
	/** Whether it has not been told that the master threw the output away. */
	untold: boolean;
	/** What it could report since the operation, as threads went on one after the other. */
	seen: unknown[];
}

/** A pty, its programs, and the model. */
class Pty {
	private readonly machine: Machine = machine();
	private readonly streams = new Streams();
	private readonly name: "ttyp0";
	private readonly kq: number;
	private handles: Handle[] = [];
	/** Slaves whose knotes for room have not been told that the master threw the output away. */
	private readonly untold: Set<Handle> = new Set();
	private transfers: Transfer[] = [];
	private watchers: Watcher[] = [];
	private next = 0;

	constructor() {
		const { thread, process } = this.machine;
		sigaction(thread, SIGUSR1, () => {});
		const [master, slave] = openpty(thread, RAW);
		this.name = ptsname(thread, master) as "ttyp0";
		this.kq = kqueue(thread);
		this.streams.openSlave();
		this.streams.vmin = 1;
		this.adopt({ process, fd: master, file: { end: "master", nonblocking: false, refs: 0 } });
		this.adopt({ process, fd: slave, file: { end: "slave", nonblocking: false, refs: 0 } });
	}

	private adopt(handle: Handle): void {
		handle.file.refs++;
		this.handles.push(handle);
		const { thread, process } = this.machine;
		if (handle.process !== process) return;
		const changes = [EVFILT_READ, EVFILT_WRITE].map((filter) => ({
			ident: handle.fd,
			filter,
			flags: EV_ADD,
		}));
		keventNow(thread, this.kq, changes, null);
	}

	/** One of the descriptors, of a certain end if that has any. */
	handle(which: number, end?: OpenFile["end"]): Handle | undefined {
		const able = this.handles.filter(({ file }) => end === undefined || file.end === end);
		return able[which % Math.max(1, able.length)];
	}

	private isBusy(kind: Transfer["kind"], end: OpenFile["end"]): boolean {
		return this.transfers.some(({ kind: other, file }) => other === kind && file.end === end);
	}

	/** Remembers a call that sleeps; false when it must not sleep. */
	private sleeps(
		kind: Transfer["kind"],
		handle: Handle,
		thread: Thread,
		result: Promise<unknown>,
		buffer: Uint8Array,
		done = 0,
	): void {
		const { process, file } = handle;
		file.refs++;
		const since = this.streams.now;
		const roused = false;
		this.transfers.push({ kind, process, thread, result, file, since, buffer, done, roused });
	}

	async read({ process, fd, file }: Handle, n: number, sleeps: boolean): Promise<void> {
		if (this.isBusy("read", file.end)) return;
		const buffer = new Uint8Array(n);
		const expected = this.streams.read(file, n);
		if (!sleeps) {
			const result = count(() => readNow(process.main, fd, buffer));
			assert.is(result, expected?.length ?? "EAGAIN");
		} else {
			const thread = process.spawnThread();
			const result = outcome(read(thread, fd, buffer));
			const waits = expected === null && !file.nonblocking;
			assert.is(thread.state === "asleep", waits);
			if (waits) this.sleeps("read", { process, fd, file }, thread, result, buffer);
			else assert.is(await result, expected?.length ?? "EAGAIN");
		}
		if (expected !== null) assert.equal([...buffer.subarray(0, expected.length)], expected);
	}

	async write({ process, fd, file }: Handle, n: number, sleeps: boolean): Promise<void> {
		if (this.isBusy("write", file.end)) return;
		const data = Uint8Array.from({ length: n }, () => this.next++ & 0xff);
		const expected = this.streams.write(file, data, 0);
		if (!sleeps) {
			assert.is(
				count(() => writeNow(process.main, fd, data)),
				expected ?? "EAGAIN",
			);
			return;
		}
		const thread = process.spawnThread();
		const result = outcome(write(thread, fd, data));
		const done = typeof expected === "number" ? expected : 0;
		const waits = expected === null || (typeof expected === "number" && done < n);
		assert.is(thread.state === "asleep", waits && !file.nonblocking);
		if (waits && !file.nonblocking)
			this.sleeps("write", { process, fd, file }, thread, result, data, done);
		else assert.is(await result, expected ?? "EAGAIN");
	}

	async drain(handle: Handle): Promise<void> {
		if (this.isBusy("drain", handle.file.end)) return;
		const thread = handle.process.spawnThread();
		const result = outcome(tcdrain(thread, handle.fd));
		assert.is(thread.state === "asleep", !this.streams.drained);
		if (this.streams.drained) assert.is(await result, 0);
		else this.sleeps("drain", handle, thread, result, new Uint8Array(0));
	}

	dup({ process, fd, file }: Handle): void {
		if (this.handles.length < 12) this.adopt({ process, fd: dup(process.main, fd), file });
	}

	close(handle: Handle): void {
		close(handle.process.main, handle.fd);
		this.forget(handle);
	}

	private forget(handle: Handle): void {
		this.handles.splice(this.handles.indexOf(handle), 1);
		for (const watcher of this.watchers) if (watcher.handle === handle) watcher.deaf = true;
		this.streams.close(handle.file);
	}

	fork({ process }: Handle): void {
		if (this.handles.length >= 12) return;
		const child = fork(process.main);
		for (const { process: parent, fd, file } of [...this.handles])
			if (parent === process) this.adopt({ process: child, fd, file });
	}

	/** A child exits, and its calls with it. */
	async exit({ process }: Handle): Promise<void> {
		if (process === this.machine.process) return;
		exit(process.main, 0);
		const ended = [...this.transfers, ...this.watchers].filter(
			({ thread }) => thread.process === process,
		);
		for (const { result } of ended) assert.is(await result, "EINTR");
		this.watchers = this.watchers.filter(({ thread }) => thread.process !== process);
		this.transfers = this.transfers.filter((transfer) => !ended.includes(transfer));
		for (const { file } of ended as Transfer[]) if (file !== undefined) this.streams.close(file);
		const mine = this.handles.filter((handle) => handle.process === process);
		for (const handle of mine.sort((a, b) => a.fd - b.fd)) this.forget(handle);
	}

	/** Opens the slave by name; the first open after a hang-up makes it raw again. */
	reopen(nonblocking: boolean, vmin: number, vtime: number): void {
		const { thread, process } = this.machine;
		if (this.handles.length >= 12) return;
		const flags = 2 | (nonblocking ? O_NONBLOCK : 0);
		const fd = count(() => openDevice(thread, this.name, flags));
		if (!this.streams.controlled) {
			assert.is(fd, "ENXIO");
			return;
		}
		this.streams.openSlave();
		this.adopt({ process, fd: fd as number, file: { end: "slave", nonblocking, refs: 0 } });
		this.set(
			{ process, fd: fd as number, file: { end: "slave", nonblocking, refs: 1 } },
			vmin,
			vtime,
		);
	}

	set({ process, fd, file }: Handle, vmin: number, vtime: number): void {
		const cc = RAW.cc.map((c, place) => (place === VMIN ? vmin : place === VTIME ? vtime : c));
		tcsetattrNow(process.main, fd, TCSANOW, { ...RAW, cc });
		if (file.end === "master" && this.streams.up.length > 256) {
			for (const each of this.handles) if (each.file.end === "slave") this.untold.add(each);
			for (const each of this.watchers) each.untold = each.handle.file.end === "slave";
		}
		this.streams.set(file.end, vmin, vtime);
	}

	flush({ process, fd }: Handle, queue: number): void {
		tcflush(process.main, fd, queue);
		this.streams.flush(queue !== TCOFLUSH, queue !== TCIFLUSH);
	}

	control({ process, fd }: Handle, command: number): void {
		if (!this.streams.controlled) return;
		const c = this.next++ & 0xff;
		ioctl(process.main, fd, command, c);
		const { streams } = this;
		if (command !== TIOCSTI) streams.stopped = command === TIOCSTOP;
		// Without IMAXBEL bytes for which there is no room flush all the others too.
		else if (streams.down.length >= QUEUE) streams.flush(true, true);
		else streams.type(Uint8Array.of(c));
	}

	/** A call that sleeps on the file does not notice. */
	setFlags({ process, fd, file }: Handle, nonblocking: boolean): void {
		file.nonblocking = nonblocking;
		fcntl(process.main, fd, F_SETFL, nonblocking ? O_NONBLOCK : 0);
	}

	watch(kind: Watcher["kind"], handle: Handle, events: number, ms: number): void {
		if (this.watchers.length >= 3) return;
		const thread = handle.process.spawnThread();
		const until = ms < 0 ? Number.POSITIVE_INFINITY : this.streams.now + ms * MS;
		const { fd } = handle;
		let result: Promise<unknown>;
		if (kind === "poll") {
			const entry = { fd, events, revents: 0 };
			result = outcome(poll(thread, [entry], ms).then((n) => [n, entry.revents]));
		} else if (kind === "select") {
			const sets = [POLLIN, POLLOUT].map((bit) => new FdSet((events & bit) !== 0 ? [fd] : []));
			const timeout = ms < 0 ? null : { sec: 0, usec: ms * 1000 };
			const [r, w] = sets as [FdSet, FdSet];
			result = outcome(
				select(thread, fd + 1, r, w, null, timeout).then((n) => [n, r.has(fd), w.has(fd)]),
			);
		} else {
			const kq = kqueue(thread);
			const change = { ident: fd, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR };
			const list = eventList(1);
			const timeout = ms < 0 ? null : { sec: 0, nsec: ms * MS };
			result = outcome(
				kevent(thread, kq, [change], list, timeout).then((n) => {
					if (thread.state !== "exited") close(thread, kq);
					const { data = 0, flags = 0 } = list[0] ?? {};
					return n === 0 ? [0] : [n, (flags & EV_EOF) !== 0, data > 0];
				}),
			);
		}
		const [deaf, untold, seen] = [false, false, []];
		this.watchers.push({ kind, thread, handle, events, until, result, deaf, untold, seen });
	}

	/** Wakes a sleeper for nothing: a signal is unblocked, and blocked again before it is taken. */
	nudge(which: number): void {
		const all = [...this.transfers, ...this.watchers];
		const chosen = all[which % Math.max(1, all.length)];
		if (chosen === undefined) return;
		const { thread } = chosen;
		if ("done" in chosen) {
			// If it sleeps again, it is the last to be woken.
			chosen.roused = true;
			this.transfers = [...this.transfers.filter((transfer) => transfer !== chosen), chosen];
		}
		const set = sigset(SIGUSR1);
		sigprocmask(thread, SIG_BLOCK, set);
		threadKill(this.machine.thread, thread, SIGUSR1);
		sigprocmask(thread, SIG_UNBLOCK, set);
		sigprocmask(thread, SIG_BLOCK, set);
		assert.is(thread.state, "ready");
	}

	async interrupt(which: number): Promise<void> {
		const all = [...this.transfers, ...this.watchers];
		const chosen = all[which % Math.max(1, all.length)];
		if (chosen === undefined) return;
		interrupt(chosen.thread);
		this.machine.host.settle();
		const done = "done" in chosen ? chosen.done : 0;
		assert.is(await chosen.result, done || "EINTR");
		this.watchers = this.watchers.filter((watcher) => watcher !== chosen);
		if ("done" in chosen) this.ended(chosen);
	}

	private ended(transfer: Transfer): void {
		this.transfers.splice(this.transfers.indexOf(transfer), 1);
		threadExit(transfer.thread);
		this.streams.close(transfer.file);
	}

	/** Lets time pass, and runs what is due in it. */
	async advance(ms: number): Promise<void> {
		const { streams } = this;
		this.machine.host.advance(ms);
		const end = streams.now + ms * MS;
		for (;;) {
			const times = this.transfers
				.filter(({ kind }) => kind === "read")
				.map(({ file, since }) => streams.deadline(file, since));
			const due = Math.min(...times, ...this.watchers.map(({ until }) => until));
			if (due > end) break;
			streams.now = Math.max(streams.now, due);
			await this.goOnAndCheck();
		}
		streams.now = end;
	}

	/** Lets every sleeper that can go on do so, on both sides, and compares. */
	async settle(): Promise<void> {
		this.machine.host.settle();
		await this.goOnAndCheck();
		this.check();
	}

	private async goOnAndCheck(): Promise<void> {
		this.observe();
		await this.goOn();
		await this.checkWatchers();
	}

	private observe(): void {
		for (const watcher of this.watchers) {
			if (!this.streams.quiet) watcher.untold = false;
			watcher.seen.push(this.answer(watcher));
		}
	}

	/**
	 * One after the other, and from the first again when one could go on: that is the order of
	 * waking. Typing wakes the slave's reader before it lets output go on, and a flush of both queues
	 * wakes the master's writer before the slave's.
	 */
	private async goOn(): Promise<void> {
		const order = ["read slave", "write master"];
		const rank = ({ kind, file }: Transfer) => order.indexOf(`${kind} ${file.end}`);
		const first = order.flatMap((_, i) => this.transfers.filter((each) => rank(each) === i));
		this.transfers = [...first, ...this.transfers.filter((each) => rank(each) < 0)];
		for (let i = 0; i < this.transfers.length; i++) {
			const transfer = this.transfers[i] as Transfer;
			const { done } = transfer;
			const result = this.step(transfer);
			if (result === null && transfer.done === done) continue;
			i = -1;
			this.observe();
			if (result === null) continue;
			assert.is(await resultOf(transfer), result);
			this.ended(transfer);
			this.observe();
		}
	}

	/** The result of a sleeping call now; null if it must stay asleep. */
	private step(transfer: Transfer): Answer {
		const { streams } = this;
		const { kind, file, buffer, since } = transfer;
		if (kind === "read") {
			const late = streams.now >= streams.deadline(file, since);
			const bytes = streams.read(file, buffer.length, late);
			if (bytes !== null) assert.equal([...buffer.subarray(0, bytes.length)], bytes);
			return bytes?.length ?? null;
		}
		// Woken at the low-water mark, except if it is for another reason.
		const deaf = streams.quiet || (kind === "write" && streams.up.length > 256);
		const slave = kind === "drain" || file.end === "slave";
		if (slave && streams.controlled && deaf && !transfer.roused) return null;
		transfer.roused = false;
		if (kind === "drain") return streams.drained ? 0 : null;
		for (;;) {
			const n = streams.write(file, buffer, transfer.done);
			if (typeof n !== "number") return n;
			transfer.done += n;
			if (transfer.done === buffer.length) return transfer.done;
		}
	}

	/**
	 * No thread sleeps while what it waits for is there, and the result of a thread that wakes is
	 * true: now, or before other threads went on. Most knotes are told before sleepers are woken, but
	 * those that wait for room at the slave after them.
	 */
	private async checkWatchers(): Promise<void> {
		for (const watcher of [...this.watchers]) {
			const seen = watcher.seen.splice(0).filter((answer) => answer !== null);
			if (watcher.thread.state === "asleep") assert.is(this.answer(watcher), null);
			// If it is not asleep, its time is over later in this operation.
			if (watcher.thread.state === "asleep" || seen.length === 0) continue;
			const result = await watcher.result;
			if (!seen.some((answer) => String(answer) === String(result))) assert.equal(result, seen);
			this.watchers.splice(this.watchers.indexOf(watcher), 1);
			threadExit(watcher.thread);
		}
	}

	private answer({ kind, handle, events: asked, until, deaf, untold }: Watcher): unknown {
		const { streams } = this;
		const { file } = handle;
		const late = streams.now >= until;
		const events = untold ? asked & ~POLLOUT : asked;
		if (kind === "poll") {
			const bits = deaf ? POLLNVAL : streams.revents(file, events);
			if (bits !== 0) return [1, bits];
			return late ? [0, 0] : null;
		}
		if (kind === "select") {
			if (deaf && asked !== 0) return "EBADF";
			const [r, w] = streams.selected(file);
			const answer = [r && (events & POLLIN) !== 0, w && (events & POLLOUT) !== 0];
			const n = answer.filter(Boolean).length;
			return n > 0 || late ? [n, ...answer] : null;
		}
		if (!deaf && (streams.hungUp(file) || streams.readable(file) > 0))
			return [1, streams.hungUp(file), streams.readable(file) > 0];
		return late ? [0] : null;
	}

	/** Whether both have the same state for every descriptor. */
	private check(): void {
		const { machine, streams, kq } = this;
		const { thread, process, kernel, host } = machine;
		assert.is(host.now(), streams.now);
		const sleepers = [...this.transfers, ...this.watchers];
		assert.equal(
			sleepers.map(({ thread }) => thread.state),
			sleepers.map(() => "asleep"),
		);
		assert.is(kernel.sleepers, sleepers.length);
		const mine = this.handles.filter((handle) => handle.process === process);
		const list = eventList(50);
		const n = keventNow(thread, kq, null, list);
		const reported = list
			.slice(0, n)
			.map(({ ident, filter, flags, fflags, data }) => [ident, filter, flags, fflags, data]);
		if (!streams.quiet) this.untold.clear();
		const expected = mine.flatMap((handle) =>
			streams
				.events(handle.fd, handle.file)
				.filter(([, filter]) => filter !== EVFILT_WRITE || !this.untold.has(handle)),
		);
		assert.equal(reported.sort(byFd), expected.sort(byFd));
		for (const { fd, file } of mine) {
			for (const events of [POLLIN | POLLOUT | POLLPRI, POLLOUT, 0])
				assert.equal(revents(thread, events, fd), [streams.revents(file, events)]);
			assert.equal(selected(thread, fd), streams.selected(file));
			const held = file.end === "master" ? streams.up.length : streams.readable(file);
			assert.is(ioctl(thread, fd, FIONREAD), held);
		}
	}

	/** Ends all sleeping calls and closes all descriptors: nothing is left. */
	async end(): Promise<void> {
		while (this.transfers.length + this.watchers.length > 0) {
			await this.interrupt(0);
			await this.settle();
		}
		for (const handle of [...this.handles].reverse()) this.close(handle);
		await this.settle();
		const { kernel, thread } = this.machine;
		assert.equal([kernel.sleepers, kernel.timeouts.size], [0, 0]);
		assert.is(ptsname(thread, openpty(thread)[0]), this.name);
		checkMachine(this.machine);
	}
}

/** The result of a call that cannot be asleep any more. */
function resultOf({ thread, result }: Transfer): Promise<unknown> {
	assert.is.not(thread.state, "asleep");
	return result;
}

function byFd([a = 0, b = 0]: number[], [c = 0, d = 0]: number[]): number {
	return a - c || b - d;
}

const which = fc.nat(20);
const end = fc.constantFrom("master" as const, "slave" as const);
const vmin = fc.constantFrom(0, 1, 1, 3, 200);
const vtime = fc.constantFrom(0, 0, 1, 3);
const size = fc.oneof(
	fc.nat(5),
	fc.nat(400),
	fc.nat(3000),
	fc.constantFrom(1044, 7480, 7992, 8190, 9000, 20_000),
);
const sleeps = fc.boolean();
const streamCommand = fc.oneof(
	{
		weight: 24,
		arbitrary: fc.record({
			op: fc.constantFrom("read" as const, "write" as const),
			which,
			end,
			n: size,
			sleeps,
		}),
	},
	{
		weight: 4,
		arbitrary: fc.record({ op: fc.constantFrom("drain" as const, "dup" as const), which, end }),
	},
	{ weight: 3, arbitrary: fc.record({ op: fc.constant("close" as const), which, end }) },
	{
		weight: 2,
		arbitrary: fc.record({ op: fc.constantFrom("fork" as const, "exit" as const), which }),
	},
	{
		weight: 3,
		arbitrary: fc.record({ op: fc.constant("open" as const), nonblocking: sleeps, vmin, vtime }),
	},
	{ weight: 3, arbitrary: fc.record({ op: fc.constant("set" as const), which, end, vmin, vtime }) },
	{
		weight: 2,
		arbitrary: fc.record({
			op: fc.constant("flush" as const),
			which,
			end,
			queue: fc.constantFrom(TCIFLUSH, TCOFLUSH, TCIOFLUSH),
		}),
	},
	{
		weight: 4,
		arbitrary: fc.record({
			op: fc.constant("control" as const),
			which,
			command: fc.constantFrom(TIOCSTOP, TIOCSTART, TIOCSTART, TIOCSTI),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ op: fc.constant("fcntl" as const), which, on: sleeps }) },
	{
		weight: 8,
		arbitrary: fc.record({
			op: fc.constant("watch" as const),
			kind: fc.constantFrom("poll" as const, "select" as const, "kevent" as const),
			which,
			end,
			events: fc.constantFrom(POLLIN, POLLOUT, 0),
			ms: fc.constantFrom(-1, -1, 55, 205),
		}),
	},
	{
		weight: 3,
		arbitrary: fc.record({ op: fc.constantFrom("nudge" as const, "interrupt" as const), which }),
	},
	{
		weight: 4,
		arbitrary: fc.record({
			op: fc.constant("advance" as const),
			ms: fc.constantFrom(50, 100, 400),
		}),
	},
);
type StreamCommand = typeof streamCommand extends fc.Arbitrary<infer C> ? C : never;

function perform(pty: Pty, c: StreamCommand): void | Promise<void> {
	if (c.op === "open") return pty.reopen(c.nonblocking, c.vmin, c.vtime);
	if (c.op === "nudge") return pty.nudge(c.which);
	if (c.op === "interrupt") return pty.interrupt(c.which);
	if (c.op === "advance") return pty.advance(c.ms);
	const handle = pty.handle(c.which, "end" in c ? c.end : undefined);
	if (handle === undefined) return;
	switch (c.op) {
		case "read":
			return pty.read(handle, c.n, c.sleeps);
		case "write":
			return pty.write(handle, c.n, c.sleeps);
		case "drain":
			return pty.drain(handle);
		case "dup":
			return pty.dup(handle);
		case "close":
			return pty.close(handle);
		case "fork":
			return pty.fork(handle);
		case "exit":
			return pty.exit(handle);
		case "set":
			return pty.set(handle, c.vmin, c.vtime);
		case "flush":
			return pty.flush(handle, c.queue);
		case "control":
			return pty.control(handle, c.command);
		case "fcntl":
			return pty.setFlags(handle, c.on);
		case "watch":
			return pty.watch(c.kind, handle, c.events, c.ms);
	}
}

test("a raw pty is two streams of bytes, and poll, select and kevent report its state", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(streamCommand, { minLength: 10, maxLength: 60, size: "max" }),
			async (commands) => {
				const pty = new Pty();
				for (const c of commands) {
					await perform(pty, c);
					await pty.settle();
				}
				await pty.end();
			},
		),
		{ numRuns: 250 },
	);
});

const sizes = fc.array(
	fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9000 })),
	{
		minLength: 1,
		maxLength: 8,
		size: "max",
	},
);
const crowd = fc.array(sizes, { minLength: 1, maxLength: 3 });
const disturbance = fc.record({
	what: fc.constantFrom("stop" as const, "start" as const, "nudge" as const, "vmin" as const),
	which: fc.nat(11),
	vmin: fc.constantFrom(1, 2, 9, 255),
});

test("many readers and writers move every byte once, those of each writer in order", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.record({ typists: crowd, readers: crowd, printers: crowd, watchers: crowd }),
			fc.array(disturbance, { maxLength: 12, size: "max" }),
			async ({ typists, readers, printers, watchers }, disturbances) => {
				const { thread, process, host, kernel } = machine();
				sigaction(thread, SIGUSR1, () => {});
				const [master, slave] = openpty(thread, RAW);
				const asleep = { typists: [], readers: [], printers: [], watchers: [] } as Record<
					"typists" | "readers" | "printers" | "watchers",
					Thread[]
				>;
				const got: [number[], number[]] = [[], []];
				let vmin = 1;

				const writes = async (to: number, by: Thread, chunks: readonly number[], tag: number) => {
					let at = 0;
					for (const n of chunks) {
						const data = Uint8Array.from({ length: n }, () => (tag << 6) | (at++ & 63));
						assert.is(await write(by, to, data), n);
					}
				};
				// In the order of the reads: the promises of some are delayed, so that others get a turn.
				const listen = (fd: number, to: number[]): void => {
					const file = process.fdp.get(fd) as File;
					const real = file.read.bind(file);
					file.read = (by, buffer, nonblocking) => {
						const n = real(by, buffer, nonblocking);
						to.push(...buffer.subarray(0, Math.max(0, n)));
						return n;
					};
				};
				const reads = async (from: number, by: Thread, lengths: readonly number[]) => {
					let sum = 0;
					for (let turn = 0; ; turn++) {
						const buffer = new Uint8Array(lengths[turn % lengths.length] as number);
						const n = await outcome(read(by, from, buffer));
						if (n === "EINTR") return sum;
						sum += n as number;
					}
				};
				const spawn = (kind: keyof typeof asleep): Thread => {
					const each = process.spawnThread();
					asleep[kind].push(each);
					return each;
				};
				/** Checks that every sleeper that could go on has done so. */
				const check = (): void => {
					const sleeps = (kind: keyof typeof asleep) =>
						asleep[kind].some(({ state }) => state === "asleep");
					const held = ioctl(thread, master, FIONREAD);
					const out = held > 0 && (revents(thread, POLLIN, master)[0] as number) !== 0;
					assert.not(sleeps("watchers") && out);
					assert.not(sleeps("printers") && held <= 256);
					assert.not(sleeps("readers") && ioctl(thread, slave, FIONREAD) > 0);
					assert.not(sleeps("typists") && revents(thread, POLLOUT, master)[0] === POLLOUT);
				};
				const setMin = (n: number): void => {
					vmin = n;
					const cc = RAW.cc.map((c, place) => (place === VMIN ? vmin : c));
					tcsetattrNow(thread, slave, TCSANOW, { ...RAW, cc });
				};

				listen(slave, got[0]);
				listen(master, got[1]);
				await host.run(async () => {
					const writing = [
						...typists.map((chunks, i) => writes(master, spawn("typists"), chunks, i)),
						...printers.map((chunks, i) => writes(slave, spawn("printers"), chunks, i)),
					];
					const reading = [
						...readers.map((lengths) => reads(slave, spawn("readers"), lengths)),
						...watchers.map((lengths) => reads(master, spawn("watchers"), lengths)),
					];
					for (const { what, which, vmin } of disturbances) {
						// Time passes only when no thread can go on.
						await poll(thread, [], 1);
						check();
						if (what === "vmin") setMin(vmin);
						else if (what === "nudge") {
							const all = Object.values(asleep).flat();
							const each = all[which % all.length] as Thread;
							if (each.state !== "asleep") continue;
							sigprocmask(each, SIG_BLOCK, sigset(SIGUSR1));
							threadKill(thread, each, SIGUSR1);
							sigprocmask(each, SIG_UNBLOCK, sigset(SIGUSR1));
							sigprocmask(each, SIG_BLOCK, sigset(SIGUSR1));
						} else ioctl(thread, slave, what === "stop" ? TIOCSTOP : TIOCSTART);
					}
					ioctl(thread, slave, TIOCSTART);
					setMin(1);
					await Promise.all(writing);
					await poll(thread, [], 1);
					check();
					for (const each of [...asleep.readers, ...asleep.watchers]) interrupt(each);
					const sums = await Promise.all(reading);
					assert.is(
						sums.reduce((a, b) => a + b),
						got[0].length + got[1].length,
					);
				});
				const wanted = (chunks: readonly (readonly number[])[]) =>
					chunks.map((each) => each.reduce((a, b) => a + b, 0));
				for (const [received, sent] of [
					[got[0], wanted(typists)],
					[got[1], wanted(printers)],
				] as const) {
					const mine = sent.map((_, tag) => received.filter((byte) => byte >> 6 === tag));
					assert.equal(
						mine,
						sent.map((n, tag) => Array.from({ length: n }, (_, at) => (tag << 6) | (at & 63))),
					);
				}
				assert.equal([kernel.sleepers, kernel.timeouts.size], [0, 0]);
			},
		),
		{ numRuns: 40 },
	);
});

test.run();

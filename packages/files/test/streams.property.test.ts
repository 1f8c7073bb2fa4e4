// Random programs of processes and threads over pairs of ends that carry bytes, against a naive
// model: no byte is lost, calls do what poll reports, no thread sleeps that could go on, and
// nothing is left.
import {
	FdSet,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	type Pollfd,
	poll,
	pollNow,
	ppoll,
	select,
	selectNow,
} from "@kqpoll/kqpoll";
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	exit,
	fcntl,
	fork,
	ioctl,
	Kernel,
	type Kevent,
	kevent,
	keventNow,
	kill,
	kqueue,
	type Process,
	readNow,
	type SleepOptions,
	SystemError,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
	waitpidNow,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFL, F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { type File, kqueueDoCheck } from "@kqpoll/kqueue/kernel";
import {
	SIG_BLOCK,
	SIG_DFL,
	SIG_IGN,
	SIG_UNBLOCK,
	SIGPIPE,
	SIGTERM,
	SIGUSR1,
	SIGUSR2,
	type SignalAction,
	sigset,
	threadKill,
} from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import type { Timespec } from "@kqpoll/kqueue/time";
import { closefrom } from "@kqpoll/kqueue/unistd";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SHUT_RD, SHUT_RDWR, SHUT_WR } from "../src/socket.ts";
import {
	KINDS,
	type Kind,
	NOTHING,
	remains,
	Stream,
	type Transfer,
	type Written,
} from "./streams-world.ts";

/** What a command does, and how often it is chosen. */
const OPERATIONS = {
	write: 6,
	read: 6,
	probe: 5,
	writewait: 6,
	readwait: 6,
	pollwait: 4,
	selectwait: 3,
	keventwait: 4,
	change: 5,
	kevent: 3,
	shutdown: 1,
	close: 3,
	dup: 2,
	dup2: 2,
	open: 1,
	fork: 2,
	exit: 1,
	thread: 1,
	threadexit: 1,
	waitpid: 1,
	nonblock: 1,
	kill: 2,
	killthread: 3,
	action: 2,
	mask: 1,
	abort: 2,
	advance: 2,
	settle: 10,
} as const;
type Operation = keyof typeof OPERATIONS;

/** What a signal handler does. */
const REACTIONS = ["close", "write", "shutdown", "dup", "kill", "abort"] as const;

/** One step of a program; the numbers choose the thread that does it, and the end. */
interface Command {
	readonly op: Operation;
	readonly a: number;
	readonly b: number;
	readonly c: number;
	/** How many bytes. */
	readonly n: number;
}

const command: fc.Arbitrary<Command> = fc.record({
	op: fc.oneof(
		...Object.entries(OPERATIONS).map(([op, weight]) => ({
			weight,
			arbitrary: fc.constant(op as Operation),
		})),
	),
	a: fc.nat(999),
	b: fc.nat(999),
	c: fc.nat(999),
	n: fc.oneof(
		{ weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }) },
		{ weight: 3, arbitrary: fc.constantFrom(511, 512, 513, 2047, 2048, 2049) },
		{ weight: 1, arbitrary: fc.constantFrom(6144, 8192, 14336, 15_872, 16_384) },
		{ weight: 5, arbitrary: fc.integer({ min: 1, max: 20_000 }) },
		{ weight: 1, arbitrary: fc.integer({ min: 8000, max: 70_000 }) },
	),
});

/** One of the two ends of a pair. */
class End {
	readonly kind: Kind;
	readonly file: File;
	readonly reads: boolean;
	readonly writes: boolean;
	/** The bytes to be read here. */
	readonly incoming: Stream;
	/** The bytes written here. */
	readonly outgoing: Stream;
	peer: End = this;
	shutRead = false;
	shutWritten = false;
	/** Whether it was ever non-blocking. */
	nonblocking = false;
	/** How many reads and writes sleep. */
	transfers = 0;

	constructor(kind: Kind, side: 0 | 1, file: File, incoming: Stream, outgoing: Stream) {
		this.kind = kind;
		this.file = file;
		this.reads = kind.access[side].includes("r");
		this.writes = kind.access[side].includes("w");
		this.incoming = incoming;
		this.outgoing = outgoing;
	}
}

/** A thread that makes calls, also calls that sleep. */
interface Worker {
	readonly thread: Thread;
	wait: Wait | null;
}

/** A call that may sleep. */
interface Sleep {
	readonly call: string;
	/** Makes it. */
	readonly make: (thread: Thread, options: SleepOptions) => Promise<number>;
	/** The descriptors that it watches. */
	readonly fds: readonly number[];
	/** How long it may sleep, in milliseconds; null for any time. */
	readonly ms: number | null;
	/** Whether what it waits for is there. */
	readonly over: () => boolean;
	/** Checks its result: a number, or the code of an error. */
	readonly ended: (result: unknown, wait: Wait) => void;
}

/** A call that has not returned. */
interface Wait {
	readonly sleep: Sleep;
	readonly actor: Actor;
	readonly worker: Worker;
	readonly controller: AbortController;
	/** When its time is over, in nanoseconds. */
	readonly deadline: number;
	/** Its descriptors that were closed while it slept. */
	readonly closed: Set<number>;
	/** Whether its thread was sent a signal that ends the sleep. */
	signalled: boolean;
}

/** A knote as the model sees it. */
interface Watch {
	readonly fd: number;
	readonly filter: number;
	readonly mode: number;
	/** EV_DISPATCH: it was not reported since it was enabled. */
	enabled: boolean;
	/** EV_CLEAR: something happened since it was last reported. */
	due: boolean;
	/** EV_CLEAR: its condition was seen to be false. */
	low: boolean;
}

/** Which descriptors of a process poll reports as readable, and which as writable. */
interface Ready {
	readonly readable: ReadonlySet<number>;
	readonly writable: ReadonlySet<number>;
}

/** A process of the program. */
class Actor {
	readonly process: Process;
	/** Makes the calls of the test itself, and those of signal handlers. It takes no signals. */
	readonly observer: Thread;
	readonly workers: Worker[];
	readonly fds: Map<number, End> = new Map();
	/** A kqueue that watches every descriptor, level-triggered, as long as it is open. */
	readonly ledger: number;
	/** Descriptors that the ledger cannot watch for room: no reader was left. */
	readonly unheard: Set<number> = new Set();
	/** A kqueue of knotes of all modes. */
	readonly queue: number;
	readonly watches: Map<string, Watch> = new Map();
	readonly kqueues: Set<number>;
	/** What its next signal handler does. */
	reaction: Command | null = null;
	/** How many signals were handled, and how many calls were interrupted by them. */
	handled = 0;
	interrupted = 0;
	/** How many of them were SIGPIPE. */
	pipes = 0;
	buried = false;

	constructor(process: Process) {
		this.process = process;
		this.workers = [{ thread: process.main, wait: null }];
		this.observer = process.spawnThread();
		sigprocmask(this.observer, SIG_BLOCK, ALL);
		this.ledger = kqueue(this.observer);
		this.queue = kqueue(this.observer);
		this.kqueues = new Set([this.ledger, this.queue]);
	}

	get alive(): boolean {
		return !this.process.exiting;
	}
}

const ALL = -1;
const MODES = [0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH];
const ASKED = [POLLIN, POLLIN, POLLOUT, POLLIN | POLLOUT, POLLPRI, 0];
const SIGNALS = [SIGUSR1, SIGUSR2];
const HOWS = [SHUT_WR, SHUT_WR, SHUT_RD, SHUT_RDWR];
const ABORTED = "aborted";
const MAX_FDS = 16;
const MAX_ENDS = 16;
const MAX_WORKERS = 5;
const MAX_PROCESSES = 8;
const events = eventList(4 * MAX_FDS);

/** A machine that runs commands, and the model. */
class World {
	readonly host = new VirtualHost();
	readonly kernel = new Kernel({
		host: this.host,
		diagnostics: true,
		maxprocesses: MAX_PROCESSES,
	});
	readonly actors: Actor[] = [];
	readonly ends: End[] = [];
	readonly waits: Set<Wait> = new Set();
	private readonly kinds: readonly Kind[];
	private failure: { readonly value: unknown } | null = null;

	constructor(kinds: readonly Kind[]) {
		this.kinds = kinds;
		const actor = this.adopt(this.kernel.spawn(), new Map());
		for (let i = 0; i < kinds.length; i++) this.open(actor, i);
	}

	/** The processes that have not exited. */
	get alive(): Actor[] {
		return this.actors.filter(({ alive }) => alive);
	}

	/** Runs one command, lets promises go on, and checks everything. */
	async step(command: Command): Promise<void> {
		const actor = pick(this.alive, command.a);
		if (actor === undefined) return;
		this.perform(command, actor);
		await this.turn();
		if (command.op === "settle" || command.op === "advance") this.checkSleepers();
		for (const each of this.alive) this.check(each);
	}

	/** Reads everything, ends everything, and checks that nothing is left. */
	async finish(closeFirst: boolean): Promise<void> {
		await this.drain();
		if (closeFirst) await this.closeAll();
		for (const { process } of this.alive) exit(process.main, 0);
		await this.turn();
		assert.is(this.waits.size, 0, "every call has returned");
		const processes = this.actors.map(({ process }) => process);
		assert.equal(remains(this.kernel, processes, this.ends), NOTHING);
	}

	private async drain(): Promise<void> {
		for (let moved = true; moved; ) {
			this.settle();
			await this.turn();
			moved = false;
			for (const end of this.ends) {
				const [actor, fd] = this.holder(end) ?? [];
				if (actor === undefined || fd === undefined || !end.reads) continue;
				const n = this.read(actor, actor.observer, fd, 70_000);
				if (typeof n === "number" && n > 0) moved = true;
			}
		}
		this.settle();
		await this.turn();
		for (const end of this.ends) {
			if (this.holder(end) === null || !end.reads || this.lossy(end)) continue;
			assert.is(end.incoming.least, 0, "everything that was written was read");
		}
		this.checkSleepers();
	}

	private async closeAll(): Promise<void> {
		for (const actor of this.alive) {
			for (const fd of [...actor.fds.keys(), ...actor.kqueues]) this.forget(actor, fd);
			closefrom(actor.observer, 0);
		}
		this.settle();
		await this.turn();
		const watching = [...this.waits].filter(({ sleep }) => sleep.fds.length > 0);
		assert.is(watching.length, 0, "calls that wait for a descriptor are told that it is closed");
	}

	private perform(command: Command, actor: Actor): void {
		const { op, b, c, n } = command;
		const { thread, wait } = pick(actor.workers, c) as Worker;
		const fd = pick([...actor.fds.keys()], b) ?? -1;
		switch (op) {
			case "write":
				this.write(actor, thread, fd, n);
				break;
			case "read":
				this.read(actor, thread, fd, readSize(command));
				break;
			case "probe":
				this.probe(actor, fd, c);
				break;
			case "writewait":
				this.writeWait(actor, fd, command);
				break;
			case "readwait":
				this.readWait(actor, fd, command);
				break;
			case "pollwait":
				this.pollWait(actor, command);
				break;
			case "selectwait":
				this.selectWait(actor, command);
				break;
			case "keventwait":
				this.keventWait(actor, command);
				break;
			case "change":
				this.change(actor, fd, c);
				break;
			case "kevent":
				this.collect(actor, thread);
				break;
			case "shutdown":
				this.shutdown(actor, thread, fd, c);
				break;
			case "close":
				this.close(actor, thread, fd, c);
				break;
			case "dup":
				this.dup(actor, thread, fd);
				break;
			case "dup2":
				this.dup2(actor, thread, fd, c);
				break;
			case "open":
				this.settle();
				if (actor.alive) this.open(actor, c);
				break;
			case "fork":
				this.fork(actor, thread);
				break;
			case "exit":
				if (this.alive.length > 1) exit(thread, c % 256);
				break;
			case "thread":
				this.idle(actor);
				break;
			case "threadexit":
				if (actor.workers.length > 1) threadExit((actor.workers.pop() as Worker).thread);
				break;
			case "waitpid":
				codeOrValue(() => waitpidNow(thread, -1));
				break;
			case "nonblock":
				this.toggleNonblock(actor, thread, fd);
				break;
			case "kill":
			case "killthread":
				this.kill(thread, command);
				break;
			case "action":
				this.setAction(actor, command);
				break;
			case "mask":
				if (wait !== null) wait.signalled = false;
				sigprocmask(thread, b % 2 === 0 ? SIG_BLOCK : SIG_UNBLOCK, sigset(SIGUSR1));
				break;
			case "abort":
				this.abort(b);
				break;
			case "advance":
				this.host.advance((c % 50) / 10);
				break;
			case "settle":
				this.settle();
				break;
		}
		this.bury();
	}

	// Descriptors, processes, signals.

	private adopt(process: Process, fds: ReadonlyMap<number, End>): Actor {
		const actor = new Actor(process);
		this.actors.push(actor);
		for (const [fd, end] of fds) this.learn(actor, fd, end);
		for (const signal of SIGNALS) sigaction(actor.observer, signal, () => this.react(actor));
		if (process.sigacts[SIGPIPE] !== SIG_IGN)
			sigaction(actor.observer, SIGPIPE, () => this.handlePipe(actor));
		return actor;
	}

	private open(actor: Actor, which: number): void {
		if (actor.fds.size + 2 > MAX_FDS || this.ends.length + 2 > MAX_ENDS) return;
		const kind = pick(this.kinds, which) as Kind;
		const fds = kind.make(actor.observer);
		const streams = [new Stream(kind.whole), new Stream(kind.whole)] as const;
		const [one, other] = ([0, 1] as const).map((side) => {
			const file = actor.process.fdp.get(fds[side]) as File;
			return new End(kind, side, file, streams[side], streams[1 - side] as Stream);
		}) as [End, End];
		one.peer = other;
		other.peer = one;
		this.ends.push(one, other);
		this.learn(actor, fds[0], one);
		this.learn(actor, fds[1], other);
	}

	/** A new descriptor: the ledger watches it, unless its process has exited. */
	private learn(actor: Actor, fd: number, end: End): void {
		if (!actor.alive) return;
		actor.fds.set(fd, end);
		const { ledger, observer } = actor;
		for (const filter of [EVFILT_READ, EVFILT_WRITE]) {
			if (!(filter === EVFILT_READ ? end.reads : end.writes)) continue;
			if (this.add(observer, ledger, fd, filter, 0, end) === "EPIPE") actor.unheard.add(fd);
		}
	}

	/** Adds a knote; that fails only for room to write without a reader. */
	private add(
		thread: Thread,
		kq: number,
		fd: number,
		filter: number,
		mode: number,
		end: End,
	): unknown {
		const changes = [{ ident: fd, filter, flags: EV_ADD | mode }];
		const result = codeOrValue(() => keventNow(thread, kq, changes, null));
		if (result === "EPIPE") assert.ok(filter === EVFILT_WRITE && this.orphaned(end.peer));
		else assert.is(result, 0);
		return result;
	}

	/** A descriptor is about to be closed. */
	private forget(actor: Actor, fd: number): void {
		actor.fds.delete(fd);
		actor.kqueues.delete(fd);
		actor.unheard.delete(fd);
		for (const [key, watch] of actor.watches) if (watch.fd === fd) actor.watches.delete(key);
		for (const { actor: whose, worker, sleep, closed } of this.waits)
			if (whose === actor && sleeps(worker) && sleep.fds.includes(fd)) closed.add(fd);
	}

	private close(actor: Actor, thread: Thread, fd: number, which: number): void {
		const waited = [...actor.kqueues].filter((kq) => kq !== actor.ledger && kq !== actor.queue);
		const victim = which % 5 === 0 ? (pick(waited, which) ?? fd) : fd;
		if (victim < 0) return;
		this.forget(actor, victim);
		close(thread, victim);
	}

	private dup(actor: Actor, thread: Thread, fd: number): void {
		const end = actor.fds.get(fd);
		if (end === undefined || actor.fds.size >= MAX_FDS) return;
		this.learn(actor, dup(thread, fd), end);
	}

	private dup2(actor: Actor, thread: Thread, fd: number, which: number): void {
		const end = actor.fds.get(fd);
		if (end === undefined) return;
		const to = pick([...actor.fds.keys()], which) as number;
		if (to === fd) return;
		this.forget(actor, to);
		const { reaction } = actor;
		actor.reaction = null;
		dup2(thread, fd, to);
		actor.reaction = reaction;
		this.learn(actor, to, end);
	}

	private shutdown(actor: Actor, thread: Thread, fd: number, which: number): void {
		const end = actor.fds.get(fd);
		if (end === undefined || end.kind.shutdown === null) return;
		const how = pick(HOWS, which) as number;
		if (how !== SHUT_WR) {
			end.shutRead = true;
			end.incoming.unknown = true;
		}
		if (how !== SHUT_RD) end.shutWritten = true;
		end.kind.shutdown(thread, fd, how);
	}

	private toggleNonblock(actor: Actor, thread: Thread, fd: number): void {
		const end = actor.fds.get(fd);
		if (end === undefined) return;
		end.nonblocking = true;
		fcntl(thread, fd, F_SETFL, fcntl(actor.observer, fd, F_GETFL) ^ O_NONBLOCK);
	}

	private fork(actor: Actor, thread: Thread): void {
		if (this.kernel.processes.size >= MAX_PROCESSES || this.alive.length > 3) return;
		const fds = new Map(actor.fds);
		const { reaction } = actor;
		// A handler on the way back would change what the child has already inherited.
		actor.reaction = null;
		const child = fork(thread);
		actor.reaction = reaction;
		this.adopt(child, fds);
	}

	private kill(thread: Thread, { op, b, c, n }: Command): void {
		const target = pick(this.alive, b) as Actor;
		const signal = pick(SIGNALS, n) as number;
		if (op === "killthread") this.killThread(thread, pick(target.workers, c) as Worker, signal);
		else if (n % 16 === 0 && this.alive.length > 1) kill(thread, target.process.pid, SIGTERM);
		else kill(thread, target.process.pid, signal);
	}

	private killThread(thread: Thread, target: Worker, signal: number): void {
		const taken = sleeps(target) && (target.thread.sigmask & sigset(signal)) === 0;
		if (target.wait !== null && taken) target.wait.signalled = true;
		threadKill(thread, target.thread, signal);
	}

	private setAction(actor: Actor, command: Command): void {
		if (command.b % 3 !== 0) {
			actor.reaction = command;
			return;
		}
		const actions: SignalAction[] = [SIG_IGN, () => this.handlePipe(actor)];
		if (this.alive.length > 1) actions.push(SIG_DFL);
		sigaction(actor.observer, SIGPIPE, pick(actions, command.c) as SignalAction);
	}

	private handlePipe(actor: Actor): void {
		actor.pipes++;
		this.react(actor);
	}

	/** What a signal handler does. */
	private react(actor: Actor): void {
		actor.handled++;
		const { reaction, observer } = actor;
		actor.reaction = null;
		if (reaction === null) return;
		const { b, c, n } = reaction;
		const fd = pick([...actor.fds.keys()], b) ?? -1;
		this.guard(() => {
			switch (pick(REACTIONS, c)) {
				case "close":
					this.close(actor, observer, fd, 1);
					break;
				case "write":
					this.write(actor, observer, fd, n);
					break;
				case "shutdown":
					this.shutdown(actor, observer, fd, n);
					break;
				case "dup":
					this.dup(actor, observer, fd);
					break;
				case "kill":
					kill(observer, actor.process.pid, pick(SIGNALS, n) as number);
					break;
				case "abort":
					this.abort(b);
					break;
			}
		});
	}

	private abort(which: number): void {
		pick([...this.waits], which)?.controller.abort(ABORTED);
	}

	/** Tells the model of processes that exited. */
	private bury(): void {
		for (const actor of this.actors) {
			if (actor.alive || actor.buried) continue;
			actor.buried = true;
			actor.fds.clear();
			actor.kqueues.clear();
			actor.watches.clear();
			assert.equal([...actor.process.fdp.open()], [], "exit closes everything");
		}
	}

	// Transfers.

	private write(actor: Actor, thread: Thread, fd: number, n: number): unknown {
		const end = actor.fds.get(fd);
		const written = end?.writes ? end.outgoing.begin(n) : null;
		if (end === undefined || written === null) return null;
		const arrives = end.outgoing.most - n < end.kind.visible;
		const { shutWritten } = end;
		const { pipes } = actor;
		const refused = shutWritten || (this.gone(end.peer) && !end.kind.resets);
		const result = codeOrValue(() => writeNow(thread, fd, written.bytes));
		if (refused) assert.is(result, "EPIPE", "nobody will read it");
		if (result !== "EAGAIN") this.wrote(actor, end, result, pipes);
		if (typeof result === "number") this.checkWhole(end, result, n);
		// How much of a write was accepted is unknown when it met a reset.
		const reset = end.kind.resets && result === "EPIPE" && !shutWritten;
		end.outgoing.end(written, typeof result === "number" ? result : reset ? null : 0);
		if (typeof result === "number" && arrives) this.happened(end.peer, EVFILT_READ);
		return result;
	}

	/** Checks the result of a write, after that many SIGPIPEs. */
	private wrote(actor: Actor, end: End, result: unknown, pipes: number): void {
		if (result === "EPIPE") {
			assert.ok(end.shutWritten || this.orphaned(end.peer), "EPIPE");
			assert.ok(actor.pipes > pipes || !awaits(actor.process, SIGPIPE), "SIGPIPE");
		} else if (result === "ECONNRESET")
			assert.ok(end.kind.resets && this.orphaned(end.peer), "ECONNRESET");
		else assert.type(result, "number");
	}

	/** Checks that a small write is made as a whole. */
	private checkWhole({ kind }: End, accepted: number, n: number): void {
		if (n <= kind.whole) assert.is(accepted, n, "a small write is not divided");
	}

	private read(actor: Actor, thread: Thread, fd: number, n: number): unknown {
		const end = actor.fds.get(fd);
		if (!end?.reads) return null;
		const buffer = new Uint8Array(n);
		const { least } = end.incoming;
		const ended = this.ended(end);
		const result = codeOrValue(() => readNow(thread, fd, buffer));
		if (result === "EAGAIN") {
			assert.is(least, 0, "what was written can be read");
			assert.not(ended, "at the end of file a read is not EAGAIN");
		} else this.didRead(end, buffer, result);
		return result;
	}

	/** Checks the result of a read, and its bytes. */
	private didRead(end: End, buffer: Uint8Array, result: unknown): void {
		if (result === "ECONNRESET") {
			assert.ok(this.lossy(end), "ECONNRESET");
			return;
		}
		assert.type(result, "number");
		end.incoming.receive(buffer.subarray(0, result as number));
		if (result !== 0) return;
		assert.ok(this.mayEnd(end), "the end of file comes when there is no writer");
		if (!this.lossy(end)) assert.is(end.incoming.least, 0, "the end of file comes last");
	}

	/** An event happened that every knote must report. */
	private happened(end: End, filter: number): void {
		for (const actor of this.alive)
			for (const watch of actor.watches.values())
				if (watch.filter === filter && actor.fds.get(watch.fd) === end) watch.due = true;
	}

	/** Whether no process has a descriptor of it. */
	private orphaned(end: End): boolean {
		return this.holder(end) === null;
	}

	/** Whether it is closed: a call that sleeps on it keeps it open, too. */
	private gone(end: End): boolean {
		return end.transfers === 0 && this.orphaned(end);
	}

	/** Whether certainly nothing more will arrive here. */
	private ended(end: End): boolean {
		return end.shutRead || end.peer.shutWritten || this.gone(end.peer);
	}

	/** Whether perhaps nothing more will arrive here. */
	private mayEnd(end: End): boolean {
		return end.shutRead || end.peer.shutWritten || this.orphaned(end.peer);
	}

	/** Whether an end may have lost what it has not received, as it wrote to one that is gone. */
	private lossy(end: End): boolean {
		return end.kind.resets && this.orphaned(end.peer) && end.outgoing.most > 0;
	}

	/** A process that has a descriptor of an end. */
	private holder(end: End): [Actor, number] | null {
		for (const actor of this.alive)
			for (const [fd, each] of actor.fds) if (each === end) return [actor, fd];
		return null;
	}

	// What poll, select and kevent report.

	/**
	 * Checks that a process has what it should have, and that all ways to ask have the same answer.
	 */
	private check(actor: Actor): void {
		const { fds, kqueues, process } = actor;
		assert.equal([...process.fdp.open()], [...fds.keys(), ...kqueues].sort(ascending));
		for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) {
			kqueueDoCheck(kq);
			assert.is(kq.busy, 0, "no kqueue is busy between calls");
		}
		const ready = this.look(actor);
		for (const [fd, end] of fds) this.checkEnd(end, ready.readable.has(fd), ready.writable.has(fd));
		this.checkSelect(actor, ready);
		this.checkLedger(actor, ready);
		for (const watch of actor.watches.values()) {
			const on = isReady(watch, ready);
			if (on && watch.low) watch.due = true;
			watch.low = !on;
		}
	}

	private look({ observer, fds }: Actor): Ready {
		const readable = new Set<number>();
		const writable = new Set<number>();
		const entries = [...fds].flatMap(([fd, end]): Pollfd[] => [
			{ fd: end.reads ? fd : -1, events: POLLIN, revents: 0 },
			{ fd: end.writes ? fd : -1, events: POLLOUT, revents: 0 },
		]);
		const n = pollNow(observer, entries);
		assert.is(n, entries.filter(({ revents }) => revents !== 0).length);
		for (const { fd, events, revents } of entries) {
			if (events === POLLIN && (revents & POLLIN) !== 0) readable.add(fd);
			if (events === POLLOUT && (revents & (POLLOUT | POLLHUP)) !== 0) writable.add(fd);
			assert.is(revents & ~(events | POLLHUP), 0);
		}
		return { readable, writable };
	}

	/** Checks that readiness agrees with the model of an end. */
	private checkEnd(end: End, readable: boolean, writable: boolean): void {
		const { incoming, outgoing, kind, peer } = end;
		const [least, most] = kind.holds;
		if (end.reads) {
			if (incoming.least > 0 || this.ended(end)) assert.ok(readable, "readable");
			if (incoming.most === 0 && !this.mayEnd(end)) assert.not(readable, "not readable");
		}
		if (end.writes) {
			const closed = end.shutWritten || this.gone(peer);
			if (closed || outgoing.most <= least - kind.whole) assert.ok(writable, "writable");
			const open = !end.shutWritten && !this.orphaned(peer);
			if (open && outgoing.least > most - kind.whole) assert.not(writable, "not writable");
		}
	}

	private checkSelect({ observer, fds }: Actor, { readable, writable }: Ready): void {
		const readfds = new FdSet([...fds].filter(([, end]) => end.reads).map(([fd]) => fd));
		const writefds = new FdSet([...fds].filter(([, end]) => end.writes).map(([fd]) => fd));
		const n = selectNow(observer, observer.process.fdp.size, readfds, writefds, null);
		assert.is(n, readable.size + writable.size);
		assert.equal([...readfds], [...readable].sort(ascending));
		assert.equal([...writefds], [...writable].sort(ascending));
	}

	private checkLedger(actor: Actor, { readable, writable }: Ready): void {
		const n = keventNow(actor.observer, actor.ledger, null, events);
		const told = events.slice(0, n);
		const heard = [...writable].filter((fd) => !actor.unheard.has(fd));
		assert.equal(identsOf(told, EVFILT_READ), [...readable].sort(ascending));
		assert.equal(identsOf(told, EVFILT_WRITE), heard.sort(ascending));
		for (const event of told) if (event.filter === EVFILT_READ) this.checkReadEvent(actor, event);
	}

	/** Checks the bytes to read and the end that an event reports. */
	private checkReadEvent(actor: Actor, { ident, data, flags }: Kevent): void {
		const end = actor.fds.get(ident) as End;
		const { least, most } = end.incoming;
		const eof = (flags & EV_EOF) !== 0;
		assert.is(data, ioctl(actor.observer, ident, FIONREAD));
		assert.ok(data <= most, "there is no more to read than was written");
		if (eof) assert.ok(this.mayEnd(end), "EV_EOF when there is no writer");
		if (this.ended(end) && most <= end.kind.visible) assert.ok(eof, "EV_EOF at the end");
		if (this.lossy(end)) return;
		assert.ok(data >= Math.min(least, eof ? least : end.kind.visible), "all is there to be read");
	}

	/** Asks in every way whether a descriptor is ready, and checks that by a call. */
	private probe(actor: Actor, fd: number, which: number): void {
		const end = actor.fds.get(fd);
		if (end === undefined) return;
		const { observer } = actor;
		const { readable, writable } = this.look(actor);
		const kq = kqueue(observer);
		const filters = [end.reads ? EVFILT_READ : 0, end.writes ? EVFILT_WRITE : 0].filter(Boolean);
		const results = filters.map((filter) => this.add(observer, kq, fd, filter, 0, end));
		const told = events.slice(0, keventNow(observer, kq, null, events)).map(({ filter }) => filter);
		close(observer, kq);
		filters.forEach((filter, i) => {
			const ready = (filter === EVFILT_READ ? readable : writable).has(fd);
			assert.is(results[i] === "EPIPE" || told.includes(filter), ready, "kevent agrees with poll");
		});
		if (filterFor(end, which % 2 === 0) === EVFILT_READ) {
			const result = this.read(actor, observer, fd, 1 + which);
			assert.is(result !== "EAGAIN", readable.has(fd), "POLLIN and only then a read goes on");
			return;
		}
		const { whole } = end.kind;
		const result = this.write(actor, observer, fd, whole);
		if (result === null) return;
		assert.is(result !== "EAGAIN", writable.has(fd), "POLLOUT and only then a write goes on");
	}

	/** Adds, deletes or enables a knote. */
	private change(actor: Actor, fd: number, which: number): void {
		const end = actor.fds.get(fd);
		if (end === undefined) return;
		const { observer, queue, watches } = actor;
		const filter = filterFor(end, which % 2 === 0);
		const key = `${fd} ${filter}`;
		const watch = watches.get(key);
		if (watch === undefined) {
			const mode = pick(MODES, which >> 1) as number;
			if (this.add(observer, queue, fd, filter, mode, end) === "EPIPE") return;
			watches.set(key, { fd, filter, mode, enabled: true, due: true, low: false });
		} else if (which % 3 === 0) {
			watches.delete(key);
			keventNow(observer, queue, [{ ident: fd, filter, flags: EV_DELETE }], null);
		} else {
			watch.enabled = true;
			keventNow(observer, queue, [{ ident: fd, filter, flags: EV_ENABLE }], null);
		}
	}

	/** Collects the events of the kqueue of all modes, and checks that they are the expected ones. */
	private collect(actor: Actor, thread: Thread): void {
		const ready = this.look(actor);
		const before = [...actor.watches].map(([key, watch]) => ({ key, ...watch }));
		const told = events.slice(0, keventNow(thread, actor.queue, null, events));
		const keys = told.map(({ ident, filter }) => `${ident} ${filter}`);
		assert.is(new Set(keys).size, keys.length, "no knote is reported twice");
		for (const { key, mode, enabled, due, ...watch } of before) {
			const on = isReady(watch, ready);
			const reported = keys.includes(key);
			if (reported)
				assert.ok(enabled && (on || mode === EV_ONESHOT), "no event without its condition");
			else assert.not(on && enabled && (mode !== EV_CLEAR || due), "an event with its condition");
		}
		for (const event of told) this.reported(actor, event);
	}

	/** Updates a knote that was reported. */
	private reported(actor: Actor, { ident, filter }: Kevent): void {
		const key = `${ident} ${filter}`;
		const watch = actor.watches.get(key);
		if (watch === undefined) return;
		watch.due = false;
		watch.low = false;
		if (watch.mode === EV_DISPATCH) watch.enabled = false;
		if (watch.mode === EV_ONESHOT) actor.watches.delete(key);
	}

	// Calls that sleep.

	/** A thread that does not sleep, perhaps a new one; null when there are enough. */
	private idle(actor: Actor): Worker | null {
		const found = actor.workers.find(({ wait }) => wait === null);
		if (found !== undefined) return found;
		if (actor.workers.length >= MAX_WORKERS) return null;
		const worker: Worker = { thread: actor.process.spawnThread(), wait: null };
		actor.workers.push(worker);
		return worker;
	}

	/** Begins a call that may sleep. */
	private begin(actor: Actor, worker: Worker, sleep: Sleep): void {
		const { ms } = sleep;
		const controller = new AbortController();
		const deadline = ms === null ? Number.POSITIVE_INFINITY : this.host.now() + ms * 1e6;
		const closed = new Set<number>();
		const wait: Wait = { sleep, actor, worker, controller, deadline, closed, signalled: false };
		worker.wait = wait;
		this.waits.add(wait);
		const end = (result: () => unknown) => {
			this.waits.delete(wait);
			worker.wait = null;
			this.guard(() => this.endWait(wait, result()));
		};
		sleep.make(worker.thread, { signal: controller.signal }).then(
			(n) => end(() => n),
			(error) => end(() => codeIn(error)),
		);
	}

	private endWait(wait: Wait, result: unknown): void {
		if (result === ABORTED) assert.ok(wait.controller.signal.aborted);
		if (result === "EINTR") assert.ok(this.excused(wait), "only a signal interrupts");
		else if (wait.signalled && wait.sleep.call !== "write")
			assert.is(result, ABORTED, "a signal comes before everything else");
		wait.sleep.ended(result, wait);
	}

	/** Whether a call may end early: its process or thread has ended, or it took a signal. */
	private excused(wait: Wait): boolean {
		const { actor, controller } = wait;
		if (!this.stays(wait) || controller.signal.aborted) return true;
		return ++actor.interrupted <= actor.handled;
	}

	/** Whether the thread of a call that ended is still there. */
	private stays({ worker }: Wait): boolean {
		return worker.thread.state !== "exited";
	}

	private writeWait(actor: Actor, fd: number, { c, n }: Command): void {
		const end = actor.fds.get(fd);
		const worker = this.idle(actor);
		if (!end?.writes || worker === null) return;
		const written = end.outgoing.begin(n);
		if (written === null) return;
		const { write } = pick(end.kind.transfers, c) as Transfer;
		const { pipes } = actor;
		end.transfers++;
		this.begin(actor, worker, {
			call: "write",
			make: (thread, options) => write(thread, fd, written.bytes, options),
			fds: [],
			ms: null,
			over: () => this.couldWrite(end),
			ended: (result, wait) => {
				end.transfers--;
				this.endWrite(end, written, result, wait, pipes);
			},
		});
	}

	private endWrite(end: End, written: Written, result: unknown, wait: Wait, pipes: number): void {
		const early = result === "EINTR" || result === ABORTED;
		if (typeof result === "number") {
			const short = result < written.bytes.length;
			if (wait.signalled) assert.ok(short, "a signal comes before everything else");
			this.checkWhole(end, result, written.bytes.length);
			if (short && !end.nonblocking) assert.ok(this.excused(wait), "a write is short");
			end.outgoing.end(written, result);
		} else if (result === "EAGAIN" && end.nonblocking) end.outgoing.end(written, 0);
		else {
			// How much a call moved that failed later is unknown.
			end.outgoing.end(written, early && this.stays(wait) ? 0 : null);
			if (early) return;
			assert.not(wait.signalled, "a signal comes before everything else");
			this.wrote(wait.actor, end, result, pipes);
		}
	}

	/** Whether a write that sleeps could go on. */
	private couldWrite(end: End): boolean {
		const { peer, kind } = end;
		if (end.shutWritten || this.gone(peer)) return true;
		const [actor, fd] = this.holder(end) ?? [];
		if (actor === undefined || fd === undefined) return false;
		const writable = pollNow(actor.observer, [{ fd, events: POLLOUT, revents: 0 }]) !== 0;
		return !kind.mayStall(peer.file.ioctl(actor.observer, FIONREAD, undefined), writable);
	}

	private readWait(actor: Actor, fd: number, command: Command): void {
		const end = actor.fds.get(fd);
		const worker = this.idle(actor);
		if (!end?.reads || worker === null) return;
		const { read } = pick(end.kind.transfers, command.c) as Transfer;
		const buffer = new Uint8Array(readSize(command));
		end.transfers++;
		this.begin(actor, worker, {
			call: "read",
			make: (thread, options) => read(thread, fd, buffer, options),
			fds: [],
			ms: null,
			over: () => this.ended(end) || end.file.ioctl(actor.observer, FIONREAD, undefined) > 0,
			ended: (result) => {
				end.transfers--;
				if (result === "EINTR" || result === ABORTED) return;
				if (result === "EAGAIN") assert.ok(end.nonblocking, "a read sleeps");
				else this.didRead(end, buffer, result);
			},
		});
	}

	private pollWait(actor: Actor, { b, c, n }: Command): void {
		const worker = this.idle(actor);
		const fds = this.some(actor, b, 1 + (c % 4));
		if (worker === null || fds.length === 0) return;
		const asked = fds.map((fd, i) => {
			const { reads, writes } = actor.fds.get(fd) as End;
			const never = (reads ? 0 : POLLIN) | (writes ? 0 : POLLOUT);
			return { fd, events: (pick(ASKED, c + i) as number) & ~never };
		});
		const entries = (): Pollfd[] => asked.map((entry) => ({ ...entry, revents: 0 }));
		const told = entries();
		const ms = timeoutOf(n);
		const mask = n % 5 === 0 ? sigset(SIGUSR2) : 0;
		this.begin(actor, worker, {
			call: "poll",
			make: (thread, options) =>
				n % 2 === 0
					? poll(thread, told, ms ?? -1, options)
					: ppoll(thread, told, timespec(ms), mask, options),
			fds,
			ms,
			over: () => pollNow(actor.observer, entries()) > 0,
			ended: (result, wait) => {
				if (result === "EINTR" || result === ABORTED) return;
				assert.is(result, told.filter(({ revents }) => revents !== 0).length);
				for (const { fd, events, revents } of told) {
					if (wait.closed.has(fd)) assert.is(revents, POLLNVAL, "a descriptor was closed");
					else assert.is(revents & ~(events | POLLHUP), 0, "what was asked");
				}
				if (result === 0) this.checkTime(wait);
			},
		});
	}

	private selectWait(actor: Actor, { b, c, n }: Command): void {
		const worker = this.idle(actor);
		const fds = this.some(actor, b, 1 + (c % 4));
		if (worker === null || fds.length === 0) return;
		const { fds: ends } = actor;
		const reads = fds.filter((fd, i) => ends.get(fd)?.reads && (i % 2 === n % 2 || c % 3 === 0));
		const rest = fds.filter((fd) => ends.get(fd)?.writes && !reads.includes(fd));
		const writes = n % 4 < 2 ? rest : [];
		const sets = () => [new FdSet(reads), new FdSet(writes), null] as const;
		const told = sets();
		const { size } = actor.process.fdp;
		const ms = timeoutOf(n);
		const timeout = ms === null ? null : { sec: 0, usec: Math.round(ms * 1000) };
		this.begin(actor, worker, {
			call: "select",
			make: (thread, options) => select(thread, size, ...told, timeout, options),
			fds: [...reads, ...writes],
			ms,
			over: () => selectNow(actor.observer, size, ...sets()) > 0,
			ended: (result, wait) => {
				if (result === "EINTR" || result === ABORTED) return;
				const closed = wait.closed.size > 0;
				assert.is(result, closed ? "EBADF" : [...told[0], ...told[1]].length);
				if (result === 0) this.checkTime(wait);
			},
		});
	}

	/** Sleeps on the kqueue of all modes, or on one of its own. */
	private keventWait(actor: Actor, command: Command): void {
		const worker = this.idle(actor);
		if (worker === null) return;
		const own = command.c % 3 !== 0;
		const kq = own ? this.kqueueOver(actor, command) : actor.queue;
		const told = eventList(1 + (command.n % 4));
		const ms = timeoutOf(command.n);
		this.begin(actor, worker, {
			call: "kevent",
			make: (thread, options) => kevent(thread, kq, null, told, timespec(ms), options),
			fds: [kq],
			ms,
			over: () => keventNow(actor.observer, kq, null, events) > 0,
			ended: (result, wait) => {
				const closed = wait.closed.has(kq);
				if (result !== "EINTR" && result !== ABORTED)
					assert.is(closed ? result : typeof result, closed ? "EBADF" : "number");
				if (result === 0) this.checkTime(wait);
				const n = typeof result === "number" ? result : 0;
				if (!own) for (const event of told.slice(0, n)) this.reported(actor, event);
				if (!own || closed || !actor.alive) return;
				this.forget(actor, kq);
				close(actor.observer, kq);
			},
		});
	}

	/** A kqueue that watches some descriptors. */
	private kqueueOver(actor: Actor, { b, c, n }: Command): number {
		const kq = kqueue(actor.observer);
		actor.kqueues.add(kq);
		for (const fd of this.some(actor, b, 1 + (c % 4))) {
			const end = actor.fds.get(fd) as End;
			const filter = filterFor(end, c % 4 !== 0);
			this.add(actor.observer, kq, fd, filter, pick(MODES, n) as number, end);
		}
		return kq;
	}

	/** Some descriptors of a process. */
	private some(actor: Actor, from: number, n: number): number[] {
		const fds = [...actor.fds.keys()];
		return fds.map((_, i) => fds[(from + i) % fds.length] as number).slice(0, n);
	}

	private checkTime({ deadline, sleep }: Wait): void {
		assert.ok(this.host.now() >= deadline, `${sleep.call} returns 0 only when its time is over`);
	}

	/** Checks that no thread sleeps without a reason. */
	private checkSleepers(): void {
		for (const { sleep, worker, closed, deadline, controller } of this.waits) {
			const { state, siglist, sigmask, process } = worker.thread;
			const reasons = {
				awake: state !== "asleep",
				signal: ((siglist | process.siglist) & ~sigmask) !== 0,
				aborted: controller.signal.aborted,
				late: this.host.now() >= deadline,
				closed: closed.size > 0,
				over: false,
			};
			reasons.over = !reasons.closed && sleep.over();
			const found = Object.entries(reasons).filter(([, is]) => is);
			assert.equal(found, [], `${sleep.call} has a reason to wake up`);
		}
	}

	private settle(): void {
		this.host.settle();
		this.bury();
	}

	/** Lets the reactions of settled promises run. */
	private async turn(): Promise<void> {
		await null;
		await null;
		this.bury();
		if (this.failure !== null) throw this.failure.value;
	}

	/** An error in a handler or a promise fails the test. */
	private guard(act: () => void): void {
		try {
			act();
		} catch (value) {
			this.failure ??= { value };
		}
	}
}

/** Whether a thread is in a sleeping call, perhaps woken already. */
function sleeps({ thread }: Worker): boolean {
	return thread.state === "asleep" || thread.state === "ready";
}

/** How long a call waits, in milliseconds. */
function timeoutOf(n: number): number | null {
	return n % 3 === 0 ? null : (n % 40) / 10;
}

function timespec(ms: number | null): Timespec | null {
	return ms === null ? null : { sec: 0, nsec: Math.round(ms * 1e6) };
}

/** A filter that an end has: for reading, if that is wanted and possible. */
function filterFor({ reads, writes }: End, reading: boolean): number {
	return reads && (reading || !writes) ? EVFILT_READ : EVFILT_WRITE;
}

function isReady({ fd, filter }: Pick<Watch, "fd" | "filter">, ready: Ready): boolean {
	return (filter === EVFILT_READ ? ready.readable : ready.writable).has(fd);
}

/** Whether a process would notice a signal, and none is pending. */
function awaits({ exiting, sigacts, siglist }: Process, signal: number): boolean {
	const pending = (siglist & sigset(signal)) !== 0;
	return !exiting && sigacts[signal] !== SIG_IGN && !pending;
}

function identsOf(told: readonly Kevent[], which: number): number[] {
	return told
		.filter(({ filter }) => filter === which)
		.map(({ ident }) => ident)
		.sort(ascending);
}

function ascending(a: number, b: number): number {
	return a - b;
}

function pick<T>(items: readonly T[], which: number): T | undefined {
	return items[which % items.length];
}

function codeOrValue(call: () => unknown): unknown {
	try {
		return call();
	} catch (error) {
		return codeIn(error);
	}
}

/** Reads are smaller than writes, so that buffers are rarely empty. */
function readSize({ c, n }: Command): number {
	return c % 3 === 0 ? n : 1 + (n >> 2);
}

/** The code of an error that a program may see, or what aborted its call. */
function codeIn(error: unknown): unknown {
	if (error === ABORTED) return error;
	if (error instanceof SystemError) return error.code;
	throw error;
}

async function run(kinds: readonly Kind[], runs: number): Promise<void> {
	const program = fc.array(command, { minLength: 10, maxLength: 80, size: "max" });
	await fc.assert(
		fc.asyncProperty(program, fc.boolean(), async (commands, closeFirst) => {
			const world = new World(kinds);
			for (const command of commands) await world.step(command);
			await world.finish(closeFirst);
		}),
		{ numRuns: runs, includeErrorInReport: true },
	);
}

/** How many programs of each kind. */
const RUNS = Number(process.env["STREAMS_RUNS"] ?? 150);

for (const kind of KINDS)
	test(`${kind.name}: no byte is lost, no thread sleeps without a reason, nothing is left`, () =>
		run([kind], RUNS));

test("all kinds together: no byte is lost, no thread sleeps without a reason, nothing is left", () =>
	run(KINDS, RUNS));

test.run();

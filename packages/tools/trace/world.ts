// One emulated machine that does the operations of a trace, through the packages' own entry points,
// and prints their results. The language is described in docs/traces.md.
import { FdSet, type Pollfd, poll, ppoll, pselect, select } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	EV_ERROR,
	errno,
	errnoName,
	eventList,
	exec,
	exit,
	fork,
	fstat,
	interrupt,
	ioctl,
	Kernel,
	Kevent,
	kevent,
	kill,
	kqueue,
	openFile,
	pledge,
	readNow,
	type Side,
	SyntheticFile,
	SystemError,
	sigaction,
	type Thread,
	threadExit,
	writeNow,
} from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import {
	getFile,
	type Knote,
	KqueueFile,
	kqpollDone,
	kqpollInit,
	kqueueDoCheck,
	NOTE_SIGNAL,
	notify,
	SERIAL_MAX,
	seltrueKqfilter,
} from "@kqpoll/kqueue/kernel";
import { NSIG, SIG_IGN, SIGKILL, SIGSTOP } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import type { Timespec } from "@kqpoll/kqueue/time";

/** The size of the sets of select, and how many descriptors a process can have. */
const MAXFILES = 1024;

/** A device that is always ready. Like every synthetic file it can be told how ready it is. */
class Device extends SyntheticFile {
	override kqfilter(kn: Knote): number {
		return seltrueKqfilter(kn);
	}
}

/** The world of one trace. */
export class World {
	private readonly host = new VirtualHost();
	private readonly kernel = new Kernel({
		host: this.host,
		firstPid: 100,
		maxfiles: MAXFILES,
		diagnostics: true,
	});
	private readonly threads: Thread[] = [];
	/** The calls of sleeping threads, and what they will print. */
	private readonly pending = new Map<Thread, Promise<string>>();

	constructor() {
		const { main } = this.kernel.spawn();
		this.threads.push(main);
		// In a trace a signal only notifies knotes: it ends no process and interrupts no thread.
		for (let signal = 1; signal < NSIG; signal++) {
			if (signal !== SIGKILL && signal !== SIGSTOP) sigaction(main, signal, SIG_IGN);
		}
	}

	/** Does one operation; returns the lines that it printed. */
	async step(operation: string): Promise<string[]> {
		const [who = "", op = "", ...args] = operation.split(" ").filter((word) => word !== "");
		if (who === "tick") {
			this.host.advance(Number(op));
			return [`${operation} => 0`, ...(await this.finished())];
		}
		const thread = /^\d/.test(who) ? this.threads[Number.parseInt(who, 10)] : undefined;
		if (thread?.state !== "running") return [`${operation} => !busy`];
		const result = this.begin(thread, op, args);
		const slept = (thread.state as string) === "asleep";
		this.host.settle();
		if (slept) this.pending.set(thread, result);
		return [`${operation} => ${slept ? "..." : await result}`, ...(await this.finished())];
	}

	/** Checks the invariants of every kqueue of the world. */
	check(): void {
		for (const process of this.kernel.processes.values()) {
			for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) kqueueDoCheck(kq);
		}
	}

	/** The lines of the threads whose sleeping calls have ended, in order of their numbers. */
	private async finished(): Promise<string[]> {
		const lines: string[] = [];
		for (const thread of this.threads) {
			const result = this.pending.get(thread);
			if (result === undefined || thread.state === "asleep") continue;
			this.pending.delete(thread);
			lines.push(`< ${thread.tid} ${await result}`);
		}
		return lines;
	}

	private async begin(thread: Thread, op: string, args: string[]): Promise<string> {
		const operation = OPERATIONS[op];
		if (operation === undefined) throw new Error(`unknown operation ${op}`);
		try {
			return String((await operation(thread, args, this.threads)) ?? 0);
		} catch (error) {
			if (error instanceof SystemError) return `!${error.code}`;
			throw error;
		}
	}
}

/** Returns what to print; undefined is printed as 0. */
type Operation = (thread: Thread, args: readonly string[], threads: Thread[]) => unknown;

const OPERATIONS: Readonly<Record<string, Operation>> = {
	thread: (thread, _args, threads) => {
		const created = thread.process.spawnThread();
		threads.push(created);
		return created.tid;
	},
	fork: (thread, _args, threads) => {
		const { pid, main } = fork(thread);
		threads.push(main);
		return `${pid} ${main.tid}`;
	},
	exec: (thread) => exec(thread),
	exit: (thread, [status, signal]) => {
		// The trace's world does not end sleeping threads.
		if (thread.process.threads.some((each) => each.state === "asleep"))
			throw new SystemError(errno.EBUSY, "exit");
		return exit(thread, integer(status), integer(signal));
	},
	texit: (thread) => threadExit(thread),
	kill: (thread, [pid, signal]) => post(thread, integer(pid), integer(signal)),
	intr: (_thread, [who], threads) => {
		const target = threads[integer(who)];
		if (target === undefined || !interrupt(target)) throw new SystemError(errno.ESRCH, "intr");
		return 0;
	},
	pledge: (thread, [proc]) => pledge(thread, integer(proc) === 0 ? "stdio" : "stdio proc"),
	timermax: (thread, [limit]) => {
		thread.kernel.timermax = integer(limit);
		return 0;
	},
	serial: (thread, [serial = ""]) => {
		if (thread.kq === null) {
			kqpollInit(thread, 0, "serial");
			kqpollDone(thread, 0);
		}
		thread.kqserial = serial.startsWith("max-")
			? SERIAL_MAX - integer(serial.slice(4))
			: integer(serial);
		return 0;
	},
	kqueue: (thread) => kqueue(thread),
	file: (thread, [kind]) =>
		openFile(thread, new SyntheticFile({ type: kind === "vnode" ? "vnode" : "socket" })),
	dev: (thread) => openFile(thread, new Device()),
	dup: (thread, [fd]) => dup(thread, integer(fd)),
	close: (thread, [fd]) => close(thread, integer(fd)),
	set: (thread, [fd, side, ...state]) => synthetic(thread, fd).set(sideOf(side), readiness(state)),
	setq: (thread, [fd, side, ...state]) =>
		synthetic(thread, fd).setQuietly(sideOf(side), readiness(state)),
	note: (thread, [fd, hint]) => synthetic(thread, fd).notify(integer(hint)),
	deny: (thread, [fd, side = "", name]) => {
		const error = errno[name as keyof typeof errno] ?? 0;
		return synthetic(thread, fd).deny(side === "vnode" ? side : sideOf(side), error);
	},
	invalidate: (thread, [fd]) => synthetic(thread, fd).invalidate(),
	revoke: (thread, [fd]) => {
		const file = synthetic(thread, fd);
		if (file.type !== "vnode") throw new SystemError(errno.EBADF, "revoke");
		return file.revoke();
	},
	kevent: keventOperation,
	poll: pollOperation,
	select: selectOperation,
	stat: (thread, [fd]) => fstat(thread, queue(thread, fd).fd).size,
	read: (thread, [fd]) => readNow(thread, queue(thread, fd).fd, new Uint8Array(1)),
	write: (thread, [fd]) => writeNow(thread, queue(thread, fd).fd, new Uint8Array(1)),
	ioctl: (thread, [fd]) => ioctl(thread, queue(thread, fd).fd, FIONREAD),
	knotes: (thread, [fd]) =>
		fd === "self" ? (thread.kq?.nknotes ?? 0) : queue(thread, fd).file.kq.nknotes,
};

function integer(text: string | undefined): number {
	return Number.parseInt(text ?? "", text?.includes("0x") ? 16 : 10) || 0;
}

/** A signal that can be ignored is sent; others would do more than notify. */
function post(thread: Thread, pid: number, signal: number): void {
	if (signal >= 1 && signal < NSIG && signal !== SIGKILL && signal !== SIGSTOP) {
		kill(thread, pid, signal);
		return;
	}
	kill(thread, pid, 0);
	const process = thread.kernel.processes.get(pid);
	if (process !== undefined) notify(process.klist, NOTE_SIGNAL | signal);
}

function synthetic(thread: Thread, fd: string | undefined): SyntheticFile {
	const file = getFile(thread, integer(fd), "set");
	if (file instanceof SyntheticFile) return file;
	throw new SystemError(errno.EBADF, "set");
}

function queue(thread: Thread, text: string | undefined): { fd: number; file: KqueueFile } {
	const fd = integer(text);
	const file = getFile(thread, fd, "stat");
	if (file instanceof KqueueFile) return { fd, file };
	throw new SystemError(errno.EBADF, "stat");
}

function sideOf(side: string | undefined): Side {
	if (side === "read" || side === "write" || side === "except") return side;
	throw new SystemError(errno.EBADF, "set");
}

function readiness([data, eof, hup, fflags]: readonly string[]) {
	return {
		data: integer(data),
		eof: integer(eof) !== 0,
		hup: integer(hup) !== 0,
		fflags: integer(fflags),
	};
}

function timespec(text: string | undefined): Timespec | null {
	if (text === "inf") return null;
	const ns = integer(text);
	return ns < 0 ? { sec: -1, nsec: 0 } : { sec: Math.floor(ns / 1e9), nsec: ns % 1e9 };
}

/** Splits a list; `-` is an empty one. */
function list(text: string | undefined, separator = ";"): string[] {
	return text === undefined || text === "-" ? [] : text.split(separator);
}

async function keventOperation(
	thread: Thread,
	[kq, changes, nevents, timeout]: readonly string[],
): Promise<string> {
	const changelist = list(changes).map(parseKevent);
	const events = eventList(integer(nevents));
	const n = await kevent(thread, integer(kq), changelist, events, timespec(timeout));
	return n === 0 ? "0" : `${n} ${events.slice(0, n).map(printKevent).join(";")}`;
}

/** Idents are as wide as a pointer and without sign in a trace; -1 stands for the largest. */
function parseKevent(text: string): Kevent {
	const [ident = "0", filter, flags, fflags, data, udata] = text.split(",");
	return new Kevent(
		Number(BigInt.asIntN(64, BigInt(ident))),
		integer(filter),
		Number.parseInt(flags ?? "", 16),
		Number.parseInt(fflags ?? "", 16),
		integer(data),
		integer(udata),
	);
}

function printKevent(kev: Kevent): string {
	const { ident, filter, flags, fflags, data, udata } = kev;
	const id = BigInt.asUintN(64, BigInt(ident));
	const shown = (flags & EV_ERROR) === 0 || data === 0 ? data : errnoName(data);
	return `${id},${filter},0x${flags.toString(16)},0x${fflags.toString(16)},${shown},${udata}`;
}

async function pollOperation(
	thread: Thread,
	[entries, timeout]: readonly string[],
): Promise<string> {
	const fds = list(entries).map((entry): Pollfd => {
		const [fd, events] = entry.split(":");
		return { fd: integer(fd), events: Number.parseInt(events ?? "", 16), revents: 0 };
	});
	const ts = timespec(timeout);
	const n = await (ts === null || (ts.sec >= 0 && ts.nsec % 1e6 === 0)
		? poll(thread, fds, ts === null ? -1 : ts.sec * 1000 + ts.nsec / 1e6)
		: ppoll(thread, fds, ts));
	const revents = fds.map((entry) => `0x${(entry.revents & 0xffff).toString(16)}`);
	return fds.length === 0 ? `${n}` : `${n} ${revents.join(";")}`;
}

async function selectOperation(thread: Thread, [nd, ...rest]: readonly string[]): Promise<string> {
	const [read, write, except] = rest.slice(0, 3).map(
		(set) =>
			new FdSet(
				list(set)
					.map(integer)
					.filter((fd) => fd < MAXFILES),
				MAXFILES,
			),
	);
	const sets = [read ?? null, write ?? null, except ?? null] as const;
	const ts = timespec(rest[3]);
	const n = await (ts === null || ts.nsec % 1000 === 0
		? select(thread, integer(nd), ...sets, ts === null ? null : { ...ts, usec: ts.nsec / 1000 })
		: pselect(thread, integer(nd), ...sets, ts));
	const shown = sets.map((set) => [...(set ?? [])].join(";") || "-");
	return `${n} ${shown.join(" ")}`;
}

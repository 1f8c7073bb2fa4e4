// Lost wake-ups: programs of sleepers, each compared with a thread that asks the same when nothing
// happens any more.

import {
	acceptNow,
	bind,
	connectNow,
	listen,
	mkfifo,
	openNow,
	openpty,
	pipe,
	socket,
	socketpair,
	stat,
	Tree,
} from "@kqpoll/files";
import { O_RDWR } from "@kqpoll/files/fcntl";
import {
	acceptCall,
	connectCall,
	openCall,
	recvCall,
	recvmsgCall,
	Socket,
	sendCall,
	tcdrainCall,
	tcsetattrCall,
} from "@kqpoll/files/kernel";
import { SOCK_NONBLOCK } from "@kqpoll/files/socket";
import { FdSet, POLLIN, POLLOUT, POLLRDNORM, type Pollfd, pollNow } from "@kqpoll/kqpoll";
import {
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	pollCall,
	ppollCall,
	pselectCall,
	SubscriptionSet,
	selectCall,
	subscriptionsCall,
} from "@kqpoll/kqpoll/kernel";
import {
	errnoName,
	fork,
	kqueue,
	openFile,
	type Process,
	SyntheticFile,
	SystemError,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
} from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import {
	type BlockingCall,
	Driver,
	type File,
	FREAD,
	keventCall,
	nanosleepCall,
	pauseCall,
	readCall,
	readvCall,
	resume,
	sigsuspendCall,
	sigwaitCall,
	startCall,
	syscall,
	WOULD_SLEEP,
	waitpidCall,
	writeCall,
	writevCall,
} from "@kqpoll/kqueue/kernel";
import { SIG_SETMASK, SIGUSR1 } from "@kqpoll/kqueue/signal";
import type { Callable } from "./calls.ts";
import { filesOperations, sleeperKinds } from "./files.ts";
import { kqpollOperations, pollfds, setKinds, subscriptionSet } from "./kqpoll.ts";
import { change, events, kqueueOperations } from "./kqueue.ts";
import { label, print } from "./print.ts";
import type { Outcome, Program, Progress } from "./program.ts";
import { bytes, fd, type Kind, kqFd, listOf, sigset, socketFd, ttyFd } from "./values.ts";
import { type Operation, type Operations, World } from "./world.ts";

/** A call that may sleep, and how it is asked whether it still has to. */
interface Sleep {
	readonly begin: Callable;
	readonly kinds: readonly Kind[];
	/** The arguments to ask with, where they are others. */
	readonly asks?: (args: readonly unknown[]) => readonly unknown[];
	/** Asks for room instead of writing: a writer may wait for more room than one byte takes. */
	readonly writes?: boolean;
	/** Which descriptors it has opened when it returns. */
	readonly opens?: (result: number, args: readonly unknown[]) => readonly number[];
}

const forever: Kind = () => null;
const long: Kind = ({ random }) => ({ sec: 1 + random.below(100), nsec: 0 });

/**
 * Arguments of waitpid that name children by themselves: one that changes its group leaves a sleeper
 * that waits for the group asleep, as in the kernel.
 */
const child: Kind = ({ kernel, random }) =>
	random.once(2) ? -1 : (random.pick([...kernel.processes.keys()]) ?? -1);

const SLEEPS: readonly Sleep[] = [
	{ begin: keventCall, kinds: [kqFd, () => null, events, forever] },
	{ begin: keventCall, kinds: [kqFd, listOf(change), events, forever], asks: unchanged },
	{ begin: pollCall, kinds: [pollfds, () => -1], asks: certain },
	{ begin: pollCall, kinds: [pollfds, () => -1], asks: certain },
	{ begin: ppollCall, kinds: [pollfds, forever, sigset], asks: certain },
	{ begin: subscriptionsCall, kinds: [subscriptionSet], asks: toRead },
	{ begin: subscriptionsCall, kinds: [subscriptionSet], asks: toRead },
	{ begin: selectCall, kinds: [...setKinds, forever] },
	{ begin: pselectCall, kinds: [...setKinds, forever, sigset] },
	{ begin: readCall, kinds: [fd, bytes] },
	{ begin: readCall, kinds: [fd, bytes] },
	{ begin: readvCall, kinds: [fd, listOf(bytes)] },
	{ begin: writeCall, kinds: [fd, bytes], writes: true },
	{ begin: writevCall, kinds: [fd, listOf(bytes)], writes: true },
	{ begin: recvCall, kinds: [socketFd, bytes, () => 0] },
	{
		begin: recvmsgCall,
		kinds: [socketFd, sleeperKinds.incoming, () => 0],
		opens: (_n, [, message]) => (message as { readonly fds: readonly number[] }).fds,
	},
	{ begin: sendCall, kinds: [socketFd, bytes, () => 0], writes: true },
	{ begin: acceptCall, kinds: [socketFd], opens: (result) => [result] },
	{ begin: connectCall, kinds: [socketFd, sleeperKinds.address] },
	{ begin: openCall, kinds: sleeperKinds.open, opens: (result) => [result] },
	{ begin: tcdrainCall, kinds: [ttyFd] },
	{ begin: tcsetattrCall, kinds: [ttyFd, sleeperKinds.action, sleeperKinds.termios] },
	{ begin: waitpidCall, kinds: [child] },
	{ begin: sigwaitCall, kinds: [sigset] },
	{ begin: sigsuspendCall, kinds: [sigset] },
	{ begin: pauseCall, kinds: [] },
	{ begin: nanosleepCall, kinds: [long] },
];

/** What happens meanwhile: operations of the other programs that do not sleep. */
const EVENTS: readonly (readonly [Operations, readonly string[]])[] = [
	[
		kqueueOperations,
		[
			"close",
			"dup",
			"dup2",
			"exec",
			"exit",
			"File",
			"fork",
			"keventNow",
			"kill",
			"Klist",
			"kqueue",
			"openFile",
			"readNow",
			"readNow",
			"readvNow",
			"setpgid",
			"setsid",
			"sigaction",
			"sigprocmask",
			"spawnThread",
			"SyntheticFile",
			"SyntheticFile",
			"threadExit",
			"threadKill",
			"waitpidNow",
			"writeNow",
			"writeNow",
			"writevNow",
		],
	],
	[kqpollOperations, ["pollNow", "pollSubscriptionsNow", "selectNow"]],
	[
		filesOperations,
		[
			"accept4Now",
			"acceptNow",
			"bind",
			"ChangingDevice",
			"connectNow",
			"DetachableDevice",
			"listen",
			"login_tty",
			"mkfifo",
			"openDevice",
			"openNow",
			"openpty",
			"pipe",
			"recvmsgNow",
			"recvNow",
			"rename",
			"revoke",
			"sendmsgNow",
			"sendNow",
			"sendtoNow",
			"shutdown",
			"socket",
			"socketpair",
			"tcflush",
			"tcsetattrNow",
			"tcsetpgrp",
			"truncate",
			"ttyControl",
			"ttyRead",
			"ttyType",
			"unlink",
		],
	],
];

const HAPPENINGS: Operations = Object.fromEntries(
	EVENTS.flatMap(([operations, names]) =>
		names.map((name, i) => [`${name} ${i}`, operations[name] as Operations[string]]),
	),
);

/** What wakes most sleepers, with descriptors of all kinds. */
const TRANSFERS: Operations = Object.fromEntries(
	["readNow", "recvNow", "sendNow", "ttyRead", "ttyType", "writeNow", "writevNow", "readvNow"].map(
		(name) => {
			const operation = (filesOperations[name] ?? kqueueOperations[name]) as Operations[string];
			return [name, (world) => repeat(operation as Operation, world)];
		},
	),
);

/** Several at a time: what arrives together is a case of its own. */
function repeat(operation: Operation, world: World): void {
	for (let n = 1 + world.random.below(6); n > 0; n--) operation(world);
}

/** Errors that a sleeper would fail with as well, if it looked. */
const ENDS: ReadonlySet<string> = new Set(["ECHILD", "EIO", "ENOTCONN", "ENXIO", "EPIPE"]);

type Begin = (thread: Thread, ...args: readonly unknown[]) => BlockingCall | number;

/** What every kind of file knows about. */
const CERTAIN = POLLIN | POLLRDNORM;

/** The descriptors that an argument names. A poll reports the close of those that it can watch. */
function fdsOf(argument: unknown): number[] {
	if (typeof argument === "number") return [argument];
	if (argument instanceof FdSet) return [...argument];
	if (argument instanceof SubscriptionSet) {
		const { ident, length, type } = argument;
		return [...ident.subarray(0, length)].filter((_fd, i) => type[i] !== EVENTTYPE_CLOCK);
	}
	return [];
}

/** The subscriptions with which to ask: those that every kind of file knows about, in another set. */
function toRead([set]: readonly unknown[]): readonly unknown[] {
	const { flags, ident, length, type } = set as SubscriptionSet;
	const asked = new SubscriptionSet();
	for (let i = 0; i < length; i++) {
		if (type[i] !== EVENTTYPE_FD_READ || flags[i] !== 0) continue;
		asked.reserve(asked.length + 1);
		asked.type[asked.length - 1] = EVENTTYPE_FD_READ;
		asked.ident[asked.length - 1] = ident[i] as number;
	}
	return [asked];
}

/**
 * The arguments with which to ask. As in the kernel, a poll does not watch a file that does not know
 * what it asks for, and learns nothing of its end: those entries are left out.
 */
function certain(args: readonly unknown[]): readonly unknown[] {
	const [fds, ...others] = args;
	const entries = fds as readonly Pollfd[];
	return [entries.filter(({ events: wanted }) => (wanted & CERTAIN) !== 0), ...others];
}

/** The arguments of a kevent without the changes, which are made once. */
function unchanged([kq, , ...others]: readonly unknown[]): readonly unknown[] {
	return [kq, null, ...others];
}

/** A call that sleeps. */
class Sleeper extends Driver {
	readonly thread: Thread;
	readonly sleep: Sleep;
	readonly args: readonly unknown[];
	/** The descriptors that it names, and the open files that they meant when it began. */
	private readonly named: readonly (readonly [number, File | null])[];
	/** The file of the path that it names, 0 for none. */
	private readonly ino: number;
	private readonly sleepers: Sleepers;

	constructor(sleepers: Sleepers, thread: Thread, sleep: Sleep, args: readonly unknown[]) {
		super();
		this.sleepers = sleepers;
		this.thread = thread;
		this.sleep = sleep;
		this.args = args;
		const { fdp } = thread.process;
		const numbers = args.flatMap((each, i) =>
			i > 0 && !(each instanceof FdSet) ? [] : fdsOf(each),
		);
		this.ino = inoOf(thread, args);
		this.named = numbers.map((each) => [each, fdp.get(each)] as const);
	}

	/** The open file of the descriptor that it names first. */
	get file(): File | null {
		return this.named[0]?.[1] ?? null;
	}

	/** Whether a number or a path means another file now: another thread would ask that one. */
	get isOutdated(): boolean {
		const { fdp } = this.thread.process;
		if (this.ino !== inoOf(this.thread, this.args)) return true;
		return this.named.some(([number, file]) => {
			// Nobody watches the end of a revoked file that it cannot read.
			if (file?.revoked === true && ((file.flags & FREAD) === 0 || !reads(this, number)))
				return true;
			return fdp.get(number) !== file;
		});
	}

	override woken(thread: Thread): void {
		this.sleepers.wakeups++;
		resume(thread);
	}

	override done(result: number): void {
		this.sleepers.ended(this, print(result));
		this.opened(result);
	}

	/** The call has returned, perhaps with descriptors. */
	opened(result: number): void {
		const { args, sleep, sleepers, thread } = this;
		for (const each of sleep.opens?.(result, args) ?? [])
			sleepers.world.descriptors.opened(thread.process, each);
	}

	override failed(error: unknown): void {
		this.sleepers.ended(this, print(error));
		this.sleepers.world.judge(error, this.sleep.begin.name);
	}
}

/** Whether a call would read a descriptor: a select only watches those of its first set for that. */
function reads({ sleep, args }: Sleeper, number: number): boolean {
	if (sleep.begin !== selectCall && sleep.begin !== pselectCall) return true;
	return args[1] instanceof FdSet && args[1].has(number);
}

/** What is asked of a terminal. */
interface Tty {
	readonly quiet: boolean;
	readonly hiwats: WeakMap<Thread, number>;
	readonly outq: { readonly count: number };
}

/** The terminal of a master or a slave. */
interface PtyEnd extends File {
	readonly pty?: { readonly tty: Tty };
	/** Slaves alone have it. */
	readonly tty?: Tty;
}

/**
 * Whether a process has a file that leaves sleepers alone, as the kernel does: a terminal that has
 * thrown output away, where they sleep until the master reads, and a datagram socket whose receiver
 * was closed, where the next call sees the error.
 */
function hasQuiet({ fdp }: Process): boolean {
	for (const each of fdp.open()) {
		const file = fdp.get(each) as PtyEnd;
		if (file.pty?.tty.quiet === true) return true;
		if (file instanceof Socket && file.kind === "dgram" && file.error !== 0) return true;
	}
	return false;
}

/** How many bytes are to be written. */
function sizeOf(bytes: unknown): number {
	const buffers = (Array.isArray(bytes) ? bytes : [bytes]) as readonly Uint8Array[];
	return buffers.reduce((sum, { length }) => sum + length, 0);
}

/** The number of the file that a tree and a path lead to, 0 for none. */
function inoOf({ kernel }: Thread, [tree, path]: readonly unknown[]): number {
	if (!(tree instanceof Tree)) return 0;
	const { main } = [...kernel.processes.values()].find(({ exiting }) => !exiting) ?? {};
	try {
		return main === undefined ? 0 : stat(main, tree, path as string).ino;
	} catch {
		return 0;
	}
}

/** The sleepers of a machine, and the threads that ask for them. */
class Sleepers {
	readonly world: World;
	wakeups = 0;
	private readonly asleep: Set<Sleeper> = new Set();
	/** A thread for each process that asks and never sleeps. */
	private readonly askers: Map<Process, Thread> = new Map();

	constructor(world: World) {
		this.world = world;
	}

	/** Has a thread that does not sleep begin a call. */
	begin(): void {
		const { random, thread } = this.world;
		if (thread.state !== "running") return;
		const sleep = random.pick(SLEEPS);
		const args = sleep.kinds.map((kind) => kind(this.world));
		const sleeper = new Sleeper(this, thread, sleep, args);
		const result = startCall(() => sleeper, thread, "sleep", null, sleep.begin as Begin, ...args);
		if (result !== WOULD_SLEEP) {
			this.ended(sleeper, print(result));
			sleeper.opened(result);
			return;
		}
		this.asleep.add(sleeper);
		this.world.called(sleep.begin.name, [thread, ...args], label("asleep", {}));
	}

	/** A call has come to its end. */
	ended(sleeper: Sleeper, how: string): void {
		this.asleep.delete(sleeper);
		const { args, sleep, thread } = sleeper;
		this.world.called(sleep.begin.name, [thread, ...args], label(`ended: ${how}`, {}));
	}

	/** Asks, for everyone who sleeps, whether there is a reason to. */
	ask(): void {
		for (const sleeper of [...this.asleep]) {
			const { thread } = sleeper;
			// To ask may call back, and so change what others sleep for: they are woken first.
			this.world.settle();
			if (thread.state === "asleep") this.askFor(sleeper);
			else if (thread.state === "exited") this.asleep.delete(sleeper);
		}
	}

	private askFor(sleeper: Sleeper): void {
		const { sleep, thread } = sleeper;
		const { kernel, process } = thread;
		const deadline = thread.call?.deadline ?? -1;
		if (deadline >= 0 && deadline < kernel.host.now()) this.lost(sleeper, "its time is over");
		if (sleeper.isOutdated) return;
		// To set a terminal may end the process: a speed of 0 hangs up.
		if (sleep.begin === tcsetattrCall && hasQuiet(process)) return;
		const asker = this.askerOf(process);
		// A terminal stops those in the background that do not block SIGTTOU.
		asker.sigmask = thread.sigmask;
		const answer = sleep.writes === true ? this.room(asker, sleeper) : this.answer(asker, sleeper);
		// A thread keeps the knotes of its polls. Those of an object that went away report its end to the
		// asker; a sleeper that polled the file for the first time after that is not told.
		if (asker.kq !== null) threadExit(asker);
		if (answer === null || hasQuiet(process)) return;
		// What a callback changed that was called to answer wakes the sleeper, or puts another file under its number.
		this.world.settle();
		if (thread.state === "asleep" && !sleeper.isOutdated) this.lost(sleeper, answer);
	}

	/** What the same call does now without sleeping; null if it would have to sleep. */
	private answer(asker: Thread, { sleep, args }: Sleeper): string | null {
		const asked = sleep.asks?.(args) ?? args;
		try {
			const result = syscall(asker, "ask", () => this.look(asker, sleep.begin as Begin, asked));
			if (result >= 0) return `it would return ${result}`;
			const code = errnoName(-result);
			return ENDS.has(code) ? `it would fail with ${code}` : null;
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			// A select asks for all that it is passed again, and fails for what it did not watch.
			if (/select/i.test(sleep.begin.name)) return null;
			return ENDS.has(error.code) ? `it would fail with ${error.code}` : null;
		}
	}

	/** Takes the first step of a call, and ends it. */
	private look(asker: Thread, begin: Begin, args: readonly unknown[]): number {
		const call = begin(asker, ...args);
		if (typeof call === "number") return call;
		try {
			return call.step(0);
		} finally {
			call.end();
		}
	}

	/** Whether a descriptor has room enough that no writer may wait. */
	private room(asker: Thread, { args: [number, bytes], file, thread }: Sleeper): string | null {
		const fds = [{ fd: number as number, events: POLLOUT, revents: 0 }];
		pollNow(asker, fds);
		const revents = fds[0]?.revents ?? 0;
		if ((revents & POLLOUT) === 0) return null;
		// A writer to a pipe goes on when the pipe is two thirds empty.
		const { peer } = file as File & { readonly peer?: { readonly buffer?: { count: number } } };
		// A write to a terminal keeps the mark it began with, also when a higher speed has raised it for
		// others: it sleeps above that mark until the master reads.
		const { tty } = file as PtyEnd;
		const hiwat = tty?.hiwats.get(thread);
		if (tty && hiwat !== undefined && tty.outq.count > hiwat) return null;
		// A message is sent as a whole.
		if (file instanceof Socket && file.atomic && sizeOf(bytes) > file.snd.space) return null;
		if (file?.type === "pipe" && (peer?.buffer?.count ?? 0) >= 5461) return null;
		return "there is room";
	}

	private askerOf(process: Process): Thread {
		let asker = this.askers.get(process);
		if (asker === undefined || asker.state === "exited") {
			asker = process.spawnThread();
			sigprocmask(asker, SIG_SETMASK, -1);
			this.askers.set(process, asker);
		}
		return asker;
	}

	private lost({ thread, sleep, args }: Sleeper, why: string): void {
		const call = `${sleep.begin.name}(${args.map(print).join(", ")})`;
		this.world.found(`thread ${thread.tid} sleeps in ${call}, and ${why}`);
	}
}

/** Opens what sleepers wait for, in a process and in its child. */
function furnish(world: World): void {
	const { descriptors, random, trees } = world;
	const [tree] = trees;
	const { main } = world.thread.process;
	const open = (...fds: readonly number[]): void => {
		for (const each of fds) descriptors.opened(main.process, each);
	};
	for (const type of ["stream", "seqpacket", "dgram"] as const) open(...socketpair(main, type));
	for (let n = 2; n > 0; n--) open(...pipe(main));
	open(...openpty(main));
	mkfifo(main, tree as Tree, "a");
	open(openNow(main, tree as Tree, "a", O_RDWR | O_NONBLOCK));
	const listener = socket(main, "inet", "stream");
	bind(main, listener, 80);
	listen(main, listener, 3);
	const client = socket(main, "inet", "stream", SOCK_NONBLOCK);
	open(listener, client);
	world.attempt("connect", () => connectNow(main, client, 80));
	world.settle();
	open(acceptNow(main, listener), kqueue(main), openFile(main, new SyntheticFile()));
	const child = fork(main);
	descriptors.forked(child);
	world.adopt(child.main);
	descriptors.opened(child, kqueue(child.main));
	for (const process of [main.process, child]) {
		for (let n = 8; n > 0; n--) world.adopt(process.spawnThread());
		if (!random.once(3)) sigaction(process.main, SIGUSR1, () => {});
	}
}

/** Runs a program of sleepers. */
export async function runSleepers(
	{ seed, operations }: Program,
	careful: boolean,
	progress: Progress = () => {},
): Promise<Outcome> {
	let sleepers: Sleepers | null = null;
	const begin = (): void => sleepers?.begin();
	const wait: Operations = { begin };
	const world = new World({
		seed,
		objects: false,
		honest: true,
		careful,
		groups: [wait, wait, HAPPENINGS, TRANSFERS, TRANSFERS],
	});
	sleepers = new Sleepers(world);
	furnish(world);
	let at = -1;
	for (const index of operations) {
		progress(index);
		await world.step(index);
		world.settle();
		if (index % 16 === 15) world.advance(world.random.below(100));
		if (world.problem === null) world.attempt("ask", () => sleepers.ask());
		world.settle();
		if (world.problem === null) continue;
		at = index;
		break;
	}
	progress(-1);
	if (world.problem === null) await world.finish();
	const { calls, problem, transcript } = world;
	return { calls, wakeups: sleepers.wakeups, problem, at, transcript };
}

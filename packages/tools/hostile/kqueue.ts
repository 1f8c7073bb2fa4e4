// Operations of @kqpoll/kqueue: kevents, descriptors, processes, signals, sleeps.
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_ONESHOT,
	EV_RECEIPT,
	EV_SET,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	errnoName,
	eventList,
	exec,
	exit,
	fcntl,
	fork,
	formatKevent,
	fstat,
	interrupt,
	ioctl,
	Kernel,
	Kevent,
	kevent,
	keventNow,
	kevents,
	kill,
	kqueue,
	lseek,
	NOTE_CHANGE,
	NOTE_CHILD,
	NOTE_EOF,
	NOTE_EXEC,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_LOWAT,
	NOTE_OOB,
	NOTE_TRACK,
	NOTE_WRITE,
	nanosleep,
	openFile,
	type Process,
	pledge,
	type Readiness,
	read,
	readNow,
	type Side,
	SyntheticFile,
	SystemError,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
	waitpid,
	waitpidNow,
	watchKevent,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import {
	F_DUPFD,
	F_DUPFD_CLOEXEC,
	F_GETFD,
	F_GETFL,
	F_SETFD,
	F_SETFL,
	FD_CLOEXEC,
	O_APPEND,
	O_NONBLOCK,
} from "@kqpoll/kqueue/fcntl";
import { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD } from "@kqpoll/kqueue/ioctl";
import {
	callAsync,
	callEither,
	callNow,
	callSync,
	cutShort,
	File,
	type Filterops,
	filterName,
	filterops,
	formatSigset,
	formatThread,
	formatThreads,
	getFile,
	isDrivable,
	isInt16,
	isInt32,
	isThread,
	isUint16,
	isUint32,
	Klist,
	type Knote,
	KqueueFile,
	keepAlive,
	keventCall,
	letGo,
	msToNs,
	nanosleepCall,
	pauseCall,
	pgsignal,
	psignal,
	readCall,
	readvCall,
	resume,
	show,
	signalName,
	sigsuspendCall,
	sigsuspendMask,
	sigwaitCall,
	startCall,
	syscall,
	Timeout,
	timeoutAdd,
	timeoutDel,
	timespecToNs,
	timevalToNs,
	unwrap,
	WaitChannel,
	waitpidCall,
	wakeup,
	writeCall,
	writevCall,
} from "@kqpoll/kqueue/kernel";
import {
	SA_NOCLDWAIT,
	SA_NODEFER,
	SA_RESETHAND,
	SA_RESTART,
	SIG_BLOCK,
	SIG_DFL,
	SIG_IGN,
	SIG_SETMASK,
	SIG_UNBLOCK,
	sigpending,
	sigset as sigsetOf,
	sigsuspend,
	sigwait,
	sigwaitNow,
	threadKill,
} from "@kqpoll/kqueue/signal";
import { preadv, pwritev, readv, readvNow, writev, writevNow } from "@kqpoll/kqueue/uio";
import {
	closefrom,
	getpgid,
	getsid,
	pause,
	pread,
	pwrite,
	SEEK_CUR,
	SEEK_END,
	SEEK_SET,
	setpgid,
	setsid,
} from "@kqpoll/kqueue/unistd";
import {
	WCOREDUMP,
	WEXITSTATUS,
	WIFCONTINUED,
	WIFEXITED,
	WIFSIGNALED,
	WIFSTOPPED,
	WSTOPSIG,
	WTERMSIG,
	waitStatusNow,
} from "@kqpoll/kqueue/wait";
import { begun, custom, type Effect, formsOf, now, plain, sleeps } from "./calls.ts";
import {
	aThread,
	bytes,
	draw,
	fd,
	fdNumber,
	flagsOf,
	type Kind,
	kqFd,
	listOf,
	maybe,
	milliseconds,
	oneOf,
	pid,
	signal,
	sigset,
	sleepOptions,
	timespec,
	timeval,
	upTo,
} from "./values.ts";
import type { Operation, Operations, World } from "./world.ts";

/** The result is a new descriptor. */
export const opened: Effect = (world, result: number, _args, { process }) => {
	world.descriptors.opened(process, result);
	world.see(process, result);
};

/** The result is a list of new descriptors. */
export const openedAll: Effect = (world, result: readonly number[], args, thread) => {
	for (const each of result) opened(world, each as never, args, thread);
};

const duplicated: Effect = (world, result: number, [, , command], thread) => {
	if (command === F_DUPFD || command === F_DUPFD_CLOEXEC)
		opened(world, result as never, [], thread);
};

/** A call that closes some of the open descriptors, unless it fails. */
function closes(
	name: string,
	which: (process: Process, fd: number) => number[],
	act: (thread: Thread, fd: number) => void,
	from: Kind<number> = fd,
): Operation {
	return custom(name, (world) => {
		const { descriptors, thread } = world;
		const first = draw(from, world) as number;
		const fds = which(thread.process, first);
		descriptors.closing(thread.process, fds, () => act(thread, first));
	});
}

function markedOf({ fdp }: Process): number[] {
	return [...fdp.open()].filter((each) => fdp.isCloexec(each));
}

function openFrom({ fdp }: Process, first: number): number[] {
	return typeof first === "number" ? [...fdp.open()].filter((each) => each >= first) : [];
}

const CHANGE_FLAGS = [
	EV_ADD,
	EV_ADD,
	EV_ADD | EV_CLEAR,
	EV_ADD | EV_ONESHOT,
	EV_ADD | EV_DISPATCH,
	EV_ADD | EV_DISABLE,
	EV_ADD | EV_RECEIPT,
	EV_DELETE,
	EV_ENABLE,
	EV_DISABLE,
	0,
];

/** A change for a kqueue, or what a watch asks for. */
export const change: Kind = (world) => {
	const { random } = world;
	const flags = random.pick(CHANGE_FLAGS);
	const udata = random.once(3) ? {} : null;
	switch (random.below(10)) {
		case 0:
			return { ident: random.below(4), filter: EVFILT_TIMER, flags, data: random.below(50), udata };
		case 1:
			return { ident: signal(world), filter: EVFILT_SIGNAL, flags, udata };
		case 2: {
			const fflags = flagsOf(NOTE_EXIT, NOTE_FORK, NOTE_EXEC, NOTE_TRACK, NOTE_CHILD)(world);
			return { ident: pid(world), filter: EVFILT_PROC, flags, fflags, udata };
		}
		case 3:
			return { ident: fd(world), filter: EVFILT_VNODE, flags, fflags: 0x7f, udata };
		case 4: {
			const fflags = random.pick([NOTE_LOWAT, NOTE_EOF, 0]);
			return { ident: fd(world), filter: EVFILT_READ, flags, fflags, data: random.below(9), udata };
		}
		case 5:
			return { ident: fd(world), filter: EVFILT_EXCEPT, flags, fflags: NOTE_OOB, udata };
		case 6:
			return { ident: fd(world), filter: EVFILT_DEVICE, flags, fflags: NOTE_CHANGE, udata };
		default: {
			const filter = random.once(2) ? EVFILT_READ : EVFILT_WRITE;
			return new Kevent(fd(world), filter, flags, 0, 0, udata);
		}
	}
};

/** An event list. */
export const events: Kind = ({ random }) => (random.once(8) ? [] : eventList(1 + random.below(6)));
const anyTimespec: Kind = maybe(timespec);

const HOOKS = ["kqfilter", "attached", "detach", "event", "read", "write", "ioctl", "close"];

/** A file whose operations call back into the program. */
class HookedFile extends File {
	readonly klist: Klist = new Klist();
	readonly channels: WaitChannel = new WaitChannel();
	readonly hooks: Map<string, () => void> = new Map();
	ready = 0;
	private readonly filter: Filterops;

	constructor(type: "socket" | "vnode") {
		super(type);
		this.filter = filterops({
			name: "hooked",
			detach: (kn: Knote) => {
				this.klist.remove(kn);
				this.hook("detach");
			},
			event: (kn: Knote) => {
				this.hook("event");
				kn.data = this.ready;
				return this.ready > 0;
			},
		});
	}

	override kqfilter(kn: Knote): number {
		this.hook("kqfilter");
		if (kn.filter !== EVFILT_READ && kn.filter !== EVFILT_WRITE) return errno.EINVAL;
		kn.fop = this.filter;
		this.klist.insert(kn);
		this.hook("attached");
		return 0;
	}

	override read(): number {
		this.hook("read");
		return this.ready > 0 ? 0 : -errno.EAGAIN;
	}

	override write(): number {
		this.hook("write");
		return this.ready > 0 ? 0 : -errno.EAGAIN;
	}

	override channel(): WaitChannel {
		return this.channels;
	}

	override ioctl(): number {
		this.hook("ioctl");
		return 0;
	}

	override close(): void {
		this.hook("close");
	}

	/** Each hook runs once. */
	private hook(name: string): void {
		const run = this.hooks.get(name);
		this.hooks.delete(name);
		run?.();
	}
}

/** The file of a descriptor of the current process that is of a class. */
export function fileOf<T extends File>(
	{ random, thread }: World,
	is: abstract new (...args: never[]) => T,
): T | null {
	const files: T[] = [];
	for (const each of thread.process.fdp.open()) {
		const file = thread.process.fdp.get(each);
		if (file instanceof is) files.push(file);
	}
	return files.length === 0 ? null : random.pick(files);
}

function openHooked(world: World): void {
	const file = new HookedFile(world.random.once(2) ? "socket" : "vnode");
	opened(world, openFile(world.thread, file) as never, [], world.thread);
}

function hookFile(world: World): void {
	const file = fileOf(world, HookedFile);
	if (file === null) openHooked(world);
	else file.hooks.set(world.random.pick(HOOKS), world.callback(world.random.once(4)));
}

function changeHooked(world: World): void {
	const file = fileOf(world, HookedFile);
	if (file === null) {
		openHooked(world);
		return;
	}
	file.ready = world.random.below(2);
	wakeup(file.channels);
	if (world.random.once(12)) file.klist.invalidate();
	else file.klist.notify(0);
}

function openSynthetic(world: World): void {
	const { random, thread } = world;
	const file = new SyntheticFile({
		type: random.once(2) ? "vnode" : "socket",
		...(random.once(3) ? { write: (data: Uint8Array) => data.length } : {}),
		...(random.once(6) ? { read: hookOf(world, 1), close: world.callback(true) } : {}),
	});
	opened(world, openFile(thread, file) as never, [], thread);
}

function hookOf(world: World, result: number): () => number {
	const callback = world.callback(false);
	return () => {
		callback();
		return result;
	};
}

const side = oneOf<Side>("read", "write", "except");
/** Errors with which a file refuses to be watched. */
const refusal = oneOf(0, errno.EPERM, errno.EIO, errno.EBADF, errno.EINVAL);
const readiness: Kind<Partial<Readiness>> = ({ random }) => ({ data: 1, eof: random.once(4) });

/** What the owner of a file does, who is not a guest. */
const SYNTHETIC: readonly ((file: SyntheticFile, world: World) => void)[] = [
	(file, world) => file.push(bytes(world)),
	(file) => file.end(),
	refuse,
	goAway,
	(file) => file.revoke(),
	(file) => file.notify(NOTE_WRITE),
	(file, world) => file.set(side(world), readiness(world)),
	(file, world) => file.set(side(world), world.random.below(9)),
];

/** Files whose object has gone away: in an honest world nothing becomes of them any more. */
const gone: WeakSet<SyntheticFile> = new WeakSet();

function goAway(file: SyntheticFile): void {
	file.invalidate();
	gone.add(file);
}

/** Sleepers are not told that their file refuses others from now on. */
function refuse(file: SyntheticFile, world: World): void {
	const [which, error] = [side(world), refusal(world)];
	if (!world.honest) file.deny(which, error);
}

function changeSynthetic(world: World): void {
	const file = fileOf(world, SyntheticFile);
	if (file === null) openSynthetic(world);
	else if (!world.honest || !gone.has(file)) world.random.pick(SYNTHETIC)(file, world);
}

const action: Kind = (world) =>
	world.random.once(4)
		? SIG_DFL
		: world.random.once(3)
			? SIG_IGN
			: world.callback(world.random.once(4));

/** Most programs should go on for a while. */
function seldom(n: number, operation: Operation): Operation {
	return (world) => {
		if (world.random.once(n)) operation(world);
	};
}

function spawnThread(world: World): void {
	if (!world.hasRoomForThreads) return;
	world.adopt(world.thread.process.spawnThread());
}

const forked: Effect = (world, child: Process) => {
	world.descriptors.forked(child);
	world.adopt(child.main);
};

function duplicateTo(world: World): void {
	const { descriptors, thread } = world;
	const { process } = thread;
	const from = draw(fd, world) as number;
	const to = draw(fdNumber, world) as number;
	const closed = process.fdp.get(from) === null || from === to ? [] : [to];
	const before = process.fdp.get(to);
	try {
		descriptors.closing(process, closed, () => dup2(thread, from, to));
	} finally {
		// The close of the file that was there may have thrown, when all was done.
		const after = process.fdp.get(to);
		if (after !== null && after !== before) descriptors.opened(process, to);
	}
}

function watchSomething(world: World): void {
	const { random, thread } = world;
	const next = world.callback(random.once(6));
	// What it lacks later is missed when it is told, which is a mistake of its own.
	const observer = { next, error: () => {}, complete: () => {} };
	const watch = watchKevent(thread, draw(change, world) as never, observer);
	world.endings.push(() => {
		if (random.once(3)) watch.enable();
		watch.close();
	});
	if (random.once(4)) watch.close();
}

function iterate(world: World): void {
	const { random, thread } = world;
	const options = (): object => ({
		policy: random.pick(["pull", "latest", "buffered"]),
		bound: 1 + random.below(3),
		overflow: random.pick(["pause", "dropOldest", "dropNewest", "error"]),
		eof: random.pick(["complete", "emit"]),
		...(sleepOptions(world) as object | undefined),
	});
	const iterator = kevents(thread, draw(change, world) as never, draw(options, world) as never);
	const next = (): void => world.track("kevents.next", iterator.next(), () => {});
	for (let n = random.below(4); n > 0; n--) next();
	world.endings.push(() => world.track("kevents.return", iterator.return(), () => {}));
	world.endings.push(next);
}

function scheduleTimeout(world: World): void {
	const { kernel, random } = world;
	const timeout = new Timeout(world.callback(random.once(4)));
	timeoutAdd(kernel, timeout, kernel.host.now() + random.below(100) * 1e6);
	world.lasting.push(() => timeoutDel(kernel, timeout));
}

function wakeSomething(world: World): void {
	const channel = new WaitChannel();
	wakeup(channel);
	keepAlive(world.kernel);
	letGo(world.kernel);
}

function sendSignal(world: World): void {
	const { random } = world;
	const target = world.anyThread().process;
	if (random.once(3)) pgsignal(target.pgrp, 1 + random.below(32), random.once(2), world.thread);
	else psignal(target, 1 + random.below(32), world.thread);
}

/** A look-up as in a call of the program's own. */
function lookUp(thread: Thread, number: number): void {
	syscall(thread, "test", () => getFile(thread, number, "test"));
}

function reopenKqueue(world: World): void {
	const file = fileOf(world, KqueueFile);
	if (file !== null) openFile(world.thread, file);
}

function otherMachine(world: World): void {
	const odd = (): unknown => draw(upTo(100), world);
	const kernel = new Kernel({
		host: world.host,
		maxfiles: odd(),
		maxprocesses: odd(),
		timermax: odd(),
		firstPid: odd(),
	} as never);
	const { main } = kernel.spawn();
	kqueue(main);
	exit(main, 0);
}

const forms = formsOf(resume);
const buffers = listOf(bytes);
const offset = upTo(100);
const command = oneOf(
	FIOASYNC,
	FIOCLEX,
	FIONBIO,
	FIONCLEX,
	FIONREAD,
	0x4004_7473,
	0x2000_7461,
	0x8004_7474,
);
const fcntlCommand = oneOf(F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL);
const saFlags = flagsOf(SA_NOCLDWAIT, SA_NODEFER, SA_RESETHAND, SA_RESTART, 0, 0);
const word = upTo(0x1_0000);

/** The operations, by the names of what they call. */
export const kqueueOperations: Operations = {
	EV_SET: plain(EV_SET, [fd, word, word, word, word]),
	Kernel: seldom(4, custom("Kernel", otherMachine)),
	Kevent: custom("Kevent", () => new Kevent()),
	SyntheticFile: custom("SyntheticFile", changeSynthetic),
	SystemError: custom("SystemError", ({ random }) => new SystemError(random.below(100), "call")),
	close: seldom(
		2,
		closes("close", (_process, first) => [first], close),
	),
	closefrom: seldom(
		8,
		closes("closefrom", openFrom, closefrom, (world) => 20 + world.random.below(20)),
	),
	dup: now(dup, [fd], opened),
	dup2: custom("dup2", duplicateTo),
	errnoName: plain(errnoName, [upTo(100)]),
	eventList: custom("eventList", ({ random }) => eventList(random.pick([0, 3, -1, Number.NaN]))),
	exec: seldom(3, closes("exec", markedOf, exec)),
	exit: seldom(10, now(exit, [upTo(256), oneOf(0, 0, 0, 9)])),
	fcntl: now(fcntl, [fd, fcntlCommand, oneOf(0, FD_CLOEXEC, O_NONBLOCK, O_APPEND, 3)], duplicated),
	fork: seldom(3, now(fork, [], forked)),
	formatKevent: plain(formatKevent, [change]),
	fstat: now(fstat, [fd]),
	interrupt: plain(interrupt, [aThread]),
	ioctl: now(ioctl, [fd, command, oneOf<unknown>(0, 1, true, {}, null)]),
	kevent: sleeps(kevent, [kqFd, maybe(listOf(change)), events, anyTimespec]),
	keventNow: now(keventNow, [kqFd, maybe(listOf(change)), events]),
	kevents: custom("kevents", iterate),
	kill: seldom(2, now(kill, [pid, signal])),
	kqueue: now(kqueue, [], opened),
	lseek: now(lseek, [fd, offset, oneOf(SEEK_CUR, SEEK_END, SEEK_SET)]),
	nanosleep: sleeps(nanosleep, [timespec, maybe(() => ({ sec: 0, nsec: 0 }))]),
	openFile: custom("openFile", openHooked),
	pledge: seldom(10, now(pledge, [oneOf("stdio", "stdio rpath", "", "nonsense")])),
	read: sleeps(read, [fd, bytes]),
	readNow: now(readNow, [fd, bytes]),
	sigaction: now(sigaction, [signal, action, sigset, saFlags]),
	sigprocmask: now(sigprocmask, [oneOf(SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK), sigset]),
	threadExit: seldom(4, now(threadExit, [])),
	waitpid: sleeps(waitpid, [pid]),
	waitpidNow: now(waitpidNow, [pid]),
	waitStatusNow: now(waitStatusNow, [pid]),
	watchKevent: custom("watchKevent", watchSomething),
	write: sleeps(write, [fd, bytes]),
	writeNow: now(writeNow, [fd, bytes]),
	// signal.h, sys/uio.h, unistd.h, sys/wait.h
	sigset: plain(sigsetOf, [signal, signal]),
	sigpending: now(sigpending, []),
	threadKill: now(threadKill, [aThread, signal]),
	sigsuspend: sleeps(sigsuspend, [sigset]),
	sigwait: sleeps(sigwait, [sigset]),
	sigwaitNow: now(sigwaitNow, [sigset]),
	preadv: now(preadv, [fd, buffers, offset]),
	pwritev: now(pwritev, [fd, buffers, offset]),
	readv: sleeps(readv, [fd, buffers]),
	readvNow: now(readvNow, [fd, buffers]),
	writev: sleeps(writev, [fd, buffers]),
	writevNow: now(writevNow, [fd, buffers]),
	pread: now(pread, [fd, bytes, offset]),
	pwrite: now(pwrite, [fd, bytes, offset]),
	getpgid: now(getpgid, [pid]),
	getsid: now(getsid, [pid]),
	setpgid: now(setpgid, [pid, pid]),
	setsid: now(setsid, []),
	pause: sleeps(pause, []),
	WCOREDUMP: plain(WCOREDUMP, [word]),
	WEXITSTATUS: plain(WEXITSTATUS, [word]),
	WIFCONTINUED: plain(WIFCONTINUED, [word]),
	WIFEXITED: plain(WIFEXITED, [word]),
	WIFSIGNALED: plain(WIFSIGNALED, [word]),
	WIFSTOPPED: plain(WIFSTOPPED, [word]),
	WSTOPSIG: plain(WSTOPSIG, [word]),
	WTERMSIG: plain(WTERMSIG, [word]),
	// For hosts and authors of file types.
	File: custom("File", hookFile),
	Klist: custom("Klist", changeHooked),
	KqueueFile: custom("KqueueFile", reopenKqueue),
	Timeout: custom("Timeout", scheduleTimeout),
	WaitChannel: custom("WaitChannel", wakeSomething),
	filterName: plain(filterName, [oneOf(-1, -2, -7, -99, 0)]),
	formatSigset: plain(formatSigset, [sigset]),
	formatThread: custom("formatThread", ({ thread }) => formatThread(thread)),
	formatThreads: custom("formatThreads", ({ kernel }) => formatThreads(kernel)),
	getFile: now(lookUp, [fd]),
	isDrivable: custom("isDrivable", ({ host }) => isDrivable(host)),
	isInt16: plain(isInt16, [word]),
	isThread: plain(isThread, [aThread]),
	isInt32: plain(isInt32, [word]),
	isUint16: plain(isUint16, [word]),
	isUint32: plain(isUint32, [word]),
	keventCall: begun(forms, keventCall, [kqFd, maybe(listOf(change)), events, anyTimespec]),
	msToNs: plain((ms: number) => void msToNs(ms, "test"), [milliseconds]),
	nanosleepCall: begun(forms, nanosleepCall, [timespec, maybe(() => ({ sec: 0, nsec: 0 }))]),
	pauseCall: begun(forms, pauseCall, []),
	psignal: seldom(3, custom("psignal", sendSignal)),
	readCall: begun(forms, readCall, [fd, bytes]),
	readvCall: begun(forms, readvCall, [fd, buffers]),
	show: plain(show, [bytes]),
	signalName: plain(signalName, [signal]),
	sigsuspendCall: begun(forms, sigsuspendCall, [sigset]),
	sigwaitCall: begun(forms, sigwaitCall, [sigset]),
	timespecToNs: plain((ts: never) => void timespecToNs(ts, "test"), [timespec]),
	timevalToNs: plain((tv: never) => void timevalToNs(tv, "test"), [timeval]),
	waitpidCall: begun(forms, waitpidCall, [pid, maybe(() => ({ status: 0 }))]),
	writeCall: begun(forms, writeCall, [fd, bytes]),
	writevCall: begun(forms, writevCall, [fd, buffers]),
	spawnThread: custom("spawnThread", spawnThread),
	cutShort: seldom(
		4,
		custom("cutShort", (world) =>
			cutShort(world.anyThread(), new SystemError(errno.EINTR, "test")),
		),
	),
};

/** What the operations above call under other names, or use for others. */
export const kqueueUsed: readonly unknown[] = [
	callAsync,
	callEither,
	callNow,
	callSync,
	filterops,
	keepAlive,
	letGo,
	pgsignal,
	resume,
	sigsuspendMask,
	startCall,
	syscall,
	timeoutAdd,
	timeoutDel,
	unwrap,
	wakeup,
];

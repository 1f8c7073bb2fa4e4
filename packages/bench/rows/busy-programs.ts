// Programs that are always busy in our calls, each in a way of its own.
import { openDevice, pipe } from "@kqpoll/files";
import { POLLIN, poll } from "@kqpoll/kqpoll";
import {
	BlockingHost,
	EV_ADD,
	EV_DISPATCH,
	EV_ENABLE,
	EVFILT_READ,
	EVFILT_TIMER,
	eventList,
	exit,
	fork,
	Kernel,
	type KernelOptions,
	kevent,
	keventNow,
	kevents,
	kill,
	kqueue,
	nanosleep,
	openFile,
	type Process,
	RealHost,
	read,
	SyntheticFile,
	sigaction,
	type Thread,
	waitpid,
	watchKevent,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { callEither, callSync, type Host, readCall } from "@kqpoll/kqueue/kernel";
import { SA_NODEFER, SIGUSR1, SIGUSR2 } from "@kqpoll/kqueue/signal";
import { fromKevent, kernelScheduler, pollfds, readBytes, writeBytes } from "@kqpoll/rxjs";
import { interval, Observable, observeOn, repeat, retry, take, takeWhile } from "rxjs";

/** What a program asks while it runs. */
interface Busy {
	/** Whether it is to go on. */
	readonly goes: () => boolean;
	/** Uses the processor for that many milliseconds. */
	readonly work: (ms: number) => void;
}

/** A program: ends soon after it is told to; if it returns a promise, that is settled then. */
type Program = (busy: Busy) => unknown;

const READ = { filter: EVFILT_READ, flags: 0 };
const BYTE = new Uint8Array(1);
const ignored = { error: () => {}, complete: () => {} };

function spawn(options: KernelOptions = {}): Process {
	return new Kernel({ maxfiles: 4096, ...options }).spawn();
}

/** A descriptor that is always readable. */
function ready(thread: Thread): number {
	const file = new SyntheticFile({ read: (buffer) => buffer.length });
	file.set("read", { data: 1 });
	return openFile(thread, file);
}

/** A watched timer of 1 ms, with work for each event. */
function watchTimer(thread: Thread, ident: number, { goes, work }: Busy, ms: number): void {
	const change = { ident, filter: EVFILT_TIMER, data: 1, flags: EV_ENABLE };
	const watch = watchKevent(thread, change, {
		...ignored,
		next: () => {
			work(ms);
			if (!goes()) watch.close();
		},
	});
}

function watchTimers(host: Host | undefined, count: number, busy: Busy, ms: number): void {
	const { main } = spawn(host === undefined ? {} : { host });
	for (let ident = 0; ident < count; ident++) watchTimer(main, ident, busy, ms);
}

/** Threads that sleep for timers of their own. */
function awaitTimers(count: number, { goes, work }: Busy, ms: number): void {
	const process = spawn();
	for (let i = 0; i < count; i++) {
		const thread = process.spawnThread();
		const kq = kqueue(thread);
		const events = eventList(1);
		keventNow(thread, kq, [{ ident: i, filter: EVFILT_TIMER, flags: EV_ADD, data: 1 }], null);
		void (async () => {
			while (goes()) {
				await kevent(thread, kq, null, events, null);
				work(ms);
			}
		})();
	}
}

function retryRefused({ goes, work }: Busy, ms: number): void {
	const { main } = spawn();
	const refused = fromKevent(main, { ident: 999, ...READ });
	const delayed = new Observable((subscriber) => {
		work(ms);
		if (!goes()) subscriber.complete();
		else return refused.subscribe(subscriber);
		return undefined;
	});
	delayed.pipe(retry()).subscribe();
}

function repeatEvent({ goes, work }: Busy, ms: number): void {
	const { main } = spawn();
	const fd = ready(main);
	fromKevent(main, { ident: fd, ...READ })
		.pipe(take(1), repeat(), takeWhile(goes))
		.subscribe(() => work(ms));
}

function everyInterval({ goes, work }: Busy, ms: number): void {
	interval(0, kernelScheduler(spawn().kernel as Kernel))
		.pipe(takeWhile(goes))
		.subscribe(() => work(ms));
}

function observeAll({ goes, work }: Busy, ms: number): void {
	const values = new Observable<number>((subscriber) => {
		for (let i = 0; i < 20_000; i++) subscriber.next(i);
	});
	values
		.pipe(observeOn(kernelScheduler(spawn().kernel as Kernel)), takeWhile(goes))
		.subscribe(() => work(ms));
}

function signalItself({ goes, work }: Busy, ms: number, flags = 0): void {
	const { main, pid } = spawn();
	const handler = (): void => {
		work(ms);
		if (goes()) kill(main, pid, SIGUSR1);
	};
	sigaction(main, SIGUSR1, handler, 0, flags);
	setImmediate(() => kill(main, pid, SIGUSR1));
}

function twoHandlers({ goes, work }: Busy, ms: number): void {
	const { main, pid } = spawn();
	const sends = (signal: number) => (): void => {
		work(ms);
		if (goes()) kill(main, pid, signal);
	};
	sigaction(main, SIGUSR1, sends(SIGUSR2));
	sigaction(main, SIGUSR2, sends(SIGUSR1));
	setImmediate(() => kill(main, pid, SIGUSR1));
}

function twoProcesses({ goes, work }: Busy, ms: number): void {
	const { kernel, ...one } = spawn();
	const other = kernel.spawn();
	for (const [from, to] of [
		[one, other],
		[other, one],
	] as const) {
		sigaction(from.main, SIGUSR1, () => {
			work(ms);
			if (goes()) kill(from.main, to.pid, SIGUSR1);
		});
	}
	kill(one.main, other.pid, SIGUSR1);
}

async function pollReady({ goes, work }: Busy, ms: number, host?: Host): Promise<void> {
	const { main } = spawn(host === undefined ? {} : { host });
	const fds = [{ fd: ready(main), events: POLLIN, revents: 0 }];
	while (goes()) {
		await poll(main, fds, -1);
		work(ms);
	}
}

async function failAgain({ goes, work }: Busy, ms: number): Promise<void> {
	const { main } = spawn();
	while (goes()) {
		await read(main, 999, BYTE).catch(() => work(ms));
	}
}

async function eitherRead({ goes, work }: Busy, ms: number): Promise<void> {
	const { main } = spawn();
	await null;
	const fd = ready(main);
	const buffer = new Uint8Array(1);
	while (goes()) {
		const result = callEither(main, "read", null, readCall, fd, buffer);
		if (typeof result !== "number") await result;
		work(ms);
	}
}

/** A byte that goes round in a ring of threads. */
function ring(size: number, { goes, work }: Busy, ms: number): void {
	const process = spawn();
	const pipes = Array.from({ length: size }, () => pipe(process.main));
	for (const [i, [from]] of pipes.entries()) {
		const thread = process.spawnThread();
		const [, to] = pipes[(i + 1) % size] as (typeof pipes)[number];
		const buffer = new Uint8Array(1);
		void (async () => {
			while (goes()) {
				await read(thread, from, buffer);
				work(ms);
				writeNow(thread, to, BYTE);
			}
		})();
	}
	writeNow(process.main, pipes[0]?.[1] as number, BYTE);
}

/** Threads that are all woken at once, again and again, behind functions of their own. */
function herd(size: number, { goes, work }: Busy, ms: number): void {
	const process = spawn();
	const writers: number[] = [];
	let asleep = 0;
	const nap = async (thread: Thread, fd: number): Promise<number> => {
		const call = read(thread, fd, new Uint8Array(1));
		if (++asleep === size) {
			asleep = 0;
			for (const writer of writers) writeNow(process.main, writer, BYTE);
		}
		return await call;
	};
	const live = async (thread: Thread, fd: number): Promise<void> => {
		await nap(thread, fd);
		work(ms);
	};
	for (let i = 0; i < size; i++) {
		const thread = process.spawnThread();
		const [r, w] = pipe(process.main);
		writers.push(w);
		void (async () => {
			while (goes()) await live(thread, r);
		})();
	}
}

async function iterate({ goes, work }: Busy, ms: number): Promise<void> {
	const { main } = spawn();
	for await (const _ of kevents(main, { ident: ready(main), ...READ })) {
		work(ms);
		if (!goes()) return;
	}
}

/** A thousand events are kept before the first is asked for. */
async function iterateKept({ goes, work }: Busy, ms: number): Promise<void> {
	const { main } = spawn();
	const iterators = Array.from({ length: 1000 }, () =>
		kevents(main, { ident: ready(main), ...READ }, { policy: "buffered" }),
	);
	await new Promise((resolve) => setTimeout(resolve, 20));
	for (const iterator of iterators) {
		if (!goes()) break;
		await iterator.next();
		work(ms);
	}
	for (const iterator of iterators) await iterator.return();
}

function watchReady({ goes, work }: Busy, ms: number): void {
	const { main } = spawn();
	const change = { ident: ready(main), filter: EVFILT_READ, flags: EV_DISPATCH };
	const watch = watchKevent(main, change, {
		...ignored,
		next: () => {
			work(ms);
			if (goes()) watch.enable();
			else watch.close();
		},
	});
}

/** Watches that share a knote: one event is delivered to all of them. */
function watchTogether(count: number, { goes, work }: Busy, ms: number): void {
	const { main } = spawn();
	const file = new SyntheticFile();
	const ident = openFile(main, file);
	let told = 0;
	for (let i = 0; i < count; i++) {
		const watch = watchKevent(
			main,
			{ ident, ...READ },
			{
				...ignored,
				next: () => {
					work(ms);
					if (!goes()) watch.close();
					else if (++told % count === 0) file.set("read", { data: told });
				},
			},
		);
	}
	file.set("read", { data: 1 });
}

async function forkAndWait({ goes, work }: Busy, ms: number): Promise<void> {
	const { main } = spawn();
	while (goes()) {
		const child = fork(main);
		queueMicrotask(() => exit(child.main, 0));
		await waitpid(main, child.pid);
		work(ms);
	}
}

async function abortAgain({ goes, work }: Busy, ms: number): Promise<void> {
	const process = spawn();
	const [fd] = pipe(process.main);
	const threads = Array.from({ length: 50 }, () => process.spawnThread());
	while (goes()) {
		const abort = new AbortController();
		const reads = threads.map((thread) =>
			read(thread, fd, new Uint8Array(1), { signal: abort.signal }).catch(() => work(ms)),
		);
		abort.abort();
		await Promise.all(reads);
	}
}

function deferAgain({ goes, work }: Busy, ms: number, host: Host = new RealHost()): void {
	const again = (): void => {
		work(ms);
		if (goes()) host.defer(again);
	};
	host.defer(again);
}

function pollObserved({ goes, work }: Busy, ms: number): void {
	const { main } = spawn();
	pollfds(main, [{ fd: ready(main), events: POLLIN }])
		.pipe(takeWhile(goes))
		.subscribe(() => work(ms));
}

/** Bytes without end, from a device to a device. */
function copyBytes({ goes, work }: Busy, ms: number): void {
	const { main } = spawn();
	readBytes(main, openDevice(main, "zero"), { size: 512 })
		.pipe(takeWhile(goes), writeBytes(main, openDevice(main, "null")))
		.subscribe(() => work(ms));
}

function napAgain(count: number, { goes, work }: Busy, ms: number): void {
	const process = spawn();
	for (let i = 0; i < count; i++) {
		const thread = process.spawnThread();
		void (async () => {
			while (goes()) {
				await nanosleep(thread, { sec: 0, nsec: 0 });
				work(ms);
			}
		})();
	}
}

async function emptyPoll({ goes, work }: Busy, ms: number): Promise<void> {
	const { main } = spawn();
	const time = { sec: 0, nsec: 0 };
	const kq = kqueue(main);
	const events = eventList(1);
	while (goes()) {
		await kevent(main, kq, null, events, time);
		work(ms);
	}
}

function copyThroughPipe({ goes, work }: Busy, ms: number): void {
	const process = spawn();
	const [r, w] = pipe(process.main);
	const writer = process.spawnThread();
	void (async () => {
		while (goes()) {
			await write(writer, w, new Uint8Array(4096));
			work(ms);
		}
	})();
	void (async () => {
		const buffer = new Uint8Array(4096);
		while (goes()) {
			await read(process.main, r, buffer);
			work(ms);
		}
	})();
}

/** Calls that block, in turn with calls that return a promise. */
async function blockAndAwait({ goes, work }: Busy, ms: number): Promise<void> {
	const { main } = spawn({ host: new BlockingHost() });
	const fd = ready(main);
	const buffer = new Uint8Array(1);
	while (goes()) {
		callSync(main, "read", null, readCall, fd, buffer);
		await read(main, fd, buffer);
		work(ms);
	}
}

/** Pieces that take no time, until one of them in a thousand does. */
async function mostlyLight(busy: Busy): Promise<void> {
	let count = 0;
	await pollReady({ ...busy, work: (ms) => busy.work(++count % 1000 < 950 ? 0 : ms) }, 3);
}

/** The programs by name. */
export const programs: Readonly<Record<string, Program>> = {
	"a timer of 1 ms, watched, 5 ms of work": (busy) => watchTimers(undefined, 1, busy, 5),
	"20 timers of 1 ms, watched, 1 ms of work each": (busy) => watchTimers(undefined, 20, busy, 1),
	"20 timers of 1 ms, awaited, 1 ms of work each": (busy) => awaitTimers(20, busy, 1),
	"300 timers of 1 ms, awaited, 2 ms of work each": (busy) => awaitTimers(300, busy, 2),
	"timers of 10 kernels on one host": (busy) => {
		const host = new RealHost();
		for (let i = 0; i < 10; i++) watchTimers(host, 2, busy, 1);
	},
	"timers of 10 hosts": (busy) => {
		for (let i = 0; i < 10; i++) watchTimers(new RealHost(), 2, busy, 2);
	},
	"retry() of a refused fromKevent": (busy) => retryRefused(busy, 0),
	"retry() of a refused fromKevent, 2 ms of work": (busy) => retryRefused(busy, 2),
	"repeat() of an event, 1 ms of work": (busy) => repeatEvent(busy, 1),
	"interval(0) on kernelScheduler": (busy) => everyInterval(busy, 0),
	"interval(0) on kernelScheduler, 3 ms of work": (busy) => everyInterval(busy, 3),
	"observeOn kernelScheduler, 20,000 values": (busy) => observeAll(busy, 0),
	"observeOn kernelScheduler, 1 ms of work each": (busy) => observeAll(busy, 1),
	"a handler that signals itself": (busy) => signalItself(busy, 0),
	"a handler that signals itself, 5 ms of work": (busy) => signalItself(busy, 5),
	"a handler that signals itself, SA_NODEFER": (busy) => signalItself(busy, 1, SA_NODEFER),
	"two handlers that signal each other": (busy) => twoHandlers(busy, 1),
	"two processes that signal each other": (busy) => twoProcesses(busy, 0),
	"two processes that signal each other, 1 ms of work": (busy) => twoProcesses(busy, 1),
	"poll that never sleeps": (busy) => pollReady(busy, 0),
	"poll that never sleeps, 5 ms of work": (busy) => pollReady(busy, 5),
	"poll that never sleeps, 40 ms of work": (busy) => pollReady(busy, 40),
	"50 threads in polls that never sleep, 2 ms of work": (busy) => {
		for (let i = 0; i < 50; i++) void pollReady(busy, 2);
	},
	"polls that take no time, and then 3 ms each": mostlyLight,
	"kevent with a time-out of 0, 1 ms of work": (busy) => emptyPoll(busy, 1),
	"nanosleep of 0 in 20 threads, 1 ms of work": (busy) => napAgain(20, busy, 1),
	"read that fails, 1 ms of work": (busy) => failAgain(busy, 1),
	"callEither that never sleeps, 1 ms of work": (busy) => eitherRead(busy, 1),
	"calls that block, and calls that do not, 1 ms of work": (busy) => blockAndAwait(busy, 1),
	"ping-pong of two threads": (busy) => ring(2, busy, 0),
	"ping-pong of two threads, 3 ms of work": (busy) => ring(2, busy, 3),
	"a ring of 100 threads, 1 ms of work": (busy) => ring(100, busy, 1),
	"200 threads woken at once, 2 ms of work each": (busy) => herd(200, busy, 2),
	"a pipe between two threads, 2 ms of work": (busy) => copyThroughPipe(busy, 2),
	"kevents() of a readable descriptor, 2 ms of work": (busy) => iterate(busy, 2),
	"kevents() that were kept, 1 ms of work": (busy) => iterateKept(busy, 1),
	"watchKevent of a readable descriptor": (busy) => watchReady(busy, 0),
	"watchKevent of a readable descriptor, 4 ms of work": (busy) => watchReady(busy, 4),
	"100 watches of one descriptor, 1 ms of work each": (busy) => watchTogether(100, busy, 1),
	"pollfds of a readable descriptor, 1 ms of work": (busy) => pollObserved(busy, 1),
	"readBytes to writeBytes, 1 ms of work": (busy) => copyBytes(busy, 1),
	"fork, exit and waitpid, 1 ms of work": (busy) => forkAndWait(busy, 1),
	"50 reads aborted again and again, 1 ms of work": (busy) => abortAgain(busy, 1),
	"deferred work that defers": (busy) => deferAgain(busy, 0),
	"deferred work that defers, 2 ms of work": (busy) => deferAgain(busy, 2),
	"deferred work on 20 hosts, 5 ms of work": (busy) => {
		for (let i = 0; i < 20; i++) deferAgain(busy, 5);
	},
	"timers, signals, polls and observables on one host": (busy) => {
		const host = new RealHost();
		watchTimers(host, 5, busy, 1);
		signalItself(busy, 1);
		everyInterval(busy, 1);
		retryRefused(busy, 1);
		deferAgain(busy, 1, host);
		return pollReady(busy, 1, host);
	},
	"timers, rings, watches and forks together": (busy) => {
		awaitTimers(20, busy, 1);
		ring(10, busy, 2);
		watchReady(busy, 1);
		twoProcesses(busy, 1);
		repeatEvent(busy, 1);
		return forkAndWait(busy, 1);
	},
};

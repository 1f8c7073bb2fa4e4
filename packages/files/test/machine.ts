// A small machine in virtual time for the tests of emulated descriptors.
import { FdSet, type Pollfd, pollNow, selectNow } from "@kqpoll/kqpoll";
import { eventList, Kernel, keventNow, type Process, sigaction, type Thread } from "@kqpoll/kqueue";
import { kqueueDoCheck } from "@kqpoll/kqueue/kernel";
import { SIG_IGN, SIGPIPE } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";

/** A kernel with diagnostics on, one process that ignores SIGPIPE, and its thread. */
export interface Machine {
	readonly host: VirtualHost;
	readonly kernel: Kernel;
	readonly process: Process;
	readonly thread: Thread;
}

/** Makes a machine. */
export function machine(): Machine {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, diagnostics: true });
	const process = kernel.spawn();
	sigaction(process.main, SIGPIPE, SIG_IGN);
	return { host, kernel, process, thread: process.main };
}

/** The revents of descriptors now, each asked for the same events. */
export function revents(thread: Thread, events: number, ...fds: number[]): number[] {
	const list = fds.map((fd): Pollfd => ({ fd, events, revents: -1 }));
	pollNow(thread, list);
	return list.map((entry) => entry.revents);
}

/** What select reports for a descriptor now: readable, writable, exceptional. */
export function selected(thread: Thread, fd: number): [boolean, boolean, boolean] {
	const sets = [new FdSet([fd]), new FdSet([fd]), new FdSet([fd])] as const;
	selectNow(thread, fd + 1, ...sets);
	return [sets[0].has(fd), sets[1].has(fd), sets[2].has(fd)];
}

/** The events that a kqueue reports now, as [ident, filter, flags, fflags, data]. */
export function collect(thread: Thread, kq: number): number[][] {
	const events = eventList(16);
	const n = keventNow(thread, kq, null, events);
	return events
		.slice(0, n)
		.map(({ ident, filter, flags, fflags, data }) => [ident, filter, flags, fflags, data]);
}

/** Checks every kqueue of the machine. */
export function checkMachine({ kernel }: Machine): void {
	for (const process of kernel.processes.values()) {
		for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) kqueueDoCheck(kq);
	}
}

/** What a call throws or rejects with: the code of an error, or the value itself. */
export function codeOf(call: () => unknown): unknown {
	try {
		call();
	} catch (error) {
		return (error as { code?: string }).code ?? error;
	}
	return "no error";
}

/** The same for a promise, which may also be fulfilled with a number. */
export function outcome(promise: Promise<unknown>): Promise<unknown> {
	return promise.catch((error) => (error as { code?: string }).code ?? error);
}

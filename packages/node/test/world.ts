// A machine on the real host, and real objects of Node to make descriptors for.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { type Pollfd, pollNow } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	eventList,
	Kernel,
	type KernelOptions,
	type Kevent,
	type KeventChange,
	kevent,
	keventNow,
	kqueue,
	type Process,
	readNow,
	sigaction,
	type Thread,
} from "@kqpoll/kqueue";
import { SIG_IGN, SIGPIPE } from "@kqpoll/kqueue/signal";

/** A change whose flags are EV_ADD by default. */
type Change = Omit<KeventChange, "flags"> & Partial<KeventChange>;

/** A process that ignores SIGPIPE, its thread, and a kqueue. */
export interface World {
	readonly kernel: Kernel;
	readonly process: Process;
	readonly thread: Thread;
	readonly kq: number;
}

/** Makes a machine. */
export function world(options: KernelOptions = {}): World {
	const kernel = new Kernel({ diagnostics: true, ...options });
	const process = kernel.spawn();
	const thread = process.main;
	sigaction(thread, SIGPIPE, SIG_IGN);
	return { kernel, process, thread, kq: kqueue(thread) };
}

/** Adds knotes. */
export function watch({ thread, kq }: World, ...changes: Change[]): void {
	keventNow(
		thread,
		kq,
		changes.map((change) => ({ flags: EV_ADD, ...change })),
		null,
	);
}

/** Sleeps until there are events; returns them as [ident, filter, flags, fflags, data]. */
export async function next({ thread, kq }: World): Promise<number[][]> {
	const events = eventList(16);
	const n = await kevent(thread, kq, null, events, null);
	return events
		.slice(0, n)
		.map(({ ident, filter, flags, fflags, data }) => [ident, filter, flags, fflags, data]);
}

/** The events that are reported now, in the same form. */
export function now({ thread, kq }: World): number[][] {
	const events = eventList(16);
	const n = keventNow(thread, kq, null, events);
	return events
		.slice(0, n)
		.map(({ ident, filter, flags, fflags, data }) => [ident, filter, flags, fflags, data]);
}

/** Sleeps until an event of a descriptor fulfils a condition; returns the event. */
export async function until(
	{ thread }: World,
	change: Change,
	holds: (event: Kevent) => boolean = () => true,
): Promise<number[]> {
	const kq = kqueue(thread);
	const events = eventList(1);
	const [event] = events as [Kevent];
	keventNow(thread, kq, [{ flags: EV_ADD | EV_CLEAR, ...change }], null);
	do await kevent(thread, kq, null, events, null);
	while (!holds(event));
	close(thread, kq);
	return [event.flags & ~(EV_ADD | EV_CLEAR), event.fflags, event.data];
}

/** The revents of descriptors now, each asked for the same events. */
export function revents(thread: Thread, events: number, ...fds: number[]): number[] {
	const list = fds.map((fd): Pollfd => ({ fd, events, revents: -1 }));
	pollNow(thread, list);
	return list.map((entry) => entry.revents);
}

/** The result of a read: the text, or the code of its error. */
export function text(thread: Thread, fd: number, size = 65536): string {
	const buffer = new Uint8Array(size);
	try {
		return Buffer.from(buffer.subarray(0, readNow(thread, fd, buffer))).toString();
	} catch (error) {
		return (error as { code?: string }).code ?? String(error);
	}
}

/** Text as bytes. */
export function bytes(string: string): Uint8Array {
	return new TextEncoder().encode(string);
}

/** What a call throws: the code of an error, or the value itself. */
export function codeOf(call: () => unknown): unknown {
	try {
		call();
	} catch (error) {
		return (error as { code?: string }).code ?? error;
	}
	return "no error";
}

/** The same for a promise, which may also be fulfilled. */
export function outcome(promise: Promise<unknown>): Promise<unknown> {
	return promise.catch((error) => (error as { code?: string }).code ?? error);
}

/** Lets the platform's events come, for that many milliseconds. */
export function pause(ms = 1): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A server on the loopback network that listens, at a port of its own. */
export async function listening(server: Server = createServer()): Promise<[Server, number]> {
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	if (address === null || typeof address === "string") throw new Error("no port");
	return [server, address.port];
}

/** Both ends of a TCP connection; the server is closed. The first one allows to be half open. */
export async function tcpPair(): Promise<[Socket, Socket]> {
	const [server, port] = await listening(createServer({ allowHalfOpen: true }));
	const accepted = once(server, "connection");
	const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
	const [socket] = (await accepted) as [Socket];
	if (client.connecting) await once(client, "connect");
	server.close();
	return [client, socket];
}

/** Waits until a stream is closed and has emitted 'close', for any reason. */
export async function gone(stream: Readable | Writable): Promise<void> {
	if (!stream.closed) await new Promise<unknown>((resolve) => stream.once("close", resolve));
	// Sockets emit it some time after they are closed.
	for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** How many listeners an object has for each event. */
export function listenerCounts(emitter: NodeJS.EventEmitter): Record<string, number> {
	const counts = emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]);
	return Object.fromEntries(counts);
}

// ping-pongs: a byte that goes back and forth between two threads that sleep until it comes.
import { EventEmitter, once } from "node:events";
import { PassThrough } from "node:stream";
import { pipe } from "@kqpoll/files";
import { POLLIN, poll } from "@kqpoll/kqpoll";
import {
	EV_ADD,
	EVFILT_READ,
	eventList,
	Kernel,
	kevent,
	keventNow,
	kqueue,
	read,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { type Contest, type Contestant, timedAsync } from "../contest.ts";

/** A player: waits for a byte, and then takes it. */
interface Player {
	readonly wait: () => Promise<number>;
	readonly take: () => void;
}
type Wait = (thread: Thread, fd: number) => Player;

const BYTE = new Uint8Array(1);

const byRead: Wait = (thread, fd) => {
	const buffer = new Uint8Array(1);
	return { wait: () => read(thread, fd, buffer), take: () => {} };
};

const byPoll: Wait = (thread, fd) => {
	const buffer = new Uint8Array(1);
	const fds = [{ fd, events: POLLIN, revents: 0 }];
	return { wait: () => poll(thread, fds, -1), take: () => readNow(thread, fd, buffer) };
};

const byKevent: Wait = (thread, fd) => {
	const buffer = new Uint8Array(1);
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	const events = eventList(1);
	return {
		wait: () => kevent(thread, kq, null, events, null),
		take: () => readNow(thread, fd, buffer),
	};
};

/** Two threads and two pipes of a machine on the real host. */
function pipes(name: string, wait: Wait, count: number): Contestant {
	const process = new Kernel().spawn();
	const other = process.spawnThread();
	const [pingRead, pingWrite] = pipe(process.main);
	const [pongRead, pongWrite] = pipe(process.main);
	const ping = wait(process.main, pongRead);
	const pong = wait(other, pingRead);
	return {
		name,
		run: () =>
			timedAsync(async () => {
				const answering = (async () => {
					for (let i = 0; i < count; i++) {
						await pong.wait();
						pong.take();
						writeNow(other, pongWrite, BYTE);
					}
				})();
				for (let i = 0; i < count; i++) {
					writeNow(process.main, pingWrite, BYTE);
					await ping.wait();
					ping.take();
				}
				await answering;
			}),
	};
}

/** The next event as a promise. */
type Next = (emitter: EventEmitter, name: string) => Promise<unknown>;

/** Written by hand; it would never settle if the emitter failed. */
const promised: Next = (emitter, name) =>
	new Promise<void>((resolve) => emitter.once(name, () => resolve()));

/** Two async functions that wait for an event. */
function emitters(name: string, nextOf: Next, count: number): Contestant {
	const emitter = new EventEmitter();
	const next = (event: string): Promise<unknown> => nextOf(emitter, event);
	return {
		name,
		run: () =>
			timedAsync(async () => {
				const answering = (async () => {
					for (let i = 0; i < count; i++) {
						await next("ping");
						emitter.emit("pong");
					}
				})();
				for (let i = 0; i < count; i++) {
					// The other one waits only after a turn of the microtasks.
					const answer = next("pong");
					while (emitter.listenerCount("ping") === 0) await null;
					emitter.emit("ping");
					await answer;
				}
				await answering;
			}),
	};
}

/** Two streams of Node's. */
function streams(count: number): Contestant {
	return {
		name: "PassThrough",
		run: () =>
			timedAsync(async () => {
				const [ping, pong] = [new PassThrough(), new PassThrough()];
				const next = async (stream: PassThrough): Promise<void> => {
					while (stream.read(1) === null)
						await new Promise((resolve) => stream.once("readable", resolve));
				};
				const answering = (async () => {
					for (let i = 0; i < count; i++) {
						await next(ping);
						pong.write(BYTE);
					}
				})();
				for (let i = 0; i < count; i++) {
					ping.write(BYTE);
					await next(pong);
				}
				await answering;
				for (const stream of [ping, pong]) stream.destroy();
			}),
	};
}

/** The contest. */
export function pingPongs(quick: boolean): Contest[] {
	const count = quick ? 3000 : 20_000;
	const contestants = [
		pipes("kevent", byKevent, count),
		pipes("poll", byPoll, count),
		pipes("read", byRead, count),
		emitters("events.once", once, count),
		emitters("EventEmitter", promised, count),
		streams(count),
	];
	return [{ name: "ping-pongs", n: 2, unit: "round", count, contestants }];
}

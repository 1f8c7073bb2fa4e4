// rx: events, bytes and timers through observables, and through what a user would pick instead.
import { EventEmitter } from "node:events";
import { PassThrough, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pipe } from "@kqpoll/files";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EVFILT_READ,
	eventList,
	Kernel,
	keventNow,
	kevents,
	kqueue,
	openFile,
	read,
	SyntheticFile,
	type Thread,
	watchKevent,
	write,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import {
	fromKevent,
	kernelScheduler,
	kernelTimer,
	readable,
	readBytes,
	writeBytes,
} from "@kqpoll/rxjs";
import * as keeping from "@kqpoll/rxjs/demand";
import {
	filter,
	fromEvent,
	interval,
	lastValueFrom,
	map,
	type Observable,
	Subject,
	take,
	VirtualTimeScheduler,
} from "rxjs";
import { type Contest, type Contestant, timed, timedAsync } from "../contest.ts";

const READ = { filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR };

interface Machine {
	readonly host: VirtualHost;
	readonly thread: ReturnType<Kernel["spawn"]>["main"];
	readonly file: SyntheticFile;
	readonly fd: number;
}

function machine(): Machine {
	const host = new VirtualHost();
	const thread = new Kernel({ host }).spawn().main;
	const file = new SyntheticFile();
	return { host, thread, file, fd: openFile(thread, file) };
}

/** A receiver of `count` events, each before the next comes; the sum proves that all came. */
function pushed(
	name: string,
	count: number,
	start: (consume: (data: number) => void) => { push: (data: number) => void; close: () => void },
): Contestant {
	let sum = 0;
	const { push, close } = start((data) => {
		sum += data;
	});
	return {
		name,
		close,
		run() {
			sum = 0;
			const time = timed(() => {
				for (let i = 1; i <= count; i++) push(i);
			});
			if (sum !== (count * (count + 1)) / 2) throw new Error(`${name} lost events`);
			return time;
		},
	};
}

/** The contests. */
export function rx(quick: boolean): Contest[] {
	const events = quick ? 20_000 : 100_000;
	return [
		contestOfEvents(events),
		contestOfOperators(events),
		contestOfBytes(quick ? 64 : 512),
		contestOfTimers(100, quick ? 100 : 1000),
	];
}

/** Events that come one by one. */
function contestOfEvents(count: number): Contest {
	return {
		name: "rx",
		n: 1,
		unit: "event",
		count,
		contestants: [
			observed("fromKevent", count, ({ thread, fd }) =>
				fromKevent(thread, { ident: fd, ...READ }).pipe(map(({ data }) => data)),
			),
			pushed("watchKevent", count, (consume) => {
				const { host, thread, file, fd } = machine();
				const watch = watchKevent(
					thread,
					{ ident: fd, ...READ },
					{ next: ({ data }) => consume(data), error: () => {}, complete: () => {} },
				);
				const push = (data: number): void => {
					file.set("read", { data });
					host.settle();
				};
				return { push, close: () => watch.close() };
			}),
			pushed("kevent", count, (consume) => {
				const { thread, file, fd } = machine();
				const kq = kqueue(thread);
				const events = eventList(1);
				keventNow(thread, kq, [{ ident: fd, ...READ }], null);
				const push = (data: number): void => {
					file.set("read", { data });
					keventNow(thread, kq, null, events);
					consume((events[0] as (typeof events)[0]).data);
				};
				return { push, close: () => {} };
			}),
			pushed("Subject", count, (consume) => {
				const subject = new Subject<{ data: number }>();
				subject.subscribe(({ data }) => consume(data));
				return { push: (data) => subject.next({ data }), close: () => subject.complete() };
			}),
			emitted("fromEvent", count, (events) => events.pipe(map(({ data }) => data))),
			pushed("EventEmitter", count, (consume) => {
				const emitter = new EventEmitter();
				emitter.on("event", ({ data }: { data: number }) => consume(data));
				const push = (data: number): void => void emitter.emit("event", { data });
				return { push, close: () => void emitter.removeAllListeners() };
			}),
			iterated(count),
		],
	};
}

/** The same behind three operators. */
function contestOfOperators(count: number): Contest {
	const behind = (values: Observable<number>): Observable<number> =>
		values.pipe(
			map((data) => data + 1),
			filter((data) => data > 1),
			map((data) => data - 1),
		);
	return {
		name: "rx operators",
		n: 3,
		unit: "event",
		count,
		contestants: [
			observed("readable", count, ({ thread, fd }) =>
				behind(readable(thread, fd).pipe(map(({ bytes }) => bytes))),
			),
			emitted("fromEvent", count, (events) => behind(events.pipe(map(({ data }) => data)))),
		],
	};
}

/** An observable of what a file is told. */
function observed(
	name: string,
	count: number,
	make: (machine: Machine) => Observable<number>,
): Contestant {
	return pushed(name, count, (consume) => {
		const made = machine();
		const subscription = make(made).subscribe(consume);
		const push = (data: number): void => {
			made.file.set("read", { data });
			made.host.settle();
		};
		return { push, close: () => subscription.unsubscribe() };
	});
}

/** An observable of what an emitter emits. */
function emitted(
	name: string,
	count: number,
	make: (events: Observable<{ data: number }>) => Observable<number>,
): Contestant {
	return pushed(name, count, (consume) => {
		const emitter = new EventEmitter();
		const events = fromEvent(emitter, "event") as Observable<{ data: number }>;
		const subscription = make(events).subscribe(consume);
		const push = (data: number): void => void emitter.emit("event", { data });
		return { push, close: () => subscription.unsubscribe() };
	});
}

const PIECE = 65_536;

/** A transformation that costs next to nothing. */
function transform(chunk: Uint8Array): Uint8Array {
	return chunk.subarray(0);
}

/** Bytes that a writer puts in and a reader takes out, with a transformation on the way. */
function contestOfBytes(pieces: number): Contest {
	return {
		name: "rx bytes",
		n: pieces * PIECE,
		unit: "KiB",
		count: (pieces * PIECE) / 1024,
		contestants: [
			throughPipes("readBytes, map, writeBytes", pieces, (thread, from, to) =>
				lastValueFrom(
					readBytes(thread, from).pipe(
						keeping.map(transform),
						writeBytes(thread, to, { close: true }),
					),
				),
			),
			throughPipes("read, write", pieces, async (thread, from, to) => {
				const buffer = new Uint8Array(PIECE);
				for (let n = 1; n > 0; ) {
					n = await read(thread, from, buffer);
					if (n > 0) await write(thread, to, transform(buffer.subarray(0, n)));
				}
				close(thread, to);
			}),
			{
				name: "pipeline",
				run: () =>
					timedAsync(async () => {
						const piece = new Uint8Array(PIECE).fill(7);
						const source = new PassThrough();
						const sink = new PassThrough();
						const through = new Transform({
							transform: (chunk, _, done) => done(null, transform(chunk)),
						});
						const moving = pipeline(source, through, sink);
						const writing = (async () => {
							for (let i = 0; i < pieces; i++) {
								// A copy, as a pipe takes one: the writer may use the buffer again.
								if (!source.write(Buffer.from(piece)))
									await new Promise((resolve) => source.once("drain", resolve));
							}
							source.end();
						})();
						let got = 0;
						for await (const chunk of sink) got += (chunk as Buffer).length;
						await Promise.all([moving, writing]);
						if (got !== pieces * PIECE) throw new Error(`${got} bytes arrived`);
					}),
			},
		],
	};
}

/** Moves bytes from one pipe to another. */
function throughPipes(
	name: string,
	pieces: number,
	move: (thread: Thread, from: number, to: number) => Promise<unknown>,
): Contestant {
	return {
		name,
		run: () =>
			timedAsync(async () => {
				const process = new Kernel().spawn();
				const [from, source] = pipe(process.main);
				const [sink, to] = pipe(process.main);
				const moving = move(process.spawnThread(), from, to);
				const writer = process.spawnThread();
				const piece = new Uint8Array(PIECE).fill(7);
				const writing = (async () => {
					for (let i = 0; i < pieces; i++) await write(writer, source, piece);
					close(writer, source);
				})();
				const buffer = new Uint8Array(PIECE);
				let got = 0;
				for (let n = 1; n > 0; got += n) n = await read(process.main, sink, buffer);
				await Promise.all([moving, writing]);
				if (got !== pieces * PIECE) throw new Error(`${got} bytes arrived`);
			}),
	};
}

/** Timers that expire every millisecond of virtual time. */
function contestOfTimers(timers: number, ticks: number): Contest {
	const contestant = (
		name: string,
		start: () => { make: () => Observable<unknown>; pass: (ms: number) => void },
	): Contestant => ({
		name,
		run: () => {
			const { make, pass } = start();
			let told = 0;
			const time = timed(() => {
				for (let i = 0; i < timers; i++)
					make()
						.pipe(take(ticks))
						.subscribe(() => told++);
				pass(ticks);
			});
			if (told !== timers * ticks) throw new Error(`${name}: ${told} ticks`);
			return time;
		},
	});
	return {
		name: "rx timers",
		n: timers,
		unit: "tick",
		count: timers * ticks,
		contestants: [
			contestant("kernelTimer", () => {
				const { host, thread } = machine();
				return { make: () => kernelTimer(thread, 1), pass: (ms) => host.advance(ms) };
			}),
			contestant("interval, kernelScheduler", () => {
				const { host, thread } = machine();
				const scheduler = kernelScheduler(thread.kernel);
				return { make: () => interval(1, scheduler), pass: (ms) => host.advance(ms) };
			}),
			contestant("interval, VirtualTimeScheduler", () => {
				const scheduler = new VirtualTimeScheduler();
				return { make: () => interval(1, scheduler), pass: () => scheduler.flush() };
			}),
		],
	};
}

/** An async iterable: each event is asked for, and arrives by a promise. */
function iterated(count: number): Contestant {
	const { host, thread, file, fd } = machine();
	return {
		name: "kevents",
		run: () =>
			timedAsync(async () => {
				let sum = 0;
				let i = 0;
				const events = kevents(thread, { ident: fd, ...READ });
				file.set("read", { data: 0 });
				while (i < count) {
					const next = events.next();
					file.set("read", { data: ++i });
					host.settle();
					sum += (await next).value?.data ?? 0;
				}
				await events.return();
				if (sum !== (count * (count + 1)) / 2) throw new Error("kevents lost events");
			}),
	};
}

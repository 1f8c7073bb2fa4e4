// Ten thousand subscriptions that began and ended in every way leave nothing.
import { getEventListeners, setMaxListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { mkfifo, openNow, openpty, pipe, socketpair, Tree } from "@kqpoll/files";
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "@kqpoll/files/fcntl";
import { cfmakeraw, TTYDEF } from "@kqpoll/files/termios";
import { POLLIN } from "@kqpoll/kqpoll";
import {
	close,
	EV_DISPATCH,
	EVFILT_READ,
	EVFILT_TIMER,
	EVFILT_WRITE,
	exit,
	fork,
	type KeventIterator,
	kevents,
	kill,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	openFile,
	type Process,
	readNow,
	SyntheticFile,
	sigaction,
	threadExit,
	writeNow,
} from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { Klist } from "@kqpoll/kqueue/kernel";
import { SIG_IGN, SIGCHLD, SIGPIPE, SIGUSR1 } from "@kqpoll/kqueue/signal";
import { closefrom } from "@kqpoll/kqueue/unistd";
import {
	config,
	interval,
	NEVER,
	type Observable,
	of,
	type Subscription,
	share,
	take,
	takeUntil,
	timeout,
} from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	exceptional,
	fromKevent,
	kernelScheduler,
	kernelTimer,
	pollfds,
	processEvents,
	readable,
	readBytes,
	signals,
	vnodeChanges,
	withBackpressure,
	writable,
	writeBytes,
} from "../src/index.ts";
import { type World, world } from "./world.ts";

/** A machine with files, processes and timers of every kind, and the ways to subscribe to them. */
interface Zoo extends World {
	/** Descriptors to write to, to read from, to close. */
	readonly fds: readonly number[];
	readonly child: Process;
	readonly sources: Readonly<Record<string, () => Observable<unknown>>>;
	/** Iterates over events; the controller aborts it. */
	iterate(abort: AbortController): KeventIterator;
	/** Lets something happen that a subscriber may wait for. */
	stir(which: number): void;
	/** Lists of knotes: of every file, every process and every object that they refer to. */
	klists(): Klist[];
}

function zoo(): Zoo {
	const w = world();
	const { thread, process } = w;
	for (const signal of [SIGPIPE, SIGUSR1]) sigaction(thread, signal, SIG_IGN);
	const child = fork(thread);
	closefrom(child.main, 0);
	// No process waits for its children.
	sigaction(child.main, SIGCHLD, SIG_IGN);
	const tree = new Tree();
	mkfifo(thread, tree, "/fifo");
	const file = openNow(thread, tree, "/file", O_RDWR | O_CREAT);
	const fifo = openNow(thread, tree, "/fifo", O_RDONLY | O_NONBLOCK);
	const [reader, writer] = pipe(thread);
	const [a, b] = socketpair(thread, "stream");
	const fifoWriter = openNow(thread, tree, "/fifo", O_WRONLY);
	const [master, slave] = openpty(thread, cfmakeraw(TTYDEF));
	const fds = [w.fd, file, fifo, fifoWriter, reader, writer, a, b, master, slave];
	const scheduler = kernelScheduler(w.kernel);
	const bytes = new Uint8Array(100);
	const large = new Uint8Array(100_000);
	let synthetic = w.file;
	const shared = readable(thread, a).pipe(share());
	const period = { ident: 3, filter: EVFILT_TIMER, data: 2 };
	return {
		...w,
		fds,
		child,
		sources: {
			readable: () => readable(thread, w.fd, { eof: "emit" }),
			readableOnce: () => fromKevent(thread, { ident: a, filter: EVFILT_READ, flags: EV_DISPATCH }),
			shared: () => shared,
			writable: () => writable(thread, writer),
			exceptional: () => exceptional(thread, a),
			vnodeChanges: () => vnodeChanges(thread, file),
			processEvents: () => processEvents(thread, child.pid),
			followed: () => processEvents(thread, child.pid, NOTE_TRACK | NOTE_FORK | NOTE_EXIT),
			signals: () => signals(thread, SIGUSR1),
			timer: () => kernelTimer(thread, 1),
			oneshot: () => kernelTimer(thread, 2, { oneshot: true }),
			fromKevent: () => fromKevent(thread, { ...period, flags: 0 }),
			refused: () => fromKevent(thread, { ident: 999, filter: EVFILT_WRITE, flags: 0 }),
			readBytes: () => readBytes(thread, reader, { size: 50 }),
			readTerminal: () => readBytes(thread, slave),
			readFifo: () => readBytes(thread, fifo),
			writeBytes: () => of(bytes, bytes).pipe(writeBytes(thread, b)),
			writeFull: () => of(large).pipe(writeBytes(thread, writer)),
			writeNever: () => NEVER.pipe(writeBytes(thread, master)),
			pumped: () => readBytes(thread, a).pipe(writeBytes(thread, writer)),
			backpressure: () =>
				readBytes(thread, a).pipe(withBackpressure(() => kernelTimer(thread, 1).pipe(take(1)))),
			backpressure3: () => signals(thread, SIGUSR1).pipe(withBackpressure(() => NEVER, 3)),
			interval: () => interval(1, scheduler),
			timeout: () => signals(thread, SIGUSR1).pipe(timeout({ each: 2, scheduler })),
			until: () => readable(thread, w.fd).pipe(takeUntil(kernelTimer(thread, 1))),
		},
		iterate: (abort) =>
			kevents(thread, { ident: reader, filter: EVFILT_READ, flags: 0 }, { signal: abort.signal }),
		stir(which) {
			const write = (fd: number, n: number): void =>
				attempt(() => writeNow(thread, fd, new Uint8Array(n)));
			const drain = (fd: number): void => attempt(() => readNow(thread, fd, new Uint8Array(65536)));
			const acts = [
				() => synthetic.set("read", { data: which % 5 }),
				() => synthetic.set("read", { data: which % 5 }),
				() => {
					close(thread, w.fd);
					synthetic = new SyntheticFile();
					assert.is(openFile(thread, synthetic), w.fd);
				},
				() => write(writer, 1 + (which % 400)),
				() => drain(reader),
				() => write(b, 30),
				() => drain(a),
				() => write(file, 3),
				() => write(fifoWriter, 60),
				() => write(master, 20),
				() => drain(slave),
				() => kill(thread, process.pid, SIGUSR1),
				() => exit(fork(child.main).main, 0),
				() => w.host.advance(1),
			];
			acts[which % acts.length]?.();
			w.host.settle();
		},
		klists() {
			const files = fds.map((fd) => process.fdp.get(fd));
			const all = new Set<Klist>();
			for (const each of [...files, ...w.kernel.processes.values()]) collect(each, all, 4);
			return [...all];
		},
	};
}

function attempt(act: () => unknown): void {
	try {
		act();
	} catch {
		// There was no room, or nothing to read.
	}
}

/** The lists of knotes in an object, and in objects up to that many steps away. */
function collect(from: unknown, into: Set<Klist>, steps: number): void {
	if (from instanceof Klist) into.add(from);
	else if (typeof from === "object" && from !== null && !ArrayBuffer.isView(from) && steps > 0)
		for (const value of Object.values(from)) collect(value, into, steps - 1);
}

/** What a machine still has that subscriptions could have left. */
function left(z: Zoo): Record<string, unknown> {
	const { kernel, process, thread, host } = z;
	return {
		pump: thread.watches !== null,
		kqueue: process.fdp.firstKqueue !== null,
		sleepers: kernel.sleepers,
		timeouts: kernel.timeouts.size,
		timers: kernel.ntimers,
		hostTimers: (host as unknown as { readonly timers: readonly unknown[] }).timers.length,
		watched: z.klists().filter(({ empty }) => !empty).length,
		references: z.fds.map((fd) => process.fdp.get(fd)?.refs),
		processes: kernel.processes.size,
	};
}

/** Numbers that look random, the same in every run. */
function random(seed: number): (below: number) => number {
	let state = seed;
	return (below) => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return (state >>> 8) % below;
	};
}

test("ten thousand subscriptions that begin and end inside each other leave nothing", async () => {
	const z = zoo();
	const before = left(z);
	assert.ok(z.klists().length >= 12, "there are lists to look at");
	const { onUnhandledError } = config;
	let thrown = 0;
	config.onUnhandledError = () => thrown++;
	const pick = random(1);
	const names = Object.keys(z.sources);
	const live: Subscription[] = [];
	const made = new Map<string, number>(names.map((name) => [name, 0]));
	const heard = new Map<string, number>(names.map((name) => [name, 0]));
	let total = 0;
	const leave = (): void => {
		if (live.length > 0) live.splice(pick(live.length), 1)[0]?.unsubscribe();
	};
	const subscribe = (): void => {
		const name = names[pick(names.length)] as string;
		made.set(name, (made.get(name) ?? 0) + 1);
		total++;
		const source = z.sources[name]?.() as Observable<unknown>;
		const subscription = (pick(4) === 0 ? source.pipe(take(1 + pick(2))) : source).subscribe({
			next() {
				heard.set(name, (heard.get(name) ?? 0) + 1);
				const what = pick(12);
				if (what < 3 && live.length < 40) subscribe();
				else if (what < 5) leave();
				else if (what === 5) subscription.unsubscribe();
				else if (what === 6) throw new Error("mine");
			},
			error() {
				if (pick(4) === 0 && live.length < 40) subscribe();
			},
			complete() {
				if (pick(4) === 0) leave();
			},
		});
		live.push(subscription);
	};
	while (total < 10_000) {
		subscribe();
		z.stir(pick(1000));
		while (live.length > 30) leave();
	}
	assert.equal(
		[...made.entries()].filter(([, count]) => count < 100),
		[],
	);
	// Some are never told of anything here; all the others were.
	const silent = ["exceptional", "refused", "writeNever", "backpressure3"];
	assert.equal(
		[...heard.keys()].filter((name) => (heard.get(name) ?? 0) < 20 && !silent.includes(name)),
		[],
	);
	for (const subscription of live) subscription.unsubscribe();
	z.host.settle();
	assert.equal(left(z), before);
	await new Promise((resolve) => setTimeout(resolve, 2));
	config.onUnhandledError = onUnhandledError;
	assert.ok(thrown > 100, `${thrown} subscribers have thrown`);
});

/** A consumer that waits for an event and then leaves, or was aborted. */
async function firstOf(it: KeventIterator, reason: unknown): Promise<void> {
	try {
		for await (const _ of it) break;
	} catch (error) {
		assert.is(error, reason);
	}
}

test("ten thousand iterations that end in every way leave nothing, also on their signals", async () => {
	const z = zoo();
	const before = left(z);
	const pick = random(2);
	let abort = new AbortController();
	const signals = [abort.signal];
	setMaxListeners(0, abort.signal);
	const live: { readonly it: KeventIterator; next: Promise<unknown> }[] = [];
	const enough = new Error("enough");
	const ends = [0, 0, 0, 0];
	for (let i = 0; i < 10_000; i++) {
		const it = z.iterate(abort);
		live.push({ it, next: Promise.all([it.next(), it.next()]).catch((error) => error) });
		if (i % 100 === 99) {
			abort.abort(enough);
			abort = new AbortController();
			signals.push(abort.signal);
			setMaxListeners(0, abort.signal);
		}
		z.stir(pick(1000));
		if (live.length < 20) continue;
		const [each] = live.splice(pick(live.length), 1);
		if (each === undefined) continue;
		const how = pick(ends.length);
		ends[how] = (ends[how] as number) + 1;
		if (how === 0) await each.it.return();
		else if (how === 1) await each.it.throw("mine").catch(() => {});
		else if (how === 2) await each.it[Symbol.asyncDispose]();
		else await Promise.all([firstOf(each.it, enough), each.it.return()]);
		await each.next;
	}
	for (const { it, next } of live) {
		await it.return();
		await next;
	}
	z.host.settle();
	assert.ok(ends.every((count) => count > 1000));
	assert.is(signals.flatMap((signal) => getEventListeners(signal, "abort")).length, 0);
	assert.equal(left(z), before);
});

test("polls that are cancelled and begun again at once leave nothing, and none is refused", async () => {
	const z = zoo();
	const before = left(z);
	const other = z.process.spawnThread();
	const pick = random(3);
	const fds = [{ fd: z.fd, events: POLLIN }];
	let heard = 0;
	let subscription = pollfds(other, fds).subscribe();
	for (let i = 0; i < 2000; i++) {
		subscription.unsubscribe();
		subscription = pollfds(other, fds)
			.pipe(take(2))
			.subscribe({
				next: () => heard++,
				error: (error) => assert.unreachable(error),
			});
		z.stir(pick(1000));
		if (pick(2) === 0) await null;
	}
	subscription.unsubscribe();
	z.host.settle();
	await new Promise((resolve) => setTimeout(resolve));
	assert.ok(heard > 100, `${heard} polls`);
	assert.is(other.state, "running");
	threadExit(other);
	assert.equal(left(z), before);
});

test("work whose delay is not a number is done at once, and does not hold up other work", () => {
	const w = world();
	const scheduler = kernelScheduler(w.kernel);
	scheduler.schedule(() => w.log.push("second"), 1);
	scheduler.schedule(() => w.log.push("first"), Number.NaN);
	w.host.advance(2);
	assert.equal(w.log, ["first", "second"]);
	w.checkClean();
});

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

const ROUNDS = 2000;
/** More bytes in each round than noise explains. */
const LEAK = 100;

/**
 * By how many bytes the heap grows in each round. The compiler keeps memory too, but only once: a
 * second measurement shows only what stays in each round.
 */
function growth(round: () => void): number {
	let bytes = 0;
	const run = (): number => {
		for (let i = 0; i < ROUNDS; i++) round();
		gc();
		return process.memoryUsage().heapUsed;
	};
	// Memory of earlier tests may be released only now.
	run();
	let before = run();
	for (let tries = 0; tries < 3; tries++) {
		const after = run();
		bytes = (after - before) / ROUNDS;
		if (bytes < LEAK) break;
		before = after;
	}
	return bytes;
}

test("a subscription that has ended holds no memory", () => {
	const z = zoo();
	z.kernel.diagnostics = false;
	const round = (source: () => Observable<unknown>) => (): void => {
		const subscription = source().subscribe({ error: () => {} });
		z.host.settle();
		subscription.unsubscribe();
	};
	const check = (name: string, grown: number): void =>
		assert.ok(grown < LEAK, `${name}: ${grown} bytes each`);
	check("a pump", growth(round(z.sources["readable"] as () => Observable<unknown>)));
	// With one that stays, only the subscriptions are measured.
	const stays = signals(z.thread, SIGUSR1).subscribe();
	for (const [name, source] of Object.entries(z.sources)) check(name, growth(round(source)));
	stays.unsubscribe();
	const kept: unknown[] = [];
	// Large enough that memory released meanwhile does not hide it.
	const leak = growth(() => kept.push(new Array(250)));
	assert.ok(leak > LEAK, `${leak} bytes each, of something that stays`);
});

test.run();

// npm run bench -- engine: the work of the reference's bench.c through our packages' entry points.
import { spawnSync } from "node:child_process";
import { FdSet, type Pollfd, pollNow, selectNow } from "@kqpoll/kqpoll";
import {
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EVFILT_READ,
	eventList,
	Kernel,
	Kevent,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type Thread,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { median } from "simple-statistics";
import { timed } from "./contest.ts";
import type { Figure } from "./footprint.ts";
import { command } from "./options.ts";

/** Nanoseconds by row: "kevent-1 n=100" and the like. */
type Times = Map<string, number>;

/** How many descriptors the rows are about. */
const SIZES = [10, 100, 1000, 10_000, 100_000];
/** POLLIN */
const POLLIN = 1;
const READY = 1;
const IDLE = 0;
/** A prime, so that descriptors are not visited in order. */
const STRIDE = 7919;

/** A process with as many synthetic files. */
class World {
	readonly thread: Thread;
	readonly files: SyntheticFile[] = [];
	readonly fds: number[] = [];

	constructor() {
		const kernel = new Kernel({ host: new VirtualHost(), maxfiles: 200_000 });
		this.thread = kernel.spawn().main;
	}

	grow(n: number): void {
		while (this.fds.length < n) {
			const file = new SyntheticFile();
			this.files.push(file);
			this.fds.push(openFile(this.thread, file));
		}
	}

	/** As in bench.c: data notifies watchers, no data notifies nobody. */
	ready(i: number): void {
		(this.files[i] as SyntheticFile).set("read", READY);
	}

	idle(i: number): void {
		(this.files[i] as SyntheticFile).setQuietly("read", IDLE);
	}
}

/** Makes new objects old for the collector, as those are that a program registered long ago. */
function age(): void {
	const { gc } = globalThis as { gc?: (options: { type: "minor" }) => void };
	for (let i = 0; i < 2; i++) gc?.({ type: "minor" });
}

function expect(n: number, expected: number): void {
	if (n !== expected) throw new Error(`${n} events instead of ${expected}`);
}

function kevents(world: World, n: number, iterations: number, times: Times): void {
	const { thread, fds } = world;
	const kq = kqueue(thread);
	const change = new Kevent(0, EVFILT_READ, EV_ADD | EV_CLEAR);
	const changes = [change];
	const events = eventList(64);
	const each = (flags: number): number => {
		change.flags = flags;
		return timed(() => {
			for (let i = 0; i < n; i++) {
				change.ident = fds[i] as number;
				keventNow(thread, kq, changes, null);
			}
		});
	};
	times.set(`kevent-add n=${n}`, each(EV_ADD | EV_CLEAR) / n);
	age();
	const single = timed(() => {
		for (let i = 0; i < iterations; i++) {
			const f = (i * STRIDE) % n;
			world.ready(f);
			expect(keventNow(thread, kq, null, events), 1);
			world.idle(f);
		}
	});
	times.set(`kevent-1 n=${n}`, single / iterations);
	if (n >= 64) {
		const batches = Math.floor(iterations / 64);
		const batched = timed(() => {
			for (let i = 0; i < batches; i++) {
				for (let k = 0; k < 64; k++) world.ready(((i * 64 + k) * STRIDE) % n);
				keventNow(thread, kq, null, events);
				for (let k = 0; k < 64; k++) world.idle(((i * 64 + k) * STRIDE) % n);
			}
		});
		times.set(`kevent-64 n=${n}`, batched / (batches * 64));
	}
	times.set(`kevent-delete n=${n}`, each(EV_DELETE) / n);
}

function polls(world: World, n: number, iterations: number, times: Times): void {
	const { thread, fds } = world;
	const list = fds.slice(0, n).map((fd): Pollfd => ({ fd, events: POLLIN, revents: 0 }));
	const turns = Math.max(1, Math.floor(iterations / n));
	world.ready(n >> 1);
	pollNow(thread, list);
	age();
	const one = timed(() => {
		for (let i = 0; i < turns; i++) expect(pollNow(thread, list), 1);
	});
	times.set(`poll-1ready n=${n}`, one / turns / n);
	for (let i = 0; i < n; i++) world.ready(i);
	const all = timed(() => {
		for (let i = 0; i < turns; i++) expect(pollNow(thread, list), n);
	});
	times.set(`poll-allready n=${n}`, all / turns / n);
	for (let i = 0; i < n; i++) world.idle(i);
}

function selects(world: World, n: number, iterations: number, times: Times): void {
	const { thread, fds } = world;
	const asked = new FdSet(fds.slice(0, n));
	const set = asked.copy();
	const turns = Math.max(1, Math.floor(iterations / n));
	const nfds = (fds[n - 1] as number) + 1;
	world.ready(n >> 1);
	const one = timed(() => {
		for (let i = 0; i < turns; i++) {
			set.words.set(asked.words);
			expect(selectNow(thread, nfds, set, null, null), 1);
		}
	});
	times.set(`select-1ready n=${n}`, one / turns / n);
	world.idle(n >> 1);
}

/**
 * Runs the rows up to `largest` once; `iterations` is how often each is repeated. As in bench.c the
 * process is a new one: the polls of another round would still have their knotes on the files.
 */
function ours(iterations: number, largest = Number.POSITIVE_INFINITY): Times {
	const world = new World();
	const times: Times = new Map();
	for (const n of SIZES.filter((size) => size <= largest)) {
		world.grow(n);
		kevents(world, n, iterations, times);
		if (n <= 10_000) polls(world, n, iterations * 2, times);
		if (n <= 900) selects(world, n, iterations * 2, times);
	}
	return times;
}

/** Runs a program that prints a line for each row; returns what it measured. */
function measured(path: string, args: readonly string[]): Times {
	const { error, status, stdout } = spawnSync(path, args, {
		encoding: "utf8",
		stdio: ["ignore", "pipe", "inherit"],
	});
	if (error !== undefined) return command.abort(`${path} cannot be run: ${error.message}`);
	if (status !== 0) return command.abort(`${path} ended with status ${status}`);
	const times: Times = new Map();
	for (const [, row, time] of stdout.matchAll(/^(\S+ n=\d+) ([\d.]+)/gm))
		times.set(row as string, Number(time));
	if (times.size === 0)
		return command.abort(`${path} printed no row such as "kevent-1 n=100 37.5"`);
	return times;
}

/** Measures once, in this process, after warming it up. */
function once(quick: boolean): Times {
	const iterations = quick ? 20_000 : 200_000;
	// For the compiler.
	ours(iterations);
	for (let i = 0; i < 2; i++) ours(iterations, 10_000);
	// Garbage of the warm-up must not be collected during the measurement, and a collection also
	// drops some compiled code.
	(globalThis as { gc?: () => void }).gc?.();
	ours(iterations / 10, 10_000);
	return ours(iterations);
}

function medians(rounds: readonly Times[]): Times {
	const result: Times = new Map();
	for (const row of rounds[0]?.keys() ?? [])
		result.set(row, median(rounds.map((times) => times.get(row) as number)));
	return result;
}

/** Figures of one row, such as "kevent-1 n=100": ours, and the reference's if it has that row. */
function figuresOf(name: string, ours: number, theirs: number | undefined): Figure[] {
	const [row = name, what = ""] = name.split(" ");
	const figures = [{ row, what, value: ours, unit: "ns" }];
	if (theirs !== undefined)
		figures.push({ row, what: `${what}, the reference`, value: theirs, unit: "ns" });
	return figures;
}

/**
 * The medians of rounds as figures, for `--json`; prints a line for each row: our nanoseconds, and
 * with a reference its nanoseconds and the ratio.
 */
export function summarize(mine: readonly Times[], its: readonly Times[]): Figure[] {
	const other = medians(its);
	return [...medians(mine)].flatMap(([row, time]) => {
		const line = `${row} ${time.toFixed(1)}`;
		const their = other.get(row);
		console.log(
			their === undefined ? line : `${line} ${their.toFixed(1)} ${(time / their).toFixed(2)}`,
		);
		return figuresOf(row, time, their);
	});
}

/**
 * Measures, prints a line for each row and returns its figures. Each of several rounds is a process
 * of its own: how the compiler treats a program differs from one to the next.
 */
export function engine(reference: string | undefined, rounds: number, quick: boolean): Figure[] {
	const alone = rounds === 1;
	const self = [...process.execArgv, process.argv[1] as string, "engine", "--rounds", "1"];
	const mine: Times[] = [];
	const its: Times[] = [];
	for (let round = 0; round < rounds; round++) {
		// The reference comes first, so that one that fails does so at once.
		if (reference !== undefined) its.push(measured(reference, []));
		if (alone) mine.push(once(quick));
		else mine.push(measured(process.execPath, quick ? [...self, "--quick"] : self));
	}
	return summarize(mine, its);
}

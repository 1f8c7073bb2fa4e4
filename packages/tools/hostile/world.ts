// The machine that hostile programs run on: its threads, what is open, what must still settle, and
// what was found.

import { Tree } from "@kqpoll/files";
import type { FdSet } from "@kqpoll/kqpoll";
import type { SubscriptionSet } from "@kqpoll/kqpoll/kernel";
import {
	exit,
	Kernel,
	type Kernel as Machine,
	type Process,
	SystemError,
	sigaction,
	type Thread,
} from "@kqpoll/kqueue";
import { type File, Panic } from "@kqpoll/kqueue/kernel";
import { SIG_IGN, SIGPIPE } from "@kqpoll/kqueue/signal";
import { UnsubscriptionError } from "rxjs";
import { BoundedHost } from "./bounded-host.ts";
import { Descriptors } from "./descriptors.ts";
import { checkMachine, remains } from "./invariants.ts";
import { print } from "./print.ts";
import { Random } from "./random.ts";

/** How many descriptors a process may have: few, so that numbers are used again and run out. */
export const MAX_FILES = 40;
const MAX_PROCESSES = 8;
const MAX_THREADS = 24;
/** How many calls callbacks may make in one program. */
const NESTED = 400;
/** How deep callbacks may call back. */
const DEPTH = 3;

/** Where what is thrown belongs to no call, so that the platform reports it. */
const DEFERRED = "deferred work";

/** Whether a program has passed a class as a callback: the error is its own. */
function isCallOfClass(error: unknown): boolean {
	return error instanceof TypeError && /^Class constructors? .*without 'new'/.test(error.message);
}

/** What accessors and callbacks of the program throw. */
export class Thrown extends Error {}

/** One kind of operation of a program. */
export type Operation = (world: World) => void;

/** Operations by name. */
export type Operations = Readonly<Record<string, Operation>>;

/** What a program is made of. */
export interface WorldOptions {
	/** The seed of the program. */
	readonly seed: number;
	/** Whether arguments are hostile objects, too. */
	readonly objects: boolean;
	/** Whether all arguments are what they should be. */
	readonly honest?: boolean;
	/** Whether to check and to write down everything. */
	readonly careful: boolean;
	/** The groups of operations, each as likely as it is often in the list. */
	readonly groups: readonly Operations[];
}

/** Something that can be ended: a watch, a subscription, an iteration. */
export type Ending = () => unknown;

/** A machine, and what its program has. */
export class World {
	readonly host: BoundedHost;
	readonly kernel: Machine;
	readonly objects: boolean;
	readonly honest: boolean;
	readonly careful: boolean;
	/** Who makes the current call. */
	thread: Thread;
	/** The threads that were made and have not been seen to have ended. */
	readonly threads: Thread[] = [];
	readonly descriptors: Descriptors = new Descriptors();
	/** The account of every process that there was. */
	readonly accounts: Set<Process["account"]> = new Set();
	/** Every open file that was seen. */
	readonly files: Set<File> = new Set();
	/** Aborts of calls that sleep. */
	readonly aborts: Ending[] = [];
	/** Ends of watches, iterations and subscriptions. */
	readonly endings: Ending[] = [];
	/** Ends of what depends on no thread. */
	readonly lasting: Ending[] = [];
	/** Changes to buffers and lists that calls may still use. */
	readonly mutations: Ending[] = [];
	/** Sets of descriptors that calls may still use. */
	readonly sets: FdSet[] = [];
	/** Sets of subscriptions that calls may still use. */
	readonly subscriptionSets: SubscriptionSet[] = [];
	readonly trees: Tree[] = [];
	/** What was found first; null if nothing is wrong. */
	problem: string | null = null;
	/** What was called, with arguments and results, in a careful run. */
	readonly transcript: string[] = [];
	/** How many calls were made. */
	calls = 0;
	random: Random;
	private readonly seed: number;
	private readonly groups: readonly (readonly [string, Operation][])[];
	/** What is not settled yet. */
	private readonly pending: Map<number, string> = new Map();
	private promises = 0;
	private nested = NESTED;
	private depth = 0;
	private ending = false;

	/** Makes a machine with two processes. */
	constructor({ seed, objects, honest = false, careful, groups }: WorldOptions) {
		// To note where an error comes from takes longer than most calls.
		Error.stackTraceLimit = careful ? 20 : 0;
		this.seed = seed;
		this.objects = objects;
		this.honest = honest;
		this.careful = careful;
		this.groups = groups.map((group) => Object.entries(group));
		this.random = new Random(seed);
		this.host = new BoundedHost({ seed, idle: () => Promise.resolve() });
		this.kernel = new Kernel({
			host: this.host,
			diagnostics: true,
			maxfiles: MAX_FILES,
			maxprocesses: MAX_PROCESSES,
			timermax: 32,
		});
		this.trees.push(new Tree({ maxFileSize: 1 << 20 }));
		this.thread = this.spawn().main;
		this.spawn();
		for (const { process } of [...this.threads]) this.adopt(process.spawnThread());
	}

	/** Makes one operation of the program, chosen by the seed and its number. */
	async step(index: number): Promise<void> {
		this.random = new Random(this.seed, index + 1);
		this.host.refill();
		this.one();
		await this.breathe();
		this.checkCheaply();
		if (this.careful || index % 32 === 31) this.check();
	}

	/** Chooses an operation and who makes it, and lets it happen. */
	one(): void {
		this.thread = this.chooseThread();
		const [name, operation] = this.random.pick(this.random.pick(this.groups));
		this.attempt(name, () => operation(this));
	}

	/** Does something that may throw what calls may throw. */
	attempt(name: string, act: () => void): void {
		try {
			act();
		} catch (error) {
			this.judge(error, name);
		}
	}

	private chooseThread(): Thread {
		for (;;) {
			const at = this.random.below(this.threads.length || 1);
			const thread = this.threads[at];
			if (thread === undefined) return this.spawn().main;
			if (thread.state !== "exited") return thread;
			this.threads[at] = this.threads.at(-1) as Thread;
			this.threads.pop();
		}
	}

	/** Makes a process that does not descend from another. */
	spawn(): Process {
		const process = this.kernel.spawn();
		this.adopt(process.main);
		// A writer without a reader would end most programs early.
		if (!this.random.once(4)) sigaction(process.main, SIGPIPE, SIG_IGN);
		return process;
	}

	/** A new thread may make calls. */
	adopt(thread: Thread): Thread {
		this.threads.push(thread);
		this.accounts.add(thread.process.account);
		return thread;
	}

	/** Whether there may be another thread. */
	get hasRoomForThreads(): boolean {
		return this.threads.length < MAX_THREADS;
	}

	/** A thread of any process. */
	anyThread(): Thread {
		const thread = this.random.pick(this.threads);
		return thread ?? this.thread;
	}

	/**
	 * What a callback or an accessor does: makes calls with any thread, or the one whose call runs. The
	 * choices are made when it is installed, so that it does the same in a shorter program.
	 */
	callback(throws: boolean): () => void {
		const seed = this.random.next();
		const own = this.thread;
		return () => {
			if (!this.ending && this.nested > 0 && this.depth < DEPTH) this.nest(seed, own);
			if (throws) throw new Thrown("by the program");
		};
	}

	private nest(seed: number, own: Thread): void {
		const { random, thread } = this;
		this.random = new Random(seed, this.nested--);
		this.depth++;
		try {
			if (this.random.once(2)) this.one();
			else {
				this.thread = own;
				const [name, operation] = this.random.pick(this.random.pick(this.groups));
				this.attempt(name, () => operation(this));
			}
		} finally {
			this.depth--;
			this.random = random;
			this.thread = thread;
		}
	}

	/** Notes a call that returned, or a promise that it returned. */
	called(name: string, args: readonly unknown[], result: unknown): void {
		this.calls++;
		if (typeof result === "number" && !Number.isSafeInteger(result))
			this.found(`${name} returned ${result}`);
		if (this.careful) this.note(name, args, `= ${print(result)}`);
	}

	/** Notes a call that threw. */
	refused(name: string, args: readonly unknown[], error: unknown): void {
		this.calls++;
		if (this.careful) this.note(name, args, `! ${print(error)}`);
		this.judge(error, name);
	}

	private note(name: string, args: readonly unknown[], outcome: string): void {
		const indent = "  ".repeat(this.depth);
		this.transcript.push(`${indent}${name}(${args.map(print).join(", ")}) ${outcome}`);
	}

	/** Follows a promise until it is settled. */
	track<T>(name: string, promise: Promise<T>, done: (result: T) => void): void {
		const id = ++this.promises;
		this.pending.set(id, name);
		promise.then(
			(result) => {
				this.pending.delete(id);
				if (this.careful) this.transcript.push(`${name}: resolved ${print(result)}`);
				this.attempt(name, () => done(result));
			},
			(error: unknown) => {
				this.pending.delete(id);
				if (this.careful) this.transcript.push(`${name}: rejected ${print(error)}`);
				this.judge(error, name);
			},
		);
	}

	/** The open file of a descriptor was seen. */
	see(process: Process, fd: number): void {
		const file = process.fdp.get(fd);
		if (file !== null) this.files.add(file);
	}

	/** Finds fault with an error that no program may see. */
	judge(error: unknown, where: string): void {
		if (error instanceof Thrown) return;
		if (where === DEFERRED && isCallOfClass(error)) return;
		if (error instanceof SystemError && error.code !== "E?") return;
		// What RxJS throws when several subscriptions could not be ended.
		if (error instanceof UnsubscriptionError) {
			for (const each of error.errors) this.judge(each, where);
			return;
		}
		const what = error instanceof Error ? (error.stack ?? String(error)) : String(error);
		this.found(`${where}: ${error instanceof Panic ? "" : "not a SystemError: "}${what}`);
	}

	/** Something is wrong. */
	found(what: string): void {
		this.problem ??= what;
	}

	/** Runs deferred work; what it throws does not keep the rest from running. */
	settle(): void {
		for (let again = true; again && this.problem === null; ) {
			try {
				this.host.settle();
				again = false;
			} catch (error) {
				this.judge(error, DEFERRED);
			}
		}
	}

	/** Lets virtual time pass. */
	advance(ms: number): void {
		const end = this.host.now() + ms * 1e6;
		for (let left = ms; left > 0; left = (end - this.host.now()) / 1e6) {
			const before = this.host.now();
			try {
				this.host.advance(left);
			} catch (error) {
				this.judge(error, DEFERRED);
			}
			// What is left may be less than the clock can show.
			const stands = this.host.now() === before && left < 1e-3;
			if (stands || this.host.exceeded || this.problem !== null) break;
		}
		this.settle();
	}

	/** Lets promises continue. */
	async breathe(): Promise<void> {
		for (let i = 0; i < 5; i++) await null;
	}

	/** The checks that cost little. */
	private checkCheaply(): void {
		if (this.host.exceeded) this.found("an operation causes work without end");
		if (this.kernel.activity.depth !== 0) this.found("a call has not ended");
		if (this.kernel.curthread !== null) this.found("a change or a fork has not ended");
	}

	/** Checks the whole machine between two operations. */
	check(): void {
		try {
			checkMachine(this.kernel, this.accounts);
		} catch (error) {
			this.found((error as Error).message);
		}
		for (const process of this.kernel.processes.values()) {
			if (process.exiting) {
				this.descriptors.forget(process);
				continue;
			}
			const difference = this.descriptors.difference(process);
			if (difference !== null) this.found(difference);
		}
	}

	/** Ends all processes, and checks that every promise settles and that nothing is left. */
	async finish(): Promise<void> {
		this.ending = true;
		this.random = new Random(this.seed, -1);
		this.host.refill();
		for (const end of this.aborts) if (this.random.once(2)) this.attempt("abort", end);
		for (const end of this.endings) if (this.random.once(2)) this.attempt("end", end);
		this.settle();
		for (const process of [...this.kernel.processes.values()]) {
			if (process.exiting) continue;
			this.attempt("exit", () => exit(process.threads[0] ?? process.spawnThread(), 0));
		}
		for (const end of this.lasting) this.attempt("end", end);
		this.host.refill();
		this.advance(100);
		await this.breathe();
		this.advance(3_600_000);
		for (let i = 0; i < 4; i++) await this.breathe();
		this.settle();
		await this.breathe();
		this.checkEnd();
	}

	private checkEnd(): void {
		if (this.host.exceeded) this.found("the end causes work without end");
		for (const name of this.pending.values()) this.found(`the promise of ${name} does not settle`);
		const left = remains(this.kernel, this.files, this.accounts);
		if (left !== null) this.found(left);
		for (const thread of this.threads)
			if (thread.state !== "exited") this.found(`thread ${thread.tid} has not ended`);
	}
}

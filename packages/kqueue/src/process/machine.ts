// An emulated machine: its clock, its processes, its limits.
import { PID_MAX } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import {
	ACCOUNT_LIMITS,
	type Account,
	type Limits,
	limitOf,
	MACHINE_LIMITS,
	makeAccount,
} from "../base/account.ts";
import { type Activity, activityOf } from "../base/activity.ts";
import { type Host, isDrivable } from "../base/host.ts";
import { RealHost } from "../base/real-host.ts";
import { RunQueue } from "../base/run-queue.ts";
import { SeparateRunQueue, SeparateTimeouts } from "../base/separate.ts";
import { CountedSlice, type Slice, TimedSlice } from "../base/slice.ts";
import { TimeoutQueue } from "../base/timeout.ts";
import type { TraceSink } from "../base/trace.ts";
import { FileTable } from "../file/filedesc.ts";
import { Process } from "./process.ts";
import type { ProcessGroup } from "./session.ts";
import type { Thread } from "./thread.ts";

/** The options of a machine. */
export interface KernelOptions {
	/** Where it runs: on a new RealHost by default. */
	readonly host?: Host;
	/** How many descriptors a process may have: 1024 by default. */
	readonly maxfiles?: number;
	/** How many processes there may be: 16,384 by default. */
	readonly maxprocesses?: number;
	/** The limit of EVFILT_TIMERs, of which one more than this is allowed: 262,144 by default. */
	readonly timermax?: number;
	/** The limits of the whole machine; those of processes and timers are the two above. */
	readonly limits?: Partial<Omit<Limits, "processes" | "timers">>;
	/** The limits of each account: of a process that is spawned, with all that descend from it. */
	readonly accountLimits?: Partial<Limits>;
	/** The id of the first process: 1 by default. */
	readonly firstPid?: number;
	/** Gets every transition of the engine. */
	readonly sink?: TraceSink;
	/** Whether every step checks the ready list: slow, for tests. */
	readonly diagnostics?: boolean;
}

/** The part of a machine that the engine uses. Programs make a Kernel. */
export abstract class Machine {
	/** Where it runs. */
	readonly host: Host;
	/** Deferred tasks and woken threads. @internal */
	readonly runqueue: RunQueue;
	/** Time-outs and timers. @internal */
	readonly timeouts: TimeoutQueue;
	/** The processes by id, including those that have exited and were not waited for yet. */
	readonly processes: Map<number, Process> = new Map();
	/** The process groups by number. @internal */
	readonly pgrps: Map<number, ProcessGroup> = new Map();
	/** What the whole machine uses, and may use. */
	readonly account: Account;
	/** How many descriptors a new process may have. */
	readonly maxfiles: number;
	private readonly accountLimits: Partial<Limits>;
	/** How many kqueues were made. @internal */
	nkqueues = 0;
	/** How many threads were made. @internal */
	nthreads = 0;
	/** How many threads sleep and how many pumps wait, together. @internal */
	sleepers = 0;
	/** How long work goes on before the platform has a turn. @internal */
	readonly slice: Slice;
	/** The same for calls that block: how long before the host has a turn. @internal */
	readonly blockingSlice: Slice;
	/** The thread whose change or fork is in progress, for filters that need it. @internal */
	curthread: Thread | null = null;
	/** What is on the stack, here and on other machines of the same host. @internal */
	readonly activity: Activity;
	/** Whether the trace sink is running. @internal */
	tracing = false;
	/**
	 * Itself while there is a sink or diagnostics are on, else null: one comparison shows both.
	 * @internal
	 */
	observer: Machine | null = null;
	private currentSink: TraceSink | null = null;
	private provesLists = false;
	/** What kevent keeps from call to call. @internal */
	keventstate: unknown = null;
	private readonly firstPid: number;
	private nextPid: number;

	/** Makes a machine without processes. */
	constructor(options: KernelOptions = {}) {
		this.host = options.host ?? new RealHost();
		this.activity = activityOf(this.host);
		const { slice } = this.host;
		this.slice = slice ?? new CountedSlice();
		// A program that blocks lets its host have turns, but not the platform.
		const blocks = slice !== undefined && isDrivable(this.host);
		this.blockingSlice = blocks ? new TimedSlice(() => this.host.now()) : this.slice;
		const separate = this.host.separate === true;
		this.runqueue = new (separate ? SeparateRunQueue : RunQueue)(this.host, this.slice);
		this.timeouts = new (separate ? SeparateTimeouts : TimeoutQueue)(this.host);
		this.maxfiles = limit(options.maxfiles ?? 1024, "maxfiles");
		this.firstPid = Math.max(1, limit(options.firstPid ?? 1, "firstPid"));
		this.nextPid = this.firstPid;
		this.account = this.machineAccount(options);
		this.accountLimits = { ...options.accountLimits };
		// Wrong limits are refused here, and not when the first process is made.
		this.newAccount("Kernel", {});
		this.sink = options.sink ?? null;
		this.diagnostics = options.diagnostics ?? false;
	}

	private machineAccount(options: KernelOptions): Account {
		const defaults = MACHINE_LIMITS;
		const pids = Math.max(0, PID_MAX - this.firstPid + 1);
		const processes = limit(options.maxprocesses ?? defaults.processes, "maxprocesses");
		const timers = limit(options.timermax ?? defaults.timers - 1, "timermax") + 1;
		const limits = { ...options.limits, processes: Math.min(processes, pids), timers };
		return makeAccount(limits, MACHINE_LIMITS, null, "Kernel");
	}

	private newAccount(syscall: string, limits: Partial<Limits>): Account {
		const all = { ...this.accountLimits, ...limits };
		return makeAccount(all, ACCOUNT_LIMITS, this.account, syscall);
	}

	/** How many processes there may be. */
	get maxprocesses(): number {
		return this.account.processes.limit;
	}

	/** The limit of timers, of which one more is allowed, as in C. */
	get timermax(): number {
		return this.account.timers.limit - 1;
	}

	/** It may be changed, which affects timers that are added later. */
	set timermax(max: number) {
		this.account.timers.limit = max + 1;
	}

	/** How many timers there are. @internal */
	get ntimers(): number {
		return this.account.timers.used;
	}

	/** The trace sink, null for none. */
	get sink(): TraceSink | null {
		return this.currentSink;
	}

	/** With null, tracing costs nothing but a comparison. */
	set sink(sink: TraceSink | null) {
		this.currentSink = sink;
		this.observer = sink !== null || this.provesLists ? this : null;
	}

	/** Whether every step checks the ready list. */
	get diagnostics(): boolean {
		return this.provesLists;
	}

	/** Slow, for tests. */
	set diagnostics(on: boolean) {
		this.provesLists = on;
		this.observer = on || this.currentSink !== null ? this : null;
	}

	/** Takes the pending signals of a thread when it returns to the program. @internal */
	abstract userret(thread: Thread): void;

	/**
	 * Makes a process with one thread and no descriptors, and an account for it and for all that
	 * descend from it: `limits` are those that differ from the `accountLimits` of the machine.
	 * Errors: EAGAIN when there are too many processes or threads; EINVAL for a wrong limit.
	 */
	spawn(limits: Partial<Limits> = {}): Process {
		const account = this.newAccount("spawn", limits);
		const pid = this.allocatePid(account, "spawn");
		return this.addProcess(pid, null, new FileTable(this.maxfiles, account));
	}

	/** Makes a process, which is charged already. @internal */
	addProcess(pid: number, parent: Process | null, fdp: FileTable): Process {
		const process = new Process(this, pid, parent, fdp);
		this.processes.set(pid, process);
		return process;
	}

	/**
	 * Charges a process and its first thread to an account, and returns an id that is not used by a
	 * process or group. EAGAIN when there are too many.
	 * @internal
	 */
	allocatePid(account: Account, syscall: string): number {
		const { processes, threads } = account;
		if (!processes.hasRoom(1))
			throw new SystemError(errno.EAGAIN, syscall, limitOf(account, "processes"));
		if (!threads.hasRoom(1))
			throw new SystemError(errno.EAGAIN, syscall, limitOf(account, "threads"));
		const pid = this.freePid(syscall);
		processes.force(1);
		threads.force(1);
		return pid;
	}

	private freePid(syscall: string): number {
		const first = this.nextPid;
		while (this.processes.has(this.nextPid) || this.pgrps.has(this.nextPid)) {
			this.nextPid = this.after(this.nextPid);
			if (this.nextPid === first)
				throw new SystemError(errno.EAGAIN, syscall, "all process ids are in use");
		}
		const pid = this.nextPid;
		this.nextPid = this.after(pid);
		return pid;
	}

	private after(pid: number): number {
		return pid >= PID_MAX ? this.firstPid : pid + 1;
	}
}

function limit(value: number, name: string): number {
	if (Number.isSafeInteger(value) && value >= 0) return value;
	throw new SystemError(errno.EINVAL, "Kernel", `${name} is not a whole number from 0 on`);
}

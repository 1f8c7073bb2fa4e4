// An emulated machine: its clock, its processes, its limits.
import { PID_MAX } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { type Activity, activityOf } from "../base/activity.ts";
import type { Host } from "../base/host.ts";
import { RealHost } from "../base/real-host.ts";
import { RunQueue } from "../base/run-queue.ts";
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
	/** How many processes there may be: 1310 by default. */
	readonly maxprocesses?: number;
	/** The limit of EVFILT_TIMERs, of which one more than this is allowed: 4096 by default. */
	readonly timermax?: number;
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
	/** How many descriptors a new process may have. */
	readonly maxfiles: number;
	/** How many processes there may be. */
	readonly maxprocesses: number;
	/** The limit of timers. It may be changed, which affects timers that are added later. */
	timermax: number;
	/** How many timers there are. @internal */
	ntimers = 0;
	/** How many kqueues were made. @internal */
	nkqueues = 0;
	/** How many threads were made. @internal */
	nthreads = 0;
	/** How many threads sleep and how many pumps wait, together. @internal */
	sleepers = 0;
	/**
	 * How many calls did not sleep, and how many events were delivered, since the last turn of the
	 * platform.
	 * @internal
	 */
	unslept = 0;
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
		this.runqueue = new RunQueue(this.host);
		this.timeouts = new TimeoutQueue(this.host);
		this.maxfiles = limit(options.maxfiles ?? 1024, "maxfiles");
		this.timermax = limit(options.timermax ?? 4096, "timermax");
		this.firstPid = Math.max(1, limit(options.firstPid ?? 1, "firstPid"));
		this.nextPid = this.firstPid;
		const pids = Math.max(0, PID_MAX - this.firstPid + 1);
		this.maxprocesses = Math.min(limit(options.maxprocesses ?? 1310, "maxprocesses"), pids);
		this.sink = options.sink ?? null;
		this.diagnostics = options.diagnostics ?? false;
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
	 * Makes a process with one thread and no descriptors. EAGAIN when there are too many processes.
	 */
	spawn(): Process {
		return this.addProcess(this.allocatePid("spawn"), null, new FileTable(this.maxfiles));
	}

	/** Makes a process. @internal */
	addProcess(pid: number, parent: Process | null, fdp: FileTable): Process {
		const process = new Process(this, pid, parent, fdp);
		this.processes.set(pid, process);
		return process;
	}

	/**
	 * An id that is not used by a process or group. EAGAIN when there are too many processes.
	 * @internal
	 */
	allocatePid(syscall: string): number {
		if (this.processes.size >= this.maxprocesses)
			throw new SystemError(errno.EAGAIN, syscall, `the limit is ${this.maxprocesses} processes`);
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

// A process: descriptors, threads, signals.
import { NSIG } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { SIG_DFL, type SignalAction, type Sigset } from "../abi/signal.ts";
import { type Account, limitOf } from "../base/account.ts";
import { kassert } from "../base/assert.ts";
import { KnoteList } from "../event/klist.ts";
import type { FileTable } from "../file/filedesc.ts";
import { WaitChannel } from "../sched/wait-channel.ts";
import type { Machine } from "./machine.ts";
import { enterPgrp, type ProcessGroup, Session } from "./session.ts";
import { Thread } from "./thread.ts";

/** A process. `Kernel.spawn` makes the first ones, fork the others. */
export class Process {
	/** The machine it is on. */
	readonly kernel: Machine;
	/** Its id. */
	readonly pid: number;
	/**
	 * The process that forked it; null for a process that was spawned, and after the parent has
	 * exited.
	 */
	parent: Process | null;
	/** Its children that are not reaped yet. */
	readonly children: Set<Process> = new Set();
	/** Those of them that have exited, in order of creation. @internal */
	readonly zombies: Process[] = [];
	/** What it and those that descend from it use, together with what it descends from. */
	readonly account: Account;
	/** Its descriptors. @internal */
	readonly fdp: FileTable;
	/** Its watchers: PROC knotes on it and SIGNAL knotes of its own. @internal */
	readonly klist: KnoteList = new KnoteList();
	/** Its oldest thread that has not ended. @internal */
	firstThread: Thread | null = null;
	/** Its newest thread that has not ended. @internal */
	lastThread: Thread | null = null;
	/** The promises of its last pledge, null if it has not pledged. */
	pledge: ReadonlySet<string> | null = null;
	/** The group it is in, which has its session. @internal */
	pgrp!: ProcessGroup;
	/** Whether the terminal of its session is its controlling terminal. @internal */
	hasTty = false;
	/** Whether it has called exec. @internal */
	hasExeced = false;
	/** The thread it began with. */
	readonly main: Thread;
	/** Where its threads wait for children. @internal */
	readonly childChannel: WaitChannel = new WaitChannel();
	/** It has begun to exit, or has exited. @internal */
	exiting = false;
	/** It has exited, and its status can be taken. @internal */
	zombie = false;
	/** The wait status, after it has exited. @internal */
	status = 0;
	/** What it does about each signal. @internal */
	readonly sigacts: SignalAction[] = new Array<SignalAction>(NSIG).fill(SIG_DFL);
	/** For each signal, the signals that are also blocked while its handler runs. @internal */
	readonly sigmasks: Sigset[] = new Array<Sigset>(NSIG).fill(0);
	/** For each signal the SA_ flags of its action. @internal */
	readonly sigflags: number[] = new Array<number>(NSIG).fill(0);
	/** Signals that were sent to the process and not taken yet. @internal */
	siglist: Sigset = 0;

	/** Made by `Kernel.spawn` and fork. */
	constructor(kernel: Machine, pid: number, parent: Process | null, fdp: FileTable) {
		this.kernel = kernel;
		this.pid = pid;
		this.parent = parent;
		this.fdp = fdp;
		this.account = fdp.account;
		if (parent === null) {
			enterPgrp(this, pid, new Session(this));
		} else {
			parent.children.add(this);
			enterPgrp(this, parent.pgrp.pgid, parent.pgrp.session);
			this.hasTty = parent.hasTty;
		}
		this.main = this.addThread(null);
	}

	/** Its threads that have not ended, in order of creation, in a new list. */
	get threads(): Thread[] {
		const threads: Thread[] = [];
		for (let each = this.firstThread; each !== null; each = each.nextThread) threads.push(each);
		return threads;
	}

	/**
	 * Makes another thread, for calls that overlap. It blocks the signals that its creator blocks, by
	 * default those of the process's oldest thread. Errors: ESRCH when the process has exited; EAGAIN
	 * when there are too many threads.
	 */
	spawnThread(creator: Thread | null = this.firstThread): Thread {
		if (this.exiting)
			throw new SystemError(errno.ESRCH, "spawnThread", `process ${this.pid} has exited`);
		if (!this.account.threads.charge(1))
			throw new SystemError(errno.EAGAIN, "spawnThread", limitOf(this.account, "threads"));
		return this.addThread(creator);
	}

	private addThread(creator: Thread | null): Thread {
		// In a ppoll the mask is the call's own.
		const thread = new Thread(this, creator?.oldmask ?? creator?.sigmask ?? 0);
		thread.prevThread = this.lastThread;
		if (this.lastThread === null) this.firstThread = thread;
		else this.lastThread.nextThread = thread;
		this.lastThread = thread;
		// It takes the signals that were sent while there was no thread to take them.
		if (this.siglist !== 0) this.kernel.runqueue.add(thread);
		return thread;
	}

	/** Removes a thread that ends. @internal */
	removeThread(thread: Thread): void {
		const { nextThread, prevThread } = thread;
		kassert(prevThread !== null || this.firstThread === thread, "a thread ends once");
		if (prevThread === null) this.firstThread = nextThread;
		else prevThread.nextThread = nextThread;
		if (nextThread === null) this.lastThread = prevThread;
		else nextThread.prevThread = prevThread;
		thread.nextThread = null;
		thread.prevThread = null;
	}
}

// A thread of a process: it makes calls, and sleeps in them.
import type { Sigset } from "../abi/signal.ts";
import type { Runnable } from "../base/run-queue.ts";
import type { Timeout } from "../base/timeout.ts";
import type { Kqueue } from "../event/kqueue.ts";
import type { BlockingCall, Driver } from "../sched/call.ts";
import { Caller } from "../sched/caller.ts";
import type { WaitChannel } from "../sched/wait-channel.ts";
import type { Machine } from "./machine.ts";
import type { Process } from "./process.ts";

/** Running its own code or a call, asleep in a call, woken but not yet running, or ended. */
export type ThreadState = "running" | "asleep" | "ready" | "exited";

/** A part of a thread that ends with it. */
export interface ThreadPart {
	/** Whether a callback is running for it, so that the thread cannot end now. */
	readonly busy: boolean;
	/** The thread ends. */
	stop(): void;
}

/** A thread. It sleeps in one call at a time: waits that overlap need a thread each. */
export class Thread extends Caller {
	/** Its number in the kernel, from 0 in order of creation. */
	readonly tid: number;
	/** The machine it is on. */
	readonly kernel: Machine;
	/** The process it belongs to. */
	readonly process: Process;
	/** Neighbours among the threads of its process. @internal */
	nextThread: Thread | null = null;
	/** Neighbours among the threads of its process. @internal */
	prevThread: Thread | null = null;
	/** What it is doing. */
	state: ThreadState = "running";

	/** The kqueue that its polls and selects use, null before the first of them. @internal */
	kq: Kqueue | null = null;
	/** The first serial of its current or next poll or select. @internal */
	kqserial = 0;
	/** Whether a poll or select is in progress. @internal */
	polling = false;
	/** Its watches, null while there are none. @internal */
	watches: ThreadPart | null = null;
	/** What read and write keep from call to call. @internal */
	transferstate: unknown = null;
	/** What poll and select keep from call to call. @internal */
	pollstate: unknown = null;

	/** What is called after it has ended, null for nothing. @internal */
	exits: (() => void)[] | null = null;

	/** See Caller. @internal */
	promisedIn = -1;

	/** How many of its calls are running: more than one when a callback makes a call. @internal */
	depth = 0;
	/** The call it sleeps in. @internal */
	call: BlockingCall | null = null;
	/** The driver of that call; after it, the driver of the last one. @internal */
	driver: Driver | null = null;
	/** Why it was woken: 0, EAGAIN or EINTR. @internal */
	woken = 0;
	/** Ends a sleep that has a time limit; null before the first of those. @internal */
	sleepTimeout: Timeout | null = null;
	/** What it sleeps on. @internal */
	channel: WaitChannel | null = null;
	/** Neighbours on that channel. @internal */
	sleepnext: Thread | null = null;
	/** Neighbours on that channel. @internal */
	sleepprev: Thread | null = null;

	/** The signals that are blocked. @internal */
	sigmask: Sigset;
	/** Signals that were sent to this thread and not taken yet. @internal */
	siglist: Sigset = 0;
	/** The mask to go back to when a ppoll or pselect ends. @internal */
	oldmask: Sigset | null = null;
	/** The signals that a sigwait takes. @internal */
	sigdivert: Sigset = 0;

	/** How many of its handlers are running, one inside the other. @internal */
	handling = 0;
	/** The signals that it has taken since its last call returned to the program. @internal */
	taken: Sigset = 0;
	/** How many of those it has taken again. @internal */
	retaken = 0;
	/** When it took the first of them, on the host's clock. @internal */
	takenAt = 0;

	/** Whether it is in the run queue. @internal */
	queued = false;
	/** What runs next. @internal */
	runnext: Runnable | null = null;
	/** What runs before. @internal */
	runprev: Runnable | null = null;

	/** Made by `Process.spawnThread` and fork. */
	constructor(process: Process, sigmask: Sigset) {
		super();
		this.kernel = process.kernel;
		this.process = process;
		this.tid = this.kernel.nthreads++;
		this.sigmask = sigmask;
	}

	/** Continues its call, or takes a signal. @internal */
	run(): void {
		if (this.state === "ready") this.driver?.woken(this);
		else if (this.state === "running" && this.depth === 0) this.userret();
	}

	/** Called when it returns to the program: takes signals, and puts masks back. @internal */
	userret(): void {
		if (this.siglist !== 0 || this.process.siglist !== 0 || this.oldmask !== null)
			this.kernel.userret(this);
	}
}

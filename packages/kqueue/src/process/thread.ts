// A thread of a process: what makes calls, and sleeps in them.
import type { Sigset } from "../abi/signal.ts";
import type { Runnable } from "../base/run-queue.ts";
import type { Timeout } from "../base/timeout.ts";
import type { Kqueue } from "../event/kqueue.ts";
import type { BlockingCall, Driver } from "../sched/call.ts";
import type { WaitChannel } from "../sched/wait-channel.ts";
import type { Machine } from "./machine.ts";
import type { Process } from "./process.ts";

/** Running its own code, asleep in a call, woken but not yet running, or gone. */
export type ThreadState = "running" | "asleep" | "ready" | "exited";

/** Something that a thread has and that ends with it. */
export interface ThreadPart {
	/** Whether a callback is at work for it, so that the thread cannot end now. */
	readonly busy: boolean;
	/** The thread ends. */
	stop(): void;
}

/** A thread. One call at a time: for waits that overlap make more threads. */
export class Thread {
	/** Its number, from 0 in order of creation over the whole kernel. */
	readonly tid: number;
	/** The machine it is on. */
	readonly kernel: Machine;
	/** The process it belongs to. */
	readonly process: Process;
	/** What it is doing. */
	state: ThreadState = "running";

	/** The kqueue behind its polls and selects, from the first of them on. @internal */
	kq: Kqueue | null = null;
	/** The first serial of its current or next poll or select. @internal */
	kqserial = 0;
	/** Whether a poll or select is under way. @internal */
	polling = false;
	/** Its watches, while it has any. @internal */
	watches: ThreadPart | null = null;
	/** What read and write keep from call to call. @internal */
	transferstate: unknown = null;
	/** What poll and select keep from call to call. @internal */
	pollstate: unknown = null;

	/** How many of its calls are on the stack: more than one when callbacks make some. @internal */
	depth = 0;
	/** The call it sleeps in. @internal */
	call: BlockingCall | null = null;
	/** What drives that call; then, what drove the last one. @internal */
	driver: Driver | null = null;
	/** Why it was woken: 0, EAGAIN or EINTR. @internal */
	woken = 0;
	/** Ends its sleep in time, once it had one that ends. @internal */
	sleepTimeout: Timeout | null = null;
	/** What it sleeps on. @internal */
	channel: WaitChannel | null = null;
	/** Neighbours on that channel. @internal */
	sleepnext: Thread | null = null;
	/** Neighbours on that channel. @internal */
	sleepprev: Thread | null = null;

	/** The signals that are blocked. @internal */
	sigmask: Sigset;
	/** Signals sent to this thread and not taken yet. @internal */
	siglist: Sigset = 0;
	/** The mask to go back to when a ppoll or pselect ends. @internal */
	oldmask: Sigset | null = null;
	/** The signals that a sigwait takes. @internal */
	sigdivert: Sigset = 0;

	/** Whether it stands in the queue. @internal */
	queued = false;
	/** What runs next. @internal */
	runnext: Runnable | null = null;
	/** What runs before. @internal */
	runprev: Runnable | null = null;

	/** Made by `Process.spawnThread` and fork. */
	constructor(process: Process, sigmask: Sigset) {
		this.kernel = process.kernel;
		this.process = process;
		this.tid = this.kernel.nthreads++;
		this.sigmask = sigmask;
	}

	/** Goes on with its call, or takes a signal. @internal */
	run(): void {
		if (this.state === "ready") this.driver?.woken(this);
		else if (this.state === "running" && this.depth === 0) this.userret();
	}

	/** What happens on the way back to the program: signals are taken, masks put back. @internal */
	userret(): void {
		if (this.siglist !== 0 || this.process.siglist !== 0 || this.oldmask !== null)
			this.kernel.userret(this);
	}
}

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
export class Thread implements Runnable {
	/** Its number, from 0 in order of creation over the whole kernel. */
	readonly tid: number;
	/** The machine it is on. */
	readonly kernel: Machine;
	/** The process it belongs to. */
	readonly process: Process;
	/** Engine: what it is doing. */
	state: ThreadState = "running";

	/** Engine: the kqueue behind its polls and selects, from the first of them on. */
	kq: Kqueue | null = null;
	/** Engine: the first serial of its current or next poll or select. */
	kqserial = 0;
	/** Engine: whether a poll or select is under way. */
	polling = false;
	/** Engine: its watches, while it has any. */
	watches: ThreadPart | null = null;
	/** Engine: what read and write keep from call to call. */
	transferstate: unknown = null;
	/** Engine: what poll and select keep from call to call. */
	pollstate: unknown = null;

	/** Engine: how many of its calls are on the stack: more than one when callbacks make some. */
	depth = 0;
	/** Engine: the call it sleeps in. */
	call: BlockingCall | null = null;
	/** Engine: what drives that call; then, what drove the last one. */
	driver: Driver | null = null;
	/** Engine: why it was woken: 0, EAGAIN or EINTR. */
	woken = 0;
	/** Engine: ends its sleep in time, once it had one that ends. */
	sleepTimeout: Timeout | null = null;
	/** Engine: what it sleeps on. */
	channel: WaitChannel | null = null;
	/** Engine: neighbours on that channel. */
	sleepnext: Thread | null = null;
	/** Engine: neighbours on that channel. */
	sleepprev: Thread | null = null;

	/** Engine: the signals that are blocked. */
	sigmask: Sigset;
	/** Engine: signals sent to this thread and not taken yet. */
	siglist: Sigset = 0;
	/** Engine: the mask to go back to when a ppoll or pselect ends. */
	oldmask: Sigset | null = null;
	/** Engine: the signals that a sigwait takes. */
	sigdivert: Sigset = 0;

	/** RunQueue: whether it stands in the queue. */
	queued = false;
	/** RunQueue: what runs next. */
	runnext: Runnable | null = null;
	/** RunQueue: what runs before. */
	runprev: Runnable | null = null;

	/** Made by `Process.spawnThread` and fork. */
	constructor(process: Process, sigmask: Sigset) {
		this.kernel = process.kernel;
		this.process = process;
		this.tid = this.kernel.nthreads++;
		this.sigmask = sigmask;
	}

	/** RunQueue: goes on with its call, or takes a signal. */
	run(): void {
		if (this.state === "ready") this.driver?.woken(this);
		else if (this.state === "running" && this.depth === 0) this.userret();
	}

	/** Engine: what happens on the way back to the program: signals are taken, masks put back. */
	userret(): void {
		if (this.siglist !== 0 || this.process.siglist !== 0 || this.oldmask !== null)
			this.kernel.userret(this);
	}
}

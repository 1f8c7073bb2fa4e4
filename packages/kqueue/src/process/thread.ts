// A thread of a process: who makes calls, and who sleeps in them.

import { errno } from "../abi/errno.ts";
import type { Runnable } from "../base/run-queue.ts";
import { Timeout } from "../base/timeout.ts";
import type { Kqueue } from "../event/kqueue.ts";
import type { AbortSignalLike, BlockingCall } from "../sched/call.ts";
import { resume } from "../sched/call-async.ts";
import type { Sigset } from "../sched/signal.ts";
import { type WaitChannel, wake } from "../sched/sleep.ts";
import type { Pump } from "../stream/pump.ts";
import type { ReadCall, WriteCall } from "../syscall/transfer.ts";
import { userret } from "./deliver.ts";
import type { Kernel } from "./machine.ts";
import type { Process } from "./process.ts";

/** Running its own code, asleep in a call, woken but not yet running, or gone. */
export type ThreadState = "running" | "asleep" | "ready" | "exited";

function timeIsOver(thread: unknown): void {
	wake(thread as Thread, errno.EAGAIN);
}

/** A thread. One call at a time: for waits that overlap make more threads. */
export class Thread implements Runnable {
	/** Its number, from 0 in order of creation over the whole kernel. */
	readonly tid: number;
	/** The machine it is on. */
	readonly kernel: Kernel;
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
	/** Engine: hands out the events of its watches, while it has any. */
	pump: Pump | null = null;
	/** Engine: its read, from the first that it made on. */
	readCall: ReadCall | null = null;
	/** Engine: its write, likewise. */
	writeCall: WriteCall | null = null;
	/** Kqpoll: what poll and select keep from call to call. */
	pollstate: unknown = null;

	/** Engine: how many of its calls are on the stack: more than one when callbacks make some. */
	depth = 0;
	/** Engine: the call it sleeps in. */
	call: BlockingCall | null = null;
	/** Engine: keeps that call's promise. */
	resolve: ((result: number) => void) | null = null;
	/** Engine: breaks that call's promise. */
	reject: ((error: unknown) => void) | null = null;
	/** Engine: makes the promise of a call of this thread. */
	readonly keepSettlers = (
		resolve: (result: number) => void,
		reject: (error: unknown) => void,
	): void => {
		this.resolve = resolve;
		this.reject = reject;
	};

	/** Engine: what may abort that call. */
	signal: AbortSignalLike | null = null;
	/** Engine: what that signal was told to call. */
	abort: (() => void) | null = null;
	/** Engine: why it was woken: 0, EAGAIN or EINTR. */
	woken = 0;
	/** Engine: ends its sleep in time. */
	readonly sleepTimeout: Timeout = new Timeout(timeIsOver, this);
	/** Engine: what it sleeps on. */
	channel: WaitChannel | null = null;
	/** Engine: neighbours on that channel. */
	sleepnext: Thread | null = null;
	/** Engine: neighbours on that channel. */
	sleepprev: Thread | null = null;

	/** Signals held back. */
	sigmask: Sigset;
	/** Engine: signals sent to this thread and not taken yet. */
	siglist: Sigset = 0;
	/** Engine: the mask to go back to when a ppoll or pselect ends. */
	oldmask: Sigset | null = null;

	/** RunQueue: whether it stands in the queue. */
	queued = false;
	/** RunQueue: who comes next. */
	runnext: Runnable | null = null;
	/** RunQueue: who comes before. */
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
		if (this.state === "ready") resume(this);
		else if (this.state === "running" && this.depth === 0) this.userret();
	}

	/** Engine: what happens on the way back to the program: signals are taken, masks put back. */
	userret(): void {
		if (this.siglist !== 0 || this.process.siglist !== 0 || this.oldmask !== null) userret(this);
	}
}

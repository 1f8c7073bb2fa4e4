// The trace sink: gets every transition of the engine as a small object.
import { report } from "./failure.ts";
import type { Host } from "./host.ts";

/** What happened to a knote. */
export type KnoteTransition =
	| "attach"
	| "activate"
	| "enqueue"
	| "dequeue"
	| "deliver"
	| "dead"
	| "badfd"
	| "drop";

/** What happened. */
export type Transition =
	| KnoteTransition
	| "kqueue"
	| "terminate"
	| "register"
	| "sleep"
	| "wake"
	| "close"
	| "fork"
	| "exec"
	| "exit"
	| "signal";

/** A transition of the engine. Which fields it has depends on what happened. */
export interface TraceEvent {
	/** When, in nanoseconds on the host's clock. */
	readonly time: number;
	/**
	 * What happened: a kqueue was made (kqueue) or closed (terminate); a change was applied
	 * (register); a knote was added (attach), triggered (activate), was queued or unqueued (enqueue,
	 * dequeue), was reported (deliver), lost its object or descriptor (dead, badfd), or was removed
	 * (drop); a thread went to sleep or was woken (sleep, wake); a descriptor was closed (close); a
	 * process was forked, executed, exited, or was sent a signal (fork, exec, exit, signal).
	 */
	readonly event: Transition;
	/** Of kqueues, changes and knotes: which kqueue, numbered in order of creation. */
	readonly kq?: number;
	/** Of knotes: the knote in words, since it may be gone when this is read. */
	readonly knote?: string;
	/** Of a change: its ident. */
	readonly ident?: number;
	/** Of a change: its filter. */
	readonly filter?: number;
	/** Of a change: its flags. */
	readonly flags?: number;
	/**
	 * Of a change: its errno or 0. Of a wake-up: 0, EAGAIN after a time-out, EINTR after an
	 * interrupt.
	 */
	readonly error?: number;
	/** Of sleep and wake: which thread. */
	readonly thread?: number;
	/** Of sleep: in which call. */
	readonly call?: string;
	/** Of descriptors and processes: which process. */
	readonly pid?: number;
	/** Of close: which descriptor. */
	readonly fd?: number;
	/** Of signal: which one. */
	readonly signal?: number;
}

/**
 * Gets every transition. It only watches: system calls that it makes fail with EDEADLK, and the
 * platform reports what it throws.
 */
export type TraceSink = (event: TraceEvent) => void;

/** The part of a machine that tracing needs. */
export interface Traced {
	/** Where the time comes from. */
	readonly host: Host;
	/** Where transitions go, null for nowhere. */
	readonly sink: TraceSink | null;
	/** Whether the sink is running. */
	tracing: boolean;
}

/** Tells the sink. Callers check that there is one before they make the object. */
export function trace(kernel: Traced, transition: Omit<TraceEvent, "time">): void {
	const { sink, host } = kernel;
	if (sink === null) return;
	kernel.tracing = true;
	try {
		sink({ ...transition, time: host.now() });
	} catch (error) {
		report(host, error);
	} finally {
		kernel.tracing = false;
	}
}

// The trace sink: every transition of the engine as a small object, when somebody asks for it.
import { formatKnote } from "./format.ts";
import type { Knote } from "./knote.ts";
import type { Kernel } from "./machine.ts";

/** One transition. Knotes are given as text, since they may be gone when it is read. */
export type Transition =
	/** A kqueue was made; `kq` numbers them in order. */
	| { readonly event: "kqueue"; readonly kq: number }
	/** A kqueue was closed, or its thread ended. */
	| { readonly event: "terminate"; readonly kq: number }
	/** A change was registered, with its errno. */
	| {
			readonly event: "register";
			readonly kq: number;
			readonly ident: number;
			readonly filter: number;
			readonly flags: number;
			readonly error: number;
	  }
	/** A knote came, triggered, was queued or unqueued, reported, changed its filter, or went. */
	| {
			readonly event:
				| "attach"
				| "activate"
				| "enqueue"
				| "dequeue"
				| "deliver"
				| "dead"
				| "badfd"
				| "drop";
			readonly kq: number;
			readonly knote: string;
	  }
	/** A thread went to sleep in a call. */
	| { readonly event: "sleep"; readonly thread: number; readonly call: string }
	/** A thread was woken: 0 by an event, else by a time-out (EAGAIN) or a signal (EINTR). */
	| { readonly event: "wake"; readonly thread: number; readonly error: number }
	/** A descriptor was closed. */
	| { readonly event: "close"; readonly pid: number; readonly fd: number }
	/** A process came, executed, exited, or was sent a signal. */
	| { readonly event: "fork" | "exec" | "exit"; readonly pid: number }
	| { readonly event: "signal"; readonly pid: number; readonly signal: number };

/** A transition and when it happened, in nanoseconds on the host's clock. */
export type TraceEvent = Transition & { readonly time: number };

/**
 * Gets every transition. It only watches: system calls that it makes fail with EDEADLK, and what
 * it throws is the platform's to report.
 */
export type TraceSink = (event: TraceEvent) => void;

/** Tells the sink. Callers look whether there is one before they make the object. */
export function trace(kernel: Kernel, transition: Transition): void {
	const { sink, host } = kernel;
	if (sink === null) return;
	kernel.tracing = true;
	try {
		sink({ ...transition, time: host.now() });
	} catch (error) {
		host.defer(() => {
			throw error;
		});
	} finally {
		kernel.tracing = false;
	}
}

/** Tells the sink about a knote. */
export function traceKnote(
	kn: Knote,
	event: "attach" | "activate" | "enqueue" | "dequeue" | "deliver" | "dead" | "badfd" | "drop",
): void {
	trace(kn.kq.kernel, { event, kq: kn.kq.id, knote: formatKnote(kn) });
}

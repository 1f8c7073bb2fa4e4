// A guest: a thread of the emulated machine, its memory and descriptors, and how its calls wait.
import { type BlockingHost, errno, RealHost, SystemError, type Thread } from "@kqpoll/kqueue";
import {
	type Begin,
	callEither,
	callNow,
	callSync,
	type DrivableHost,
	enter,
	leave,
} from "@kqpoll/kqueue/kernel";
import { wasiErrno, wasiErrnoOf } from "../abi/errno.ts";
import { Descriptors } from "./descriptors.ts";
import { GuestMemory } from "./memory.ts";
import { ProcessExit, Trouble } from "./trouble.ts";

/**
 * How the calls of a guest wait: `"sync"` blocks the thread of the platform, and needs a host that
 * can be driven; `"jspi"` suspends the guest; with `"promise"` the functions return promises, for
 * packages that run the guest elsewhere; `"now"` never sleeps: where a call would have to, it fails
 * with EAGAIN, and poll_oneoff returns what is ready.
 */
export type WaitMode = "sync" | "jspi" | "promise" | "now";

/** What a function of WASI returns: an error number of WASI, perhaps after a sleep. */
export type Answer = number | Promise<number>;

/** A function of WASI, whose parameters after the guest are those of its import. */
export type WasiFunction = (guest: Guest, ...args: never[]) => Answer;

/** What a guest was started with. */
export interface GuestStrings {
	/** The arguments; the first is the name of the program. */
	readonly args: readonly Uint8Array[];
	/** The environment: each entry is a name, "=" and a value. */
	readonly env: readonly Uint8Array[];
}

/** How much virtual time a thousand calls take that do not sleep, at most, in nanoseconds. */
const TURN = 1_000_000;

/** A guest. */
export class Guest {
	/** Who makes its calls. */
	readonly thread: Thread;
	/** Its memory. */
	readonly memory: GuestMemory = new GuestMemory();
	/** What is known about its descriptors. */
	readonly descriptors: Descriptors;
	/** Its arguments and its environment. */
	readonly strings: GuestStrings;
	/** How its calls wait. */
	readonly mode: WaitMode;
	/** When it was started, on the host's clock. */
	readonly started: number;
	/** When poll_oneoff found last that a time was over without waiting for it, in virtual time. */
	polledAt = -1;
	/** What poll_oneoff keeps from call to call. */
	pollstate: unknown = null;

	/** Makes a guest without memory yet. */
	constructor(thread: Thread, strings: GuestStrings, mode: WaitMode) {
		this.thread = thread;
		this.descriptors = new Descriptors(thread);
		this.strings = strings;
		this.mode = mode;
		this.started = thread.kernel.host.now();
	}

	/** Makes a call of the engine, which waits as the guest's mode says. Throws its error. */
	call<A extends readonly unknown[]>(
		name: string,
		begin: Begin<A>,
		...args: A
	): number | Promise<number> {
		const { thread } = this;
		switch (this.mode) {
			case "sync":
				return callSync(thread, name, null, begin, ...args);
			case "jspi":
			case "promise":
				return callEither(thread, name, null, begin, ...args);
			default:
				enter(thread, name);
				try {
					return callNow(begin(thread, ...args));
				} finally {
					leave(thread);
				}
		}
	}

	/** Throws if the process has ended, which ends the guest. */
	checkAlive(): void {
		if (this.thread.state === "exited") throw this.exit();
	}

	/** What ends the guest after its process has ended. */
	exit(): ProcessExit {
		const { exiting, status } = this.thread.process;
		const signal = status & 0x7f;
		return new ProcessExit(!exiting ? 0 : signal === 0 ? status >> 8 : 128 + signal);
	}

	/** The error number of WASI for what a function threw. Anything but the error of a call is thrown again. */
	errnoOf(error: unknown): number {
		this.checkAlive();
		if (error instanceof Trouble) return error.errno;
		if (error instanceof SystemError) return wasiErrnoOf(error.errno);
		throw error;
	}

	/**
	 * Lets the host have a turn now and then, after a call that cannot sleep: a guest that waits by
	 * asking for the time, or for the size of a file, must not wait forever. Where time is virtual it
	 * passes: at most a millisecond for a thousand calls.
	 */
	private makeWay(): void {
		const { host, blockingSlice } = this.thread.kernel;
		if (this.mode !== "sync" || !blockingSlice.makesWay()) return;
		if (host instanceof RealHost) return void (host as BlockingHost).turn();
		const timer = host.setTimer(host.now() + TURN, () => {});
		(host as DrivableHost).turn();
		host.clearTimer(timer);
	}

	/** An import that calls a function of WASI; `prompt` says that this never sleeps. */
	bind(fn: WasiFunction, prompt: boolean): WasiImport {
		const settled = (answer: number): number => {
			this.checkAlive();
			return answer;
		};
		const failed = (error: unknown): number => this.errnoOf(error);
		const run = fn as (guest: Guest, ...args: unknown[]) => Answer;
		// Functions have up to nine parameters. A list of the rest would cost more than the call.
		return (a, b, c, d, e, f, g, h, i) => {
			let answer: Answer;
			try {
				answer = run(this, a, b, c, d, e, f, g, h, i);
			} catch (error) {
				return this.errnoOf(error);
			}
			if (typeof answer !== "number") return answer.then(settled, failed);
			if (prompt) this.makeWay();
			if (this.thread.state === "exited") throw this.exit();
			return answer;
		};
	}
}

/** A function as a module imports it. */
export type WasiImport = (
	a?: number | bigint,
	b?: number | bigint,
	c?: number | bigint,
	d?: number | bigint,
	e?: number | bigint,
	f?: number | bigint,
	g?: number | bigint,
	h?: number | bigint,
	i?: number | bigint,
) => Answer;

/** Continues a function after a call that may have slept. */
export function after(result: Answer, act: (result: number) => number): Answer {
	return typeof result === "number" ? act(result) : result.then(act);
}

/** Whether an error is that a buffer has lost its memory. */
export function isDetached(error: unknown): boolean {
	return error instanceof SystemError && error.errno === errno.EFAULT;
}

/** Success. */
export const SUCCESS: number = wasiErrno.SUCCESS;

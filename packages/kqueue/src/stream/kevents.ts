/// <reference lib="esnext.disposable" preserve="true" />
// Kevents as an async iterable.

import {
	EV_CLEAR,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_WRITE,
	NOTE_CHILD,
	NOTE_TRACK,
} from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { copyinRequest, type Kevent, type KeventRequest } from "../abi/kevent.ts";
import { copyin } from "../abi/lists.ts";
import { show } from "../abi/values.ts";
import { attempt, doAll, rethrow } from "../base/failure.ts";
import type { Thread } from "../process/thread.ts";
import type { AbortSignalLike } from "../sched/call.ts";
import { abortOf, checkSignal, promiseMakesWay } from "../sched/run-call.ts";
import { type KeventWatch, watchKevent } from "./watch.ts";

/** What happens to events while the consumer does not ask for one. */
export type KeventsPolicy = "pull" | "latest" | "buffered";
/** What a full buffer does. */
export type Overflow = "pause" | "dropOldest" | "dropNewest" | "error";

/** The options of an iteration. */
export interface KeventsOptions {
	/**
	 * "pull", the default: no event is kept; when the consumer asks, the knote is asked. "latest":
	 * the newest event is kept, with the counts and notes of those that it replaced; with NOTE_TRACK
	 * the newest of each process. "buffered": up to `bound` events are kept.
	 */
	readonly policy?: KeventsPolicy | undefined;
	/** How many events a buffer holds: 16 by default. */
	readonly bound?: number | undefined;
	/**
	 * "pause", the default: the knote is disabled until the buffer is empty again, and combines what
	 * happens meanwhile into one event. "dropOldest" and "dropNewest" lose events; "error" ends the
	 * iteration with ENOBUFS after the events that are kept.
	 */
	readonly overflow?: Overflow | undefined;
	/**
	 * "complete", the default: an event with EV_EOF is the last one. "emit": it is an event like
	 * others, and with "pull" there is one whenever the consumer asks. With NOTE_TRACK the last event
	 * is that of the last process.
	 */
	readonly eof?: "complete" | "emit" | undefined;
	/** Aborting it ends the iteration: it rejects with the reason. */
	readonly signal?: AbortSignalLike | undefined;
}

/** A call of `next` whose promise is not settled. */
interface Waiter {
	readonly resolve: (result: IteratorResult<Kevent, undefined>) => void;
	readonly reject: (error: unknown) => void;
}

/**
 * Iterates over the events that `change` asks for, from now on: nothing that happens after this
 * call is lost. See {@link KeventsOptions} for what is kept while the consumer does not ask. The
 * iteration ends with `return`, which `for await` and `await using` call, when its signal is
 * aborted, and after EV_EOF. Its knote exists until then. Any number of iterations may be in
 * progress, and the thread may make other calls meanwhile.
 *
 * Throws what {@link watchKevent} throws; EINVAL for options that are not valid. The iteration
 * rejects with EBADF when the descriptor is closed, with ESRCH when the thread exits, and with the
 * reason of the signal. Source: kqueue(2).
 */
export function kevents(
	thread: Thread,
	change: KeventRequest,
	options: KeventsOptions | null = {},
): KeventIterator {
	return new KeventIterator(thread, change, options);
}

/** The options, each of which is read once. EFAULT for what cannot be read. */
function readOptions(options: KeventsOptions | null): KeventsOptions {
	return copyin("kevents", "options", () => {
		const { policy, bound, overflow, eof, signal } = options ?? {};
		return { policy, bound, overflow, eof, signal };
	});
}

/** An iteration over kevents, made by {@link kevents}. */
export class KeventIterator implements AsyncIterableIterator<Kevent, undefined>, AsyncDisposable {
	private readonly thread: Thread;
	private readonly watch: KeventWatch | null;
	private readonly policy: KeventsPolicy;
	private readonly bound: number;
	private readonly overflow: Overflow;
	private readonly completes: boolean;
	private readonly signal: AbortSignalLike | null;
	/** Events that the consumer has not asked for yet. */
	private readonly kept: Fifo<Kevent> = new Fifo();
	/** Calls of `next` that wait for an event; while there are some, no event is kept. */
	private readonly waiters: Fifo<Waiter> = new Fifo();
	/** Whether there will be no more events. */
	private ended = false;
	/** What the next call of `next` is rejected with, once. */
	private failure: { readonly error: unknown } | null = null;
	private readonly abort = (): void => this.fail(reasonOf(this.signal));

	/** Made by {@link kevents}. */
	constructor(thread: Thread, request: KeventRequest, options: KeventsOptions | null) {
		const {
			policy = "pull",
			bound = 16,
			overflow = "pause",
			eof = "complete",
			signal: given,
		} = readOptions(options);
		const signal = given ?? null;
		if (signal !== null) checkSignal(signal, "kevents");
		check(policy, ["pull", "latest", "buffered"], "policy");
		check(overflow, ["pause", "dropOldest", "dropNewest", "error"], "overflow");
		check(eof, ["complete", "emit"], "eof");
		if (!Number.isSafeInteger(bound) || bound < 1)
			throw new SystemError(
				errno.EINVAL,
				"kevents",
				`bound ${show(bound)} is not a whole number from 1 on`,
			);
		this.thread = thread;
		this.policy = policy;
		this.bound = bound;
		this.overflow = overflow;
		const change = copyinRequest(request, "kevents");
		const follows = change.filter === EVFILT_PROC && (change.fflags & NOTE_TRACK) !== 0;
		this.completes = eof === "complete" && !follows;
		this.signal = signal;
		const aborted = abortOf(signal);
		if (aborted !== null) {
			this.watch = null;
			this.fail(aborted.value);
			return;
		}
		// With "pull" the knote is enabled for each event, and must not be enabled before.
		if (policy === "pull") change.flags &= ~EV_ENABLE;
		change.flags |= FLAGS[policy];
		this.watch = watchKevent(thread, change, {
			next: (event) => this.take(event),
			error: (error) => this.fail(error),
			complete: () => this.end(),
		});
		try {
			signal?.addEventListener("abort", this.abort);
		} catch (value) {
			rethrow(attempt({ value }, () => this.watch?.close()));
		}
		// It may have been aborted while the watch was made.
		const late = abortOf(signal);
		if (late !== null) this.fail(late.value);
	}

	/**
	 * The next event, or the end. May be called again before the last call has its event: calls get
	 * events in their order.
	 */
	next(): Promise<IteratorResult<Kevent, undefined>> {
		const event = this.kept.shift();
		if (event !== undefined) {
			// If the buffer was full, the knote has kept what happened since then, or reports the current
			// state.
			if (this.kept.length === 0 && this.policy === "buffered") this.enable();
			return this.answer({ done: false, value: event });
		}
		if (this.failure !== null) {
			const { error } = this.failure;
			this.failure = null;
			return Promise.reject(error);
		}
		if (this.ended) return this.answer(DONE);
		return new Promise((resolve, reject) => {
			// There is no event inside of enable; if it throws, the call must not wait.
			this.watch?.enable();
			this.waiters.push({ resolve, reject });
		});
	}

	/** What is there already; a consumer that never waits lets the platform have its turns. */
	private answer(
		result: IteratorResult<Kevent, undefined>,
	): Promise<IteratorResult<Kevent, undefined>> {
		if (!promiseMakesWay(this.thread)) return Promise.resolve(result);
		return new Promise((resolve) => this.thread.kernel.host.yield(() => resolve(result)));
	}

	/**
	 * Ends the iteration: deletes the knote, forgets the events that are kept, and ends the calls of
	 * `next` that wait.
	 */
	async return(): Promise<IteratorResult<Kevent, undefined>> {
		this.kept.clear();
		this.failure = null;
		this.end();
		return DONE;
	}

	/** Ends the iteration, and rejects with the error. */
	throw(error: unknown): Promise<IteratorResult<Kevent, undefined>> {
		return this.return().then(() => {
			throw error;
		});
	}

	/** Returns the iterator itself. */
	[Symbol.asyncIterator](): this {
		return this;
	}

	/** Ends the iteration when a block of `await using` ends. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.return();
	}

	private take(event: Kevent): void {
		const waiter = this.waiters.shift();
		if (waiter === undefined) this.keep(event);
		else waiter.resolve({ done: false, value: event });
		if (this.completes && (event.flags & EV_EOF) !== 0) this.end();
		else if (this.waiters.length > 0) this.enable();
	}

	/** Lets the watch report again. What the filter throws rejects the call that is next. */
	private enable(): void {
		try {
			this.watch?.enable();
		} catch (error) {
			const waiter = this.waiters.shift();
			if (waiter === undefined) this.failure = { error };
			else waiter.reject(error);
		}
	}

	/** Keeps an event that the consumer has not asked for yet. */
	private keep(event: Kevent): void {
		const { kept, bound } = this;
		if (this.policy === "latest") {
			const older = kept.take(({ ident }) => ident === event.ident);
			kept.push(older === undefined ? event : merged(older, event));
			return;
		}
		if (kept.length === bound) {
			if (this.overflow === "dropNewest") return;
			if (this.overflow === "dropOldest") kept.shift();
			else if (this.overflow === "error") {
				this.fail(
					new SystemError(errno.ENOBUFS, "kevents", `the buffer of ${bound} events is full`),
				);
				return;
			}
		}
		kept.push(event);
		if (kept.length === bound && this.overflow === "pause" && this.policy === "buffered")
			this.watch?.disable();
	}

	private fail(error: unknown): void {
		if (this.ended) return;
		const waiter = this.waiters.shift();
		if (waiter === undefined) this.failure = { error };
		else waiter.reject(error);
		this.end();
	}

	private end(): void {
		if (this.ended) return;
		this.ended = true;
		doAll(
			() => this.signal?.removeEventListener("abort", this.abort),
			() => this.watch?.close(),
			() => {
				for (let waiter = this.waiters.shift(); waiter; waiter = this.waiters.shift())
					waiter.resolve(DONE);
			},
		);
	}
}

const DONE: IteratorResult<Kevent, undefined> = { done: true, value: undefined };

/**
 * The flags of each policy: "pull" watches only while a call of `next` waits, "buffered" can be
 * disabled.
 */
const FLAGS: Readonly<Record<KeventsPolicy, number>> = {
	pull: EV_CLEAR | EV_DISPATCH | EV_DISABLE,
	latest: EV_CLEAR,
	buffered: EV_CLEAR | EV_ENABLE,
};

/** One event in place of two: the newer one, with the counts and notes of the older one. */
function merged(older: Kevent, newer: Kevent): Kevent {
	newer.flags |= older.flags & EV_EOF;
	switch (newer.filter) {
		case EVFILT_TIMER:
		case EVFILT_SIGNAL:
			newer.data += older.data;
			break;
		case EVFILT_READ:
		case EVFILT_WRITE:
			break;
		case EVFILT_PROC:
			// The id of the parent of a child.
			if ((older.fflags & NOTE_CHILD) !== 0 && (newer.flags & EV_EOF) === 0)
				newer.data = older.data;
			newer.fflags = (newer.fflags | older.fflags) >>> 0;
			break;
		default:
			newer.fflags = (newer.fflags | older.fflags) >>> 0;
	}
	return newer;
}

/** A queue that does not move the other items when the first is taken. */
class Fifo<T> {
	private items: T[] = [];
	private from = 0;

	get length(): number {
		return this.items.length - this.from;
	}

	push(item: T): void {
		this.items.push(item);
	}

	shift(): T | undefined {
		if (this.length === 0) return undefined;
		const item = this.items[this.from++];
		if (this.from * 2 > this.items.length) {
			this.items = this.items.slice(this.from);
			this.from = 0;
		}
		return item;
	}

	/** Takes the first item that `isMeant` accepts. */
	take(isMeant: (item: T) => boolean): T | undefined {
		const index = this.items.findIndex((item, at) => at >= this.from && isMeant(item));
		return index < 0 ? undefined : this.items.splice(index, 1)[0];
	}

	clear(): void {
		this.items = [];
		this.from = 0;
	}
}

/** The reason of a signal that has called its listener, or what the accessor of it throws. */
function reasonOf(signal: AbortSignalLike | null): unknown {
	try {
		return signal?.reason;
	} catch (error) {
		return error;
	}
}

function check(value: unknown, known: readonly unknown[], name: string): void {
	if (known.includes(value)) return;
	throw new SystemError(
		errno.EINVAL,
		"kevents",
		`${name} ${show(value)} is not one of ${known.join(", ")}`,
	);
}

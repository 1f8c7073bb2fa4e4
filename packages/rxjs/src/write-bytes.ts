// A stream of bytes written into a descriptor.
import {
	close,
	EV_DISABLE,
	EV_DISPATCH,
	EVFILT_WRITE,
	errno,
	SystemError,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { Observable, type OperatorFunction, type Subscriber } from "rxjs";
import { type Demand, DemandObservable, type DemandObserver } from "./demand.ts";
import { watch } from "./from-kevent.ts";
import { isAgain } from "./read-bytes.ts";

/** What can be chosen about {@link writeBytes}. */
export interface WriteBytesOptions {
	/** Whether the descriptor is closed when all is written: no unless given. */
	readonly close?: boolean | undefined;
	/** How many chunks of a source that does not wait may wait themselves: 64 unless given. */
	readonly bound?: number | undefined;
}

/**
 * Writes the chunks of its source into a descriptor, one after the other, each as a whole; emits
 * for each how many bytes it had, when they are written, and completes when the source has and all
 * is written.
 *
 * From a {@link DemandObservable}, `readBytes` for example, it takes the next chunk when the one
 * before is written: nothing is kept in between. Other sources do not wait for anybody; of theirs
 * up to `bound` chunks are kept, and one more is the error ENOBUFS.
 *
 * Errors with a SystemError: what write(2) fails with, which for EPIPE comes with SIGPIPE; EBADF
 * when the descriptor is closed; ESRCH when the thread exits; and with what the source does.
 * RangeError for a bound that is none.
 */
export function writeBytes(
	thread: Thread,
	fd: number,
	options: WriteBytesOptions = {},
): OperatorFunction<Uint8Array, number> {
	const { bound = 64 } = options;
	if (!(bound >= 1)) throw new RangeError(`bound ${bound}`);
	return (source) =>
		new Observable((subscriber) => {
			const writer = new Writer(thread, fd, options.close === true, subscriber);
			writer.takeFrom(source, bound);
			return () => writer.stop();
		});
}

/** What writes for one subscriber. */
class Writer implements DemandObserver<Uint8Array> {
	private readonly thread: Thread;
	private readonly fd: number;
	private readonly closes: boolean;
	private readonly subscriber: Subscriber<number>;
	private readonly room: Demand;
	private source: Demand = { request: () => {}, close: () => {} };
	/** Chunks that came, the first of which is being written. */
	private readonly chunks: Uint8Array[] = [];
	private bound = 1;
	/** How much of the first chunk is written. */
	private done = 0;
	/** Whether the descriptor is to say when there is room. */
	private waiting = false;
	private ended = false;

	constructor(thread: Thread, fd: number, closes: boolean, subscriber: Subscriber<number>) {
		this.thread = thread;
		this.fd = fd;
		this.closes = closes;
		this.subscriber = subscriber;
		const change = { ident: fd, filter: EVFILT_WRITE, flags: EV_DISPATCH | EV_DISABLE };
		this.room = watch(thread, change, {
			next: () => {
				this.waiting = false;
				this.write();
			},
			error: (error) => this.error(error),
			complete: () => this.error(new SystemError(errno.EPIPE, "write", `descriptor ${fd}`)),
		});
	}

	/** Asks a source that waits; of another, keeps so many chunks. */
	takeFrom(source: Observable<Uint8Array>, bound: number): void {
		if (source instanceof DemandObservable) {
			this.source = source.connect(this);
			this.source.request();
			return;
		}
		this.bound = bound;
		const subscription = source.subscribe(this);
		this.source = { request: () => {}, close: () => subscription.unsubscribe() };
		if (this.subscriber.closed) this.stop();
	}

	next(chunk: Uint8Array): void {
		if (this.chunks.length === this.bound) {
			const why = `${this.bound} chunks wait for descriptor ${this.fd}`;
			this.error(new SystemError(errno.ENOBUFS, "write", why));
			return;
		}
		this.chunks.push(chunk);
		if (!this.waiting) this.write();
	}

	error(error: unknown): void {
		this.stop();
		this.subscriber.error(error);
	}

	complete(): void {
		this.ended = true;
		this.finishIfDone();
	}

	stop(): void {
		this.chunks.length = 0;
		this.room.close();
		this.source.close();
	}

	/** Writes as far as there is room, and then waits for more. */
	private write(): void {
		for (let chunk = this.chunks[0]; chunk !== undefined; chunk = this.chunks[0]) {
			try {
				this.done += writeNow(this.thread, this.fd, chunk.subarray(this.done));
			} catch (error) {
				if (isAgain(error)) break;
				this.error(error);
				return;
			}
			if (this.done < chunk.length) break;
			this.done = 0;
			this.chunks.shift();
			this.subscriber.next(chunk.length);
			if (!this.ended) this.source.request();
		}
		if (this.chunks.length === 0) {
			this.finishIfDone();
		} else if (!this.subscriber.closed) {
			this.waiting = true;
			this.room.request();
		}
	}

	private finishIfDone(): void {
		if (!this.ended || this.chunks.length > 0 || this.subscriber.closed) return;
		this.stop();
		try {
			if (this.closes) close(this.thread, this.fd);
		} catch (error) {
			this.subscriber.error(error);
			return;
		}
		this.subscriber.complete();
	}
}

// A stream of bytes written into a descriptor.
import {
	close,
	EV_CLEAR,
	EV_DISABLE,
	EVFILT_WRITE,
	errno,
	SystemError,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { Observable, type OperatorFunction, Subject, type Subscriber, takeUntil } from "rxjs";
import { type Demand, DemandObservable, type DemandObserver } from "./demand.ts";
import { type Watching, watch } from "./from-kevent.ts";
import { isError } from "./read-bytes.ts";

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
			// First of all, as the source may give all it has at once.
			subscriber.add(() => writer.stop());
			writer.takeFrom(source, bound);
		});
}

/** What writes for one subscriber. */
class Writer implements DemandObserver<Uint8Array> {
	private readonly thread: Thread;
	private readonly fd: number;
	/** The open file: its number may become another one's. */
	private readonly file: unknown;
	private readonly closes: boolean;
	private readonly subscriber: Subscriber<number>;
	private readonly room: Watching;
	private source: Demand = { request: () => {}, close: () => {} };
	/** Chunks that came, the first of which is being written. */
	private readonly chunks: Uint8Array[] = [];
	private bound = 1;
	/** How much of the first chunk is written. */
	private done = 0;
	/** Whether the descriptor is to say when there is room. */
	private waiting = false;
	private ended = false;
	private stopped = false;

	constructor(thread: Thread, fd: number, closes: boolean, subscriber: Subscriber<number>) {
		this.thread = thread;
		this.fd = fd;
		this.file = thread.process.fdp.get(fd);
		this.closes = closes;
		this.subscriber = subscriber;
		const change = { ident: fd, filter: EVFILT_WRITE, flags: EV_CLEAR | EV_DISABLE };
		this.room = watch(thread, change, {
			next: () => this.write(),
			// A pipe that nobody reads cannot be watched; a write, if there is one, fails with SIGPIPE.
			error: (error) => isError(error, errno.EPIPE) || this.error(error),
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
		// One that emits all at once has to stop in the middle.
		const stop = new Subject<void>();
		this.source = { request: () => {}, close: () => stop.next() };
		source.pipe(takeUntil(stop)).subscribe(this);
	}

	next(chunk: Uint8Array): void {
		if (this.stopped) return;
		if (!(chunk instanceof Uint8Array)) {
			this.error(new SystemError(errno.EFAULT, "write", "the chunk is no Uint8Array"));
			return;
		}
		if (this.chunks.length === this.bound) {
			const why = `${this.bound} chunks wait for descriptor ${this.fd}`;
			this.error(new SystemError(errno.ENOBUFS, "write", why));
			return;
		}
		this.chunks.push(chunk);
		if (!this.waiting) this.write();
	}

	error(error: unknown): void {
		if (this.stopped) return;
		this.stop();
		this.subscriber.error(error);
	}

	complete(): void {
		if (this.stopped) return;
		this.ended = true;
		if (this.chunks.length === 0) this.finish();
	}

	stop(): void {
		if (this.stopped) return;
		this.stopped = true;
		this.chunks.length = 0;
		this.room.close();
		this.source.close();
	}

	/** Writes as far as there is room, and then waits for more. */
	private write(): void {
		for (let chunk = this.chunks[0]; chunk !== undefined; chunk = this.chunks[0]) {
			const n = this.put(chunk.subarray(this.done));
			if (n < 0) return;
			this.done += n;
			if (this.done < chunk.length) continue;
			this.done = 0;
			this.chunks.shift();
			this.subscriber.next(chunk.length);
			if (!this.stopped && !this.ended) this.source.request();
		}
		if (this.stopped) return;
		if (this.waiting) this.room.pause();
		this.waiting = false;
		if (this.ended) this.finish();
	}

	/** Gives how many bytes went in, or -1 if it has to wait or has failed. */
	private put(bytes: Uint8Array): number {
		try {
			this.checkFile("write");
			const n = writeNow(this.thread, this.fd, bytes);
			if (n > 0 || bytes.length === 0) return n;
		} catch (error) {
			if (!isError(error, errno.EAGAIN)) {
				this.error(error);
				return -1;
			}
		}
		if (this.waiting || this.stopped) return -1;
		// From now on it is told of each change, until all is written: to ask at once after a write
		// that found no room could go on for ever.
		this.waiting = true;
		this.room.request();
		return -1;
	}

	/** What the number has become since is not ours. */
	private checkFile(syscall: string): void {
		const file = this.thread.process.fdp.get(this.fd);
		if (file === null || file === this.file) return;
		throw new SystemError(errno.EBADF, syscall, `descriptor ${this.fd} was closed`);
	}

	private finish(): void {
		this.stop();
		try {
			if (this.closes) {
				this.checkFile("close");
				close(this.thread, this.fd);
			}
		} catch (error) {
			this.subscriber.error(error);
			return;
		}
		this.subscriber.complete();
	}
}

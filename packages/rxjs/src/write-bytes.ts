// A stream of bytes written to a descriptor.
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
import { type File, FWRITE, isIntact, show, viewOf } from "@kqpoll/kqueue/kernel";
import { Observable, Subject, takeUntil } from "rxjs";
import { checkCount, checkThread, checkWord, copyOptions } from "./arguments.ts";
import { keepingDemand } from "./demand/lift.ts";
import {
	type Demand,
	DemandObservable,
	type DemandObserver,
	type DemandOperator,
} from "./demand/observable.ts";
import { Queue } from "./demand/queue.ts";
import { type Watching, watch } from "./from-kevent.ts";
import { isError } from "./read-bytes.ts";

/** Options of {@link writeBytes}. */
export interface WriteBytesOptions {
	/**
	 * Whether the descriptor is closed. `false`, the default: it stays open. `true`: it is closed when
	 * the source has completed and all is written. `"always"`: also after an error, of the source or of
	 * a write, and when the subscriber leaves.
	 */
	readonly close?: boolean | "always" | undefined;
	/** How many chunks are kept of a source that cannot wait, by default 64. */
	readonly bound?: number | undefined;
}

/**
 * Writes the chunks of its source to a descriptor, one after the other, each as a whole. When a
 * chunk is written it emits the chunk's number of bytes; it completes when the source has completed
 * and all is written.
 *
 * From a {@link DemandObservable}, `readBytes` for example, also behind operators that keep demand, it
 * takes the next chunk when the one before is written, and buffers nothing; the result can be asked,
 * too. Other sources do not wait: up to `bound` of their chunks are kept, and one more is the error
 * ENOBUFS.
 *
 * Chunks are not copied: a chunk belongs to the writer until its number is emitted, and what the
 * program changes before may be written as it is then.
 *
 * Errors with a SystemError: what write(2) fails with, for EPIPE together with SIGPIPE; EBADF when
 * the descriptor is closed or not open for writing, even if there is nothing to write; ESRCH when the
 * thread exits; EFAULT for a chunk that is not a Uint8Array, or whose buffer shrinks before it is
 * written. Errors of the source are passed on. Throws EINVAL for a bound that is not a whole number
 * from 1 on or Infinity, or another word for `close`; EFAULT for what is not a thread.
 */
export function writeBytes(
	thread: Thread,
	fd: number,
	options: WriteBytesOptions | null = {},
): DemandOperator<Uint8Array, number> {
	checkThread(thread, "write");
	const { bound = 64, closes = false } = copyOptions(options, "write", (from) => ({
		bound: from.bound,
		closes: from.close,
	}));
	checkCount(bound, "bound", "writeBytes", true);
	checkWord(closes, [false, true, "always"], "close", "writeBytes");
	const buffered = (source: Observable<Uint8Array>): Observable<number> =>
		new Observable((subscriber) => {
			const writer = new Writer(thread, fd, closes, subscriber);
			// First of all, as the source may emit everything at once.
			subscriber.add(() => writer.close());
			writer.takeFrom(source, bound);
		});
	return keepingDemand(buffered, (source) => {
		return new DemandObservable((observer) => {
			const writer = new Writer(thread, fd, closes, observer);
			writer.askFrom(source);
			return writer;
		});
	});
}

/** The bytes of a chunk, and how many there were when it came. */
interface Chunk {
	readonly bytes: Uint8Array;
	readonly length: number;
}

/** Writes for one observer. */
class Writer implements DemandObserver<Uint8Array>, Demand {
	private readonly thread: Thread;
	private readonly fd: number;
	/** The open file: the descriptor may become another file's. */
	private readonly file: File | null;
	private readonly closes: boolean | "always";
	private readonly observer: DemandObserver<number>;
	private readonly room: Watching;
	private source: Demand = { request: () => {}, close: () => {} };
	/** The chunks that came; the first one is being written. */
	private readonly chunks = new Queue<Chunk>();
	private bound = 1;
	/** How much of the first chunk is written. */
	private done = 0;
	/** Whether the watch is to report room. */
	private waiting = false;
	/** Whether it is writing: the file, or the observer, may make the source emit. */
	private writing = false;
	private ended = false;
	private stopped = false;

	constructor(
		thread: Thread,
		fd: number,
		closes: boolean | "always",
		observer: DemandObserver<number>,
	) {
		this.thread = thread;
		this.fd = fd;
		this.file = thread.process.fdp.get(fd);
		this.closes = closes;
		this.observer = observer;
		const change = { ident: fd, filter: EVFILT_WRITE, flags: EV_CLEAR | EV_DISABLE };
		this.room = watch(thread, change, {
			next: () => this.write(),
			// A pipe without a reader cannot be watched; a write, if there is one, fails with SIGPIPE.
			error: (error) => isError(error, errno.EPIPE) || this.error(error),
			complete: () => this.error(new SystemError(errno.EPIPE, "write", `descriptor ${show(fd)}`)),
		});
	}

	/** Keeps the chunks of a source that cannot wait. */
	takeFrom(source: Observable<Uint8Array>, bound: number): void {
		// Operators such as combineLatest subscribe although it is over.
		if (this.stopped) return;
		this.bound = bound;
		// A source that emits all at once has to stop in the middle.
		const stop = new Subject<void>();
		this.source = { request: () => {}, close: () => stop.next() };
		source.pipe(takeUntil(stop)).subscribe(this);
	}

	/** Passes each request on to a source that waits. */
	askFrom(source: DemandObservable<Uint8Array>): void {
		const demand = source.connect(this);
		this.source = demand;
		// It may have ended inside of `connect`.
		if (this.stopped) demand.close();
	}

	request(): void {
		if (!this.stopped && !this.ended) this.source.request();
	}

	/** The observer leaves. */
	close(): void {
		if (this.stopped) return;
		this.stop();
		this.closeAnyway();
	}

	next(from: Uint8Array): void {
		if (this.stopped) return;
		let bytes: Uint8Array;
		try {
			bytes = viewOf(from, "write", "the chunk");
		} catch (error) {
			this.error(error);
			return;
		}
		if (this.chunks.length === this.bound) {
			const why = `${this.bound} chunks wait for descriptor ${show(this.fd)}`;
			this.error(new SystemError(errno.ENOBUFS, "write", why));
			return;
		}
		this.chunks.push({ bytes, length: bytes.length });
		if (!this.waiting) this.write();
	}

	error(error: unknown): void {
		if (this.stopped) return;
		this.stop();
		this.closeAnyway();
		this.observer.error(error);
	}

	complete(): void {
		if (this.stopped) return;
		this.ended = true;
		if (this.chunks.length === 0) this.finish();
	}

	private stop(): void {
		this.stopped = true;
		this.chunks.clear();
		this.room.close();
		this.source.close();
	}

	/** Writes as far as there is room, and then waits for more. */
	private write(): void {
		// The call that is under way goes on with the chunks that came meanwhile.
		if (this.writing) return;
		this.writing = true;
		try {
			while (this.chunks.length > 0) if (!this.writeFirst()) return;
		} finally {
			this.writing = false;
		}
		if (this.stopped) return;
		if (this.waiting) this.room.pause();
		this.waiting = false;
		if (this.ended) this.finish();
	}

	/** Writes from the first chunk. Returns whether there may be room for more. */
	private writeFirst(): boolean {
		const { bytes, length } = this.chunks.first as Chunk;
		if (!isIntact(bytes, length)) {
			this.error(new SystemError(errno.EFAULT, "write", "the buffer of the chunk has shrunk"));
			return false;
		}
		const n = this.put(this.done === 0 ? bytes : bytes.subarray(this.done));
		if (n < 0 || this.stopped) return false;
		this.done += n;
		if (this.done < length) return true;
		this.done = 0;
		this.chunks.shift();
		this.observer.next(length);
		return true;
	}

	/** Returns how many bytes were written, or -1 if it has to wait or has failed. */
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
		// From now on it is told of each change, until all is written: asking again at once after a
		// write that found no room could go on forever.
		this.waiting = true;
		this.room.request();
		return -1;
	}

	/** Throws EBADF if the descriptor has become another file's. */
	private checkFile(syscall: string): void {
		const file = this.thread.process.fdp.get(this.fd);
		if (file === null || file === this.file) return;
		throw new SystemError(errno.EBADF, syscall, `descriptor ${show(this.fd)} was closed`);
	}

	/** Throws what a write would, whatever the file is: also if there was nothing to write. */
	private checkWritable(): void {
		this.checkFile("write");
		if (this.thread.state === "exited")
			throw new SystemError(errno.ESRCH, "write", `thread ${this.thread.tid} has exited`);
		const file = this.thread.process.fdp.get(this.fd);
		if (file !== null && (file.flags & FWRITE) !== 0) return;
		throw new SystemError(
			errno.EBADF,
			"write",
			`descriptor ${show(this.fd)} is not open for writing`,
		);
	}

	/** All is written. */
	private finish(): void {
		try {
			this.checkWritable();
			if (this.closes !== false) close(this.thread, this.fd);
		} catch (error) {
			this.error(error);
			return;
		}
		this.stop();
		this.observer.complete();
	}

	/** Closes the descriptor, if it is to be closed in any case and is still the same file's. */
	private closeAnyway(): void {
		if (this.closes !== "always" || this.file === null) return;
		if (this.thread.process.fdp.get(this.fd) !== this.file) return;
		try {
			close(this.thread, this.fd);
		} catch (error) {
			// A file's own error: there is another one to be told of already, or nobody to tell.
			if (!(error instanceof SystemError)) throw error;
		}
	}
}

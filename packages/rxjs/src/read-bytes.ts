// A descriptor's bytes as a stream.
import {
	EV_CLEAR,
	EV_DISABLE,
	EV_EOF,
	EVFILT_READ,
	errno,
	type Kevent,
	NOTE_EOF,
	readNow,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { show } from "@kqpoll/kqueue/kernel";
import { checkCount, checkThread, copyOptions } from "./arguments.ts";
import { type Demand, DemandObservable, type DemandObserver } from "./demand/observable.ts";
import { type Watching, watch } from "./from-kevent.ts";

/** Options of {@link readBytes}. */
export interface ReadBytesOptions {
	/** The most bytes in a chunk, by default 65536. */
	readonly size?: number | undefined;
}

const SIZE = 65536;

/**
 * The bytes that can be read from a descriptor, until the end of file, as chunks that the
 * subscriber may keep. Each chunk is read when it is asked for, so that nothing is buffered: for a
 * plain subscriber that is one after the other, behind `withBackpressure` and `writeBytes` when the
 * work on the chunk before is done. While nobody asks, the bytes stay where they are, and their
 * writer waits. Of a socket of messages each chunk is one message, which may be empty.
 *
 * If a read returns nothing although there is something, as from a terminal that has fewer bytes
 * than VMIN, it waits for the next change: VTIME does not count.
 *
 * The descriptor stays open. Each byte goes to one subscriber, so that a second one at the same time
 * errors with EBUSY: `share()` the observable, and all get the same chunks. Errors with a SystemError: what
 * read(2) fails with, EBADF when the descriptor is closed, ENOMEM when there is no memory for a
 * chunk, EAGAIN when there are too many watches, ESRCH when the thread exits. Throws EINVAL for a
 * size that is not a whole number from 1 on, EFAULT for what is not a thread.
 */
export function readBytes(
	thread: Thread,
	fd: number,
	options: ReadBytesOptions | null = {},
): DemandObservable<Uint8Array> {
	checkThread(thread, "read");
	const { size = SIZE } = copyOptions(options, "read", (from) => ({ size: from.size }));
	checkCount(size, "size", "readBytes", false);
	const flags = EV_CLEAR | EV_DISABLE;
	// Files report their end only with NOTE_EOF.
	const change = { ident: fd, filter: EVFILT_READ, flags, fflags: NOTE_EOF };
	const turn: Turn = { reader: null };
	return new DemandObservable((observer) => {
		const reading = new Reading(thread, fd, turn, observer);
		const demand = watch(thread, change, {
			next: (event) => readInto(reading, demand, () => readChunk(thread, fd, event, size)),
			error: (error) => reading.error(error),
			complete: () => reading.complete(),
		});
		reading.demand = demand;
		return reading;
	});
}

/** The reader among the connections of one observable. */
interface Turn {
	/** The connection that has asked and has not ended. */
	reader: Reading | null;
}

/** One connection, which reads unless another one does. */
class Reading implements Demand, DemandObserver<Uint8Array> {
	demand: Demand | null = null;
	private readonly thread: Thread;
	private readonly fd: number;
	private readonly turn: Turn;
	private readonly observer: DemandObserver<Uint8Array>;
	private over = false;

	constructor(thread: Thread, fd: number, turn: Turn, observer: DemandObserver<Uint8Array>) {
		this.thread = thread;
		this.fd = fd;
		this.turn = turn;
		this.observer = observer;
	}

	request(): void {
		if (this.over) return;
		if (this.begin()) this.demand?.request();
		// The other one may be about to leave: subscribers are told of an end before it is closed.
		else this.thread.kernel.host.defer(() => this.retry());
	}

	close(): void {
		this.leave();
		this.demand?.close();
	}

	next(chunk: Uint8Array): void {
		this.observer.next(chunk);
	}

	error(error: unknown): void {
		this.leave();
		this.observer.error(error);
	}

	complete(): void {
		this.leave();
		this.observer.complete();
	}

	private begin(): boolean {
		this.turn.reader ??= this;
		return this.turn.reader === this;
	}

	private retry(): void {
		if (this.over) return;
		if (this.begin()) {
			this.demand?.request();
			return;
		}
		this.demand?.close();
		const why = `descriptor ${show(this.fd)} has another subscriber: share() the observable`;
		this.error(new SystemError(errno.EBUSY, "read", why));
	}

	private leave(): void {
		this.over = true;
		if (this.turn.reader === this) this.turn.reader = null;
	}
}

/** Delivers what one read returns: a chunk, the end, or an error. */
function readInto(
	observer: DemandObserver<Uint8Array>,
	demand: Watching,
	read: () => Uint8Array | null,
): void {
	let chunk: Uint8Array | null;
	try {
		chunk = read();
	} catch (error) {
		// Another reader was faster, or this process may not read now. Asking again at once could go on
		// forever: the knote stays enabled, and reports the next change.
		if (isError(error, errno.EAGAIN)) return;
		demand.close();
		observer.error(error);
		return;
	}
	if (chunk === null) {
		demand.close();
		observer.complete();
		return;
	}
	demand.pause();
	observer.next(chunk);
}

/** Reads a chunk of what can be read, or null at the end. */
function readChunk(
	thread: Thread,
	fd: number,
	{ data, flags }: Kevent,
	size: number,
): Uint8Array | null {
	const file = thread.process.fdp.get(fd);
	// Behind the end of a file the number is negative; some devices do not say how much there is.
	const chunk = allocate(Math.min(size, data > 0 ? data : SIZE));
	const n = readNow(thread, fd, chunk);
	if (n === chunk.length) return chunk;
	if (n > 0) return chunk.subarray(0, n);
	const over = (flags & EV_EOF) !== 0 && data === 0;
	return file?.atomic === true && !over ? chunk.subarray(0, 0) : null;
}

function allocate(size: number): Uint8Array {
	try {
		return new Uint8Array(size);
	} catch {
		throw new SystemError(errno.ENOMEM, "read", `a chunk of ${size} bytes`);
	}
}

/** Whether it is a SystemError with that errno. */
export function isError(error: unknown, number: number): boolean {
	return error instanceof SystemError && error.errno === number;
}

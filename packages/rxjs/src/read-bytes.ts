// A descriptor's bytes as a stream.
import {
	EV_CLEAR,
	EV_DISABLE,
	EVFILT_READ,
	errno,
	NOTE_EOF,
	readNow,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { DemandObservable } from "./demand.ts";
import { watch } from "./from-kevent.ts";

/** Options of {@link readBytes}. */
export interface ReadBytesOptions {
	/** The most bytes in a chunk, by default 65536. */
	readonly size?: number | undefined;
}

/**
 * The bytes that can be read from a descriptor, until the end of file, as chunks that the
 * subscriber may keep. Each chunk is read when it is asked for, so that nothing is buffered: for a
 * plain subscriber that is one after the other, behind `withBackpressure` and `writeBytes` when the
 * work on the chunk before is done. While nobody asks, the bytes stay where they are, and their
 * writer waits.
 *
 * If a read returns nothing although there is something, as from a terminal that has fewer bytes
 * than VMIN, it waits for the next change: VTIME does not count.
 *
 * The descriptor stays open. Each byte goes to one subscriber. Errors with a SystemError: what
 * read(2) fails with, EBADF when the descriptor is closed, ESRCH when the thread exits. Throws a
 * RangeError for a size that is not a whole number above 0.
 */
export function readBytes(
	thread: Thread,
	fd: number,
	options: ReadBytesOptions = {},
): DemandObservable<Uint8Array> {
	const { size = 65536 } = options;
	if (!Number.isSafeInteger(size) || size < 1)
		throw new RangeError(`size is a whole number above 0, not ${size}`);
	const flags = EV_CLEAR | EV_DISABLE;
	// Files report their end only with NOTE_EOF.
	const change = { ident: fd, filter: EVFILT_READ, flags, fflags: NOTE_EOF };
	return new DemandObservable((observer) => {
		const demand = watch(thread, change, {
			next({ data }) {
				// Behind the end of a file the number is negative.
				const chunk = new Uint8Array(data > 0 ? Math.min(data, size) : size);
				let n: number;
				try {
					n = readNow(thread, fd, chunk);
				} catch (error) {
					// Another reader was faster, or this process may not read now. Asking again at once could
					// go on forever: the knote stays enabled, and reports the next change.
					if (isError(error, errno.EAGAIN)) return;
					demand.close();
					observer.error(error);
					return;
				}
				if (n > 0) {
					demand.pause();
					observer.next(n === chunk.length ? chunk : chunk.subarray(0, n));
					return;
				}
				demand.close();
				observer.complete();
			},
			error: (error) => observer.error(error),
			complete: () => observer.complete(),
		});
		return demand;
	});
}

/** Whether it is a SystemError with that errno. */
export function isError(error: unknown, number: number): boolean {
	return error instanceof SystemError && error.errno === number;
}

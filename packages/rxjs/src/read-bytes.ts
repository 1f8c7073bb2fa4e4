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

/** What can be chosen about {@link readBytes}. */
export interface ReadBytesOptions {
	/** How many bytes a chunk has at most: 65536 unless given. */
	readonly size?: number | undefined;
}

/**
 * The bytes that can be read from a descriptor, as chunks that are the subscriber's to keep, until
 * the end of file. Each is read when it is asked for, so that nothing is kept in between: as usual
 * that is one after the other, behind `withBackpressure` and `writeBytes` when the work on the one
 * before is done. While nobody asks, the bytes stay where they are, and who writes them has to wait.
 *
 * Where a read gives nothing though there is something, as from a terminal that has fewer bytes than
 * VMIN, the next change is waited for: VTIME does not count.
 *
 * The descriptor stays open. Each byte goes to one subscriber. Errors with a SystemError: what
 * read(2) fails with, EBADF when the descriptor is closed, ESRCH when the thread exits. RangeError
 * for a size that is none.
 */
export function readBytes(
	thread: Thread,
	fd: number,
	options: ReadBytesOptions = {},
): DemandObservable<Uint8Array> {
	const { size = 65536 } = options;
	if (!Number.isSafeInteger(size) || size < 1) throw new RangeError(`size ${size}`);
	const flags = EV_CLEAR | EV_DISABLE;
	// Files tell of their end only if they are asked to.
	const change = { ident: fd, filter: EVFILT_READ, flags, fflags: NOTE_EOF };
	return new DemandObservable((observer) => {
		const demand = watch(thread, change, {
			next({ data }) {
				// A file behind its end has less than nothing to read.
				const chunk = new Uint8Array(data > 0 ? Math.min(data, size) : size);
				let n: number;
				try {
					n = readNow(thread, fd, chunk);
				} catch (error) {
					// Somebody else was quicker, or it is not for this process now. To ask at once could go on
					// for ever: the knote stays on, and tells when something changes.
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

/** Whether it is the system's error of that number. */
export function isError(error: unknown, number: number): boolean {
	return error instanceof SystemError && error.errno === number;
}

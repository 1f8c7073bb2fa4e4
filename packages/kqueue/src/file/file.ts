// struct file: an open file, the object that descriptors refer to.
import { FIOASYNC, FIONBIO, FREAD, FWRITE, O_NONBLOCK } from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import { attempt, type Failure, rethrow } from "../base/failure.ts";
import type { Knote } from "../event/knote.ts";
import type { Thread } from "../process/thread.ts";
import type { WaitChannel } from "../sched/wait-channel.ts";

/** What kind of object stands behind a descriptor. */
export type FileType = "vnode" | "socket" | "pipe" | "kqueue";

/** What fstat gives. What a file does not say is 0. */
export interface Stat {
	/** The S_IF type of the file and its permission bits. */
	readonly mode: number;
	/** Its size in bytes; for a kqueue its number of pending events. */
	readonly size: number;
	/** The preferred size of a transfer in bytes. */
	readonly blksize: number;
}

/**
 * An open file. Whoever emulates a descriptor extends this class and overrides what its object
 * can do; the rest answers as a kernel does for an operation that is not there.
 *
 * Inside the engine an error is a return value: operations that give a count give a negative
 * errno (`-errno.EIO`), `kqfilter` gives an errno or 0. An operation that throws lets the caller
 * see what it threw.
 */
export abstract class File {
	/** How many descriptors, knotes and calls refer to it. @internal */
	refs = 0;
	/** What kind of object it is. */
	readonly type: FileType;
	/** FREAD, FWRITE, O_NONBLOCK …, or-ed. */
	flags: number = FREAD | FWRITE;
	/**
	 * Of a vnode: its file system has let go of it. Scans turn the knotes that they meet on it
	 * into dead ones, as if its operations had been replaced by those of the dead file system.
	 */
	revoked = false;

	/** Makes an open file that no descriptor refers to yet. */
	constructor(type: FileType) {
		this.type = type;
	}

	/** Whether calls on it must not sleep. */
	get nonblocking(): boolean {
		return (this.flags & O_NONBLOCK) !== 0;
	}

	/**
	 * Reads into `buffer`, without sleeping; gives how many bytes, 0 at the end of file, or a
	 * negative errno: -EAGAIN when there is nothing yet.
	 */
	read(_thread: Thread, _buffer: Uint8Array): number {
		return -errno.ENXIO;
	}

	/**
	 * Writes from `buffer` what there is room for, without sleeping; gives how many bytes, or a
	 * negative errno: -EAGAIN when there is no room. `whole` is how many bytes the program writes
	 * in all, of which this may be the rest.
	 */
	write(_thread: Thread, _buffer: Uint8Array, _whole: number): number {
		return -errno.ENXIO;
	}

	/**
	 * What a read (`mode` FREAD) or a write (FWRITE) of a thread sleeps on that got -EAGAIN. The file
	 * wakes it up when that changes. Null for a file that cannot be waited for.
	 */
	channel(_mode: number, _thread: Thread): WaitChannel | null {
		return null;
	}

	/**
	 * Until when such a transfer may sleep: nanoseconds on the host's clock, Infinity for ever. Its
	 * time counts from `since`, when it was first told that it has an end. Asked before each sleep.
	 */
	deadline(_mode: number, _since: number, _thread: Thread): number {
		return Number.POSITIVE_INFINITY;
	}

	/** What a read gives whose time is over, as {@link File.read}. */
	readLate(_thread: Thread, _buffer: Uint8Array): number {
		return -errno.EAGAIN;
	}

	/**
	 * Does what `command` asks; gives a result that is not negative, or a negative errno. FIONBIO
	 * and FIOASYNC have set the flag already.
	 */
	ioctl(_thread: Thread, command: number, _argument: unknown): number {
		return command === FIONBIO || command === FIOASYNC ? 0 : -errno.ENOTTY;
	}

	/** Moves the offset; gives the new one, or a negative errno. */
	seek(_thread: Thread, _offset: number, _whence: number): number {
		return -errno.ESPIPE;
	}

	/** What fstat reports. */
	stat(): Stat {
		return { mode: 0, size: 0, blksize: 0 };
	}

	/**
	 * Joins a new knote to the object: sets `kn.fop` to the filter for `kn.filter`, inserts the
	 * knote into the object's list, and gives 0; or gives an errno and leaves the knote alone.
	 */
	kqfilter(_kn: Knote): number {
		return errno.EOPNOTSUPP;
	}

	/** Called once, when nothing refers to the file any more. */
	close(_thread: Thread | null): void {}
}

/** Takes one more reference. */
export function fileHold(file: File): void {
	file.refs++;
}

/**
 * Returns a reference; the last one closes the file. As the last step of a clean-up it takes the
 * first error of the steps before, and throws that rather than its own.
 */
export function fileRelease(file: File, thread: Thread | null, failure: Failure = null): void {
	if (--file.refs === 0) rethrow(attempt(failure, closing(file, thread)));
	else if (failure !== null) rethrow(failure);
}

function closing(file: File, thread: Thread | null): () => void {
	return () => file.close(thread);
}

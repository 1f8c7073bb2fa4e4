// struct file: an open file, the object that descriptors refer to.
import { FIOASYNC, FIONBIO, FREAD, FWRITE, O_NONBLOCK } from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import type { Quota } from "../base/account.ts";
import { attempt, type Failure, rethrow } from "../base/failure.ts";
import type { Knote } from "../event/knote.ts";
import type { Thread } from "../process/thread.ts";
import type { WaitChannel } from "../sched/wait-channel.ts";

/** What kind of object a descriptor refers to. */
export type FileType = "vnode" | "socket" | "pipe" | "kqueue";

/** What fstat returns. Fields that a file does not set are 0. */
export interface Stat {
	/** The S_IF type of the file and its permission bits. */
	readonly mode: number;
	/** Its size in bytes; for a kqueue its number of pending events. */
	readonly size: number;
	/** The preferred size of a transfer in bytes. */
	readonly blksize: number;
}

/**
 * An open file. To emulate a descriptor, extend this class and override what its object can do. The
 * other operations return the errors that a kernel returns for operations it does not have.
 *
 * Inside the engine an error is a return value: operations that return a count return a negative
 * errno instead (`-errno.EIO`), `kqfilter` returns an errno or 0. What an operation throws, the
 * system call throws.
 */
export abstract class File {
	/** How many descriptors, knotes and calls refer to it. @internal */
	refs = 0;
	/** How many of these are held by messages on their way. @internal */
	inFlight = 0;
	/** What it is charged to, see {@link fileCharge}; null for nothing. @internal */
	payer: Quota | null = null;
	/** What kind of object it is. */
	readonly type: FileType;
	/** FREAD, FWRITE, O_NONBLOCK and others, or-ed. */
	flags: number = FREAD | FWRITE;
	/**
	 * Of a vnode: it was revoked. Scans turn the knotes on it into dead ones, as if its operations
	 * had been replaced by those of the dead file system.
	 */
	revoked = false;

	/** Makes an open file that no descriptor refers to yet. */
	constructor(type: FileType) {
		this.type = type;
	}

	/**
	 * The directions that it was made for: FREAD, FWRITE or both. By default those that it is open
	 * for; an end of a pipe can do more than most programs expect of it.
	 */
	get access(): number {
		return this.flags & (FREAD | FWRITE);
	}

	/** Whether calls on it must not sleep. */
	get nonblocking(): boolean {
		return (this.flags & O_NONBLOCK) !== 0;
	}

	/** Whether each read takes one message: one without bytes is then not the end of file. */
	get atomic(): boolean {
		return false;
	}

	/**
	 * Whether a transfer asks again for O_NONBLOCK each time before it would sleep; otherwise what
	 * counts is how it was when the transfer began.
	 */
	get asksAgain(): boolean {
		return false;
	}

	/**
	 * Reads into `buffer`, without sleeping; returns how many bytes, 0 at the end of file, or a
	 * negative errno: -EAGAIN when there is nothing to read yet. `nonblocking` says whether the read
	 * must not sleep. The buffer is a plain Uint8Array of the engine's own, over the memory of the
	 * program; nothing that the program has defined on its array is asked.
	 */
	read(_thread: Thread, _buffer: Uint8Array, _nonblocking?: boolean): number {
		return -errno.ENXIO;
	}

	/**
	 * Writes from `buffer` what there is room for, without sleeping; returns how many bytes, or a
	 * negative errno: -EAGAIN when there is no room. `whole` is how many bytes the program writes in
	 * total; `buffer` may be the rest of them, or a piece of 4 MiB of a vectored write. `begins` is
	 * true the first time for each write. A write that returns 0 ends there, even if there are more
	 * bytes.
	 */
	write(_thread: Thread, _buffer: Uint8Array, _whole: number, _begins?: boolean): number {
		return -errno.ENXIO;
	}

	/**
	 * Called when a read (`mode` FREAD) or a write (FWRITE) ends after -EAGAIN: it must not sleep, it
	 * was interrupted, or its time is over.
	 */
	gaveUp(_mode: number, _thread: Thread): void {}

	/**
	 * Reads into `buffer` from an offset on, which is a whole number and not negative, and does not
	 * move the offset of the open file; returns as {@link File.read} does.
	 */
	pread(_thread: Thread, _buffer: Uint8Array, _offset: number): number {
		return -errno.ESPIPE;
	}

	/**
	 * Writes `buffer` to an offset, which is a whole number and not negative, and does not move the
	 * offset of the open file; returns as {@link File.write} does.
	 */
	pwrite(_thread: Thread, _buffer: Uint8Array, _offset: number): number {
		return -errno.ESPIPE;
	}

	/**
	 * What a thread sleeps on after -EAGAIN, in a read (`mode` FREAD) or in a write (FWRITE). The
	 * file wakes the channel when it may be ready. Null for a file that cannot be waited for.
	 */
	channel(_mode: number, _thread: Thread): WaitChannel | null {
		return null;
	}

	/**
	 * Until when such a transfer may sleep: nanoseconds on the host's clock, Infinity for no limit.
	 * The time is counted from `since`: when this first returned a limit for the transfer, or for the
	 * sleep, see {@link File.countsEachSleep}. Called before each sleep.
	 */
	deadline(_mode: number, _since: number, _thread: Thread): number {
		return Number.POSITIVE_INFINITY;
	}

	/** Whether the time of {@link File.deadline} is counted from the start of each sleep. */
	get countsEachSleep(): boolean {
		return false;
	}

	/** Called instead of {@link File.read} when the time of a read is over; returns the same. */
	readLate(_thread: Thread, _buffer: Uint8Array): number {
		return -errno.EAGAIN;
	}

	/**
	 * Does what `command` asks; returns a result that is not negative, or a negative errno. For
	 * FIONBIO and FIOASYNC the flag has been set already.
	 */
	ioctl(_thread: Thread, command: number, _argument: unknown): number {
		return command === FIONBIO || command === FIOASYNC ? 0 : -errno.ENOTTY;
	}

	/** Moves the offset; returns the new one, or a negative errno. */
	seek(_thread: Thread, _offset: number, _whence: number): number {
		return -errno.ESPIPE;
	}

	/** What fstat reports. */
	stat(): Stat {
		return { mode: 0, size: 0, blksize: 0 };
	}

	/**
	 * Attaches a new knote to the object: sets `kn.fop` to the filter for `kn.filter`, inserts the
	 * knote into the object's list, and returns 0; or returns an errno and does not change the knote.
	 */
	kqfilter(_kn: Knote): number {
		return errno.EOPNOTSUPP;
	}

	/** Called when only messages on their way refer to the file any more. */
	stranded(): void {}

	/** Called once, when nothing refers to the file any more. */
	close(_thread: Thread | null): void {}
}

/** Adds a reference. */
export function fileHold(file: File): void {
	file.refs++;
}

/**
 * Charges a file to a quota until it is closed, unless it is charged already: with its first
 * descriptor, or before it has one.
 */
export function fileCharge(file: File, quota: Quota): void {
	if (file.payer !== null) return;
	file.payer = quota;
	quota.force(1);
}

/** A file is not charged any more: it is closed, or will never have a descriptor. */
export function fileDischarge(file: File): void {
	file.payer?.release(1);
	file.payer = null;
}

/**
 * Releases a reference, and closes the file after the last one. As the last step of a clean-up it
 * gets the first error of the steps before, and throws that in place of its own.
 */
export function fileRelease(file: File, thread: Thread | null, failure: Failure = null): void {
	if (--file.refs === 0) {
		fileDischarge(file);
		rethrow(attempt(failure, closing(file, thread)));
	} else if (file.refs === file.inFlight) {
		rethrow(attempt(failure, stranding(file)));
	} else if (failure !== null) {
		rethrow(failure);
	}
}

// These closures are made elsewhere: one made above would cost each release the memory for it.

function closing(file: File, thread: Thread | null): () => void {
	return () => file.close(thread);
}

function stranding(file: File): () => void {
	return () => file.stranded();
}

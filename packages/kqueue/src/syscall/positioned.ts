// System calls that read and write at an offset of their own: pread, pwrite, and their vectored forms.
import { viewOf } from "../abi/bytes.ts";
import { FREAD, FWRITE } from "../abi/constants.ts";
import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { show } from "../abi/values.ts";
import { attempt } from "../base/failure.ts";
import { fileHold, fileRelease } from "../file/file.ts";
import type { Thread } from "../process/thread.ts";
import { syscall } from "../sched/entry.ts";
import { brokenPipe, openFor } from "./transfer.ts";
import { type Uio, uioOf } from "./uio.ts";

/**
 * Reads into `buffer` from an offset in bytes on, and returns how many bytes, 0 at the end of file.
 * The offset of the open file does not move. It never sleeps. Errors: EBADF, also if it is not open
 * for reading; EINVAL for an offset that is negative or not a whole number; ESPIPE for a file that
 * has no offsets: a pipe, a socket, a terminal; EFAULT if `buffer` is not a Uint8Array; EISDIR, and
 * other errors of the file. Source: pread(2).
 */
export function pread(thread: Thread, fd: number, buffer: Uint8Array, offset: number): number {
	return syscall(thread, "pread", () => {
		const view = viewOf(buffer, "pread");
		return transferAt(thread, fd, view, null, offset, FREAD, "pread");
	});
}

/**
 * Writes all of `buffer` to an offset in bytes, and returns how many bytes. The offset of the open
 * file does not move, and O_APPEND does not count. It never sleeps. Errors: EBADF, also if it is not
 * open for writing; EINVAL for an offset that is negative or not a whole number; ESPIPE for a file
 * that has no offsets: a pipe, a socket, a terminal; EFAULT if `buffer` is not a Uint8Array; EFBIG,
 * ENOSPC, and other errors of the file. Source: pwrite(2).
 */
export function pwrite(thread: Thread, fd: number, buffer: Uint8Array, offset: number): number {
	return syscall(thread, "pwrite", () => {
		const view = viewOf(buffer, "pwrite");
		return transferAt(thread, fd, view, null, offset, FWRITE, "pwrite");
	});
}

/** As {@link pread}, into several buffers, each filled before the next. Source: preadv(2). */
export function preadv(
	thread: Thread,
	fd: number,
	buffers: readonly Uint8Array[],
	offset: number,
): number {
	return syscall(thread, "preadv", () => {
		const uio = uioOf(buffers, "preadv");
		return transferAt(thread, fd, uio.single, uio, offset, FREAD, "preadv");
	});
}

/** As {@link pwrite}, from several buffers, as if they were one. Source: pwritev(2). */
export function pwritev(
	thread: Thread,
	fd: number,
	buffers: readonly Uint8Array[],
	offset: number,
): number {
	return syscall(thread, "pwritev", () => {
		const uio = uioOf(buffers, "pwritev");
		return transferAt(thread, fd, uio.single, uio, offset, FWRITE, "pwritev");
	});
}

/** Reads or writes at an offset: `view`, or `uio` if that is null. The file stays open meanwhile. */
function transferAt(
	thread: Thread,
	fd: number,
	view: Uint8Array | null,
	uio: Uio | null,
	offset: number,
	mode: number,
	name: string,
): number {
	const file = openFor(thread, fd, mode, name);
	if (!Number.isSafeInteger(offset) || offset < 0)
		throw new SystemError(errno.EINVAL, name, `offset ${show(offset)}`);
	const transfer = (bytes: Uint8Array, from: number): number =>
		mode === FREAD
			? file.pread(thread, bytes, offset + from)
			: file.pwrite(thread, bytes, offset + from);
	let n = 0;
	fileHold(file);
	const failure = attempt(null, () => {
		if (view !== null) n = transfer(view, 0);
		else if (mode === FREAD) n = (uio as Uio).fill(transfer);
		else n = (uio as Uio).drain(transfer);
		if (n === -errno.EPIPE && mode === FWRITE) brokenPipe(thread, file);
	});
	fileRelease(file, thread, failure);
	return unwrap(n, name, `descriptor ${fd}`);
}

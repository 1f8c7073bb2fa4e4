// System calls on descriptors: open, duplicate, close, control.

import {
	F_DUPFD,
	F_DUPFD_CLOEXEC,
	F_GETFD,
	F_GETFL,
	F_SETFD,
	F_SETFL,
	FD_CLOEXEC,
	FIOASYNC,
	FIOCLEX,
	FIONBIO,
	FIONCLEX,
	FREAD,
	FWRITE,
	O_APPEND,
	O_ASYNC,
	O_NONBLOCK,
	O_SYNC,
} from "../abi/constants.ts";
import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { show } from "../abi/values.ts";
import { attempt, type Failure, rethrow } from "../base/failure.ts";
import { fdReplace, isFdBusy } from "../event/fd-close.ts";
import { KqueueFile } from "../event/kqueue-file.ts";
import { File, fileHold, fileRelease, type Stat } from "../file/file.ts";
import { getFile, newDescriptor } from "../file/filedesc.ts";
import type { Thread } from "../process/thread.ts";
import { syscall } from "../sched/entry.ts";

/**
 * Returns a new descriptor for an open file: the lowest free number. This is how an emulated file
 * gets a descriptor. Errors: EMFILE; ENFILE; EINVAL for the file of a kqueue; EFAULT for what is not a
 * file.
 */
export function openFile(thread: Thread, file: File): number {
	return syscall(thread, "open", () => {
		if (!isFile(file)) throw new SystemError(errno.EFAULT, "open", `${show(file)} is not a File`);
		// A kqueue belongs to the table it was made in, and cannot be in another one.
		if (file instanceof KqueueFile)
			throw new SystemError(errno.EINVAL, "open", "a kqueue cannot be opened again");
		const { fdp } = thread.process;
		const fd = newDescriptor(fdp, fdp.findNew(), "open");
		fdp.insert(fd, file);
		return fd;
	});
}

function isFile(value: unknown): value is File {
	try {
		return value instanceof File;
	} catch {
		return false;
	}
}

/**
 * Closes a descriptor. Knotes on its number are dropped without an event; polls and selects that
 * wait for it wake. Errors: EBADF; EDEADLK inside a callback for one of those knotes, or for a
 * knote of the kqueue that is to be closed. Source: close(2).
 */
export function close(thread: Thread, fd: number): void {
	syscall(thread, "close", () => {
		getFile(thread, fd, "close");
		checkBusy(thread, fd, "close");
		fdReplace(thread.process, fd, null, thread);
	});
}

/**
 * Closes all descriptors from `fd` on. Errors: EBADF if none of them is open, EDEADLK as for close.
 */
export function closefrom(thread: Thread, fd: number): void {
	syscall(thread, "closefrom", () => {
		const open = isNumber(fd) ? [...thread.process.fdp.open(fd)] : [];
		if (open.length === 0 && !(isNumber(fd) && thread.process.fdp.hasReserved(fd)))
			throw new SystemError(errno.EBADF, "closefrom", `no descriptor from ${show(fd)} on is open`);
		rethrow(closeAll(thread, open, "closefrom"));
	});
}

/** Closes several descriptors, if none of them is busy, and returns the first error. */
export function closeAll(thread: Thread, fds: readonly number[], name: string): Failure {
	const { process } = thread;
	for (const fd of fds) checkBusy(thread, fd, name);
	let failure: Failure = null;
	for (const fd of fds) {
		// The close of a file may have closed others.
		if (process.fdp.get(fd) !== null)
			failure = attempt(failure, () => fdReplace(process, fd, null, thread));
	}
	return failure;
}

function isNumber(fd: number): boolean {
	return Number.isInteger(fd) && fd >= 0;
}

/** Another number for the same open file: the lowest free one. Errors: EBADF, EMFILE. */
export function dup(thread: Thread, fd: number): number {
	return syscall(thread, "dup", () => duplicate(thread, fd, 0, "dup"));
}

/**
 * Makes `to` another number for the open file of `fd`, and closes `to` first if it is open. Knotes
 * belong to the number, so those on `to` are dropped. Errors: EBADF; EBUSY if a call that sleeps
 * has reserved `to`; EDEADLK as for close. Source: dup2(2).
 */
export function dup2(thread: Thread, fd: number, to: number): number {
	return syscall(thread, "dup2", () => {
		const file = getFile(thread, fd, "dup2");
		const { fdp } = thread.process;
		if (!fdp.isValid(to))
			throw new SystemError(errno.EBADF, "dup2", `${show(to)} cannot be a descriptor`);
		if (fd === to) return to;
		if (fdp.isReserved(to))
			throw new SystemError(errno.EBUSY, "dup2", `a sleeping call has reserved descriptor ${to}`);
		checkBusy(thread, to, "dup2");
		fdp.makeRoom(to);
		fdReplace(thread.process, to, file, thread);
		return to;
	});
}

/**
 * Refuses to close a descriptor inside a callback for one of its knotes, or for a knote of the
 * kqueue that it refers to.
 */
function checkBusy(thread: Thread, fd: number, name: string): void {
	const { fdp } = thread.process;
	const file = fdp.get(fd);
	if ((file instanceof KqueueFile && file.kq.busy !== 0) || isFdBusy(fdp, fd))
		throw new SystemError(errno.EDEADLK, name, `called by a filter that uses descriptor ${fd}`);
}

function duplicate(thread: Thread, fd: number, from: number, name: string): number {
	const file = getFile(thread, fd, name);
	const { fdp } = thread.process;
	const to = unwrap(fdp.findFree(from), name, `the limit is ${fdp.limit}`);
	fdp.insert(to, file);
	return to;
}

/** Calls `act` with the file of a descriptor, which stays open until it returns. */
function onFile<T>(thread: Thread, fd: number, name: string, act: (file: File) => T): T {
	return syscall(thread, name, () => {
		const file = getFile(thread, fd, name);
		let result: T | undefined;
		fileHold(file);
		const failure = attempt(null, () => {
			result = act(file);
		});
		fileRelease(file, thread, failure);
		return result as T;
	});
}

/**
 * Duplicates a descriptor, or reads or sets its flags (FD_CLOEXEC) or those of its file (O_NONBLOCK
 * and others). F_SETFL on a kqueue sets the flags, but fails with ENOTTY. Errors: EBADF, EINVAL,
 * EMFILE. Source: fcntl(2).
 */
export function fcntl(thread: Thread, fd: number, command: number, argument = 0): number {
	return onFile(thread, fd, "fcntl", (file) => {
		const { fdp } = thread.process;
		if (!Number.isSafeInteger(argument))
			throw new SystemError(
				errno.EINVAL,
				"fcntl",
				`argument ${show(argument)} is not a whole number`,
			);
		switch (command) {
			case F_DUPFD:
			case F_DUPFD_CLOEXEC: {
				if (!fdp.isValid(argument))
					throw new SystemError(errno.EINVAL, "fcntl", `${show(argument)} cannot be a descriptor`);
				const to = duplicate(thread, fd, argument, "fcntl");
				fdp.setCloexec(to, command === F_DUPFD_CLOEXEC);
				return to;
			}
			case F_GETFD:
				return fdp.isCloexec(fd) ? FD_CLOEXEC : 0;
			case F_SETFD:
				fdp.setCloexec(fd, (argument & FD_CLOEXEC) !== 0);
				return 0;
			case F_GETFL:
				return (file.flags & ~(FREAD | FWRITE)) | accessMode(file);
			case F_SETFL: {
				const settable = O_NONBLOCK | O_APPEND | O_ASYNC | O_SYNC;
				file.flags = (file.flags & ~settable) | (argument & settable);
				unwrap(file.ioctl(thread, FIONBIO, (argument & O_NONBLOCK) !== 0), "fcntl");
				unwrap(file.ioctl(thread, FIOASYNC, (argument & O_ASYNC) !== 0), "fcntl");
				return 0;
			}
			default:
				throw new SystemError(
					errno.EINVAL,
					"fcntl",
					`command ${show(command)} is not an F_ constant`,
				);
		}
	});
}

/** O_RDONLY, O_WRONLY or O_RDWR: one less than FREAD and FWRITE. */
function accessMode(file: File): number {
	return Math.max(0, (file.flags & (FREAD | FWRITE)) - 1);
}

/** Controls the object that a descriptor refers to. Errors: EBADF, ENOTTY. Source: ioctl(2). */
export function ioctl(thread: Thread, fd: number, command: number, argument?: unknown): number {
	return onFile(thread, fd, "ioctl", (file) => {
		if (command === FIOCLEX || command === FIONCLEX) {
			thread.process.fdp.setCloexec(fd, command === FIOCLEX);
			return 0;
		}
		if (command === FIONBIO) setFlag(file, O_NONBLOCK, Boolean(argument));
		if (command === FIOASYNC) setFlag(file, O_ASYNC, Boolean(argument));
		return unwrap(file.ioctl(thread, command, argument), "ioctl");
	});
}

function setFlag(file: File, flag: number, on: boolean): void {
	file.flags = on ? file.flags | flag : file.flags & ~flag;
}

/** Describes the object that a descriptor refers to. Errors: EBADF. Source: fstat(2). */
export function fstat(thread: Thread, fd: number): Stat {
	return onFile(thread, fd, "fstat", (file) => file.stat());
}

/** Moves an open file's offset, and returns the new one. Errors: EBADF, EINVAL, ESPIPE. */
export function lseek(thread: Thread, fd: number, offset: number, whence: number): number {
	// Files compute with it, and refuse what is not a whole number.
	const by = typeof offset === "number" ? offset : Number.NaN;
	return onFile(thread, fd, "lseek", (file) =>
		unwrap(file.seek(thread, by, whence), "lseek", `descriptor ${fd}`),
	);
}

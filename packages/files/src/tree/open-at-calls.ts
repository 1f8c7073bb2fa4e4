// The calls of the *at family that open files, and the directories whose paths must stay in them.
import { errno, type SleepOptions, SystemError, type Thread } from "@kqpoll/kqueue";
import { type BlockingCall, callAsync, syscall } from "@kqpoll/kqueue/kernel";
import { beginOpen, openAtOnce } from "./open.ts";
import { fromDescriptor, startAt } from "./start.ts";
import { getTreeFile } from "./tree-file.ts";

/**
 * As open, for a path that begins at the directory of `fd`; the path and its errors are those of
 * mkdirat. Source: openat(2).
 */
export function openat(
	thread: Thread,
	fd: number,
	path: string,
	flags: number,
	mode: number = 0o666,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "openat", options, openatCall, fd, path, flags, mode);
}

/** Begins an {@link openat}, for any driver. */
export function openatCall(
	thread: Thread,
	fd: number,
	path: string,
	flags: number,
	mode: number = 0o666,
): BlockingCall | number {
	return beginOpen(startAt(thread, fd, "openat"), path, flags, mode);
}

/**
 * As {@link openat}, without sleeping: throws EAGAIN, with nothing changed, where that would sleep.
 */
export function openatNow(
	thread: Thread,
	fd: number,
	path: string,
	flags: number,
	mode: number = 0o666,
): number {
	return fromDescriptor(thread, fd, "openat", (start) => openAtOnce(start, path, flags, mode));
}

/**
 * Makes paths that begin at an open directory stay in it, from now on and by all its descriptors, and
 * so for the directories that are opened by such paths. Calls of the *at family then fail with EPERM,
 * and change nothing, where ".." leads out, and where a path or a symbolic link begins with a slash.
 * For hosts of guests that may see a part of a tree only. Errors: EBADF; EINVAL for what is not of a
 * tree; ENOTDIR.
 */
export function stayBeneath(thread: Thread, fd: number): void {
	syscall(thread, "stayBeneath", () => {
		const file = getTreeFile(thread, fd, "stayBeneath");
		if (!file.vnode.isDirectory)
			throw new SystemError(errno.ENOTDIR, "stayBeneath", `descriptor ${fd}`);
		file.beneath = true;
	});
}

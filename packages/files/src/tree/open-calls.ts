// System calls that open files of a tree by path.
import type { SleepOptions, Thread } from "@kqpoll/kqueue";
import { type BlockingCall, callAsync } from "@kqpoll/kqueue/kernel";
import { beginOpen, openAtOnce } from "./open.ts";
import { fromRoot, rootOf } from "./start.ts";
import type { Tree } from "./tree.ts";

/**
 * Opens a file, directory or fifo of a tree and returns its descriptor. With O_CREAT a file that
 * does not exist is made, with the permission bits of `mode`, and watchers of its directory get
 * NOTE_WRITE. With O_TRUNC a regular file is cut to size 0, and its watchers get NOTE_ATTRIB, and
 * NOTE_TRUNCATE if it was not empty. Unknown flags are ignored.
 * A symbolic link is followed, also to make the file that it leads to, except with O_NOFOLLOW.
 *
 * An open of a fifo for reading counts as a reader at once, and sleeps until there is a writer; for
 * writing, the other way round. It does not sleep for both, or with O_NONBLOCK. When it fails after
 * a sleep, the fifo was opened and closed again.
 *
 * Rejects, with nothing changed, with: those of a path; EEXIST with O_CREAT and O_EXCL, also for a
 * symbolic link; ELOOP for a symbolic link with O_NOFOLLOW; EISDIR for a directory that is opened for writing, and for the root with O_CREAT; ENOTDIR with O_DIRECTORY;
 * EINVAL for an access mode that does not exist, O_TRUNC without write access, a file that would be
 * made with O_DIRECTORY, or a mode that is not an int; EMFILE; ENXIO for a fifo without readers
 * that is opened for writing with O_NONBLOCK. After a sleep also with EINTR, EMFILE, and EIO when
 * the fifo was revoked; as for kevent EBUSY, EDEADLK, ESRCH and the reason of `options.signal`.
 * Source: open(2).
 */
export function open(
	thread: Thread,
	tree: Tree,
	path: string,
	flags: number,
	mode: number = 0o666,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "open", options, openCall, tree, path, flags, mode);
}

/** Begins an {@link open}, for any driver. */
export function openCall(
	thread: Thread,
	tree: Tree,
	path: string,
	flags: number,
	mode: number = 0o666,
): BlockingCall | number {
	return beginOpen(rootOf(thread, tree, "open"), path, flags, mode);
}

/** As {@link open}, without sleeping: throws EAGAIN, with nothing changed, where that would sleep. */
export function openNow(
	thread: Thread,
	tree: Tree,
	path: string,
	flags: number,
	mode: number = 0o666,
): number {
	return fromRoot(thread, tree, "open", (start) => openAtOnce(start, path, flags, mode));
}

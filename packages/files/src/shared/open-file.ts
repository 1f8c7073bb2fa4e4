// New open files get their descriptors here.
import { close, fcntl, openFile, type Thread } from "@kqpoll/kqueue";
import { F_SETFD, FD_CLOEXEC, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { attempt, type File } from "@kqpoll/kqueue/kernel";

/** open, pipe2: close the descriptor on exec. */
export const O_CLOEXEC = 0x10000;

/**
 * Returns a new descriptor for a file; of `flags`, O_NONBLOCK and O_CLOEXEC count. Errors: EMFILE.
 */
export function openWith(thread: Thread, file: File, flags: number): number {
	const fd = openFile(thread, file);
	file.flags |= flags & O_NONBLOCK;
	if ((flags & O_CLOEXEC) !== 0) fcntl(thread, fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/** As {@link openWith}, for two files: both get a descriptor, or neither does. */
export function openPair(thread: Thread, one: File, other: File, flags: number): [number, number] {
	const first = openWith(thread, one, flags);
	try {
		return [first, openWith(thread, other, flags)];
	} catch (value) {
		attempt({ value }, () => close(thread, first));
		throw value;
	}
}

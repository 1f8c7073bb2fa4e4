// Puts descriptors of a process at the numbers at which its program expects them.
import { close, dup2, fcntl, type Thread } from "@kqpoll/kqueue";
import { F_DUPFD, F_SETFD } from "@kqpoll/kqueue/fcntl";

/**
 * Moves the descriptors `sources` to 0, 1, 2 and so on; one may be there several times. What was at
 * these numbers is closed. Errors, with nothing moved: EBADF; EMFILE.
 */
export function arrange(thread: Thread, sources: readonly number[]): void {
	if (sources.every((fd, to) => fd === to)) {
		for (const fd of sources) fcntl(thread, fd, F_SETFD, 0);
		return;
	}
	const copies = copyAll(thread, sources);
	for (const fd of new Set(sources)) if (fd >= sources.length) close(thread, fd);
	copies.forEach((copy, to) => {
		dup2(thread, copy, to);
		close(thread, copy);
	});
}

/** Copies of descriptors behind the numbers they will have. */
function copyAll(thread: Thread, sources: readonly number[]): number[] {
	const copies: number[] = [];
	try {
		for (const fd of sources) copies.push(fcntl(thread, fd, F_DUPFD, sources.length));
		return copies;
	} catch (error) {
		for (const copy of copies) close(thread, copy);
		throw error;
	}
}

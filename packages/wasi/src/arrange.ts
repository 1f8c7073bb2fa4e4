// Puts descriptors of a process at the numbers at which its program expects them.
import { close, dup2, fcntl, type Thread } from "@kqpoll/kqueue";
import { F_DUPFD, F_GETFD, F_SETFD } from "@kqpoll/kqueue/fcntl";

/**
 * Moves the descriptors `sources` to 0, 1, 2 and so on; one may be there several times. What was at
 * these numbers is closed; what is in its place stays. Errors, with nothing moved: EBADF; EMFILE.
 */
export function arrange(thread: Thread, sources: readonly number[]): void {
	for (const fd of sources) fcntl(thread, fd, F_GETFD);
	const copies = copyAll(thread, sources);
	for (const fd of new Set(sources)) if (fd >= sources.length) close(thread, fd);
	sources.forEach((fd, to) => {
		const copy = copies.get(to);
		if (copy === undefined) {
			fcntl(thread, fd, F_SETFD, 0);
			return;
		}
		dup2(thread, copy, to);
		close(thread, copy);
	});
}

/** Copies of the descriptors that are not in their place, behind the numbers they will have. */
function copyAll(thread: Thread, sources: readonly number[]): Map<number, number> {
	const copies = new Map<number, number>();
	try {
		sources.forEach((fd, to) => {
			if (fd !== to) copies.set(to, fcntl(thread, fd, F_DUPFD, sources.length));
		});
		return copies;
	} catch (error) {
		for (const copy of copies.values()) close(thread, copy);
		throw error;
	}
}

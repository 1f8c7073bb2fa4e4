// Node's errors as OpenBSD's error numbers.
import { type ErrnoName, errno, SystemError } from "@kqpoll/kqueue";

/**
 * The errno of an error of Node: by its `code`, so that "ECONNRESET" is 54 whatever number this
 * system has for it. EIO for what has none; and for EAGAIN and EINTR, which a stream that has failed
 * must not answer a read with, as that would wait and try again.
 */
export function errnoOf(error: unknown): number {
	const code = (error as { readonly code?: unknown } | null | undefined)?.code;
	if (typeof code !== "string" || !Object.hasOwn(errno, code)) return errno.EIO;
	return code === "EAGAIN" || code === "EINTR" ? errno.EIO : errno[code as ErrnoName];
}

/** Does what may fail with an error of Node, which is thrown as a call's own. */
export function translated<T>(syscall: string, detail: string, act: () => T): T {
	try {
		return act();
	} catch (error) {
		throw new SystemError(errnoOf(error), syscall, detail);
	}
}

// Node's errors as OpenBSD's error numbers.
import { errno, SystemError } from "@kqpoll/kqueue";
import type { ErrnoName } from "@kqpoll/kqueue/kernel";

/**
 * The errno of an error of Node: by its `code`, so that "ECONNRESET" is 54 on every system. It is
 * EIO for an error that OpenBSD does not have; also for EAGAIN and EINTR, since a read of a failed
 * stream would otherwise wait and try again.
 */
export function errnoOf(error: unknown): number {
	const code = (error as { readonly code?: unknown } | null | undefined)?.code;
	if (typeof code !== "string" || !Object.hasOwn(errno, code)) return errno.EIO;
	return code === "EAGAIN" || code === "EINTR" ? errno.EIO : errno[code as ErrnoName];
}

/**
 * Calls a function that may fail with an error of Node, and throws that as an error of the call.
 */
export function translated<T>(syscall: string, detail: string, act: () => T): T {
	try {
		return act();
	} catch (error) {
		throw new SystemError(errnoOf(error), syscall, detail);
	}
}

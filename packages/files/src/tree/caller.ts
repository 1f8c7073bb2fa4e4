// The caller of a system call, for its time and its errors.
import { SystemError, type Thread } from "@kqpoll/kqueue";

/** The caller of a system call. */
export interface Caller {
	/** The thread. */
	readonly thread: Thread;
	/** The name of the call, for its errors. */
	readonly syscall: string;
}

/** The time of a call: the wall clock of its host, in nanoseconds. */
export function timeOf({ thread }: Pick<Caller, "thread">): number {
	return thread.kernel.host.realtime();
}

/** Throws the error of a call on a path. */
export function fail({ syscall }: Pick<Caller, "syscall">, number: number, path: string): never {
	throw new SystemError(number, syscall, path);
}

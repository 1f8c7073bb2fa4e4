// What a program passes: checked, and copied, when an observable is made.
import { errno, type KeventRequest, SystemError, type Thread } from "@kqpoll/kqueue";
import { copyin, isThread, show } from "@kqpoll/kqueue/kernel";

/** Throws EFAULT for what is not a thread. One that has exited is an error of the observable. */
export function checkThread(thread: Thread, name: string): void {
	if (isThread(thread)) return;
	throw new SystemError(errno.EFAULT, name, `the first argument, ${show(thread)}, is not a thread`);
}

/** Throws EFAULT for what is not a function. */
export function checkFunction(value: unknown, what: string, name: string): void {
	if (typeof value === "function") return;
	throw new SystemError(errno.EFAULT, name, `${what} is ${show(value)}, not a function`);
}

/** Throws EINVAL for what is not a whole number from 1 on, nor Infinity where that is allowed. */
export function checkCount(value: number, what: string, name: string, infinite: boolean): void {
	if (Number.isSafeInteger(value) && value >= 1) return;
	if (infinite && value === Number.POSITIVE_INFINITY) return;
	const rule = `is not a whole number from 1 on${infinite ? ", or Infinity" : ""}`;
	throw new SystemError(errno.EINVAL, name, `${what} ${show(value)} ${rule}`);
}

/** Throws EINVAL for what is not one of the words. */
export function checkWord(
	value: unknown,
	words: readonly unknown[],
	what: string,
	name: string,
): void {
	if (words.includes(value)) return;
	const rule = `is not one of ${words.join(", ")}`;
	throw new SystemError(errno.EINVAL, name, `${what} ${show(value)} ${rule}`);
}

/** A program's change, whose fields may be of any type: subscribing refuses those that do not fit. */
export type CopiedChange = Required<KeventRequest>;

/** Reads each field of a change once. Throws EFAULT for what is not an object. */
export function copyChange(change: KeventRequest): CopiedChange {
	if (typeof change !== "object" || change === null)
		throw new SystemError(errno.EFAULT, "kevent", "the change is not an object");
	return copyin("kevent", "the change", () => {
		const { ident, filter, flags = 0, fflags = 0, data = 0, udata = null } = change;
		return { ident, filter, flags, fflags, data, udata };
	});
}

/**
 * Reads options with `read`, an empty object if there are none. Throws EFAULT if they cannot be read,
 * and what an accessor of the program throws.
 */
export function copyOptions<T, R>(
	options: T | null | undefined,
	name: string,
	read: (options: Partial<T>) => R,
): R {
	return copyin(name, "the options", () => read(options ?? {}));
}

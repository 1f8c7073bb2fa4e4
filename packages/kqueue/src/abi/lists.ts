// The lists that a program passes: their lengths, and what reading them may throw.
import { errno, SystemError } from "./errno.ts";
import { faultOf, isUint32, show } from "./values.ts";

/** Whether a value is an array; a Proxy of one is too, but not one that was revoked. */
export function isList(value: unknown): value is readonly unknown[] {
	try {
		return Array.isArray(value);
	} catch {
		return false;
	}
}

/**
 * How many entries a program's list has. Read once for each call: the length of a Proxy can be
 * anything, and differs from time to time. Errors: EFAULT for what is not an array, or was revoked;
 * EINVAL for a length that no array has.
 */
export function lengthOfList(list: unknown, name: string, what: string): number {
	if (!isList(list)) throw new SystemError(errno.EFAULT, name, `${what} is not an array`);
	let length: unknown;
	try {
		({ length } = list);
	} catch (error) {
		throw new SystemError(faultOf(error), name, `${what} cannot be read`);
	}
	if (isUint32(length)) return length;
	const why = `the length of ${what}, ${show(length)}, is not that of an array`;
	throw new SystemError(errno.EINVAL, name, why);
}

/**
 * Reads something that a program passed. A TypeError becomes EFAULT: that is what a revoked Proxy
 * throws, and one that breaks its own rules. What else an accessor throws is the program's own.
 */
export function copyin<T>(name: string, what: string, read: () => T): T {
	try {
		return read();
	} catch (error) {
		throw new SystemError(faultOf(error), name, `${what} cannot be read`);
	}
}

/** Writes into something that a program passed; a TypeError becomes EFAULT, as for {@link copyin}. */
export function copyout(name: string, what: string, write: () => void): void {
	try {
		write();
	} catch (error) {
		throw new SystemError(faultOf(error), name, `${what} cannot be written`);
	}
}

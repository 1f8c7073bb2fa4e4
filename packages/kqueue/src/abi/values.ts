// Which values fit into the integers of C, and how messages show a value.
import { errno } from "./errno.ts";

/** Whether a value is a C short. */
export function isInt16(value: unknown): value is number {
	return typeof value === "number" && value === (value << 16) >> 16;
}

/** Whether a value is an unsigned C short. */
export function isUint16(value: unknown): value is number {
	return typeof value === "number" && value === (value & 0xffff);
}

/** Whether a value is a C int. */
export function isInt32(value: unknown): value is number {
	return typeof value === "number" && value === (value | 0);
}

/** Whether a value is an unsigned C int. */
export function isUint32(value: unknown): value is number {
	return typeof value === "number" && value === value >>> 0;
}

/** Whether a value is an object with fields to read: not null, and not a function. */
export function isObject<T>(value: T): value is T & object {
	return typeof value === "object" && value !== null;
}

/** A value in words, whatever it is. */
export function show(value: unknown): string {
	if (typeof value === "string") return JSON.stringify(value);
	if (typeof value === "object" && value !== null) return "an object";
	return typeof value === "function" ? "a function" : String(value);
}

/**
 * Returns EFAULT for the error of a write to a frozen object, or of any use of a revoked Proxy, and
 * throws other errors again.
 */
export function faultOf(error: unknown): number {
	if (isTypeError(error)) return errno.EFAULT;
	throw error;
}

function isTypeError(error: unknown): boolean {
	try {
		return error instanceof TypeError;
	} catch {
		// A program has thrown a Proxy.
		return false;
	}
}

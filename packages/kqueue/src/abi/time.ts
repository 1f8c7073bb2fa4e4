// timespec, timeval and milliseconds, and their conversion to nanoseconds.
import { errno, SystemError } from "./errno.ts";
import { faultOf, show } from "./values.ts";

/** struct timespec: seconds and nanoseconds. */
export interface Timespec {
	/** Whole seconds. */
	readonly sec: number;
	/** Whole nanoseconds, from 0 to 999,999,999. */
	readonly nsec: number;
}

/** struct timeval: seconds and microseconds. */
export interface Timeval {
	/** Whole seconds. */
	readonly sec: number;
	/** Whole microseconds, from 0 to 999,999. */
	readonly usec: number;
}

/** The longest finite sleep in nanoseconds. */
const MAXTSLP = 2 ** 64 - 2048;

/**
 * A timespec as nanoseconds, null as Infinity. EINVAL when out of range, EFAULT when not an object.
 */
export function timespecToNs(ts: Timespec | null | undefined, syscall: string): number {
	if (ts === null || ts === undefined) return Number.POSITIVE_INFINITY;
	if (typeof ts !== "object")
		throw new SystemError(errno.EFAULT, syscall, "the timeout is not { sec, nsec } or null");
	let sec: number;
	let nsec: number;
	try {
		({ sec, nsec } = ts);
	} catch (error) {
		throw unreadable(error, syscall);
	}
	return toNs(sec, nsec, 1, syscall);
}

/**
 * A timeval as nanoseconds, null as Infinity. EINVAL when out of range, EFAULT when not an object.
 */
export function timevalToNs(tv: Timeval | null | undefined, syscall: string): number {
	if (tv === null || tv === undefined) return Number.POSITIVE_INFINITY;
	if (typeof tv !== "object")
		throw new SystemError(errno.EFAULT, syscall, "the timeout is not { sec, usec } or null");
	let sec: number;
	let usec: number;
	try {
		({ sec, usec } = tv);
	} catch (error) {
		throw unreadable(error, syscall);
	}
	return toNs(sec, usec, 1000, syscall);
}

function unreadable(error: unknown, syscall: string): SystemError {
	return new SystemError(faultOf(error), syscall, "the timeout cannot be read");
}

/**
 * Milliseconds as nanoseconds, for poll: fractions count, -1 is Infinity. EINVAL for other values.
 */
export function msToNs(ms: number, syscall: string): number {
	if (ms === -1) return Number.POSITIVE_INFINITY;
	if (!(typeof ms === "number" && ms >= 0 && ms < Number.POSITIVE_INFINITY))
		throw new SystemError(
			errno.EINVAL,
			syscall,
			`timeout ${show(ms)} is out of range: pass milliseconds, or -1 to wait forever`,
		);
	return Math.min(Math.ceil(ms * 1e6), MAXTSLP);
}

function toNs(sec: number, part: number, unit: number, syscall: string): number {
	const valid = Number.isInteger(sec) && sec >= 0 && Number.isInteger(part) && part >= 0;
	if (!valid || part * unit >= 1e9) {
		const name = unit === 1 ? "nsec" : "usec";
		const shown = `{ sec: ${show(sec)}, ${name}: ${show(part)} } is out of range`;
		throw new SystemError(errno.EINVAL, syscall, shown);
	}
	return Math.min(sec * 1e9 + part * unit, MAXTSLP);
}

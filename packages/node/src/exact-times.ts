// The times of a real file to the nanosecond, which node:fs cannot set.
import type { BigIntStats } from "node:fs";
import { performance } from "node:perf_hooks";
import type { NewTime } from "@kqpoll/files/kernel";

const NS_PER_S = 1_000_000_000n;
/** The real system gets microseconds: a time that is off by more was one that it cannot store. */
const STEP = 1000n;
/** The step of numbers of seconds in our days. */
const ULP = 2 ** -22;

/** The times that were set of a file, each for as long as the real one is what became of it. */
export class ExactTimes {
	private readonly wanted: readonly [atime: bigint, mtime: bigint];
	private readonly real: readonly [atime: bigint, mtime: bigint];

	/** Takes what was wanted, in nanoseconds, and the file after it was set. */
	constructor(atime: bigint, mtime: bigint, { atimeNs, mtimeNs }: BigIntStats) {
		this.wanted = [
			isNear(atime, atimeNs) ? atime : atimeNs,
			isNear(mtime, mtimeNs) ? mtime : mtimeNs,
		];
		this.real = [atimeNs, mtimeNs];
	}

	/** When the file was read last, in nanoseconds. */
	atimeOf({ atimeNs }: BigIntStats): bigint {
		return atimeNs === this.real[0] ? this.wanted[0] : atimeNs;
	}

	/** When it was written last. */
	mtimeOf({ mtimeNs }: BigIntStats): bigint {
		return mtimeNs === this.real[1] ? this.wanted[1] : mtimeNs;
	}
}

function isNear(wanted: bigint, real: bigint): boolean {
	const off = wanted - real;
	return off > -STEP && off < STEP;
}

/** A time that is to be set, in nanoseconds; null keeps the one that the file has. */
export function nanosecondsOf(time: NewTime, kept: bigint): bigint {
	if (time === null) return kept;
	if (time === "now") return BigInt(Math.trunc((performance.timeOrigin + performance.now()) * 1e6));
	return typeof time === "number" ? BigInt(time) : BigInt(time.sec) * NS_PER_S + BigInt(time.nsec);
}

/**
 * The same in seconds, for node:fs. That cuts off what is less than a microsecond: a number just below
 * a whole one would lose it. What is cut off is computed as libuv does it: a product with all of the
 * seconds would be rounded, and hide it.
 */
export function secondsOf(time: bigint): number {
	const seconds = Number(time) / 1e9;
	const micros = Math.trunc(((seconds - Math.trunc(seconds)) * 1e9) / 1000);
	return micros < Number((time % NS_PER_S) / STEP) ? seconds + ULP : seconds;
}

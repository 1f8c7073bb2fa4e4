// What becomes of errors that must not keep anything else from being done.
import type { Host } from "./host.ts";

/** The first error of several, or null while there is none. */
export type Failure = {
	/** What was thrown. */
	readonly value: unknown;
} | null;

/** Does one of several things, whatever went before, and returns the first error so far. */
export function attempt(failure: Failure, act: () => void): Failure {
	try {
		act();
		return failure;
	} catch (value) {
		return failure ?? { value };
	}
}

/** Throws the first error, after all has been done. */
export function rethrow(failure: Failure): void {
	if (failure !== null) throw failure.value;
}

/** Does all of these, whatever some of them throw, then throws the first error. */
export function doAll(...acts: readonly (() => void)[]): void {
	rethrow(acts.reduce(attempt, null as Failure));
}

/** Leaves an error that belongs to no call to the platform, which reports it. */
export function report(host: Host, error: unknown): void {
	host.defer(() => {
		throw error;
	});
}

// Errors of one step that must not keep the next steps from being done.
import type { Host } from "./host.ts";

/** The first error of several, or null while there is none. */
export type Failure = {
	/** What was thrown. */
	readonly value: unknown;
} | null;

/**
 * Does one of several steps, also after an earlier one failed, and returns the first error so far.
 */
export function attempt(failure: Failure, act: () => void): Failure {
	try {
		act();
		return failure;
	} catch (value) {
		return failure ?? { value };
	}
}

/** Throws the first error, after all steps are done. */
export function rethrow(failure: Failure): void {
	if (failure !== null) throw failure.value;
}

/** Does all steps, also after one of them throws, then throws the first error. */
export function doAll(...acts: readonly (() => void)[]): void {
	rethrow(acts.reduce(attempt, null as Failure));
}

/** Passes an error that does not belong to a call to the platform, which reports it. */
export function report(host: Host, error: unknown): void {
	host.defer(() => {
		throw error;
	});
}

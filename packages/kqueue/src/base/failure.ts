// What becomes of errors that must not keep anything else from being done.
import type { Host } from "./host.ts";

/** The first error of several, if there was one. */
export type Failure = { readonly value: unknown } | null;

/** Does one of several things and gives the first error so far. */
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

/** Leaves to the platform an error that belongs to no call. */
export function report(host: Host, error: unknown): void {
	host.defer(() => {
		throw error;
	});
}

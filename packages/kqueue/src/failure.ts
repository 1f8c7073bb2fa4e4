// What becomes of errors when several things must be done whatever one of them throws.

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

// How the engine knows a thread from what only looks like one.

/** What every thread is, and nothing else: a Proxy of one, or an object with its fields, is not. */
export class Caller {
	readonly #caller = true;

	/** Whether a value is a thread. */
	static is(value: unknown): value is Caller {
		return typeof value === "object" && value !== null && #caller in value;
	}
}

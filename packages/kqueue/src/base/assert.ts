// The engine's assertions: cheap ones are always on.

/** A broken invariant: a bug in the engine or in a filter, never a program's mistake. */
export class Panic extends Error {
	/** Always `"Panic"`. */
	override readonly name = "Panic";
}

/** Throws a Panic unless `condition` holds. */
export function kassert(condition: boolean, what: string): asserts condition {
	if (!condition) throw new Panic(`assertion failed: ${what}`);
}

/** Throws a Panic, for a case that must not happen. */
export function unreachable(what: string): never {
	throw new Panic(`unreachable: ${what}`);
}

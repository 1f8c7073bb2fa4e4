// How the scenes of a page went, as the step that runs pages wants to have it.

/** How a test went. */
export interface Result {
	readonly name: string;
	/** What went wrong, null if nothing did. */
	readonly error: string | null;
}

// The tests of a page: its module exports what `run` returns as `results`.

/** How a test went. */
export interface Result {
	readonly name: string;
	/** What went wrong, null if nothing did. */
	readonly error: string | null;
}

/** Runs tests one after the other. */
export async function run(
	tests: Readonly<Record<string, () => void | Promise<void>>>,
): Promise<Result[]> {
	const results: Result[] = [];
	for (const [name, test] of Object.entries(tests)) {
		try {
			await test();
			results.push({ name, error: null });
		} catch (error) {
			results.push({ name, error: error instanceof Error ? `${error.stack}` : String(error) });
		}
	}
	return results;
}

/** Throws unless both are the same as JSON. */
export function assertEqual(actual: unknown, expected: unknown): void {
	const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
	if (is !== should) throw new Error(`it is ${is}, not ${should}`);
}

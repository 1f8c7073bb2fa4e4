// Makes a list that fails as short as possible.

/**
 * Removes pieces of `items`, larger ones first, as long as what is left still `fails`; returns a
 * list from which no single item can be removed.
 */
export async function shrink<T>(
	items: readonly T[],
	fails: (some: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
	let left = items;
	for (let size = Math.ceil(left.length / 2); size >= 1; ) {
		let removed = false;
		for (let at = 0; at < left.length; ) {
			const fewer = [...left.slice(0, at), ...left.slice(at + size)];
			if (await fails(fewer)) {
				left = fewer;
				removed = true;
			} else {
				at += size;
			}
		}
		if (size > 1) size = Math.ceil(size / 2);
		else if (!removed) break;
	}
	return left;
}

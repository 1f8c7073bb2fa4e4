// A queue: first in, first out, at a cost that does not depend on its length.

/** Values in the order in which they came. */
export class Queue<T> {
	private values: (T | undefined)[] = [];
	/** Where the first value is. */
	private head = 0;

	/** How many values there are. */
	get length(): number {
		return this.values.length - this.head;
	}

	/** The value that came first; undefined if there is none. */
	get first(): T | undefined {
		return this.values[this.head];
	}

	/** Adds a value behind the others. */
	push(value: T): void {
		this.values.push(value);
	}

	/** Removes the first value, and returns it; undefined if there is none. */
	shift(): T | undefined {
		if (this.head === this.values.length) return undefined;
		const value = this.values[this.head];
		this.values[this.head++] = undefined;
		if (this.head === this.values.length) this.clear();
		// As many values move as have left since the last time.
		else if (this.head >= 32 && this.head * 2 >= this.values.length) this.compact();
		return value;
	}

	/** Removes all values. */
	clear(): void {
		this.values = [];
		this.head = 0;
	}

	private compact(): void {
		this.values = this.values.slice(this.head);
		this.head = 0;
	}
}

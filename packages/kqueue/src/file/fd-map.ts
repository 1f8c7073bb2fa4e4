// Which numbers of a descriptor table are in use: one bit each.

/** The index of the lowest bit that is set; 32 if none is. */
function lowestBit(bits: number): number {
	return bits === 0 ? 32 : 31 - Math.clz32(bits & -bits);
}

/**
 * A set of numbers from 0 on, in which the next one that is in it, or is not, is found by words of
 * 32. Source: fd_lomap and fd_himap of struct filedesc.
 */
export class FdMap {
	/** A bit for each number that is in the set. */
	private words: Int32Array = new Int32Array(1);
	/** A bit for each word that has no bit left. */
	private full: Int32Array = new Int32Array(1);

	/** Adds a number. */
	add(n: number): void {
		const at = n >> 5;
		if (at >= this.words.length) this.grow(at);
		const word = (this.words[at] as number) | (1 << (n & 31));
		this.words[at] = word;
		if (word === -1) this.full[at >> 5] = (this.full[at >> 5] as number) | (1 << (at & 31));
	}

	/** Removes a number. */
	delete(n: number): void {
		const at = n >> 5;
		if (at >= this.words.length) return;
		this.words[at] = (this.words[at] as number) & ~(1 << (n & 31));
		this.full[at >> 5] = (this.full[at >> 5] as number) & ~(1 << (at & 31));
	}

	/** The lowest number from `from` on that is in the set, -1 if there is none. */
	next(from: number): number {
		let at = from >> 5;
		let mask = -1 << (from & 31);
		for (; at < this.words.length; at++, mask = -1) {
			const bits = (this.words[at] as number) & mask;
			if (bits !== 0) return at * 32 + lowestBit(bits);
		}
		return -1;
	}

	/** The lowest number from `from` on that is not in the set. */
	nextFree(from: number): number {
		const at = from >> 5;
		if (at >= this.words.length) return from;
		const bits = ~(this.words[at] as number) & (-1 << (from & 31));
		if (bits !== 0) return at * 32 + lowestBit(bits);
		const word = this.nextNotFull(at + 1);
		return word < this.words.length
			? word * 32 + lowestBit(~(this.words[word] as number))
			: word * 32;
	}

	/** The lowest word from `from` on that has a bit left. */
	private nextNotFull(from: number): number {
		let at = from >> 5;
		let mask = -1 << (from & 31);
		for (; at < this.full.length; at++, mask = -1) {
			const bits = ~(this.full[at] as number) & mask;
			if (bits !== 0) return at * 32 + lowestBit(bits);
		}
		return Math.max(from, at * 32);
	}

	private grow(at: number): void {
		const words = new Int32Array(Math.max(at + 1, 2 * this.words.length));
		words.set(this.words);
		const full = new Int32Array((words.length + 31) >> 5);
		full.set(this.full);
		this.words = words;
		this.full = full;
	}
}

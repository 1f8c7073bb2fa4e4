// Random choices that depend on nothing but a seed.

/** A generator of random numbers; the same seed makes the same choices. */
export class Random {
	private state: number;

	/** Makes a generator for a part of what a seed makes: its parts do not depend on each other. */
	constructor(seed: number, part = 0) {
		this.state = mix(seed | 0) ^ mix((part + 0x51ed270b) | 0);
	}

	/** 32 bits, as an unsigned number. */
	next(): number {
		this.state = (this.state + 0x6d2b79f5) | 0;
		return mix(this.state) >>> 0;
	}

	/** A whole number from 0 up to `n`, without `n`. */
	below(n: number): number {
		return this.next() % n;
	}

	/** Whether something happens that happens once in `n` times. */
	once(n: number): boolean {
		return this.next() % n === 0;
	}

	/** One of several. */
	pick<T>(items: readonly T[]): T {
		return items[this.next() % items.length] as T;
	}
}

function mix(bits: number): number {
	let mixed = Math.imul(bits ^ (bits >>> 15), bits | 1);
	mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
	return mixed ^ (mixed >>> 14);
}

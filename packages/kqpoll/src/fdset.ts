// fd_set: a set of descriptors as bits.
import { errno, SystemError } from "@kqpoll/kqueue";
import { faultOf, show, wordsOf } from "@kqpoll/kqueue/kernel";
import { FD_SETSIZE } from "./constants.ts";

const NONE = new Int32Array(0);
/** No set grows beyond this, so that a wrong descriptor does not take all memory. */
const MAX_SIZE = 2 ** 24;

/**
 * A set of descriptors, for select. It has room for `size` descriptors, and grows when a larger one
 * is added.
 *
 * ```ts
 * const readfds = new FdSet([0, fd]);
 * if (readfds.has(fd)) for (const each of readfds) console.log(each); // ascending
 * ```
 */
export class FdSet implements Iterable<number> {
	#words: Int32Array = NONE;

	/**
	 * Makes a set of these descriptors. Errors: EBADF for what cannot be a descriptor; EINVAL for a
	 * `size` out of range; EFAULT if `fds` is not iterable.
	 */
	constructor(fds: Iterable<number> = [], size: number = FD_SETSIZE) {
		if (!Number.isInteger(size) || size < 0 || size > MAX_SIZE)
			throw new SystemError(
				errno.EINVAL,
				"FdSet",
				`size ${show(size)} is not a whole number up to ${MAX_SIZE}`,
			);
		this.#words = new Int32Array((size + 31) >> 5);
		try {
			for (const fd of fds) this.set(fd);
		} catch (error) {
			throw new SystemError(faultOf(error), "FdSet", "fds is not an iterable of descriptors");
		}
	}

	/**
	 * The bits, 32 descriptors a word: descriptor n is bit n mod 32 of word n / 32. Can be set to words
	 * in other memory. EFAULT for what is not an Int32Array.
	 */
	get words(): Int32Array {
		return this.#words;
	}

	/** Sets the words. */
	set words(words: Int32Array) {
		this.#words = wordsOf(words, "FdSet", "words");
	}

	/** Whether a value is a set, and not only something that looks like one. */
	static isSet(value: unknown): value is FdSet {
		return typeof value === "object" && value !== null && #words in value;
	}

	/** The words of a set, whatever a subclass defines. @internal */
	static wordsIn(set: FdSet): Int32Array {
		return set.#words;
	}

	/** How many descriptors it has room for: a multiple of 32. */
	get size(): number {
		return this.#words.byteLength * 8;
	}

	/** Adds a descriptor. Errors: EBADF for what cannot be a descriptor. */
	set(fd: number): void {
		if (!Number.isInteger(fd) || fd < 0 || fd >= MAX_SIZE)
			throw new SystemError(errno.EBADF, "FD_SET", `${show(fd)} cannot be a descriptor`);
		if (fd >= this.size) this.grow(fd + 1);
		this.#words[fd >> 5] = (this.#words[fd >> 5] ?? 0) | (1 << (fd & 31));
	}

	/** Removes a descriptor, if it is in the set. */
	clear(fd: number): void {
		if (this.has(fd)) this.#words[fd >> 5] = (this.#words[fd >> 5] ?? 0) & ~(1 << (fd & 31));
	}

	/** Whether a descriptor is in the set. */
	has(fd: number): boolean {
		if (!Number.isInteger(fd) || fd < 0 || fd >= this.size) return false;
		return ((this.#words[fd >> 5] ?? 0) & (1 << (fd & 31))) !== 0;
	}

	/** Removes all descriptors. */
	zero(): void {
		this.#words.fill(0);
	}

	/** A copy of the set, with the same room. */
	copy(): FdSet {
		const copy = new FdSet([], 0);
		copy.#words = this.#words.slice();
		return copy;
	}

	/** The descriptors in it, ascending. */
	*[Symbol.iterator](): IterableIterator<number> {
		for (let word = 0; word < this.#words.length; word++) {
			for (let bits = this.#words[word] ?? 0; bits !== 0; bits &= bits - 1) {
				yield word * 32 + lowestBit(bits);
			}
		}
	}

	private grow(size: number): void {
		const words = new Int32Array(Math.max((size + 31) >> 5, this.#words.length * 2));
		words.set(this.#words);
		this.#words = words;
	}
}

/** The number of the lowest bit that is set. */
export function lowestBit(bits: number): number {
	return 31 - Math.clz32(bits & -bits);
}

/** Adds a descriptor to a set, as the macro in C. Errors: EBADF; EFAULT for what is not a set. */
export function FD_SET(fd: number, set: FdSet): void {
	setFor(set, "FD_SET").set(fd);
}

/** Removes a descriptor from a set, as the macro in C. EFAULT for what is not a set. */
export function FD_CLR(fd: number, set: FdSet): void {
	setFor(set, "FD_CLR").clear(fd);
}

/** Whether a descriptor is in a set, as the macro in C. EFAULT for what is not a set. */
export function FD_ISSET(fd: number, set: FdSet): boolean {
	return setFor(set, "FD_ISSET").has(fd);
}

/** Empties a set, as the macro in C. EFAULT for what is not a set. */
export function FD_ZERO(set: FdSet): void {
	setFor(set, "FD_ZERO").zero();
}

/** Makes `to` equal to `from`, as the macro in C. EFAULT for what is not a set. */
export function FD_COPY(from: FdSet, to: FdSet): void {
	setFor(to, "FD_COPY").words = FdSet.wordsIn(setFor(from, "FD_COPY")).slice();
}

function setFor(set: FdSet, name: string): FdSet {
	if (!FdSet.isSet(set)) throw new SystemError(errno.EFAULT, name, `${show(set)} is not an FdSet`);
	return set;
}

// The names in a directory, each at a position of its own.
import { kassert, type Quota } from "@kqpoll/kqueue/kernel";
import { utf8Length } from "./path.ts";

/** The size of a directory is a multiple of this. */
const DIRBLKSIZ = 512;
/** The positions of "." and "..", which have no entry here, and of the first entry. */
export const DOT = 0;
export const DOTDOT = 12;
const FIRST = 24;
/** As many places of removed names are kept before the list of names is made shorter. */
const KEPT = 32;

/** A name in a directory, of a file of type T. */
export interface Entry<T> {
	/** The name. */
	readonly name: string;
	/** The file that has it; null once the name was removed. */
	vnode: T | null;
	/** Where the name is: smaller than the position of every name that was made after it. */
	readonly position: number;
	/** The position behind it. */
	readonly end: number;
	/** What the name is charged to. */
	readonly payer: Quota;
}

/** A name that is there. */
export interface Present<T> extends Entry<T> {
	/** The file that has it. */
	readonly vnode: T;
}

/**
 * The names in a directory. A name keeps its position until it is removed, so that a position stays
 * good for a reader while other names come and go: it leads to the first name that is there or
 * behind. Positions are bytes, as in the file system of OpenBSD.
 */
export class Directory<T> implements Iterable<readonly [string, T]> {
	private readonly names: Map<string, Entry<T>> = new Map();
	/** The entries by their positions, with some that were removed, but not as the last one. */
	private entries: Entry<T>[] = [];

	/** How many names there are, without "." and "..". */
	get count(): number {
		return this.names.size;
	}

	/** The size of the directory in bytes. */
	get size(): number {
		return Math.max(1, Math.ceil(this.end / DIRBLKSIZ)) * DIRBLKSIZ;
	}

	/** The position behind the last name. */
	private get end(): number {
		return this.entries.at(-1)?.end ?? FIRST;
	}

	/** The file that has a name, null if there is none. */
	get(name: string): T | null {
		return this.names.get(name)?.vnode ?? null;
	}

	/** What a name is charged to. */
	payerOf(name: string): Quota {
		return (this.names.get(name) as Entry<T>).payer;
	}

	/**
	 * Adds a name behind all others and charges it to `payer`; one that is there keeps its position
	 * and payer, and is of another file.
	 */
	set(name: string, vnode: T, payer: Quota): void {
		const there = this.names.get(name);
		if (there !== undefined) {
			there.vnode = vnode;
			return;
		}
		const position = this.end;
		const entry = { name, vnode, position, end: position + sizeOf(name), payer };
		payer.force(1);
		this.names.set(name, entry);
		this.entries.push(entry);
	}

	/** Removes a name. */
	delete(name: string): void {
		const entry = this.names.get(name);
		if (entry === undefined) return;
		entry.vnode = null;
		entry.payer.release(1);
		this.names.delete(name);
		while (this.entries.at(-1)?.vnode === null) this.entries.pop();
		if (this.entries.length > 2 * this.names.size + KEPT)
			this.entries = this.entries.filter(({ vnode }) => vnode !== null);
	}

	/** The names from a position on, and their files. */
	*from(position: number): Generator<Present<T>> {
		for (let i = this.indexOf(position); i < this.entries.length; i++) {
			const entry = this.entries[i] as Entry<T>;
			if (entry.vnode !== null) yield entry as Present<T>;
		}
	}

	/** All names and their files, in the order of their positions. */
	*[Symbol.iterator](): Generator<readonly [string, T]> {
		for (const { name, vnode } of this.from(FIRST)) yield [name, vnode];
	}

	/** For diagnostics: throws a Panic unless the names and their positions agree. */
	check(): void {
		let behind = FIRST;
		let count = 0;
		for (const { name, vnode, position, end } of this.entries) {
			kassert(position >= behind && end === position + sizeOf(name), "names do not overlap");
			behind = end;
			if (vnode === null) continue;
			count++;
			kassert(this.names.get(name)?.position === position, "a name has one position");
		}
		kassert(count === this.names.size, "every name has a position");
		kassert(this.entries.at(-1)?.vnode !== null, "the last position is that of a name");
	}

	/** The index of the first entry that is at a position or behind it. */
	private indexOf(position: number): number {
		let low = 0;
		let high = this.entries.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if ((this.entries[middle] as Entry<T>).position < position) low = middle + 1;
			else high = middle;
		}
		return low;
	}
}

/** How many bytes a name takes in a directory. */
function sizeOf(name: string): number {
	return 8 + ((utf8Length(name) + 4) & ~3);
}

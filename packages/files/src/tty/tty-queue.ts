// struct clist: a ring of characters, each of which may be quoted.
import { kassert } from "@kqpoll/kqueue/kernel";

/** The mark of a character that was typed after VLNEXT: it has no special function. */
export const TTY_QUOTE = 0x100;
/** The bits of the character itself. */
export const TTY_CHARMASK = 0xff;

/** How much room a queue begins with. */
const FIRST_ROOM = 128;

/** A queue of up to `limit` characters. Its memory grows by doubling, and only when it is used. */
export class TtyQueue {
	/** How many characters it may hold. */
	readonly limit: number;
	/** How many characters it holds. */
	count = 0;
	/** Changes with every character that comes or goes. */
	version = 0;
	/** How many characters from the first on are the same as when this was set to their count. */
	kept = 0;
	/** The same, for printing them again. */
	printed = 0;
	private cells: Uint16Array = new Uint16Array(0);
	/** Where the first character is in the memory. */
	private start = 0;

	/** Makes an empty queue. */
	constructor(limit: number) {
		this.limit = limit;
	}

	/** Appends a character. Returns false if there is no room. */
	put(c: number): boolean {
		if (this.count === this.limit) return false;
		if (this.count === this.cells.length) this.grow();
		this.cells[(this.start + this.count) % this.cells.length] = c;
		this.count++;
		this.version++;
		return true;
	}

	/** Removes the first character and returns it, -1 if there is none. */
	get(): number {
		if (this.count === 0) return -1;
		const c = this.cells[this.start] as number;
		this.count--;
		this.version++;
		this.kept = 0;
		this.printed = 0;
		this.start = this.count === 0 ? 0 : (this.start + 1) % this.cells.length;
		return c;
	}

	/** Removes the last character and returns it, -1 if there is none. */
	unput(): number {
		if (this.count === 0) return -1;
		this.count--;
		this.version++;
		if (this.kept > this.count) this.kept = this.count;
		if (this.printed > this.count) this.printed = this.count;
		return this.at(this.count);
	}

	/** Returns a character, counted from the first. */
	at(index: number): number {
		return this.cells[(this.start + index) % this.cells.length] as number;
	}

	/**
	 * Removes as many characters as there are and `to` has room for, and copies them without marks.
	 * Returns how many.
	 */
	read(to: Uint8Array): number {
		const n = Math.min(to.length, this.count);
		for (let i = 0; i < n; i++) to[i] = this.get();
		return n;
	}

	/** Appends characters without marks, which there is room for. */
	append(characters: Uint8Array): void {
		const total = this.count + characters.length;
		while (this.cells.length < total) this.grow();
		const { cells, start, count } = this;
		const at = cells.length === 0 ? 0 : (start + count) % cells.length;
		const first = Math.min(characters.length, cells.length - at);
		cells.set(characters.subarray(0, first), at);
		cells.set(characters.subarray(first), 0);
		this.count = total;
		this.version++;
	}

	/** Copies the characters from `index` on to a place in `to`, without marks. */
	copy(index: number, to: Uint8Array, place: number): void {
		for (let i = index; i < this.count; i++) to[place + i - index] = this.at(i);
	}

	/** Moves its characters to the end of another queue, as far as there is room. */
	moveTo(other: TtyQueue): void {
		for (let c = this.get(); c >= 0; c = this.get()) other.put(c);
	}

	/** Forgets all characters. */
	flush(): void {
		this.version++;
		this.kept = 0;
		this.printed = 0;
		this.count = 0;
		this.start = 0;
	}

	/** For diagnostics: throws a Panic unless its characters are within their limit, memory and `mask`. */
	check(mask: number): void {
		const { cells, count, limit, start } = this;
		kassert(count >= 0 && count <= limit, "a queue holds at most as much as its limit");
		kassert(count <= cells.length, "a queue has memory for its characters");
		for (const kept of [this.kept, this.printed])
			kassert(kept >= 0 && kept <= count, "characters that are kept are there");
		kassert(start >= 0 && (start === 0 || start < cells.length), "a queue begins in its memory");
		for (let i = 0; i < count; i++)
			kassert((this.at(i) & ~mask) === 0, "a queue's characters carry the marks they may");
	}

	private grow(): void {
		const { cells, count } = this;
		const grown = new Uint16Array(Math.min(this.limit, Math.max(FIRST_ROOM, cells.length * 2)));
		for (let i = 0; i < count; i++) grown[i] = this.at(i);
		this.cells = grown;
		this.start = 0;
	}
}

// struct uio: the buffers of a vectored transfer as one run of bytes, moved in pieces.
import { isIntact, viewOf } from "../abi/bytes.ts";
import { INT_MAX, IOV_MAX } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { copyin, lengthOfList } from "../abi/lists.ts";

/**
 * A file is asked for at most this many bytes at once: more than any message, line or buffer of the
 * engine has, so that only files whose bytes go on without a boundary see more than one piece.
 */
const PIECE = 4 * 1024 * 1024;

const NOTHING = new Uint8Array(0);

/** The buffers of one transfer, read once from the program's list. */
export class Uio {
	/** How many bytes they have in all. */
	readonly total: number;
	private readonly views: readonly Uint8Array[];
	/** How long each of them was: one that has another length now has lost its memory. */
	private readonly lengths: readonly number[];
	/** The bytes of a write that were gathered last, and the place of the first of them. */
	private piece: Uint8Array = NOTHING;
	private pieceAt = 0;

	/** Made by {@link uioOf}. */
	constructor(views: readonly Uint8Array[]) {
		this.views = views;
		this.lengths = views.map((view) => view.length);
		this.total = this.lengths.reduce((sum, length) => sum + length, 0);
	}

	/** Whether every buffer still has its memory. */
	private get isIntact(): boolean {
		return this.views.every((view, i) => isIntact(view, this.lengths[i] as number));
	}

	/** The only buffer that is not empty; null if there are several. */
	get single(): Uint8Array | null {
		const full = this.views.filter((view) => view.length > 0);
		return full.length > 1 ? null : (full[0] ?? NOTHING);
	}

	/**
	 * What is to be written from the byte `from` on, or the first piece of it; null when a buffer has
	 * lost its memory.
	 */
	rest(from: number): Uint8Array | null {
		const { piece, pieceAt, total } = this;
		if (from >= pieceAt + piece.length && from < total) return this.gather(from);
		return from === pieceAt ? piece : piece.subarray(from - pieceAt);
	}

	private gather(from: number): Uint8Array | null {
		const piece = new Uint8Array(Math.min(this.total - from, PIECE));
		const copied = this.each(from, piece.length, (view, at, start, end) =>
			piece.set(view.subarray(start, end), at),
		);
		if (!copied) return null;
		this.piece = piece;
		this.pieceAt = from;
		return piece;
	}

	/**
	 * Reads into the buffers, one piece after the other as long as each is filled. `read` is called
	 * with where the bytes of a piece arrive, and the place of the first of them; it returns a count
	 * or a negative errno, and so does this. Nothing is read for a buffer that has lost its memory.
	 */
	fill(read: (piece: Uint8Array, from: number) => number): number {
		let done = 0;
		while (done < this.total) {
			if (!this.isIntact) return done || -errno.EFAULT;
			const piece = new Uint8Array(Math.min(this.total - done, PIECE));
			const n = read(piece, done);
			if (!(n > 0)) return done || n;
			if (!this.scatter(piece, n, done)) return done || -errno.EFAULT;
			done += n;
			if (n < piece.length) break;
		}
		return done;
	}

	/** Writes from the buffers, one piece after the other, until `write` does not take all of one. */
	drain(write: (piece: Uint8Array, from: number) => number): number {
		let done = 0;
		while (done < this.total) {
			const piece = this.rest(done);
			if (piece === null) return done || -errno.EFAULT;
			const n = write(piece, done);
			if (!(n > 0)) return done || n;
			done += n;
			if (n < piece.length) break;
		}
		return done;
	}

	/** Copies the first `n` bytes of a piece to the buffers; false when one has lost its memory. */
	private scatter(piece: Uint8Array, n: number, from: number): boolean {
		return this.each(from, n, (view, at, start, end) =>
			view.set(piece.subarray(at, at + end - start), start),
		);
	}

	/**
	 * Calls `act` with the part of each buffer that has some of `n` bytes, and with where those begin
	 * among them. Returns false, at once, for a buffer that has lost its memory.
	 */
	private each(
		from: number,
		n: number,
		act: (view: Uint8Array, at: number, start: number, end: number) => void,
	): boolean {
		let begin = 0;
		for (let i = 0; i < this.views.length && begin < from + n; i++) {
			const view = this.views[i] as Uint8Array;
			const length = this.lengths[i] as number;
			const start = Math.max(0, from - begin);
			const end = Math.min(length, from + n - begin);
			if (start < end) {
				if (!isIntact(view, length)) return false;
				act(view, begin + start - from, start, end);
			}
			begin += length;
		}
		return true;
	}
}

/**
 * Reads a program's list of buffers, once: what becomes of the list later has no effect. Errors:
 * EFAULT for what is not an array of Uint8Arrays; EINVAL for more than IOV_MAX of them, and for more
 * than 2^31-1 bytes in all.
 */
export function uioOf(buffers: readonly Uint8Array[], name: string): Uio {
	const n = lengthOfList(buffers, name, "buffers");
	if (n > IOV_MAX)
		throw new SystemError(errno.EINVAL, name, `${n} buffers, the limit is ${IOV_MAX}`);
	const views: Uint8Array[] = [];
	for (let i = 0; i < n; i++) {
		const buffer = copyin(name, "buffers", () => buffers[i]);
		views.push(viewOf(buffer, name, `buffer ${i}`));
	}
	const uio = new Uio(views);
	if (uio.total > INT_MAX)
		throw new SystemError(errno.EINVAL, name, `${uio.total} bytes, the limit is ${INT_MAX}`);
	return uio;
}

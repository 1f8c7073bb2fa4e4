// The synthetic file: a descriptor that is as ready as it is told to be.
import {
	__EV_HUP,
	__EV_POLL,
	EV_EOF,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	FREAD,
	NOTE_LOWAT,
	NOTE_OOB,
} from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { show } from "../abi/values.ts";
import { File, type Stat } from "../file/file.ts";
import type { Thread } from "../process/thread.ts";
import { wakeup } from "../sched/sleep.ts";
import { WaitChannel } from "../sched/wait-channel.ts";
import { type Filterops, filterops } from "./filterops.ts";
import { vnodeEvent } from "./filters/vnode.ts";
import type { Knote } from "./knote.ts";
import { Klist } from "./notify.ts";

/** A side of a synthetic file: what READ, WRITE and EXCEPT look at. */
export type Side = "read" | "write" | "except";

/** What one side says. */
export interface Readiness {
	/** How many bytes there are, or how much room. Ready when there are some. */
	readonly data: number;
	/** End of file: ready for ever, with EV_EOF. */
	readonly eof: boolean;
	/** Hang-up, for poll; on the read and write sides together with eof. */
	readonly hup: boolean;
	/** With eof: what the event's fflags say, an errno for example. */
	readonly fflags: number;
}

/** What a synthetic file does besides being ready; all of it may be left out. */
export interface SyntheticFileOptions {
	/** A vnode takes VNODE filters and can be revoked. A socket unless given. */
	readonly type?: "socket" | "vnode";
	/** Reads into `buffer`: gives a count or a negative errno. Unless given: what was pushed. */
	readonly read?: (buffer: Uint8Array, file: SyntheticFile) => number;
	/** Writes from `buffer`: gives a count or a negative errno. Unless given, ENXIO. */
	readonly write?: (buffer: Uint8Array, file: SyntheticFile) => number;
	/** Does what a command asks: gives a result or a negative errno. */
	readonly ioctl?: (command: number, argument: unknown, file: SyntheticFile) => number;
	/** What fstat reports. */
	readonly stat?: () => Stat;
	/** Called when the last descriptor is gone. */
	readonly close?: (file: SyntheticFile) => void;
}

/** Most files are never pushed to, and share this. */
const NOTHING_PUSHED: Uint8Array[] = [];

function invalid(data: unknown, fflags: unknown): SystemError {
	return new SystemError(errno.EINVAL, "set", `data ${show(data)}, fflags ${show(fflags)}`);
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function unready(): Mutable<Readiness> {
	return { data: 0, eof: false, hup: false, fflags: 0 };
}

/**
 * The shortest way to emulate a descriptor: say how ready it is, and pollers know.
 *
 * ```ts
 * const bell = new SyntheticFile();
 * const fd = openFile(thread, bell);
 * bell.push(new Uint8Array([7])); // fd is readable, and a read gives the byte
 * ```
 */
export class SyntheticFile extends File {
	/** Who watches it. @internal */
	readonly klist: Klist = new Klist();
	private readonly options: SyntheticFileOptions;
	/** What the read side says, from the beginning on. @internal */
	readonly readSide: Mutable<Readiness> = unready();
	/** What the others say, once they say something. */
	private writeSide: Mutable<Readiness> | null = null;
	private exceptSide: Mutable<Readiness> | null = null;
	private denied: Record<Side | "vnode", number> | null = null;
	private chunks: Uint8Array[] = NOTHING_PUSHED;
	private readers: WaitChannel | null = null;
	private writers: WaitChannel | null = null;

	/** Makes a file that is not ready for anything. */
	constructor(options: SyntheticFileOptions = {}) {
		super(options.type ?? "socket");
		this.options = options;
	}

	/** What a side says, now and later: the same object is kept. */
	readiness(side: Side): Readiness {
		return this.side(side);
	}

	/** The same, for filters, and to be written. @internal */
	side(side: Side): Mutable<Readiness> {
		return side === "read" ? this.readSide : this.otherSide(side);
	}

	private otherSide(side: "write" | "except"): Mutable<Readiness> {
		if (side === "write") {
			this.writeSide ??= unready();
			return this.writeSide;
		}
		this.exceptSide ??= unready();
		return this.exceptSide;
	}

	/**
	 * Changes what a side says, as far as given, and tells who watches. A number is its `data`.
	 * EINVAL for what is no whole number.
	 */
	set(side: Side, readiness: number | Partial<Readiness>): void {
		this.setQuietly(side, readiness);
		const sleepers = side === "read" ? this.readers : side === "write" ? this.writers : null;
		if (sleepers !== null) wakeup(sleepers);
		this.klist.notify(0);
	}

	/** As {@link SyntheticFile.set} without telling anybody: noticed when somebody looks. */
	setQuietly(side: Side, readiness: number | Partial<Readiness>): void {
		const to = this.side(side);
		if (typeof readiness === "number") {
			if (!Number.isSafeInteger(readiness)) throw invalid(readiness, to.fflags);
			to.data = readiness;
			return;
		}
		const { data = to.data, eof = to.eof, hup = to.hup, fflags = to.fflags } = readiness;
		if (!Number.isSafeInteger(data) || !Number.isSafeInteger(fflags)) throw invalid(data, fflags);
		to.data = data;
		to.eof = eof;
		to.hup = hup;
		to.fflags = fflags;
	}

	/** Tells who watches that something happened: NOTE_ flags for VNODE filters. */
	notify(hint: number): void {
		this.klist.notify(hint);
	}

	/**
	 * Knotes that are added from now on fail with this errno, a positive one; 0 allows them again.
	 * EINVAL for another number.
	 */
	deny(side: Side | "vnode", error: number): void {
		if (!Number.isSafeInteger(error) || error < 0)
			throw new SystemError(errno.EINVAL, "deny", `errno ${show(error)}`);
		this.denied ??= { read: 0, write: 0, except: 0, vnode: 0 };
		this.denied[side] = error;
	}

	/** The object goes away: who watches gets end of file. */
	invalidate(): void {
		this.klist.invalidate();
	}

	/** The file system lets go of a vnode; nobody is told. EINVAL unless it is a vnode. */
	revoke(): void {
		if (this.type !== "vnode") throw new SystemError(errno.EINVAL, "revoke", "not a vnode");
		this.revoked = true;
	}

	/** Appends bytes to be read, and tells who watches. They are not copied. */
	push(bytes: Uint8Array): void {
		if (!(bytes instanceof Uint8Array))
			throw new SystemError(errno.EFAULT, "push", "the bytes are no Uint8Array");
		if (this.chunks === NOTHING_PUSHED) this.chunks = [];
		if (bytes.length > 0) this.chunks.push(bytes);
		this.set("read", this.readSide.data + bytes.length);
	}

	/** After what was pushed there will be no more: the reader gets end of file. */
	end(): void {
		this.set("read", { eof: true });
	}

	/** Takes what was pushed, unless the options say otherwise. */
	override read(_thread: Thread, buffer: Uint8Array): number {
		if (this.options.read !== undefined) return this.options.read(buffer, this);
		let done = 0;
		for (let chunk = this.chunks[0]; chunk !== undefined; chunk = this.chunks[0]) {
			const piece = chunk.subarray(0, buffer.length - done);
			buffer.set(piece, done);
			done += piece.length;
			if (piece.length < chunk.length) {
				this.chunks[0] = chunk.subarray(piece.length);
				break;
			}
			this.chunks.shift();
		}
		const { data, eof } = this.readSide;
		this.setQuietly("read", data - done);
		return done > 0 || eof || buffer.length === 0 ? done : -errno.EAGAIN;
	}

	/** As the options say. */
	override write(thread: Thread, buffer: Uint8Array, whole: number): number {
		return this.options.write?.(buffer, this) ?? super.write(thread, buffer, whole);
	}

	/** Reads and writes that found the file not ready wait until it is told otherwise. */
	override channel(mode: number): WaitChannel {
		if (mode === FREAD) {
			this.readers ??= new WaitChannel();
			return this.readers;
		}
		this.writers ??= new WaitChannel();
		return this.writers;
	}

	/** As the options say. */
	override ioctl(thread: Thread, command: number, argument: unknown): number {
		return this.options.ioctl?.(command, argument, this) ?? super.ioctl(thread, command, argument);
	}

	/** As the options say. */
	override stat(): Stat {
		return this.options.stat?.() ?? super.stat();
	}

	/** As the options say. */
	override close(): void {
		this.options.close?.(this);
	}

	/** Joins a knote to this file. */
	override kqfilter(kn: Knote): number {
		const error = this.refusal(kn.filter);
		if (error !== 0) return error;
		if (kn.filter === EVFILT_VNODE) kn.fop = vnodeFiltops;
		else if (kn.filter === EVFILT_EXCEPT) kn.fop = exceptFiltops;
		else kn.fop = kn.filter === EVFILT_READ ? readFiltops : writeFiltops;
		this.klist.insert(kn);
		return 0;
	}

	private refusal(filter: number): number {
		const { denied } = this;
		switch (filter) {
			case EVFILT_READ:
				return denied?.read ?? 0;
			case EVFILT_WRITE:
				return denied?.write ?? 0;
			case EVFILT_EXCEPT:
				return denied?.except ?? 0;
			case EVFILT_VNODE:
				return denied?.vnode || (this.type === "vnode" ? 0 : errno.EINVAL);
			default:
				return errno.EINVAL;
		}
	}
}

function fileOf(kn: Knote): SyntheticFile {
	return kn.fp as SyntheticFile;
}

function transferEvent(kn: Knote, side: Readiness): boolean {
	const { data } = side;
	kn.data = data;
	if (side.eof !== false) return endOfFile(kn, side);
	kn.flags &= ~EV_EOF;
	return data >= ((kn.sfflags & NOTE_LOWAT) !== 0 ? kn.sdata : 1);
}

function endOfFile(kn: Knote, side: Readiness): boolean {
	kn.flags |= EV_EOF;
	if ((kn.flags & __EV_POLL) !== 0) {
		if (side.hup) kn.flags |= __EV_HUP;
		else kn.flags &= ~__EV_HUP;
	}
	kn.fflags = side.fflags;
	return true;
}

function exceptEvent(kn: Knote): boolean {
	const side = fileOf(kn).side("except");
	let active = false;
	if ((kn.sfflags & NOTE_OOB) !== 0 && side.data > 0) {
		kn.fflags |= NOTE_OOB;
		kn.data = side.data;
		active = true;
	}
	if ((kn.flags & __EV_POLL) !== 0 && side.hup) {
		kn.flags |= __EV_HUP;
		active = true;
	}
	return active;
}

const readFiltops: Filterops = filterops({
	name: "read",
	mpsafe: true,
	event: (kn) => transferEvent(kn, fileOf(kn).readSide),
});
const writeFiltops: Filterops = filterops({
	name: "write",
	mpsafe: true,
	event: (kn) => transferEvent(kn, fileOf(kn).side("write")),
});
const exceptFiltops: Filterops = filterops({ name: "except", mpsafe: true, event: exceptEvent });
const vnodeFiltops: Filterops = filterops({ name: "vnode", mpsafe: true, event: vnodeEvent });

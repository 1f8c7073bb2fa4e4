// The synthetic file: a file whose readiness is set by its owner.

import { viewOf } from "../abi/bytes.ts";
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
import { copyin } from "../abi/lists.ts";
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

/** The readiness of one side. */
export interface Readiness {
	/** How many bytes there are, or there is room for. Ready when it is above 0. */
	readonly data: number;
	/** End of file: always ready, with EV_EOF. */
	readonly eof: boolean;
	/** Hang-up, for poll; on the read and write sides together with eof. */
	readonly hup: boolean;
	/** With eof: the fflags of the event, an errno for example. */
	readonly fflags: number;
}

/** What else a synthetic file does. All of it may be left out. */
export interface SyntheticFileOptions {
	/** A vnode allows VNODE filters and can be revoked. A socket by default. */
	readonly type?: "socket" | "vnode";
	/**
	 * Reads into `buffer`: returns a count or a negative errno. By default it reads what was pushed.
	 */
	readonly read?: (buffer: Uint8Array, file: SyntheticFile) => number;
	/** Writes from `buffer`: returns a count or a negative errno. By default ENXIO. */
	readonly write?: (buffer: Uint8Array, file: SyntheticFile) => number;
	/** Does what a command asks: returns a result or a negative errno. By default ENOTTY. */
	readonly ioctl?: (command: number, argument: unknown, file: SyntheticFile) => number;
	/** What fstat reports. */
	readonly stat?: () => Stat;
	/** Called when nothing refers to the file any more. */
	readonly close?: (file: SyntheticFile) => void;
}

const EMPTY: Uint8Array = new Uint8Array(0);
/** Shared by all files that nothing was pushed to. */
const NOTHING_PUSHED: Uint8Array[] = [];

function invalid(data: unknown, fflags: unknown): SystemError {
	return new SystemError(
		errno.EINVAL,
		"set",
		`data ${show(data)} or fflags ${show(fflags)} is not a whole number`,
	);
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function unready(): Mutable<Readiness> {
	return { data: 0, eof: false, hup: false, fflags: 0 };
}

/**
 * The shortest way to emulate a descriptor: set how ready it is, and sleepers and watchers are
 * told.
 *
 * ```ts
 * const bell = new SyntheticFile();
 * const fd = openFile(thread, bell);
 * bell.push(new Uint8Array([7])); // fd is readable, and a read returns the byte
 * ```
 */
export class SyntheticFile extends File {
	/** The knotes that watch it. @internal */
	readonly klist: Klist = new Klist();
	private readonly options: SyntheticFileOptions;
	/** The readiness of the read side, which every file has. @internal */
	readonly readSide: Mutable<Readiness> = unready();
	/** The readiness of the other sides, null until it is used. */
	private writeSide: Mutable<Readiness> | null = null;
	private exceptSide: Mutable<Readiness> | null = null;
	private denied: Record<Side | "vnode", number> | null = null;
	private chunks: Uint8Array[] = NOTHING_PUSHED;
	/** How many of the chunks have been read. */
	private consumed = 0;
	private readers: WaitChannel | null = null;
	private writers: WaitChannel | null = null;

	/** Makes a file that is not ready for anything. EFAULT for options that are not an object. */
	constructor(options: SyntheticFileOptions = {}) {
		super(copyin("SyntheticFile", "options", () => options.type) ?? "socket");
		this.options = options;
	}

	/** The readiness of a side. It is always the same object, which changes with the file. */
	readiness(side: Side): Readiness {
		return this.side(side);
	}

	/** The same object, for filters and to be changed. @internal */
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
	 * Sets the fields of `readiness` for a side, then wakes sleepers and notifies watchers. A number
	 * is its `data`. EINVAL for what is not a whole number.
	 */
	set(side: Side, readiness: number | Partial<Readiness>): void {
		this.setQuietly(side, readiness);
		const sleepers = side === "read" ? this.readers : side === "write" ? this.writers : null;
		if (sleepers !== null) wakeup(sleepers);
		this.klist.notify(0);
	}

	/**
	 * As {@link SyntheticFile.set}, without waking or notifying: filters see it when they are asked
	 * next.
	 */
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

	/** Notifies watchers that something happened: NOTE_ flags for VNODE filters. */
	notify(hint: number): void {
		this.klist.notify(hint);
	}

	/**
	 * From now on, adding a knote for this side fails with this errno, a positive one; 0 allows it
	 * again. EINVAL for other values.
	 */
	deny(side: Side | "vnode", error: number): void {
		if (!Number.isSafeInteger(error) || error < 0)
			throw new SystemError(errno.EINVAL, "deny", `${show(error)} is not an errno or 0`);
		this.denied ??= { read: 0, write: 0, except: 0, vnode: 0 };
		this.denied[side] = error;
	}

	/**
	 * The object goes away: watchers get end of file. Those that come later see the sides as they are:
	 * set their `eof` as well.
	 */
	invalidate(): void {
		this.klist.invalidate();
	}

	/** Revokes a vnode, without waking or notifying. EINVAL if it is not a vnode. */
	revoke(): void {
		if (this.type !== "vnode")
			throw new SystemError(errno.EINVAL, "revoke", "the file is not a vnode");
		this.revoked = true;
	}

	/**
	 * Appends bytes to be read, then wakes sleepers and notifies watchers. The bytes are not copied.
	 */
	push(bytes: Uint8Array): void {
		const view = viewOf(bytes, "push", "bytes");
		if (this.chunks === NOTHING_PUSHED) this.chunks = [];
		if (view.length > 0) this.chunks.push(view);
		this.set("read", this.readSide.data + view.length);
	}

	/** Ends what is pushed: after the last byte readers get end of file. */
	end(): void {
		this.set("read", { eof: true });
	}

	/** Reads what was pushed, or calls the `read` of the options. */
	override read(_thread: Thread, buffer: Uint8Array): number {
		if (this.options.read !== undefined) return this.options.read(buffer, this);
		const done = this.take(buffer);
		const { data, eof } = this.readSide;
		this.setQuietly("read", data - done);
		return done > 0 || eof || buffer.length === 0 ? done : -errno.EAGAIN;
	}

	/** Moves what was pushed, as much as fits. */
	private take(buffer: Uint8Array): number {
		const { chunks } = this;
		let done = 0;
		while (this.consumed < chunks.length) {
			const chunk = chunks[this.consumed] as Uint8Array;
			const piece = chunk.subarray(0, buffer.length - done);
			buffer.set(piece, done);
			done += piece.length;
			if (piece.length < chunk.length) {
				chunks[this.consumed] = chunk.subarray(piece.length);
				break;
			}
			chunks[this.consumed++] = EMPTY;
		}
		if (2 * this.consumed >= chunks.length) this.forget();
		return done;
	}

	/** Removes the chunks that were read: many at a time, as those that are left have to be moved. */
	private forget(): void {
		const { chunks, consumed } = this;
		if (consumed === chunks.length) chunks.length = 0;
		else if (consumed > 0) chunks.splice(0, consumed);
		this.consumed = 0;
	}

	/** Calls the `write` of the options. */
	override write(thread: Thread, buffer: Uint8Array, whole: number): number {
		return this.options.write?.(buffer, this) ?? super.write(thread, buffer, whole);
	}

	/** What reads and writes sleep on that found the file not ready; `set` wakes them. */
	override channel(mode: number): WaitChannel {
		if (mode === FREAD) {
			this.readers ??= new WaitChannel();
			return this.readers;
		}
		this.writers ??= new WaitChannel();
		return this.writers;
	}

	/** Calls the `ioctl` of the options. */
	override ioctl(thread: Thread, command: number, argument: unknown): number {
		return this.options.ioctl?.(command, argument, this) ?? super.ioctl(thread, command, argument);
	}

	/** Calls the `stat` of the options. */
	override stat(): Stat {
		return this.options.stat?.() ?? super.stat();
	}

	/** Calls the `close` of the options. */
	override close(): void {
		this.options.close?.(this);
	}

	/** Attaches a knote to this file. */
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

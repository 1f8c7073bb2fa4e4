// A naive kqueue to compare the engine with, written from the semantics and not from the engine.
import {
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EV_ERROR,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	errnoName,
	type KeventChange,
	NOTE_LOWAT,
} from "../../src/index.ts";
import { type ErrnoName, EV_SYSFLAGS, EVFILT_AIO, EVFILT_SYSCOUNT } from "../../src/kernel.ts";
import type { Fields } from "../machine.ts";

const INT_MAX = 0x7fffffff;

/** A side of a file. */
export interface ModelSide {
	readonly data: number;
	readonly eof: boolean;
	readonly fflags: number;
}

export type SideName = "read" | "write";

/** An open file: two sides, the errors of knotes on them, and its watchers, oldest first. */
export class ModelFile {
	readonly sides: Record<SideName, ModelSide> = {
		read: { data: 0, eof: false, fflags: 0 },
		write: { data: 0, eof: false, fflags: 0 },
	};
	readonly denied: Record<SideName, number> = { read: 0, write: 0 };
	watchers: ModelKnote[] = [];
}

/** A registration: what was asked for, and what would be reported. */
export interface ModelKnote {
	readonly kq: ModelKqueue;
	readonly file: ModelFile;
	readonly ident: number;
	readonly filter: number;
	asked: { fflags: number; data: number };
	flags: number;
	fflags: number;
	data: number;
	udata: unknown;
	disabled: boolean;
}

/** A queue: its knotes, and those of them that are ready, in the order in which they became so. */
export class ModelKqueue {
	knotes: ModelKnote[] = [];
	ready: ModelKnote[] = [];
}

/** The outcome of a kevent: its result, or the name of its error, and the entries it wrote. */
export interface Outcome {
	readonly result: number | ErrnoName | "E?";
	readonly events: Fields[];
}

/** The outcome of one change. */
interface Applied {
	readonly error: number;
	/** Whether it made a knote, or tried to and the file refused: then the entry has no fflags. */
	readonly created: boolean;
}

/** A process with one descriptor table. */
export class ModelWorld {
	readonly table: Map<number, ModelFile | ModelKqueue> = new Map();

	/** Opens something at the lowest free number. */
	open(object: ModelFile | ModelKqueue): number {
		let fd = 0;
		while (this.table.has(fd)) fd++;
		this.table.set(fd, object);
		return fd;
	}

	/** The file of a descriptor. */
	file(fd: number): ModelFile | null {
		const object = this.table.get(fd);
		return object instanceof ModelFile ? object : null;
	}

	/** The queue of a descriptor. */
	kqueue(fd: number): ModelKqueue | null {
		const object = this.table.get(fd);
		return object instanceof ModelKqueue ? object : null;
	}

	/** Duplicates a descriptor; null if it is not open. */
	dup(fd: number): number | null {
		const object = this.table.get(fd);
		return object === undefined ? null : this.open(object);
	}

	/** Makes `to` a duplicate of `fd`, and closes what it was before. */
	dup2(fd: number, to: number): number | null {
		const object = this.table.get(fd);
		if (object === undefined) return null;
		if (fd === to) return to;
		this.close(to);
		this.table.set(to, object);
		return to;
	}

	/** Closes a descriptor: its knotes vanish, and a queue vanishes with all of its knotes. */
	close(fd: number): boolean {
		const object = this.table.get(fd);
		if (object === undefined) return false;
		this.table.delete(fd);
		for (const other of this.table.values()) {
			if (!(other instanceof ModelKqueue)) continue;
			for (const kn of other.knotes.filter(({ ident }) => ident === fd)) drop(kn);
		}
		if (object instanceof ModelKqueue && ![...this.table.values()].includes(object)) {
			for (const kn of [...object.knotes]) drop(kn);
		}
		return true;
	}

	/** Changes a side of a file; with `quietly` nothing is notified. */
	set(file: ModelFile, name: SideName, change: Partial<ModelSide>, quietly: boolean): void {
		file.sides[name] = { ...file.sides[name], ...change };
		if (quietly) return;
		for (const kn of [...file.watchers].reverse()) if (isActive(kn)) activate(kn);
	}

	/** Applies changes, then collects up to `room` events. */
	kevent(fd: number, changes: readonly KeventChange[], room: number): Outcome {
		const kq = this.kqueue(fd);
		if (kq === null) return { result: "EBADF", events: [] };
		const events: Fields[] = [];
		for (const change of changes) {
			const { error, created } = this.apply(kq, change);
			if (error === 0 && (change.flags & EV_RECEIPT) === 0) continue;
			if (events.length === room) return { result: error === 0 ? 0 : errnoName(error), events };
			const { ident, filter, fflags = 0, udata = null } = change;
			events.push([ident, filter, EV_ERROR, created ? 0 : fflags >>> 0, error, udata]);
		}
		if (events.length === 0) scan(kq, room, events);
		return { result: events.length, events };
	}

	private apply(kq: ModelKqueue, change: KeventChange): Applied {
		const { ident, filter, fflags = 0, data = 0, udata = null } = change;
		const flags = change.flags & ~EV_SYSFLAGS;
		const failed = (error: number, created = false): Applied => ({ error, created });
		if (filter < -EVFILT_SYSCOUNT || filter >= 0 || filter === EVFILT_AIO) {
			return failed(errno.EINVAL);
		}
		if (ident > INT_MAX) return failed(errno.EBADF);
		const file = this.file(ident);
		if (file === null) return failed(errno.EBADF);

		let kn = kq.knotes.find((it) => it.ident === ident && it.filter === filter);
		let created = false;
		if (kn === undefined) {
			if ((flags & EV_ADD) === 0) return failed(errno.ENOENT);
			const error = refusal(file, filter);
			if (error !== 0) return failed(error, true);
			const asked = { fflags, data };
			kn = { kq, file, ident, filter, asked, flags, fflags: 0, data: 0, udata, disabled: false };
			created = true;
			kq.knotes.push(kn);
			file.watchers.push(kn);
			if (isActive(kn)) activate(kn);
		} else if ((flags & EV_ADD) !== 0) {
			kn.asked = { fflags, data };
			kn.udata = udata;
			if (isActive(kn)) activate(kn);
		} else if ((flags & EV_DELETE) !== 0) {
			drop(kn);
			return { error: 0, created };
		}

		if ((flags & EV_DISABLE) !== 0) kn.disabled = true;
		if ((flags & EV_ENABLE) !== 0 && kn.disabled) {
			kn.disabled = false;
			if (isActive(kn)) activate(kn);
		}
		return { error: 0, created };
	}
}

/** The errno with which a file of type socket refuses a new knote, 0 if it does not. */
function refusal(file: ModelFile, filter: number): number {
	if (filter === EVFILT_READ) return file.denied.read;
	if (filter === EVFILT_WRITE) return file.denied.write;
	return errno.EINVAL;
}

/** Whether there is an event; updates what would be reported. */
function isActive(kn: ModelKnote): boolean {
	const side = kn.file.sides[kn.filter === EVFILT_READ ? "read" : "write"];
	kn.data = side.data;
	if (side.eof) {
		kn.flags |= EV_EOF;
		kn.fflags = side.fflags;
		return true;
	}
	kn.flags &= ~EV_EOF;
	const mark = (kn.asked.fflags & NOTE_LOWAT) !== 0 ? kn.asked.data : 1;
	return side.data >= mark;
}

function activate(kn: ModelKnote): void {
	if (!kn.disabled && !kn.kq.ready.includes(kn)) kn.kq.ready.push(kn);
}

function drop(kn: ModelKnote): void {
	kn.kq.knotes = kn.kq.knotes.filter((it) => it !== kn);
	kn.kq.ready = kn.kq.ready.filter((it) => it !== kn);
	kn.file.watchers = kn.file.watchers.filter((it) => it !== kn);
}

/** Delivers the events of the knotes that are ready now, each at most once. */
function scan(kq: ModelKqueue, room: number, events: Fields[]): void {
	for (const kn of [...kq.ready]) {
		if (events.length === room) return;
		kq.ready = kq.ready.filter((it) => it !== kn);
		if (kn.disabled) continue;
		const has = (flag: number): boolean => (kn.flags & flag) !== 0;
		// A oneshot knote is delivered as it is, even if its condition no longer holds.
		if (!has(EV_ONESHOT) && !isActive(kn)) continue;
		events.push([kn.ident, kn.filter, kn.flags, kn.fflags, kn.data, kn.udata]);
		if (has(EV_CLEAR)) {
			kn.fflags = 0;
			kn.data = 0;
		}
		if (has(EV_ONESHOT)) drop(kn);
		else if (has(EV_DISPATCH)) kn.disabled = true;
		else if (!has(EV_CLEAR)) kq.ready.push(kn);
	}
}

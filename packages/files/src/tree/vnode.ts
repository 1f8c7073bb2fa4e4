// struct vnode: a regular file, a directory or a fifo, which names and open files refer to.
import {
	errno,
	NOTE_ATTRIB,
	NOTE_EXTEND,
	NOTE_REVOKE,
	NOTE_TRUNCATE,
	NOTE_WRITE,
} from "@kqpoll/kqueue";
import { doAll, Klist } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFIFO, type Stat } from "@kqpoll/kqueue/stat";
import type { Fifo } from "./fifo.ts";
import { Bytes } from "./vnode-bytes.ts";

/** The size of a directory, however many entries it has. */
const DIRBLKSIZ = 512;

/** What stat and fstat return for a file of a tree. */
export interface VnodeStat extends Stat {
	/** Its number, which no other file of the tree has had. */
	readonly ino: number;
	/** How many names it has; a directory's include "." in it and ".." in the directories in it. */
	readonly nlink: number;
	/** When it was read last, on the clock of the reader's host, in nanoseconds. */
	readonly atime: number;
	/** When it was written last. */
	readonly mtime: number;
	/** When it, its names or its attributes changed last. */
	readonly ctime: number;
}

/** A regular file, a directory or a fifo. */
export class Vnode {
	/** Its number. */
	readonly ino: number;
	/** What it is: S_IFREG, S_IFDIR or S_IFIFO. */
	readonly type: number;
	/** What a directory holds, by name; null for others. */
	readonly entries: Map<string, Vnode> | null;
	/** What a regular file holds; empty for others. */
	readonly bytes: Bytes = new Bytes();
	/** Of a directory: the one that holds it, itself for the root. */
	parent: Vnode = this;
	/** The permission bits. They are never checked: every process is root's. */
	permissions: number;
	/** How many names it has. */
	nlink: number;
	/** When it was read last, in nanoseconds. */
	atime: number;
	/** When it was written last, in nanoseconds. */
	mtime: number;
	/** When anything about it changed last, in nanoseconds. */
	ctime: number;
	/** Its watchers. When it is revoked it gets a new list, for those that come later. */
	klist: Klist = new Klist();
	/** The bytes and the ends of a fifo while it is open, else null. */
	fifo: Fifo | null = null;

	/** Makes one without a name. */
	constructor(ino: number, type: number, permissions: number, now: number) {
		this.ino = ino;
		this.type = type;
		this.entries = type === S_IFDIR ? new Map() : null;
		this.permissions = permissions;
		this.nlink = this.isDirectory ? 1 : 0;
		this.atime = now;
		this.mtime = now;
		this.ctime = now;
	}

	/** Whether it is a directory. */
	get isDirectory(): boolean {
		return this.type === S_IFDIR;
	}

	/** Its size in bytes, 0 for a fifo. */
	get size(): number {
		return this.isDirectory ? DIRBLKSIZ : this.bytes.size;
	}

	/** What stat returns. */
	stat(): VnodeStat {
		const { ino, nlink, atime, mtime, ctime } = this;
		const mode = this.type | this.permissions;
		return { mode, size: this.size, blksize: 16384, ino, nlink, atime, mtime, ctime };
	}

	/** Notifies watchers of NOTE_ flags. */
	post(note: number): void {
		this.klist.notify(note);
	}

	/**
	 * Writes at an offset and notifies watchers. Returns how many bytes, or a negative errno with
	 * nothing done: EFBIG beyond `limit`, ENOSPC without enough memory.
	 */
	write(offset: number, from: Uint8Array, limit: number, now: number): number {
		if (from.length === 0) return 0;
		const before = this.size;
		if (offset + from.length > limit) return -errno.EFBIG;
		if (!this.bytes.write(offset, from)) return -errno.ENOSPC;
		this.mtime = now;
		this.ctime = now;
		this.post(this.size > before ? NOTE_WRITE | NOTE_EXTEND : NOTE_WRITE);
		return from.length;
	}

	/**
	 * Cuts a regular file, or adds zeros, and notifies watchers; nothing happens to a fifo. Returns
	 * 0, or a negative errno: EISDIR, EINVAL for what is not a size, EFBIG beyond `limit`, ENOSPC
	 * without enough memory.
	 */
	truncate(size: number, limit: number, now: number): number {
		if (!Number.isSafeInteger(size) || size < 0) return -errno.EINVAL;
		if (this.isDirectory) return -errno.EISDIR;
		if (this.type === S_IFIFO) return 0;
		if (size > limit) return -errno.EFBIG;
		const before = this.size;
		if (!this.bytes.resize(size)) return -errno.ENOSPC;
		this.mtime = now;
		this.ctime = now;
		// As in OpenBSD, there is no NOTE_EXTEND when it grows this way.
		this.post(size < before ? NOTE_ATTRIB | NOTE_TRUNCATE : NOTE_ATTRIB);
		return 0;
	}

	/** Tells watchers and sleepers that it is revoked. The open files have been marked already. */
	revoke(): void {
		const { klist, fifo } = this;
		this.klist = new Klist();
		this.fifo = null;
		doAll(
			() => klist.notify(NOTE_REVOKE),
			() => fifo?.revoke(),
		);
	}

	/** Adds a name to a directory. */
	enter(name: string, vnode: Vnode, now: number): void {
		this.entries?.set(name, vnode);
		this.mtime = now;
		this.ctime = now;
		vnode.nlink++;
		vnode.ctime = now;
		if (!vnode.isDirectory) return;
		vnode.parent = this;
		this.nlink++;
	}

	/** Removes a name from a directory. */
	leave(name: string, vnode: Vnode, now: number): void {
		this.entries?.delete(name);
		this.mtime = now;
		this.ctime = now;
		vnode.nlink--;
		vnode.ctime = now;
		if (vnode.isDirectory) this.nlink--;
	}
}

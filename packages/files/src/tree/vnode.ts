// struct vnode: a regular file, a directory or a fifo, whatever it is called and whoever has it open.
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

/** What stat and fstat give for what is in a tree. */
export interface VnodeStat extends Stat {
	/** Its number, which no other file of the tree has had. */
	readonly ino: number;
	/** How many names it has; for a directory, counting "." in it and ".." in those below. */
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
	/** The permission bits. Nobody checks them: every process is root's. */
	permissions: number;
	/** How many names it has. */
	nlink: number;
	/** When it was read last, in nanoseconds. */
	atime: number;
	/** When it was written last, in nanoseconds. */
	mtime: number;
	/** When anything about it changed last, in nanoseconds. */
	ctime: number;
	/** Who watches it. Once it is revoked, those who come later are on a list of their own. */
	klist: Klist = new Klist();
	/** What is under way in a fifo while anybody has it open, else null. */
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

	/** What stat gives. */
	stat(): VnodeStat {
		const { ino, nlink, atime, mtime, ctime } = this;
		const mode = this.type | this.permissions;
		return { mode, size: this.size, blksize: 16384, ino, nlink, atime, mtime, ctime };
	}

	/** Tells who watches: NOTE_ flags. */
	post(note: number): void {
		this.klist.notify(note);
	}

	/**
	 * Writes at an offset and tells who watches; gives how many bytes, or a negative errno with
	 * nothing done: EFBIG beyond `limit`, ENOSPC when memory is short.
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
	 * Cuts a regular file, or adds zeros, and tells who watches; gives 0, also for a fifo, to which
	 * nothing happens, or a negative errno: EISDIR, EINVAL for what is no size, EFBIG beyond `limit`,
	 * ENOSPC when memory is short.
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
		// As in OpenBSD, growing this way is no NOTE_EXTEND.
		this.post(size < before ? NOTE_ATTRIB | NOTE_TRUNCATE : NOTE_ATTRIB);
		return 0;
	}

	/** Tells those who watched that it is revoked; the open files have been marked already. */
	revoke(): void {
		const { klist, fifo } = this;
		this.klist = new Klist();
		this.fifo = null;
		doAll(
			() => klist.notify(NOTE_REVOKE),
			() => fifo?.revoke(),
		);
	}

	/** Puts a name into a directory. */
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

	/** Takes a name out of a directory. */
	leave(name: string, vnode: Vnode, now: number): void {
		this.entries?.delete(name);
		this.mtime = now;
		this.ctime = now;
		vnode.nlink--;
		vnode.ctime = now;
		if (vnode.isDirectory) this.nlink--;
	}
}

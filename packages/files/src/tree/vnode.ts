// struct vnode: a regular file, directory, fifo or symbolic link, which names and open files refer to.
import {
	errno,
	NOTE_ATTRIB,
	NOTE_EXTEND,
	NOTE_REVOKE,
	NOTE_TRUNCATE,
	NOTE_WRITE,
} from "@kqpoll/kqueue";
import { doAll, Klist, type Quota } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFIFO, S_IFLNK } from "@kqpoll/kqueue/stat";
import { Directory } from "./directory.ts";
import type { Fifo } from "./fifo.ts";
import { utf8Length } from "./path.ts";
import type { Share } from "./share.ts";
import { Bytes } from "./vnode-bytes.ts";
import type { VnodeStat } from "./vnode-stat.ts";

/** A regular file, a directory, a fifo or a symbolic link. */
export class Vnode {
	/** Its number. */
	readonly ino: number;
	/** What it is: S_IFREG, S_IFDIR, S_IFIFO or S_IFLNK. */
	readonly type: number;
	/** What a directory holds, by name; null for others. */
	readonly entries: Directory<Vnode> | null;
	/** What a regular file holds; empty for others. */
	readonly bytes: Bytes = new Bytes();
	/** Of a symbolic link: the path that it leads to; empty for others. */
	target = "";
	/** Of a directory: the one that holds it, itself for the root. */
	parent: Vnode = this;
	/**
	 * Of a directory: at least how many there are from it down to the deepest one in it, both counted;
	 * more after the deepest one was removed, until they are counted again. More than that of each
	 * directory in it.
	 */
	height = 1;
	/** The permission bits. They are never checked: every process is root's. */
	permissions: number;
	/** The number of the user whose it is. */
	uid = 0;
	/** The number of its group. */
	gid = 0;
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
	/** How many open files there are of it. */
	opens = 0;
	/** What its bytes are charged to: the share of the account that made it. */
	private readonly payer: Share;
	/** The bytes and the ends of a fifo while it is open, else null. */
	fifo: Fifo | null = null;

	/** Makes one without a name. */
	constructor(ino: number, type: number, permissions: number, now: number, payer: Share) {
		this.ino = ino;
		this.payer = payer;
		this.type = type;
		this.entries = type === S_IFDIR ? new Directory() : null;
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

	/** Whether it is a symbolic link. */
	get isLink(): boolean {
		return this.type === S_IFLNK;
	}

	/** Whether it is a directory without a name. There is nothing in it, not even "." and "..". */
	get isRemoved(): boolean {
		return this.isDirectory && this.nlink === 0;
	}

	/** Its size in bytes: that of its path for a link, 0 for a fifo and a removed directory. */
	get size(): number {
		if (this.isRemoved) return 0;
		return this.entries?.size ?? (this.isLink ? utf8Length(this.target) : this.bytes.size);
	}

	/** What stat returns; `dev` is the number of the tree. */
	stat(dev: number): VnodeStat {
		const { size, ino, nlink, uid, gid, atime, mtime, ctime } = this;
		const mode = this.type | this.permissions;
		return { mode, size, blksize: 16384, dev, ino, nlink, uid, gid, atime, mtime, ctime };
	}

	/** Notifies watchers of NOTE_ flags. */
	post(note: number): void {
		this.klist.notify(note);
	}

	/**
	 * Writes at an offset and notifies watchers. Returns how many bytes, or a negative errno with
	 * nothing done: EFBIG beyond `limit`, ENOSPC without enough memory or beyond a limit of the tree.
	 */
	write(offset: number, from: Uint8Array, limit: number, now: number): number {
		if (from.length === 0) return 0;
		const before = this.size;
		if (offset + from.length > limit) return -errno.EFBIG;
		if (!this.makeRoom(offset + from.length)) return -errno.ENOSPC;
		this.bytes.write(offset, from);
		this.mtime = now;
		this.ctime = now;
		this.post(this.size > before ? NOTE_WRITE | NOTE_EXTEND : NOTE_WRITE);
		return from.length;
	}

	/**
	 * Cuts a regular file, or adds zeros, and notifies watchers; nothing happens to a fifo. Returns
	 * 0, or a negative errno: EISDIR, EINVAL for what is not a size, EFBIG beyond `limit`, ENOSPC
	 * without enough memory or beyond a limit of the tree.
	 */
	truncate(size: number, limit: number, now: number): number {
		if (!Number.isSafeInteger(size) || size < 0) return -errno.EINVAL;
		if (this.isDirectory) return -errno.EISDIR;
		if (this.type === S_IFIFO) return 0;
		if (size > limit) return -errno.EFBIG;
		const before = this.size;
		if (!this.makeRoom(size)) return -errno.ENOSPC;
		if (size < before) this.payer.bytes.release(before - size);
		this.bytes.resize(size);
		this.mtime = now;
		this.ctime = now;
		// As in OpenBSD, there is no NOTE_EXTEND when it grows this way.
		this.post(size < before ? NOTE_ATTRIB | NOTE_TRUNCATE : NOTE_ATTRIB);
		return 0;
	}

	/** Charges what a size needs, and makes room for it. Returns false if that is not possible. */
	private makeRoom(size: number): boolean {
		const more = size - this.bytes.size;
		if (more <= 0) return true;
		if (!this.payer.bytes.charge(more)) return false;
		if (this.bytes.reserve(size)) return true;
		this.payer.bytes.release(more);
		return false;
	}

	/** Lets the bytes go when it has neither a name nor an open file any more. */
	discard(): void {
		if (this.nlink > 0 || this.opens > 0) return;
		this.payer.bytes.release(this.bytes.size);
		this.bytes.resize(0);
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

	/**
	 * Adds a name to a directory, charged to `payer`; a name that is there will be of another file,
	 * after {@link forget}.
	 */
	enter(name: string, vnode: Vnode, now: number, payer: Quota): void {
		this.entries?.set(name, vnode, payer);
		this.mtime = now;
		this.ctime = now;
		vnode.nlink++;
		vnode.ctime = now;
		if (!vnode.isDirectory) return;
		vnode.parent = this;
		this.nlink++;
		this.raise(vnode.height + 1);
	}

	/** Raises its height, and with it those of the directories it is in. */
	private raise(height: number): void {
		let at: Vnode = this;
		let least = height;
		while (at.height < least) {
			at.height = least;
			// The root is in itself.
			if (at.parent === at) return;
			at = at.parent;
			least++;
		}
	}

	/** Removes a name from a directory. */
	leave(name: string, vnode: Vnode, now: number): void {
		this.entries?.delete(name);
		this.forget(vnode, now);
	}

	/** Counts one name less, which is removed or will be of another file. */
	forget(vnode: Vnode, now: number): void {
		this.mtime = now;
		this.ctime = now;
		vnode.nlink--;
		vnode.ctime = now;
		if (vnode.isDirectory) this.nlink--;
	}
}

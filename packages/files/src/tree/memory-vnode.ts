// A file of the file system in memory: a regular file, directory, fifo or symbolic link.
import {
	errno,
	NOTE_ATTRIB,
	NOTE_EXTEND,
	NOTE_TRUNCATE,
	NOTE_WRITE,
	type Process,
} from "@kqpoll/kqueue";
import type { Quota } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFIFO } from "@kqpoll/kqueue/stat";
import type { Timespec } from "@kqpoll/kqueue/time";
import type { Caller } from "./caller.ts";
import { Directory } from "./directory.ts";
import type { PositionedDirent } from "./dirent.ts";
import type { FileSystem } from "./file-system.ts";
import * as names from "./memory-names.ts";
import { utf8Length } from "./path.ts";
import type { Share } from "./share.ts";
import {
	checkSize,
	type Named,
	type NewFile,
	type NewTime,
	nanosecondsOf,
	type Place,
	Vnode,
} from "./vnode.ts";
import { Bytes } from "./vnode-bytes.ts";
import type { VnodeStat } from "./vnode-stat.ts";

/** The permission bits that make a program run as its user or its group. */
const SET_ID = 0o6000;

/** The file system in memory. */
export interface MemoryFileSystem extends FileSystem {
	/** How deep a directory can be. */
	readonly maxDepth: number;
	/** What a process, with its account, has made. */
	share(process: Process): Share;
	/** Makes a file of an S_IF type, without a name. */
	makeVnode(type: number, permissions: number, now: number, payer: Share): MemoryVnode;
}

/** Times that a number of nanoseconds does not hold exactly; null where it does. */
interface ExactTimes {
	readonly atime: Timespec | null;
	readonly mtime: Timespec | null;
}

function exactOf(time: number | Timespec | "now"): Timespec | null {
	return typeof time === "object" ? time : null;
}

/** A file of a tree. */
export class MemoryVnode extends Vnode {
	declare readonly fs: MemoryFileSystem;
	/** Its number. */
	readonly ino: number;
	/** What a directory holds, by name; null for others. */
	readonly entries: Directory<MemoryVnode> | null;
	/** What a regular file holds; empty for others. */
	readonly bytes: Bytes = new Bytes();
	/** Of a symbolic link: the path that it leads to; empty for others. */
	target = "";
	/** Of a directory: the one that holds it, itself for the root. */
	parent: MemoryVnode = this;
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
	/** Times that were set and that a number of nanoseconds does not hold exactly; mostly null. */
	private exact: ExactTimes | null = null;
	/** What its bytes are charged to: the share of the account that made it. */
	private readonly payer: Share;

	/** Makes one without a name, of an S_IF type. */
	constructor(
		fs: MemoryFileSystem,
		ino: number,
		type: number,
		permissions: number,
		now: number,
		payer: Share,
	) {
		super(fs, type);
		this.ino = ino;
		this.payer = payer;
		this.entries = type === S_IFDIR ? new Directory() : null;
		this.permissions = permissions;
		this.nlink = this.isDirectory ? 1 : 0;
		this.atime = now;
		this.mtime = now;
		this.ctime = now;
	}

	/** Whether it is a directory without a name. There is nothing in it, not even "." and "..". */
	override get isRemoved(): boolean {
		return this.isDirectory && this.nlink === 0;
	}

	/** Its size in bytes: that of its path for a link, 0 for a fifo and a removed directory. */
	override get size(): number {
		if (this.isRemoved) return 0;
		return this.entries?.size ?? (this.isLink ? utf8Length(this.target) : this.bytes.size);
	}

	/** What stat returns. */
	override stat(): VnodeStat {
		const { size, ino, nlink, uid, gid, atime, mtime, ctime } = this;
		const { dev } = this.fs;
		const mode = this.type | this.permissions;
		const stat = { mode, size, blksize: 16384, dev, ino, nlink, uid, gid, atime, mtime, ctime };
		return this.exact === null ? stat : { ...stat, ...this.exactParts(this.exact) };
	}

	/** What of the times that were set a number does not hold, unless they have changed since. */
	private exactParts({ atime, mtime }: ExactTimes): Partial<VnodeStat> {
		return {
			...(atime !== null && nanosecondsOf(atime) === this.atime && { atimensec: atime.nsec }),
			...(mtime !== null && nanosecondsOf(mtime) === this.mtime && { mtimensec: mtime.nsec }),
		};
	}

	/** Reads bytes. */
	override read(offset: number, into: Uint8Array, now: number): number {
		this.accessed(now);
		return this.bytes.read(offset, into);
	}

	/** Writes bytes. ENOSPC without enough memory or beyond a limit of the tree. */
	override write(offset: number, from: Uint8Array, _append: boolean, now: number): number {
		if (from.length === 0) return 0;
		const before = this.bytes.size;
		if (offset + from.length > this.fs.maxFileSize) return -errno.EFBIG;
		if (!this.makeRoom(offset + from.length)) return -errno.ENOSPC;
		this.bytes.write(offset, from);
		this.mtime = now;
		this.ctime = now;
		this.post(this.bytes.size > before ? NOTE_WRITE | NOTE_EXTEND : NOTE_WRITE);
		return from.length;
	}

	/** Sets the size. ENOSPC without enough memory or beyond a limit of the tree. */
	override truncate(size: number, now: number): number {
		const error = checkSize(this, size);
		if (error !== 0) return -error;
		if (this.type === S_IFIFO) return 0;
		const before = this.bytes.size;
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

	/** Checks its bytes. */
	override check(): void {
		this.bytes.check();
	}

	/** Its bytes may not be needed any more. */
	override closed(): void {
		this.discard();
	}

	/** It was read, unless that must not change it. */
	override accessed(now: number): void {
		if (!this.fs.readOnly) this.atime = now;
	}

	/** It was written. */
	override modified(now: number): void {
		this.mtime = now;
		this.ctime = now;
	}

	/** Sets the permission bits. */
	override setPermissions(permissions: number, now: number): number {
		this.permissions = permissions;
		this.ctime = now;
		return 0;
	}

	/** Sets the user and the group. */
	override setOwner(uid: number, gid: number, now: number): number {
		const user = uid === -1 ? this.uid : uid;
		const group = gid === -1 ? this.gid : gid;
		const permissions = uid === -1 && gid === -1 ? this.permissions : this.permissions & ~SET_ID;
		const changes = user !== this.uid || group !== this.gid || permissions !== this.permissions;
		this.uid = user;
		this.gid = group;
		this.permissions = permissions;
		if (changes) this.ctime = now;
		return 0;
	}

	/** Sets the times. */
	override setTimes(atime: NewTime, mtime: NewTime, now: number): number {
		this.exact = {
			atime: atime === null ? (this.exact?.atime ?? null) : exactOf(atime),
			mtime: mtime === null ? (this.exact?.mtime ?? null) : exactOf(mtime),
		};
		if (this.exact.atime === null && this.exact.mtime === null) this.exact = null;
		if (atime !== null) this.atime = atime === "now" ? now : nanosecondsOf(atime);
		if (mtime !== null) this.mtime = mtime === "now" ? now : nanosecondsOf(mtime);
		this.ctime = now;
		return 0;
	}

	/** The file that has a name. */
	override lookup(_caller: Caller, name: string): MemoryVnode | null {
		return this.entries?.get(name) ?? null;
	}

	/** Whether it has no names. */
	override isEmpty(): boolean {
		return this.entries === null || this.entries.count === 0;
	}

	/** Makes a file. EMLINK, and ENOSPC beyond a limit of the tree. */
	override create(caller: Caller, place: Place, file: NewFile): MemoryVnode {
		return names.create(caller, this, place, file);
	}

	/** Adds a name. EMLINK, and ENOSPC beyond a limit of the tree. */
	override link(caller: Caller, place: Place, vnode: Vnode): void {
		names.link(caller, this, place, vnode as MemoryVnode);
	}

	/** Removes a name. */
	override remove(caller: Caller, { name, vnode }: Named): void {
		names.remove(caller, this, name, vnode as MemoryVnode);
	}

	/** Removes a directory. */
	override removeDirectory(caller: Caller, { name, vnode }: Named): void {
		names.removeDirectory(caller, this, name, vnode as MemoryVnode);
	}

	/** Renames a file. EINVAL, ENOTEMPTY, EMLINK, and ENOSPC for a directory that would be too deep. */
	override rename(caller: Caller, from: Named, to: Place): void {
		names.rename(caller, from as names.MemoryNamed, to as names.MemoryPlace);
	}

	/** Reads names. At the end the position is the size, as for the kernel, which reads whole blocks. */
	override readdir(position: number, count: number, into: PositionedDirent[], now: number): number {
		names.direntsFrom(this, position, count, into);
		this.accessed(now);
		if (into.length === count) return (into[count - 1] as PositionedDirent).off;
		return Math.max(position, this.size);
	}

	/** Where a link leads. */
	override readlink(): string {
		return this.target;
	}

	/**
	 * Adds a name to a directory, charged to `payer`; a name that is there will be of another file,
	 * after {@link forget}.
	 */
	enter(name: string, vnode: MemoryVnode, now: number, payer: Quota): void {
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
		let at: MemoryVnode = this;
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
	leave(name: string, vnode: MemoryVnode, now: number): void {
		this.entries?.delete(name);
		this.forget(vnode, now);
	}

	/** Counts one name less, which is removed or will be of another file. */
	forget(vnode: MemoryVnode, now: number): void {
		this.mtime = now;
		this.ctime = now;
		vnode.nlink--;
		vnode.ctime = now;
		if (vnode.isDirectory) this.nlink--;
	}
}

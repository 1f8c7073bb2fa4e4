// struct vnode: a file that names and open files refer to, and what its file system must be able to do.
import { errno, NOTE_REVOKE } from "@kqpoll/kqueue";
import { doAll, Klist, type Knote } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFLNK } from "@kqpoll/kqueue/stat";
import type { Timespec } from "@kqpoll/kqueue/time";
import type { Caller } from "./caller.ts";
import type { PositionedDirent } from "./dirent.ts";
import type { Fifo } from "./fifo.ts";
import type { FileSystem } from "./file-system.ts";
import type { VnodeStat } from "./vnode-stat.ts";

/** Where a path leads. */
export interface Place {
	/** The path, for messages. */
	readonly path: string;
	/** The directory of the last name. */
	readonly directory: Vnode;
	/** The last name: of the path, or of the last link on it. Empty for the root. */
	readonly name: string;
	/** The file that has that name, null if there is none. */
	readonly vnode: Vnode | null;
}

/** Where a path leads whose last name exists. */
export interface Named extends Place {
	/** The file that has it. */
	readonly vnode: Vnode;
}

/** What is to be made. */
export interface NewFile {
	/** S_IFREG, S_IFDIR, S_IFIFO or S_IFLNK. */
	readonly type: number;
	/** Its permission bits. */
	readonly permissions: number;
	/** Of a symbolic link: the path that it leads to; empty for others. */
	readonly target: string;
}

/**
 * A time in nanoseconds, or in seconds and nanoseconds where a number does not hold it exactly, "now",
 * or null for the time that there is.
 */
export type NewTime = number | Timespec | "now" | null;

/** A time as a number of nanoseconds, rounded if need be. */
export function nanosecondsOf(time: number | Timespec): number {
	return typeof time === "number" ? time : time.sec * 1e9 + time.nsec;
}

/**
 * A regular file, a directory, a fifo or a symbolic link of a file system. A file system extends this
 * with the operations below. There must be one object, and not two, of a file that is open, covered by
 * a mount, or the root.
 *
 * The calls have checked arguments, types and names before they call an operation: a name is one step
 * of a path, and neither "." nor "..". Nothing may sleep. Operations on names throw a SystemError with
 * the name of the call and a path; others return a negative errno. After an operation on names or
 * attributes the caller notifies the watchers; `write`, `append` and `truncate` do so themselves.
 */
export abstract class Vnode {
	/** The file system it is of. */
	readonly fs: FileSystem;
	/** What it is: S_IFREG, S_IFDIR, S_IFIFO or S_IFLNK; others cannot be opened. */
	readonly type: number;
	/** Its watchers. When it is revoked it gets a new list, for those that come later. */
	klist: Klist = new Klist();
	/** How many open files there are of it. */
	opens = 0;
	/** The bytes and the ends of a fifo while it is open, else null. */
	fifo: Fifo | null = null;
	/** The file system that is mounted on a directory and hides it, else null. */
	mountedHere: FileSystem | null = null;

	/** Makes a file of an S_IF type. */
	constructor(fs: FileSystem, type: number) {
		this.fs = fs;
		this.type = type;
	}

	/** Whether it is a directory. */
	get isDirectory(): boolean {
		return this.type === S_IFDIR;
	}

	/** Whether it is a symbolic link. */
	get isLink(): boolean {
		return this.type === S_IFLNK;
	}

	/** Its number in its file system. */
	abstract readonly ino: number;
	/** Of a directory: the one that holds it, itself for the root of the file system. */
	abstract readonly parent: Vnode;
	/** Whether it is a directory without a name. There is nothing in it, not even "." and "..". */
	abstract readonly isRemoved: boolean;
	/** Its size in bytes. Does not throw: watchers ask. */
	abstract readonly size: number;

	/** What stat returns. Throws an error of the call `syscall`. */
	abstract stat(syscall: string, path: string): VnodeStat;

	/** The file that has a name in a directory, null if there is none. `path` is for messages. */
	abstract lookup(caller: Caller, name: string, path: string): Vnode | null;

	/** Whether there is no name in a directory, but "." and "..". */
	abstract isEmpty(caller: Caller, path: string): boolean;

	/** Makes a file in a directory under a name that was not there. */
	abstract create(caller: Caller, place: Place, file: NewFile): Vnode;

	/** Adds a name in this directory to a file of the same file system. */
	abstract link(caller: Caller, place: Place, vnode: Vnode): void;

	/** Removes a name, of what is not a directory, from this directory. */
	abstract remove(caller: Caller, named: Named): void;

	/** Removes an empty directory from this directory. */
	abstract removeDirectory(caller: Caller, named: Named): void;

	/**
	 * Renames a file of this directory, to a place in the same file system; a file or an empty directory
	 * that has the new name is replaced. Both are directories, or neither is, and not the same file.
	 */
	abstract rename(caller: Caller, from: Named, to: Place): void;

	/**
	 * Adds at most `count` names of a directory from a position on to `into`, with "." and "..". Returns
	 * the position behind them, or a negative errno. A position stays good while other names come and
	 * go, as long as the directory is open.
	 */
	abstract readdir(position: number, count: number, into: PositionedDirent[], now: number): number;

	/** The path that a symbolic link leads to. */
	abstract readlink(caller: Caller, path: string): string;

	/** Sets the permission bits. Returns 0 or a negative errno. */
	abstract setPermissions(permissions: number, now: number): number;

	/** Sets the user and the group, except for -1. Returns 0 or a negative errno. */
	abstract setOwner(uid: number, gid: number, now: number): number;

	/** Sets when it was read and written last. Returns 0 or a negative errno. */
	abstract setTimes(atime: NewTime, mtime: NewTime, now: number): number;

	/** Reads bytes of a regular file. Returns how many, 0 at the end, or a negative errno. */
	abstract read(offset: number, into: Uint8Array, now: number): number;

	/**
	 * Writes bytes to a regular file and notifies watchers. With `append` they go to the end, which was
	 * at `offset`. Returns how many bytes were written, or a negative errno with nothing done: EFBIG,
	 * ENOSPC …
	 */
	abstract write(offset: number, from: Uint8Array, append: boolean, now: number): number;

	/**
	 * Cuts a regular file, or adds zeros, and notifies watchers; nothing happens to a fifo. Returns 0 or
	 * a negative errno: EISDIR; EINVAL for what is not a size; EFBIG, ENOSPC …
	 */
	abstract truncate(size: number, now: number): number;

	/** Stores what was written: only the bytes, or the attributes too. Returns 0 or a negative errno. */
	sync(_bytesOnly: boolean): number {
		return 0;
	}

	/** Is to be opened, with FREAD and FWRITE. Returns 0 or a negative errno. */
	open(_flags: number): number {
		return 0;
	}

	/** An open file with these flags is gone. `opens` does not count it any more. */
	closed(_flags: number): void {}

	/**
	 * Something is going to be mounted on it: as long as that is so, there must be this object of it.
	 * Returns 0 or a negative errno.
	 */
	hold(): number {
		return 0;
	}

	/** Undoes {@link hold}. */
	release(): void {}

	/** A fifo or directory was read. */
	accessed(_now: number): void {}

	/** A fifo was written. */
	modified(_now: number): void {}

	/**
	 * Gets a watcher: a knote that is not of poll or select. Returns 0, or an errno if there is no way to
	 * learn of changes from outside.
	 */
	watched(_kn: Knote): number {
		return 0;
	}

	/** A watcher goes. */
	unwatched(_kn: Knote): void {}

	/** For diagnostics: throws a Panic unless what it is made of agrees. */
	check(): void {}

	/** Notifies watchers of NOTE_ flags. */
	post(note: number): void {
		this.klist.notify(note);
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
}

/** The errno of a size that a regular file cannot be set to, else 0. */
export function checkSize(vnode: Vnode, size: number): number {
	if (!Number.isSafeInteger(size) || size < 0) return errno.EINVAL;
	if (vnode.isDirectory) return errno.EISDIR;
	return size > vnode.fs.maxFileSize ? errno.EFBIG : 0;
}

// System calls on open files of a tree: ftruncate, fchmod, fchown, futimes, fsync, getdents.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { FREAD, FWRITE, getFile, show, syscall, unwrap } from "@kqpoll/kqueue/kernel";
import {
	checkOwner,
	checkTimes,
	permissionsOf,
	setOwner,
	setPermissions,
	setTimes,
	type Times,
	timesOf,
} from "./attributes.ts";
import type { Caller } from "./caller.ts";
import type { PositionedDirent } from "./dirent.ts";
import { getTreeFile, TreeFile } from "./tree-file.ts";
import type { Vnode } from "./vnode.ts";
import { VnodeFile } from "./vnode-file.ts";

/**
 * Cuts an open file to a size in bytes, or adds zeros; the offset stays, and nothing happens to a
 * fifo. Watchers get NOTE_ATTRIB, and NOTE_TRUNCATE if it became smaller. Errors: EBADF, also for a
 * revoked file; EINVAL for what is not a size, for a descriptor that is not of a tree's file or not
 * open for writing; EFBIG; ENOSPC. Source: ftruncate(2).
 */
export function ftruncate(thread: Thread, fd: number, size: number): void {
	syscall(thread, "ftruncate", () => {
		const file = getFile(thread, fd, "ftruncate");
		if (!(file instanceof TreeFile) || (file.flags & FWRITE) === 0)
			throw new SystemError(
				errno.EINVAL,
				"ftruncate",
				`descriptor ${fd} is not a file of a tree that is open for writing`,
			);
		unwrap(file.truncate(thread, size), "ftruncate", `size ${show(size)}`);
	});
}

/**
 * Sets the permission bits of an open file, as chmod does. Watchers get NOTE_ATTRIB. Errors: EBADF,
 * also for a revoked file; EINVAL for other bits, and for a descriptor that is not of a tree's file.
 * Source: fchmod(2).
 */
export function fchmod(thread: Thread, fd: number, mode: number): void {
	onVnode(thread, fd, "fchmod", (vnode, by) =>
		setPermissions(by, vnode, permissionsOf(mode, "fchmod")),
	);
}

/**
 * Sets whose an open file is, as chown does. Watchers get NOTE_ATTRIB. Errors: EBADF, also for a
 * revoked file; EINVAL for what is not the number of a user or a group, and for a descriptor that is
 * not of a tree's file. Source: fchown(2).
 */
export function fchown(thread: Thread, fd: number, uid: number, gid: number): void {
	onVnode(thread, fd, "fchown", (vnode, by) => {
		checkOwner(uid, gid, "fchown");
		setOwner(by, vnode, uid, gid);
	});
}

/**
 * Sets when an open file was read and written last, in nanoseconds, as utimes does. Watchers get
 * NOTE_ATTRIB. Errors: EBADF, also for a revoked file; EINVAL for times that are not whole numbers,
 * and for a descriptor that is not of a tree's file. Source: futimes(2).
 */
export function futimes(thread: Thread, fd: number, atime: number, mtime: number): void {
	onVnode(thread, fd, "futimes", (vnode, by) => {
		checkTimes(atime, mtime, "futimes");
		setTimes(by, vnode, atime, mtime);
	});
}

/**
 * Sets when an open file was read and written last. A time whose `nsec` is UTIME_NOW is that of the
 * call, and one whose `nsec` is UTIME_OMIT stays; null means UTIME_NOW for both. Watchers get
 * NOTE_ATTRIB, even if both stay. Errors: EBADF, also for a revoked file; EINVAL for times out of
 * range, and for a descriptor that is not of a tree's file; EFAULT for what is not times. Source:
 * futimens(2).
 */
export function futimens(thread: Thread, fd: number, times: Times | null): void {
	onVnode(thread, fd, "futimens", (vnode, by) => {
		const [atime, mtime] = timesOf(times, "futimens");
		setTimes(by, vnode, atime, mtime);
	});
}

/**
 * Stores what was written to a file or directory. It does nothing in memory, and to a fifo, a terminal
 * or a device: there it is stored already. Errors: EBADF, also for a revoked file; EINVAL for a pipe, a
 * socket or a kqueue; those of its file system. Source: fsync(2).
 */
export function fsync(thread: Thread, fd: number): void {
	sync(thread, fd, "fsync", false);
}

/** As {@link fsync}, for the bytes and not the attributes. Source: fdatasync(2). */
export function fdatasync(thread: Thread, fd: number): void {
	sync(thread, fd, "fdatasync", true);
}

function sync(thread: Thread, fd: number, name: string, bytesOnly: boolean): void {
	syscall(thread, name, () => {
		const file = getFile(thread, fd, name);
		if (file.type !== "vnode")
			throw new SystemError(errno.EINVAL, name, `descriptor ${fd} is a ${file.type}`);
		if (file.revoked) throw new SystemError(errno.EBADF, name, "the file was revoked");
		if (file instanceof TreeFile) unwrap(file.vnode.sync(bytesOnly), name);
	});
}

/**
 * Returns at most `count` names of an open directory from its offset on, with "." and "..", in the
 * order in which they were made, and moves the offset behind them; none at the end. Names that come
 * or go meanwhile do not move the others: no other name is returned twice or left out. lseek to the
 * `off` of a name goes on behind it, and to 0 begins again; other offsets lead to the next name.
 *
 * Errors: EBADF, also if it is not open for reading, and for a revoked one; EINVAL for what is not a
 * directory, and for a count that is not a whole number from 1 on. Source: getdents(2).
 */
export function getdents(thread: Thread, fd: number, count: number): PositionedDirent[] {
	return syscall(thread, "getdents", () => {
		const file = getTreeFile(thread, fd, "getdents");
		if ((file.flags & FREAD) === 0)
			throw new SystemError(errno.EBADF, "getdents", `descriptor ${fd} is not open for reading`);
		if (!(file instanceof VnodeFile && file.vnode.isDirectory))
			throw new SystemError(errno.EINVAL, "getdents", `descriptor ${fd} is not a directory`);
		if (!Number.isSafeInteger(count) || count < 1)
			throw new SystemError(errno.EINVAL, "getdents", `count ${show(count)}`);
		const found: PositionedDirent[] = [];
		unwrap(file.readdir(thread, count, found), "getdents");
		return found;
	});
}

/** A system call that changes the attributes of an open file. */
function onVnode(
	thread: Thread,
	fd: number,
	name: string,
	act: (vnode: Vnode, by: Caller) => void,
): void {
	syscall(thread, name, () => act(getTreeFile(thread, fd, name).vnode, { thread, syscall: name }));
}

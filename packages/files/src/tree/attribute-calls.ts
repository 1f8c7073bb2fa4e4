// System calls on the attributes of files by path: stat, truncate, chmod, chown, utimes.

import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { show, unwrap } from "@kqpoll/kqueue/kernel";
import {
	checkOwner,
	checkTimes,
	permissionsOf,
	setOwner,
	setPermissions,
	setTimes,
} from "./attributes.ts";
import { timeOf } from "./caller.ts";
import { checkWritable, find } from "./namei.ts";
import { fromRoot } from "./start.ts";
import type { Tree } from "./tree.ts";
import type { VnodeStat } from "./vnode-stat.ts";

/** What is known about a file, directory or fifo. Errors: those of a path. Source: stat(2). */
export function stat(thread: Thread, tree: Tree, path: string): VnodeStat {
	return fromRoot(thread, tree, "stat", (start) => find(start, path).stat(start.syscall, path));
}

/** As {@link stat}, but a symbolic link is not followed if it is the last name. Source: lstat(2). */
export function lstat(thread: Thread, tree: Tree, path: string): VnodeStat {
	return fromRoot(thread, tree, "lstat", (start) =>
		find(start, path, { follow: false }).stat(start.syscall, path),
	);
}

/**
 * Cuts a file to a size in bytes, or adds zeros; nothing happens to a fifo. Watchers get
 * NOTE_ATTRIB, and NOTE_TRUNCATE if it became smaller. Errors: those of a path; EINVAL for what is
 * not a size; EISDIR; EFBIG; ENOSPC. Source: truncate(2).
 */
export function truncate(thread: Thread, tree: Tree, path: string, size: number): void {
	fromRoot(thread, tree, "truncate", (start) => {
		if (!Number.isSafeInteger(size) || size < 0)
			throw new SystemError(errno.EINVAL, "truncate", `size ${show(size)}`);
		const vnode = find(start, path);
		if (!vnode.isDirectory) checkWritable(start, vnode, path);
		unwrap(vnode.truncate(size, timeOf(start)), "truncate", path);
	});
}

/**
 * Sets the permission bits, which are never checked. Watchers get NOTE_ATTRIB. Errors: those of a
 * path; EINVAL for other bits. Source: chmod(2).
 */
export function chmod(thread: Thread, tree: Tree, path: string, mode: number): void {
	fromRoot(thread, tree, "chmod", (start) => {
		const permissions = permissionsOf(mode, "chmod");
		setPermissions(start, find(start, path), permissions);
	});
}

/**
 * Sets whose a file is: the number of a user and that of a group, which are never checked; -1 for
 * one that stays. Unless both stay, the set-user-id and set-group-id bits are cleared. Watchers get
 * NOTE_ATTRIB. Errors: those of a path; EINVAL for what is not such a number. Source: chown(2).
 */
export function chown(thread: Thread, tree: Tree, path: string, uid: number, gid: number): void {
	fromRoot(thread, tree, "chown", (start) => {
		checkOwner(uid, gid, "chown");
		setOwner(start, find(start, path), uid, gid);
	});
}

/** As {@link chown}, but a symbolic link is not followed if it is the last name. Source: lchown(2). */
export function lchown(thread: Thread, tree: Tree, path: string, uid: number, gid: number): void {
	fromRoot(thread, tree, "lchown", (start) => {
		checkOwner(uid, gid, "lchown");
		setOwner(start, find(start, path, { follow: false }), uid, gid);
	});
}

/**
 * Sets when a file was read and written last, in nanoseconds. Watchers get NOTE_ATTRIB. Errors:
 * those of a path; EINVAL for times that are not whole numbers. Source: utimes(2).
 */
export function utimes(
	thread: Thread,
	tree: Tree,
	path: string,
	atime: number,
	mtime: number,
): void {
	fromRoot(thread, tree, "utimes", (start) => {
		checkTimes(atime, mtime, "utimes");
		setTimes(start, find(start, path), atime, mtime);
	});
}

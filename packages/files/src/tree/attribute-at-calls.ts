// The calls of the *at family on attributes: paths begin at the directory of a descriptor.
import type { Thread } from "@kqpoll/kqueue";
import { AT_SYMLINK_NOFOLLOW, checkAtFlags } from "../shared/vnode-flags.ts";
import {
	checkOwner,
	permissionsOf,
	setOwner,
	setPermissions,
	setTimes,
	type Times,
	timesOf,
} from "./attributes.ts";
import { find } from "./namei.ts";
import { fromDescriptor, type Start } from "./start.ts";
import type { Vnode } from "./vnode.ts";
import type { VnodeStat } from "./vnode-stat.ts";

/**
 * As stat, or with AT_SYMLINK_NOFOLLOW as lstat; the path and its errors are those of mkdirat. Also
 * fails with EINVAL for other flags. Source: fstatat(2).
 */
export function fstatat(thread: Thread, fd: number, path: string, flags: number = 0): VnodeStat {
	return fromDescriptor(thread, fd, "fstatat", (start) =>
		found(start, path, flags).stat(start.syscall, path),
	);
}

/**
 * As chmod; with AT_SYMLINK_NOFOLLOW of a symbolic link itself. The path and its errors are those of
 * mkdirat. Also fails with EINVAL for other flags. Source: fchmodat(2).
 */
export function fchmodat(
	thread: Thread,
	fd: number,
	path: string,
	mode: number,
	flags: number = 0,
): void {
	fromDescriptor(thread, fd, "fchmodat", (start) => {
		const permissions = permissionsOf(mode, "fchmodat");
		setPermissions(start, found(start, path, flags), permissions);
	});
}

/**
 * As chown, or with AT_SYMLINK_NOFOLLOW as lchown; the path and its errors are those of mkdirat. Also
 * fails with EINVAL for other flags. Source: fchownat(2).
 */
export function fchownat(
	thread: Thread,
	fd: number,
	path: string,
	uid: number,
	gid: number,
	flags: number = 0,
): void {
	fromDescriptor(thread, fd, "fchownat", (start) => {
		checkOwner(uid, gid, "fchownat");
		setOwner(start, found(start, path, flags), uid, gid);
	});
}

/**
 * Sets the times of a file as futimens does; with AT_SYMLINK_NOFOLLOW those of a symbolic link itself.
 * The path and its errors are those of mkdirat. Also fails with EINVAL for other flags, and for times
 * out of range; EFAULT for what is not times. Source: utimensat(2).
 */
export function utimensat(
	thread: Thread,
	fd: number,
	path: string,
	times: Times | null,
	flags: number = 0,
): void {
	fromDescriptor(thread, fd, "utimensat", (start) => {
		const [atime, mtime] = timesOf(times, "utimensat");
		setTimes(start, found(start, path, flags), atime, mtime);
	});
}

/** The file that a path leads to. A link at its end is followed unless the flags forbid it. */
function found(start: Start, path: string, flags: number): Vnode {
	checkAtFlags(flags, AT_SYMLINK_NOFOLLOW, start.syscall);
	return find(start, path, { follow: (flags & AT_SYMLINK_NOFOLLOW) === 0 });
}

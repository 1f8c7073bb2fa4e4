// The calls of the *at family on names: paths begin at the directory of a descriptor.

import type { Thread } from "@kqpoll/kqueue";
import { syscall } from "@kqpoll/kqueue/kernel";
import { AT_REMOVEDIR, AT_SYMLINK_FOLLOW, checkAtFlags } from "../shared/vnode-flags.ts";
import {
	addLink,
	makeDirectory,
	makeFifo,
	makeLink,
	readLink,
	removeDirectory,
	removeName,
} from "./names.ts";
import { renameFrom } from "./rename.ts";
import { checked, fromDescriptor, startAt } from "./start.ts";

/**
 * As mkdir, for a path that begins at the directory of `fd`. As for all calls of this family: a path
 * that begins with a slash counts from the root of the tree that `fd` is of, whatever else it is; there
 * is no AT_FDCWD, because there is no working directory. Also fails with EBADF, and with ENOTDIR for
 * what is not a directory of a tree, or a revoked one. In a directory that was removed everything is
 * ENOENT. Source: mkdirat(2).
 */
export function mkdirat(thread: Thread, fd: number, path: string, mode: number = 0o777): void {
	fromDescriptor(thread, fd, "mkdirat", (start) => makeDirectory(start, path, mode));
}

/** As mkfifo; the path and its errors are those of {@link mkdirat}. Source: mkfifoat(2). */
export function mkfifoat(thread: Thread, fd: number, path: string, mode: number = 0o666): void {
	fromDescriptor(thread, fd, "mkfifoat", (start) => makeFifo(start, path, mode));
}

/**
 * As unlink, or with AT_REMOVEDIR as rmdir; the path and its errors are those of {@link mkdirat}. Also
 * fails with EINVAL for other flags. Source: unlinkat(2).
 */
export function unlinkat(thread: Thread, fd: number, path: string, flags: number = 0): void {
	fromDescriptor(thread, fd, "unlinkat", (start) => {
		checkAtFlags(flags, AT_REMOVEDIR, "unlinkat");
		if ((flags & AT_REMOVEDIR) !== 0) removeDirectory(start, path);
		else removeName(start, path);
	});
}

/**
 * As rename; each path has a descriptor, and the errors are those of {@link mkdirat}. Also fails with
 * EXDEV for descriptors of two trees. Source: renameat(2).
 */
export function renameat(
	thread: Thread,
	fromFd: number,
	from: string,
	toFd: number,
	to: string,
): void {
	syscall(thread, "renameat", () => {
		const start = startAt(thread, fromFd, "renameat");
		renameFrom(start, from, startAt(thread, toFd, "renameat"), to);
		checked(null, start);
	});
}

/**
 * As link; each path has a descriptor, and the errors are those of {@link mkdirat}. Without
 * AT_SYMLINK_FOLLOW a symbolic link gets the name itself. Also fails with EINVAL for other flags, and
 * EXDEV for descriptors of two trees. Source: linkat(2).
 */
export function linkat(
	thread: Thread,
	fd: number,
	path: string,
	nameFd: number,
	name: string,
	flags: number = 0,
): void {
	syscall(thread, "linkat", () => {
		checkAtFlags(flags, AT_SYMLINK_FOLLOW, "linkat");
		const start = startAt(thread, fd, "linkat");
		const follow = (flags & AT_SYMLINK_FOLLOW) !== 0;
		addLink(start, path, follow, startAt(thread, nameFd, "linkat"), name);
		checked(null, start);
	});
}

/** As symlink; the path and its errors are those of {@link mkdirat}. Source: symlinkat(2). */
export function symlinkat(thread: Thread, target: string, fd: number, path: string): void {
	fromDescriptor(thread, fd, "symlinkat", (start) => makeLink(start, target, path));
}

/** As readlink; the path and its errors are those of {@link mkdirat}. Source: readlinkat(2). */
export function readlinkat(thread: Thread, fd: number, path: string): string {
	return fromDescriptor(thread, fd, "readlinkat", (start) => readLink(start, path));
}

// System calls on the attributes of the files of a tree: stat, truncate, chmod, utimes.
import { errno, NOTE_ATTRIB, SystemError, type Thread } from "@kqpoll/kqueue";
import { isInt32, show, syscall, unwrap } from "@kqpoll/kqueue/kernel";
import { changeTree, find, type Tree } from "./tree.ts";
import type { VnodeStat } from "./vnode.ts";

/** The S_IF type and the permission bits. */
const MODE_BITS = 0o177777;

/** What is known about a file, directory or fifo. Errors: those of a path. Source: stat(2). */
export function stat(thread: Thread, tree: Tree, path: string): VnodeStat {
	return syscall(thread, "stat", () => find(tree, path, "stat").stat());
}

/**
 * Cuts a file to a size in bytes, or adds zeros; nothing happens to a fifo. Watchers get
 * NOTE_ATTRIB, and NOTE_TRUNCATE if it became smaller. Errors: those of a path; EINVAL for what is
 * not a size; EISDIR; EFBIG; ENOSPC. Source: truncate(2).
 */
export function truncate(thread: Thread, tree: Tree, path: string, size: number): void {
	changeTree(thread, tree, "truncate", () => {
		if (!Number.isSafeInteger(size) || size < 0)
			throw new SystemError(errno.EINVAL, "truncate", `size ${show(size)}`);
		const now = thread.kernel.host.now();
		unwrap(find(tree, path, "truncate").truncate(size, tree.maxFileSize, now), "truncate", path);
	});
}

/**
 * Sets the permission bits, which are never checked. Watchers get NOTE_ATTRIB. Errors: those of a
 * path; EINVAL for other bits. Source: chmod(2).
 */
export function chmod(thread: Thread, tree: Tree, path: string, mode: number): void {
	syscall(thread, "chmod", () => {
		if (!isInt32(mode) || (mode & ~MODE_BITS) !== 0)
			throw new SystemError(errno.EINVAL, "chmod", `mode ${show(mode)}`);
		const vnode = find(tree, path, "chmod");
		vnode.permissions = mode & 0o7777;
		vnode.ctime = thread.kernel.host.now();
		vnode.post(NOTE_ATTRIB);
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
	syscall(thread, "utimes", () => {
		if (!Number.isSafeInteger(atime) || !Number.isSafeInteger(mtime))
			throw new SystemError(errno.EINVAL, "utimes", `times ${show(atime)}, ${show(mtime)}`);
		const vnode = find(tree, path, "utimes");
		vnode.atime = atime;
		vnode.mtime = mtime;
		vnode.ctime = thread.kernel.host.now();
		vnode.post(NOTE_ATTRIB);
	});
}

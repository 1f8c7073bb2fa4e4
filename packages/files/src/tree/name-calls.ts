// System calls on the names in a tree, by path: link, symlink, unlink, rename, mkdir, rmdir, readdir.

import { errno, type Thread } from "@kqpoll/kqueue";
import { unwrap } from "@kqpoll/kqueue/kernel";
import { fail, timeOf } from "./caller.ts";
import type { Dirent, PositionedDirent } from "./dirent.ts";
import { find } from "./namei.ts";
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
import { fromRoot } from "./start.ts";
import type { Tree } from "./tree.ts";

/**
 * Adds a name to a file; if the path leads to a symbolic link, to the file that this leads to.
 * Watchers of the file get NOTE_LINK, then watchers of the new name's directory NOTE_WRITE. Errors:
 * those of a path; EPERM for a directory; EEXIST; EISDIR for the root as the new name; EMLINK.
 * Source: link(2).
 */
export function link(thread: Thread, tree: Tree, path: string, name: string): void {
	fromRoot(thread, tree, "link", (start) => addLink(start, path, true, start, name));
}

/**
 * Makes a symbolic link that leads to `target`, which need not exist and may be empty. Watchers of
 * its directory get NOTE_WRITE. Errors: those of a path; ENAMETOOLONG for a target of more than 1023
 * bytes in UTF-8; EEXIST; EISDIR for the root. Source: symlink(2).
 */
export function symlink(thread: Thread, tree: Tree, target: string, path: string): void {
	fromRoot(thread, tree, "symlink", (start) => makeLink(start, target, path));
}

/**
 * Returns where a symbolic link leads, as it was made. Errors: those of a path; EINVAL for what is
 * not a symbolic link. Source: readlink(2).
 */
export function readlink(thread: Thread, tree: Tree, path: string): string {
	return fromRoot(thread, tree, "readlink", (start) => readLink(start, path));
}

/**
 * Removes a name of a file, or a symbolic link. The file goes with its last name, or else when it is
 * closed. Watchers of the file get NOTE_DELETE, even if it has other names, then watchers of the
 * directory NOTE_WRITE. Errors: those of a path; EPERM for a directory, EBUSY and EISDIR for the
 * root. Source: unlink(2).
 */
export function unlink(thread: Thread, tree: Tree, path: string): void {
	fromRoot(thread, tree, "unlink", (start) => removeName(start, path));
}

/**
 * Makes a directory with the permission bits of `mode`. Watchers of its parent get NOTE_WRITE and
 * NOTE_LINK. Errors: those of a path; EEXIST; EISDIR for the root; EMLINK; EINVAL for a mode that
 * is not an int. Source: mkdir(2).
 */
export function mkdir(thread: Thread, tree: Tree, path: string, mode: number = 0o777): void {
	fromRoot(thread, tree, "mkdir", (start) => makeDirectory(start, path, mode));
}

/**
 * Makes a fifo, a named pipe, with the permission bits of `mode`. Watchers of its directory get
 * NOTE_WRITE. Errors: those of a path; EEXIST; EISDIR for the root; EINVAL for a mode that is not
 * an int. Source: mkfifo(2).
 */
export function mkfifo(thread: Thread, tree: Tree, path: string, mode: number = 0o666): void {
	fromRoot(thread, tree, "mkfifo", (start) => makeFifo(start, path, mode));
}

/**
 * Removes an empty directory. Watchers of its parent get NOTE_WRITE and NOTE_LINK, then watchers of
 * the directory NOTE_DELETE; these also when it is not empty and stays. Errors: those of a path;
 * ENOTDIR; ENOTEMPTY; EINVAL for "."; EBUSY and EISDIR for the root. Source: rmdir(2).
 */
export function rmdir(thread: Thread, tree: Tree, path: string): void {
	fromRoot(thread, tree, "rmdir", (start) => removeDirectory(start, path));
}

/**
 * Renames a file, directory or symbolic link, and replaces what has the new name; nothing happens if
 * that is the same file. Watchers get, in this order: of the old directory NOTE_WRITE, even if the
 * call then fails with EINVAL for a directory that would be in itself, ENOTEMPTY or EMLINK; of the
 * new directory NOTE_WRITE; of the replaced file NOTE_DELETE; of the renamed one NOTE_RENAME.
 *
 * Errors: those of a path; ENOTDIR and EISDIR when only one of the two is a directory; ENOTEMPTY;
 * EINVAL for a directory that would be in itself, and "." and ".." of directories; EISDIR for the
 * root and "." as the new name; EMLINK. Source: rename(2).
 */
export function rename(thread: Thread, tree: Tree, from: string, to: string): void {
	fromRoot(thread, tree, "rename", (start) => renameFrom(start, from, start, to));
}

/**
 * Returns the names in a directory, in the order in which they were made, without "." and "..".
 * Errors: those of a path, ENOTDIR. Source: readdir(3).
 */
export function readdir(thread: Thread, tree: Tree, path: string): Dirent[] {
	return fromRoot(thread, tree, "readdir", (start) => {
		const directory = find(start, path);
		if (!directory.isDirectory) fail(start, errno.ENOTDIR, path);
		const found: PositionedDirent[] = [];
		unwrap(directory.readdir(0, Number.POSITIVE_INFINITY, found, timeOf(start)), "readdir", path);
		// Without "." and "..".
		return found.slice(2).map(({ name, ino, type }) => ({ name, ino, type }));
	});
}

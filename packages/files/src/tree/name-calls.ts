// System calls on the names in a tree: link, unlink, rename, mkdir, mkfifo, rmdir, readdir.
import {
	errno,
	NOTE_DELETE,
	NOTE_LINK,
	NOTE_RENAME,
	NOTE_WRITE,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { isInt32, show, syscall } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFIFO } from "@kqpoll/kqueue/stat";
import { changeTree, find, LINK_MAX, lookupName, type Place, type Tree } from "./tree.ts";
import type { Vnode } from "./vnode.ts";

/** A name in a directory. */
export interface Dirent {
	/** The name. */
	readonly name: string;
	/** The number of the file that has it. */
	readonly ino: number;
	/** The type of that file: S_IFREG, S_IFDIR or S_IFIFO. */
	readonly type: number;
}

/**
 * Adds a name to a file. Watchers of the file get NOTE_LINK, then watchers of the new name's
 * directory NOTE_WRITE. Errors: those of a path; EPERM for a directory; EEXIST; EISDIR for the root
 * as the new name; EMLINK. Source: link(2).
 */
export function link(thread: Thread, tree: Tree, path: string, name: string): void {
	changeTree(thread, tree, "link", () => {
		const vnode = find(tree, path, "link");
		if (vnode.isDirectory) throw new SystemError(errno.EPERM, "link", path);
		const place = lookupName(tree, name, "link");
		if (place.vnode !== null) throw new SystemError(errno.EEXIST, "link", name);
		checkLinks(vnode, "link", path);
		place.directory.enter(place.name, vnode, thread.kernel.host.now());
		vnode.post(NOTE_LINK);
		place.directory.post(NOTE_WRITE);
	});
}

/**
 * Removes a name of a file. The file goes with its last name, or else when it is closed. Watchers
 * of the file get NOTE_DELETE, even if it has other names, then watchers of the directory
 * NOTE_WRITE. Errors: those of a path; EPERM for a directory, EBUSY and EISDIR for the root.
 * Source: unlink(2).
 */
export function unlink(thread: Thread, tree: Tree, path: string): void {
	changeTree(thread, tree, "unlink", () => {
		const { directory, name, vnode } = existing(tree, path, "unlink");
		if (vnode === tree.root) throw new SystemError(errno.EBUSY, "unlink", path);
		if (vnode.isDirectory) throw new SystemError(errno.EPERM, "unlink", path);
		directory.leave(name, vnode, thread.kernel.host.now());
		vnode.post(NOTE_DELETE);
		directory.post(NOTE_WRITE);
	});
}

/**
 * Makes a directory with the permission bits of `mode`. Watchers of its parent get NOTE_WRITE and
 * NOTE_LINK. Errors: those of a path; EEXIST; EISDIR for the root; EMLINK; EINVAL for a mode that
 * is not an int. Source: mkdir(2).
 */
export function mkdir(thread: Thread, tree: Tree, path: string, mode: number = 0o777): void {
	changeTree(thread, tree, "mkdir", () => {
		if (!isInt32(mode)) throw new SystemError(errno.EINVAL, "mkdir", `mode ${show(mode)}`);
		const { directory, name, vnode } = lookupName(tree, path, "mkdir", true);
		if (vnode !== null) throw new SystemError(errno.EEXIST, "mkdir", path);
		checkLinks(directory, "mkdir", path);
		const now = thread.kernel.host.now();
		directory.enter(name, tree.makeVnode(S_IFDIR, mode & 0o777, now), now);
		directory.post(NOTE_WRITE | NOTE_LINK);
	});
}

/**
 * Makes a fifo, a named pipe, with the permission bits of `mode`. Watchers of its directory get
 * NOTE_WRITE. Errors: those of a path; EEXIST; EISDIR for the root; EINVAL for a mode that is not
 * an int. Source: mkfifo(2).
 */
export function mkfifo(thread: Thread, tree: Tree, path: string, mode: number = 0o666): void {
	changeTree(thread, tree, "mkfifo", () => {
		if (!isInt32(mode)) throw new SystemError(errno.EINVAL, "mkfifo", `mode ${show(mode)}`);
		const { directory, name, vnode } = lookupName(tree, path, "mkfifo");
		if (vnode !== null) throw new SystemError(errno.EEXIST, "mkfifo", path);
		const now = thread.kernel.host.now();
		directory.enter(name, tree.makeVnode(S_IFIFO, mode & 0o7777, now), now);
		directory.post(NOTE_WRITE);
	});
}

/**
 * Removes an empty directory. Watchers of its parent get NOTE_WRITE and NOTE_LINK, then watchers of
 * the directory NOTE_DELETE; these also when it is not empty and stays. Errors: those of a path;
 * ENOTDIR; ENOTEMPTY; EINVAL for "."; EBUSY and EISDIR for the root. Source: rmdir(2).
 */
export function rmdir(thread: Thread, tree: Tree, path: string): void {
	changeTree(thread, tree, "rmdir", () => {
		const { directory, name, vnode } = existing(tree, path, "rmdir");
		if (vnode.entries === null) throw new SystemError(errno.ENOTDIR, "rmdir", path);
		if (vnode === directory) throw new SystemError(errno.EINVAL, "rmdir", path);
		if (vnode === tree.root) throw new SystemError(errno.EBUSY, "rmdir", path);
		if (vnode.entries.size > 0) {
			vnode.post(NOTE_DELETE);
			throw new SystemError(errno.ENOTEMPTY, "rmdir", path);
		}
		directory.leave(name, vnode, thread.kernel.host.now());
		// The link "." goes too.
		vnode.nlink--;
		directory.post(NOTE_WRITE | NOTE_LINK);
		vnode.post(NOTE_DELETE);
	});
}

/**
 * Renames a file or directory, and replaces the file that has the new name; nothing happens if that
 * is the same file. Watchers get, in this order: of the old directory NOTE_WRITE, even if the call
 * then fails with EINVAL for a directory that would be in itself, ENOTEMPTY or EMLINK; of the new
 * directory NOTE_WRITE; of the replaced file NOTE_DELETE; of the renamed one NOTE_RENAME.
 *
 * Errors: those of a path; ENOTDIR and EISDIR when only one of the two is a directory; ENOTEMPTY;
 * EINVAL for a directory that would be in itself, and "." and ".." of directories; EISDIR for the
 * root and "." as the new name; EMLINK. Source: rename(2).
 */
export function rename(thread: Thread, tree: Tree, from: string, to: string): void {
	changeTree(thread, tree, "rename", () => {
		const old = existing(tree, from, "rename");
		const { vnode } = old;
		const target = lookupName(tree, to, "rename", vnode.isDirectory);
		checkRename(old, vnode, target);
		if (vnode === target.vnode) return;
		if (vnode === target.directory) throw new SystemError(errno.EINVAL, "rename", to);
		checkLinks(vnode, "rename", from);
		if (vnode.isDirectory) checkDots(old, target);
		old.directory.post(NOTE_WRITE);
		checkMove(vnode, old.directory, target);
		move(old, vnode, target, thread.kernel.host.now());
		target.directory.post(NOTE_WRITE);
		target.vnode?.post(NOTE_DELETE);
		vnode.post(NOTE_RENAME);
	});
}

/** Throws unless both are directories, or neither is. */
function checkRename(old: Place, vnode: Vnode, target: Place): void {
	const replaced = target.vnode;
	if (replaced === null) return;
	if (replaced === target.directory) throw new SystemError(errno.EISDIR, "rename", target.path);
	if (vnode.isDirectory && !replaced.isDirectory)
		throw new SystemError(errno.ENOTDIR, "rename", target.path);
	if (!vnode.isDirectory && replaced.isDirectory)
		throw new SystemError(
			errno.EISDIR,
			"rename",
			`${target.path} is a directory, ${old.path} is not`,
		);
}

function checkDots(old: Place, target: Place): void {
	if (old.vnode === old.directory || old.name === ".." || target.name === "..")
		throw new SystemError(
			errno.EINVAL,
			"rename",
			"a directory cannot be renamed by the names . and ..",
		);
}

/** What is checked late: the watchers of the old directory have been notified already. */
function checkMove(vnode: Vnode, from: Vnode, target: Place): void {
	const { directory, vnode: replaced, path } = target;
	const moves = vnode.isDirectory && from !== directory;
	for (let at = directory; moves && at !== at.parent; at = at.parent) {
		if (at === vnode) throw new SystemError(errno.EINVAL, "rename", path);
	}
	if (replaced === null) {
		if (moves) checkLinks(directory, "rename", path);
	} else if (replaced.entries !== null && replaced.entries.size > 0) {
		throw new SystemError(errno.ENOTEMPTY, "rename", path);
	}
}

function move(old: Place, vnode: Vnode, target: Place, now: number): void {
	const { directory, name, vnode: replaced } = target;
	old.directory.leave(old.name, vnode, now);
	if (replaced !== null) {
		directory.leave(name, replaced, now);
		if (replaced.isDirectory) replaced.nlink--;
	}
	directory.enter(name, vnode, now);
}

/**
 * Returns the names in a directory, in the order in which they were made, without "." and "..".
 * Errors: those of a path, ENOTDIR. Source: readdir(3).
 */
export function readdir(thread: Thread, tree: Tree, path: string): Dirent[] {
	return syscall(thread, "readdir", () => {
		const directory = find(tree, path, "readdir");
		if (directory.entries === null) throw new SystemError(errno.ENOTDIR, "readdir", path);
		directory.atime = thread.kernel.host.now();
		return [...directory.entries].map(([name, { ino, type }]) => ({ name, ino, type }));
	});
}

function existing(tree: Tree, path: string, name: string): Place & { readonly vnode: Vnode } {
	const place = lookupName(tree, path, name);
	const { vnode } = place;
	if (vnode === null) throw new SystemError(errno.ENOENT, name, path);
	return { ...place, vnode };
}

function checkLinks(vnode: Vnode, name: string, path: string): void {
	if (vnode.nlink >= LINK_MAX) throw new SystemError(errno.EMLINK, name, path);
}

// A file system in memory: regular files, directories and fifos by path.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { show, syscall } from "@kqpoll/kqueue/kernel";
import { S_IFDIR } from "@kqpoll/kqueue/stat";
import { treeCheck } from "./tree-check.ts";
import type { TreeFile } from "./tree-file.ts";
import { Vnode } from "./vnode.ts";

/** A name has at most this many bytes. */
const NAME_MAX = 255;
/** A path has fewer bytes than this. */
const PATH_MAX = 1024;
/** A file has at most this many links: names, and for a directory those of `.` and `..`. */
export const LINK_MAX = 32767;

/** For diagnostics: a tree of up to this many files is checked after each change. */
const CHECKED = 64;

/** What can be chosen about a tree. */
export interface TreeOptions {
	/** How many bytes a file can have (default: 2^31 - 1). */
	readonly maxFileSize?: number;
}

/**
 * A file system in memory, with OpenBSD's notes for watchers. It belongs to no kernel: a program
 * may have several, and several kernels may share one. Paths begin at its root, with or without a
 * slash; there is no working directory, no symbolic link, and every process is root's.
 *
 * A call on a path fails with EFAULT when it is not a string; ENOENT when something on it is
 * missing, or it is empty, or the tree was unmounted; ENOTDIR when something on it is not a
 * directory, also the last name before a slash; ENAMETOOLONG for a name of more than 255 bytes in
 * UTF-8, or a path of more than 1023; EINVAL when it contains a NUL. A call that fails changes
 * nothing.
 */
export class Tree {
	/** The root directory. @internal */
	readonly root: Vnode = new Vnode(2, S_IFDIR, 0o755, 0);
	/** The open files, with those that have no name any more. @internal */
	readonly opens: Set<TreeFile> = new Set();
	/** How many bytes a file can have. */
	readonly maxFileSize: number;
	/** Whether it can be reached by paths. @internal */
	mounted = true;
	private lastIno = 2;
	/** How many changes there were since the last check. */
	private unchecked = 0;
	/** How much there was to look at then. */
	private checked = 0;

	/** Makes an empty tree: there is only the root. EINVAL for a size that is not a whole number. */
	constructor(options: TreeOptions = {}) {
		this.maxFileSize = options.maxFileSize ?? 0x7fffffff;
		if (!Number.isSafeInteger(this.maxFileSize) || this.maxFileSize < 0)
			throw new SystemError(errno.EINVAL, "Tree", `maxFileSize ${show(this.maxFileSize)}`);
		this.root.nlink = 2;
	}

	/**
	 * For diagnostics: throws a Panic unless the files, their names and the open files agree. Looks
	 * at a small tree each time, and at a large one less often, so that a call does not cost more.
	 * @internal
	 */
	check(): void {
		if (++this.unchecked * CHECKED < this.checked) return;
		this.unchecked = 0;
		this.checked = treeCheck(this.root, this.opens);
	}

	/** Makes a file of an S_IF type, without a name. @internal */
	makeVnode(type: number, permissions: number, now: number): Vnode {
		return new Vnode(++this.lastIno, type, permissions, now);
	}
}

/** A system call that changes a tree, which is checked when diagnostics are on. */
export function changeTree(thread: Thread, tree: Tree, name: string, act: () => void): void {
	syscall(thread, name, () => {
		act();
		if (thread.kernel.diagnostics) tree.check();
	});
}

/** Where a path leads. */
export interface Place {
	/** The path, for messages. */
	readonly path: string;
	/** The directory of the last name. */
	readonly directory: Vnode;
	/** The last name; empty for the root. */
	readonly name: string;
	/** The file that has that name, null if there is none. */
	readonly vnode: Vnode | null;
	/** Whether the path ends in a slash: the name must be a directory's. */
	readonly slash: boolean;
}

/**
 * Follows a path to its last name. Errors: EFAULT for what is not a string, ENOENT, ENOTDIR,
 * ENAMETOOLONG; EINVAL for a path that is not possible in C. Source: namei(9).
 */
export function lookup(tree: Tree, path: string, syscall: string): Place {
	checkPath(tree, path, syscall);
	const names = path.split("/").filter((name) => name !== "");
	const name = names.pop();
	if (name === undefined)
		return { path, directory: tree.root, name: "", vnode: tree.root, slash: false };
	let directory = tree.root;
	for (const step of names) {
		directory = child(directory, step, path, syscall) ?? absent(path, syscall);
	}
	const vnode = child(directory, name, path, syscall);
	const slash = path.endsWith("/");
	if (slash && vnode !== null && !vnode.isDirectory)
		throw new SystemError(errno.ENOTDIR, syscall, path);
	return { path, directory, name, vnode, slash };
}

function absent(path: string, syscall: string): never {
	throw new SystemError(errno.ENOENT, syscall, path);
}

/** The file that a path leads to. Errors as for {@link lookup}, and ENOENT. */
export function find(tree: Tree, path: string, syscall: string): Vnode {
	return lookup(tree, path, syscall).vnode ?? absent(path, syscall);
}

/**
 * As {@link lookup}, for a name that will be made, removed or renamed. Also throws EISDIR for the
 * root, and ENOENT for a path that ends in a slash and leads to nothing, unless a directory will be
 * made.
 */
export function lookupName(
	tree: Tree,
	path: string,
	syscall: string,
	makesDirectory = false,
): Place {
	const place = lookup(tree, path, syscall);
	if (place.name === "") throw new SystemError(errno.EISDIR, syscall, path);
	if (place.vnode === null && place.slash && !makesDirectory) absent(path, syscall);
	return place;
}

function checkPath(tree: Tree, path: string, syscall: string): void {
	if (typeof path !== "string") throw new SystemError(errno.EFAULT, syscall, `path ${show(path)}`);
	if (path.includes("\0")) throw new SystemError(errno.EINVAL, syscall, "the path contains a NUL");
	if (path === "") throw new SystemError(errno.ENOENT, syscall, "the path is empty");
	if (utf8Length(path) >= PATH_MAX) throw new SystemError(errno.ENAMETOOLONG, syscall);
	if (!tree.mounted) throw new SystemError(errno.ENOENT, syscall, "the tree is not mounted");
}

function child(directory: Vnode, name: string, path: string, syscall: string): Vnode | null {
	if (directory.entries === null) throw new SystemError(errno.ENOTDIR, syscall, path);
	if (utf8Length(name) > NAME_MAX) throw new SystemError(errno.ENAMETOOLONG, syscall);
	if (name === ".") return directory;
	return name === ".." ? directory.parent : (directory.entries.get(name) ?? null);
}

/** How many bytes a string has in UTF-8. */
function utf8Length(text: string): number {
	let length = 0;
	for (const character of text) {
		const code = character.codePointAt(0) as number;
		if (code < 0x80) length += 1;
		else if (code < 0x800) length += 2;
		else length += code < 0x10000 ? 3 : 4;
	}
	return length;
}

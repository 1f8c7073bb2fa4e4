// A file system in memory: regular files, directories, fifos and symbolic links by path.
import { errno, SystemError } from "@kqpoll/kqueue";
import { show } from "@kqpoll/kqueue/kernel";
import { S_IFDIR } from "@kqpoll/kqueue/stat";
import { treeCheck } from "./tree-check.ts";
import type { TreeFile } from "./tree-file.ts";
import { Vnode } from "./vnode.ts";

/** A file has at most this many links: names, and for a directory those of `.` and `..`. */
export const LINK_MAX = 32767;

/** For diagnostics: a tree of up to this many files is checked after each change. */
const CHECKED = 64;

/** How many trees were made. */
let trees = 0;

/** What can be chosen about a tree. */
export interface TreeOptions {
	/** How many bytes a file can have (default: 2^31 - 1). */
	readonly maxFileSize?: number;
}

/**
 * A file system in memory, with OpenBSD's notes for watchers. It belongs to no kernel: a program
 * may have several, and several kernels may share one. Paths begin at its root, with or without a
 * slash; there is no working directory, and every process is root's. A symbolic link leads on from
 * the directory that it is in, or from the root if its path begins with a slash.
 *
 * A call on a path fails with EFAULT when it is not a string; ENOENT when something on it is
 * missing, or it is empty, or the tree was unmounted; ENOTDIR when something on it is not a
 * directory, also the last name before a slash; ELOOP when it leads through more than 32 symbolic
 * links; ENAMETOOLONG for a name of more than 255 bytes in UTF-8, or a path of more than 1023, also
 * with a link's path in it; EINVAL when it contains a NUL. A call that fails changes nothing.
 */
export class Tree {
	/** The root directory. @internal */
	readonly root: Vnode = new Vnode(2, S_IFDIR, 0o755, 0);
	/** The open files, with those that have no name any more. @internal */
	readonly opens: Set<TreeFile> = new Set();
	/** Its number, for stat. @internal */
	readonly dev: number = ++trees;
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

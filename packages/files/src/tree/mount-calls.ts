// System calls that put file systems into a tree and take them out: mount, unmount.

import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { attempt, copyin, type Failure, rethrow, show, unwrap } from "@kqpoll/kqueue/kernel";
import { fail } from "./caller.ts";
import { FileSystem } from "./file-system.ts";
import { find } from "./namei.ts";
import { revokeAll } from "./revoke-calls.ts";
import { fromRoot, type Start } from "./start.ts";
import type { Tree } from "./tree.ts";
import type { Vnode } from "./vnode.ts";

/** How a file system is mounted. */
export interface MountOptions {
	/** Whether calls that would change something in it fail with EROFS (default: false). */
	readonly readOnly?: boolean | undefined;
}

/** How a file system is unmounted. */
export interface UnmountOptions {
	/** Whether what is open in it is revoked (default: false, which is EBUSY). */
	readonly force?: boolean | undefined;
}

/**
 * Mounts a file system on a directory: its root takes the place of the directory, and hides it with
 * what is in it; who has something open there keeps it. It may be the root of the tree. Paths lead in,
 * and out again by "..". No name can be linked or renamed from one file system to another (EXDEV), or
 * removed while something is mounted there (EBUSY). Of several on one directory the last is seen.
 *
 * A {@link Tree} can be mounted too. Paths that begin at its own root do not lead out of it.
 *
 * Errors: those of a path; ENOTDIR; EFAULT for what is not a file system; EBUSY for one that is mounted
 * already, or is what the path leads through; those of getting it ready. Source: mount(2).
 */
export function mount(
	thread: Thread,
	tree: Tree,
	path: string,
	fs: FileSystem,
	options: MountOptions = {},
): void {
	fromRoot(thread, tree, "mount", (start) => {
		if (!FileSystem.isFileSystem(fs))
			throw new SystemError(errno.EFAULT, "mount", `${show(fs)} is not a file system`);
		const readOnly = copyin("mount", "the options", () => options.readOnly === true);
		const directory = find(start, path);
		if (!directory.isDirectory) fail(start, errno.ENOTDIR, path);
		if (fs.covered !== null || contains(fs, directory)) fail(start, errno.EBUSY, path);
		unwrap(directory.hold(), "mount", path);
		try {
			fs.mounting("mount");
		} catch (error) {
			directory.release();
			throw error;
		}
		fs.readOnly = readOnly;
		fs.covered = directory;
		directory.mountedHere = fs;
		directory.fs.mounts.add(fs);
	});
}

/** Whether a directory is in a file system, or in one that is mounted in it. */
function contains(fs: FileSystem, directory: Vnode): boolean {
	for (let at: Vnode | null = directory; at !== null; at = at.fs.covered) {
		if (at.fs === fs) return true;
	}
	return false;
}

/**
 * Takes a file system out again, whose root is at `path`. Files in it that are open, and file systems
 * that are mounted in it, are EBUSY; with `force` they are revoked, one after the other in the order in
 * which they were opened, and unmounted.
 *
 * Without a path it is the tree itself, always by force: calls on its paths fail with ENOENT from then
 * on. Errors: those of a path; EINVAL for what is not the root of a file system that is mounted; EBUSY.
 * Source: unmount(2).
 */
export function unmount(
	thread: Thread,
	tree: Tree,
	path?: string,
	options: UnmountOptions = {},
): void {
	fromRoot(thread, tree, "unmount", (start) => {
		const force = copyin("unmount", "the options", () => options.force === true);
		if (path === undefined) {
			tree.mounted = false;
			takeAway(tree);
			return;
		}
		const { fs } = mountAt(start, path);
		if (!force && (fs.opens.size > 0 || fs.mounts.size > 0)) {
			const why = fs.opens.size > 0 ? "files in it are open" : "another is mounted in it";
			throw new SystemError(errno.EBUSY, "unmount", `${path}: ${why}`);
		}
		takeAway(fs);
	});
}

/** The root of a file system that is mounted. EINVAL for anything else. */
function mountAt(start: Start, path: string): Vnode {
	const vnode = find(start, path);
	if (vnode === vnode.fs.root && vnode.fs.covered !== null) return vnode;
	throw new SystemError(errno.EINVAL, start.syscall, `nothing is mounted on ${path}`);
}

/** Unmounts a file system by force, and before it what is mounted in it, the last first. */
function takeAway(fs: FileSystem): void {
	let failure: Failure = null;
	for (const inner of [...fs.mounts].reverse()) failure = attempt(failure, () => takeAway(inner));
	const { covered } = fs;
	if (covered !== null) {
		covered.mountedHere = null;
		covered.fs.mounts.delete(fs);
		fs.covered = null;
		covered.release();
	}
	failure = attempt(failure, () => revokeAll(fs));
	if (covered !== null) failure = attempt(failure, () => fs.unmounted());
	fs.readOnly = false;
	rethrow(failure);
}

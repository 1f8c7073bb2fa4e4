// Where the paths of a system call begin: at the root of a tree, or at the directory of a descriptor.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { getFile, show, syscall } from "@kqpoll/kqueue/kernel";
import type { Caller } from "./caller.ts";
import { type FileSystem, mountedOn } from "./file-system.ts";
import { Tree } from "./tree.ts";
import { TreeFile } from "./tree-file.ts";
import type { Vnode } from "./vnode.ts";

/** Where the paths of a system call begin. */
export interface Start extends Caller {
	/** The tree that the files are in. */
	readonly tree: Tree;
	/**
	 * Where a path begins that does not begin with a slash. Null if that is not a directory: then
	 * there are only the others, which begin at the root.
	 */
	readonly directory: Vnode | null;
	/**
	 * Whether paths must stay in that directory. Then EPERM is the error of ".." where it leads out,
	 * and of paths and symbolic links that begin with a slash.
	 */
	readonly beneath: boolean;
}

/** A system call whose paths begin at the root of a tree, which it may change. */
export function fromRoot<T>(thread: Thread, tree: Tree, name: string, act: (start: Start) => T): T {
	return syscall(thread, name, () => {
		const start = rootOf(thread, tree, name);
		return checked(act(start), start);
	});
}

/** A system call whose paths begin at the directory of a descriptor. Errors: EBADF, ENOTDIR. */
export function fromDescriptor<T>(
	thread: Thread,
	fd: number,
	name: string,
	act: (start: Start) => T,
): T {
	return syscall(thread, name, () => {
		const start = startAt(thread, fd, name);
		return checked(act(start), start);
	});
}

/** The root of a tree as the beginning of paths. EFAULT for what is not a tree. */
export function rootOf(thread: Thread, tree: Tree, name: string): Start {
	if (!Tree.isTree(tree)) throw new SystemError(errno.EFAULT, name, `${show(tree)} is not a Tree`);
	return { thread, syscall: name, tree, directory: mountedOn(tree.root), beneath: false };
}

/**
 * The directory of a descriptor as the beginning of paths; those that begin with a slash count from
 * the root of its tree. Errors: EBADF; ENOTDIR for what is not of a tree.
 */
export function startAt(thread: Thread, fd: number, name: string): Start {
	const file = getFile(thread, fd, name);
	if (!(file instanceof TreeFile))
		throw new SystemError(errno.ENOTDIR, name, `descriptor ${fd} is not of a tree`);
	const { tree, vnode, revoked, beneath } = file;
	const directory = revoked || !vnode.isDirectory ? null : vnode;
	return { thread, syscall: name, tree, directory, beneath };
}

/** Returns the result of a call, after which the tree is checked when diagnostics are on. */
export function checked<T>(result: T, { thread, tree }: Start): T {
	if (thread.kernel.diagnostics) checkAll(tree);
	return result;
}

/** Checks a file system and what is mounted in it. */
function checkAll(fs: FileSystem): void {
	fs.check();
	for (const inner of fs.mounts) checkAll(inner);
}

// What all open files of a tree have in common.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { File, getFile, type Knote } from "@kqpoll/kqueue/kernel";
import { deadKqfilter } from "../shared/vnode-dead.ts";
import type { Tree } from "./tree.ts";
import type { Vnode } from "./vnode.ts";
import type { VnodeStat } from "./vnode-stat.ts";

/**
 * An open file of a tree. Its file system has it in `opens` until it is closed or revoked. Once it is
 * revoked, a class that extends this must answer reads and writes with EIO; to watchers it is dead.
 */
export abstract class TreeFile extends File {
	/** The file, directory or fifo that is open. */
	readonly vnode: Vnode;
	/** The tree in which it was opened: there paths begin that begin with a slash. */
	readonly tree: Tree;
	/**
	 * Of a directory: whether paths that begin at it must stay in it; so must those that begin at the
	 * directories that are opened by such paths.
	 */
	beneath = false;

	/** Opens a vnode of a tree. */
	constructor(tree: Tree, vnode: Vnode, flags: number) {
		super("vnode");
		this.tree = tree;
		this.vnode = vnode;
		this.flags = flags;
		vnode.fs.opened(this);
	}

	/** As {@link File.kqfilter}, for a file that is not revoked. */
	protected abstract watch(kn: Knote): number;

	/** Joins a knote to the vnode; a revoked one is at end of file. */
	override kqfilter(kn: Knote): number {
		return this.revoked ? deadKqfilter(kn) : this.watch(kn);
	}

	/** Cuts the file or adds zeros; as {@link Vnode.truncate}, and EBADF once it is revoked. */
	truncate(thread: Thread, size: number): number {
		if (this.revoked) return -errno.EBADF;
		return this.vnode.truncate(size, thread.kernel.host.realtime());
	}

	/** What fstat returns. Throws EBADF once it is revoked. */
	override stat(): VnodeStat {
		if (this.revoked) throw new SystemError(errno.EBADF, "fstat", "the file was revoked");
		return this.vnode.stat("fstat", "the file");
	}

	/** Leaves the tree. */
	override close(thread: Thread | null): void {
		const { fs } = this.vnode;
		fs.closed(this);
		this.left();
		if (thread?.kernel.diagnostics) fs.check();
	}

	/** Called when it was closed and is not in `opens` any more. */
	protected left(): void {}
}

/**
 * The open file of a tree that a descriptor refers to. Errors: EBADF, also for a revoked file; EINVAL
 * for what is not of a tree. Source: getvnode.
 */
export function getTreeFile(thread: Thread, fd: number, syscall: string): TreeFile {
	const file = getFile(thread, fd, syscall);
	if (!(file instanceof TreeFile))
		throw new SystemError(errno.EINVAL, syscall, `descriptor ${fd} is not of a tree`);
	if (file.revoked) throw new SystemError(errno.EBADF, syscall, "the file was revoked");
	return file;
}

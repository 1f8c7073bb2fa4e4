// A file system in memory: regular files, directories, fifos and symbolic links by path.
import { errno, type Process, SystemError } from "@kqpoll/kqueue";
import { copyin, Quota, show } from "@kqpoll/kqueue/kernel";
import { S_IFDIR } from "@kqpoll/kqueue/stat";
import { FileSystem } from "./file-system.ts";
import { MemoryVnode } from "./memory-vnode.ts";
import type { Share } from "./share.ts";
import { treeCheck } from "./tree-check.ts";

/** A file has at most this many links: names, and for a directory those of `.` and `..`. */
export const LINK_MAX = 32767;

/** For diagnostics: a tree of up to this many files is checked after each change. */
const CHECKED = 64;

/** What can be chosen about a tree: whole numbers from 0 on. */
export interface TreeOptions {
	/** How many bytes a file can have (default: 2^31 - 1). */
	readonly maxFileSize?: number;
	/** How many bytes all files can have together (default: 2^30). */
	readonly maxBytes?: number;
	/** How many of them can be of files that one account has made (default: 2^28). */
	readonly maxAccountBytes?: number;
	/** How many names there can be, of files, directories, fifos and links (default: 524,288). */
	readonly maxNames?: number;
	/** How many of them one account can make (default: 131,072). */
	readonly maxAccountNames?: number;
	/** How deep a directory can be: those in the root are 1 deep (default: 1024). */
	readonly maxDepth?: number;
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
 * with a link's path in it; EINVAL when it contains a NUL. One that makes or moves something fails
 * with ENOSPC beyond a limit of the tree. A call that fails changes nothing.
 */
export class Tree extends FileSystem {
	/** What a Proxy of a tree does not have. */
	readonly #brand = true;
	/** How many bytes and names there are, and can be. */
	readonly usage: Share;
	/** The root directory. @internal */
	override readonly root: MemoryVnode;
	/** How many bytes a file can have. */
	override readonly maxFileSize: number;
	/** A file has at most this many links. @internal */
	override readonly linkMax: number = LINK_MAX;
	/** Whether it can be reached by paths. @internal */
	mounted = true;
	/** How deep a directory can be. */
	readonly maxDepth: number;
	private readonly maxAccountBytes: number;
	private readonly maxAccountNames: number;
	/** The shares of accounts, by the account. */
	private readonly shares: WeakMap<object, Share> = new WeakMap();
	private lastIno = 2;
	/** How many changes there were since the last check. */
	private unchecked = 0;
	/** How much there was to look at then. */
	private checked = 0;

	/** Makes an empty tree: there is only the root. EINVAL for a limit that is not a whole number. */
	constructor(options: TreeOptions = {}) {
		super();
		const limit = (name: keyof TreeOptions, value: number): number =>
			checkLimit(
				copyin("Tree", "the options", () => options[name] ?? value),
				name,
			);
		this.maxFileSize = limit("maxFileSize", 0x7fffffff);
		this.maxDepth = limit("maxDepth", 1024);
		this.maxAccountBytes = limit("maxAccountBytes", 2 ** 28);
		this.maxAccountNames = limit("maxAccountNames", 131_072);
		this.usage = {
			bytes: new Quota(limit("maxBytes", 2 ** 30), null),
			names: new Quota(limit("maxNames", 524_288), null),
		};
		this.root = new MemoryVnode(this, 2, S_IFDIR, 0o755, 0, this.usage);
		this.root.nlink = 2;
	}

	/** What a process, with its account, has made in the tree. */
	share({ account }: Process): Share {
		let share = this.shares.get(account);
		if (share === undefined) {
			share = {
				bytes: new Quota(this.maxAccountBytes, this.usage.bytes),
				names: new Quota(this.maxAccountNames, this.usage.names),
			};
			this.shares.set(account, share);
		}
		return share;
	}

	/** Whether a value is a tree, and not only something that looks like one. @internal */
	static isTree(value: unknown): value is Tree {
		return typeof value === "object" && value !== null && #brand in value;
	}

	/**
	 * For diagnostics: throws a Panic unless the files, their names and the open files agree. Looks
	 * at a small tree each time, and at a large one less often, so that a call does not cost more.
	 * @internal
	 */
	override check(): void {
		if (++this.unchecked * CHECKED < this.checked) return;
		this.unchecked = 0;
		this.checked = treeCheck(this);
	}

	/** Makes a file of an S_IF type, without a name. @internal */
	makeVnode(type: number, permissions: number, now: number, payer: Share): MemoryVnode {
		return new MemoryVnode(this, ++this.lastIno, type, permissions, now, payer);
	}
}

function checkLimit(limit: number, name: string): number {
	if (Number.isSafeInteger(limit) && limit >= 0) return limit;
	throw new SystemError(errno.EINVAL, "Tree", `${name} ${show(limit)}`);
}

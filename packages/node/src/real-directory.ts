// A directory of the real file system, to be mounted into a tree.
import { type BigIntStats, closeSync, constants, lstatSync, realpathSync, statSync } from "node:fs";
import { FileSystem, newDevice } from "@kqpoll/files/kernel";
import { errno, SystemError } from "@kqpoll/kqueue";
import { kassert } from "@kqpoll/kqueue/kernel";
import { type Anchors, anchorsOf } from "./directory-anchors.ts";
import { DirectoryVnode } from "./directory-vnode.ts";
import { translated } from "./node-errors.ts";

/**
 * So many files that nobody uses are remembered. A path of 1023 bytes, with 32 links on it, leads
 * through fewer: so within one call there is one object of each file.
 */
const REMEMBERED = 8192;

/** Descriptors that a directory leaves open which was forgotten without being unmounted. */
const leftOpen: FinalizationRegistry<Set<number>> = new FinalizationRegistry(closeAll);

function closeAll(fds: Set<number>): void {
	for (const fd of fds) closeSync(fd);
	fds.clear();
}

/** For diagnostics: as long as no more files are known than this they are checked after each change. */
const CHECKED = 64;

/** What can be chosen about a real directory. */
export interface RealDirectoryOptions {
	/**
	 * Whether files are reached by paths that are checked step by step, as on systems without
	 * `/proc/self/fd` (default: false). For tests.
	 */
	readonly byPath?: boolean | undefined;
}

/** The files of one device. */
interface Device {
	/** Its number, for stat. */
	readonly dev: number;
	/** Those that are known, by their real numbers. */
	readonly files: Map<bigint, DirectoryVnode>;
}

/**
 * A directory of the real file system, as a file system for `mount` of `@kqpoll/files`. Reads and
 * writes go through to the real files, at once; nothing is kept here but what is open.
 *
 * It cannot be left. Links are followed by the tree and not by the real system: a path of a link that
 * begins with a slash counts from the root of the tree, and ".." leads out of the mount as of any
 * other, into the tree. A step of a path is one name behind a real descriptor that stands for the
 * directory (Linux, `/proc/self/fd`), which is never followed if it has become a link meanwhile. A
 * directory that is moved out of the real directory from outside stays reachable by descriptors that
 * are open, and only by them. On other systems each step is checked before a path is used, and who can
 * change the directories from outside at that very moment can lead a call astray.
 *
 * Guests get what the real user may do: EACCES and the like come from the real system, and so do the
 * user and group of new files, and the umask. Fifos can be opened, and are those of the emulated
 * machine; they cannot be made (EOPNOTSUPP). Devices cannot be opened (ENXIO), nor sockets
 * (EOPNOTSUPP). Links can be made that lead anywhere: on the emulated machine they do not leave, but
 * real programs that follow them do. Names that are not UTF-8 are not seen.
 *
 * While a file is watched with kevent, changes from outside are reported as VNODE notes, as far as
 * `fs.watch` tells, and not before the event loop has its turn.
 */
export class RealDirectory extends FileSystem {
	/** The real file system has its own limit. */
	override readonly maxFileSize: number = Number.MAX_SAFE_INTEGER;
	/** The path, with all links followed. */
	readonly path: string;
	/** How its files are reached while it is mounted. @internal */
	anchors!: Anchors;
	/** The real descriptors that are open. @internal */
	readonly fds: Set<number> = new Set();
	/** How many files that nobody uses are remembered. @internal */
	remembers: number = REMEMBERED;
	private top: DirectoryVnode | null = null;
	private readonly byPath: boolean;
	private devices: Map<bigint, Device> = new Map();
	/** Remembered, but not needed; the one that was needed last is at the end. */
	private readonly unneeded: Set<DirectoryVnode> = new Set();

	/**
	 * Stands for the directory at a path of the real file system, which is looked at again when it is
	 * mounted. Errors: ENOTDIR; those of the real system: ENOENT, EACCES …
	 */
	constructor(path: string, options: RealDirectoryOptions = {}) {
		super();
		leftOpen.register(this, this.fds);
		if (typeof path !== "string")
			throw new SystemError(errno.EFAULT, "RealDirectory", "the path is not a string");
		this.byPath = options.byPath === true;
		this.path = translated("RealDirectory", path, () => realpathSync(path));
		const isDirectory = translated("RealDirectory", path, () => statSync(path).isDirectory());
		if (!isDirectory) throw new SystemError(errno.ENOTDIR, "RealDirectory", path);
	}

	/** The root. @internal */
	override get root(): DirectoryVnode {
		if (this.top === null) throw new SystemError(errno.ENXIO, "RealDirectory", "it is not mounted");
		return this.top;
	}

	/** How many files are remembered. @internal */
	get remembered(): number {
		let count = 0;
		for (const { files } of this.devices.values()) count += files.size;
		return count;
	}

	/** Opens the real directory. @internal */
	override mounting(syscall: string): void {
		translated(syscall, this.path, () => {
			const stats = lstatSync(this.path, { bigint: true });
			if (!stats.isDirectory()) throw Object.assign(new Error(), { code: "ENOTDIR" });
			this.anchors = anchorsOf(this.path, this.fds, this.byPath);
			this.devices = new Map([[stats.dev, { dev: this.dev, files: new Map() }]]);
			const top = new DirectoryVnode(this, stats, this.dev, null, null);
			top.needs = 1;
			this.anchors.pin(top);
			this.filesOf(stats.dev).files.set(stats.ino, top);
			this.top = top;
		});
	}

	/** Closes everything real. @internal */
	override unmounted(): void {
		for (const { files } of this.devices.values())
			for (const vnode of files.values()) vnode.forgotten();
		this.devices.clear();
		this.unneeded.clear();
		this.top = null;
		closeAll(this.fds);
	}

	/**
	 * For diagnostics: throws a Panic unless what is known of its files agrees. Looks at a few files only,
	 * so that a call does not cost more.
	 */
	override check(): void {
		if (this.remembered > CHECKED) return;
		const known = [...this.devices.values()].flatMap(({ files }) => [...files.values()]);
		for (const vnode of known) {
			const inside = known.filter((each) => each.parent === vnode && each !== vnode).length;
			kassert(vnode.known, "what is forgotten is not found");
			kassert(vnode.needs >= inside + vnode.opens, "a file is needed by what is open and in it");
			kassert(vnode.needs > 0 !== this.unneeded.has(vnode), "files are needed, or remembered");
		}
	}

	/** The object of a file that was found under a name. @internal */
	vnodeOf(stats: BigIntStats, parent: DirectoryVnode, name: string): DirectoryVnode {
		const { dev, files } = this.filesOf(stats.dev);
		const known = files.get(stats.ino);
		// The number of a file that is gone may be that of another one.
		if (known !== undefined && known.type === (Number(stats.mode) & constants.S_IFMT)) {
			if (known.parent !== known) known.moved(parent, name);
			if (known.needs === 0) this.remember(known);
			return known;
		}
		const vnode = new DirectoryVnode(this, stats, dev, parent, name);
		files.set(stats.ino, vnode);
		this.needed(parent);
		this.remember(vnode);
		return vnode;
	}

	/** A file is needed once more: it is open, covered, or the directory of one that is known. @internal */
	needed(vnode: DirectoryVnode): void {
		vnode.needs++;
		this.unneeded.delete(vnode);
	}

	/** Undoes one {@link needed}. @internal */
	released(vnode: DirectoryVnode): void {
		if (--vnode.needs > 0) return;
		if (vnode.name === null) this.forget(vnode);
		else this.remember(vnode);
	}

	private remember(vnode: DirectoryVnode): void {
		this.unneeded.delete(vnode);
		this.unneeded.add(vnode);
		for (const oldest of this.unneeded) {
			if (this.unneeded.size <= this.remembers) return;
			this.forget(oldest);
		}
	}

	/** A file is not needed: its object goes. @internal */
	forget(vnode: DirectoryVnode): void {
		if (!vnode.known) return;
		vnode.known = false;
		this.unneeded.delete(vnode);
		const { files } = this.filesOf(vnode.device);
		if (files.get(vnode.inode) === vnode) files.delete(vnode.inode);
		vnode.forgotten();
		this.anchors.drop(vnode);
		if (vnode.parent !== vnode) this.released(vnode.parent);
	}

	private filesOf(device: bigint): Device {
		let found = this.devices.get(device);
		if (found === undefined) {
			found = { dev: newDevice(), files: new Map() };
			this.devices.set(device, found);
		}
		return found;
	}
}

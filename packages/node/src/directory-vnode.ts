// A file of a real directory.
import {
	type BigIntStats,
	chmodSync,
	chownSync,
	closeSync,
	constants,
	fdatasyncSync,
	fstatSync,
	fsyncSync,
	ftruncateSync,
	lchownSync,
	linkSync,
	lstatSync,
	lutimesSync,
	mkdirSync,
	openSync,
	readdirSync,
	readlinkSync,
	readSync,
	renameSync,
	rmdirSync,
	symlinkSync,
	unlinkSync,
	utimesSync,
	writeSync,
} from "node:fs";
import type { PositionedDirent, VnodeStat } from "@kqpoll/files";
import {
	type Caller,
	checkSize,
	Directory,
	type FileSystem,
	type Named,
	type NewFile,
	type NewTime,
	type Place,
	Vnode,
} from "@kqpoll/files/kernel";
import {
	errno,
	NOTE_ATTRIB,
	NOTE_EXTEND,
	NOTE_TRUNCATE,
	NOTE_WRITE,
	SystemError,
} from "@kqpoll/kqueue";
import { FREAD, FWRITE, type Knote, Quota } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from "@kqpoll/kqueue/stat";
import type { Anchored, Anchors } from "./directory-anchors.ts";
import { DirectoryWatch } from "./directory-watch.ts";
import { ExactTimes, nanosecondsOf, secondsOf } from "./exact-times.ts";
import { errnoOf } from "./node-errors.ts";

/** How many bytes go in one transfer at most. */
const MAXPHYS = 2 ** 30;
const NS_PER_S = 1_000_000_000n;
/** The positions of "..", and behind it. */
const DOTDOT = 12;
const FIRST = 24;
/** Names of real directories are not charged to anybody. */
const FREE = new Quota(Number.POSITIVE_INFINITY, null);
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;

/** The file system of a real directory. */
export interface DirectoryFiles extends FileSystem {
	readonly root: DirectoryVnode;
	/** How its files are reached. */
	readonly anchors: Anchors;
	/** The real descriptors that are open. */
	readonly fds: Set<number>;
	/** The object of a file that was found under a name. */
	vnodeOf(stats: BigIntStats, parent: DirectoryVnode, name: string): DirectoryVnode;
	/** A file is needed once more. */
	needed(vnode: DirectoryVnode): void;
	/** Undoes one `needed`. */
	released(vnode: DirectoryVnode): void;
	/** A file is not needed: its object goes. */
	forget(vnode: DirectoryVnode): void;
}

/** A file of a real directory. */
export class DirectoryVnode extends Vnode implements Anchored {
	declare readonly fs: DirectoryFiles;
	/** Its device and its number on that. */
	readonly device: bigint;
	readonly inode: bigint;
	override readonly ino: number;
	/** Where it was seen last. */
	parent: DirectoryVnode = this;
	name: string | null;
	/** The descriptor that stands for it. */
	fd = -1;
	pins = 0;
	/** How often it is needed: by open files, a mount, and the known files in it. */
	needs = 0;
	/** Whether this is the object of the file. */
	known = true;
	/** The number of its device, for stat. */
	private readonly dev: number;
	/** How many open files there are of it that were opened through `open`. */
	private users = 0;
	/** The descriptors for its bytes. */
	private readFd = -1;
	private writeFd = -1;
	private appendFd = -1;
	/** While a directory is open: the positions of its names. */
	private listing: Directory<true> | null = null;
	private readonly watchers: Set<Knote> = new Set();
	private watch: DirectoryWatch | null = null;
	private lastSize = 0;
	/** The times that were set here. */
	private exact: ExactTimes | null = null;

	/** Makes the object of a file that was found in a directory; of the root without one. */
	constructor(
		fs: DirectoryFiles,
		stats: BigIntStats,
		dev: number,
		parent: DirectoryVnode | null,
		name: string | null,
	) {
		super(fs, Number(stats.mode) & constants.S_IFMT);
		this.device = stats.dev;
		this.inode = stats.ino;
		this.ino = folded(stats.ino);
		this.dev = dev;
		if (parent !== null) this.parent = parent;
		this.name = name;
	}

	/** The real system knows; this is only whether it was removed through the tree. */
	override get isRemoved(): boolean {
		return this.isDirectory && this.name === null && this.parent !== this;
	}

	override get size(): number {
		try {
			this.lastSize = Number(this.stats().size);
		} catch {
			// What it was must do.
		}
		return this.lastSize;
	}

	override stat(syscall: string, path: string): VnodeStat {
		const stats = translate(syscall, path, () => this.stats());
		const [atime, mtime] = this.times(stats);
		return {
			mode: Number(stats.mode),
			size: Number(stats.size),
			blksize: Number(stats.blksize),
			dev: this.dev,
			ino: this.ino,
			nlink: Number(stats.nlink),
			uid: Number(stats.uid),
			gid: Number(stats.gid),
			atime: Number(atime),
			mtime: Number(mtime),
			ctime: Number(stats.ctimeNs),
			atimensec: Number(atime % NS_PER_S),
			mtimensec: Number(mtime % NS_PER_S),
		};
	}

	override lookup(caller: Caller, name: string, path: string): DirectoryVnode | null {
		return translate(caller.syscall, path, () => {
			const stats = this.find(name);
			return stats === null ? null : this.fs.vnodeOf(stats, this, name);
		});
	}

	override isEmpty(caller: Caller, path: string): boolean {
		return translate(caller.syscall, path, () => readdirSync(this.reach()).length === 0);
	}

	override create(caller: Caller, { name, path }: Place, file: NewFile): DirectoryVnode {
		if (file.type === S_IFIFO)
			throw new SystemError(errno.EOPNOTSUPP, caller.syscall, `${path}: Node cannot make fifos`);
		this.look();
		return translate(caller.syscall, path, () => {
			const fd = make(this.child(name), file);
			let vnode: DirectoryVnode;
			try {
				const stats = fd < 0 ? this.find(name) : fstatSync(fd, { bigint: true });
				if (stats === null) throw Object.assign(new Error(), { code: "ENOENT" });
				vnode = this.fs.vnodeOf(stats, this, name);
			} catch (error) {
				if (fd >= 0) closeSync(fd);
				throw error;
			}
			// It is going to be opened, even if its permissions would not allow that.
			vnode.adopt(fd);
			this.listing?.set(name, true, FREE);
			return vnode;
		});
	}

	override link(caller: Caller, { name, path }: Place, vnode: Vnode): void {
		const source = vnode as DirectoryVnode;
		this.look();
		source.look();
		translate(caller.syscall, path, () => {
			if (source.name === null) throw Object.assign(new Error(), { code: "ENOENT" });
			// There link(2) follows it, wherever it leads.
			if (source.isLink && process.platform === "darwin")
				throw Object.assign(new Error(), { code: "ENOTSUP" });
			const { anchors } = this.fs;
			anchors.pin(this);
			try {
				const from = anchors.child(source.parent, source.name);
				linkSync(from, this.child(name));
			} finally {
				anchors.unpin(this);
			}
			this.listing?.set(name, true, FREE);
		});
	}

	override remove(caller: Caller, { name, path, vnode }: Named): void {
		const removed = vnode as DirectoryVnode;
		this.look();
		removed.look();
		translate(caller.syscall, path, () => unlinkSync(this.child(name)));
		this.listing?.delete(name);
		removed.lost(this, name);
	}

	override removeDirectory(caller: Caller, { name, path, vnode }: Named): void {
		const removed = vnode as DirectoryVnode;
		this.look();
		removed.look();
		translate(caller.syscall, path, () => rmdirSync(this.child(name)));
		this.listing?.delete(name);
		removed.lost(this, name);
	}

	override rename(caller: Caller, from: Named, to: Place): void {
		const directory = to.directory as DirectoryVnode;
		const vnode = from.vnode as DirectoryVnode;
		const replaced = to.vnode as DirectoryVnode | null;
		for (const each of [this, directory, vnode, replaced]) each?.look();
		translate(caller.syscall, to.path, () => {
			const { anchors } = this.fs;
			anchors.pin(this);
			try {
				const target = anchors.child(directory, to.name);
				renameSync(this.child(from.name), target);
			} finally {
				anchors.unpin(this);
			}
		});
		// The watchers of the old directory have been notified before.
		for (const each of [this, directory, vnode, replaced]) each?.watch?.settle();
		this.listing?.delete(from.name);
		directory.listing?.set(to.name, true, FREE);
		replaced?.lost(directory, to.name);
		vnode.moved(directory, to.name);
	}

	override readdir(position: number, count: number, into: PositionedDirent[]): number {
		try {
			return this.readNames(position, count, into);
		} catch (error) {
			return -hostErrno(error);
		}
	}

	override readlink(caller: Caller, path: string): string {
		return translate(caller.syscall, path, () => readlinkSync(this.place()));
	}

	override setPermissions(permissions: number): number {
		if (this.isLink) return -errno.EOPNOTSUPP;
		return this.attempt(() => chmodSync(this.reach(), permissions));
	}

	override setOwner(uid: number, gid: number): number {
		return this.attempt(() => {
			if (this.isLink) lchownSync(this.place(), uid, gid);
			else chownSync(this.reach(), uid, gid);
		});
	}

	override setTimes(atime: NewTime, mtime: NewTime): number {
		return this.attempt(() => {
			const before = this.times(this.stats());
			const read = nanosecondsOf(atime, before[0]);
			const written = nanosecondsOf(mtime, before[1]);
			if (this.isLink) lutimesSync(this.place(), secondsOf(read), secondsOf(written));
			else utimesSync(this.reach(), secondsOf(read), secondsOf(written));
			this.exact = new ExactTimes(read, written, this.stats());
		});
	}

	/** When it was read and written last, in nanoseconds. */
	private times(stats: BigIntStats): [atime: bigint, mtime: bigint] {
		const { exact } = this;
		if (exact === null) return [stats.atimeNs, stats.mtimeNs];
		return [exact.atimeOf(stats), exact.mtimeOf(stats)];
	}

	override read(offset: number, into: Uint8Array): number {
		if (into.length === 0) return 0;
		try {
			return readSync(this.readFd, into, 0, Math.min(into.length, MAXPHYS), offset);
		} catch (error) {
			return -hostErrno(error);
		}
	}

	override write(offset: number, from: Uint8Array, append: boolean): number {
		if (from.length === 0) return 0;
		this.look();
		const before = this.klist.empty ? 0 : this.size;
		const length = Math.min(from.length, MAXPHYS);
		let n: number;
		try {
			if (append)
				this.appendFd = this.openFor(this.appendFd, constants.O_WRONLY | constants.O_APPEND);
			n = writeSync(append ? this.appendFd : this.writeFd, from, 0, length, append ? null : offset);
		} catch (error) {
			return -hostErrno(error);
		}
		if (!this.klist.empty) this.post(this.size > before ? NOTE_WRITE | NOTE_EXTEND : NOTE_WRITE);
		return n;
	}

	override truncate(size: number): number {
		const error = checkSize(this, size);
		if (error !== 0) return -error;
		if (this.type === S_IFIFO) return 0;
		if (this.type !== S_IFREG) return -errno.ENXIO;
		const before = this.size;
		const result = this.attempt(() => {
			const fd = this.writeFd >= 0 ? this.writeFd : this.openBytes(constants.O_WRONLY);
			try {
				ftruncateSync(fd, size);
			} finally {
				if (fd !== this.writeFd) closeSync(fd);
			}
		});
		// As in memory, and in OpenBSD, there is no NOTE_EXTEND when it grows this way.
		if (result === 0) this.post(size < before ? NOTE_ATTRIB | NOTE_TRUNCATE : NOTE_ATTRIB);
		return result;
	}

	override sync(bytesOnly: boolean): number {
		if (this.type !== S_IFREG && !this.isDirectory) return 0;
		return this.attempt(() => {
			const open = this.writeFd >= 0 ? this.writeFd : this.readFd;
			const fd = open >= 0 ? open : this.openBytes(constants.O_RDONLY);
			try {
				if (bytesOnly) fdatasyncSync(fd);
				else fsyncSync(fd);
			} finally {
				if (fd !== open) closeSync(fd);
			}
		});
	}

	override open(flags: number): number {
		if (this.type === S_IFSOCK) return -errno.EOPNOTSUPP;
		if (this.type !== S_IFREG && this.type !== S_IFDIR && this.type !== S_IFIFO)
			return -errno.ENXIO;
		try {
			this.fs.anchors.pin(this);
		} catch (error) {
			return -hostErrno(error);
		}
		this.fs.needed(this);
		this.users++;
		try {
			if (this.type !== S_IFREG) return 0;
			if ((flags & FREAD) !== 0) this.readFd = this.openFor(this.readFd, constants.O_RDONLY);
			if ((flags & FWRITE) !== 0) this.writeFd = this.openFor(this.writeFd, constants.O_WRONLY);
			return 0;
		} catch (error) {
			this.closed();
			return -hostErrno(error);
		}
	}

	override closed(): void {
		if (--this.users === 0) {
			this.closeBytes();
			this.listing = null;
		}
		this.fs.anchors.unpin(this);
		this.fs.released(this);
	}

	override hold(): number {
		try {
			this.fs.anchors.pin(this);
		} catch (error) {
			return -hostErrno(error);
		}
		this.fs.needed(this);
		return 0;
	}

	override release(): void {
		this.fs.anchors.unpin(this);
		this.fs.released(this);
	}

	override watched(kn: Knote): number {
		if (this.watch === null) {
			try {
				this.watch = new DirectoryWatch(this, this.fs.anchors);
			} catch (error) {
				return hostErrno(error);
			}
		}
		this.watchers.add(kn);
		return 0;
	}

	override unwatched(kn: Knote): void {
		this.watchers.delete(kn);
		if (this.watchers.size === 0) this.stopWatching();
	}

	override post(note: number): void {
		this.watch?.settle();
		super.post(note);
	}

	override revoke(): void {
		this.watchers.clear();
		this.stopWatching();
		super.revoke();
	}

	/** It was found at a place, or renamed to it. */
	moved(parent: DirectoryVnode, name: string): void {
		this.name = name;
		if (this.parent === parent) return;
		const { fs, parent: before } = this;
		fs.needed(parent);
		if (this.isDirectory) this.untangle(parent);
		this.parent = parent;
		fs.released(before);
	}

	/** A name of it is gone. */
	lost(parent: DirectoryVnode, name: string): void {
		if (this.parent !== parent || this.name !== name) return;
		this.name = null;
		if (this.needs === 0) this.fs.forget(this);
	}

	/** It is not known any more. */
	forgotten(): void {
		this.stopWatching();
		this.closeBytes();
	}

	/**
	 * Directories may have been moved into each other from outside. What was in this one, and is now
	 * above it, has not been seen where it is.
	 */
	private untangle(parent: DirectoryVnode): void {
		for (let at = parent; at !== at.parent; at = at.parent) {
			if (at.parent !== this) continue;
			at.name = null;
			const { root } = this.fs;
			this.fs.needed(root);
			at.parent = root;
			this.fs.released(this);
			return;
		}
	}

	/** The descriptor with which it was made is good for reading and writing. */
	private adopt(fd: number): void {
		if (fd < 0) return;
		this.closeBytes();
		this.fs.fds.add(fd);
		this.readFd = fd;
		this.writeFd = fd;
	}

	private readNames(position: number, count: number, into: PositionedDirent[]): number {
		if (this.isRemoved) return position;
		const listing = this.listing ?? new Directory<true>();
		if (this.users > 0) this.listing = listing;
		if (position === 0) {
			this.list(listing);
			into.push({ name: ".", ino: this.ino, type: S_IFDIR, off: DOTDOT });
		}
		if (position <= DOTDOT && into.length < count)
			into.push({ name: "..", ino: this.parent.ino, type: S_IFDIR, off: FIRST });
		for (const { name, end } of listing.from(position)) {
			if (into.length === count) break;
			const stats = this.find(name);
			// It was removed from outside.
			if (stats === null) continue;
			const type = Number(stats.mode) & constants.S_IFMT;
			into.push({ name, ino: folded(stats.ino), type, off: end });
		}
		if (into.length === count) return (into[count - 1] as PositionedDirent).off;
		return Math.max(position, listing.size);
	}

	/** Adds the names that are new, and removes those that are gone. */
	private list(listing: Directory<true>): void {
		const names = new Set(readdirSync(this.reach()));
		for (const [name] of [...listing]) if (!names.has(name)) listing.delete(name);
		for (const name of names) if (listing.get(name) === null) listing.set(name, true, FREE);
	}

	/** What is known of a name in this directory, null if it is not there. */
	private find(name: string): BigIntStats | null {
		try {
			return lstatSync(this.child(name), { bigint: true });
		} catch (error) {
			if ((error as { code?: unknown }).code === "ENOENT") return null;
			throw error;
		}
	}

	/** What is known of it now. Throws errors of Node. */
	stats(): BigIntStats {
		const fd = this.readFd >= 0 ? this.readFd : this.writeFd;
		return fd >= 0 ? fstatSync(fd, { bigint: true }) : this.fs.anchors.stat(this);
	}

	/** A path to it. */
	private reach(): string {
		return this.fs.anchors.reach(this);
	}

	/** A path to a name in it. */
	private child(name: string): string {
		return this.fs.anchors.child(this, name);
	}

	/** A path to where it was seen last, which may be a link that must not be followed. */
	private place(): string {
		if (this.name === null) throw Object.assign(new Error(), { code: "ENOENT" });
		return this.fs.anchors.child(this.parent, this.name);
	}

	/** A descriptor for its bytes: the one that there is, or a new one. */
	private openFor(fd: number, flags: number): number {
		if (fd >= 0) return fd;
		const made = this.openBytes(flags);
		this.fs.fds.add(made);
		return made;
	}

	private openBytes(flags: number): number {
		const path = this.reach();
		// The path of a descriptor is a link to the file itself.
		const follow = path.startsWith("/proc/self/fd/") ? 0 : O_NOFOLLOW;
		const fd = openSync(path, flags | follow | O_NONBLOCK);
		const { ino, dev } = fstatSync(fd, { bigint: true });
		if (ino === this.inode && dev === this.device) return fd;
		closeSync(fd);
		throw Object.assign(new Error(), { code: "ENOENT" });
	}

	private closeBytes(): void {
		for (const fd of new Set([this.readFd, this.writeFd, this.appendFd]))
			if (this.fs.fds.delete(fd)) closeSync(fd);
		this.readFd = -1;
		this.writeFd = -1;
		this.appendFd = -1;
	}

	private stopWatching(): void {
		this.watch?.close();
		this.watch = null;
	}

	/** Before a change is made through the tree: changes from outside are reported first. */
	private look(): void {
		this.watch?.lookBefore();
	}

	private attempt(act: () => void): number {
		this.look();
		try {
			act();
			return 0;
		} catch (error) {
			return -hostErrno(error);
		}
	}
}

/** Makes a file. Returns a descriptor of a regular one, else -1. */
function make(path: string, { type, permissions, target }: NewFile): number {
	if (type === S_IFREG) {
		const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | O_NOFOLLOW;
		return openSync(path, flags, permissions);
	}
	if (type === S_IFLNK) symlinkSync(target, path);
	else mkdirSync(path, permissions);
	return -1;
}

/** The number of a file as one that JavaScript can hold. */
function folded(inode: bigint): number {
	return Number(BigInt.asUintN(53, inode ^ (inode >> 53n)));
}

/** The errno of an error of Node. Descriptors that the real process lacks are the system's here. */
function hostErrno(error: unknown): number {
	const number = errnoOf(error);
	return number === errno.EMFILE ? errno.ENFILE : number;
}

function translate<T>(syscall: string, path: string, act: () => T): T {
	try {
		return act();
	} catch (error) {
		if (error instanceof SystemError) throw error;
		throw new SystemError(hostErrno(error), syscall, path);
	}
}

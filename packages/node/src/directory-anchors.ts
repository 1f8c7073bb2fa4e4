// How the files of a real directory are reached, so that no symbolic link and no move leads out of it.
import { type BigIntStats, closeSync, fstatSync, lstatSync, openSync, readlinkSync } from "node:fs";

/** A file, or where one was seen last. */
export interface Anchored {
	/** Its device and its number on that. */
	readonly device: bigint;
	readonly inode: bigint;
	/** The directory where it was seen last, itself for the root. */
	readonly parent: Anchored;
	/** Its name there; null if it is not there any more. */
	readonly name: string | null;
	/** A real descriptor that stands for it, -1 for none. */
	fd: number;
	/** How many reasons there are to keep that descriptor. */
	pins: number;
}

/** As many descriptors are kept of files without a reason. */
const KEPT = 128;
/** Linux: a descriptor that only stands for a file. It needs no permission, and opens no device. */
const O_PATH = 0o10000000;
const O_NOFOLLOW = 0o400000;

/** How files are reached. All of it throws errors of Node. */
export interface Anchors {
	/** A path that leads to a file itself. It is good until the next call of anything here. */
	reach(node: Anchored): string;
	/** A path for a name in a directory. Its last step must not be followed if it is a link. */
	child(directory: Anchored, name: string): string;
	/** What is known about a file. */
	stat(node: Anchored): BigIntStats;
	/** Keeps a file reachable after it was moved or removed, where that is possible. */
	pin(node: Anchored): void;
	/** Undoes one {@link Anchors.pin}. */
	unpin(node: Anchored): void;
	/** Forgets a file. */
	drop(node: Anchored): void;
}

/** An error as Node's, for a file that is not where it was. */
function gone(): Error {
	return Object.assign(new Error("the file is not where it was"), { code: "ENOENT" });
}

/** Whether a file is the one that was seen. */
function isSame(node: Anchored, { dev, ino }: BigIntStats): boolean {
	return node.inode === ino && node.device === dev;
}

/** Throws unless a name is one step, and down: a path of two steps could lead through a link. */
function checkStep(name: string | null, separators: RegExp): string {
	if (name === null) throw gone();
	if (name === "" || name === "." || name === ".." || separators.test(name))
		throw Object.assign(new Error("not a name"), { code: "EINVAL" });
	return name;
}

/**
 * Linux: a descriptor stands for each file, and `/proc/self/fd/N/name` is what openat(2) is elsewhere.
 * A path has one step behind a descriptor, which is checked when it is opened: so nothing that happens
 * to directories meanwhile can lead a step astray.
 */
class ProcAnchors implements Anchors {
	private readonly root: string;
	/** The real descriptors. */
	private readonly fds: Set<number>;
	/** Those that have a descriptor without a reason, the one that was used last at the end. */
	private readonly unpinned: Set<Anchored> = new Set();

	constructor(root: string, fds: Set<number>) {
		this.root = root;
		this.fds = fds;
	}

	reach(node: Anchored): string {
		return `/proc/self/fd/${this.open(node)}`;
	}

	child(directory: Anchored, name: string): string {
		return `${this.reach(directory)}/${checkStep(name, /\//)}`;
	}

	stat(node: Anchored): BigIntStats {
		if (node.fd >= 0) return fstatSync(node.fd, { bigint: true });
		const stats = lstatSync(this.pathOf(node), { bigint: true });
		if (!isSame(node, stats)) throw gone();
		return stats;
	}

	pin(node: Anchored): void {
		this.open(node);
		node.pins++;
		this.unpinned.delete(node);
	}

	unpin(node: Anchored): void {
		if (--node.pins > 0 || node.fd < 0) return;
		this.unpinned.add(node);
		this.trim(KEPT);
	}

	drop(node: Anchored): void {
		this.unpinned.delete(node);
		if (node.fd < 0) return;
		this.fds.delete(node.fd);
		closeSync(node.fd);
		node.fd = -1;
	}

	private pathOf(node: Anchored): string {
		if (node.parent === node) return this.root;
		return this.child(node.parent, node.name as string);
	}

	private open(node: Anchored): number {
		if (node.fd >= 0) {
			if (this.unpinned.delete(node)) this.unpinned.add(node);
			return node.fd;
		}
		const fd = this.openAnew(node);
		if (!isSame(node, fstatSync(fd, { bigint: true }))) {
			closeSync(fd);
			throw gone();
		}
		node.fd = fd;
		this.fds.add(fd);
		if (node.pins === 0) this.unpinned.add(node);
		this.trim(KEPT);
		return fd;
	}

	/** Without a free descriptor, those that are kept without a reason go. */
	private openAnew(node: Anchored): number {
		try {
			return openSync(this.pathOf(node), O_PATH | O_NOFOLLOW);
		} catch (error) {
			if ((error as { code?: unknown }).code !== "EMFILE" || this.unpinned.size === 0) throw error;
			this.trim(0);
			return openSync(this.pathOf(node), O_PATH | O_NOFOLLOW);
		}
	}

	private trim(kept: number): void {
		for (const node of this.unpinned) {
			if (this.unpinned.size <= kept) return;
			this.drop(node);
		}
	}
}

/**
 * Elsewhere: each step of a path is looked at before the path is used. Who can change directories at
 * that moment can still lead it astray.
 */
class PathAnchors implements Anchors {
	private readonly root: string;

	constructor(root: string) {
		this.root = root;
	}

	reach(node: Anchored): string {
		const path = node.parent === node ? this.root : this.child(node.parent, node.name as string);
		if (!isSame(node, lstatSync(path, { bigint: true }))) throw gone();
		return path;
	}

	child(directory: Anchored, name: string): string {
		// A backslash and a colon have a meaning in paths of Windows.
		const separators = process.platform === "win32" ? /[/\\:]/ : /\//;
		return `${this.reach(directory)}/${checkStep(name, separators)}`;
	}

	stat(node: Anchored): BigIntStats {
		return lstatSync(this.reach(node), { bigint: true });
	}

	pin(node: Anchored): void {
		this.reach(node);
	}

	unpin(): void {}

	drop(): void {}
}

/**
 * How the files below a path are reached on this system. `byPath` asks for what works everywhere. The
 * real descriptors that are open are in `fds`.
 */
export function anchorsOf(root: string, fds: Set<number>, byPath: boolean): Anchors {
	return !byPath && hasProc() ? new ProcAnchors(root, fds) : new PathAnchors(root);
}

/** Whether paths can begin at a descriptor here. */
function hasProc(): boolean {
	if (process.platform !== "linux") return false;
	let fd = -1;
	try {
		fd = openSync("/", O_PATH);
		return readlinkSync(`/proc/self/fd/${fd}`) === "/";
	} catch {
		return false;
	} finally {
		if (fd >= 0) closeSync(fd);
	}
}

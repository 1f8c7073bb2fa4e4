// A watched path of the real file system as a descriptor.
import {
	type BigIntStats,
	closeSync,
	constants,
	type FSWatcher,
	fstatSync,
	openSync,
	statSync,
	watch,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { EVFILT_VNODE, errno, type Thread } from "@kqpoll/kqueue";
import {
	File,
	type Filterops,
	FREAD,
	filterops,
	Klist,
	type Knote,
	newDescriptor,
	vnodeEvent,
} from "@kqpoll/kqueue/kernel";
import type { Stat } from "@kqpoll/kqueue/stat";
import { Listeners } from "./listeners.ts";
import { translated } from "./node-errors.ts";
import { type NodeFile, type OpenOptions, openNodeFile, type Refable } from "./open.ts";
import { notesOf, type WatchEvent } from "./path-notes.ts";

/** Options for the descriptor of a path. There is no `close`: the watcher always goes with it. */
export type PathOptions = Pick<OpenOptions, "ref">;

/** How coarse the clock of a file system may be, in nanoseconds. */
const TICK = 20_000_000n;

/** The file behind a path; it is open, so that it can be examined even after it was renamed. */
class PathFile extends File implements NodeFile {
	private readonly klist: Klist = new Klist();
	private readonly path: string;
	/** The real descriptor. */
	private readonly fd: number;
	/** Its watcher, and for a directory the watcher of the directory that contains it. */
	private readonly watchers: FSWatcher[] = [];
	private readonly listeners: Listeners[] = [];
	/** What was seen last, and when, in nanoseconds. */
	private stats: BigIntStats;
	private seenAt: bigint = now();

	constructor(path: string) {
		super("vnode");
		this.flags = FREAD;
		this.path = resolve(path);
		// The open of a fifo must not wait for a writer.
		this.fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
		try {
			this.stats = fstatSync(this.fd, { bigint: true });
			this.watchers.push(watch(this.path));
			if (this.stats.isDirectory()) this.watchers.push(watch(dirname(this.path)));
		} catch (error) {
			this.shut();
			throw error;
		}
	}

	get handle(): Refable {
		const { watchers } = this;
		return {
			ref: () => watchers.map((each) => each.ref()),
			unref: () => watchers.map((each) => each.unref()),
		};
	}

	start(): void {
		const [own, parent] = this.watchers.map((watcher) => {
			const listeners = new Listeners(watcher);
			this.listeners.push(listeners);
			// It cannot be watched any more.
			return listeners.on("error", () => this.klist.invalidate());
		});
		own?.on("change", (event: WatchEvent) => this.look(event));
		// As long as a directory is open, its own watcher does not report that it was removed.
		parent?.on("change", () => this.lookForEnd());
	}

	private lookForEnd(): void {
		const { nlink } = fstatSync(this.fd, { bigint: true });
		if (nlink === 0n && this.stats.nlink !== 0n) this.look("change");
	}

	private look(event: WatchEvent): void {
		const before = this.stats;
		const after = fstatSync(this.fd, { bigint: true });
		this.stats = after;
		const inPlace = leadsTo(this.path, after);
		const hadJustChanged = this.seenAt - before.mtimeNs < TICK;
		this.seenAt = now();
		const notes = notesOf({ before, after, event, inPlace, hadJustChanged });
		if (notes !== 0) this.klist.notify(notes);
	}

	/** There is nothing to read: EISDIR for a directory, otherwise ENXIO. */
	override read(): number {
		return this.stats.isDirectory() ? -errno.EISDIR : -errno.ENXIO;
	}

	override stat(): Stat {
		const { mode, size, blksize } = this.stats;
		return { mode: Number(mode), size: Number(size), blksize: Number(blksize) };
	}

	override kqfilter(kn: Knote): number {
		if (kn.filter !== EVFILT_VNODE) return errno.EINVAL;
		kn.fop = filtops;
		this.klist.insert(kn);
		return 0;
	}

	override close(): void {
		for (const listeners of this.listeners) listeners.off();
		this.shut();
	}

	private shut(): void {
		for (const watcher of this.watchers) watcher.close();
		closeSync(this.fd);
	}
}

/** Whether a path leads to a file; false if permissions forbid to look. */
function leadsTo(path: string, { dev, ino }: BigIntStats): boolean {
	try {
		const there = statSync(path, { bigint: true });
		return there.ino === ino && there.dev === dev;
	} catch {
		return false;
	}
}

function now(): bigint {
	return BigInt(Date.now()) * 1_000_000n;
}

const filtops: Filterops = filterops({
	name: "path",
	detach: (kn) => kn.klist?.remove(kn),
	event: vnodeEvent,
});

/**
 * Makes a descriptor for the file or directory at a path of the real file system. The descriptor
 * can only be watched, with EVFILT_VNODE. As with open(2) it stands for the file, not for the name:
 * it still stands for the file after a rename, and a new file at the path is another one.
 *
 * - NOTE_WRITE: it was written; for a directory: an entry was added, removed or renamed. Together
 *   with NOTE_EXTEND: it is longer than before. NOTE_TRUNCATE, with NOTE_ATTRIB: it is shorter.
 * - NOTE_ATTRIB: permissions, owner or times were set.
 * - NOTE_LINK: it has one name more; for a directory: one directory in it more or less.
 *   NOTE_DELETE: it has lost a name, because that was removed or another file took its place.
 * - NOTE_RENAME: the path does not lead to it any more, though it has not lost a name.
 *
 * It learns from `fs.watch` that something has happened, and what by comparing the file with what
 * it was before. So it can miss changes. Of several changes in a row, for example a truncation
 * before a write, or a rename there and back, it sees only the result. It misses the removal of a
 * directory that was moved into another one, writes through mapped memory, and whatever `fs.watch`
 * misses, for example on network file systems. It can take a file time that was set to the present
 * for a write, and it can report two writes in a row as two events. Writes to the files in a
 * directory are not reported.
 *
 * Reading fails with EISDIR or ENXIO. It uses a real descriptor, and needs permission to read the
 * file. For a directory it also needs to read the directory that contains it, where a removal
 * shows. As with `fs.watch` it keeps the program alive, unless `ref` is false. Errors: EMFILE; and
 * those of the real system: ENOENT, EACCES, ENOTDIR …
 */
export function openPath(thread: Thread, path: string, options: PathOptions = {}): number {
	const { fdp } = thread.process;
	// Before anything real is opened.
	newDescriptor(fdp, fdp.findNew(), "openPath");
	const file = translated("openPath", path, () => new PathFile(path));
	return openNodeFile(thread, file, options);
}

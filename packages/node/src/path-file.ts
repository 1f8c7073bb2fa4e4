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
import { EVFILT_VNODE, errno, type Stat, type Thread } from "@kqpoll/kqueue";
import {
	File,
	type Filterops,
	FREAD,
	filterops,
	Klist,
	type Knote,
	unwrap,
	vnodeEvent,
} from "@kqpoll/kqueue/kernel";
import { Listeners } from "./listeners.ts";
import { translated } from "./node-errors.ts";
import { type NodeFile, type OpenOptions, openNodeFile, type Refable } from "./open.ts";
import { notesOf, type WatchEvent } from "./path-notes.ts";

/** What can be chosen when a path gets a descriptor: what watches it always goes with that. */
export type PathOptions = Pick<OpenOptions, "ref">;

/** How coarse the clock of a file system may be, in nanoseconds. */
const TICK = 20_000_000n;

/** The file behind a path, which is open so that it can be looked at wherever it goes. */
class PathFile extends File implements NodeFile {
	private readonly klist: Klist = new Klist();
	private readonly path: string;
	/** The real descriptor. */
	private readonly fd: number;
	/** What watches it, and for a directory what watches the one that it is in. */
	private readonly watchers: FSWatcher[] = [];
	private readonly listeners: Listeners[] = [];
	/** What was seen last, and when, in nanoseconds. */
	private stats: BigIntStats;
	private seenAt: bigint = now();

	constructor(path: string) {
		super("vnode");
		this.flags = FREAD;
		this.path = resolve(path);
		// A fifo must not wait for who writes.
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
		// That a directory is gone it does not say itself as long as somebody has it open.
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

	/** There is nothing to read: EISDIR of a directory, else ENXIO. */
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

/** Whether a path leads to a file; it does not if nobody may look. */
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
 * Gives the file or directory behind a path of the real file system a descriptor that can only be
 * watched, with EVFILT_VNODE. As with open(2) it is the file that is watched, not the name: it is
 * followed where it is renamed to, and what takes its place is another file.
 *
 * - NOTE_WRITE: written; of a directory, an entry was added, removed or renamed. NOTE_EXTEND with it:
 *   longer than before. NOTE_TRUNCATE, with NOTE_ATTRIB: shorter.
 * - NOTE_ATTRIB: permissions, owner or times were set.
 * - NOTE_LINK: it has another name; a directory, another directory in it or one less. NOTE_DELETE:
 *   it has lost a name, by being removed or by another file taking its place.
 * - NOTE_RENAME: its path does not lead to it any more, though it has not lost a name.
 *
 * It knows that something has happened by `fs.watch`, and what by comparing what the file is with
 * what it was. So it can miss: all but the outcome of what happens in a row, as a truncation before
 * a write, or a rename there and back; the removal of a directory that has moved into another one;
 * writes through mapped memory; whatever `fs.watch` misses, as on network file systems. It can take
 * a time that was set for a write, if that is the present, and report two writes in a row twice.
 * What is written into the files in a directory is not reported.
 *
 * Reading fails with EISDIR or ENXIO. It takes a real descriptor, and permission to read the file,
 * and the directory that a directory is in: that it is removed is noticed there. As with `fs.watch`
 * it keeps the program alive, unless `ref` is false. Errors: EMFILE; as the real system says ENOENT,
 * EACCES, ENOTDIR …
 */
export function openPath(thread: Thread, path: string, options: PathOptions = {}): number {
	const { fdp } = thread.process;
	// Before anything real is opened.
	unwrap(fdp.findFree(), "openPath", `the limit is ${fdp.limit}`);
	const file = translated("openPath", path, () => new PathFile(path));
	return openNodeFile(thread, file, options);
}

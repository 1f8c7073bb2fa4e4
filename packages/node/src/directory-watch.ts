// Watches a file of a real directory for changes from outside.
import { type BigIntStats, type FSWatcher, lstatSync, watch } from "node:fs";
import type { Klist } from "@kqpoll/kqueue/kernel";
import type { Anchored, Anchors } from "./directory-anchors.ts";
import { notesOf, type WatchEvent } from "./path-notes.ts";

/** How coarse the clock of a file system may be, in nanoseconds. */
const TICK = 20_000_000n;

/** A file that is watched. */
interface Watched extends Anchored {
	readonly klist: Klist;
	readonly isDirectory: boolean;
	/** What is known of it now. Throws errors of Node. */
	stats(): BigIntStats;
}

/** The watcher of one file. It does not keep the program alive. */
export class DirectoryWatch {
	private readonly vnode: Watched;
	private readonly anchors: Anchors;
	private readonly watchers: FSWatcher[] = [];
	/** What was seen last, and when, in nanoseconds. */
	private seen: BigIntStats;
	private seenAt = now();
	/** Whether the last change that was seen was made through the vnode. */
	private own = false;

	/** Begins to watch. Throws errors of Node. */
	constructor(vnode: Watched, anchors: Anchors) {
		this.vnode = vnode;
		this.anchors = anchors;
		this.seen = vnode.stats();
		try {
			this.add(vnode);
			// As long as a directory is open, its own watcher does not report that it was removed.
			if (vnode.isDirectory && vnode.parent !== vnode) this.add(vnode.parent);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	/** A change was made through the vnode, and its watchers know. */
	settle(): void {
		this.seen = this.stats();
		this.seenAt = now();
		this.own = true;
	}

	/** Before a change through the vnode: looks whether there was another one from outside. */
	lookBefore(): void {
		this.look("change", false);
	}

	/**
	 * Looks what has changed, and notifies watchers. `told` says whether there is an event: then
	 * something has changed, even if that does not show.
	 */
	private look(event: WatchEvent, told: boolean): void {
		const before = this.seen;
		const after = this.stats();
		const hadJustChanged = told && !this.own && this.seenAt - before.mtimeNs < TICK;
		const { own } = this;
		this.seen = after;
		this.seenAt = now();
		const inPlace = this.isInPlace();
		const notes = notesOf({ before, after, event, inPlace, hadJustChanged, own });
		if (notes === 0) return;
		this.own = false;
		this.vnode.klist.notify(notes);
	}

	/** Ends to watch. */
	close(): void {
		for (const watcher of this.watchers) watcher.close();
	}

	private add(vnode: Anchored): void {
		const isOwn = vnode === this.vnode;
		const watcher = watch(this.anchors.reach(vnode), { persistent: false }, (event) => {
			if (isOwn) this.look(event as WatchEvent, true);
			else this.lookForEnd();
		});
		// It cannot be watched any more.
		watcher.on("error", () => this.close());
		this.watchers.push(watcher);
	}

	private lookForEnd(): void {
		if (this.stats().nlink === 0n && this.seen.nlink !== 0n) this.look("change", false);
	}

	/** What is known now; a file that is gone has no names. */
	private stats(): BigIntStats {
		try {
			return this.vnode.stats();
		} catch {
			return Object.assign(Object.create(Object.getPrototypeOf(this.seen) as object), this.seen, {
				nlink: 0n,
			}) as BigIntStats;
		}
	}

	/** Whether the file is where it was. */
	private isInPlace(): boolean {
		const { vnode } = this;
		// The root has no name; a name that was removed through the tree is known to have gone.
		if (vnode.parent === vnode || vnode.name === null) return true;
		try {
			const path = this.anchors.child(vnode.parent, vnode.name);
			const { ino, dev } = lstatSync(path, { bigint: true });
			return ino === vnode.inode && dev === vnode.device;
		} catch {
			return false;
		}
	}
}

function now(): bigint {
	return BigInt(Date.now()) * 1_000_000n;
}

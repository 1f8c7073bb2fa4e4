// struct mount: a file system, which a tree can have at one of its directories.
import type { File } from "@kqpoll/kqueue/kernel";
import type { Vnode } from "./vnode.ts";

/** How many file systems were made, and devices of them. */
let devices = 0;

/** The number of a device, for stat, which no other has. */
export function newDevice(): number {
	return ++devices;
}

/** An open file of a file system. */
export interface OpenFile extends File {
	/** What is open. */
	readonly vnode: Vnode;
}

/**
 * A file system: a root directory, and what all its files have in common. Another kind extends this
 * and {@link Vnode}; `mount` puts it into a tree.
 */
export abstract class FileSystem {
	/** What a Proxy of a file system does not have. */
	readonly #brand = true;
	/** The root directory. There is one while the file system is mounted. @internal */
	abstract readonly root: Vnode;
	/** Its number, for stat. @internal */
	readonly dev: number = newDevice();
	/** The open files, with those that have no name any more. @internal */
	readonly opens: Set<OpenFile> = new Set();
	/** What is mounted on directories of it, in this order. @internal */
	readonly mounts: Set<FileSystem> = new Set();
	/** The directory on which it is mounted, null if it is not. @internal */
	covered: Vnode | null = null;
	/** Whether calls that would change something fail with EROFS. @internal */
	readOnly = false;
	/** How many bytes a file can have. */
	abstract readonly maxFileSize: number;
	/** A file with this many links cannot be renamed. @internal */
	readonly linkMax: number = Number.POSITIVE_INFINITY;

	/** A file was opened. @internal */
	opened(file: OpenFile): void {
		this.opens.add(file);
		file.vnode.opens++;
	}

	/** An open file was closed or revoked. @internal */
	closed(file: OpenFile): void {
		if (!this.opens.delete(file)) return;
		file.vnode.opens--;
		file.vnode.closed(file.flags);
	}

	/** It is going to be mounted: gets ready, or throws an error of the call `syscall`. @internal */
	mounting(_syscall: string): void {}

	/** It is not mounted any more, and nothing in it is open. @internal */
	unmounted(): void {}

	/** For diagnostics: throws a Panic unless its files and open files agree. @internal */
	check(): void {}

	/** Whether a value is a file system, and not only something that looks like one. @internal */
	static isFileSystem(value: unknown): value is FileSystem {
		return typeof value === "object" && value !== null && #brand in value;
	}
}

/** The root of what is mounted on a directory, of the last of several; else the directory. */
export function mountedOn(directory: Vnode): Vnode {
	let at = directory;
	while (at.mountedHere !== null) at = at.mountedHere.root;
	return at;
}

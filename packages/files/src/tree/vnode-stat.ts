// struct stat, of the files of a tree.
import type { Stat } from "@kqpoll/kqueue/stat";

/** What stat, lstat and fstat return for a file of a tree. */
export interface VnodeStat extends Stat {
	/** The number of its tree, which no other tree of the program has. */
	readonly dev: number;
	/** Its number, which no other file of the tree has had. */
	readonly ino: number;
	/** How many names it has; a directory's include "." in it and ".." in the directories in it. */
	readonly nlink: number;
	/** Whose it is: the number of a user, 0 until it is changed. */
	readonly uid: number;
	/** The number of its group: at first that of the directory it was made in. */
	readonly gid: number;
	/** When it was read last, on the wall clock of the reader's host, in nanoseconds since 1970. */
	readonly atime: number;
	/** When it was written last. */
	readonly mtime: number;
	/**
	 * The nanoseconds of the second of `atime`, where a number does not hold that time exactly: it is
	 * rounded to a multiple of 256 ns in our days. Not there otherwise.
	 */
	readonly atimensec?: number;
	/** The same of `mtime`. */
	readonly mtimensec?: number;
	/** When it, its names or its attributes changed last. */
	readonly ctime: number;
}

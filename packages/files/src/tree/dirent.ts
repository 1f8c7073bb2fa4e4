// struct dirent: a name in a directory, as it is read.

/** A name in a directory. */
export interface Dirent {
	/** The name. */
	readonly name: string;
	/** The number of the file that has it. */
	readonly ino: number;
	/** The type of that file: S_IFREG, S_IFDIR, S_IFIFO or S_IFLNK. */
	readonly type: number;
}

/** A name in a directory that is read by a descriptor. */
export interface PositionedDirent extends Dirent {
	/**
	 * The position behind it: lseek to it makes getdents go on there. It stays good while other names
	 * come and go, and for every descriptor of the directory.
	 */
	readonly off: number;
}

// struct dirent: a name in a directory, as it is read.
import { S_IFDIR } from "@kqpoll/kqueue/stat";
import { DOT, DOTDOT } from "./directory.ts";
import type { Vnode } from "./vnode.ts";

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

/** At most `count` names of a directory from a position on, with "." and "..". */
export function direntsFrom(vnode: Vnode, position: number, count: number): PositionedDirent[] {
	const { entries, ino, parent, isRemoved } = vnode;
	const found: PositionedDirent[] = [];
	if (entries === null || isRemoved) return found;
	const add = (name: string, of: number, type: number, off: number): void => {
		if (found.length < count) found.push({ name, ino: of, type, off });
	};
	if (position <= DOT) add(".", ino, S_IFDIR, DOTDOT);
	if (position <= DOTDOT) add("..", parent.ino, S_IFDIR, 2 * DOTDOT);
	for (const { name, vnode: of, end } of entries.from(position)) {
		if (found.length === count) break;
		add(name, of.ino, of.type, end);
	}
	return found;
}

// Names in directories of the file system in memory: how they are made, removed and renamed.
import { errno, SystemError } from "@kqpoll/kqueue";
import type { Quota } from "@kqpoll/kqueue/kernel";
import { S_IFDIR } from "@kqpoll/kqueue/stat";
import { type Caller, fail, timeOf } from "./caller.ts";
import { type Directory, DOT, DOTDOT } from "./directory.ts";
import type { PositionedDirent } from "./dirent.ts";
import type { MemoryVnode } from "./memory-vnode.ts";
import type { NewFile, Place } from "./vnode.ts";

/** A place in a tree. */
export interface MemoryPlace extends Place {
	readonly directory: MemoryVnode;
	readonly vnode: MemoryVnode | null;
}

/** A name in a tree, and its file. */
export interface MemoryNamed extends MemoryPlace {
	readonly vnode: MemoryVnode;
}

/** Makes a file, of the group of its directory. */
export function create(
	caller: Caller,
	directory: MemoryVnode,
	{ name, path }: Place,
	{ type, permissions, target }: NewFile,
): MemoryVnode {
	const { fs } = directory;
	if (type === S_IFDIR) {
		checkLinks(caller, directory, path);
		if (depthOf(directory) >= fs.maxDepth) fail(caller, errno.ENOSPC, path);
	}
	const payer = roomForName(caller, directory, path);
	const share = fs.share(caller.thread.process);
	const vnode = fs.makeVnode(type, permissions, timeOf(caller), share);
	vnode.gid = directory.gid;
	vnode.target = target;
	directory.enter(name, vnode, vnode.ctime, payer);
	return vnode;
}

/** Adds a name to a file. */
export function link(
	caller: Caller,
	directory: MemoryVnode,
	{ name, path }: Place,
	vnode: MemoryVnode,
): void {
	checkLinks(caller, vnode, path);
	directory.enter(name, vnode, timeOf(caller), roomForName(caller, directory, path));
}

/** Removes a name of what is not a directory. */
export function remove(
	caller: Caller,
	directory: MemoryVnode,
	name: string,
	vnode: MemoryVnode,
): void {
	directory.leave(name, vnode, timeOf(caller));
	vnode.discard();
}

/** Removes an empty directory. */
export function removeDirectory(
	caller: Caller,
	directory: MemoryVnode,
	name: string,
	vnode: MemoryVnode,
): void {
	directory.leave(name, vnode, timeOf(caller));
	// The link "." goes too.
	vnode.nlink--;
}

/** Renames a file, and replaces what has the new name. */
export function rename(caller: Caller, from: MemoryNamed, to: MemoryPlace): void {
	checkMove(caller, from, to);
	move(from, to, timeOf(caller));
}

function checkMove(caller: Caller, { vnode, directory: from }: MemoryNamed, to: MemoryPlace): void {
	const { directory, vnode: replaced, path } = to;
	const moves = vnode.isDirectory && from !== directory;
	for (let at = directory; moves && at !== at.parent; at = at.parent) {
		if (at === vnode) fail(caller, errno.EINVAL, path);
	}
	if (moves) checkDepth(caller, vnode, from, to);
	if (replaced === null) {
		if (moves) checkLinks(caller, directory, path);
	} else if (!replaced.isEmpty()) {
		fail(caller, errno.ENOTEMPTY, path);
	}
}

/** Throws ENOSPC if a directory that moves, or one in it, would be too deep. */
function checkDepth(
	caller: Caller,
	vnode: MemoryVnode,
	from: MemoryVnode,
	{ directory, path }: MemoryPlace,
): void {
	const { maxDepth } = vnode.fs;
	const depth = depthOf(directory);
	if (depth <= depthOf(from) || depth + vnode.height <= maxDepth) return;
	// Directories may have been removed since it was counted.
	measure(vnode);
	if (depth + vnode.height > maxDepth) fail(caller, errno.ENOSPC, path);
}

/** Counts the height of a directory, and of those in it. */
function measure(top: MemoryVnode): void {
	const all = [top];
	for (const directory of all) {
		directory.height = 1;
		// Every directory in it is a link to it, with its name and its own ".".
		if (directory.nlink <= 2) continue;
		for (const [, vnode] of directory.entries ?? []) if (vnode.isDirectory) all.push(vnode);
	}
	for (const { parent, height } of all.slice(1).reverse())
		parent.height = Math.max(parent.height, height + 1);
}

function move(old: MemoryNamed, target: MemoryPlace, now: number): void {
	const { directory, name, vnode: replaced } = target;
	// The name stays charged to the account that made it.
	const payer = (old.directory.entries as Directory<MemoryVnode>).payerOf(old.name);
	old.directory.leave(old.name, old.vnode, now);
	if (replaced !== null) {
		directory.forget(replaced, now);
		// The link "." goes too.
		if (replaced.isDirectory) replaced.nlink--;
		replaced.discard();
	}
	directory.enter(name, old.vnode, now, payer);
}

/** Throws EMLINK if a file has as many links as it can have. */
function checkLinks(caller: Caller, vnode: MemoryVnode, path: string): void {
	if (vnode.nlink >= vnode.fs.linkMax) fail(caller, errno.EMLINK, path);
}

/** How many directories there are above a directory. */
function depthOf(directory: MemoryVnode): number {
	let depth = 0;
	for (let at = directory; at !== at.fs.root; at = at.parent) depth++;
	return depth;
}

/** What a new name is charged to. Throws ENOSPC when there are too many. */
function roomForName({ thread, syscall }: Caller, { fs }: MemoryVnode, path: string): Quota {
	const { names } = fs.share(thread.process);
	if (!names.hasRoom(1))
		throw new SystemError(errno.ENOSPC, syscall, `${path}: ${names.explain("names")}`);
	return names;
}

/** Adds at most `count` names of a directory from a position on to `found`, with "." and "..". */
export function direntsFrom(
	vnode: MemoryVnode,
	position: number,
	count: number,
	found: PositionedDirent[],
): void {
	const { entries, ino, parent, isRemoved } = vnode;
	if (entries === null || isRemoved) return;
	const add = (name: string, of: number, type: number, off: number): void => {
		if (found.length < count) found.push({ name, ino: of, type, off });
	};
	if (position <= DOT) add(".", ino, S_IFDIR, DOTDOT);
	if (position <= DOTDOT) add("..", parent.ino, S_IFDIR, 2 * DOTDOT);
	for (const { name, vnode: of, end } of entries.from(position)) {
		if (found.length === count) break;
		add(name, of.ino, of.type, end);
	}
}

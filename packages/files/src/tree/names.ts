// What the calls on names do: names are made, removed and read, wherever their paths begin.
import { errno, NOTE_DELETE, NOTE_LINK, NOTE_WRITE, SystemError } from "@kqpoll/kqueue";
import { isInt32, type Quota, show } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFIFO, S_IFLNK } from "@kqpoll/kqueue/stat";
import { fail, find, findName, findNewName, type Place } from "./namei.ts";
import { checkString } from "./path.ts";
import { type Start, timeOf } from "./start.ts";
import { LINK_MAX, type Tree } from "./tree.ts";
import type { Vnode } from "./vnode.ts";

/** Adds a name to a file; a symbolic link gets it itself if it is not followed. */
export function addLink(from: Start, path: string, follow: boolean, to: Start, name: string): void {
	const vnode = find(from, path, { follow });
	if (vnode.isDirectory) fail(from, errno.EPERM, path);
	const place = findNewName(to, name);
	if (from.tree !== to.tree) fail(from, errno.EXDEV, name);
	checkLinks(from, vnode, path);
	place.directory.enter(place.name, vnode, timeOf(from), roomForName(to, name));
	vnode.post(NOTE_LINK);
	place.directory.post(NOTE_WRITE);
}

/** Makes a symbolic link. */
export function makeLink(start: Start, target: string, path: string): void {
	checkString(target, start.syscall);
	make(start, findNewName(start, path), S_IFLNK, 0o777, target);
}

/** Where a symbolic link leads. */
export function readLink(start: Start, path: string): string {
	const vnode = find(start, path, { follow: false });
	if (!vnode.isLink) fail(start, errno.EINVAL, path);
	return vnode.target;
}

/** Makes a fifo. */
export function makeFifo(start: Start, path: string, mode: number): void {
	checkMode(start, mode);
	make(start, findNewName(start, path), S_IFIFO, mode & 0o7777);
}

/** Makes a file without bytes, or a link, and tells the watchers of its directory. */
export function make(
	start: Start,
	{ directory, name }: Place,
	type: number,
	permissions: number,
	target = "",
): Vnode {
	const payer = roomForName(start, name);
	const vnode = makeVnode(start, directory, type, permissions);
	vnode.target = target;
	directory.enter(name, vnode, vnode.ctime, payer);
	directory.post(NOTE_WRITE);
	return vnode;
}

/** Removes a name of what is not a directory. */
export function removeName(start: Start, path: string): void {
	const { directory, name, vnode } = findName(start, path);
	if (vnode === start.tree.root) fail(start, errno.EBUSY, path);
	if (vnode.isDirectory) fail(start, errno.EPERM, path);
	directory.leave(name, vnode, timeOf(start));
	vnode.discard();
	vnode.post(NOTE_DELETE);
	directory.post(NOTE_WRITE);
}

/** Makes a directory. */
export function makeDirectory(start: Start, path: string, mode: number): void {
	checkMode(start, mode);
	const { directory, name } = findNewName(start, path, { stripSlashes: true });
	checkLinks(start, directory, path);
	if (depthOf(start.tree, directory) >= start.tree.maxDepth) fail(start, errno.ENOSPC, path);
	const payer = roomForName(start, path);
	const vnode = makeVnode(start, directory, S_IFDIR, mode & 0o777);
	directory.enter(name, vnode, vnode.ctime, payer);
	directory.post(NOTE_WRITE | NOTE_LINK);
}

/** Removes an empty directory. */
export function removeDirectory(start: Start, path: string): void {
	const { directory, name, vnode } = findName(start, path);
	if (vnode.entries === null) fail(start, errno.ENOTDIR, path);
	if (vnode === directory) fail(start, errno.EINVAL, path);
	if (vnode === start.tree.root) fail(start, errno.EBUSY, path);
	if (vnode.entries.count > 0) {
		vnode.post(NOTE_DELETE);
		fail(start, errno.ENOTEMPTY, path);
	}
	directory.leave(name, vnode, timeOf(start));
	// The link "." goes too.
	vnode.nlink--;
	directory.post(NOTE_WRITE | NOTE_LINK);
	vnode.post(NOTE_DELETE);
}

/** Throws EMLINK if a file has as many links as it can have. */
export function checkLinks(start: Start, vnode: Vnode, path: string): void {
	if (vnode.nlink >= LINK_MAX) fail(start, errno.EMLINK, path);
}

/** How many directories there are above a directory of a tree. */
export function depthOf({ root }: Tree, directory: Vnode): number {
	let depth = 0;
	for (let at = directory; at !== root; at = at.parent) depth++;
	return depth;
}

/** What a new name is charged to. Throws ENOSPC when there are too many. */
function roomForName({ tree, thread, syscall }: Start, path: string): Quota {
	const { names } = tree.share(thread.process);
	if (!names.hasRoom(1))
		throw new SystemError(errno.ENOSPC, syscall, `${path}: ${names.explain("names")}`);
	return names;
}

/** Throws EINVAL for what is not a mode. */
export function checkMode({ syscall }: Start, mode: number): void {
	if (!isInt32(mode)) throw new SystemError(errno.EINVAL, syscall, `mode ${show(mode)}`);
}

/** Makes a file without a name, of the group of the directory that it will be in. */
function makeVnode(start: Start, directory: Vnode, type: number, permissions: number): Vnode {
	const { tree, thread } = start;
	const vnode = tree.makeVnode(type, permissions, timeOf(start), tree.share(thread.process));
	vnode.gid = directory.gid;
	return vnode;
}

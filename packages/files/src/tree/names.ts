// What the calls on names do: names are made, removed and read, wherever their paths begin.

import { errno, NOTE_DELETE, NOTE_LINK, NOTE_WRITE, SystemError } from "@kqpoll/kqueue";
import { isInt32, show } from "@kqpoll/kqueue/kernel";
import { S_IFDIR, S_IFIFO, S_IFLNK } from "@kqpoll/kqueue/stat";
import { fail } from "./caller.ts";
import { find, findName, findNewName } from "./namei.ts";
import { checkString } from "./path.ts";
import type { Start } from "./start.ts";
import type { Place, Vnode } from "./vnode.ts";

/** Adds a name to a file; a symbolic link gets it itself if it is not followed. */
export function addLink(from: Start, path: string, follow: boolean, to: Start, name: string): void {
	const vnode = find(from, path, { follow });
	if (vnode.isDirectory) fail(from, errno.EPERM, path);
	const place = findNewName(to, name);
	if (vnode.fs !== place.directory.fs) fail(from, errno.EXDEV, name);
	place.directory.link(from, place, vnode);
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
	return vnode.readlink(start, path);
}

/** Makes a fifo. */
export function makeFifo(start: Start, path: string, mode: number): void {
	checkMode(start, mode);
	make(start, findNewName(start, path), S_IFIFO, mode & 0o7777);
}

/** Makes a file without bytes, or a link, and tells the watchers of its directory. */
export function make(
	start: Start,
	place: Place,
	type: number,
	permissions: number,
	target = "",
): Vnode {
	const vnode = place.directory.create(start, place, { type, permissions, target });
	place.directory.post(type === S_IFDIR ? NOTE_WRITE | NOTE_LINK : NOTE_WRITE);
	return vnode;
}

/** Removes a name of what is not a directory. */
export function removeName(start: Start, path: string): void {
	const named = findName(start, path);
	const { directory, vnode } = named;
	if (vnode === vnode.fs.root) fail(start, errno.EBUSY, path);
	if (vnode.isDirectory) fail(start, errno.EPERM, path);
	directory.remove(start, named);
	vnode.post(NOTE_DELETE);
	directory.post(NOTE_WRITE);
}

/** Makes a directory. */
export function makeDirectory(start: Start, path: string, mode: number): void {
	checkMode(start, mode);
	make(start, findNewName(start, path, { stripSlashes: true }), S_IFDIR, mode & 0o777);
}

/** Removes an empty directory. */
export function removeDirectory(start: Start, path: string): void {
	const named = findName(start, path);
	const { directory, vnode } = named;
	if (!vnode.isDirectory) fail(start, errno.ENOTDIR, path);
	if (vnode === directory) fail(start, errno.EINVAL, path);
	if (vnode === vnode.fs.root) fail(start, errno.EBUSY, path);
	if (!vnode.isEmpty(start, path)) {
		vnode.post(NOTE_DELETE);
		fail(start, errno.ENOTEMPTY, path);
	}
	directory.removeDirectory(start, named);
	directory.post(NOTE_WRITE | NOTE_LINK);
	vnode.post(NOTE_DELETE);
}

/** Throws EINVAL for what is not a mode. */
export function checkMode({ syscall }: Start, mode: number): void {
	if (!isInt32(mode)) throw new SystemError(errno.EINVAL, syscall, `mode ${show(mode)}`);
}

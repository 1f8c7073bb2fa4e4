// What rename does, wherever its two paths begin.

import { errno, NOTE_DELETE, NOTE_RENAME, NOTE_WRITE, SystemError } from "@kqpoll/kqueue";
import { fail } from "./caller.ts";
import { checkWritable, findName, findPlace } from "./namei.ts";
import type { Start } from "./start.ts";
import type { Named, Place } from "./vnode.ts";

/** Renames what a path leads to, and replaces what has the new name. */
export function renameFrom(from: Start, path: string, to: Start, name: string): void {
	const old = findName(from, path);
	const { vnode } = old;
	const target = findPlace(to, name, { stripSlashes: vnode.isDirectory });
	checkWritable(to, target.directory, name);
	checkTypes(from, old, target);
	if (vnode === target.vnode) return;
	if (vnode === target.directory) fail(from, errno.EINVAL, name);
	checkFileSystem(from, old, target);
	if (vnode.isDirectory) checkDots(from, old, target);
	if (vnode === vnode.fs.root || target.vnode === vnode.fs.root) fail(from, errno.EBUSY, path);
	old.directory.post(NOTE_WRITE);
	old.directory.rename(from, old, target);
	target.directory.post(NOTE_WRITE);
	target.vnode?.post(NOTE_DELETE);
	vnode.post(NOTE_RENAME);
}

/** Throws unless both are directories, or neither is. */
function checkTypes(start: Start, { vnode, path }: Named, target: Place): void {
	const replaced = target.vnode;
	if (replaced === null) return;
	if (replaced === target.directory) fail(start, errno.EISDIR, target.path);
	if (vnode.isDirectory === replaced.isDirectory) return;
	if (vnode.isDirectory) fail(start, errno.ENOTDIR, target.path);
	const why = `${target.path} is a directory, ${path} is not`;
	throw new SystemError(errno.EISDIR, start.syscall, why);
}

function checkDots({ syscall }: Start, old: Named, target: Place): void {
	if (old.vnode === old.directory || old.name === ".." || target.name === "..") {
		const why = "a directory cannot be renamed by the names . and ..";
		throw new SystemError(errno.EINVAL, syscall, why);
	}
}

/** Throws EXDEV for a file that would change its file system, or has too many links. */
function checkFileSystem(start: Start, { vnode, path }: Named, target: Place): void {
	const { fs } = target.directory;
	if (vnode.fs !== fs || (target.vnode?.fs ?? fs) !== fs) fail(start, errno.EXDEV, target.path);
	const { linkMax } = fs;
	if (Number.isFinite(linkMax) && vnode.stat(start.syscall, path).nlink >= linkMax)
		fail(start, errno.EMLINK, path);
}

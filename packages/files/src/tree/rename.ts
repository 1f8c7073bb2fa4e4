// What rename does, wherever its two paths begin.
import { errno, NOTE_DELETE, NOTE_RENAME, NOTE_WRITE, SystemError } from "@kqpoll/kqueue";
import type { Directory } from "./directory.ts";
import { fail, findName, findPlace, type Place } from "./namei.ts";
import { checkLinks, depthOf } from "./names.ts";
import { type Start, timeOf } from "./start.ts";
import type { Vnode } from "./vnode.ts";

/** What is renamed, and its name. */
type Named = Place & { readonly vnode: Vnode };

/** Renames what a path leads to, and replaces what has the new name. */
export function renameFrom(from: Start, path: string, to: Start, name: string): void {
	const old = findName(from, path);
	const { vnode } = old;
	const target = findPlace(to, name, { stripSlashes: vnode.isDirectory });
	checkTypes(from, old, target);
	if (vnode === target.vnode) return;
	if (vnode === target.directory) fail(from, errno.EINVAL, name);
	if (from.tree !== to.tree) fail(from, errno.EXDEV, name);
	checkLinks(from, vnode, path);
	if (vnode.isDirectory) checkDots(from, old, target);
	old.directory.post(NOTE_WRITE);
	checkMove(from, old, target);
	move(old, target, timeOf(from));
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

/** What is checked late: the watchers of the old directory have been notified already. */
function checkMove(start: Start, { vnode, directory: from }: Named, target: Place): void {
	const { directory, vnode: replaced, path } = target;
	const moves = vnode.isDirectory && from !== directory;
	for (let at = directory; moves && at !== at.parent; at = at.parent) {
		if (at === vnode) fail(start, errno.EINVAL, path);
	}
	if (moves) checkDepth(start, vnode, from, target);
	if (replaced === null) {
		if (moves) checkLinks(start, directory, path);
	} else if (replaced.entries !== null && replaced.entries.count > 0) {
		fail(start, errno.ENOTEMPTY, path);
	}
}

/** Throws ENOSPC if a directory that moves, or one in it, would be too deep. */
function checkDepth(start: Start, vnode: Vnode, from: Vnode, { directory, path }: Place): void {
	const { tree } = start;
	const depth = depthOf(tree, directory);
	if (depth <= depthOf(tree, from) || depth + vnode.height <= tree.maxDepth) return;
	// Directories may have been removed since it was counted.
	measure(vnode);
	if (depth + vnode.height > tree.maxDepth) fail(start, errno.ENOSPC, path);
}

/** Counts the height of a directory, and of those in it. */
function measure(top: Vnode): void {
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

function move(old: Named, target: Place, now: number): void {
	const { directory, name, vnode: replaced } = target;
	// The name stays charged to the account that made it.
	const payer = (old.directory.entries as Directory<Vnode>).payerOf(old.name);
	old.directory.leave(old.name, old.vnode, now);
	if (replaced !== null) {
		directory.forget(replaced, now);
		// The link "." goes too.
		if (replaced.isDirectory) replaced.nlink--;
		replaced.discard();
	}
	directory.enter(name, old.vnode, now, payer);
}

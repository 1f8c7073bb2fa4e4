// namei: follows a path, name by name and link by link, to a file or to the place of a new one.

import { errno, SystemError } from "@kqpoll/kqueue";
import { fail } from "./caller.ts";
import { mountedOn } from "./file-system.ts";
import {
	afterSlashes,
	checkName,
	checkString,
	PATH_MAX,
	utf8Length,
	withoutSlashes,
} from "./path.ts";
import type { Start } from "./start.ts";
import type { Named, Place, Vnode } from "./vnode.ts";

/** A path leads through at most this many symbolic links. */
const MAXSYMLINKS = 32;

/** How a path is followed. */
export interface LookupOptions {
	/**
	 * Whether to follow a symbolic link that is the last name (default: true). One that has a slash
	 * behind it is always followed, and so are links before the last name.
	 */
	readonly follow?: boolean;
	/** Whether slashes at the end are ignored (default: false), as for a directory to be made. */
	readonly stripSlashes?: boolean;
}

/**
 * Follows a path to its last name. Errors: EFAULT for what is not a string; ENOENT, also for a name
 * with a slash behind it that does not exist; ENOTDIR; ELOOP; ENAMETOOLONG; EINVAL for a path that is
 * not possible in C; EPERM for one that would leave the directory in which it must stay. Source:
 * namei(9).
 */
export function namei(start: Start, path: string, options: LookupOptions = {}): Place {
	checkPath(start, path);
	const { follow = true, stripSlashes = false } = options;
	let rest = stripSlashes ? withoutSlashes(path) : path;
	let at = beginning(start, rest, start.directory, path);
	for (let links = 0; ; ) {
		const step = nextStep(rest);
		if (step.name === "") return { path, directory: at, name: "", vnode: at };
		const { name, last, slashes } = step;
		const vnode = child(start, at, name, path);
		if (vnode === null) {
			if (!last || slashes) fail(start, errno.ENOENT, path);
			return { path, directory: at, name, vnode };
		}
		if (vnode.isLink && (follow || slashes)) {
			if (++links > MAXSYMLINKS) fail(start, errno.ELOOP, path);
			rest = expanded(start, vnode, step.rest, path);
			at = beginning(start, rest, at, path);
			continue;
		}
		if (slashes && !vnode.isDirectory) fail(start, errno.ENOTDIR, path);
		if (last) return { path, directory: at, name, vnode };
		at = vnode;
		rest = step.rest;
	}
}

/** The file that a path leads to. Errors as for {@link namei}, and ENOENT. */
export function find(start: Start, path: string, options: LookupOptions = {}): Vnode {
	return namei(start, path, options).vnode ?? fail(start, errno.ENOENT, path);
}

/**
 * As {@link namei}, for a name that will be made, removed or renamed: a link that is the last name
 * is not followed, except by `options`. Also throws EISDIR for the root.
 */
export function findPlace(start: Start, path: string, options: LookupOptions = {}): Place {
	const place = namei(start, path, { follow: false, ...options });
	if (place.name === "") fail(start, errno.EISDIR, path);
	return place;
}

/** As {@link findPlace}, for a name that must exist and will go. Also throws ENOENT and EROFS. */
export function findName(start: Start, path: string): Named {
	const place = findPlace(start, path);
	const vnode = place.vnode ?? fail(start, errno.ENOENT, path);
	checkWritable(start, place.directory, path);
	return { ...place, vnode };
}

/** As {@link findPlace}, for a name that must not exist. Also throws EEXIST and EROFS. */
export function findNewName(start: Start, path: string, options: LookupOptions = {}): Place {
	const place = findPlace(start, path, options);
	if (place.vnode !== null) fail(start, errno.EEXIST, path);
	checkWritable(start, place.directory, path);
	return place;
}

/** Throws EROFS for a file of a file system that is mounted read-only. */
export function checkWritable(start: Start, vnode: Vnode, path: string): void {
	if (vnode.fs.readOnly) fail(start, errno.EROFS, path);
}

function checkPath({ tree, syscall }: Start, path: string): void {
	checkString(path, syscall);
	if (path === "") throw new SystemError(errno.ENOENT, syscall, "the path is empty");
	if (!tree.mounted) throw new SystemError(errno.ENOENT, syscall, "the tree is not mounted");
}

/** Where a path begins: at the root if it begins with a slash, otherwise at `directory`. */
function beginning(start: Start, rest: string, directory: Vnode | null, path: string): Vnode {
	if (!rest.startsWith("/")) return directory ?? fail(start, errno.ENOTDIR, path);
	return start.beneath ? fail(start, errno.EPERM, path) : mountedOn(start.tree.root);
}

/** The first name of a path. To find it, only the slashes around it are looked at. */
interface Step {
	/** The name; empty if there is none. */
	readonly name: string;
	/** What follows it, with the slashes. */
	readonly rest: string;
	/** Whether a slash follows it. */
	readonly slashes: boolean;
	/** Whether no name follows it. */
	readonly last: boolean;
}

function nextStep(path: string): Step {
	const start = afterSlashes(path, 0);
	const slash = path.indexOf("/", start);
	const end = slash < 0 ? path.length : slash;
	const last = afterSlashes(path, end) === path.length;
	return { name: path.slice(start, end), rest: path.slice(end), slashes: end < path.length, last };
}

/** The path of a link, and behind it what follows the link. */
function expanded(start: Start, link: Vnode, rest: string, path: string): string {
	const target = link.readlink(start, path);
	if (target === "") fail(start, errno.ENOENT, path);
	// With the NUL at its end it has to fit, as in the kernel's buffer.
	if (utf8Length(target) + utf8Length(rest) + 1 >= PATH_MAX) fail(start, errno.ENAMETOOLONG, path);
	return target + rest;
}

/** The file that has a name in a directory, null if there is none; of a mount its root. */
function child(start: Start, directory: Vnode, name: string, path: string): Vnode | null {
	checkName(name, start.syscall);
	if (directory.isRemoved) fail(start, errno.ENOENT, path);
	if (name === ".") return mountedOn(directory);
	if (name === "..") return above(start, directory, path);
	const vnode = directory.lookup(start, name, path);
	return vnode === null || vnode.mountedHere === null ? vnode : mountedOn(vnode);
}

/** The directory that holds one: of a mount's root, the one that holds what the mount covers. */
function above(start: Start, directory: Vnode, path: string): Vnode {
	const { tree, beneath } = start;
	const top = mountedOn(tree.root);
	for (let at = directory; ; ) {
		if (beneath && at === start.directory) fail(start, errno.EPERM, path);
		// A tree that is mounted in another one ends here too, for paths that begin at it.
		if (at === top || at === tree.root) return top;
		if (at !== at.fs.root || at.fs.covered === null) return mountedOn(at.parent);
		at = at.fs.covered;
	}
}

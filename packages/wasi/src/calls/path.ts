// path_*: files by their paths, which begin at a directory and cannot leave it.
import {
	fstatat,
	linkat,
	mkdirat,
	readlinkat,
	renameat,
	symlinkat,
	unlinkat,
	utimensat,
} from "@kqpoll/files/at";
import {
	AT_REMOVEDIR,
	AT_SYMLINK_FOLLOW,
	AT_SYMLINK_NOFOLLOW,
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "@kqpoll/files/fcntl";
import { openatCall } from "@kqpoll/files/kernel";
import type { Thread } from "@kqpoll/kqueue";
import {
	FILETYPE_DIRECTORY,
	LOOKUP_SYMLINK_FOLLOW,
	OFLAGS_CREAT,
	OFLAGS_DIRECTORY,
	OFLAGS_EXCL,
	OFLAGS_TRUNC,
	RIGHTS,
} from "../abi/constants.ts";
import { wasiErrno } from "../abi/errno.ts";
import { filetypeOfMode, type RightsPair, rightsOfBits } from "../guest/descriptors.ts";
import { type Answer, type Guest, SUCCESS } from "../guest/guest.ts";
import { stop } from "../guest/trouble.ts";
import { encode } from "../platform.ts";
import { openFlagsOf } from "./descriptor.ts";
import { putStat, timesOf } from "./file.ts";

/** The rights of a file that is read. */
const READS = RIGHTS.fd_read | RIGHTS.fd_readdir;
/** Those of one that is written. */
const WRITES =
	RIGHTS.fd_write | RIGHTS.fd_datasync | RIGHTS.fd_allocate | RIGHTS.fd_filestat_set_size;

/** Requires a right on the directory of a path, and returns the path. */
function pathAt(guest: Guest, fd: number, right: number, path: number, length: number): string {
	const { filetype } = guest.descriptors.get(fd);
	if (filetype !== FILETYPE_DIRECTORY) stop(wasiErrno.NOTDIR);
	guest.descriptors.require(fd, right);
	return guest.memory.text(path, length);
}

/** The flags of a look-up for calls that follow a link unless they are told not to. */
function nofollow(flags: number): number {
	if ((flags & ~LOOKUP_SYMLINK_FOLLOW) !== 0) stop(wasiErrno.INVAL);
	return (flags & LOOKUP_SYMLINK_FOLLOW) === 0 ? AT_SYMLINK_NOFOLLOW : 0;
}

/** Makes a directory. */
export function path_create_directory(
	guest: Guest,
	fd: number,
	path: number,
	length: number,
): number {
	const name = pathAt(guest, fd, RIGHTS.path_create_directory, path, length);
	mkdirat(guest.thread, fd, name);
	return SUCCESS;
}

/** Writes what a file is. */
export function path_filestat_get(
	guest: Guest,
	fd: number,
	flags: number,
	path: number,
	length: number,
	at: number,
): number {
	const name = pathAt(guest, fd, RIGHTS.path_filestat_get, path, length);
	putStat(guest.memory, at, fstatat(guest.thread, fd, name, nofollow(flags)));
	return SUCCESS;
}

/** Sets when a file was read and written last. */
export function path_filestat_set_times(
	guest: Guest,
	fd: number,
	flags: number,
	path: number,
	length: number,
	atime: bigint,
	mtime: bigint,
	fstflags: number,
): number {
	const name = pathAt(guest, fd, RIGHTS.path_filestat_set_times, path, length);
	utimensat(guest.thread, fd, name, timesOf(atime, mtime, fstflags), nofollow(flags));
	return SUCCESS;
}

/** Makes another name for a file. */
export function path_link(
	guest: Guest,
	fromFd: number,
	flags: number,
	from: number,
	fromLength: number,
	toFd: number,
	to: number,
	toLength: number,
): number {
	const source = pathAt(guest, fromFd, RIGHTS.path_link_source, from, fromLength);
	const target = pathAt(guest, toFd, RIGHTS.path_link_target, to, toLength);
	const follow = nofollow(flags) === 0 ? AT_SYMLINK_FOLLOW : 0;
	linkat(guest.thread, fromFd, source, toFd, target, follow);
	return SUCCESS;
}

/** Opens a file, and writes its descriptor: the lowest free number. */
export function path_open(
	guest: Guest,
	fd: number,
	dirflags: number,
	path: number,
	length: number,
	oflags: number,
	base: bigint,
	inheriting: bigint,
	fdflags: number,
	result: number,
): Answer {
	const rights: RightsPair = { base: rightsOfBits(base), inheriting: rightsOfBits(inheriting) };
	const flags = flagsOf(oflags, fdflags, rights.base) | lookup(dirflags);
	const name = pathAt(guest, fd, rightsToOpen(oflags), path, length);
	const { memory, descriptors } = guest;
	memory.check(result, 4);
	const parent = descriptors.get(fd).inheriting;
	if (((rights.base | rights.inheriting) & ~parent) !== 0) stop(wasiErrno.NOTCAPABLE);
	const opened = guest.call("path_open", openatCall, fd, name, flags, 0o666);
	const done = (file: number): number => {
		descriptors.narrow(file, rights);
		memory.setU32(result, file);
		return SUCCESS;
	};
	return typeof opened === "number" ? done(opened) : opened.then(done);
}

function lookup(dirflags: number): number {
	return nofollow(dirflags) === 0 ? 0 : O_NOFOLLOW;
}

/** The rights that a directory needs for an open with these flags. */
function rightsToOpen(oflags: number): number {
	return (
		RIGHTS.path_open |
		((oflags & OFLAGS_CREAT) === 0 ? 0 : RIGHTS.path_create_file) |
		((oflags & OFLAGS_TRUNC) === 0 ? 0 : RIGHTS.path_filestat_set_size)
	);
}

function flagsOf(oflags: number, fdflags: number, base: number): number {
	const all = OFLAGS_CREAT | OFLAGS_DIRECTORY | OFLAGS_EXCL | OFLAGS_TRUNC;
	if ((oflags & ~all) !== 0) stop(wasiErrno.INVAL);
	const isDirectory = (oflags & OFLAGS_DIRECTORY) !== 0;
	if (isDirectory && (oflags & OFLAGS_CREAT) !== 0) stop(wasiErrno.INVAL);
	const writes = (base & writesOf(isDirectory, base)) !== 0 || (oflags & OFLAGS_TRUNC) !== 0;
	const reads = isDirectory || (base & READS) !== 0;
	const access = !writes ? O_RDONLY : reads ? O_RDWR : O_WRONLY;
	return (
		access |
		((oflags & OFLAGS_CREAT) === 0 ? 0 : O_CREAT) |
		(isDirectory ? O_DIRECTORY : 0) |
		((oflags & OFLAGS_EXCL) === 0 ? 0 : O_EXCL) |
		((oflags & OFLAGS_TRUNC) === 0 ? 0 : O_TRUNC) |
		openFlagsOf(fdflags)
	);
}

/**
 * The rights that say that a file is to be written. Of a directory, and of what is to be read, only the
 * right to write does: libraries ask for others of any file, and Go for the one to set its size.
 */
function writesOf(isDirectory: boolean, base: number): number {
	return isDirectory || (base & READS) !== 0 ? RIGHTS.fd_write : WRITES;
}

/** Writes where a symbolic link leads, as much as there is room for, and how many bytes that is. */
export function path_readlink(
	guest: Guest,
	fd: number,
	path: number,
	length: number,
	buffer: number,
	size: number,
	used: number,
): number {
	const { memory } = guest;
	const name = pathAt(guest, fd, RIGHTS.path_readlink, path, length);
	memory.check(used, 4);
	const room = memory.bytes(buffer, size);
	const target = encode(readlinkat(guest.thread, fd, name)).subarray(0, room.length);
	room.set(target);
	memory.setU32(used, target.length);
	return SUCCESS;
}

/** Removes an empty directory. */
export function path_remove_directory(
	guest: Guest,
	fd: number,
	path: number,
	length: number,
): number {
	const name = pathAt(guest, fd, RIGHTS.path_remove_directory, path, length);
	unlinkat(guest.thread, fd, name, AT_REMOVEDIR);
	return SUCCESS;
}

/** Renames a file. */
export function path_rename(
	guest: Guest,
	fromFd: number,
	from: number,
	fromLength: number,
	toFd: number,
	to: number,
	toLength: number,
): number {
	const source = pathAt(guest, fromFd, RIGHTS.path_rename_source, from, fromLength);
	const target = pathAt(guest, toFd, RIGHTS.path_rename_target, to, toLength);
	renameat(guest.thread, fromFd, source, toFd, target);
	return SUCCESS;
}

/** Makes a symbolic link. It must not begin with a slash, as that could not be followed. */
export function path_symlink(
	guest: Guest,
	target: number,
	targetLength: number,
	fd: number,
	path: number,
	length: number,
): number {
	const name = pathAt(guest, fd, RIGHTS.path_symlink, path, length);
	const leadsTo = guest.memory.text(target, targetLength);
	if (leadsTo.startsWith("/")) stop(wasiErrno.NOTCAPABLE);
	symlinkat(guest.thread, leadsTo, fd, name);
	return SUCCESS;
}

/**
 * Removes a name of what is not a directory. For one it is ISDIR, not PERM as from unlink(2): after that
 * alone the remove(3) of C libraries goes on to remove the directory.
 */
export function path_unlink_file(guest: Guest, fd: number, path: number, length: number): number {
	const { thread } = guest;
	const name = pathAt(guest, fd, RIGHTS.path_unlink_file, path, length);
	try {
		unlinkat(thread, fd, name);
	} catch (error) {
		if (isDirectory(thread, fd, name)) stop(wasiErrno.ISDIR);
		throw error;
	}
	return SUCCESS;
}

function isDirectory(thread: Thread, fd: number, path: string): boolean {
	try {
		const { mode } = fstatat(thread, fd, path, AT_SYMLINK_NOFOLLOW);
		return filetypeOfMode(mode) === FILETYPE_DIRECTORY;
	} catch {
		return false;
	}
}

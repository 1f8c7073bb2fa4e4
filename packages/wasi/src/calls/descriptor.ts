// fd_close, fd_fdstat_*, fd_prestat_*, fd_renumber: descriptors, whatever they refer to.
import { close, dup2, fcntl } from "@kqpoll/kqueue";
import { F_SETFL, O_APPEND, O_DSYNC, O_NONBLOCK, O_SYNC } from "@kqpoll/kqueue/fcntl";
import {
	FDFLAGS_APPEND,
	FDFLAGS_DSYNC,
	FDFLAGS_NONBLOCK,
	FDFLAGS_RSYNC,
	FDFLAGS_SYNC,
	FILETYPE_DIRECTORY,
	RIGHTS,
} from "../abi/constants.ts";
import { wasiErrno } from "../abi/errno.ts";
import { rightsOfBits } from "../guest/descriptors.ts";
import { type Guest, SUCCESS } from "../guest/guest.ts";
import { stop } from "../guest/trouble.ts";
import { encode } from "../platform.ts";

/** How long an fdstat is, in bytes. */
const FDSTAT = 24;
const FDFLAGS = FDFLAGS_APPEND | FDFLAGS_DSYNC | FDFLAGS_NONBLOCK | FDFLAGS_RSYNC | FDFLAGS_SYNC;
/** What fd_prestat_get says about a directory. */
const PREOPENTYPE_DIR = 0;
/** What it says about other descriptors that stand before directories. */
const PREOPENTYPE_OTHER = 1;

/** Our flags for those of WASI: reads are as synchronous as writes. INVAL for others. */
export function openFlagsOf(fdflags: number): number {
	if ((fdflags & ~FDFLAGS) !== 0) stop(wasiErrno.INVAL);
	return (
		((fdflags & FDFLAGS_APPEND) === 0 ? 0 : O_APPEND) |
		((fdflags & FDFLAGS_NONBLOCK) === 0 ? 0 : O_NONBLOCK) |
		((fdflags & FDFLAGS_DSYNC) === 0 ? 0 : O_DSYNC) |
		((fdflags & (FDFLAGS_SYNC | FDFLAGS_RSYNC)) === 0 ? 0 : O_SYNC)
	);
}

function fdflagsOf(flags: number): number {
	return (
		((flags & O_APPEND) === 0 ? 0 : FDFLAGS_APPEND) |
		((flags & O_NONBLOCK) === 0 ? 0 : FDFLAGS_NONBLOCK) |
		((flags & O_DSYNC) === 0 ? 0 : FDFLAGS_DSYNC) |
		((flags & O_SYNC) === 0 ? 0 : FDFLAGS_SYNC)
	);
}

/** Closes a descriptor. */
export function fd_close({ thread, descriptors }: Guest, fd: number): number {
	descriptors.get(fd);
	try {
		close(thread, fd);
	} finally {
		// A file that fails to close is closed.
		descriptors.forget(fd);
	}
	return SUCCESS;
}

/** Writes the kind of a descriptor's file, its flags, and what it may do. */
export function fd_fdstat_get({ descriptors, memory }: Guest, fd: number, at: number): number {
	const { file, filetype, base, inheriting } = descriptors.get(fd);
	const from = memory.check(at, FDSTAT);
	memory.setU64(from, filetype);
	memory.setU16(from + 2, fdflagsOf(file.flags));
	memory.setU64(from + 8, base);
	memory.setU64(from + 16, inheriting);
	return SUCCESS;
}

/** Sets the flags of a descriptor's file. */
export function fd_fdstat_set_flags(guest: Guest, fd: number, flags: number): number {
	const { thread, descriptors } = guest;
	descriptors.require(fd, RIGHTS.fd_fdstat_set_flags);
	fcntl(thread, fd, F_SETFL, openFlagsOf(flags));
	return SUCCESS;
}

/** Takes rights away from a descriptor. NOTCAPABLE for rights that it does not have. */
export function fd_fdstat_set_rights(
	{ descriptors }: Guest,
	fd: number,
	base: bigint,
	inheriting: bigint,
): number {
	const entry = descriptors.get(fd);
	const wanted = { base: rightsOfBits(base), inheriting: rightsOfBits(inheriting) };
	const tooMany = (wanted.base & ~entry.base) | (wanted.inheriting & ~entry.inheriting);
	if (tooMany !== 0) stop(wasiErrno.NOTCAPABLE);
	descriptors.narrow(fd, wanted);
	return SUCCESS;
}

/**
 * Writes that a descriptor is a preopened directory, and how long its name is. BADF for others.
 *
 * C libraries look at each descriptor from 3 on until one is BADF, and end the program at any other
 * error. For what stands before a directory, a listening socket for example, this writes another
 * type, which they step over.
 */
export function fd_prestat_get({ descriptors, memory }: Guest, fd: number, at: number): number {
	const { name, filetype } = descriptors.get(fd);
	const isGap = name === null && fd > 2 && fd < descriptors.lastPreopen;
	if (name === null && !isGap) stop(wasiErrno.BADF);
	const from = memory.check(at, 8);
	const isDirectory = name !== null && filetype === FILETYPE_DIRECTORY;
	memory.setU32(from, isDirectory ? PREOPENTYPE_DIR : PREOPENTYPE_OTHER);
	memory.setU32(from + 4, name === null ? 0 : encode(name).length);
	return SUCCESS;
}

/** Writes the name of a preopened directory. NAMETOOLONG if there is not enough room for it. */
export function fd_prestat_dir_name(
	{ descriptors, memory }: Guest,
	fd: number,
	path: number,
	length: number,
): number {
	const { name } = descriptors.get(fd);
	if (name === null) stop(wasiErrno.BADF);
	const bytes = encode(name);
	if (bytes.length > length >>> 0) stop(wasiErrno.NAMETOOLONG);
	memory.setBytes(path, bytes);
	return SUCCESS;
}

/** Moves a descriptor to the number of another one, which is closed. Both must be open. */
export function fd_renumber(guest: Guest, from: number, to: number): number {
	const { thread, descriptors } = guest;
	descriptors.get(from);
	descriptors.get(to);
	if (from === to) return SUCCESS;
	let failure: unknown = null;
	try {
		dup2(thread, from, to);
	} catch (error) {
		failure = error;
	}
	// The file that was there may have failed to close: it is replaced anyway.
	if (descriptors.copy(from, to)) fd_close(guest, from);
	if (failure !== null) throw failure;
	return SUCCESS;
}

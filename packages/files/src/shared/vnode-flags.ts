// fcntl.h: how files are opened.
import { errno, SystemError } from "@kqpoll/kqueue";
import { O_APPEND, O_ASYNC, O_NONBLOCK, O_SYNC } from "@kqpoll/kqueue/fcntl";
import { FREAD, FWRITE, isInt32, show } from "@kqpoll/kqueue/kernel";

/** open: for reading only. */
export const O_RDONLY = 0x0000;
/** open: for writing only. */
export const O_WRONLY = 0x0001;
/** open: for reading and writing. */
export const O_RDWR = 0x0002;
/** open: fail if the last name of the path is a symbolic link. */
export const O_NOFOLLOW = 0x0100;
/** open: make the file if it does not exist. */
export const O_CREAT = 0x0200;
/** open: cut the file to size 0. */
export const O_TRUNC = 0x0400;
/** open: with O_CREAT, fail if the name exists already. */
export const O_EXCL = 0x0800;
/** open: fail unless it is a directory. */
export const O_DIRECTORY = 0x20000;

/** fstatat, fchmodat, fchownat, utimensat: act on a symbolic link, not on what it leads to. */
export const AT_SYMLINK_NOFOLLOW = 0x02;
/** linkat: follow a symbolic link. */
export const AT_SYMLINK_FOLLOW = 0x04;
/** unlinkat: remove a directory. */
export const AT_REMOVEDIR = 0x08;

/**
 * What `struct file` keeps of the flags of open: FREAD and FWRITE, which are one more than the
 * access mode, and those that F_SETFL can change. Throws EINVAL for the access mode 3 and for what
 * is not a C int.
 */
export function fileFlags(flags: number, syscall: string): number {
	if (!isInt32(flags)) throw new SystemError(errno.EINVAL, syscall, `flags ${show(flags)}`);
	const mode = (flags + 1) & (FREAD | FWRITE);
	if (mode === 0)
		throw new SystemError(errno.EINVAL, syscall, "flags allow neither to read nor to write");
	return mode | (flags & (O_NONBLOCK | O_APPEND | O_ASYNC | O_SYNC));
}

/** Throws EINVAL for the flags of a call of the *at family that are not all among those allowed. */
export function checkAtFlags(flags: number, allowed: number, syscall: string): void {
	if (!isInt32(flags) || (flags & ~allowed) !== 0)
		throw new SystemError(errno.EINVAL, syscall, `flags ${show(flags)}`);
}

// fcntl.h: how files are opened.
import { errno, SystemError } from "@kqpoll/kqueue";
import { O_APPEND, O_ASYNC, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FREAD, FWRITE, isInt32, show } from "@kqpoll/kqueue/kernel";

/** open: for reading only. */
export const O_RDONLY = 0x0000;
/** open: for writing only. */
export const O_WRONLY = 0x0001;
/** open: for reading and writing. */
export const O_RDWR = 0x0002;
/** open: make the file if it does not exist. */
export const O_CREAT = 0x0200;
/** open: cut the file to size 0. */
export const O_TRUNC = 0x0400;
/** open: with O_CREAT, fail if the name exists already. */
export const O_EXCL = 0x0800;
/** open: fail unless it is a directory. */
export const O_DIRECTORY = 0x20000;

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
	return mode | (flags & (O_NONBLOCK | O_APPEND | O_ASYNC));
}

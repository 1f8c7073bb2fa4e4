// fd_readdir: the names in a directory.
import { getdents } from "@kqpoll/files";
import { lseek, type Thread } from "@kqpoll/kqueue";
import { SEEK_SET } from "@kqpoll/kqueue/unistd";
import { FILETYPE_DIRECTORY, RIGHTS } from "../abi/constants.ts";
import { wasiErrno } from "../abi/errno.ts";
import { filetypeOfMode } from "../guest/descriptors.ts";
import { type Guest, SUCCESS } from "../guest/guest.ts";
import { stop } from "../guest/trouble.ts";
import { encode } from "../platform.ts";

/** How long a dirent is without the name behind it, in bytes. */
const DIRENT = 24;
/** How many names are read at once. */
const BATCH = 64;

/**
 * Fills a buffer with the names of a directory from a cookie on, 0 for the first one, and writes how
 * many bytes that took. A buffer that is not full ends with the last name; the last name in a full one
 * may be cut off. Cookies stay valid while other names come and go.
 */
export function fd_readdir(
	{ thread, descriptors, memory }: Guest,
	fd: number,
	buffer: number,
	length: number,
	cookie: bigint,
	used: number,
): number {
	const { filetype } = descriptors.require(fd, RIGHTS.fd_readdir);
	if (filetype !== FILETYPE_DIRECTORY) stop(wasiErrno.NOTDIR);
	memory.check(used, 4);
	const room = memory.bytes(buffer, length);
	const from = Number(BigInt.asUintN(64, cookie));
	if (!Number.isSafeInteger(from)) stop(wasiErrno.INVAL);
	memory.setU32(used, fill(thread, fd, room, from));
	return SUCCESS;
}

function fill(thread: Thread, fd: number, room: Uint8Array, cookie: number): number {
	let done = 0;
	lseek(thread, fd, cookie, SEEK_SET);
	while (done < room.length) {
		const names = getdents(thread, fd, BATCH);
		for (const { name, ino, off, type } of names) {
			const entry = direntOf(encode(name), ino, off, filetypeOfMode(type));
			const part = entry.subarray(0, room.length - done);
			room.set(part, done);
			done += part.length;
			if (done === room.length) break;
		}
		if (names.length < BATCH) break;
	}
	return done;
}

function direntOf(name: Uint8Array, ino: number, next: number, filetype: number): Uint8Array {
	const entry = new Uint8Array(DIRENT + name.length);
	const view = new DataView(entry.buffer);
	view.setBigUint64(0, BigInt(next), true);
	view.setBigUint64(8, BigInt(ino), true);
	view.setUint32(16, name.length, true);
	view.setUint8(20, filetype);
	entry.set(name, DIRENT);
	return entry;
}

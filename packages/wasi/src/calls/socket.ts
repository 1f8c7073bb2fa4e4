// sock_accept, sock_recv, sock_send, sock_shutdown.
import { shutdown } from "@kqpoll/files";
import { accept4Call, recvmsgCall, sendCall } from "@kqpoll/files/kernel";
import {
	MSG_PEEK,
	MSG_TRUNC,
	MSG_WAITALL,
	SHUT_RD,
	SHUT_RDWR,
	SHUT_WR,
	SOCK_NONBLOCK,
} from "@kqpoll/files/socket";
import {
	FDFLAGS_NONBLOCK,
	FILETYPE_SOCKET_DGRAM,
	FILETYPE_SOCKET_STREAM,
	RIFLAGS_RECV_PEEK,
	RIFLAGS_RECV_WAITALL,
	RIGHTS,
	ROFLAGS_RECV_DATA_TRUNCATED,
	SDFLAGS_RD,
	SDFLAGS_WR,
} from "../abi/constants.ts";
import { wasiErrno } from "../abi/errno.ts";
import type { Entry } from "../guest/descriptors.ts";
import { type Answer, after, type Guest, SUCCESS } from "../guest/guest.ts";
import { stop } from "../guest/trouble.ts";

/** A message of several pieces is gathered: of one that is longer, the rest is left out. */
const GATHERED_MAX = 4 * 1024 * 1024;

function requireSocket({ descriptors }: Guest, fd: number, right: number): Entry {
	const { filetype } = descriptors.get(fd);
	if (filetype !== FILETYPE_SOCKET_STREAM && filetype !== FILETYPE_SOCKET_DGRAM)
		stop(wasiErrno.NOTSOCK);
	return descriptors.require(fd, right);
}

/** Accepts a connection, and writes its descriptor. It may do what the listener's inheriting rights say. */
export function sock_accept(guest: Guest, fd: number, flags: number, result: number): Answer {
	const { inheriting } = requireSocket(guest, fd, RIGHTS.sock_accept);
	const { memory, descriptors } = guest;
	memory.check(result, 4);
	if ((flags & ~FDFLAGS_NONBLOCK) !== 0) stop(wasiErrno.INVAL);
	const asked = (flags & FDFLAGS_NONBLOCK) === 0 ? 0 : SOCK_NONBLOCK;
	return after(guest.call("sock_accept", accept4Call, fd, asked), (connection) => {
		descriptors.narrow(connection, { base: inheriting, inheriting });
		memory.setU32(result, connection);
		return SUCCESS;
	});
}

/** Receives into pieces of memory, and writes how many bytes, and whether there were more. */
export function sock_recv(
	guest: Guest,
	fd: number,
	iovs: number,
	count: number,
	riflags: number,
	size: number,
	roflags: number,
): Answer {
	requireSocket(guest, fd, RIGHTS.fd_read);
	const { memory } = guest;
	if ((riflags & ~(RIFLAGS_RECV_PEEK | RIFLAGS_RECV_WAITALL)) !== 0) stop(wasiErrno.INVAL);
	memory.check(size, 4);
	memory.check(roflags, 2);
	const length = lengthOf(memory.pieces(iovs, count, true));
	const message: { bytes: Uint8Array; flags?: number } = { bytes: new Uint8Array(length) };
	const flags =
		((riflags & RIFLAGS_RECV_PEEK) === 0 ? 0 : MSG_PEEK) |
		((riflags & RIFLAGS_RECV_WAITALL) === 0 ? 0 : MSG_WAITALL);
	return after(guest.call("sock_recv", recvmsgCall, fd, message, flags), (n) => {
		scatter(memory.pieces(iovs, count, true), message.bytes.subarray(0, n));
		const cut = ((message.flags ?? 0) & MSG_TRUNC) !== 0;
		memory.setU32(size, n);
		memory.setU16(roflags, cut ? ROFLAGS_RECV_DATA_TRUNCATED : 0);
		return SUCCESS;
	});
}

/** Sends pieces of memory as one, and writes how many bytes it were. */
export function sock_send(
	guest: Guest,
	fd: number,
	iovs: number,
	count: number,
	siflags: number,
	size: number,
): Answer {
	requireSocket(guest, fd, RIGHTS.fd_write);
	const { memory } = guest;
	if (siflags !== 0) stop(wasiErrno.INVAL);
	memory.check(size, 4);
	const bytes = gather(memory.pieces(iovs, count, true));
	return after(guest.call("sock_send", sendCall, fd, bytes, 0), (n) => {
		memory.setU32(size, n);
		return SUCCESS;
	});
}

function lengthOf(pieces: readonly Uint8Array[]): number {
	const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
	return Math.min(length, GATHERED_MAX);
}

function gather(pieces: readonly Uint8Array[]): Uint8Array {
	const all = new Uint8Array(lengthOf(pieces));
	let at = 0;
	for (const piece of pieces) {
		const part = piece.subarray(0, all.length - at);
		all.set(part, at);
		at += part.length;
	}
	return all;
}

function scatter(pieces: readonly Uint8Array[], bytes: Uint8Array): void {
	let at = 0;
	for (const piece of pieces) {
		const part = bytes.subarray(at, at + piece.length);
		piece.set(part);
		at += part.length;
	}
}

/** Ends one direction of a connection, or both. */
export function sock_shutdown(guest: Guest, fd: number, how: number): number {
	requireSocket(guest, fd, RIGHTS.sock_shutdown);
	switch (how) {
		case SDFLAGS_RD:
			shutdown(guest.thread, fd, SHUT_RD);
			return SUCCESS;
		case SDFLAGS_WR:
			shutdown(guest.thread, fd, SHUT_WR);
			return SUCCESS;
		case SDFLAGS_RD | SDFLAGS_WR:
			shutdown(guest.thread, fd, SHUT_RDWR);
			return SUCCESS;
		default:
			return stop(wasiErrno.INVAL);
	}
}

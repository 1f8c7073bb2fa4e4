// fd_read, fd_write, fd_pread, fd_pwrite: bytes between the guest and an open file.

import type { Thread } from "@kqpoll/kqueue";
import {
	type BlockingCall,
	readCall,
	readvCall,
	writeCall,
	writevCall,
} from "@kqpoll/kqueue/kernel";
import { preadv, pwritev } from "@kqpoll/kqueue/uio";
import {
	FILETYPE_DIRECTORY,
	FILETYPE_REGULAR_FILE,
	FILETYPE_SOCKET_DGRAM,
	RIGHTS,
} from "../abi/constants.ts";
import { wasiErrno } from "../abi/errno.ts";
import { type Answer, type Guest, isDetached, SUCCESS } from "../guest/guest.ts";
import { stop } from "../guest/trouble.ts";
import { sizeOf } from "./file.ts";

/** Reads into the pieces of memory that a list names, and writes how many bytes it were. */
export function fd_read(
	guest: Guest,
	fd: number,
	iovs: number,
	count: number,
	nread: number,
): Answer {
	return transfer(guest, READ, fd, iovs, count, nread);
}

/** Writes what a list of pieces names, and how many bytes it were. */
export function fd_write(
	guest: Guest,
	fd: number,
	iovs: number,
	count: number,
	nwritten: number,
): Answer {
	return transfer(guest, WRITE, fd, iovs, count, nwritten);
}

function beginRead(thread: Thread, fd: number, pieces: readonly Uint8Array[]): BlockingCall {
	const [first] = pieces;
	return pieces.length === 1
		? readCall(thread, fd, first as Uint8Array)
		: readvCall(thread, fd, pieces);
}

function beginWrite(thread: Thread, fd: number, pieces: readonly Uint8Array[]): BlockingCall {
	const [first] = pieces;
	return pieces.length === 1
		? writeCall(thread, fd, first as Uint8Array)
		: writevCall(thread, fd, pieces);
}

/** A direction of transfers. */
interface Direction {
	readonly name: string;
	/** The right that it needs. */
	readonly right: number;
	readonly begin: typeof beginRead;
}

const READ: Direction = { name: "fd_read", right: RIGHTS.fd_read, begin: beginRead };
const WRITE: Direction = { name: "fd_write", right: RIGHTS.fd_write, begin: beginWrite };

function transfer(
	guest: Guest,
	direction: Direction,
	fd: number,
	iovs: number,
	count: number,
	result: number,
): Answer {
	const { memory, descriptors } = guest;
	const isMessage = descriptors.require(fd, direction.right).filetype === FILETYPE_SOCKET_DGRAM;
	memory.check(result, 4);
	const before = memory.current;
	try {
		const pieces = memory.pieces(iovs, count, isMessage);
		const moved = guest.call(direction.name, direction.begin, fd, pieces);
		if (typeof moved !== "number")
			return later(guest, direction, fd, iovs, count, result, moved, before);
		memory.setU32(result, moved);
		return SUCCESS;
	} catch (error) {
		if (!isElsewhere(guest, before, error)) throw error;
	}
	return transfer(guest, direction, fd, iovs, count, result);
}

/** Ends a transfer that sleeps. */
function later(
	guest: Guest,
	direction: Direction,
	fd: number,
	iovs: number,
	count: number,
	result: number,
	moved: Promise<number>,
	before: ArrayBufferLike,
): Promise<number> {
	return moved.then(
		(n) => {
			guest.memory.setU32(result, n);
			return SUCCESS;
		},
		(error: unknown) => {
			if (!isElsewhere(guest, before, error)) throw error;
			return transfer(guest, direction, fd, iovs, count, result);
		},
	);
}

/** Memory that has grown during a sleep is elsewhere; no byte was moved then. */
function isElsewhere({ memory }: Guest, before: ArrayBufferLike, error: unknown): boolean {
	return isDetached(error) && memory.current !== before;
}

/** As {@link fd_read}, from an offset of the file on, which does not move its own. */
export function fd_pread(
	guest: Guest,
	fd: number,
	iovs: number,
	count: number,
	offset: bigint,
	nread: number,
): number {
	const right = RIGHTS.fd_read | RIGHTS.fd_seek;
	return positioned(guest, right, preadv, fd, iovs, count, offset, nread);
}

/** As {@link fd_write}, to an offset of the file, which does not move its own. */
export function fd_pwrite(
	guest: Guest,
	fd: number,
	iovs: number,
	count: number,
	offset: bigint,
	nwritten: number,
): number {
	const right = RIGHTS.fd_write | RIGHTS.fd_seek;
	return positioned(guest, right, pwritev, fd, iovs, count, offset, nwritten);
}

function positioned(
	{ thread, memory, descriptors }: Guest,
	rights: number,
	move: typeof preadv,
	fd: number,
	iovs: number,
	count: number,
	offset: bigint,
	result: number,
): number {
	const { base, filetype } = descriptors.get(fd);
	const seeks = filetype === FILETYPE_REGULAR_FILE || filetype === FILETYPE_DIRECTORY;
	if ((base & rights) !== rights && !seeks) stop(wasiErrno.SPIPE);
	descriptors.require(fd, rights);
	memory.check(result, 4);
	memory.setU32(result, move(thread, fd, memory.pieces(iovs, count), sizeOf(offset)));
	return SUCCESS;
}

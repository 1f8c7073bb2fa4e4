// Calls on open files: offsets, sizes, times, and what a file is.

import { fdatasync, fsync, ftruncate, futimens, type VnodeStat } from "@kqpoll/files";
import { fstat, lseek, type Thread } from "@kqpoll/kqueue";
import { type Stat, UTIME_NOW, UTIME_OMIT } from "@kqpoll/kqueue/stat";
import { SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import {
	FILETYPE_DIRECTORY,
	FILETYPE_REGULAR_FILE,
	FSTFLAGS_ATIM,
	FSTFLAGS_ATIM_NOW,
	FSTFLAGS_MTIM,
	FSTFLAGS_MTIM_NOW,
	RIGHTS,
	WHENCE_CUR,
	WHENCE_END,
	WHENCE_SET,
} from "../abi/constants.ts";
import { wasiErrno } from "../abi/errno.ts";
import { filetypeOfMode } from "../guest/descriptors.ts";
import { type Guest, SUCCESS } from "../guest/guest.ts";
import type { GuestMemory } from "../guest/memory.ts";
import { stop } from "../guest/trouble.ts";

/** How long a filestat is, in bytes. */
const FILESTAT = 64;
/** The last kind of advice. */
const ADVICE_NOREUSE = 5;
/** Who may seek may ask for the offset too. */
const TELLS = RIGHTS.fd_tell | RIGHTS.fd_seek;
const NS_PER_S = 1_000_000_000n;

type Times = Parameters<typeof futimens>[2] & object;

/** An offset or size of the guest: INVAL for what no file can have. */
export function sizeOf(value: bigint): number {
	const size = Number(BigInt.asUintN(64, value));
	if (!Number.isSafeInteger(size)) stop(wasiErrno.INVAL);
	return size;
}

/** Takes advice about how a part of a file will be used; nothing depends on it. */
export function fd_advise(
	{ descriptors }: Guest,
	fd: number,
	offset: bigint,
	length: bigint,
	advice: number,
): number {
	const { filetype } = descriptors.require(fd, RIGHTS.fd_advise);
	if (filetype === FILETYPE_DIRECTORY) stop(wasiErrno.BADF);
	if (advice >>> 0 > ADVICE_NOREUSE) stop(wasiErrno.INVAL);
	sizeOf(offset);
	sizeOf(length);
	return SUCCESS;
}

/** Makes a file at least as long as `offset` and `length` together. */
export function fd_allocate(
	{ thread, descriptors }: Guest,
	fd: number,
	offset: bigint,
	length: bigint,
): number {
	const { filetype } = descriptors.require(fd, RIGHTS.fd_allocate);
	if (filetype !== FILETYPE_REGULAR_FILE) stop(wasiErrno.NODEV);
	const size = sizeOf(offset) + sizeOf(length);
	if (length === 0n) stop(wasiErrno.INVAL);
	if (!Number.isSafeInteger(size)) stop(wasiErrno.FBIG);
	if (size > fstat(thread, fd).size) ftruncate(thread, fd, size);
	return SUCCESS;
}

/** Returns when the bytes of a file are stored. */
export function fd_datasync({ thread, descriptors }: Guest, fd: number): number {
	descriptors.require(fd, RIGHTS.fd_datasync);
	fdatasync(thread, fd);
	return SUCCESS;
}

/** Returns when a file is stored. */
export function fd_sync({ thread, descriptors }: Guest, fd: number): number {
	descriptors.require(fd, RIGHTS.fd_sync);
	fsync(thread, fd);
	return SUCCESS;
}

/** Writes what an open file is. */
export function fd_filestat_get(
	{ thread, descriptors, memory }: Guest,
	fd: number,
	at: number,
): number {
	const { filetype } = descriptors.require(fd, RIGHTS.fd_filestat_get);
	putFilestat(memory, at, filetype, fstat(thread, fd));
	return SUCCESS;
}

/** Writes a filestat. */
function putFilestat(
	memory: GuestMemory,
	pointer: number,
	filetype: number,
	stat: Stat & Partial<VnodeStat>,
): void {
	const { dev = 0, ino = 0, nlink = 1, atime = 0, mtime = 0, ctime = 0, size } = stat;
	memory.bytes(pointer, FILESTAT).fill(0);
	const at = pointer >>> 0;
	memory.setU64(at, dev);
	memory.setU64(at + 8, ino);
	memory.setU8(at + 16, filetype);
	memory.setU64(at + 24, nlink);
	memory.setU64(at + 32, size);
	putTime(memory, at + 40, atime, stat.atimensec);
	putTime(memory, at + 48, mtime, stat.mtimensec);
	putTime(memory, at + 56, ctime);
}

/** Writes a time, which `nsec` makes exact where a number does not hold it. */
function putTime(memory: GuestMemory, at: number, time: number, nsec?: number): void {
	if (nsec === undefined) memory.setU64(at, Math.max(0, Math.trunc(time)));
	else {
		const exact = BigInt(Math.round((time - nsec) / 1e9)) * NS_PER_S + BigInt(nsec);
		memory.setBigU64(at, exact < 0n ? 0n : exact);
	}
}

/** Writes the filestat of a file that a path leads to. */
export function putStat(memory: GuestMemory, pointer: number, stat: Stat): void {
	putFilestat(memory, pointer, filetypeOfMode(stat.mode), stat);
}

/** Cuts a file to a size, or adds zeros. */
export function fd_filestat_set_size(
	{ thread, descriptors }: Guest,
	fd: number,
	size: bigint,
): number {
	descriptors.require(fd, RIGHTS.fd_filestat_set_size);
	ftruncate(thread, fd, sizeOf(size));
	return SUCCESS;
}

/** Sets when a file was read and written last. */
export function fd_filestat_set_times(
	{ thread, descriptors }: Guest,
	fd: number,
	atime: bigint,
	mtime: bigint,
	flags: number,
): number {
	descriptors.require(fd, RIGHTS.fd_filestat_set_times);
	futimens(thread, fd, timesOf(atime, mtime, flags));
	return SUCCESS;
}

/** Two times with their flags. INVAL for a time that is to be now and another one. */
export function timesOf(atime: bigint, mtime: bigint, flags: number): Times {
	const all = FSTFLAGS_ATIM | FSTFLAGS_ATIM_NOW | FSTFLAGS_MTIM | FSTFLAGS_MTIM_NOW;
	if ((flags & ~all) !== 0) stop(wasiErrno.INVAL);
	return [
		timeOf(atime, flags, FSTFLAGS_ATIM, FSTFLAGS_ATIM_NOW),
		timeOf(mtime, flags, FSTFLAGS_MTIM, FSTFLAGS_MTIM_NOW),
	];
}

function timeOf(time: bigint, flags: number, given: number, now: number): Times[number] {
	const isGiven = (flags & given) !== 0;
	const isNow = (flags & now) !== 0;
	if (isGiven && isNow) stop(wasiErrno.INVAL);
	if (isNow) return { sec: 0, nsec: UTIME_NOW };
	if (!isGiven) return { sec: 0, nsec: UTIME_OMIT };
	const ns = BigInt.asUintN(64, time);
	return { sec: Number(ns / NS_PER_S), nsec: Number(ns % NS_PER_S) };
}

/** Moves the offset of a file, and writes the new one. */
export function fd_seek(
	{ thread, descriptors, memory }: Guest,
	fd: number,
	offset: bigint,
	whence: number,
	result: number,
): number {
	const isTell = offset === 0n && whence === WHENCE_CUR;
	requireOffset(descriptors.get(fd), isTell ? TELLS : RIGHTS.fd_seek);
	memory.check(result, 8);
	memory.setU64(result, seek(thread, fd, offset, whence));
	return SUCCESS;
}

/** Writes the offset of a file. */
export function fd_tell(
	{ thread, descriptors, memory }: Guest,
	fd: number,
	result: number,
): number {
	requireOffset(descriptors.get(fd), TELLS);
	memory.check(result, 8);
	memory.setU64(result, seek(thread, fd, 0n, WHENCE_CUR));
	return SUCCESS;
}

/**
 * Requires one of the rights. What has no offset is SPIPE, and BADF for a directory, whatever rights it
 * has.
 */
function requireOffset(
	{ base, filetype }: { base: number; filetype: number },
	oneOf: number,
): void {
	if ((base & oneOf) !== 0) return;
	if (filetype === FILETYPE_DIRECTORY) stop(wasiErrno.BADF);
	stop(filetype === FILETYPE_REGULAR_FILE ? wasiErrno.NOTCAPABLE : wasiErrno.SPIPE);
}

function seek(thread: Thread, fd: number, offset: bigint, whence: number): number {
	switch (whence) {
		case WHENCE_SET:
			return lseek(thread, fd, Number(offset), SEEK_SET);
		case WHENCE_CUR:
			return lseek(thread, fd, Number(offset), SEEK_CUR);
		case WHENCE_END:
			return lseek(thread, fd, Number(offset), SEEK_END);
		default:
			return stop(wasiErrno.INVAL);
	}
}

// The rights of a guest's descriptors, and the names of its preopened directories. The descriptors
// themselves are those of the guest's process.
import { isatty } from "@kqpoll/files";
import { Socket } from "@kqpoll/files/kernel";
import { fstat, type Thread } from "@kqpoll/kqueue";
import { type File, FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, S_IFSOCK } from "@kqpoll/kqueue/stat";
import {
	FILETYPE_CHARACTER_DEVICE,
	FILETYPE_DIRECTORY,
	FILETYPE_REGULAR_FILE,
	FILETYPE_SOCKET_DGRAM,
	FILETYPE_SOCKET_STREAM,
	FILETYPE_SYMBOLIC_LINK,
	FILETYPE_UNKNOWN,
	RIGHTS,
} from "../abi/constants.ts";
import { wasiErrno } from "../abi/errno.ts";
import { stop } from "./trouble.ts";

/** The part of a mode that says what kind of file it is. */
const S_IFMT = 0o170000;

/** What is known about one descriptor of a guest. */
export interface Entry {
	/** The open file that it was about: another one at the same number gets an entry of its own. */
	readonly file: File;
	/** The kind of file, a FILETYPE constant. */
	readonly filetype: number;
	/** What calls on it may do, or-ed of RIGHTS. */
	base: number;
	/** What descriptors that are opened by it may do. */
	inheriting: number;
	/** Of a preopened directory: its name for the guest. */
	readonly name: string | null;
}

/** A set of rights. */
export interface RightsPair {
	/** For calls on the descriptor. */
	readonly base: number;
	/** For descriptors that are opened by it. */
	readonly inheriting: number;
}

const ALL = Object.values(RIGHTS).reduce((all, right) => all | right, 0);
const FILE =
	RIGHTS.fd_datasync |
	RIGHTS.fd_read |
	RIGHTS.fd_seek |
	RIGHTS.fd_fdstat_set_flags |
	RIGHTS.fd_sync |
	RIGHTS.fd_tell |
	RIGHTS.fd_write |
	RIGHTS.fd_advise |
	RIGHTS.fd_allocate |
	RIGHTS.fd_filestat_get |
	RIGHTS.fd_filestat_set_size |
	RIGHTS.fd_filestat_set_times |
	RIGHTS.poll_fd_readwrite;
const DIRECTORY =
	RIGHTS.fd_fdstat_set_flags |
	RIGHTS.fd_sync |
	RIGHTS.fd_advise |
	RIGHTS.path_create_directory |
	RIGHTS.path_create_file |
	RIGHTS.path_link_source |
	RIGHTS.path_link_target |
	RIGHTS.path_open |
	RIGHTS.fd_readdir |
	RIGHTS.path_readlink |
	RIGHTS.path_rename_source |
	RIGHTS.path_rename_target |
	RIGHTS.path_filestat_get |
	RIGHTS.path_filestat_set_size |
	RIGHTS.path_filestat_set_times |
	RIGHTS.fd_filestat_get |
	RIGHTS.fd_filestat_set_times |
	RIGHTS.path_symlink |
	RIGHTS.path_remove_directory |
	RIGHTS.path_unlink_file |
	RIGHTS.poll_fd_readwrite;
/** Of what has no offset: pipes, sockets, terminals. */
const STREAM =
	RIGHTS.fd_read |
	RIGHTS.fd_fdstat_set_flags |
	RIGHTS.fd_write |
	RIGHTS.fd_filestat_get |
	RIGHTS.poll_fd_readwrite;
const SOCKET = STREAM | RIGHTS.sock_shutdown | RIGHTS.sock_accept;

/** Rights as the guest passes them. Bits that do not exist are left out. */
export function rightsOfBits(bits: bigint): number {
	return Number(BigInt.asUintN(30, bits));
}

/** The descriptors of a guest. */
export class Descriptors {
	private readonly thread: Thread;
	private readonly entries: (Entry | undefined)[] = [];

	/** Those of the thread's process. */
	constructor(thread: Thread) {
		this.thread = thread;
	}

	/** What is known about a descriptor; BADF if it is not open. */
	get(fd: number): Entry {
		const file = this.thread.process.fdp.get(fd);
		if (file === null) stop(wasiErrno.BADF);
		const entry = this.entries[fd];
		return entry !== undefined && entry.file === file ? entry : this.discover(fd, file);
	}

	/**
	 * As {@link get}; NOTCAPABLE if the rights are not among those of the descriptor. The bytes of a
	 * directory are ISDIR, as programs expect of what nobody could allow.
	 */
	require(fd: number, rights: number): Entry {
		const entry = this.get(fd);
		if ((entry.base & rights) === rights) return entry;
		const isBytes = (rights & (RIGHTS.fd_read | RIGHTS.fd_write)) !== 0;
		stop(isBytes && entry.filetype === FILETYPE_DIRECTORY ? wasiErrno.ISDIR : wasiErrno.NOTCAPABLE);
	}

	/** Whether a descriptor is open, but lacks one of the rights. */
	bars(fd: number, rights: number): boolean {
		const entry = this.entries[fd];
		if (entry === undefined || (entry.base & rights) === rights) return false;
		return this.thread.process.fdp.get(fd) === entry.file;
	}

	/** A descriptor is that of a preopened directory, with this name. */
	preopen(fd: number, name: string): void {
		const { file, filetype, base, inheriting } = this.get(fd);
		this.entries[fd] = { file, filetype, base, inheriting, name };
	}

	/** The rights of a descriptor that was just opened: no more than these. */
	narrow(fd: number, { base, inheriting }: RightsPair): void {
		const entry = this.get(fd);
		entry.base &= base;
		entry.inheriting &= inheriting;
	}

	/**
	 * What is known about `from` is known about `to` as well, if that is a number of the same file now.
	 * Returns whether it is.
	 */
	copy(from: number, to: number): boolean {
		const entry = this.get(from);
		if (this.thread.process.fdp.get(to) !== entry.file) return false;
		this.entries[to] = entry;
		return true;
	}

	/** Forgets a descriptor, unless it is still open. */
	forget(fd: number): void {
		if (this.thread.process.fdp.get(fd) === null) delete this.entries[fd];
	}

	/** The highest number of a preopened directory, -1 if there is none. */
	get lastPreopen(): number {
		let last = this.entries.length - 1;
		while (last >= 0 && typeof this.entries[last]?.name !== "string") last--;
		return last;
	}

	/** A descriptor that the guest did not open itself: it may do all that its kind can. */
	private discover(fd: number, file: File): Entry {
		const { thread } = this;
		const filetype = filetypeOf(thread, fd, file);
		const rights = rightsOf(thread, fd, file, filetype);
		const entry: Entry = { file, filetype, ...rights, name: null };
		this.entries[fd] = entry;
		return entry;
	}
}

/** The kind of an open file for WASI: pipes, fifos and kqueues are unknown to it. */
function filetypeOf(thread: Thread, fd: number, file: File): number {
	if (file.type === "socket")
		return file instanceof Socket && file.atomic ? FILETYPE_SOCKET_DGRAM : FILETYPE_SOCKET_STREAM;
	if (file.type !== "vnode") return FILETYPE_UNKNOWN;
	return filetypeOfMode(fstat(thread, fd).mode);
}

/** The kind of file that a mode of stat names. */
export function filetypeOfMode(mode: number): number {
	switch (mode & S_IFMT) {
		case S_IFREG:
			return FILETYPE_REGULAR_FILE;
		case S_IFDIR:
			return FILETYPE_DIRECTORY;
		case S_IFCHR:
			return FILETYPE_CHARACTER_DEVICE;
		case S_IFLNK:
			return FILETYPE_SYMBOLIC_LINK;
		case S_IFSOCK:
			return FILETYPE_SOCKET_STREAM;
		default:
			return FILETYPE_UNKNOWN;
	}
}

/** All that a descriptor of its kind, and of its access mode, can do. */
function rightsOf(thread: Thread, fd: number, file: File, filetype: number): RightsPair {
	const access =
		((file.flags & FREAD) === 0 ? RIGHTS.fd_read | RIGHTS.fd_readdir : 0) |
		((file.flags & FWRITE) === 0 ? RIGHTS.fd_write : 0);
	switch (filetype) {
		case FILETYPE_DIRECTORY:
			return { base: DIRECTORY, inheriting: ALL };
		case FILETYPE_REGULAR_FILE:
			return { base: FILE & ~access, inheriting: 0 };
		case FILETYPE_SOCKET_STREAM:
		case FILETYPE_SOCKET_DGRAM:
			return { base: SOCKET & ~access, inheriting: SOCKET };
		case FILETYPE_CHARACTER_DEVICE:
			// wasi-libc takes a device of characters without an offset for a terminal.
			return { base: (isatty(thread, fd) ? STREAM : FILE) & ~access, inheriting: 0 };
		default:
			return { base: STREAM & ~access, inheriting: 0 };
	}
}

// The constants of WASI preview1. Source: the witx document wasi_snapshot_preview1.

/** Wall clock. */
export const CLOCK_REALTIME = 0;
/** A clock that never goes backwards. */
export const CLOCK_MONOTONIC = 1;
/** Processor time of the process. */
export const CLOCK_PROCESS = 2;
/** Processor time of the thread. */
export const CLOCK_THREAD = 3;

/** Kinds of files. */
export const FILETYPE_UNKNOWN = 0;
/** A terminal, or another device of characters. */
export const FILETYPE_CHARACTER_DEVICE = 2;
/** A directory. */
export const FILETYPE_DIRECTORY = 3;
/** A file of bytes. */
export const FILETYPE_REGULAR_FILE = 4;
/** A socket of datagrams. */
export const FILETYPE_SOCKET_DGRAM = 5;
/** A socket of a stream; also what a pipe is, as WASI has no kind for it. */
export const FILETYPE_SOCKET_STREAM = 6;
/** A symbolic link. */
export const FILETYPE_SYMBOLIC_LINK = 7;

/** Flags of descriptors: writes go to the end. */
export const FDFLAGS_APPEND = 1;
/** Data is stored when a write returns. */
export const FDFLAGS_DSYNC = 2;
/** Calls do not sleep. */
export const FDFLAGS_NONBLOCK = 4;
/** Reads are synchronised as writes are. */
export const FDFLAGS_RSYNC = 8;
/** Data and attributes are stored when a write returns. */
export const FDFLAGS_SYNC = 16;

/** Flags of path_open: make the file. */
export const OFLAGS_CREAT = 1;
/** It must be a directory. */
export const OFLAGS_DIRECTORY = 2;
/** It must not be there. */
export const OFLAGS_EXCL = 4;
/** Cut it to size 0. */
export const OFLAGS_TRUNC = 8;

/** Flags of look-ups: follow a symbolic link at the end of the path. */
export const LOOKUP_SYMLINK_FOLLOW = 1;

/** Flags of times: set the time of the last read. */
export const FSTFLAGS_ATIM = 1;
/** Set it to now. */
export const FSTFLAGS_ATIM_NOW = 2;
/** Set the time of the last write. */
export const FSTFLAGS_MTIM = 4;
/** Set it to now. */
export const FSTFLAGS_MTIM_NOW = 8;

/** Directions of fd_seek. */
export const WHENCE_SET = 0;
/** From the current offset. */
export const WHENCE_CUR = 1;
/** From the end. */
export const WHENCE_END = 2;

/** Flags of sock_recv: leave the bytes there. */
export const RIFLAGS_RECV_PEEK = 1;
/** Wait for all bytes. */
export const RIFLAGS_RECV_WAITALL = 2;
/** Result of sock_recv: the message was longer. */
export const ROFLAGS_RECV_DATA_TRUNCATED = 1;
/** Flags of sock_shutdown: no more reads. */
export const SDFLAGS_RD = 1;
/** No more writes. */
export const SDFLAGS_WR = 2;

/** Flags of events: the other end has hung up. */
export const EVENTRWFLAGS_FD_READWRITE_HANGUP = 1;
/** Flags of clock subscriptions: the time is absolute. */
export const SUBCLOCKFLAGS_ABSTIME = 1;

/** Rights of descriptors, by what they allow. They fit into 30 bits. */
export const RIGHTS: {
	readonly fd_datasync: number;
	readonly fd_read: number;
	readonly fd_seek: number;
	readonly fd_fdstat_set_flags: number;
	readonly fd_sync: number;
	readonly fd_tell: number;
	readonly fd_write: number;
	readonly fd_advise: number;
	readonly fd_allocate: number;
	readonly path_create_directory: number;
	readonly path_create_file: number;
	readonly path_link_source: number;
	readonly path_link_target: number;
	readonly path_open: number;
	readonly fd_readdir: number;
	readonly path_readlink: number;
	readonly path_rename_source: number;
	readonly path_rename_target: number;
	readonly path_filestat_get: number;
	readonly path_filestat_set_size: number;
	readonly path_filestat_set_times: number;
	readonly fd_filestat_get: number;
	readonly fd_filestat_set_size: number;
	readonly fd_filestat_set_times: number;
	readonly path_symlink: number;
	readonly path_remove_directory: number;
	readonly path_unlink_file: number;
	readonly poll_fd_readwrite: number;
	readonly sock_shutdown: number;
	readonly sock_accept: number;
} = {
	fd_datasync: 1 << 0,
	fd_read: 1 << 1,
	fd_seek: 1 << 2,
	fd_fdstat_set_flags: 1 << 3,
	fd_sync: 1 << 4,
	fd_tell: 1 << 5,
	fd_write: 1 << 6,
	fd_advise: 1 << 7,
	fd_allocate: 1 << 8,
	path_create_directory: 1 << 9,
	path_create_file: 1 << 10,
	path_link_source: 1 << 11,
	path_link_target: 1 << 12,
	path_open: 1 << 13,
	fd_readdir: 1 << 14,
	path_readlink: 1 << 15,
	path_rename_source: 1 << 16,
	path_rename_target: 1 << 17,
	path_filestat_get: 1 << 18,
	path_filestat_set_size: 1 << 19,
	path_filestat_set_times: 1 << 20,
	fd_filestat_get: 1 << 21,
	fd_filestat_set_size: 1 << 22,
	fd_filestat_set_times: 1 << 23,
	path_symlink: 1 << 24,
	path_remove_directory: 1 << 25,
	path_unlink_file: 1 << 26,
	poll_fd_readwrite: 1 << 27,
	sock_shutdown: 1 << 28,
	sock_accept: 1 << 29,
} as const;

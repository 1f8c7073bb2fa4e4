// Error numbers with OpenBSD's values, and the one error that programs see.

/** The name of an error. */
export type ErrnoName =
	| "EPERM"
	| "ENOENT"
	| "ESRCH"
	| "EINTR"
	| "EIO"
	| "ENXIO"
	| "E2BIG"
	| "EBADF"
	| "ECHILD"
	| "EDEADLK"
	| "ENOMEM"
	| "EACCES"
	| "EFAULT"
	| "EBUSY"
	| "EEXIST"
	| "EXDEV"
	| "ENODEV"
	| "ENOTDIR"
	| "EISDIR"
	| "EINVAL"
	| "ENFILE"
	| "EMFILE"
	| "ENOTTY"
	| "EFBIG"
	| "ENOSPC"
	| "ESPIPE"
	| "EROFS"
	| "EMLINK"
	| "EPIPE"
	| "ERANGE"
	| "EAGAIN"
	| "EINPROGRESS"
	| "EALREADY"
	| "ENOTSOCK"
	| "EDESTADDRREQ"
	| "EMSGSIZE"
	| "EPROTOTYPE"
	| "ENOPROTOOPT"
	| "EPROTONOSUPPORT"
	| "EOPNOTSUPP"
	| "EAFNOSUPPORT"
	| "EADDRINUSE"
	| "EADDRNOTAVAIL"
	| "ENETUNREACH"
	| "ECONNABORTED"
	| "ECONNRESET"
	| "ENOBUFS"
	| "EISCONN"
	| "ENOTCONN"
	| "ETIMEDOUT"
	| "ECONNREFUSED"
	| "ELOOP"
	| "ENAMETOOLONG"
	| "EHOSTUNREACH"
	| "ENOTEMPTY"
	| "ENOSYS"
	| "EOVERFLOW"
	| "ECANCELED"
	| "ENOTSUP";

/** Error numbers by name, with OpenBSD's values: `errno.EBADF` is 9. */
export const errno: Readonly<Record<ErrnoName, number>> = {
	EPERM: 1,
	ENOENT: 2,
	ESRCH: 3,
	EINTR: 4,
	EIO: 5,
	ENXIO: 6,
	E2BIG: 7,
	EBADF: 9,
	ECHILD: 10,
	EDEADLK: 11,
	ENOMEM: 12,
	EACCES: 13,
	EFAULT: 14,
	EBUSY: 16,
	EEXIST: 17,
	EXDEV: 18,
	ENODEV: 19,
	ENOTDIR: 20,
	EISDIR: 21,
	EINVAL: 22,
	ENFILE: 23,
	EMFILE: 24,
	ENOTTY: 25,
	EFBIG: 27,
	ENOSPC: 28,
	ESPIPE: 29,
	EROFS: 30,
	EMLINK: 31,
	EPIPE: 32,
	ERANGE: 34,
	EAGAIN: 35,
	EINPROGRESS: 36,
	EALREADY: 37,
	ENOTSOCK: 38,
	EDESTADDRREQ: 39,
	EMSGSIZE: 40,
	EPROTOTYPE: 41,
	ENOPROTOOPT: 42,
	EPROTONOSUPPORT: 43,
	EOPNOTSUPP: 45,
	EAFNOSUPPORT: 47,
	EADDRINUSE: 48,
	EADDRNOTAVAIL: 49,
	ENETUNREACH: 51,
	ECONNABORTED: 53,
	ECONNRESET: 54,
	ENOBUFS: 55,
	EISCONN: 56,
	ENOTCONN: 57,
	ETIMEDOUT: 60,
	ECONNREFUSED: 61,
	ELOOP: 62,
	ENAMETOOLONG: 63,
	EHOSTUNREACH: 65,
	ENOTEMPTY: 66,
	ENOSYS: 78,
	EOVERFLOW: 87,
	ECANCELED: 88,
	ENOTSUP: 91,
};

const TEXTS: Readonly<Record<ErrnoName, string>> = {
	EPERM: "operation not permitted",
	ENOENT: "no such file or directory",
	ESRCH: "no such process",
	EINTR: "interrupted system call",
	EIO: "i/o error",
	ENXIO: "device not configured",
	E2BIG: "argument list too long",
	EBADF: "bad file descriptor",
	ECHILD: "no child processes",
	EDEADLK: "resource deadlock avoided",
	ENOMEM: "cannot allocate memory",
	EACCES: "permission denied",
	EFAULT: "bad address",
	EBUSY: "device busy",
	EEXIST: "file exists",
	EXDEV: "cross-device link",
	ENODEV: "operation not supported by device",
	ENOTDIR: "not a directory",
	EISDIR: "is a directory",
	EINVAL: "invalid argument",
	ENFILE: "too many open files in system",
	EMFILE: "too many open files",
	ENOTTY: "inappropriate ioctl for device",
	EFBIG: "file too large",
	ENOSPC: "no space left on device",
	ESPIPE: "illegal seek",
	EROFS: "read-only file system",
	EMLINK: "too many links",
	EPIPE: "broken pipe",
	ERANGE: "result too large",
	EAGAIN: "resource temporarily unavailable",
	EINPROGRESS: "operation now in progress",
	EALREADY: "operation already in progress",
	ENOTSOCK: "socket operation on non-socket",
	EDESTADDRREQ: "destination address required",
	EMSGSIZE: "message too long",
	EPROTOTYPE: "protocol wrong type for socket",
	ENOPROTOOPT: "protocol not available",
	EPROTONOSUPPORT: "protocol not supported",
	EOPNOTSUPP: "operation not supported",
	EAFNOSUPPORT: "address family not supported",
	EADDRINUSE: "address already in use",
	EADDRNOTAVAIL: "can't assign requested address",
	ENETUNREACH: "network is unreachable",
	ECONNABORTED: "software caused connection abort",
	ECONNRESET: "connection reset by peer",
	ENOBUFS: "no buffer space available",
	EISCONN: "socket is already connected",
	ENOTCONN: "socket is not connected",
	ETIMEDOUT: "operation timed out",
	ECONNREFUSED: "connection refused",
	ELOOP: "too many levels of symbolic links",
	ENAMETOOLONG: "file name too long",
	EHOSTUNREACH: "no route to host",
	ENOTEMPTY: "directory not empty",
	ENOSYS: "function not implemented",
	EOVERFLOW: "value too large to be stored in data type",
	ECANCELED: "operation canceled",
	ENOTSUP: "not supported",
};

const NAMES: ReadonlyMap<number, ErrnoName> = new Map(
	Object.entries(errno).map(([name, number]) => [number, name as ErrnoName]),
);

/** The name of an error number, `"E?"` for one that has none. */
export function errnoName(number: number): ErrnoName | "E?" {
	return NAMES.get(number) ?? "E?";
}

/**
 * What a failing call throws or rejects with.
 *
 * `message` reads like Node's: `EBADF: bad file descriptor, kevent (descriptor 7)`.
 */
export class SystemError extends Error {
	/** The error's name, for example `"EBADF"`. */
	readonly code: ErrnoName | "E?";
	/** The error's number as in C: positive, with OpenBSD's values. */
	readonly errno: number;
	/** The call that failed, for example `"kevent"`. */
	readonly syscall: string;

	/**
	 * Makes the error of `syscall` for an error number; `detail` says what was wrong, or what to do.
	 */
	constructor(number: number, syscall: string, detail?: string) {
		const code = errnoName(number);
		const text = code === "E?" ? `unknown error ${number}` : TEXTS[code];
		super(`${code}: ${text}, ${syscall}${detail === undefined ? "" : ` (${detail})`}`);
		this.name = "SystemError";
		this.code = code;
		this.errno = number;
		this.syscall = syscall;
	}
}

/**
 * The border between the engine, where an errno is a return value, and programs, where it is
 * thrown: returns a result that is not negative, and throws for a negative errno.
 */
export function unwrap(result: number, syscall: string, detail?: string): number {
	if (result < 0) throw new SystemError(-result, syscall, detail);
	return result;
}

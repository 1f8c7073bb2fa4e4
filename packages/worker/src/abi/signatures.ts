// What the functions of wasi_snapshot_preview1 take: which parameters are pointers, and to how much.

/** A number of 32 bits. */
const I32 = "i32";
/** A number of 64 bits. */
const I64 = "i64";
/** Two parameters: a pointer to bytes that the function reads, and how many. */
const IN = "in";
/** Two parameters: a pointer to room that the function writes to, and how many bytes of it. */
const OUT = "out";
/** Two parameters: a list of pieces of memory whose bytes the function reads, and how many pieces. */
const GATHER = "gather";
/** Two parameters: a list of pieces of memory that the function writes to, and how many pieces. */
const SCATTER = "scatter";

/**
 * What a function takes in one place. A number is a pointer to that many bytes, which the function
 * writes. Of functions that fill a buffer, the first such number is how much was filled.
 */
export type Parameter =
	| typeof I32
	| typeof I64
	| typeof IN
	| typeof OUT
	| typeof GATHER
	| typeof SCATTER
	| number;

/** What a function takes. */
export type Signature = readonly Parameter[];

/**
 * The functions that the kernel is asked to call, in the order of their numbers in the mailbox. What
 * `poll_oneoff` takes depends on how many subscriptions there are, so it stands for itself.
 */
export const SIGNATURES: Readonly<Record<string, Signature>> = {
	args_get: [],
	args_sizes_get: [4, 4],
	environ_get: [],
	environ_sizes_get: [4, 4],
	clock_res_get: [I32, 8],
	clock_time_get: [I32, I64, 8],
	fd_advise: [I32, I64, I64, I32],
	fd_allocate: [I32, I64, I64],
	fd_close: [I32],
	fd_datasync: [I32],
	fd_fdstat_get: [I32, 24],
	fd_fdstat_set_flags: [I32, I32],
	fd_fdstat_set_rights: [I32, I64, I64],
	fd_filestat_get: [I32, 64],
	fd_filestat_set_size: [I32, I64],
	fd_filestat_set_times: [I32, I64, I64, I32],
	fd_pread: [I32, SCATTER, I64, 4],
	fd_prestat_get: [I32, 8],
	fd_prestat_dir_name: [I32, OUT],
	fd_pwrite: [I32, GATHER, I64, 4],
	fd_read: [I32, SCATTER, 4],
	fd_readdir: [I32, OUT, I64, 4],
	fd_renumber: [I32, I32],
	fd_seek: [I32, I64, I32, 8],
	fd_sync: [I32],
	fd_tell: [I32, 8],
	fd_write: [I32, GATHER, 4],
	path_create_directory: [I32, IN],
	path_filestat_get: [I32, I32, IN, 64],
	path_filestat_set_times: [I32, I32, IN, I64, I64, I32],
	path_link: [I32, I32, IN, I32, IN],
	path_open: [I32, I32, IN, I32, I64, I64, I32, 4],
	path_readlink: [I32, IN, OUT, 4],
	path_remove_directory: [I32, IN],
	path_rename: [I32, IN, I32, IN],
	path_symlink: [IN, I32, IN],
	path_unlink_file: [I32, IN],
	poll_oneoff: [],
	proc_exit: [I32],
	proc_raise: [I32],
	random_get: [OUT],
	sched_yield: [],
	sock_accept: [I32, I32, 4],
	sock_recv: [I32, SCATTER, I32, 4, 2],
	sock_send: [I32, GATHER, I32, 4],
	sock_shutdown: [I32, I32],
};

/** The functions by their numbers in the mailbox. */
export const FUNCTIONS: readonly string[] = Object.keys(SIGNATURES);

/** Of the parameters of a function that are numbers in the mailbox, which have 64 bits. */
export function widths(name: string): readonly boolean[] {
	const given = SIGNATURES[name] ?? [];
	if (name === "poll_oneoff") return [false, false, false, false];
	return given.flatMap((it) => (isPair(it) ? [false, false] : [it === I64]));
}

/** Whether a parameter stands for two: a pointer, and a length or a count. */
export function isPair(parameter: Parameter): boolean {
	return parameter === IN || parameter === OUT || parameter === GATHER || parameter === SCATTER;
}

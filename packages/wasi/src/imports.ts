// The functions of wasi_snapshot_preview1 by name, and the object that a module imports.
import { clock_res_get, clock_time_get } from "./calls/clock.ts";
import {
	fd_close,
	fd_fdstat_get,
	fd_fdstat_set_flags,
	fd_fdstat_set_rights,
	fd_prestat_dir_name,
	fd_prestat_get,
	fd_renumber,
} from "./calls/descriptor.ts";
import { fd_readdir } from "./calls/directory.ts";
import {
	fd_advise,
	fd_allocate,
	fd_datasync,
	fd_filestat_get,
	fd_filestat_set_size,
	fd_filestat_set_times,
	fd_seek,
	fd_sync,
	fd_tell,
} from "./calls/file.ts";
import {
	path_create_directory,
	path_filestat_get,
	path_filestat_set_times,
	path_link,
	path_open,
	path_readlink,
	path_remove_directory,
	path_rename,
	path_symlink,
	path_unlink_file,
} from "./calls/path.ts";
import { poll_oneoff } from "./calls/poll.ts";
import { proc_exit, proc_raise, sched_yield } from "./calls/process.ts";
import { random_get } from "./calls/random.ts";
import { sock_accept, sock_recv, sock_send, sock_shutdown } from "./calls/socket.ts";
import { args_get, args_sizes_get, environ_get, environ_sizes_get } from "./calls/strings.ts";
import { fd_pread, fd_pwrite, fd_read, fd_write } from "./calls/transfer.ts";
import type { Guest, WasiFunction, WasiImport } from "./guest/guest.ts";
import { suspending } from "./platform.ts";

/** The name of the module that guests import. */
export const PREVIEW1 = "wasi_snapshot_preview1";

/** The functions that may sleep. */
const SLEEPING: Readonly<Record<string, WasiFunction>> = {
	fd_read,
	fd_write,
	path_open,
	poll_oneoff,
	sched_yield,
	sock_accept,
	sock_recv,
	sock_send,
};

/** Those that never do. */
const PROMPT: Readonly<Record<string, WasiFunction>> = {
	args_get,
	args_sizes_get,
	clock_res_get,
	clock_time_get,
	environ_get,
	environ_sizes_get,
	fd_advise,
	fd_allocate,
	fd_close,
	fd_datasync,
	fd_fdstat_get,
	fd_fdstat_set_flags,
	fd_fdstat_set_rights,
	fd_filestat_get,
	fd_filestat_set_size,
	fd_filestat_set_times,
	fd_pread,
	fd_prestat_dir_name,
	fd_prestat_get,
	fd_pwrite,
	fd_readdir,
	fd_renumber,
	fd_seek,
	fd_sync,
	fd_tell,
	path_create_directory,
	path_filestat_get,
	path_filestat_set_times,
	path_link,
	path_readlink,
	path_remove_directory,
	path_rename,
	path_symlink,
	path_unlink_file,
	proc_exit,
	proc_raise,
	random_get,
	sock_shutdown,
};

/** The functions of WASI by name, as they are called: an answer may be a promise. */
export function bindAll(guest: Guest): Record<string, WasiImport> {
	const all = Object.entries({ ...PROMPT, ...SLEEPING });
	return Object.fromEntries(all.map(([name, fn]) => [name, guest.bind(fn, !maySleep(name))]));
}

/** What a module imports: with JSPI, the functions that may sleep suspend the guest. */
export function importsOf(
	functions: Readonly<Record<string, WasiImport>>,
	guest: Guest,
): Record<string, unknown> {
	if (guest.mode !== "jspi") return { ...functions };
	/* c8 ignore start: with JSPI only, which the Node that measures may not have */
	const wrapped = Object.entries(functions).map(([name, fn]) => [
		name,
		maySleep(name) ? suspending(fn) : fn,
	]);
	return Object.fromEntries(wrapped);
	/* c8 ignore stop */
}

/** Whether a function of WASI may sleep. */
export function maySleep(name: string): boolean {
	return Object.hasOwn(SLEEPING, name);
}

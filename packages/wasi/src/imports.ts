// The functions of wasi_snapshot_preview1 by name, and the object that a module imports.
import { clock_res_get, clock_time_get } from "./calls/clock.ts";
import { poll_oneoff } from "./calls/poll.ts";
import { proc_exit, proc_raise, sched_yield } from "./calls/process.ts";
import { random_get } from "./calls/random.ts";
import { args_get, args_sizes_get, environ_get, environ_sizes_get } from "./calls/strings.ts";
import { fd_read, fd_write } from "./calls/transfer.ts";
import type { Guest, WasiFunction, WasiImport } from "./guest/guest.ts";
import { suspending } from "./platform.ts";

/** The name of the module that guests import. */
export const PREVIEW1 = "wasi_snapshot_preview1";

/** The functions that may sleep. */
const SLEEPING: Readonly<Record<string, WasiFunction>> = {
	fd_read,
	fd_write,
	poll_oneoff,
	sched_yield,
};

/** Those that never do. */
const PROMPT: Readonly<Record<string, WasiFunction>> = {
	args_get,
	args_sizes_get,
	clock_res_get,
	clock_time_get,
	environ_get,
	environ_sizes_get,
	proc_exit,
	proc_raise,
	random_get,
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
	const wrapped = Object.entries(functions).map(([name, fn]) => [
		name,
		Object.hasOwn(SLEEPING, name) ? suspending(fn) : fn,
	]);
	return Object.fromEntries(wrapped);
}

/** Whether a function of WASI may sleep. */
export function maySleep(name: string): boolean {
	return Object.hasOwn(SLEEPING, name);
}

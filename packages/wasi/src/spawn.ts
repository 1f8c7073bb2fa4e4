// spawn: starts a guest as a child process, as posix_spawn does.
import {
	close,
	errno,
	exec,
	exit,
	fork,
	type Process,
	SystemError,
	type Thread,
	waitpidNow,
	writeNow,
} from "@kqpoll/kqueue";
import { SIGABRT } from "@kqpoll/kqueue/signal";
import { arrange } from "./arrange.ts";
import { ProcessExit } from "./guest/trouble.ts";
import { encode, type WasmModule } from "./platform.ts";
import { NotStarted, type Runner, runnerOf } from "./runner.ts";
import { type Directory, WASI, type WASIOptions } from "./wasi.ts";

/** The options of {@link spawn}. */
export interface SpawnOptions extends Pick<WASIOptions, "args" | "env" | "cwd" | "sigpipe"> {
	/** The parent's descriptors that are the child's 0, 1 and 2: by default the same numbers. */
	readonly stdio?: readonly [stdin: number, stdout: number, stderr: number];
	/** The parent's descriptors that are the child's 3, 4 and so on. It has no others. */
	readonly descriptors?: readonly number[];
	/** The directories it may use; numbers are descriptors of the parent. */
	readonly preopens?: Readonly<Record<string, Directory>>;
	/**
	 * How it runs: by default it is suspended while it sleeps, where the platform can do that, else it
	 * blocks the thread of the platform, one guest after the other.
	 */
	readonly mode?: "sync" | "jspi" | Runner;
}

/** Exit status of a program that could not begin, as a shell has it. */
const NOT_STARTED = 126;

/**
 * Starts a guest as a child of the thread's process, and returns its id. It begins in a turn of its
 * own. When it ends, watchers get NOTE_EXIT and the parent SIGCHLD, and waitpid returns its status.
 * Signals end it: at once while it sleeps, else in its next call. A trap ends it with SIGABRT, and a
 * program that cannot begin ends with status 126: each with a message on its standard error.
 *
 * Errors: EBADF for descriptors that are not open; EAGAIN, EMFILE; EINVAL for wrong options; ENOTSUP
 * for a mode that is not possible; those of directories. Source: posix_spawn(3).
 */
export function spawn(thread: Thread, module: WasmModule, options: SpawnOptions = {}): number {
	const runner = runnerOf(options.mode, thread);
	const child = fork(thread);
	let wasi: WASI;
	try {
		wasi = prepare(child, options, runner);
	} catch (error) {
		exit(child.main, NOT_STARTED);
		forget(thread, child.pid);
		throw error;
	}
	exec(child.main);
	thread.kernel.host.defer(() => void runGuest(runner, module, wasi));
	return child.pid;
}

/** Waits for a child that has ended. It has gone already if the parent ignores SIGCHLD. */
function forget(thread: Thread, pid: number): void {
	try {
		waitpidNow(thread, pid);
	} catch (error) {
		if (!(error instanceof SystemError && error.errno === errno.ECHILD)) throw error;
	}
}

/** Sets up a child with its descriptors and directories. */
function prepare({ main }: Process, options: SpawnOptions, { mode }: Runner): WASI {
	const { args, env, cwd, sigpipe, stdio = [0, 1, 2], descriptors = [], preopens = {} } = options;
	const directories = Object.entries(preopens);
	const opened = directories.flatMap(([, it]) => (typeof it === "number" ? [it] : []));
	const first = stdio.length + descriptors.length;
	arrange(main, [...stdio, ...descriptors, ...opened]);
	closeFrom(main, first + opened.length);
	let next = first;
	const own = directories.map(([name, it]) => [name, typeof it === "number" ? next++ : it]);
	return new WASI({
		thread: main,
		mode,
		descriptors: descriptors.map((_, i) => stdio.length + i),
		preopens: Object.fromEntries(own) as Record<string, Directory>,
		...(args && { args }),
		...(env && { env }),
		...(cwd !== undefined && { cwd }),
		...(sigpipe && { sigpipe }),
	});
}

function closeFrom(thread: Thread, fd: number): void {
	for (const open of [...thread.process.fdp.open(fd)]) close(thread, open);
}

async function runGuest(runner: Runner, module: WasmModule, wasi: WASI): Promise<void> {
	const { main } = wasi.thread.process;
	try {
		wasi.checkAlive();
		const running = runner.run(module, wasi);
		if (running !== undefined) await running;
	} catch (error) {
		die(main, error);
		return;
	}
	if (!ended(main)) exit(main, 0);
}

/** Ends a guest that has failed. */
function die(main: Thread, error: unknown): void {
	if (ended(main)) return;
	if (!(error instanceof ProcessExit)) complain(main, error);
	// A signal that was on its way has ended it in that call.
	if (ended(main)) return;
	if (error instanceof NotStarted) exit(main, NOT_STARTED);
	else exit(main, 0, SIGABRT);
}

function ended({ state }: Thread): boolean {
	return state === "exited";
}

/** Writes what happened to the guest's standard error, if there is room. */
function complain(main: Thread, error: unknown): void {
	const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
	try {
		writeNow(main, 2, encode(`wasi: ${what}\n`));
	} catch {
		// Nobody reads it, or it is closed.
	}
}

// A child_process as an emulated process.
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { errno, type Process, sigaction, sigprocmask, type Thread } from "@kqpoll/kqueue";
import { newDescriptor } from "@kqpoll/kqueue/kernel";
import { SIG_SETMASK, SIGCHLD, SIGKILL, SIGSTOP, SIGTERM } from "@kqpoll/kqueue/signal";
import { Listeners } from "./listeners.ts";
import { type OpenOptions, requireMethods, setRef } from "./open.ts";
import { RealProcess } from "./real-process.ts";
import { SIGNAL_NUMBERS } from "./signal-numbers.ts";
import { openReadable, openWritable } from "./streams.ts";

/** The exit status of a process that could not be started, the same as a shell's. */
const NOT_STARTED = 127;

/** An emulated child and its pipes. */
export interface AdoptedChild {
	/** Its id on the emulated machine, not the real one. */
	readonly pid: number;
	/** The descriptor to write its standard input to; -1 if there is no pipe for it. */
	readonly stdin: number;
	/** The descriptor to read its standard output from; -1 if there is no pipe for it. */
	readonly stdout: number;
	/** The descriptor to read its standard error from; -1 if there is no pipe for it. */
	readonly stderr: number;
}

/**
 * Makes a ChildProcess a child of the thread's process, and returns descriptors for its three
 * pipes, like those of `openReadable` and `openWritable`. When the real child exits so does the
 * emulated one: NOTE_EXIT has its wait status in data, the parent gets SIGCHLD, and `waitpidNow`
 * takes the status. A signal that ended it has OpenBSD's number; if OpenBSD does not have that
 * signal, it is SIGTERM. A child that could not be started exits with 127. What is still in its
 * pipes can be read afterwards.
 *
 * Signals sent to the emulated child are sent to the real one, which decides what to do about them.
 * The exception is SIGKILL: it ends the emulated child at once and the real one soon. SIGSTOP has
 * no effect, SIGTSTP has. If anything else ends the emulated child, the real one is killed.
 * Children of the real child cannot be seen.
 *
 * `ref` is for the child and for its pipes; with `close` false the pipes stay open.
 *
 * Errors: EMFILE and EAGAIN, which leave the child as it is; EFAULT if it is not a ChildProcess.
 */
export function adoptChild(
	thread: Thread,
	child: ChildProcess,
	options: OpenOptions = {},
): AdoptedChild {
	requireMethods(child, "adoptChild", "on", "off", "kill");
	requireDescriptors(thread, child);
	const real = new RealProcess(thread, () => void child.kill("SIGKILL"));
	const spawned = {
		pid: real.process.pid,
		stdin: child.stdin ? openWritable(thread, child.stdin, options) : -1,
		stdout: child.stdout ? openReadable(thread, child.stdout, options) : -1,
		stderr: child.stderr ? openReadable(thread, child.stderr, options) : -1,
	};
	forwardTo(child, real.process);
	endWith(child, real);
	if (options.ref !== undefined) setRef(child, options.ref);
	return spawned;
}

/** Throws EMFILE or ENFILE unless there is a free descriptor for each pipe. */
function requireDescriptors(thread: Thread, child: ChildProcess): void {
	const { fdp } = thread.process;
	let fd = -1;
	let pipes = 0;
	for (const pipe of [child.stdin, child.stdout, child.stderr]) {
		if (!pipe) continue;
		pipes++;
		fd = newDescriptor(fdp, fdp.findFree(fd + 1), "adoptChild");
	}
	if (!fdp.account.files.hasRoom(pipes)) newDescriptor(fdp, -errno.ENFILE, "adoptChild");
}

/** Passes on every signal that can be caught. */
function forwardTo(child: ChildProcess, { main }: Process): void {
	for (const [key, number] of Object.entries(SIGNAL_NUMBERS)) {
		const name = key as NodeJS.Signals;
		if ([SIGKILL, SIGSTOP, SIGCHLD].includes(number) || !(name in constants.signals)) continue;
		sigaction(main, number, () => void child.kill(name));
	}
	sigprocmask(main, SIG_SETMASK, 0);
}

/** Lets the emulated child exit when the real one does, or could not be started. */
function endWith(child: ChildProcess, real: RealProcess): void {
	const listeners = new Listeners(child);
	const end = (): void => {
		listeners.off();
		const { signalCode } = child;
		if (signalCode !== null) real.end(0, SIGNAL_NUMBERS[signalCode] ?? SIGTERM);
		else real.end(child.pid === undefined ? NOT_STARTED : (child.exitCode ?? 0));
	};
	listeners.on("exit", end).on("error", () => {
		// Other errors are about signals and messages that could not be sent.
		if (child.pid === undefined) end();
	});
	if (child.exitCode !== null || child.signalCode !== null) end();
}

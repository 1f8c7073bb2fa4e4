// A worker thread as an emulated process.
import type { Worker } from "node:worker_threads";
import { close, errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { Listeners } from "./listeners.ts";
import { type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { PortFile } from "./port-file.ts";
import { RealProcess } from "./real-process.ts";

/** An emulated process and its messages. */
export interface SpawnedWorker {
	/** Its id on the emulated machine. */
	readonly pid: number;
	/** The descriptor of its messages. */
	readonly messages: number;
}

/**
 * Makes a Worker a child of the thread's process, and gives a descriptor for its messages, which
 * is as the one of `openMessagePort`; closing it only stops listening. When the worker exits so does
 * the emulated process: NOTE_EXIT has its wait status in data, the parent gets SIGCHLD, and
 * `waitpidNow` takes the status. Whatever ends the emulated process, as a signal may, terminates the
 * worker.
 *
 * A worker that fails says so by 'error', which is for the program to listen to, as ever.
 *
 * Errors: EMFILE, EAGAIN; EFAULT for what is no Worker; ESRCH for one that has exited.
 */
export function spawnWorker(
	thread: Thread,
	worker: Worker,
	options: Pick<OpenOptions, "ref"> = {},
): SpawnedWorker {
	requireMethods(worker, "spawnWorker", "on", "off", "postMessage", "terminate");
	if (worker.threadId < 0) throw new SystemError(errno.ESRCH, "spawnWorker", "it has exited");
	const messages = openNodeFile(thread, new PortFile(worker, "exit", () => {}), options);
	let real: RealProcess;
	try {
		real = new RealProcess(thread, () => void worker.terminate());
	} catch (error) {
		close(thread, messages);
		throw error;
	}
	const listeners = new Listeners(worker);
	listeners.on("exit", (code: number) => {
		listeners.off();
		real.end(code);
	});
	return { pid: real.process.pid, messages };
}

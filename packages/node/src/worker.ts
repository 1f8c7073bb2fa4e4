// A worker thread as an emulated process.
import type { Worker } from "node:worker_threads";
import { close, errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { Listeners } from "./listeners.ts";
import { type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { PortFile } from "./port-file.ts";
import { RealProcess } from "./real-process.ts";

/** An emulated process and its messages. */
export interface AdoptedWorker {
	/** Its id on the emulated machine. */
	readonly pid: number;
	/** The descriptor of its messages. */
	readonly messages: number;
}

/**
 * Makes a Worker a child of the thread's process, and returns a descriptor for its messages, like
 * that of `openMessagePort`; closing it only stops listening. When the worker exits so does the
 * emulated process: NOTE_EXIT has its wait status in data, the parent gets SIGCHLD, and
 * `waitpidNow` takes the status. Anything that ends the emulated process, for example a signal,
 * terminates the worker.
 *
 * If a worker fails it emits 'error', for which the program itself has to listen, as always.
 *
 * Errors: EMFILE, EAGAIN; EFAULT if it is not a Worker; ESRCH for a worker that has exited.
 */
export function adoptWorker(
	thread: Thread,
	worker: Worker,
	options: Pick<OpenOptions, "ref"> = {},
): AdoptedWorker {
	requireMethods(worker, "adoptWorker", "on", "off", "postMessage", "terminate");
	if (worker.threadId < 0) throw new SystemError(errno.ESRCH, "adoptWorker", "it has exited");
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

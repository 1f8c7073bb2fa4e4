// Operations on processes, threads and signals.
import {
	errno,
	exec,
	exit,
	fork,
	interrupt,
	kill,
	pledge,
	SystemError,
	type Thread,
	threadExit,
} from "@kqpoll/kqueue";
import { NOTE_SIGNAL, notify } from "@kqpoll/kqueue/kernel";
import { NSIG, SIGKILL, SIGSTOP } from "@kqpoll/kqueue/signal";
import { integer } from "./argument.ts";
import type { Operations } from "./operation.ts";

export const PROCESSES: Operations = {
	thread: (thread, _args, { threads }) => {
		const created = thread.process.spawnThread();
		threads.push(created);
		return created.tid;
	},
	fork: (thread, _args, { threads }) => {
		const { pid, main } = fork(thread);
		threads.push(main);
		return `${pid} ${main.tid}`;
	},
	exec: (thread) => exec(thread),
	exit: (thread, [status, signal]) => {
		// In a trace, a process does not end while one of its threads sleeps.
		if (thread.process.threads.some((each) => each.state === "asleep"))
			throw new SystemError(errno.EBUSY, "exit");
		return exit(thread, integer(status), integer(signal));
	},
	texit: (thread) => threadExit(thread),
	kill: (thread, [pid, signal]) => post(thread, integer(pid), integer(signal)),
	intr: (_thread, [who], { threads }) => {
		const target = threads[integer(who)];
		if (target === undefined || !interrupt(target)) throw new SystemError(errno.ESRCH, "intr");
		return 0;
	},
	pledge: (thread, [proc]) => pledge(thread, integer(proc) === 0 ? "stdio" : "stdio proc"),
};

/** Whether a process can ignore a signal of this number. */
export function canBeIgnored(signal: number): boolean {
	return signal >= 1 && signal < NSIG && signal !== SIGKILL && signal !== SIGSTOP;
}

/** A signal that is ignored is sent; others would do more than notify. */
function post(thread: Thread, pid: number, signal: number): void {
	if (canBeIgnored(signal)) {
		kill(thread, pid, signal);
		return;
	}
	kill(thread, pid, 0);
	const process = thread.kernel.processes.get(pid);
	if (process !== undefined) notify(process.klist, NOTE_SIGNAL | signal);
}

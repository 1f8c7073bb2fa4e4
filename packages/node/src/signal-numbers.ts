// Node's names of signals as OpenBSD's numbers.
import { errno, SystemError } from "@kqpoll/kqueue";
import {
	SIGABRT,
	SIGALRM,
	SIGBUS,
	SIGCHLD,
	SIGCONT,
	SIGFPE,
	SIGHUP,
	SIGILL,
	SIGINFO,
	SIGINT,
	SIGIO,
	SIGKILL,
	SIGPIPE,
	SIGPROF,
	SIGQUIT,
	SIGSEGV,
	SIGSTOP,
	SIGSYS,
	SIGTERM,
	SIGTRAP,
	SIGTSTP,
	SIGTTIN,
	SIGTTOU,
	SIGURG,
	SIGUSR1,
	SIGUSR2,
	SIGVTALRM,
	SIGWINCH,
	SIGXCPU,
	SIGXFSZ,
} from "@kqpoll/kqueue/signal";

/** The signals that OpenBSD and Node both know; the numbers are OpenBSD's. */
export const SIGNAL_NUMBERS: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
	SIGHUP,
	SIGINT,
	SIGQUIT,
	SIGILL,
	SIGTRAP,
	SIGABRT,
	SIGFPE,
	SIGKILL,
	SIGBUS,
	SIGSEGV,
	SIGSYS,
	SIGPIPE,
	SIGALRM,
	SIGTERM,
	SIGURG,
	SIGSTOP,
	SIGTSTP,
	SIGCONT,
	SIGCHLD,
	SIGTTIN,
	SIGTTOU,
	SIGIO,
	SIGXCPU,
	SIGXFSZ,
	SIGVTALRM,
	SIGPROF,
	SIGWINCH,
	SIGINFO,
	SIGUSR1,
	SIGUSR2,
};

/** OpenBSD's number of a signal. EINVAL for a signal that OpenBSD does not have. */
export function signalNumber(name: NodeJS.Signals, syscall: string): number {
	const number = Object.hasOwn(SIGNAL_NUMBERS, name) ? SIGNAL_NUMBERS[name] : undefined;
	if (number === undefined) throw new SystemError(errno.EINVAL, syscall, `signal ${String(name)}`);
	return number;
}

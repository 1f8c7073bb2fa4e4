// signal.h: the numbers of signals, sets of signals, and what a process can do about a signal.
import { NSIG } from "./constants.ts";
import { errno, SystemError } from "./errno.ts";
import { show } from "./values.ts";

/** Hang-up. */
export const SIGHUP = 1;
/** Interrupt from the keyboard. */
export const SIGINT = 2;
/** Quit from the keyboard. */
export const SIGQUIT = 3;
/** Illegal instruction. */
export const SIGILL = 4;
/** Trace trap. */
export const SIGTRAP = 5;
/** Abort. */
export const SIGABRT = 6;
/** Emulated instruction. */
export const SIGEMT = 7;
/** Floating-point exception. */
export const SIGFPE = 8;
/** Kill; cannot be caught, blocked or ignored. */
export const SIGKILL = 9;
/** Bus error. */
export const SIGBUS = 10;
/** Segmentation violation. */
export const SIGSEGV = 11;
/** Bad system call. */
export const SIGSYS = 12;
/** Write into a pipe that has no reader. */
export const SIGPIPE = 13;
/** Alarm clock. */
export const SIGALRM = 14;
/** Request to terminate. */
export const SIGTERM = 15;
/** Urgent data on a socket. */
export const SIGURG = 16;
/** Stop; cannot be caught, blocked or ignored. */
export const SIGSTOP = 17;
/** Stop from the keyboard. */
export const SIGTSTP = 18;
/** Continue. */
export const SIGCONT = 19;
/** A child exited. */
export const SIGCHLD = 20;
/** A background process read from its terminal. */
export const SIGTTIN = 21;
/** A background process wrote to its terminal. */
export const SIGTTOU = 22;
/** I/O is possible. */
export const SIGIO = 23;
/** Processor time limit. */
export const SIGXCPU = 24;
/** File size limit. */
export const SIGXFSZ = 25;
/** Virtual timer. */
export const SIGVTALRM = 26;
/** Profiling timer. */
export const SIGPROF = 27;
/** The window's size changed. */
export const SIGWINCH = 28;
/** Information request from the keyboard. */
export const SIGINFO = 29;
/** For programs. */
export const SIGUSR1 = 30;
/** For programs. */
export const SIGUSR2 = 31;
/** Thread library. */
export const SIGTHR = 32;

/** The action of a signal for which no other was set. */
export const SIG_DFL = "SIG_DFL";
/** The action that ignores a signal. */
export const SIG_IGN = "SIG_IGN";

/** sigprocmask: add to the mask. */
export const SIG_BLOCK = 1;
/** sigprocmask: remove from the mask. */
export const SIG_UNBLOCK = 2;
/** sigprocmask: replace the mask. */
export const SIG_SETMASK = 3;

/** sigaction: a call that the handler interrupts begins again afterwards, if it is one that can. */
export const SA_RESTART = 0x0002;
/** sigaction: the action is the default again when the handler is called. */
export const SA_RESETHAND = 0x0004;
/**
 * sigaction, of SIGCHLD: not for children that stop. Accepted, without effect, as children never
 * stop.
 */
export const SA_NOCLDSTOP = 0x0008;
/** sigaction: the signal is not blocked while its handler runs. */
export const SA_NODEFER = 0x0010;
/** sigaction, of SIGCHLD: children that exit are not waited for. */
export const SA_NOCLDWAIT = 0x0020;
/** All flags of sigaction. */
export const SA_ALL: number = SA_RESTART | SA_RESETHAND | SA_NOCLDSTOP | SA_NODEFER | SA_NOCLDWAIT;

/** A function called for a signal, on the thread that takes it. */
export type SignalHandler = (signal: number) => void;
/** What a process does about a signal. */
export type SignalAction = SignalHandler | typeof SIG_DFL | typeof SIG_IGN;

/** A set of signals as 32 bits: signal n is bit n - 1. */
export type Sigset = number;

/** The set of these signals. Errors: EINVAL for a number that is not a signal. */
export function sigset(...signals: number[]): Sigset {
	let set = 0;
	for (const signal of signals) {
		if (!isSignal(signal))
			throw new SystemError(errno.EINVAL, "sigset", `${show(signal)} is not a signal`);
		set |= sigbit(signal);
	}
	return set;
}

/** The bit of one signal. */
export function sigbit(signal: number): Sigset {
	return 1 << (signal - 1);
}

/** The signals that no mask blocks. */
export const SIGCANTMASK: Sigset = sigset(SIGKILL, SIGSTOP);

/**
 * The signals whose default action is to do nothing. Stopping is not emulated
 * (docs/divergences.md).
 */
const DEFAULT_IGNORED: Sigset = sigset(
	SIGURG,
	SIGSTOP,
	SIGTSTP,
	SIGCONT,
	SIGCHLD,
	SIGTTIN,
	SIGTTOU,
	SIGIO,
	SIGWINCH,
	SIGINFO,
);

/** Whether a number names a signal. */
export function isSignal(signal: number): boolean {
	return Number.isInteger(signal) && signal >= 1 && signal < NSIG;
}

/** Whether a process with this action never notices the signal. */
export function isIgnored(action: SignalAction, signal: number): boolean {
	return action === SIG_IGN || (action === SIG_DFL && (sigbit(signal) & DEFAULT_IGNORED) !== 0);
}

const NAMES =
	"HUP INT QUIT ILL TRAP ABRT EMT FPE KILL BUS SEGV SYS PIPE ALRM TERM URG STOP TSTP CONT CHLD TTIN TTOU IO XCPU XFSZ VTALRM PROF WINCH INFO USR1 USR2 THR".split(
		" ",
	);

/** The name of a signal, for example `"SIGPIPE"`; for another number `"signal 40"`. */
export function signalName(signal: number): string {
	const name = typeof signal === "number" ? NAMES[signal - 1] : undefined;
	return name === undefined ? `signal ${show(signal)}` : `SIG${name}`;
}

/** The names of the signals in a set: `SIGINT, SIGTERM`. */
export function formatSigset(set: Sigset): string {
	const bits = typeof set === "number" ? set : 0;
	const names = NAMES.flatMap((name, i) => ((bits & (1 << i)) === 0 ? [] : [`SIG${name}`]));
	return names.length === 0 ? "no signal" : names.join(", ");
}

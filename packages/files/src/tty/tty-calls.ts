// tcsetattr(3), tcdrain(3) and others: what programs call on terminals.
import {
	close,
	dup2,
	errno,
	ioctl,
	type SleepOptions,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import {
	BlockingCall,
	callAsync,
	type File,
	fileHold,
	fileRelease,
	getFile,
	show,
	syscall,
	unwrap,
	type WaitChannel,
	WOULD_SLEEP,
} from "@kqpoll/kqueue/kernel";
import { setsid } from "@kqpoll/kqueue/unistd";
import { PtyMaster } from "./pty-master.ts";
import { PtySlave } from "./pty-slave.ts";
import { type Termios, termiosOf, type Winsize } from "./termios.ts";
import type { Tty } from "./tty.ts";
import {
	TCIFLUSH,
	TCIOFLUSH,
	TCOFLUSH,
	TCSADRAIN,
	TCSAFLUSH,
	TCSANOW,
	TIOCDRAIN,
	TIOCFLUSH,
	TIOCGETA,
	TIOCGPGRP,
	TIOCGWINSZ,
	TIOCSCTTY,
	TIOCSETA,
	TIOCSETAF,
	TIOCSETAW,
	TIOCSPGRP,
	TIOCSWINSZ,
} from "./tty-constants.ts";
import { drained } from "./tty-ioctl.ts";
import { stopsChange } from "./tty-transfer.ts";

/** Whether a descriptor is a terminal: false also for one that is not open. Source: isatty(3). */
export function isatty(thread: Thread, fd: number): boolean {
	try {
		tcgetattr(thread, fd);
		return true;
	} catch {
		return false;
	}
}

/** How a terminal works. Errors: EBADF, ENOTTY. Source: tcgetattr(3). */
export function tcgetattr(thread: Thread, fd: number): Termios {
	const termios = {} as Termios;
	ioctl(thread, fd, TIOCGETA, termios);
	return termios;
}

/**
 * Sets how a terminal works: TCSANOW at once, TCSADRAIN when all output is out, TCSAFLUSH also when
 * all output is out, and then the input is forgotten. A process in the background gets SIGTTOU and
 * waits to be in front, unless it ignores or blocks that signal. Rejects with: EBADF, ENOTTY;
 * EINVAL for another action; EFAULT for what is not a Termios; EIO in the background when no
 * process could bring it to the front; EINTR; as for kevent EBUSY, EDEADLK, ESRCH and the reason of
 * `options.signal`. Source: tcsetattr(3).
 */
export function tcsetattr(
	thread: Thread,
	fd: number,
	action: number,
	termios: Termios,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "tcsetattr", options, tcsetattrCall, fd, action, termios);
}

/** Begins a {@link tcsetattr}, for any driver. */
export function tcsetattrCall(
	thread: Thread,
	fd: number,
	action: number,
	termios: Termios,
): BlockingCall | number {
	return controlCall(thread, fd, "tcsetattr", commandFor(action), termios);
}

/** As {@link tcsetattr}, without sleeping: throws EAGAIN where that would sleep. */
export function tcsetattrNow(thread: Thread, fd: number, action: number, termios: Termios): void {
	ioctl(thread, fd, commandFor(action), termios);
}

function commandFor(action: number): number {
	switch (action) {
		case TCSANOW:
			return TIOCSETA;
		case TCSADRAIN:
			return TIOCSETAW;
		case TCSAFLUSH:
			return TIOCSETAF;
		default:
			throw new SystemError(errno.EINVAL, "tcsetattr", `action ${show(action)}`);
	}
}

/**
 * Waits until all output is out. Rejects with the errors of {@link tcsetattr}. Source: tcdrain(3).
 */
export function tcdrain(thread: Thread, fd: number, options: SleepOptions = {}): Promise<number> {
	return callAsync(thread, "tcdrain", options, tcdrainCall, fd);
}

/** Begins a {@link tcdrain}, for any driver. */
export function tcdrainCall(thread: Thread, fd: number): BlockingCall | number {
	return controlCall(thread, fd, "tcdrain", TIOCDRAIN, null);
}

/** As {@link tcdrain}, without sleeping: throws EAGAIN while some output is not out yet. */
export function tcdrainNow(thread: Thread, fd: number): void {
	ioctl(thread, fd, TIOCDRAIN);
}

/**
 * Forgets input (TCIFLUSH), output (TCOFLUSH) or both (TCIOFLUSH). Errors: EBADF, ENOTTY; EINVAL
 * for another queue; in the background EAGAIN, with SIGTTOU, or EIO when no process could bring it
 * to the front. Source: tcflush(3).
 */
export function tcflush(thread: Thread, fd: number, queue: number): void {
	if (queue !== TCIFLUSH && queue !== TCOFLUSH && queue !== TCIOFLUSH)
		throw new SystemError(errno.EINVAL, "tcflush", `queue ${show(queue)}`);
	ioctl(thread, fd, TIOCFLUSH, queue);
}

/** How large a terminal is. Errors: EBADF, ENOTTY. Source: tty(4). */
export function tcgetwinsize(thread: Thread, fd: number): Winsize {
	const winsize = {} as Winsize;
	ioctl(thread, fd, TIOCGWINSZ, winsize);
	return winsize;
}

/**
 * Sets how large a terminal is; the foreground group gets SIGWINCH if that changed. Errors: EBADF,
 * ENOTTY; EFAULT for what is not a Winsize; in the background as {@link tcflush}. Source: tty(4).
 */
export function tcsetwinsize(thread: Thread, fd: number, winsize: Winsize): void {
	ioctl(thread, fd, TIOCSWINSZ, winsize);
}

/**
 * The number of a terminal's foreground group, 0 for none. Errors: EBADF, ENOTTY. Source:
 * tcgetpgrp(3).
 */
export function tcgetpgrp(thread: Thread, fd: number): number {
	return ioctl(thread, fd, TIOCGPGRP);
}

/**
 * Brings a group of the caller's session to the front. Errors: EBADF; ENOTTY when it is not the
 * session's terminal; EINVAL for a group that does not exist; EPERM for one of another session.
 * Source: tcsetpgrp(3).
 */
export function tcsetpgrp(thread: Thread, fd: number, pgid: number): void {
	ioctl(thread, fd, TIOCSPGRP, pgid);
}

/**
 * Begins a session with a terminal, which becomes descriptors 0, 1 and 2; `fd` is closed if it is
 * another one. Errors: EBADF, ENOTTY; EPERM when another session has the terminal or the caller's
 * has another, and the errors of setsid. Source: login_tty(3).
 */
export function login_tty(thread: Thread, fd: number): void {
	syscall(thread, "login_tty", () => {
		const { process } = thread;
		if (process.pgrp.session.leader !== process) setsid(thread);
		ioctl(thread, fd, TIOCSCTTY);
		for (const standard of [0, 1, 2]) dup2(thread, fd, standard);
		if (fd > 2) close(thread, fd);
	});
}

/** The terminal of an open file that is an end of a pty, else null. */
function ttyOf(file: File): Tty | null {
	return file instanceof PtySlave || file instanceof PtyMaster ? file.pty.tty : null;
}

/** Begins a command that may have to wait until all output is out, or until it is in front. */
function controlCall(
	thread: Thread,
	fd: number,
	name: string,
	command: number,
	termios: Termios | null,
): BlockingCall | number {
	getFile(thread, fd, name);
	const argument = termios === null ? null : copyin(termios, name);
	// Once more: the accessors of the settings may have closed it.
	const file = getFile(thread, fd, name);
	const tty = ttyOf(file);
	if (tty !== null) return new ControlCall(thread, fd, name, file, tty, command, argument);
	return unwrap(file.ioctl(thread, command, argument), name);
}

/** Copies the settings: the program may change its object while the call sleeps. */
function copyin(termios: Termios, name: string): Termios {
	const copy = termiosOf(termios);
	if (copy === null) throw new SystemError(errno.EFAULT, name, "termios is not a Termios");
	return copy;
}

class ControlCall extends BlockingCall {
	private readonly fd: number;
	private file: File;
	private tty: Tty;
	private readonly command: number;
	private readonly argument: Termios | null;

	constructor(
		thread: Thread,
		fd: number,
		name: string,
		file: File,
		tty: Tty,
		command: number,
		argument: Termios | null,
	) {
		super(thread, name);
		this.fd = fd;
		this.file = file;
		this.tty = tty;
		this.command = command;
		this.argument = argument;
		this.timeout = Number.POSITIVE_INFINITY;
		fileHold(file);
	}

	override get channel(): WaitChannel {
		const { tty, thread } = this;
		return drained(tty) || stopsChange(tty, thread) ? tty.background : tty.writers;
	}

	override step(woken: number): number {
		if (woken === errno.EINTR) return -woken;
		const n = this.file.ioctl(this.thread, this.command, this.argument);
		return n === -errno.EAGAIN ? WOULD_SLEEP : n;
	}

	override end(): void {
		fileRelease(this.file, this.thread);
	}

	override get restarts(): boolean {
		return true;
	}

	override restart(): void {
		const { fd, file: before, syscall, thread } = this;
		const file = getFile(thread, fd, syscall);
		const tty = ttyOf(file);
		if (tty === null) throw new SystemError(errno.ENOTTY, syscall, `descriptor ${fd}`);
		this.file = file;
		this.tty = tty;
		fileHold(file);
		fileRelease(before, thread);
	}

	override describe(): string {
		return `${this.syscall} of descriptor ${this.fd} (terminal)`;
	}
}

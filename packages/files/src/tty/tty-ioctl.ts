// ioctl(2) of terminals: settings, size, queues, and the session of the terminal.
import { errno, type Thread } from "@kqpoll/kqueue";
import { FIOASYNC, FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import { FREAD, FWRITE, faultOf, isInt32, psignal, wakeup } from "@kqpoll/kqueue/kernel";
import { SIGHUP, SIGTTOU, SIGWINCH } from "@kqpoll/kqueue/signal";
import {
	B0,
	FLUSHO,
	ICANON,
	PENDIN,
	type Termios,
	termiosOf,
	type Winsize,
	winsizeOf,
} from "./termios.ts";
import { isCtty, setTermios, type Tty, ttWakeupWriters, ttyFlush } from "./tty.ts";
import {
	TIOCDRAIN,
	TIOCEXCL,
	TIOCFLUSH,
	TIOCGETA,
	TIOCGPGRP,
	TIOCGWINSZ,
	TIOCNOTTY,
	TIOCNXCL,
	TIOCOUTQ,
	TIOCSCTTY,
	TIOCSETA,
	TIOCSETAF,
	TIOCSETAW,
	TIOCSPGRP,
	TIOCSTART,
	TIOCSTI,
	TIOCSTOP,
	TIOCSWINSZ,
} from "./tty-constants.ts";
import { ttyInput, ttyPend } from "./tty-input.ts";
import { stopBackground, stopsChange, ttnread } from "./tty-transfer.ts";

/** Commands that a process in the background must not use. */
const CHANGES: ReadonlySet<number> = new Set([
	TIOCFLUSH,
	TIOCDRAIN,
	TIOCSETA,
	TIOCSETAF,
	TIOCSETAW,
	TIOCSTI,
	TIOCSWINSZ,
]);

/**
 * Does what a command asks of a terminal. Returns a result, or a negative errno: ENOTTY for what is
 * not a command of terminals; EAGAIN when output has to be out first, or the caller is in the
 * background; EIO in the background when no process could bring it to the front.
 * @kern ttioctl
 */
export function ttIoctl(tp: Tty, thread: Thread, command: number, argument: unknown): number {
	if (CHANGES.has(command) && stopsChange(tp, thread)) return stopBackground(thread, SIGTTOU);
	switch (command) {
		case FIONBIO:
		case FIOASYNC:
		case TIOCEXCL:
		case TIOCNXCL:
			return 0;
		case FIONREAD:
			return ttnread(tp);
		case TIOCOUTQ:
			return tp.outq.count;
		case TIOCFLUSH:
			return flush(tp, argument);
		case TIOCDRAIN:
			return drain(tp);
		case TIOCGETA:
			return fill(argument, tp.termios);
		case TIOCGWINSZ:
			return fill(argument, tp.winsize);
		case TIOCSETA:
		case TIOCSETAW:
		case TIOCSETAF:
			return withStruct(termiosOf(argument), (termios) => change(tp, command, termios));
		case TIOCSWINSZ:
			return withStruct(winsizeOf(argument), (winsize) => resize(tp, winsize));
		case TIOCSTART:
			return restart(tp);
		case TIOCSTOP:
			return stop(tp);
		case TIOCSTI:
			return type(tp, argument);
		case TIOCGPGRP:
			return tp.foreground;
		case TIOCSPGRP:
			return setForeground(tp, thread, argument);
		case TIOCSCTTY:
			return setControlling(tp, thread);
		case TIOCNOTTY:
			return giveUp(tp, thread);
		default:
			return -errno.ENOTTY;
	}
}

function withStruct<T>(struct: T | null, act: (struct: T) => number): number {
	return struct === null ? -errno.EFAULT : act(struct);
}

/** Whether all output is out, or cannot be because the other end is gone. */
export function drained(tp: Tty): boolean {
	return tp.outq.count === 0 || tp.hungUp;
}

/** Returns 0 if all output is out; otherwise tells the other end of it, and returns -EAGAIN. */
function drain(tp: Tty): number {
	if (drained(tp)) return 0;
	tp.driver.start();
	return -errno.EAGAIN;
}

function fill(target: unknown, values: Termios | Winsize): number {
	if (typeof target !== "object" || target === null) return -errno.EFAULT;
	try {
		Object.assign(target, values);
	} catch (error) {
		return -faultOf(error);
	}
	return 0;
}

function flush(tp: Tty, argument: unknown): number {
	if (!isInt32(argument)) return -errno.EFAULT;
	const both = FREAD | FWRITE;
	ttyFlush(tp, argument === 0 ? both : argument & both);
	return 0;
}

function change(tp: Tty, command: number, termios: Termios): number {
	if (command !== TIOCSETA && drain(tp) !== 0) return -errno.EAGAIN;
	if (command === TIOCSETAF) ttyFlush(tp, FREAD);
	const { lflag } = tp;
	const { full } = tp.driver;
	const readable = ttnread(tp);
	const blocked = tp.outq.count > tp.lowat;
	setTermios(tp, termios);
	// PENDIN is the terminal's own: what the program says about it is ignored.
	tp.lflag = (termios.lflag & ~PENDIN) | (lflag & PENDIN);
	if (command !== TIOCSETAF) switchMode(tp, (lflag & ICANON) !== 0);
	// Sleepers look again whether, and until when, they still have to wait.
	wakeup(tp.readers);
	wakeup(tp.background);
	const edits = (lflag & ICANON) === 0 && (tp.lflag & ICANON) !== 0;
	if (edits || ttnread(tp) > readable) tp.rsel.notify(0);
	if (full && !tp.driver.full) tp.driver.inputTaken();
	// The marks of the output depend on its speed.
	if (blocked && tp.outq.count <= tp.lowat) ttWakeupWriters(tp);
	const leader = tp.session?.leader;
	if (termios.ospeed === B0 && leader) psignal(leader, SIGHUP);
	return 0;
}

/** Lines become bytes, or bytes are processed again as lines. */
function switchMode(tp: Tty, wasCanonical: boolean): void {
	const canonical = (tp.lflag & ICANON) !== 0;
	if (canonical === wasCanonical) return;
	if (canonical) {
		tp.lflag |= PENDIN;
		// Not later, when a filter asks: a filter must not notify the list that it is asked for.
		if (!tp.rsel.empty) ttyPend(tp);
		return;
	}
	// Lines come before what was typed after them.
	tp.rawq.moveTo(tp.canq);
	tp.canq.moveTo(tp.rawq);
	tp.lflag &= ~PENDIN;
}

function resize(tp: Tty, { row, col, xpixel, ypixel }: Winsize): number {
	const before = tp.winsize;
	tp.winsize = { row, col, xpixel, ypixel };
	const same =
		before.row === row &&
		before.col === col &&
		before.xpixel === xpixel &&
		before.ypixel === ypixel;
	if (!same) tp.signal(SIGWINCH);
	return 0;
}

function restart(tp: Tty): number {
	if (!tp.stopped && (tp.lflag & FLUSHO) === 0) return 0;
	tp.lflag &= ~FLUSHO;
	tp.stopped = false;
	tp.driver.start();
	return 0;
}

function stop(tp: Tty): number {
	if (tp.stopped) return 0;
	tp.stopped = true;
	tp.driver.stop(0);
	return 0;
}

function type(tp: Tty, argument: unknown): number {
	if (!isInt32(argument) || argument < 0 || argument > 0xff) return -errno.EFAULT;
	const { full } = tp.driver;
	ttyInput(tp, argument);
	// The character may have erased others.
	if (full && !tp.driver.full) tp.driver.inputTaken();
	return 0;
}

/** Another group of the caller's session comes to the front. */
function setForeground(tp: Tty, thread: Thread, argument: unknown): number {
	const { process, kernel } = thread;
	if (!isCtty(process, tp)) return -errno.ENOTTY;
	const pgrp = kernel.pgrps.get(argument as number);
	if (pgrp === undefined) return -errno.EINVAL;
	if (pgrp.session !== process.pgrp.session) return -errno.EPERM;
	tp.pgrp = pgrp;
	wakeup(tp.background);
	return 0;
}

/** It becomes the terminal of the caller's session. */
function setControlling(tp: Tty, thread: Thread): number {
	const { process } = thread;
	const { pgrp } = process;
	const { session } = pgrp;
	if (session.leader !== process) return -errno.EPERM;
	if ((session.tty !== null || tp.session !== null) && tp.session !== session) return -errno.EPERM;
	tp.session = session;
	tp.pgrp = pgrp;
	session.tty = tp;
	process.hasTty = true;
	wakeup(tp.background);
	return 0;
}

/** The caller gives up its session's terminal. */
function giveUp(tp: Tty, { process }: Thread): number {
	if (!isCtty(process, tp)) return -errno.ENOTTY;
	if (process.pgrp.session.leader === process) return -errno.EINVAL;
	process.hasTty = false;
	wakeup(tp.background);
	return 0;
}

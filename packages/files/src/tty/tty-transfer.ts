// Reading from a terminal and writing to it.
import { errno, type Thread } from "@kqpoll/kqueue";
import { pgsignal } from "@kqpoll/kqueue/kernel";
import { SIG_IGN, SIGTSTP, SIGTTIN, SIGTTOU, sigset } from "@kqpoll/kqueue/signal";
import {
	FLUSHO,
	ICANON,
	IEXTEN,
	ISIG,
	OPOST,
	PENDIN,
	TOSTOP,
	VDSUSP,
	VEOF,
	VMIN,
	VTIME,
} from "./termios.ts";
import { isBackground, TTYHOG, type Tty, ttyUnblock } from "./tty.ts";
import { endsLine, isChar, ttyPend } from "./tty-input.ts";
import { isControl, ttyOutput } from "./tty-output.ts";
import type { TtyQueue } from "./tty-queue.ts";

/** A write looks at the high-water mark after this many bytes. */
const OBUFSIZ = 512;
/** VTIME counts tenths of a second. */
const NS_PER_VTIME = 1e8;

/**
 * How many bytes can be read: in canonical mode those of whole lines, else all there are; but 0
 * while they are fewer than VMIN and there is no VTIME.
 * @kern ttnread
 */
export function ttnread(tp: Tty): number {
	if ((tp.lflag & PENDIN) !== 0) ttyPend(tp);
	if ((tp.lflag & ICANON) !== 0) return tp.canq.count;
	const n = tp.canq.count + tp.rawq.count;
	return n < (tp.cc[VMIN] as number) && tp.cc[VTIME] === 0 ? 0 : n;
}

/**
 * Reads a line, or in raw mode what there is, as VMIN and VTIME say; `late` when the time is over.
 * Returns a count, 0 at the end of file, -EAGAIN when there is nothing yet, -EIO in the background
 * when no process could bring this one to the front.
 * @kern ttread
 */
export function ttRead(tp: Tty, thread: Thread, buffer: Uint8Array, late = false): number {
	if ((tp.lflag & PENDIN) !== 0) ttyPend(tp);
	if (isBackground(thread.process, tp)) return stopReader(thread);
	const canonical = (tp.lflag & ICANON) !== 0;
	const queue = canonical ? tp.canq : tp.rawq;
	if (canonical ? queue.count === 0 : !enough(tp, late)) {
		return tp.hungUp && tp.isOpen ? 0 : -errno.EAGAIN;
	}
	const n = take(tp, queue, buffer, canonical);
	if (tp.rawq.count < TTYHOG / 5) ttyUnblock(tp);
	return n;
}

/** Whether a read in raw mode has waited for enough. */
function enough(tp: Tty, late: boolean): boolean {
	const { count } = tp.rawq;
	const min = tp.cc[VMIN] as number;
	if (tp.cc[VTIME] === 0) return count >= min;
	if (min === 0) return count > 0 || late;
	return count > 0 && (count >= min || late);
}

/**
 * Until when a read that began at `since` can sleep. With VMIN, VTIME counts from the last byte;
 * without, from the beginning of the read; but not from before it was set.
 */
export function readDeadline(tp: Tty, since: number): number {
	const time = (tp.cc[VTIME] as number) * NS_PER_VTIME;
	if ((tp.lflag & ICANON) !== 0 || time === 0) return Number.POSITIVE_INFINITY;
	const from = Math.max(since, tp.lastChange);
	if (tp.cc[VMIN] === 0) return from + time;
	return tp.rawq.count === 0 ? Number.POSITIVE_INFINITY : Math.max(from, tp.lastInput) + time;
}

/** Copies characters up to the end of the line, with that unless it is VEOF. Returns how many. */
function take(tp: Tty, queue: TtyQueue, buffer: Uint8Array, canonical: boolean): number {
	const suspends = IEXTEN | ISIG;
	let n = 0;
	while (n < buffer.length) {
		const c = queue.get();
		if (c < 0) break;
		if (isChar(tp, c, VDSUSP) && (tp.lflag & suspends) === suspends) {
			tp.signal(SIGTSTP);
			if (n === 0 && queue.count === 0) return -errno.EAGAIN;
			if (n === 0) continue;
			break;
		}
		if (canonical && isChar(tp, c, VEOF)) break;
		buffer[n++] = c;
		if (canonical && endsLine(tp, c)) break;
	}
	return n;
}

/**
 * Writes until there is more output than the high-water mark, which is looked at before each piece
 * of OBUFSIZ bytes and after each control character; `buffer` is the rest of the `whole` bytes of
 * the call. Returns how many bytes, -EAGAIN instead of 0, -EIO when the other end is gone.
 * @kern ttwrite
 */
export function ttWrite(tp: Tty, thread: Thread, buffer: Uint8Array, whole: number): number {
	if (tp.hungUp) return tp.isOpen ? -errno.EIO : -errno.EAGAIN;
	if (stopsWriter(tp, thread)) return stopBackground(thread, SIGTTOU);
	const before = whole - buffer.length;
	// As it was when the call began.
	const hiwat = tp.hiwats.get(thread) ?? tp.hiwat;
	let n = 0;
	while (n < buffer.length) {
		if ((tp.lflag & FLUSHO) !== 0) return buffer.length;
		if (tp.outq.count > hiwat) break;
		const end = Math.min(buffer.length, n + OBUFSIZ - ((before + n) % OBUFSIZ));
		// What does not fit any more has filled the queue.
		while (n < end && tp.outq.count <= hiwat) n = print(tp, buffer, n, end);
		tp.driver.start();
	}
	if (n === buffer.length) return n;
	tp.hiwats.set(thread, hiwat);
	if (n > 0) return n;
	tp.driver.start();
	return -errno.EAGAIN;
}

/**
 * Prints a run of ordinary bytes, or one control character. Returns the place after what it
 * printed.
 */
function print(tp: Tty, buffer: Uint8Array, from: number, to: number): number {
	tp.rocount = 0;
	let at = from;
	if ((tp.oflag & OPOST) === 0) {
		while (at < to && tp.outq.put(buffer[at] as number)) at++;
		tp.column += at - from;
		return at;
	}
	if (isControl(buffer[at] as number)) return ttyOutput(tp, buffer[at] as number) ? at + 1 : at;
	for (; at < to && !isControl(buffer[at] as number); at++) {
		if (!tp.outq.put(buffer[at] as number)) break;
		tp.column++;
	}
	return at;
}

/** What a read from the background returns: -EAGAIN, or -EIO if SIGTTIN is ignored or blocked. */
export function stopReader(thread: Thread): number {
	return isHeldBack(thread, SIGTTIN) ? -errno.EIO : stopBackground(thread, SIGTTIN);
}

/** Whether a thread must not write, because it is in the background. */
export function stopsWriter(tp: Tty, thread: Thread): boolean {
	return (tp.lflag & TOSTOP) !== 0 && stopsChange(tp, thread);
}

/** Whether a thread must not change the terminal, because it is in the background. */
export function stopsChange(tp: Tty, thread: Thread): boolean {
	return isBackground(thread.process, tp) && !isHeldBack(thread, SIGTTOU);
}

/** Whether a signal is ignored or blocked. */
function isHeldBack(thread: Thread, signal: number): boolean {
	return (thread.sigmask & sigset(signal)) !== 0 || thread.process.sigacts[signal] === SIG_IGN;
}

/**
 * Sends a signal that in the kernel stops the process until it is in front. Returns -EAGAIN: here
 * the call waits until then, unless the process handles the signal. -EIO when no process could
 * bring it to the front.
 */
export function stopBackground(thread: Thread, signal: number): number {
	const { pgrp } = thread.process;
	if (pgrp.orphaned) return -errno.EIO;
	pgsignal(pgrp, signal, true, thread);
	return -errno.EAGAIN;
}

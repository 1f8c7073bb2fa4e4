// struct tty: a terminal line, with its queues, its settings and its session.
import type { Kernel, Process, Thread } from "@kqpoll/kqueue";
import {
	type ControllingTerminal,
	doAll,
	FREAD,
	FWRITE,
	Klist,
	type ProcessGroup,
	pgsignal,
	psignal,
	type Session,
	WaitChannel,
	wakeup,
} from "@kqpoll/kqueue/kernel";
import { SIGHUP } from "@kqpoll/kqueue/signal";
import {
	_POSIX_VDISABLE,
	B0,
	CLOCAL,
	ICANON,
	IXOFF,
	type Termios,
	TTYDEF,
	VSTART,
	VSTOP,
	type Winsize,
} from "./termios.ts";
import { TtyQueue } from "./tty-queue.ts";

/** How many characters each queue of a fast terminal holds. */
const QLEN = 8192;
/** How much room stays above the high-water mark. */
const HIWAT_MINSPACE = 200;
/** The low-water mark is between these numbers of characters. */
const LOWAT_MIN = 32;
const LOWAT_MAX = 256;

const NO_SIZE: Winsize = { row: 0, col: 0, xpixel: 0, ypixel: 0 };

/** The other end of a line, as the line calls it. */
export interface TtyDriver {
	/** There may be output to read. */
	start(): void;
	/** Input was read or forgotten, and there may be room for more. */
	inputTaken(): void;
	/** Whether it cannot send more input, until some is read or forgotten. */
	readonly full: boolean;
	/** Output was read or forgotten. */
	outputTaken(): unknown;
	/** Output was stopped (0), or input (FREAD), output (FWRITE) or both are being flushed. */
	stop(flush: number): void;
	/** Takes the terminal away from all that have it open. */
	revoke(): void;
}

/** The columns of the line that is being typed, as far as they were needed. */
export interface Columns {
	/** The column of each character, and the one after the last of them. */
	readonly at: number[];
	/** The column of the first, and the settings on which the others depend. */
	readonly rocol: number;
	readonly oflag: number;
	readonly echoctl: number;
}

/** What the line looked like when it was printed again, character by character from its first on. */
export interface Retyped {
	/** The column that it began at, and the settings and the version of `canq` on which it depends. */
	readonly start: number;
	readonly oflag: number;
	readonly lflag: number;
	readonly version: number;
	/** What was printed. */
	readonly printed: Uint8Array;
	/** How much of it there was behind each character. */
	readonly ends: number[];
	/** The column behind each character. */
	readonly columns: number[];
}

/** A terminal line. */
export class Tty implements ControllingTerminal {
	/** The machine it is on. */
	readonly kernel: Kernel;
	/** The other end. */
	readonly driver: TtyDriver;
	/** What was typed: in canonical mode since the last end of a line. */
	readonly rawq: TtyQueue = new TtyQueue(QLEN);
	/** In canonical mode: the lines that can be read. */
	readonly canq: TtyQueue = new TtyQueue(QLEN);
	/** What will be printed. */
	readonly outq: TtyQueue = new TtyQueue(QLEN);
	/** READ and EXCEPT knotes. */
	readonly rsel: Klist = new Klist();
	/** WRITE knotes. */
	readonly wsel: Klist = new Klist();
	/** Threads that wait for input sleep here. */
	readonly readers: WaitChannel = new WaitChannel();
	/** Threads that wait for room, or for all output to be out, sleep here. */
	readonly writers: WaitChannel = new WaitChannel();
	/** Threads that wait to be in front sleep here. */
	readonly background: WaitChannel = new WaitChannel();

	/** As in {@link Termios}. */
	iflag = 0;
	/** As in {@link Termios}. */
	oflag = 0;
	/** As in {@link Termios}. */
	cflag = 0;
	/** As in {@link Termios}. */
	lflag = 0;
	/** As in {@link Termios}. */
	cc: readonly number[] = TTYDEF.cc;
	/** As in {@link Termios}. */
	ispeed: number = B0;
	/** As in {@link Termios}. */
	ospeed: number = B0;
	/** How large it is. */
	winsize: Winsize = NO_SIZE;
	/** With more output than this writers sleep. */
	hiwat = 0;
	/** With this much output or less they are woken. */
	lowat = 0;
	/** The high-water mark of each write that is not done: as it was when the write began. */
	readonly hiwats: WeakMap<Thread, number> = new WeakMap();
	/** Whether output was thrown away without telling writers: they sleep until the next read. */
	quiet = false;

	/** TS_ISOPEN: whether it is open. */
	isOpen = false;
	/** TS_CARR_ON: whether the other end is there. */
	carrier = false;
	/** TS_TTSTOP: whether output is stopped. */
	stopped = false;
	/** TS_TBLOCK: whether the other end was asked to stop. */
	blocked = false;
	/** TS_LNCH: whether the next character is taken as it is. */
	literalNext = false;
	/** TS_ERASE: whether erased characters are being printed. */
	erasing = false;
	/** TS_TYPEN: whether input is being processed again. */
	retyping = false;

	/** The column in which the next character is printed. */
	column = 0;
	/** How many characters of `rawq` are on the screen as they were typed. */
	rocount = 0;
	/** The column of the first of them. */
	rocol = 0;
	/** The columns of `rawq`; null until they are needed. */
	columns: Columns | null = null;
	/** What was printed when the line was last printed again; null if it was not. */
	retyped: Retyped | null = null;
	/** With VTIME: when the last character came in, on the host's clock. */
	lastInput = 0;
	/** When the settings were made: VTIME does not count from before that. */
	lastChange = 0;
	/** The foreground group, null for none. */
	pgrp: ProcessGroup | null = null;
	/** The session whose terminal it is, null for none. */
	session: Session | null = null;

	/** Makes a terminal that is not open. */
	constructor(kernel: Kernel, driver: TtyDriver) {
		this.kernel = kernel;
		this.driver = driver;
	}

	/** How it works. */
	get termios(): Termios {
		const { iflag, oflag, cflag, lflag, cc, ispeed, ospeed } = this;
		return { iflag, oflag, cflag, lflag: lflag >>> 0, cc: [...cc], ispeed, ospeed };
	}

	/** Whether a descriptor of it is at end of file: the carrier is gone, and matters. */
	get hungUp(): boolean {
		return !this.carrier && (this.cflag & CLOCAL) === 0;
	}

	/** The number of the foreground group, 0 for none. */
	get foreground(): number {
		return this.pgrp === null || this.pgrp.members.size === 0 ? 0 : this.pgrp.pgid;
	}

	/** Sends a signal to the foreground group. */
	signal(signal: number): void {
		if (this.pgrp !== null) pgsignal(this.pgrp, signal, true);
	}

	/** The leader of its session exits: the foreground gets SIGHUP, and the terminal is taken away. */
	leaderExited(): void {
		this.signal(SIGHUP);
		ttyDisown(this);
		this.driver.revoke();
	}

	/** Sleepers in the background look again whether they still have to wait. */
	jobsChanged(): void {
		wakeup(this.background);
	}
}

/** Whether a terminal is that of a process. */
export function isCtty(process: Process, tp: Tty): boolean {
	return process.hasTty && process.pgrp.session === tp.session;
}

/** Whether a terminal is that of a process, and another group is in front. */
export function isBackground(process: Process, tp: Tty): boolean {
	return isCtty(process, tp) && process.pgrp !== tp.pgrp;
}

/**
 * Opens a terminal: if it is not open, with the default settings.
 * @kern ttyopen
 */
export function ttyOpen(tp: Tty): void {
	if (tp.isOpen) return;
	tp.isOpen = true;
	tp.winsize = NO_SIZE;
	tp.column = 0;
	setTermios(tp, TTYDEF);
}

/**
 * Closes a terminal: forgets what is in its queues, while it is still open, and its session.
 * @kern ttyclose
 */
export function ttyClose(tp: Tty): void {
	doAll(
		() => ttyFlush(tp, FREAD | FWRITE),
		() => {
			ttyDisown(tp);
			tp.isOpen = false;
			tp.carrier = false;
			tp.blocked = false;
			wakeup(tp.background);
		},
	);
}

/** The terminal does not belong to a session any more. */
export function ttyDisown(tp: Tty): void {
	const { session } = tp;
	if (session?.tty === tp) session.tty = null;
	tp.pgrp = null;
	tp.session = null;
}

/** Sets all settings. */
export function setTermios(tp: Tty, termios: Termios): void {
	tp.iflag = termios.iflag;
	tp.oflag = termios.oflag;
	tp.cflag = termios.cflag;
	tp.lflag = termios.lflag;
	tp.cc = [...termios.cc];
	tp.ispeed = termios.ispeed;
	tp.ospeed = termios.ospeed;
	tp.lastChange = tp.kernel.host.now();
	ttSetWater(tp);
}

/**
 * Sets the marks of the output queue, so that there is about a second between them.
 * @kern ttsetwater
 */
function ttSetWater(tp: Tty): void {
	const charactersPerSecond = Math.floor(tp.ospeed / 10);
	tp.lowat = Math.min(LOWAT_MAX, Math.max(LOWAT_MIN, Math.floor(charactersPerSecond / 2)));
	tp.hiwat = Math.min(QLEN - HIWAT_MINSPACE, Math.max(100, tp.lowat + charactersPerSecond));
}

/**
 * Tells watchers and then sleepers that wait for input.
 * @kern ttwakeup
 */
export function ttWakeup(tp: Tty): void {
	try {
		tp.rsel.notify(0);
	} finally {
		wakeup(tp.readers);
	}
}

/** Tells sleepers and then watchers that wait for room. */
export function ttWakeupWriters(tp: Tty): void {
	tp.quiet = false;
	wakeup(tp.writers);
	tp.wsel.notify(0);
}

/**
 * Forgets input, output or both, and tells sleepers and watchers.
 * @kern ttyflush
 */
export function ttyFlush(tp: Tty, rw: number): void {
	doAll(
		() => {
			if ((rw & FREAD) !== 0) flushInput(tp, rw);
		},
		() => {
			if ((rw & FWRITE) !== 0) flushOutput(tp, rw);
		},
	);
}

function flushInput(tp: Tty, rw: number): void {
	const { full } = tp.driver;
	tp.canq.flush();
	tp.rawq.flush();
	tp.rocount = 0;
	tp.rocol = 0;
	tp.literalNext = false;
	tp.erasing = false;
	doAll(
		() => ttyUnblock(tp),
		() => ttWakeup(tp),
		() => {
			// With the output, the other end is told by `stop`.
			if (full && (rw & FWRITE) === 0) tp.driver.inputTaken();
		},
	);
}

function flushOutput(tp: Tty, rw: number): void {
	tp.stopped = false;
	doAll(
		() => tp.driver.stop(rw),
		() => {
			tp.outq.flush();
			ttWakeupWriters(tp);
		},
		() => tp.driver.outputTaken(),
	);
}

/**
 * The other end is gone. Unless CLOCAL, the leader of the session gets SIGHUP, and what is in the
 * queues is lost. In any case sleepers look again.
 * @kern ttymodem
 */
export function ttyModem(tp: Tty): void {
	tp.carrier = false;
	doAll(
		() => {
			if (tp.isOpen && (tp.cflag & CLOCAL) === 0) hangUp(tp);
		},
		() => ttWakeup(tp),
		() => ttWakeupWriters(tp),
		() => wakeup(tp.background),
	);
}

function hangUp(tp: Tty): void {
	const leader = tp.session?.leader;
	if (leader) psignal(leader, SIGHUP);
	ttyFlush(tp, FREAD | FWRITE);
}

/** How much input it holds. */
export function inputCount(tp: Tty): number {
	return tp.rawq.count + tp.canq.count;
}

/** With this much input it is full. */
export const TTYHOG: number = QLEN;

/**
 * Asks the other end to stop, when half of the input queue is full or a line waits.
 * @kern ttyblock
 */
export function ttyBlock(tp: Tty): void {
	if ((tp.iflag & IXOFF) === 0) return;
	const half = !tp.blocked && inputCount(tp) >= TTYHOG / 2 && (tp.lflag & ICANON) === 0;
	if ((half || tp.canq.count > 0) && sendFlow(tp, VSTOP)) tp.blocked = true;
}

/**
 * Asks the other end to start again.
 * @kern ttyunblock
 */
export function ttyUnblock(tp: Tty): void {
	if (tp.blocked && (tp.iflag & IXOFF) !== 0 && sendFlow(tp, VSTART)) tp.blocked = false;
}

/** Prints VSTOP or VSTART, if there is such a character. Returns whether it did. */
function sendFlow(tp: Tty, place: number): boolean {
	const c = tp.cc[place] as number;
	if (c === _POSIX_VDISABLE || !tp.outq.put(c)) return false;
	tp.driver.start();
	return true;
}

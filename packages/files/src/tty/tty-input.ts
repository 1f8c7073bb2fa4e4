// The line discipline: what becomes of each character that is typed.
import { FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import { SIGINFO, SIGINT, SIGQUIT, SIGTSTP } from "@kqpoll/kqueue/signal";
import {
	_POSIX_VDISABLE,
	ALTWERASE,
	CREAD,
	ECHO,
	ECHOE,
	ECHOK,
	ECHOKE,
	ECHOPRT,
	FLUSHO,
	ICANON,
	ICRNL,
	IEXTEN,
	IGNCR,
	IMAXBEL,
	INLCR,
	ISIG,
	ISTRIP,
	IXANY,
	IXON,
	NOFLSH,
	PARMRK,
	PENDIN,
	VDISCARD,
	VEOF,
	VEOL,
	VEOL2,
	VERASE,
	VINTR,
	VKILL,
	VLNEXT,
	VQUIT,
	VREPRINT,
	VSTART,
	VSTATUS,
	VSTOP,
	VSUSP,
	VTIME,
	VWERASE,
} from "./termios.ts";
import { inputCount, TTYHOG, type Tty, ttWakeup, ttyBlock, ttyFlush } from "./tty.ts";
import {
	BACKSPACE,
	isAlpha,
	NEWLINE,
	RETURN,
	SPACE,
	TAB,
	ttyEcho,
	ttyOutput,
} from "./tty-output.ts";
import { TTY_QUOTE } from "./tty-queue.ts";
import { ttyRetype, ttyRub } from "./tty-rub.ts";

const BELL = 0x07;

/**
 * What happens to output after a character. Stopped output starts again only with IXANY (`taken`),
 * or in any case (`restart`); or output goes on as it was (`start`), or nothing happens (`held`).
 */
type After = "taken" | "restart" | "start" | "held";

/** Whether a character is the one at a place in `cc`. */
export function isChar(tp: Tty, c: number, place: number): boolean {
	return c === tp.cc[place] && c !== _POSIX_VDISABLE;
}

/** Whether a character ends a line. */
export function endsLine(tp: Tty, c: number): boolean {
	if (c === NEWLINE || isChar(tp, c, VEOF) || isChar(tp, c, VEOL)) return true;
	return (tp.lflag & IEXTEN) !== 0 && isChar(tp, c, VEOL2);
}

/**
 * Processes a character that was typed.
 * @kern ttyinput
 */
export function ttyInput(tp: Tty, c: number): void {
	if ((tp.cflag & CREAD) === 0) return;
	if ((tp.lflag & PENDIN) !== 0) ttyPend(tp);
	const after = take(tp, c);
	if (after === "held") return;
	if (after === "taken" && tp.stopped && (tp.iflag & IXANY) === 0) {
		// If the same character stops and starts output, every character starts it.
		if (tp.cc[VSTART] !== tp.cc[VSTOP]) return;
	}
	if (after !== "start") {
		tp.lflag &= ~FLUSHO;
		tp.stopped = false;
	}
	tp.driver.start();
}

/**
 * Processes again what was typed in another mode.
 * @kern ttypend
 */
export function ttyPend(tp: Tty): void {
	tp.lflag &= ~PENDIN;
	const typed: number[] = [];
	for (let c = tp.rawq.get(); c >= 0; c = tp.rawq.get()) typed.push(c);
	tp.retyping = true;
	for (const c of typed) ttyInput(tp, c);
	tp.retyping = false;
}

function take(tp: Tty, char: number): After {
	const { iflag } = tp;
	if (char === 0xff && (iflag & (PARMRK | ISTRIP)) === PARMRK) {
		tp.rawq.put(0xff | TTY_QUOTE);
		tp.rawq.put(0xff | TTY_QUOTE);
		if ((tp.lflag & ICANON) === 0) arrived(tp);
		return "taken";
	}
	ttyBlock(tp);
	let c = tp.retyping || (iflag & ISTRIP) === 0 ? char : char & 0x7f;
	if (tp.literalNext) {
		c |= TTY_QUOTE;
		tp.literalNext = false;
	}
	const special = extended(tp, c) ?? signalled(tp, c) ?? flowControl(tp, c);
	if (special !== null) return special;
	if (c === RETURN && (iflag & IGNCR) !== 0) return "taken";
	if (c === RETURN && (iflag & ICRNL) !== 0) c = NEWLINE;
	else if (c === NEWLINE && (iflag & INLCR) !== 0) c = RETURN;
	if ((tp.lflag & ICANON) === 0 || !edit(tp, c)) store(tp, c);
	return "taken";
}

/** VLNEXT and VDISCARD. */
function extended(tp: Tty, c: number): After | null {
	if ((tp.lflag & IEXTEN) === 0) return null;
	if (isChar(tp, c, VLNEXT)) {
		if ((tp.lflag & (ECHO | ECHOE)) === (ECHO | ECHOE)) {
			ttyOutput(tp, "^".charCodeAt(0));
			ttyOutput(tp, BACKSPACE);
		} else if ((tp.lflag & ECHO) !== 0) {
			ttyEcho(tp, c);
		}
		tp.literalNext = true;
		return "taken";
	}
	if (!isChar(tp, c, VDISCARD)) return null;
	if ((tp.lflag & FLUSHO) !== 0) {
		tp.lflag &= ~FLUSHO;
	} else {
		ttyFlush(tp, FWRITE);
		ttyEcho(tp, c);
		if (inputCount(tp) > 0) ttyRetype(tp);
		tp.lflag |= FLUSHO;
	}
	return "start";
}

/** VINTR, VQUIT and VSUSP. */
function signalled(tp: Tty, c: number): After | null {
	if ((tp.lflag & ISIG) === 0) return null;
	const flushes = (tp.lflag & NOFLSH) === 0;
	if (isChar(tp, c, VINTR) || isChar(tp, c, VQUIT)) {
		if (flushes) ttyFlush(tp, FREAD | FWRITE);
		ttyEcho(tp, c);
		tp.signal(isChar(tp, c, VINTR) ? SIGINT : SIGQUIT);
		return "taken";
	}
	if (!isChar(tp, c, VSUSP)) return null;
	if (flushes) ttyFlush(tp, FREAD);
	ttyEcho(tp, c);
	tp.signal(SIGTSTP);
	return "taken";
}

/** VSTOP and VSTART. */
function flowControl(tp: Tty, c: number): After | null {
	if ((tp.iflag & IXON) === 0) return null;
	if (isChar(tp, c, VSTOP)) {
		if (!tp.stopped) {
			tp.stopped = true;
			tp.driver.stop(0);
			return "held";
		}
		return isChar(tp, c, VSTART) ? "taken" : "held";
	}
	return isChar(tp, c, VSTART) ? "restart" : null;
}

/** The characters that edit a line. Returns whether this was one. */
function edit(tp: Tty, c: number): boolean {
	const extending = (tp.lflag & IEXTEN) !== 0;
	if (isChar(tp, c, VERASE)) eraseCharacter(tp);
	else if (isChar(tp, c, VKILL)) eraseLine(tp, c);
	else if (extending && isChar(tp, c, VWERASE)) eraseWord(tp);
	else if (extending && isChar(tp, c, VREPRINT)) ttyRetype(tp);
	else if (extending && isChar(tp, c, VSTATUS)) {
		if ((tp.lflag & ISIG) !== 0) tp.signal(SIGINFO);
	} else return false;
	return true;
}

function eraseCharacter(tp: Tty): void {
	if (tp.rawq.count > 0) ttyRub(tp, tp.rawq.unput());
}

function eraseLine(tp: Tty, c: number): void {
	const { lflag, rawq } = tp;
	if ((lflag & (ECHOKE | ECHOPRT)) === ECHOKE && rawq.count === tp.rocount) {
		while (rawq.count > 0) ttyRub(tp, rawq.unput());
	} else {
		ttyEcho(tp, c);
		if ((lflag & (ECHOK | ECHOKE)) !== 0) ttyEcho(tp, NEWLINE);
		rawq.flush();
		tp.rocount = 0;
	}
	tp.erasing = false;
}

/** Blanks before the cursor, then the word before them. */
function eraseWord(tp: Tty): void {
	const { rawq } = tp;
	const blank = (c: number): boolean => c === SPACE || c === TAB;
	let c = rawq.unput();
	for (; blank(c); c = rawq.unput()) ttyRub(tp, c);
	if (c < 0) return;
	ttyRub(tp, c);
	c = rawq.unput();
	const kind = isAlpha(c);
	const alternative = (tp.lflag & ALTWERASE) !== 0;
	while (c >= 0 && !blank(c) && (!alternative || isAlpha(c) === kind)) {
		ttyRub(tp, c);
		c = rawq.unput();
	}
	if (c >= 0) rawq.put(c);
}

/** Stores a character for the reader, and prints it. */
function store(tp: Tty, c: number): void {
	if (inputCount(tp) >= TTYHOG) {
		overflow(tp);
		return;
	}
	tp.rawq.put(c);
	if ((tp.lflag & ICANON) === 0) {
		arrived(tp);
		ttyEcho(tp, c);
		return;
	}
	if (endsLine(tp, c)) {
		tp.rocount = 0;
		tp.rawq.moveTo(tp.canq);
		ttWakeup(tp);
	} else if (tp.rocount++ === 0) {
		tp.rocol = tp.column;
	}
	if (tp.erasing) {
		tp.erasing = false;
		ttyOutput(tp, "/".charCodeAt(0));
	}
	const column = tp.column;
	ttyEcho(tp, c);
	if (!isChar(tp, c, VEOF) || (tp.lflag & ECHO) === 0) return;
	// The cursor goes back over the ^ of ^D.
	for (let i = Math.min(2, tp.column - column); i > 0; i--) ttyOutput(tp, BACKSPACE);
}

/** Called when bytes came in that can be read as they are. The time matters only with VTIME. */
function arrived(tp: Tty): void {
	if (tp.cc[VTIME] !== 0) tp.lastInput = tp.kernel.host.now();
	ttWakeup(tp);
}

function overflow(tp: Tty): void {
	if ((tp.iflag & IMAXBEL) === 0) ttyFlush(tp, FREAD | FWRITE);
	else if (tp.outq.count < tp.hiwat) ttyOutput(tp, BELL);
}

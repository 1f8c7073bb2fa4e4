// Erasing on the screen what was typed, and printing the line that is being typed again.
import {
	_POSIX_VDISABLE,
	ECHO,
	ECHOCTL,
	ECHOE,
	ECHOPRT,
	FLUSHO,
	VERASE,
	VREPRINT,
} from "./termios.ts";
import type { Columns, Retyped, Tty } from "./tty.ts";
import {
	BACKSPACE,
	isControl,
	NEWLINE,
	SPACE,
	TAB,
	ttyEcho,
	ttyOutput,
	ttyPrint,
} from "./tty-output.ts";
import { TTY_CHARMASK, TTY_QUOTE } from "./tty-queue.ts";

/**
 * Erases a character on the screen that was erased from the input.
 * @kern ttyrub
 */
export function ttyRub(tp: Tty, c: number): void {
	if ((tp.lflag & ECHO) === 0) return;
	tp.lflag &= ~FLUSHO;
	if ((tp.lflag & ECHOE) !== 0) {
		// Output came in between, or the character is there in another form.
		if (tp.rocount === 0 || (c === TAB && tp.rocount < tp.rawq.count)) {
			ttyRetype(tp);
			return;
		}
		rubOut(tp, c);
	} else if ((tp.lflag & ECHOPRT) !== 0) {
		if (!tp.erasing) ttyOutput(tp, "\\".charCodeAt(0));
		tp.erasing = true;
		ttyEcho(tp, c);
	} else {
		ttyEcho(tp, tp.cc[VERASE] as number);
	}
	tp.rocount--;
}

function rubOut(tp: Tty, c: number): void {
	const character = c & TTY_CHARMASK;
	if (c === (TAB | TTY_QUOTE) || c === (NEWLINE | TTY_QUOTE)) back(tp, 2);
	else if (character === TAB) rubTab(tp);
	else if (!isControl(character)) back(tp, 1);
	else if ((tp.lflag & ECHOCTL) !== 0) back(tp, 2);
}

/**
 * Goes back by `count` columns, and blanks them.
 * @kern ttyrubo
 */
function back(tp: Tty, count: number): void {
	for (let i = 0; i < count; i++) {
		ttyOutput(tp, BACKSPACE);
		ttyOutput(tp, SPACE);
		ttyOutput(tp, BACKSPACE);
	}
}

/** Goes back over a tab. Its width follows from the rest of the line. */
function rubTab(tp: Tty): void {
	const width = tp.column - endColumn(tp);
	for (let i = Math.min(width, 8); i > 0; i--) ttyOutput(tp, BACKSPACE);
}

/**
 * The column after the line that is being typed. What was not there the last time is printed to
 * nowhere to find it.
 */
function endColumn(tp: Tty): number {
	const { rawq, lflag, column } = tp;
	const { at } = columnsOf(tp);
	at.length = Math.min(at.length, rawq.kept + 1);
	tp.lflag = lflag | FLUSHO;
	tp.column = at[at.length - 1] as number;
	for (let i = at.length - 1; i < rawq.count; i++) {
		ttyPrint(tp, rawq.at(i));
		at.push(tp.column);
	}
	rawq.kept = rawq.count;
	tp.lflag = lflag & ~FLUSHO;
	tp.column = column;
	return at[rawq.count] as number;
}

function columnsOf(tp: Tty): Columns {
	const { columns, rocol, oflag } = tp;
	const echoctl = tp.lflag & ECHOCTL;
	if (columns?.rocol === rocol && columns.oflag === oflag && columns.echoctl === echoctl)
		return columns;
	tp.columns = { at: [rocol], rocol, oflag, echoctl };
	return tp.columns;
}

/**
 * Prints again the line that is being typed. What was printed is kept, so that a line that does not
 * change is not processed each time.
 * @kern ttyretype
 */
export function ttyRetype(tp: Tty): void {
	const { canq, rawq, outq, oflag, lflag, column, retyped } = tp;
	const room = outq.limit - outq.count;
	const reprint = tp.cc[VREPRINT] as number;
	const depends = [canq.version, rawq.version, oflag, lflag, reprint, column];
	if (retyped !== null && isSame(retyped, depends, room)) {
		outq.append(retyped.printed);
		tp.column = retyped.column;
	} else {
		const before = outq.count;
		printLine(tp, reprint);
		const printed = outq.copy(before);
		const full = printed.length === room;
		// While output is discarded there is nothing to keep.
		tp.retyped =
			(lflag & FLUSHO) !== 0 ? null : { depends, room, printed, full, column: tp.column };
	}
	tp.erasing = false;
	tp.rocount = rawq.count;
	tp.rocol = 0;
}

function isSame(retyped: Retyped, depends: readonly number[], room: number): boolean {
	const fits = retyped.room === room || (!retyped.full && retyped.printed.length <= room);
	return fits && retyped.depends.every((value, i) => value === depends[i]);
}

function printLine(tp: Tty, reprint: number): void {
	if (reprint !== _POSIX_VDISABLE) ttyEcho(tp, reprint);
	ttyOutput(tp, NEWLINE);
	for (const queue of [tp.canq, tp.rawq]) {
		for (let i = 0; i < queue.count; i++) ttyEcho(tp, queue.at(i));
	}
}

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
 * Prints again the line that is being typed, as far as there is room. What was printed the last time
 * is kept, so that only what has changed is processed.
 * @kern ttyretype
 */
export function ttyRetype(tp: Tty): void {
	const { canq, rawq, outq } = tp;
	const reprint = tp.cc[VREPRINT] as number;
	if (reprint !== _POSIX_VDISABLE) ttyEcho(tp, reprint);
	ttyOutput(tp, NEWLINE);
	const total = canq.count + rawq.count;
	// As the echo of a character does.
	if (total > 0) tp.lflag &= ~FLUSHO;
	const kept = retypedOf(tp);
	for (let i = printKept(tp, kept); i < total && outq.count < outq.limit; i++) {
		const before = outq.count;
		ttyEcho(tp, i < canq.count ? canq.at(i) : rawq.at(i - canq.count));
		// If there is no room left, it may be that this was not all of it.
		if (i === kept.ends.length && outq.count < outq.limit) keep(tp, kept, before);
	}
	rawq.printed = rawq.count;
	tp.erasing = false;
	tp.rocount = rawq.count;
	tp.rocol = 0;
}

/** What is kept of the line, which begins at the current column. */
function retypedOf(tp: Tty): Retyped {
	const { canq, rawq, retyped, column: start, oflag, lflag } = tp;
	const { version } = canq;
	if (
		retyped?.start === start &&
		retyped.oflag === oflag &&
		retyped.lflag === lflag &&
		retyped.version === version
	) {
		const same = Math.min(retyped.ends.length, canq.count + rawq.printed);
		retyped.ends.length = same;
		retyped.columns.length = same;
		return retyped;
	}
	const printed = retyped?.printed ?? new Uint8Array(tp.outq.limit);
	tp.retyped = { start, oflag, lflag, version, printed, ends: [], columns: [] };
	return tp.retyped;
}

/** Prints the characters that are kept and that there is room for. Returns how many these are. */
function printKept(tp: Tty, { printed, ends, columns }: Retyped): number {
	const room = tp.outq.limit - tp.outq.count;
	let n = ends.length;
	if (n > 0 && (ends[n - 1] as number) > room) {
		let low = 0;
		while (low < n) {
			const middle = (low + n) >>> 1;
			if ((ends[middle] as number) <= room) low = middle + 1;
			else n = middle;
		}
	}
	if (n === 0) return 0;
	tp.outq.append(printed.subarray(0, ends[n - 1]));
	tp.column = columns[n - 1] as number;
	return n;
}

/** Keeps how the next character was printed: what there is in the queue from `before` on. */
function keep(tp: Tty, { printed, ends, columns }: Retyped, before: number): void {
	const end = ends[ends.length - 1] ?? 0;
	tp.outq.copy(before, printed, end);
	ends.push(end + tp.outq.count - before);
	columns.push(tp.column);
}

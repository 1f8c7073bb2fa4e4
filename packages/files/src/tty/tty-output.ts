// What a terminal prints: output as it is processed, and the echo of what is typed.
import {
	ECHO,
	ECHOCTL,
	ECHONL,
	FLUSHO,
	OCRNL,
	ONLCR,
	ONLRET,
	ONOCR,
	ONOEOT,
	OPOST,
	OXTABS,
} from "./termios.ts";
import type { Tty } from "./tty.ts";
import { TTY_CHARMASK } from "./tty-queue.ts";

/** \b */
export const BACKSPACE = 0x08;
/** \t */
export const TAB = 0x09;
/** \n */
export const NEWLINE = 0x0a;
/** \r */
export const RETURN = 0x0d;
/** A blank. */
export const SPACE = 0x20;
const DEL = 0x7f;
const EOT = 0x04;

/** The code of a character. */
const code = (character: string): number => character.charCodeAt(0);

/** Whether a character does something other than being printed in the next column. */
export function isControl(c: number): boolean {
	return c < SPACE || c === DEL;
}

/** Whether a character is a letter, a digit or an underscore, for ALTWERASE. */
export function isAlpha(c: number): boolean {
	const character = c & TTY_CHARMASK;
	return character >= 0x80 || /\w/.test(String.fromCharCode(character));
}

/** Puts a character into the queue, unless output is discarded. */
function emit(tp: Tty, c: number): boolean {
	return (tp.lflag & FLUSHO) !== 0 || tp.outq.put(c);
}

/**
 * Prints a character, processed as the settings say. Returns false if there is no room for it.
 * @kern ttyoutput
 */
export function ttyOutput(tp: Tty, char: number): boolean {
	const { oflag } = tp;
	let c = char & TTY_CHARMASK;
	if ((oflag & OPOST) === 0) return emit(tp, c);
	if (c === TAB && (oflag & OXTABS) !== 0) return expandTab(tp);
	if (c === EOT && (oflag & ONOEOT) !== 0) return true;
	if (c === NEWLINE && (oflag & ONLCR) !== 0) {
		if (!emit(tp, RETURN)) return false;
		tp.column = 0;
	} else if (c === RETURN && (oflag & OCRNL) !== 0) {
		c = NEWLINE;
	}
	if (c === RETURN && (oflag & ONOCR) !== 0 && tp.column === 0) return true;
	if (!emit(tp, c)) return false;
	tp.column = columnAfter(tp, c);
	return true;
}

/** Prints a tab as the blanks up to the next eighth column, as far as there is room. */
function expandTab(tp: Tty): boolean {
	let blanks = 8 - (tp.column & 7);
	for (; blanks > 0 && emit(tp, SPACE); blanks--) tp.column++;
	return blanks === 0;
}

/** Where the next character is printed. */
function columnAfter(tp: Tty, c: number): number {
	const { column, oflag } = tp;
	switch (c) {
		case BACKSPACE:
			return Math.max(0, column - 1);
		case TAB:
			return (column + 8) & ~7;
		case NEWLINE:
			return (oflag & (ONLRET | OCRNL)) !== 0 ? 0 : column;
		case RETURN:
			return 0;
		default:
			return isControl(c) ? column : column + 1;
	}
}

/**
 * Prints what was typed, if the settings say so.
 * @kern ttyecho
 */
export function ttyEcho(tp: Tty, c: number): void {
	const { lflag } = tp;
	tp.lflag &= ~FLUSHO;
	const shown = (lflag & ECHO) !== 0 || ((lflag & ECHONL) !== 0 && c === NEWLINE);
	if (shown) ttyPrint(tp, c);
}

/** Prints a character; a control character in a visible form. */
export function ttyPrint(tp: Tty, c: number): void {
	const character = c & TTY_CHARMASK;
	const control = character < SPACE && c !== TAB && c !== NEWLINE;
	if (((tp.lflag & ECHOCTL) !== 0 && control) || character === DEL) {
		ttyOutput(tp, code("^"));
		ttyOutput(tp, character === DEL ? code("?") : character + code("@"));
	} else {
		ttyOutput(tp, c);
	}
}

// What the program's own terminal answers to ioctl.
import { cfmakeraw, ICANON, type Termios, TTYDEF } from "@kqpoll/files/termios";
import { TIOCGETA, TIOCGWINSZ, TIOCSETA, TIOCSETAF, TIOCSETAW } from "@kqpoll/files/ttycom";
import { errno } from "@kqpoll/kqueue";
import { S_IFCHR, type Stat } from "@kqpoll/kqueue/stat";

/** The part of Node's `tty.ReadStream` and `tty.WriteStream` that is needed. */
export interface TerminalStream {
	/** Of both: true. */
	readonly isTTY?: boolean;
	/** Of one to read: whether it is in raw mode. */
	readonly isRaw?: boolean;
	/** Of one to read: puts the terminal into raw mode, or back. */
	setRawMode?(raw: boolean): unknown;
	/** Of one to write: how many columns and rows the terminal has. */
	readonly columns?: number;
	/** See columns. */
	readonly rows?: number;
}

/** Whether a stream is that of a terminal. */
export function isTerminal(stream: object | null): stream is TerminalStream {
	return (stream as TerminalStream | null)?.isTTY === true;
}

/** What fstat reports about a terminal. */
export const terminalStat: Stat = { mode: S_IFCHR | 0o620, size: 0, blksize: 0 };

/**
 * Asks the terminal behind a stream, or sets its mode: TIOCGETA, TIOCSETA, TIOCSETAW, TIOCSETAF,
 * TIOCGWINSZ. Node knows two modes only: raw, which is what settings without ICANON are, and the
 * other.
 */
export function terminalIoctl(stream: TerminalStream, command: number, argument: unknown): number {
	switch (command) {
		case TIOCGETA:
			return fill(argument, stream.isRaw ? raw() : cooked());
		case TIOCSETA:
		case TIOCSETAW:
		case TIOCSETAF:
			return setMode(stream, argument as Termios);
		case TIOCGWINSZ:
			return fill(argument, sizeOf(stream));
		default:
			return -errno.ENOTTY;
	}
}

function cooked(): Termios {
	return { ...TTYDEF, cc: [...TTYDEF.cc] };
}

function raw(): Termios {
	return cfmakeraw(cooked());
}

function fill(argument: unknown, values: object): number {
	if (typeof argument !== "object" || argument === null) return -errno.EFAULT;
	Object.assign(argument, values);
	return 0;
}

/** The end that is only written to has no mode of its own. */
function setMode(stream: TerminalStream, termios: Termios): number {
	if (typeof termios?.lflag !== "number") return -errno.EFAULT;
	if (typeof stream.setRawMode !== "function") return -errno.ENOTTY;
	stream.setRawMode((termios.lflag & ICANON) === 0);
	return 0;
}

/** Only a stream that is written to knows the size: for another one, those of the program are asked. */
function sizeOf(stream: TerminalStream): {
	row: number;
	col: number;
	xpixel: number;
	ypixel: number;
} {
	const { columns = 0, rows = 0 } =
		[stream, process.stdout, process.stderr].find(({ columns }) => columns !== undefined) ?? {};
	return { row: rows, col: columns, xpixel: 0, ypixel: 0 };
}

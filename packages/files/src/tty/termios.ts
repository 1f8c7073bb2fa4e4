// termios.h: how a terminal treats what is typed and what is printed.
import { errno, SystemError } from "@kqpoll/kqueue";
import { faultOf, isObject, isUint32, lengthOfList } from "@kqpoll/kqueue/kernel";

/** Place in `cc`: ends the input in canonical mode (default: ^D). */
export const VEOF = 0;
/** Place in `cc`: ends a line, besides a newline (default: none). */
export const VEOL = 1;
/** Place in `cc`: also ends a line, with IEXTEN (default: none). */
export const VEOL2 = 2;
/** Place in `cc`: erases a character in canonical mode (default: DEL). */
export const VERASE = 3;
/** Place in `cc`: erases a word in canonical mode, with IEXTEN (default: ^W). */
export const VWERASE = 4;
/** Place in `cc`: erases the line in canonical mode (default: ^U). */
export const VKILL = 5;
/** Place in `cc`: prints the line again in canonical mode, with IEXTEN (default: ^R). */
export const VREPRINT = 6;
/** Place in `cc`: sends SIGINT, with ISIG (default: ^C). */
export const VINTR = 8;
/** Place in `cc`: sends SIGQUIT, with ISIG (default: ^\). */
export const VQUIT = 9;
/** Place in `cc`: sends SIGTSTP, with ISIG (default: ^Z). */
export const VSUSP = 10;
/** Place in `cc`: sends SIGTSTP when it is read, with ISIG and IEXTEN (default: ^Y). */
export const VDSUSP = 11;
/** Place in `cc`: starts output again, with IXON (default: ^Q). */
export const VSTART = 12;
/** Place in `cc`: stops output, with IXON (default: ^S). */
export const VSTOP = 13;
/** Place in `cc`: takes the next character as it is, with IEXTEN (default: ^V). */
export const VLNEXT = 14;
/** Place in `cc`: discards output until it is typed again, with IEXTEN (default: ^O). */
export const VDISCARD = 15;
/** Place in `cc`: how many bytes a read waits for when the mode is not canonical (default: 1). */
export const VMIN = 16;
/** Place in `cc`: how many tenths of a second it waits (default: 0, without a limit). */
export const VTIME = 17;
/** Place in `cc`: sends SIGINFO in canonical mode, with IEXTEN and ISIG (default: none). */
export const VSTATUS = 18;
/** How many places `cc` has. */
export const NCCS = 20;
/** In `cc`: no character does this. */
export const _POSIX_VDISABLE = 0xff;

/** iflag: a byte 0xff is read as two, unless ISTRIP. */
export const PARMRK = 0x8;
/** iflag: only seven bits of each byte count. */
export const ISTRIP = 0x20;
/** iflag: a newline is read as a carriage return. */
export const INLCR = 0x40;
/** iflag: carriage returns are dropped. */
export const IGNCR = 0x80;
/** iflag: a carriage return is read as a newline. */
export const ICRNL = 0x100;
/** iflag: VSTOP and VSTART stop output and start it again. */
export const IXON = 0x200;
/** iflag: VSTOP and VSTART are sent when there is too much input, and when there is room again. */
export const IXOFF = 0x400;
/** iflag: any character starts output again. */
export const IXANY = 0x800;
/** iflag: when there is no room for input, a bell is printed, and the queues are not flushed. */
export const IMAXBEL = 0x2000;
/** iflag: a break sends SIGINT. */
export const BRKINT = 0x2;

/** oflag: output is processed at all. */
export const OPOST = 0x1;
/** oflag: a newline is printed as a carriage return and a newline. */
export const ONLCR = 0x2;
/** oflag: a tab is printed as spaces. */
export const OXTABS = 0x4;
/** oflag: ^D is dropped. */
export const ONOEOT = 0x8;
/** oflag: a carriage return is printed as a newline. */
export const OCRNL = 0x10;
/** oflag: no carriage return at the beginning of a line. */
export const ONOCR = 0x40;
/** oflag: a newline goes to the beginning of the line. */
export const ONLRET = 0x80;

/** cflag: eight bits a character. */
export const CS8 = 0x300;
/** cflag: input is received at all. */
export const CREAD = 0x800;
/** cflag: hangs up when the last descriptor is closed. */
export const HUPCL = 0x4000;
/** cflag: the carrier does not matter. */
export const CLOCAL = 0x8000;

/** lflag: VKILL erases the line as VERASE would. */
export const ECHOKE = 0x1;
/** lflag: VERASE also erases on the screen. */
export const ECHOE = 0x2;
/** lflag: VKILL is followed by a newline. */
export const ECHOK = 0x4;
/** lflag: what is typed is printed. */
export const ECHO = 0x8;
/** lflag: a newline is printed even without ECHO. */
export const ECHONL = 0x10;
/** lflag: what is erased is printed between \ and /. */
export const ECHOPRT = 0x20;
/** lflag: control characters are printed as ^X. */
export const ECHOCTL = 0x40;
/** lflag: VINTR, VQUIT, VSUSP and VSTATUS send signals. */
export const ISIG = 0x80;
/** lflag: input comes in lines that can be edited. */
export const ICANON = 0x100;
/** lflag: VWERASE stops between letters and other characters. */
export const ALTWERASE = 0x200;
/** lflag: VLNEXT, VDISCARD, VWERASE, VREPRINT, VSTATUS and VEOL2 have their effect. */
export const IEXTEN = 0x400;
/** lflag: a process that writes from the background gets SIGTTOU. */
export const TOSTOP = 0x400000;
/** lflag: output is being discarded; a state. */
export const FLUSHO = 0x800000;
/** lflag: input will be processed again, in the new mode; a state. */
export const PENDIN = 0x20000000;
/** lflag: signals do not flush the queues. */
export const NOFLSH = 0x80000000;

/** The speed that hangs up. */
export const B0 = 0;
/** The speed of a slow terminal, in bits per second; a character takes ten bits. */
export const B9600 = 9600;
/** The speed of a new pty. */
export const B115200 = 115200;

/** struct termios: how a terminal works. */
export interface Termios {
	/** What happens to input: ICRNL, IXON … */
	readonly iflag: number;
	/** What happens to output: OPOST, ONLCR … */
	readonly oflag: number;
	/** How the line works: CREAD, CLOCAL … */
	readonly cflag: number;
	/** What the terminal does itself: ECHO, ICANON, ISIG … */
	readonly lflag: number;
	/** NCCS bytes: which character does what. */
	readonly cc: readonly number[];
	/** How fast input comes, in bits per second. */
	readonly ispeed: number;
	/** How fast output is printed, in bits per second. The marks of its queue depend on it. */
	readonly ospeed: number;
}

const CTRL = (letter: string): number => letter.charCodeAt(0) & 0x1f;

/** The default of a pty: a line editor with echo and signals. ISTRIP is off, for UTF-8. */
export const TTYDEF: Termios = {
	iflag: BRKINT | ICRNL | IMAXBEL | IXON | IXANY,
	oflag: OPOST | ONLCR,
	cflag: CREAD | CS8 | HUPCL,
	lflag: ECHO | ICANON | ISIG | IEXTEN | ECHOE | ECHOKE | ECHOCTL,
	cc: defaultCharacters(),
	ispeed: B115200,
	ospeed: B115200,
};

function defaultCharacters(): readonly number[] {
	const cc = new Array<number>(NCCS).fill(_POSIX_VDISABLE);
	cc[VEOF] = CTRL("D");
	cc[VERASE] = 0x7f;
	cc[VWERASE] = CTRL("W");
	cc[VKILL] = CTRL("U");
	cc[VREPRINT] = CTRL("R");
	cc[VINTR] = CTRL("C");
	cc[VQUIT] = CTRL("\\");
	cc[VSUSP] = CTRL("Z");
	cc[VDSUSP] = CTRL("Y");
	cc[VSTART] = CTRL("Q");
	cc[VSTOP] = CTRL("S");
	cc[VLNEXT] = CTRL("V");
	cc[VDISCARD] = CTRL("O");
	cc[VMIN] = 1;
	cc[VTIME] = 0;
	return cc;
}

/**
 * The same terminal in raw mode: every byte is read as it comes, and none is printed. EFAULT for
 * what is not a Termios. Source: cfmakeraw(3).
 */
export function cfmakeraw(from: Termios): Termios {
	const termios = termiosOf(from);
	if (termios === null)
		throw new SystemError(errno.EFAULT, "cfmakeraw", "termios is not a Termios");
	return {
		...termios,
		iflag: termios.iflag & ~(IMAXBEL | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON),
		oflag: termios.oflag & ~OPOST,
		cflag: termios.cflag | CS8,
		lflag: (termios.lflag & ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN)) >>> 0,
	};
}

/**
 * A copy of a struct termios that a program passes, each of whose fields is read once; null for what
 * is not one, as far as C can tell.
 */
export function termiosOf(value: unknown): Termios | null {
	if (!isObject(value)) return null;
	try {
		const { iflag, oflag, cflag, lflag, cc: list, ispeed, ospeed } = value as Termios;
		const cc: number[] = [];
		const n = lengthOfList(list, "ioctl", "cc");
		for (let i = 0; i < Math.min(n, NCCS); i++) cc.push(list[i] as number);
		const valid =
			n === NCCS &&
			[iflag, oflag, cflag, lflag].every((flags) => isUint32(flags)) &&
			[ispeed, ospeed].every((speed) => isUint32(speed) && speed <= 0x7fffffff) &&
			cc.every((c) => isUint32(c) && c <= 0xff);
		return valid ? { iflag, oflag, cflag, lflag, cc, ispeed, ospeed } : null;
	} catch (error) {
		return noStruct(error);
	}
}

/** What cannot be read is not a struct; what an accessor throws is thrown again. */
function noStruct(error: unknown): null {
	if (!(error instanceof SystemError)) faultOf(error);
	return null;
}

/** struct winsize: how large a terminal is. */
export interface Winsize {
	/** Rows of characters. */
	readonly row: number;
	/** Characters in a row. */
	readonly col: number;
	/** Its width in pixels. */
	readonly xpixel: number;
	/** Its height in pixels. */
	readonly ypixel: number;
}

/** A copy of a struct winsize that a program passes; null for what is not one. */
export function winsizeOf(value: unknown): Winsize | null {
	if (!isObject(value)) return null;
	try {
		const { row, col, xpixel, ypixel } = value as Winsize;
		const valid = [row, col, xpixel, ypixel].every((size) => isUint32(size) && size <= 0xffff);
		return valid ? { row, col, xpixel, ypixel } : null;
	} catch (error) {
		return noStruct(error);
	}
}

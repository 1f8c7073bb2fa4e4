// ttycom.h: the commands of ioctl(2) for terminals.
import { errno, SystemError } from "@kqpoll/kqueue";
import { isInt32, show } from "@kqpoll/kqueue/kernel";

/** ioctl: exclusive use. Every process is root's here, so it has no effect. */
export const TIOCEXCL = 0x2000740d;
/** ioctl: ends TIOCEXCL. */
export const TIOCNXCL = 0x2000740e;
/** ioctl: forgets input (1), output (2), or both (0). */
export const TIOCFLUSH = 0x80047410;
/** ioctl: fills the argument, an object, with the settings of the terminal, a Termios. */
export const TIOCGETA = 0x402c7413;
/** ioctl: sets how the terminal works, at once. The argument is a Termios. */
export const TIOCSETA = 0x802c7414;
/** ioctl: as TIOCSETA, when all output is out: EAGAIN while it is not. */
export const TIOCSETAW = 0x802c7415;
/** ioctl: as TIOCSETAW, and forgets input. */
export const TIOCSETAF = 0x802c7416;
/** ioctl: returns the number of the foreground group. */
export const TIOCGPGRP = 0x40047477;
/** ioctl: sets the foreground group. */
export const TIOCSPGRP = 0x80047476;
/** ioctl: returns how many bytes of output wait. */
export const TIOCOUTQ = 0x40047473;
/** ioctl: types a byte, the argument. */
export const TIOCSTI = 0x80017472;
/** ioctl: the caller gives up its terminal, which the leader of a session cannot. */
export const TIOCNOTTY = 0x20007471;
/** ioctl of a master: packet mode on or off. */
export const TIOCPKT = 0x80047470;
/** First byte of a packet: data follows. */
export const TIOCPKT_DATA = 0x00;
/** Bit of a packet: the input was flushed. */
export const TIOCPKT_FLUSHREAD = 0x01;
/** Bit of a packet: the output was flushed. */
export const TIOCPKT_FLUSHWRITE = 0x02;
/** Bit of a packet: output was stopped. */
export const TIOCPKT_STOP = 0x04;
/** Bit of a packet: output was started again. */
export const TIOCPKT_START = 0x08;
/** Bit of a packet: ^S and ^Q do not stop output any more. */
export const TIOCPKT_NOSTOP = 0x10;
/** Bit of a packet: ^S and ^Q stop output from now on. */
export const TIOCPKT_DOSTOP = 0x20;
/** ioctl: stops output. */
export const TIOCSTOP = 0x2000746f;
/** ioctl: starts output again. */
export const TIOCSTART = 0x2000746e;
/**
 * ioctl of a master: remote mode on or off. What it writes is input without line editing, a piece
 * at a time.
 */
export const TIOCREMOTE = 0x80047469;
/** ioctl: fills the argument, an object, with the size, a Winsize. */
export const TIOCGWINSZ = 0x40087468;
/** ioctl: sets the size, a Winsize; the foreground group gets SIGWINCH if it changed. */
export const TIOCSWINSZ = 0x80087467;
/** ioctl of a master: user-control mode on or off. */
export const TIOCUCNTL = 0x80047466;
/** ioctl: the terminal becomes that of the caller's session, which the caller must lead. */
export const TIOCSCTTY = 0x20007461;
/** ioctl of a master: sends a signal to the foreground group. */
export const TIOCSIG = 0x8004745f;
/** ioctl: returns 0 when all output is out: EAGAIN while it is not. */
export const TIOCDRAIN = 0x2000745e;

/**
 * ioctl of a slave in user-control mode: the master reads the byte `n`, 1 to 255. EINVAL for what is
 * not a whole number.
 */
export function UIOCCMD(n: number): number {
	if (!isInt32(n)) throw new SystemError(errno.EINVAL, "UIOCCMD", `${show(n)} is not a byte`);
	return 0x20007500 | (n & 0xff);
}

/** tcsetattr: at once. */
export const TCSANOW = 0;
/** tcsetattr: when all output is out. */
export const TCSADRAIN = 1;
/** tcsetattr: when all output is out, and forgets the input. */
export const TCSAFLUSH = 2;
/** tcflush: forgets input. */
export const TCIFLUSH = 1;
/** tcflush: forgets output. */
export const TCOFLUSH = 2;
/** tcflush: forgets both. */
export const TCIOFLUSH = 3;

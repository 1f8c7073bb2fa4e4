// ioctl(2) of ptys: the modes of the master, and what it is told about the slave.
import { errno, type Thread } from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { FREAD, FWRITE, isInt32 } from "@kqpoll/kqueue/kernel";
import { NSIG } from "@kqpoll/kqueue/signal";
import type { Pty } from "./pty.ts";
import { IXON, NOFLSH, VSTART, VSTOP } from "./termios.ts";
import { ttyFlush } from "./tty.ts";
import {
	TIOCGPGRP,
	TIOCPKT,
	TIOCPKT_DOSTOP,
	TIOCPKT_NOSTOP,
	TIOCREMOTE,
	TIOCSETA,
	TIOCSETAF,
	TIOCSETAW,
	TIOCSIG,
	TIOCUCNTL,
	UIOCCMD,
} from "./tty-constants.ts";
import { ttIoctl } from "./tty-ioctl.ts";

const CTRL_S = 0x13;
const CTRL_Q = 0x11;

/**
 * The commands of both ends: those of terminals, and, in user-control mode, those that only the
 * master's program knows.
 * @kern ptyioctl
 */
export function ptyIoctl(pty: Pty, thread: Thread, command: number, argument: unknown): number {
	const n = ttIoctl(pty.tty, thread, command, argument);
	if (n === -errno.ENOTTY && userCommand(pty, command) === 0) return 0;
	tellStopCharacters(pty);
	return n;
}

/** Tells the master about a command of its program. */
function userCommand(pty: Pty, command: number): number {
	if (!pty.userMode || !isInt32(command)) return -errno.ENOTTY;
	const byte = command & 0xff;
	if (command !== UIOCCMD(byte)) return -errno.ENOTTY;
	if (byte !== 0) {
		pty.ucntl = byte;
		pty.wakeupMaster(FREAD);
	}
	return 0;
}

/** Tells the master whether ^S and ^Q are the characters that stop output, when that changed. */
function tellStopCharacters(pty: Pty): void {
	const { iflag, cc } = pty.tty;
	const stops = (iflag & IXON) !== 0 && cc[VSTOP] === CTRL_S && cc[VSTART] === CTRL_Q;
	if (stops !== pty.nostop) return;
	pty.nostop = !stops;
	pty.send &= ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
	pty.send |= stops ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP;
	pty.wakeupMaster(FREAD);
}

/** The commands of the master. */
export function masterIoctl(pty: Pty, thread: Thread, command: number, argument: unknown): number {
	switch (command) {
		case TIOCGPGRP:
			return pty.tty.foreground;
		case FIONREAD:
			return pty.tty.outq.count;
		case TIOCPKT:
			if (argument && pty.userMode) return -errno.EINVAL;
			return setMode(pty, "packetMode", argument);
		case TIOCUCNTL:
			if (argument && pty.packetMode) return -errno.EINVAL;
			return setMode(pty, "userMode", argument);
		case TIOCREMOTE:
			pty.remote = Boolean(argument);
			ttyFlush(pty.tty, FREAD | FWRITE);
			return 0;
		case TIOCSIG:
			return signal(pty, argument);
		case TIOCSETA:
		case TIOCSETAW:
		case TIOCSETAF:
			// The program that asks is the one that would read the output.
			pty.dropOutput();
			break;
	}
	return ptyIoctl(pty, thread, command, argument);
}

/** Sets or ends a mode. A byte of the mode may have been waiting. */
function setMode(pty: Pty, mode: "packetMode" | "userMode", argument: unknown): number {
	const pending = pty.controlPending;
	pty[mode] = Boolean(argument);
	if (pty.controlPending && !pending) pty.wakeupMaster(FREAD);
	return 0;
}

/** Sends a signal to the foreground group, and flushes the queues as ^C does. */
function signal(pty: Pty, argument: unknown): number {
	if (!isInt32(argument) || argument <= 0 || argument >= NSIG) return -errno.EINVAL;
	if ((pty.tty.lflag & NOFLSH) === 0) ttyFlush(pty.tty, FREAD | FWRITE);
	pty.tty.signal(argument);
	return 0;
}

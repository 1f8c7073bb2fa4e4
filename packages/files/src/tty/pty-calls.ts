// openpty(3): makes a pty, and opens slaves by name.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { attempt, FREAD, FWRITE, getFile, limitOf, syscall } from "@kqpoll/kqueue/kernel";
import { openPair, openWith } from "../shared/open-file.ts";
import { fileFlags } from "../shared/vnode-flags.ts";
import { findPty, makePty, Pty } from "./pty.ts";
import { ptyIoctl } from "./pty-ioctl.ts";
import { PtyMaster } from "./pty-master.ts";
import { PtySlave } from "./pty-slave.ts";
import { type Termios, termiosOf, type Winsize, winsizeOf } from "./termios.ts";
import { Tty } from "./tty.ts";
import { TIOCSETA } from "./tty-constants.ts";

/**
 * Makes a pty and returns its descriptors: what is written into the master is typed at the slave,
 * which is a terminal, and what is written into the slave is read from the master. The terminal
 * begins with `termios` (default: `TTYDEF`) and `winsize` (default: all 0). Errors: EMFILE; ENXIO
 * when there are too many ptys; EINVAL for what is not a Termios or Winsize. Source: openpty(3).
 */
export function openpty(
	thread: Thread,
	termios: Termios | null = null,
	winsize: Winsize | null = null,
): [master: number, slave: number] {
	return syscall(thread, "openpty", () => {
		const settings = termios === null ? null : termiosOf(termios);
		if (termios !== null && settings === null) throw invalid("termios is not a Termios");
		const size = winsize === null ? null : winsizeOf(winsize);
		if (winsize !== null && size === null) throw invalid("winsize is not a Winsize");
		const pty = makePair(thread, "openpty");
		const slave = new PtySlave(pty, FREAD | FWRITE);
		const master = new PtyMaster(pty);
		const fds = open(() => openPair(thread, master, slave, 0), pty);
		slave.opened();
		if (settings !== null) ptyIoctl(pty, thread, TIOCSETA, settings);
		if (size !== null) pty.tty.winsize = size;
		return fds;
	});
}

/**
 * Makes a pty and opens its master alone, with O_NONBLOCK or O_CLOEXEC of `flags`; `openDevice`
 * opens the slave by its `ptsname`. Errors: EMFILE; ENXIO when there are too many ptys; EINVAL for an
 * access mode that does not exist. Source: posix_openpt(3).
 */
export function posix_openpt(thread: Thread, flags: number): number {
	return syscall(thread, "posix_openpt", () => {
		const kept = fileFlags(flags, "posix_openpt");
		const pty = makePair(thread, "posix_openpt");
		const master = new PtyMaster(pty);
		master.flags = kept;
		return open(() => openWith(thread, master, flags), pty);
	});
}

function makePair(thread: Thread, name: string): Pty {
	const { kernel, process } = thread;
	const pty = makePty(kernel, process.account.ptys);
	if (pty === null) throw new SystemError(errno.ENXIO, name, limitOf(process.account, "ptys"));
	return pty;
}

function invalid(what: string): SystemError {
	return new SystemError(errno.EINVAL, "openpty", what);
}

/** Opens the ends of a new pair, and ends it when they do not get descriptors. */
function open<T>(act: () => T, pty: Pty): T {
	try {
		return act();
	} catch (value) {
		attempt({ value }, () => {
			if (pty.controlled) pty.masterClosed();
		});
		throw value;
	}
}

/**
 * The name of the slave of a master, for `openDevice`: ttyp0, ttyp1 … Errors: EBADF; ENOTTY for
 * what is not a master. Source: ptsname(3).
 */
export function ptsname(thread: Thread, fd: number): string {
	return syscall(thread, "ptsname", () => {
		const file = getFile(thread, fd, "ptsname");
		if (file instanceof PtyMaster) return file.pty.name;
		throw new SystemError(errno.ENOTTY, "ptsname", `descriptor ${fd} is not the master of a pty`);
	});
}

/**
 * Opens the terminal of the caller's session. Errors: EMFILE; ENXIO when it has none. Source:
 * tty(4).
 */
export function openCtty(thread: Thread, kept: number, flags: number): number {
	const { hasTty, pgrp } = thread.process;
	const { tty } = pgrp.session;
	if (!hasTty || !(tty instanceof Tty) || !(tty.driver instanceof Pty))
		throw new SystemError(errno.ENXIO, "open", "the session has no terminal");
	return openSlave(thread, tty.driver.name, kept, flags);
}

/** Opens a slave by name. Errors: EMFILE; ENXIO when there is none, or its master is closed. */
export function openSlave(thread: Thread, name: string, kept: number, flags: number): number {
	const pty = findPty(thread.kernel, name);
	if (pty === null || !pty.controlled)
		throw new SystemError(
			errno.ENXIO,
			"open",
			`terminal ${name} does not exist, or its master is closed`,
		);
	const slave = new PtySlave(pty, kept);
	const fd = openWith(thread, slave, flags);
	slave.opened();
	return fd;
}

// Operations on terminals and their masters.
import { openpty, tcgetattr } from "@kqpoll/files";
import {
	BRKINT,
	ECHO,
	ECHONL,
	ICANON,
	ICRNL,
	IEXTEN,
	IGNCR,
	INLCR,
	ISIG,
	ISTRIP,
	IXON,
	OPOST,
	PARMRK,
	type Termios,
	TTYDEF,
	VMIN,
	VTIME,
} from "@kqpoll/files/termios";
import {
	TIOCFLUSH,
	TIOCOUTQ,
	TIOCPKT,
	TIOCREMOTE,
	TIOCSETA,
	TIOCSIG,
	TIOCSTART,
	TIOCSTOP,
	TIOCUCNTL,
	UIOCCMD,
} from "@kqpoll/files/ttycom";
import { ioctl } from "@kqpoll/kqueue";
import { integer } from "./argument.ts";
import type { Operation, Operations } from "./operation.ts";

/** The operation that is one request of ioctl; its argument is 0 if the trace has none. */
function request(command: number): Operation {
	return (thread, [fd, n]) => ioctl(thread, integer(fd), command, integer(n));
}

export const TERMINALS: Operations = {
	openpty: (thread, [preset = ""]) => {
		const [master, slave] = openpty(thread);
		if (preset !== "c") {
			ioctl(thread, slave, TIOCSETA, changed(tcgetattr(thread, slave), preset));
		}
		return `${master} ${slave}`;
	},
	tcset: (thread, [fd, preset = ""]) => {
		const { iflag, oflag, lflag } = TTYDEF;
		const termios = { ...tcgetattr(thread, integer(fd)), iflag, oflag, lflag };
		return ioctl(thread, integer(fd), TIOCSETA, changed(termios, preset));
	},
	outq: request(TIOCOUTQ),
	tflush: request(TIOCFLUSH),
	tstop: request(TIOCSTOP),
	tstart: request(TIOCSTART),
	pkt: request(TIOCPKT),
	ucntl: request(TIOCUCNTL),
	remote: request(TIOCREMOTE),
	tsig: request(TIOCSIG),
	uioc: (thread, [fd, n]) => ioctl(thread, integer(fd), UIOCCMD(integer(n)), 0),
};

/** Settings, changed as a preset says: c, e, i, or rN and rNtM with VMIN N and VTIME M. */
function changed(termios: Termios, preset: string): Termios {
	const [, kind, vmin, vtime] = /^([ceir])(\d*)t?(\d?)/.exec(preset) ?? [];
	let { iflag, oflag, lflag } = termios;
	if (kind !== "c") lflag = without(lflag, ECHO | ECHONL);
	if (kind === "i" || kind === "r") {
		iflag = without(iflag, BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
		oflag = without(oflag, OPOST);
		lflag = without(lflag, ISIG | IEXTEN);
	}
	const cc = [...termios.cc];
	if (kind === "r") {
		lflag = without(lflag, ICANON);
		cc[VMIN] = integer(vmin);
		cc[VTIME] = integer(vtime);
	}
	return { ...termios, iflag, oflag, lflag, cc };
}

/** A word of flags without some of them, as an unsigned number. */
function without(flags: number, some: number): number {
	return (flags & ~some) >>> 0;
}

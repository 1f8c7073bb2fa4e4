// The filters of the master of a pty.
import { NOTE_OOB } from "@kqpoll/kqueue";
import {
	__EV_HUP,
	__EV_POLL,
	__EV_SELECT,
	type File,
	type Filterops,
	filterops,
	type Knote,
} from "@kqpoll/kqueue/kernel";
import type { Pty } from "./pty.ts";
import { eofFlags, setFlags } from "./tty-filters.ts";

/** What the filters ask of an open master. */
export interface PtyHolder extends File {
	/** The pair it belongs to. */
	readonly pty: Pty;
}

function ptyOf(kn: Knote): Pty {
	return (kn.fp as PtyHolder).pty;
}

/** @kern filt_ptcread */
function readEvent(kn: Knote): boolean {
	const pty = ptyOf(kn);
	const { tty } = pty;
	kn.data = 0;
	if (tty.isOpen) {
		if (!tty.stopped) kn.data = tty.outq.count;
		if (pty.controlPending) kn.data++;
	}
	return setFlags(kn, eofFlags(kn), !tty.carrier) || kn.data > 0;
}

/** @kern filt_ptcwrite */
function writeEvent(kn: Knote): boolean {
	const pty = ptyOf(kn);
	kn.data = pty.room;
	const polled = (kn.flags & (__EV_POLL | __EV_SELECT)) !== 0;
	if (polled && setFlags(kn, __EV_HUP, !pty.tty.carrier)) return true;
	return kn.data > 0;
}

/** @kern filt_ptcexcept */
function exceptEvent(kn: Knote): boolean {
	const pty = ptyOf(kn);
	let active = false;
	if ((kn.sfflags & NOTE_OOB) !== 0 && pty.controlPending) {
		kn.fflags |= NOTE_OOB;
		kn.data = 1;
		active = true;
	}
	if ((kn.flags & __EV_POLL) !== 0 && setFlags(kn, __EV_HUP, !pty.tty.carrier)) active = true;
	return active;
}

/** The slave has written or was closed, or there is a byte of packet or user-control mode. */
export const readFiltops: Filterops = filterops({
	name: "pty read",
	mpsafe: true,
	event: readEvent,
});
/** The slave has room for what is typed. */
export const writeFiltops: Filterops = filterops({
	name: "pty write",
	mpsafe: true,
	event: writeEvent,
});
/** There is a byte of packet or user-control mode; for poll also: the slave was closed. */
export const exceptFiltops: Filterops = filterops({
	name: "pty except",
	mpsafe: true,
	event: exceptEvent,
});

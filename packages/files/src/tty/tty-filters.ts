// The filters of terminals: input, room for output, and for poll hang-ups.
import { EV_EOF } from "@kqpoll/kqueue";
import {
	__EV_HUP,
	__EV_POLL,
	__EV_SELECT,
	type File,
	type Filterops,
	filterops,
	type Knote,
} from "@kqpoll/kqueue/kernel";
import type { Tty } from "./tty.ts";
import { ttnread } from "./tty-transfer.ts";

/** What the filters ask of an open terminal. */
export interface TtyHolder extends File {
	/** The terminal. Once the file is revoked, the scan turns the knote into a dead one. */
	readonly tty: Tty;
}

function holderOf(kn: Knote): TtyHolder {
	return kn.fp as TtyHolder;
}

/** Sets or clears flags of a knote, as they do not stay once set, and returns `on`. */
export function setFlags(kn: Knote, flags: number, on: boolean): boolean {
	kn.flags = on ? kn.flags | flags : kn.flags & ~flags;
	return on;
}

/** EV_EOF, which for poll is also a hang-up. */
export function eofFlags(kn: Knote): number {
	return (kn.flags & __EV_POLL) !== 0 ? EV_EOF | __EV_HUP : EV_EOF;
}

/** @kern filt_ttyread */
function readEvent(kn: Knote): boolean {
	const { tty, revoked } = holderOf(kn);
	if (revoked) return true;
	kn.data = ttnread(tty);
	return setFlags(kn, eofFlags(kn), tty.hungUp) || kn.data > 0;
}

/** @kern filt_ttywrite */
function writeEvent(kn: Knote): boolean {
	const { tty, revoked } = holderOf(kn);
	if (revoked) return true;
	kn.data = tty.outq.limit - tty.outq.count;
	const polled = (kn.flags & (__EV_POLL | __EV_SELECT)) !== 0;
	if (polled && setFlags(kn, __EV_HUP, tty.hungUp)) return true;
	return tty.outq.count <= tty.lowat;
}

/** @kern filt_ttyexcept */
function exceptEvent(kn: Knote): boolean {
	const { tty, revoked } = holderOf(kn);
	return revoked || setFlags(kn, __EV_HUP, tty.hungUp);
}

/** There is input, or it is hung up. */
export const readFiltops: Filterops = filterops({
	name: "tty read",
	mpsafe: true,
	event: readEvent,
});
/** There is room for output. */
export const writeFiltops: Filterops = filterops({
	name: "tty write",
	mpsafe: true,
	event: writeEvent,
});
/** For poll: it is hung up. */
export const exceptFiltops: Filterops = filterops({
	name: "tty except",
	mpsafe: true,
	event: exceptEvent,
});

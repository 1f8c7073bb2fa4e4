// The filters of sockets: to receive, to send, out-of-band data and hang-ups, and a listener's.
import { EV_EOF, NOTE_LOWAT, NOTE_OOB } from "@kqpoll/kqueue";
import {
	__EV_HUP,
	__EV_POLL,
	__EV_SELECT,
	type File,
	type Filterops,
	filterops,
	type Knote,
} from "@kqpoll/kqueue/kernel";
import type { SockBuf } from "./socket-buffer.ts";
import {
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
	SS_ISCONNECTED,
	SS_ISDISCONNECTED,
	SS_RCVATMARK,
} from "./socket-constants.ts";

/** What the filters ask of a socket. */
export interface SocketState extends File {
	/** SS_ flags. */
	readonly state: number;
	/** The pending error, an errno. */
	readonly error: number;
	/** The receive buffer. */
	readonly rcv: SockBuf;
	/** The send buffer. */
	readonly snd: SockBuf;
	/** How many bytes can be received before the out-of-band mark; 0 for no mark. */
	readonly oobmark: number;
	/** Whether nothing can be sent without a connection. */
	readonly connectionRequired: boolean;
	/** Of a listener: the connections that were not accepted yet. */
	readonly queue: readonly SocketState[];
}

function socketOf(kn: Knote): SocketState {
	return kn.fp as SocketState;
}

/** Marks the end of a direction; only the end of the connection is a hang-up. */
function setEof(kn: Knote, so: SocketState): boolean {
	kn.flags |= EV_EOF;
	if ((kn.flags & __EV_POLL) !== 0 && (so.state & SS_ISDISCONNECTED) !== 0) kn.flags |= __EV_HUP;
	kn.fflags = so.error;
	return true;
}

/** @kern filt_soread */
function readEvent(kn: Knote): boolean {
	const so = socketOf(kn);
	const { rcv } = so;
	kn.data = rcv.cc;
	if ((so.state & SS_CANTRCVMORE) !== 0) return setEof(kn, so);
	if (so.error !== 0) return true;
	return kn.data >= ((kn.sfflags & NOTE_LOWAT) !== 0 ? kn.sdata : rcv.lowat);
}

/** @kern filt_sowrite */
function writeEvent(kn: Knote): boolean {
	const so = socketOf(kn);
	const { snd } = so;
	kn.data = snd.space;
	if ((so.state & SS_CANTSENDMORE) !== 0) return setEof(kn, so);
	if (so.error !== 0) return true;
	if (so.connectionRequired && (so.state & SS_ISCONNECTED) === 0) return false;
	return kn.data >= ((kn.sfflags & NOTE_LOWAT) !== 0 ? kn.sdata : snd.lowat);
}

/** @kern filt_soexcept */
function exceptEvent(kn: Knote): boolean {
	const so = socketOf(kn);
	let active = false;
	if ((kn.sfflags & NOTE_OOB) !== 0 && (so.oobmark !== 0 || (so.state & SS_RCVATMARK) !== 0)) {
		kn.fflags |= NOTE_OOB;
		// As in the original this accumulates, unless EV_CLEAR resets it.
		kn.data -= so.oobmark;
		active = true;
	}
	if ((kn.flags & __EV_POLL) !== 0 && (so.state & SS_ISDISCONNECTED) !== 0) {
		kn.flags |= __EV_HUP;
		active = true;
	}
	return active;
}

/** @kern filt_solisten */
function listenEvent(kn: Knote): boolean {
	const so = socketOf(kn);
	kn.data = so.queue.length;
	if ((kn.flags & (__EV_POLL | __EV_SELECT)) === 0) return kn.data !== 0;
	if ((so.state & SS_ISDISCONNECTED) !== 0) {
		kn.flags |= __EV_HUP;
		return true;
	}
	const ended = (so.state & SS_CANTRCVMORE) !== 0 || so.error !== 0;
	return ended || kn.data !== 0 || so.rcv.cc >= so.rcv.lowat;
}

/** There is something to receive, or nothing more will arrive. */
export const readFiltops: Filterops = filterops({
	name: "socket read",
	mpsafe: true,
	event: readEvent,
});
/** There is room to send, or nothing can be sent any more. */
export const writeFiltops: Filterops = filterops({
	name: "socket write",
	mpsafe: true,
	event: writeEvent,
});
/** There is out-of-band data; for poll also: the connection is over. */
export const exceptFiltops: Filterops = filterops({
	name: "socket except",
	mpsafe: true,
	event: exceptEvent,
});
/** A connection can be accepted. */
export const listenFiltops: Filterops = filterops({
	name: "socket listen",
	mpsafe: true,
	event: listenEvent,
});

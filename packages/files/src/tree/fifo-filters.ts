// The filters of fifos: end of file comes when the other end is closed, and goes when it is opened.
import { EV_EOF, EVFILT_EXCEPT, EVFILT_READ, EVFILT_WRITE, errno } from "@kqpoll/kqueue";
import {
	__EV_HUP,
	__EV_POLL,
	__EV_SELECT,
	type File,
	type Filterops,
	FREAD,
	FWRITE,
	filterops,
	type Knote,
	knoteJoin,
} from "@kqpoll/kqueue/kernel";
import { PIPE_BUF } from "../pipe/pipe.ts";
import type { Fifo } from "./fifo.ts";

/** What the filters ask of an open fifo. */
export interface FifoHolder extends File {
	/** Its bytes and its ends. */
	readonly fifo: Fifo;
}

/**
 * Joins a READ knote to an open file that reads, a WRITE knote to one that writes, and poll's
 * EXCEPT knote to any. Returns 0, EINVAL for other knotes, or EPERM where poll and select must ask
 * in another way. Source: fifo_kqfilter.
 */
export function fifoKqfilter(kn: Knote, file: FifoHolder): number {
	const { fifo, flags } = file;
	switch (kn.filter) {
		case EVFILT_READ:
			if ((flags & FREAD) === 0) return errno.EINVAL;
			return knoteJoin(kn, readFiltops, fifo.reading.klist);
		case EVFILT_WRITE:
			// poll then asks for the hang-up only.
			if ((flags & FWRITE) === 0)
				return (kn.flags & (__EV_POLL | __EV_SELECT)) === 0 ? errno.EINVAL : errno.EPERM;
			return knoteJoin(kn, writeFiltops, fifo.writing.klist);
		case EVFILT_EXCEPT:
			// Only poll asks this way, for hang-ups: a fifo has no out-of-band data.
			if ((kn.flags & __EV_SELECT) !== 0) return errno.EPERM;
			if ((kn.flags & __EV_POLL) === 0) return errno.EINVAL;
			return knoteJoin(kn, exceptFiltops, fifo.reading.klist);
		default:
			return errno.EINVAL;
	}
}

function fifoOf(kn: Knote): Fifo {
	return (kn.fp as FifoHolder).fifo;
}

/** Source: filt_fiforead. */
function readEvent(kn: Knote): boolean {
	const { buffer, eof } = fifoOf(kn);
	kn.data = buffer.count;
	kn.flags &= ~(EV_EOF | __EV_HUP);
	if (!eof) return kn.data > 0;
	kn.flags |= EV_EOF;
	if ((kn.flags & __EV_POLL) !== 0) kn.flags |= __EV_HUP;
	return true;
}

/** Source: filt_fifowrite. */
function writeEvent(kn: Knote): boolean {
	const { buffer, reading } = fifoOf(kn);
	kn.data = buffer.room;
	kn.flags &= ~EV_EOF;
	if (reading.opens > 0) return kn.data >= PIPE_BUF;
	kn.flags |= EV_EOF;
	return true;
}

/** Source: filt_fifoexcept. */
function exceptEvent(kn: Knote): boolean {
	const { eof } = fifoOf(kn);
	kn.flags = eof ? kn.flags | __EV_HUP : kn.flags & ~__EV_HUP;
	return eof;
}

const readFiltops: Filterops = filterops({ name: "fifo read", mpsafe: true, event: readEvent });
const writeFiltops: Filterops = filterops({ name: "fifo write", mpsafe: true, event: writeEvent });
const exceptFiltops: Filterops = filterops({
	name: "fifo except",
	mpsafe: true,
	event: exceptEvent,
});

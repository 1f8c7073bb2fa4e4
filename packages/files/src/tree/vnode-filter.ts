// The filters of regular files and directories.
import {
	EV_EOF,
	EV_ONESHOT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	NOTE_EOF,
	NOTE_REVOKE,
} from "@kqpoll/kqueue";
import {
	__EV_POLL,
	__EV_SELECT,
	type File,
	type Filterops,
	filterops,
	type Klist,
	type Knote,
	vnodeEvent,
} from "@kqpoll/kqueue/kernel";

/** What the filters ask of an open file. */
export interface Readable extends File {
	/** How many bytes there are from the offset to the end; negative when it is behind the end. */
	readonly remaining: number;
}

/** Joins a READ, WRITE or VNODE knote to a vnode's list. EINVAL for other filters. */
export function vnodeKqfilter(kn: Knote, klist: Klist): number {
	if (kn.filter === EVFILT_READ) kn.fop = readFiltops;
	else if (kn.filter === EVFILT_WRITE) kn.fop = writeFiltops;
	else if (kn.filter === EVFILT_VNODE) kn.fop = vnodeFiltops;
	else return errno.EINVAL;
	klist.insert(kn);
	return 0;
}

/** The vnode is revoked: the scan turns the knote into a dead one. */
function revokedEvent(kn: Knote): boolean {
	kn.flags |= EV_EOF | EV_ONESHOT;
	return true;
}

function readEvent(kn: Knote, hint: number): boolean {
	if (hint === NOTE_REVOKE) return revokedEvent(kn);
	kn.data = (kn.fp as Readable).remaining;
	if (kn.data === 0 && (kn.sfflags & NOTE_EOF) !== 0) {
		kn.fflags |= NOTE_EOF;
		return true;
	}
	if ((kn.flags & (__EV_POLL | __EV_SELECT)) !== 0) return true;
	return kn.data !== 0;
}

function writeEvent(kn: Knote, hint: number): boolean {
	if (hint === NOTE_REVOKE) return revokedEvent(kn);
	kn.data = 0;
	return true;
}

const readFiltops: Filterops = filterops({ name: "vnode read", mpsafe: true, event: readEvent });
const writeFiltops: Filterops = filterops({ name: "vnode write", mpsafe: true, event: writeEvent });
const vnodeFiltops: Filterops = filterops({ name: "vnode", mpsafe: true, event: vnodeEvent });

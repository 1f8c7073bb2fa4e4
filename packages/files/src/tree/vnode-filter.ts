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
	type Knote,
	vnodeEvent,
} from "@kqpoll/kqueue/kernel";
import type { Vnode } from "./vnode.ts";

/** What the filters ask of an open file. */
export interface Readable extends File {
	/** How many bytes there are from the offset to the end; negative when it is behind the end. */
	readonly remaining: number;
	/** What is open. */
	readonly vnode: Vnode;
}

const POLLS = __EV_POLL | __EV_SELECT;

/**
 * Joins a READ, WRITE or VNODE knote to a vnode's list. EINVAL for other filters; for VNODE the errno
 * of a file system that has no way to learn of changes from outside.
 */
export function vnodeKqfilter(kn: Knote, vnode: Vnode): number {
	if (kn.filter === EVFILT_READ) kn.fop = readFiltops;
	else if (kn.filter === EVFILT_WRITE) kn.fop = writeFiltops;
	else if (kn.filter === EVFILT_VNODE) kn.fop = vnodeFiltops;
	else return errno.EINVAL;
	// Poll and select do not wait for files: these are always ready.
	const error = (kn.flags & POLLS) === 0 ? vnode.watched(kn) : 0;
	if (error !== 0 && kn.filter === EVFILT_VNODE) return error;
	vnode.klist.insert(kn);
	return 0;
}

function detach(kn: Knote): void {
	kn.klist?.remove(kn);
	if ((kn.flags & POLLS) === 0) (kn.fp as Readable).vnode.unwatched(kn);
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
	if ((kn.flags & POLLS) !== 0) return true;
	return kn.data !== 0;
}

function writeEvent(kn: Knote, hint: number): boolean {
	if (hint === NOTE_REVOKE) return revokedEvent(kn);
	kn.data = 0;
	return true;
}

const readFiltops: Filterops = filterops({
	name: "vnode read",
	mpsafe: true,
	detach,
	event: readEvent,
});
const writeFiltops: Filterops = filterops({
	name: "vnode write",
	mpsafe: true,
	detach,
	event: writeEvent,
});
const vnodeFiltops: Filterops = filterops({
	name: "vnode",
	mpsafe: true,
	detach,
	event: vnodeEvent,
});

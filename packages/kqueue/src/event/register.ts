// Changes to a kqueue: add, modify, delete, enable, disable.

import {
	__EV_POLL,
	__EV_SELECT,
	EV_ADD,
	EV_DELETE,
	EV_DISABLE,
	EV_ENABLE,
	EV_ERROR,
	EVFILT_SYSCOUNT,
	KN_ATTACHING,
	KN_DISABLED,
	KN_NOTIFYING,
	KN_PROCESSING,
	KN_VNODE,
} from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import type { Kevent } from "../abi/kevent.ts";
import { kassert } from "../base/assert.ts";
import { attempt, rethrow } from "../base/failure.ts";
import { trace } from "../base/trace.ts";
import { type File, fileHold } from "../file/file.ts";
import type { Thread } from "../process/thread.ts";
import { type Filterops, knoteModify } from "./filterops.ts";
import { badfdFiltops } from "./filters/badfd.ts";
import { Knote } from "./knote.ts";
import {
	filterProcess,
	knoteAcquire,
	knoteActivate,
	knoteAttach,
	knoteDrop,
	knoteRelease,
} from "./knote-ops.ts";
import { knoteFind, knoteFindHashed, kqueueExpandHash, kqueueExpandList } from "./knote-table.ts";
import type { Kqueue } from "./kqueue.ts";
import { kqueueUnbusy } from "./kqueue-ops.ts";

/**
 * Applies one change to a kqueue, and returns 0 or an errno. `kev` is an object of the engine: when
 * a knote is created, its fflags and data become 0.
 *
 * `pollid` is 0, or in a thread's own kqpoll the number of the entry plus one, or in an owned
 * kqueue the number of the source. `thread` is the caller, null for the engine itself.
 * @kern kqueue_register
 */
export function kqueueRegister(
	kq: Kqueue,
	kev: Kevent,
	pollid: number,
	thread: Thread | null,
): number {
	kassert(
		pollid === 0 || kq.owner !== null || thread?.kq === kq,
		"only a thread's own kqpoll and owned kqueues have pollids",
	);
	const { filter, flags } = kev;
	const error = resolve(kq, kev, pollid, thread);
	if (kq.kernel.observer !== null) traceRegister(kq, kev.ident, filter, flags, error);
	return error;
}

/** Finds the filter, file and knote of a change, and applies it to them. */
function resolve(kq: Kqueue, kev: Kevent, pollid: number, thread: Thread | null): number {
	const { ident, filter, flags } = kev;
	const add = (flags & EV_ADD) !== 0;
	const fops = systemFilter(kq, filter);
	if (fops === null) return errno.EINVAL;
	let fp: File | null = null;
	let kn: Knote | null;
	if (fops.isfd !== false) {
		fp = kq.fdp.get(ident);
		if (fp === null) return errno.EBADF;
		if (add) kqueueExpandList(kq, ident);
		kn = knoteFind(kq, ident, filter, pollid);
	} else {
		if (!Number.isSafeInteger(ident)) return errno.EINVAL;
		if (add) kqueueExpandHash(kq);
		kn = knoteFindHashed(kq, ident, filter, pollid);
	}
	if (kn !== null) {
		// The original would wait until the knote is released; here a callback would wait for itself.
		if (!knoteAcquire(kn)) return errno.EDEADLK;
		if (add && kn.fop === badfdFiltops) {
			// The event of this bad descriptor is no longer expected: make room for the new knote.
			kassert(thread !== null && kq === thread.kq, "bad descriptors are in the caller's kqpoll");
			kassert(fp !== null, "the descriptor is open again");
			knoteDrop(kn, thread, true);
			kn = null;
		}
	}
	if (kn === null) return add ? create(kq, fops, fp, kev, pollid, thread) : errno.ENOENT;
	if (!add && (flags & EV_DELETE) !== 0) {
		knoteDrop(kn, thread, true);
		return 0;
	}
	try {
		if (add) return modify(kn, kev);
		setEnabled(kn, flags);
		return 0;
	} finally {
		knoteRelease(kn);
	}
}

/**
 * Does what {@link kqueueRegister} would do, for entries of a poll or select whose knotes are known
 * from the last call: the entries from `from` on, below `to`. Entry i asks for the same again,
 * under serial `first + i * step`. A knote that is still there need not be searched for, and only
 * its serial changes. Its filter is asked anyway: an object may change without a notification.
 *
 * Returns the number of the first entry that needs register, or `to`: the knote of that entry is
 * gone, acquired or disabled, or its filter has its own `modify`.
 */
export function kqueueRefresh(
	kq: Kqueue,
	knotes: readonly (Knote | null)[],
	from: number,
	to: number,
	first: number,
	step: number,
): number {
	let asked: Knote | null = null;
	const observed = kq.kernel.observer !== null;
	let serial = first + from * step;
	let i = from;
	kq.busy++;
	try {
		for (; i < to; i++) {
			const kn = knotes[i] as Knote | null;
			// A knote without a file was dropped, or its descriptor closed.
			if (kn === null || kn.fp === null) break;
			const { fop, status } = kn;
			if ((status & (KN_PROCESSING | KN_NOTIFYING | KN_DISABLED)) !== 0) break;
			if (fop.modify !== knoteModify) break;
			asked = kn;
			kn.status = status | KN_PROCESSING;
			kn.udata = serial;
			serial += step;
			if (fop.event(kn, 0)) knoteActivate(kn);
			kn.status &= ~KN_PROCESSING;
			if (observed) traceRefresh(kn);
		}
	} finally {
		if (asked !== null) asked.status &= ~KN_PROCESSING;
		kqueueUnbusy(kq);
	}
	return i;
}

function traceRefresh({ kq, ident, filter, flags }: Knote): void {
	const kind = flags & (__EV_POLL | __EV_SELECT);
	traceRegister(kq, ident, filter, EV_ADD | EV_ENABLE | kind, 0);
}

function traceRegister(
	kq: Kqueue,
	ident: number,
	filter: number,
	flags: number,
	error: number,
): void {
	if (kq.kernel.sink !== null)
		trace(kq.kernel, { event: "register", kq: kq.id, ident, filter, flags, error });
}

function systemFilter(kq: Kqueue, filter: number): Filterops | null {
	if (filter >= 0 || filter < -EVFILT_SYSCOUNT) return null;
	return kq.sysfilters[~filter] as Filterops | null;
}

/** Makes a knote, attaches it to its object, and checks whether there is an event already. */
function create(
	kq: Kqueue,
	fops: Filterops,
	fp: File | null,
	kev: Kevent,
	pollid: number,
	thread: Thread | null,
): number {
	if (!kq.fdp.account.knotes.hasRoom(1)) return errno.ENOMEM;
	const kn = new Knote(kq, fops, kev.ident, kev.filter, kev.flags, kev.udata, pollid);
	kn.status = KN_PROCESSING | KN_ATTACHING;
	kq.busy++;
	if (fp !== null) {
		if (fp.type === "vnode") kn.status |= KN_VNODE;
		kn.fp = fp;
		fileHold(fp);
	}
	kn.sfflags = kev.fflags | 0;
	kn.sdata = kev.data;
	kev.fflags = 0;
	kev.data = 0;
	knoteAttach(kn);

	let joined = false;
	try {
		const error = filterAttach(kn, thread);
		if (error !== 0) {
			kn.fop = fops;
			knoteDrop(kn, thread, false);
			return error;
		}
		joined = true;
		if (fops.isfd && kq.fdp.get(kn.ident) !== kn.fp) {
			// The descriptor was closed while the knote was added: as if it was added just before the
			// close, there is no error.
			knoteDrop(kn, thread, true);
			return 0;
		}
		if (filterProcess(kn, null)) knoteActivate(kn);
		setEnabled(kn, kev.flags);
	} catch (thrown) {
		// An incomplete knote must not stay; if its detach threw, it is dropped already.
		if (!joined) kn.fop = fops;
		if ((kn.status & KN_PROCESSING) !== 0) dropAfter(thrown, kn, thread, joined);
		throw thrown;
	}
	knoteRelease(kn);
	return 0;
}

/** Drops a knote after an error, and throws that error. */
function dropAfter(value: unknown, kn: Knote, thread: Thread | null, joined: boolean): void {
	rethrow(attempt({ value }, () => knoteDrop(kn, thread, joined)));
}

/** Changes an acquired knote. If its event has triggered, it stays triggered. */
function modify(kn: Knote, kev: Kevent): number {
	if (filterModify(kev, kn)) knoteActivate(kn);
	if ((kev.flags & EV_ERROR) !== 0) return kev.data;
	setEnabled(kn, kev.flags);
	return 0;
}

/** Disables and enables an acquired knote, in this order. */
function setEnabled(kn: Knote, flags: number): void {
	if ((flags & EV_DISABLE) !== 0) kn.status |= KN_DISABLED;
	if ((flags & EV_ENABLE) === 0 || (kn.status & KN_DISABLED) === 0) return;
	kn.status &= ~KN_DISABLED;
	try {
		if (filterProcess(kn, null)) knoteActivate(kn);
	} catch (thrown) {
		kn.status |= KN_DISABLED;
		throw thrown;
	}
}

/**
 * Attaches a knote. Meanwhile the caller is the current thread, where filters look for it.
 * @kern filter_attach
 */
function filterAttach(kn: Knote, thread: Thread | null): number {
	const { kernel } = kn.kq;
	const { curthread } = kernel;
	// To follow a fork, the engine registers on behalf of the thread that forked.
	if (thread !== null) kernel.curthread = thread;
	try {
		return kn.fop.attach(kn);
	} finally {
		kernel.curthread = curthread;
		kn.status &= ~KN_ATTACHING;
	}
}

/** @kern filter_modify */
function filterModify(kev: Kevent, kn: Knote): boolean {
	return kn.fop.modify(kev, kn);
}

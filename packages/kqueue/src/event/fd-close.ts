// Closing a descriptor number: its file is released, and its knotes are dropped or report it.
import {
	__EV_POLL,
	__EV_SELECT,
	KN_ATTACHING,
	KN_DISABLED,
	KN_NOTIFYING,
	KN_PROCESSING,
} from "../abi/constants.ts";
import { kassert } from "../base/assert.ts";
import { attempt, type Failure, rethrow } from "../base/failure.ts";
import { trace } from "../base/trace.ts";
import { type File, fileRelease } from "../file/file.ts";
import type { FileTable } from "../file/filedesc.ts";
import type { Process } from "../process/process.ts";
import type { Thread } from "../process/thread.ts";
import { badfdFiltops } from "./filters/badfd.ts";
import type { Knote } from "./knote.ts";
import {
	filterDetach,
	isExpired,
	knoteAcquire,
	knoteActivate,
	knoteDrop,
	knoteRelease,
	observe,
} from "./knote-ops.ts";
import { firstKnote, listOf, pageOf } from "./knote-table.ts";
import type { Kqueue } from "./kqueue.ts";

/**
 * Puts another file at a descriptor number, or no file, which closes it: the knotes of the number
 * are dropped, then the file that was there is released. All of this is done, then the first error
 * is thrown.
 */
export function fdReplace(process: Process, fd: number, file: File | null, thread: Thread): void {
	const { fdp, kernel, pid } = process;
	const old = fdp.replace(fd, file);
	if (old === null) return;
	if (kernel.sink !== null) trace(kernel, { event: "close", pid, fd });
	const failure = attempt(null, () => knoteFdclose(fdp, fd, thread));
	fileRelease(old, thread, failure);
}

/**
 * Removes all knotes on a descriptor number that is being closed, from every kqueue of the table.
 * @kern knote_fdclose
 */
function knoteFdclose(fdp: FileTable, fd: number, thread: Thread | null): void {
	let failure: Failure = null;
	for (const kq of fdp.kqueuesOf(fd)) {
		try {
			knoteRemove(kq, pageOf(kq, fd), listOf(fd), false, thread);
		} catch (value) {
			failure ??= { value };
		}
	}
	rethrow(failure);
}

/** Whether a callback is running for a knote of that descriptor: then it cannot be closed now. */
export function isFdBusy(fdp: FileTable, fd: number): boolean {
	for (const kq of fdp.kqueuesOf(fd)) {
		if (kq.busy === 0) continue;
		for (let kn = firstKnote(kq, fd); kn !== null; kn = kn.link) {
			if ((kn.status & KN_ATTACHING) !== 0) continue;
			if ((kn.status & (KN_PROCESSING | KN_NOTIFYING)) !== 0) return true;
		}
	}
	return false;
}

/**
 * Removes the knotes on one list of a kqueue. Unless the kqueue is purged, two kinds stay, as
 * knotes of a bad descriptor: those of poll and select that their thread may still expect, which
 * wake it, and those that the kqueue's owner expects, which are reported to it.
 *
 * The caller has made sure that no knote is acquired, except for one that is being attached:
 * register handles that one, when it finds the descriptor closed. What a filter throws is thrown
 * when all are removed.
 * @kern knote_remove
 */
export function knoteRemove(
	kq: Kqueue,
	lists: (Knote | null)[],
	index: number,
	purge: boolean,
	thread: Thread | null,
): void {
	let failure: Failure = null;
	// The last one that stays, and what the head of the list was after it was dealt with.
	let stayed: Knote | null = null;
	let head: Knote | null = null;
	let kn = nextRemovable(lists[index] ?? null, purge);
	while (kn !== null) {
		kassert(kn.kq === kq, "a kqueue's lists hold its own knotes");
		kassert(knoteAcquire(kn), "a knote that is removed is not acquired");
		try {
			if (!purge && isExpected(kn, thread)) {
				stayed = kn;
				turnBad(kn, thread);
			} else knoteDrop(kn, thread, true);
		} catch (value) {
			failure ??= { value };
		}
		// Callbacks may have run. The original begins again at the head; what is before the last knote
		// that stays need not be looked at again, unless knotes were added there.
		const first = lists[index] ?? null;
		const isThere = stayed !== null && (stayed.prev !== null || first === stayed);
		kn = nextRemovable(isThere && first === head ? (stayed as Knote).link : first, purge);
		head = first;
	}
	rethrow(failure);
}

/** The first knote from `kn` on that has to be removed. */
function nextRemovable(kn: Knote | null, purge: boolean): Knote | null {
	let at = kn;
	while (at !== null && ((!purge && at.fop === badfdFiltops) || (at.status & KN_ATTACHING) !== 0)) {
		at = at.link;
	}
	return at;
}

/** Whether the owner, or a poll or select, has to be told that the descriptor was closed. */
function isExpected(kn: Knote, thread: Thread | null): boolean {
	const { owner } = kn.kq;
	if (owner !== null) return owner.expects(kn, thread);
	if ((kn.flags & (__EV_POLL | __EV_SELECT)) === 0) return false;
	return thread === null || !isExpired(kn, thread);
}

/** Uses the knote to tell poll, select or the owner that its descriptor was closed. */
function turnBad(kn: Knote, thread: Thread | null): void {
	kassert(kn.fop.isfd, "only descriptors are closed");
	const { fp } = kn;
	const failure = attempt(null, () => filterDetach(kn));
	kn.klist?.remove(kn);
	kn.fp = null;
	kn.fop = badfdFiltops;
	kn.fop.event(kn, 0);
	// This is reported even to a watcher that has not asked for its next event.
	kn.status &= ~KN_DISABLED;
	if (kn.kq.kernel.observer !== null) observe(kn, "badfd");
	knoteActivate(kn);
	knoteRelease(kn);
	if (fp === null) rethrow(failure);
	else fileRelease(fp, thread, failure);
}

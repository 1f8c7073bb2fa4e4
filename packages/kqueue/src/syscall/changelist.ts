// The first half of a kevent: its changes.
import { EV_ERROR, EV_RECEIPT, EV_SYSFLAGS, KQ_NEVENTS } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import {
	copyinKevent,
	copyoutKevent,
	eventList,
	type Kevent,
	type KeventChange,
} from "../abi/kevent.ts";
import { faultOf, isObject } from "../abi/values.ts";
import type { Kqueue } from "../event/kqueue.ts";
import { formatRefusal } from "../event/refusal.ts";
import { kqueueRegister } from "../event/register.ts";
import type { Thread } from "../process/thread.ts";

/**
 * Where changes are copied to before they are applied, eight at a time; used by one call after the
 * other.
 */
export class ChangeBuffer {
	/** The changes. */
	readonly batch: Kevent[] = eventList(KQ_NEVENTS);
	/** What is wrong with each of them; "" if all of its fields fit. */
	readonly misfits: string[] = new Array<string>(KQ_NEVENTS).fill("");
	/** Whether a call uses it. */
	busy = false;
}

/** What {@link applyChanges} returns when the call continues with its events. */
export const GO_ON = -1;

/**
 * Applies the first `nchanges` changes of a kevent, with a buffer that no other call uses. Returns
 * the call's result if they end it: how many of the `nevents` entries of the event list have errors
 * and receipts, or 0 when there was no entry for a receipt. Throws EFAULT for a change that is not
 * an object, and the errno of a change for which there was no entry.
 */
export function applyChanges(
	buffer: ChangeBuffer,
	thread: Thread,
	kq: Kqueue,
	changes: readonly KeventChange[],
	nchanges: number,
	events: (Kevent | undefined)[],
	nevents: number,
): number {
	const { batch, misfits } = buffer;
	let slot = 0;
	buffer.busy = true;
	try {
		for (let done = 0; done < nchanges; done += KQ_NEVENTS) {
			const n = Math.min(nchanges - done, KQ_NEVENTS);
			copyin(buffer, changes, done, n);
			for (let i = 0; i < n; i++) {
				const kev = batch[i] as Kevent;
				const misfit = misfits[i] as string;
				kev.flags &= ~EV_SYSFLAGS;
				const error = misfit === "" ? kqueueRegister(kq, kev, 0, thread) : errno.EINVAL;
				if (error === 0 && (kev.flags & EV_RECEIPT) === 0) continue;
				if (slot === nevents) {
					if (error === 0) return 0;
					throw failed(error, done + i, misfit || formatRefusal(kq, kev, error));
				}
				answer(kev, error, events, slot++);
			}
		}
	} finally {
		buffer.busy = false;
	}
	return slot > 0 ? slot : GO_ON;
}

/** Copies `n` changes from the one at `from` on. Throws EFAULT for what cannot be read. */
function copyin(
	{ batch, misfits }: ChangeBuffer,
	changes: readonly KeventChange[],
	from: number,
	n: number,
): void {
	let i = 0;
	try {
		for (; i < n; i++) {
			const change = changes[from + i];
			if (!isObject(change)) throw notAnObject(from + i);
			misfits[i] = copyinKevent(change, batch[i] as Kevent);
		}
	} catch (error) {
		throw failed(faultOf(error), from + i, "cannot be read");
	}
}

function failed(error: number, index: number, why: string): SystemError {
	return new SystemError(error, "kevent", `change ${index}: ${why}`);
}

function notAnObject(index: number): SystemError {
	return new SystemError(errno.EFAULT, "kevent", `change ${index} is not an object`);
}

/** Writes the result of a change. As in C, an entry that cannot be written counts anyway. */
function answer(kev: Kevent, error: number, events: (Kevent | undefined)[], slot: number): void {
	kev.flags = EV_ERROR;
	kev.data = error;
	try {
		copyoutKevent(kev, events, slot);
	} catch (thrown) {
		faultOf(thrown);
	}
}

// The first half of a kevent: its changes.
import { EV_ERROR, EV_RECEIPT, EV_SYSFLAGS, KQ_NEVENTS } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import {
	copyinKevent,
	copyoutKevent,
	eventList,
	type Kevent,
	type KeventChange,
	misfit,
} from "../abi/kevent.ts";
import { faultOf } from "../abi/values.ts";
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
	const { batch } = buffer;
	let slot = 0;
	buffer.busy = true;
	try {
		for (let done = 0; done < nchanges; done += KQ_NEVENTS) {
			const n = Math.min(nchanges - done, KQ_NEVENTS);
			// A bit for each change with a field that is out of range.
			let invalid = 0;
			for (let i = 0; i < n; i++) {
				const error = copyinKevent(changes[done + i] as KeventChange, batch[i] as Kevent);
				if (error === 0) continue;
				if (error === errno.EFAULT) throw notAnObject(done + i);
				invalid |= 1 << i;
			}
			for (let i = 0; i < n; i++) {
				const kev = batch[i] as Kevent;
				kev.flags &= ~EV_SYSFLAGS;
				const valid = (invalid & (1 << i)) === 0;
				const error = valid ? kqueueRegister(kq, kev, 0, thread) : errno.EINVAL;
				if (error === 0 && (kev.flags & EV_RECEIPT) === 0) continue;
				if (slot === nevents) {
					if (error === 0) return 0;
					const change = changes[done + i] as KeventChange;
					throw failed(error, done + i, valid ? formatRefusal(kq, kev, error) : misfit(change));
				}
				answer(kev, error, events, slot++);
			}
		}
	} finally {
		buffer.busy = false;
	}
	return slot > 0 ? slot : GO_ON;
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

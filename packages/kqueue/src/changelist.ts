// The first half of a kevent: its changes.
import { EV_ERROR, EV_RECEIPT, EV_SYSFLAGS, KQ_NEVENTS } from "./constants.ts";
import { errno, SystemError } from "./errno.ts";
import { filterName } from "./format.ts";
import {
	copyinKevent,
	copyoutKevent,
	eventList,
	type Kevent,
	type KeventChange,
} from "./kevent.ts";
import type { Kqueue } from "./kqueue.ts";
import { kqueueRegister } from "./register.ts";
import type { Thread } from "./thread.ts";
import { faultOf, show } from "./values.ts";

/** Where changes are copied to on their way in, eight at a time; serves one call after the other. */
export class ChangeBuffer {
	/** The changes. */
	readonly batch: Kevent[] = eventList(KQ_NEVENTS);
	/** For each of them, what is wrong with its fields: 0 or an errno. */
	readonly invalid: number[] = new Array<number>(KQ_NEVENTS).fill(0);
}

/** What {@link applyChanges} gives when the changes are not all that there is to the call. */
export const GO_ON = -1;

/**
 * Applies the changes of a kevent. Gives the call's result if they end it: how many of the
 * `nevents` entries of the event list tell of errors and receipts, or 0 when there was no entry
 * for a receipt. Throws EFAULT for a change that is no object, and the errno of a change that
 * there was no entry for.
 */
export function applyChanges(
	thread: Thread,
	kq: Kqueue,
	changes: readonly KeventChange[],
	events: (Kevent | undefined)[],
	nevents: number,
): number {
	const { kernel } = thread;
	// While it is in use a getter or filter that makes changes of its own finds none.
	const buffer = kernel.changeBuffer ?? new ChangeBuffer();
	kernel.changeBuffer = null;
	const { batch, invalid } = buffer;
	let slot = 0;
	try {
		for (let done = 0; done < changes.length; done += KQ_NEVENTS) {
			const n = Math.min(changes.length - done, KQ_NEVENTS);
			for (let i = 0; i < n; i++) {
				const error = copyinKevent(changes[done + i] as KeventChange, batch[i] as Kevent);
				if (error === errno.EFAULT)
					throw new SystemError(error, "kevent", `change ${done + i} is no object`);
				invalid[i] = error;
			}
			for (let i = 0; i < n; i++) {
				const kev = batch[i] as Kevent;
				kev.flags &= ~EV_SYSFLAGS;
				const error = invalid[i] || kqueueRegister(kq, kev, 0, thread);
				if (error === 0 && (kev.flags & EV_RECEIPT) === 0) continue;
				if (slot === nevents) {
					if (error === 0) return 0;
					const what = invalid[i] === 0 ? describe(kev) : "a field is out of range";
					throw new SystemError(error, "kevent", `change ${done + i}: ${what}`);
				}
				answer(kev, error, events, slot++);
			}
		}
	} finally {
		kernel.changeBuffer = buffer;
	}
	return slot > 0 ? slot : GO_ON;
}

function describe({ filter, ident }: Kevent): string {
	return `${filterName(filter)} ${show(ident)}`;
}

/** Writes what became of a change. As in C, an entry that cannot be written counts all the same. */
function answer(kev: Kevent, error: number, events: (Kevent | undefined)[], slot: number): void {
	kev.flags = EV_ERROR;
	kev.data = error;
	try {
		copyoutKevent(kev, events, slot);
	} catch (thrown) {
		faultOf(thrown);
	}
}

// kqueue(2) and kevent(2).

import { BlockingCall, callNow, enter, leave, type SleepOptions, syscall } from "./call.ts";
import { callAsync } from "./call-async.ts";
import { EV_ERROR, EV_RECEIPT, EV_SYSFLAGS, KQ_NEVENTS } from "./constants.ts";
import { errno, SystemError, unwrap } from "./errno.ts";
import { fileHold, fileRelease } from "./file.ts";
import { filterName } from "./format.ts";
import { copyinKevent, copyKevent, Kevent, type KeventChange } from "./kevent.ts";
import type { Kqueue } from "./kqueue.ts";
import { KqueueFile, kqueueAlloc } from "./kqueue-file.ts";
import type { Kernel } from "./machine.ts";
import { kqueueRegister } from "./register.ts";
import { kqueueScan, kqueueScanFinish, kqueueScanSetup, ScanState } from "./scan.ts";
import type { WaitChannel } from "./sleep.ts";
import type { Thread } from "./thread.ts";
import { type Timespec, timespecToNs } from "./time.ts";
import { faultOf, show } from "./values.ts";

/**
 * Makes a kqueue and gives its descriptor: the lowest free number. It is not inherited by fork,
 * and stays open over exec.
 *
 * Errors: EMFILE. Source: kqueue(2).
 * @kern sys_kqueue
 */
export function kqueue(thread: Thread): number {
	return syscall(thread, "kqueue", () => {
		const { fdp } = thread.process;
		const fd = unwrap(fdp.findFree(), "kqueue", `the limit is ${fdp.limit}`);
		const kq = kqueueAlloc(thread.kernel, fdp);
		fdp.insertKqueue(kq);
		fdp.insert(fd, new KqueueFile(kq));
		return fd;
	});
}

/**
 * Applies `changelist` to a kqueue, then waits for events and writes them into `eventlist`, over
 * the objects that are in it; gives their number. The event list's length is how many fit; with
 * none, or null, nothing is waited for. `timeout` null waits for ever, a zero one not at all.
 *
 * A change that fails, or asks with EV_RECEIPT, is answered by an EV_ERROR entry whose `data` is
 * the errno, or 0; then no events are collected. Without room for the entry, the errno is the
 * call's, and the changes that follow it are not applied.
 *
 * Rejects with: EBADF no such kqueue, or it was closed while the call slept; EINVAL timeout out of
 * range; EFAULT a list that is no array, a change that is no object, an event that cannot be
 * written; EINTR a signal; EBUSY the thread sleeps already; EDEADLK it is called by a callback of
 * another of the thread's calls; ESRCH the thread has exited; the errno of a change, as above; the
 * reason of `options.signal`. Source: kevent(2).
 */
export function kevent(
	thread: Thread,
	kq: number,
	changelist: readonly KeventChange[] | null,
	eventlist: Kevent[] | null,
	timeout: Timespec | null,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "kevent", options, () => {
		const file = kqueueFile(thread, kq);
		const ns = timespecToNs(timeout, "kevent");
		const changes = checkList(changelist, "changelist");
		const events = checkList(eventlist, "eventlist");
		return begin(thread, file, changes, events, ns);
	});
}

/**
 * As {@link kevent} with a timeout of zero, without a promise: never sleeps, throws instead of
 * rejecting, and can be called on a thread that sleeps.
 */
export function keventNow(
	thread: Thread,
	kq: number,
	changelist: readonly KeventChange[] | null,
	eventlist: Kevent[] | null,
): number {
	enter(thread, "kevent");
	try {
		const file = kqueueFile(thread, kq);
		const changes = checkList(changelist, "changelist");
		const events = checkList(eventlist, "eventlist");
		// With nothing to apply and no sleep to come back from, there is no call to remember.
		if (changes.length === 0) return takeNow(thread, file.kq, events);
		const call = begin(thread, file, changes, events, 0);
		return typeof call === "number" ? call : callNow(call);
	} finally {
		leave(thread);
	}
}

function kqueueFile(thread: Thread, fd: number): KqueueFile {
	const file = thread.process.fdp.get(fd);
	if (file instanceof KqueueFile) return file;
	throw new SystemError(errno.EBADF, "kevent", `${show(fd)} is no kqueue`);
}

/** Takes the events that there are. */
function takeNow(thread: Thread, kq: Kqueue, events: Kevent[]): number {
	const scan = idleScan(thread.kernel);
	let result = 0;
	kqueueScanSetup(scan, kq);
	try {
		result = handOut(scan, events, 0, events.length, thread, null);
	} finally {
		kqueueScanFinish(scan);
	}
	return unwrap(result, "kevent");
}

/** The scan of calls that do not sleep, or a new one inside of such a call. */
function idleScan(kernel: Kernel): ScanState {
	const { scan } = kernel;
	if (scan !== null && scan.kq === null) return scan;
	kernel.scan = new ScanState(KQ_NEVENTS);
	return kernel.scan;
}

/**
 * Applies the changes. Gives the call that waits for events, or the result when there is nothing
 * to wait for.
 * @kern sys_kevent
 */
function begin(
	thread: Thread,
	file: KqueueFile,
	changes: readonly KeventChange[],
	events: Kevent[],
	timeout: number,
): KeventCall | number {
	const call = spareCall(thread);
	if (changes.length === 0) {
		// Nothing of the program's runs before the scan holds the kqueue.
		call.prepare(thread, events, timeout);
		call.watch(file.kq);
		return call;
	}
	// A getter of the program may close the kqueue: it stays until the changes are through.
	fileHold(file);
	let watching = false;
	try {
		call.prepare(thread, events, timeout);
		const result = call.change(file.kq, changes);
		if (result !== 0 || call.ended) return unwrap(result, "kevent", call.culprit);
		// Without an event list nothing is waited for.
		if (events.length === 0) return 0;
		call.watch(file.kq);
		watching = true;
	} finally {
		if (!watching) call.recycle(thread);
		letGo(file, call, watching);
	}
	return call;
}

/** Gives the reference back; should closing the kqueue throw, the call is not left half begun. */
function letGo(file: KqueueFile, call: KeventCall, watching: boolean): void {
	try {
		fileRelease(file, call.thread);
	} catch (error) {
		if (watching) call.end();
		throw error;
	}
}

const NOTHING: never[] = [];

/** A call to set up: one that ended, if there is one. */
function spareCall(thread: Thread): KeventCall {
	const { kernel } = thread;
	const call = kernel.keventCall;
	if (call === null) return new KeventCall(thread);
	kernel.keventCall = call.nextSpare;
	return call;
}

function checkList<T>(list: T[] | readonly T[] | null, name: string): T[] {
	if (list === null || list === undefined) return NOTHING;
	if (Array.isArray(list)) return list;
	throw new SystemError(errno.EFAULT, "kevent", `the ${name} is no array`);
}

function describeChange(index: number, { filter, ident }: Kevent, invalid: boolean): string {
	const what = invalid ? "a field is out of range" : `${filterName(filter)} ${show(ident)}`;
	return `change ${index}: ${what}`;
}

/** A kevent under way. */
export class KeventCall extends BlockingCall {
	/** Its scan; the scan's memory also serves changes on their way in, eight at a time. */
	readonly scan: ScanState = new ScanState(KQ_NEVENTS);
	private readonly invalid: number[] = new Array<number>(KQ_NEVENTS).fill(0);
	private events: (Kevent | undefined)[] = NOTHING;
	/** How many entries the event list has, from the beginning of the call on. */
	private nevents = 0;
	/** Where the next entry goes in the event list. */
	private slot = 0;
	/** The next of those that can be used again, while it is one itself. */
	nextSpare: KeventCall | null = null;
	/** Whether the changes were all that there is to the call. */
	ended = false;
	/** Which change ended it, for the message. */
	culprit = "";

	/** Makes a call that is not begun. */
	constructor(thread: Thread) {
		super(thread, "kevent");
	}

	/** Sets the call up, perhaps not for the first time. */
	prepare(thread: Thread, events: Kevent[], timeout: number): void {
		this.thread = thread;
		this.events = events;
		this.nevents = events.length;
		this.timeout = timeout;
		this.deadline = -1;
		this.slot = 0;
		this.ended = false;
	}

	/**
	 * Applies the changes. Gives a negative errno, or how many entries were written for errors and
	 * receipts; `ended` says that a receipt had no room, which ends the call too.
	 */
	change(kq: Kqueue, changes: readonly KeventChange[]): number {
		const { invalid, thread } = this;
		const { batch } = this.scan;
		for (let done = 0; done < changes.length; done += KQ_NEVENTS) {
			const n = Math.min(changes.length - done, KQ_NEVENTS);
			for (let i = 0; i < n; i++) {
				const error = copyinKevent(changes[done + i] as KeventChange, batch[i] as Kevent);
				if (error === errno.EFAULT) {
					this.culprit = `change ${done + i} is no object`;
					return -error;
				}
				invalid[i] = error;
			}
			for (let i = 0; i < n; i++) {
				const kev = batch[i] as Kevent;
				kev.flags &= ~EV_SYSFLAGS;
				const error = invalid[i] || kqueueRegister(kq, kev, 0, thread);
				if (error === 0 && (kev.flags & EV_RECEIPT) === 0) continue;
				if (this.slot === this.nevents) {
					this.ended = true;
					this.culprit = describeChange(done + i, kev, invalid[i] !== 0);
					return error === 0 ? 0 : -error;
				}
				kev.flags = EV_ERROR;
				kev.data = error;
				// As in C, an entry that cannot be written counts all the same.
				try {
					copyout(kev, this.events, this.slot++);
				} catch (thrown) {
					faultOf(thrown);
				}
			}
		}
		return this.slot;
	}

	/** Goes on to the events. */
	watch(kq: Kqueue): void {
		kqueueScanSetup(this.scan, kq);
	}

	/** What a kevent sleeps on. */
	override get channel(): WaitChannel {
		return (this.scan.kq as Kqueue).channel;
	}

	/** Collects events; only before the first of them does it sleep. */
	override step(woken: number): number {
		if (woken === errno.EINTR) return -woken;
		return handOut(this.scan, this.events, this.slot, this.nevents, this.thread, this);
	}

	/** Ends the scan. */
	override end(): void {
		kqueueScanFinish(this.scan);
		this.recycle(this.thread);
	}

	/** Lets the next kevent use this object. */
	recycle({ kernel }: Thread): void {
		this.events = NOTHING;
		this.nextSpare = kernel.keventCall;
		kernel.keventCall = this;
	}
}

/**
 * Collects events, eight at a time, and writes them into the program's list from entry `slot` on.
 * Gives how many entries there are then, a negative errno, or WOULD_SLEEP if `call` may.
 */
function handOut(
	scan: ScanState,
	events: (Kevent | undefined)[],
	slot: number,
	nevents: number,
	thread: Thread,
	call: BlockingCall | null,
): number {
	const { batch } = scan;
	let next = slot;
	for (;;) {
		const want = Math.min(nevents - next, KQ_NEVENTS);
		const ready = kqueueScan(scan, want, thread, call);
		if (ready < 0) return ready;
		try {
			for (let i = 0; i < ready; i++) copyout(batch[i] as Kevent, events, next++);
		} catch (error) {
			return -faultOf(error);
		}
		if (ready < want || ready === 0) return next;
	}
}

/** Writes an entry of the event list, over the object that is there. */
function copyout(kev: Kevent, events: (Kevent | undefined)[], slot: number): void {
	const to = events[slot];
	if (typeof to === "object" && to !== null) copyKevent(kev, to);
	else events[slot] = new Kevent(kev.ident, kev.filter, kev.flags, kev.fflags, kev.data, kev.udata);
}

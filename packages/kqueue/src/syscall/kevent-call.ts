// kqueue(2) and kevent(2).

import { KQ_DYING, KQ_NEVENTS } from "../abi/constants.ts";
import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { copyoutKevent, type Kevent, type KeventChange } from "../abi/kevent.ts";
import { lengthOfList } from "../abi/lists.ts";
import { type Timespec, timespecToNs } from "../abi/time.ts";
import { faultOf, show } from "../abi/values.ts";
import type { Failure } from "../base/failure.ts";
import type { Knote } from "../event/knote.ts";
import type { Kqueue } from "../event/kqueue.ts";
import { KqueueFile, kqueueAlloc, kqueueHold, kqueueRelease } from "../event/kqueue-file.ts";
import { formatKnotes } from "../event/kqueue-ops.ts";
import {
	type EventSink,
	kqueueScan,
	kqueueScanFinish,
	kqueueScanSetup,
	ScanState,
} from "../event/scan.ts";
import { fileHold, fileRelease } from "../file/file.ts";
import { newDescriptor } from "../file/filedesc.ts";
import type { Machine } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";
import { BlockingCall, type SleepOptions } from "../sched/call.ts";
import { callAsync } from "../sched/call-async.ts";
import { enter, leave, syscall } from "../sched/entry.ts";
import type { WaitChannel } from "../sched/wait-channel.ts";
import { applyChanges, ChangeBuffer, GO_ON } from "./changelist.ts";

/**
 * Makes a kqueue and returns its descriptor: the lowest free number. It is not inherited by fork,
 * and stays open over exec.
 *
 * Errors: EMFILE, ENFILE. Source: kqueue(2).
 * @kern sys_kqueue
 */
export function kqueue(thread: Thread): number {
	return syscall(thread, "kqueue", () => {
		const { fdp } = thread.process;
		const fd = newDescriptor(fdp, fdp.findNew(), "kqueue");
		const kq = kqueueAlloc(thread.kernel, fdp);
		fdp.insertKqueue(kq);
		fdp.insert(fd, new KqueueFile(kq));
		return fd;
	});
}

/**
 * Applies `changelist` to a kqueue, then waits for events, writes them into the objects that are in
 * `eventlist`, and returns their number. The length of the event list is how many fit; if it is
 * empty or null, the call does not wait. A `timeout` of null waits forever, one of zero not at all.
 *
 * A change that fails, or has EV_RECEIPT, is answered by an EV_ERROR entry whose `data` is the
 * errno, or 0; then no events are collected. If there is no room for the entry, the call fails with
 * the errno, and the changes after that one are not applied.
 *
 * Rejects with: EBADF if `kq` is not a kqueue, or was closed while the call slept; EINVAL if the
 * timeout is out of range; EFAULT if a list is not an array, a change is not an object, or an event
 * cannot be written; EINTR after a signal; EBUSY if the thread sleeps already; EDEADLK if a
 * callback of another call of the thread makes this one; ESRCH if the thread has exited; the errno
 * of a change, as above; the reason of `options.signal`. Source: kevent(2).
 * @kern sys_kevent
 */
export function kevent(
	thread: Thread,
	kq: number,
	changelist: readonly KeventChange[] | null,
	eventlist: Kevent[] | null,
	timeout: Timespec | null,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "kevent", options, keventCall, kq, changelist, eventlist, timeout);
}

/** Begins a {@link kevent}, for any driver: applies the changes. */
export function keventCall(
	thread: Thread,
	kq: number,
	changelist: readonly KeventChange[] | null,
	eventlist: Kevent[] | null,
	timeout: Timespec | null,
): BlockingCall | number {
	const file = kqueueFile(thread, kq);
	const ns = timespecToNs(timeout, "kevent");
	const nchanges = lengthOf(changelist, "changelist");
	const nevents = lengthOf(eventlist, "eventlist");
	checkOpen(file);
	const events = eventlist ?? NOTHING;
	if (nchanges > 0) {
		const result = change(thread, file, changelist ?? NOTHING, nchanges, events, nevents);
		if (result !== GO_ON) return result;
	}
	const call = spareCall(thread);
	call.begin(thread, kq, file.kq, events, nevents, ns);
	return call;
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
		const nchanges = lengthOf(changelist, "changelist");
		const nevents = lengthOf(eventlist, "eventlist");
		checkOpen(file);
		const events = eventlist ?? NOTHING;
		if (nchanges > 0) {
			const result = change(thread, file, changelist ?? NOTHING, nchanges, events, nevents);
			if (result !== GO_ON) return result;
		}
		return nevents === 0 ? 0 : take(thread, file.kq, events, nevents);
	} finally {
		leave(thread);
	}
}

/** What the kevents of a machine keep from call to call. */
class KeventState {
	/** Where changes are copied to. */
	changes: ChangeBuffer = new ChangeBuffer();
	/** Where calls that do not sleep collect their events. */
	collector: Collector = new Collector();
	/** The first of the calls that ended and can be used again. */
	spare: KeventCall | null = null;
}

function stateOf(kernel: Machine): KeventState {
	kernel.keventstate ??= new KeventState();
	return kernel.keventstate as KeventState;
}

function kqueueFile(thread: Thread, fd: number): KqueueFile {
	const file = thread.process.fdp.get(fd);
	if (file instanceof KqueueFile) return file;
	throw badDescriptor(`descriptor ${show(fd)} is ${file === null ? "not open" : "not a kqueue"}`);
}

/** The accessors of the arguments may have closed the kqueue. */
function checkOpen({ kq }: KqueueFile): void {
	if ((kq.state & KQ_DYING) !== 0)
		throw badDescriptor("the kqueue was closed by an accessor of the arguments");
}

function badDescriptor(why: string): SystemError {
	return new SystemError(errno.EBADF, "kevent", why);
}

/**
 * Applies the changes. Returns the call's result, or GO_ON if the call continues with its events. A
 * getter of the program may close the kqueue: it stays until the changes are done.
 */
function change(
	thread: Thread,
	file: KqueueFile,
	changes: readonly KeventChange[],
	nchanges: number,
	events: Kevent[],
	nevents: number,
): number {
	const state = stateOf(thread.kernel);
	// A getter or filter may make changes of its own, in the middle of another call's.
	if (state.changes.busy) state.changes = new ChangeBuffer();
	let result = GO_ON;
	let failure: Failure = null;
	fileHold(file);
	try {
		result = applyChanges(state.changes, thread, file.kq, changes, nchanges, events, nevents);
	} catch (value) {
		failure = { value };
	}
	fileRelease(file, thread, failure);
	if (result !== GO_ON) return result;
	// Without an event list the call does not wait.
	if (nevents === 0) return 0;
	if ((file.kq.state & KQ_DYING) !== 0) throw badDescriptor("the kqueue was closed by a change");
	return GO_ON;
}

/** Collects the events that there are. */
function take(thread: Thread, kq: Kqueue, events: Kevent[], nevents: number): number {
	const collector = idleCollector(thread.kernel);
	collector.begin(kq, events, nevents);
	const result = collector.collect(thread, null);
	collector.end();
	return unwrap(result, "kevent");
}

/**
 * The collector of calls that do not sleep. Inside such a call, or after one that threw, it is a
 * new one.
 */
function idleCollector(kernel: Machine): Collector {
	const state = stateOf(kernel);
	if (state.collector.scan.kq !== null) state.collector = new Collector();
	return state.collector;
}

const NOTHING: never[] = [];
/** What stands for the thread of a call that is not under way: it is not asked for. */
const NOBODY = null as unknown as Thread;

/** A call to begin: one that has ended, if there is one. */
function spareCall(thread: Thread): KeventCall {
	const state = stateOf(thread.kernel);
	const call = state.spare;
	if (call === null) return new KeventCall(thread);
	state.spare = call.nextSpare;
	return call;
}

/** How many entries a list has; null has none. */
function lengthOf(list: readonly unknown[] | null, name: string): number {
	return list === null || list === undefined ? 0 : lengthOfList(list, "kevent", name);
}

/** The events of one kevent on their way to the program. Can be used again. */
class Collector implements EventSink {
	/** The scan, which is not set up between two calls. */
	readonly scan: ScanState = new ScanState(this);
	private events: (Kevent | undefined)[] = NOTHING;
	/** How many entries the event list had when the call began. */
	private nevents = 0;
	/** The next entry to write. */
	private next = 0;
	/** What a write into the list threw. */
	private failure: Failure = null;

	begin(kq: Kqueue, events: Kevent[], nevents: number): void {
		this.events = events;
		this.nevents = nevents;
		this.next = 0;
		this.failure = null;
		kqueueScanSetup(this.scan, kq);
	}

	/**
	 * Collects events, eight at a time. Returns how many were collected, a negative errno, or
	 * WOULD_SLEEP if `call` is not null and has time left.
	 */
	collect(thread: Thread, call: BlockingCall | null): number {
		for (;;) {
			const want = Math.min(this.nevents - this.next, KQ_NEVENTS);
			const ready = kqueueScan(this.scan, want, thread, call);
			if (ready < 0) return ready;
			if (this.failure !== null) return -faultOf(this.failure.value);
			if (ready < want || ready === 0) return this.next;
		}
	}

	/**
	 * Writes an event into the program's list. If the list has accessors of the program, they run
	 * like a callback of a filter. After one throws, the rest of the eight events is lost, as in C.
	 */
	submit(event: Knote | Kevent): void {
		if (this.failure !== null) return;
		try {
			copyoutKevent(event, this.events, this.next++);
		} catch (value) {
			this.failure = { value };
		}
	}

	end(): void {
		kqueueScanFinish(this.scan);
		this.events = NOTHING;
	}
}

/** The second half of a kevent: waits for events. */
class KeventCall extends BlockingCall {
	private readonly collector: Collector = new Collector();
	private fd = -1;
	/** The next call that can be used again, while this one can be too. */
	nextSpare: KeventCall | null = null;

	constructor(thread: Thread) {
		super(thread, "kevent");
	}

	/** Begins the call on the kqueue of a descriptor. May be used again after the call has ended. */
	begin(
		thread: Thread,
		fd: number,
		kq: Kqueue,
		events: Kevent[],
		nevents: number,
		timeout: number,
	): void {
		this.thread = thread;
		this.fd = fd;
		this.timeout = timeout;
		this.deadline = -1;
		kqueueHold(kq);
		this.collector.begin(kq, events, nevents);
	}

	/** What a kevent sleeps on. */
	override get channel(): WaitChannel {
		return (this.collector.scan.kq as Kqueue).channel;
	}

	/** Collects events; sleeps only before the first of them. */
	override step(woken: number): number {
		if (woken === errno.EINTR) return -woken;
		return this.collector.collect(this.thread, this);
	}

	/** Ends the scan, and lets the next kevent use this object. */
	override end(): void {
		const state = stateOf(this.thread.kernel);
		const kq = this.collector.scan.kq as Kqueue;
		this.collector.end();
		kqueueRelease(kq);
		// A spare call keeps no process that has gone.
		this.thread = NOBODY;
		this.nextSpare = state.spare;
		state.spare = this;
	}

	/** Names the kqueue and what it watches. */
	override describe(): string {
		const { kq } = this.collector.scan;
		const watched = kq === null ? "nothing" : formatKnotes(kq);
		return `kevent of kqueue ${this.fd}, which watches ${watched}`;
	}
}

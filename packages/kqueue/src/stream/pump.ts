// Delivers the events of watches: with a kqueue that no descriptor refers to, and a task.

import {
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_ERROR,
	EV_ONESHOT,
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_WRITE,
	KN_QUEUED,
	NOTE_EXIT,
} from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { copyKevent, Kevent } from "../abi/kevent.ts";
import { kassert } from "../base/assert.ts";
import { attempt, doAll, type Failure, report, rethrow } from "../base/failure.ts";
import { filterName } from "../base/format.ts";
import type { Runnable } from "../base/run-queue.ts";
import type { Knote } from "../event/knote.ts";
import { knoteFind, knoteFindHashed } from "../event/knote-table.ts";
import type { Kqueue, KqueueOwner } from "../event/kqueue.ts";
import { kqueueAlloc, kqueueDissolve } from "../event/kqueue-file.ts";
import { queuedBefore } from "../event/kqueue-ops.ts";
import { formatRefusal } from "../event/refusal.ts";
import { kqueueRegister } from "../event/register.ts";
import {
	type EventSink,
	knoteTake,
	kqueueScan,
	kqueueScanFinish,
	kqueueScanSetup,
	ScanState,
} from "../event/scan.ts";
import type { Thread, ThreadPart } from "../process/thread.ts";
import { checkThread, enter, exited, leave, syscall } from "../sched/entry.ts";
import { keepAlive, letGo } from "../sched/sleep.ts";
import { isArmed, keyOf, type Newcomer, NewcomerList, Source, type Watcher } from "./source.ts";

/** The flags of a change that a watch keeps. */
const WATCH_FLAGS: number = EV_CLEAR | EV_DISPATCH | EV_ONESHOT | EV_ENABLE | EV_DISABLE;
/** After this many events other tasks and threads have a turn. */
const TURN = 64;

/** A turn of a pump for one event, on a host where each event has a place of its own. */
class Turn implements Runnable {
	queued = false;
	runnext: Runnable | null = null;
	runprev: Runnable | null = null;
	private readonly pump: Pump;

	constructor(pump: Pump) {
		this.pump = pump;
	}

	run(): void {
		this.pump.run();
	}
}

/**
 * Delivers the events of a thread's watches, in a turn of the run queue after they happened: so a
 * watch is never told of an event while it is being made. A thread has a pump while it has watches.
 */
export class Pump implements EventSink, Runnable, KqueueOwner, ThreadPart {
	/** Whether it is in the run queue. */
	queued = false;
	/** What runs next. */
	runnext: Runnable | null = null;
	/** What runs before. */
	runprev: Runnable | null = null;

	private readonly thread: Thread;
	/** Whether each event has a turn of its own. */
	private readonly separate: boolean;
	private readonly kq: Kqueue;
	private readonly scan: ScanState = new ScanState(this);
	/** The event that the scan found. */
	private readonly event: Kevent = new Kevent();
	private readonly sources: Set<Source> = new Set();
	/** The sources that follow the children of a process. */
	private readonly following: Set<Source> = new Set();
	/** Those of them that may have a ready knote although their watch does not wait for an event. */
	private readonly loose: Set<Source> = new Set();
	private readonly shared: Map<string, Source> = new Map();
	private readonly newcomers: NewcomerList = new NewcomerList();
	/** Sources whose knotes could not be deleted yet, as a callback was running for them. */
	private leaving: Source[] = [];
	private lastPollid = 0;
	/** How many watches wait for an event. */
	private armed = 0;
	/** The source whose filter threw in the last scan. */
	private culprit: Source | null = null;
	/** Whether its thread has ended. */
	private stopped = false;
	/** Whether it is delivering events. */
	private running = false;
	/** Whether it has to run when no callback is running for its knotes any more. */
	private waits = false;
	/** Watches that the event has not been delivered to yet, the next one last. */
	private recipients: Watcher[] = [];
	/** Whether that event is the last of its source. */
	private isLast = false;

	/** Made by {@link pumpOf}. */
	constructor(thread: Thread) {
		const { kernel, process } = thread;
		this.thread = thread;
		this.separate = kernel.host.separate === true;
		this.kq = kqueueAlloc(kernel, process.fdp);
		this.kq.owner = this;
		process.fdp.insertKqueue(this.kq);
	}

	/**
	 * Adds a watch, and its knote unless it shares one; takes the change, which has been checked.
	 * Throws the errno of the change; then nothing has been added.
	 */
	add(watch: Watcher, change: Kevent): Source {
		let source = null as Source | null;
		const failure = attempt(null, () => {
			source = this.addOrShare(watch, change);
		});
		rethrow(attempt(failure, () => this.goIfIdle()));
		return source as Source;
	}

	private addOrShare(watch: Watcher, change: Kevent): Source {
		change.flags &= WATCH_FLAGS;
		// An event that is reported again as long as its condition is true would leave no turn for
		// other watches.
		if ((change.flags & (EV_CLEAR | EV_DISPATCH | EV_ONESHOT)) === 0) change.flags |= EV_CLEAR;
		// An exit is reported in any case, but a disabled knote forgets it unless NOTE_EXIT is asked
		// for.
		if (change.filter === EVFILT_PROC) change.fflags |= NOTE_EXIT;
		return this.share(watch, change) ?? this.register(watch, change);
	}

	/**
	 * Joins the source of watches that ask for the same already, and returns it; null if there is none
	 * that tells this watch what a knote of its own would. The others notice nothing.
	 */
	private share(watch: Watcher, change: Kevent): Source | null {
		const { thread } = this;
		const key = keyOf(change);
		const source = key === null ? undefined : this.shared.get(key);
		if (source === undefined || source.change.udata !== change.udata) return null;
		if (!this.isJoinable(source)) return null;
		let joined = false;
		try {
			syscall(thread, "kevent", () => this.join(source, watch));
			joined = !this.stopped;
		} finally {
			if (!joined) this.remove(source, watch);
		}
		if (!joined) throw exited(thread, "kevent");
		return source;
	}

	/** Handlers of signals may close the other watches when the call ends: this is done by then. */
	private join(source: Source, watch: Watcher): void {
		source.watches.add(watch);
		if (!this.isDescriptor(source.change)) return;
		this.newcomers.append(source, watch, this.kq.tqseq);
		this.thread.kernel.runqueue.add(this);
	}

	/**
	 * Whether a watch that joins is told only of what happens from now on. A descriptor must still be the
	 * one that is watched: its number may refer to another file now, or may have been closed and
	 * opened again for the same one.
	 */
	private isJoinable({ kn, change }: Source): boolean {
		if (kn === null) return false;
		if (this.isDescriptor(change)) {
			if (kn.fp === null || kn.fp !== this.thread.process.fdp.get(change.ident)) return false;
			// These report what is, not what was.
			if (STATE_FILTERS.has(change.filter)) return true;
		}
		// An event that waits to be delivered has happened before.
		return (kn.status & KN_QUEUED) === 0;
	}

	private isDescriptor({ filter }: Kevent): boolean {
		return this.kq.sysfilters[~filter]?.isfd ?? false;
	}

	private register(watch: Watcher, change: Kevent): Source {
		const source = new Source(change, ++this.lastPollid);
		source.watches.add(watch);
		// Before anything else, as handlers of signals may close the other watches meanwhile, or exit.
		this.sources.add(source);
		if (source.follows) this.following.add(source);
		let error: number = errno.ESRCH;
		try {
			error = this.change(source, EV_ADD | change.flags) || (this.stopped ? errno.ESRCH : 0);
			if (error === 0) source.kn = this.knoteOf(source);
			// The descriptor was closed while its file was asked.
			if (error === 0 && source.kn === null) error = errno.EBADF;
		} finally {
			if (error !== 0) this.forget(source);
		}
		if (error !== 0) throw new SystemError(error, "kevent", formatRefusal(this.kq, change, error));
		if (source.key !== null) this.shared.set(source.key, source);
		return source;
	}

	/** The knote that was just added for a source; null if it is gone again. */
	private knoteOf(source: Source): Knote | null {
		const { change, pollid } = source;
		const find = this.isDescriptor(change) ? knoteFind : knoteFindHashed;
		return find(this.kq, change.ident, change.filter, pollid);
	}

	/** Enables or disables the knote of a watch. */
	setEnabled(source: Source, enabled: boolean): void {
		// An error means that the descriptor was closed meanwhile, which is about to be reported.
		this.change(source, enabled ? EV_ENABLE : EV_DISABLE);
	}

	/** Removes a watch, and its knote if no other watch shares it. */
	remove(source: Source, watch: Watcher): void {
		this.newcomers.remove(watch);
		if (!source.watches.delete(watch) || source.watches.size > 0) return;
		const { kernel } = this.thread;
		this.forget(source);
		doAll(
			() => {
				// The trace sink cannot change anything either.
				if (!kernel.tracing && this.change(source, EV_DELETE) !== errno.EDEADLK) return;
				this.leaving.push(source);
				kernel.runqueue.add(this);
			},
			() => this.goIfIdle(),
		);
	}

	private forget(source: Source): void {
		this.sources.delete(source);
		this.following.delete(source);
		this.loose.delete(source);
		if (source.key !== null && this.shared.get(source.key) === source)
			this.shared.delete(source.key);
	}

	/** Changes the knote of a source, and those of the children it follows: 0 or an errno. */
	private change(source: Source, flags: number): number {
		const { thread, kq } = this;
		// All knotes go when the thread has ended.
		if (this.stopped || thread.state === "exited") return errno.ESRCH;
		const { filter, fflags, data } = source.change;
		let result = 0;
		enter(thread, "kevent");
		try {
			const add = (flags & EV_ADD) !== 0;
			const all = add || source.pids === null ? [source.change.ident] : [...source.pids];
			for (const ident of all) {
				const kev = new Kevent(ident, filter, flags, fflags, data, source);
				result ||= kqueueRegister(kq, kev, source.pollid, thread);
			}
		} finally {
			leave(thread);
		}
		return result;
	}

	/** Called when a watch begins to wait for an event. */
	arm(): void {
		if (this.armed++ === 0) keepAlive(this.thread.kernel);
	}

	/** Called when a watch stops waiting. */
	disarm(source: Source): void {
		kassert(this.armed > 0, "a watch that stops waiting has waited");
		if (--this.armed === 0) letGo(this.thread.kernel);
		if (source.follows) this.loose.add(source);
	}

	/** Whether a callback is running for one of its knotes. */
	get busy(): boolean {
		return this.kq.busy !== 0;
	}

	/** Called when its thread ends: watches fail with ESRCH, soon. */
	stop(): void {
		if (this.stopped) return;
		this.stopped = true;
		this.thread.watches = null;
		this.thread.kernel.runqueue.add(this);
		this.dissolve();
	}

	/** KqueueOwner: a watch is told that its descriptor was closed. */
	expects(): boolean {
		return true;
	}

	/** KqueueOwner: delivers the event in a turn of its own. */
	woken(): void {
		if (this.following.size > 0) this.noticeChild(this.kq.last);
		this.thread.kernel.runqueue.add(this.separate ? new Turn(this) : this);
	}

	/** KqueueOwner: does what could not be done inside of the callback. */
	rested(): void {
		if (!this.waits) return;
		this.waits = false;
		this.thread.kernel.runqueue.add(this);
	}

	/** Delivers the events that there are. */
	run(): void {
		if (this.stopped) this.fail();
		// The callback of a test may let deferred work run: no knote may go, and asking again has no end.
		else if (this.busy) this.waits = true;
		// The thread's call is being broken off: then the pump is stopped, and runs again.
		else if (this.thread.state !== "exited") this.handOut();
	}

	private handOut(): void {
		const { kernel } = this.thread;
		this.running = true;
		let failure: Failure = null;
		try {
			while (this.leaving.length > 0) this.change(this.leaving.pop() as Source, EV_DELETE);
			if (this.recipients.length > 0) this.deliverMore();
			const turn = this.separate ? 1 : TURN;
			for (let done = 0; done < turn && this.hasEvents && !this.stopped; done++) {
				// The first one is counted where this runs.
				if (this.recipients.length > 0 || (done > 0 && kernel.slice.spend())) break;
				if (!this.handOutOne()) break;
			}
		} catch (value) {
			failure = { value };
		}
		this.running = false;
		const more = this.hasEvents || this.leaving.length > 0 || this.recipients.length > 0;
		if (more && !this.stopped) kernel.runqueue.add(this);
		rethrow(attempt(failure, () => this.goIfIdle()));
	}

	/** Whether there may be something to deliver. */
	private get hasEvents(): boolean {
		return this.kq.count > 0 || this.newcomers.first !== null;
	}

	/**
	 * Delivers one event at a time: its watcher may close the descriptor or the watch of the next
	 * one. Returns false if there was no event.
	 */
	private handOutOne(): boolean {
		const newcomer = this.newcomers.first;
		if (newcomer !== null && this.isNext(newcomer)) return this.greet(newcomer);
		if (this.loose.size > 0) this.holdBack();
		let n: number;
		try {
			n = this.collect();
		} catch (error) {
			if (this.culprit === null) throw error;
			this.blame(this.culprit, error);
			return true;
		}
		if (n > 0) this.deliver();
		return n > 0;
	}

	/** Whether all events are delivered that were ready before the watch joined. */
	private isNext({ tqseq }: Newcomer): boolean {
		const { first } = this.kq;
		return first === null || !queuedBefore(first, tqseq);
	}

	/**
	 * Tells a watch that has joined others what its filter reports now, as a knote of its own would
	 * have done; the others are not told again. Returns false if that cannot be found out now.
	 */
	private greet({ source, watch }: Newcomer): boolean {
		const { thread } = this;
		const kn = source.kn as Knote;
		const event = new Kevent();
		let told = 0;
		enter(thread, "kevent");
		try {
			told = knoteTake(kn, event);
			event.udata = source.change.udata;
		} catch (error) {
			// The watch asked, not the others.
			this.guard(() => this.remove(source, watch));
			this.guard(() => watch.fail(error));
		} finally {
			leave(thread);
		}
		if (told < 0) return false;
		const waits = watch.newcomer !== null;
		this.newcomers.remove(watch);
		if (told > 0 && waits) this.tell(source, watch, event, false);
		return true;
	}

	/** A knote is ready. The first time that of a child is, when it is born, its source learns of it. */
	private noticeChild(kn: Knote | null): void {
		const source = kn?.udata as Source | undefined;
		if (source === undefined || source.pids === null) return;
		source.pids.add((kn as Knote).ident);
		if (!isArmed(source)) this.loose.add(source);
	}

	/**
	 * Disables the knotes of children that a watch follows, unless it waits for an event. Its own
	 * knote is disabled then too.
	 */
	private holdBack(): void {
		for (const source of this.loose) if (!isArmed(source)) this.change(source, EV_DISABLE);
		this.loose.clear();
	}

	/**
	 * Ends the watches of a filter that threw, with its error: it might throw each time it is asked.
	 */
	private blame(source: Source, error: unknown): void {
		for (const watch of [...source.watches]) {
			this.guard(() => this.remove(source, watch));
			this.guard(() => watch.fail(error));
		}
	}

	/** Keeps the event until the scan is done, as the watchers that get it may make any call. */
	submit(event: Knote | Kevent): void {
		copyKevent(event, this.event);
	}

	/** Scans without sleeping. */
	private collect(): number {
		const { thread, scan } = this;
		this.culprit = null;
		enter(thread, "kevent");
		try {
			kqueueScanSetup(scan, this.kq);
			try {
				return kqueueScan(scan, 1, thread, null);
			} catch (error) {
				// The scan has put its knote last.
				this.culprit = (this.kq.last?.udata ?? null) as Source | null;
				throw error;
			} finally {
				kqueueScanFinish(scan);
			}
		} finally {
			leave(thread);
		}
	}

	/** Delivers the event that the scan found to all watches of its source. */
	private deliver(): void {
		const source = this.event.udata as Source;
		const { watches } = source;
		const event = copyOf(this.event, source.change.udata);
		// The knote is gone after this event; those of children may be left.
		const gone = (event.flags & EV_ONESHOT) !== 0;
		if (gone) source.pids?.delete(event.ident);
		const last = gone && (source.pids === null || source.pids.size === 0);
		if (last) this.forget(source);
		if (watches.size === 1) {
			const [watch] = watches;
			this.tell(source, watch as Watcher, event, last);
			return;
		}
		this.recipients = [...watches].reverse();
		this.isLast = last;
		this.deliverMore();
	}

	/** Delivers the event to more of the watches of its source, until it is time for a pause. */
	private deliverMore(): void {
		const { recipients } = this;
		const source = this.event.udata as Source;
		for (let watch = recipients.pop(); watch !== undefined; watch = recipients.pop()) {
			const event = copyOf(this.event, source.change.udata);
			if (source.watches.has(watch)) this.tell(source, watch, event, this.isLast);
			if (recipients.length > 0 && this.thread.kernel.slice.spend()) return;
		}
	}

	/** Delivers an event to one watch, which may keep it. */
	private tell(source: Source, watch: Watcher, event: Kevent, last: boolean): void {
		if (last) source.watches.delete(watch);
		if (watch.newcomer !== null) this.newcomers.remove(watch);
		try {
			if ((event.flags & EV_ERROR) !== 0) watch.fail(closed(source.change, event.data));
			else watch.give(event, last);
		} catch (error) {
			report(this.thread.kernel.host, error);
		}
	}

	/** Tells the watches that the thread has ended. */
	private fail(): void {
		while (this.recipients.length > 0) this.deliverMore();
		for (const source of this.sources) {
			for (const watch of source.watches) {
				this.guard(() => watch.fail(exited(this.thread, "kevent")));
			}
		}
		this.sources.clear();
	}

	/** What one watcher throws is reported by the platform, and does not affect the others. */
	private guard(act: () => void): void {
		try {
			act();
		} catch (error) {
			report(this.thread.kernel.host, error);
		}
	}

	/** Ends the pump if there are no watches. */
	private goIfIdle(): void {
		if (this.sources.size > 0 || this.leaving.length > 0 || this.running || this.stopped) return;
		if (this.recipients.length > 0) return;
		if (this.thread.watches !== this) return;
		// A callback for the knote that goes has closed the other watches: the knote is still needed.
		if (this.busy) {
			this.waits = true;
			return;
		}
		this.thread.watches = null;
		this.stopped = true;
		this.thread.kernel.runqueue.remove(this);
		this.dissolve();
	}

	private dissolve(): void {
		const { kq, thread } = this;
		kq.owner = null;
		kqueueDissolve(kq, thread);
	}
}

/**
 * The pump of a thread, which is made if it does not exist. Errors: ESRCH for a thread that has
 * exited.
 */
export function pumpOf(thread: Thread): Pump {
	checkThread(thread, "kevent");
	thread.watches ??= new Pump(thread);
	return thread.watches as Pump;
}

/** The filters that report what is, while the others report what has happened. */
const STATE_FILTERS: ReadonlySet<number> = new Set([EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT]);

function copyOf(event: Kevent, udata: unknown): Kevent {
	const { ident, filter, flags, fflags, data } = event;
	return new Kevent(ident, filter, flags, fflags, data, udata);
}

function closed({ filter, ident }: Kevent, error: number): SystemError {
	const why = `${filterName(filter)} ${ident}: descriptor ${ident} was closed`;
	return new SystemError(error, "kevent", why);
}

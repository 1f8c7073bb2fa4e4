// What hands out the events of watches: a kqueue that no descriptor refers to, and a task.
import { kassert } from "./assert.ts";
import { BlockingCall, enter, leave } from "./call.ts";
import {
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_ERROR,
	EV_ONESHOT,
	EVFILT_PROC,
	KQ_NEVENTS,
	NOTE_TRACK,
} from "./constants.ts";
import { errno, SystemError } from "./errno.ts";
import { report } from "./failure.ts";
import type { File } from "./file.ts";
import { filterName } from "./format.ts";
import { copyinKevent, eventList, Kevent, type KeventChange } from "./kevent.ts";
import type { Kqueue } from "./kqueue.ts";
import { kqueueAlloc, kqueuePurge, kqueueRelease, kqueueTerminate } from "./kqueue-file.ts";
import { kqueueRegister } from "./register.ts";
import type { Runnable } from "./run-queue.ts";
import { kqueueScan, kqueueScanFinish, kqueueScanSetup, ScanState } from "./scan.ts";
import { keepAlive, letGo, WaitChannel } from "./sleep.ts";
import type { Thread } from "./thread.ts";
import { show } from "./values.ts";
import type { KeventWatch } from "./watch.ts";

/** The flags of a change that a watch keeps. */
const WATCH_FLAGS: number = EV_CLEAR | EV_DISPATCH | EV_ONESHOT | EV_ENABLE | EV_DISABLE;
/** After so many events others have a turn. */
const TURN = 64;

/** One registration, of one or of several watches. */
export class Source {
	/** What was asked for. */
	readonly change: Kevent;
	/** Its number in the pump's kqueue. */
	readonly pollid: number;
	/** What it is known by to those who ask for the same; null if it is not shared. */
	readonly key: string | null;
	/** The open file behind the descriptor that is watched; null for other filters. */
	readonly file: File | null;
	/** Whether it follows the children of a process: they have knotes with its number too. */
	readonly follows: boolean;
	/** Who gets the events. */
	readonly watches: Set<KeventWatch> = new Set();

	/** Made by the pump. */
	constructor(change: Kevent, pollid: number, key: string | null, file: File | null) {
		this.change = change;
		this.pollid = pollid;
		this.key = key;
		this.file = file;
		this.follows = change.filter === EVFILT_PROC && (change.fflags & NOTE_TRACK) !== 0;
	}
}

/** A scan that takes what there is. */
class Look extends BlockingCall {
	override readonly channel: WaitChannel = new WaitChannel();

	override step(): number {
		return 0;
	}

	override end(): void {}
}

/**
 * Hands out the events of a thread's watches, in the turn of the run queue after they came: a watch
 * never hears of anything while it is made. It is there while the thread has watches.
 */
export class Pump implements Runnable {
	/** RunQueue: whether it stands in the queue. */
	queued = false;
	/** RunQueue: who comes next. */
	runnext: Runnable | null = null;
	/** RunQueue: who comes before. */
	runprev: Runnable | null = null;

	private readonly thread: Thread;
	private readonly kq: Kqueue;
	private readonly call: Look;
	private readonly scan: ScanState = new ScanState();
	private readonly batch: Kevent[] = eventList(KQ_NEVENTS);
	private readonly sources: Set<Source> = new Set();
	private readonly shared: Map<string, Source> = new Map();
	/** Sources whose knotes could not be deleted, as a callback was at work on them. */
	private leaving: Source[] = [];
	private lastPollid = 0;
	/** How many watches wait for an event. */
	private armed = 0;
	/** Whether its thread has ended. */
	private stopped = false;
	/** Whether it is handing out events. */
	private running = false;

	/** Made by {@link pumpOf}. */
	constructor(thread: Thread) {
		const { kernel, process } = thread;
		this.thread = thread;
		this.call = new Look(thread, "kevent");
		this.kq = kqueueAlloc(kernel, process.fdp);
		this.kq.pump = this;
		process.fdp.insertKqueue(this.kq);
	}

	/**
	 * Adds a watch, and its knote unless it shares one. Throws the errno of the change; then nothing
	 * has been added.
	 */
	add(watch: KeventWatch, from: KeventChange): Source {
		const change = new Kevent();
		const error = copyinKevent(from, change);
		try {
			if (error !== 0) throw failure(change, error);
			change.flags &= WATCH_FLAGS;
			// What is reported again as long as it is the case would never let anybody else have a turn.
			if ((change.flags & (EV_CLEAR | EV_DISPATCH | EV_ONESHOT)) === 0) change.flags |= EV_CLEAR;
			const source = this.share(change) ?? this.register(change);
			source.watches.add(watch);
			return source;
		} finally {
			this.goIfIdle();
		}
	}

	/** The source of those who ask for the same already. It tells all of them how things are. */
	private share(change: Kevent): Source | null {
		const key = keyOf(change);
		const source = key === null ? undefined : this.shared.get(key);
		if (source === undefined || source.change.udata !== change.udata) return null;
		if (source.file === null) return source;
		// The number may have become another file's.
		if (source.file !== this.thread.process.fdp.get(change.ident)) return null;
		return this.change(source, EV_ADD | source.change.flags) === 0 ? source : null;
	}

	private register(change: Kevent): Source {
		const file = this.thread.process.fdp.get(change.ident);
		const pollid = ++this.lastPollid;
		const isfd = this.thread.kernel.sysfilters[~change.filter]?.isfd ?? false;
		const source = new Source(change, pollid, keyOf(change), isfd ? file : null);
		// First of all, as handlers of signals may close the other watches meanwhile, or exit.
		this.sources.add(source);
		const error = this.change(source, EV_ADD | change.flags) || (this.stopped ? errno.ESRCH : 0);
		if (error !== 0) {
			this.sources.delete(source);
			throw failure(change, error);
		}
		if (source.key !== null) this.shared.set(source.key, source);
		return source;
	}

	/** Lets a watch report, or keeps it from that. */
	setEnabled(source: Source, enabled: boolean): void {
		// An error is that of a descriptor that was closed meanwhile, which is about to be reported.
		this.change(source, enabled ? EV_ENABLE : EV_DISABLE);
	}

	/** Takes a watch away, and its knote if nobody shares it. */
	remove(source: Source, watch: KeventWatch): void {
		if (!source.watches.delete(watch) || source.watches.size > 0) return;
		this.forget(source);
		if (this.change(source, EV_DELETE) === errno.EDEADLK) {
			this.leaving.push(source);
			this.thread.kernel.runqueue.add(this);
		}
		this.goIfIdle();
	}

	private forget(source: Source): void {
		this.sources.delete(source);
		if (source.key !== null && this.shared.get(source.key) === source)
			this.shared.delete(source.key);
	}

	/** Changes the knote of a source, and those of the children it follows: 0 or an errno. */
	private change(source: Source, flags: number): number {
		const { thread, kq } = this;
		if (this.stopped) return errno.ESRCH;
		const { filter, fflags, data } = source.change;
		let result = 0;
		enter(thread, "kevent");
		try {
			const add = (flags & EV_ADD) !== 0;
			for (const ident of add || !source.follows ? [source.change.ident] : this.idents(source)) {
				const kev = new Kevent(ident, filter, flags, fflags, data, source);
				result ||= kqueueRegister(kq, kev, source.pollid, thread);
			}
		} finally {
			leave(thread);
		}
		return result;
	}

	/** The processes that a source with NOTE_TRACK watches now. */
	private idents(source: Source): number[] {
		const found: number[] = [];
		for (let kn of this.kq.knhash) {
			for (; kn !== null; kn = kn.link) if (kn.udata === source) found.push(kn.ident);
		}
		return found;
	}

	/** A watch waits for an event from now on. */
	arm(): void {
		if (this.armed++ === 0) keepAlive(this.thread.kernel);
	}

	/** A watch that waited does not any more. */
	disarm(): void {
		kassert(this.armed > 0, "who waits no longer has waited");
		if (--this.armed === 0) letGo(this.thread.kernel);
	}

	/** Whether a callback is at work on one of its knotes. */
	get busy(): boolean {
		return this.kq.busy !== 0;
	}

	/** Its thread ends: watches fail with ESRCH, soon. */
	stop(): void {
		if (this.stopped) return;
		this.stopped = true;
		this.thread.pump = null;
		this.dissolve();
		this.thread.kernel.runqueue.add(this);
	}

	/** RunQueue: hands out what there is. */
	run(): void {
		if (this.stopped) {
			this.fail();
			return;
		}
		this.running = true;
		try {
			for (const source of this.leaving.splice(0)) this.change(source, EV_DELETE);
			for (let done = 0; done < TURN && !this.stopped; ) {
				const n = this.collect();
				if (n <= 0) break;
				for (let i = 0; i < n; i++) this.deliver(this.batch[i] as Kevent);
				done += n;
			}
		} finally {
			this.running = false;
			if (this.kq.count > 0 && !this.stopped) this.thread.kernel.runqueue.add(this);
			this.goIfIdle();
		}
	}

	/** Scans without sleeping. */
	private collect(): number {
		const { thread, scan, batch, call } = this;
		enter(thread, "kevent");
		try {
			kqueueScanSetup(scan, this.kq);
			try {
				return kqueueScan(scan, KQ_NEVENTS, batch, call);
			} finally {
				kqueueScanFinish(scan);
			}
		} finally {
			leave(thread);
		}
	}

	/** Gives an event to all who watch for it. */
	private deliver(event: Kevent): void {
		const source = event.udata as Source;
		const { flags } = event;
		const failed = (flags & EV_ERROR) !== 0;
		// The knote is gone after this one; there may be children's.
		const gone = (flags & EV_ONESHOT) !== 0;
		const last = gone && !(source.follows && this.idents(source).length > 0);
		if (last) this.forget(source);
		for (const watch of [...source.watches]) {
			if (!source.watches.has(watch)) continue;
			if (last) source.watches.delete(watch);
			this.guard(() => {
				if (failed) watch.fail(failure(source.change, event.data));
				else watch.give(copyOf(event, source.change.udata), last);
			});
		}
	}

	/** All that is left to say when the thread has ended. */
	private fail(): void {
		const { tid } = this.thread;
		for (const source of this.sources) {
			for (const watch of source.watches) {
				const gone = new SystemError(errno.ESRCH, "kevent", `thread ${tid} has exited`);
				this.guard(() => watch.fail(gone));
			}
		}
		this.sources.clear();
	}

	/** What one watcher throws is the platform's to report, and harms no other. */
	private guard(act: () => void): void {
		try {
			act();
		} catch (error) {
			report(this.thread.kernel.host, error);
		}
	}

	/** Without watches there is no pump. */
	private goIfIdle(): void {
		if (this.sources.size > 0 || this.leaving.length > 0 || this.running || this.stopped) return;
		if (this.thread.pump !== this) return;
		this.thread.pump = null;
		this.stopped = true;
		this.thread.kernel.runqueue.remove(this);
		this.dissolve();
	}

	private dissolve(): void {
		const { kq, thread } = this;
		kq.pump = null;
		try {
			kqueuePurge(kq, thread);
		} finally {
			kqueueTerminate(kq);
			kqueueRelease(kq);
		}
	}
}

/** The pump of a thread, made if there is none. ESRCH for a thread that has exited. */
export function pumpOf(thread: Thread): Pump {
	if (thread.state === "exited")
		throw new SystemError(errno.ESRCH, "kevent", `thread ${thread.tid} has exited`);
	thread.pump ??= new Pump(thread);
	return thread.pump;
}

/** What changes have in common that share a knote; null for those whose knote is switched. */
function keyOf({ ident, filter, flags, fflags, data }: Kevent): string | null {
	if (flags !== EV_CLEAR) return null;
	return `${filter} ${ident} ${fflags} ${data}`;
}

function copyOf(event: Kevent, udata: unknown): Kevent {
	const { ident, filter, flags, fflags, data } = event;
	return new Kevent(ident, filter, flags, fflags, data, udata);
}

function failure({ filter, ident }: Kevent, error: number): SystemError {
	return new SystemError(error, "kevent", `${filterName(filter)} ${show(ident)}`);
}

// What poll, select and poll_oneoff have in common: a scan of the thread's own kqueue, or a sleep.
import { errno, Kevent, type Thread } from "@kqpoll/kqueue";
import {
	attempt,
	BlockingCall,
	type EventSink,
	faultOf,
	type Knote,
	KQ_NEVENTS,
	type Kqueue,
	kqpollDone,
	kqueueRefresh,
	kqueueRegister,
	kqueueScan,
	kqueueScanFinish,
	kqueueScanSetup,
	rethrow,
	ScanState,
	WaitChannel,
	WOULD_SLEEP,
} from "@kqpoll/kqueue/kernel";

/** A poll, select or poll_oneoff in progress. A thread uses the same object again for its next call. */
export abstract class KqpollCall extends BlockingCall implements EventSink {
	/** How many serials it uses: the number that it passed to kqpollInit. */
	protected serials = 0;
	/** How many knotes it registered, minus the events that it got from them. */
	protected registered = 0;
	/** What the call will return. */
	protected collected = 0;
	private readonly scan: ScanState = new ScanState(this);
	/** The errno of an event that ends the call, or 0. */
	private failure = 0;
	private scanning = false;
	private readonly change: Kevent = new Kevent();
	/** Nothing wakes this: a call that watches nothing only waits for its time or a signal. */
	private readonly nothing: WaitChannel = new WaitChannel();

	/** Prepares for a call that kqpollInit has accepted. */
	protected prepare(name: string, serials: number, timeout: number): void {
		this.syscall = name;
		this.serials = serials;
		this.registered = 0;
		this.collected = 0;
		this.failure = 0;
		this.timeout = timeout;
		this.deadline = -1;
	}

	/**
	 * Registers the entries below `n`: refreshes those whose knotes are known, and registers the
	 * others. The serial grows by `step` from entry to entry.
	 */
	protected registerEntries(knotes: readonly (Knote | null)[], n: number, step: number): void {
		const { kqserial } = this.thread;
		const kq = this.thread.kq as Kqueue;
		for (let i = 0; i < n; i++) {
			const stop = kqueueRefresh(kq, knotes, i, n, kqserial, step);
			this.registered += stop - i;
			i = stop;
			if (i < n) this.watchEntry(i);
		}
	}

	/** Registers what an entry asks for, and remembers its knote if the next call can refresh it. */
	protected abstract watchEntry(i: number): void;

	/** Adds or refreshes a knote and returns register's errno. */
	protected register(
		fd: number,
		filter: number,
		flags: number,
		fflags: number,
		serial: number,
		pollid: number,
	): number {
		const { change, thread } = this;
		change.ident = fd;
		change.filter = filter;
		change.flags = flags;
		change.fflags = fflags;
		change.data = 0;
		change.udata = serial;
		return kqueueRegister(thread.kq as Kqueue, change, pollid, thread);
	}

	/** Turns an event into its part of the result: returns 0, or an errno that ends the call. */
	protected abstract convert(event: Knote | Kevent): number;

	/** Adds an event to the result at once. */
	submit(event: Knote | Kevent): void {
		const error = this.convert(event);
		if (error !== 0) this.failure ||= error;
	}

	/**
	 * Writes the result for the program; returns 0, or an errno if the program left no room for it.
	 */
	protected abstract copyout(): number;

	/** Whether an interrupted call writes its result, which is empty. */
	protected abstract readonly answersWhenInterrupted: boolean;

	/** What it sleeps on. */
	override get channel(): WaitChannel {
		return this.scanning ? (this.thread.kq as Kqueue).channel : this.nothing;
	}

	/** Waits for events, or with nothing to watch for its time to end. */
	override step(woken: number): number {
		if (woken === errno.EINTR)
			return -((this.answersWhenInterrupted && this.handOut()) || errno.EINTR);
		const error = this.registered === 0 && this.collected === 0 ? this.idle() : this.watch();
		if (error !== 0) return error;
		const fault = this.handOut();
		return fault === 0 ? this.collected : -fault;
	}

	/** Ends the call, also after an error. */
	override end(): void {
		if (this.scanning) {
			this.scanning = false;
			kqueueScanFinish(this.scan);
		}
		kqpollDone(this.thread, this.serials);
	}

	/** Writes the result; returns 0, or EFAULT if it cannot be written. */
	private handOut(): number {
		try {
			return this.copyout();
		} catch (error) {
			return faultOf(error);
		}
	}

	/** There is nothing to watch: returns WOULD_SLEEP, or 0 when the time is over. */
	private idle(): number {
		return this.mayBlock() ? WOULD_SLEEP : 0;
	}

	private watch(): number {
		// If there is a result already, the call does not sleep, but adds what else is ready now.
		if (this.collected > 0) this.timeout = 0;
		if (!this.scanning && this.registered > 0) {
			kqueueScanSetup(this.scan, this.thread.kq as Kqueue);
			this.scanning = true;
		}
		while (this.registered > 0) {
			const want = Math.min(KQ_NEVENTS, this.registered);
			const ready = kqueueScan(this.scan, want, this.thread, this);
			if (ready < 0) return ready;
			if (this.failure !== 0) return -this.failure;
			if (ready < want) break;
			this.registered -= ready;
		}
		return 0;
	}
}

/** Ends a poll or select that failed to begin, and throws the error of that. */
export function endAfter(thread: Thread, serials: number, value: unknown): never {
	rethrow(attempt({ value }, () => kqpollDone(thread, serials)));
	throw value;
}

/** The calls that a thread keeps, to use them again. */
export interface PollState<Poll, Select, Subscriptions> {
	/** For poll and ppoll. */
	poll: Poll | null;
	/** For select and pselect. */
	select: Select | null;
	/** For poll_oneoff. */
	subscriptions: Subscriptions | null;
}

/** What the thread keeps for poll, select and poll_oneoff. */
export function pollState<Poll, Select, Subscriptions>(
	thread: Thread,
): PollState<Poll, Select, Subscriptions> {
	thread.pollstate ??= { poll: null, select: null, subscriptions: null };
	return thread.pollstate as PollState<Poll, Select, Subscriptions>;
}

// Kevents as observables.
import {
	EV_CLEAR,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EVFILT_PROC,
	EVFILT_TIMER,
	type Kevent,
	type KeventObserver,
	type KeventRequest,
	type KeventWatch,
	NOTE_TRACK,
	type Thread,
	watchKevent,
} from "@kqpoll/kqueue";
import { doAll } from "@kqpoll/kqueue/kernel";
import { type CopiedChange, checkThread, checkWord, copyChange, copyOptions } from "./arguments.ts";
import { type Demand, DemandObservable, type DemandObserver } from "./demand/observable.ts";

/** Options of an observable of kevents. */
export interface FromKeventOptions {
	/**
	 * "complete", the default: an event with EV_EOF is the last. "emit": it is an event like others.
	 */
	readonly eof?: "complete" | "emit" | undefined;
}

/**
 * The events that `change` asks for. Cold: the first subscriber adds the knote, the last one to
 * leave deletes it. Subscribers of one thread that ask for the same with EV_CLEAR, which is the
 * default, share a knote; a later one alone gets what is ready already, once, and the others
 * get nothing again. Nothing is emitted inside `subscribe`, but in a turn of the machine's own. No
 * descriptor is used, and the thread may sleep in other calls.
 *
 * Subscribers are told of each change, with EV_DISPATCH again and again while the condition holds.
 * Behind `withBackpressure` the knote is asked when there is demand, and what happens meanwhile
 * becomes one event.
 *
 * The change is copied when the observable is made. A timer's period is in whole milliseconds, as in
 * kqueue: parts of one are rounded up. Throws EFAULT for what is not a thread or a
 * change, EINVAL for options that are not valid.
 *
 * It errors with a SystemError: the error that kevent has for the change; EBADF when the descriptor
 * is closed; EAGAIN when there are too many watches; ESRCH when the thread exits. It completes
 * after an event with EV_EOF, unless `eof` is "emit", and after the event of a change with
 * EV_ONESHOT.
 */
export function fromKevent(
	thread: Thread,
	change: KeventRequest,
	options: FromKeventOptions | null = {},
): DemandObservable<Kevent> {
	checkThread(thread, "kevent");
	const { eof = "complete" } = copyOptions(options, "kevent", (from) => ({ eof: from.eof }));
	checkWord(eof, ["complete", "emit"], "eof", "fromKevent");
	const wanted = wholePeriod(copyChange(change));
	const follows = wanted.filter === EVFILT_PROC && has(wanted.fflags, NOTE_TRACK);
	const completes = eof === "complete" && !follows;
	const events = (observer: DemandObserver<Kevent>, from: CopiedChange): Demand => {
		const watching = watch(thread, from, {
			next(event) {
				if (!completes || (event.flags & EV_EOF) === 0) {
					observer.next(event);
					return;
				}
				doAll(
					() => observer.next(event),
					() => {
						// Unless the observer has closed it.
						if (watching.close()) observer.complete();
					},
				);
			},
			error: (error) => observer.error(error),
			complete: () => observer.complete(),
		});
		return watching;
	};
	const asked = onDemand(wanted);
	const connect = (observer: DemandObserver<Kevent>): Demand => events(observer, asked);
	if (has(wanted.flags, EV_DISPATCH)) return new DemandObservable(connect);
	return new DemandObservable(connect, (subscriber) => events(subscriber, wanted));
}

/** The same change; the period of a timer is rounded up, so that it is never shorter. */
function wholePeriod(change: CopiedChange): CopiedChange {
	const { filter, data } = change;
	if (filter !== EVFILT_TIMER || typeof data !== "number") return change;
	// Adding 0 makes 0 of -0.
	return { ...change, data: Math.ceil(data) + 0 };
}

/** The same change with flags for one event at a time. Flags of another type stay, to be refused. */
function onDemand(change: CopiedChange): CopiedChange {
	if (typeof change.flags !== "number") return change;
	// EV_ENABLE would let an event come before it is asked for.
	const flags = (change.flags & ~EV_ENABLE) | EV_CLEAR | EV_DISPATCH | EV_DISABLE;
	return { ...change, flags };
}

function has(flags: number, flag: number): boolean {
	return typeof flags === "number" && (flags & flag) !== 0;
}

/** A watch on demand, made by {@link watch}. */
export class Watching implements Demand {
	private readonly thread: Thread;
	private readonly observer: KeventObserver;
	private made: KeventWatch | null = null;
	private closed = false;

	/** Adds the knote. */
	constructor(thread: Thread, change: KeventRequest, observer: KeventObserver) {
		this.thread = thread;
		this.observer = observer;
		this.attempt(() => {
			this.made = watchKevent(thread, change, observer);
		});
	}

	/** Asks for the next event; if the change has no EV_DISPATCH, for all events from now on. */
	request(): void {
		if (!this.closed) this.attempt(() => this.made?.enable());
	}

	/** Asks for no more events. Only for changes with EV_DISABLE. */
	pause(): void {
		this.made?.disable();
	}

	/** Returns false if it was closed, or has ended, before. */
	close(): boolean {
		const open = !this.closed && this.made?.closed !== true;
		this.closed = true;
		this.made?.close();
		return open;
	}

	/** If the change is refused, the observer gets the error soon. */
	private attempt(act: () => void): void {
		try {
			act();
		} catch (error) {
			this.thread.kernel.host.defer(() => {
				if (this.close()) this.observer.error(error);
			});
		}
	}
}

/** A watch on demand. If the change is refused, the observer gets the error soon. */
export function watch(thread: Thread, change: KeventRequest, observer: KeventObserver): Watching {
	return new Watching(thread, change, observer);
}

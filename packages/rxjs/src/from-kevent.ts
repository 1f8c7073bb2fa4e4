// Kevents as observables.
import {
	EV_CLEAR,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EVFILT_PROC,
	type Kevent,
	type KeventObserver,
	type KeventRequest,
	type KeventWatch,
	NOTE_TRACK,
	type Thread,
	watchKevent,
} from "@kqpoll/kqueue";
import { doAll } from "@kqpoll/kqueue/kernel";
import { type Demand, DemandObservable, type DemandObserver } from "./demand.ts";

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
 * It errors with a SystemError: the error that kevent has for the change; EBADF when the descriptor
 * is closed; ESRCH when the thread exits. It completes after an event with EV_EOF, unless `eof` is
 * "emit", and after the event of a change with EV_ONESHOT.
 */
export function fromKevent(
	thread: Thread,
	change: KeventRequest,
	options: FromKeventOptions = {},
): DemandObservable<Kevent> {
	const { filter, flags: wanted = 0, fflags = 0 } = change;
	const follows = filter === EVFILT_PROC && (fflags & NOTE_TRACK) !== 0;
	const completes = options.eof !== "emit" && !follows;
	const events = (observer: DemandObserver<Kevent>, flags: number): Demand => {
		const watching = watch(
			thread,
			{ ...change, flags },
			{
				next(event) {
					doAll(
						() => observer.next(event),
						() => {
							// Unless the observer has closed it.
							if (completes && (event.flags & EV_EOF) !== 0 && watching.close())
								observer.complete();
						},
					);
				},
				error: (error) => observer.error(error),
				complete: () => observer.complete(),
			},
		);
		return watching;
	};
	// EV_ENABLE would let an event come before it is asked for.
	const asked = (wanted & ~EV_ENABLE) | EV_CLEAR | EV_DISPATCH | EV_DISABLE;
	const connect = (observer: DemandObserver<Kevent>): Demand => events(observer, asked);
	if ((wanted & EV_DISPATCH) !== 0) return new DemandObservable(connect);
	return new DemandObservable(connect, (subscriber) => events(subscriber, wanted));
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

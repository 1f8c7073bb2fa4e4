// kevents as observables.
import {
	EV_CLEAR,
	EV_DISABLE,
	EV_DISPATCH,
	EV_EOF,
	EVFILT_PROC,
	type Kevent,
	type KeventChange,
	type KeventObserver,
	type KeventWatch,
	NOTE_TRACK,
	type Thread,
	watchKevent,
} from "@kqpoll/kqueue";
import { type Demand, DemandObservable, type DemandObserver } from "./demand.ts";

/** What can be chosen about an observable of kevents. */
export interface FromKeventOptions {
	/** "complete", the default: an event with EV_EOF is the last. "emit": it is one like others. */
	readonly eof?: "complete" | "emit" | undefined;
}

/**
 * The events that `change` asks for. Cold: the first subscriber adds the knote, the last one to
 * leave deletes it; those of a thread who ask for the same with EV_CLEAR, which is the default,
 * share one. Nothing is emitted while it is subscribed to, but in a turn of the machine's own. No
 * descriptor is used, and the thread may sleep in other calls.
 *
 * Subscribers are told of each change; behind `withBackpressure` the knote is asked when there is
 * demand, and keeps what comes meanwhile in one event.
 *
 * It errors with a SystemError: what kevent answers the change with; EBADF when the descriptor is
 * closed; ESRCH when the thread exits. It completes after an event with EV_EOF, unless `eof` is
 * "emit", and after one that is reported once.
 */
export function fromKevent(
	thread: Thread,
	change: KeventChange,
	options: FromKeventOptions = {},
): DemandObservable<Kevent> {
	const { filter, fflags = 0 } = change;
	const follows = filter === EVFILT_PROC && (fflags & NOTE_TRACK) !== 0;
	const completes = options.eof !== "emit" && !follows;
	const push = (observer: DemandObserver<Kevent>, flags: number): Demand => {
		const watching = watch(
			thread,
			{ ...change, flags },
			{
				next(event) {
					const last = completes && (event.flags & EV_EOF) !== 0;
					if (last) watching.close();
					observer.next(event);
					if (last) observer.complete();
				},
				error: (error) => observer.error(error),
				complete: () => observer.complete(),
			},
		);
		return watching;
	};
	return new DemandObservable(
		(observer) => push(observer, change.flags | EV_CLEAR | EV_DISPATCH | EV_DISABLE),
		(subscriber) => push(subscriber, change.flags),
	);
}

/** A watch on demand. What the change is refused with comes as an error, soon. */
export function watch(thread: Thread, change: KeventChange, observer: KeventObserver): Demand {
	let made: KeventWatch;
	try {
		made = watchKevent(thread, change, observer);
	} catch (error) {
		let closed = false;
		thread.kernel.host.defer(() => {
			if (!closed) observer.error(error);
		});
		return {
			request: () => {},
			close() {
				closed = true;
			},
		};
	}
	return { request: () => made.enable(), close: () => made.close() };
}

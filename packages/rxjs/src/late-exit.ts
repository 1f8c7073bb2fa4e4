// A child that has exited before it is watched: its exit, while nobody has waited for it.
import {
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_PROC,
	errno,
	Kevent,
	NOTE_EXIT,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { waitStatusNow } from "@kqpoll/kqueue/wait";
import { type Demand, DemandObservable, type DemandObserver } from "./demand/observable.ts";

/** The flags of the event of an exit. */
const EXIT_FLAGS: number = EV_ADD | EV_CLEAR | EV_ONESHOT | EV_EOF;

/** Connects to the events of a process; if it is refused, the exit of the child is emitted instead. */
class LateExit implements Demand {
	private readonly thread: Thread;
	private readonly observer: DemandObserver<Kevent>;
	private readonly exit: Kevent;
	private readonly events: Demand;
	private asked = false;
	private refused = false;
	private closed = false;

	constructor(
		thread: Thread,
		exit: Kevent,
		events: DemandObservable<Kevent>,
		observer: DemandObserver<Kevent>,
	) {
		this.thread = thread;
		this.observer = observer;
		this.exit = exit;
		this.events = events.connect({
			next: (event) => observer.next(event),
			error: (error) => this.failed(error),
			complete: () => observer.complete(),
		});
	}

	request(): void {
		this.asked = true;
		if (this.refused) this.thread.kernel.host.defer(() => this.emit());
		else this.events.request();
	}

	close(): void {
		this.closed = true;
		this.events.close();
	}

	private failed(error: unknown): void {
		const isGone = error instanceof SystemError && error.errno === errno.ESRCH;
		if (!isGone || this.thread.state === "exited") {
			this.observer.error(error);
			return;
		}
		this.refused = true;
		if (this.asked) this.emit();
	}

	private emit(): void {
		if (this.closed) return;
		this.observer.next(this.exit);
		if (!this.closed) this.observer.complete();
	}
}

/**
 * The events of a process, of `events`. For a child of the thread's process that has exited and was
 * not waited for, the event that its watchers got.
 */
export function orLateExit(
	thread: Thread,
	pid: number,
	events: DemandObservable<Kevent>,
): DemandObservable<Kevent> {
	const late = (exit: Kevent): DemandObservable<Kevent> =>
		new DemandObservable((observer) => new LateExit(thread, exit, events, observer));
	return new DemandObservable(
		(observer) => {
			const exit = exitOf(thread, pid);
			return (exit === null ? events : late(exit)).connect(observer);
		},
		(subscriber) => {
			const exit = exitOf(thread, pid);
			const subscription = (exit === null ? events : late(exit)).subscribe({
				next: (event) => subscriber.next(event),
				error: (error) => subscriber.error(error),
				complete: () => subscriber.complete(),
			});
			return { request: () => {}, close: () => subscription.unsubscribe() };
		},
	);
}

/** The event of the exit of a child that was not waited for; null for others. */
function exitOf(thread: Thread, pid: number): Kevent | null {
	const status = thread.state === "exited" ? null : waitStatusNow(thread, pid);
	if (status === null) return null;
	return new Kevent(pid, EVFILT_PROC, EXIT_FLAGS, NOTE_EXIT, status);
}

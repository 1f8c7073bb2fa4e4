// The same reactor around kevent(2). It needs no wheel, as the kernel has timers; no handlers and
// no pipe, as a signal is an event like others; and no look-up, as each event carries its callback
// in udata.
import {
	close,
	EV_ADD,
	EV_DELETE,
	EV_ONESHOT,
	EV_SET,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	eventList,
	type Kevent,
	kevent,
	keventNow,
	kqueue,
	sigaction,
	type Thread,
} from "@kqpoll/kqueue";
import { SIG_IGN } from "@kqpoll/kqueue/signal";
import { demonstrate, type Reactor } from "./reactor-program.ts";

class KeventReactor implements Reactor {
	private readonly thread: Thread;
	private readonly kq: number;
	private timers = 0;
	private stopped = false;

	constructor(thread: Thread) {
		this.thread = thread;
		this.kq = kqueue(thread);
	}

	private change(change: Kevent): void {
		keventNow(this.thread, this.kq, [change], null);
	}

	onReadable(fd: number, callback: () => void): void {
		this.change(EV_SET(fd, EVFILT_READ, EV_ADD, 0, 0, callback));
	}

	forget(fd: number): void {
		this.change(EV_SET(fd, EVFILT_READ, EV_DELETE));
	}

	/** The signal is ignored, but still counted. */
	onSignal(signal: number, callback: () => void): void {
		sigaction(this.thread, signal, SIG_IGN);
		this.change(EV_SET(signal, EVFILT_SIGNAL, EV_ADD, 0, 0, callback));
	}

	after(ms: number, callback: () => void): () => void {
		const timer = this.timers++;
		let over = false;
		const expire = (): void => {
			over = true;
			callback();
		};
		this.change(EV_SET(timer, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, ms, expire));
		return () => {
			if (!over) this.change(EV_SET(timer, EVFILT_TIMER, EV_DELETE));
			over = true;
		};
	}

	stop(): void {
		this.stopped = true;
	}

	async run(): Promise<void> {
		// One event at a time: an event that a callback cancels cannot be in the list already.
		const events = eventList(1);
		while (!this.stopped) {
			await kevent(this.thread, this.kq, null, events, null);
			for (const { udata } of events) (udata as () => void)();
		}
		close(this.thread, this.kq);
	}
}

/** Runs the program, and prints what happens, and at what time. */
export const run = (print: (line: string) => void): Promise<void> =>
	demonstrate((thread) => new KeventReactor(thread), print);

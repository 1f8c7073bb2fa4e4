/// <reference lib="esnext.disposable" preserve="true" />
// A watch: tells an observer of kevents as they come.

import { EV_DISABLE, EV_DISPATCH } from "../abi/constants.ts";
import { errno, SystemError } from "../abi/errno.ts";
import { copyinRequest, type Kevent, type KeventRequest } from "../abi/kevent.ts";
import { copyin } from "../abi/lists.ts";
import { show } from "../abi/values.ts";
import { type Account, limitOf } from "../base/account.ts";
import { doAll } from "../base/failure.ts";
import type { Thread } from "../process/thread.ts";
import { checkThread } from "../sched/entry.ts";
import { type Pump, pumpOf } from "./pump.ts";
import type { Newcomer, Source } from "./source.ts";

/** What a watch tells of events. */
export interface KeventObserver {
	/** An event. The observer may keep the object: other watches for the same event get their own. */
	next(event: Kevent): void;
	/**
	 * The watch has failed, and is closed: EBADF when the descriptor was closed, ESRCH when the thread
	 * has exited, or what the filter threw.
	 */
	error(error: unknown): void;
	/** There will be no more events, as the last one has been reported. The watch is closed. */
	complete(): void;
}

/**
 * A watch for events of one kind, from {@link watchKevent}. It exists until it is closed, fails or
 * completes.
 */
export class KeventWatch {
	private readonly observer: KeventObserver;
	private readonly account: Account;
	private readonly pump: Pump;
	private readonly source: Source;
	private isClosed = false;
	private isArmed = false;
	/** For the pump. @internal */
	newcomer: Newcomer | null = null;

	/** Made by {@link watchKevent}. */
	constructor(thread: Thread, request: KeventRequest, observer: KeventObserver) {
		checkThread(thread, "kevent");
		checkObserver(observer);
		const change = copyinRequest(request, "kevent");
		this.observer = observer;
		this.account = thread.process.account;
		if (!this.account.watches.hasRoom(1))
			throw new SystemError(errno.EAGAIN, "kevent", limitOf(this.account, "watches"));
		// After the request was read, whose accessors may end the thread or its watches.
		this.pump = pumpOf(thread);
		this.source = this.added(change);
		this.setArmed((change.flags & EV_DISABLE) === 0);
	}

	/** Adds it to the pump, and charges it. */
	private added(change: Kevent): Source {
		const { watches } = this.account;
		let source: Source | null = null;
		watches.force(1);
		try {
			source = this.pump.add(this, change);
		} finally {
			// A filter may have called the program, which has ended the process and so the watch.
			if (source === null) this.end();
		}
		return source;
	}

	/** Whether it is over. */
	get closed(): boolean {
		return this.isClosed;
	}

	/**
	 * Lets it report again, after an event with EV_DISPATCH or {@link disable}. Does nothing if it
	 * reports already, or is closed.
	 */
	enable(): void {
		this.setEnabled(true);
	}

	/**
	 * Keeps it from reporting; what happens meanwhile is in the event after {@link enable}. Only for
	 * watches that have their own knote, because they were added with EV_ENABLE, EV_DISABLE or
	 * EV_DISPATCH; EINVAL for others.
	 */
	disable(): void {
		if (this.source.key !== null)
			throw new SystemError(
				errno.EINVAL,
				"kevent",
				"the watch shares its knote: add it with EV_ENABLE to disable it",
			);
		this.setEnabled(false);
	}

	/** For the pump: whether it waits for an event. @internal */
	get armed(): boolean {
		return this.isArmed;
	}

	private setEnabled(enabled: boolean): void {
		if (this.isClosed || this.isArmed === enabled) return;
		this.setArmed(enabled);
		let done = false;
		try {
			this.pump.setEnabled(this.source, enabled);
			done = true;
		} finally {
			// A filter threw, and the knote is unchanged.
			if (!done && !this.isClosed) this.setArmed(!enabled);
		}
	}

	/** Ends the watch: nothing more is reported. */
	close(): void {
		if (!this.end()) return;
		this.pump.remove(this.source, this);
	}

	/** Ends the watch when a block of `using` ends. */
	[Symbol.dispose](): void {
		this.close();
	}

	/** For the pump: an event, and whether it was the last. @internal */
	give(event: Kevent, last: boolean): void {
		if ((event.flags & EV_DISPATCH) !== 0) this.setArmed(false);
		if (!last) {
			this.observer.next(event);
			return;
		}
		doAll(
			() => this.observer.next(event),
			() => {
				// Unless the observer has closed it.
				if (this.end()) this.observer.complete();
			},
		);
	}

	/** For the pump: there will be no events. @internal */
	fail(error: unknown): void {
		if (this.end()) this.observer.error(error);
	}

	private end(): boolean {
		if (this.isClosed) return false;
		this.isClosed = true;
		this.account.watches.release(1);
		this.setArmed(false);
		return true;
	}

	private setArmed(armed: boolean): void {
		if (this.isArmed === armed) return;
		this.isArmed = armed;
		if (armed) this.pump.arm();
		else this.pump.disarm(this.source);
	}
}

/**
 * Tells an observer of the events that `change` asks for, from now on, until the watch is closed.
 * Async iterables and observables are built on this. It does not use a descriptor, and the thread
 * does not sleep: it may make other calls.
 *
 * Of the change's flags, only EV_CLEAR, EV_DISPATCH, EV_ONESHOT, EV_ENABLE and EV_DISABLE have an
 * effect. With EV_CLEAR, which is the default, an observer is told of each change; with EV_DISPATCH
 * once, and again after {@link KeventWatch.enable}; with EV_ONESHOT once. Nothing is lost in
 * between: what happened meanwhile is in the `data` and `fflags` of the next event.
 *
 * The observer is called in a turn of its own, never while the watch is made and never inside
 * another call. Watches of a thread that ask for the same with EV_CLEAR alone share one knote where
 * they cannot tell the difference: a new one alone is told what is ready already, and not of what
 * happened before it. A timer is not restarted for it. What an observer throws is reported by the
 * platform.
 *
 * Throws the errno of the change, as in kevent; EFAULT for what is not a change or an observer;
 * EAGAIN when there are too many watches; ESRCH for a thread that has exited. Source: kqueue(2).
 */
export function watchKevent(
	thread: Thread,
	change: KeventRequest,
	observer: KeventObserver,
): KeventWatch {
	return new KeventWatch(thread, change, observer);
}

/** Refuses an observer that cannot be told, with EFAULT. */
function checkObserver(observer: KeventObserver): void {
	const named = Object(observer) as Partial<Record<string, unknown>>;
	for (const name of ["next", "error", "complete"]) {
		if (copyin("kevent", "the observer", () => typeof named[name] === "function")) continue;
		const why = `the observer ${show(observer)} has no function ${name}`;
		throw new SystemError(errno.EFAULT, "kevent", why);
	}
}

// poll(2), again and again, as an observable.
import { type Pollfd, pollNow } from "@kqpoll/kqpoll";
import { pollCall } from "@kqpoll/kqpoll/kernel";
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import {
	type AbortSignalLike,
	copyin,
	Driver,
	lengthOfList,
	resume,
	startCall,
	WOULD_SLEEP,
} from "@kqpoll/kqueue/kernel";
import { checkThread } from "./arguments.ts";
import { type Demand, DemandObservable, type DemandObserver } from "./demand/observable.ts";

/** A descriptor, and what to ask of it. */
export interface PollRequest {
	/** The descriptor; one below 0 is skipped. */
	readonly fd: number;
	/** POLLIN, POLLOUT and POLLPRI, joined by `|`. */
	readonly events: number;
}

/** The reason with which a poll is aborted when nobody waits for it any more. */
class Cancel implements AbortSignalLike {
	aborted = false;
	readonly reason = "cancelled";
	private listener: (() => void) | null = null;

	addEventListener(_type: "abort", listener: () => void): void {
		this.listener = listener;
	}

	removeEventListener(): void {
		this.listener = null;
	}

	abort(): void {
		this.aborted = true;
		this.listener?.();
	}
}

/** The polls of one subscriber: what drives them is told of each result in the thread's own turn. */
class Polling extends Driver implements Demand {
	private readonly thread: Thread;
	private readonly requests: readonly PollRequest[];
	private readonly cancel: Cancel = new Cancel();
	/** Null when it is over: a thread keeps the driver of its last sleep. */
	private observer: DemandObserver<readonly number[]> | null;
	private list: readonly Pollfd[] = [];

	constructor(
		thread: Thread,
		requests: readonly PollRequest[],
		observer: DemandObserver<readonly number[]>,
	) {
		super();
		this.thread = thread;
		this.requests = requests;
		this.observer = observer;
	}

	/** Soon: a poll that was cancelled just now has to return first. */
	request(): void {
		this.thread.kernel.host.defer(this.begin);
	}

	close(): void {
		this.observer = null;
		this.cancel.abort();
	}

	private readonly begin = (): void => {
		const { thread, requests, cancel } = this;
		if (cancel.aborted) return;
		const list = requests.map(({ fd, events }): Pollfd => ({ fd, events, revents: 0 }));
		this.list = list;
		let result: number;
		try {
			result = startCall(() => this, thread, "poll", { signal: cancel }, pollCall, list, -1);
		} catch (error) {
			this.failed(error);
			return;
		}
		if (result !== WOULD_SLEEP) this.done();
	};

	override woken(thread: Thread): void {
		resume(thread);
	}

	override done(): void {
		this.observer?.next(this.list.map(({ revents }) => revents));
	}

	override failed(error: unknown): void {
		const { thread, observer } = this;
		this.observer = null;
		observer?.error(thread.state === "exited" ? exitOf(thread) : error);
	}
}

/** What a call of a thread that has exited fails with. */
function exitOf(thread: Thread): unknown {
	try {
		return pollNow(thread, []);
	} catch (error) {
		return error;
	}
}

/**
 * Polls descriptors again and again, without a time-out, and emits the revents of each poll, in the
 * order of `fds`. As in a loop around poll(2), every poll reports a descriptor for as long as it is
 * ready: read or write it in `next`, or poll slowly behind `withBackpressure`.
 *
 * The thread sleeps in the polls, so that it should be used for nothing else. Every subscriber
 * polls for itself, and begins in a turn of its own. The list is copied when the observable is
 * made: EFAULT for what is not an array of objects, or not a thread; EINVAL for too many. It never
 * completes, and errors with what poll rejects with: EBUSY when the thread already sleeps, EINTR
 * after a signal, ESRCH when the thread exits. A descriptor that is closed is POLLNVAL from then on.
 */
export function pollfds(
	thread: Thread,
	fds: readonly PollRequest[],
): DemandObservable<readonly number[]> {
	checkThread(thread, "poll");
	const requests = copyRequests(fds, thread.process.fdp.limit);
	return new DemandObservable((observer) => new Polling(thread, requests, observer));
}

/**
 * Reads each field once. Throws EFAULT for what is not an array of objects, EINVAL for more of them
 * than there can be descriptors.
 */
function copyRequests(fds: readonly PollRequest[], limit: number): PollRequest[] {
	const length = lengthOfList(fds, "poll", "fds");
	if (length > limit) {
		const why = `fds has ${length} entries, the limit is ${limit}`;
		throw new SystemError(errno.EINVAL, "poll", why);
	}
	const requests: PollRequest[] = [];
	// By their numbers: an array may have an iterator of its own, which need not end.
	for (let index = 0; index < length; index++) {
		const request = copyin("poll", `fds[${index}]`, () => {
			const entry: unknown = fds[index];
			if (typeof entry !== "object" || entry === null) return null;
			const { fd, events } = entry as PollRequest;
			return { fd, events };
		});
		if (request === null)
			throw new SystemError(errno.EFAULT, "poll", `fds[${index}] is not an object`);
		requests.push(request);
	}
	return requests;
}

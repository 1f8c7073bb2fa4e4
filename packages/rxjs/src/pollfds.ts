// poll(2), again and again, as an observable.
import { type Pollfd, poll } from "@kqpoll/kqpoll";
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { type AbortSignalLike, copyin, lengthOfList } from "@kqpoll/kqueue/kernel";
import { checkThread } from "./arguments.ts";
import { DemandObservable } from "./demand.ts";

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

/**
 * Polls descriptors again and again, without a time-out, and emits the revents of each poll, in the
 * order of `fds`. As in a loop around poll(2), every poll reports a descriptor for as long as it is
 * ready: read or write it in `next`, or poll slowly behind `withBackpressure`.
 *
 * The thread sleeps in the polls, so that it should be used for nothing else. Every subscriber
 * polls for itself. The list is copied when the observable is made: EFAULT for what is not an array
 * of objects, or not a thread; EINVAL for too many. Errors with what poll rejects with: EBUSY when
 * the thread already sleeps, EINTR, ESRCH.
 */
export function pollfds(
	thread: Thread,
	fds: readonly PollRequest[],
): DemandObservable<readonly number[]> {
	checkThread(thread, "poll");
	const requests = copyRequests(fds, thread.process.fdp.limit);
	return new DemandObservable((observer) => {
		const cancel = new Cancel();
		const begin = (): void => {
			if (cancel.aborted) return;
			const list = requests.map(({ fd, events }): Pollfd => ({ fd, events, revents: 0 }));
			poll(thread, list, -1, { signal: cancel }).then(
				() => {
					if (!cancel.aborted) observer.next(list.map(({ revents }) => revents));
				},
				(error) => {
					if (!cancel.aborted) observer.error(error);
				},
			);
		};
		return {
			// Soon: a poll that was cancelled just now has to return first.
			request: () => thread.kernel.host.defer(begin),
			close: () => cancel.abort(),
		};
	});
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

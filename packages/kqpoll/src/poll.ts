// poll(2) and ppoll(2).
import {
	EV_ADD,
	EV_ENABLE,
	EV_ERROR,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	type Kevent,
	NOTE_OOB,
	type SleepOptions,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import {
	__EV_HUP,
	__EV_POLL,
	type BlockingCall,
	callAsync,
	callNow,
	enter,
	faultOf,
	INT_MAX,
	isInt16,
	isInt32,
	isUint16,
	type Knote,
	type Kqueue,
	kassert,
	knoteFind,
	kqpollInit,
	leave,
	lengthOfList,
	limitOf,
	msToNs,
	show,
	sigsuspendMask,
	timespecToNs,
} from "@kqpoll/kqueue/kernel";
import type { Sigset } from "@kqpoll/kqueue/signal";
import type { Timespec } from "@kqpoll/kqueue/time";
import {
	POLL_NOHUP,
	POLLERR,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	POLLRDBAND,
	POLLRDNORM,
} from "./constants.ts";
import { endAfter, KqpollCall, pollState } from "./kqpoll-call.ts";

/** struct pollfd: a descriptor, what is asked about it, and the answer. */
export interface Pollfd {
	/** The descriptor; an entry with a negative one is ignored. */
	fd: number;
	/** What to wait for: POLLIN, POLLOUT, POLLPRI …, or-ed. */
	events: number;
	/** Written by the call: what is true now, also POLLERR, POLLHUP and POLLNVAL. */
	revents: number;
}

/**
 * Waits until one of `fds` is ready, for `timeout` milliseconds (-1: forever, 0: not at all;
 * fractions count), writes every entry's `revents`, and returns how many of them are not 0. The
 * same descriptor may be in several entries.
 *
 * Rejects with: EINVAL if `timeout` or `events` is out of range, or there are more entries than a
 * process can have descriptors; EFAULT if `fds` is not an array of pollfds, or an entry cannot be
 * written; ENOMEM with too many knotes; EINTR after a signal, with all revents 0; EBUSY if the
 * thread sleeps already; EDEADLK if a callback of another call of the thread makes this one; ESRCH
 * if the thread has exited; the reason of `options.signal`. Source: poll(2).
 */
export function poll(
	thread: Thread,
	fds: readonly Pollfd[],
	timeout: number,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "poll", options, pollCall, fds, timeout);
}

/** Begins a {@link poll}, for any driver. */
export function pollCall(thread: Thread, fds: readonly Pollfd[], timeout: number): BlockingCall {
	return begin(thread, "poll", fds, msToNs(timeout, "poll"), null);
}

/**
 * As {@link poll}, with a timespec (null: forever), and with a signal mask while it waits; null
 * leaves the thread's mask as it is. Source: ppoll(2).
 */
export function ppoll(
	thread: Thread,
	fds: readonly Pollfd[],
	timeout: Timespec | null,
	sigmask: Sigset | null = null,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "ppoll", options, ppollCall, fds, timeout, sigmask);
}

/** Begins a {@link ppoll}, for any driver. */
export function ppollCall(
	thread: Thread,
	fds: readonly Pollfd[],
	timeout: Timespec | null,
	sigmask: Sigset | null = null,
): BlockingCall {
	return begin(thread, "ppoll", fds, timespecToNs(timeout, "ppoll"), sigmask);
}

/** As {@link poll} with a timeout of 0, without a promise: never sleeps, and throws its errors. */
export function pollNow(thread: Thread, fds: readonly Pollfd[]): number {
	return now(thread, "poll", fds, null);
}

/**
 * As {@link ppoll} with a timeout of zero, without a promise: never sleeps, and throws its errors.
 */
export function ppollNow(
	thread: Thread,
	fds: readonly Pollfd[],
	sigmask: Sigset | null = null,
): number {
	return now(thread, "ppoll", fds, sigmask);
}

function now(thread: Thread, name: string, fds: readonly Pollfd[], sigmask: Sigset | null): number {
	enter(thread, name);
	try {
		return callNow(begin(thread, name, fds, 0, sigmask));
	} finally {
		leave(thread);
	}
}

function begin(
	thread: Thread,
	name: string,
	fds: readonly Pollfd[],
	timeout: number,
	sigmask: Sigset | null,
): PollCall {
	const nfds = lengthOfList(fds, name, "fds");
	const { limit } = thread.process.fdp;
	if (nfds > limit)
		throw new SystemError(errno.EINVAL, name, `fds has ${nfds} entries, the limit is ${limit}`);
	kqpollInit(thread, nfds, name);
	try {
		const state = pollState<PollCall, unknown, unknown>(thread);
		state.poll ??= new PollCall(thread, name);
		state.poll.begin(name, fds, nfds, timeout, sigmask);
		return state.poll;
	} catch (error) {
		return endAfter(thread, nfds, error);
	}
}

const NONE: readonly Pollfd[] = [];
/** How many entries are named; the others are only counted. */
const NAMED = 8;
const NAMES = [
	[POLLIN, "POLLIN"],
	[POLLRDNORM, "POLLRDNORM"],
	[POLLOUT, "POLLOUT"],
	[POLLPRI, "POLLPRI"],
	[POLLRDBAND, "POLLRDBAND"],
] as const;

/** The names of the bits that a poll asks for. */
function pollNames(events: number): string {
	const names = NAMES.flatMap(([bit, name]) => ((events & bit) === 0 ? [] : [name]));
	return names.length === 0 ? "hang-up only" : names.join("|");
}
const POLL_CHANGE = EV_ADD | EV_ENABLE | __EV_POLL;

/** A poll in progress. */
class PollCall extends KqpollCall {
	private fds: readonly Pollfd[] = NONE;
	/**
	 * The call's own copy of the entries: the program may change its array meanwhile. It is kept for
	 * the next call, to see which entries have changed.
	 */
	private fd: Int32Array = new Int32Array(0);
	private events: Int16Array = new Int16Array(0);
	private revents: Int16Array = new Int16Array(0);
	/** The knote of each entry that has exactly one, as long as the entry asks for the same. */
	private readonly knotes: (Knote | null)[] = [];
	/** How many changes the current entry took. */
	private attempts = 0;

	/** Copies the entries in and registers them. */
	begin(
		name: string,
		fds: readonly Pollfd[],
		nfds: number,
		timeout: number,
		sigmask: Sigset | null,
	): void {
		this.prepare(name, nfds, timeout);
		this.makeRoom(nfds);
		try {
			this.copyin(fds, nfds);
		} catch (error) {
			throw new SystemError(faultOf(error), name, "fds cannot be read");
		}
		// Set before anything is registered: signals that the mask allows are taken even if that fails.
		sigsuspendMask(this.thread, sigmask, name);
		this.registerEntries(this.knotes, nfds, 1);
	}

	private makeRoom(nfds: number): void {
		if (this.fd.length >= nfds) return;
		const room = Math.max(16, 2 ** Math.ceil(Math.log2(nfds)));
		this.fd = new Int32Array(room);
		this.events = new Int16Array(room);
		this.revents = new Int16Array(room);
		this.knotes.length = 0;
		while (this.knotes.length < room) this.knotes.push(null);
	}

	private copyin(fds: readonly Pollfd[], nfds: number): void {
		const { fd: own, events: asked, knotes } = this;
		for (let i = 0; i < nfds; i++) {
			const entry = fds[i];
			if (typeof entry !== "object" || entry === null)
				throw new SystemError(errno.EFAULT, this.syscall, `entry ${i} of fds is not a pollfd`);
			const { fd, events } = entry;
			if (fd === own[i] && events === asked[i]) continue;
			knotes[i] = null;
			if (!isInt16(events) && !isUint16(events))
				throw new SystemError(
					errno.EINVAL,
					this.syscall,
					`entry ${i} of fds: events ${show(events)} are not POLL constants`,
				);
			// What is not a C int cannot be an open descriptor either.
			own[i] = isInt32(fd) ? fd : INT_MAX;
			asked[i] = events & ~POLL_NOHUP;
		}
		this.revents.fill(0, 0, nfds);
		this.fds = fds;
	}

	/** Registers what entry `i` asks for: READ, WRITE, EXCEPT, in this order. */
	protected override watchEntry(i: number): void {
		if ((this.fd[i] as number) < 0) return;
		this.attempts = 0;
		const events = this.events[i] as number;
		const read = (events & (POLLIN | POLLRDNORM)) !== 0;
		const write = (events & POLLOUT) !== 0;
		// The entry asks for nothing, but still gets hang-ups.
		const forcehup = (events & ~POLLHUP) === 0;
		if (read) this.watchFilter(i, EVFILT_READ, 0, false);
		if (write)
			this.watchFilter(i, EVFILT_WRITE, 0, !read && (events & (POLLPRI | POLLRDBAND)) === 0);
		if (forcehup) this.watchFilter(i, EVFILT_EXCEPT, 0, false);
		else if ((events & (POLLPRI | POLLRDBAND)) !== 0)
			this.watchFilter(i, EVFILT_EXCEPT, NOTE_OOB, false);
		if (this.revents[i] !== 0) this.collected++;
	}

	/** `alone`: the entry asks for WRITE and nothing else. */
	private watchFilter(i: number, filter: number, fflags: number, alone: boolean): void {
		const fd = this.fd[i] as number;
		const serial = this.thread.kqserial + i;
		this.attempts++;
		let error = this.register(fd, filter, POLL_CHANGE, fflags, serial, i + 1);
		// The read end of a fifo refuses WRITE, but the entry still gets its hang-up.
		if (error === errno.EPERM && alone) {
			this.attempts++;
			error = this.register(fd, EVFILT_EXCEPT, POLL_CHANGE, 0, serial, i + 1);
		}
		if (error === errno.EDEADLK)
			throw new SystemError(error, this.syscall, `called by a filter of descriptor ${fd}`);
		const { account } = this.thread.process;
		if (error === errno.ENOMEM && !account.knotes.hasRoom(1))
			throw new SystemError(error, this.syscall, limitOf(account, "knotes"));
		const single = error === 0 && this.attempts === 1;
		this.knotes[i] = single ? knoteFind(this.thread.kq as Kqueue, fd, filter, i + 1) : null;
		if (error === 0) this.registered++;
		else this.revents[i] = (this.revents[i] as number) | refusal(error);
	}

	/** Adds an event to the revents of its entry; the entry counts when they are not 0. */
	protected override convert(kev: Knote | Kevent): number {
		const i = (kev.udata as number) - this.thread.kqserial;
		kassert(i >= 0 && i < this.serials && this.fd[i] === kev.ident, "poll gets its own events");
		const before = this.revents[i] as number;
		let after = before;
		if ((kev.flags & EV_ERROR) !== 0 && kev.data === errno.EBADF) after = POLLNVAL;
		else if ((before & POLLNVAL) === 0) after |= eventBits(kev, this.events[i] as number);
		if (after === before) return 0;
		if (before === 0) this.collected++;
		this.revents[i] = after;
		return 0;
	}

	/** Writes every entry's revents. */
	protected override copyout(): number {
		const { fds, revents } = this;
		const nfds = this.serials;
		for (let i = 0; i < nfds; i++) {
			const entry = fds[i];
			if (typeof entry === "object" && entry !== null) entry.revents = revents[i] as number;
		}
		return 0;
	}

	/** Names the descriptors and the events that they are polled for. */
	override describe(): string {
		const entries: string[] = [];
		for (let i = 0; i < Math.min(this.serials, NAMED); i++) {
			if ((this.fd[i] as number) < 0) continue;
			entries.push(`${this.fd[i]} (${pollNames(this.events[i] as number)})`);
		}
		const more = this.serials - NAMED;
		if (more > 0) entries.push(`${more} more entries`);
		if (entries.length === 0) return `${this.syscall} of nothing`;
		return `${this.syscall} of descriptors ${entries.join(", ")}`;
	}

	/** A poll that slept has collected nothing, and sets all revents to 0. */
	protected override readonly answersWhenInterrupted = true;

	override end(): void {
		this.fds = NONE;
		super.end();
	}
}

/** The revents for a filter that cannot be registered. */
function refusal(error: number): number {
	switch (error) {
		case errno.EBADF:
			return POLLNVAL;
		case errno.EPIPE:
			return POLLHUP;
		case errno.EOPNOTSUPP:
		case errno.EINVAL:
		case errno.EPERM:
			return 0;
		default:
			return POLLERR;
	}
}

/** The revents for an event, of those that the entry asks for. */
function eventBits(kev: Knote | Kevent, events: number): number {
	const hup = (kev.flags & __EV_HUP) !== 0;
	switch (kev.filter) {
		case EVFILT_READ:
			return (hup ? POLLHUP : 0) | (events & (POLLIN | POLLRDNORM));
		case EVFILT_WRITE:
			return hup ? POLLHUP : events & POLLOUT;
		default:
			return hup ? POLLHUP : events & (POLLPRI | POLLRDBAND);
	}
}

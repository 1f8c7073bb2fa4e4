// select(2) and pselect(2).
import {
	__EV_SELECT,
	EV_ADD,
	EV_ENABLE,
	EV_ERROR,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	type Kevent,
	NOTE_OOB,
	type Sigset,
	type SleepOptions,
	SystemError,
	type Thread,
	type Timespec,
	type Timeval,
} from "@kqpoll/kqueue";
import {
	callAsync,
	callNow,
	enter,
	type Knote,
	type Kqueue,
	kassert,
	knoteFind,
	kqpollDone,
	kqpollInit,
	leave,
	show,
	sigsuspendMask,
	timespecToNs,
	timevalToNs,
} from "@kqpoll/kqueue/kernel";
import { FdSet, lowestBit } from "./fdset.ts";
import { KqpollCall, pollState } from "./kqpoll-call.ts";

/**
 * Waits until one of the descriptors below `nfds` in the sets is ready: to be read, to be
 * written, or with an exceptional condition. Then the sets have those that are, and their number
 * over all three is given. `timeout` null waits for ever. A set may be null.
 *
 * `nfds` counts at most up to the size of the process's descriptor table; words of the sets
 * beyond that stay as they are. After an error the sets are as before; after a time-out they are
 * empty.
 *
 * Rejects with: EBADF a descriptor that is not open, or that was closed meanwhile; EINVAL nfds or
 * timeout out of range; EFAULT a set that is none, or has no room for nfds; EINTR a signal; what
 * a descriptor says that cannot be watched; EBUSY the thread sleeps already; EDEADLK it is called
 * by a callback of another of the thread's calls; ESRCH the thread has exited; the reason of
 * `options.signal`. Source: select(2).
 */
export function select(
	thread: Thread,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
	timeout: Timeval | null,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "select", options, () => {
		const ns = timevalToNs(timeout, "select");
		return begin(thread, "select", nfds, readfds, writefds, exceptfds, ns, null);
	});
}

/**
 * As {@link select}, with a timespec, and with a signal mask that holds while it waits; null
 * leaves the thread's mask as it is. Source: pselect(2).
 */
export function pselect(
	thread: Thread,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
	timeout: Timespec | null,
	sigmask: Sigset | null = null,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "pselect", options, () => {
		const ns = timespecToNs(timeout, "pselect");
		return begin(thread, "pselect", nfds, readfds, writefds, exceptfds, ns, sigmask);
	});
}

/** As {@link select} with a timeout of zero, without a promise: never sleeps, throws. */
export function selectNow(
	thread: Thread,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
): number {
	return now(thread, "select", nfds, readfds, writefds, exceptfds, null);
}

/** As {@link pselect} with a timeout of zero, without a promise: never sleeps, throws. */
export function pselectNow(
	thread: Thread,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
	sigmask: Sigset | null = null,
): number {
	return now(thread, "pselect", nfds, readfds, writefds, exceptfds, sigmask);
}

function now(
	thread: Thread,
	name: string,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
	sigmask: Sigset | null,
): number {
	enter(thread, name);
	try {
		return callNow(begin(thread, name, nfds, readfds, writefds, exceptfds, 0, sigmask));
	} finally {
		leave(thread);
	}
}

function begin(
	thread: Thread,
	name: string,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
	timeout: number,
	sigmask: Sigset | null,
): SelectCall {
	if (!Number.isInteger(nfds) || nfds < 0)
		throw new SystemError(errno.EINVAL, name, `nfds ${show(nfds)}`);
	const nd = Math.min(nfds, thread.process.fdp.size);
	checkSet(readfds, nd, name);
	checkSet(writefds, nd, name);
	checkSet(exceptfds, nd, name);
	kqpollInit(thread, nd, name);
	let begun = false;
	try {
		const state = pollState<unknown, SelectCall>(thread);
		state.select ??= new SelectCall(thread, name);
		state.select.begin(name, nd, readfds, writefds, exceptfds, timeout);
		sigsuspendMask(thread, sigmask, name);
		begun = true;
		return state.select;
	} finally {
		if (!begun) kqpollDone(thread, nd);
	}
}

function checkSet(set: FdSet | null, nd: number, name: string): void {
	if (set === null || set === undefined) return;
	if (!(set instanceof FdSet)) throw new SystemError(errno.EFAULT, name, "a set is no FdSet");
	if (set.size < nd)
		throw new SystemError(errno.EFAULT, name, `a set has room for ${set.size} of ${nd}`);
}

const SELECT_CHANGE = EV_ADD | EV_ENABLE | __EV_SELECT;
const FILTERS: readonly number[] = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT];
const FFLAGS = [0, 0, NOTE_OOB] as const;

/** A select under way. */
class SelectCall extends KqpollCall {
	/** The sets of the program: read, write, except. */
	private readonly sets: (FdSet | null)[] = [null, null, null];
	/** How many words of each set the call looks at. */
	private words = 0;
	/** The answer, word by word: the read set's, the write set's, the except set's. */
	private answer: Int32Array = new Int32Array(3);
	/** The bits that were asked for the last time, in the same order. */
	private asked: Int32Array = new Int32Array(3);
	/** What those bits stand for: three times the descriptor, plus the number of the set. */
	private readonly entries: number[] = [];
	/** The knote of each of them that needed one and got it. */
	private readonly knotes: (Knote | null)[] = [];

	/** Registers the descriptors of the sets. */
	begin(
		name: string,
		nd: number,
		readfds: FdSet | null,
		writefds: FdSet | null,
		exceptfds: FdSet | null,
		timeout: number,
	): void {
		const { sets } = this;
		this.prepare(name, nd, timeout);
		sets[0] = readfds;
		sets[1] = writefds;
		sets[2] = exceptfds;
		this.makeRoom((nd + 31) >> 5);
		if (this.copyin(nd)) this.list();
		this.registerEntries(this.knotes, this.entries.length, 0);
	}

	private makeRoom(words: number): void {
		if (this.answer.length < 3 * words) {
			this.answer = new Int32Array(3 * words);
			this.asked = new Int32Array(3 * words);
		}
		this.answer.fill(0);
		if (words === this.words) return;
		// With another number of words, places mean something else.
		this.words = words;
		this.asked.fill(0);
		this.entries.length = 0;
		this.knotes.length = 0;
	}

	/** Copies the bits below `nd` in, and says whether they differ from those of the last call. */
	private copyin(nd: number): boolean {
		const { asked, sets, words } = this;
		// Bits from nd on are not looked at.
		const lastMask = (nd & 31) === 0 ? -1 : (1 << (nd & 31)) - 1;
		let differ = false;
		for (let which = 0; which < 3; which++) {
			const from = sets[which]?.words;
			for (let word = 0; word < words; word++) {
				const mask = word === words - 1 ? lastMask : -1;
				const bits = from === undefined ? 0 : (from[word] as number) & mask;
				if (bits === asked[which * words + word]) continue;
				asked[which * words + word] = bits;
				differ = true;
			}
		}
		return differ;
	}

	/** Makes the list of what the bits stand for. */
	private list(): void {
		const { asked, entries, knotes, words } = this;
		let n = 0;
		for (let at = 0; at < 3 * words; at++) {
			const which = Math.floor(at / words);
			for (let bits = asked[at] as number; bits !== 0; bits &= bits - 1) {
				entries[n] = 3 * ((at - which * words) * 32 + lowestBit(bits)) + which;
				knotes[n++] = null;
			}
		}
		entries.length = n;
		knotes.length = n;
	}

	protected override watchEntry(i: number): void {
		const entry = this.entries[i] as number;
		const which = entry % 3;
		const fd = (entry - which) / 3;
		const filter = FILTERS[which] as number;
		const fflags = FFLAGS[which] as number;
		this.knotes[i] = null;
		const error = this.register(fd, filter, SELECT_CHANGE, fflags, this.thread.kqserial, 0);
		switch (error) {
			case 0:
				this.knotes[i] = knoteFind(this.thread.kq as Kqueue, fd, filter, 0);
				this.registered++;
				return;
			case errno.EPIPE:
				// A pipe whose reader is gone: writing does not block, it fails.
				this.answerBit(fd, which);
				return;
			case errno.EOPNOTSUPP:
			case errno.EINVAL:
			case errno.EPERM:
				return;
			default:
				throw new SystemError(error, this.syscall, `descriptor ${fd}`);
		}
	}

	private answerBit(fd: number, which: number): void {
		const word = which * this.words + (fd >> 5);
		this.answer[word] = (this.answer[word] as number) | (1 << (fd & 31));
		this.collected++;
	}

	/** Sets the bit of an event; a descriptor that was closed ends the call. */
	protected override convert(kev: Knote | Kevent): number {
		kassert(kev.udata === this.thread.kqserial, "select gets its own events");
		if ((kev.flags & EV_ERROR) !== 0) return kev.data;
		this.answerBit(kev.ident, FILTERS.indexOf(kev.filter));
		return 0;
	}

	/** Writes the answer into the sets, over the words that were looked at. */
	protected override copyout(): number {
		const { words, answer, sets } = this;
		for (const set of sets) if (set && set.words.length < words) return errno.EFAULT;
		for (let which = 0; which < 3; which++) {
			const to = sets[which]?.words;
			if (to === undefined) continue;
			for (let word = 0; word < words; word++) to[word] = answer[which * words + word] as number;
		}
		return 0;
	}

	/** An interrupted select leaves the sets alone. */
	protected override readonly answersWhenInterrupted = false;

	/** Ends the select. */
	override end(): void {
		this.sets.fill(null);
		super.end();
	}
}

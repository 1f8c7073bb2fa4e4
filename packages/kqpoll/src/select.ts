// select(2) and pselect(2).
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
	__EV_SELECT,
	type BlockingCall,
	callAsync,
	callNow,
	enter,
	type Knote,
	type Kqueue,
	kassert,
	knoteFind,
	kqpollInit,
	leave,
	show,
	sigsuspendMask,
	timespecToNs,
	timevalToNs,
} from "@kqpoll/kqueue/kernel";
import type { Sigset } from "@kqpoll/kqueue/signal";
import type { Timespec, Timeval } from "@kqpoll/kqueue/time";
import { FdSet, lowestBit } from "./fdset.ts";
import { endAfter, KqpollCall, pollState } from "./kqpoll-call.ts";

/** The sets of a select: descriptors to read, to write, and to watch for exceptional conditions. */
type FdSets = readonly [read: FdSet | null, write: FdSet | null, except: FdSet | null];

/** The sets of a call as one object: that of the thread's last call if the sets are the same. */
function setsOf(
	thread: Thread,
	read: FdSet | null,
	write: FdSet | null,
	except: FdSet | null,
): FdSets {
	const state = pollState<unknown, SelectCall, unknown>(thread);
	state.select ??= new SelectCall(thread);
	const { lastSets: last } = state.select;
	if (last[0] === read && last[1] === write && last[2] === except) return last;
	const sets: FdSets = [read, write, except];
	state.select.lastSets = sets;
	return sets;
}

/**
 * Waits until one of the descriptors below `nfds` in the sets is ready: to be read, to be written,
 * or with an exceptional condition. Then the sets contain only those that are ready, and the call
 * returns their number over all three. A `timeout` of null waits forever. A set may be null.
 *
 * An `nfds` above the size of the process's descriptor table counts as that size; words of the sets
 * beyond it stay as they are. After an error the sets are as before; after a time-out they are
 * empty.
 *
 * Rejects with: EBADF if a descriptor is not open, or was closed meanwhile; EINVAL if `nfds` or
 * `timeout` is out of range; EFAULT if a set is not an FdSet, or has no room for nfds; EINTR after
 * a signal; the errno of a descriptor that cannot be watched; EBUSY if the thread sleeps already;
 * EDEADLK if a callback of another call of the thread makes this one; ESRCH if the thread has
 * exited; the reason of `options.signal`. Source: select(2).
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
	return callAsync(
		thread,
		"select",
		options,
		selectCall,
		nfds,
		readfds,
		writefds,
		exceptfds,
		timeout,
	);
}

/** Begins a {@link select}, for any driver. */
export function selectCall(
	thread: Thread,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
	timeout: Timeval | null,
): BlockingCall {
	const ns = timevalToNs(timeout, "select");
	return begin(thread, "select", nfds, setsOf(thread, readfds, writefds, exceptfds), ns, null);
}

/**
 * As {@link select}, with a timespec, and with a signal mask while it waits; null leaves the
 * thread's mask as it is. Source: pselect(2).
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
	return callAsync(
		thread,
		"pselect",
		options,
		pselectCall,
		nfds,
		readfds,
		writefds,
		exceptfds,
		timeout,
		sigmask,
	);
}

/** Begins a {@link pselect}, for any driver. */
export function pselectCall(
	thread: Thread,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
	timeout: Timespec | null,
	sigmask: Sigset | null = null,
): BlockingCall {
	const ns = timespecToNs(timeout, "pselect");
	return begin(thread, "pselect", nfds, setsOf(thread, readfds, writefds, exceptfds), ns, sigmask);
}

/**
 * As {@link select} with a timeout of zero, without a promise: never sleeps, and throws its errors.
 */
export function selectNow(
	thread: Thread,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
): number {
	enter(thread, "select");
	try {
		const sets = setsOf(thread, readfds, writefds, exceptfds);
		return callNow(begin(thread, "select", nfds, sets, 0, null));
	} finally {
		leave(thread);
	}
}

/**
 * As {@link pselect} with a timeout of zero, without a promise: never sleeps, and throws its
 * errors.
 */
export function pselectNow(
	thread: Thread,
	nfds: number,
	readfds: FdSet | null,
	writefds: FdSet | null,
	exceptfds: FdSet | null,
	sigmask: Sigset | null = null,
): number {
	enter(thread, "pselect");
	try {
		const sets = setsOf(thread, readfds, writefds, exceptfds);
		return callNow(begin(thread, "pselect", nfds, sets, 0, sigmask));
	} finally {
		leave(thread);
	}
}

function begin(
	thread: Thread,
	name: string,
	nfds: number,
	sets: FdSets,
	timeout: number,
	sigmask: Sigset | null,
): SelectCall {
	if (!Number.isInteger(nfds) || nfds < 0)
		throw new SystemError(errno.EINVAL, name, `nfds ${show(nfds)} is not a number of descriptors`);
	const nd = Math.min(nfds, thread.process.fdp.size);
	for (let which = 0; which < 3; which++) checkSet(sets, which, nd, name);
	kqpollInit(thread, nd, name);
	try {
		const call = pollState<unknown, SelectCall, unknown>(thread).select as SelectCall;
		call.begin(name, nd, sets, timeout, sigmask);
		return call;
	} catch (error) {
		return endAfter(thread, nd, error);
	}
}

const NAMES = ["readfds", "writefds", "exceptfds"] as const;

function checkSet(sets: FdSets, which: number, nd: number, name: string): void {
	const set = sets[which];
	if (set === null || set === undefined) return;
	if (!FdSet.isSet(set))
		throw new SystemError(errno.EFAULT, name, `${NAMES[which]} is not an FdSet`);
	const room = FdSet.wordsIn(set).byteLength * 8;
	if (room >= nd) return;
	const why = `${NAMES[which]} has room for ${room} descriptors, the call needs ${nd}`;
	throw new SystemError(errno.EFAULT, name, why);
}

function wordsIn(set: FdSet | null | undefined): Int32Array | null {
	return set === null || set === undefined ? null : FdSet.wordsIn(set);
}

const SELECT_CHANGE = EV_ADD | EV_ENABLE | __EV_SELECT;
const FILTERS: readonly number[] = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT];
const FFLAGS = [0, 0, NOTE_OOB] as const;

const NO_SETS: FdSets = [null, null, null];
/** How many descriptors of a set are named; the others are only counted. */
const NAMED = 8;

/** A select in progress. */
class SelectCall extends KqpollCall {
	private sets: FdSets = NO_SETS;
	/** The sets of the thread's last call: the next one most often has the same. */
	lastSets: FdSets = NO_SETS;
	/** How many words of each set the call uses. */
	private words = 0;
	/** The answer, word by word: the read set's, the write set's, the except set's. */
	private answer: Int32Array = new Int32Array(3);
	/** The bits that the last call asked for, in the same order. */
	private asked: Int32Array = new Int32Array(3);
	/** What those bits stand for: three times the descriptor, plus the number of the set. */
	private readonly entries: number[] = [];
	/** The knote of each of them, null where there is none. */
	private readonly knotes: (Knote | null)[] = [];

	constructor(thread: Thread) {
		super(thread, "select");
	}

	/** Registers the descriptors of the sets. */
	begin(name: string, nd: number, sets: FdSets, timeout: number, sigmask: Sigset | null): void {
		this.prepare(name, nd, timeout);
		this.sets = sets;
		this.makeRoom((nd + 31) >> 5);
		if (this.copyin(nd)) this.list();
		// Set before anything is registered: signals that the mask allows are taken even if that fails.
		sigsuspendMask(this.thread, sigmask, name);
		this.registerEntries(this.knotes, this.entries.length, 0);
	}

	private makeRoom(words: number): void {
		if (this.answer.length < 3 * words) {
			this.answer = new Int32Array(3 * words);
			this.asked = new Int32Array(3 * words);
		}
		this.answer.fill(0);
		if (words === this.words) return;
		// With another number of words, each place stands for other descriptors.
		this.words = words;
		this.asked.fill(0);
		this.entries.length = 0;
		this.knotes.length = 0;
	}

	/** Copies the bits below `nd` in, and returns whether they differ from those of the last call. */
	private copyin(nd: number): boolean {
		const { asked, sets, words } = this;
		// Bits from nd on are ignored.
		const lastMask = (nd & 31) === 0 ? -1 : (1 << (nd & 31)) - 1;
		let differ = false;
		for (let which = 0; which < 3; which++) {
			const from = wordsIn(sets[which]);
			for (let word = 0; word < words; word++) {
				const mask = word === words - 1 ? lastMask : -1;
				const bits = from === null ? 0 : (from[word] as number) & mask;
				if (bits === asked[which * words + word]) continue;
				asked[which * words + word] = bits;
				differ = true;
			}
		}
		return differ;
	}

	/** Lists what the bits stand for. */
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
				throw new SystemError(error, this.syscall, `descriptor ${fd} of ${NAMES[which]}`);
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

	/** Writes the answer over the words of the sets that the call uses. */
	protected override copyout(): number {
		const { words, answer, sets } = this;
		for (const set of sets)
			if (set && FdSet.wordsIn(set).byteLength < 4 * words) return errno.EFAULT;
		for (let which = 0; which < 3; which++) {
			const to = wordsIn(sets[which]);
			if (to === null) continue;
			for (let word = 0; word < words; word++) to[word] = answer[which * words + word] as number;
		}
		return 0;
	}

	/** Names the descriptors of each set. */
	override describe(): string {
		const words = ["reading", "writing", "exceptions"].flatMap((word, which) => {
			const fds = this.entries.filter((entry) => entry % 3 === which);
			if (fds.length === 0) return [];
			const named = fds.slice(0, NAMED).map((entry) => (entry - which) / 3);
			const more = fds.length - named.length;
			return [`${word} ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`];
		});
		if (words.length === 0) return `${this.syscall} of nothing`;
		return `${this.syscall} of descriptors for ${words.join(", for ")}`;
	}

	/** An interrupted select does not change the sets. */
	protected override readonly answersWhenInterrupted = false;

	override end(): void {
		this.sets = NO_SETS;
		super.end();
	}
}

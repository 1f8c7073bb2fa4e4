// A poll_oneoff in progress: descriptors on the thread's own kqueue, and any number of clocks.
import {
	EV_ADD,
	EV_DISABLE,
	EV_ENABLE,
	EV_ERROR,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	type Kevent,
	SystemError,
} from "@kqpoll/kqueue";
import {
	__EV_HUP,
	__EV_POLL,
	FREAD,
	FWRITE,
	type Knote,
	type Kqueue,
	kassert,
	knoteFind,
} from "@kqpoll/kqueue/kernel";
import { KqpollCall } from "./kqpoll-call.ts";
import { after, type ClockSink, nsOfWords, SubscriptionClocks } from "./subscription-clocks.ts";
import {
	CLOCKID_MONOTONIC,
	CLOCKID_REALTIME,
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	EVENTTYPE_FD_WRITE,
	SUBSCRIPTION_CLOCK_ABSTIME,
	SUBSCRIPTION_FD_BARRED,
	SubscriptionSet,
} from "./subscription-set.ts";

/** A descriptor in a direction in which the caller may not use it. */
const BARRED = 3;
/** A type that does not exist. */
const UNKNOWN = 255;

const WATCH = EV_ADD | EV_ENABLE | __EV_POLL;
/** Such a knote reports nothing but that its descriptor was closed. */
const WATCH_CLOSE = EV_ADD | EV_DISABLE | __EV_POLL;

/** How many descriptors are named; the others are only counted. */
const NAMED = 8;
const NONE: SubscriptionSet = new SubscriptionSet();

/** The subscriptions that a thread waits for. */
export class SubscriptionsCall extends KqpollCall implements ClockSink {
	private set: SubscriptionSet = NONE;
	/**
	 * The call's own copy of what each subscription asks for. It is kept for the next call, to see
	 * which ones have changed.
	 */
	private ident: Int32Array = new Int32Array(0);
	private kind: Uint8Array = new Uint8Array(0);
	/** The knote of each subscription that has one, as long as it asks for the same. */
	private readonly knotes: (Knote | null)[] = [];
	/** 1 for a subscription that has its event. */
	private settled: Uint8Array = new Uint8Array(0);
	private readonly clocks: SubscriptionClocks = new SubscriptionClocks();
	/** Whether it sleeps when nothing is ready. */
	private waits = true;
	/** Whether it has looked for events before. */
	private looked = false;

	/** Copies the subscriptions in and registers them. */
	begin(name: string, set: SubscriptionSet, waits: boolean): void {
		const n = set.length;
		this.prepare(name, n, waits ? Number.POSITIVE_INFINITY : 0);
		this.makeRoom(n);
		this.waits = waits;
		this.looked = false;
		this.clocks.count = 0;
		this.set = set;
		set.busy = true;
		try {
			this.copyin(set, n);
			this.registerEntries(this.knotes, n, 1);
			this.checkClocks();
		} catch (error) {
			this.forget();
			throw error;
		}
	}

	private makeRoom(n: number): void {
		if (this.ident.length >= n) return;
		const room = Math.max(16, 2 ** Math.ceil(Math.log2(n)));
		this.ident = new Int32Array(room);
		this.kind = new Uint8Array(room).fill(UNKNOWN);
		this.settled = new Uint8Array(room);
		this.knotes.length = 0;
		while (this.knotes.length < room) this.knotes.push(null);
	}

	private copyin(set: SubscriptionSet, n: number): void {
		const { type, flags, ident: asked } = set;
		const { ident, kind, knotes } = this;
		for (let i = 0; i < n; i++) {
			const now = kindOf(type[i] as number, flags[i] as number);
			const id = asked[i] as number;
			if (id === ident[i] && now === kind[i]) continue;
			ident[i] = id;
			kind[i] = now;
			knotes[i] = null;
		}
		this.settled.fill(0, 0, n);
	}

	/** Registers a descriptor, or adds a clock, or says at once what is wrong with it. */
	protected override watchEntry(i: number): void {
		switch (this.kind[i]) {
			case EVENTTYPE_CLOCK:
				this.addClock(i);
				break;
			case EVENTTYPE_FD_READ:
				this.watchFd(i, EVFILT_READ, FREAD);
				break;
			case EVENTTYPE_FD_WRITE:
				this.watchFd(i, EVFILT_WRITE, FWRITE);
				break;
			case BARRED:
				this.watchClose(i, 0);
				break;
			default:
				this.settle(i, errno.EINVAL, 0, 0);
		}
	}

	private addClock(i: number): void {
		const { flags, timeout } = this.set;
		const id = this.ident[i];
		if (id !== CLOCKID_REALTIME && id !== CLOCKID_MONOTONIC) {
			this.settle(i, errno.EINVAL, 0, 0);
			return;
		}
		const ns = nsOfWords(timeout[2 * i] as number, timeout[2 * i + 1] as number);
		if (ns === Number.POSITIVE_INFINITY) return;
		const absolute = ((flags[i] as number) & SUBSCRIPTION_CLOCK_ABSTIME) !== 0;
		// How long a time is does not depend on a clock that is set meanwhile.
		if (absolute) this.clocks.add(i, ns, id === CLOCKID_REALTIME);
		else if (ns === 0) this.clockDue(i);
		else this.clocks.add(i, after(this.thread.kernel.host.now(), ns), false);
	}

	/** Tells of the clocks that are due, and has the call sleep until the next one at most. */
	private checkClocks(): void {
		const { clocks } = this;
		if (clocks.count === 0) return;
		const next = clocks.collect(this.thread.kernel.host, this);
		this.deadline = next === Number.POSITIVE_INFINITY ? -1 : next;
	}

	/** The clock of a subscription has reached its time. */
	clockDue(i: number): void {
		this.settle(i, 0, 0, 0);
	}

	private watchFd(i: number, filter: number, direction: number): void {
		const fd = this.ident[i] as number;
		const { fdp } = this.thread.process;
		const file = fdp.get(fd);
		// A direction for which the descriptor is not open is never ready.
		if (file !== null && (file.access & direction) === 0) {
			this.watchClose(i, 0);
			return;
		}
		const error = this.ask(i, filter, WATCH);
		switch (error) {
			case 0:
				this.keepKnote(i, filter);
				break;
			case errno.EPIPE:
				// A pipe without a reader: the write tells.
				this.settle(i, 0, 0, 0);
				break;
			case errno.EINVAL:
			case errno.EPERM:
			case errno.EOPNOTSUPP:
				this.watchClose(i, error);
				break;
			default:
				this.settle(i, error, 0, 0);
		}
	}

	/** Keeps a subscription's knote for the next call. */
	private keepKnote(i: number, filter: number): void {
		const fd = this.ident[i] as number;
		const kn = knoteFind(this.thread.kq as Kqueue, fd, filter, i + 1);
		this.knotes[i] = kn;
		// A callback has closed the descriptor while the knote was made.
		if (kn === null) this.settle(i, errno.EBADF, 0, 0);
		else this.registered++;
	}

	/**
	 * Only tells when the descriptor is closed. If its file cannot be watched in any way, the event
	 * has the errno `refusal`, or there is none if that is 0.
	 */
	private watchClose(i: number, refusal: number): void {
		let error = this.ask(i, EVFILT_READ, WATCH_CLOSE);
		if (error !== 0) error = this.ask(i, EVFILT_WRITE, WATCH_CLOSE);
		if (error === 0) this.registered++;
		else if (error === errno.EBADF || error === errno.ENOMEM) this.settle(i, error, 0, 0);
		else if (refusal !== 0) this.settle(i, refusal, 0, 0);
	}

	private ask(i: number, filter: number, flags: number): number {
		const fd = this.ident[i] as number;
		const error = this.register(fd, filter, flags, 0, this.thread.kqserial + i, i + 1);
		if (error === errno.EDEADLK)
			throw new SystemError(error, this.syscall, `called by a filter of descriptor ${fd}`);
		return error;
	}

	/** A subscription has its event: the first one, unless its descriptor is closed after that. */
	private settle(i: number, error: number, nbytes: number, hangup: number): void {
		const { set, settled } = this;
		if (settled[i] === 0) this.collected++;
		else if (error === 0) return;
		settled[i] = 1;
		set.error[i] = error;
		set.nbytes[i] = nbytes;
		set.hangup[i] = hangup;
	}

	protected override convert(kev: Knote | Kevent): number {
		const i = (kev.udata as number) - this.thread.kqserial;
		kassert(i >= 0 && i < this.serials && this.ident[i] === kev.ident, "each gets its own events");
		if ((kev.flags & EV_ERROR) !== 0) this.settle(i, kev.data, 0, 0);
		else this.settle(i, 0, bytesOf(kev.data), hangupOf(kev));
		return 0;
	}

	/** Collects the clocks that are due as well, and does not end before there is an event. */
	override step(woken: number): number {
		if (woken === errno.EINTR) return super.step(woken);
		if (this.looked) this.checkClocks();
		this.looked = true;
		for (;;) {
			const result = super.step(woken);
			// The time was over, just now.
			if (result !== 0 || !this.waits) return result;
			this.checkClocks();
		}
	}

	/** Lists the subscriptions that have an event, in their order. */
	protected override copyout(): number {
		const { set, settled } = this;
		let nevents = 0;
		if (this.collected > 0) {
			const { events } = set;
			const n = this.serials;
			for (let i = 0; i < n; i++) if (settled[i] === 1) events[nevents++] = i;
		}
		set.nevents = nevents;
		return 0;
	}

	/** An interrupted call has collected nothing: its set has no events. */
	protected override readonly answersWhenInterrupted = true;

	/** Names the descriptors with what they are waited for, and counts the clocks. */
	override describe(): string {
		const fds: string[] = [];
		let clocks = 0;
		let others = 0;
		for (let i = 0; i < this.serials; i++) {
			const type = this.set.type[i];
			if (type === EVENTTYPE_CLOCK) clocks++;
			else if (fds.length === NAMED) others++;
			else fds.push(`${this.ident[i]} (${type === EVENTTYPE_FD_READ ? "read" : "write"})`);
		}
		if (others > 0) fds.push(`${others} more`);
		const parts: string[] = [];
		if (fds.length > 0) parts.push(`descriptors ${fds.join(", ")}`);
		if (clocks > 0) parts.push(clocks === 1 ? "a clock" : `${clocks} clocks`);
		return `${this.syscall} of ${parts.join(" and ")}`;
	}

	private forget(): void {
		this.set.busy = false;
		this.set = NONE;
	}

	override end(): void {
		this.forget();
		super.end();
	}
}

function kindOf(type: number, flags: number): number {
	switch (type) {
		case EVENTTYPE_CLOCK:
			return type;
		case EVENTTYPE_FD_READ:
		case EVENTTYPE_FD_WRITE:
			return (flags & SUBSCRIPTION_FD_BARRED) === 0 ? type : BARRED;
		default:
			return UNKNOWN;
	}
}

/** The bytes of an event: what a file reports about itself may be anything. */
function bytesOf(data: number): number {
	return data > 0 && data <= Number.MAX_SAFE_INTEGER
		? Math.floor(data)
		: data > 0
			? Number.MAX_SAFE_INTEGER
			: 0;
}

/** 1 if a READ event says that the other end is gone. A write reports that itself. */
function hangupOf(kev: Knote | Kevent): number {
	return kev.filter === EVFILT_READ && (kev.flags & __EV_HUP) !== 0 ? 1 : 0;
}

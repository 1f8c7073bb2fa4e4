// poll_oneoff of WASI: waits for descriptors and clocks, with an event for each subscription.
import { errno, type SleepOptions, SystemError, type Thread } from "@kqpoll/kqueue";
import {
	type BlockingCall,
	callAsync,
	callNow,
	enter,
	faultOf,
	isInt32,
	kqpollInit,
	leave,
	lengthOfList,
	show,
} from "@kqpoll/kqueue/kernel";
import { endAfter, pollState } from "./kqpoll-call.ts";
import {
	CLOCKID_MONOTONIC,
	CLOCKID_REALTIME,
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	EVENTTYPE_FD_WRITE,
	SUBSCRIPTION_CLOCK_ABSTIME,
	SubscriptionSet,
} from "./subscription-set.ts";
import { SubscriptionsCall } from "./subscriptions-call.ts";

/** A subscription to a descriptor: there is something to read, or there is room for a write. */
export interface FdSubscription {
	/** The direction. */
	readonly type: "fd_read" | "fd_write";
	/** The descriptor. What is not an open one gets an event with EBADF. */
	readonly fd: number;
	/** Any value; the event has it. */
	readonly userdata?: unknown;
}

/** A subscription to a clock: it reaches a time. */
export interface ClockSubscription {
	/** A clock. */
	readonly type: "clock";
	/**
	 * `monotonic`, the default, is the `now` of the machine's host; `realtime` is the wall clock,
	 * in nanoseconds since 1970, which may be set while a thread waits for it.
	 */
	readonly clock?: "monotonic" | "realtime";
	/** Nanoseconds from now on; a fraction counts as a whole one, Infinity is never. */
	readonly timeout: number | bigint;
	/** Whether `timeout` is a time on the clock instead. One in the past is due at once. */
	readonly absolute?: boolean;
	/** Any value; the event has it. */
	readonly userdata?: unknown;
}

/** What to wait for: a descriptor or a clock. */
export type Subscription = FdSubscription | ClockSubscription;

/** What became of a subscription. */
export interface SubscriptionEvent {
	/** Which subscription it is: its place in the array. */
	readonly index: number;
	/** The type of the subscription. */
	readonly type: Subscription["type"];
	/** The `userdata` of the subscription. */
	readonly userdata: unknown;
	/**
	 * An errno, 0 for none: EBADF if the descriptor is not open, or was closed meanwhile; EINVAL,
	 * EOPNOTSUPP or EPERM if its file cannot be waited for at all; ENOMEM with too many knotes.
	 */
	readonly error: number;
	/** How many bytes can be read or written, as far as the file knows; 0 for a clock. */
	readonly nbytes: number;
	/** Whether there is nothing more to come, as the other end is gone. Only of `fd_read`. */
	readonly hangup: boolean;
}

/**
 * Waits until at least one subscription has an event, and resolves with the events of all that have
 * one, at most one each, in the order of the subscriptions.
 *
 * A descriptor that is not open is an event with EBADF and no error of the call, and so is one that
 * is closed during the sleep. All descriptors are looked at, even if a clock is due already. In a
 * direction for which it is not open a descriptor is never ready. If the reader of a pipe is gone,
 * its write side is ready, and the write fails.
 *
 * Rejects with: EINVAL if there is no subscription, or more than 2^20, or one of them has another
 * type, clock or timeout; EFAULT for what is not an array of subscriptions; EINTR after a signal;
 * EBUSY, EDEADLK, ESRCH as for poll; the reason of `options.signal`.
 */
export async function pollSubscriptions(
	thread: Thread,
	subscriptions: readonly Subscription[],
	options: SleepOptions = {},
): Promise<SubscriptionEvent[]> {
	const asked = new Asked();
	await callAsync(thread, NAME, options, beginAsked, subscriptions, asked);
	return asked.events();
}

/**
 * As {@link pollSubscriptions}, without a promise: never sleeps, and throws its errors. Returns no
 * event if nothing is ready and no clock is due.
 */
export function pollSubscriptionsNow(
	thread: Thread,
	subscriptions: readonly Subscription[],
): SubscriptionEvent[] {
	const asked = new Asked();
	enter(thread, NAME);
	try {
		asked.copyin(subscriptions, NAME);
		callNow(begin(thread, asked.set, NAME, false));
	} finally {
		leave(thread);
	}
	return asked.events();
}

/**
 * Begins the call behind {@link pollSubscriptions}, for hosts and any driver: its subscriptions are
 * in `set`, and so are their events once it has returned their number, which is 1 or more. When it
 * has failed, the set has no events. Nothing is allocated when a thread makes the call again with as
 * many subscriptions, and those that ask for the same descriptors as the last time cost least.
 *
 * The set must not be changed before the call has ended. Errors: EFAULT for what is not a set;
 * EINVAL if it is empty; EBUSY if a call uses it, or the thread sleeps already; EDEADLK, ESRCH as
 * for poll. The call ends with EINTR after a signal.
 */
export function subscriptionsCall(
	thread: Thread,
	set: SubscriptionSet,
	name: string = NAME,
): BlockingCall {
	return begin(thread, set, name, true);
}

const NAME = "poll_oneoff";

function begin(
	thread: Thread,
	set: SubscriptionSet,
	name: string,
	waits: boolean,
): SubscriptionsCall {
	if (!SubscriptionSet.is(set))
		throw new SystemError(errno.EFAULT, name, `${show(set)} is not a SubscriptionSet`);
	if (set.busy)
		throw new SystemError(
			errno.EBUSY,
			name,
			"another call uses the set: calls that overlap need a set each",
		);
	const { length } = set;
	set.nevents = 0;
	if (length === 0) throw new SystemError(errno.EINVAL, name, "there is no subscription");
	kqpollInit(thread, length, name);
	try {
		const state = pollState<unknown, unknown, SubscriptionsCall>(thread);
		state.subscriptions ??= new SubscriptionsCall(thread, name);
		state.subscriptions.begin(name, set, waits);
		return state.subscriptions;
	} catch (error) {
		return endAfter(thread, length, error);
	}
}

function beginAsked(
	thread: Thread,
	subscriptions: readonly Subscription[],
	asked: Asked,
): BlockingCall {
	asked.copyin(subscriptions, NAME);
	return begin(thread, asked.set, NAME, true);
}

const CLOCKS: ReadonlyMap<unknown, number> = new Map([
	["realtime", CLOCKID_REALTIME],
	["monotonic", CLOCKID_MONOTONIC],
]);
const MAX_TIMEOUT = 2n ** 64n - 1n;

/** The subscriptions of one call as objects, copied into a set. */
class Asked {
	readonly set: SubscriptionSet = new SubscriptionSet();
	private readonly types: Subscription["type"][] = [];
	private readonly userdata: unknown[] = [];

	/** Copies an array of subscriptions in. Errors: EFAULT, EINVAL. */
	copyin(list: readonly Subscription[], name: string): void {
		const n = lengthOfList(list, name, "subscriptions");
		this.set.reserve(n);
		let i = 0;
		try {
			for (; i < n; i++) this.copyinOne(list[i], i, name);
		} catch (error) {
			if (error instanceof SystemError) throw error;
			throw new SystemError(faultOf(error), name, `subscription ${i} cannot be read`);
		}
	}

	private copyinOne(from: Subscription | undefined, i: number, name: string): void {
		if (typeof from !== "object" || from === null)
			throw new SystemError(errno.EFAULT, name, `subscription ${i} is not an object`);
		const { type, userdata } = from;
		this.types[i] = type;
		this.userdata[i] = userdata;
		switch (type) {
			case "fd_read":
			case "fd_write":
				this.copyinFd(from, i);
				break;
			case "clock":
				this.copyinClock(from, i, name);
				break;
			default:
				throw new SystemError(
					errno.EINVAL,
					name,
					`subscription ${i}: type ${show(type)} is not "fd_read", "fd_write" or "clock"`,
				);
		}
	}

	private copyinFd({ fd }: FdSubscription, i: number): void {
		const { set, types } = this;
		set.type[i] = types[i] === "fd_read" ? EVENTTYPE_FD_READ : EVENTTYPE_FD_WRITE;
		// What is not a C int cannot be an open descriptor either.
		set.ident[i] = isInt32(fd) ? fd : -1;
	}

	private copyinClock(from: ClockSubscription, i: number, name: string): void {
		const { set } = this;
		const { clock = "monotonic", timeout, absolute = false } = from;
		const id = CLOCKS.get(clock);
		if (id === undefined)
			throw new SystemError(
				errno.EINVAL,
				name,
				`subscription ${i}: clock ${show(clock)} is not "monotonic" or "realtime"`,
			);
		const ns = wholeNs(timeout);
		if (ns === null)
			throw new SystemError(
				errno.EINVAL,
				name,
				`subscription ${i}: timeout ${show(timeout)} is not a number of nanoseconds`,
			);
		set.type[i] = EVENTTYPE_CLOCK;
		set.ident[i] = id;
		set.flags[i] = absolute ? SUBSCRIPTION_CLOCK_ABSTIME : 0;
		set.timeout[2 * i] = Number(ns & 0xffffffffn);
		set.timeout[2 * i + 1] = Number(ns >> 32n);
	}

	/** The events of a call that has ended. */
	events(): SubscriptionEvent[] {
		const { set, types, userdata } = this;
		const events: SubscriptionEvent[] = [];
		for (const index of set.events.subarray(0, set.nevents)) {
			events.push({
				index,
				type: types[index] as Subscription["type"],
				userdata: userdata[index],
				error: set.error[index] as number,
				nbytes: set.nbytes[index] as number,
				hangup: set.hangup[index] === 1,
			});
		}
		return events;
	}
}

/** A timeout as a whole number of 64 bits, null if it is not one. Infinity has all bits set. */
function wholeNs(timeout: unknown): bigint | null {
	if (typeof timeout === "bigint") return timeout >= 0n && timeout <= MAX_TIMEOUT ? timeout : null;
	if (typeof timeout !== "number" || !(timeout >= 0)) return null;
	return timeout < 2 ** 64 ? BigInt(Math.ceil(timeout)) : MAX_TIMEOUT;
}

// A set of subscriptions, in arrays that a host fills from a guest's memory, and their events.
import { errno, SystemError } from "@kqpoll/kqueue";
import { isUint32, show } from "@kqpoll/kqueue/kernel";

/** The type of a subscription: a clock reaches a time. The numbers are those of WASI. */
export const EVENTTYPE_CLOCK = 0;
/** The type of a subscription: a descriptor has something to read. */
export const EVENTTYPE_FD_READ = 1;
/** The type of a subscription: a descriptor has room for a write. */
export const EVENTTYPE_FD_WRITE = 2;

/** The wall clock: nanoseconds since 1970. */
export const CLOCKID_REALTIME = 0;
/** The clock that is never set: the `now` of the machine's host. */
export const CLOCKID_MONOTONIC = 1;

/** A flag of a clock: its timeout is a time on the clock. Without it, it counts from the call on. */
export const SUBSCRIPTION_CLOCK_ABSTIME = 1;
/**
 * A flag of a descriptor: the caller may not use it in this direction, although its file is open for
 * it. For hosts that keep rights of their own.
 */
export const SUBSCRIPTION_FD_BARRED = 2;

/** How many subscriptions a set has at most. */
const SUBSCRIPTIONS_MAX = 2 ** 20;
/** How many it has room for at first. */
const FIRST_ROOM = 16;

/**
 * The subscriptions of one call, and then their events: numbers in arrays, so that nothing is
 * allocated when a host uses the same set for each call of a guest. What is in one subscription is
 * at the same place of every array:
 *
 * ```ts
 * set.reserve(n);
 * for (let i = 0; i < n; i++) {
 * 	set.type[i] = …; // EVENTTYPE_
 * 	set.ident[i] = …; // the descriptor, or the CLOCKID_ of a clock
 * 	set.flags[i] = …; // SUBSCRIPTION_
 * 	set.timeout[2 * i] = …; // of a clock: nanoseconds, the low 32 bits
 * 	set.timeout[2 * i + 1] = …; // and the high ones
 * }
 * const nevents = await callAsync(thread, "poll_oneoff", null, subscriptionsCall, set);
 * for (let e = 0; e < nevents; e++) {
 * 	const i = set.events[e] as number;
 * 	// set.error[i], set.nbytes[i], set.hangup[i]
 * }
 * ```
 *
 * The arrays that a call reads keep what was written until it is overwritten: a host writes all
 * fields of each subscription, or only those that differ from the last call.
 */
export class SubscriptionSet {
	#type: Uint8Array = new Uint8Array(FIRST_ROOM);
	#ident: Int32Array = new Int32Array(FIRST_ROOM);
	#flags: Uint8Array = new Uint8Array(FIRST_ROOM);
	#timeout: Uint32Array = new Uint32Array(2 * FIRST_ROOM);
	#userdata: Uint32Array = new Uint32Array(2 * FIRST_ROOM);
	#events: Uint32Array = new Uint32Array(FIRST_ROOM);
	#error: Uint16Array = new Uint16Array(FIRST_ROOM);
	#nbytes: Float64Array = new Float64Array(FIRST_ROOM);
	#hangup: Uint8Array = new Uint8Array(FIRST_ROOM);
	#length = 0;

	/** What each subscription is for: an EVENTTYPE_. Another number is EINVAL in its event. */
	get type(): Uint8Array {
		return this.#type;
	}

	/** The descriptor, or the CLOCKID_ of a clock. */
	get ident(): Int32Array {
		return this.#ident;
	}

	/** SUBSCRIPTION_CLOCK_ABSTIME of a clock, SUBSCRIPTION_FD_BARRED of a descriptor; else 0. */
	get flags(): Uint8Array {
		return this.#flags;
	}

	/**
	 * Of a clock: when or after how many nanoseconds it is due, two words for each subscription, the
	 * low one first. All bits set are never.
	 */
	get timeout(): Uint32Array {
		return this.#timeout;
	}

	/**
	 * For the host, two words for each subscription: WASI's `userdata`, the low word first. No call
	 * reads or writes it.
	 */
	get userdata(): Uint32Array {
		return this.#userdata;
	}

	/** How many events the last call found; 0 when it was interrupted. */
	nevents = 0;

	/** The subscriptions that have an event, in their order; the first `nevents` places count. */
	get events(): Uint32Array {
		return this.#events;
	}

	/** The errno of a subscription's event, 0 for none. Only for subscriptions that have an event. */
	get error(): Uint16Array {
		return this.#error;
	}

	/** How many bytes can be read or written, as far as that is known: a whole number. */
	get nbytes(): Float64Array {
		return this.#nbytes;
	}

	/** 1 if what is read comes to its end as the other end is gone, else 0. */
	get hangup(): Uint8Array {
		return this.#hangup;
	}

	/** Whether a call uses it. @internal */
	busy = false;

	/** Whether a value is a set. */
	static is(value: unknown): value is SubscriptionSet {
		return typeof value === "object" && value !== null && #length in value;
	}

	/** How many subscriptions there are. */
	get length(): number {
		return this.#length;
	}

	/**
	 * Sets the number of subscriptions. All arrays may be others afterwards, with the same content.
	 * Errors: EINVAL for what is not a whole number up to 2^20; EBUSY while a call uses the set.
	 */
	reserve(n: number): void {
		if (!isUint32(n) || n > SUBSCRIPTIONS_MAX)
			throw new SystemError(
				errno.EINVAL,
				"SubscriptionSet.reserve",
				`${show(n)} is not a whole number up to ${SUBSCRIPTIONS_MAX}`,
			);
		if (this.busy)
			throw new SystemError(
				errno.EBUSY,
				"SubscriptionSet.reserve",
				"a call uses the set: calls that overlap need a set each",
			);
		if (n > this.#type.length) this.#grow(2 ** Math.ceil(Math.log2(n)));
		this.#length = n;
	}

	#grow(room: number): void {
		this.#type = grown(new Uint8Array(room), this.#type);
		this.#ident = grown(new Int32Array(room), this.#ident);
		this.#flags = grown(new Uint8Array(room), this.#flags);
		this.#timeout = grown(new Uint32Array(2 * room), this.#timeout);
		this.#userdata = grown(new Uint32Array(2 * room), this.#userdata);
		this.#events = new Uint32Array(room);
		this.#error = new Uint16Array(room);
		this.#nbytes = new Float64Array(room);
		this.#hangup = new Uint8Array(room);
	}
}

function grown<T extends Uint8Array | Int32Array | Uint32Array>(to: T, from: T): T {
	to.set(from);
	return to;
}

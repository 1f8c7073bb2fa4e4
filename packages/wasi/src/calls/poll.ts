// poll_oneoff: waits for descriptors and clocks.
import {
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	SUBSCRIPTION_CLOCK_ABSTIME,
	SUBSCRIPTION_FD_BARRED,
	SubscriptionSet,
	subscriptionsCall,
} from "@kqpoll/kqpoll/kernel";
import { errno, RealHost, SystemError } from "@kqpoll/kqueue";
import {
	EVENTRWFLAGS_FD_READWRITE_HANGUP,
	RIGHTS,
	SUBCLOCKFLAGS_ABSTIME,
} from "../abi/constants.ts";
import { wasiErrno, wasiErrnoOf } from "../abi/errno.ts";
import type { Descriptors } from "../guest/descriptors.ts";
import { type Answer, type Guest, SUCCESS } from "../guest/guest.ts";
import { stop } from "../guest/trouble.ts";
import { yieldCall } from "./process.ts";

/** How long a subscription and an event are, in bytes. */
const SUBSCRIPTION = 48;
const EVENT = 32;
const WORD = 2 ** 32;

/**
 * Waits until at least one of `count` subscriptions has an event, writes the events of all that have
 * one in the order of the subscriptions, and their number. INVAL for no subscription at all.
 */
export function poll_oneoff(
	guest: Guest,
	subscriptions: number,
	events: number,
	count: number,
	nevents: number,
): Answer {
	const { memory } = guest;
	const n = count >>> 0;
	memory.check(nevents, 4);
	const from = memory.check(subscriptions, n * SUBSCRIPTION);
	memory.check(events, n * EVENT);
	memory.setU32(nevents, 0);
	if (n === 0) stop(wasiErrno.INVAL);
	const set = setOf(guest);
	set.reserve(n);
	copyin(set, memory.view(), from, n, guest.descriptors);
	const { host } = guest.thread.kernel;
	const before = host instanceof RealHost ? 0 : host.now();
	const found = wait(guest, set);
	if (typeof found !== "number") return found.then(() => copyout(guest, set, events, nevents));
	if (spins(guest, set, before)) {
		const yielded = guest.call("poll_oneoff", yieldCall);
		if (typeof yielded !== "number")
			return yielded.then(() => copyout(guest, set, events, nevents));
	}
	return copyout(guest, set, events, nevents);
}

/**
 * Whether the guest asks again and again if a time is over. Where time is virtual it would do so
 * forever, unless that takes some: a microsecond, from the second time on.
 */
function spins(guest: Guest, { nevents, events, type }: SubscriptionSet, before: number): boolean {
	if (nevents === 0 || type[events[0] as number] !== EVENTTYPE_CLOCK) return false;
	const { host } = guest.thread.kernel;
	if (host instanceof RealHost || guest.mode === "now") return false;
	for (let e = 1; e < nevents; e++) if (type[events[e] as number] !== EVENTTYPE_CLOCK) return false;
	if (host.now() > before) return false;
	const again = guest.polledAt === before;
	guest.polledAt = before;
	return again;
}

function wait(guest: Guest, set: SubscriptionSet): Answer {
	if (guest.mode !== "now") return guest.call("poll_oneoff", subscriptionsCall, set);
	try {
		return guest.call("poll_oneoff", subscriptionsCall, set);
	} catch (error) {
		// Nothing is ready, and the guest may not sleep.
		if (error instanceof SystemError && error.errno === errno.EAGAIN) return 0;
		throw error;
	}
}

/** The set that the guest uses again for each call. */
function setOf(guest: Guest): SubscriptionSet {
	guest.pollstate ??= new SubscriptionSet();
	return guest.pollstate as SubscriptionSet;
}

function copyin(
	set: SubscriptionSet,
	view: DataView,
	from: number,
	n: number,
	descriptors: Descriptors,
): void {
	const { type, ident, flags, timeout, userdata } = set;
	for (let i = 0, at = from; i < n; i++, at += SUBSCRIPTION) {
		const tag = view.getUint8(at + 8);
		const id = view.getInt32(at + 16, true);
		userdata[2 * i] = view.getUint32(at, true);
		userdata[2 * i + 1] = view.getUint32(at + 4, true);
		type[i] = tag;
		ident[i] = id;
		if (tag === EVENTTYPE_CLOCK) {
			timeout[2 * i] = view.getUint32(at + 24, true);
			timeout[2 * i + 1] = view.getUint32(at + 28, true);
			const absolute = (view.getUint16(at + 40, true) & SUBCLOCKFLAGS_ABSTIME) !== 0;
			flags[i] = absolute ? SUBSCRIPTION_CLOCK_ABSTIME : 0;
		} else {
			const right = tag === EVENTTYPE_FD_READ ? RIGHTS.fd_read : RIGHTS.fd_write;
			flags[i] = descriptors.bars(id, right | RIGHTS.poll_fd_readwrite)
				? SUBSCRIPTION_FD_BARRED
				: 0;
		}
	}
}

function copyout({ memory }: Guest, set: SubscriptionSet, events: number, nevents: number): number {
	const { userdata, error, type, nbytes, hangup } = set;
	const view = memory.view();
	let at = memory.check(events, set.nevents * EVENT);
	for (let e = 0; e < set.nevents; e++, at += EVENT) {
		const i = set.events[e] as number;
		const bytes = nbytes[i] as number;
		view.setUint32(at, userdata[2 * i] as number, true);
		view.setUint32(at + 4, userdata[2 * i + 1] as number, true);
		view.setUint32(at + 8, wasiErrnoOf(error[i] as number) | ((type[i] as number) << 16), true);
		view.setUint32(at + 12, 0, true);
		const high = bytes < WORD ? 0 : Math.floor(bytes / WORD);
		view.setUint32(at + 16, bytes - high * WORD, true);
		view.setUint32(at + 20, high, true);
		view.setUint32(at + 24, hangup[i] === 1 ? EVENTRWFLAGS_FD_READWRITE_HANGUP : 0, true);
		view.setUint32(at + 28, 0, true);
	}
	memory.setU32(nevents, set.nevents);
	return SUCCESS;
}

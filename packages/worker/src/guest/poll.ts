// poll_oneoff of a guest in a worker: its subscriptions go to the kernel, and the events come back.
import { wasiErrno } from "@kqpoll/wasi/kernel";
import type { Exchange } from "./exchange.ts";
import type { GuestMemory } from "./memory.ts";

/** How long a subscription and an event are, in bytes. */
const SUBSCRIPTION = 48;
const EVENT = 32;

/** Makes the import. */
export function pollOf(
	exchange: Exchange,
	memory: GuestMemory,
): (subscriptions: number, events: number, count: number, nevents: number) => number {
	return (subscriptions, events, count, nevents) => {
		const n = count >>> 0;
		const found = memory.bytes(nevents, 4);
		const given = memory.list(subscriptions, n, SUBSCRIPTION);
		const room = memory.list(events, n, EVENT);
		const mailbox = exchange.mailboxFor(8 + n * (SUBSCRIPTION + EVENT));
		const { start, bytes, view } = mailbox;
		const from = start + 8;
		const to = from + given.length;
		bytes.set(given, from);
		bytes.set(found, start);
		mailbox.setParameter(0, from);
		mailbox.setParameter(1, to);
		mailbox.setParameter(2, n);
		mailbox.setParameter(3, start);
		const errno = exchange.ask(mailbox, "poll_oneoff");
		if (errno === wasiErrno.SUCCESS)
			room.set(bytes.subarray(to, to + Math.min(view.getUint32(start, true), n) * EVENT));
		found.set(bytes.subarray(start, start + 4));
		return errno;
	};
}

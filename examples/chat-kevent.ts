// The chat server around kevent(2): each descriptor is registered only once, and each event carries
// its client, so that no loop over all clients is left.
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_ONESHOT,
	EV_SET,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	kevent,
	kqueue,
	type Thread,
} from "@kqpoll/kqueue";
import { rehearse } from "./chat-emulated.ts";
import { Chat, type ChatOptions, type Client } from "./chat-protocol.ts";

/**
 * Serves until the signal is aborted, then closes all connections; rejects if the listener fails.
 */
export async function serve(thread: Thread, listener: number, options: ChatOptions): Promise<void> {
	const chat = new Chat(thread, options);
	const kq = kqueue(thread);
	// struct kevent changelist[], eventlist[64];
	let changes = [EV_SET(listener, EVFILT_READ, EV_ADD)];
	const events = eventList(64);
	try {
		for (;;) {
			// Room to write is watched only when it is needed: EV_ONESHOT removes the knote after its
			// event.
			for (const client of chat.unsent)
				changes.push(EV_SET(client.fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, client));
			// kevent(kq, changelist, nchanges, eventlist, nevents, NULL);
			const n = await kevent(thread, kq, changes, events, null, options);
			changes = [];
			for (const { ident, filter, udata } of events.slice(0, n)) {
				const client = udata as Client; // null for the listener
				if (ident === listener) {
					// Clients are watched from now on. Closing their descriptors ends that.
					for (const fresh of chat.accept(listener))
						changes.push(EV_SET(fresh.fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, fresh));
				} else if (filter === EVFILT_READ) {
					// EV_CLEAR reports each arrival once: receive reads all there is. An end of file is
					// reported once too, whereas select would have to leave the client out of readfds.
					chat.receive(client);
				} else {
					chat.flush(client);
				}
			}
		}
	} catch (error) {
		if (!options.signal.aborted) throw error;
	} finally {
		chat.close();
		close(thread, kq);
	}
}

/**
 * Plays the scripted scene with this server, in virtual time, and prints what each client received.
 */
export const run = (print: (line: string) => void): Promise<void> => rehearse(serve, print);

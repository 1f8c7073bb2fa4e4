// The chat server around select(2), as in C: two sets are filled before each call, and asked after
// it.
import { FD_ISSET, FD_SET, FD_ZERO, FdSet, select } from "@kqpoll/kqpoll";
import type { Thread } from "@kqpoll/kqueue";
import { rehearse } from "./chat-emulated.ts";
import { Chat, type ChatOptions } from "./chat-protocol.ts";

/**
 * Serves until the signal is aborted, then closes all connections; rejects if the listener fails.
 */
export async function serve(thread: Thread, listener: number, options: ChatOptions): Promise<void> {
	const chat = new Chat(thread, options);
	// fd_set readfds, writefds;
	const readfds = new FdSet();
	const writefds = new FdSet();
	try {
		for (;;) {
			// The sets are filled again each time: the call leaves only what is ready in them.
			FD_ZERO(readfds);
			FD_ZERO(writefds);
			FD_SET(listener, readfds);
			let maxfd = listener;
			for (const client of chat.clients) {
				if (client.talks) FD_SET(client.fd, readfds);
				if (chat.unsent.has(client)) FD_SET(client.fd, writefds);
				maxfd = Math.max(maxfd, client.fd);
			}
			// select(maxfd + 1, &readfds, &writefds, NULL, NULL);
			await select(thread, maxfd + 1, readfds, writefds, null, null, options);
			for (const client of chat.clients) {
				if (FD_ISSET(client.fd, readfds)) chat.receive(client);
				if (FD_ISSET(client.fd, writefds)) chat.flush(client);
			}
			// Last, as a new client may get the number of a client closed above, which is still in the
			// sets.
			if (FD_ISSET(listener, readfds)) chat.accept(listener);
		}
	} catch (error) {
		if (!options.signal.aborted) throw error;
	} finally {
		chat.close();
	}
}

/**
 * Plays the scripted scene with this server, in virtual time, and prints what each client received.
 */
export const run = (print: (line: string) => void): Promise<void> => rehearse(serve, print);

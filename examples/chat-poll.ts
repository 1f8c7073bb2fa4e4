// The chat server around poll(2): an array of pollfds takes the place of the sets. The call does
// not overwrite what was asked, and each entry has its own answer.
import { INFTIM, POLLERR, POLLHUP, POLLIN, POLLOUT, type Pollfd, poll } from "@kqpoll/kqpoll";
import type { Thread } from "@kqpoll/kqueue";
import { rehearse } from "./chat-emulated.ts";
import { Chat, type ChatOptions } from "./chat-protocol.ts";

/**
 * Serves until the signal is aborted, then closes all connections; rejects if the listener fails.
 */
export async function serve(thread: Thread, listener: number, options: ChatOptions): Promise<void> {
	const chat = new Chat(thread, options);
	// struct pollfd pfd[]; entry 0 is the listener's.
	const entry: Pollfd = { fd: listener, events: POLLIN, revents: 0 };
	try {
		for (;;) {
			const clients = [...chat.clients];
			const pfd = clients.map((client): Pollfd => {
				const reads = client.talks ? POLLIN : 0;
				const writes = chat.unsent.has(client) ? POLLOUT : 0;
				return { fd: client.fd, events: reads | writes, revents: 0 };
			});
			// poll(pfd, nfds, INFTIM); there is no highest descriptor to find, and no limit to it.
			await poll(thread, [entry, ...pfd], INFTIM, options);
			for (const [i, client] of clients.entries()) {
				const { revents } = pfd[i] as Pollfd;
				// A hang-up is reported without being asked for: recv and send return its reason.
				if (revents & (POLLIN | POLLHUP | POLLERR)) chat.receive(client);
				if (revents & (POLLOUT | POLLHUP | POLLERR)) chat.flush(client);
			}
			if (entry.revents) chat.accept(listener);
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

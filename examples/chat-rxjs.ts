// The chat server as observables: a subscription takes the place of each change of the changelist.
// No loop and no sleeping thread are left: subscribers are called.
import type { Thread } from "@kqpoll/kqueue";
import { readable, writable } from "@kqpoll/rxjs";
import {
	catchError,
	EMPTY,
	fromEvent,
	lastValueFrom,
	merge,
	mergeMap,
	type Observable,
	Subject,
	takeUntil,
	takeWhile,
	tap,
} from "rxjs";
import { rehearse } from "./chat-emulated.ts";
import { Chat, type ChatOptions, type Client } from "./chat-protocol.ts";

/**
 * Serves until the signal is aborted, then closes all connections; rejects if the listener fails.
 */
export async function serve(thread: Thread, listener: number, options: ChatOptions): Promise<void> {
	const unsent = new Subject<Client>();
	const chat = new Chat(thread, options, (client) => unsent.next(client));

	// EV_SET(listener, EVFILT_READ, EV_ADD)
	const arrivals = readable(thread, listener).pipe(mergeMap(() => chat.accept(listener)));
	// EV_SET(client, EVFILT_READ, EV_ADD | EV_CLEAR): for each client that arrives, until it ends.
	const lines = arrivals.pipe(
		mergeMap((client) =>
			readable(thread, client.fd).pipe(
				tap(() => chat.receive(client)),
				untilClosed(client),
			),
		),
	);
	// EV_SET(client, EVFILT_WRITE, EV_ADD | EV_CLEAR): until all is sent, and again for the next
	// line.
	const replies = unsent.pipe(
		mergeMap((client) =>
			writable(thread, client.fd).pipe(
				takeWhile(() => !chat.flush(client)),
				untilClosed(client),
			),
		),
	);

	try {
		const end = fromEvent(options.signal, "abort");
		if (!options.signal.aborted)
			await lastValueFrom(merge(replies, lines).pipe(takeUntil(end)), { defaultValue: null });
	} finally {
		chat.close();
	}
}

/**
 * When a client's descriptor is closed, that is the end of the stream that watched it, not an
 * error.
 */
function untilClosed<T>(client: Client) {
	return catchError<T, Observable<never>>((error) => {
		if (!client.closed) throw error;
		return EMPTY;
	});
}

/**
 * Plays the scripted scene with this server, in virtual time, and prints what each client received.
 */
export const run = (print: (line: string) => void): Promise<void> => rehearse(serve, print);

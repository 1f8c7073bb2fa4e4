// The scene of the chat on real TCP connections of this machine, with clients that are Node's own
// sockets and know nothing of emulated descriptors.
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { close, exit, fcntl, Kernel, type KernelOptions } from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { openServer } from "@kqpoll/node";
import type { Serve } from "./chat-protocol.ts";
import type { Dial, Peer } from "./chat-script.ts";
import { LineReader } from "./lines.ts";

const HOST = "127.0.0.1";

/** A server that runs. */
export interface Serving {
	/** The port where it listens. */
	readonly port: number;
	/** Connects to it. */
	readonly dial: Dial;
	/** Ends it; done when everything is closed. */
	stop(): Promise<void>;
}

/** Lets a server serve a port of this machine, 0 for any free one. */
export async function serveTcp(
	serve: Serve,
	port: number,
	options: KernelOptions = {},
): Promise<Serving> {
	// Half-closed connections stay open, so that a client that sends no more still gets an answer.
	const server = createServer({ allowHalfOpen: true, noDelay: true });
	server.listen(port, HOST);
	await once(server, "listening");
	const address = server.address() as AddressInfo;

	const { main } = new Kernel(options).spawn();
	const listener = openServer(main, server);
	fcntl(main, listener, F_SETFL, O_NONBLOCK);
	const stop = new AbortController();
	const served = serve(main, listener, { signal: stop.signal });
	return {
		port: address.port,
		dial: () => dial(address.port),
		async stop() {
			stop.abort();
			await served;
			close(main, listener);
			exit(main, 0);
		},
	};
}

/** A client: a socket that is read only when a line is asked for. */
async function dial(port: number): Promise<Peer> {
	const socket = connect({ port, host: HOST, allowHalfOpen: true, noDelay: true });
	await once(socket, "connect");
	// A connection that breaks has ended: the next line is null.
	socket.on("error", () => {});
	const chunks: AsyncIterator<Uint8Array> = socket[Symbol.asyncIterator]();
	const lines = new LineReader(async () => {
		const { done, value } = await chunks.next().catch(() => ({ done: true, value: null }));
		return done ? null : value;
	});
	return {
		send: (data) => new Promise((resolve) => socket.write(data, () => resolve())),
		line: () => lines.next(),
		end: () => socket.end(),
		reset: () => socket.resetAndDestroy(),
	};
}

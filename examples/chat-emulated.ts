// The scene of the chat on emulated sockets, in virtual time: it is the same in every run.
import { bind, connect, listen, recv, send, shutdown, socket } from "@kqpoll/files";
import { SHUT_WR, SOCK_NONBLOCK } from "@kqpoll/files/socket";
import { close, exit, Kernel, type KernelOptions, SystemError, sigaction } from "@kqpoll/kqueue";
import { SIG_IGN, SIGPIPE } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import type { Serve } from "./chat-protocol.ts";
import { type Peer, play } from "./chat-script.ts";
import { LineReader } from "./lines.ts";

const PORT = 7000;

/** Plays the scene with a server, and prints what each client received. */
export async function rehearse(
	serve: Serve,
	print: (line: string) => void,
	options: KernelOptions = {},
): Promise<void> {
	const host = new VirtualHost();
	const kernel = new Kernel({ ...options, host });
	const { main } = kernel.spawn();
	const listener = socket(main, "inet", "stream", SOCK_NONBLOCK);
	bind(main, listener, PORT);
	listen(main, listener, 16);

	const stop = new AbortController();
	await host.run(async () => {
		const served = serve(main, listener, { signal: stop.signal });
		for (const line of await play(() => dial(kernel))) print(line);
		stop.abort();
		await served;
	});
	close(main, listener);
	exit(main, 0);
}

/** A client: a process with one thread that sends and one that receives. */
async function dial(kernel: Kernel): Promise<Peer> {
	const process = kernel.spawn();
	const sender = process.spawnThread();
	sigaction(sender, SIGPIPE, SIG_IGN);
	const fd = socket(sender, "inet", "stream");
	await connect(sender, fd, PORT);
	const buffer = new Uint8Array(16384);
	const lines = new LineReader(async () => {
		const n = await recv(process.main, fd, buffer).catch(ended);
		return n === 0 ? null : buffer.subarray(0, n);
	});
	return {
		async send(data) {
			const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
			await send(sender, fd, bytes).catch(ended);
		},
		line: () => lines.next(),
		end: () => shutdown(sender, fd, SHUT_WR),
		reset: () => exit(sender, 0),
	};
}

/** A connection that broke has ended. */
function ended(error: unknown): number {
	if (error instanceof SystemError) return 0;
	throw error;
}

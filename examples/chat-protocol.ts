// The chat that all four servers serve: lines, names, and where they go. It never sleeps: waiting
// until there is something to read or room to write is the server's part.
//
// The first line that a client sends is its name; each later line goes to all the others. A client
// that has left (`/quit`, or an end of file) gets what was said until then, and no more.
import { acceptNow, recvNow, sendNow } from "@kqpoll/files";
import { MSG_NOSIGNAL } from "@kqpoll/files/socket";
import { close, SystemError, type Thread } from "@kqpoll/kqueue";

/** The answer to a client whose line is too long. */
const TOO_LONG = "* that line is too long";

/** Options of a server. */
export interface ChatOptions {
	/** Aborting it ends the server. */
	readonly signal: AbortSignal;
	/** How many bytes may wait for a client before it is dropped, by default 131072. */
	readonly maxOutput?: number;
	/** How many characters a line may have, by default 8192. */
	readonly maxLine?: number;
}

/** A server: serves the clients of a listener that does not block, until it is aborted. */
export type Serve = (thread: Thread, listener: number, options: ChatOptions) => Promise<void>;

/** A client of the chat. */
export class Client {
	/** Its descriptor. */
	readonly fd: number;
	/** Its name, once it has sent it. */
	name: string | null = null;
	/** Whether it may still send lines; if not, it is closed when everything is sent to it. */
	talks = true;
	/** Whether it is gone, and its descriptor closed. */
	closed = false;
	/** The part of its current line that has come. */
	line = "";
	/** What waits to be sent to it. */
	readonly output: Uint8Array[] = [];
	/** How many bytes that is. */
	unsent = 0;
	/** Joins the bytes of characters that arrive one by one. */
	readonly decoder = new TextDecoder();

	constructor(fd: number) {
		this.fd = fd;
	}
}

/** The clients of one server, and what they send to each other. */
export class Chat {
	/** The clients that are connected. */
	readonly clients = new Set<Client>();
	/** The clients for which there is something to send. */
	readonly unsent = new Set<Client>();
	private readonly thread: Thread;
	private readonly maxOutput: number;
	private readonly maxLine: number;
	private readonly onUnsent: (client: Client) => void;
	private readonly buffer = new Uint8Array(16384);

	/** `onUnsent` is called when there is something to send to a client that had got everything. */
	constructor(thread: Thread, options: ChatOptions, onUnsent: (client: Client) => void = () => {}) {
		this.thread = thread;
		this.maxOutput = options.maxOutput ?? 131072;
		this.maxLine = options.maxLine ?? 8192;
		this.onUnsent = onUnsent;
	}

	/** Takes all connections that wait at the listener. Throws the error of accept. */
	accept(listener: number): Client[] {
		const fresh: Client[] = [];
		for (let fd = this.acceptOne(listener); fd !== null; fd = this.acceptOne(listener)) {
			const client = new Client(fd);
			this.clients.add(client);
			fresh.push(client);
			this.tell(client, "* your name?");
		}
		return fresh;
	}

	private acceptOne(listener: number): number | null {
		for (let gone = 0; ; gone++) {
			try {
				return acceptNow(this.thread, listener);
			} catch (error) {
				const { code } = error as SystemError;
				if (code === "EAGAIN") return null;
				// A connection whose client has gone already is skipped. That many in a row mean that the
				// listener was shut down.
				if (code !== "ECONNABORTED" || gone === 1000) throw error;
			}
		}
	}

	/** Reads all that has arrived from a client, and acts on it. */
	receive(client: Client): void {
		while (client.talks && !client.closed) {
			const n = transfer(() => recvNow(this.thread, client.fd, this.buffer));
			if (n === "later") return;
			if (n === "gone") this.remove(client, "left");
			else if (n === 0) this.leave(client, "* bye");
			else this.take(client, this.buffer.subarray(0, n));
		}
	}

	/** Sends what there is room for; returns whether that was all. */
	flush(client: Client): boolean {
		for (let chunk = client.output[0]; chunk !== undefined; chunk = client.output[0]) {
			const bytes = chunk;
			const n = transfer(() => sendNow(this.thread, client.fd, bytes, MSG_NOSIGNAL));
			if (n === "later") return false;
			if (n === "gone") {
				this.remove(client, "left");
				return true;
			}
			client.unsent -= n;
			if (n === bytes.length) client.output.shift();
			else client.output[0] = bytes.subarray(n);
		}
		this.unsent.delete(client);
		if (!client.talks) this.remove(client, "left");
		return true;
	}

	/** Closes all connections. */
	close(): void {
		for (const client of this.clients) close(this.thread, client.fd);
		this.clients.clear();
		this.unsent.clear();
	}

	/** Cuts what a client has sent into lines. What follows the last line end is kept for later. */
	private take(client: Client, bytes: Uint8Array): void {
		const text = client.line + client.decoder.decode(bytes, { stream: true });
		const lines = text.split("\n");
		client.line = lines.pop() ?? "";
		for (const line of lines) if (client.talks) this.hear(client, line.replace(/\r$/, ""));
		if (client.line.length > this.maxLine && client.talks) this.leave(client, TOO_LONG);
	}

	private hear(client: Client, line: string): void {
		if (line.length > this.maxLine) this.leave(client, TOO_LONG);
		else if (client.name === null) this.join(client, line);
		else if (line === "/quit") this.leave(client, "* bye");
		else if (line.startsWith("/")) this.tell(client, `* no such command: ${line}`);
		else if (line !== "") this.tellOthers(client, `<${client.name}> ${line}`);
	}

	private join(client: Client, name: string): void {
		const others = [...this.clients].flatMap((other) => other.name ?? []);
		if (!/^\w{1,16}$/.test(name)) {
			this.tell(client, "* a name has 1 to 16 letters or digits; your name?");
		} else if (others.includes(name)) {
			this.tell(client, `* ${name} is taken; your name?`);
		} else {
			client.name = name;
			this.tell(client, `* hello ${name}; here: ${others.join(", ") || "nobody else"}`);
			this.tellOthers(client, `* ${name} joined`);
		}
	}

	/** A client leaves in an orderly way: it gets what was said until now, and a last line. */
	private leave(client: Client, farewell: string): void {
		client.talks = false;
		this.tell(client, farewell);
		this.announceEnd(client, "left");
	}

	/** A client is gone, or everything was sent to it. */
	private remove(client: Client, how: string): void {
		if (client.closed) return;
		client.closed = true;
		this.clients.delete(client);
		this.unsent.delete(client);
		client.output.length = 0;
		close(this.thread, client.fd);
		this.announceEnd(client, how);
	}

	/** Tells the others, once, if they know the client. */
	private announceEnd(client: Client, how: string): void {
		const { name } = client;
		client.name = null;
		if (name !== null) this.tellOthers(client, `* ${name} ${how}`);
	}

	private tellOthers(client: Client, line: string): void {
		const slow = [...this.clients].filter(
			(other) => other !== client && other.name !== null && !this.tell(other, line),
		);
		// All others get the line before they are told which clients were too slow for it.
		for (const other of slow) this.remove(other, "was too slow");
	}

	/** Puts a line into a client's output; returns whether there was room for it. */
	private tell(client: Client, line: string): boolean {
		const bytes = new TextEncoder().encode(`${line}\n`);
		if (client.closed || client.unsent + bytes.length > this.maxOutput) return false;
		client.output.push(bytes);
		client.unsent += bytes.length;
		if (!this.unsent.has(client)) {
			this.unsent.add(client);
			this.onUnsent(client);
		}
		return true;
	}
}

/** How many bytes a call moved; "later" if it would have to sleep, "gone" if the client is gone. */
function transfer(call: () => number): number | "later" | "gone" {
	try {
		return call();
	} catch (error) {
		if (error instanceof SystemError) return error.code === "EAGAIN" ? "later" : "gone";
		throw error;
	}
}

// An open file whose reads and writes are messages: MessagePorts and Workers.
import { errno } from "@kqpoll/kqueue";
import { FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import { bytesOf } from "./bytes.ts";
import { FlowFile, notBytes } from "./flow-file.ts";
import { type Emitter, Listeners } from "./listeners.ts";
import type { NodeFile, Refable } from "./open.ts";

/** How many bytes WRITE events promise; a message of any length is sent as a whole. */
const MESSAGE_ROOM = 65536;

/** One end of a channel of messages. */
export interface MessageEnd extends Emitter, Refable {
	/** Sends a message; the objects in the list are moved, not copied. */
	postMessage(message: unknown, moved: ArrayBuffer[]): void;
}

/** One end of a channel as an open file. */
export class PortFile extends FlowFile implements NodeFile {
	readonly handle: MessageEnd;
	/** The event by which the end reports that the channel is closed. */
	private readonly last: string;
	private readonly shut: () => void;
	private readonly listeners: Listeners;
	/** The messages that have arrived; null for one that is not bytes. */
	private readonly messages: (Uint8Array | null)[] = [];
	/** How many were read. */
	private taken = 0;
	private ended = false;

	/** Makes a file that does not listen yet; `shut` is called when it is closed. */
	constructor(handle: MessageEnd, last: string, shut: () => void) {
		super(FREAD | FWRITE);
		this.handle = handle;
		this.last = last;
		this.shut = shut;
		this.listeners = new Listeners(handle);
	}

	/** Listens, which starts the port. */
	start(): void {
		const { listeners, last } = this;
		listeners.on("message", (message: unknown) => this.arrive(bytesOf(message)));
		listeners.on("messageerror", () => this.arrive(null));
		listeners.on(last, () => {
			listeners.off();
			this.ended = true;
			this.changed();
		});
	}

	private arrive(message: Uint8Array | null): void {
		this.messages.push(message);
		this.changed();
	}

	override get available(): number {
		return this.messages.length;
	}

	override get readEnded(): boolean {
		return this.ended;
	}

	override get room(): number {
		return this.ended ? 0 : MESSAGE_ROOM;
	}

	override get writeEnded(): boolean {
		return this.ended;
	}

	/**
	 * Reads one message; what does not fit into the buffer is lost. EINVAL if it is neither bytes nor
	 * a string.
	 */
	protected override get(buffer: Uint8Array): number {
		const message = this.messages.shift();
		if (message === undefined) return -errno.EAGAIN;
		this.taken++;
		if (message === null) throw notBytes(`message ${this.taken}`);
		const n = Math.min(buffer.length, message.length);
		buffer.set(message.subarray(0, n));
		return n;
	}

	/** Sends one message. */
	protected override put(bytes: Uint8Array): number {
		const copy = Uint8Array.from(bytes);
		this.handle.postMessage(copy, [copy.buffer]);
		return bytes.length;
	}

	override close(): void {
		this.listeners.off();
		this.shut();
	}
}

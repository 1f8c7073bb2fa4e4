// A web ReadableStream as a descriptor.
import type { ReadableStream, ReadableStreamDefaultReader } from "node:stream/web";
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { FREAD } from "@kqpoll/kqueue/kernel";
import { bytesOf } from "./bytes.ts";
import { FlowFile } from "./flow-file.ts";
import { errnoOf } from "./node-errors.ts";
import {
	type NodeFile,
	type OpenOptions,
	openNodeFile,
	type Refable,
	requireMethods,
} from "./open.ts";

/** Options for the descriptor of a web stream, which has no `ref`. */
export type WebOptions = Pick<OpenOptions, "close">;

const NOTHING = new Uint8Array(0);

/** A ReadableStream as an open file. It waits for a chunk, or holds one. */
class WebReadableFile extends FlowFile implements NodeFile {
	readonly handle: Refable = {};
	private readonly stream: ReadableStream;
	private readonly closes: boolean;
	private reader: ReadableStreamDefaultReader<unknown> | null = null;
	/** What is left of the chunk that arrived last. */
	private held: Uint8Array = NOTHING;
	/** Whether a chunk was asked for. */
	private asked = false;
	/** How many chunks have come. */
	private chunks = 0;
	private ended = false;
	private error = 0;

	constructor(stream: ReadableStream, closes: boolean) {
		super(FREAD);
		this.stream = stream;
		this.closes = closes;
	}

	start(): void {
		this.reader = this.stream.getReader();
		this.pull();
	}

	override get available(): number {
		return this.held.length;
	}

	override get readEnded(): boolean {
		return this.ended;
	}

	override get readError(): number {
		return this.error;
	}

	/** Asks for the next chunk, unless that was done already. */
	private pull(): void {
		const { reader } = this;
		if (reader === null || this.asked || this.ended) return;
		this.asked = true;
		reader.read().then(
			({ done, value }) => {
				this.asked = false;
				// After the descriptor was closed the chunk is not needed.
				if (this.reader !== null) this.arrive(done, value);
			},
			(error) => {
				if (this.reader !== null) this.end(errnoOf(error));
			},
		);
	}

	private arrive(done: boolean, value: unknown): void {
		if (done) {
			this.end(0);
			return;
		}
		this.chunks++;
		const bytes = bytesOf(value);
		if (bytes === null) {
			if (this.closes) this.reader?.cancel().catch(() => {});
			this.badChunk = this.chunks;
			this.end(errno.EINVAL);
		} else if (bytes.length === 0) {
			this.pull();
		} else {
			this.held = bytes;
			this.changed();
		}
	}

	private end(error: number): void {
		this.ended = true;
		this.error = error;
		this.changed();
	}

	protected override get(buffer: Uint8Array): number {
		const { held } = this;
		const n = Math.min(buffer.length, held.length);
		buffer.set(held.subarray(0, n));
		this.held = held.subarray(n);
		// Also when its owner has moved the chunk elsewhere, and nothing is left of it.
		if (n === held.length) this.pull();
		return n || -errno.EAGAIN;
	}

	override close(): void {
		const { reader } = this;
		this.reader = null;
		if (this.closes) reader?.cancel().catch(() => {});
		else reader?.releaseLock();
	}
}

/**
 * Makes a descriptor to read from a web ReadableStream of bytes (Uint8Array, other views,
 * ArrayBuffer) or of strings, which are read in UTF-8. It asks for one chunk at a time, beginning
 * at once, and holds it until it is read: READ data is what is left of it. The end is EV_EOF and a
 * hang-up. When the stream fails, or a chunk is neither bytes nor a string (EINVAL, and the stream
 * is cancelled), EV_EOF has the errno in fflags and reads fail with it. An end or a failure shows
 * when the chunks before it are read.
 *
 * Closing the last descriptor cancels the stream. With `close` false it is not cancelled, its lock
 * is released; the unread rest of a chunk is lost, and so is a chunk that was asked for.
 *
 * Errors: EMFILE; EBUSY if the stream is locked; EFAULT if it is not a ReadableStream.
 */
export function openWebReadable(
	thread: Thread,
	stream: ReadableStream,
	options: WebOptions = {},
): number {
	requireMethods(stream, "openWebReadable", "getReader");
	if (stream.locked) throw new SystemError(errno.EBUSY, "openWebReadable", "the stream is locked");
	return openNodeFile(thread, new WebReadableFile(stream, options.close ?? true), {});
}

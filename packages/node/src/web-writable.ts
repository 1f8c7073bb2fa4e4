// A web WritableStream as a descriptor.
import type { WritableStream, WritableStreamDefaultWriter } from "node:stream/web";
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { FWRITE } from "@kqpoll/kqueue/kernel";
import { FlowFile } from "./flow-file.ts";
import { errnoOf } from "./node-errors.ts";
import { type NodeFile, openNodeFile, type Refable, requireMethods } from "./open.ts";
import type { WebOptions } from "./web-readable.ts";

/** The most bytes in a chunk. */
const CHUNK = 16384;

/** A WritableStream as an open file. */
class WebWritableFile extends FlowFile implements NodeFile {
	readonly handle: Refable = {};
	private readonly stream: WritableStream;
	private readonly closes: boolean;
	private writer: WritableStreamDefaultWriter<unknown> | null = null;
	/** Whether it waits until the stream wants more, or has failed. */
	private waiting = false;
	private ended = false;
	private error = 0;

	constructor(stream: WritableStream, closes: boolean) {
		super(FWRITE);
		this.stream = stream;
		this.closes = closes;
	}

	start(): void {
		this.writer = this.stream.getWriter();
		this.writer.closed.then(
			() => this.finish(0),
			(error) => this.finish(errnoOf(error)),
		);
		this.whenReady();
	}

	/**
	 * Waits until the stream wants more. A failure is reported here as well, and before `closed`
	 * reports it if a write is still in progress.
	 */
	private whenReady(): void {
		const { writer } = this;
		if (writer === null || this.waiting) return;
		this.waiting = true;
		writer.ready.then(
			() => {
				this.waiting = false;
				this.changed();
			},
			(error) => this.finish(errnoOf(error)),
		);
	}

	private finish(error: number): void {
		if (this.writer === null || this.ended) return;
		this.ended = true;
		this.error = error;
		this.changed();
	}

	/** The stream's unit is unknown, so all that counts is whether it wants a chunk. */
	override get room(): number {
		const { ended, writer } = this;
		if (ended || writer === null) return 0;
		const { desiredSize } = writer;
		// Null while a stream that has failed waits for a write: the reason is told later.
		if (desiredSize === null) this.whenReady();
		return (desiredSize ?? 0) > 0 ? CHUNK : 0;
	}

	override get writeEnded(): boolean {
		return this.ended;
	}

	override get writeError(): number {
		return this.error;
	}

	protected override put(bytes: Uint8Array): number {
		const chunk = Uint8Array.from(bytes.subarray(0, CHUNK));
		this.writer?.write(chunk).catch(() => {});
		if (!this.writeReady) this.whenReady();
		return chunk.length;
	}

	override close(): void {
		const { writer } = this;
		this.writer = null;
		if (!this.closes) writer?.releaseLock();
		else if (!this.ended) writer?.close().catch(() => {});
	}
}

/**
 * Makes a descriptor to write to a web WritableStream of Uint8Arrays. It is writable while the
 * stream wants more (`desiredSize` is above 0), and then takes one chunk of up to 16384 bytes.
 * WRITE data is that number, as the stream's own count may be of chunks. When the stream is closed,
 * EV_EOF is set, the descriptor hangs up, and writes fail with EPIPE and SIGPIPE; when it has
 * failed, EV_EOF has the errno in fflags and writes fail with that.
 *
 * Closing the last descriptor closes the stream after everything is written, or with `close` false
 * releases its lock.
 *
 * Errors: EMFILE; EBUSY if the stream is locked; EFAULT if it is not a WritableStream.
 */
export function openWebWritable(
	thread: Thread,
	stream: WritableStream,
	options: WebOptions = {},
): number {
	requireMethods(stream, "openWebWritable", "getWriter");
	if (stream.locked) throw new SystemError(errno.EBUSY, "openWebWritable", "the stream is locked");
	return openNodeFile(thread, new WebWritableFile(stream, options.close ?? true), {});
}

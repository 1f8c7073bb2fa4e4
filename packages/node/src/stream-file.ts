// Node's Readable, Writable and Duplex as open files, which report what the streams report.
import type { Readable, Writable } from "node:stream";
import { errno } from "@kqpoll/kqueue";
import { FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import { FlowFile } from "./flow-file.ts";
import { ignoreErrors, Listeners, offWhenClosed } from "./listeners.ts";
import { errnoOf } from "./node-errors.ts";
import type { NodeFile, Refable } from "./open.ts";

/** A write of up to this many bytes goes into a stream as a whole, as into a pipe. */
const PIPE_BUF = 512;

/** The streams behind a descriptor: one to read, one to write, or the same for both. */
interface Ends {
	/** The stream to read from, or null. */
	readonly readable: Readable | null;
	/** The stream to write to, or null. */
	readonly writable: Writable | null;
	/** Whether the stream is closed with the last descriptor. */
	readonly closes: boolean;
}

/** Whether a stream has got its last byte, even if that was not read yet. */
function hasEnded(stream: Readable): boolean {
	// Node's streams have always had this field. Without it the end shows when it is read.
	const { _readableState: state } = stream as { _readableState?: { readonly ended?: boolean } };
	return stream.readableEnded || stream.destroyed || state?.ended === true;
}

/**
 * Whether it is one of the program's own three streams. Those are made when they are first used, so
 * the function touches none of them for a stream that cannot be one.
 */
export function isStandard(stream: Readable | Writable | null): boolean {
	switch ((stream as { readonly fd?: unknown } | null)?.fd) {
		case 0:
			return stream === process.stdin;
		case 1:
			return stream === process.stdout;
		case 2:
			return stream === process.stderr;
		default:
			return false;
	}
}

/** A Readable, a Writable or a Duplex as an open file. */
export class StreamFile extends FlowFile implements NodeFile {
	private readonly readable: Readable | null;
	private readonly writable: Writable | null;
	private readonly closes: boolean;
	private readonly listeners: Listeners;
	/** The errno of a failure that the stream has emitted, even if it did not keep it. */
	private failure = 0;

	/** Makes a file that does not follow the stream yet. */
	constructor({ readable, writable, closes }: Ends) {
		super((readable === null ? 0 : FREAD) | (writable === null ? 0 : FWRITE));
		this.readable = readable;
		this.writable = writable;
		this.closes = closes;
		this.listeners = new Listeners(this.stream);
	}

	private get stream(): Readable | Writable {
		return (this.readable ?? this.writable) as Readable | Writable;
	}

	/** The stream, which may have `ref` and `unref`. */
	get handle(): Refable {
		return this.stream as Refable;
	}

	/** Listens. A Readable begins to fill its buffer. */
	start(): void {
		const { listeners, changed } = this;
		listeners.on("close", changed).on("error", (error: unknown) => {
			this.failure = errnoOf(error);
			changed();
		});
		if (this.readable !== null) listeners.on("readable", changed).on("end", changed);
		if (this.writable !== null) listeners.on("drain", changed).on("finish", changed);
		offWhenClosed(this.stream, listeners);
	}

	override get available(): number {
		const { readable } = this;
		// What a destroyed stream still holds is lost.
		if (readable === null || readable.destroyed || this.failure !== 0) return 0;
		return readable.readableLength;
	}

	override get readEnded(): boolean {
		return this.readable === null || this.failure !== 0 || hasEnded(this.readable);
	}

	override get readError(): number {
		return this.errorOf(this.readable);
	}

	/** A stream may have failed before it had a descriptor, or be about to report a failure. */
	private errorOf(stream: Readable | Writable | null): number {
		if (this.failure !== 0 || !stream?.errored) return this.failure;
		return errnoOf(stream.errored);
	}

	override get room(): number {
		const { writable } = this;
		if (writable === null || this.writeEnded || writable.writableNeedDrain) return 0;
		return Math.max(0, writable.writableHighWaterMark - writable.writableLength);
	}

	override get writeReady(): boolean {
		return this.writable?.writableNeedDrain === false;
	}

	override get writeEnded(): boolean {
		return this.writable?.writable !== true || this.failure !== 0;
	}

	override get writeError(): number {
		return this.errorOf(this.writable);
	}

	/** EINVAL if the stream has an encoding: characters are not bytes. */
	protected override get(buffer: Uint8Array): number {
		const stream = this.readable as Readable;
		if (stream.readableEncoding !== null) return -errno.EINVAL;
		// If asked for more than its highWaterMark, a stream would raise that.
		const most = stream.readableHighWaterMark || buffer.length;
		const n = Math.min(buffer.length, stream.readableLength, most);
		const chunk = n === 0 ? null : (stream.read(n) as Uint8Array | null);
		if (chunk === null) return -errno.EAGAIN;
		buffer.set(chunk);
		// This makes the stream report what comes next, and its end.
		stream.read(0);
		return chunk.length;
	}

	protected override put(bytes: Uint8Array): number {
		const stream = this.writable as Writable;
		const n = Math.min(bytes.length, Math.max(this.room, PIPE_BUF));
		stream.write(Uint8Array.from(bytes.subarray(0, n)), this.changed);
		return n;
	}

	/**
	 * What was written still goes out, and what was not read is lost; or the stream is left as it is.
	 */
	override close(): void {
		const isOver = this.listeners.isOff;
		this.listeners.off();
		if (isOver) return;
		if (this.closes) this.end();
		// While standard input reads, it keeps the program alive.
		else if (isStandard(this.readable)) process.nextTick(() => process.stdin.pause());
	}

	private end(): void {
		const { stream, readable, writable } = this;
		const listeners = ignoreErrors(stream);
		if (writable === null || !writable.writable) {
			stream.destroy();
			return;
		}
		if (readable !== null) listeners.on("finish", () => stream.destroy());
		writable.end();
	}
}

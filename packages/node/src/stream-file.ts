// Node's Readable, Writable and Duplex as open files, which report what the streams report.
import type { Readable, Writable } from "node:stream";
import { errno, type Thread } from "@kqpoll/kqueue";
import { FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import type { Stat } from "@kqpoll/kqueue/stat";
import { FlowFile } from "./flow-file.ts";
import { ignoreErrors, Listeners, offWhenClosed } from "./listeners.ts";
import { errnoOf } from "./node-errors.ts";
import type { NodeFile, Refable } from "./open.ts";
import { ReadableBytes } from "./readable-bytes.ts";
import { isTerminal, terminalIoctl, terminalStat } from "./terminal.ts";

/** A write of up to this many bytes goes into a stream as a whole, as into a pipe. */
const PIPE_BUF = 512;
/** The most bytes in a chunk for a stream in object mode, which counts chunks. */
const CHUNK = 16384;

/** The streams behind a descriptor: one to read, one to write, or the same for both. */
interface Ends {
	/** The stream to read from, or null. */
	readonly readable: Readable | null;
	/** The stream to write to, or null. */
	readonly writable: Writable | null;
	/** Whether the stream is closed with the last descriptor. */
	readonly closes: boolean;
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
	/** What the Readable holds; null if there is none. */
	private readonly bytes: ReadableBytes | null;
	/** The errno of a failure that the stream has emitted, even if it did not keep it. */
	private failure = 0;

	/** Makes a file that does not follow the stream yet. */
	constructor({ readable, writable, closes }: Ends) {
		const mode = (readable === null ? 0 : FREAD) | (writable === null ? 0 : FWRITE);
		super(mode, isTerminal(readable ?? writable) ? "vnode" : "pipe");
		this.readable = readable;
		this.writable = writable;
		this.closes = closes;
		this.bytes = readable === null ? null : new ReadableBytes(readable);
		this.listeners = new Listeners(this.stream);
	}

	private get stream(): Readable | Writable {
		return (this.readable ?? this.writable) as Readable | Writable;
	}

	/** The stream, which may have `ref` and `unref`. */
	get handle(): Refable {
		return this.stream as Refable;
	}

	/** That of a pipe, or of a terminal. */
	override stat(): Stat {
		return isTerminal(this.stream) ? terminalStat : super.stat();
	}

	/** FIONREAD; what one asks a terminal, if it is one. */
	override ioctl(thread: Thread, command: number, argument: unknown): number {
		const result = super.ioctl(thread, command, argument);
		if (result !== -errno.ENOTTY || !isTerminal(this.stream)) return result;
		return terminalIoctl(this.stream, command, argument);
	}

	/** Listens. A Readable begins to fill its buffer. */
	start(): void {
		const { listeners, changed, readable, writable } = this;
		listeners.on("close", changed).on("error", (error: unknown) => {
			this.failure = errnoOf(error);
			changed();
		});
		if (readable !== null) listeners.on("readable", this.onReadable).on("end", changed);
		if (writable !== null) listeners.on("drain", changed).on("finish", changed);
		offWhenClosed(this.stream, listeners);
		if (readable?.readableObjectMode) this.goOn();
	}

	private readonly onReadable = (): void => {
		if (this.readable?.readableObjectMode) this.goOn();
		this.changed();
	};

	/** Lets the stream find out what comes next. Returns whether that is held already. */
	private goOn(): boolean {
		const bytes = this.bytes as ReadableBytes;
		const before = bytes.chunks;
		bytes.goOn();
		this.badChunk = bytes.badChunk;
		return bytes.chunks > before;
	}

	override get available(): number {
		const { bytes, readable, failure } = this;
		if (readable === null || bytes === null || failure !== 0) return 0;
		// What a destroyed stream still holds is lost.
		return readable.destroyed && !readable.readableEnded ? 0 : bytes.length;
	}

	override get readEnded(): boolean {
		const { bytes, readable, failure } = this;
		if (readable === null || bytes === null || failure !== 0) return true;
		return readable.destroyed || this.badChunk > 0 || bytes.ended;
	}

	override get readError(): number {
		return this.badChunk > 0 ? errno.EINVAL : this.errorOf(this.readable);
	}

	/** A stream may have failed before it had a descriptor, or be about to report a failure. */
	private errorOf(stream: Readable | Writable | null): number {
		if (this.failure !== 0 || !stream?.errored) return this.failure;
		return errnoOf(stream.errored);
	}

	override get room(): number {
		const { writable } = this;
		if (writable === null || this.writeEnded || !this.writeReady) return 0;
		if (writable.writableObjectMode) return CHUNK;
		return Math.max(0, writable.writableHighWaterMark - writable.writableLength);
	}

	override get writeReady(): boolean {
		const { writable } = this;
		if (writable === null || writable.writableNeedDrain) return false;
		return writable.writable || writable.writableLength === 0;
	}

	/**
	 * When something else has called `end`, a stream tells nobody until everything is written. Until
	 * then it counts as full: sleepers and callers learn of the end at the same time.
	 */
	override get writeEnded(): boolean {
		const { failure, writable } = this;
		if (writable === null || failure !== 0) return true;
		if (writable.destroyed || writable.errored) return true;
		return !writable.writable && writable.writableLength === 0;
	}

	override get refusesWrites(): boolean {
		return this.writable?.writable !== true || this.failure !== 0;
	}

	override get writeError(): number {
		return this.errorOf(this.writable);
	}

	/** EINVAL if the stream has an encoding: characters are not bytes. */
	protected override get(buffer: Uint8Array): number {
		const bytes = this.bytes as ReadableBytes;
		if (this.readable?.readableEncoding !== null) return -errno.EINVAL;
		if (bytes.length === 0) {
			// The owner of a chunk that is held may have moved its bytes elsewhere.
			this.goOn();
			this.checkChunk();
		}
		const most = Math.min(buffer.length, bytes.length);
		let n = 0;
		// A stream may return its bytes chunk by chunk.
		for (let chunk: Uint8Array | null = null; n < most; n += chunk.length) {
			chunk = bytes.take(most - n);
			if (chunk === null) break;
			buffer.set(chunk, n);
		}
		if (n > 0 && this.goOn()) this.changed();
		return n || -errno.EAGAIN;
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
		if (!this.closes) this.bytes?.giveBack();
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

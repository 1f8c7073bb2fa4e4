// The bytes of a Readable: how many can be taken, taking them, and whether more will follow.
import type { Readable } from "node:stream";
import { bytesOf } from "./bytes.ts";

const NOTHING = new Uint8Array(0);

/**
 * Takes bytes out of a Readable that is paused.
 *
 * A stream in object mode counts chunks, not bytes. Of such a stream one chunk at a time is held
 * here, so that its bytes can be counted.
 */
export class ReadableBytes {
	private readonly stream: Readable;
	private readonly chunked: boolean;
	/** What is left of the chunk that was taken last from a stream in object mode. */
	private held: Uint8Array = NOTHING;
	/** How many chunks were taken from a stream in object mode. */
	chunks = 0;
	/** Which chunk of a stream in object mode is not bytes, counted from 1; 0 for none. */
	badChunk = 0;

	/** Takes nothing yet. */
	constructor(stream: Readable) {
		this.stream = stream;
		this.chunked = stream.readableObjectMode;
	}

	/** How many bytes can be taken now. */
	get length(): number {
		return this.chunked ? this.held.length : this.stream.readableLength;
	}

	/** Whether nothing will follow these. */
	get ended(): boolean {
		const { stream } = this;
		if (stream.readableEnded) return true;
		if (this.chunked && stream.readableLength > 0) return false;
		// Node's streams have always had this field. Without it the end shows when it is read.
		const { _readableState: state } = stream as { _readableState?: { readonly ended?: boolean } };
		return state?.ended === true;
	}

	/**
	 * Takes up to `most` bytes, which is not 0; null if there are none now. When nothing more is
	 * taken, {@link goOn} has to be called.
	 */
	take(most: number): Uint8Array | null {
		if (!this.chunked) return takeFrom(this.stream, most);
		const { held } = this;
		if (held.length === 0) return null;
		this.held = held.subarray(most);
		return held.subarray(0, most);
	}

	/**
	 * Lets the stream find out what comes next: one that was asked for exactly the bytes that it had
	 * would never report its end. To be called after bytes were taken, and when the stream says that
	 * it is readable.
	 */
	goOn(): void {
		if (!this.chunked) {
			this.stream.read(0);
			return;
		}
		while (this.held.length === 0 && this.badChunk === 0) {
			const chunk: unknown = this.stream.read();
			if (chunk === null) return;
			this.chunks++;
			const bytes = bytesOf(chunk);
			if (bytes === null) this.badChunk = this.chunks;
			else this.held = bytes;
		}
	}

	/** Puts what is held back into the stream, if that takes it. */
	giveBack(): void {
		const { held, stream } = this;
		this.held = NOTHING;
		if (held.length > 0 && !stream.readableEnded && !stream.destroyed) stream.unshift(held);
	}
}

/** Takes up to `most` bytes out of a stream that counts bytes. */
function takeFrom(stream: Readable, most: number): Uint8Array | null {
	const n = Math.min(most, stream.readableLength);
	if (n === 0) return null;
	// If asked for more than its highWaterMark, a stream would raise that.
	const exact = n <= stream.readableHighWaterMark;
	const chunk = (exact ? stream.read(n) : stream.read()) as Uint8Array | string | null;
	// Text, if the program has set an encoding.
	if (typeof chunk === "string") return Buffer.from(chunk, stream.readableEncoding ?? "utf8");
	if (chunk === null || chunk.length <= n) return chunk;
	stream.unshift(chunk.subarray(n));
	return chunk.subarray(0, n);
}

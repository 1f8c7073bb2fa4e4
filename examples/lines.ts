// Splits chunks of bytes into lines.

/** Reads the next chunk, null at the end. A chunk may be overwritten when the next is asked for. */
export type Chunks = () => Promise<Uint8Array | null>;

/** Returns one line after the other, and reads a chunk only when it has no line. */
export class LineReader {
	private readonly chunks: Chunks;
	private readonly decoder = new TextDecoder();
	private readonly lines: string[] = [];
	private begun = "";

	constructor(chunks: Chunks) {
		this.chunks = chunks;
	}

	/** The next line without its end; null after the last. */
	async next(): Promise<string | null> {
		while (this.lines.length === 0) {
			const chunk = await this.chunks();
			if (chunk === null) return null;
			this.lines.push(...(this.begun + this.decoder.decode(chunk, { stream: true })).split("\n"));
			this.begun = this.lines.pop() ?? "";
		}
		return this.lines.shift() ?? null;
	}
}

// The mailbox: shared memory by which a guest in a worker asks the kernel to call a function of WASI.

/** Of the words at its beginning: what it is about. */
const STATE = 0;
const FUNCTION = 1;
const RESULT = 2;
/** Where the parameters begin, in units of 8 bytes: up to nine of them. */
const PARAMETERS = 2;
/** Where the 64 bits are that say by how much the wall clock is ahead of the monotonic one. */
const WALL = 11;
/** Where the data begins, in bytes. */
const DATA = 96;

/** Nobody asks anything. */
const IDLE = 0;
/** The guest has asked, and waits. */
const ASKED = 1;
/** The kernel has answered. */
const ANSWERED = 2;

/** How many bytes of data fit into the mailbox of a guest. */
export const CAPACITY: number = 128 * 1024;
/** A call whose data has to stay whole brings memory of its own, of up to this many bytes. */
export const CAPACITY_MAX: number = 16 * 1024 * 1024;

/**
 * One side's view of the shared memory. The kernel sees all of it as the memory of a guest: pointers
 * in parameters count from its beginning.
 */
export class Mailbox {
	/** The shared memory. */
	readonly buffer: SharedArrayBuffer;
	/** All of it. */
	readonly bytes: Uint8Array;
	/** All of it. */
	readonly view: DataView;
	private readonly words: Int32Array;
	private readonly longs: BigInt64Array;
	private readonly doubles: Float64Array;

	/** Uses memory that {@link Mailbox.make} has made, perhaps on the other side. */
	constructor(buffer: SharedArrayBuffer) {
		this.buffer = buffer;
		this.bytes = new Uint8Array(buffer);
		this.view = new DataView(buffer);
		this.words = new Int32Array(buffer, 0, DATA / 4);
		this.longs = new BigInt64Array(buffer, 0, DATA / 8);
		this.doubles = new Float64Array(buffer, 0, DATA / 8);
	}

	/** Makes one with room for this many bytes of data. */
	static make(capacity: number): Mailbox {
		return new Mailbox(new SharedArrayBuffer(DATA + capacity));
	}

	/** Where data begins. */
	get start(): number {
		return DATA;
	}

	/** Where it has to end. */
	get end(): number {
		return this.buffer.byteLength;
	}

	/** Sets a parameter. */
	setParameter(index: number, value: number | bigint): void {
		if (typeof value === "bigint") this.longs[PARAMETERS + index] = value;
		else this.words[2 * (PARAMETERS + index)] = value;
	}

	/** A parameter of 32 bits, or of 64. */
	parameter(index: number, isWide: boolean): number | bigint {
		const at = PARAMETERS + index;
		return isWide ? (this.longs[at] as bigint) : (this.words[2 * at] as number);
	}

	/** Which function was asked for, by its number. */
	get asked(): number {
		return Atomics.load(this.words, STATE) === ASKED ? (this.words[FUNCTION] as number) : -1;
	}

	/** The guest asks, tells the kernel by `post`, and blocks until there is an answer. */
	ask(number: number, post: () => void): number {
		const { words } = this;
		words[FUNCTION] = number;
		Atomics.store(words, STATE, ASKED);
		post();
		while (Atomics.load(words, STATE) === ASKED) Atomics.wait(words, STATE, ASKED);
		Atomics.store(words, STATE, IDLE);
		return words[RESULT] as number;
	}

	/** The kernel answers. */
	answer(result: number): void {
		const { words } = this;
		words[RESULT] = result;
		Atomics.store(words, STATE, ANSWERED);
		Atomics.notify(words, STATE);
	}

	/** By how much the wall clock was ahead of the monotonic one when the kernel last looked: in ns. */
	get wall(): number {
		return this.doubles[WALL] as number;
	}

	set wall(ahead: number) {
		this.doubles[WALL] = ahead;
	}
}

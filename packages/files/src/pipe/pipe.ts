// pipe(2): two ends, each of which reads what is written into the other.
import {
	EV_EOF,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	type Kernel,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIOASYNC, FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import {
	__EV_HUP,
	__EV_POLL,
	__EV_SELECT,
	doAll,
	File,
	type Filterops,
	FREAD,
	FWRITE,
	filterops,
	isInt32,
	Klist,
	type Knote,
	kassert,
	knoteJoin,
	syscall,
	WaitChannel,
	wakeup,
} from "@kqpoll/kqueue/kernel";
import { S_IFIFO, type Stat } from "@kqpoll/kqueue/stat";
import { O_CLOEXEC, openPair } from "../shared/open-file.ts";
import { Ring } from "../shared/ring.ts";

/** A write of at most this many bytes goes into a pipe as a whole or not at all. */
export const PIPE_BUF = 512;

/** How many bytes an end holds. */
const PIPE_SIZE = 16384;
/** How many it holds after a large write into it while it was empty. */
const BIG_PIPE_SIZE = 65536;
/** How many ends of a kernel may be that large. */
const LIMITBIGPIPES = 32;
/** Sleeping writers are woken when fewer bytes than this are left. */
const MINPIPESIZE = Math.floor(PIPE_SIZE / 3);

/** How many large ends each kernel has. */
const bigPipes: WeakMap<Kernel, number> = new WeakMap();

/**
 * Makes a pipe and returns its descriptors: what is written into the second is read from the first.
 * As in OpenBSD, the other direction works too. Errors: EMFILE. Source: pipe(2).
 */
export function pipe(thread: Thread): [read: number, write: number] {
	return pipe2(thread, 0);
}

/**
 * As {@link pipe}, with O_NONBLOCK and O_CLOEXEC for both descriptors. Errors: EMFILE; EINVAL for
 * other flags. Source: pipe2(2).
 */
export function pipe2(thread: Thread, flags: number): [read: number, write: number] {
	if (!isInt32(flags) || (flags & ~(O_NONBLOCK | O_CLOEXEC)) !== 0)
		throw new SystemError(errno.EINVAL, "pipe2", "flags other than O_NONBLOCK and O_CLOEXEC");
	return syscall(thread, "pipe2", () => {
		const reader = new PipeEnd(thread, FREAD);
		const writer = new PipeEnd(thread, FWRITE);
		reader.connect(writer);
		return openPair(thread, reader, writer, flags);
	});
}

/** One end of a pipe. It holds the bytes that are to be read from it. */
class PipeEnd extends File {
	/** READ and EXCEPT knotes of this end, and WRITE knotes of the other. */
	readonly klist: Klist = new Klist();
	/** What is to be read here. */
	readonly buffer: Ring;
	/** Threads that read from this end sleep here. */
	readonly readers: WaitChannel = new WaitChannel();
	/** Threads that write into this end sleep here. */
	readonly writers: WaitChannel = new WaitChannel();
	/** The other end, null after either is closed. */
	peer: PipeEnd | null = null;
	/** The machine it is on. */
	readonly kernel: Kernel;
	/** Whether a large write has given it more room. */
	big = false;

	/** FREAD for the end that pipe returns first, FWRITE for the other. */
	private readonly mode: number;

	/** Its memory is charged to the account that makes the pipe. */
	constructor({ kernel, process }: Thread, mode: number) {
		super("pipe");
		this.mode = mode;
		this.kernel = kernel;
		this.buffer = new Ring(PIPE_SIZE, process.account.bytes);
	}

	/** One direction, as most programs expect, though an end can do both. */
	override get access(): number {
		return this.mode;
	}

	/** Makes a pipe of two ends. */
	connect(peer: PipeEnd): void {
		this.peer = peer;
		peer.peer = this;
	}

	/** Each time before it sleeps a transfer looks whether it still may. */
	override get asksAgain(): boolean {
		return true;
	}

	/**
	 * Reads what there is. When the read is over, the watchers for room are told, even if it made
	 * none.
	 */
	override read(_thread: Thread, buffer: Uint8Array): number {
		const ring = this.buffer;
		const n = ring.read(buffer);
		if (n === 0 && buffer.length > 0 && this.peer !== null) return -errno.EAGAIN;
		// Writers are not woken for each byte, but at the latest when the buffer is empty.
		if (n > 0 && ring.count < MINPIPESIZE) wakeup(this.writers);
		if (this.kernel.diagnostics) pipeCheck(this);
		this.tellOfRoom();
		return n;
	}

	/** Also -ENOMEM: the account that has made the pipe has too many bytes in buffers. */
	override write(_thread: Thread, buffer: Uint8Array, whole: number, begins = true): number {
		return this.peer === null ? -errno.EPIPE : this.peer.receive(buffer, whole, begins);
	}

	/** Receives bytes that the other end writes. Watchers are told even if there are none of them. */
	private receive(bytes: Uint8Array, whole: number, begins: boolean): number {
		const ring = this.buffer;
		if (begins && whole > PIPE_SIZE && ring.count === 0) this.enlarge(ring);
		const atomic = whole <= PIPE_BUF;
		const n = atomic && ring.room < bytes.length ? 0 : ring.write(bytes);
		if (n < 0) return -errno.ENOMEM;
		if (n > 0) wakeup(this.readers);
		if (this.kernel.diagnostics) pipeCheck(this);
		this.tellOfBytes();
		return n === 0 && bytes.length > 0 ? -errno.EAGAIN : n;
	}

	/** A read or write that got nothing ends: that notifies, too. */
	override gaveUp(mode: number): void {
		if (mode === FREAD) this.tellOfRoom();
		else this.peer?.tellOfBytes();
	}

	/** Notifies when there is room for a write of PIPE_BUF bytes. */
	private tellOfRoom(): void {
		if (this.buffer.room >= PIPE_BUF) this.klist.notify(0);
	}

	/** Notifies when there is something to read. */
	private tellOfBytes(): void {
		if (this.buffer.count > 0) this.klist.notify(0);
	}

	/** A large write into an empty end enlarges it for good, while there are few of that size. */
	private enlarge(ring: Ring): void {
		const count = bigPipes.get(this.kernel) ?? 0;
		if (this.big || count >= LIMITBIGPIPES) return;
		this.big = true;
		ring.limit = BIG_PIPE_SIZE;
		bigPipes.set(this.kernel, count + 1);
	}

	override channel(mode: number): WaitChannel | null {
		if (mode === FREAD) return this.readers;
		// Without the other end no writer has to wait: it gets EPIPE at once.
		return this.peer === null ? null : this.peer.writers;
	}

	override ioctl(_thread: Thread, command: number, _argument: unknown): number {
		switch (command) {
			case FIONREAD:
				return this.buffer.count;
			case FIONBIO:
			case FIOASYNC:
				return 0;
			default:
				return -errno.ENOTTY;
		}
	}

	override stat(): Stat {
		return { mode: S_IFIFO, size: this.buffer.count, blksize: this.buffer.limit };
	}

	override kqfilter(kn: Knote): number {
		switch (kn.filter) {
			case EVFILT_READ:
				return knoteJoin(kn, readFiltops, this.klist);
			case EVFILT_WRITE:
				if (this.peer === null) return errno.EPIPE;
				return knoteJoin(kn, writeFiltops, this.peer.klist);
			case EVFILT_EXCEPT:
				// Only poll asks this way, for hang-ups: a pipe has no out-of-band data.
				if ((kn.flags & __EV_SELECT) !== 0) return errno.EPERM;
				if ((kn.flags & __EV_POLL) === 0) return errno.EINVAL;
				return knoteJoin(kn, exceptFiltops, this.klist);
			default:
				return errno.EINVAL;
		}
	}

	/** Whether the other end is closed: nothing more to read, and no reader to write to. */
	get hungUp(): boolean {
		return this.peer === null;
	}

	override close(): void {
		const { peer } = this;
		if (peer === null) {
			this.leave();
			return;
		}
		doAll(
			// Its watchers are told first while nothing has changed yet, as if a read had ended, and then
			// that there is no reader any more.
			() => this.klist.notify(0),
			() => this.leave(),
			() => {
				peer.peer = null;
				wakeup(this.writers);
				this.klist.notify(0);
			},
			() => peer.klist.notify(0),
			() => {
				wakeup(peer.readers);
				if (!this.kernel.diagnostics) return;
				pipeCheck(this);
				pipeCheck(peer);
			},
		);
	}

	/** Forgets what was not read. */
	private leave(): void {
		this.peer = null;
		this.buffer.free();
		if (!this.big) return;
		this.big = false;
		this.buffer.limit = PIPE_SIZE;
		bigPipes.set(this.kernel, (bigPipes.get(this.kernel) ?? 1) - 1);
	}
}

/** Throws a Panic unless the bytes of an end, its room, its peer and its sleepers agree. */
function pipeCheck(end: PipeEnd): void {
	const { buffer, big, peer, readers, writers } = end;
	const large = bigPipes.get(end.kernel) ?? 0;
	buffer.check();
	kassert(buffer.limit === (big ? BIG_PIPE_SIZE : PIPE_SIZE), "a pipe has the room of its size");
	kassert(large >= 0 && large <= LIMITBIGPIPES, "large pipes are counted");
	kassert(peer === null || peer.peer === end, "the ends of a pipe name each other");
	kassert(buffer.count === 0 || readers.first === null, "no reader sleeps while there are bytes");
	if (peer === null) {
		kassert(readers.first === null, "no reader sleeps without a writer");
		kassert(writers.first === null, "no writer sleeps without a reader");
	}
	if (buffer.count < MINPIPESIZE)
		kassert(writers.first === null, "no writer sleeps while there is plenty of room");
}

function endOf(kn: Knote): PipeEnd {
	return kn.fp as PipeEnd;
}

/** Marks end of file, which is also a hang-up. */
function setEof(kn: Knote): boolean {
	kn.flags |= EV_EOF;
	if ((kn.flags & __EV_POLL) !== 0) kn.flags |= __EV_HUP;
	return true;
}

const readFiltops: Filterops = filterops({
	name: "pipe read",
	mpsafe: true,
	event: (kn) => {
		const end = endOf(kn);
		kn.data = end.buffer.count;
		return end.hungUp ? setEof(kn) : kn.data > 0;
	},
});

const writeFiltops: Filterops = filterops({
	name: "pipe write",
	mpsafe: true,
	event: (kn) => {
		const { peer } = endOf(kn);
		kn.data = peer === null ? 0 : peer.buffer.room;
		return peer === null ? setEof(kn) : kn.data >= PIPE_BUF;
	},
});

const exceptFiltops: Filterops = filterops({
	name: "pipe except",
	mpsafe: true,
	event: (kn) => {
		if ((kn.flags & __EV_POLL) === 0 || !endOf(kn).hungUp) return false;
		kn.flags |= __EV_HUP;
		return true;
	},
});

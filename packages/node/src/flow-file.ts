// An open file for streams of bytes, and its filters: what Node's streams have in common.
import {
	EV_EOF,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	NOTE_LOWAT,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { FIOASYNC, FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import {
	__EV_HUP,
	__EV_POLL,
	__EV_SELECT,
	File,
	type FileType,
	type Filterops,
	FREAD,
	FWRITE,
	filterops,
	Klist,
	type Knote,
	WaitChannel,
	wakeup,
} from "@kqpoll/kqueue/kernel";
import { S_IFIFO, type Stat } from "@kqpoll/kqueue/stat";

/**
 * A file that behaves like an end of a pipe. It keeps no state of its own: a derived class asks its
 * Node object for the state, and calls {@link FlowFile.changed} when that has changed. The methods
 * that it does not override answer for a direction that is missing.
 */
export abstract class FlowFile extends File {
	private readonly klist: Klist = new Klist();
	private readonly readers: WaitChannel = new WaitChannel();
	private readonly writers: WaitChannel = new WaitChannel();
	/**
	 * Which chunk that came is neither bytes nor a string, counted from 1; 0 for none. Then reading
	 * has ended with EINVAL.
	 */
	protected badChunk = 0;

	/** Makes a file that is open for FREAD, FWRITE or both. */
	constructor(mode: number, type: FileType = "pipe") {
		super(type);
		this.flags = mode;
	}

	/** How many bytes can be read. */
	get available(): number {
		return 0;
	}

	/** Whether nothing will follow what can be read. */
	get readEnded(): boolean {
		return true;
	}

	/** The errno with which reading ended, 0 if without an error. */
	get readError(): number {
		return 0;
	}

	/** The room in bytes. */
	get room(): number {
		return 0;
	}

	/** Whether a write would take something. */
	get writeReady(): boolean {
		return this.room > 0;
	}

	/** Whether nothing can be written any more. */
	get writeEnded(): boolean {
		return true;
	}

	/** Whether a write fails with EPIPE; that can be known before watchers can be told of the end. */
	get refusesWrites(): boolean {
		return this.writeEnded;
	}

	/** The errno with which writing ended, 0 if without an error. */
	get writeError(): number {
		return 0;
	}

	/**
	 * Reads like {@link File.read}, into a buffer that is not empty. Not after a failure or the end.
	 */
	protected get(_buffer: Uint8Array): number {
		return -errno.EAGAIN;
	}

	/** Writes at least one byte, like {@link File.write}. Called when it is ready for them. */
	protected put(_bytes: Uint8Array): number {
		return -errno.EAGAIN;
	}

	/** Throws EINVAL after a chunk that is neither bytes nor a string. */
	protected checkChunk(): void {
		if (this.badChunk > 0) throw notBytes(`chunk ${this.badChunk} of the stream`);
	}

	/** Wakes sleepers, and notifies watchers. */
	protected readonly changed = (): void => {
		wakeup(this.readers);
		wakeup(this.writers);
		this.klist.notify(0);
	};

	/**
	 * Returns the errno of an object that has failed, every time; otherwise what there is, then 0.
	 */
	override read(_thread: Thread, buffer: Uint8Array): number {
		this.checkChunk();
		if (this.readError !== 0) return -this.readError;
		if (this.available === 0 && this.readEnded) return 0;
		return buffer.length === 0 ? 0 : this.get(buffer);
	}

	/** Returns the errno of an object that has failed, every time; EPIPE once it has ended. */
	override write(_thread: Thread, buffer: Uint8Array): number {
		if (this.writeError !== 0) return -this.writeError;
		if (this.refusesWrites) return -errno.EPIPE;
		if (buffer.length === 0) return 0;
		return this.writeReady ? this.put(buffer) : -errno.EAGAIN;
	}

	/** Readers and writers sleep until something has changed. */
	override channel(mode: number): WaitChannel {
		return mode === FREAD ? this.readers : this.writers;
	}

	/** FIONREAD. */
	override ioctl(_thread: Thread, command: number, _argument: unknown): number {
		if (command === FIONREAD) return this.available;
		return command === FIONBIO || command === FIOASYNC ? 0 : -errno.ENOTTY;
	}

	/** The stat of a fifo whose size is what can be read. */
	override stat(): Stat {
		return { mode: S_IFIFO, size: this.available, blksize: 0 };
	}

	/**
	 * Joins a READ or WRITE knote to a file that is open for that, and poll's EXCEPT knote to any
	 * file; returns the same errnos as for a fifo otherwise.
	 */
	override kqfilter(kn: Knote): number {
		const polled = (kn.flags & (__EV_POLL | __EV_SELECT)) !== 0;
		switch (kn.filter) {
			case EVFILT_READ:
				return (this.flags & FREAD) === 0 ? errno.EINVAL : this.join(kn, readFiltops);
			case EVFILT_WRITE:
				// Then poll asks only for the hang-up.
				if ((this.flags & FWRITE) === 0) return polled ? errno.EPERM : errno.EINVAL;
				return this.join(kn, writeFiltops);
			case EVFILT_EXCEPT:
				// Only poll asks this way, for hang-ups: there is no out-of-band data.
				if ((kn.flags & __EV_POLL) === 0) return polled ? errno.EPERM : errno.EINVAL;
				return this.join(kn, exceptFiltops);
			default:
				return errno.EINVAL;
		}
	}

	private join(kn: Knote, fop: Filterops): number {
		kn.fop = fop;
		this.klist.insert(kn);
		return 0;
	}
}

/** The error of a read that finds something else than bytes. */
export function notBytes(what: string): SystemError {
	return new SystemError(errno.EINVAL, "read", `${what} is neither bytes nor a string`);
}

function fileOf(kn: Knote): FlowFile {
	return kn.fp as FlowFile;
}

/** Whether both directions have ended. */
function hungUp(file: FlowFile): boolean {
	return file.readEnded && file.writeEnded;
}

function setEof(kn: Knote, file: FlowFile, error: number): boolean {
	kn.flags |= EV_EOF;
	if ((kn.flags & __EV_POLL) !== 0 && hungUp(file)) kn.flags |= __EV_HUP;
	kn.fflags = error;
	return true;
}

function readEvent(kn: Knote): boolean {
	const file = fileOf(kn);
	kn.data = file.available;
	if (file.readEnded) return setEof(kn, file, file.readError);
	return kn.data >= ((kn.sfflags & NOTE_LOWAT) !== 0 ? kn.sdata : 1);
}

function writeEvent(kn: Knote): boolean {
	const file = fileOf(kn);
	kn.data = file.room;
	if (file.writeEnded) return setEof(kn, file, file.writeError);
	return (kn.sfflags & NOTE_LOWAT) !== 0 ? kn.data >= kn.sdata : file.writeReady;
}

function exceptEvent(kn: Knote): boolean {
	if (!hungUp(fileOf(kn))) return false;
	kn.flags |= __EV_HUP;
	return true;
}

const readFiltops: Filterops = filterops({ name: "stream read", event: readEvent });
const writeFiltops: Filterops = filterops({ name: "stream write", event: writeEvent });
const exceptFiltops: Filterops = filterops({ name: "stream except", event: exceptEvent });

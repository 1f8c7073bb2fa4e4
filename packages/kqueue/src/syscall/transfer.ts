// System calls that move bytes: read, write, and their vectored forms.

import { isIntact, LastView } from "../abi/bytes.ts";
import { FREAD, FWRITE } from "../abi/constants.ts";
import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { SIGPIPE } from "../abi/signal.ts";
import type { Failure } from "../base/failure.ts";
import { type File, fileHold, fileRelease } from "../file/file.ts";
import { getFile } from "../file/filedesc.ts";
import { psignal } from "../process/psignal.ts";
import type { Thread } from "../process/thread.ts";
import { BlockingCall, type SleepOptions, WOULD_SLEEP } from "../sched/call.ts";
import { callAsync } from "../sched/call-async.ts";
import { enter, leave } from "../sched/entry.ts";
import type { WaitChannel } from "../sched/wait-channel.ts";
import { type Uio, uioOf } from "./uio.ts";

/**
 * Reads into `buffer`, and sleeps until there is something to read, unless the descriptor does not
 * block. Returns how many bytes were read, 0 at the end of file. Rejects with: EBADF, also if it is
 * not open for reading; EAGAIN if it does not block, or cannot be waited for; EFAULT if `buffer` is
 * not a Uint8Array; EINTR; the errors of the file; as for kevent EBUSY, EDEADLK, ESRCH and the
 * reason of `options.signal`. Source: read(2).
 */
export function read(
	thread: Thread,
	fd: number,
	buffer: Uint8Array,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "read", options, readCall, fd, buffer);
}

/** Begins a {@link read}, for any driver. */
export function readCall(thread: Thread, fd: number, buffer: Uint8Array): BlockingCall {
	const file = openFor(thread, fd, FREAD, "read");
	const view = stateOf(thread).readView.of(buffer, "read");
	return idleRead(thread).begin("read", fd, file, view, null);
}

/**
 * Writes all of `buffer`, and sleeps whenever there is no room, unless the descriptor does not
 * block. Returns how many bytes were written: fewer than all only if it does not block, or was
 * interrupted after the first. Rejects with: EBADF, also if it is not open for writing; EAGAIN if
 * it does not block, or cannot be waited for; EFAULT if `buffer` is not a Uint8Array; EINTR; EPIPE,
 * with SIGPIPE; the errors of the file; as for kevent EBUSY, EDEADLK, ESRCH and the reason of
 * `options.signal`. Source: write(2).
 */
export function write(
	thread: Thread,
	fd: number,
	buffer: Uint8Array,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "write", options, writeCall, fd, buffer);
}

/** Begins a {@link write}, for any driver. */
export function writeCall(thread: Thread, fd: number, buffer: Uint8Array): BlockingCall {
	const file = openFor(thread, fd, FWRITE, "write");
	const view = stateOf(thread).writeView.content(buffer, "write");
	return idleWrite(thread).begin("write", fd, file, view, null);
}

/** As {@link read}, into several buffers, each filled before the next. Source: readv(2). */
export function readv(
	thread: Thread,
	fd: number,
	buffers: readonly Uint8Array[],
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "readv", options, readvCall, fd, buffers);
}

/** Begins a {@link readv}, for any driver. */
export function readvCall(
	thread: Thread,
	fd: number,
	buffers: readonly Uint8Array[],
): BlockingCall {
	// The buffers first: their accessors may close the descriptor.
	const uio = uioOf(buffers, "readv");
	const file = openFor(thread, fd, FREAD, "readv");
	return idleRead(thread).begin("readv", fd, file, uio.single, uio);
}

/** As {@link write}, from several buffers, as if they were one. Source: writev(2). */
export function writev(
	thread: Thread,
	fd: number,
	buffers: readonly Uint8Array[],
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "writev", options, writevCall, fd, buffers);
}

/** Begins a {@link writev}, for any driver. */
export function writevCall(
	thread: Thread,
	fd: number,
	buffers: readonly Uint8Array[],
): BlockingCall {
	const uio = uioOf(buffers, "writev");
	const file = openFor(thread, fd, FWRITE, "writev");
	return idleWrite(thread).begin("writev", fd, file, uio.single, uio);
}

/**
 * Reads into `buffer` what there is, without sleeping, and returns how many bytes; 0 at the end of
 * file. Throws what {@link read} rejects with; EAGAIN when there is nothing to read yet.
 */
export function readNow(thread: Thread, fd: number, buffer: Uint8Array): number {
	enter(thread, "read");
	try {
		const file = openFor(thread, fd, FREAD, "read");
		const view = stateOf(thread).readView.of(buffer, "read");
		return unwrapped(transferOnce(thread, file, view, null, FREAD), fd, "read");
	} finally {
		leave(thread);
	}
}

/**
 * Writes from `buffer` what there is room for, without sleeping, and returns how many bytes. Throws
 * what {@link write} rejects with; EAGAIN when there is no room.
 */
export function writeNow(thread: Thread, fd: number, buffer: Uint8Array): number {
	enter(thread, "write");
	try {
		const file = openFor(thread, fd, FWRITE, "write");
		const view = stateOf(thread).writeView.content(buffer, "write");
		return unwrapped(transferOnce(thread, file, view, null, FWRITE), fd, "write");
	} finally {
		leave(thread);
	}
}

function unwrapped(n: number, fd: number, name: string): number {
	return n >= 0 ? n : unwrap(n, name, `descriptor ${fd}`);
}

/** As {@link readNow}, into several buffers. */
export function readvNow(thread: Thread, fd: number, buffers: readonly Uint8Array[]): number {
	return vectorNow(thread, fd, buffers, FREAD, "readv");
}

/** As {@link writeNow}, from several buffers, as if they were one. */
export function writevNow(thread: Thread, fd: number, buffers: readonly Uint8Array[]): number {
	return vectorNow(thread, fd, buffers, FWRITE, "writev");
}

function vectorNow(
	thread: Thread,
	fd: number,
	buffers: readonly Uint8Array[],
	mode: number,
	name: string,
): number {
	enter(thread, name);
	try {
		const uio = uioOf(buffers, name);
		const file = openFor(thread, fd, mode, name);
		return unwrapped(transferOnce(thread, file, uio.single, uio, mode), fd, name);
	} finally {
		leave(thread);
	}
}

/**
 * Reads or writes what can be transferred, between the file and `view`, or `uio` if that is null.
 * The file stays open meanwhile.
 */
function transferOnce(
	thread: Thread,
	file: File,
	view: Uint8Array | null,
	uio: Uio | null,
	mode: number,
): number {
	let n = 0;
	let failure: Failure = null;
	fileHold(file);
	try {
		if (view === null) n = transferPieces(thread, file, uio as Uio, mode);
		else if (mode === FREAD) n = file.read(thread, view, file.nonblocking);
		else n = file.write(thread, view, view.length, true);
		if (n === -errno.EAGAIN) file.gaveUp(mode, thread);
		if (n === -errno.EPIPE && mode === FWRITE) brokenPipe(thread, file);
	} catch (value) {
		failure = { value };
	}
	fileRelease(file, thread, failure);
	return n;
}

function transferPieces(thread: Thread, file: File, uio: Uio, mode: number): number {
	if (mode === FREAD) return readPieces(thread, file, uio, file.nonblocking);
	return uio.drain((piece, from) => {
		const n = file.write(thread, piece, uio.total, from === 0);
		return from > 0 ? told(n, thread, file, mode) : n;
	});
}

/** Reads a piece; once there is one the others are only what is there, too. */
function readPieces(thread: Thread, file: File, uio: Uio, nonblocking: boolean): number {
	return uio.fill((piece, from) =>
		from > 0
			? told(file.read(thread, piece, true), thread, file, FREAD)
			: file.read(thread, piece, nonblocking),
	);
}

/** Tells a file that a transfer ends after some of its bytes. */
function told(n: number, thread: Thread, file: File, mode: number): number {
	if (n === -errno.EAGAIN) file.gaveUp(mode, thread);
	return n;
}

/** What the reads and writes of a thread keep from call to call: there is one at a time. */
class TransferState {
	read: ReadCall | null = null;
	write: WriteCall | null = null;
	/** The views of the buffers that were passed last. */
	readonly readView: LastView = new LastView();
	readonly writeView: LastView = new LastView();
}

function stateOf(thread: Thread): TransferState {
	thread.transferstate ??= new TransferState();
	return thread.transferstate as TransferState;
}

/** The thread's read; a new one while that is in progress. */
function idleRead(thread: Thread): ReadCall {
	const state = stateOf(thread);
	if (state.read === null || state.read.busy) state.read = new ReadCall(thread);
	return state.read;
}

/** The thread's write; a new one while that is in progress. */
function idleWrite(thread: Thread): WriteCall {
	const state = stateOf(thread);
	if (state.write === null || state.write.busy) state.write = new WriteCall(thread);
	return state.write;
}

const NOTHING = new Uint8Array(0);

/** A transfer that may sleep. The file stays open until it is done. */
abstract class TransferCall extends BlockingCall {
	private held: File | null = null;
	private fd = -1;
	/** What it transfers: this view, or the buffers of `uio` if that is not null. */
	protected buffer: Uint8Array = NOTHING;
	protected uio: Uio | null = null;
	/** How many bytes there were when it began. */
	protected total = 0;
	/** Whether it must not sleep: as O_NONBLOCK was when it began. */
	private nonblocking = false;
	private readonly mode: number;
	/** When the file first set a limit to its sleep, -1 until then. */
	private since = -1;

	constructor(thread: Thread, name: string, mode: number) {
		super(thread, name);
		this.mode = mode;
		this.timeout = Number.POSITIVE_INFINITY;
	}

	/** Whether the transfer is in progress. */
	get busy(): boolean {
		return this.held !== null;
	}

	/**
	 * Sets the transfer up, of `buffer`, or of `uio` if that is null. May be used again after the
	 * transfer has ended.
	 */
	protected setUp(
		name: string,
		fd: number,
		file: File,
		buffer: Uint8Array | null,
		uio: Uio | null,
	): void {
		fileHold(file);
		this.syscall = name;
		this.fd = fd;
		this.held = file;
		this.nonblocking = file.nonblocking;
		this.buffer = buffer ?? NOTHING;
		this.uio = buffer === null ? uio : null;
		this.total = this.uio === null ? this.buffer.length : this.uio.total;
		this.deadline = -1;
		this.since = -1;
	}

	/** The file that it reads or writes. */
	protected get file(): File {
		return this.held as File;
	}

	override get channel(): WaitChannel {
		return this.file.channel(this.mode, this.thread) as WaitChannel;
	}

	/** Whether it must not sleep. */
	protected get mustNotSleep(): boolean {
		const { file } = this;
		return file.asksAgain ? file.nonblocking : this.nonblocking;
	}

	/** Whether the transfer sleeps when the file is not ready. */
	protected get waits(): boolean {
		return !this.mustNotSleep && this.file.channel(this.mode, this.thread) !== null;
	}

	/** Tells the file that the transfer ends without more bytes. */
	protected giveUp(): void {
		this.file.gaveUp(this.mode, this.thread);
	}

	/** Whether it may sleep; sets the deadline to that of the file. */
	protected mayWait(woken: number): boolean {
		if (!this.waits) return false;
		const { host } = this.thread.kernel;
		if (this.deadlineFrom(0) === Number.POSITIVE_INFINITY) {
			// The clock is not read: that costs more than the rest of a short wait.
			this.deadline = -1;
			return true;
		}
		if (this.since < 0 || (woken === 0 && this.file.countsEachSleep)) this.since = host.now();
		this.deadline = this.deadlineFrom(this.since);
		return host.now() < this.deadline;
	}

	private deadlineFrom(since: number): number {
		return this.file.deadline(this.mode, since, this.thread);
	}

	override end(): void {
		const { file } = this;
		this.held = null;
		this.buffer = NOTHING;
		this.uio = null;
		fileRelease(file, this.thread);
	}

	override get restarts(): boolean {
		return true;
	}

	override restart(): void {
		const { fd, file: before, mode, syscall, thread } = this;
		this.held = openFor(thread, fd, mode, syscall);
		this.nonblocking = this.held.nonblocking;
		this.deadline = -1;
		this.since = -1;
		fileHold(this.held);
		fileRelease(before, thread);
	}

	/** Names the descriptor. */
	override describe(): string {
		return `${this.syscall} of descriptor ${this.fd} (${this.file.type})`;
	}
}

/** A thread's read. */
class ReadCall extends TransferCall {
	constructor(thread: Thread) {
		super(thread, "read", FREAD);
	}

	begin(name: string, fd: number, file: File, buffer: Uint8Array | null, uio: Uio | null): this {
		this.setUp(name, fd, file, buffer, uio);
		return this;
	}

	override step(woken: number): number {
		if (woken === errno.EINTR) {
			this.giveUp();
			return -woken;
		}
		let n = this.receive();
		if (n === -errno.EAGAIN) {
			if (this.mayWait(woken)) return WOULD_SLEEP;
			if (this.waits) n = this.receiveLate();
			if (n === -errno.EAGAIN) this.giveUp();
		}
		return n;
	}

	/** Reads, but not for a buffer that has lost its memory: then the bytes stay in the file. */
	private receive(): number {
		const { thread, file, buffer, uio } = this;
		if (uio !== null) return readPieces(thread, file, uio, this.mustNotSleep);
		if (isIntact(buffer, this.total)) return file.read(thread, buffer, this.mustNotSleep);
		this.giveUp();
		return -errno.EFAULT;
	}

	private receiveLate(): number {
		const { thread, file, buffer, uio } = this;
		return uio === null
			? file.readLate(thread, buffer)
			: uio.fill((piece) => file.readLate(thread, piece));
	}
}

/** A thread's write. */
class WriteCall extends TransferCall {
	private written = 0;
	/** Whether the file has not been asked yet. */
	private begins = true;

	constructor(thread: Thread) {
		super(thread, "write", FWRITE);
	}

	begin(name: string, fd: number, file: File, buffer: Uint8Array | null, uio: Uio | null): this {
		this.setUp(name, fd, file, buffer, uio);
		this.written = 0;
		this.begins = true;
		return this;
	}

	override restart(): void {
		super.restart();
		this.begins = true;
	}

	override step(woken: number): number {
		const { thread, file, total } = this;
		if (woken === errno.EINTR) {
			this.giveUp();
			return this.written || -woken;
		}
		for (;;) {
			const rest = this.rest();
			if (rest === null) {
				this.giveUp();
				return this.written || -errno.EFAULT;
			}
			const n = file.write(thread, rest, total, this.begins);
			this.begins = false;
			if (n === -errno.EAGAIN) {
				if (this.mayWait(woken)) return WOULD_SLEEP;
				this.giveUp();
				return this.written || n;
			}
			if (n === -errno.EPIPE) brokenPipe(thread, file);
			// Whatever a file returns, the loop ends.
			if (!(n >= 0)) return lacksMemory(n) ? this.written || n : n;
			this.written += n;
			if (n === 0 || this.written >= total) return this.written;
			// A file that takes all of a piece gets the next, even if it cannot be waited for.
			if (n < rest.length && !this.waits) return this.written;
		}
	}

	/** What is still to be written; null when it has lost its memory. */
	private rest(): Uint8Array | null {
		const { buffer, total, uio, written } = this;
		if (uio !== null) return uio.rest(written);
		if (!isIntact(buffer, total)) return null;
		return written === 0 ? buffer : buffer.subarray(written);
	}
}

/** Whether a write failed for a reason that may pass: a kernel would wait for memory. */
function lacksMemory(n: number): boolean {
	return n === -errno.ENOBUFS || n === -errno.ENOMEM;
}

/**
 * What was written has no reader: sends SIGPIPE to the process. Sockets decide about that
 * themselves.
 */
export function brokenPipe(thread: Thread, file: File): void {
	if (file.type !== "socket") psignal(thread.process, SIGPIPE, thread);
}

/** The file of a descriptor that is open for reading (FREAD) or writing (FWRITE). Errors: EBADF. */
export function openFor(thread: Thread, fd: number, mode: number, name: string): File {
	const file = getFile(thread, fd, name);
	checkMode(file, fd, mode, name);
	return file;
}

function checkMode(file: File, fd: number, mode: number, name: string): void {
	if ((file.flags & mode) === 0)
		throw new SystemError(
			errno.EBADF,
			name,
			`descriptor ${fd} is not open for ${mode === FREAD ? "reading" : "writing"}`,
		);
}

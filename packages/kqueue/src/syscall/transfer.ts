// System calls that move bytes: read, write, and their vectored forms.

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
	checkBuffer(buffer, "read");
	return idleRead(thread).begin("read", fd, file, buffer, null);
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
	checkBuffer(buffer, "write");
	return idleWrite(thread).begin("write", fd, file, buffer);
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
	const all = new Uint8Array(lengthOf(buffers, "readv"));
	const file = openFor(thread, fd, FREAD, "readv");
	return idleRead(thread).begin("readv", fd, file, all, buffers);
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
	const all = gather(buffers, "writev");
	const file = openFor(thread, fd, FWRITE, "writev");
	return idleWrite(thread).begin("writev", fd, file, all);
}

/**
 * Reads into `buffer` what there is, without sleeping, and returns how many bytes; 0 at the end of
 * file. Throws what {@link read} rejects with; EAGAIN when there is nothing to read yet.
 */
export function readNow(thread: Thread, fd: number, buffer: Uint8Array): number {
	return transferNow(thread, fd, buffer, FREAD);
}

/**
 * Writes from `buffer` what there is room for, without sleeping, and returns how many bytes. Throws
 * what {@link write} rejects with; EAGAIN when there is no room.
 */
export function writeNow(thread: Thread, fd: number, buffer: Uint8Array): number {
	return transferNow(thread, fd, buffer, FWRITE);
}

/** Reads or writes once, without sleeping. */
function transferNow(thread: Thread, fd: number, buffer: Uint8Array, mode: number): number {
	const name = mode === FREAD ? "read" : "write";
	enter(thread, name);
	try {
		const file = openFor(thread, fd, mode, name);
		checkBuffer(buffer, name);
		const n = transferOnce(thread, file, buffer, mode);
		return n >= 0 ? n : unwrap(n, name, `descriptor ${fd}`);
	} finally {
		leave(thread);
	}
}

/** Reads or writes what can be transferred. The file stays open meanwhile. */
function transferOnce(thread: Thread, file: File, buffer: Uint8Array, mode: number): number {
	let n = 0;
	let failure: Failure = null;
	fileHold(file);
	try {
		if (mode === FREAD) n = file.read(thread, buffer, file.nonblocking);
		else n = file.write(thread, buffer, buffer.length, true);
		if (n === -errno.EAGAIN) file.gaveUp(mode, thread);
		if (n === -errno.EPIPE && mode === FWRITE) brokenPipe(thread, file);
	} catch (value) {
		failure = { value };
	}
	fileRelease(file, thread, failure);
	return n;
}

/** As {@link readNow}, into several buffers. */
export function readvNow(thread: Thread, fd: number, buffers: readonly Uint8Array[]): number {
	const all = new Uint8Array(lengthOf(buffers, "readv"));
	return scatter(all, readNow(thread, fd, all), buffers);
}

/** As {@link writeNow}, from several buffers, as if they were one. */
export function writevNow(thread: Thread, fd: number, buffers: readonly Uint8Array[]): number {
	return writeNow(thread, fd, gather(buffers, "writev"));
}

/** What the reads and writes of a thread keep from call to call: there is one at a time. */
class TransferState {
	read: ReadCall | null = null;
	write: WriteCall | null = null;
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
	protected buffer: Uint8Array = NOTHING;
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

	/** Sets the transfer up. May be used again after the transfer has ended. */
	protected setUp(name: string, fd: number, file: File, buffer: Uint8Array): void {
		fileHold(file);
		this.syscall = name;
		this.fd = fd;
		this.held = file;
		this.nonblocking = file.nonblocking;
		this.buffer = buffer;
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
	/** The buffers of a readv, which the bytes are copied to; null for a read. */
	private buffers: readonly Uint8Array[] | null = null;

	constructor(thread: Thread) {
		super(thread, "read", FREAD);
	}

	begin(
		name: string,
		fd: number,
		file: File,
		buffer: Uint8Array,
		buffers: readonly Uint8Array[] | null,
	): this {
		this.setUp(name, fd, file, buffer);
		this.buffers = buffers;
		return this;
	}

	override step(woken: number): number {
		const { thread, file, buffer, buffers } = this;
		if (woken === errno.EINTR) {
			this.giveUp();
			return -woken;
		}
		let n = file.read(thread, buffer, this.mustNotSleep);
		if (n === -errno.EAGAIN) {
			if (this.mayWait(woken)) return WOULD_SLEEP;
			if (this.waits) n = file.readLate(thread, buffer);
			if (n === -errno.EAGAIN) this.giveUp();
		}
		if (n > 0 && buffers !== null) scatter(buffer, n, buffers);
		return n;
	}

	override end(): void {
		this.buffers = null;
		super.end();
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

	begin(name: string, fd: number, file: File, buffer: Uint8Array): this {
		this.setUp(name, fd, file, buffer);
		this.written = 0;
		this.begins = true;
		return this;
	}

	override restart(): void {
		super.restart();
		this.begins = true;
	}

	override step(woken: number): number {
		const { thread, file, buffer } = this;
		if (woken === errno.EINTR) {
			this.giveUp();
			return this.written || -woken;
		}
		for (;;) {
			const rest = this.written === 0 ? buffer : buffer.subarray(this.written);
			const n = file.write(thread, rest, buffer.length, this.begins);
			this.begins = false;
			if (n === -errno.EAGAIN) {
				if (this.mayWait(woken)) return WOULD_SLEEP;
				this.giveUp();
				return this.written || n;
			}
			if (n === -errno.EPIPE) brokenPipe(thread, file);
			if (n < 0) return n;
			this.written += n;
			if (n === 0 || this.written === buffer.length || !this.waits) return this.written;
		}
	}
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

/** Throws EFAULT for what is not a Uint8Array. */
export function checkBuffer(buffer: Uint8Array, name: string): void {
	if (!(buffer instanceof Uint8Array))
		throw new SystemError(errno.EFAULT, name, "the buffer is not a Uint8Array");
}

/** How many bytes there are in all buffers. Errors: EFAULT. */
export function lengthOf(buffers: readonly Uint8Array[], name: string): number {
	if (!Array.isArray(buffers)) throw new SystemError(errno.EFAULT, name, "buffers is not an array");
	let length = 0;
	for (const buffer of buffers) {
		checkBuffer(buffer, name);
		length += buffer.length;
	}
	return length;
}

/** The bytes of all buffers in one. Errors: EFAULT. */
export function gather(buffers: readonly Uint8Array[], name: string): Uint8Array {
	const all = new Uint8Array(lengthOf(buffers, name));
	let at = 0;
	for (const buffer of buffers) {
		all.set(buffer, at);
		at += buffer.length;
	}
	return all;
}

/** Copies the first `n` bytes of `all` to the buffers, each filled before the next. Returns `n`. */
export function scatter(all: Uint8Array, n: number, buffers: readonly Uint8Array[]): number {
	let at = 0;
	for (const buffer of buffers) {
		buffer.set(all.subarray(at, Math.min(at + buffer.length, n)));
		at += buffer.length;
		if (at >= n) break;
	}
	return n;
}

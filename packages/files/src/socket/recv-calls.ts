// recv(2), recvmsg(2): bytes, their sender, and descriptors that came with them.
import { close, errno, type SleepOptions, type Thread } from "@kqpoll/kqueue";
import {
	attempt,
	type BlockingCall,
	callAsync,
	copyin,
	copyout,
	isIntact,
	rethrow,
	viewOf,
	WOULD_SLEEP,
} from "@kqpoll/kqueue/kernel";
import type { Socket } from "./socket.ts";
import { MSG_DONTWAIT, MSG_OOB } from "./socket-constants.ts";
import { type Received, receiveMore, soreceive, wantsMore } from "./socket-io.ts";
import { type Operation, onSocket, requireFlags, socketCall } from "./socket-wait.ts";

/** What recvmsg fills. */
export interface IncomingMessage extends Partial<Received> {
	/** Where the bytes go. */
	readonly bytes: Uint8Array;
}

/**
 * Receives into `buffer`, and sleeps until there is something. Returns how many bytes, 0 at the
 * end. `flags` are MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL and, for TCP, MSG_OOB. A stream that must not
 * sleep returns what there is, even below SO_RCVLOWAT; with MSG_WAITALL it sleeps for the rest once
 * it has received something. The part of a message that does not fit into the buffer is lost; a
 * stream stops at the out-of-band mark. A seqpacket without bytes is stepped over. Rejects with:
 * EBADF, ENOTSOCK, EFAULT; ENOTCONN; EAGAIN when it does not block; EINVAL for MSG_OOB when there
 * is no such data, or it was received already; EOPNOTSUPP for MSG_OOB on other sockets; the pending
 * error, SO_ERROR; EINTR; as for kevent EBUSY, EDEADLK, ESRCH and the reason of `options.signal`.
 * Source: recv(2).
 */
export function recv(
	thread: Thread,
	fd: number,
	buffer: Uint8Array,
	flags = 0,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "recv", options, recvCall, fd, buffer, flags);
}

/** Begins a {@link recv}, for any driver. */
export function recvCall(thread: Thread, fd: number, buffer: Uint8Array, flags = 0): BlockingCall {
	return receive(thread, fd, "recv", flags, () => intoBuffer(buffer));
}

/**
 * As {@link recv}, into `message.bytes`; fills in the sender's `address`, the descriptors `fds` of
 * open files that came with it, which get the lowest free numbers, and MSG_TRUNC in `flags` if the
 * message was longer than the buffer. Also rejects with EMFILE when there are not enough
 * descriptors: then the files are lost. Source: recvmsg(2).
 */
export function recvmsg(
	thread: Thread,
	fd: number,
	message: IncomingMessage,
	flags = 0,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "recvmsg", options, recvmsgCall, fd, message, flags);
}

/** Begins a {@link recvmsg}, for any driver. */
export function recvmsgCall(
	thread: Thread,
	fd: number,
	message: IncomingMessage,
	flags = 0,
): BlockingCall {
	return receive(thread, fd, "recvmsg", flags, () => intoMessage(message));
}

/** As {@link recv}, without sleeping: throws EAGAIN when there is nothing yet. */
export function recvNow(thread: Thread, fd: number, buffer: Uint8Array, flags = 0): number {
	return receiveNow(thread, fd, "recv", flags, () => intoBuffer(buffer));
}

/** As {@link recvmsg}, without sleeping. */
export function recvmsgNow(
	thread: Thread,
	fd: number,
	message: IncomingMessage,
	flags = 0,
): number {
	return receiveNow(thread, fd, "recvmsg", flags, () => intoMessage(message));
}

function receiveNow(
	thread: Thread,
	fd: number,
	name: string,
	flags: number,
	begin: () => Into,
): number {
	return onSocket(thread, fd, name, (so) => {
		requireFlags(flags, name);
		const into = begin();
		if (!isIntact(into.bytes, into.length)) return -errno.EFAULT;
		const { bytes, received } = into;
		const n = soreceive(so, thread, bytes, flagsOf(so, flags), received);
		// It does not wait for more: that was all.
		if (n > 0 && wantsMore(so, flags, into.length - n)) so.received();
		if (n >= 0) handOver(thread, into);
		return n;
	});
}

/** The flags of a call that begins: a descriptor that does not block stands for MSG_DONTWAIT. */
function flagsOf(so: Socket, flags: number): number {
	return so.nonblocking ? flags | MSG_DONTWAIT : flags;
}

/** Where a call puts what it receives. */
interface Into {
	/** Its bytes, of which there were `length` when it began. */
	readonly bytes: Uint8Array;
	readonly length: number;
	/** What else it has received; null for recv. */
	readonly received: Received | null;
	/** The object of the program that gets that in the end. */
	readonly message: IncomingMessage | null;
}

function intoBuffer(buffer: Uint8Array): Into {
	const bytes = viewOf(buffer, "recv");
	return { bytes, length: bytes.length, received: null, message: null };
}

/**
 * Reads the buffer of a message, and empties the rest of it: an object that cannot be written is
 * found before anything is received.
 */
function intoMessage(message: IncomingMessage): Into {
	const bytes = copyin("recvmsg", "the message", () => viewOf(message?.bytes, "recvmsg"));
	const received: Received = { address: null, fds: [], flags: 0 };
	write(message, received);
	return { bytes, length: bytes.length, received, message };
}

function write(message: IncomingMessage, { address, fds, flags }: Received): void {
	copyout("recvmsg", "the message", () => {
		message.address = address;
		message.fds = [...fds];
		message.flags = flags;
	});
}

/**
 * Writes what was received, besides bytes, into the program's message. If that cannot be written
 * the descriptors are closed again; the bytes are received.
 */
function handOver(thread: Thread, { received, message }: Into): void {
	if (received === null || message === null) return;
	const { fdp } = thread.process;
	const files = received.fds.map((fd) => fdp.get(fd));
	let failure = attempt(null, () => write(message, received));
	if (failure === null) return;
	for (const [i, fd] of received.fds.entries()) {
		// The accessor that threw may have closed it.
		const file = files[i];
		if (file !== null && fdp.get(fd) === file) failure = attempt(failure, () => close(thread, fd));
	}
	rethrow(failure);
}

function receive(
	thread: Thread,
	fd: number,
	name: string,
	flags: number,
	begin: () => Into,
): BlockingCall {
	let into: Into | null = null;
	return socketCall(thread, fd, name, (so): Operation => {
		requireFlags(flags, name);
		// Once: a call that begins again receives into the same.
		into ??= begin();
		const all = flagsOf(so, flags);
		const receiving = new Receiving(thread, so, into, all);
		return {
			channel: so.rcv.channel,
			limit: so.rcv,
			nonblocking: (all & (MSG_DONTWAIT | MSG_OOB)) !== 0,
			waits: errno.EAGAIN,
			attempt: () => receiving.go(),
			done: () => receiving.interrupted(),
		};
	});
}

/** A buffer that is being filled. */
class Receiving {
	/** How many bytes were received. */
	private done = 0;
	private readonly thread: Thread;
	private readonly so: Socket;
	private readonly into: Into;
	private readonly flags: number;

	constructor(thread: Thread, so: Socket, into: Into, flags: number) {
		this.thread = thread;
		this.so = so;
		this.into = into;
		this.flags = flags;
	}

	/**
	 * Receives, and hands over what it has received when that was all. Nothing is received for a
	 * buffer that has lost its memory: it stays in the socket.
	 */
	go(): number {
		if (!isIntact(this.into.bytes, this.into.length)) return this.interrupted() || -errno.EFAULT;
		const n = this.fill();
		if (n >= 0) handOver(this.thread, this.into);
		return n;
	}

	/** The call ends early: hands over what there is, and returns how many bytes. */
	interrupted(): number {
		if (this.done > 0) handOver(this.thread, this.into);
		return this.done;
	}

	/**
	 * With MSG_WAITALL, from a stream, until the buffer is full. Once it has taken some bytes, that
	 * sleeps for the rest even if the call must not block.
	 */
	private fill(): number {
		const { so } = this;
		for (;;) {
			const n = this.receive();
			if (n < 0 || this.done + n === 0) return n;
			this.done += n;
			if (!this.wantsMore) return this.done;
			if (n > 0) so.receivedSome();
			// That may have let more arrive.
			if (this.wantsMore) return WOULD_SLEEP;
		}
	}

	private receive(): number {
		const { so, flags, done, thread } = this;
		const { bytes, received } = this.into;
		if (done === 0) return soreceive(so, thread, bytes, flags, received);
		return receiveMore(so, thread, bytes.subarray(done), received);
	}

	private get wantsMore(): boolean {
		return wantsMore(this.so, this.flags, this.into.length - this.done);
	}
}

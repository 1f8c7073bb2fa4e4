// recv(2), recvmsg(2): bytes, their sender, and descriptors that came with them.
import { errno, type SleepOptions, SystemError, type Thread } from "@kqpoll/kqueue";
import { type BlockingCall, callAsync, faultOf, WOULD_SLEEP } from "@kqpoll/kqueue/kernel";
import type { Socket } from "./socket.ts";
import { MSG_DONTWAIT, MSG_OOB } from "./socket-constants.ts";
import { type Received, receiveMore, soreceive, wantsMore } from "./socket-io.ts";
import { type Operation, onSocket, requireBytes, socketCall } from "./socket-wait.ts";

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
	return receive(thread, fd, "recv", buffer, flags, null);
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
	return receive(thread, fd, "recvmsg", message?.bytes, flags, message);
}

/** As {@link recv}, without sleeping: throws EAGAIN when there is nothing yet. */
export function recvNow(thread: Thread, fd: number, buffer: Uint8Array, flags = 0): number {
	return onSocket(thread, fd, "recv", (so) => {
		requireBytes(buffer, "recv");
		return receiveNow(so, thread, buffer, flags, null);
	});
}

/** As {@link recvmsg}, without sleeping. */
export function recvmsgNow(
	thread: Thread,
	fd: number,
	message: IncomingMessage,
	flags = 0,
): number {
	return onSocket(thread, fd, "recvmsg", (so) => {
		requireBytes(message?.bytes, "recvmsg");
		return receiveNow(so, thread, message.bytes, flags, prepare(message));
	});
}

function receiveNow(
	so: Socket,
	thread: Thread,
	buffer: Uint8Array,
	flags: number,
	into: Received | null,
): number {
	const n = soreceive(so, thread, buffer, flagsOf(so, flags), into);
	// It does not wait for more: that was all.
	if (n > 0 && wantsMore(so, flags, buffer.length - n)) so.received();
	return n;
}

/** The flags of a call that begins: a descriptor that does not block stands for MSG_DONTWAIT. */
function flagsOf(so: Socket, flags: number): number {
	return so.nonblocking ? flags | MSG_DONTWAIT : flags;
}

function prepare(message: IncomingMessage): Received {
	try {
		return Object.assign(message, { address: null, fds: [], flags: 0 });
	} catch (error) {
		throw new SystemError(faultOf(error), "recvmsg", "the message object cannot be changed");
	}
}

function receive(
	thread: Thread,
	fd: number,
	name: string,
	buffer: Uint8Array,
	flags: number,
	message: IncomingMessage | null,
): BlockingCall {
	return socketCall(thread, fd, name, (so): Operation => {
		requireBytes(buffer, name);
		const into = message === null ? null : prepare(message);
		const all = flagsOf(so, flags);
		const receiving = new Receiving(thread, so, buffer, all, into);
		return {
			channel: so.rcv.channel,
			limit: so.rcv,
			nonblocking: (all & (MSG_DONTWAIT | MSG_OOB)) !== 0,
			waits: errno.EAGAIN,
			attempt: () => receiving.go(),
			done: () => receiving.done,
		};
	});
}

/** A buffer that is being filled. */
class Receiving {
	/** How many bytes were received. */
	done = 0;
	private readonly thread: Thread;
	private readonly so: Socket;
	private readonly buffer: Uint8Array;
	private readonly flags: number;
	private readonly into: Received | null;

	constructor(
		thread: Thread,
		so: Socket,
		buffer: Uint8Array,
		flags: number,
		into: Received | null,
	) {
		this.thread = thread;
		this.so = so;
		this.buffer = buffer;
		this.flags = flags;
		this.into = into;
	}

	/**
	 * Receives; with MSG_WAITALL, from a stream, until the buffer is full. Once it has taken some
	 * bytes, that sleeps for the rest even if the call must not block.
	 */
	go(): number {
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
		const { so, buffer, flags, done, into, thread } = this;
		if (done === 0) return soreceive(so, thread, buffer, flags, into);
		return receiveMore(so, thread, buffer.subarray(done), into);
	}

	private get wantsMore(): boolean {
		return wantsMore(this.so, this.flags, this.buffer.length - this.done);
	}
}

// send(2), sendto(2), sendmsg(2): bytes, addresses, and descriptors that go with them.
import { errno, type SleepOptions, SystemError, type Thread } from "@kqpoll/kqueue";
import {
	type BlockingCall,
	callAsync,
	contentOf,
	copyin,
	type Failure,
	type File,
	fileHold,
	getFile,
	isIntact,
	KqueueFile,
	lengthOfList,
	limitOf,
	psignal,
	rethrow,
} from "@kqpoll/kqueue/kernel";
import { SIGPIPE } from "@kqpoll/kqueue/signal";
import type { Socket } from "./socket.ts";
import { releaseAll } from "./socket-buffer.ts";
import { type Address, MSG_DONTWAIT, MSG_NOSIGNAL } from "./socket-constants.ts";
import { missingFor, sosend } from "./socket-io.ts";
import {
	type Operation,
	onSocket,
	requireAddress,
	requireFlags,
	socketCall,
} from "./socket-wait.ts";

/** What sendmsg sends. */
export interface OutgoingMessage {
	/** The bytes. */
	readonly bytes: Uint8Array;
	/** Where to, for a datagram socket that is not connected. */
	readonly address?: Address | null;
	/** Descriptors whose open files go with the message: SCM_RIGHTS. */
	readonly fds?: readonly number[];
}

/**
 * Sends bytes, and sleeps until there was room for all of them. Returns how many: fewer than all
 * only when it does not block, or was interrupted after the first. `flags` are MSG_DONTWAIT,
 * MSG_NOSIGNAL, MSG_EOR except on a stream, and for TCP MSG_OOB: the last byte is out-of-band.
 * Rejects with: EBADF, ENOTSOCK, EFAULT; EINVAL for MSG_EOR on a stream; EPIPE, with SIGPIPE, when
 * nothing can be sent any more; ENOTCONN, EDESTADDRREQ; EAGAIN when it does not block; EMSGSIZE for
 * a message that will never fit; ENOBUFS for a datagram that the receiver has no room for, and when
 * too much waits to be received (see docs/limits.md); EOPNOTSUPP for MSG_OOB on other sockets; the
 * pending error, SO_ERROR; EINTR; as for kevent EBUSY, EDEADLK, ESRCH and the reason of
 * `options.signal`. Source: send(2).
 */
export function send(
	thread: Thread,
	fd: number,
	bytes: Uint8Array,
	flags = 0,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "send", options, sendCall, fd, bytes, flags);
}

/** Begins a {@link send}, for any driver. */
export function sendCall(thread: Thread, fd: number, bytes: Uint8Array, flags = 0): BlockingCall {
	return sending(thread, fd, "send", { bytes }, flags);
}

/**
 * As {@link send}, to an address. Also rejects with EISCONN when the socket is connected, and with
 * the errors of connect for the address. Source: sendto(2).
 */
export function sendto(
	thread: Thread,
	fd: number,
	bytes: Uint8Array,
	flags: number,
	address: Address,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "sendto", options, sendtoCall, fd, bytes, flags, address);
}

/** Begins a {@link sendto}, for any driver. */
export function sendtoCall(
	thread: Thread,
	fd: number,
	bytes: Uint8Array,
	flags: number,
	address: Address,
): BlockingCall {
	return sending(thread, fd, "sendto", { bytes, address }, flags);
}

/**
 * As {@link sendto}, with open files: the receiver gets descriptors for them. Also rejects, before
 * anything is sent, with EBADF when one of the descriptors is not open, EINVAL when one is a kqueue
 * or the socket is not a local one, and EMFILE when too many were sent and not received yet. Source:
 * sendmsg(2).
 */
export function sendmsg(
	thread: Thread,
	fd: number,
	message: OutgoingMessage,
	flags = 0,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "sendmsg", options, sendmsgCall, fd, message, flags);
}

/** Begins a {@link sendmsg}, for any driver. */
export function sendmsgCall(
	thread: Thread,
	fd: number,
	message: OutgoingMessage,
	flags = 0,
): BlockingCall {
	return sending(thread, fd, "sendmsg", message, flags);
}

/** As {@link send}, without sleeping: throws EAGAIN when there is no room. */
export function sendNow(thread: Thread, fd: number, bytes: Uint8Array, flags = 0): number {
	return sendSync(thread, fd, "send", { bytes }, flags);
}

/** As {@link sendto}, without sleeping. */
export function sendtoNow(
	thread: Thread,
	fd: number,
	bytes: Uint8Array,
	flags: number,
	address: Address,
): number {
	return sendSync(thread, fd, "sendto", { bytes, address }, flags);
}

/** As {@link sendmsg}, without sleeping. */
export function sendmsgNow(
	thread: Thread,
	fd: number,
	message: OutgoingMessage,
	flags = 0,
): number {
	return sendSync(thread, fd, "sendmsg", message, flags);
}

function sendSync(
	thread: Thread,
	fd: number,
	name: string,
	message: OutgoingMessage,
	flags: number,
): number {
	return onSocket(thread, fd, name, (so) => {
		const sending = new Sending(thread, so, readMessage(so, name, message, flags), name);
		let n = 0;
		let failure: Failure = null;
		try {
			n = sending.send();
		} catch (value) {
			failure = { value };
		}
		sending.end(failure);
		return n;
	});
}

function sending(
	thread: Thread,
	fd: number,
	name: string,
	message: OutgoingMessage,
	flags: number,
): BlockingCall {
	let read: Read | null = null;
	return socketCall(thread, fd, name, (so): Operation => {
		// Once: a call that begins again sends what it was asked for.
		read ??= readMessage(so, name, message, flags);
		const rest = new Sending(thread, so, read, name);
		const nonblocking = so.nonblocking || (flags & MSG_DONTWAIT) !== 0;
		return {
			channel: so.snd.channel,
			limit: so.snd,
			nonblocking,
			waits: errno.EAGAIN,
			attempt: () => rest.go(nonblocking),
			done: () => rest.done,
			end: () => rest.end(),
		};
	});
}

/** A message as the program passed it: what becomes of its object has no effect. */
interface Read {
	/** The bytes. */
	readonly bytes: Uint8Array;
	readonly flags: number;
	readonly address: Address | null;
	/** The descriptors, which are not looked up yet. */
	readonly fds: readonly number[];
}

/** Reads the fields of a message, each once, in this order: `bytes`, `address`, `fds`. */
function readMessage(so: Socket, name: string, message: OutgoingMessage, flags: number): Read {
	requireFlags(flags, name);
	return copyin(name, "the message", () => {
		const bytes = contentOf(message?.bytes, name);
		const address = message.address ?? null;
		const fds = message.fds ?? NONE;
		const n = fds === NONE ? 0 : lengthOfList(fds, name, "fds");
		// The list is not read if its descriptors could not be sent.
		if (n * LEAST_ROOM > so.snd.hiwat)
			throw new SystemError(errno.EMSGSIZE, name, `${n} descriptors`);
		const copy: number[] = [];
		for (let i = 0; i < n; i++) copy.push(fds[i] as number);
		return { bytes, flags, address, fds: copy };
	});
}

const NONE: readonly number[] = [];
/** A descriptor takes at least this many bytes of a buffer. */
const LEAST_ROOM = 16;

/** A message on its way into a socket. */
class Sending {
	/** How many bytes were sent. */
	done = 0;
	private readonly thread: Thread;
	private readonly so: Socket;
	private readonly message: Read;
	/** The name of the call. */
	private readonly name: string;
	/** How many bytes the message has. */
	private readonly total: number;
	/** The open files that still have to go with the bytes. */
	private files: readonly File[] | null;
	/** The files it holds a reference to, so that they stay open while the call sleeps. */
	private readonly held: readonly File[];

	constructor(thread: Thread, so: Socket, message: Read, name: string) {
		this.thread = thread;
		this.so = so;
		this.message = message;
		this.name = name;
		this.total = message.bytes.length;
		if (message.address !== null) requireAddress(so, message.address, name);
		this.files = filesOf(thread, so, message.fds, name);
		this.held = this.files ?? [];
		for (const file of this.held) fileHold(file);
	}

	/** Releases what it holds, then throws the first error: `failure`, or that of a close. */
	end(failure: Failure = null): void {
		if (this.held.length > 0) releaseAll(this.held, this.thread, failure);
		else rethrow(failure);
	}

	/** Sends what there is room for. EFAULT if the memory of the bytes is gone. */
	send(): number {
		const { so, files, thread, done } = this;
		const { bytes, flags, address: to } = this.message;
		if (!isIntact(bytes, this.total)) return -errno.EFAULT;
		const rest = done === 0 ? bytes : bytes.subarray(done);
		const payer = thread.process.account;
		const n = sosend(so, { bytes: rest, flags, to, files, payer });
		if (n === -errno.EPIPE && (flags & MSG_NOSIGNAL) === 0)
			psignal(thread.process, SIGPIPE, thread);
		if (n === -errno.ENOBUFS && done > 0) return done;
		if (n === -errno.ENOBUFS || n === -errno.EMFILE) this.explain(-n, rest.length);
		if (n < 0) return n;
		this.files = null;
		this.done += n;
		return this.done;
	}

	/** Throws with the limit that was reached, if it was one of the account. */
	private explain(error: number, n: number): void {
		const { files, name, so, thread } = this;
		const { account } = thread.process;
		const missing = missingFor(so, account, n, files);
		if (missing !== null) throw new SystemError(error, name, limitOf(account, missing));
	}

	/**
	 * Sends the rest; -EAGAIN while there is not room for all of it, unless the call must not sleep.
	 * Once the memory of the bytes is gone, or a limit is reached, what was sent is all.
	 */
	go(nonblocking: boolean): number {
		for (;;) {
			const { done } = this;
			if (!isIntact(this.message.bytes, this.total)) return done || -errno.EFAULT;
			const n = this.send();
			if (n === -errno.EAGAIN) return nonblocking ? done || n : n;
			if (n < 0 || n === this.total || n === done || nonblocking) return n;
		}
	}
}

/** The open files of the descriptors that are to be sent. */
function filesOf(
	thread: Thread,
	so: Socket,
	fds: readonly number[],
	name: string,
): readonly File[] | null {
	if (fds.length === 0) return null;
	const files = fds.map((fd) => getFile(thread, fd, name));
	if (so.domain !== "local")
		throw new SystemError(errno.EINVAL, name, "only local sockets send descriptors");
	if (files.some((file) => file instanceof KqueueFile))
		throw new SystemError(errno.EINVAL, name, "the descriptor of a kqueue cannot be sent");
	return files;
}

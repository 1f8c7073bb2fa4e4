// How a system call on a socket begins, sleeps and ends.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import {
	attempt,
	BlockingCall,
	doAll,
	type Failure,
	fileHold,
	fileRelease,
	getFile,
	isInt32,
	show,
	syscall,
	unwrap,
	type WaitChannel,
	WOULD_SLEEP,
} from "@kqpoll/kqueue/kernel";
import { Socket } from "./socket.ts";
import type { SockBuf } from "./socket-buffer.ts";
import type { Address } from "./socket-constants.ts";
import { checkAddress } from "./socket-names.ts";

/** What a call that may sleep does. */
export interface Operation {
	/** What it waits for. */
	readonly channel: WaitChannel;
	/** Whether it must not sleep. */
	readonly nonblocking: boolean;
	/** The buffer that has the limit of each sleep; no limit without it. */
	readonly limit?: SockBuf;
	/** Goes on. Returns the result, or a negative errno: `-waits` when it has to wait. */
	readonly attempt: () => number;
	/** The errno by which `attempt` says that it has to wait. */
	readonly waits: number;
	/**
	 * The result when it is interrupted or its time is over, 0 if there is none: then the call fails
	 * with EINTR or EAGAIN.
	 */
	readonly done?: () => number;
	/** False if it never begins again after a handler with SA_RESTART. */
	readonly restarts?: boolean;
	/** Releases what it holds, when the call ends in any way. */
	readonly end?: () => void;
}

/** The socket of a descriptor. EBADF, ENOTSOCK. */
function getSocket(thread: Thread, fd: number, name: string): Socket {
	const file = getFile(thread, fd, name);
	if (file instanceof Socket) return file;
	throw new SystemError(errno.ENOTSOCK, name, `descriptor ${fd}`);
}

/** Does something with the socket of a descriptor, which stays open meanwhile; throws errors. */
export function onSocket(
	thread: Thread,
	fd: number,
	name: string,
	act: (so: Socket) => number,
): number {
	return syscall(thread, name, () => {
		const so = getSocket(thread, fd, name);
		fileHold(so);
		let result = 0;
		let failure: Failure = null;
		try {
			const n = act(so);
			if (thread.kernel.diagnostics) so.check();
			result = unwrap(n, name, `descriptor ${fd}`);
		} catch (value) {
			failure = { value };
		}
		fileRelease(so, thread, failure);
		return result;
	});
}

/** Begins an operation that may sleep, for any driver. */
export function socketCall(
	thread: Thread,
	fd: number,
	name: string,
	begin: (so: Socket) => Operation,
): BlockingCall {
	const so = getSocket(thread, fd, name);
	// Held at once: accessors of the arguments may close the descriptor.
	fileHold(so);
	try {
		return new SocketCall(thread, fd, name, so, begin(so), begin);
	} catch (value) {
		fileRelease(so, thread, { value });
		throw value;
	}
}

class SocketCall extends BlockingCall {
	private readonly fd: number;
	private readonly begin: (so: Socket) => Operation;
	private so: Socket;
	private operation: Operation;

	constructor(
		thread: Thread,
		fd: number,
		name: string,
		so: Socket,
		operation: Operation,
		begin: (so: Socket) => Operation,
	) {
		super(thread, name);
		this.fd = fd;
		this.begin = begin;
		this.so = so;
		this.operation = operation;
		this.timeout = Number.POSITIVE_INFINITY;
	}

	override get channel(): WaitChannel {
		return this.operation.channel;
	}

	override step(woken: number): number {
		const { operation } = this;
		if (woken !== 0) return operation.done?.() || -woken;
		const n = operation.attempt();
		if (this.thread.kernel.diagnostics) this.so.check();
		const waits = n === -operation.waits && !operation.nonblocking;
		if (!waits && n !== WOULD_SLEEP) return n;
		// Each sleep has the whole time.
		this.deadline = -1;
		this.timeout = operation.limit?.timeo ?? Number.POSITIVE_INFINITY;
		return WOULD_SLEEP;
	}

	override end(): void {
		const { end } = this.operation;
		fileRelease(this.so, this.thread, end === undefined ? null : attempt(null, end));
	}

	override get restarts(): boolean {
		return this.operation.restarts !== false;
	}

	override restart(): void {
		const { fd, operation, so: before, syscall, thread } = this;
		const so = getSocket(thread, fd, syscall);
		fileHold(so);
		this.so = so;
		// What it held is released here, and only here, even if it cannot begin again.
		this.operation = { ...operation, end: () => {} };
		doAll(
			() => fileRelease(before, thread),
			() => operation.end?.(),
		);
		this.operation = this.begin(so);
	}

	override describe(): string {
		const { domain, kind } = this.so;
		return `${this.syscall} of descriptor ${this.fd} (${domain} ${kind} socket)`;
	}
}

/** Throws unless `address` is an address of the socket's domain. */
export function requireAddress(so: Socket, address: Address, name: string): void {
	const error = checkAddress(so, address);
	if (error !== 0) throw new SystemError(error, name, `address ${show(address)}`);
}

/** Throws EINVAL for flags that are not an int. */
export function requireFlags(flags: number, name: string): void {
	if (!isInt32(flags))
		throw new SystemError(errno.EINVAL, name, `flags ${show(flags)} are not MSG_ constants`);
}

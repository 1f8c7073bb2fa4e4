// bind(2), listen(2), accept(2), connect(2): how sockets find each other.
import { errno, fcntl, type SleepOptions, SystemError, type Thread } from "@kqpoll/kqueue";
import { F_SETFD, FD_CLOEXEC, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { type BlockingCall, callAsync, fileDischarge, show, unwrap } from "@kqpoll/kqueue/kernel";
import type { Socket } from "./socket.ts";
import { checkFlags } from "./socket-calls.ts";
import {
	type Address,
	SO_ACCEPTCONN,
	SOCK_CLOEXEC,
	SOCK_NONBLOCK,
	SOMAXCONN,
	SS_CANTRCVMORE,
	SS_ISCONNECTED,
	SS_ISCONNECTING,
	SS_ISDISCONNECTED,
} from "./socket-constants.ts";
import { type Operation, onSocket, requireAddress, socketCall } from "./socket-wait.ts";

/**
 * Sets the address of a socket; port 0 stands for any free one. The address is free again when the
 * socket is closed. Errors: EBADF, ENOTSOCK; EINVAL if it has an address; EADDRINUSE; EADDRNOTAVAIL
 * when no port is free; EAFNOSUPPORT, ENAMETOOLONG, EINVAL for what is not an address of its
 * domain. Source: bind(2).
 */
export function bind(thread: Thread, fd: number, address: Address): void {
	onSocket(thread, fd, "bind", (so) => {
		requireAddress(so, address, "bind");
		return -so.bind(address);
	});
}

/**
 * Lets a socket accept connections, of which up to `backlog` may wait: at least 1, at most
 * SOMAXCONN, which a negative number stands for. A TCP socket without a port gets one. A local
 * datagram socket may listen, but never has a connection. Errors: EBADF, ENOTSOCK; EINVAL when it
 * is connected, or a local socket is not bound; EOPNOTSUPP for UDP. Source: listen(2).
 */
export function listen(thread: Thread, fd: number, backlog: number): void {
	onSocket(thread, fd, "listen", (so) => {
		if (!Number.isInteger(backlog))
			throw new SystemError(errno.EINVAL, "listen", `backlog ${show(backlog)}`);
		if ((so.state & (SS_ISCONNECTED | SS_ISCONNECTING)) !== 0) return -errno.EINVAL;
		const error = so.listenable();
		if (error !== 0) return -error;
		so.options |= SO_ACCEPTCONN;
		so.qlimit = backlog < 0 ? SOMAXCONN : Math.min(Math.max(backlog, 1), SOMAXCONN);
		return 0;
	});
}

/**
 * Accepts the first connection that waits at a listener, and sleeps until there is one. Returns its
 * descriptor, which blocks if the listener's does. The number is taken when the call begins: while
 * it sleeps the number is not open, and no other call gets it. Rejects with: EBADF, ENOTSOCK;
 * EMFILE before all others; EINVAL when it does not listen; EAGAIN when it does not block;
 * ECONNABORTED when the listener was shut down, or the connection has ended already; EINTR; as for
 * kevent EBUSY, EDEADLK, ESRCH and the reason of `options.signal`. Source: accept(2).
 */
export function accept(thread: Thread, fd: number, options: SleepOptions = {}): Promise<number> {
	return callAsync(thread, "accept", options, acceptCall, fd);
}

/** Begins an {@link accept}, for any driver. */
export function acceptCall(thread: Thread, fd: number): BlockingCall {
	return socketCall(thread, fd, "accept", (so) => acceptOperation(thread, so, null));
}

/** As {@link accept}, with SOCK_NONBLOCK and SOCK_CLOEXEC for the connection. Source: accept4(2). */
export function accept4(
	thread: Thread,
	fd: number,
	flags: number,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "accept4", options, accept4Call, fd, flags);
}

/** Begins an {@link accept4}, for any driver. */
export function accept4Call(thread: Thread, fd: number, flags: number): BlockingCall {
	return socketCall(thread, fd, "accept4", (so) => {
		checkFlags(flags, "accept4");
		return acceptOperation(thread, so, flags);
	});
}

/** As {@link accept}, without sleeping: throws EAGAIN when there is no connection yet. */
export function acceptNow(thread: Thread, fd: number): number {
	return onSocket(thread, fd, "accept", (so) => acceptOnce(thread, so, null));
}

/** As {@link accept4}, without sleeping: throws EAGAIN when there is no connection yet. */
export function accept4Now(thread: Thread, fd: number, flags: number): number {
	return onSocket(thread, fd, "accept4", (so) => {
		checkFlags(flags, "accept4");
		return acceptOnce(thread, so, flags);
	});
}

function acceptOnce(thread: Thread, head: Socket, flags: number | null): number {
	const fd = thread.process.fdp.findFree();
	return fd < 0 ? fd : soaccept(thread, head, { fd, flags, nonblocking: true });
}

/** An accept has its descriptor from the beginning, although nothing is open under it yet. */
function acceptOperation(thread: Thread, head: Socket, flags: number | null): Operation {
	const { fdp } = thread.process;
	const { nonblocking } = head;
	const fd = unwrap(fdp.reserve(), "accept", `the limit is ${fdp.limit}`);
	let result = 0;
	return {
		channel: head.timeo,
		limit: head.rcv,
		nonblocking,
		waits: errno.EAGAIN,
		attempt: () => {
			result = soaccept(thread, head, { fd, flags, nonblocking });
			return result;
		},
		end: () => {
			if (result !== fd) fdp.release(fd);
		},
	};
}

/** What an accept was asked for, and the descriptor that is kept for it. */
interface Accept {
	readonly fd: number;
	/** SOCK_NONBLOCK and SOCK_CLOEXEC; null for the listener's O_NONBLOCK. */
	readonly flags: number | null;
	readonly nonblocking: boolean;
}

/** @kern soaccept */
function soaccept(thread: Thread, head: Socket, { fd, flags, nonblocking }: Accept): number {
	if ((head.options & SO_ACCEPTCONN) === 0) return -errno.EINVAL;
	const { fdp } = thread.process;
	// A pending error of a local listener is for callers that wait, or that find a connection.
	const early = nonblocking && head.domain === "local" && head.queue.length === 0;
	if (head.error !== 0 && !early) return -head.takeError();
	const so = head.queue.shift();
	if (so === undefined)
		return (head.state & SS_CANTRCVMORE) !== 0 ? -errno.ECONNABORTED : -errno.EAGAIN;
	so.head = null;
	const aborted = so.domain === "inet" && (so.state & SS_ISDISCONNECTED) !== 0;
	if (aborted) fileDischarge(so);
	else fdp.insert(fd, so);
	head.rcv.klist.notify(0);
	if (aborted) return -errno.ECONNABORTED;
	const inherited = head.nonblocking ? SOCK_NONBLOCK : 0;
	const wanted = flags ?? inherited;
	if ((wanted & SOCK_NONBLOCK) !== 0) so.flags |= O_NONBLOCK;
	if ((wanted & SOCK_CLOEXEC) !== 0) fcntl(thread, fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/**
 * Connects a socket. A local one is connected at once, a TCP one soon: until then the call sleeps,
 * and when it is interrupted the connection is made anyway. Datagram sockets can be connected
 * again, to another address. Rejects with: EBADF, ENOTSOCK; ENOENT when no socket has the name;
 * EPROTOTYPE when a socket of another type has it; ECONNREFUSED when it does not listen, or when
 * its queue is full or its account has too many open files; EISCONN; EINPROGRESS when the socket
 * does not block, and EALREADY for further calls until it is connected; EOPNOTSUPP for a listener;
 * EINVAL for a TCP socket whose connection failed or ended; EADDRNOTAVAIL; EAFNOSUPPORT,
 * ENAMETOOLONG, EINVAL for what is not an address of its domain; EINTR; as for kevent EBUSY,
 * EDEADLK, ESRCH and the reason of `options.signal`. Source: connect(2).
 */
export function connect(
	thread: Thread,
	fd: number,
	address: Address,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "connect", options, connectCall, fd, address);
}

/** Begins a {@link connect}, for any driver. */
export function connectCall(thread: Thread, fd: number, address: Address): BlockingCall {
	return socketCall(thread, fd, "connect", (so) => {
		const error = soconnect(so, address, so.nonblocking);
		return {
			channel: so.timeo,
			nonblocking: so.nonblocking,
			waits: errno.EINPROGRESS,
			// A connect that was interrupted goes on by itself.
			restarts: false,
			attempt: () => (error === 0 ? connected(so) : error),
		};
	});
}

/** As {@link connect}, without sleeping: throws EINPROGRESS while the connection is being made. */
export function connectNow(thread: Thread, fd: number, address: Address): void {
	onSocket(thread, fd, "connect", (so) => soconnect(so, address, true) || connected(so));
}

/** @kern soconnect */
function soconnect(so: Socket, address: Address, nonblocking: boolean): number {
	if (nonblocking && (so.state & SS_ISCONNECTING) !== 0) return -errno.EALREADY;
	if ((so.options & SO_ACCEPTCONN) !== 0) return -errno.EOPNOTSUPP;
	const busy = (so.state & (SS_ISCONNECTED | SS_ISCONNECTING)) !== 0;
	if (busy) {
		if (so.connectionRequired) return -errno.EISCONN;
		// Whatever becomes of the new connection, the old one is over.
		so.unconnect();
	}
	requireAddress(so, address, "connect");
	return -so.connect(address);
}

/** The result of a connect: 0, -EINPROGRESS, or the error that it ended with. */
function connected(so: Socket): number {
	if (so.error !== 0) return -so.takeError();
	return (so.state & SS_ISCONNECTING) !== 0 ? -errno.EINPROGRESS : 0;
}

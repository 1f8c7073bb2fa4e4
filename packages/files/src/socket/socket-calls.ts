// socket(2) and socketpair(2), shutdown(2), and the names of sockets.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { isInt32, show, syscall } from "@kqpoll/kqueue/kernel";
import { O_CLOEXEC, openPair, openWith } from "../shared/open-file.ts";
import type { Socket } from "./socket.ts";
import {
	type Address,
	SHUT_RD,
	SHUT_RDWR,
	SHUT_WR,
	SOCK_CLOEXEC,
	SOCK_NONBLOCK,
	type SocketDomain,
	type SocketType,
	SS_ISCONNECTED,
} from "./socket-constants.ts";
import { LocalSocket } from "./socket-local.ts";
import { TcpSocket } from "./socket-tcp.ts";
import { UdpSocket } from "./socket-udp.ts";
import { onSocket } from "./socket-wait.ts";

/**
 * Makes a socket and returns its descriptor. "local" sockets find each other by names, "inet" ones
 * by ports on the machine's loopback network, where "stream" is TCP and "dgram" is UDP. `flags` are
 * SOCK_NONBLOCK and SOCK_CLOEXEC. Errors: EMFILE; EAFNOSUPPORT for another domain; EPROTONOSUPPORT
 * for a type that the domain does not have; EINVAL for other flags. Source: socket(2).
 */
export function socket(thread: Thread, domain: SocketDomain, type: SocketType, flags = 0): number {
	return syscall(thread, "socket", () => {
		checkFlags(flags, "socket");
		const so = make(thread, domain, type);
		so.account = thread.process.account;
		return openWith(thread, so, openFlags(flags));
	});
}

/**
 * Makes two local sockets that are connected to each other, and returns their descriptors. Errors:
 * EMFILE; EPROTONOSUPPORT for another type; EINVAL for other flags. Source: socketpair(2).
 */
export function socketpair(thread: Thread, type: SocketType, flags = 0): [number, number] {
	return syscall(thread, "socketpair", () => {
		checkFlags(flags, "socketpair");
		checkType(type, ["stream", "seqpacket", "dgram"], "socketpair");
		const one = new LocalSocket(thread.kernel, type);
		const other = new LocalSocket(thread.kernel, type);
		for (const so of [one, other]) so.account = thread.process.account;
		one.pair(other);
		if (!one.connectionRequired) other.pair(one);
		return openPair(thread, one, other, openFlags(flags));
	});
}

function make(thread: Thread, domain: SocketDomain, type: SocketType): Socket {
	const { kernel } = thread;
	switch (domain) {
		case "local":
			checkType(type, ["stream", "seqpacket", "dgram"], "socket");
			return new LocalSocket(kernel, type);
		case "inet":
			checkType(type, ["stream", "dgram"], "socket");
			return type === "stream" ? new TcpSocket(kernel) : new UdpSocket(kernel);
		default:
			throw new SystemError(errno.EAFNOSUPPORT, "socket", `domain ${show(domain)}`);
	}
}

function checkType(type: SocketType, known: readonly SocketType[], name: string): void {
	if (!known.includes(type))
		throw new SystemError(errno.EPROTONOSUPPORT, name, `type ${show(type)}`);
}

/** Throws EINVAL for flags other than SOCK_NONBLOCK and SOCK_CLOEXEC. */
export function checkFlags(flags: number, name: string): void {
	if (!isInt32(flags) || (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0)
		throw new SystemError(errno.EINVAL, name, "flags other than SOCK_NONBLOCK and SOCK_CLOEXEC");
}

/** The flags of open(2) that those of socket(2) stand for. */
function openFlags(flags: number): number {
	const nonblock = (flags & SOCK_NONBLOCK) !== 0 ? O_NONBLOCK : 0;
	return nonblock | ((flags & SOCK_CLOEXEC) !== 0 ? O_CLOEXEC : 0);
}

/**
 * Ends one direction of a connection, or both: SHUT_RD forgets what has arrived, after SHUT_WR the
 * other end reads what was sent, and then the end. Errors: EBADF, ENOTSOCK; EINVAL for another
 * `how`. Source: shutdown(2).
 */
export function shutdown(thread: Thread, fd: number, how: number): void {
	onSocket(thread, fd, "shutdown", (so) => {
		if (how !== SHUT_RD && how !== SHUT_WR && how !== SHUT_RDWR) return -errno.EINVAL;
		if (how !== SHUT_WR) so.flushReceived();
		if (how !== SHUT_RD) so.finish();
		return 0;
	});
}

/** A socket's own address, null if it has none. Errors: EBADF, ENOTSOCK. Source: getsockname(2). */
export function getsockname(thread: Thread, fd: number): Address | null {
	let name: Address | null = null;
	onSocket(thread, fd, "getsockname", (so) => {
		name = so.name;
		return 0;
	});
	return name;
}

/**
 * The address a socket is connected to, null if that end has none. Errors: EBADF, ENOTSOCK,
 * ENOTCONN. Source: getpeername(2).
 */
export function getpeername(thread: Thread, fd: number): Address | null {
	let name: Address | null = null;
	onSocket(thread, fd, "getpeername", (so) => {
		name = so.peerName;
		return (so.state & SS_ISCONNECTED) !== 0 ? 0 : -errno.ENOTCONN;
	});
	return name;
}

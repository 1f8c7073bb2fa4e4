// getsockopt(2) and setsockopt(2).
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { isInt32, show } from "@kqpoll/kqueue/kernel";
import type { Socket } from "./socket.ts";
import type { SockBuf } from "./socket-buffer.ts";
import {
	SO_ACCEPTCONN,
	SO_ERROR,
	SO_OOBINLINE,
	SO_RCVBUF,
	SO_RCVLOWAT,
	SO_SNDBUF,
	SO_SNDLOWAT,
	SO_TYPE,
	SOL_SOCKET,
	type SocketType,
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
} from "./socket-constants.ts";
import { onSocket } from "./socket-wait.ts";

/** The largest size of a buffer, in bytes. */
const SB_MAX = 2 * 1024 * 1024;

const TYPES: Readonly<Record<SocketType, number>> = { stream: 1, dgram: 2, seqpacket: 5 };

/**
 * Reads an option of a socket: SO_ERROR (which it clears), SO_TYPE, SO_ACCEPTCONN, SO_OOBINLINE,
 * SO_SNDBUF, SO_RCVBUF, SO_SNDLOWAT, SO_RCVLOWAT; sizes in bytes. Errors: EBADF, ENOTSOCK;
 * ENOPROTOOPT for another option or level. Source: getsockopt(2).
 */
export function getsockopt(thread: Thread, fd: number, level: number, option: number): number {
	return onSocket(thread, fd, "getsockopt", (so) =>
		level === SOL_SOCKET ? sogetopt(so, option) : -errno.ENOPROTOOPT,
	);
}

/** @kern sogetopt */
function sogetopt(so: Socket, option: number): number {
	switch (option) {
		case SO_ERROR:
			return so.takeError();
		case SO_TYPE:
			return TYPES[so.kind];
		case SO_ACCEPTCONN:
		case SO_OOBINLINE:
			return (so.options & option) !== 0 ? 1 : 0;
		case SO_SNDBUF:
			return so.snd.hiwat;
		case SO_RCVBUF:
			return so.rcv.hiwat;
		case SO_SNDLOWAT:
			return so.snd.lowat;
		case SO_RCVLOWAT:
			return so.rcv.lowat;
		default:
			return -errno.ENOPROTOOPT;
	}
}

/**
 * Sets an option of a socket: SO_OOBINLINE, SO_SNDBUF, SO_RCVBUF, SO_SNDLOWAT or SO_RCVLOWAT; sizes
 * below one byte count as one, and a low-water mark never exceeds its buffer. Sleepers and watchers
 * are not told of the change. Errors: EBADF, ENOTSOCK; ENOPROTOOPT for another option or level;
 * EINVAL for what is not an int, and for the buffer of a direction that has ended; ENOBUFS for a
 * buffer larger than 2 MiB. Source: setsockopt(2).
 */
export function setsockopt(
	thread: Thread,
	fd: number,
	level: number,
	option: number,
	value: number,
): void {
	onSocket(thread, fd, "setsockopt", (so) => {
		if (!isInt32(value)) throw new SystemError(errno.EINVAL, "setsockopt", `value ${show(value)}`);
		return level === SOL_SOCKET ? -sosetopt(so, option, value) : -errno.ENOPROTOOPT;
	});
}

/** @kern sosetopt */
function sosetopt(so: Socket, option: number, value: number): number {
	const size = Math.max(1, value);
	switch (option) {
		case SO_OOBINLINE:
			so.options = value !== 0 ? so.options | option : so.options & ~option;
			return 0;
		case SO_SNDBUF:
			return (so.state & SS_CANTSENDMORE) !== 0 ? errno.EINVAL : reserve(so.snd, size);
		case SO_RCVBUF:
			return (so.state & SS_CANTRCVMORE) !== 0 ? errno.EINVAL : reserve(so.rcv, size);
		case SO_SNDLOWAT:
			so.snd.lowat = Math.min(size, so.snd.hiwat);
			return 0;
		case SO_RCVLOWAT:
			so.rcv.lowat = Math.min(size, so.rcv.hiwat);
			return 0;
		default:
			return errno.ENOPROTOOPT;
	}
}

/** @kern sbreserve */
function reserve(buffer: SockBuf, size: number): number {
	if (size > SB_MAX) return errno.ENOBUFS;
	buffer.hiwat = size;
	buffer.lowat = Math.min(buffer.lowat, size);
	return 0;
}

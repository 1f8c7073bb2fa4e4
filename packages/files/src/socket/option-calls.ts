// getsockopt(2) and setsockopt(2).
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { copyin, isInt32, show, timevalToNs } from "@kqpoll/kqueue/kernel";
import type { Timeval } from "@kqpoll/kqueue/time";
import type { Socket } from "./socket.ts";
import type { SockBuf } from "./socket-buffer.ts";
import {
	type Linger,
	SO_ACCEPTCONN,
	SO_BROADCAST,
	SO_DEBUG,
	SO_DONTROUTE,
	SO_ERROR,
	SO_KEEPALIVE,
	SO_LINGER,
	SO_OOBINLINE,
	SO_RCVBUF,
	SO_RCVLOWAT,
	SO_RCVTIMEO,
	SO_REUSEADDR,
	SO_REUSEPORT,
	SO_SNDBUF,
	SO_SNDLOWAT,
	SO_SNDTIMEO,
	SO_TYPE,
	SO_USELOOPBACK,
	SO_ZEROIZE,
	SOL_SOCKET,
	type SocketType,
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
} from "./socket-constants.ts";
import { onSocket } from "./socket-wait.ts";

/** The largest size of a buffer, in bytes. */
const SB_MAX = 2 * 1024 * 1024;
/** The longest time to linger, in seconds. */
const LINGER_MAX = 32767;

const TYPES: Readonly<Record<SocketType, number>> = { stream: 1, dgram: 2, seqpacket: 5 };

/** The value of an option. */
type OptionValue = number | Linger | Timeval;

/**
 * Reads an option of a socket: SO_ERROR (which it clears), SO_TYPE; SO_ACCEPTCONN, SO_BROADCAST,
 * SO_DEBUG, SO_DONTROUTE, SO_KEEPALIVE, SO_OOBINLINE, SO_REUSEADDR, SO_REUSEPORT, SO_USELOOPBACK,
 * SO_ZEROIZE and at the level IPPROTO_TCP TCP_NODELAY and TCP_NOPUSH, which are 0 or 1; SO_SNDBUF,
 * SO_RCVBUF, SO_SNDLOWAT, SO_RCVLOWAT in bytes; SO_LINGER; SO_SNDTIMEO, SO_RCVTIMEO, which are 0
 * without a limit. Errors: EBADF, ENOTSOCK; ENOPROTOOPT for another option or level.
 * Source: getsockopt(2).
 */
export function getsockopt(
	thread: Thread,
	fd: number,
	level: number,
	option: typeof SO_LINGER,
): Linger;
export function getsockopt(
	thread: Thread,
	fd: number,
	level: number,
	option: typeof SO_SNDTIMEO | typeof SO_RCVTIMEO,
): Timeval;
export function getsockopt(thread: Thread, fd: number, level: number, option: number): number;
export function getsockopt(thread: Thread, fd: number, level: number, option: number): OptionValue {
	let value: OptionValue = 0;
	onSocket(thread, fd, "getsockopt", (so) => {
		value = level === SOL_SOCKET ? sogetopt(so, option) : so.getProtocolOption(level, option);
		return typeof value === "number" && value < 0 ? value : 0;
	});
	return value;
}

/** @kern sogetopt */
function sogetopt(so: Socket, option: number): OptionValue {
	switch (option) {
		case SO_ERROR:
			return so.takeError();
		case SO_TYPE:
			return TYPES[so.kind];
		case SO_DONTROUTE:
			return 0;
		case SO_ACCEPTCONN:
			return isOn(so, option);
		case SO_LINGER:
			return { onoff: isOn(so, option), linger: so.linger };
		case SO_SNDTIMEO:
			return timeOf(so.snd);
		case SO_RCVTIMEO:
			return timeOf(so.rcv);
		case SO_SNDBUF:
			return so.snd.hiwat;
		case SO_RCVBUF:
			return so.rcv.hiwat;
		case SO_SNDLOWAT:
			return so.snd.lowat;
		case SO_RCVLOWAT:
			return so.rcv.lowat;
		default:
			return isSwitch(option) ? isOn(so, option) : -errno.ENOPROTOOPT;
	}
}

/** Whether an option is on or off, and can be set. */
function isSwitch(option: number): boolean {
	switch (option) {
		case SO_BROADCAST:
		case SO_DEBUG:
		case SO_KEEPALIVE:
		case SO_OOBINLINE:
		case SO_REUSEADDR:
		case SO_REUSEPORT:
		case SO_USELOOPBACK:
		case SO_ZEROIZE:
			return true;
		default:
			return false;
	}
}

function isOn(so: Socket, option: number): number {
	return (so.options & option) !== 0 ? 1 : 0;
}

function timeOf({ timeo }: SockBuf): Timeval {
	if (timeo === Number.POSITIVE_INFINITY) return { sec: 0, usec: 0 };
	return { sec: Math.floor(timeo / 1e9), usec: Math.floor((timeo % 1e9) / 1000) };
}

/**
 * Sets an option of a socket that {@link getsockopt} reads, except SO_ERROR, SO_TYPE and
 * SO_ACCEPTCONN. Sizes below one byte count as one, and a low-water mark never exceeds its buffer.
 * Sleepers and watchers are not told of the change. SO_LINGER is a {@link Linger}, the limits of
 * time are Timevals, and apply from the next sleep on: to recv, read and accept, or to send and
 * write, which then fail with EAGAIN unless they have moved something. On the loopback network the
 * options that are on or off change nothing, except SO_OOBINLINE. Errors: EBADF, ENOTSOCK;
 * ENOPROTOOPT for another option or level; EINVAL for what is not an int, a Linger or a Timeval,
 * and for the buffer of a direction that has ended; EFAULT for what is not an object where one is
 * wanted; ENOBUFS for a buffer larger than 2 MiB; EOPNOTSUPP for SO_DONTROUTE, except 0. Source:
 * setsockopt(2).
 */
export function setsockopt(
	thread: Thread,
	fd: number,
	level: number,
	option: number,
	value: number | Linger | Timeval,
): void {
	onSocket(thread, fd, "setsockopt", (so) => {
		if (level === SOL_SOCKET) {
			if (option === SO_LINGER) return setLinger(so, value as Linger);
			if (option === SO_SNDTIMEO) return setTime(so.snd, value as Timeval);
			if (option === SO_RCVTIMEO) return setTime(so.rcv, value as Timeval);
		}
		if (typeof value !== "number" || !isInt32(value))
			throw new SystemError(errno.EINVAL, "setsockopt", `value ${show(value)}`);
		return level === SOL_SOCKET
			? -sosetopt(so, option, value)
			: -so.setProtocolOption(level, option, value);
	});
}

function setLinger(so: Socket, value: Linger): number {
	requireObject(value, "{ onoff, linger }");
	const { onoff, linger } = copyin("setsockopt", "the value", () => ({
		onoff: value.onoff,
		linger: value.linger,
	}));
	if (!isInt32(onoff) || !(isInt32(linger) && linger >= 0 && linger <= LINGER_MAX))
		return -errno.EINVAL;
	so.linger = linger;
	turn(so, SO_LINGER, onoff);
	return 0;
}

/** A time of 0 removes the limit. */
function setTime(buffer: SockBuf, value: Timeval): number {
	requireObject(value, "{ sec, usec }");
	buffer.timeo = timevalToNs(value, "setsockopt") || Number.POSITIVE_INFINITY;
	return 0;
}

function requireObject(value: unknown, shape: string): void {
	if (typeof value !== "object" || value === null)
		throw new SystemError(errno.EFAULT, "setsockopt", `the value is not ${shape}: ${show(value)}`);
}

function turn(so: Socket, option: number, value: number): void {
	so.options = value !== 0 ? so.options | option : so.options & ~option;
}

/** @kern sosetopt */
function sosetopt(so: Socket, option: number, value: number): number {
	const size = Math.max(1, value);
	switch (option) {
		case SO_DONTROUTE:
			return value !== 0 ? errno.EOPNOTSUPP : 0;
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
			if (!isSwitch(option)) return errno.ENOPROTOOPT;
			turn(so, option, value);
			return 0;
	}
}

/** @kern sbreserve */
function reserve(buffer: SockBuf, size: number): number {
	if (size > SB_MAX) return errno.ENOBUFS;
	buffer.hiwat = size;
	buffer.lowat = Math.min(buffer.lowat, size);
	return 0;
}

// The numbers of sys/socket.h.

/** What kind of addresses a socket has: names of the emulated machine, or ports of its loopback. */
export type SocketDomain = "local" | "inet";
/** How a socket carries bytes: as a stream, as a connection of messages, or as single messages. */
export type SocketType = "stream" | "seqpacket" | "dgram";
/** A name in the local domain, a port on the loopback network. */
export type Address = string | number;

/** struct linger. With `onoff` and no seconds, close drops a TCP connection with a reset. */
export interface Linger {
	/** Whether close lingers: 0 or 1. */
	readonly onoff: number;
	/** How long, in whole seconds, from 0 to 32767. */
	readonly linger: number;
}

/** socket, socketpair, accept4: the descriptor does not block. */
export const SOCK_NONBLOCK = 0x4000;
/** socket, socketpair, accept4: the descriptor is closed on exec. */
export const SOCK_CLOEXEC = 0x8000;

/** getsockopt, setsockopt: the level of the options below. */
export const SOL_SOCKET = 0xffff;
/** Whether events are recorded for debugging: 0 or 1. */
export const SO_DEBUG = 0x0001;
/** Whether it listens: 0 or 1; cannot be set. */
export const SO_ACCEPTCONN = 0x0002;
/** Whether its address may be bound although an older connection still uses it: 0 or 1. */
export const SO_REUSEADDR = 0x0004;
/** Whether idle connections are kept alive: 0 or 1. */
export const SO_KEEPALIVE = 0x0008;
/** Whether the routing table is skipped: 0, and cannot be set. */
export const SO_DONTROUTE = 0x0010;
/** Whether datagrams may be sent to everybody: 0 or 1. */
export const SO_BROADCAST = 0x0020;
/** Whether the hardware is skipped: 0 or 1. */
export const SO_USELOOPBACK = 0x0040;
/** What close does with what was not sent yet, a {@link Linger}. */
export const SO_LINGER = 0x0080;
/** Whether out-of-band bytes stay in the stream: 0 or 1. */
export const SO_OOBINLINE = 0x0100;
/** Whether others with this option may bind the same address: 0 or 1. */
export const SO_REUSEPORT = 0x0200;
/** Whether the memory of buffers is cleared after use: 0 or 1. */
export const SO_ZEROIZE = 0x2000;
/** The size of the send buffer, in bytes. */
export const SO_SNDBUF = 0x1001;
/** The size of the receive buffer, in bytes. */
export const SO_RCVBUF = 0x1002;
/** With at least this many bytes of room the socket is writable. */
export const SO_SNDLOWAT = 0x1003;
/** With at least this many bytes to receive the socket is readable. */
export const SO_RCVLOWAT = 0x1004;
/** How long a send may sleep, a Timeval; 0 for no limit. */
export const SO_SNDTIMEO = 0x1005;
/** How long a receive or an accept may sleep, a Timeval; 0 for no limit. */
export const SO_RCVTIMEO = 0x1006;
/** The pending error, an errno; reading it clears it. Cannot be set. */
export const SO_ERROR = 0x1007;
/** SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_SEQPACKET 5; cannot be set. */
export const SO_TYPE = 0x1008;

/** getsockopt, setsockopt: the level of the options of TCP. */
export const IPPROTO_TCP = 6;
/** Whether small pieces are sent at once: 0 or 1. */
export const TCP_NODELAY = 0x01;
/** Whether only full pieces are sent: 0 or 1. */
export const TCP_NOPUSH = 0x10;

/** send, recv: out-of-band data. */
export const MSG_OOB = 0x1;
/** recv: what is received stays in the buffer. */
export const MSG_PEEK = 0x2;
/** send: the end of a record, which a stream does not have. */
export const MSG_EOR = 0x8;
/** recvmsg: the message was longer than the buffer, and the rest is lost. */
export const MSG_TRUNC = 0x10;
/** recv: waits for as many bytes as the buffer holds. */
export const MSG_WAITALL = 0x40;
/** send, recv: this call does not sleep. */
export const MSG_DONTWAIT = 0x80;
/** send: no SIGPIPE. */
export const MSG_NOSIGNAL = 0x400;
/** recvmsg: descriptors that arrive are closed on exec. */
export const MSG_CMSG_CLOEXEC = 0x800;

/** shutdown: no more receiving. */
export const SHUT_RD = 0;
/** shutdown: no more sending. */
export const SHUT_WR = 1;
/** shutdown: no more receiving and sending. */
export const SHUT_RDWR = 2;

/** listen: the longest queue of connections. */
export const SOMAXCONN = 128;
/** ioctl: returns 1 when what is read next comes after the out-of-band mark, else 0. */
export const SIOCATMARK = 0x40047307;

/** State of a socket: connected. */
export const SS_ISCONNECTED = 0x002;
/** State of a socket: a connection is being made. */
export const SS_ISCONNECTING = 0x004;
/** State of a socket: nothing more can be sent. */
export const SS_CANTSENDMORE = 0x010;
/** State of a socket: nothing more will arrive. */
export const SS_CANTRCVMORE = 0x020;
/** State of a socket: what is read next comes after the out-of-band mark. */
export const SS_RCVATMARK = 0x040;
/** State of a socket: its connection is over. */
export const SS_ISDISCONNECTED = 0x800;

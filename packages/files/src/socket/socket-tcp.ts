// TCP on the loopback network: what is sent waits until the receiver has room.
import { errno, type Kernel } from "@kqpoll/kqueue";
import { attempt, doAll, type Failure, kassert, rethrow } from "@kqpoll/kqueue/kernel";
import { Socket } from "./socket.ts";
import { type Packet, SockBuf, wakeBoth } from "./socket-buffer.ts";
import {
	type Address,
	IPPROTO_TCP,
	MSG_PEEK,
	SO_LINGER,
	SO_OOBINLINE,
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
	SS_ISCONNECTED,
	SS_ISCONNECTING,
	SS_ISDISCONNECTED,
	SS_RCVATMARK,
	TCP_NODELAY,
	TCP_NOPUSH,
} from "./socket-constants.ts";
import { namesOf } from "./socket-names.ts";

/** How many bytes a connection holds in each direction at each end. */
const TCP_SPACE = 16384;
/** With at least this much room senders are woken, and a part of what is sent is taken. */
const SEND_LOWAT = 2048;
/** This many bytes arrive even if the receiver's account has no room: otherwise none ever would. */
const LEAST = 2048;

/** A stream socket of the loopback network. */
export class TcpSocket extends Socket {
	/** The other end, even when it has no descriptor any more. */
	private peer: TcpSocket | null = null;
	/** The other end's port. */
	private remote: Address | null = null;
	/** Whether the stream ends after what waits to be sent. */
	private finWanted = false;
	/** Whether the other end has been told of the end. */
	private finSent = false;
	/** Whether it was closed. */
	private gone = false;
	/** The out-of-band byte that was taken out of the stream, -1 for none. */
	private oobByte = -1;
	/** Whether it was received already. */
	private oobTaken = false;
	/** What was sent last with an out-of-band byte, which may have arrived. */
	private urgent: Packet | null = null;
	/** The options of TCP that are on. They change nothing: what is sent arrives at once. */
	private tcpOptions = 0;

	/** Makes a socket that is not connected. */
	constructor(kernel: Kernel) {
		super(kernel, {
			domain: "inet",
			type: "stream",
			snd: new SockBuf(TCP_SPACE, SEND_LOWAT),
			rcv: new SockBuf(TCP_SPACE, 1),
		});
	}

	override get peerName(): Address | null {
		return this.remote;
	}

	/** TCP_NODELAY and TCP_NOPUSH. */
	override setProtocolOption(level: number, option: number, value: number): number {
		if (!isTcpOption(level, option)) return errno.ENOPROTOOPT;
		this.tcpOptions = value !== 0 ? this.tcpOptions | option : this.tcpOptions & ~option;
		return 0;
	}

	override getProtocolOption(level: number, option: number): number {
		if (!isTcpOption(level, option)) return -errno.ENOPROTOOPT;
		return (this.tcpOptions & option) !== 0 ? 1 : 0;
	}

	override bind(address: Address): number {
		const names = namesOf(this.kernel);
		return names.bindPort(names.tcp, this, address);
	}

	override listenable(): number {
		if ((this.state & SS_ISDISCONNECTED) !== 0) return errno.EINVAL;
		return this.name === null ? this.bind(0) : 0;
	}

	/** Returns at once; the connection is made or refused soon. */
	override connect(address: Address): number {
		if (address === 0) return errno.EADDRNOTAVAIL;
		// A connection that failed or ended cannot be made again.
		if ((this.state & SS_CANTSENDMORE) !== 0) return errno.EINVAL;
		const error = this.name === null ? this.bind(0) : 0;
		if (error !== 0) return error;
		this.remote = address;
		this.state |= SS_ISCONNECTING;
		this.kernel.host.defer(() => {
			this.handshake(address);
			if (this.kernel.diagnostics) this.check();
		});
		return 0;
	}

	private handshake(port: Address): void {
		if ((this.state & SS_ISCONNECTING) === 0) return;
		const target = namesOf(this.kernel).tcp.get(port);
		if (target === undefined || !target.accepts) {
			this.drop(errno.ECONNREFUSED);
			return;
		}
		const server = new TcpSocket(this.kernel);
		server.inherit(target);
		server.remote = this.name;
		server.peer = this;
		this.peer = server;
		doAll(
			() => this.isConnected(),
			() => server.isConnected(),
		);
	}

	override transmit(packet: Packet, _to: Address | null): number {
		this.snd.append(packet);
		if (packet.urgent) {
			// There is one mark: a byte that was sent before and has not arrived stays in the stream.
			if (this.urgent !== null) this.urgent.urgent = false;
			this.urgent = packet;
			this.peer?.announceOob(this.snd.cc);
		}
		this.output();
		return 0;
	}

	/** Out-of-band data is coming: its last byte is the last of `coming` bytes that were sent. */
	private announceOob(coming: number): void {
		if (this.gone || (this.state & SS_CANTRCVMORE) !== 0) return;
		this.oobmark = this.rcv.cc + coming - 1;
		if (this.oobmark === 0) this.state |= SS_RCVATMARK;
		this.oobByte = -1;
		this.oobTaken = false;
		this.rcv.klist.notify(0);
	}

	/**
	 * Moves what the other end has room for to it, and then the end of the stream.
	 * @kern tcp_output
	 */
	private output(): void {
		const { peer, snd } = this;
		if (peer === null) return;
		if (snd.cc > 0 && peer.gone) {
			// It can never be received: the other end answers with a reset.
			peer.snd.flush();
			this.drop(errno.ECONNRESET);
			return;
		}
		const before = snd.cc;
		for (let packet = snd.first; packet !== null; packet = snd.first) {
			const deaf = (peer.state & SS_CANTRCVMORE) !== 0;
			const n = deaf ? packet.bytes.length : peer.roomFor(packet);
			if (n <= 0) break;
			if (!deaf) peer.arrive(packet, n);
			snd.drop(n);
		}
		// One that sleeps until there is more has to take what there is.
		const failure = snd.cc < before || peer.stalls ? wakeBoth(peer.rcv, snd) : null;
		if (this.finWanted && !this.finSent && snd.cc === 0) this.sendFin(peer, failure);
		else if (failure !== null) rethrow(failure);
	}

	/** How many bytes of a packet that was sent to it can arrive. */
	private roomFor({ bytes, payer }: Packet): number {
		const { account, rcv } = this;
		const room = Math.min(bytes.length, rcv.space);
		// To itself it has sent no more than it may have.
		if (room <= 0 || payer === account) return room;
		if (account.bytes.hasRoom(room) && account.packets.hasRoom(1)) return room;
		return Math.min(room, LEAST - rcv.cc);
	}

	/** Whether something waits although there is room in the buffer: the account has none. */
	override get stalls(): boolean {
		const { peer, rcv } = this;
		return peer !== null && peer.snd.cc > 0 && rcv.space > 0;
	}

	/** Receives the first bytes of a packet. */
	private arrive(packet: Packet, n: number): void {
		let bytes = packet.bytes.subarray(0, n);
		const last = packet.urgent && n === packet.bytes.length;
		if (last && (this.options & SO_OOBINLINE) === 0) {
			this.oobByte = bytes[n - 1] as number;
			bytes = bytes.subarray(0, n - 1);
		}
		if (bytes.length === 0) return;
		// The account that has chosen the size of the buffer pays for what is in it.
		this.rcv.append({ ...packet, bytes, urgent: false, payer: this.account, next: null });
	}

	/**
	 * Ends this direction; when both have ended, the connection is over. Throws the first error, if
	 * any.
	 */
	private sendFin(peer: TcpSocket, failure: Failure): void {
		this.finSent = true;
		const first = attempt(failure, () => peer.cantReceiveMore());
		if (peer.finSent) endBoth(peer, this, first);
		else rethrow(first);
	}

	/** Asks the other end for what it could not send before. */
	override received(): void {
		this.peer?.output();
	}

	/** From now on, what the other end sends is dropped. */
	override flushReceived(): void {
		doAll(
			() => super.flushReceived(),
			() => this.received(),
		);
	}

	override finish(): void {
		if ((this.state & SS_CANTSENDMORE) !== 0) return;
		doAll(
			() => this.cantSendMore(),
			() => {
				if (this.peer === null) {
					this.isDisconnected();
				} else {
					this.finWanted = true;
					this.output();
				}
			},
		);
	}

	override receiveOob(buffer: Uint8Array, flags: number): number {
		const marked = this.oobmark !== 0 || (this.state & SS_RCVATMARK) !== 0;
		if (!marked || (this.options & SO_OOBINLINE) !== 0 || this.oobTaken) return -errno.EINVAL;
		if (this.oobByte < 0) return -errno.EAGAIN;
		if (buffer.length === 0) return 0;
		buffer[0] = this.oobByte;
		if ((flags & MSG_PEEK) === 0) {
			this.oobByte = -1;
			this.oobTaken = true;
		}
		return 1;
	}

	/** Ends the connection at once. */
	private drop(error: number): void {
		this.snd.flush();
		this.error = error;
		this.isDisconnected();
	}

	/**
	 * What was sent still arrives, unless the other end sends something to this socket, or this one
	 * lingers for no time: then the other end gets a reset at once.
	 */
	override detach(): void {
		const { peer } = this;
		this.gone = true;
		const names = namesOf(this.kernel);
		names.freePortOf(names.tcp, this);
		this.rcv.flush();
		if (peer === null) {
			if ((this.state & SS_ISCONNECTING) !== 0) this.isDisconnected();
			return;
		}
		if ((this.state & SS_ISCONNECTED) === 0) return;
		if ((this.options & SO_LINGER) !== 0 && this.linger === 0) {
			this.reset(peer);
			return;
		}
		this.finWanted = true;
		doAll(
			() => this.isDisconnecting(),
			() => this.output(),
			() => peer.output(),
		);
	}

	/** It was never accepted: the other end gets a reset. */
	override abort(): void {
		this.gone = true;
		this.rcv.flush();
		this.reset(this.peer);
	}

	private reset(peer: TcpSocket | null): void {
		this.snd.flush();
		doAll(
			() => this.isDisconnected(),
			() => peer?.drop(errno.ECONNRESET),
		);
	}

	/** Also: the ends of a connection name each other, and the out-of-band mark is in what was sent. */
	override check(): void {
		super.check();
		const { peer, rcv, snd } = this;
		for (const buffer of [rcv, snd])
			kassert(buffer.cc === buffer.datacc, "a TCP socket's buffers hold data alone");
		kassert(!this.finSent || (this.finWanted && snd.cc === 0), "the end comes after all data");
		kassert(this.oobByte >= -1 && this.oobByte <= 0xff, "the out-of-band byte is a byte");
		if (peer === null) return;
		kassert(peer.peer === this, "the ends of a connection name each other");
		if (this.gone || (this.state & SS_CANTRCVMORE) !== 0) return;
		const coming = rcv.cc + peer.snd.cc;
		kassert(this.oobmark <= coming, "the out-of-band mark is in what arrives");
		peer.rcv.check();
		peer.snd.check();
	}
}

function isTcpOption(level: number, option: number): boolean {
	return level === IPPROTO_TCP && (option === TCP_NODELAY || option === TCP_NOPUSH);
}

function endBoth(one: TcpSocket, other: TcpSocket, failure: Failure): void {
	const first = attempt(failure, () => one.isDisconnected());
	rethrow(attempt(first, () => other.isDisconnected()));
}

// AF_UNIX: sockets whose sender writes straight into the receiver's buffer.
import { errno, type Kernel } from "@kqpoll/kqueue";
import { doAll, kassert, rethrow, wakeup } from "@kqpoll/kqueue/kernel";
import { type Carrier, inFlightOf, type Rights } from "../shared/rights.ts";
import { Socket } from "./socket.ts";
import { type Packet, SockBuf, wakeBoth } from "./socket-buffer.ts";
import {
	type Address,
	type SocketType,
	SS_CANTSENDMORE,
	SS_ISCONNECTED,
	SS_ISDISCONNECTED,
} from "./socket-constants.ts";
import { namesOf, release, take } from "./socket-names.ts";

/** How many bytes a connection holds in each direction. */
const STREAM_SPACE = 8192;
/** How long a datagram can be, in bytes. */
const DGRAM_SEND = 2048;
/** How many bytes a datagram socket holds, with the senders' addresses. */
const DGRAM_RECEIVE = 16384;
/** With at least this much room senders are woken, and a stream takes a part of what is sent. */
const SEND_LOWAT = 2048;

/** How many bytes the address of a sender with a name takes: a sockaddr_un. */
const NAMED_ADDRESS_SIZE = 106;

/** A socket of the local domain. */
export class LocalSocket extends Socket implements Carrier {
	/** The socket that receives what it sends. */
	private peer: LocalSocket | null = null;
	/** Whether it is bound to its name: one that accept has made only shows its listener's. */
	private bound = false;
	/** Whether bytes were taken that the sender still counts. */
	private untold = false;
	/** The datagram sockets that are connected to it. */
	private readonly senders: Set<LocalSocket> = new Set();

	/** Makes a socket that is not connected. */
	constructor(kernel: Kernel, type: SocketType) {
		const dgram = type === "dgram";
		super(kernel, {
			domain: "local",
			type,
			snd: new SockBuf(dgram ? DGRAM_SEND : STREAM_SPACE, SEND_LOWAT),
			rcv: new SockBuf(dgram ? DGRAM_RECEIVE : STREAM_SPACE, 1),
		});
	}

	override get peerName(): Address | null {
		return this.peer?.name ?? null;
	}

	override get addressSize(): number {
		return this.name === null ? super.addressSize : NAMED_ADDRESS_SIZE;
	}

	override bind(address: Address): number {
		if (this.bound) return errno.EINVAL;
		const error = take(namesOf(this.kernel).local, this, address);
		this.bound = error === 0;
		return error;
	}

	override listenable(): number {
		return this.bound ? 0 : errno.EINVAL;
	}

	override unconnect(): void {
		this.disconnect();
	}

	override connect(address: Address): number {
		const target = namesOf(this.kernel).local.get(address);
		if (!(target instanceof LocalSocket)) return errno.ENOENT;
		if (target.kind !== this.kind) return errno.EPROTOTYPE;
		if (!this.connectionRequired) {
			this.pair(target);
			return 0;
		}
		if (!target.accepts) return errno.ECONNREFUSED;
		const server = new LocalSocket(this.kernel, this.kind);
		server.inherit(target);
		this.join(server);
		return 0;
	}

	/**
	 * Connects it to another socket: a datagram socket one way, others both ways.
	 * @kern unp_connect2
	 */
	pair(other: LocalSocket): void {
		if (this.peer !== null) this.disconnect();
		if (!this.connectionRequired) {
			this.peer = other;
			other.senders.add(this);
			this.isConnected();
			return;
		}
		this.join(other);
	}

	/** Both ends of a connection name each other. */
	private join(other: LocalSocket): void {
		this.peer = other;
		other.peer = this;
		doAll(
			() => this.isConnected(),
			() => other.isConnected(),
		);
	}

	override transmit(packet: Packet, to: Address | null): number {
		if (packet.urgent) return errno.EOPNOTSUPP;
		if (this.connectionRequired) return this.transmitConnected(packet);
		if (to !== null) return this.transmitTo(packet, to);
		return this.peer === null ? errno.ENOTCONN : this.peer.take(packet);
	}

	/** It is connected for this one datagram, and its own watchers are told of that. */
	private transmitTo(packet: Packet, to: Address): number {
		if (this.peer !== null) return errno.EISCONN;
		const target = namesOf(this.kernel).local.get(to);
		if (!(target instanceof LocalSocket)) return errno.ENOENT;
		if (target.kind !== this.kind) return errno.EPROTOTYPE;
		let error = 0;
		doAll(
			() => rethrow(wakeBoth(this.rcv, this.snd)),
			() => {
				error = target.take(packet);
			},
		);
		return error;
	}

	/** Receives a datagram, if there is room. */
	private take(packet: Packet): number {
		if (!this.store(packet)) return errno.ENOBUFS;
		this.rcv.wakeup();
		return 0;
	}

	private transmitConnected(packet: Packet): number {
		const { peer } = this;
		if (peer === null) return errno.ENOTCONN;
		peer.rcv.append(packet);
		this.tell(peer);
		// There are no bytes to count, but a sleeper may receive an empty record.
		if (peer.rcv.cc === 0) wakeup(peer.rcv.channel);
		return 0;
	}

	/** The receiver is told anyway, if it has something to receive. */
	override sendNothing(urgent: boolean): number {
		if (urgent) return errno.EOPNOTSUPP;
		if (this.peer !== null) this.tell(this.peer);
		return 0;
	}

	/** Counts what the receiver holds, and tells it, if there is something. */
	private tell(peer: LocalSocket): void {
		peer.untold = false;
		this.snd.cc = peer.rcv.cc;
		if (peer.rcv.cc > 0) peer.rcv.wakeup();
	}

	override received(): void {
		const { peer } = this;
		if (!this.connectionRequired || peer === null) return;
		this.untold = false;
		peer.snd.cc = this.rcv.cc;
		peer.snd.wakeup();
	}

	override get stalls(): boolean {
		const { peer } = this;
		return peer !== null && peer.snd.space < peer.snd.lowat;
	}

	/** The sender is told at the end, unless it may wait for the room. */
	override receivedSome(): void {
		if (this.stalls) this.received();
		else this.untold = true;
	}

	/** The sender is told of the room that this makes, if any. */
	override flushReceived(): void {
		const something = this.rcv.cc > 0;
		doAll(
			() => super.flushReceived(),
			() => {
				if (something) this.received();
			},
		);
	}

	override finish(): void {
		const { peer } = this;
		doAll(
			() => this.cantSendMore(),
			() => {
				if (this.connectionRequired) peer?.cantReceiveMore();
			},
		);
	}

	override receiveOob(): number {
		return -errno.EOPNOTSUPP;
	}

	/** @kern unp_disconnect */
	private disconnect(): void {
		const { peer } = this;
		if (peer === null) return;
		this.peer = null;
		if (!this.connectionRequired) {
			peer.senders.delete(this);
			this.state &= ~SS_ISCONNECTED;
			return;
		}
		peer.peer = null;
		for (const end of [this, peer]) {
			end.untold = false;
			end.snd.cc = 0;
		}
		doAll(
			() => this.isDisconnected(),
			() => peer.isDisconnected(),
		);
	}

	override detach(): void {
		release(namesOf(this.kernel).local, this);
		this.state |= SS_CANTSENDMORE;
		doAll(
			() => this.disconnect(),
			() => this.forgetSenders(),
			() => this.rcv.flush(),
		);
	}

	/**
	 * Disconnects the datagram sockets that send to it. They are not woken: their next call sees it.
	 */
	private forgetSenders(): void {
		for (const ref of this.senders) {
			ref.error = errno.ECONNRESET;
			ref.disconnect();
		}
	}

	override abort(): void {
		this.detach();
	}

	/** Open files in messages to connections that nobody has accepted yet wait in the listener. */
	get carries(): boolean {
		return this.rcv.carries || this.queue.length > 0;
	}

	get depth(): number {
		return this.queue.reduce((depth, so) => Math.max(depth, so.rcv.depth), this.rcv.depth);
	}

	/** Those of the connections that wait to be accepted are its own. */
	eachRights(visit: (rights: Rights) => void): void {
		this.rcv.eachRights(visit);
		for (const so of this.queue) so.rcv.eachRights(visit);
	}

	/** It may be that nothing but itself can be received from it. */
	override stranded(): void {
		inFlightOf(this.kernel).strand(this);
	}

	/** What the other end has not received yet. */
	protected override get elsewhere(): number {
		const { peer, snd } = this;
		if (peer === null || !this.connectionRequired) return 0;
		// The other end may hold bytes of a connection before this one, which do not count.
		return (peer.state & SS_ISDISCONNECTED) !== 0 || peer.untold ? snd.cc : peer.rcv.cc;
	}

	/** Also: the ends of a connection name each other, and receivers know their datagram senders. */
	override check(): void {
		super.check();
		const { peer, senders } = this;
		kassert(this.snd.first === null, "a local socket sends without a buffer");
		for (const ref of senders) kassert(ref.peer === this, "a sender is connected to its receiver");
		if (peer === null) return;
		if (this.connectionRequired) {
			kassert(peer.peer === this, "the ends of a connection name each other");
			kassert(
				!this.untold || peer.snd.cc >= this.rcv.cc,
				"a sender counts too much, not too little",
			);
			peer.rcv.check();
		} else {
			kassert(peer.senders.has(this), "a receiver knows who is connected to it");
		}
	}
}

// UDP on the loopback network: datagrams that arrive or are lost.
import { errno, type Kernel } from "@kqpoll/kqueue";
import { rethrow } from "@kqpoll/kqueue/kernel";
import { Socket } from "./socket.ts";
import { type Packet, SockBuf, wakeBoth } from "./socket-buffer.ts";
import { type Address, SS_ISCONNECTED } from "./socket-constants.ts";
import { namesOf } from "./socket-names.ts";

/** How long a datagram can be, in bytes. */
const UDP_SEND = 9216;
/** How many bytes are kept for the receiver, with the senders' addresses. */
const UDP_RECEIVE = 41600;
/** With at least this much room a socket is writable: always, as nothing waits to be sent. */
const SEND_LOWAT = 2048;

/** A datagram socket of the loopback network. */
export class UdpSocket extends Socket {
	/** The port it is connected to, the only one that it receives from. */
	private remote: Address | null = null;

	/** Makes a socket without an address. */
	constructor(kernel: Kernel) {
		super(kernel, {
			domain: "inet",
			type: "dgram",
			snd: new SockBuf(UDP_SEND, SEND_LOWAT),
			rcv: new SockBuf(UDP_RECEIVE, 1),
		});
	}

	override get peerName(): Address | null {
		return this.remote;
	}

	override bind(address: Address): number {
		const names = namesOf(this.kernel);
		return names.bindPort(names.udp, this, address);
	}

	override listenable(): number {
		return errno.EOPNOTSUPP;
	}

	override unconnect(): void {
		this.remote = null;
		this.state &= ~SS_ISCONNECTED;
	}

	override connect(address: Address): number {
		if (address === 0) return errno.EADDRNOTAVAIL;
		const error = this.name === null ? this.bind(0) : 0;
		if (error !== 0) return error;
		this.remote = address;
		this.isConnected();
		return 0;
	}

	override transmit(packet: Packet, to: Address | null): number {
		if (packet.urgent) return errno.EOPNOTSUPP;
		if (this.remote !== null && to !== null) return errno.EISCONN;
		if (to === 0) return errno.EADDRNOTAVAIL;
		const error = this.name === null ? this.bind(0) : 0;
		if (error !== 0) return error;
		const target = namesOf(this.kernel).udp.get(this.remote ?? (to as Address));
		if (!(target instanceof UdpSocket) || !target.hears(this.name)) this.unreachable();
		else if (target.store({ ...packet, address: this.name })) target.rcv.wakeup();
		return 0;
	}

	private hears(sender: Address | null): boolean {
		return this.remote === null || this.remote === sender;
	}

	/** The port is not in use: only a connected socket is told. */
	private unreachable(): void {
		if (this.remote === null) return;
		this.error = errno.ECONNREFUSED;
		rethrow(wakeBoth(this.rcv, this.snd));
	}

	override received(): void {}

	override finish(): void {
		this.cantSendMore();
	}

	override receiveOob(): number {
		return -errno.EOPNOTSUPP;
	}

	override detach(): void {
		const names = namesOf(this.kernel);
		names.freePortOf(names.udp, this);
		this.rcv.flush();
	}

	override abort(): void {
		this.detach();
	}
}

// struct socket: an open file with a buffer for each direction and the state of its connection.
import {
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	type Kernel,
	type Thread,
} from "@kqpoll/kqueue";
import { FIOASYNC, FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import {
	type Account,
	attempt,
	doAll,
	type Failure,
	File,
	FREAD,
	fileCharge,
	fileDischarge,
	type Knote,
	kassert,
	knoteJoin,
	psignal,
	rethrow,
	WaitChannel,
	wakeup,
} from "@kqpoll/kqueue/kernel";
import { SIGPIPE } from "@kqpoll/kqueue/signal";
import { S_IFSOCK, type Stat } from "@kqpoll/kqueue/stat";
import { inFlightOf } from "../shared/rights.ts";
import { type Packet, type SockBuf, wakeBoth } from "./socket-buffer.ts";
import {
	type Address,
	MSG_DONTWAIT,
	SIOCATMARK,
	SO_ACCEPTCONN,
	type SocketDomain,
	type SocketType,
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
	SS_ISCONNECTED,
	SS_ISCONNECTING,
	SS_ISDISCONNECTED,
	SS_RCVATMARK,
} from "./socket-constants.ts";
import {
	exceptFiltops,
	listenFiltops,
	readFiltops,
	type SocketState,
	writeFiltops,
} from "./socket-filters.ts";
import { soreceive, sosend } from "./socket-io.ts";

/** How many bytes the address of a sender takes: a sockaddr. */
const ADDRESS_SIZE = 16;

/** What a protocol decides when it makes a socket. */
interface Protocol {
	/** What its addresses are. */
	readonly domain: SocketDomain;
	/** How it carries bytes. */
	readonly type: SocketType;
	/** The send buffer. */
	readonly snd: SockBuf;
	/** The receive buffer. */
	readonly rcv: SockBuf;
}

/** A socket of any protocol. What depends on the protocol is abstract. */
export abstract class Socket extends File implements SocketState {
	/** The machine it is on. */
	readonly kernel: Kernel;
	/** The account of the process that has made it, or its listener; else that of the machine. */
	account: Account;
	/** What its addresses are. */
	readonly domain: SocketDomain;
	/** How it carries bytes. */
	readonly kind: SocketType;
	/** What has arrived. */
	readonly rcv: SockBuf;
	/** What waits to be sent, and how much can wait. */
	readonly snd: SockBuf;
	/** SS_ flags. */
	state = 0;
	/** The options that are on: SO_ACCEPTCONN, SO_OOBINLINE, SO_LINGER and others. */
	options = 0;
	/** SO_LINGER: how many seconds. */
	linger = 0;
	/** The pending error: an errno that was not reported yet, 0 for none. */
	error = 0;
	/** How many bytes can be received before the out-of-band mark; 0 for no mark. */
	oobmark = 0;
	/** Its own address. */
	name: Address | null = null;
	/** Of a listener: the connections that were not accepted yet. */
	readonly queue: Socket[] = [];
	/** Of a listener: how many of them there can be. */
	qlimit = 0;
	/** Of a connection that was not accepted yet: the listener. */
	head: Socket | null = null;
	/** Threads that wait for a connection sleep here. */
	readonly timeo: WaitChannel = new WaitChannel();

	/** Makes a socket that is not connected. */
	constructor(kernel: Kernel, protocol: Protocol) {
		super("socket");
		this.kernel = kernel;
		this.account = kernel.account;
		this.domain = protocol.domain;
		this.kind = protocol.type;
		this.snd = protocol.snd;
		this.rcv = protocol.rcv;
	}

	/** Whether each send is one message. */
	override get atomic(): boolean {
		return this.kind !== "stream";
	}

	/** Whether nothing can be sent without a connection. */
	get connectionRequired(): boolean {
		return this.kind !== "dgram";
	}

	/** How many bytes its address takes in the buffer of a datagram's receiver. */
	get addressSize(): number {
		return ADDRESS_SIZE;
	}

	/** The address of the other end, null if it has none. */
	abstract get peerName(): Address | null;
	/** Sets its address. Returns 0 or an errno. */
	abstract bind(address: Address): number;
	/** Returns 0 if it can listen, else an errno. */
	abstract listenable(): number;
	/** Connects, or begins to. Returns 0 or an errno. */
	abstract connect(address: Address): number;
	/** Sends a packet that there is room for. Returns 0 or an errno. */
	abstract transmit(packet: Packet, to: Address | null): number;
	/** Called when something was taken out of the receive buffer. */
	abstract received(): void;
	/** Ends the direction in which it sends, and tells the other end. */
	abstract finish(): void;
	/**
	 * Receives the out-of-band byte that is not in the stream. Returns how many bytes, or a negative
	 * errno.
	 */
	abstract receiveOob(buffer: Uint8Array, flags: number): number;
	/** Called when the last descriptor was closed. */
	abstract detach(): void;
	/** Called when its listener was closed before it was accepted. */
	abstract abort(): void;

	/** Sets an option of the protocol's own level. Returns 0 or an errno. */
	setProtocolOption(_level: number, _option: number, _value: number): number {
		return errno.ENOPROTOOPT;
	}

	/** Reads an option of the protocol's own level: a value, or a negative errno. */
	getProtocolOption(_level: number, _option: number): number {
		return -errno.ENOPROTOOPT;
	}

	/** Ends the connection of a datagram socket, which is about to get another one. */
	unconnect(): void {}

	/** Sends no bytes at all on a stream. Returns 0 or an errno. */
	sendNothing(_urgent: boolean): number {
		return 0;
	}

	/** Whether the sender may wait for room until something is received. */
	get stalls(): boolean {
		return false;
	}

	/** Called when a receiver has taken all there was, and wants more. */
	receivedSome(): void {
		this.received();
	}

	/**
	 * Whether it listens and has room for another connection, as its account has. A connection counts
	 * as an open file before it is accepted, too.
	 */
	get accepts(): boolean {
		if ((this.options & SO_ACCEPTCONN) === 0 || this.queue.length >= this.qlimit) return false;
		return this.account.files.hasRoom(1);
	}

	/**
	 * Makes it a new connection of a listener, with the listener's settings.
	 * @kern sonewconn
	 */
	inherit(head: Socket): void {
		fileCharge(this, head.account.files);
		this.head = head;
		this.account = head.account;
		this.name = head.name;
		this.options = head.options & ~SO_ACCEPTCONN;
		this.linger = head.linger;
		for (const [mine, its] of [
			[this.snd, head.snd],
			[this.rcv, head.rcv],
		] as const) {
			mine.hiwat = its.hiwat;
			mine.lowat = its.lowat;
			mine.timeo = its.timeo;
		}
	}

	/**
	 * Called when it is connected.
	 * @kern soisconnected
	 */
	isConnected(): void {
		this.state = (this.state & ~SS_ISCONNECTING) | SS_ISCONNECTED;
		const { head } = this;
		if (head !== null) {
			head.queue.push(this);
			doAll(
				() => head.rcv.wakeup(),
				() => wakeup(head.timeo),
			);
			return;
		}
		wakeup(this.timeo);
		rethrow(wakeBoth(this.rcv, this.snd));
	}

	/**
	 * Called when its connection is over.
	 * @kern soisdisconnected
	 */
	isDisconnected(): void {
		this.state &= ~(SS_ISCONNECTING | SS_ISCONNECTED);
		this.state |= SS_CANTRCVMORE | SS_CANTSENDMORE | SS_ISDISCONNECTED;
		wakeup(this.timeo);
		rethrow(wakeBoth(this.snd, this.rcv));
	}

	/** @kern soisdisconnecting */
	isDisconnecting(): void {
		this.state &= ~SS_ISCONNECTING;
		this.state |= SS_CANTRCVMORE | SS_CANTSENDMORE;
		wakeup(this.timeo);
		rethrow(wakeBoth(this.snd, this.rcv));
	}

	/** @kern socantsendmore */
	cantSendMore(): void {
		this.state |= SS_CANTSENDMORE;
		this.snd.wakeup();
	}

	/** @kern socantrcvmore */
	cantReceiveMore(): void {
		this.state |= SS_CANTRCVMORE;
		// Unlike the original this wakes threads that wait for a connection, too.
		wakeup(this.timeo);
		this.rcv.wakeup();
	}

	/**
	 * Ends the direction in which it receives, and forgets what has arrived.
	 * @kern sorflush
	 */
	flushReceived(): void {
		doAll(
			() => this.cantReceiveMore(),
			() => {
				this.rcv.hiwat = 0;
				this.rcv.lowat = 0;
				this.rcv.flush();
			},
		);
	}

	/**
	 * Receives a datagram, and has the account of this socket pay for it, as that has chosen how large
	 * the buffer is. Returns whether there was room.
	 */
	protected store(packet: Packet): boolean {
		const { account, kernel, rcv } = this;
		const n = packet.header + packet.bytes.length;
		if (rcv.space < n) return false;
		if (!account.bytes.hasRoom(n) || !account.packets.hasRoom(1)) {
			// It may be that sockets have it that nobody can receive: then the next one has room.
			inFlightOf(kernel).reclaim();
			return false;
		}
		packet.payer = account;
		rcv.append(packet);
		return true;
	}

	/** Returns the pending error, and clears it. */
	takeError(): number {
		const { error } = this;
		this.error = 0;
		return error;
	}

	/** Receives as recv without flags does. */
	override read(thread: Thread, buffer: Uint8Array, nonblocking = true): number {
		const n = soreceive(this, thread, buffer, nonblocking ? MSG_DONTWAIT : 0, null);
		if (this.kernel.diagnostics) this.check();
		return n;
	}

	/** Sends as send without flags does. */
	override write(thread: Thread, buffer: Uint8Array): number {
		const payer = thread.process.account;
		const n = sosend(this, { bytes: buffer, flags: 0, to: null, files: null, payer });
		if (this.kernel.diagnostics) this.check();
		if (n === -errno.EPIPE) psignal(thread.process, SIGPIPE, thread);
		return n;
	}

	/** Readers sleep until something arrives, writers until there is room. */
	override channel(mode: number): WaitChannel {
		return mode === FREAD ? this.rcv.channel : this.snd.channel;
	}

	/** SO_RCVTIMEO for reads, SO_SNDTIMEO for writes. */
	override deadline(mode: number, since: number): number {
		return since + (mode === FREAD ? this.rcv : this.snd).timeo;
	}

	override get countsEachSleep(): boolean {
		return true;
	}

	/** FIONREAD and SIOCATMARK. */
	override ioctl(_thread: Thread, command: number, _argument: unknown): number {
		switch (command) {
			case FIONREAD:
				return this.rcv.datacc;
			case SIOCATMARK:
				return (this.state & SS_RCVATMARK) !== 0 ? 1 : 0;
			case FIONBIO:
			case FIOASYNC:
				return 0;
			default:
				return -errno.EOPNOTSUPP;
		}
	}

	/** Its permissions say whether it can still be read and written. */
	override stat(): Stat {
		const readable = (this.state & SS_CANTRCVMORE) === 0 || this.rcv.cc !== 0;
		const writable = (this.state & SS_CANTSENDMORE) === 0;
		const mode = S_IFSOCK | (readable ? 0o444 : 0) | (writable ? 0o222 : 0);
		return { mode, size: 0, blksize: this.snd.hiwat };
	}

	/** Joins a READ, WRITE or EXCEPT knote. READ is a listener's if the socket listens at that time. */
	override kqfilter(kn: Knote): number {
		const listening = (this.options & SO_ACCEPTCONN) !== 0;
		switch (kn.filter) {
			case EVFILT_READ:
				return knoteJoin(kn, listening ? listenFiltops : readFiltops, this.rcv.klist);
			case EVFILT_WRITE:
				return knoteJoin(kn, writeFiltops, this.snd.klist);
			case EVFILT_EXCEPT:
				return knoteJoin(kn, exceptFiltops, this.rcv.klist);
			default:
				return errno.EINVAL;
		}
	}

	/** How many of the bytes that the send buffer counts are in a buffer of the other end. */
	protected get elsewhere(): number {
		return 0;
	}

	/** For diagnostics: throws a Panic unless buffers, queue, state and sleepers agree. */
	check(): void {
		const { head, oobmark, queue, rcv, snd, state } = this;
		rcv.check();
		snd.check(this.elsewhere);
		kassert(oobmark >= 0, "the out-of-band mark is ahead");
		kassert(
			queue.every((so) => so.head === this),
			"connections in a queue know their listener",
		);
		kassert(head === null || head.queue.includes(this), "a listener has its new connections");
		const connecting = (state & SS_ISCONNECTING) !== 0;
		kassert(
			!connecting || (state & SS_ISCONNECTED) === 0,
			"a socket is connected or connecting, not both",
		);
		if ((state & SS_ISDISCONNECTED) !== 0) return;
		kassert(
			(state & SS_CANTRCVMORE) === 0 || rcv.channel.first === null,
			"no receiver sleeps when nothing can arrive",
		);
		kassert(
			(state & SS_CANTSENDMORE) === 0 || snd.channel.first === null,
			"no sender sleeps when nothing can be sent",
		);
	}

	/** @kern soclose */
	override close(): void {
		let failure: Failure = null;
		while (this.queue.length > 0) {
			const so = this.queue.shift() as Socket;
			so.head = null;
			fileDischarge(so);
			failure = attempt(failure, () => so.abort());
		}
		rethrow(attempt(failure, () => this.detach()));
		if (this.kernel.diagnostics) this.check();
	}
}

// net.Socket as one more protocol of emulated sockets.
import type { Socket as NetSocket } from "node:net";
import {
	type Packet,
	SockBuf,
	Socket,
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
	SS_ISCONNECTED,
	SS_ISCONNECTING,
	SS_ISDISCONNECTED,
} from "@kqpoll/files/kernel";
import type { Address } from "@kqpoll/files/socket";
import { errno, type Kernel, SystemError, type Thread } from "@kqpoll/kqueue";
import { doAll } from "@kqpoll/kqueue/kernel";
import { ignoreErrors, Listeners, offWhenClosed } from "./listeners.ts";
import { errnoOf } from "./node-errors.ts";
import { type NodeFile, type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { ReadableBytes } from "./readable-bytes.ts";

/** How many bytes wait to be received. */
export const RECEIVE_SPACE = 16384;
/** The least room for which a sender is woken, and for which a part of its bytes is taken. */
export const SEND_LOWAT = 2048;

/** A send buffer with as much room as Node's stream has. */
class SendBuffer extends SockBuf {
	private readonly node: NetSocket;

	constructor(node: NetSocket) {
		super(Math.max(1, node.writableHighWaterMark), SEND_LOWAT);
		this.node = node;
	}

	override get space(): number {
		const { node, hiwat } = this;
		if (node.destroyed) return hiwat;
		return node.writableNeedDrain ? 0 : hiwat - node.writableLength;
	}
}

/** A `net.Socket` as an open file. */
export class NodeSocket extends Socket implements NodeFile {
	/** The object itself. */
	readonly handle: NetSocket;
	private readonly closes: boolean;
	private readonly listeners: Listeners;
	private readonly bytes: ReadableBytes;
	/** The object's own `allowHalfOpen`, to be restored. */
	private readonly halfOpen: boolean;
	/** Whether bytes that arrive are discarded. */
	private deaf = false;

	/** Makes a socket that does not follow the object yet. */
	constructor(kernel: Kernel, node: NetSocket, closes: boolean) {
		super(kernel, {
			domain: "inet",
			type: "stream",
			snd: new SendBuffer(node),
			rcv: new SockBuf(RECEIVE_SPACE, 1),
		});
		this.handle = node;
		this.closes = closes;
		this.listeners = new Listeners(node);
		this.bytes = new ReadableBytes(node);
		this.halfOpen = node.allowHalfOpen;
	}

	/** Listens, and finds out the state of the connection. */
	start(): void {
		const { handle, listeners } = this;
		// The program itself says when it has sent everything.
		handle.allowHalfOpen = true;
		listeners.on("error", this.onError).on("close", this.onClose);
		offWhenClosed(handle, listeners);
		if (handle.destroyed) this.beDestroyed(handle.errored);
		else if (!handle.pending) this.onConnect();
		else {
			if (handle.connecting) this.state |= SS_ISCONNECTING;
			listeners.on("connect", this.onConnect);
		}
	}

	/** The object is closed, with an error or without: nothing more will happen. */
	private beDestroyed(error: unknown): void {
		// It may have been seen already.
		if ((this.state & SS_ISDISCONNECTED) !== 0) return;
		// As in a kernel, what had arrived before can still be received.
		this.takeBytes(Number.POSITIVE_INFINITY);
		if (error) this.error = connectionErrno(error);
		this.isDisconnected();
	}

	private readonly onConnect = (): void => {
		const { handle, listeners } = this;
		this.name = handle.localPort ?? this.name;
		// Not earlier: a stream that is asked to read too early leaves a listener of its own.
		listeners.on("readable", this.onReadable).on("end", this.onReadable);
		listeners.on("drain", this.onRoom).on("finish", this.onFinish);
		this.isConnected();
		if (!handle.writable) this.cantSendMore();
		this.onReadable();
	};

	/** Takes the bytes that there is room for; after the last one comes the end. */
	private readonly onReadable = (): void => {
		const { bytes, handle, rcv } = this;
		if (handle.destroyed) return;
		const before = rcv.cc;
		this.takeBytes(rcv.space);
		if ((this.state & SS_CANTRCVMORE) !== 0) return;
		if (bytes.length === 0 && bytes.ended) this.cantReceiveMore();
		else if (rcv.cc > before) rcv.wakeup();
	};

	/** Takes up to `most` bytes; all of them if they are discarded. */
	private takeBytes(most: number): void {
		const { bytes, deaf, rcv } = this;
		let room = deaf ? Number.POSITIVE_INFINITY : most;
		while (room > 0) {
			const chunk = bytes.take(room);
			if (chunk === null) break;
			room -= chunk.length;
			if (!deaf) rcv.append(packetOf(chunk));
		}
		bytes.goOn();
	}

	private readonly onFinish = (): void => {
		if ((this.state & SS_CANTSENDMORE) === 0) this.cantSendMore();
	};

	private readonly onRoom = (): void => this.snd.wakeup();

	private readonly onError = (error: unknown): void => this.beDestroyed(error);

	private readonly onClose = (): void => this.beDestroyed(null);

	/** The other end's port; null for a connection that is over, or that has no ports. */
	override get peerName(): Address | null {
		return this.handle.remotePort ?? null;
	}

	/** Node binds sockets itself: EINVAL. */
	override bind(): number {
		return errno.EINVAL;
	}

	/** Only a `net.Server` listens: EOPNOTSUPP. */
	override listenable(): number {
		return errno.EOPNOTSUPP;
	}

	/** Node connects sockets itself: EOPNOTSUPP. */
	override connect(): number {
		return errno.EOPNOTSUPP;
	}

	/** EPIPE when something else has ended the object; EOPNOTSUPP for out-of-band data. */
	override transmit(packet: Packet): number {
		if (packet.urgent) return errno.EOPNOTSUPP;
		if (!this.handle.writable) return errno.EPIPE;
		this.handle.write(packet.bytes, this.onRoom);
		return 0;
	}

	override received(): void {
		if ((this.state & SS_ISCONNECTED) !== 0) this.onReadable();
	}

	/** What the other end sends from now on is discarded. */
	override flushReceived(): void {
		doAll(
			() => super.flushReceived(),
			() => {
				this.deaf = true;
				this.received();
			},
		);
	}

	override finish(): void {
		if ((this.state & SS_CANTSENDMORE) !== 0) return;
		this.cantSendMore();
		this.handle.end();
	}

	/** Node has no out-of-band data. */
	override receiveOob(): number {
		return -errno.EOPNOTSUPP;
	}

	/** What was written still goes out; or the object is released, with what was not received. */
	override detach(): void {
		const isOver = this.listeners.isOff;
		this.listeners.off();
		if (!this.closes) this.giveBack();
		else if (!isOver) closeSocket(this.handle);
		this.rcv.flush();
	}

	private giveBack(): void {
		const { handle, rcv } = this;
		handle.allowHalfOpen = this.halfOpen;
		// Nothing can be put back into a stream that has emitted 'end'.
		if (handle.readableEnded || handle.destroyed) return;
		const chunks: Uint8Array[] = [];
		for (let packet = rcv.first; packet !== null; packet = packet.next) chunks.push(packet.bytes);
		for (const chunk of chunks.reverse()) handle.unshift(chunk);
	}

	/** The listener has gone before the connection was accepted. */
	override abort(): void {
		const isOver = this.listeners.isOff;
		this.listeners.off();
		if (!isOver) resetSocket(this.handle);
		this.rcv.flush();
	}
}

function packetOf(bytes: Uint8Array): Packet {
	return {
		bytes,
		memory: bytes.length,
		address: null,
		rights: null,
		header: 0,
		record: false,
		eor: false,
		urgent: false,
		payer: null,
		next: null,
	};
}

/**
 * The errno of a connection that failed. Where the system says EPIPE, a reset came after a FIN, and
 * was noticed in a write.
 */
function connectionErrno(error: unknown): number {
	const code = errnoOf(error);
	return code === errno.EPIPE ? errno.ECONNRESET : code;
}

/** Sends what was written, then closes; gives up a connection that is not made yet. */
function closeSocket(node: NetSocket): void {
	const listeners = ignoreErrors(node);
	if (node.pending || node.writableFinished) {
		node.destroy();
		return;
	}
	listeners.on("finish", () => node.destroy());
	if (node.writable) node.end();
}

/** Closes at once, and resets the connection. */
export function resetSocket(node: NetSocket): void {
	ignoreErrors(node);
	// A connection to a path cannot be reset.
	if (node.remotePort === undefined) node.destroy();
	else node.resetAndDestroy();
}

/**
 * Makes a descriptor for a `net.Socket`. It is a socket like the emulated ones: `read`, `recv`,
 * `write`, `send`, `shutdown`, `getsockopt`, `getsockname`, poll, select and kevent work on it. Its
 * addresses are ports; a connection to a path has no address.
 *
 * - While the object connects it is neither readable nor writable. A connection that fails leaves
 *   its errno for SO_ERROR.
 * - It is paused: up to SO_RCVBUF bytes are taken out of it and wait to be received. Until they are
 *   received, Node's buffer fills up, then the system's, and then the sender has to wait.
 * - It is writable while the object does not need to drain. WRITE data is what is left of
 *   SO_SNDBUF, which by default is the object's highWaterMark.
 * - The other end's FIN is EV_EOF; the FINs of both ends are a hang-up. For that `allowHalfOpen` is
 *   set: only `shutdown` or `close` sends ours. A reset is a hang-up with ECONNRESET in fflags,
 *   with which one read fails after the bytes that had arrived before. Node notices a FIN or a reset
 *   only when it reads or writes, and it does not read while the receive buffer and Node's own are
 *   full; if bytes were still in the system when the reset came, Node may report it as a FIN.
 * - There is no out-of-band data (EOPNOTSUPP); descriptors cannot be sent (EINVAL).
 *
 * Closing the last descriptor ends the object, and destroys it when everything is sent. Until then
 * it keeps the program alive, as after Node's own `end`. A connection that is not made yet is given
 * up. With `close` false the object is left as it was, with the bytes that were not received yet;
 * those are lost if it has emitted 'end' already.
 *
 * Nothing else may read from the object meanwhile. Errors: EMFILE; EFAULT if it is not a
 * `net.Socket`; EINVAL if it has an encoding.
 */
export function openSocket(thread: Thread, socket: NetSocket, options: OpenOptions = {}): number {
	requireMethods(socket, "openSocket", "read", "write", "end", "destroy", "resetAndDestroy");
	if (socket.readableEncoding !== null)
		throw new SystemError(errno.EINVAL, "openSocket", "the socket has an encoding");
	const file = new NodeSocket(thread.kernel, socket, options.close ?? true);
	file.account = thread.process.account;
	return openNodeFile(thread, file, options);
}

// net.Server as a listening socket.
import type { Socket as NetSocket, Server } from "node:net";
import { getDefaultHighWaterMark } from "node:stream";
import { type Address, SO_ACCEPTCONN } from "@kqpoll/files";
import { SockBuf, Socket } from "@kqpoll/files/kernel";
import { errno, type Kernel, SystemError, type Thread } from "@kqpoll/kqueue";
import { wakeup } from "@kqpoll/kqueue/kernel";
import { Listeners } from "./listeners.ts";
import { errnoOf } from "./node-errors.ts";
import { type NodeFile, type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { NodeSocket, RECEIVE_SPACE, resetSocket, SEND_LOWAT } from "./socket.ts";

/** How many connections wait unless it is said otherwise: as many as Node asks the system for. */
const BACKLOG = 511;

/** What can be chosen when a server gets a descriptor. */
export interface ServerOptions extends OpenOptions {
	/** How many connections may wait to be accepted: 511 unless given. */
	readonly backlog?: number | undefined;
}

/** A `net.Server` as an open file. */
class NodeServer extends Socket implements NodeFile {
	/** The object itself. */
	readonly handle: Server;
	private readonly closes: boolean;
	private readonly listeners: Listeners;

	constructor(kernel: Kernel, server: Server, closes: boolean, backlog: number) {
		super(kernel, {
			domain: "inet",
			type: "stream",
			snd: new SockBuf(getDefaultHighWaterMark(false), SEND_LOWAT),
			rcv: new SockBuf(RECEIVE_SPACE, 1),
		});
		this.handle = server;
		this.closes = closes;
		this.listeners = new Listeners(server);
		this.options |= SO_ACCEPTCONN;
		this.qlimit = backlog;
	}

	start(): void {
		const { listeners, handle } = this;
		listeners.on("connection", (node: NetSocket) => this.arrive(node));
		listeners.on("listening", () => this.listens()).on("close", () => this.isDisconnected());
		listeners.on("error", (error: unknown) => {
			this.error = errnoOf(error);
			wakeup(this.timeo);
			this.rcv.wakeup();
		});
		if (handle.listening) this.listens();
	}

	private listens(): void {
		const address = this.handle.address();
		this.name = typeof address === "object" ? (address?.port ?? null) : address;
	}

	/** A connection waits to be accepted, unless too many do. */
	private arrive(node: NetSocket): void {
		if (this.queue.length >= this.qlimit) {
			resetSocket(node);
			return;
		}
		const so = new NodeSocket(this.kernel, node, true);
		so.inherit(this);
		so.start();
	}

	/** It has no other end. */
	override get peerName(): Address | null {
		return null;
	}

	/** Node does that: EINVAL. */
	override bind(): number {
		return errno.EINVAL;
	}

	/** It does: listen changes how many connections may wait. */
	override listenable(): number {
		return 0;
	}

	/** EOPNOTSUPP: it listens. */
	override connect(): number {
		return errno.EOPNOTSUPP;
	}

	/** ENOTCONN: it has no other end. */
	override transmit(): number {
		return errno.ENOTCONN;
	}

	override received(): void {}

	override finish(): void {
		this.cantSendMore();
	}

	/** EOPNOTSUPP: nothing is received. */
	override receiveOob(): number {
		return -errno.EOPNOTSUPP;
	}

	override detach(): void {
		this.listeners.off();
		if (this.closes) this.handle.close();
	}

	override abort(): void {}
}

/**
 * Gives a `net.Server` that listens, or is about to, a descriptor, which is a listening socket like
 * the emulated ones: READ data is how many connections wait, and `accept` gives a descriptor for
 * the first of them, as by `openSocket`; it keeps the program alive, whatever is chosen for the
 * server. Nobody else may listen for connections meanwhile.
 *
 * A connection that waits is paused: no more of it is read than its receive buffer has room for. One
 * too many is reset; the system has a backlog of its own besides, of the connections that Node has
 * not taken yet. `listen` changes the backlog, up to 128. An error of the server, as EADDRINUSE, is
 * what `accept` fails with, and SO_ERROR. The descriptor hangs up when the server says 'close':
 * after `server.close()` and the end of its last connection.
 *
 * Closing the last descriptor closes the server, or with `close` false lets go of it; the
 * connections that nobody has accepted are reset either way.
 *
 * Errors: EMFILE; EFAULT for what is no `net.Server`; EINVAL for a backlog that is no number from
 * 1 on.
 */
export function openServer(thread: Thread, server: Server, options: ServerOptions = {}): number {
	requireMethods(server, "openServer", "on", "off", "address", "close");
	const { backlog = BACKLOG, close = true } = options;
	if (!Number.isSafeInteger(backlog) || backlog < 1)
		throw new SystemError(errno.EINVAL, "openServer", `backlog ${backlog}`);
	return openNodeFile(thread, new NodeServer(thread.kernel, server, close, backlog), options);
}

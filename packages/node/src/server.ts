// net.Server as a listening socket.
import type { Socket as NetSocket, Server } from "node:net";
import { getDefaultHighWaterMark } from "node:stream";
import { SockBuf, Socket } from "@kqpoll/files/kernel";
import { type Address, SO_ACCEPTCONN } from "@kqpoll/files/socket";
import { errno, type Kernel, SystemError, type Thread } from "@kqpoll/kqueue";
import { wakeup } from "@kqpoll/kqueue/kernel";
import { Listeners } from "./listeners.ts";
import { errnoOf } from "./node-errors.ts";
import { type NodeFile, type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { NodeSocket, RECEIVE_SPACE, resetSocket, SEND_LOWAT } from "./socket.ts";

/** How many connections may wait by default: as many as Node asks the system for. */
const BACKLOG = 511;

/** Options for the descriptor of a server. */
export interface ServerOptions extends OpenOptions {
	/** How many connections may wait to be accepted, by default 511. */
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

	/** Lets a connection wait to be accepted, unless too many do, or the account has too many files. */
	private arrive(node: NetSocket): void {
		if (!this.accepts) {
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

	/** Node has bound it: EINVAL. */
	override bind(): number {
		return errno.EINVAL;
	}

	/** It listens: listen only changes how many connections may wait. */
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
 * Makes a descriptor for a `net.Server` that listens, or is about to. It is a listening socket like
 * the emulated ones: READ data is how many connections wait, and `accept` returns a descriptor for
 * the first of them, like one of `openSocket`. That keeps the program alive, whatever was chosen
 * for the server. Nothing else may listen for the server's connections meanwhile.
 *
 * A connection that waits is paused: no more of it is read than its receive buffer has room for.
 * Connections above the limit, or of the account's open files, are reset; the system has its own
 * backlog besides, for the connections that Node has not taken yet. `listen` changes the limit, up
 * to 128. With an error of the server, such as EADDRINUSE, `accept` fails, and SO_ERROR reports it.
 * The descriptor hangs up when the server emits 'close': after `server.close()` and the end of its
 * last connection.
 *
 * Closing the last descriptor closes the server, or with `close` false releases it; connections
 * that were not accepted are reset in both cases.
 *
 * Errors: EMFILE; EFAULT if it is not a `net.Server`; EINVAL for a backlog that is not a whole
 * number above 0.
 */
export function openServer(thread: Thread, server: Server, options: ServerOptions = {}): number {
	requireMethods(server, "openServer", "on", "off", "address", "close");
	const { backlog = BACKLOG, close = true } = options;
	if (!Number.isSafeInteger(backlog) || backlog < 1)
		throw new SystemError(errno.EINVAL, "openServer", `backlog ${backlog}`);
	const file = new NodeServer(thread.kernel, server, close, backlog);
	file.account = thread.process.account;
	return openNodeFile(thread, file, options);
}

// The addresses of a machine that are taken, and the sockets that have them.
import { errno, type Kernel } from "@kqpoll/kqueue";
import { inFlightOf } from "../shared/rights.ts";
import type { Socket } from "./socket.ts";
import type { Address } from "./socket-constants.ts";

/** How long a local name can be: what a sockaddr_un has room for. */
const NAME_MAX = 103;
/** The largest port. */
const PORT_MAX = 65535;
/** The first port of those that are chosen for sockets that do not ask for one. */
const FIRST_PORT = 49152;

/** The addresses of one machine, by protocol. A local name ends with its socket: it is not a file. */
class Names {
	/** Local names, of sockets of any type. */
	readonly local: Map<Address, Socket> = new Map();
	/** Ports of streams. */
	readonly tcp: Map<Address, Socket> = new Map();
	/** Ports of datagrams. */
	readonly udp: Map<Address, Socket> = new Map();
	private nextPort = FIRST_PORT;

	/** A free port of the upper range, or 0 when there is none. */
	private freePort(ports: ReadonlyMap<Address, Socket>): number {
		for (let tries = FIRST_PORT; tries <= PORT_MAX; tries++) {
			const port = this.nextPort;
			this.nextPort = port === PORT_MAX ? FIRST_PORT : port + 1;
			if (!ports.has(port)) return port;
		}
		return 0;
	}

	/**
	 * Sets the port of a socket, for 0 a free one. Returns 0 or an errno: EADDRNOTAVAIL also when the
	 * socket's account has too many.
	 */
	bindPort(ports: Map<Address, Socket>, so: Socket, wanted: Address): number {
		if (so.name !== null) return errno.EINVAL;
		const error = this.takePort(ports, so, wanted);
		// It may be that sockets have it that nobody can receive.
		return error === 0 || !inFlightOf(so.kernel).reclaim()
			? error
			: this.takePort(ports, so, wanted);
	}

	private takePort(ports: Map<Address, Socket>, so: Socket, wanted: Address): number {
		if (!so.account.ports.hasRoom(1)) return errno.EADDRNOTAVAIL;
		const port = wanted === 0 ? this.freePort(ports) : wanted;
		if (port === 0) return errno.EADDRNOTAVAIL;
		const error = take(ports, so, port);
		if (error === 0) so.account.ports.force(1);
		return error;
	}

	/** Frees the port of a socket. That of a connection of a listener is the listener's. */
	freePortOf(ports: Map<Address, Socket>, so: Socket): void {
		if (release(ports, so)) so.account.ports.release(1);
	}
}

/** Sets the address of a socket. Returns 0 or EADDRINUSE. */
export function take(names: Map<Address, Socket>, so: Socket, address: Address): number {
	if (names.has(address)) return errno.EADDRINUSE;
	names.set(address, so);
	so.name = address;
	return 0;
}

/**
 * Frees the address of a socket, if that socket is the one that is found by it. Returns whether it
 * is.
 */
export function release(names: Map<Address, Socket>, so: Socket): boolean {
	return so.name !== null && names.get(so.name) === so && names.delete(so.name);
}

/** Returns 0 if this is an address of a socket's domain, else an errno. */
export function checkAddress(so: Socket, address: Address): number {
	if (so.domain === "inet") {
		if (typeof address !== "number") return errno.EAFNOSUPPORT;
		const valid = Number.isInteger(address) && address >= 0 && address <= PORT_MAX;
		return valid ? 0 : errno.EINVAL;
	}
	if (typeof address !== "string") return errno.EAFNOSUPPORT;
	if (address.length > NAME_MAX) return errno.ENAMETOOLONG;
	return address === "" ? errno.EINVAL : 0;
}

const machines: WeakMap<Kernel, Names> = new WeakMap();

/** The addresses of a machine. */
export function namesOf(kernel: Kernel): Names {
	let names = machines.get(kernel);
	if (names === undefined) {
		names = new Names();
		machines.set(kernel, names);
	}
	return names;
}

// Transfers of the guest, in pieces if they do not fit into the mailbox.
import { wasiErrno } from "@kqpoll/wasi/kernel";
import { CAPACITY } from "../abi/mailbox.ts";
import type { Exchange, Value } from "./exchange.ts";
import { type GuestMemory, IOV_MAX, lengthOf, slice } from "./memory.ts";

/** How many bytes go at once: all but the parameters that go with them. */
const PIECE = CAPACITY - 64;
const FILETYPE_REGULAR_FILE = 4;
const FILETYPE_SOCKET_DGRAM = 5;
const RECV_PEEK = 1;
const RECV_WAITALL = 2;

/** Where a transfer has what all of them have, among its parameters. */
interface Places {
	/** How many bytes it were. */
	readonly result: number;
	/** The offset in the file, -1 for none. */
	readonly offset: number;
	/** Whether the kernel may return less than there is room for, and there is nothing wrong. */
	readonly partial: boolean;
}

const PLACES: Readonly<Record<string, Places>> = {
	fd_read: { result: 3, offset: -1, partial: true },
	fd_write: { result: 3, offset: -1, partial: false },
	fd_pread: { result: 4, offset: 3, partial: true },
	fd_pwrite: { result: 4, offset: 3, partial: false },
	sock_recv: { result: 4, offset: -1, partial: true },
	sock_send: { result: 4, offset: -1, partial: false },
};

/** The functions that transfer bytes. */
export const TRANSFERS: readonly string[] = Object.keys(PLACES);

/** Makes the import of a transfer. */
export function transferOf(
	exchange: Exchange,
	memory: GuestMemory,
	name: string,
): (...values: Value[]) => number {
	const places = PLACES[name] as Places;
	return (...values) => {
		const pieces = memory.pieces(values[1] as number, values[2] as number);
		// A message of more pieces than a transfer takes cannot be cut.
		if ((values[2] as number) >>> 0 > IOV_MAX && isMessage(exchange, name, values[0] as number))
			return wasiErrno.INVAL;
		const total = lengthOf(pieces);
		if (total <= PIECE) return exchange.call(name, values, pieces);
		// All pointers are checked before the first piece.
		memory.bytes(values[places.result] as number, 4);
		const filetype = filetypeOf(exchange, values[0] as number);
		// A message stays whole.
		if (filetype === FILETYPE_SOCKET_DGRAM) return exchange.call(name, values, pieces);
		const goesOn = !places.partial || filetype === FILETYPE_REGULAR_FILE || wantsAll(name, values);
		return inPieces(exchange, memory, name, values, { pieces, total, goesOn });
	};
}

function isMessage(exchange: Exchange, name: string, fd: number): boolean {
	return name.startsWith("sock_") || filetypeOf(exchange, fd) === FILETYPE_SOCKET_DGRAM;
}

/** A transfer that is made piece by piece. */
interface Long {
	readonly pieces: readonly Uint8Array[];
	readonly total: number;
	/** Whether a piece that was full is followed by the next. */
	readonly goesOn: boolean;
}

function inPieces(
	exchange: Exchange,
	memory: GuestMemory,
	name: string,
	values: readonly Value[],
	{ pieces, total, goesOn }: Long,
): number {
	const { result, offset } = PLACES[name] as Places;
	const count = memory.view(values[result] as number, 4);
	const moving = [...values];
	let done = 0;
	for (;;) {
		const length = Math.min(PIECE, total - done);
		if (offset >= 0) moving[offset] = (values[offset] as bigint) + BigInt(done);
		const errno = exchange.call(name, moving, slice(pieces, done, length));
		// What was transferred before an error counts.
		if (errno !== wasiErrno.SUCCESS && done === 0) return errno;
		const moved = errno === wasiErrno.SUCCESS ? count.getUint32(0, true) : 0;
		done += moved;
		if (goesOn && moved === length && done < total) continue;
		count.setUint32(0, done, true);
		return wasiErrno.SUCCESS;
	}
}

/** Whether a receive waits until its whole buffer is full. */
function wantsAll(name: string, values: readonly Value[]): boolean {
	const flags = values[3] as number;
	return name === "sock_recv" && (flags & (RECV_WAITALL | RECV_PEEK)) === RECV_WAITALL;
}

/** What kind of file a descriptor is, -1 if the kernel does not say. */
function filetypeOf(exchange: Exchange, fd: number): number {
	const { mailbox } = exchange;
	mailbox.setParameter(0, fd);
	mailbox.setParameter(1, mailbox.start);
	const errno = exchange.ask(mailbox, "fd_fdstat_get");
	return errno === wasiErrno.SUCCESS ? (mailbox.bytes[mailbox.start] as number) : -1;
}

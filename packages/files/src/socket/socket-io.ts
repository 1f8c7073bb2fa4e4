// sosend and soreceive: what moves between a program and a socket's buffers, without sleeping.
import { errno, type Process, type Thread } from "@kqpoll/kqueue";
import {
	type Account,
	attempt,
	type File,
	fileRelease,
	type Resource,
	rethrow,
} from "@kqpoll/kqueue/kernel";
import { depthOf, inFlightOf, Rights } from "../shared/rights.ts";
import type { Socket } from "./socket.ts";
import { type Packet, releaseAll } from "./socket-buffer.ts";
import {
	type Address,
	MSG_CMSG_CLOEXEC,
	MSG_DONTWAIT,
	MSG_EOR,
	MSG_OOB,
	MSG_PEEK,
	MSG_TRUNC,
	MSG_WAITALL,
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
	SS_ISCONNECTED,
	SS_ISCONNECTING,
	SS_RCVATMARK,
} from "./socket-constants.ts";

/** Out-of-band data may exceed the room by this many bytes. */
const OOB_EXTRA = 1024;
/** How many bytes of a buffer the files of a message take: this once, and again for each. */
const RIGHTS_SIZE = 16;

/** What is to be sent. */
interface Outgoing {
	/** Its bytes; the packet gets a copy. */
	readonly bytes: Uint8Array;
	/** MSG_ flags. */
	readonly flags: number;
	/** Where to, if the socket is not connected. */
	readonly to: Address | null;
	/** The open files to send with it. */
	readonly files: readonly File[] | null;
	/** To whom it is charged until it is received. */
	readonly payer: Account;
}

/** What recvmsg returns besides bytes. */
export interface Received {
	/** The address of the sender, null if that is not known. */
	address: Address | null;
	/** The descriptors that came with it. */
	fds: number[];
	/** MSG_TRUNC if the message was longer than the buffer. */
	flags: number;
}

/**
 * Sends what there is room for. Returns how many bytes, or a negative errno: -EAGAIN when there is
 * no room. A message is sent as a whole or not at all. -ENOBUFS when the sender's account has too
 * many bytes or packets in buffers or messages that are nested too deep, -EMFILE when it has too
 * many open files in messages.
 * @kern sosend
 */
export function sosend(so: Socket, out: Outgoing): number {
	const { bytes, flags, to } = out;
	const { snd, atomic } = so;
	if (!atomic && (flags & MSG_EOR) !== 0) return -errno.EINVAL;
	let { files } = out;
	let done = 0;
	do {
		const error = refusal(so, to);
		if (error !== 0) return -error;
		const control = controlLength(files);
		const rest = bytes.length - done;
		if ((atomic && rest > snd.hiwat) || control > snd.hiwat) return -errno.EMSGSIZE;
		const space = snd.space + ((flags & MSG_OOB) !== 0 ? OOB_EXTRA : 0);
		// Files go with a byte, if there is one: a call that sends them alone would send them again.
		if (
			space < control + Math.min(rest, 1) ||
			(space - control < rest && (atomic || space < snd.lowat))
		)
			return done || -errno.EAGAIN;
		const n = Math.min(rest, space - control);
		if (n === 0 && !atomic && files === null) return -so.sendNothing((flags & MSG_OOB) !== 0);
		const short = shortage(so, out.payer, n, files);
		if (short !== 0) return done || -short;
		// Not bytes.slice: that of Node's Buffer makes no copy.
		const copy = Uint8Array.prototype.slice.call(bytes, done, done + n);
		const packet = packetOf(so, out, copy, files);
		const failure = so.transmit(packet, to);
		if (failure !== 0) {
			packet.rights?.discard();
			return -failure;
		}
		files = null;
		done += n;
	} while (done < bytes.length);
	return done;
}

/** Why a socket cannot send, even with room: an errno, or 0 if it can. Takes the pending error. */
function refusal(so: Socket, to: Address | null): number {
	if ((so.state & SS_CANTSENDMORE) !== 0) return errno.EPIPE;
	if (so.error !== 0) return so.takeError();
	if ((so.state & SS_ISCONNECTED) !== 0) return 0;
	if (so.connectionRequired) return errno.ENOTCONN;
	return to === null ? errno.EDESTADDRREQ : 0;
}

/**
 * How much room a send asks for to pass some files: each number of the program's message, which is
 * padded to an even count, becomes RIGHTS_SIZE bytes. So an odd count asks for more than it takes.
 */
function controlLength(files: readonly File[] | null): number {
	return files === null ? 0 : RIGHTS_SIZE * (1 + 2 * Math.ceil(files.length / 2));
}

/** Whether the sender's account may not send a packet: an errno, or 0. */
function shortage(so: Socket, payer: Account, n: number, files: readonly File[] | null): number {
	let missing = missingFor(so, payer, n, files);
	// It may be that sockets have it that nobody can receive.
	if (missing !== null && inFlightOf(so.kernel).reclaim())
		missing = missingFor(so, payer, n, files);
	if (missing === null) return 0;
	return missing === "inflight" ? errno.EMFILE : errno.ENOBUFS;
}

/** Of what the sender's account has too little left for a packet of `n` bytes; null for nothing. */
export function missingFor(
	so: Socket,
	payer: Account,
	n: number,
	files: readonly File[] | null,
): Resource | null {
	// The receiver pays for a datagram.
	if (so.kind !== "dgram") {
		if (!payer.bytes.hasRoom(headerLength(so, files) + n)) return "bytes";
		if (!payer.packets.hasRoom(1)) return "packets";
	}
	if (files === null) return null;
	if (!payer.inflight.hasRoom(files.length)) return "inflight";
	return payer.nesting.hasRoom(depthOf(files)) ? null : "nesting";
}

/** How many bytes of a buffer the address of the sender and the files take. */
function headerLength(so: Socket, files: readonly File[] | null): number {
	const rights = files === null ? 0 : RIGHTS_SIZE * (1 + files.length);
	return rights + (so.kind === "dgram" ? so.addressSize : 0);
}

/** Makes a packet, which holds the files from now on. */
function packetOf(
	so: Socket,
	out: Outgoing,
	bytes: Uint8Array,
	files: readonly File[] | null,
): Packet {
	return {
		bytes,
		memory: bytes.length,
		address: so.kind === "dgram" ? so.name : null,
		rights: files === null ? null : new Rights(so.kernel, files, out.payer),
		header: headerLength(so, files),
		record: so.atomic || files !== null,
		eor: (out.flags & MSG_EOR) !== 0,
		urgent: (out.flags & MSG_OOB) !== 0,
		payer: out.payer,
		next: null,
	};
}

/**
 * Receives what there is. Returns how many bytes, 0 at the end, or a negative errno: -EAGAIN when
 * there is nothing, or without MSG_DONTWAIT too little, yet. `into` gets the address and the files;
 * without it the files are released. An empty packet that nobody can see is stepped over.
 * @kern soreceive
 */
export function soreceive(
	so: Socket,
	thread: Thread,
	buffer: Uint8Array,
	flags: number,
	into: Received | null,
): number {
	if ((flags & MSG_OOB) !== 0) return so.receiveOob(buffer, flags);
	for (;;) {
		const { first } = so.rcv;
		if (first === null || tooLittle(so, buffer.length, flags)) {
			const result = nothingYet(so, buffer.length, flags, into);
			if (result !== TAKE) return result;
		}
		// At the end of what can be received an empty packet counts, and if no bytes are wanted.
		const over = buffer.length === 0 || (so.state & SS_CANTRCVMORE) !== 0;
		const visible = over || seen(so, first as Packet, into);
		const n = receivePacket(so, thread, buffer, visible ? flags : flags & ~MSG_PEEK, into);
		if (n !== 0 || visible) return n;
	}
}

/** Says that there are bytes to take, although fewer than were asked for. */
const TAKE = -0x10000;

/** Why there is too little: an errno, 0 at the end, or TAKE for what there is. */
function nothingYet(so: Socket, wanted: number, flags: number, into: Received | null): number {
	const { first } = so.rcv;
	if (so.error !== 0) {
		if (first !== null) return TAKE;
		return -((flags & MSG_PEEK) !== 0 ? so.error : so.takeError());
	}
	if ((so.state & SS_CANTRCVMORE) !== 0) return first === null ? 0 : TAKE;
	if (so.connectionRequired && (so.state & (SS_ISCONNECTED | SS_ISCONNECTING)) === 0)
		return -errno.ENOTCONN;
	return wanted === 0 && into === null ? 0 : -errno.EAGAIN;
}

/** Whether a packet shows at the receiver even if it is empty: by its end, its sender or its files. */
function seen(so: Socket, packet: Packet, into: Received | null): boolean {
	if (packet.bytes.length > 0 || packet.eor || so.kind === "dgram") return true;
	return packet.rights !== null && into !== null;
}

/** Receives from the first packet on, which there is. Returns how many bytes, or a negative errno. */
function receivePacket(
	so: Socket,
	thread: Thread,
	buffer: Uint8Array,
	flags: number,
	into: Received | null,
): number {
	const peek = (flags & MSG_PEEK) !== 0;
	const packet = so.rcv.first as Packet;
	if (into !== null) into.address = packet.address;
	let error = 0;
	if (packet.rights !== null && !peek) error = receiveFiles(so, thread, flags, into);
	const n = error === 0 ? take(so, buffer, peek, into) : error;
	if (!peek && !(n > 0 && wantsMore(so, flags, buffer.length - n))) so.received();
	return n;
}

/**
 * Whether a receiver that has received something sleeps for the `missing` bytes of its buffer:
 * with MSG_WAITALL, from a stream that has no more now, but may get more. The sender has not been
 * told then that something was received.
 */
export function wantsMore(so: Socket, flags: number, missing: number): boolean {
	if ((flags & MSG_WAITALL) === 0 || (flags & MSG_PEEK) !== 0 || missing === 0) return false;
	if (so.atomic || so.rcv.first !== null || so.error !== 0) return false;
	return (so.state & (SS_CANTRCVMORE | SS_RCVATMARK)) === 0;
}

/**
 * Receives more into the rest of a buffer that MSG_WAITALL wants to fill, however little there is.
 * Returns 0 before bytes that carry files: those are for another call.
 */
export function receiveMore(
	so: Socket,
	thread: Thread,
	rest: Uint8Array,
	into: Received | null,
): number {
	const { first } = so.rcv;
	if (first !== null && first.rights === null)
		return receivePacket(so, thread, rest, MSG_WAITALL, into);
	if (!wantsMore(so, MSG_WAITALL, rest.length)) so.received();
	return 0;
}

/** Whether a stream holds fewer bytes than the receiver wants to wait for. */
function tooLittle(so: Socket, wanted: number, flags: number): boolean {
	const { rcv, atomic } = so;
	if (atomic || (flags & MSG_DONTWAIT) !== 0 || rcv.cc >= wanted) return false;
	const all = (flags & MSG_WAITALL) !== 0 && wanted <= rcv.hiwat && !so.stalls;
	if (rcv.cc >= rcv.lowat && !all) return false;
	return !rcv.hasNextRecord;
}

/** Returns 0 when all files of the first packet have descriptors, or -EMFILE when none has. */
function receiveFiles(so: Socket, thread: Thread, flags: number, into: Received | null): number {
	const rights = so.rcv.takeRights();
	const fds: number[] = [];
	const error = into === null ? 0 : openAll(thread.process, rights.files, fds);
	if (into !== null) into.fds = fds;
	try {
		if (into === null || error !== 0) {
			rights.discard();
		} else {
			for (const fd of fds) thread.process.fdp.setCloexec(fd, (flags & MSG_CMSG_CLOEXEC) !== 0);
			releaseAll(rights.take(), thread);
		}
	} catch (value) {
		// The message stays, but its files do not take room any more.
		rethrow(attempt({ value }, () => so.received()));
	}
	return error;
}

/** Opens descriptors for all files and adds them to `fds`, or returns -EMFILE and opens none. */
function openAll({ fdp }: Process, files: readonly File[], fds: number[]): number {
	for (const file of files) {
		const fd = fdp.findFree();
		if (fd < 0) {
			for (const each of fds.splice(0)) fileRelease(fdp.replace(each, null) as File, null);
			return fd;
		}
		fdp.insert(fd, file);
		fds.push(fd);
	}
	return 0;
}

/** Copies bytes to the receiver, up to the end of the record or the out-of-band mark. */
function take(so: Socket, buffer: Uint8Array, peek: boolean, into: Received | null): number {
	const { rcv } = so;
	let done = 0;
	let packet = rcv.first;
	while (packet !== null && (done < buffer.length || so.atomic || packet.bytes.length === 0)) {
		const { next, bytes } = packet;
		let n = Math.min(bytes.length, buffer.length - done);
		if (so.oobmark !== 0) n = Math.min(n, so.oobmark - (peek ? done : 0));
		buffer.set(bytes.subarray(0, n), done);
		done += n;
		if (so.atomic) {
			if (n < bytes.length && into !== null) into.flags |= MSG_TRUNC;
			if (!peek) rcv.dropRecord();
			return done;
		}
		if (!peek) {
			rcv.drop(n);
			if (n > 0) so.state &= ~SS_RCVATMARK;
		}
		if (so.oobmark !== 0 && passMark(so, peek, peek ? done : n)) break;
		if (next === null || next.record) break;
		packet = next;
	}
	return done;
}

/** Counts bytes towards the out-of-band mark. Returns whether it is reached. */
function passMark(so: Socket, peek: boolean, n: number): boolean {
	if (peek) return n === so.oobmark;
	so.oobmark -= n;
	if (so.oobmark > 0) return false;
	so.state |= SS_RCVATMARK;
	return true;
}

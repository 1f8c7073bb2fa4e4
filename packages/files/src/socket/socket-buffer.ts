// struct sockbuf: what waits to be received or to be sent, and the sleepers and watchers that wait
// for it.
import type { Thread } from "@kqpoll/kqueue";
import {
	type Account,
	attempt,
	type Failure,
	type File,
	fileRelease,
	Klist,
	kassert,
	rethrow,
	WaitChannel,
	wakeup,
} from "@kqpoll/kqueue/kernel";
import type { Rights } from "../shared/rights.ts";
import type { Address } from "./socket-constants.ts";

/** Packets of a stream with fewer bytes than this are put together. */
const FEW = 512;
/** They are put into pieces of memory of at most this many bytes. */
const CHUNK = 4096;
/** The first such piece has this many bytes, and each of the next twice as many as the one before. */
const FIRST_CHUNK = 64;
/** Bytes that use less than one part in this many of their memory get memory of their own. */
const WASTE = 4;

const NOTHING: Uint8Array = new Uint8Array(0);

/** What one send puts into a buffer. */
export interface Packet {
	/** What is left of its bytes. */
	bytes: Uint8Array;
	/** How many bytes the memory has that they are in. */
	memory: number;
	/** The address of its sender, null if that has none. */
	readonly address: Address | null;
	/** The open files that are sent with it; null if there are none, or they were received. */
	rights: Rights | null;
	/** How many bytes of the buffer its address and files take. */
	header: number;
	/** Whether a call that receives what is before it stops there. */
	readonly record: boolean;
	/** Whether it was sent with MSG_EOR: then it is received even if it is empty. */
	readonly eor: boolean;
	/** Whether its last byte is out-of-band. */
	urgent: boolean;
	/** To whom it is charged while it is in a buffer, with its bytes; null for nobody. */
	payer: Account | null;
	/** SockBuf: the packet after it. */
	next: Packet | null;
}

/** The buffer of one direction of a socket. */
export class SockBuf {
	/** READ and EXCEPT knotes of a receive buffer, WRITE knotes of a send buffer. */
	readonly klist: Klist = new Klist();
	/** Threads that wait for data or room sleep here. */
	readonly channel: WaitChannel = new WaitChannel();
	/** How many bytes it may hold. */
	hiwat: number;
	/** There is an event when there are at least this many bytes of data or room. */
	lowat: number;
	/** How long a call that waits for it may sleep each time, in nanoseconds; Infinity for no limit. */
	timeo: number = Number.POSITIVE_INFINITY;
	/**
	 * How many bytes it holds, headers included. A local stream's sender counts what its receiver
	 * holds, as far as it was told.
	 */
	cc = 0;
	/** How many bytes of data it holds. */
	datacc = 0;
	/** The first packet. */
	first: Packet | null = null;
	private last: Packet | null = null;
	/** How much memory there is behind the bytes of the last packet, for those that follow. */
	private spare = 0;
	/** How many packets begin a record. */
	private records = 0;
	/** The open files of the first packet that has any. */
	private firstRights: Rights | null = null;
	private lastRights: Rights | null = null;
	/** How deep messages were nested that came since it had no open files. */
	private deepest = 0;

	/** Makes an empty buffer. */
	constructor(hiwat: number, lowat: number) {
		this.hiwat = hiwat;
		this.lowat = Math.min(lowat, hiwat);
	}

	/** How much room there is; negative when the limit was lowered. */
	get space(): number {
		return this.hiwat - this.cc;
	}

	/**
	 * Appends a packet, and charges it to its payer, whatever the limit. Few bytes that continue a
	 * stream are copied to the end of the last packet.
	 * @kern sbcompress
	 */
	append(packet: Packet): void {
		const { last } = this;
		const { bytes, header, payer } = packet;
		const n = bytes.length;
		this.cc += header + n;
		this.datacc += n;
		payer?.bytes.force(header + n);
		if (last !== null && n < FEW && continues(packet, last)) {
			if (n <= this.spare) {
				this.extend(last, bytes);
				return;
			}
			const room = Math.max(n, Math.min(CHUNK, Math.max(FIRST_CHUNK, 2 * last.bytes.length)));
			packet.bytes = new Uint8Array(room).subarray(0, n);
			packet.bytes.set(bytes);
			packet.memory = room;
			this.spare = room - n;
		} else {
			dropWaste(packet);
			this.spare = 0;
		}
		if (last === null) this.first = packet;
		else last.next = packet;
		this.last = packet;
		payer?.packets.force(1);
		if (packet.record) this.records++;
		if (packet.rights !== null) this.appendRights(packet.rights);
	}

	/** Copies bytes to the end of the last packet, which has memory for them. */
	private extend(last: Packet, more: Uint8Array): void {
		const { buffer, byteOffset, length } = last.bytes;
		last.bytes = new Uint8Array(buffer, byteOffset, length + more.length);
		last.bytes.set(more, length);
		this.spare -= more.length;
	}

	/** Whether a record begins behind the first packet. */
	get hasNextRecord(): boolean {
		return this.records > (this.first?.record === true ? 1 : 0);
	}

	private appendRights(rights: Rights): void {
		if (this.lastRights === null) {
			this.firstRights = rights;
			this.deepest = 0;
		} else this.lastRights.next = rights;
		this.lastRights = rights;
		this.deepest = Math.max(this.deepest, rights.depth);
	}

	/** How deep the messages in it are nested, at most; 0 if none has open files. */
	get depth(): number {
		return this.carries ? this.deepest : 0;
	}

	/** Whether there are open files in it. */
	get carries(): boolean {
		return this.firstRights !== null;
	}

	/** Calls `visit` with the open files of each packet that has any, in their order. */
	eachRights(visit: (rights: Rights) => void): void {
		for (let rights = this.firstRights; rights !== null; rights = rights.next) visit(rights);
	}

	/** Removes the first bytes of the first packet, and the packet if that was all of it. */
	drop(n: number): void {
		const packet = this.first as Packet;
		if (n === packet.bytes.length) {
			this.dropRecord();
			return;
		}
		packet.bytes = packet.bytes.subarray(n);
		dropWaste(packet);
		this.cc -= n;
		this.datacc -= n;
		packet.payer?.bytes.release(n);
	}

	/** Removes the first packet with all that is left of it. Its open files were taken before. */
	dropRecord(): void {
		const packet = this.first as Packet;
		this.cc -= packet.header + packet.bytes.length;
		this.datacc -= packet.bytes.length;
		this.first = packet.next;
		if (this.first === null) this.last = null;
		packet.next = null;
		if (packet.record) this.records--;
		discharge(packet);
	}

	/** Removes the open files from the first packet, which has some, and returns them. */
	takeRights(): Rights {
		const packet = this.first as Packet;
		const rights = packet.rights as Rights;
		packet.rights = null;
		this.cc -= packet.header;
		packet.payer?.bytes.release(packet.header);
		packet.header = 0;
		this.firstRights = rights.next;
		if (rights.next === null) this.lastRights = null;
		rights.next = null;
		return rights;
	}

	/** Removes everything. */
	flush(): void {
		const rights = this.firstRights;
		for (let packet = this.first; packet !== null; packet = packet.next) discharge(packet);
		this.records = 0;
		this.first = null;
		this.last = null;
		this.firstRights = null;
		this.lastRights = null;
		this.cc = 0;
		this.datacc = 0;
		rights?.discard();
	}

	/**
	 * For diagnostics: throws a Panic unless the packets are linked and counted. `others` is what
	 * `cc` counts besides them.
	 * @kern sbcheck
	 */
	check(others = 0): void {
		let cc = others;
		let datacc = 0;
		let records = 0;
		let last: Packet | null = null;
		let rights = this.firstRights;
		for (let packet = this.first; packet !== null; packet = packet.next) {
			cc += packet.header + packet.bytes.length;
			datacc += packet.bytes.length;
			packetCheck(packet);
			last = packet;
			if (packet.record) records++;
			if (packet.rights === null) continue;
			kassert(packet.rights === rights, "a buffer knows the packets with open files");
			rights = rights.next;
		}
		kassert(rights === null, "a buffer has the open files of its packets alone");
		kassert(last === this.last, "a buffer knows its last packet");
		kassert(records === this.records, "a buffer counts its records");
		kassert(cc === this.cc, "a buffer counts what it holds");
		kassert(datacc === this.datacc, "a buffer counts its data");
		kassert(this.lowat >= 0 && this.lowat <= this.hiwat, "a buffer's low-water mark is in it");
	}

	/**
	 * Wakes sleepers and notifies watchers.
	 * @kern sowakeup
	 */
	wakeup(): void {
		wakeup(this.channel);
		this.klist.notify(0);
	}
}

/** Whether a packet is no more than the next bytes of the stream that the last one is of. */
function continues(packet: Packet, last: Packet): boolean {
	if (packet.record || packet.urgent || last.urgent) return false;
	return packet.header === 0 && packet.payer === last.payer;
}

/**
 * The few bytes that are left of many must not keep the memory of all of them, which nobody is charged
 * for any more.
 */
function dropWaste(packet: Packet): void {
	const { bytes, memory } = packet;
	if (memory <= CHUNK || WASTE * bytes.length >= memory) return;
	packet.bytes = new Uint8Array(bytes);
	packet.memory = bytes.length;
}

/** A packet leaves its buffer with all that is left of it. */
function discharge(packet: Packet): void {
	const { bytes, header, payer } = packet;
	packet.bytes = NOTHING;
	if (payer === null) return;
	payer.bytes.release(header + bytes.length);
	payer.packets.release(1);
}

function packetCheck({ bytes, rights, header, record }: Packet): void {
	kassert(header >= 0, "a header takes room");
	kassert(record || bytes.length > 0, "a packet without data is a record");
	if (rights === null) return;
	kassert(record && header > 0, "files begin a record, and take room");
	for (const { inFlight, refs } of rights.files)
		kassert(0 < inFlight && inFlight <= refs, "files that travel are open");
}

/** Releases a reference to each file, then throws the first error: `failure`, or that of a close. */
export function releaseAll(
	files: readonly File[],
	thread: Thread | null,
	failure: Failure = null,
): void {
	let first = failure;
	for (const file of files) first = attempt(first, () => fileRelease(file, thread));
	rethrow(first);
}

/** Wakes two buffers and returns the first error. No closures: TCP does this for each transfer. */
export function wakeBoth(one: SockBuf, other: SockBuf): Failure {
	let failure: Failure = null;
	try {
		one.wakeup();
	} catch (value) {
		failure = { value };
	}
	try {
		other.wakeup();
	} catch (value) {
		failure ??= { value };
	}
	return failure;
}

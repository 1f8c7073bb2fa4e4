// struct sockbuf: what waits to be received or to be sent, and the sleepers and watchers that wait
// for it.
import type { Thread } from "@kqpoll/kqueue";
import {
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

/** What one send puts into a buffer. */
export interface Packet {
	/** What is left of its bytes. */
	bytes: Uint8Array;
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
	readonly urgent: boolean;
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
	/** The open files of the first packet that has any. */
	private firstRights: Rights | null = null;
	private lastRights: Rights | null = null;

	/** Makes an empty buffer. */
	constructor(hiwat: number, lowat: number) {
		this.hiwat = hiwat;
		this.lowat = Math.min(lowat, hiwat);
	}

	/** How much room there is; negative when the limit was lowered. */
	get space(): number {
		return this.hiwat - this.cc;
	}

	/** Appends a packet. */
	append(packet: Packet): void {
		if (this.last === null) this.first = packet;
		else this.last.next = packet;
		this.last = packet;
		this.cc += packet.header + packet.bytes.length;
		this.datacc += packet.bytes.length;
		if (packet.rights !== null) this.appendRights(packet.rights);
	}

	private appendRights(rights: Rights): void {
		if (this.lastRights === null) this.firstRights = rights;
		else this.lastRights.next = rights;
		this.lastRights = rights;
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
		packet.bytes = packet.bytes.subarray(n);
		this.cc -= n;
		this.datacc -= n;
		if (packet.bytes.length === 0) this.dropRecord();
	}

	/** Removes the first packet with all that is left of it. Its open files were taken before. */
	dropRecord(): void {
		const packet = this.first as Packet;
		this.cc -= packet.header + packet.bytes.length;
		this.datacc -= packet.bytes.length;
		this.first = packet.next;
		if (this.first === null) this.last = null;
		packet.next = null;
	}

	/** Removes the open files from the first packet, which has some, and returns them. */
	takeRights(): Rights {
		const packet = this.first as Packet;
		const rights = packet.rights as Rights;
		packet.rights = null;
		this.cc -= packet.header;
		packet.header = 0;
		this.firstRights = rights.next;
		if (rights.next === null) this.lastRights = null;
		rights.next = null;
		return rights;
	}

	/** Removes everything. */
	flush(): void {
		const rights = this.firstRights;
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
		let last: Packet | null = null;
		let rights = this.firstRights;
		for (let packet = this.first; packet !== null; packet = packet.next) {
			cc += packet.header + packet.bytes.length;
			datacc += packet.bytes.length;
			packetCheck(packet);
			last = packet;
			if (packet.rights === null) continue;
			kassert(packet.rights === rights, "a buffer knows the packets with open files");
			rights = rights.next;
		}
		kassert(rights === null, "a buffer has the open files of its packets alone");
		kassert(last === this.last, "a buffer knows its last packet");
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

// struct sockbuf: what waits to be received or to go out, and who waits for that.
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
import type { Address } from "./socket-constants.ts";

/** What one send puts into a buffer. */
export interface Packet {
	/** What is left of its bytes. */
	bytes: Uint8Array;
	/** Who sent it, null if the sender has no name. */
	readonly address: Address | null;
	/** The open files that travel with it, each with a reference. */
	files: readonly File[] | null;
	/** How many bytes of the buffer its address and files take. */
	header: number;
	/** Whether what comes before it must be received by another call. */
	readonly record: boolean;
	/** Whether its last byte is out-of-band. */
	readonly urgent: boolean;
	/** SockBuf: what comes after it. */
	next: Packet | null;
}

/** The buffer of one direction of a socket. */
export class SockBuf {
	/** READ and EXCEPT knotes of a receive buffer, WRITE knotes of a send buffer. */
	readonly klist: Klist = new Klist();
	/** Where those sleep who wait for data or room. */
	readonly channel: WaitChannel = new WaitChannel();
	/** How many bytes it may hold. */
	hiwat: number;
	/** From how many bytes of data or room on there is an event. */
	lowat: number;
	/** How many bytes it holds, headers included; a local stream's sender mirrors its receiver. */
	cc = 0;
	/** Of a local receiver, the sender's buffer whose `cc` is to be the same. @internal */
	mirror: SockBuf | null = null;
	/** How many bytes of data it holds. */
	datacc = 0;
	/** What is first to go. */
	first: Packet | null = null;
	private last: Packet | null = null;

	/** Makes an empty buffer. */
	constructor(hiwat: number, lowat: number) {
		this.hiwat = hiwat;
		this.lowat = Math.min(lowat, hiwat);
	}

	/** How much room there is; negative when the limit was lowered. */
	get space(): number {
		return this.hiwat - this.cc;
	}

	/** Puts a packet at the end. */
	append(packet: Packet): void {
		if (this.last === null) this.first = packet;
		else this.last.next = packet;
		this.last = packet;
		this.count(packet.header + packet.bytes.length);
		this.datacc += packet.bytes.length;
	}

	/** Takes the first bytes of the first packet, and the packet when that was all. */
	drop(n: number): void {
		const packet = this.first as Packet;
		packet.bytes = packet.bytes.subarray(n);
		this.count(-n);
		this.datacc -= n;
		if (packet.bytes.length === 0) this.dropRecord();
	}

	/** Takes the first packet with all that is left of it. */
	dropRecord(): void {
		const packet = this.first as Packet;
		this.count(-packet.header - packet.bytes.length);
		this.datacc -= packet.bytes.length;
		this.first = packet.next;
		if (this.first === null) this.last = null;
		packet.next = null;
		releaseFiles(packet);
	}

	/** Takes the open files of the first packet; their references go to the caller. */
	takeFiles(): readonly File[] {
		const packet = this.first as Packet;
		const files = packet.files ?? [];
		packet.files = null;
		this.count(-packet.header);
		packet.header = 0;
		return files;
	}

	/** Lets go of all that is in it. */
	flush(): void {
		let packet = this.first;
		this.first = null;
		this.last = null;
		this.count(-this.cc);
		this.datacc = 0;
		let failure: Failure = null;
		for (; packet !== null; packet = packet.next) {
			const { files } = packet;
			packet.files = null;
			if (files !== null) failure = attempt(failure, () => releaseAll(files, null));
		}
		rethrow(failure);
	}

	private count(n: number): void {
		this.cc += n;
		if (this.mirror !== null) this.mirror.cc = this.cc;
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
		for (let packet = this.first; packet !== null; packet = packet.next) {
			cc += packet.header + packet.bytes.length;
			datacc += packet.bytes.length;
			packetCheck(packet);
			last = packet;
		}
		kassert(last === this.last, "a buffer knows its last packet");
		kassert(cc === this.cc, "a buffer counts what it holds");
		kassert(datacc === this.datacc, "a buffer counts its data");
		kassert(this.lowat >= 0 && this.lowat <= this.hiwat, "a buffer's low-water mark is in it");
	}

	/**
	 * Wakes who sleeps for it, and tells who watches.
	 * @kern sowakeup
	 */
	wakeup(): void {
		wakeup(this.channel);
		this.klist.notify(0);
	}
}

function packetCheck({ bytes, files, header, record }: Packet): void {
	kassert(header >= 0, "a header takes room");
	kassert(record || bytes.length > 0, "a packet without data is a record");
	if (files === null) return;
	kassert(record && header > 0, "files begin a record, and take room");
	for (const file of files) kassert(file.refs > 0, "files that travel are open");
}

/** Gives back the files of a packet that nobody receives. */
export function releaseFiles(packet: Packet): void {
	const { files } = packet;
	packet.files = null;
	if (files !== null) releaseAll(files, null);
}

/** Gives back a reference to each of some files; then throws the first error, of `failure` and theirs. */
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

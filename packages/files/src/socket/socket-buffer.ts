// struct sockbuf: what waits to be received or to go out, and who waits for that.
import type { Thread } from "@kqpoll/kqueue";
import {
	attempt,
	type Failure,
	type File,
	fileRelease,
	Klist,
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
		this.cc += packet.header + packet.bytes.length;
		this.datacc += packet.bytes.length;
	}

	/** Takes the first bytes of the first packet, and the packet when that was all. */
	drop(n: number): void {
		const packet = this.first as Packet;
		packet.bytes = packet.bytes.subarray(n);
		this.cc -= n;
		this.datacc -= n;
		if (packet.bytes.length === 0) this.dropRecord();
	}

	/** Takes the first packet with all that is left of it. */
	dropRecord(): void {
		const packet = this.first as Packet;
		this.cc -= packet.header + packet.bytes.length;
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
		this.cc -= packet.header;
		packet.header = 0;
		return files;
	}

	/** Lets go of all that is in it. */
	flush(): void {
		let packet = this.first;
		this.first = null;
		this.last = null;
		this.cc = 0;
		this.datacc = 0;
		let failure: Failure = null;
		for (; packet !== null; packet = packet.next) {
			const { files } = packet;
			packet.files = null;
			if (files !== null) failure = attempt(failure, () => releaseAll(files, null));
		}
		rethrow(failure);
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

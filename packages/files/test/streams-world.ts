// Pairs of ends that carry bytes: how each kind is made, what it promises, and what must not
// remain.

import {
	close,
	fcntl,
	type Kernel,
	type Process,
	read,
	type SleepOptions,
	type Thread,
	write,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import type { File, Klist } from "@kqpoll/kqueue/kernel";
import type { VirtualHost } from "@kqpoll/kqueue/testing";
import * as assert from "uvu/assert";
import { O_RDONLY, O_WRONLY } from "../src/fcntl.ts";
import {
	acceptNow,
	bind,
	connectNow,
	getsockname,
	listen,
	mkfifo,
	openNow,
	PIPE_BUF,
	pipe,
	recv,
	send,
	shutdown,
	socket,
	socketpair,
	Tree,
} from "../src/index.ts";
import type { SockBuf } from "../src/socket/socket-buffer.ts";
import type { FifoFile } from "../src/tree/fifo-file.ts";
import { codeOf } from "./machine.ts";

/** A way to move bytes that sleeps: read and write, or recv and send. */
export interface Transfer {
	readonly read: typeof read;
	readonly write: typeof write;
}

/** What is done with an end. */
type Access = "r" | "w" | "rw";

/** A kind of pair. To test another one, add it to {@link KINDS}. */
export interface Kind {
	/** For the names of tests. */
	readonly name: string;
	/** Makes a pair; returns its descriptors. No thread may be about to run. */
	readonly make: (thread: Thread) => [number, number];
	/** What is done with each of the two. */
	readonly access: readonly [Access, Access];
	/** The ways to move bytes. */
	readonly transfers: readonly Transfer[];
	/** Ends one direction or both, null where nothing but a close does. */
	readonly shutdown: typeof shutdown | null;
	/** The size up to which a write is never divided; writable means room for that. */
	readonly whole: number;
	/** How many bytes a direction holds when nobody reads: at least, and at most. */
	readonly holds: readonly [number, number];
	/** How many of the bytes on their way can be read at once. */
	readonly visible: number;
	/** Whether a writer may stay asleep with `unread` bytes, if poll reports or denies room. */
	readonly mayStall: (unread: number, writable: boolean) => boolean;
	/** Whether a write to an end that is gone may lose bytes that were not received from there. */
	readonly resets: boolean;
	/** The lists of knotes that an end has. */
	readonly klists: (end: File) => readonly Klist[];
	/** How many bytes the buffers of an end hold. */
	readonly stored: (end: File) => number;
}

/** Fields of pipes and sockets that tests look at. */
interface PipeEnd extends File {
	readonly klist: Klist;
	readonly buffer: { readonly count: number };
}
interface SocketFile extends File {
	readonly rcv: SockBuf;
	readonly snd: SockBuf;
}
const pipeEnd = (end: File) => end as PipeEnd;
const socketFile = (end: File) => end as SocketFile;
const fifoFile = (end: File) => end as FifoFile;

const byRead: Transfer = { read, write };
const byRecv: Transfer = {
	read: (thread, fd, buffer, options?: SleepOptions) => recv(thread, fd, buffer, 0, options),
	write: (thread, fd, bytes, options?: SleepOptions) => send(thread, fd, bytes, 0, options),
};

/** A writer that sleeps on a pipe goes on when fewer bytes than this are left. */
const PIPE_RESUMES = 5461;

const ofPipes: Omit<Kind, "name" | "access"> = {
	make: pipe,
	transfers: [byRead],
	shutdown: null,
	whole: PIPE_BUF,
	holds: [16384, 65536],
	visible: Number.POSITIVE_INFINITY,
	mayStall: (unread) => unread >= PIPE_RESUMES,
	resets: false,
	klists: (end) => [pipeEnd(end).klist],
	stored: (end) => pipeEnd(end).buffer.count,
};

const ofSockets: Omit<Kind, "name" | "make" | "holds" | "visible" | "resets"> = {
	access: ["rw", "rw"],
	transfers: [byRead, byRecv],
	shutdown,
	whole: 2048,
	mayStall: (_unread, writable) => !writable,
	klists: (end) => [socketFile(end).rcv.klist, socketFile(end).snd.klist],
	stored: (end) => socketFile(end).rcv.cc + socketFile(end).snd.cc,
};

/** All kinds. */
export const KINDS: readonly Kind[] = [
	{ ...ofPipes, name: "pipe", access: ["rw", "rw"] },
	{ ...ofPipes, name: "pipe, one way", access: ["r", "w"] },
	{
		...ofSockets,
		name: "local socket",
		make: (thread) => socketpair(thread, "stream"),
		holds: [8192, 8192],
		visible: Number.POSITIVE_INFINITY,
		resets: false,
	},
	{
		...ofSockets,
		name: "TCP",
		make: tcpPair,
		holds: [32768, 32768],
		visible: 16384,
		resets: true,
	},
	{
		name: "fifo",
		make: fifoPair,
		access: ["r", "w"],
		transfers: [byRead],
		shutdown: null,
		whole: PIPE_BUF,
		holds: [8192, 8192],
		visible: Number.POSITIVE_INFINITY,
		mayStall: (_unread, writable) => !writable,
		resets: false,
		klists: (end) => [fifoFile(end).fifo.reading.klist, fifoFile(end).fifo.writing.klist],
		stored: (end) => fifoFile(end).vnode.fifo?.buffer.count ?? 0,
	},
];

function tcpPair(thread: Thread): [number, number] {
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 0);
	listen(thread, listener, 1);
	const one = socket(thread, "inet", "stream");
	const port = getsockname(thread, listener) as number;
	assert.is(
		codeOf(() => connectNow(thread, one, port)),
		"EINPROGRESS",
	);
	(thread.kernel.host as VirtualHost).settle();
	const other = acceptNow(thread, listener);
	close(thread, listener);
	return [one, other];
}

function fifoPair(thread: Thread): [number, number] {
	const tree = new Tree();
	mkfifo(thread, tree, "fifo");
	const reader = openNow(thread, tree, "fifo", O_RDONLY | O_NONBLOCK);
	const writer = openNow(thread, tree, "fifo", O_WRONLY);
	fcntl(thread, reader, F_SETFL, 0);
	return [reader, writer];
}

/** What is written by one call. Its bytes tell where they belong. */
export class Written {
	/** Which of the current writes it is, in the upper 3 bits of each byte. */
	readonly slot: number;
	readonly bytes: Uint8Array;
	/** When it began and ended, on the stream's own clock. */
	readonly began: number;
	ended: number = Number.POSITIVE_INFINITY;
	/** How many bytes were accepted, null while that is unknown. */
	accepted: number | null = null;
	/** How many of them were read. */
	read = 0;

	constructor(slot: number, began: number, length: number) {
		this.slot = slot;
		this.began = began;
		this.bytes = new Uint8Array(length);
		for (let i = 0; i < length; i++) this.bytes[i] = (slot << 5) | (scatter(began, i) >>> 27);
	}

	/** How many bytes may still be read. */
	get rest(): number {
		return (this.accepted ?? this.bytes.length) - this.read;
	}
}

/** 32 bits that depend on a write and a place in it, without any period. */
export function scatter(which: number, place: number): number {
	let bits = Math.imul(place + which * 0x10001, 0x9e3779b1);
	bits = Math.imul(bits ^ (bits >>> 15), 0x85ebca6b);
	return bits ^ (bits >>> 13);
}

const SLOTS = 8;

/**
 * A naive stream of bytes: every byte that is written is read once, in order. Calls that overlap
 * may mix, but small ones stay whole.
 */
export class Stream {
	/** What will be read is unknown: a reader threw away what had arrived. */
	unknown = false;
	private readonly whole: number;
	/** Writes of which bytes may still be read, in the order in which they began. */
	private readonly open: Written[] = [];
	private clock = 0;
	/** A small write of which a part was read. */
	private divided: Written | null = null;

	constructor(whole: number) {
		this.whole = whole;
	}

	/** A write begins; null when too many have not ended. */
	begin(length: number): Written | null {
		const taken = this.open.filter(({ accepted }) => accepted === null).map(({ slot }) => slot);
		const free = [...Array(SLOTS).keys()].filter((slot) => !taken.includes(slot));
		const slot = free[this.clock % Math.max(1, free.length)];
		if (slot === undefined) return null;
		const written = new Written(slot, this.clock++, length);
		this.open.push(written);
		return written;
	}

	/** A write ends; null for `accepted` means that the number is unknown. */
	end(written: Written, accepted: number | null): void {
		written.ended = this.clock++;
		written.accepted = accepted;
		assert.ok(written.rest >= 0, "not more is read than was written");
		if (written.rest === 0) this.close(written);
	}

	/** Bytes were read. */
	receive(chunk: Uint8Array): void {
		for (let at = 0; at < chunk.length && !this.unknown; ) {
			const written = this.writerOf(chunk[at] as number);
			const n = Math.min(written.rest, chunk.length - at);
			let same = 0;
			while (same < n && chunk[at + same] === written.bytes[written.read + same]) same++;
			assert.ok(same > 0, `the next byte is byte ${written.read} of a write`);
			at += same;
			written.read += same;
			if (written.rest === 0) this.close(written);
			else if (written.bytes.length <= this.whole) this.divided = written;
		}
	}

	/** How many bytes are on their way at least. */
	get least(): number {
		return this.unknown ? 0 : sum(this.open, (each) => (each.accepted === null ? 0 : each.rest));
	}

	/** How many bytes are on their way at most. */
	get most(): number {
		return this.unknown ? Number.POSITIVE_INFINITY : sum(this.open, (each) => each.rest);
	}

	/** The write to which a byte belongs. All bytes of earlier writes must have been read. */
	private writerOf(byte: number): Written {
		const found = this.open.find(({ slot, rest }) => slot === byte >> 5 && rest > 0);
		assert.ok(found !== undefined, "what is read was written, and is read once");
		const { began } = found as Written;
		for (const each of this.open.filter(({ ended }) => ended < began)) {
			assert.is(each.accepted === null ? 0 : each.rest, 0, "the order of the writes is kept");
			this.close(each);
		}
		assert.ok(this.divided === null || this.divided === found, "a small write stays whole");
		return found as Written;
	}

	private close(written: Written): void {
		const index = this.open.indexOf(written);
		if (index >= 0) this.open.splice(index, 1);
		if (this.divided === written) this.divided = null;
	}
}

/** The open file of an end, and its kind. */
export interface Opened {
	readonly kind: Kind;
	readonly file: File;
}

/** What a machine still has: processes, threads, descriptors, files and knotes. */
export function remains(
	kernel: Kernel,
	processes: readonly Process[],
	ends: readonly Opened[],
): Record<keyof typeof NOTHING, number> {
	return {
		processes: kernel.processes.size,
		threads: sum(processes, ({ threads }) => threads.length),
		descriptors: sum(processes, ({ fdp }) => [...fdp.open()].length),
		kqueues: sum(processes, ({ fdp }) => (fdp.firstKqueue === null ? 0 : 1)),
		sleepers: kernel.sleepers,
		timeouts: kernel.timeouts.size,
		timers: kernel.ntimers,
		references: sum(ends, ({ file }) => file.refs),
		knotes: sum(ends, ({ kind, file }) => sum(kind.klists(file), countKnotes)),
		bytes: sum(ends, ({ kind, file }) => kind.stored(file)),
	};
}

/** What must remain of a machine whose processes have all exited. */
export const NOTHING = {
	processes: 0,
	threads: 0,
	descriptors: 0,
	kqueues: 0,
	sleepers: 0,
	timeouts: 0,
	timers: 0,
	references: 0,
	knotes: 0,
	bytes: 0,
};

function countKnotes(klist: Klist): number {
	let n = 0;
	for (let kn = klist.first; kn !== null; kn = kn.selnext) n++;
	return n;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
	return items.reduce((total, item) => total + value(item), 0);
}

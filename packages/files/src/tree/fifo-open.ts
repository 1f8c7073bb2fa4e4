// The open of a fifo that waits until the other side has an open file.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import {
	BlockingCall,
	FREAD,
	FWRITE,
	fileHold,
	fileRelease,
	type WaitChannel,
	WOULD_SLEEP,
} from "@kqpoll/kqueue/kernel";
import { openWith } from "../shared/open-file.ts";
import type { Side } from "./fifo.ts";
import type { FifoFile } from "./fifo-file.ts";
import type { Vnode } from "./vnode.ts";

/**
 * Whether an open with these flags, FREAD, FWRITE and O_NONBLOCK, would have to wait. Throws ENXIO
 * for a writer without readers that must not wait.
 */
export function mustWait(vnode: Vnode, flags: number, path: string): boolean {
	const { fifo } = vnode;
	const reads = (flags & FREAD) !== 0;
	// An open file that does both is the other side itself.
	if (reads && (flags & FWRITE) !== 0) return false;
	const others = reads ? fifo?.writing.opens : fifo?.reading.opens;
	if (others !== undefined && others > 0) return false;
	if ((flags & O_NONBLOCK) === 0) return true;
	if (reads) return false;
	throw new SystemError(errno.ENXIO, "open", `${path} has no readers`);
}

/** An open that waits. Its file counts already, and is closed again if the open fails. */
export class FifoOpen extends BlockingCall {
	private readonly file: FifoFile;
	private readonly path: string;
	private readonly flags: number;
	/** Opens of the same side sleep here. */
	override readonly channel: WaitChannel;
	/** The side that it waits for. */
	private readonly others: Side;
	/** The `firsts` of that side when it began to wait. */
	private readonly before: number;

	/** Makes a call that returns a descriptor of the file when the other side has an open file. */
	constructor(thread: Thread, file: FifoFile, path: string, flags: number) {
		super(thread, "open");
		this.file = file;
		this.path = path;
		this.flags = flags;
		this.timeout = Number.POSITIVE_INFINITY;
		const { reading, writing } = file.fifo;
		const reads = (file.flags & FREAD) !== 0;
		this.channel = (reads ? reading : writing).opening;
		this.others = reads ? writing : reading;
		this.before = this.others.firsts;
		fileHold(file);
	}

	/**
	 * Sleeps until the other side was opened, even if it was closed again. EIO when the fifo was
	 * revoked meanwhile, EMFILE when there is no free descriptor.
	 */
	override step(woken: number): number {
		if (woken !== 0) return -woken;
		if (this.file.revoked) return -errno.EIO;
		if (this.others.firsts === this.before) return WOULD_SLEEP;
		return openWith(this.thread, this.file, this.flags);
	}

	/** Releases the file, which closes it if it has no descriptor. */
	override end(): void {
		fileRelease(this.file, this.thread);
	}

	/** Names the fifo. */
	override describe(): string {
		const other = (this.file.flags & FREAD) !== 0 ? "writer" : "reader";
		return `open of fifo ${this.path}, which has no ${other}`;
	}
}

// How the open of a fifo waits until the other side has an open file too.
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
 * for one that writes to nobody and must not wait.
 */
export function mustWait(vnode: Vnode, flags: number, path: string): boolean {
	const { fifo } = vnode;
	const reads = (flags & FREAD) !== 0;
	// Who does both is the other side.
	if (reads && (flags & FWRITE) !== 0) return false;
	const others = reads ? fifo?.writing.opens : fifo?.reading.opens;
	if (others !== undefined && others > 0) return false;
	if ((flags & O_NONBLOCK) === 0) return true;
	if (reads) return false;
	throw new SystemError(errno.ENXIO, "open", `${path} has no readers`);
}

/** An open that waits. Its file counts already, and is closed again if it comes to nothing. */
export class FifoOpen extends BlockingCall {
	private readonly file: FifoFile;
	private readonly flags: number;
	/** The place of those who open the same side. */
	override readonly channel: WaitChannel;
	/** Those it waits for. */
	private readonly others: Side;
	/** Their `firsts` when it began to wait. */
	private readonly before: number;

	/** Makes a call that gives a file its descriptor when the other side is there. */
	constructor(thread: Thread, file: FifoFile, flags: number) {
		super(thread, "open");
		this.file = file;
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
	 * Sleeps until one of the others came, even if it has gone again. EIO when the fifo was revoked
	 * meanwhile, EMFILE when no descriptor is left.
	 */
	override step(woken: number): number {
		if (woken !== 0) return -woken;
		if (this.file.revoked) return -errno.EIO;
		if (this.others.firsts === this.before) return WOULD_SLEEP;
		return openWith(this.thread, this.file, this.flags);
	}

	/** Lets go of the file: unless it has a descriptor, this closes it. */
	override end(): void {
		fileRelease(this.file, this.thread);
	}
}

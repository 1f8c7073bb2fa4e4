// An open fifo.
import { errno, type Thread } from "@kqpoll/kqueue";
import { FIOASYNC, FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import { FREAD, type Knote, type WaitChannel } from "@kqpoll/kqueue/kernel";
import { Fifo } from "./fifo.ts";
import { type FifoHolder, fifoKqfilter } from "./fifo-filters.ts";
import type { Tree } from "./tree.ts";
import { TreeFile } from "./tree-file.ts";
import type { Vnode } from "./vnode.ts";

/** An open fifo, for reading, writing or both. */
export class FifoFile extends TreeFile implements FifoHolder {
	/** Its bytes and its ends. */
	readonly fifo: Fifo;

	/** Opens the fifo of a vnode, which wakes the opens that wait for it. */
	constructor(tree: Tree, vnode: Vnode, flags: number) {
		super(tree, vnode, flags);
		vnode.fifo ??= new Fifo();
		this.fifo = vnode.fifo;
		this.fifo.enter(flags);
	}

	/**
	 * Reads what there is; 0 at end of file, and, if it does not block, also while there are no
	 * writers. EIO once it is revoked.
	 *
	 * A file that blocks can be open before the first writer only if it was opened with O_NONBLOCK,
	 * which was cleared later. As in OpenBSD its reads wait for the first writer: it is not at end of
	 * file, and not readable.
	 */
	override read(thread: Thread, buffer: Uint8Array, nonblocking = true): number {
		if (this.revoked) return -errno.EIO;
		const { fifo, vnode } = this;
		const n = fifo.read(buffer);
		if (thread.kernel.diagnostics) fifo.check();
		if (n >= 0) vnode.accessed(thread.kernel.host.realtime());
		return n === -errno.EAGAIN && nonblocking && fifo.writing.opens === 0 ? 0 : n;
	}

	/** Writes what there is room for. EPIPE without readers, EIO once it is revoked. */
	override write(thread: Thread, buffer: Uint8Array, _whole: number): number {
		if (this.revoked) return -errno.EIO;
		const { fifo, vnode } = this;
		// Its memory is charged to the first writer.
		fifo.buffer.payer ??= thread.process.account.bytes;
		const n = fifo.write(buffer);
		if (thread.kernel.diagnostics) fifo.check();
		if (n > 0) vnode.modified(thread.kernel.host.realtime());
		return n;
	}

	/** Where transfers sleep. */
	override channel(mode: number): WaitChannel {
		const { reading, writing } = this.fifo;
		return mode === FREAD ? reading.transfers : writing.transfers;
	}

	/**
	 * FIONREAD: how many bytes there are to read, 0 for a file that only writes. A fifo is made of
	 * sockets, which refuse what they do not know with EOPNOTSUPP.
	 */
	override ioctl(_thread: Thread, command: number, _argument: unknown): number {
		switch (command) {
			case FIONBIO:
			case FIOASYNC:
				return 0;
			case FIONREAD:
				if (this.revoked) return -errno.ENOTTY;
				return (this.flags & FREAD) === 0 ? 0 : this.fifo.buffer.count;
			default:
				return this.revoked ? -errno.ENOTTY : -errno.EOPNOTSUPP;
		}
	}

	/** Joins a READ, WRITE or EXCEPT knote to the fifo. */
	protected override watch(kn: Knote): number {
		return fifoKqfilter(kn, this);
	}

	/** Leaves the fifo, whose bytes are lost when it was the last open file. */
	protected override left(): void {
		// When it was revoked, it left the fifo already.
		if (this.revoked) return;
		const { fifo, vnode } = this;
		try {
			fifo.leave(this.flags);
		} finally {
			if (fifo.idle) {
				vnode.fifo = null;
				fifo.buffer.free();
			}
		}
	}
}
